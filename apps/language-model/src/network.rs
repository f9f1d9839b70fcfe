//! The network: embedding → recurrent layers → scores of the next symbol, with dropout between.
//!
//! With `x_t` the vector of symbol `w_t`: `h_t = Rnn(x_t, h_{t-1})`,
//! `p(w_{t+1} | w_1 … w_t) = softmax(W h_t + b)` (Mikolov et al. 2010, *Recurrent neural network
//! based language model*).

use anyhow::Result;
use app_kit::{CellName, UsageError};
use candle_core::Tensor;
use candle_nn::{Init, VarBuilder};
use candle_rnn::{
    CrossEntropy, Embedding, Linear, LossSum, MatmulPrecision, Mode, Reduction, Rnn, RnnConfig, State,
    dropout,
};
use serde::{Deserialize, Serialize};

/// The shape of the network; the vocabulary's size comes from the tokenizer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkConfig {
    /// The neuron.
    pub cell: CellName,
    /// Features of a symbol's vector.
    pub embedding_size: usize,
    /// Units of each recurrent layer.
    pub hidden_size: usize,
    /// Number of recurrent layers.
    pub layers: usize,
    /// Probability with which a number is dropped in training, between the layers and before the
    /// output (Zaremba et al. 2014).
    pub dropout: f64,
    /// The same for the vectors of the symbols. The few characters of an alphabet are better read
    /// whole; a vocabulary of words may be overfitted without.
    pub embedding_dropout: f64,
    /// Use the embedding as the output's weight (Press and Wolf 2017); needs
    /// `embedding_size = hidden_size`.
    pub tied: bool,
    /// How the time steps' contributions to the gradient are put together.
    pub reduction: Reduction,
    /// How exactly the factors of matrix products are held, on the CPU.
    pub matmul: MatmulPrecision,
}

impl Default for NetworkConfig {
    /// Two LSTM layers of 512 units over vectors of 128, dropout 0.5 but of the vectors, untied.
    fn default() -> Self {
        Self {
            cell: CellName::Lstm,
            embedding_size: 128,
            hidden_size: 512,
            layers: 2,
            dropout: 0.5,
            embedding_dropout: 0.0,
            tied: false,
            reduction: Reduction::Sum,
            matmul: MatmulPrecision::Full,
        }
    }
}

impl NetworkConfig {
    /// Checks that the settings fit each other.
    ///
    /// # Errors
    /// [`UsageError`], with what to change.
    pub fn validate(&self) -> Result<(), UsageError> {
        let Self { embedding_size, hidden_size, layers, tied, .. } = *self;
        for (name, value) in
            [("embedding size", embedding_size), ("hidden size", hidden_size), ("number of layers", layers)]
        {
            if value == 0 {
                return Err(UsageError::new(format!("the {name} must be at least 1")));
            }
        }
        for (name, value) in [("dropout", self.dropout), ("embedding dropout", self.embedding_dropout)] {
            if !(0.0..1.0).contains(&value) {
                return Err(UsageError::new(format!(
                    "the {name} must be at least 0 and below 1, not {value}"
                )));
            }
        }
        if tied && embedding_size != hidden_size {
            return Err(UsageError::new(format!(
                "tied weights need an embedding size equal to the hidden size, not {embedding_size} and \
                 {hidden_size}: make them equal, or do not tie"
            )));
        }
        Ok(())
    }

    fn rnn(&self) -> RnnConfig {
        RnnConfig {
            layers: self.layers,
            dropout: self.dropout,
            reduction: self.reduction,
            matmul: self.matmul,
            ..RnnConfig::new(self.cell.into(), self.embedding_size, self.hidden_size)
        }
    }
}

/// A recurrent language model over symbols `0..vocab_size`.
#[derive(Clone, Debug)]
pub struct Network {
    embedding: Embedding,
    rnn: Rnn,
    output: Linear,
    dropout: f64,
    embedding_dropout: f64,
}

impl Network {
    /// Reads or creates the weights `embedding.weight`, `rnn.weight_ih_l0`, …, `output.bias` and,
    /// unless tied, `output.weight`.
    ///
    /// # Errors
    /// Settings that do not fit each other; a weight that is missing or has another shape.
    pub fn new(config: &NetworkConfig, vocab_size: usize, vb: VarBuilder) -> Result<Self> {
        config.validate()?;
        if config.tied {
            // The vectors are also the output's weights, for which the embedding's usual standard
            // deviation of 1 would be far too much: Merity et al. (2017) start at ±0.1.
            let shape = (vocab_size, config.embedding_size);
            vb.pp("embedding").get_with_hints(shape, "weight", Init::Uniform { lo: -0.1, up: 0.1 })?;
        }
        let embedding = Embedding::new(vocab_size, config.embedding_size, vb.pp("embedding"))?;
        let rnn = Rnn::new(&config.rnn(), vb.pp("rnn"))?;
        let output = if config.tied {
            let bias = vb.pp("output").get_with_hints(vocab_size, "bias", Init::Const(0.0))?;
            Linear::from_weight(embedding.weight().clone(), Some(bias))
        } else {
            Linear::new(rnn.output_size(), vocab_size, true, vb.pp("output"))?
        };
        let output = output.with_matmul(config.matmul);
        let NetworkConfig { dropout, embedding_dropout, .. } = *config;
        Ok(Self { embedding, rnn, output, dropout, embedding_dropout })
    }

    /// Scores of the next symbol after each of `symbols` (`[batch, time]`, u32):
    /// `[batch, time, vocab_size]`, unnormalised, and the state after the last step.
    ///
    /// # Errors
    /// Symbols outside the vocabulary, or a state of another batch size.
    pub fn forward(
        &self,
        symbols: &Tensor,
        state: Option<&State>,
        mode: &mut Mode,
    ) -> candle_core::Result<(Tensor, State)> {
        let (hidden, state) = self.hidden(symbols, state, mode)?;
        Ok((self.output.forward(&dropout(&hidden, self.dropout, mode)?)?, state))
    }

    /// The first half of [`forward`](Self::forward): outputs of the last recurrent layer,
    /// `[batch, time, hidden]`.
    pub(crate) fn hidden(
        &self,
        symbols: &Tensor,
        state: Option<&State>,
        mode: &mut Mode,
    ) -> candle_core::Result<(Tensor, State)> {
        let vectors = dropout(&self.embedding.forward(symbols)?, self.embedding_dropout, mode)?;
        self.rnn.forward(&vectors, None, state, mode)
    }

    /// Outputs of the last recurrent layer and the symbols that came next (`[batch, time]`) to
    /// the cross entropy, without holding the scores of all symbols.
    pub(crate) fn loss(
        &self,
        loss: CrossEntropy,
        hidden: &Tensor,
        targets: &Tensor,
        mode: &mut Mode,
    ) -> candle_core::Result<LossSum> {
        let hidden = dropout(hidden, self.dropout, mode)?;
        loss.of_linear(&self.output, &hidden, targets, mode)
    }

    /// One symbol per row (`[batch]`, u32) to the scores of the next, `[batch, vocab_size]`.
    ///
    /// # Errors
    /// Symbols outside the vocabulary, or a state of another batch size.
    pub fn step(&self, symbols: &Tensor, state: &State) -> candle_core::Result<(Tensor, State)> {
        let (hidden, state) = self.rnn.step(&self.embedding.forward(symbols)?, state)?;
        Ok((self.output.forward(&hidden)?, state))
    }

    /// The vectors of the symbols.
    pub fn embedding(&self) -> &Embedding {
        &self.embedding
    }

    /// The recurrent layers.
    pub fn rnn(&self) -> &Rnn {
        &self.rnn
    }

    /// The layer that gives the scores.
    pub fn output(&self) -> &Linear {
        &self.output
    }
}
