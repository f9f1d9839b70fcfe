//! Translation with recurrent encoder-decoders and attention: train on pairs of sentences, translate,
//! score, evaluate.

pub mod decoding;
pub mod network;
