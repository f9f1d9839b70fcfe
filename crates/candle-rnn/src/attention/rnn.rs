//! [`AttentionRnn`]: a recurrent layer that attends to a memory at every step.
//!
//! The decoder of Luong, Pham and Manning (2015), *Effective approaches to attention-based neural
//! machine translation*. With `c_t` what the state `h_t` finds in the memory:
//!
//! ```text
//! h_t = cell(x_t, h_{t-1})                           without input feeding
//! h_t = cell(W_ih x_t + W_f a_{t-1}, h_{t-1})        with input feeding (section 3.3), a_0 = 0
//! c_t ← σ(W_g h_t + b_g) ⊙ c_t                       with a gate (Xu et al. 2015, section 4.2.1)
//! a_t = tanh(W_c [h_t; c_t] + b_c)                   (equation 5)
//! ```
//!
//! The gate lets a state decide how much of what it sees matters for the next word: all for a colour,
//! nothing for an article. It is there without input feeding only.
//!
//! The outputs are the attentional vectors `a_t`. Without input feeding the recurrence does not wait
//! for the attention: all steps of the layer, then all attention of the batch. With it the two take
//! turns inside one node.

use candle_core::{Result, Tensor, bail};
use candle_nn::VarBuilder;
use serde::{Deserialize, Serialize};

use super::{Attention, AttentionScore, Memory};
use crate::bptt::Reduction;
use crate::cell::{Cell, CellWeights};
use crate::init::pytorch_uniform;
use crate::sequence::feeding::{Feeding, attentional_vector, fed_weights, gated};
use crate::sequence::{self, Sequence};
use crate::{Lengths, Linear, MatmulPrecision};

/// The shape of an [`AttentionRnn`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttentionRnnConfig {
    /// The neuron.
    pub cell: Cell,
    /// Features of the input.
    pub input_size: usize,
    /// Units of the cell.
    pub hidden_size: usize,
    /// Features of the memory.
    pub memory_size: usize,
    /// Features of the attentional vector.
    pub output_size: usize,
    /// How the memory is searched.
    pub score: AttentionScore,
    /// Whether a step also reads the attentional vector of the one before.
    pub input_feeding: bool,
    /// Whether there is a gate on what was found; not with input feeding.
    #[serde(default)]
    pub gate: bool,
    /// How exactly the factors of matrix products are held, on the CPU.
    pub matmul: MatmulPrecision,
}

/// A recurrent layer with attention (see the [module](self)).
#[derive(Clone, Debug)]
pub struct AttentionRnn {
    config: AttentionRnnConfig,
    weights: CellWeights,
    /// `W_f`, with input feeding.
    feed: Option<Tensor>,
    attention: Attention,
    /// `W_g` and `b_g`, with a gate.
    gate: Option<Linear>,
    combine: Linear,
}

/// What a step of an [`AttentionRnn`] hands to the next.
#[derive(Clone, Debug)]
pub struct Feed {
    /// The cell's state, `[batch, state_size]`.
    pub state: Tensor,
    /// The attentional vector, `[batch, output]`.
    pub vector: Tensor,
}

impl Feed {
    /// Before the first step: the cell's state `[batch, state_size]`, and nothing to be fed.
    ///
    /// # Errors
    /// When the state has not two dimensions.
    pub fn first(layer: &AttentionRnn, state: &Tensor) -> Result<Self> {
        let (batch, _) = state.dims2()?;
        let vector = Tensor::zeros((batch, layer.config.output_size), state.dtype(), state.device())?;
        Ok(Self { state: state.clone(), vector })
    }

    /// The rows named by `index` (u32), for beams.
    ///
    /// # Errors
    /// When there is no such row.
    pub fn rows(&self, index: &Tensor) -> Result<Self> {
        Ok(Self { state: self.state.index_select(index, 0)?, vector: self.vector.index_select(index, 0)? })
    }
}

impl AttentionRnn {
    /// Reads or creates the weights of the cell (`weight_ih_l0`, …), of the attention
    /// (`attention.key.weight`, …), `combine.weight [output, hidden + memory]`, `combine.bias`,
    /// with input feeding `feed.weight [gates · hidden, output]` and with a gate
    /// `gate.weight [memory, hidden]` and `gate.bias`.
    ///
    /// # Errors
    /// When a size is zero or a weight has another shape; for a gate with input feeding.
    pub fn new(config: &AttentionRnnConfig, vb: VarBuilder) -> Result<Self> {
        let AttentionRnnConfig { cell, input_size, hidden_size, memory_size, output_size, .. } = *config;
        if output_size == 0 {
            bail!("a layer with attention needs at least one output");
        }
        if config.gate && config.input_feeding {
            bail!("a layer with input feeding has no gate");
        }
        let weights = CellWeights::new(cell, input_size, hidden_size, "l0", &vb)?;
        let gates = cell.gates() * hidden_size;
        let init = pytorch_uniform(hidden_size);
        let feed = match config.input_feeding {
            true => Some(vb.pp("feed").get_with_hints((gates, output_size), "weight", init)?),
            false => None,
        };
        let h = cell.output_size(hidden_size);
        let attention = Attention::new(config.score, h, memory_size, vb.pp("attention"))?;
        let gate = match config.gate {
            true => Some(Linear::new(h, memory_size, true, vb.pp("gate"))?.with_matmul(config.matmul)),
            false => None,
        };
        let combine = Linear::new(h + memory_size, output_size, true, vb.pp("combine"))?;
        Ok(Self {
            config: config.clone(),
            weights,
            feed,
            attention: attention.with_matmul(config.matmul),
            gate,
            combine: combine.with_matmul(config.matmul),
        })
    }

    /// What the layer was made with.
    pub fn config(&self) -> &AttentionRnnConfig {
        &self.config
    }

    /// The memory `[batch, places, memory_size]` ready to be attended to.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn memory(&self, values: &Tensor, lengths: &Lengths) -> Result<Memory> {
        self.attention.memory(values, lengths)
    }

    /// All steps of a padded batch: `xs [batch, time, input]` to the attentional vectors
    /// `[batch, time, output]`, zero on padding. The cell begins with `state [batch, state_size]`.
    ///
    /// Differentiable in `xs`, the memory, the weights and the state.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward(
        &self,
        xs: &Tensor,
        lengths: Option<&Lengths>,
        state: &Tensor,
        memory: &Memory,
    ) -> Result<Tensor> {
        Ok(self.run(xs, lengths, state, memory, sequence::forward, Attention::forward)?.0)
    }

    /// [`forward`](Self::forward), and what was attended to, `[batch, time, places]`, with a gradient; on
    /// padding of time it has no meaning.
    ///
    /// # Errors
    /// When the shapes do not fit, or for a layer with input feeding.
    pub fn forward_with_weights(
        &self,
        xs: &Tensor,
        lengths: Option<&Lengths>,
        state: &Tensor,
        memory: &Memory,
    ) -> Result<(Tensor, Tensor)> {
        let attend = Attention::forward_with_weights;
        match self.run(xs, lengths, state, memory, sequence::forward, attend)? {
            (vectors, Some(weights)) => Ok((vectors, weights)),
            (_, None) => bail!("what a layer with input feeding attends to has no gradient"),
        }
    }

    /// The same result as [`forward`](Self::forward) with every step unrolled in the autograd graph:
    /// the truth for the tests.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn reference(
        &self,
        xs: &Tensor,
        lengths: Option<&Lengths>,
        state: &Tensor,
        memory: &Memory,
    ) -> Result<Tensor> {
        Ok(self.run(xs, lengths, state, memory, sequence::reference::forward, Attention::reference)?.0)
    }

    fn run(
        &self,
        xs: &Tensor,
        lengths: Option<&Lengths>,
        state: &Tensor,
        memory: &Memory,
        path: fn(Sequence) -> Result<(Tensor, Tensor)>,
        attend: fn(&Attention, &Tensor, &Memory) -> Result<(Tensor, Tensor)>,
    ) -> Result<(Tensor, Option<Tensor>)> {
        let AttentionRnnConfig { cell, input_size, hidden_size, memory_size, .. } = self.config;
        let (batch, time, input) = xs.dims3()?;
        if input != input_size || batch == 0 || time == 0 {
            bail!(
                "input of shape {:?}, expected [batch, time, {input_size}] with a row and a step",
                xs.dims()
            );
        }
        if state.dims() != [batch, cell.state_size(hidden_size)] {
            bail!("initial state of shape {:?} for a batch of {batch} rows", state.dims());
        }
        let (rows, _, features) = memory.values().dims3()?;
        if (rows, features) != (batch, memory_size) {
            bail!("a memory of shape {:?} for a batch of {batch} rows", memory.values().dims());
        }
        if let Some(lengths) = lengths {
            lengths.check(batch, time)?;
        }
        let feeding = self.feeding(memory);
        let (ys, _) = path(Sequence {
            cell,
            weights: &self.weights,
            feeding: feeding.as_ref(),
            xs,
            lengths,
            state,
            reverse: false,
            reduction: Reduction::Sum,
            matmul: self.config.matmul,
            flow: None,
        })?;
        if feeding.is_some() {
            return Ok((ys, None));
        }
        let (contexts, weights) = attend(&self.attention, &ys, memory)?;
        let contexts = gated(self.gate.as_ref(), &ys, contexts)?;
        let vectors = self.combine.forward(&Tensor::cat(&[&ys, &contexts], 2)?)?.tanh()?;
        let vectors = match lengths {
            Some(lengths) => {
                vectors.broadcast_mul(&lengths.mask(vectors.dtype(), vectors.device())?.unsqueeze(2)?)?
            }
            None => vectors,
        };
        Ok((vectors, Some(weights)))
    }

    /// One time step in plain tensor operations, on any device: `x [batch, input]` to what the next
    /// step needs, of which the vector is the output, and what was attended to, `[batch, places]`.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn step(&self, x: &Tensor, feed: &Feed, memory: &Memory) -> Result<(Feed, Tensor)> {
        let cell = self.config.cell;
        let state = match &self.feed {
            None => self.weights.step(cell, x, &feed.state)?,
            Some(weight) => {
                let x = Tensor::cat(&[x, &feed.vector], 1)?;
                fed_weights(&self.weights, weight)?.step(cell, &x, &feed.state)?
            }
        };
        let h = state.narrow(1, 0, cell.output_size(self.config.hidden_size))?.contiguous()?;
        let gate = self.gate.as_ref();
        let (vector, attended) = attentional_vector(&self.attention, gate, &self.combine, &h, memory)?;
        Ok((Feed { state, vector }, attended))
    }

    pub(super) fn cell_weights(&self) -> &CellWeights {
        &self.weights
    }

    pub(super) fn feed_weight(&self) -> Option<&Tensor> {
        self.feed.as_ref()
    }

    pub(super) fn attention(&self) -> &Attention {
        &self.attention
    }

    pub(super) fn gate(&self) -> Option<&Linear> {
        self.gate.as_ref()
    }

    pub(super) fn combine(&self) -> &Linear {
        &self.combine
    }

    fn feeding(&self, memory: &Memory) -> Option<Feeding> {
        self.feed.as_ref().map(|feed| Feeding {
            feed: feed.clone(),
            combine: self.combine.clone(),
            attention: self.attention.clone(),
            memory: memory.clone(),
        })
    }
}
