//! The article A brief introduction to recurrent neural networks, running.
