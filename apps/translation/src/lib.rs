//! Translation with recurrent encoder-decoders and attention: train on pairs of sentences, translate,
//! score, evaluate.

pub mod average;
pub mod batches;
pub mod corpus;
pub mod decoding;
pub mod evaluate;
pub mod inspect;
pub mod model;
pub mod network;
pub mod pictures;
pub mod score;
pub mod stream;
pub mod task;
pub mod train;
pub mod translator;
pub mod vocabulary;

pub use batches::BatchConfig;
pub use corpus::Pair;
pub use model::{TranslationConfig, TranslationModel};
pub use network::{Network, NetworkConfig};
pub use train::{RunConfig, TrainArgs, Trained, train_on_pairs};
pub use translator::{Hypothesis, TranslateConfig, Translation, Translator};
