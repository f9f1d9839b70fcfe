//! The network: an encoder that reads the source in both directions, a bridge, and a decoder that
//! attends to what was read while it writes.
//!
//! ```text
//! m_1 … m_S = Rnn(source vectors)                  both directions, their states side by side
//! h_0 = tanh(W_b [last states of both] + b_b)      the bridge
//! a_t = AttentionRnn(y_{t-1}; h_{t-1}, m)          attention (Bahdanau et al. 2015; Luong et al. 2015)
//! p(y_t | y_1 … y_{t-1}, source) = softmax(W a_t + b)
//! ```

use anyhow::Result;
use app_kit::{CellName, UsageError};
use candle_core::Tensor;
use candle_nn::{Init, VarBuilder};
use candle_rnn::{
    AttentionRnn, AttentionRnnConfig, AttentionScore, Cell, CrossEntropy, Embedding, Lengths, Linear,
    LossSum, MatmulPrecision, Memory, Mode, Rnn, RnnConfig, dropout, dropout_over_time,
};
use clap::ValueEnum;
use rnn_decode::AttentionDecoder;
use serde::{Deserialize, Serialize};

/// How the decoder compares its state with what the encoder has read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum ScoreName {
    /// By a small network (Bahdanau et al. 2015)
    #[default]
    Additive,
    /// By a product (Luong et al. 2015, "general")
    Multiplicative,
}

/// Which embeddings are one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Tied {
    /// None
    None,
    /// The target's and the output's weight
    Target,
    /// The source's too; needs one vocabulary for both languages
    #[default]
    All,
}

/// The shape of the network; the sizes of the vocabularies come from the tokenizers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkConfig {
    /// The neuron of encoder and decoder.
    pub cell: CellName,
    /// Features of a symbol's vector; with tied embeddings also of the attentional vector.
    pub embedding_size: usize,
    /// Units of each layer and direction of the encoder.
    pub encoder_size: usize,
    /// Layers of the encoder, each in both directions.
    pub encoder_layers: usize,
    /// Units of the decoder.
    pub decoder_size: usize,
    /// How the decoder attends.
    pub score: ScoreName,
    /// Units of the additive attention.
    pub attention_size: usize,
    /// Whether a step of the decoder reads what the one before has attended to.
    pub input_feeding: bool,
    /// Embeddings that are one (Press and Wolf 2017).
    pub tied: Tied,
    /// Probability with which a number of a symbol's vector is dropped in training.
    pub embedding_dropout: f64,
    /// The same for the encoder's outputs, between its layers and at its end.
    pub encoder_dropout: f64,
    /// The same for the attentional vectors, before the output.
    pub output_dropout: f64,
    /// Whether a mask of dropout is the same at all steps of a sentence (Gal and Ghahramani 2016).
    pub dropout_over_time: bool,
    /// How exactly the factors of matrix products are held in training, on the CPU.
    pub matmul: MatmulPrecision,
}

impl Default for NetworkConfig {
    /// GRUs: 256 units in each direction of the encoder, 512 in the decoder, vectors of 256 that are one
    /// for source, target and output, additive attention of 256 units with input feeding.
    fn default() -> Self {
        Self {
            cell: CellName::Gru,
            embedding_size: 256,
            encoder_size: 256,
            encoder_layers: 1,
            decoder_size: 512,
            score: ScoreName::Additive,
            attention_size: 256,
            input_feeding: true,
            tied: Tied::All,
            embedding_dropout: 0.3,
            encoder_dropout: 0.3,
            output_dropout: 0.3,
            dropout_over_time: false,
            matmul: MatmulPrecision::Full,
        }
    }
}

impl NetworkConfig {
    /// Checks that the settings fit each other and the vocabularies (`joint`: they are one).
    ///
    /// # Errors
    /// [`UsageError`], with what to change.
    pub fn validate(&self, joint: bool) -> Result<(), UsageError> {
        for (name, value) in [
            ("embedding size", self.embedding_size),
            ("encoder size", self.encoder_size),
            ("number of encoder layers", self.encoder_layers),
            ("decoder size", self.decoder_size),
            ("attention size", self.attention_size),
        ] {
            if value == 0 {
                return Err(UsageError::new(format!("the {name} must be at least 1")));
            }
        }
        for (name, value) in [
            ("embedding dropout", self.embedding_dropout),
            ("encoder dropout", self.encoder_dropout),
            ("output dropout", self.output_dropout),
        ] {
            if !(0.0..1.0).contains(&value) {
                return Err(UsageError::new(format!(
                    "the {name} must be at least 0 and below 1, not {value}"
                )));
            }
        }
        if self.tied == Tied::All && !joint {
            return Err(UsageError::new(
                "the source's vectors can be tied to the target's only with one vocabulary for both: \
                 leave out --separate, or choose --tied target",
            ));
        }
        Ok(())
    }

    fn encoder(&self) -> RnnConfig {
        RnnConfig {
            layers: self.encoder_layers,
            bidirectional: true,
            dropout: self.encoder_dropout,
            dropout_over_time: self.dropout_over_time,
            matmul: self.matmul,
            ..RnnConfig::new(self.cell.into(), self.embedding_size, self.encoder_size)
        }
    }

    fn decoder(&self) -> AttentionRnnConfig {
        AttentionRnnConfig {
            cell: self.cell.into(),
            input_size: self.embedding_size,
            hidden_size: self.decoder_size,
            memory_size: 2 * self.encoder_size,
            output_size: if self.tied == Tied::None { self.decoder_size } else { self.embedding_size },
            score: match self.score {
                ScoreName::Additive => AttentionScore::Additive(self.attention_size),
                ScoreName::Multiplicative => AttentionScore::Multiplicative,
            },
            input_feeding: self.input_feeding,
            gate: false,
            matmul: self.matmul,
        }
    }
}

/// A translation model over symbols `0..source_vocab` and `0..target_vocab`.
#[derive(Clone, Debug)]
pub struct Network {
    config: NetworkConfig,
    source: Embedding,
    target: Embedding,
    encoder: Rnn,
    bridge: Linear,
    decoder: AttentionRnn,
    output: Linear,
}

/// What the encoder has read: where the decoder begins, and what it attends to.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// `[batch, state]`
    pub state: Tensor,
    /// The states of the encoder at each symbol of the source.
    pub memory: Memory,
}

impl Network {
    /// Reads or creates the weights `source.weight`, `target.weight` (or `embedding.weight` for both),
    /// `encoder.weight_ih_l0`, …, `bridge.weight`, `decoder.weight_ih_l0`, …, `output.bias` and,
    /// unless tied, `output.weight`.
    ///
    /// # Errors
    /// Settings that do not fit each other; a weight that is missing or has another shape.
    pub fn new(
        config: &NetworkConfig,
        source_vocab: usize,
        target_vocab: usize,
        vb: VarBuilder,
    ) -> Result<Self> {
        config.validate(source_vocab == target_vocab)?;
        let size = config.embedding_size;
        let embedding = |name: &str, vocab: usize| -> Result<Embedding> {
            // Small at first, for these are also the output's weights.
            let init = Init::Randn { mean: 0.0, stdev: (size as f64).powf(-0.5) };
            vb.pp(name).get_with_hints((vocab, size), "weight", init)?;
            Ok(Embedding::new(vocab, size, vb.pp(name))?)
        };
        let (source, target) = match config.tied {
            Tied::All => {
                let both = embedding("embedding", target_vocab)?;
                (both.clone(), both)
            }
            _ => (embedding("source", source_vocab)?, embedding("target", target_vocab)?),
        };
        let encoder = Rnn::new(&config.encoder(), vb.pp("encoder"))?;
        let cell = Cell::from(config.cell);
        let states = 2 * cell.state_size(config.encoder_size);
        let bridge = Linear::new(states, cell.state_size(config.decoder_size), true, vb.pp("bridge"))?;
        let decoder = AttentionRnn::new(&config.decoder(), vb.pp("decoder"))?;
        let output = match config.tied {
            Tied::None => Linear::new(config.decoder_size, target_vocab, true, vb.pp("output"))?,
            _ => {
                let bias = vb.pp("output").get_with_hints(target_vocab, "bias", Init::Const(0.0))?;
                Linear::from_weight(target.weight().clone(), Some(bias))
            }
        };
        let output = output.with_matmul(config.matmul);
        let bridge = bridge.with_matmul(config.matmul);
        Ok(Self { config: config.clone(), source, target, encoder, bridge, decoder, output })
    }

    /// Reads sources: `[batch, time]` (u32), of which each row has a length.
    ///
    /// # Errors
    /// Symbols outside the vocabulary.
    pub fn encode(
        &self,
        sources: &Tensor,
        lengths: &Lengths,
        mode: &mut Mode,
    ) -> candle_core::Result<Encoded> {
        let vectors = self.drop(&self.source.forward(sources)?, self.config.embedding_dropout, mode)?;
        let (states, last) = self.encoder.forward(&vectors, Some(lengths), None, mode)?;
        let states = self.drop(&states, self.config.encoder_dropout, mode)?;
        let top = self.config.encoder_layers - 1;
        let both = Tensor::cat(&[last.get(top, 0), last.get(top, 1)], 1)?;
        Ok(Encoded {
            state: self.bridge.forward(&both)?.tanh()?,
            memory: self.decoder.memory(&states, lengths)?,
        })
    }

    /// The attentional vector after each symbol of `inputs [batch, time]` (u32), `[batch, time, size]`.
    ///
    /// # Errors
    /// Symbols outside the vocabulary.
    pub fn decode(
        &self,
        encoded: &Encoded,
        inputs: &Tensor,
        lengths: &Lengths,
        mode: &mut Mode,
    ) -> candle_core::Result<Tensor> {
        let vectors = self.drop(&self.target.forward(inputs)?, self.config.embedding_dropout, mode)?;
        let vectors = self.decoder.forward(&vectors, Some(lengths), &encoded.state, &encoded.memory)?;
        self.drop(&vectors, self.config.output_dropout, mode)
    }

    /// The loss of predicting `targets [batch, time]` from attentional vectors.
    ///
    /// # Errors
    /// Symbols outside the vocabulary that are not ignored.
    pub fn loss(
        &self,
        loss: CrossEntropy,
        vectors: &Tensor,
        targets: &Tensor,
        mode: &Mode,
    ) -> candle_core::Result<LossSum> {
        loss.of_linear(&self.output, vectors, targets, mode)
    }

    fn drop(&self, xs: &Tensor, p: f64, mode: &mut Mode) -> candle_core::Result<Tensor> {
        match self.config.dropout_over_time {
            true => dropout_over_time(xs, p, mode),
            false => dropout(xs, p, mode),
        }
    }

    /// What it was made with.
    pub fn config(&self) -> &NetworkConfig {
        &self.config
    }

    /// The layer that gives the scores.
    pub fn output(&self) -> &Linear {
        &self.output
    }

    /// The decoder as it is now, ready for a search.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn writer(&self) -> candle_core::Result<AttentionDecoder> {
        AttentionDecoder::new(&self.target, &self.decoder, &self.output)
    }
}
