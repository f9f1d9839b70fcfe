//! The softmax of the logits of one item, and the logarithm of its denominator.

use candle_core::WithDType;

use crate::kernels::{Kernel, Lanes, Real, Vector};

/// `log Σ_k exp x_k`
pub(crate) struct LogSumExp<'a, R>(pub &'a [R]);

impl<R: Real> Kernel<R> for LogSumExp<'_, R> {
    type Output = f64;

    #[inline(always)]
    fn run<L: Lanes<Real = R>>(self, l: L) -> f64 {
        let max = largest(l, self.0);
        let shift = l.splat(max);
        let mut sum = Sum::new(l);
        for piece in l.pieces(self.0.len()) {
            let e = (l.load(&self.0[piece.clone()]) - shift).exp();
            sum.add(l, e, piece.len());
        }
        max.to_f64() + sum.total(l).ln()
    }
}

/// Logits become `exp(x_k) / Σ_k exp x_k`; gives `log Σ_k exp x_k`.
pub(crate) struct Softmax<'a, R>(pub &'a mut [R]);

impl<R: Real> Kernel<R> for Softmax<'_, R> {
    type Output = f64;

    #[inline(always)]
    fn run<L: Lanes<Real = R>>(self, l: L) -> f64 {
        let max = largest(l, self.0);
        let shift = l.splat(max);
        let mut sum = Sum::new(l);
        for piece in l.pieces(self.0.len()) {
            let e = (l.load(&self.0[piece.clone()]) - shift).exp();
            l.store(e, &mut self.0[piece.clone()]);
            sum.add(l, e, piece.len());
        }
        let sum = sum.total(l);
        let factor = l.splat(R::from_f64(1. / sum));
        for piece in l.pieces(self.0.len()) {
            l.store(l.load(&self.0[piece.clone()]) * factor, &mut self.0[piece]);
        }
        max.to_f64() + sum.ln()
    }
}

/// Logits become `x_k − log Σ_k exp x_k`.
pub(crate) struct LogSoftmax<'a, R>(pub &'a mut [R]);

impl<R: Real> Kernel<R> for LogSoftmax<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes<Real = R>>(self, l: L) {
        let shift = l.splat(R::from_f64(LogSumExp(self.0).run(l)));
        for piece in l.pieces(self.0.len()) {
            l.store(l.load(&self.0[piece.clone()]) - shift, &mut self.0[piece]);
        }
    }
}

/// A sum over the pieces of a slice, of which the last may be shorter than a vector.
struct Sum<V> {
    whole: V,
    rest: f64,
}

impl<V: Vector> Sum<V> {
    #[inline(always)]
    fn new<L: Lanes<Vector = V>>(l: L) -> Self {
        Self { whole: l.splat(L::Real::default()), rest: 0. }
    }

    /// Adds the first `n` numbers of a vector.
    #[inline(always)]
    fn add<L: Lanes<Vector = V>>(&mut self, l: L, x: V, n: usize) {
        if n == l.width() {
            self.whole = self.whole + x;
        } else {
            self.rest = total(l, x, n);
        }
    }

    #[inline(always)]
    fn total<L: Lanes<Vector = V>>(self, l: L) -> f64 {
        total(l, self.whole, l.width()) + self.rest
    }
}

/// The sum of the first `n` numbers of a vector.
#[inline(always)]
fn total<L: Lanes>(l: L, x: L::Vector, n: usize) -> f64 {
    let mut numbers = [L::Real::default(); WIDEST];
    l.store(x, &mut numbers[..l.width()]);
    numbers[..n].iter().map(|x| x.to_f64()).sum()
}

/// Numbers in the widest vector there is.
const WIDEST: usize = 16;

#[inline(always)]
fn largest<L: Lanes>(l: L, xs: &[L::Real]) -> L::Real {
    let whole = xs.len() - xs.len() % l.width();
    let mut largest = l.splat(xs[0]);
    for piece in l.pieces(whole) {
        largest = largest.max(l.load(&xs[piece]));
    }
    let mut numbers = [xs[0]; WIDEST];
    l.store(largest, &mut numbers[..l.width()]);
    let rest = xs[whole..].iter().chain(&numbers[..l.width()]);
    rest.fold(xs[0], |a, &b| if b > a { b } else { a })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_and_single_numbers_agree_whatever_the_length_and_the_size() {
        for length in [1, 2, 15, 16, 17, 65, 100] {
            for offset in [-500., 0., 500.] {
                let exact: Vec<f64> = (0..length).map(|i| f64::from(i * i % 23) / 3. + offset).collect();
                let single: Vec<f32> = exact.iter().map(|&x| x as f32).collect();
                let truth = exact.iter().map(|x| (x - offset).exp()).sum::<f64>().ln() + offset;
                assert!((f64::dispatch(LogSumExp(&exact)) - truth).abs() < 1e-9);
                assert!((f32::dispatch(LogSumExp(&single)) - truth).abs() < 1e-3);
                let mut softmax = single.clone();
                assert!((f32::dispatch(Softmax(&mut softmax)) - truth).abs() < 1e-3);
                for (p, x) in softmax.iter().zip(exact) {
                    assert!((f64::from(*p) - (x - truth).exp()).abs() < 1e-4);
                }
            }
        }
    }

    #[test]
    fn a_nan_among_the_logits_is_not_hidden() {
        for at in [0, 7, 16] {
            let mut xs = [1f32; 17];
            xs[at] = f32::NAN;
            assert!(f32::dispatch(LogSumExp(&xs)).is_nan());
            assert!(f32::dispatch(Softmax(&mut xs)).is_nan());
        }
    }
}
