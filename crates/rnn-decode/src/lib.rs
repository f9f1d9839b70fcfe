//! From distributions to sequences: sampling.
