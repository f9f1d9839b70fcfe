//! Recurrent networks on candle: cells, whole-sequence layers, backpropagation through time.
