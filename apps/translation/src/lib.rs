//! Translation with recurrent encoder-decoders and attention: train on pairs of sentences, translate,
//! score, evaluate.
//!
//! The binary `translation` is a thin face over this library, which needs no terminal:
//!
//! ```
//! use std::sync::atomic::AtomicBool;
//! use candle_core::Device;
//! use rnn_text::Units;
//! use rnn_train::{ProgressStyle, RunFolder};
//! use translation::{Pair, RunConfig, TranslateConfig, Translator, train_on_pairs};
//!
//! # fn main() -> anyhow::Result<()> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("run");
//! let pairs: Vec<Pair> = [("ein Hund", "a dog"), ("ein Haus", "a house"), ("zwei Hunde", "two dogs")]
//!     .map(|(source, target)| Pair { source: source.into(), target: target.into() })
//!     .into();
//! let mut config = RunConfig::default();
//! config.data.vocabulary.source_units = Units::Char;
//! config.data.vocabulary.target_units = Units::Char;
//! config.network.encoder_size = 16;
//! config.network.decoder_size = 16;
//! config.training.epochs = 2.0;
//! let run = RunFolder::create(&path, false)?;
//! let never = AtomicBool::new(false);
//! let data = (pairs.clone(), pairs);
//! let trained = train_on_pairs(data, &config, &run, &Device::Cpu, &never, ProgressStyle::Hidden)?;
//!
//! let translator = Translator::new(trained.model)?;
//! let translations = translator.translate(&["zwei Hunde".to_owned()], &TranslateConfig::default())?;
//! println!("{}", translations[0].as_ref().unwrap().text());
//! # Ok(()) }
//! ```
//!
//! | module | what is in it |
//! |---|---|
//! | [`network`] | [`Network`]: encoder, bridge, decoder with attention |
//! | [`model`] | [`TranslationModel`]: a trained network with its vocabularies |
//! | [`corpus`], [`vocabulary`], [`batches`] | pairs of sentences → symbols → batches of about the same length |
//! | [`settings`], [`task`], [`mod@train`] | settings and flags; what is trained; the run |
//! | [`translator`] | [`Translator`]: one model or several, perhaps with a language model |
//! | [`mod@evaluate`], [`score`], [`pictures`], [`mod@average`], [`mod@inspect`] | what one does with a trained model |
//! | [`stream`] | lines of the standard input as they come |

pub mod average;
pub mod batches;
pub mod corpus;
pub mod evaluate;
pub mod inspect;
pub mod model;
pub mod network;
pub mod pictures;
pub mod score;
pub mod settings;
pub mod stream;
pub mod task;
pub mod train;
pub mod translator;
pub mod vocabulary;

pub use app_kit::CellName;
pub use average::average;
pub use batches::BatchConfig;
pub use corpus::Pair;
pub use inspect::inspect;
pub use model::{TranslationConfig, TranslationModel};
pub use network::{Network, NetworkConfig};
pub use settings::{RunConfig, TrainArgs};
pub use train::{Trained, train_on_pairs};
pub use translator::{Hypothesis, TranslateConfig, Translation, Translator};
