//! What is carried from step to step, and from one window of a long stream to the next.

use std::collections::HashMap;

use candle_core::{DType, Device, Result, Tensor, bail};

use crate::rnn::RnnConfig;

/// The state of every layer and direction of an [`Rnn`](crate::Rnn).
///
/// One tensor `[batch, state_size]` per layer and direction, in the order layer 0 forward,
/// layer 0 backward, layer 1 forward, …; its parts are those of the table in [`crate::cell`].
#[derive(Clone, Debug)]
pub struct State {
    layers: Vec<Tensor>,
    directions: usize,
    output: usize,
}

impl State {
    pub(crate) fn new(config: &RnnConfig, layers: Vec<Tensor>) -> Self {
        Self { layers, directions: config.directions(), output: config.cell.output_size(config.hidden_size) }
    }

    /// All zeros, for `batch` rows.
    pub fn zeros(config: &RnnConfig, batch: usize, dtype: DType, device: &Device) -> Result<Self> {
        let width = config.cell.state_size(config.hidden_size);
        let count = config.layers * config.directions();
        let zero = Tensor::zeros((batch, width), dtype, device)?;
        Ok(Self::new(config, vec![zero; count]))
    }

    /// The whole state of one layer and direction, `[batch, state_size]`.
    pub fn get(&self, layer: usize, direction: usize) -> &Tensor {
        &self.layers[layer * self.directions + direction]
    }

    /// Hidden state `h` of one layer and direction, `[batch, output]`.
    pub fn hidden(&self, layer: usize, direction: usize) -> Result<Tensor> {
        self.get(layer, direction).narrow(1, 0, self.output)
    }

    /// What stands beside `h`: the cell state `c` of an LSTM, `h_{t-1}, h_{t-2}, …` of an Elman
    /// cell of higher order; `None` where there is nothing.
    pub fn memory(&self, layer: usize, direction: usize) -> Result<Option<Tensor>> {
        let state = self.get(layer, direction);
        let width = state.dim(1)?;
        if width == self.output {
            return Ok(None);
        }
        state.narrow(1, self.output, width - self.output).map(Some)
    }

    /// The same values without their history: gradients stop here (truncated BPTT).
    pub fn detach(&self) -> Self {
        self.map(|layer| Ok(layer.detach())).expect("detaching cannot fail")
    }

    /// The state of the rows named by `index` (`u32`), for beams and for reordered batches.
    pub fn rows(&self, index: &Tensor) -> Result<Self> {
        self.map(|layer| layer.contiguous()?.index_select(index, 0))
    }

    /// The tensors with names, for saving.
    pub fn tensors(&self) -> Vec<(String, Tensor)> {
        let named = self.layers.iter().enumerate();
        named.map(|(i, t)| (format!("state.{i}"), t.clone())).collect()
    }

    /// The state that [`State::tensors`] took apart.
    ///
    /// # Errors
    /// When a tensor is missing or has the wrong width.
    pub fn from_tensors(config: &RnnConfig, tensors: &HashMap<String, Tensor>) -> Result<Self> {
        let width = config.cell.state_size(config.hidden_size);
        let layers = (0..config.layers * config.directions())
            .map(|i| match tensors.get(&format!("state.{i}")) {
                Some(t) if t.rank() == 2 && t.dim(1)? == width => Ok(t.clone()),
                Some(t) => bail!("state.{i} has shape {:?}, expected [batch, {width}]", t.dims()),
                None => bail!("state.{i} is missing"),
            })
            .collect::<Result<_>>()?;
        Ok(Self::new(config, layers))
    }

    /// A state from its parts: `h [layers · directions, batch, output]` and, for an LSTM,
    /// `c [layers · directions, batch, hidden]`, as PyTorch has them.
    pub fn from_parts(config: &RnnConfig, h: &Tensor, c: Option<&Tensor>) -> Result<Self> {
        let layers = (0..config.layers * config.directions())
            .map(|i| match c {
                Some(c) => Tensor::cat(&[h.get(i)?, c.get(i)?], 1),
                None => h.get(i)?.contiguous(),
            })
            .collect::<Result<_>>()?;
        Ok(Self::new(config, layers))
    }

    fn map(&self, f: impl Fn(&Tensor) -> Result<Tensor>) -> Result<Self> {
        let layers = self.layers.iter().map(f).collect::<Result<_>>()?;
        Ok(Self { layers, ..*self })
    }
}
