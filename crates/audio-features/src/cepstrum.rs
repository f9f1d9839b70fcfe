//! The cepstrum: the cosine transform of a logarithmic spectrum.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use crate::Error;

/// What is kept of a cepstrum.
///
/// Coefficient `k` of `N` bands `x` is `a_k Σ_n x_n cos(π k (n + ½) / N)` with `a_0 = √(1/N)`,
/// `a_k = √(2/N)` (the orthonormal DCT-II: `scipy.fft.dct(norm="ortho")`, `torchaudio.functional.create_dct`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cepstrum {
    /// How many coefficients, from the mean level (number 0) on.
    pub coefficients: usize,
    /// `L` of the lifter that brings higher coefficients to the size of the lower:
    /// number `k` is multiplied with `1 + L/2 · sin(π k / L)` (HTK's and Kaldi's); 0 for none.
    pub lifter: f64,
}

impl Cepstrum {
    /// The matrix of the transform with its lifter, a row of `bands` weights for each coefficient.
    ///
    /// # Errors
    /// When there are no coefficients, or more than bands, or the lifter is negative or not finite.
    pub fn matrix(&self, bands: usize) -> Result<Vec<f32>, Error> {
        if !(1..=bands).contains(&self.coefficients) {
            let range = format!("from 1 to the number of bands, {bands}");
            return Err(Error::setting("cepstrum.coefficients", self.coefficients as f64, range));
        }
        if !(self.lifter >= 0.0 && self.lifter.is_finite()) {
            return Err(Error::setting("cepstrum.lifter", self.lifter, "0 (no lifter) or above"));
        }
        let n = bands as f64;
        let row = |k: usize| {
            let norm = (if k == 0 { 1.0 / n } else { 2.0 / n }).sqrt();
            let lifter = match self.lifter {
                0.0 => 1.0,
                length => 1.0 + length / 2.0 * (PI * k as f64 / length).sin(),
            };
            (0..bands).map(move |i| (norm * lifter * (PI * k as f64 * (i as f64 + 0.5) / n).cos()) as f32)
        };
        Ok((0..self.coefficients).flat_map(row).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transform_keeps_lengths_and_angles() {
        let bands = 12;
        let matrix = Cepstrum { coefficients: bands, lifter: 0.0 }.matrix(bands).unwrap();
        for (i, a) in matrix.chunks(bands).enumerate() {
            for (j, b) in matrix.chunks(bands).enumerate() {
                let dot: f32 = a.iter().zip(b).map(|(a, b)| a * b).sum();
                assert!((dot - f32::from(i == j)).abs() < 1e-6, "{i} {j}: {dot}");
            }
        }
    }

    #[test]
    fn the_lifter_leaves_the_level_and_peaks_in_the_middle() {
        let [plain, liftered] =
            [0.0, 22.0].map(|lifter| Cepstrum { coefficients: 13, lifter }.matrix(23).unwrap());
        assert_eq!(plain[..23], liftered[..23]);
        assert!((liftered[11 * 23] / plain[11 * 23] - 12.0).abs() < 1e-5);
    }

    #[test]
    fn more_coefficients_than_bands_and_impossible_lifters_are_refused() {
        for (coefficients, lifter) in [(0, 0.0), (24, 0.0), (13, -1.0), (13, f64::NAN)] {
            assert!(Cepstrum { coefficients, lifter }.matrix(23).is_err(), "{coefficients} {lifter}");
        }
    }
}
