//! Attention: a weighted mean of a memory, the weights chosen by a query.
//!
//! With the memory `m_1 … m_S` (the states of an encoder, the regions of a picture), its keys
//! `k_j = W_k m_j (+ b)` and a query `s` (the state of a decoder):
//!
//! ```text
//! e_j = vᵀ tanh(W_q s + k_j)       additive        (Bahdanau et al. 2015, appendix A.1.2)
//! e_j = s · k_j                    multiplicative  (Luong et al. 2015, eq. 8, "general")
//! α = softmax(e)                   c = Σ_j α_j m_j
//! ```
//!
//! Padding of the memory is not attended to: its weights are zero, whatever it holds.
//!
//! | module | what is in it |
//! |---|---|
//! | this one | [`Attention`] over a [`Memory`], for all queries of a sequence at once |
//! | [`rnn`] | [`AttentionRnn`]: a recurrent layer that attends at every step, with or without input feeding |
//! | [`stepper`] | [`AttentionStepper`]: the same, step by step, for many sequences, with weights made ready |

use candle_core::{D, Result, Tensor, bail};
use candle_nn::VarBuilder;
use serde::{Deserialize, Serialize};

use crate::init::pytorch_uniform;
use crate::{Lengths, Linear, MatmulPrecision, kernels};

pub mod rnn;
pub(crate) mod row;
pub mod stepper;
mod whole;

pub use rnn::{AttentionRnn, AttentionRnnConfig, Feed};
pub use stepper::{AttentionStepper, PreparedAttentionRnn};

/// How a query and a key are compared (see the [module](self)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AttentionScore {
    /// By a network of one layer with so many units.
    Additive(usize),
    /// By their dot product.
    Multiplicative,
}

/// The weights of an attention.
#[derive(Clone, Debug)]
pub struct Attention {
    score: AttentionScore,
    /// `W_k [key, memory]`; with a bias in the additive form.
    key: Linear,
    /// `W_q [key, query]` and `v [key]` of the additive form.
    additive: Option<[Tensor; 2]>,
}

/// A batch of memories to attend to, each with its keys.
#[derive(Clone, Debug)]
pub struct Memory {
    /// `[batch, places, memory]`
    values: Tensor,
    /// `[batch, places, key]`
    keys: Tensor,
    lengths: Lengths,
}

impl Attention {
    /// Reads or creates `key.weight` and, for the additive form, `key.bias`, `query.weight` and `v`;
    /// new ones are uniform in `±1/√inputs`.
    ///
    /// # Errors
    /// When a size is zero or a weight has another shape.
    pub fn new(score: AttentionScore, query: usize, memory: usize, vb: VarBuilder) -> Result<Self> {
        if query == 0 || memory == 0 || score == AttentionScore::Additive(0) {
            bail!("an attention needs a query, a memory and at least one unit");
        }
        let (key, additive) = match score {
            AttentionScore::Multiplicative => (Linear::new(memory, query, false, vb.pp("key"))?, None),
            AttentionScore::Additive(size) => {
                let w_q = vb.pp("query").get_with_hints((size, query), "weight", pytorch_uniform(query))?;
                let v = vb.get_with_hints(size, "v", pytorch_uniform(size))?;
                (Linear::new(memory, size, true, vb.pp("key"))?, Some([w_q, v]))
            }
        };
        Ok(Self { score, key, additive })
    }

    /// The same attention with products of this precision, on the CPU.
    pub fn with_matmul(self, matmul: MatmulPrecision) -> Self {
        Self { key: self.key.with_matmul(matmul), ..self }
    }

    /// How it compares.
    pub fn score(&self) -> AttentionScore {
        self.score
    }

    /// Computes the keys of `values [batch, places, memory]`, of which each row has a number of valid
    /// places.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn memory(&self, values: &Tensor, lengths: &Lengths) -> Result<Memory> {
        let (batch, places, _) = values.dims3()?;
        lengths.check(batch, places)?;
        Ok(Memory { values: values.clone(), keys: self.key.forward(values)?, lengths: lengths.clone() })
    }

    /// Attends for every query of `queries [batch, time, query]`: the contexts
    /// `[batch, time, memory]` and the weights `[batch, time, places]`, which are for people to look
    /// at: they have no gradient.
    ///
    /// On the CPU with f32 or f64 it is one node of the autograd graph.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward(&self, queries: &Tensor, memory: &Memory) -> Result<(Tensor, Tensor)> {
        let queries = self.queries(queries)?;
        match kernels::take(&queries) {
            true => whole::forward(&queries, memory, self.v()),
            false => self.compare(&queries, memory).map(|(contexts, weights)| (contexts, weights.detach())),
        }
    }

    /// [`Attention::forward`] with weights that have a gradient too, for a loss that depends on where is
    /// looked.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward_with_weights(&self, queries: &Tensor, memory: &Memory) -> Result<(Tensor, Tensor)> {
        let queries = self.queries(queries)?;
        match kernels::take(&queries) {
            true => whole::forward_with_weights(&queries, memory, self.v()),
            false => self.compare(&queries, memory),
        }
    }

    /// [`Attention::forward_with_weights`] in plain tensor operations: the truth for the tests, and for any
    /// device.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn reference(&self, queries: &Tensor, memory: &Memory) -> Result<(Tensor, Tensor)> {
        self.compare(&self.queries(queries)?, memory)
    }

    /// Queries as they are compared, `[…, key]`.
    fn queries(&self, queries: &Tensor) -> Result<Tensor> {
        match &self.additive {
            Some([w_q, _]) => {
                Linear::from_weight(w_q.clone(), None).with_matmul(self.key.matmul()).forward(queries)
            }
            None => Ok(queries.clone()),
        }
    }

    fn v(&self) -> Option<&Tensor> {
        self.additive.as_ref().map(|[_, v]| v)
    }

    /// `W_q` and `v` of the additive form.
    pub(crate) fn additive(&self) -> Option<&[Tensor; 2]> {
        self.additive.as_ref()
    }

    /// The same attention with `f` of [`additive`](Self::additive)'s.
    pub(crate) fn try_map_additive(&self, f: impl Fn(&Tensor) -> Result<Tensor>) -> Result<Self> {
        let additive = match &self.additive {
            Some([w_q, v]) => Some([f(w_q)?, f(v)?]),
            None => None,
        };
        Ok(Self { additive, ..self.clone() })
    }

    fn compare(&self, queries: &Tensor, memory: &Memory) -> Result<(Tensor, Tensor)> {
        let Memory { values, keys, lengths } = memory;
        let scores = match self.v() {
            None => queries.contiguous()?.matmul(&keys.t()?.contiguous()?)?,
            Some(v) => {
                let sums = queries.unsqueeze(2)?.broadcast_add(&keys.unsqueeze(1)?)?.tanh()?;
                sums.broadcast_mul(v)?.sum(D::Minus1)?
            }
        };
        // `where` rather than a sum: padding may be infinite.
        let valid = lengths.mask(candle_core::DType::U8, keys.device())?.unsqueeze(1)?;
        let valid = valid.broadcast_as(scores.shape())?;
        let never =
            Tensor::full(f32::NEG_INFINITY, scores.shape(), scores.device())?.to_dtype(scores.dtype())?;
        let scores = valid.where_cond(&scores, &never)?;
        let weights = candle_nn::ops::softmax(&scores, D::Minus1)?;
        let padded = lengths.mask(candle_core::DType::U8, values.device())?.unsqueeze(2)?;
        let values = padded.broadcast_as(values.shape())?.where_cond(values, &values.zeros_like()?)?;
        Ok((weights.matmul(&values)?, weights))
    }
}

impl Memory {
    /// The keys, `[batch, places, key]`.
    pub(crate) fn keys(&self) -> &Tensor {
        &self.keys
    }

    /// `f` of values and keys.
    pub(crate) fn try_map(&self, f: impl Fn(&Tensor) -> Result<Tensor>) -> Result<Self> {
        Ok(Self { values: f(&self.values)?, keys: f(&self.keys)?, lengths: self.lengths.clone() })
    }

    /// The memories named by `index` (u32), for beams.
    ///
    /// # Errors
    /// When there is no such row.
    pub fn rows(&self, index: &[usize]) -> Result<Self> {
        let Some(lengths) = index.iter().map(|&row| self.lengths.as_slice().get(row).copied()).collect()
        else {
            bail!(
                "a row of {index:?} is not below {}, the rows of the memory",
                self.lengths.as_slice().len()
            );
        };
        let lengths = Lengths::new(lengths, self.lengths.time())?;
        let rows: Vec<u32> = index.iter().map(|&row| row as u32).collect();
        let index = Tensor::new(rows, self.values.device())?;
        let select = |tensor: &Tensor| tensor.contiguous()?.index_select(&index, 0);
        Ok(Self { values: select(&self.values)?, keys: select(&self.keys)?, lengths })
    }

    /// The memories themselves, `[batch, places, memory]`.
    pub fn values(&self) -> &Tensor {
        &self.values
    }

    /// How many places of each are valid.
    pub fn lengths(&self) -> &Lengths {
        &self.lengths
    }
}
