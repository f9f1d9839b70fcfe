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
pub mod task;
pub mod train;
pub mod translator;
pub mod vocabulary;
