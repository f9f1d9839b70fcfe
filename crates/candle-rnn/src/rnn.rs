//! [`Rnn`]: layers × directions of one cell over a padded batch.

use candle_core::{Result, Tensor, bail};
use candle_nn::VarBuilder;
use serde::{Deserialize, Serialize};

use crate::bptt::{GradientFlow, Reduction};
use crate::cell::{Cell, CellWeights};
use crate::sequence::{self, Sequence};
use crate::{Lengths, MatmulPrecision, Mode, State, dropout, dropout_over_time};

/// The shape of an [`Rnn`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RnnConfig {
    /// The neuron.
    pub cell: Cell,
    /// Features of the input.
    pub input_size: usize,
    /// Units of every layer and direction.
    pub hidden_size: usize,
    /// Number of layers, each reading the output of the one below.
    pub layers: usize,
    /// Two directions, their outputs side by side.
    pub bidirectional: bool,
    /// Probability with which an output of a layer, except of the last, is dropped in training.
    pub dropout: f64,
    /// Whether dropout's mask is the same at all steps of a row.
    pub dropout_over_time: bool,
    /// How the steps' contributions to the gradient of the shared weights are put together.
    pub reduction: Reduction,
    /// How exactly the factors of matrix products are held, on the CPU.
    pub matmul: MatmulPrecision,
}

impl RnnConfig {
    /// One layer, one direction, no dropout, gradients summed over the steps.
    pub fn new(cell: Cell, input_size: usize, hidden_size: usize) -> Self {
        Self {
            cell,
            input_size,
            hidden_size,
            layers: 1,
            bidirectional: false,
            dropout: 0.,
            dropout_over_time: false,
            reduction: Reduction::Sum,
            matmul: MatmulPrecision::Full,
        }
    }

    /// 1 or 2.
    pub fn directions(&self) -> usize {
        1 + usize::from(self.bidirectional)
    }
}

/// A recurrent network over whole sequences; `torch.nn.RNN`, `GRU` and `LSTM` in one.
#[derive(Clone, Debug)]
pub struct Rnn {
    config: RnnConfig,
    weights: Vec<CellWeights>,
}

impl Rnn {
    /// Reads or creates the weights under PyTorch's names (`weight_ih_l0`,
    /// `bias_hh_l1_reverse`, …), so that a `state_dict` saved as safetensors loads unchanged.
    ///
    /// # Errors
    /// When there is no layer, a size is zero, the dropout is outside `0..1`, or a weight is
    /// missing or has another shape.
    pub fn new(config: &RnnConfig, vb: VarBuilder) -> Result<Self> {
        if config.layers == 0 {
            bail!("a recurrent network needs at least one layer");
        }
        if !(0. ..1.).contains(&config.dropout) {
            bail!("dropout {} is outside 0..1", config.dropout);
        }
        let output = config.cell.output_size(config.hidden_size) * config.directions();
        let mut weights = Vec::new();
        for layer in 0..config.layers {
            let input = if layer == 0 { config.input_size } else { output };
            for direction in 0..config.directions() {
                let suffix = format!("l{layer}{}", ["", "_reverse"][direction]);
                weights.push(CellWeights::new(config.cell, input, config.hidden_size, &suffix, &vb)?);
            }
        }
        Ok(Self { config: config.clone(), weights })
    }

    /// What the network was made with.
    pub fn config(&self) -> &RnnConfig {
        &self.config
    }

    /// Features of the output: `directions · output size of the cell`.
    pub fn output_size(&self) -> usize {
        self.config.cell.output_size(self.config.hidden_size) * self.config.directions()
    }

    /// The weights of each layer and direction.
    pub(crate) fn weights(&self) -> &[CellWeights] {
        &self.weights
    }

    /// The state before the first step: zeros.
    pub fn zero_state(&self, batch: usize) -> Result<State> {
        let w = &self.weights[0].w_ih;
        State::zeros(&self.config, batch, w.dtype(), w.device())
    }

    /// All steps of a padded batch.
    ///
    /// `xs` is `[batch, time, input]`; the result is `[batch, time, output_size]`, zero on
    /// padding, with the state after each row's last valid step (in the backward direction:
    /// after its first). Both are differentiable in `xs`, the weights and the initial state.
    /// Without `lengths` every step is valid; without `state` the initial state is zero.
    ///
    /// # Errors
    /// When the shapes do not fit each other.
    pub fn forward(
        &self,
        xs: &Tensor,
        lengths: Option<&Lengths>,
        state: Option<&State>,
        mode: &mut Mode,
    ) -> Result<(Tensor, State)> {
        self.run(xs, lengths, state, mode, sequence::forward, None)
    }

    /// [`Rnn::forward`], and the backward pass will write the norms `‖∂L/∂h_t‖` of every layer,
    /// direction and step into `flow`.
    pub fn forward_recording(
        &self,
        xs: &Tensor,
        lengths: Option<&Lengths>,
        state: Option<&State>,
        mode: &mut Mode,
        flow: &GradientFlow,
    ) -> Result<(Tensor, State)> {
        self.run(xs, lengths, state, mode, sequence::forward, Some(flow))
    }

    /// The same result as [`Rnn::forward`] with every step unrolled in the autograd graph: the
    /// truth for the tests, and a text to read. Slow, and too deep for long sequences.
    pub fn reference(
        &self,
        xs: &Tensor,
        lengths: Option<&Lengths>,
        state: Option<&State>,
        mode: &mut Mode,
    ) -> Result<(Tensor, State)> {
        self.run(xs, lengths, state, mode, sequence::reference::forward, None)
    }

    /// One time step: `x [batch, input]` to `[batch, output_size]`, for decoding.
    ///
    /// # Errors
    /// For a bidirectional network, which needs the whole sequence.
    pub fn step(&self, x: &Tensor, state: &State) -> Result<(Tensor, State)> {
        if self.config.bidirectional {
            bail!("a bidirectional network cannot go step by step: it needs the whole sequence");
        }
        let mut h = x.clone();
        let mut layers = Vec::with_capacity(self.weights.len());
        for (layer, weights) in self.weights.iter().enumerate() {
            let next = weights.step(self.config.cell, &h, state.get(layer, 0))?;
            h = next.narrow(1, 0, self.output_size())?.contiguous()?;
            layers.push(next);
        }
        Ok((h, State::new(&self.config, layers)))
    }

    fn run(
        &self,
        xs: &Tensor,
        lengths: Option<&Lengths>,
        state: Option<&State>,
        mode: &mut Mode,
        path: fn(Sequence) -> Result<(Tensor, Tensor)>,
        flow: Option<&GradientFlow>,
    ) -> Result<(Tensor, State)> {
        let (batch, time, input) = xs.dims3()?;
        if input != self.config.input_size || batch == 0 || time == 0 {
            bail!(
                "input of shape {:?}, expected [batch, time, {}] with at least one row and step",
                xs.dims(),
                self.config.input_size
            );
        }
        if let Some(lengths) = lengths {
            lengths.check(batch, time)?;
        }
        let zero;
        let state = match state {
            Some(state) => state,
            None => {
                zero = self.zero_state(batch)?;
                &zero
            }
        };
        let directions = self.config.directions();
        let mut ys = xs.clone();
        let mut states = Vec::with_capacity(self.weights.len());
        for (layer, weights) in self.weights.chunks(directions).enumerate() {
            if layer > 0 {
                let drop = if self.config.dropout_over_time { dropout_over_time } else { dropout };
                ys = drop(&ys, self.config.dropout, mode)?;
            }
            let mut outputs = Vec::with_capacity(directions);
            for (direction, weights) in weights.iter().enumerate() {
                let initial = state.get(layer, direction);
                if initial.dims() != [batch, self.config.cell.state_size(self.config.hidden_size)] {
                    bail!("initial state of shape {:?} for a batch of {batch} rows", initial.dims());
                }
                let (output, last) = path(Sequence {
                    cell: self.config.cell,
                    weights,
                    feeding: None,
                    xs: &ys,
                    lengths,
                    state: initial,
                    reverse: direction == 1,
                    reduction: self.config.reduction,
                    matmul: self.config.matmul,
                    flow: flow.map(|flow| (flow.clone(), layer, direction)),
                })?;
                outputs.push(output);
                states.push(last);
            }
            ys = match outputs.len() {
                1 => outputs.remove(0),
                _ => Tensor::cat(&outputs, 2)?,
            };
        }
        Ok((ys, State::new(&self.config, states)))
    }
}
