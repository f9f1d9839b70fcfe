//! What the models of a training are compared by.

use std::fmt;

use anyhow::{Context, Result};

use crate::task::{Evaluation, Task};

/// A number of an [`Evaluation`] that tells the better of two models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// The validation loss: lower is better.
    Loss,
    /// One of the task's [`quality_metrics`](Task::quality_metrics): higher is better.
    Quality(&'static str),
}

impl Measure {
    /// All that `task` has: the loss, then its quality metrics.
    pub fn all(task: &dyn Task) -> Vec<Self> {
        let qualities = task.quality_metrics().iter().map(|&name| Self::Quality(name));
        std::iter::once(Self::Loss).chain(qualities).collect()
    }

    /// `"loss"` or the name of the metric.
    pub fn name(self) -> &'static str {
        match self {
            Self::Loss => "loss",
            Self::Quality(name) => name,
        }
    }

    /// The number in `evaluation`.
    ///
    /// # Errors
    /// When the evaluation lacks the metric.
    pub fn value(self, evaluation: &Evaluation) -> Result<f64> {
        match self {
            Self::Loss => Ok(evaluation.loss),
            Self::Quality(name) => evaluation.metrics.get(name).copied().with_context(|| {
                format!(
                    "the evaluation has no metric {name}, which the task counts among its quality metrics"
                )
            }),
        }
    }

    /// Whether `value` is better than `best` by more than the part `margin` of it (PyTorch's
    /// `threshold` in the mode `rel`). Any finite number is better than none, and NaN than nothing.
    pub fn is_better(self, value: f64, best: Option<f64>, margin: f64) -> bool {
        match (self, best) {
            (_, None) => value.is_finite(),
            (Self::Loss, Some(best)) => value < best * (1.0 - margin),
            (Self::Quality(_), Some(best)) => value > best * (1.0 + margin),
        }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
