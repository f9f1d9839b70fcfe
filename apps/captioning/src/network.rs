//! The network that tells: a decoder that begins from the picture as a whole and, if it attends, looks at its
//! regions at every word.
//!
//! ```text
//! r_i = relu(BatchNorm(W_r region_i)) + p_i                what stands at place i, and where that is
//! r_i ← r_i + ReNet(r)_i                                   and, with `surroundings`, what stands around it
//! h_0 = tanh(W_s [global; mean_i r_i] + b_s)               the picture starts the state (Vinyals et al. 2015)
//!
//! h_t = cell(y_{t-1}, h_{t-1})
//! a_t = tanh(W_c h_t + b_c)                                tell  (Show and Tell)
//! a_t = tanh(W_c [h_t; σ(W_g h_t + b_g) ⊙ Σ_i α_ti r_i] + b_c)
//!                                                          attend (Show, Attend and Tell, Xu et al. 2015)
//! p(y_t | y_1 … y_{t-1}, picture) = softmax(W a_t + b)
//! ```
//!
//! `p_i` are sines and cosines of the row and of the column (Vaswani et al. 2017), for a table that is learnt would
//! have to find out for each place by itself what lies left of it. `surroundings` are recurrent layers over the rows
//! and columns of regions ([`ReNet`], Visin et al. 2015): a state that attends to one object so sees where the
//! others are.
//!
//! With `words`, each region also says which words of the vocabulary stand for it, and what one says loudest
//! counts for the picture (Fang et al. 2015, *From captions to visual concepts and back*, with the maximum for
//! their noisy or): `s_w = max_i (W_v r_i + b_v)_w`. That is for training alone. It tells an encoder that is
//! trained from scratch what to look for long before the decoder could.
//!
//! The state attends after it has read the last word, as in Lu et al. (2017), rather than before: then the
//! recurrence does not wait for the attention, and all words of a caption attend at once.

use std::collections::HashMap;
use std::f64::consts::PI;

use anyhow::Result;
use app_kit::UsageError;
use app_kit::network::CellName;
use candle_core::{Device, Tensor};
use candle_nn::{Init, VarBuilder};
use candle_rnn::{
    AttentionRnn, AttentionRnnConfig, AttentionScore, BatchNorm, Cell, CrossEntropy, Embedding, Lengths,
    Linear, LossSum, MatmulPrecision, Memory, Mode, ReNet, Rnn, RnnConfig, State, dropout,
};
use clap::ValueEnum;
use rnn_decode::AttentionDecoder;
use serde::{Deserialize, Serialize};

use crate::encoder::{Seen, Sizes};

/// How far the sines of positions go up and down, beside features of about 1.
const HEIGHT: f64 = 0.5;

/// How the picture takes part in what is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum DecoderName {
    /// It starts the state (Vinyals et al. 2015, Show and Tell)
    Tell,
    /// It is looked at again at every word (Xu et al. 2015, Show, Attend and Tell)
    #[default]
    Attend,
}

/// The shape of the decoder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkConfig {
    /// How the picture takes part.
    pub decoder: DecoderName,
    /// The neuron.
    pub cell: CellName,
    /// Features of a region as the decoder sees it.
    pub region_size: usize,
    /// Features of a symbol's vector, which is also the output's weight (Press and Wolf 2017).
    pub embedding_size: usize,
    /// Units of the recurrent layer.
    pub hidden_size: usize,
    /// Units of the additive attention.
    pub attention_size: usize,
    /// Whether a gate weighs what was seen against what is told anyway.
    pub gate: bool,
    /// Whether recurrent layers go over the rows and the columns of regions, so that each knows what is around
    /// it.
    pub surroundings: bool,
    /// Whether regions say which words stand for them, for [`LossConfig::words`](crate::task::LossConfig).
    pub words: bool,
    /// Probability with which a number is dropped in training: of regions, of symbols' vectors, before the
    /// output.
    pub dropout: f64,
    /// How exactly the factors of matrix products are held in training, on the CPU.
    pub matmul: MatmulPrecision,
}

impl Default for NetworkConfig {
    /// 256 of everything, with attention and a gate; a GRU.
    fn default() -> Self {
        Self {
            decoder: DecoderName::Attend,
            cell: CellName::Gru,
            region_size: 256,
            embedding_size: 256,
            hidden_size: 256,
            attention_size: 256,
            gate: true,
            surroundings: false,
            words: false,
            dropout: 0.3,
            matmul: MatmulPrecision::Full,
        }
    }
}

impl NetworkConfig {
    /// Whether the settings make a network.
    ///
    /// # Errors
    /// [`UsageError`], with what to change.
    pub fn validate(&self) -> Result<(), UsageError> {
        for (name, value) in [
            ("region size", self.region_size),
            ("embedding size", self.embedding_size),
            ("hidden size", self.hidden_size),
            ("attention size", self.attention_size),
        ] {
            if value == 0 {
                return Err(UsageError::new(format!("the {name} must be at least 1")));
            }
        }
        // The two directions share them, and so do the rows' and the columns' sines and cosines.
        if !self.region_size.is_multiple_of(4) {
            let size = self.region_size;
            return Err(UsageError::new(format!("the region size must be a multiple of 4, not {size}")));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            let dropout = self.dropout;
            return Err(UsageError::new(format!(
                "the dropout must be at least 0 and below 1, not {dropout}"
            )));
        }
        Ok(())
    }

    fn attending(&self) -> AttentionRnnConfig {
        AttentionRnnConfig {
            cell: self.cell.into(),
            input_size: self.embedding_size,
            hidden_size: self.hidden_size,
            memory_size: self.region_size,
            output_size: self.embedding_size,
            score: AttentionScore::Additive(self.attention_size),
            input_feeding: false,
            gate: self.gate,
            matmul: self.matmul,
        }
    }

    fn telling(&self) -> RnnConfig {
        RnnConfig {
            matmul: self.matmul,
            ..RnnConfig::new(self.cell.into(), self.embedding_size, self.hidden_size)
        }
    }
}

/// A decoder of captions over symbols `0..vocab`.
#[derive(Clone, Debug)]
pub struct Network {
    config: NetworkConfig,
    region: Linear,
    norm: BatchNorm,
    /// `[places, region]`
    positions: Tensor,
    surroundings: Option<ReNet>,
    start: Linear,
    embedding: Embedding,
    decoder: Decoder,
    output: Linear,
    words: Option<Linear>,
}

#[derive(Clone, Debug)]
enum Decoder {
    Tell { rnn: Box<Rnn>, combine: Linear },
    Attend(Box<AttentionRnn>),
}

/// A picture as the decoder sees it.
#[derive(Clone, Debug)]
pub struct Picture {
    /// Where the cell begins, `[batch, state]`.
    pub state: Tensor,
    /// What it can attend to; none for a decoder that does not.
    pub memory: Option<Memory>,
    /// What its regions say of each word, `[batch, vocab]`, for a loss of words.
    pub words: Option<Tensor>,
}

impl Picture {
    /// The pictures named by `index`, such as each as often as it has captions.
    ///
    /// # Errors
    /// When there is no such row.
    pub fn rows(&self, index: &[usize]) -> candle_core::Result<Self> {
        let rows: Vec<u32> = index.iter().map(|&row| row as u32).collect();
        let state = self.state.index_select(&Tensor::new(rows, self.state.device())?, 0)?;
        let memory = self.memory.as_ref().map(|memory| memory.rows(index)).transpose()?;
        // Of the pictures themselves, not of their captions.
        Ok(Self { state, memory, words: None })
    }
}

impl Network {
    /// Reads or creates the weights `region.weight`, …, `start.weight`, …, `embedding.weight`,
    /// `decoder.weight_ih_l0`, …, `output.bias`, with surroundings `surroundings.rows.weight_ih_l0`, … and, with
    /// words, `words.weight`, `words.bias`.
    ///
    /// # Errors
    /// Settings that do not fit each other; a weight that is missing or has another shape.
    pub fn new(config: &NetworkConfig, sizes: Sizes, vocab: usize, vb: VarBuilder) -> Result<Self> {
        config.validate()?;
        let size = config.embedding_size;
        // Small at first, for these are also the output's weights.
        let init = Init::Randn { mean: 0.0, stdev: (size as f64).powf(-0.5) };
        vb.pp("embedding").get_with_hints((vocab, size), "weight", init)?;
        let embedding = Embedding::new(vocab, size, vb.pp("embedding"))?;
        let bias = vb.pp("output").get_with_hints(vocab, "bias", Init::Const(0.0))?;
        let output = Linear::from_weight(embedding.weight().clone(), Some(bias));
        let state = Cell::from(config.cell).state_size(config.hidden_size);
        let start = Linear::new(sizes.global + config.region_size, state, true, vb.pp("start"))?;
        let decoder = match config.decoder {
            DecoderName::Tell => {
                let rnn = Rnn::new(&config.telling(), vb.pp("decoder"))?;
                let combine = Linear::new(rnn.output_size(), size, true, vb.pp("decoder").pp("combine"))?;
                Decoder::Tell { rnn: Box::new(rnn), combine: combine.with_matmul(config.matmul) }
            }
            DecoderName::Attend => {
                Decoder::Attend(Box::new(AttentionRnn::new(&config.attending(), vb.pp("decoder"))?))
            }
        };
        let region = Linear::new(sizes.region, config.region_size, false, vb.pp("region"))?;
        Ok(Self {
            region: region.with_matmul(config.matmul),
            norm: BatchNorm::new(config.region_size, 1e-5, vb.pp("region").pp("norm"))?,
            positions: positions(sizes.grid, config.region_size, vb.device())?.to_dtype(vb.dtype())?,
            surroundings: match config.surroundings {
                true => Some(ReNet::new(
                    config.cell.into(),
                    config.region_size,
                    config.region_size / 2,
                    config.matmul,
                    vb.pp("surroundings"),
                )?),
                false => None,
            },
            start: start.with_matmul(config.matmul),
            embedding,
            decoder,
            output: output.with_matmul(config.matmul),
            words: match config.words {
                true => Some(Linear::new(config.region_size, vocab, true, vb.pp("words"))?),
                false => None,
            },
            config: config.clone(),
        })
    }

    /// What it was made with.
    pub fn config(&self) -> &NetworkConfig {
        &self.config
    }

    /// What an encoder has seen, as the decoder sees it.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn look(&self, seen: &Seen, mode: &mut Mode) -> candle_core::Result<Picture> {
        let regions = self.norm.forward_relu(&self.region.forward(&seen.regions)?, mode)?;
        let words = match (&self.words, &mode) {
            (Some(words), Mode::Train(_)) => Some(words.forward(&regions)?.max(1)?),
            _ => None,
        };
        let regions = self.placed(&regions, mode)?;
        let regions = dropout(&regions, self.config.dropout, mode)?;
        let whole = Tensor::cat(&[&seen.global, &regions.mean(1)?], 1)?;
        let memory = match &self.decoder {
            Decoder::Tell { .. } => None,
            Decoder::Attend(decoder) => {
                let (batch, places, _) = regions.dims3()?;
                Some(decoder.memory(&regions, &Lengths::new(vec![places; batch], places)?)?)
            }
        };
        Ok(Picture { state: self.start.forward(&whole)?.tanh()?, memory, words })
    }

    /// Regions with where they are and what is around them.
    fn placed(&self, regions: &Tensor, mode: &mut Mode) -> candle_core::Result<Tensor> {
        let regions = regions.broadcast_add(&self.positions)?;
        let Some(surroundings) = &self.surroundings else { return Ok(regions) };
        let (batch, places, size) = regions.dims3()?;
        let grid = places.isqrt();
        let around = surroundings.forward(&regions.reshape((batch, grid, grid, size))?, mode)?;
        regions + around.reshape((batch, places, size))?
    }

    /// The vector after each symbol of `inputs [batch, time]` (u32), `[batch, time, embedding]`, and what each
    /// attended to, `[batch, time, places]`.
    ///
    /// # Errors
    /// Symbols outside the vocabulary.
    pub fn decode(
        &self,
        picture: &Picture,
        inputs: &Tensor,
        lengths: &Lengths,
        mode: &mut Mode,
    ) -> candle_core::Result<(Tensor, Option<Tensor>)> {
        let vectors = dropout(&self.embedding.forward(inputs)?, self.config.dropout, mode)?;
        let (vectors, attended) = match (&self.decoder, &picture.memory) {
            (Decoder::Attend(decoder), Some(memory)) => {
                let (vectors, attended) =
                    decoder.forward_with_weights(&vectors, Some(lengths), &picture.state, memory)?;
                (vectors, Some(attended))
            }
            (Decoder::Tell { rnn, combine }, _) => {
                let state = first_state(rnn, &picture.state)?;
                let (states, _) = rnn.forward(&vectors, Some(lengths), Some(&state), mode)?;
                (combine.forward(&states)?.tanh()?, None)
            }
            (Decoder::Attend(_), None) => candle_core::bail!("a picture without regions to attend to"),
        };
        Ok((dropout(&vectors, self.config.dropout, mode)?, attended))
    }

    /// The loss of predicting `targets [batch, time]` from these vectors.
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

    /// The scores of all symbols after these vectors.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn scores(&self, vectors: &Tensor) -> candle_core::Result<Tensor> {
        self.output.forward(vectors)
    }

    /// The decoder as it is now, ready for a search; none if it does not attend.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn writer(&self) -> candle_core::Result<Option<AttentionDecoder>> {
        match &self.decoder {
            Decoder::Attend(decoder) => {
                AttentionDecoder::new(&self.embedding, decoder, &self.output).map(Some)
            }
            Decoder::Tell { .. } => Ok(None),
        }
    }

    /// One step of a decoder that does not attend: the scores of the next symbols, `[batch, vocab]`, and its
    /// state.
    ///
    /// # Errors
    /// Symbols outside the vocabulary; a decoder that attends.
    pub fn step(&self, symbols: &Tensor, state: &Tensor) -> candle_core::Result<(Tensor, Tensor)> {
        let Decoder::Tell { rnn, combine } = &self.decoder else {
            candle_core::bail!("a decoder that attends has another step")
        };
        let vectors = self.embedding.forward(symbols)?;
        let (states, state) = rnn.step(&vectors, &first_state(rnn, state)?)?;
        let scores = self.output.forward(&combine.forward(&states)?.tanh()?)?;
        Ok((scores, state.get(0, 0).clone()))
    }
}

/// Where the places of a grid are, `[grid · grid, size]`, row by row: half of each vector tells the column, half
/// the row, each by sines and cosines (Vaswani et al. 2017, section 3.5) whose wavelengths are from twice a place
/// to twice the grid. A fourth of the size must be whole.
fn positions(grid: usize, size: usize, device: &Device) -> candle_core::Result<Tensor> {
    let waves = size / 4;
    let of = |at: usize| {
        (0..waves).flat_map(move |wave| {
            let longer = (grid as f64).powf(wave as f64 / waves as f64);
            let (sine, cosine) = (PI * at as f64 / longer).sin_cos();
            [sine, cosine].map(|number| (HEIGHT * number) as f32)
        })
    };
    let places = (0..grid).flat_map(|row| (0..grid).map(move |column| (row, column)));
    let numbers: Vec<f32> = places.flat_map(|(row, column)| of(column).chain(of(row))).collect();
    Tensor::from_vec(numbers, (grid * grid, size), device)
}

/// The state of a recurrent layer from its numbers, `[batch, state]`.
fn first_state(rnn: &Rnn, numbers: &Tensor) -> candle_core::Result<State> {
    State::from_tensors(rnn.config(), &HashMap::from([("state.0".to_owned(), numbers.clone())]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_differ_and_tell_their_row_and_column_apart() -> candle_core::Result<()> {
        let (grid, size) = (8, 32);
        let table = positions(grid, size, &Device::Cpu)?.to_vec2::<f32>()?;
        for place in 0..grid * grid {
            for other in 0..place {
                let same = |half: std::ops::Range<usize>| table[place][half.clone()] == table[other][half];
                assert_eq!(same(0..size / 2), place % grid == other % grid, "{place}, {other}");
                assert_eq!(same(size / 2..size), place / grid == other / grid, "{place}, {other}");
            }
        }
        Ok(())
    }
}
