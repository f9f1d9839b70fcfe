//! How many steps of each row of a padded batch are real.

use candle_core::{DType, Device, Result, Tensor, bail};

/// The number of valid steps of every row of a padded batch, in any order.
///
/// Checked once, when made: each length is at least 1 and at most the padded number of steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lengths {
    lengths: Vec<usize>,
    time: usize,
}

impl Lengths {
    /// Lengths of the rows of a batch that is padded to `time` steps.
    ///
    /// # Errors
    /// When there is no row, or a length is zero or beyond `time`.
    pub fn new(lengths: Vec<usize>, time: usize) -> Result<Self> {
        if lengths.is_empty() {
            bail!("lengths of an empty batch");
        }
        for (row, &length) in lengths.iter().enumerate() {
            if length == 0 || length > time {
                bail!("length {length} of row {row} is outside 1..={time}, the padded steps");
            }
        }
        Ok(Self { lengths, time })
    }

    /// The lengths, row by row.
    pub fn as_slice(&self) -> &[usize] {
        &self.lengths
    }

    /// Number of steps the batch is padded to.
    pub fn time(&self) -> usize {
        self.time
    }

    /// Number of valid steps in all rows together.
    pub fn total(&self) -> usize {
        self.lengths.iter().sum()
    }

    /// `[batch, time]`: 1 where a step is valid, 0 on padding.
    pub fn mask(&self, dtype: DType, device: &Device) -> Result<Tensor> {
        let rows = self.lengths.iter();
        let mask: Vec<f32> =
            rows.flat_map(|&length| (0..self.time).map(move |t| f32::from(t < length))).collect();
        Tensor::from_vec(mask, (self.lengths.len(), self.time), device)?.to_dtype(dtype)
    }

    pub(crate) fn check(&self, batch: usize, time: usize) -> Result<()> {
        if self.lengths.len() != batch || self.time != time {
            bail!(
                "lengths of {} rows padded to {} steps do not fit an input of {batch} rows and {time} steps",
                self.lengths.len(),
                self.time
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_beyond_the_padded_steps_is_refused_by_row() {
        let error = Lengths::new(vec![3, 9], 5).unwrap_err().to_string();
        assert!(error.contains("length 9 of row 1"), "{error}");
        assert!(Lengths::new(vec![0], 5).is_err());
    }

    #[test]
    fn the_mask_is_one_on_valid_steps() -> Result<()> {
        let mask = Lengths::new(vec![1, 3], 3)?.mask(DType::F32, &Device::Cpu)?;
        assert_eq!(mask.to_vec2::<f32>()?, [[1., 0., 0.], [1., 1., 1.]]);
        Ok(())
    }
}
