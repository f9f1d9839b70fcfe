//! What a training needs to know of a model and its data.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use anyhow::{Context, ensure};
use candle_core::Tensor;
use candle_rnn::{Generator, LossSum, Parameters};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Where a task stands in its training data; together with the weights and the generator it
/// determines everything that follows.
#[derive(Debug, Clone, Default)]
pub struct Position {
    /// What is carried from batch to batch: the state of a recurrent network, for example.
    pub tensors: HashMap<String, Tensor>,
    /// Everything else: the index of the next batch, the order of the examples in this epoch.
    pub meta: serde_json::Value,
}

impl Position {
    /// At a batch of an epoch, both counted from 0, with nothing that is carried along.
    pub fn at_batch(epoch: usize, batch: usize) -> Self {
        Self { meta: json!({ "epoch": epoch, "batch": batch }), ..Self::default() }
    }

    /// The epoch and the batch of [`Position::at_batch`]; an epoch has so many batches.
    ///
    /// # Errors
    /// A position that does not name both, or a batch that an epoch does not have.
    pub fn batch(&self, batches: usize) -> anyhow::Result<(usize, usize)> {
        let number = |name: &str| {
            let number = self.meta.get(name).and_then(serde_json::Value::as_u64);
            number.with_context(|| format!("the position does not name its {name}"))
        };
        let (epoch, batch) = (number("epoch")? as usize, number("batch")? as usize);
        ensure!(batch < batches, "the position is at batch {batch}, but an epoch has {batches}");
        Ok((epoch, batch))
    }
}

/// The result of one evaluation on held-out data.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Mean loss per item, in nats for a cross entropy; lower is better.
    pub loss: f64,
    /// Whatever else is worth logging, by name (`perplexity`, `bleu`). All of the task's
    /// [`quality_metrics`](Task::quality_metrics) are among them. Those must be finite; another may be
    /// NaN or infinite, which JSON has as text.
    #[serde(default, with = "crate::any_number")]
    pub metrics: BTreeMap<String, f64>,
}

/// A model together with the data it learns from.
///
/// For a training to be resumable bit by bit, [`loss`](Task::loss) must depend on nothing but the
/// weights, the [`Position`] and the generator it is given.
pub trait Task {
    /// The trainable variables.
    fn parameters(&self) -> &Parameters;

    /// Calls of [`loss`](Task::loss) that make one pass over the training data; at least 1.
    fn steps_per_epoch(&self) -> usize;

    /// The loss of the next training batch: a differentiable scalar, the sum over `count` items.
    /// Advances the position, without end: after the last batch comes the first of a new epoch.
    /// `generator` is for dropout, shuffling and sampling.
    fn loss(&mut self, generator: &mut Generator) -> anyhow::Result<LossSum>;

    /// Evaluates the model on the validation data. The trainer restores the training
    /// [`position`](Task::position) afterwards.
    fn evaluate(&mut self) -> anyhow::Result<Evaluation>;

    /// The names of the metrics in every [`Evaluation`] that say how good the model is, **higher
    /// being better** (`bleu`, `accuracy`); none is called `loss`. The trainer keeps the best model by
    /// each, in a folder named after it, and
    /// [`TrainConfig::monitor`](crate::TrainConfig::monitor) may name one.
    fn quality_metrics(&self) -> &[&'static str] {
        &[]
    }

    /// Where the training stands in its data.
    fn position(&self) -> anyhow::Result<Position>;

    /// Goes to a [`position`](Task::position) taken earlier, possibly by another process.
    fn seek(&mut self, position: &Position) -> anyhow::Result<()>;

    /// Writes a self-contained model folder (`config.toml`, `model.safetensors`, …). `folder`
    /// exists, is empty and temporary: the trainer moves it into place when it is whole.
    fn save_model(&self, folder: &Path) -> anyhow::Result<()>;

    /// By how much the learning rate of a variable is multiplied, by its name: below 1 for weights that have
    /// been trained before. The same at every call.
    fn rate_factor(&self, _name: &str) -> f64 {
        1.0
    }

    /// What the items of the loss are called in the progress display: "characters", "tokens".
    fn unit(&self) -> &'static str {
        "items"
    }
}
