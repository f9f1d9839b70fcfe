//! From a model's scores to a sequence: which symbol comes next.
//!
//! | module | what is in it |
//! |---|---|
//! | [`sampling`] | one symbol drawn from its scores |
//! | [`hypotheses`] | what a search asks of a model; ensembles, shallow fusion |
//! | [`attending`] | a decoder with attention as such a model |
//! | [`beam`] | beam search over many sequences at once |
//! | [`drawing`] | many sequences at once, drawn at random |
//! | [`ctc`] | from frames to symbols: best path, prefix beam search, forced alignment |
//! | [`ngram`] | n-gram language models, read, written and estimated |
//!
//! ```
//! use candle_rnn::Generator;
//! use rnn_decode::{Sampler, Sampling};
//!
//! # fn main() -> Result<(), rnn_decode::Error> {
//! let mut sampler = Sampler::new(Sampling { top_k: Some(2), ..Sampling::default() })?;
//! let id = sampler.sample(&[1.0, 3.0, 2.0], &[], &mut Generator::new(1))?;
//! assert_ne!(id, 0);
//! # Ok(()) }
//! ```

pub mod attending;
pub mod beam;
pub mod ctc;
pub mod drawing;
pub mod hypotheses;
pub mod ngram;
pub mod sampling;

pub use attending::{Attending, AttentionDecoder};
pub use beam::{BeamError, BeamSearch, Found, Request};
pub use ctc::CtcError;
pub use drawing::draw;
pub use hypotheses::{Ensemble, Fusion, Hypotheses};
pub use ngram::{Ngram, NgramError};
pub use sampling::{Error, Sampler, Sampling};
