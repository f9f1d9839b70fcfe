//! The mel scale and the triangles that gather a spectrum into bands of equal width to the ear.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::lanes::{WIDTH, dot_of_blocks};

/// How mel follows from Hertz.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MelScale {
    /// `2595 log₁₀(1 + f / 700)`: HTK's and Kaldi's.
    Htk,
    /// Linear up to 1000 Hz, where there are 15 mel, then logarithmic, 27 mel for a factor of 6.4:
    /// that of Slaney's *Auditory Toolbox* (1998), librosa's.
    Slaney,
}

/// Slaney's scale below its bend: Hertz per mel.
const SLANEY_SLOPE: f64 = 200.0 / 3.0;
/// Where it bends, in Hertz.
const SLANEY_BEND: f64 = 1000.0;
/// Above the bend, the logarithm of the factor of one mel: `ln 6.4 / 27`.
const SLANEY_LOG_STEP: f64 = 0.068_751_777_420_949_12;

impl MelScale {
    /// Mel of a frequency in Hz.
    pub fn mel(self, hertz: f64) -> f64 {
        match self {
            Self::Htk => 2595.0 * (1.0 + hertz / 700.0).log10(),
            Self::Slaney if hertz < SLANEY_BEND => hertz / SLANEY_SLOPE,
            Self::Slaney => SLANEY_BEND / SLANEY_SLOPE + (hertz / SLANEY_BEND).ln() / SLANEY_LOG_STEP,
        }
    }

    /// Frequency in Hz of a mel; the inverse of [`MelScale::mel`].
    pub fn hertz(self, mel: f64) -> f64 {
        let bend = SLANEY_BEND / SLANEY_SLOPE;
        match self {
            Self::Htk => 700.0 * (10f64.powf(mel / 2595.0) - 1.0),
            Self::Slaney if mel < bend => mel * SLANEY_SLOPE,
            Self::Slaney => SLANEY_BEND * ((mel - bend) * SLANEY_LOG_STEP).exp(),
        }
    }
}

/// Along which axis a triangle's sides are straight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Triangle {
    /// Along frequency: librosa's and `torchaudio.functional.melscale_fbanks`.
    InHertz,
    /// Along mel: HTK's and Kaldi's. The bin at half of the rate belongs to no band.
    InMel,
}

/// Which bands of frequency there are.
///
/// The corners of the triangles are `bands + 2` points, evenly spaced in mel from `f_min` to `f_max`;
/// band `b` rises from point `b` to 1 at point `b + 1` and falls to 0 at point `b + 2`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MelBank {
    /// How many bands.
    pub bands: usize,
    /// Where the lowest begins, in Hz.
    pub f_min: f64,
    /// Where the highest ends, in Hz; half of the sampling rate if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub f_max: Option<f64>,
    /// What mel is.
    pub scale: MelScale,
    /// Shape of a band.
    pub triangle: Triangle,
    /// Slaney's normalisation: a band is divided by half of its width in Hz, so that each has the same
    /// area and white noise gives the same in all.
    pub equal_area: bool,
}

/// The weights of a [`MelBank`] on the bins of a Fourier transform.
#[derive(Clone, Debug)]
pub struct MelFilters {
    bins: usize,
    /// For each band the first bin, and where its weights are in `weights`. They are whole blocks of
    /// [`WIDTH`], filled up with zeros.
    bands: Vec<(usize, Range<usize>)>,
    weights: Vec<f32>,
    centres: Vec<f64>,
}

impl MelFilters {
    /// The filters for spectra of `fft_length / 2 + 1` bins of a signal with `rate` samples a second.
    ///
    /// A bank with many low bands on few bins has bands without a bin, which are always zero:
    /// [`MelFilters::empty_bands`].
    ///
    /// # Errors
    /// When there is no band, more than 65,536, or not `0 ≤ f_min < f_max ≤ rate / 2`.
    pub fn new(bank: &MelBank, rate: u32, fft_length: usize) -> Result<Self, Error> {
        let nyquist = f64::from(rate) / 2.0;
        let f_max = bank.f_max.unwrap_or(nyquist);
        if !(1..=65_536).contains(&bank.bands) {
            return Err(Error::setting("mel.bands", bank.bands as f64, "from 1 to 65536"));
        }
        if !(0.0..nyquist).contains(&bank.f_min) {
            let range = format!("0 Hz or more and below half of the sampling rate, {nyquist} Hz");
            return Err(Error::setting("mel.f_min", bank.f_min, range));
        }
        if !(f_max > bank.f_min && f_max <= nyquist) {
            let range = format!(
                "above f_min, {} Hz, and at most half of the sampling rate, {nyquist} Hz",
                bank.f_min
            );
            return Err(Error::setting("mel.f_max", f_max, range));
        }
        if !(1..=MAX_FFT_LENGTH).contains(&fft_length) {
            let range = format!("from 1 to {MAX_FFT_LENGTH} samples");
            return Err(Error::setting("fft_length", fft_length as f64, range));
        }
        let (low, high) = (bank.scale.mel(bank.f_min), bank.scale.mel(f_max));
        let mel = |point: usize| low + (high - low) * point as f64 / (bank.bands + 1) as f64;
        let bins = fft_length / 2 + 1;
        let position = |point| match bank.triangle {
            Triangle::InHertz => bank.scale.hertz(mel(point)),
            Triangle::InMel => mel(point),
        };
        let hertz = |bin: usize| bin as f64 * f64::from(rate) / fft_length as f64;
        let axis: Vec<f64> = match bank.triangle {
            Triangle::InHertz => (0..bins).map(hertz).collect(),
            Triangle::InMel => (0..fft_length / 2).map(|bin| bank.scale.mel(hertz(bin))).collect(),
        };
        let mut filters = Self { bins, bands: Vec::new(), weights: Vec::new(), centres: Vec::new() };
        for band in 0..bank.bands {
            let [left, centre, right] = [0, 1, 2].map(|corner| position(band + corner));
            let corners = [0, 1, 2].map(|corner| bank.scale.hertz(mel(band + corner)));
            let height = if bank.equal_area { 2.0 / (corners[2] - corners[0]) } else { 1.0 };
            let weight = |x: f64| ((x - left) / (centre - left)).min((right - x) / (right - centre));
            let first = axis.partition_point(|&x| x <= left);
            let end = axis.partition_point(|&x| x < right).max(first);
            let start = filters.weights.len();
            filters.weights.extend(axis[first..end].iter().map(|&x| (height * weight(x).max(0.0)) as f32));
            filters.weights.resize(start + (end - first).next_multiple_of(WIDTH), 0.0);
            filters.bands.push((first, start..filters.weights.len()));
            filters.centres.push(corners[1]);
        }
        Ok(filters)
    }

    /// How many bands there are.
    pub fn bands(&self) -> usize {
        self.bands.len()
    }

    /// How many bins a spectrum has.
    pub fn bins(&self) -> usize {
        self.bins
    }

    /// Where each band peaks, in Hz.
    pub fn centres(&self) -> &[f64] {
        &self.centres
    }

    /// Bands in which no bin lies.
    pub fn empty_bands(&self) -> impl Iterator<Item = usize> {
        let empty =
            move |band: &usize| self.weights[self.bands[*band].1.clone()].iter().all(|&weight| weight == 0.0);
        (0..self.bands()).filter(empty)
    }

    /// The weights of one band, one for each bin.
    ///
    /// # Panics
    /// When there is no such band.
    pub fn weights(&self, band: usize) -> Vec<f32> {
        let (first, range) = &self.bands[band];
        let mut row = vec![0.0; self.bins];
        for (weight, at) in row[*first..].iter_mut().zip(range.clone()) {
            *weight = self.weights[at];
        }
        row
    }

    /// `bands[b] = Σ_k weight[b][k] spectrum[k]`; the spectrum is followed by [`WIDTH`] numbers that
    /// count as nothing but must be finite.
    pub(crate) fn apply(&self, spectrum: &[f32], bands: &mut [f32]) {
        debug_assert_eq!(spectrum.len(), self.bins + WIDTH);
        for ((first, range), band) in self.bands.iter().zip(bands) {
            *band = dot_of_blocks(&self.weights[range.clone()], &spectrum[*first..]);
        }
    }
}

/// The longest Fourier transform.
pub(crate) const MAX_FFT_LENGTH: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    const BANK: MelBank = MelBank {
        bands: 40,
        f_min: 20.0,
        f_max: None,
        scale: MelScale::Htk,
        triangle: Triangle::InMel,
        equal_area: false,
    };

    #[test]
    fn a_thousand_hertz_are_a_thousand_mel_or_fifteen_of_slaneys() {
        assert!((MelScale::Htk.mel(1000.0) - 1000.0).abs() < 0.1);
        assert!((MelScale::Slaney.mel(1000.0) - 15.0).abs() < 1e-12);
        assert!((MelScale::Slaney.mel(6400.0) - 42.0).abs() < 1e-9);
    }

    #[test]
    fn hertz_undoes_mel() {
        for scale in [MelScale::Htk, MelScale::Slaney] {
            for hertz in [0.0, 20.0, 999.0, 1000.0, 1001.0, 7999.0] {
                assert!((scale.hertz(scale.mel(hertz)) - hertz).abs() < 1e-8, "{scale:?} {hertz}");
            }
        }
    }

    #[test]
    fn neighbouring_bands_add_up_to_one_between_the_outer_peaks() {
        for (scale, triangle) in [(MelScale::Htk, Triangle::InMel), (MelScale::Slaney, Triangle::InHertz)] {
            let filters = MelFilters::new(&MelBank { scale, triangle, ..BANK }, 16_000, 1024).unwrap();
            let rows: Vec<Vec<f32>> = (0..40).map(|band| filters.weights(band)).collect();
            for bin in 0..513 {
                let hertz = bin as f64 * 16_000.0 / 1024.0;
                if hertz > filters.centres()[0] && hertz < filters.centres()[39] {
                    let sum: f32 = rows.iter().map(|row| row[bin]).sum();
                    assert!((sum - 1.0).abs() < 1e-5, "{scale:?} at bin {bin}: {sum}");
                }
            }
        }
    }

    #[test]
    fn bands_of_equal_area_have_the_same_sum() {
        let bank = MelBank { bands: 20, equal_area: true, triangle: Triangle::InHertz, ..BANK };
        let filters = MelFilters::new(&bank, 16_000, 8192).unwrap();
        let bin = 16_000.0 / 8192.0;
        for band in 0..20 {
            let area = filters.weights(band).iter().sum::<f32>() * bin;
            assert!((area - 1.0).abs() < 0.01, "{band}: {area}");
        }
    }

    #[test]
    fn applying_the_filters_is_the_product_with_their_rows() {
        let filters = MelFilters::new(&BANK, 16_000, 512).unwrap();
        let mut spectrum: Vec<f32> = (0..257).map(|k| ((k * k) % 97) as f32).collect();
        let product: Vec<f32> = (0..40)
            .map(|band| filters.weights(band).iter().zip(&spectrum).map(|(a, b)| a * b).sum())
            .collect();
        spectrum.extend([3.0; WIDTH]);
        let mut bands = [0.0; 40];
        filters.apply(&spectrum, &mut bands);
        for (band, product) in bands.iter().zip(product) {
            assert!((band - product).abs() <= 1e-5 * product, "{band} {product}");
        }
    }

    #[test]
    fn bands_without_a_bin_are_named() {
        let crowded = MelFilters::new(&MelBank { bands: 128, f_min: 0.0, ..BANK }, 16_000, 256).unwrap();
        assert!(crowded.empty_bands().count() > 10);
        assert_eq!(MelFilters::new(&BANK, 16_000, 1024).unwrap().empty_bands().count(), 0);
    }

    #[test]
    fn impossible_banks_are_refused() {
        for bank in [
            MelBank { bands: 0, ..BANK },
            MelBank { f_min: -1.0, ..BANK },
            MelBank { f_min: f64::NAN, ..BANK },
            MelBank { f_min: 8000.0, ..BANK },
            MelBank { f_max: Some(10.0), ..BANK },
            MelBank { f_max: Some(8001.0), ..BANK },
            MelBank { f_max: Some(f64::NAN), ..BANK },
        ] {
            assert!(matches!(MelFilters::new(&bank, 16_000, 512), Err(Error::Setting { .. })), "{bank:?}");
        }
    }
}
