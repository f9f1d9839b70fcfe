//! The rows of the benchmark, as `compare.py` sends them.

use serde::Deserialize;

use crate::serve::Measured;

/// What is to be measured.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Row {
    /// Forward and backward pass of one recurrent layer; the loss is the sum of its outputs, and
    /// the input wants a gradient too.
    Layer(Layer),
    /// The recurrent products of a layer, forward and backward, and nothing else of it.
    Recurrent(Recurrent),
    /// A whole training step of a language model.
    Train(Train),
    /// Writing with a language model, one symbol after another.
    Generate(Generate),
}

/// The neuron.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cell {
    /// `tanh(W x + U h + b)`
    Tanh,
    Gru,
    Lstm,
}

/// One layer, as many inputs as hidden units.
#[derive(Clone, Debug, Deserialize)]
pub struct Layer {
    pub cell: Cell,
    pub batch: usize,
    pub time: usize,
    pub hidden: usize,
    pub bidirectional: bool,
    /// Valid steps of each row; `None`: all of them.
    pub lengths: Option<Vec<usize>>,
}

/// The products of an LSTM's walk with its recurrent weight.
#[derive(Clone, Debug, Deserialize)]
pub struct Recurrent {
    pub batch: usize,
    pub time: usize,
    pub hidden: usize,
}

/// How gradients become updates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerName {
    Adam,
    Sgd,
}

/// Embedding → dropout → LSTM layers with dropout between them → dropout → scores; cross entropy,
/// gradient norm clipped, update. The state is carried to the next step without its history.
#[derive(Clone, Debug, Deserialize)]
pub struct Train {
    pub vocab: usize,
    pub embedding: usize,
    pub hidden: usize,
    pub layers: usize,
    pub dropout: f64,
    pub batch: usize,
    pub time: usize,
    pub clip: f64,
    pub optimizer: OptimizerName,
    pub rate: f64,
    /// Products in bf16, weights in f32 (PyTorch's autocast).
    pub bf16: bool,
}

/// The network of [`Train`] without dropout, a batch of one row.
#[derive(Clone, Debug, Deserialize)]
pub struct Generate {
    pub vocab: usize,
    pub embedding: usize,
    pub hidden: usize,
    pub layers: usize,
    pub temperature: f64,
    /// Symbols written in one iteration; times are per symbol.
    pub tokens: usize,
}

impl Measured for Row {
    fn per_iteration(&self) -> usize {
        match self {
            Row::Generate(generate) => generate.tokens,
            _ => 1,
        }
    }
}
