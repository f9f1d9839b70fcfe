//! Input feeding: attention at every step, and what it found beside the next input.
//!
//! Luong, Pham and Manning (2015), *Effective approaches to attention-based neural machine
//! translation*, section 3.3 and equation 5. With `α` and `c` as in [`crate::attention`]:
//!
//! ```text
//! h_t = cell(W_ih x_t + W_f a_{t-1}, h_{t-1})        c_t = attend(h_t)
//! a_t = tanh(W_c [h_t; c_t] + b_c)
//! ```
//!
//! The attentional vector `a_t` is the output of the step, `a_0` is zero.

use candle_core::{Result, Tensor};

use crate::Linear;
use crate::attention::{Attention, Memory};
use crate::cell::{Cell, CellWeights};

/// What a layer with input feeding has beside its cell.
#[derive(Clone)]
pub struct Feeding {
    /// `W_f [gates · hidden, attentional]`
    pub feed: Tensor,
    /// `W_c [attentional, output + memory]` and `b_c`.
    pub combine: Linear,
    /// What it attends with.
    pub attention: Attention,
    /// What it attends to.
    pub memory: Memory,
}

impl Feeding {
    /// Everything that has a gradient: `W_f`, `W_c`, `b_c`, the memory's values and keys, and in the
    /// additive form `W_q` and `v`.
    pub(super) fn tensors(&self) -> Vec<&Tensor> {
        let Self { feed, combine, attention, memory } = self;
        let combine = [combine.weight()].into_iter().chain(combine.bias());
        let memory = [memory.values(), memory.keys()];
        [feed]
            .into_iter()
            .chain(combine)
            .chain(memory)
            .chain(attention.additive().into_iter().flatten())
            .collect()
    }

    /// `f` of each.
    pub(super) fn try_map(&self, f: impl Fn(&Tensor) -> Result<Tensor>) -> Result<Self> {
        let combine =
            Linear::from_weight(f(self.combine.weight())?, self.combine.bias().map(&f).transpose()?);
        Ok(Self {
            feed: f(&self.feed)?,
            combine: combine.with_matmul(self.combine.matmul()),
            attention: self.attention.try_map_additive(&f)?,
            memory: self.memory.try_map(&f)?,
        })
    }

    /// Features of the attentional vector.
    pub(super) fn size(&self) -> Result<usize> {
        self.combine.output_size()
    }
}

/// The weights of a cell whose input is x and, behind it, what is fed.
pub(crate) fn fed_weights(weights: &CellWeights, feed: &Tensor) -> Result<CellWeights> {
    Ok(CellWeights { w_ih: Tensor::cat(&[&weights.w_ih, feed], 1)?, ..weights.clone() })
}

/// `σ(W_g h + b_g) ⊙ c`, or c without a gate.
pub(crate) fn gated(gate: Option<&Linear>, h: &Tensor, context: Tensor) -> Result<Tensor> {
    match gate {
        Some(gate) => candle_nn::ops::sigmoid(&gate.forward(h)?)?.mul(&context),
        None => Ok(context),
    }
}

/// `tanh(W_c [h; c] + b_c)` `[batch, attentional]` for `h [batch, output]`, c perhaps gated, and what was
/// attended to, `[batch, places]`, in plain tensor operations.
pub(crate) fn attentional_vector(
    attention: &Attention,
    gate: Option<&Linear>,
    combine: &Linear,
    h: &Tensor,
    memory: &Memory,
) -> Result<(Tensor, Tensor)> {
    let (context, weights) = attention.reference(&h.unsqueeze(1)?, memory)?;
    let context = gated(gate, h, context.squeeze(1)?)?;
    let joined = Tensor::cat(&[h, &context], 1)?;
    Ok((combine.forward(&joined)?.tanh()?, weights.squeeze(1)?))
}

/// One step of a layer in plain tensor operations, with or without input feeding. Its state is the
/// cell's, and beside it the attentional vector.
pub(crate) struct PlainStep<'a> {
    pub cell: Cell,
    pub weights: &'a CellWeights,
    pub feeding: Option<&'a Feeding>,
}

impl PlainStep<'_> {
    fn hidden(&self) -> Result<usize> {
        Ok(self.weights.w_ih.dim(0)? / self.cell.gates())
    }

    /// Where in the state the output of the step is: its first number and how many.
    pub fn output(&self) -> Result<(usize, usize)> {
        let hidden = self.hidden()?;
        match self.feeding {
            Some(feeding) => Ok((self.cell.state_size(hidden), feeding.size()?)),
            None => Ok((0, self.cell.output_size(hidden))),
        }
    }

    /// The state before the first step, from the cell's.
    pub fn initial(&self, state: &Tensor) -> Result<Tensor> {
        let Some(feeding) = self.feeding else { return Ok(state.clone()) };
        let nothing = Tensor::zeros((state.dim(0)?, feeding.size()?), state.dtype(), state.device())?;
        Tensor::cat(&[state, &nothing], 1)
    }

    /// The cell's part of a state.
    pub fn cell_state(&self, state: &Tensor) -> Result<Tensor> {
        state.narrow(1, 0, self.cell.state_size(self.hidden()?))
    }

    /// `x [batch, input]` and the state to the next state.
    pub fn step(&self, x: &Tensor, state: &Tensor) -> Result<Tensor> {
        let Some(feeding) = self.feeding else { return self.weights.step(self.cell, x, state) };
        let (from, size) = self.output()?;
        let fed = state.narrow(1, from, size)?;
        let weights = fed_weights(self.weights, &feeding.feed)?;
        let x = Tensor::cat(&[x, &fed], 1)?;
        let state = weights.step(self.cell, &x, &self.cell_state(state)?.contiguous()?)?;
        let h = state.narrow(1, 0, self.cell.output_size(self.hidden()?))?.contiguous()?;
        let (vector, _) =
            attentional_vector(&feeding.attention, None, &feeding.combine, &h, &feeding.memory)?;
        Tensor::cat(&[&state, &vector], 1)
    }
}
