//! Losses over padded sequences.

mod cross_entropy;
mod ctc;
mod of_linear;

use candle_core::Tensor;
use rayon::prelude::*;

use crate::kernels::Real;
use crate::kernels::softmax::LogSoftmax;

pub use cross_entropy::CrossEntropy;
pub use ctc::{Ctc, CtcLoss};

/// A loss as its sum and the number of items summed: sums and counts of several batches add up
/// to an exact mean (and perplexity, its exponential) whatever the share of padding in each.
#[derive(Clone, Debug)]
pub struct LossSum {
    /// Sum over the items, a differentiable scalar `[]`; in nats for a cross entropy.
    pub sum: Tensor,
    /// Number of items that were not ignored.
    pub count: usize,
}

/// Scores of symbols become their log-probabilities, `ln softmax`, row by row: `scores
/// [rows, symbols]`, on the CPU, rows shared among the threads.
///
/// # Panics
/// When `scores` is not made of rows of `symbols` numbers.
pub fn log_softmax_rows(scores: &mut [f32], symbols: usize) {
    assert!(symbols > 0 && scores.len().is_multiple_of(symbols), "rows of {symbols} scores");
    scores.par_chunks_exact_mut(symbols).with_min_len(4).for_each(|row| f32::dispatch(LogSoftmax(row)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_log_probabilities_and_a_nan_stays_one() {
        let mut scores = [1f32, 2., 3., 500., 500., f32::NEG_INFINITY, 0., f32::NAN, 0.];
        log_softmax_rows(&mut scores, 3);
        let sum: f32 = scores[..3].iter().map(|x| x.exp()).sum();
        assert!((sum - 1.).abs() < 1e-6 && (scores[2] - scores[0] - 2.).abs() < 1e-6);
        assert!((scores[3] + 2f32.ln()).abs() < 1e-4 && scores[5] == f32::NEG_INFINITY);
        assert!(scores[6..].iter().all(|x| x.is_nan()));
    }
}
