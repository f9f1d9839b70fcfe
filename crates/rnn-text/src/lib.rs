//! Tokenizers and text corpora.
