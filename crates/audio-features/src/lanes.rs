//! Sums and logarithms in a form that the compiler turns into vector instructions.
//!
//! Sums run in [`WIDTH`] lanes that are added at the end. The order is fixed, so the bits are the same
//! on every machine, and the rounding errors are smaller than those of one long sum.

/// Numbers that are worked on side by side.
pub const WIDTH: usize = 8;

/// `Σ values`.
pub(crate) fn sum(values: &[f32]) -> f32 {
    accumulate(values, |sum, value| sum + value)
}

/// `Σ values²`.
pub fn sum_of_squares(values: &[f32]) -> f32 {
    accumulate(values, |sum, value| sum + value * value)
}

#[inline(always)]
fn accumulate(values: &[f32], add: impl Fn(f32, f32) -> f32) -> f32 {
    let (blocks, rest) = values.as_chunks::<WIDTH>();
    let mut lanes = [0.0; WIDTH];
    for block in blocks {
        for (lane, &value) in lanes.iter_mut().zip(block) {
            *lane = add(*lane, value);
        }
    }
    rest.iter().fold(total(lanes), |sum, &value| add(sum, value))
}

/// `Σ aᵢ bᵢ` over whole blocks; what is beyond the last block of either is left out.
#[inline]
pub(crate) fn dot_of_blocks(a: &[f32], b: &[f32]) -> f32 {
    let (a, b) = (a.as_chunks::<WIDTH>().0, b.as_chunks::<WIDTH>().0);
    let mut lanes = [0.0; WIDTH];
    for (a, b) in a.iter().zip(b) {
        for i in 0..WIDTH {
            lanes[i] += a[i] * b[i];
        }
    }
    total(lanes)
}

/// `Σ aᵢ bᵢ` of two slices of the same length.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a_rest, b_rest) = (a.as_chunks::<WIDTH>().1, b.as_chunks::<WIDTH>().1);
    a_rest.iter().zip(b_rest).fold(dot_of_blocks(a, b), |sum, (a, b)| sum + a * b)
}

#[inline]
fn total(lanes: [f32; WIDTH]) -> f32 {
    let half: [f32; 4] = std::array::from_fn(|i| lanes[i] + lanes[i + 4]);
    (half[0] + half[2]) + (half[1] + half[3])
}

/// Replaces every value by `factor · ln value`. Values must be positive and at least
/// [`f32::MIN_POSITIVE`].
///
/// With `value = m · 2ᵉ`, `√½ ≤ m < √2` and `s = (m - 1) / (m + 1)`, `ln m` is
/// `2 (s + s³/3 + s⁵/5 + s⁷/7 + s⁹/9)`; what the series leaves out is below 10⁻⁹ as `|s| < 0.172`. A
/// test bounds the error by 1.5 · 10⁻⁷ of the result, or of 1 near the zero of the logarithm.
pub(crate) fn scaled_logarithms(values: &mut [f32], factor: f32) {
    /// Bits of √½: subtracting them makes the exponent change at √½ and √2 rather than at 1.
    const ROOT_HALF: i32 = 0x3f35_04f3;
    /// ln 2 in two parts; the first has so few bits that its products with exponents are exact.
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    for value in values {
        let exponent = (value.to_bits() as i32 - ROOT_HALF) >> 23;
        let mantissa = f32::from_bits((value.to_bits() as i32 - (exponent << 23)) as u32);
        let s = (mantissa - 1.0) / (mantissa + 1.0);
        let square = s * s;
        let series = square * (1.0 / 3.0 + square * (1.0 / 5.0 + square * (1.0 / 7.0 + square / 9.0)));
        let exponent = exponent as f32;
        *value = factor * (exponent * LN_2[0] + (exponent * LN_2[1] + 2.0 * (s + s * series)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_double_precision() {
        for length in [0, 1, 7, 8, 9, 400, 1023] {
            let values: Vec<f32> = (0..length).map(|i| ((i * 37 % 101) as f32 - 40.0) / 7.0).collect();
            let exact: f64 = values.iter().map(|&x| f64::from(x)).sum();
            let squares: f64 = values.iter().map(|&x| f64::from(x).powi(2)).sum();
            assert!((f64::from(sum(&values)) - exact).abs() < 1e-3, "{length}");
            assert!((f64::from(sum_of_squares(&values)) - squares).abs() <= 1e-6 * squares, "{length}");
        }
    }

    #[test]
    fn logarithms_are_right_to_the_last_bit_or_two_over_the_whole_range() {
        let mut at = f32::MIN_POSITIVE;
        while at < 1e38 {
            let exact = f64::from(at).ln();
            let mut computed = [at];
            scaled_logarithms(&mut computed, 1.0);
            let error = (f64::from(computed[0]) - exact).abs();
            assert!(error <= 1.5e-7 * exact.abs().max(1.0), "ln {at}: {} for {exact}", computed[0]);
            at *= 1.000_37;
        }
        let mut one = [1.0];
        scaled_logarithms(&mut one, 1.0);
        assert_eq!(one, [0.0]);
    }
}
