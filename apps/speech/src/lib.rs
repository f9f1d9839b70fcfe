//! Speech recognition with recurrent networks: from recordings to words, and when each was said.
//!
//! | module | what is in it |
//! |---|---|
//! | [`corpus`], [`layout_args`] | recordings and their texts: manifests, folders, LibriSpeech, the built-in digits |
//! | [`mod@check`] | whether they are fit to learn from |
//! | [`alphabet`], [`pronunciations`] | what the network says: characters, phonemes, words, labels |
//! | [`frontend`] | what it reads: log-mel spectra or cepstra, normalised; also while they come |
//! | [`augment`], [`joining`] | recordings changed at random; joined to strings |
//! | [`network`] | convolutions over time, recurrent layers, two heads |
//! | [`model`] | a trained network, as it lies in a model folder |
//! | [`settings`], [`examples`], [`task`], [`mod@train`] | the training |
//! | [`search`], [`search_args`], [`neural_scorer`] | from frames to symbols, with a language model, hot words, a lexicon |
//! | [`recognizer`], [`listener`], [`samples`] | files to text; sound to text while it comes |
//! | [`mod@align`], [`segments`], [`monophones`] | when symbols were said |
//! | [`transcript`], [`subtitles`], [`textgrid`], [`posteriors`] | what was recognised, as JSON, SubRip, TextGrid, a picture |
//! | [`mod@evaluate`], [`boundaries`], [`mod@inspect`] | how good a model is, and what is in it |

pub mod align;
pub mod alphabet;
pub mod augment;
pub mod boundaries;
pub mod check;
pub mod corpus;
pub mod evaluate;
pub mod examples;
pub mod frontend;
pub mod inspect;
pub mod joining;
pub mod layout_args;
pub mod listener;
pub mod model;
pub mod monophones;
pub mod network;
pub mod neural_scorer;
pub mod posteriors;
pub mod pronunciations;
pub mod recognizer;
pub mod samples;
pub mod search;
pub mod search_args;
pub mod segments;
pub mod settings;
pub mod subtitles;
pub mod task;
pub mod textgrid;
pub mod train;
pub mod transcript;

pub use alphabet::{Alphabet, Units};
pub use augment::{AugmentConfig, Augmenter};
pub use check::{CheckConfig, Report, check};
pub use corpus::{Sound, Utterance};
pub use evaluate::{Evaluation, evaluate};
pub use frontend::{Frontend, FrontendConfig, Normalization};
pub use inspect::{Inspection, inspect};
pub use listener::Listener;
pub use model::{Clock, Emissions, SpeechConfig, SpeechModel};
pub use monophones::Monophones;
pub use network::{Head, Network, NetworkConfig};
pub use recognizer::Recognizer;
pub use search::Search;
pub use search_args::SearchArgs;
pub use settings::{RunConfig, TrainArgs};
pub use task::SpeechTask;
pub use train::{Trained, train_on_utterances};
pub use transcript::{Timed, Transcript};
