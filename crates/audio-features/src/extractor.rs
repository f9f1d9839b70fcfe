//! The features of a signal.

use std::f32::consts::LN_10;
use std::fmt;
use std::sync::Arc;

use crate::framing::Framing;
use crate::lanes::{dot, scaled_logarithms};
use crate::stft::{FrameEnergy, FrameMemory, FrameTransform};
use crate::{Audio, Cepstrum, Config, Error, Features, Logarithm, MelFilters, Stream};

/// Computes features; windows, filters and tables are made once.
///
/// Cheap to clone, and to be shared among threads. Frames of long signals are shared among the
/// threads of `rayon`; the bits do not depend on how many there are.
#[derive(Clone)]
pub struct Extractor {
    recipe: Arc<Recipe>,
}

impl fmt::Debug for Extractor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Extractor").field(self.config()).finish()
    }
}

impl Extractor {
    /// An extractor of the features that `config` describes.
    ///
    /// # Errors
    /// When a setting is out of its range: [`Config::validate`].
    pub fn new(config: Config) -> Result<Self, Error> {
        config.validate()?;
        let filters = |bank| MelFilters::new(bank, config.rate, config.fft_length);
        let mel = config.mel.as_ref().map(filters).transpose()?;
        let matrix = |cepstrum: &Cepstrum| cepstrum.matrix(config.spectrum_length());
        let cosines = config.cepstrum.as_ref().map(matrix).transpose()?.unwrap_or_default();
        let framing = Framing::new(&config);
        let transform = FrameTransform::new(&config);
        Ok(Self { recipe: Arc::new(Recipe { config, framing, transform, mel, cosines }) })
    }

    /// What it was made with.
    pub fn config(&self) -> &Config {
        &self.recipe.config
    }

    /// The features of a whole signal; no frames if it is shorter than one and not padded.
    ///
    /// # Errors
    /// When the signal has another rate than [`Config::rate`], or a sample that is not finite.
    pub fn extract(&self, audio: &Audio) -> Result<Features, Error> {
        let expected = self.config().rate;
        if audio.rate != expected {
            return Err(Error::Rate { found: audio.rate, expected });
        }
        let mut stream = self.stream();
        let mut features = stream.push(&audio.samples)?;
        features.append(&stream.finish())?;
        Ok(features)
    }

    /// The features of a signal that has yet to come.
    pub fn stream(&self) -> Stream {
        Stream::of(Arc::clone(&self.recipe))
    }
}

/// A configuration and what is computed from it once.
pub(crate) struct Recipe {
    pub(crate) config: Config,
    pub(crate) framing: Framing,
    transform: FrameTransform,
    mel: Option<MelFilters>,
    /// Rows of the cosine transform.
    cosines: Vec<f32>,
}

/// The memory of one thread.
pub(crate) struct Memory {
    frame: FrameMemory,
    /// What the cosine transform is taken of.
    levels: Vec<f32>,
    /// Samples of a frame that crosses an end of the signal.
    pub(crate) samples: Vec<f32>,
}

impl Recipe {
    pub(crate) fn memory(&self) -> Memory {
        let levels = if self.cosines.is_empty() { 0 } else { self.config.spectrum_length() };
        Memory {
            frame: self.transform.memory(),
            levels: vec![0.0; levels],
            samples: vec![0.0; self.config.frame_length],
        }
    }

    /// Writes the features of a frame of `samples` into `row`.
    pub(crate) fn run(&self, samples: &[f32], memory: &mut Memory, row: &mut [f32]) {
        let energy = self.transform.run(samples, &mut memory.frame, self.config.energy.is_some());
        let energy = energy.and_then(|energy| self.log_energy(&energy));
        if self.cosines.is_empty() {
            let levels = match energy {
                Some(energy) => {
                    row[0] = energy;
                    &mut row[1..]
                }
                None => row,
            };
            self.levels(&memory.frame.spectrum, levels);
        } else {
            self.levels(&memory.frame.spectrum, &mut memory.levels);
            for (out, cosines) in row.iter_mut().zip(self.cosines.chunks_exact(memory.levels.len())) {
                *out = dot(cosines, &memory.levels);
            }
            if let Some(energy) = energy {
                row[0] = energy;
            }
        }
    }

    /// Bands of the spectrum and their logarithms.
    fn levels(&self, spectrum: &[f32], levels: &mut [f32]) {
        match &self.mel {
            Some(filters) => filters.apply(spectrum, levels),
            None => levels.copy_from_slice(&spectrum[..levels.len()]),
        }
        let (floor, factor) = match self.config.logarithm {
            Logarithm::None => return,
            Logarithm::Natural { floor } => (floor, 1.0),
            Logarithm::Decibel { floor } => (floor, 10.0 / LN_10),
        };
        levels.iter_mut().for_each(|level| *level = level.max(floor));
        scaled_logarithms(levels, factor);
    }

    fn log_energy(&self, energy: &FrameEnergy) -> Option<f32> {
        let settings = self.config.energy?;
        let sum = if settings.raw { energy.raw } else { energy.windowed };
        Some(sum.max(settings.floor).max(f32::EPSILON).ln())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Energy, Padding, SpectrumKind};

    fn tone(frequency: f32, rate: u32) -> Audio {
        let angle = std::f32::consts::TAU * frequency / rate as f32;
        Audio { samples: (0..rate).map(|i| 0.5 * (angle * i as f32).sin()).collect(), rate }
    }

    fn loudest(row: &[f32]) -> usize {
        (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap()
    }

    #[test]
    fn a_tone_is_loudest_in_the_band_around_it() {
        for config in [Config::kaldi_fbank(16_000, 40), Config::librosa_mel(16_000, 40)] {
            let filters = MelFilters::new(config.mel.as_ref().unwrap(), 16_000, config.fft_length).unwrap();
            let extractor = Extractor::new(config).unwrap();
            for frequency in [300.0, 1000.0, 2500.0, 6000.0] {
                let features = extractor.extract(&tone(frequency, 16_000)).unwrap();
                let nearest = (0..40)
                    .min_by(|&a, &b| {
                        let distance = |band: usize| (filters.centres()[band] - f64::from(frequency)).abs();
                        distance(a).total_cmp(&distance(b))
                    })
                    .unwrap();
                let middle = features.row(features.frames() / 2).unwrap();
                assert!(loudest(middle).abs_diff(nearest) <= 1, "{frequency} Hz in band {}", loudest(middle));
            }
        }
    }

    #[test]
    fn without_bands_a_frame_is_its_spectrum_and_a_tone_is_one_bin() {
        let config = Config {
            mel: None,
            logarithm: Logarithm::None,
            spectrum: SpectrumKind::Magnitude,
            padding: Padding::Snip,
            ..Config::librosa_mel(16_000, 1)
        };
        let features = Extractor::new(config).unwrap().extract(&tone(1000.0, 16_000)).unwrap();
        assert_eq!(features.dimension(), 1025);
        let row = features.row(3).unwrap();
        assert_eq!(loudest(row), 128);
        // half an amplitude of 0.5, times the sum of the window
        assert!((row[128] - 0.25 * 1024.0).abs() < 0.1, "{}", row[128]);
    }

    #[test]
    fn energy_stands_in_front_of_a_spectrum_and_in_the_place_of_a_cepstrums_level() {
        let energy = Some(Energy { raw: true, floor: 0.0 });
        let audio = tone(1000.0, 16_000);
        let expected = (400.0 * 0.125f32).ln();
        let spectrum = Config { energy, ..Config::kaldi_fbank(16_000, 40) };
        let cepstrum = Config { energy, ..Config::kaldi_mfcc(16_000, 13) };
        for (config, dimension) in [(spectrum, 41), (cepstrum, 13)] {
            assert_eq!(config.dimension(), dimension);
            let features = Extractor::new(config).unwrap().extract(&audio).unwrap();
            assert_eq!(features.dimension(), dimension);
            assert!((features.row(5).unwrap()[0] - expected).abs() < 1e-3);
        }
    }

    #[test]
    fn a_signal_of_another_rate_and_one_that_is_not_finite_are_refused() {
        let extractor = Extractor::new(Config::kaldi_fbank(16_000, 40)).unwrap();
        let mut audio = tone(1000.0, 8000);
        assert!(matches!(extractor.extract(&audio), Err(Error::Rate { found: 8000, expected: 16_000 })));
        audio.rate = 16_000;
        audio.samples[17] = f32::INFINITY;
        assert!(matches!(extractor.extract(&audio), Err(Error::NotFinite { index: 17, .. })));
    }

    #[test]
    fn the_shortest_signals_have_features() {
        for config in [
            Config::kaldi_fbank(16_000, 40),
            Config::librosa_mel(16_000, 40),
            Config::torchaudio_mel(16_000, 40),
        ] {
            let config = Config { padding: Padding::CentreReflect, ..config };
            let extractor = Extractor::new(config).unwrap();
            for length in [0, 1, 2, 3, 100] {
                let audio = Audio { samples: vec![0.1; length], rate: 16_000 };
                let features = extractor.extract(&audio).unwrap();
                assert_eq!(features.is_empty(), length == 0);
                assert!(features.values().iter().all(|value| value.is_finite()));
            }
        }
    }

    #[test]
    fn noise_is_the_same_for_the_same_seed_and_lifts_silence() {
        let silence = Audio { samples: vec![0.0; 16_000], rate: 16_000 };
        let with = |dither, seed| {
            let config = Config { dither, seed, scale: 32768.0, ..Config::kaldi_fbank(16_000, 40) };
            Extractor::new(config).unwrap().extract(&silence).unwrap()
        };
        assert_eq!(with(1.0, 7), with(1.0, 7));
        assert_ne!(with(1.0, 7), with(1.0, 8));
        assert!(with(0.0, 7).values().iter().all(|&value| value == f32::EPSILON.ln()));
        assert!(with(1.0, 7).values().iter().all(|&value| value > f32::EPSILON.ln()));
    }
}
