//! Probabilities far below the smallest f64, as products and sums of numbers with an exponent of their own.
//!
//! The recursions of CTC need sums, and sums of logarithms cost three exponentials and a logarithm each.
//! A mantissa and an exponent as long as an f64 have the range of a logarithm, more digits, and sums of a
//! few operations that the compiler turns into vector instructions.

use std::f64::consts::{LN_2, LOG2_E};

use crate::kernels::Buffer;

/// `mantissa · 2^exponent`, with a whole number as exponent and 1 or more as mantissa.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scaled {
    pub mantissa: f64,
    pub exponent: f64,
}

/// What stands for nothing: no product of probabilities of f32 is as small, and added to any exponent it
/// makes nothing of a number.
const NOTHING: f64 = -1e290;

impl Scaled {
    pub const ZERO: Self = Self { mantissa: 1., exponent: NOTHING };
    pub const ONE: Self = Self { mantissa: 1., exponent: 0. };

    /// `e^x`, for `x` up to zero, and minus infinity too.
    pub fn exp(x: f64) -> Self {
        let power = (x * LOG2_E).max(NOTHING);
        let exponent = power.floor();
        Self { mantissa: (power - exponent).exp2(), exponent }
    }

    /// The natural logarithm; minus infinity of zero.
    pub fn ln(self) -> f64 {
        if self.exponent < NOTHING / 2. {
            f64::NEG_INFINITY
        } else {
            self.mantissa.ln() + self.exponent * LN_2
        }
    }
}

/// A factor that makes nothing of a number, or leaves it as it is.
pub(super) fn factor(keep: bool) -> f64 {
    if keep { 0. } else { NOTHING }
}

/// Rows of numbers, in memory of unspecified values.
pub(super) struct Rows {
    width: usize,
    mantissas: Buffer<f64>,
    exponents: Buffer<f64>,
}

impl Rows {
    pub fn new(rows: usize, width: usize) -> Self {
        Self { width, mantissas: Buffer::new(rows * width), exponents: Buffer::new(rows * width) }
    }

    #[inline(always)]
    pub fn row(&self, row: usize) -> Row<'_> {
        let range = row * self.width..(row + 1) * self.width;
        Row { mantissas: &self.mantissas[range.clone()], exponents: &self.exponents[range] }
    }

    #[inline(always)]
    pub fn row_mut(&mut self, row: usize) -> RowMut<'_> {
        self.before_and_row(row).1
    }

    /// The row before (none before the first is ever needed, so it is empty), and this one.
    #[inline(always)]
    pub fn before_and_row(&mut self, row: usize) -> (Row<'_>, RowMut<'_>) {
        let before = row.saturating_sub(1) * self.width..row * self.width;
        let (mantissas_before, mantissas) = self.mantissas.split_at_mut(row * self.width);
        let (exponents_before, exponents) = self.exponents.split_at_mut(row * self.width);
        (
            Row { mantissas: &mantissas_before[before.clone()], exponents: &exponents_before[before] },
            RowMut { mantissas: &mut mantissas[..self.width], exponents: &mut exponents[..self.width] },
        )
    }
}

/// Numbers side by side.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    mantissas: &'a [f64],
    exponents: &'a [f64],
}

impl<'a> Row<'a> {
    #[inline(always)]
    pub fn get(self, i: usize) -> Scaled {
        Scaled { mantissa: self.mantissas[i], exponent: self.exponents[i] }
    }

    /// `count` numbers from number `first` on.
    #[inline(always)]
    pub fn part(self, first: usize, count: usize) -> Self {
        Self { mantissas: &self.mantissas[first..][..count], exponents: &self.exponents[first..][..count] }
    }

    /// The numbers at these places.
    #[inline(always)]
    pub fn gather(self, places: &[usize], mut into: RowMut) {
        for (i, &place) in places.iter().enumerate() {
            into.set(i, self.get(place));
        }
    }

    /// `self · other / divisor`, where that is not above 1.
    #[expect(clippy::needless_range_loop, reason = "one index into many slices")]
    #[inline(always)]
    pub fn shares(self, other: Self, divisor: Scaled, shares: &mut [f64]) {
        let count = shares.len();
        let (a, b) = (self.part(0, count), other.part(0, count));
        for i in 0..count {
            let exponent = a.exponents[i] + b.exponents[i] - divisor.exponent;
            shares[i] =
                a.mantissas[i] * b.mantissas[i] / divisor.mantissa * power_of_two(smaller(exponent, 1.));
        }
    }
}

/// Numbers side by side, to be written.
pub(super) struct RowMut<'a> {
    mantissas: &'a mut [f64],
    exponents: &'a mut [f64],
}

impl<'a> RowMut<'a> {
    #[inline(always)]
    pub fn set(&mut self, i: usize, x: Scaled) {
        (self.mantissas[i], self.exponents[i]) = (x.mantissa, x.exponent);
    }

    #[inline(always)]
    pub fn fill(&mut self, x: Scaled) {
        self.mantissas.fill(x.mantissa);
        self.exponents.fill(x.exponent);
    }

    /// `count` numbers from number `first` on.
    #[inline(always)]
    pub fn part(self, first: usize, count: usize) -> Self {
        Self {
            mantissas: &mut self.mantissas[first..][..count],
            exponents: &mut self.exponents[first..][..count],
        }
    }

    /// `a + b + c · factor`, with factors of [`factor`].
    #[inline(always)]
    pub fn set_sums(&mut self, [a, b, c]: [Row; 3], factors: &[f64]) {
        let count = self.mantissas.len();
        let [a, b, c] = [a, b, c].map(|row| row.part(0, count));
        let (exponents, factors) = (&mut self.exponents[..count], &factors[..count]);
        for i in 0..count {
            let (of_a, of_b, of_c) = (a.exponents[i], b.exponents[i], c.exponents[i] + factors[i]);
            let largest = larger(larger(of_a, of_b), of_c);
            exponents[i] = largest;
            self.mantissas[i] = a.mantissas[i] * power_of_two(of_a - largest)
                + b.mantissas[i] * power_of_two(of_b - largest)
                + c.mantissas[i] * power_of_two(of_c - largest);
        }
    }

    #[inline(always)]
    pub fn multiply(&mut self, by: Row) {
        let count = self.mantissas.len();
        let (by, exponents) = (by.part(0, count), &mut self.exponents[..count]);
        let mantissas = &mut self.mantissas[..count];
        mantissas.iter_mut().zip(by.mantissas).for_each(|(mantissa, by)| *mantissa *= by);
        exponents.iter_mut().zip(by.exponents).for_each(|(exponent, by)| *exponent += by);
    }

    /// Brings all mantissas below 2. A sum of three is at most thrice, a product with such a one twice
    /// as large: it is enough to do this every hundred steps.
    #[inline(always)]
    pub fn normalize(&mut self) {
        const MANTISSA_BITS: u32 = f64::MANTISSA_DIGITS - 1;
        const MANTISSA: u64 = (1 << MANTISSA_BITS) - 1;
        const BIAS: u64 = f64::MAX_EXP as u64 - 1;
        for (mantissa, exponent) in self.mantissas.iter_mut().zip(&mut *self.exponents) {
            let bits = mantissa.to_bits();
            *exponent += (bits >> MANTISSA_BITS) as f64 - BIAS as f64;
            *mantissa = f64::from_bits(bits & MANTISSA | BIAS << MANTISSA_BITS);
        }
    }
}

/// `2^x` for a whole number up to 1023; below -1022 it stays at 2^-1022, beside which a mantissa counts as
/// nothing.
#[inline(always)]
fn power_of_two(x: f64) -> f64 {
    // 2^52, in whose neighbourhood the lowest bits of an f64 are a whole number, and the bias of exponents.
    const WHOLE: f64 = 4_503_599_627_370_496. + 1023.;
    f64::from_bits((larger(x, -1022.) + WHOLE).to_bits() << 52)
}

/// The larger of two numbers, none of which is NaN: one instruction, unlike `f64::max`.
#[inline(always)]
fn larger(a: f64, b: f64) -> f64 {
    if a > b { a } else { b }
}

#[inline(always)]
fn smaller(a: f64, b: f64) -> f64 {
    if a < b { a } else { b }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(numbers: &[f64]) -> Rows {
        let mut rows = Rows::new(1, numbers.len());
        for (i, &ln) in numbers.iter().enumerate() {
            rows.row_mut(0).set(i, Scaled::exp(ln));
        }
        rows
    }

    #[test]
    fn an_exponential_and_its_logarithm_are_the_same_far_beyond_the_range_of_f64() {
        for x in [0., -1e-9, -0.5, -1., -700., -12_345.678, -1e9, -3.4e38, f64::NEG_INFINITY] {
            let there = Scaled::exp(x);
            assert!((1. ..=2.).contains(&there.mantissa) && there.exponent == there.exponent.floor());
            assert!(
                there.ln() == x || (there.ln() - x).abs() <= 1e-15 * x.abs().max(1.),
                "{x} {}",
                there.ln()
            );
        }
    }

    #[test]
    fn sums_and_products_are_those_of_logarithms() {
        let (a, b, c) =
            ([-1., -1e6, -2000., f64::NEG_INFINITY], [-2., -1e6, -1., -5.], [-3., -1e7, -2., -1.]);
        let mut out = Rows::new(1, 4);
        let factors = [0., 0., 0., NOTHING];
        out.row_mut(0).set_sums([row(&a).row(0), row(&b).row(0), row(&c).row(0)], &factors);
        for (i, exact) in [
            -1. + (1. + (-1f64).exp() + (-2f64).exp()).ln(),
            -1e6 + 2f64.ln(),
            (-1f64).exp().ln_1p() - 1.,
            -5.,
        ]
        .into_iter()
        .enumerate()
        {
            assert!((out.row(0).get(i).ln() - exact).abs() < 1e-9, "{i}: {}", out.row(0).get(i).ln());
        }
        let before = out.row(0).get(0).ln();
        out.row_mut(0).multiply(row(&b).row(0));
        out.row_mut(0).normalize();
        assert!(out.row(0).get(0).mantissa < 2.);
        assert!((out.row(0).get(0).ln() - (before - 2.)).abs() < 1e-12);
    }

    #[test]
    fn powers_of_two_are_exact_and_end_at_the_smallest() {
        for x in [1., 0., -1., -1000., -1022.] {
            assert_eq!(power_of_two(x), 2f64.powi(x as i32));
        }
        assert_eq!(power_of_two(NOTHING), f64::MIN_POSITIVE);
    }
}
