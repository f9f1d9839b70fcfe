//! All that decides what the features of a signal are.

use serde::{Deserialize, Serialize};

use crate::mel::MAX_FFT_LENGTH;
use crate::resample::MAX_RATE;
use crate::{Cepstrum, Error, MelBank, MelFilters, Padding, Window};

/// The way from samples to features; plain values to be saved beside a model that was trained on them.
///
/// The steps, in their order:
///
/// 1. samples are multiplied by `scale`, and noise is added (`dither`);
/// 2. they are cut into frames (`frame_length`, `hop`, `padding`);
/// 3. of each frame its mean is subtracted (`remove_dc_offset`), and, the last sample before times
///    `preemphasis` from each (from the first: itself);
/// 4. it is multiplied by the window, followed by zeros up to `fft_length`, and transformed;
/// 5. of each of the `fft_length / 2 + 1` bins the power or magnitude is taken (`spectrum`), summed in
///    bands (`mel`), and the logarithm taken (`logarithm`);
/// 6. the cosine transform of that (`cepstrum`);
/// 7. `energy` goes in front of a spectrum, or in the place of a cepstrum's first coefficient.
///
/// Begin with the one whose numbers you need, and change what differs:
///
/// ```
/// use audio_features::{Config, Padding};
/// let config = Config { padding: Padding::Mirror, dither: 1.0, ..Config::kaldi_fbank(16_000, 80) };
/// # assert!(config.validate().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Samples per second of the signals.
    pub rate: u32,
    /// Samples of a frame: the length of the window.
    pub frame_length: usize,
    /// Samples from a frame's start to that of the next.
    pub hop: usize,
    /// Samples that are transformed; a power of two is fastest, any number works.
    pub fft_length: usize,
    /// The window.
    pub window: Window,
    /// Whether the window is [`Window::periodic`] or [`Window::symmetric`].
    pub periodic: bool,
    /// What there is beyond the ends of the signal.
    pub padding: Padding,
    /// What samples are multiplied with: 1, or 32768 where a model expects 16-bit integers, as Kaldi's
    /// own programs take them.
    pub scale: f32,
    /// Standard deviation of the normal noise that is added to each sample after scaling; 0 for none.
    /// It keeps the logarithm of digital silence from being a constant that no microphone gives.
    pub dither: f32,
    /// Seed of the noise: the same signal gets the same noise.
    pub seed: u64,
    /// Whether each frame's mean is subtracted from it.
    pub remove_dc_offset: bool,
    /// How much of the sample before is subtracted, from 0 (nothing) to 1.
    pub preemphasis: f32,
    /// Power or magnitude.
    pub spectrum: SpectrumKind,
    /// The bands; the bins themselves if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mel: Option<MelBank>,
    /// The logarithm.
    pub logarithm: Logarithm,
    /// The cepstrum; the spectrum itself if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cepstrum: Option<Cepstrum>,
    /// The energy of the frame; left out if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy: Option<Energy>,
}

/// What is taken of a complex bin `z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SpectrumKind {
    /// `|z|²`.
    Power,
    /// `|z|`.
    Magnitude,
}

/// Which logarithm of a value `x` is taken. Both have a floor, as the logarithm of silence is infinite.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Logarithm {
    /// None: `x`.
    None,
    /// `ln max(x, floor)`.
    Natural {
        /// The floor, above 0.
        floor: f32,
    },
    /// `10 log₁₀ max(x, floor)`: decibel, if `x` is a power.
    Decibel {
        /// The floor, above 0.
        floor: f32,
    },
}

/// The logarithm of a frame's energy, `ln max(Σ x², floor)`, the floor being at least
/// [`f32::EPSILON`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Energy {
    /// Whether it is that of the samples before pre-emphasis and window, or after.
    pub raw: bool,
    /// The floor; 0 for the smallest.
    pub floor: f32,
}

impl Config {
    /// Numbers of a frame's features.
    pub fn dimension(&self) -> usize {
        match (&self.cepstrum, self.energy) {
            (Some(cepstrum), _) => cepstrum.coefficients,
            (None, energy) => self.spectrum_length() + usize::from(energy.is_some()),
        }
    }

    /// Bands, or bins where there are no bands.
    pub(crate) fn spectrum_length(&self) -> usize {
        self.mel.as_ref().map_or(self.fft_length / 2 + 1, |mel| mel.bands)
    }

    /// Whether [`Extractor::new`](crate::Extractor::new) would take it.
    ///
    /// # Errors
    /// Names the setting that is out of its range, and the range.
    pub fn validate(&self) -> Result<(), Error> {
        let whole = |name, value: usize, most: usize, unit: &str| match value {
            1.. if value <= most => Ok(()),
            _ => Err(Error::setting(name, value as f64, format!("from 1 to {most} {unit}"))),
        };
        whole("rate", self.rate as usize, MAX_RATE as usize, "samples a second")?;
        whole("fft_length", self.fft_length, MAX_FFT_LENGTH, "samples")?;
        whole("frame_length", self.frame_length, self.fft_length, "samples, the fft_length")?;
        whole("hop", self.hop, MAX_FFT_LENGTH, "samples")?;
        let number = |name, value: f32, valid: bool, range: &str| match valid && value.is_finite() {
            true => Ok(()),
            false => Err(Error::setting(name, value, range)),
        };
        number("scale", self.scale, self.scale > 0.0, "a number above 0")?;
        number("dither", self.dither, self.dither >= 0.0, "0 or above")?;
        number("preemphasis", self.preemphasis, (0.0..=1.0).contains(&self.preemphasis), "from 0 to 1")?;
        if let Logarithm::Natural { floor } | Logarithm::Decibel { floor } = self.logarithm {
            let range = "above 0, at least 1.2e-38";
            number("logarithm.floor", floor, floor >= f32::MIN_POSITIVE, range)?;
        }
        if let Some(energy) = self.energy {
            number("energy.floor", energy.floor, energy.floor >= 0.0, "0 or above")?;
        }
        if let Some(mel) = &self.mel {
            MelFilters::new(mel, self.rate, self.fft_length)?;
        }
        if let Some(cepstrum) = &self.cepstrum {
            cepstrum.matrix(self.spectrum_length())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_saved_is_the_same_configuration_and_unknown_fields_are_refused() {
        for config in [
            Config::kaldi_mfcc(8000, 13),
            Config::librosa_mel(22_050, 128),
            Config { energy: Some(Energy { raw: true, floor: 1.0 }), ..Config::kaldi_fbank(16_000, 80) },
        ] {
            let saved = toml::to_string(&config).unwrap();
            assert_eq!(toml::from_str::<Config>(&saved).unwrap(), config);
            assert!(toml::from_str::<Config>(&format!("colour = 1\n{saved}")).is_err());
        }
    }

    #[test]
    fn each_impossible_setting_is_refused_by_name() {
        let base = || Config::kaldi_mfcc(16_000, 13);
        let refused = |name: &str, config: Config| match config.validate() {
            Err(Error::Setting { name: found, .. }) => assert_eq!(found, name),
            other => panic!("{name}: {other:?}"),
        };
        refused("rate", Config { rate: 0, ..base() });
        refused("fft_length", Config { fft_length: 0, ..base() });
        refused("fft_length", Config { fft_length: usize::MAX, ..base() });
        refused("frame_length", Config { frame_length: 513, ..base() });
        refused("hop", Config { hop: 0, ..base() });
        refused("scale", Config { scale: 0.0, ..base() });
        refused("dither", Config { dither: f32::NAN, ..base() });
        refused("preemphasis", Config { preemphasis: 1.5, ..base() });
        refused("logarithm.floor", Config { logarithm: Logarithm::Natural { floor: 0.0 }, ..base() });
        refused("energy.floor", Config { energy: Some(Energy { raw: true, floor: -1.0 }), ..base() });
        refused("mel.f_min", Config { rate: 16, ..base() });
        refused("cepstrum.coefficients", Config::kaldi_mfcc(16_000, 24));
    }
}
