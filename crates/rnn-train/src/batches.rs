//! Examples of about the same length side by side, and as tensors.

use std::ops::Range;

use candle_core::{Device, Result, Tensor};
use candle_rnn::{Generator, Lengths};

/// How large a batch may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimits {
    /// Steps at most, padding counted; a single longer example is a batch of its own.
    pub steps: usize,
    /// Examples at most.
    pub rows: usize,
}

/// The batches of every epoch: as many in each, in another order, of other examples of the same
/// lengths. They follow from the seed and the number of the epoch alone.
#[derive(Clone, Debug)]
pub struct Batches {
    /// Of every example, the length that counts and a second one to sort by.
    lengths: Vec<(usize, usize)>,
    /// Where each batch begins among the examples in order of length.
    starts: Vec<usize>,
    seed: u64,
}

/// The batches of one epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Epoch {
    examples: Vec<usize>,
    batches: Vec<Range<usize>>,
}

impl Batches {
    /// Batches of examples with these lengths; the first of each is what [`BatchLimits::steps`] counts,
    /// and among equals the second keeps likes together.
    pub fn new(lengths: Vec<(usize, usize)>, limits: BatchLimits, seed: u64) -> Self {
        let mut sorted = lengths.clone();
        sorted.sort_unstable();
        let mut starts: Vec<usize> = Vec::new();
        for (at, &(length, _)) in sorted.iter().enumerate() {
            // Sorted: the last is the longest.
            let fits = starts.last().is_some_and(|&start| {
                let rows = at + 1 - start;
                rows <= limits.rows.max(1) && rows.saturating_mul(length) <= limits.steps
            });
            if !fits {
                starts.push(at);
            }
        }
        Self { lengths, starts, seed }
    }

    /// Batches in an epoch.
    pub fn count(&self) -> usize {
        self.starts.len()
    }

    /// The batches of an epoch, counted from 0.
    pub fn epoch(&self, number: usize) -> Epoch {
        let mut generator = Generator::new(self.seed.wrapping_add(number as u64));
        let mut examples: Vec<usize> = (0..self.lengths.len()).collect();
        generator.shuffle(&mut examples);
        // A stable sort: among equals the shuffled order stays.
        examples.sort_by_key(|&example| self.lengths[example]);
        let ends = self.starts.iter().copied().skip(1).chain([self.lengths.len()]);
        let mut batches: Vec<_> = self.starts.iter().zip(ends).map(|(&start, end)| start..end).collect();
        generator.shuffle(&mut batches);
        Epoch { examples, batches }
    }
}

impl Epoch {
    /// Batches in the epoch.
    pub fn count(&self) -> usize {
        self.batches.len()
    }

    /// The examples of a batch.
    pub fn batch(&self, number: usize) -> &[usize] {
        &self.examples[self.batches[number].clone()]
    }
}

/// What stands for no target on padding.
pub const IGNORED: u32 = u32::MAX;

/// Rows of symbols as `[rows, time]`, and their lengths.
///
/// # Errors
/// No row, or an empty one.
pub fn padded(rows: &[&[u32]], padding: u32, device: &Device) -> Result<(Tensor, Lengths)> {
    let time = rows.iter().map(|row| row.len()).max().unwrap_or(0);
    let lengths = Lengths::new(rows.iter().map(|row| row.len()).collect(), time)?;
    let fill =
        |row: &&[u32]| row.iter().copied().chain(std::iter::repeat(padding)).take(time).collect::<Vec<_>>();
    let symbols: Vec<u32> = rows.iter().flat_map(fill).collect();
    Ok((Tensor::from_vec(symbols, (rows.len(), time), device)?, lengths))
}

/// What a decoder reads and what it is to say, which is one symbol ahead (teacher forcing).
#[derive(Clone, Debug)]
pub struct TeacherForced {
    /// `[batch, time]`: the beginning, then the targets but the last.
    pub inputs: Tensor,
    /// `[batch, time]`, [`IGNORED`] on padding.
    pub targets: Tensor,
    /// Symbols of each target.
    pub lengths: Lengths,
}

impl TeacherForced {
    /// Puts targets side by side; each begins with the symbol `begin`.
    ///
    /// # Errors
    /// No target, or an empty one.
    pub fn new(targets: &[&[u32]], begin: u32, device: &Device) -> Result<Self> {
        let shifted = |target: &&[u32]| {
            let read = target.split_last().map_or(&[][..], |(_, rest)| rest);
            [begin].into_iter().chain(read.iter().copied()).collect()
        };
        let shifted: Vec<Vec<u32>> = targets.iter().map(shifted).collect();
        let shifted: Vec<&[u32]> = shifted.iter().map(Vec::as_slice).collect();
        let (inputs, _) = padded(&shifted, begin, device)?;
        let (targets, lengths) = padded(targets, IGNORED, device)?;
        Ok(Self { inputs, targets, lengths })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_epoch_has_every_example_once_in_batches_within_their_bounds(
            lengths in prop::collection::vec((1usize..30, 1usize..30), 1..200),
            steps in 1usize..200, rows in 1usize..20, seed: u64,
        ) {
            let batches = Batches::new(lengths.clone(), BatchLimits { steps, rows }, seed);
            for number in [0, 1, 7] {
                let epoch = batches.epoch(number);
                prop_assert_eq!(&epoch, &batches.epoch(number));
                let mut seen = Vec::new();
                for batch in 0..batches.count() {
                    let batch = epoch.batch(batch);
                    let longest = batch.iter().map(|&i| lengths[i].0).max().unwrap_or(0);
                    prop_assert!(batch.len() == 1 || batch.len() * longest <= steps && batch.len() <= rows);
                    seen.extend_from_slice(batch);
                }
                seen.sort_unstable();
                prop_assert!(seen.into_iter().eq(0..lengths.len()));
            }
        }
    }

    #[test]
    fn epochs_differ_in_order_and_in_company() {
        let batches = Batches::new(vec![(5, 5); 60], BatchLimits { steps: 30, rows: 100 }, 3);
        assert_eq!(batches.count(), 10);
        assert_ne!(batches.epoch(0), batches.epoch(1));
    }
}
