//! Pairs of about the same length side by side.

use candle_core::{Device, Result, Tensor};
use candle_rnn::{Generator, Lengths};
use serde::{Deserialize, Serialize};

/// A pair as symbols, each side with its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// The source.
    pub source: Vec<u32>,
    /// The target.
    pub target: Vec<u32>,
}

/// What stands for no target on padding.
pub const IGNORED: u32 = u32::MAX;

/// How large a batch may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BatchConfig {
    /// Target symbols at most, padding counted; a single longer pair is a batch of its own.
    pub tokens: usize,
    /// Pairs at most.
    pub pairs: usize,
}

impl Default for BatchConfig {
    /// 1,000 symbols, 200 pairs.
    fn default() -> Self {
        Self { tokens: 1000, pairs: 200 }
    }
}

/// The batches of every epoch: as many in each, in another order, of other pairs of the same lengths.
/// They follow from the seed and the number of the epoch alone.
#[derive(Clone, Debug)]
pub struct Batches {
    /// Lengths of target and source of every example.
    lengths: Vec<(usize, usize)>,
    /// Where each batch begins among the examples in order of length.
    starts: Vec<usize>,
    seed: u64,
}

/// The batches of one epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Epoch {
    examples: Vec<usize>,
    batches: Vec<std::ops::Range<usize>>,
}

impl Batches {
    /// Batches of these examples.
    pub fn new(examples: &[Example], config: BatchConfig, seed: u64) -> Self {
        let lengths: Vec<_> =
            examples.iter().map(|example| (example.target.len(), example.source.len())).collect();
        let mut sorted = lengths.clone();
        sorted.sort_unstable();
        let mut starts = Vec::new();
        for (at, &(target, _)) in sorted.iter().enumerate() {
            // Sorted: the last is the longest.
            let fits = starts.last().is_some_and(|&start| {
                let pairs = at + 1 - start;
                pairs <= config.pairs.max(1) && pairs * target <= config.tokens
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
    /// The examples of a batch.
    pub fn batch(&self, number: usize) -> &[usize] {
        &self.examples[self.batches[number].clone()]
    }
}

/// A batch as tensors.
#[derive(Clone, Debug)]
pub struct Padded {
    /// `[batch, source time]` (u32)
    pub sources: Tensor,
    /// Symbols of each source.
    pub source_lengths: Lengths,
    /// What the decoder reads, `[batch, target time]`: the beginning, then the targets but the last.
    pub inputs: Tensor,
    /// What it is to say, `[batch, target time]`, [`IGNORED`] on padding.
    pub targets: Tensor,
    /// Symbols of each target.
    pub target_lengths: Lengths,
}

impl Padded {
    /// Puts examples side by side; a target begins with the symbol `begin`.
    ///
    /// # Errors
    /// An example with an empty side, or none at all.
    pub fn new(examples: &[&Example], begin: u32, device: &Device) -> Result<Self> {
        let (sources, targets): (Vec<&[u32]>, Vec<&[u32]>) =
            examples.iter().map(|example| (&example.source[..], &example.target[..])).unzip();
        let shifted: Vec<Vec<u32>> = targets
            .iter()
            .map(|target| {
                [begin]
                    .into_iter()
                    .chain(target.split_last().map_or(&[][..], |(_, rest)| rest).iter().copied())
                    .collect()
            })
            .collect();
        let shifted: Vec<&[u32]> = shifted.iter().map(Vec::as_slice).collect();
        let (sources, source_lengths) = padded(&sources, 0, device)?;
        let (inputs, _) = padded(&shifted, begin, device)?;
        let (targets, target_lengths) = padded(&targets, IGNORED, device)?;
        Ok(Self { sources, source_lengths, inputs, targets, target_lengths })
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn examples(lengths: &[(usize, usize)]) -> Vec<Example> {
        let example =
            |&(source, target): &(usize, usize)| Example { source: vec![1; source], target: vec![2; target] };
        lengths.iter().map(example).collect()
    }

    proptest! {
        #[test]
        fn an_epoch_has_every_example_once_in_batches_within_their_bounds(
            lengths in prop::collection::vec((1usize..30, 1usize..30), 1..200),
            tokens in 1usize..200, pairs in 1usize..20, seed: u64,
        ) {
            let examples = examples(&lengths);
            let batches = Batches::new(&examples, BatchConfig { tokens, pairs }, seed);
            for number in [0, 1, 7] {
                let epoch = batches.epoch(number);
                prop_assert_eq!(&epoch, &batches.epoch(number));
                let mut seen = Vec::new();
                for batch in 0..batches.count() {
                    let batch = epoch.batch(batch);
                    let longest = batch.iter().map(|&i| examples[i].target.len()).max().unwrap_or(0);
                    prop_assert!(batch.len() == 1 || batch.len() * longest <= tokens && batch.len() <= pairs);
                    seen.extend_from_slice(batch);
                }
                seen.sort_unstable();
                prop_assert!(seen.into_iter().eq(0..examples.len()));
            }
        }
    }

    #[test]
    fn epochs_differ_in_order_and_in_company() {
        let examples = examples(&[(5, 5); 60]);
        let batches = Batches::new(&examples, BatchConfig { tokens: 30, pairs: 100 }, 3);
        assert_eq!(batches.count(), 10);
        assert_ne!(batches.epoch(0), batches.epoch(1));
    }

    #[test]
    fn a_batch_is_padded_and_its_inputs_begin_with_the_beginning() -> Result<()> {
        let long = Example { source: vec![4, 5, 9], target: vec![6, 9] };
        let short = Example { source: vec![7, 9], target: vec![9] };
        let batch = Padded::new(&[&long, &short], 9, &Device::Cpu)?;
        assert_eq!(batch.sources.to_vec2::<u32>()?, [[4, 5, 9], [7, 9, 0]]);
        assert_eq!(batch.inputs.to_vec2::<u32>()?, [[9, 6], [9, 9]]);
        assert_eq!(batch.targets.to_vec2::<u32>()?, [[6, 9], [9, IGNORED]]);
        assert_eq!(
            (batch.source_lengths.as_slice(), batch.target_lengths.as_slice()),
            (&[3, 2][..], &[2, 1][..])
        );
        assert!(Padded::new(&[], 9, &Device::Cpu).is_err());
        Ok(())
    }
}
