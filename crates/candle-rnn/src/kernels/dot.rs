//! Sums over vectors of numbers.

use super::{Lanes, Vector};

/// `a · b`
#[inline(always)]
pub(crate) fn dot<L: Lanes>(l: L, a: &[L::Real], b: &[L::Real]) -> L::Real {
    let mut sum = l.splat(L::Real::default());
    for j in l.pieces(a.len()) {
        sum = l.load(&a[j.clone()]).mul_add(l.load(&b[j]), sum);
    }
    total(l, sum)
}

/// The sum of the numbers of a vector, in pairs.
#[inline(always)]
pub(crate) fn total<L: Lanes>(l: L, x: L::Vector) -> L::Real {
    const WIDEST: usize = 16;
    let mut numbers = [L::Real::default(); WIDEST];
    l.store(x, &mut numbers[..l.width()]);
    let mut half = WIDEST / 2;
    while half > 0 {
        for i in 0..half {
            let upper = numbers[half + i];
            numbers[i] += upper;
        }
        half /= 2;
    }
    numbers[0]
}
