//! From a model's scores to a sequence: which symbol comes next.
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

pub mod sampling;

pub use sampling::{Error, Sampler, Sampling};
