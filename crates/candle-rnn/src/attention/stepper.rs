//! [`AttentionStepper`]: an [`AttentionRnn`] that goes step by step through many sequences at once,
//! without gradients.
//!
//! Constraint: a beam search asks for one step of a few hundred rows, then throws some away and doubles
//! others. With tensors, each step would pack its weights again and each choice would copy the memory
//! of every row. Solution: the weights are packed once, a row knows its memory by number, and the rows
//! of a step are dealt to the threads, each of which takes its rows through the whole step. What the
//! input adds to the gates can be computed beforehand for every symbol there is.

use candle_core::{DType, Device, Result, Tensor, bail};
use rayon::prelude::*;

use super::rnn::AttentionRnn;
use super::row::{Attend, Comparison, Places};
use super::{AttentionRnnConfig, Memory};
use crate::MatmulPrecision;
use crate::cell::Cell;
use crate::kernels::{
    Packed, Real, Rows, Sigmoid, Tanh, affine, product_in_tiles as product, rows_of_a_block,
};
use crate::prepared::vector;
use crate::sequence::cpu::{elman, gru, lstm};

/// Rows that one thread takes through a step at once.
const BLOCK: usize = 48;

/// The weights of an [`AttentionRnn`], made ready for single steps on the CPU.
pub struct PreparedAttentionRnn {
    config: AttentionRnnConfig,
    w_ih: Packed<f32>,
    w_hh: Vec<Packed<f32>>,
    w_hr: Option<Packed<f32>>,
    feed: Option<Packed<f32>>,
    combine: Packed<f32>,
    query: Option<Packed<f32>>,
    v: Option<Vec<f32>>,
    /// `W_g` and `b_g`, with a gate.
    gate: Option<(Packed<f32>, Vec<f32>)>,
    /// `b_ih`, and where nothing stands between them `b_ih + b_hh`.
    bias: Vec<f32>,
    b_hh: Vec<f32>,
    combine_bias: Vec<f32>,
}

impl PreparedAttentionRnn {
    /// The layer as it is now; later changes of its variables are not seen.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn new(layer: &AttentionRnn) -> Result<Self> {
        let config = layer.config().clone();
        let pack = |w: &Tensor| {
            let width = w.dim(1)?;
            let numbers = vector(&w.flatten_all()?)?;
            Ok::<_, candle_core::Error>(Packed::columns(Rows::new(&numbers, width), MatmulPrecision::Full))
        };
        let weights = layer.cell_weights();
        let (mut bias, b_hh) = (vector(&weights.b_ih)?, vector(&weights.b_hh)?);
        if config.cell != Cell::Gru {
            bias.iter_mut().zip(&b_hh).for_each(|(b, b_hh)| *b += b_hh);
        }
        let additive = layer.attention().additive();
        let gate = match layer.gate() {
            Some(gate) => {
                Some((pack(gate.weight())?, gate.bias().map(vector).transpose()?.unwrap_or_default()))
            }
            None => None,
        };
        let combine_bias = match layer.combine().bias() {
            Some(bias) => vector(bias)?,
            None => vec![0.; config.output_size],
        };
        Ok(Self {
            w_ih: pack(&weights.w_ih)?,
            w_hh: weights.w_hh.iter().map(pack).collect::<Result<_>>()?,
            w_hr: weights.w_hr.as_ref().map(pack).transpose()?,
            feed: layer.feed_weight().map(pack).transpose()?,
            combine: pack(layer.combine().weight())?,
            query: additive.map(|[w_q, _]| pack(w_q)).transpose()?,
            v: additive.map(|[_, v]| vector(v)).transpose()?,
            gate,
            bias,
            b_hh,
            combine_bias,
            config,
        })
    }

    /// What inputs add to the gates, `W_ih x + b`: `xs [rows, input]` to `[rows, gates · hidden]`. The
    /// bits of a row do not depend on how many rows there are.
    pub fn input_shares(&self, xs: &[f32]) -> Vec<f32> {
        let rows = xs.len() / self.config.input_size;
        let mut shares = vec![0.; rows * self.bias.len()];
        affine(&mut shares, Rows::new(xs, self.config.input_size), &self.w_ih, Some(&self.bias));
        shares
    }

    fn widths(&self) -> Widths {
        let AttentionRnnConfig { cell, hidden_size, .. } = self.config;
        Widths {
            gates: self.bias.len(),
            hidden: hidden_size,
            h: cell.output_size(hidden_size),
            state: cell.state_size(hidden_size),
            output: self.config.output_size,
            value: self.config.memory_size,
            key: self.query.as_ref().map_or(cell.output_size(hidden_size), Packed::width),
        }
    }
}

#[derive(Clone, Copy)]
struct Widths {
    gates: usize,
    hidden: usize,
    h: usize,
    state: usize,
    output: usize,
    value: usize,
    key: usize,
}

/// Sequences on their way (see the [module](self)).
pub struct AttentionStepper<'a> {
    layer: &'a PreparedAttentionRnn,
    /// `[memories, places, key]` and `[memories, places, value]`
    keys: Vec<f32>,
    values: Vec<f32>,
    lengths: Vec<usize>,
    places: usize,
    /// The memory of each row.
    memories: Vec<usize>,
    /// `[rows, state_size]`
    state: Vec<f32>,
    /// `[rows, output]`
    vectors: Vec<f32>,
    /// `[rows, places]`
    attended: Vec<f32>,
}

impl<'a> AttentionStepper<'a> {
    /// A row for each memory, the cell in `state [rows, state_size]`.
    ///
    /// # Errors
    /// When the shapes do not fit the layer.
    pub fn new(layer: &'a PreparedAttentionRnn, state: &Tensor, memory: &Memory) -> Result<Self> {
        let widths = layer.widths();
        let (rows, places, value) = memory.values().dims3()?;
        if state.dims() != [rows, widths.state] || value != widths.value {
            bail!("a state of shape {:?} and a memory of shape {:?}", state.dims(), memory.values().dims());
        }
        let numbers = |tensor: &Tensor| {
            tensor.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()
        };
        Ok(Self {
            layer,
            keys: numbers(memory.keys())?,
            values: numbers(memory.values())?,
            lengths: memory.lengths().as_slice().to_vec(),
            places,
            memories: (0..rows).collect(),
            state: numbers(state)?,
            vectors: vec![0.; rows * widths.output],
            attended: vec![0.; rows * places],
        })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.memories.len()
    }

    /// Reads an input for each row, as what it adds to the gates
    /// ([`input_shares`](PreparedAttentionRnn::input_shares)), and gives the attentional vectors,
    /// `[rows, output]`.
    ///
    /// # Panics
    /// When there is not a share for each row.
    pub fn step(&mut self, shares: &[&[f32]]) -> &[f32] {
        let widths = self.layer.widths();
        assert_eq!(shares.len(), self.rows(), "an input for each row");
        let Self { layer, keys, values, lengths, places, memories, state, vectors, attended } = self;
        let places = *places;
        let of_row = |row: usize| {
            let length = lengths[row];
            Places {
                keys: &keys[row * places * widths.key..][..length * widths.key],
                values: &values[row * places * widths.value..][..length * widths.value],
            }
        };
        let block = rows_of_a_block(memories.len(), BLOCK);
        let blocks = shares
            .par_chunks(block)
            .zip(memories.par_chunks(block))
            .zip(state.par_chunks_mut(block * widths.state))
            .zip(vectors.par_chunks_mut(block * widths.output))
            .zip(attended.par_chunks_mut(block * places));
        blocks.for_each(|((((shares, memories), state), vectors), attended)| {
            let h = layer.cell_step(widths, shares, state, vectors);
            layer.attend(widths, &h, memories, of_row, attended, vectors);
        });
        &self.vectors
    }

    /// Row `i` becomes a copy of what was row `from[i]`. What is not named is gone.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn select(&mut self, from: &[usize]) {
        let Widths { state, output, .. } = self.layer.widths();
        let copied = |numbers: &[f32], width: usize| -> Vec<f32> {
            let mut rows = Vec::with_capacity(from.len() * width);
            from.iter().for_each(|row| rows.extend_from_slice(&numbers[row * width..][..width]));
            rows
        };
        let others = || (copied(&self.vectors, output), copied(&self.attended, self.places));
        let states = || copied(&self.state, state);
        // Of few rows, another thread would be woken for less than it takes to wake it.
        (self.state, (self.vectors, self.attended)) = match from.len() > BLOCK {
            true => rayon::join(states, others),
            false => (states(), others()),
        };
        self.memories = from.iter().map(|&row| self.memories[row]).collect();
    }

    /// What each row attended to at the last step, `[rows, places]`, zero on padding.
    pub fn attended(&self) -> &[f32] {
        &self.attended
    }
}

impl PreparedAttentionRnn {
    /// Takes the cell of some rows through a step; gives `h [rows, h]`.
    fn cell_step(&self, widths: Widths, shares: &[&[f32]], state: &mut [f32], vectors: &[f32]) -> Vec<f32> {
        let rows = shares.len();
        let repeated = |bias: &[f32]| bias.repeat(rows);
        let part = |state: &[f32], from: usize, width: usize| -> Vec<f32> {
            state.chunks_exact(widths.state).flat_map(|row| &row[from..from + width]).copied().collect()
        };
        let mut gates = shares.concat();
        assert_eq!(gates.len(), rows * widths.gates, "a share has a number for each gate");
        if let Some(feed) = &self.feed {
            product(&mut gates, Rows::new(vectors, widths.output), feed);
        }
        let hidden = widths.hidden;
        let earlier: Vec<Vec<f32>> =
            (0..self.w_hh.len()).map(|lag| part(state, lag * widths.h, widths.h)).collect();
        let mut h = vec![0.; rows * widths.h];
        let mut kept = vec![0.; rows * hidden];
        match self.config.cell {
            Cell::Elman { activation, .. } => {
                for (earlier, w_hh) in earlier.iter().zip(&self.w_hh) {
                    product(&mut gates, Rows::new(earlier, widths.h), w_hh);
                }
                f32::dispatch(elman::Step { activation, a: &gates, h: &mut h });
                // Every state is one step older.
                for row in state.chunks_exact_mut(widths.state) {
                    row.copy_within(..widths.state - hidden, hidden);
                }
            }
            Cell::Gru => {
                let mut recurrent = repeated(&self.b_hh);
                product(&mut recurrent, Rows::new(&earlier[0], widths.h), &self.w_hh[0]);
                let (gates, recurrent) = (&mut gates[..], &recurrent[..]);
                f32::dispatch(gru::Step {
                    hidden,
                    gates,
                    recurrent,
                    h_previous: &earlier[0],
                    m: &mut kept,
                    h: &mut h,
                });
            }
            Cell::Lstm { .. } => {
                product(&mut gates, Rows::new(&earlier[0], widths.h), &self.w_hh[0]);
                let c_previous = part(state, widths.h, hidden);
                let mut c = vec![0.; rows * hidden];
                let mut unprojected = vec![0.; self.w_hr.as_ref().map_or(0, |_| rows * hidden)];
                let to = if self.w_hr.is_some() { &mut unprojected } else { &mut h };
                f32::dispatch(lstm::Step {
                    hidden,
                    gates: &mut gates,
                    c_previous: &c_previous,
                    c: &mut c,
                    tanh_c: &mut kept,
                    h: to,
                });
                if let Some(w_hr) = &self.w_hr {
                    product(&mut h, Rows::new(&unprojected, hidden), w_hr);
                }
                for (row, c) in state.chunks_exact_mut(widths.state).zip(c.chunks_exact(hidden)) {
                    row[widths.h..].copy_from_slice(c);
                }
            }
        }
        for (row, h) in state.chunks_exact_mut(widths.state).zip(h.chunks_exact(widths.h)) {
            row[..widths.h].copy_from_slice(h);
        }
        h
    }

    /// Attends for some rows and writes their attentional vectors.
    fn attend<'p>(
        &self,
        widths: Widths,
        h: &[f32],
        memories: &[usize],
        places: impl Fn(usize) -> Places<'p, f32>,
        attended: &mut [f32],
        vectors: &mut [f32],
    ) {
        let rows = memories.len();
        let asked: Vec<f32>;
        let queries = match &self.query {
            None => h,
            Some(w_q) => {
                let mut queries = vec![0.; rows * widths.key];
                product(&mut queries, Rows::new(h, widths.h), w_q);
                asked = queries;
                &asked
            }
        };
        let comparison = match &self.v {
            Some(v) => Comparison::Additive(v),
            None => Comparison::Multiplicative,
        };
        let gates = self.gate.as_ref().map(|(weight, bias)| {
            let mut gates = bias.repeat(rows);
            product(&mut gates, Rows::new(h, widths.h), weight);
            f32::dispatch(Sigmoid(&mut gates));
            gates
        });
        let width = widths.h + widths.value;
        let mut joined = vec![0.; rows * width];
        let each = joined.chunks_exact_mut(width).zip(attended.chunks_exact_mut(attended.len() / rows));
        for (row, (joined, weights)) in each.enumerate() {
            let places = places(memories[row]);
            let (h_again, context) = joined.split_at_mut(widths.h);
            h_again.copy_from_slice(&h[row * widths.h..][..widths.h]);
            let (weights, padding) = weights.split_at_mut(places.values.len() / widths.value);
            padding.fill(0.);
            let query = &queries[row * widths.key..][..widths.key];
            f32::dispatch(Attend { comparison, places, query, weights, context });
            if let Some(gates) = &gates {
                let gates = &gates[row * widths.value..][..widths.value];
                context.iter_mut().zip(gates).for_each(|(c, gate)| *c *= gate);
            }
        }
        vectors.chunks_exact_mut(widths.output).for_each(|row| row.copy_from_slice(&self.combine_bias));
        product(vectors, Rows::new(&joined, width), &self.combine);
        f32::dispatch(Tanh(vectors));
    }
}
