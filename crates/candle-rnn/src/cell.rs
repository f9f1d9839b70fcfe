//! The neurons, one time step each, with their formulas.
//!
//! Every cell maps an input `x_t` and a state to a new state. A state is one row vector per
//! sequence, its parts side by side:
//!
//! | cell | state | width |
//! |---|---|---|
//! | Elman of order K | `h_t, h_{t-1}, …, h_{t-K+1}` | `K · hidden` |
//! | GRU | `h_t` | `hidden` |
//! | LSTM | `h_t, c_t` | `output + hidden` |
//!
//! The output of a step is the first part, `h_t`.

use candle_core::{D, Result, Tensor, bail};
use candle_nn::{Init, VarBuilder, ops::sigmoid};
use serde::{Deserialize, Serialize};

/// The nonlinearity of an Elman neuron.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// `tanh(a)`
    Tanh,
    /// `max(a, 0)`
    Relu,
}

/// A recurrent neuron.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cell {
    /// Elman (1990), with a memory of `order` steps:
    ///
    /// `h_t = f(W_xh x_t + b_ih + Σ_{k=1..K} W_hh^(k) h_{t-k} + b_hh)`
    ///
    /// Order 1 is `torch.nn.RNN`.
    Elman {
        /// The nonlinearity f.
        activation: Activation,
        /// K, the number of earlier hidden states that are seen; at least 1.
        order: usize,
    },
    /// Gated recurrent unit (Cho et al. 2014), in the variant of `torch.nn.GRU`:
    ///
    /// ```text
    /// r_t = σ(W_ir x_t + b_ir + W_hr h_{t-1} + b_hr)
    /// z_t = σ(W_iz x_t + b_iz + W_hz h_{t-1} + b_hz)
    /// n_t = tanh(W_in x_t + b_in + r_t ⊙ (W_hn h_{t-1} + b_hn))
    /// h_t = (1 − z_t) ⊙ n_t + z_t ⊙ h_{t-1}
    /// ```
    Gru,
    /// Long short-term memory (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et
    /// al. 2000), as `torch.nn.LSTM`:
    ///
    /// ```text
    /// i_t = σ(W_ii x_t + b_ii + W_hi h_{t-1} + b_hi)
    /// f_t = σ(W_if x_t + b_if + W_hf h_{t-1} + b_hf)
    /// g_t = tanh(W_ig x_t + b_ig + W_hg h_{t-1} + b_hg)
    /// o_t = σ(W_io x_t + b_io + W_ho h_{t-1} + b_ho)
    /// c_t = f_t ⊙ c_{t-1} + i_t ⊙ g_t
    /// h_t = o_t ⊙ tanh(c_t)            (with a projection: h_t = W_hr (o_t ⊙ tanh(c_t)))
    /// ```
    Lstm {
        /// Size of the projected output (Sak et al. 2014), or none.
        projection: Option<usize>,
    },
}

impl Cell {
    /// The article's neuron: `h_t = tanh(W_hh h_{t-1} + W_xh x_t + b)`.
    pub fn tanh() -> Self {
        Self::Elman { activation: Activation::Tanh, order: 1 }
    }

    /// An LSTM without projection.
    pub fn lstm() -> Self {
        Self::Lstm { projection: None }
    }

    /// Number of blocks of `hidden` rows in `weight_ih`: 1 (Elman), 3 (GRU) or 4 (LSTM).
    pub fn gates(&self) -> usize {
        match self {
            Self::Elman { .. } => 1,
            Self::Gru => 3,
            Self::Lstm { .. } => 4,
        }
    }

    /// Number of earlier outputs that a step sees.
    pub fn order(&self) -> usize {
        match self {
            Self::Elman { order, .. } => *order,
            _ => 1,
        }
    }

    /// Size of `h_t` for `hidden` units.
    pub fn output_size(&self, hidden: usize) -> usize {
        match self {
            Self::Lstm { projection: Some(size) } => *size,
            _ => hidden,
        }
    }

    /// Width of the state for `hidden` units (the table at the top of this module).
    pub fn state_size(&self, hidden: usize) -> usize {
        match self {
            Self::Elman { order, .. } => order * hidden,
            Self::Gru => hidden,
            Self::Lstm { .. } => self.output_size(hidden) + hidden,
        }
    }
}

/// The weights of one cell, under PyTorch's names.
#[derive(Clone, Debug)]
pub struct CellWeights {
    /// `[gates · hidden, input]`
    pub w_ih: Tensor,
    /// `[gates · hidden, order · output]`: `W_hh^(1) … W_hh^(K)` side by side.
    pub w_hh: Vec<Tensor>,
    /// `[gates · hidden]`
    pub b_ih: Tensor,
    /// `[gates · hidden]`
    pub b_hh: Tensor,
    /// `[projection, hidden]`
    pub w_hr: Option<Tensor>,
}

impl CellWeights {
    /// Reads or creates the weights whose names end in `suffix` (`l0`, `l1_reverse`, …).
    ///
    /// New weights are uniform in ±1/√hidden, PyTorch's default. The names are PyTorch's; those
    /// of the earlier steps of an Elman cell, which PyTorch does not have, are
    /// `weight_hh_lag2_l0` and so on.
    pub fn new(cell: Cell, input: usize, hidden: usize, suffix: &str, vb: &VarBuilder) -> Result<Self> {
        if input == 0 || hidden == 0 || cell.order() == 0 || cell.output_size(hidden) == 0 {
            bail!("a recurrent layer needs at least one input, one unit and an order of 1");
        }
        let bound = 1. / (hidden as f64).sqrt();
        let init = Init::Uniform { lo: -bound, up: bound };
        let rows = cell.gates() * hidden;
        let output = cell.output_size(hidden);
        let w_hh = (1..=cell.order())
            .map(|lag| {
                let name = match lag {
                    1 => format!("weight_hh_{suffix}"),
                    _ => format!("weight_hh_lag{lag}_{suffix}"),
                };
                vb.get_with_hints((rows, output), &name, init)
            })
            .collect::<Result<Vec<_>>>()?;
        let w_hr = match cell {
            Cell::Lstm { projection: Some(size) } => {
                Some(vb.get_with_hints((size, hidden), &format!("weight_hr_{suffix}"), init)?)
            }
            _ => None,
        };
        Ok(Self {
            w_ih: vb.get_with_hints((rows, input), &format!("weight_ih_{suffix}"), init)?,
            w_hh,
            b_ih: vb.get_with_hints(rows, &format!("bias_ih_{suffix}"), init)?,
            b_hh: vb.get_with_hints(rows, &format!("bias_hh_{suffix}"), init)?,
            w_hr,
        })
    }

    /// All of them, in the order `w_ih`, `w_hh` of lag 1 … K, `b_ih`, `b_hh`, `w_hr`.
    pub(crate) fn tensors(&self) -> Vec<&Tensor> {
        let head = std::iter::once(&self.w_ih).chain(&self.w_hh);
        head.chain([&self.b_ih, &self.b_hh]).chain(&self.w_hr).collect()
    }

    /// `f` of each.
    pub(crate) fn try_map(&self, f: impl Fn(&Tensor) -> Result<Tensor>) -> Result<Self> {
        Ok(Self {
            w_ih: f(&self.w_ih)?,
            w_hh: self.w_hh.iter().map(&f).collect::<Result<_>>()?,
            b_ih: f(&self.b_ih)?,
            b_hh: f(&self.b_hh)?,
            w_hr: self.w_hr.as_ref().map(&f).transpose()?,
        })
    }

    /// One time step in plain tensor operations: `x [batch, input]` and
    /// `state [batch, state_size]` to the new state.
    pub fn step(&self, cell: Cell, x: &Tensor, state: &Tensor) -> Result<Tensor> {
        let gx = affine(x, &self.w_ih, &self.b_ih)?;
        let output = self.w_hh[0].dim(1)?;
        let hidden = self.w_ih.dim(0)? / cell.gates();
        match cell {
            Cell::Elman { activation, order } => {
                let mut a = gx.broadcast_add(&self.b_hh)?;
                for (k, w_hh) in self.w_hh.iter().enumerate() {
                    let h_k = state.narrow(1, k * hidden, hidden)?;
                    a = (a + h_k.contiguous()?.matmul(&w_hh.t()?)?)?;
                }
                let h = match activation {
                    Activation::Tanh => a.tanh()?,
                    Activation::Relu => a.relu()?,
                };
                match order {
                    1 => Ok(h),
                    _ => Tensor::cat(&[&h, &state.narrow(1, 0, (order - 1) * hidden)?], 1),
                }
            }
            Cell::Gru => {
                let gh = affine(state, &self.w_hh[0], &self.b_hh)?;
                let gate = |g: &Tensor, k: usize| g.narrow(1, k * hidden, hidden);
                let r = sigmoid(&(gate(&gx, 0)? + gate(&gh, 0)?)?)?;
                let z = sigmoid(&(gate(&gx, 1)? + gate(&gh, 1)?)?)?;
                let n = (gate(&gx, 2)? + (r * gate(&gh, 2)?)?)?.tanh()?;
                // (1 − z) n + z h = n + z (h − n)
                &n + (z * (state - &n)?)?
            }
            Cell::Lstm { .. } => {
                let h = state.narrow(1, 0, output)?.contiguous()?;
                let c = state.narrow(1, output, hidden)?;
                let gates = (gx + affine(&h, &self.w_hh[0], &self.b_hh)?)?;
                let gate = |k: usize| gates.narrow(1, k * hidden, hidden);
                let (i, f) = (sigmoid(&gate(0)?)?, sigmoid(&gate(1)?)?);
                let (g, o) = (gate(2)?.tanh()?, sigmoid(&gate(3)?)?);
                let c = ((f * c)? + (i * g)?)?;
                let h = (o * c.tanh()?)?;
                let h = match &self.w_hr {
                    Some(w_hr) => h.matmul(&w_hr.t()?)?,
                    None => h,
                };
                Tensor::cat(&[&h, &c], D::Minus1)
            }
        }
    }
}

/// `x Wᵀ + b`
fn affine(x: &Tensor, w: &Tensor, b: &Tensor) -> Result<Tensor> {
    x.matmul(&w.t()?)?.broadcast_add(b)
}
