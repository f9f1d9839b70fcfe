//! Losses over padded sequences.

mod cross_entropy;
mod of_linear;

use candle_core::Tensor;

pub use cross_entropy::CrossEntropy;

/// A loss as its sum and the number of items summed: sums and counts of several batches add up
/// to an exact mean (and perplexity, its exponential) whatever the share of padding in each.
#[derive(Clone, Debug)]
pub struct LossSum {
    /// Sum over the items, a differentiable scalar `[]`; in nats for a cross entropy.
    pub sum: Tensor,
    /// Number of items that were not ignored.
    pub count: usize,
}
