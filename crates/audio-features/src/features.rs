//! A table of features.

use crate::Error;

/// Features of a signal: a row of numbers for each frame, in the order of time.
#[derive(Clone, Debug, PartialEq)]
pub struct Features {
    dimension: usize,
    values: Vec<f32>,
}

impl Features {
    /// Features from `values`, frame after frame, with `dimension` numbers each.
    ///
    /// # Errors
    /// When `dimension` is 0, or the numbers are not whole frames.
    pub fn new(values: Vec<f32>, dimension: usize) -> Result<Self, Error> {
        match values.len().checked_rem(dimension) {
            Some(0) => Ok(Self { dimension, values }),
            rest => Err(Error::Dimension { found: rest.unwrap_or(0), expected: dimension }),
        }
    }

    pub(crate) fn none(dimension: usize) -> Self {
        Self { dimension, values: Vec::new() }
    }

    /// Numbers in a frame.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// How many frames there are.
    pub fn frames(&self) -> usize {
        self.values.len() / self.dimension
    }

    /// Whether there is no frame.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The frames in the order of time.
    pub fn rows(&self) -> impl DoubleEndedIterator<Item = &[f32]> + ExactSizeIterator {
        self.values.chunks_exact(self.dimension)
    }

    /// The frames in the order of time, to be changed.
    pub fn rows_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut [f32]> + ExactSizeIterator {
        self.values.chunks_exact_mut(self.dimension)
    }

    /// One frame, if there is one of that number.
    pub fn row(&self, frame: usize) -> Option<&[f32]> {
        self.rows().nth(frame)
    }

    /// All numbers, frame after frame: `[frames, dimension]`.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// All numbers, frame after frame, given away.
    pub fn into_values(self) -> Vec<f32> {
        self.values
    }

    /// Puts the frames of `later` after these.
    ///
    /// # Errors
    /// When they have another dimension.
    pub fn append(&mut self, later: &Self) -> Result<(), Error> {
        self.expect_dimension(later.dimension)?;
        self.values.extend_from_slice(&later.values);
        Ok(())
    }

    pub(crate) fn expect_dimension(&self, found: usize) -> Result<(), Error> {
        match found == self.dimension {
            true => Ok(()),
            false => Err(Error::Dimension { found, expected: self.dimension }),
        }
    }

    pub(crate) fn reserve(&mut self, frames: usize) {
        self.values.reserve(frames * self.dimension);
    }

    /// Adds `frames` of zeros at the end and returns them.
    pub(crate) fn extend(&mut self, frames: usize) -> &mut [f32] {
        let start = self.values.len();
        self.values.resize(start + frames * self.dimension, 0.0);
        &mut self.values[start..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_frames() {
        let mut features = Features::new(vec![1., 2., 3., 4., 5., 6.], 2).unwrap();
        assert_eq!((features.frames(), features.dimension()), (3, 2));
        assert_eq!(features.row(1), Some(&[3., 4.][..]));
        assert_eq!(features.row(3), None);
        features.append(&Features::new(vec![7., 8.], 2).unwrap()).unwrap();
        assert_eq!(features.rows().next_back(), Some(&[7., 8.][..]));
    }

    #[test]
    fn what_is_no_table_is_refused() {
        assert!(Features::new(vec![1., 2., 3.], 2).is_err());
        assert!(Features::new(vec![1.], 0).is_err());
        assert!(Features::new(vec![], 0).is_err());
        let other = Features::new(vec![1., 2., 3.], 3).unwrap();
        assert!(matches!(Features::none(2).append(&other), Err(Error::Dimension { found: 3, expected: 2 })));
    }
}
