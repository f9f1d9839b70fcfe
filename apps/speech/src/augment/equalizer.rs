//! Another microphone: frequencies made louder and quieter (Nam et al. 2022, *FilterAugment: an acoustic
//! environmental data augmentation method*, its linear form).

use std::f64::consts::LN_10;
use std::ops::Range;

use app_kit::UsageError;
use audio_features::{Config, Error, Features, Logarithm};
use candle_rnn::Generator;

/// Between so many frequencies the change is a straight line.
const POINTS: Range<usize> = 3..7;

/// Makes frequencies of log-mel features louder and quieter.
#[derive(Clone, Debug)]
pub struct Equalizer {
    bands: usize,
    /// Numbers of a frame before its bands.
    first: usize,
    /// What a decibel is in the features.
    decibel: f64,
}

impl Equalizer {
    /// For the features that `features` describes.
    ///
    /// # Errors
    /// [`UsageError`] if they are not logarithms of bands.
    pub fn new(features: &Config) -> Result<Self, UsageError> {
        let decibel = match features.logarithm {
            Logarithm::Natural { .. } => Some(LN_10 / 10.0),
            Logarithm::Decibel { .. } => Some(1.0),
            Logarithm::None => None,
        };
        match (&features.mel, decibel) {
            (Some(mel), Some(decibel)) if features.cepstrum.is_none() => {
                Ok(Self { bands: mel.bands, first: usize::from(features.energy.is_some()), decibel })
            }
            _ => Err(UsageError::new(
                "equalizer_db changes the logarithms of mel bands, and the features have none: leave out \
                 equalizer_db, or use features with `mel` and `logarithm` and without `cepstrum`",
            )),
        }
    }

    /// Changes each band of all frames by the same number of decibels, from -`most` to `most`: drawn for the
    /// lowest band, the highest and a few between, and on straight lines between these.
    ///
    /// # Errors
    /// When their frames are not those of the configuration, such as with deltas.
    pub fn apply(&self, features: &mut Features, most: f64, generator: &mut Generator) -> Result<(), Error> {
        let expected = self.first + self.bands;
        if features.dimension() != expected {
            return Err(Error::Dimension { found: features.dimension(), expected });
        }
        let gains = self.gains(most, generator);
        for row in features.rows_mut() {
            row[self.first..].iter_mut().zip(&gains).for_each(|(band, gain)| *band += gain);
        }
        Ok(())
    }

    fn gains(&self, most: f64, generator: &mut Generator) -> Vec<f32> {
        let points = POINTS.start + generator.below(POINTS.len());
        let drawn: Vec<f64> = (0..points).map(|_| most * (2.0 * generator.uniform() - 1.0)).collect();
        let last = (self.bands - 1).max(1) as f64;
        let gain = |band: usize| {
            let place = band as f64 / last * (points - 1) as f64;
            let below = (place as usize).min(points - 2);
            let decibels = drawn[below] + (place - below as f64) * (drawn[below + 1] - drawn[below]);
            (decibels * self.decibel) as f32
        };
        (0..self.bands).map(gain).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_frames_change_alike_by_so_many_decibels_at_most_without_a_leap() {
        let config = Config::kaldi_fbank(8000, 40);
        let equalizer = Equalizer::new(&config).unwrap();
        for seed in 0..20 {
            let mut features = Features::new(vec![1.0; 80], 40).unwrap();
            equalizer.apply(&mut features, 10.0, &mut Generator::new(seed)).unwrap();
            let rows: Vec<&[f32]> = features.rows().collect();
            assert_eq!(rows[0], rows[1]);
            // 10 dB are a factor of 10.
            assert!(rows[0].iter().all(|band| (band - 1.0).abs() <= std::f32::consts::LN_10));
            assert!(rows[0].iter().any(|band| (band - 1.0).abs() > 0.1));
            assert!(rows[0].windows(2).all(|pair| (pair[0] - pair[1]).abs() < 0.7));
        }
        let mut wide = Features::new(vec![1.0; 120], 120).unwrap();
        assert!(equalizer.apply(&mut wide, 1.0, &mut Generator::new(1)).is_err());
        assert!(Equalizer::new(&Config::kaldi_mfcc(8000, 13)).is_err());
    }
}
