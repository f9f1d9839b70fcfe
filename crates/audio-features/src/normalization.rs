//! Mean 0 and variance 1 for each feature: of an utterance, of a corpus, of what was heard so far.

use serde::{Deserialize, Serialize};

use crate::{Error, Features};

/// Variances below it are taken for it: a feature that does not change is not divided by zero.
const VARIANCE_FLOOR: f64 = 1e-10;

/// Mean and variance of each feature over all frames that were added.
///
/// - Of one utterance: `Moments::of(&features).normalize(&mut features)`.
/// - Of a corpus: [`Moments::add`] each utterance of the training set, save, and normalise all with it.
///
/// Sums are kept in `f64` and merged in the manner of Chan, Golub and LeVeque (1979), so that a long
/// corpus loses no digits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "SavedMoments")]
pub struct Moments {
    frames: u64,
    mean: Vec<f64>,
    /// Sums of squared distances from the mean.
    squares: Vec<f64>,
}

/// What stands in a file, before it is known to fit together.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedMoments {
    frames: u64,
    mean: Vec<f64>,
    squares: Vec<f64>,
}

impl TryFrom<SavedMoments> for Moments {
    type Error = String;

    fn try_from(SavedMoments { frames, mean, squares }: SavedMoments) -> Result<Self, String> {
        if mean.is_empty() || mean.len() != squares.len() {
            return Err(format!("{} means and {} sums of squares are no moments", mean.len(), squares.len()));
        }
        if mean.iter().any(|x| !x.is_finite()) || !squares.iter().all(|&x| x >= 0.0 && x.is_finite()) {
            return Err("moments must be finite, and sums of squares not negative".to_owned());
        }
        Ok(Self { frames, mean, squares })
    }
}

impl Moments {
    /// The moments of nothing yet, for features of `dimension` numbers.
    pub fn new(dimension: usize) -> Self {
        Self { frames: 0, mean: vec![0.0; dimension], squares: vec![0.0; dimension] }
    }

    /// The moments of one utterance.
    pub fn of(features: &Features) -> Self {
        let mut moments = Self::new(features.dimension());
        for row in features.rows() {
            moments.add_row(row);
        }
        moments
    }

    /// How many frames they are of.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// The mean of each feature.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// The variance of each feature, its mean squared distance from the mean.
    pub fn variance(&self) -> impl ExactSizeIterator<Item = f64> {
        self.squares.iter().map(|squares| squares / self.frames.max(1) as f64)
    }

    /// Adds the frames of another utterance.
    ///
    /// # Errors
    /// When they have another dimension.
    pub fn add(&mut self, features: &Features) -> Result<(), Error> {
        self.merge(&Self::of(features))
    }

    /// Adds the frames that `other` has seen.
    ///
    /// # Errors
    /// When they have another dimension.
    pub fn merge(&mut self, other: &Self) -> Result<(), Error> {
        self.expect(other.mean.len())?;
        let all = self.frames + other.frames;
        if other.frames == 0 {
            return Ok(());
        }
        let share = other.frames as f64 / all as f64;
        for i in 0..self.mean.len() {
            let distance = other.mean[i] - self.mean[i];
            self.mean[i] += distance * share;
            self.squares[i] += other.squares[i] + distance * distance * share * self.frames as f64;
        }
        self.frames = all;
        Ok(())
    }

    /// Shifts and scales each feature so that these moments become mean 0 and variance 1.
    ///
    /// # Errors
    /// When `features` have another dimension, or nothing was added yet and there are frames.
    pub fn normalize(&self, features: &mut Features) -> Result<(), Error> {
        self.expect(features.dimension())?;
        if features.is_empty() {
            return Ok(());
        }
        if self.frames == 0 {
            return Err(Error::NoFrames);
        }
        let scale: Vec<f64> =
            self.variance().map(|variance| variance.max(VARIANCE_FLOOR).sqrt().recip()).collect();
        for row in features.rows_mut() {
            for ((value, mean), scale) in row.iter_mut().zip(&self.mean).zip(&scale) {
                *value = ((f64::from(*value) - mean) * scale) as f32;
            }
        }
        Ok(())
    }

    /// Shifts each feature so that its mean becomes 0 and leaves its variance (Kaldi's
    /// `subtract_mean`).
    ///
    /// # Errors
    /// As [`Moments::normalize`].
    pub fn subtract_mean(&self, features: &mut Features) -> Result<(), Error> {
        self.expect(features.dimension())?;
        if self.frames == 0 && !features.is_empty() {
            return Err(Error::NoFrames);
        }
        for row in features.rows_mut() {
            for (value, mean) in row.iter_mut().zip(&self.mean) {
                *value = (f64::from(*value) - mean) as f32;
            }
        }
        Ok(())
    }

    /// One frame more (Welford 1962).
    fn add_row(&mut self, row: &[f32]) {
        self.frames += 1;
        let share = 1.0 / self.frames as f64;
        for ((mean, squares), &value) in self.mean.iter_mut().zip(&mut self.squares).zip(row) {
            let distance = f64::from(value) - *mean;
            *mean += distance * share;
            *squares += distance * (f64::from(value) - *mean);
        }
    }

    fn expect(&self, found: usize) -> Result<(), Error> {
        match found == self.mean.len() {
            true => Ok(()),
            false => Err(Error::Dimension { found, expected: self.mean.len() }),
        }
    }
}

/// Normalisation of a signal that is still arriving: each frame by the moments of the frames up to
/// itself, and of those that were known before.
#[derive(Clone, Debug, PartialEq)]
pub struct RunningNormalization {
    moments: Moments,
}

impl RunningNormalization {
    /// Begins with what is known before the first frame: the moments of a corpus, counted as
    /// `weight` frames. With a weight of 100, they and what is heard count the same after 100 frames.
    ///
    /// # Errors
    /// When `weight` is 0 or `corpus` is of no frame: the first frame would be divided by nothing.
    pub fn new(corpus: &Moments, weight: u64) -> Result<Self, Error> {
        if weight == 0 {
            return Err(Error::setting("the weight of the corpus", 0, "1 frame or more"));
        }
        if corpus.frames == 0 {
            return Err(Error::NoFrames);
        }
        let squares = corpus.variance().map(|variance| variance * weight as f64).collect();
        Ok(Self { moments: Moments { frames: weight, mean: corpus.mean.clone(), squares } })
    }

    /// Normalises the next frames, the same whether they come one by one or all at once.
    ///
    /// # Errors
    /// When they have another dimension.
    pub fn normalize(&mut self, features: &mut Features) -> Result<(), Error> {
        self.moments.expect(features.dimension())?;
        for row in features.rows_mut() {
            self.moments.add_row(row);
            let moments = self.moments.mean.iter().zip(self.moments.variance());
            for (value, (mean, variance)) in row.iter_mut().zip(moments) {
                *value = ((f64::from(*value) - mean) / variance.max(VARIANCE_FLOOR).sqrt()) as f32;
            }
        }
        Ok(())
    }

    /// What it goes by at this moment.
    pub fn moments(&self) -> &Moments {
        &self.moments
    }
}

#[cfg(test)]
mod tests {
    use candle_rnn::Generator;

    use super::*;

    fn features(frames: usize, seed: u64) -> Features {
        let mut generator = Generator::new(seed);
        let row = |_| [1000.0 + 3.0 * generator.normal() as f32, -0.5 * generator.normal() as f32, 7.0];
        Features::new((0..frames).flat_map(row).collect(), 3).unwrap()
    }

    #[test]
    fn an_utterance_normalised_has_mean_zero_and_variance_one_and_a_constant_is_zero() {
        let mut features = features(500, 1);
        Moments::of(&features).normalize(&mut features).unwrap();
        let moments = Moments::of(&features);
        for (i, (mean, variance)) in moments.mean().iter().zip(moments.variance()).enumerate() {
            assert!(mean.abs() < 1e-5, "{mean}");
            assert!((variance - f64::from(i != 2)).abs() < 1e-4, "{variance}");
        }
    }

    #[test]
    fn moments_of_parts_together_are_those_of_the_whole() {
        let whole = features(300, 2);
        let mut merged = Moments::new(3);
        for part in whole.values().chunks(3 * 70) {
            merged.add(&Features::new(part.to_vec(), 3).unwrap()).unwrap();
        }
        let exact = Moments::of(&whole);
        assert_eq!(merged.frames(), 300);
        for (a, b) in merged
            .mean()
            .iter()
            .zip(exact.mean())
            .map(|(a, b)| (*a, *b))
            .chain(merged.variance().zip(exact.variance()))
        {
            assert!((a - b).abs() < 1e-9 * b.abs().max(1.0), "{a} {b}");
        }
    }

    #[test]
    fn running_normalisation_is_the_same_frame_by_frame_and_at_once() {
        let corpus = Moments::of(&features(1000, 3));
        let mut whole = features(50, 4);
        let parts: Vec<Features> = whole.rows().map(|row| Features::new(row.to_vec(), 3).unwrap()).collect();
        let mut running = RunningNormalization::new(&corpus, 100).unwrap();
        running.clone().normalize(&mut whole).unwrap();
        for (mut part, row) in parts.into_iter().zip(whole.rows()) {
            running.normalize(&mut part).unwrap();
            assert_eq!(part.values(), row);
        }
        assert_eq!(running.moments().frames(), 150);
        assert!(whole.values().iter().all(|value| value.abs() < 5.0));
    }

    #[test]
    fn moments_are_saved_and_inconsistent_ones_refused() {
        let moments = Moments::of(&features(10, 5));
        let saved = toml::to_string(&moments).unwrap();
        assert_eq!(toml::from_str::<Moments>(&saved).unwrap(), moments);
        for wrong in ["frames = 1\nmean = [1.0]\nsquares = []", "frames = 1\nmean = [1.0]\nsquares = [-1.0]"]
        {
            assert!(toml::from_str::<Moments>(wrong).is_err());
        }
    }

    #[test]
    fn features_of_another_dimension_and_moments_of_nothing_are_refused() {
        let mut three = features(10, 6);
        assert!(matches!(Moments::new(2).normalize(&mut three), Err(Error::Dimension { .. })));
        assert!(matches!(Moments::new(3).normalize(&mut three), Err(Error::NoFrames)));
        assert!(matches!(Moments::new(3).subtract_mean(&mut three), Err(Error::NoFrames)));
        assert!(matches!(RunningNormalization::new(&Moments::new(3), 10), Err(Error::NoFrames)));
        assert!(RunningNormalization::new(&Moments::of(&three), 0).is_err());
    }
}
