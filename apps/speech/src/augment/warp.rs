//! Another vocal tract: the frequency axis stretched (Jaitly and Hinton 2013, *Vocal Tract Length
//! Perturbation improves speech recognition*).

use anyhow::Result;
use app_kit::UsageError;
use audio_features::{Config, Error, Features, MelBank};

/// Where the lower bend of the warp is, in Hz above the lowest frequency of the bands.
const LOWER_BEND: f64 = 80.0;
/// Where the upper one is, in Hz below the highest.
const UPPER_BEND: f64 = 500.0;

/// Stretches features in bands along frequency.
///
/// Bands are read where the stretched ones would have been, between two bands by a straight line.
/// Filters made for the factor would sum the spectrum anew instead; but they belong to an
/// [`Extractor`](audio_features::Extractor), which is made once, and here every recording has a factor
/// of its own.
#[derive(Clone, Debug)]
pub struct FrequencyWarp {
    bank: MelBank,
    /// The highest frequency of the bands, in Hz.
    f_max: f64,
    /// Numbers of a frame before its bands.
    first: usize,
}

impl FrequencyWarp {
    /// For the features that `features` describes.
    ///
    /// # Errors
    /// [`UsageError`] if they are not in bands, or these are too few Hertz for two bends that keep their
    /// order at all factors.
    pub fn new(features: &Config) -> Result<Self, UsageError> {
        let Some(bank) = features.mel.clone().filter(|_| features.cepstrum.is_none()) else {
            return Err(UsageError::new(
                "vtlp stretches mel bands, and the features have none: \
                 leave out vtlp, or use features with `mel` and without `cepstrum`",
            ));
        };
        let f_max = bank.f_max.unwrap_or(f64::from(features.rate) / 2.0);
        let least = 2.0 * (bank.f_min + LOWER_BEND) + UPPER_BEND;
        if f_max <= least {
            return Err(UsageError::new(format!(
                "vtlp needs mel bands up to more than {least} Hz if they begin at {} Hz, and they end at \
                 {f_max} Hz: leave out vtlp, or widen the bands",
                bank.f_min
            )));
        }
        Ok(Self { bank, f_max, first: usize::from(features.energy.is_some()) })
    }

    /// Where in the spectrum is read, in Hz, what goes to `hertz`: `hertz / factor`, but at the ends
    /// straight lines that keep the lowest and the highest frequency where they are.
    ///
    /// The warp of Kaldi (`--vtln-warp` with `--vtln-low=100 --vtln-high=-500`) for bands that begin
    /// at 20 Hz, as Kaldi's do; the lower bend moves with others. The factor must be from 0.5 to 2.
    pub fn source(&self, factor: f64, hertz: f64) -> f64 {
        let (low, high) = (self.bank.f_min, self.f_max);
        if !(low..=high).contains(&hertz) {
            return hertz;
        }
        let left = (low + LOWER_BEND) * factor.max(1.0);
        let right = (high - UPPER_BEND) * factor.min(1.0);
        if hertz < left {
            low + (left / factor - low) / (left - low) * (hertz - low)
        } else if hertz < right {
            hertz / factor
        } else {
            high + (high - right / factor) / (high - right) * (hertz - high)
        }
    }

    /// Stretches `features` so that what was at some frequency is at `factor` times that frequency.
    ///
    /// # Errors
    /// When their frames are not those of the configuration, such as with deltas.
    pub fn apply(&self, features: &mut Features, factor: f64) -> Result<(), Error> {
        let expected = self.first + self.bank.bands;
        if features.dimension() != expected {
            return Err(Error::Dimension { found: features.dimension(), expected });
        }
        if factor == 1.0 {
            return Ok(());
        }
        let sources = self.sources(factor);
        let mut bands = vec![0.0; self.bank.bands];
        for row in features.rows_mut() {
            let row = &mut row[self.first..];
            bands.copy_from_slice(row);
            for (out, &(band, next, part)) in row.iter_mut().zip(&sources) {
                *out = bands[band] + part * (bands[next] - bands[band]);
            }
        }
        Ok(())
    }

    /// The two bands that each is read between, and how much of the way to the second.
    fn sources(&self, factor: f64) -> Vec<(usize, usize, f32)> {
        let scale = self.bank.scale;
        let (low, high) = (scale.mel(self.bank.f_min), scale.mel(self.f_max));
        let width = (high - low) / (self.bank.bands + 1) as f64;
        let last = self.bank.bands - 1;
        let source = |band: usize| {
            let hertz = scale.hertz(low + width * (band + 1) as f64);
            let mel = scale.mel(self.source(factor, hertz));
            let position = ((mel - low) / width - 1.0).clamp(0.0, last as f64);
            let below = position as usize;
            (below, (below + 1).min(last), position.fract() as f32)
        };
        (0..self.bank.bands).map(source).collect()
    }
}

#[cfg(test)]
mod tests {
    use audio_features::{Audio, Energy, Extractor};
    use proptest::prelude::*;

    use super::*;
    use crate::augment::measure::tone;

    fn loudest(features: &Features) -> usize {
        let row = features.row(features.frames() / 2).unwrap();
        (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap()
    }

    #[test]
    fn frequencies_go_where_kaldi_sends_them() {
        let warp = FrequencyWarp::new(&Config::kaldi_fbank(16_000, 40)).unwrap();
        for (factor, hertz, source) in [
            (1.1, 10.0, 10.0),
            (1.1, 50.0, 46.666_667),
            (1.1, 1000.0, 909.090_909),
            (1.1, 7700.0, 7_290.909_091),
            (1.1, 8000.0, 8000.0),
            (0.9, 60.0, 65.555_556),
            (0.9, 3000.0, 3_333.333_333),
            (0.9, 7000.0, 7600.0),
        ] {
            assert!((warp.source(factor, hertz) - source).abs() < 1e-5, "{factor} {hertz}");
        }
    }

    #[test]
    fn a_tone_stretched_is_in_the_band_of_a_higher_tone() {
        for config in [Config::kaldi_fbank(8000, 40), Config::librosa_mel(8000, 40)] {
            let extractor = Extractor::new(config.clone()).unwrap();
            let warp = FrequencyWarp::new(&config).unwrap();
            let features =
                |hertz| extractor.extract(&Audio { samples: tone(hertz, 8000, 8000), rate: 8000 }).unwrap();
            for (factor, hertz) in [(1.2, 700.0), (1.2, 2000.0), (0.85, 700.0), (0.85, 2000.0)] {
                let mut stretched = features(hertz);
                warp.apply(&mut stretched, factor).unwrap();
                let (found, expected) = (loudest(&stretched), loudest(&features(hertz * factor)));
                assert!(found.abs_diff(expected) <= 1, "{factor} {hertz}: {found}, {expected}");
                assert_ne!(expected, loudest(&features(hertz)));
            }
        }
    }

    #[test]
    fn the_energy_in_front_of_the_bands_is_left_alone() {
        let energy = Some(Energy { raw: true, floor: 0.0 });
        let warp = FrequencyWarp::new(&Config { energy, ..Config::kaldi_fbank(8000, 20) }).unwrap();
        let mut features = Features::new((0..42).map(|i| (i % 21) as f32).collect(), 21).unwrap();
        warp.apply(&mut features, 1.1).unwrap();
        for row in features.rows() {
            assert_eq!((row[0], row[1]), (0.0, 1.0));
            // what rises with frequency is read further down
            assert!((2..20).all(|i| row[i] < i as f32 && row[i] > row[i - 1]), "{row:?}");
        }
    }

    #[test]
    fn features_without_bands_narrow_ones_and_deltas_are_refused() {
        assert!(FrequencyWarp::new(&Config::kaldi_mfcc(8000, 13)).is_err());
        assert!(FrequencyWarp::new(&Config { mel: None, ..Config::kaldi_fbank(8000, 20) }).is_err());
        assert!(FrequencyWarp::new(&Config::kaldi_fbank(1400, 5)).is_err());
        assert!(FrequencyWarp::new(&Config::kaldi_fbank(1402, 5)).is_ok());
        let warp = FrequencyWarp::new(&Config::kaldi_fbank(8000, 20)).unwrap();
        let mut deltas = Features::new(vec![0.0; 60], 60).unwrap();
        assert!(matches!(warp.apply(&mut deltas, 1.1), Err(Error::Dimension { found: 60, expected: 20 })));
    }

    proptest! {
        #[test]
        fn the_axis_is_stretched_in_order_and_between_its_ends(
            factor in 0.5f64..2.0, f_min in 0.0f64..400.0, rate in 3000u32..48_000
        ) {
            let mut config = Config::kaldi_fbank(rate, 20);
            config.mel.as_mut().unwrap().f_min = f_min;
            let warp = FrequencyWarp::new(&config).unwrap();
            let high = f64::from(rate) / 2.0;
            let sources: Vec<f64> = (0..=200)
                .map(|i| warp.source(factor, f_min + (high - f_min) * f64::from(i) / 200.0))
                .collect();
            prop_assert!((sources[0] - f_min).abs() < 1e-6 && (sources[200] - high).abs() < 1e-6);
            prop_assert!(sources.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", sources);
        }

        #[test]
        fn features_that_do_not_change_along_frequency_stay_as_they_are(
            frames in 0usize..20, bands in 1usize..60, factor in 0.5f64..2.0
        ) {
            let warp = FrequencyWarp::new(&Config::kaldi_fbank(8000, bands)).unwrap();
            let mut features = Features::new(vec![-3.5; frames * bands], bands).unwrap();
            warp.apply(&mut features, factor).unwrap();
            prop_assert!(features.values().iter().all(|&x| x == -3.5));
        }
    }
}
