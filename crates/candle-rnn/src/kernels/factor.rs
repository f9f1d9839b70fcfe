//! What a product multiplies: numbers as they are, or pairs of them rounded to bf16.
//!
//! A bf16 is the upper half of an f32: its range, and 8 bits of its 24 of precision (Kalamkar et
//! al. 2019, *A study of bfloat16 for deep learning training*). Two that stand one after the other
//! along the depth of a product make a pair, for which newer processors have an instruction:
//! `sum + a₀ b₀ + a₁ b₁`, summed in f32, twice as many multiplications as in f32.

use serde::{Deserialize, Serialize};

use super::buffer::Pooled;
use super::{Buffer, Kernel, Lanes, Real, Rows, Vector};

/// How exactly the factors of matrix products are held; sums and all else are not rounded. Products
/// of bf16 are twice as fast on processors with AVX512-BF16, and no faster on others. Products of a few
/// rows in a [`Linear`](crate::Linear), a [`Stepper`](crate::Stepper) and other devices than the CPU
/// know full precision only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MatmulPrecision {
    /// As they are.
    #[default]
    Full,
    /// Rounded to bf16.
    Bf16,
}

/// What stands at a place of a left-hand or right-hand matrix.
pub trait Factor<R: Real>: Pooled + Sync {
    /// Steps of the depth that it holds.
    const STEPS: usize;
    /// As many as there are numbers in a vector.
    type Vector<L: Lanes<Real = R>>: Copy;

    /// Those of the step `i · STEPS` and following, of a row of a left-hand matrix or a column of a
    /// right-hand one; beyond the end are zeros.
    fn along(numbers: &[R], i: usize) -> Self;
    /// Those of rows that follow each other along the depth, element by element; there are as many
    /// rows as [`STEPS`](Factor::STEPS).
    fn across(to: &mut [Self], rows: &[&[R]]);

    /// `f` of rows as left-hand factors, which are the numbers themselves where they can be.
    fn of_rows<T>(rows: Rows<R>, f: impl FnOnce(Rows<Self>) -> T) -> T;

    /// The same everywhere.
    fn splat<L: Lanes<Real = R>>(self, lanes: L) -> Self::Vector<L>;
    /// A whole vector.
    ///
    /// # Safety
    /// As many as there are numbers in a vector can be read at `xs`.
    unsafe fn load<L: Lanes<Real = R>>(lanes: L, xs: *const Self) -> Self::Vector<L>;
    /// `sum + a b`
    fn add_product<L: Lanes<Real = R>>(
        lanes: L,
        a: Self::Vector<L>,
        b: Self::Vector<L>,
        sum: L::Vector,
    ) -> L::Vector;
    /// Runs `kernel` on the best instruction set for these factors.
    fn dispatch<K: Kernel<R>>(kernel: K) -> K::Output;
}

impl<R: Real> Factor<R> for R {
    const STEPS: usize = 1;
    type Vector<L: Lanes<Real = R>> = L::Vector;

    #[inline(always)]
    fn along(numbers: &[R], i: usize) -> R {
        numbers[i]
    }

    #[inline(always)]
    fn across(to: &mut [R], rows: &[&[R]]) {
        to.copy_from_slice(rows[0]);
    }

    fn of_rows<T>(rows: Rows<R>, f: impl FnOnce(Rows<R>) -> T) -> T {
        f(rows)
    }

    #[inline(always)]
    fn splat<L: Lanes<Real = R>>(self, lanes: L) -> L::Vector {
        lanes.splat(self)
    }

    #[inline(always)]
    unsafe fn load<L: Lanes<Real = R>>(lanes: L, xs: *const R) -> L::Vector {
        // Safety: the caller's.
        unsafe { lanes.load_at(xs) }
    }

    #[inline(always)]
    fn add_product<L: Lanes<Real = R>>(_: L, a: L::Vector, b: L::Vector, sum: L::Vector) -> L::Vector {
        a.mul_add(b, sum)
    }

    fn dispatch<K: Kernel<R>>(kernel: K) -> K::Output {
        <R as Real>::dispatch(kernel)
    }
}

/// Two bf16 that follow each other along the depth of a product.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[repr(C, align(4))]
pub struct Pair([u16; 2]);

/// As vectors of pairs are read.
const _: () = assert!(size_of::<Pair>() == size_of::<i32>() && align_of::<Pair>() == align_of::<i32>());

impl Pair {
    /// Rounded to the nearest, of two equally near to the even one; NaN stays NaN.
    #[inline(always)]
    fn new<R: Real>(first: R, second: R) -> Self {
        Self([round(first.to_f32()), round(second.to_f32())])
    }

    /// Both as they lie in memory.
    #[inline(always)]
    pub fn bits(self) -> i32 {
        let [first, second] = self.0.map(i32::from);
        if cfg!(target_endian = "little") { second << 16 | first } else { first << 16 | second }
    }

    /// Both, in full.
    #[inline(always)]
    pub fn numbers(self) -> (f32, f32) {
        (f32::from_bits(u32::from(self.0[0]) << 16), f32::from_bits(u32::from(self.0[1]) << 16))
    }
}

#[inline(always)]
fn round(x: f32) -> u16 {
    let bits = x.to_bits();
    // Half of what is cut off, and one less where that makes the result even.
    let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
    let quiet_nan = bits >> 16 | 0x40;
    (if x.is_nan() { quiet_nan } else { rounded }) as u16
}

impl<R: Real> Factor<R> for Pair {
    const STEPS: usize = 2;
    type Vector<L: Lanes<Real = R>> = L::Pairs;

    #[inline(always)]
    fn along(numbers: &[R], i: usize) -> Pair {
        Pair::new(numbers[2 * i], numbers.get(2 * i + 1).copied().unwrap_or_default())
    }

    #[inline(always)]
    fn across(to: &mut [Pair], rows: &[&[R]]) {
        for ((to, &first), &second) in to.iter_mut().zip(rows[0]).zip(rows[1]) {
            *to = Pair::new(first, second);
        }
    }

    fn of_rows<T>(rows: Rows<R>, f: impl FnOnce(Rows<Pair>) -> T) -> T {
        let width = rows.width().div_ceil(2);
        let mut pairs = Buffer::new(rows.count() * width);
        if width > 0 {
            R::dispatch(Convert { rows, pairs: &mut pairs, width });
        }
        f(Rows::new(&pairs, width))
    }

    #[inline(always)]
    fn splat<L: Lanes<Real = R>>(self, lanes: L) -> L::Pairs {
        lanes.splat_pair(self)
    }

    #[inline(always)]
    unsafe fn load<L: Lanes<Real = R>>(lanes: L, xs: *const Pair) -> L::Pairs {
        // Safety: the caller's.
        unsafe { lanes.load_pairs(xs) }
    }

    #[inline(always)]
    fn add_product<L: Lanes<Real = R>>(lanes: L, a: L::Pairs, b: L::Pairs, sum: L::Vector) -> L::Vector {
        lanes.add_dot(a, b, sum)
    }

    fn dispatch<K: Kernel<R>>(kernel: K) -> K::Output {
        R::dispatch_pairs(kernel)
    }
}

/// Rows into pairs.
struct Convert<'a, R> {
    rows: Rows<'a, R>,
    pairs: &'a mut [Pair],
    width: usize,
}

impl<R: Real> Kernel<R> for Convert<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes<Real = R>>(self, _: L) {
        for (i, pairs) in self.pairs.chunks_exact_mut(self.width).enumerate() {
            let numbers = self.rows.row(i);
            let (whole, rest) = numbers.as_chunks::<2>();
            for (to, &[first, second]) in pairs.iter_mut().zip(whole) {
                *to = Pair::new(first, second);
            }
            if let [last] = rest {
                pairs[whole.len()] = Pair::new(*last, R::default());
            }
        }
    }
}
