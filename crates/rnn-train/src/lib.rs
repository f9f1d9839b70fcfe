//! The training loop: everything around "compute the loss of a batch" that a long training needs.
//!
//! A [`Task`] knows its model and its data; [`train`] does the rest: backpropagation, gradient
//! accumulation and clipping, the optimiser and its learning rate, evaluation, early stopping,
//! checkpoints, logs and curves. A training can be interrupted or killed at any moment and resumed:
//! **the resumed training ends with the same bits** as one that was never stopped.
//!
//! ```
//! use std::{collections::BTreeMap, path::Path, sync::atomic::AtomicBool};
//! use candle_core::{DType, Device, Tensor};
//! use candle_rnn::{Generator, LossSum, Parameters};
//! use rnn_train::{Evaluation, Position, ProgressStyle, RunFolder, Task, TrainConfig, train};
//!
//! /// Find the mean of random numbers.
//! struct Mean { parameters: Parameters, mean: Tensor }
//!
//! impl Task for Mean {
//!     fn parameters(&self) -> &Parameters { &self.parameters }
//!     fn steps_per_epoch(&self) -> usize { 100 }
//!     fn loss(&mut self, generator: &mut Generator) -> anyhow::Result<LossSum> {
//!         let xs: Vec<f32> = (0..8).map(|_| 3.0 + generator.normal() as f32).collect();
//!         let xs = Tensor::new(xs, &Device::Cpu)?;
//!         Ok(LossSum { sum: xs.broadcast_sub(&self.mean)?.sqr()?.sum_all()?, count: 8 })
//!     }
//!     fn evaluate(&mut self) -> anyhow::Result<Evaluation> {
//!         let error = f64::from(self.mean.to_scalar::<f32>()?) - 3.0;
//!         Ok(Evaluation { loss: error * error, metrics: BTreeMap::new() })
//!     }
//!     fn position(&self) -> anyhow::Result<Position> { Ok(Position::default()) }
//!     fn seek(&mut self, _: &Position) -> anyhow::Result<()> { Ok(()) }
//!     fn save_model(&self, folder: &Path) -> anyhow::Result<()> {
//!         Ok(self.mean.save_safetensors("mean", folder.join("model.safetensors"))?)
//!     }
//! }
//!
//! # fn main() -> anyhow::Result<()> {
//! let parameters = Parameters::new(1, DType::F32, &Device::Cpu);
//! let mean = parameters.builder().get((), "mean")?;
//! let mut task = Mean { parameters, mean };
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("run");
//! let run = RunFolder::create(&path, false)?;
//! let config = TrainConfig { epochs: 2.0, ..TrainConfig::default() };
//! let stop = AtomicBool::new(false); // set it from a Ctrl-C handler
//! let report = train(&mut task, &config, &run, false, &stop, ProgressStyle::Hidden)?;
//! assert_eq!(report.steps, 200);
//! assert!(run.best().join("model.safetensors").exists());
//! # Ok(()) }
//! ```
//!
//! | module | what is in it |
//! |---|---|
//! | [`task`] | [`Task`]: what a training needs to know of a model and its data |
//! | [`trainer`] | [`train`], [`TrainConfig`], [`Report`] |
//! | [`measure`] | what models are compared by: the loss, or a metric of quality |
//! | [`batches`] | examples of about the same length side by side |
//! | [`fingerprint()`] | by what a resumed run knows its data again |
//! | [`gradients`], [`mod@clip`] | gradients by variable, their accumulation and their clipping |
//! | [`optimizer`], [`schedule`] | SGD, Adam, AdamW, RMSprop, Muon; learning rates over time |
//! | [`settings`] | reading and writing `config.toml` |
//! | [`run_folder`], [`checkpoint`] | what a run leaves on disk, and how it goes on from there |
//! | [`mod@average`] | the mean of the weights of several checkpoints |
//! | [`moving_average`] | the mean of the weights while they are trained |
//! | [`progress`] | a bar on a terminal, lines elsewhere |
//! | [`metrics_log`], [`tensorboard`], [`curves`] | `metrics.jsonl`, TensorBoard events, `curves.svg` |
//! | [`flags`] | [`TrainingArgs`]: flags over the settings of a training |
//! | [`command`] | [`RunArgs`]: the rest of the command `train` of an application |
//! | [`files`] | files and folders that are either whole or not there |

mod any_number;
pub mod average;
pub mod batches;
pub mod checkpoint;
pub mod clip;
pub mod command;
pub mod curves;
pub mod files;
mod fingerprint;
pub mod flags;
pub mod gradients;
pub mod measure;
pub mod metrics_log;
pub mod moving_average;
pub mod optimizer;
pub mod progress;
pub mod run_folder;
pub mod schedule;
pub mod settings;
pub mod task;
pub mod tensorboard;
pub mod trainer;

pub use average::average;
pub use batches::{BatchLimits, Batches};
pub use candle_rnn::LossSum;
pub use checkpoint::Best;
pub use clip::{clip, clip_value};
pub use command::{RunArgs, Trained};
pub use fingerprint::fingerprint;
pub use flags::TrainingArgs;
pub use gradients::Gradients;
pub use measure::Measure;
pub use moving_average::MovingAverage;
pub use optimizer::{Optimizer, OptimizerConfig};
pub use progress::{ProgressStyle, Work};
pub use run_folder::RunFolder;
pub use schedule::{Schedule, ScheduleState};
pub use task::{Evaluation, Position, Task};
pub use trainer::{Outcome, Report, TrainConfig, train};
