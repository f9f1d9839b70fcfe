//! Recurrent language models: train on a text, write, score, evaluate.
//!
//! The binary `language-model` is a thin face over this library, which needs no terminal:
//!
//! ```
//! use std::sync::atomic::AtomicBool;
//! use candle_core::Device;
//! use candle_rnn::{Generator, Windows};
//! use language_model::{GenerateConfig, NetworkConfig, RunConfig, train_on_text};
//! use rnn_train::{ProgressStyle, RunFolder, TrainConfig};
//!
//! # fn main() -> anyhow::Result<()> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("run");
//! let text = "the cat sat on the mat.\n".repeat(40);
//! let config = RunConfig {
//!     network: NetworkConfig { hidden_size: 16, embedding_size: 8, layers: 1, ..Default::default() },
//!     windows: Windows { batch: 4, window: 16, overlap: 0 },
//!     training: TrainConfig { epochs: 1.0, ..Default::default() },
//!     ..Default::default()
//! };
//! let run = RunFolder::create(&path, false)?;
//! let never = AtomicBool::new(false);
//! let trained = train_on_text(&text, &config, &run, &Device::Cpu, &never, ProgressStyle::Hidden)?;
//!
//! let config = GenerateConfig { length: 20, ..Default::default() };
//! let text: Result<String, _> = trained.model.generate("the ", &config, Generator::new(1))?.collect();
//! assert_eq!(text?.chars().count(), 20);
//! # Ok(()) }
//! ```
//!
//! | module | what is in it |
//! |---|---|
//! | [`network`] | [`Network`]: embedding, recurrent layers, scores |
//! | [`model`] | [`LanguageModel`]: a trained network with its vocabulary |
//! | [`data`] | text → training and validation symbols |
//! | [`reader`] | [`Reader`]: one symbol after another |
//! | [`continuations`] | [`Continuations`]: many texts side by side, for a search |
//! | [`task`] | truncated backpropagation through time over a stream |
//! | [`settings`], [`mod@train`] | settings and flags; the run |
//! | [`generate`], [`score`], [`mod@evaluate`], [`mod@inspect`] | what one does with a trained model |

pub mod continuations;
pub mod data;
pub mod evaluate;
pub mod generate;
pub mod inspect;
pub mod model;
pub mod network;
pub mod reader;
pub mod score;
pub mod settings;
pub mod task;
pub mod train;

pub use app_kit::CellName;
pub use continuations::Continuations;
pub use data::{Data, DataConfig, Held};
pub use evaluate::Score;
pub use generate::{GenerateConfig, Generation};
pub use inspect::{Inspection, inspect};
pub use model::{LanguageModel, LanguageModelConfig};
pub use network::{Network, NetworkConfig};
pub use reader::Reader;
pub use score::TextScore;
pub use settings::{RunConfig, TrainArgs};
pub use task::LanguageModelTask;
pub use train::{Trained, train_on_text};
