//! A signal.

use crate::{Error, resample};

/// One channel of sound.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Audio {
    /// Samples, full scale from -1 to 1. A file in floating point may hold louder ones.
    pub samples: Vec<f32>,
    /// Samples per second.
    pub rate: u32,
}

impl Audio {
    /// Length in seconds.
    pub fn duration(&self) -> f64 {
        self.samples.len() as f64 / f64::from(self.rate.max(1))
    }

    /// The same sound at `rate` samples a second: [`resample()`](resample::resample).
    ///
    /// # Errors
    /// When one of the two rates is 0 or above [`resample::MAX_RATE`].
    pub fn resampled(self, rate: u32) -> Result<Self, Error> {
        if rate == self.rate && (1..=resample::MAX_RATE).contains(&rate) {
            return Ok(self);
        }
        Ok(Self { samples: resample::resample(&self.samples, self.rate, rate)?, rate })
    }
}
