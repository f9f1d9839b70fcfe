//! Pairs of about the same length side by side.

use candle_core::{Device, Result, Tensor};
use candle_rnn::Lengths;
use rnn_train::batches::{TeacherForced, padded};
use rnn_train::{BatchLimits, Batches};
use serde::{Deserialize, Serialize};

/// A pair as symbols, each side with its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// The source.
    pub source: Vec<u32>,
    /// The target.
    pub target: Vec<u32>,
}

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

impl BatchConfig {
    /// The batches of these examples.
    pub fn batches(self, examples: &[Example], seed: u64) -> Batches {
        let lengths = examples.iter().map(|example| (example.target.len(), example.source.len()));
        Batches::new(lengths.collect(), BatchLimits { steps: self.tokens, rows: self.pairs }, seed)
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
    /// What it is to say, `[batch, target time]`, [`IGNORED`](rnn_train::batches::IGNORED) on padding.
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
        let (sources, source_lengths) = padded(&sources, 0, device)?;
        let TeacherForced { inputs, targets, lengths } = TeacherForced::new(&targets, begin, device)?;
        Ok(Self { sources, source_lengths, inputs, targets, target_lengths: lengths })
    }
}

#[cfg(test)]
mod tests {
    use rnn_train::batches::IGNORED;

    use super::*;

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
