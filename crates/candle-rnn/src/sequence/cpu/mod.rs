//! The CPU path: forward and hand-written backpropagation through time.
//!
//! The rows of the batch are dealt to the threads, and each thread walks all time steps of its
//! rows alone: no barrier stands between two steps. Within a thread the rows are sorted from the
//! longest to the shortest, so that the rows still running at a step are always the first ones,
//! and only valid steps are stored, one step after the other (the layout of PyTorch's
//! `PackedSequence`). Padding therefore costs nothing, and a backward direction is nothing but
//! another order of reading: walked step `s` of a row of length `n` is time step `n − 1 − s`.
//!
//! The product of the input with `W_ih` is done for all steps at once before the walk, the
//! gradients of the weights as one product over all steps after it.

use candle_core::{Device, Layout, Result, Tensor};

use super::SequenceOp;
use crate::cell::Cell;

mod elman;
mod gru;
mod lstm;
mod real;

pub(super) use real::Real;
use real::{Matrix, on_each, threads};

/// The weights of a layer as slices of the flat tensor.
struct Weights<'a, R> {
    w_ih: &'a [R],
    /// Lag 1 … K, each `[gates, output]`.
    w_hh: &'a [R],
    b_ih: &'a [R],
    b_hh: &'a [R],
    /// `[output, hidden]`, or empty.
    w_hr: &'a [R],
}

impl<'a, R> Weights<'a, R> {
    fn new(op: &SequenceOp, flat: &'a [R]) -> Self {
        let parts = op.sizes.weight_parts(op.cell);
        let (w_ih, rest) = flat.split_at(parts[0]);
        let (w_hh, rest) = rest.split_at(parts[1]);
        let (b_ih, rest) = rest.split_at(parts[2]);
        let (b_hh, w_hr) = rest.split_at(parts[3]);
        Self { w_ih, w_hh, b_ih, b_hh, w_hr }
    }
}

/// The rows of one thread and where their steps are stored.
struct Rows {
    /// Rows of the batch, longest first, with their lengths.
    rows: Vec<(usize, usize)>,
    /// How many rows run at each walked step; never grows.
    running: Vec<usize>,
    /// `offsets[s]`: where the rows of walked step `s` start; the last entry is the total.
    offsets: Vec<usize>,
}

impl Rows {
    /// Deals the rows of the batch, longest first, to at most `threads` threads.
    ///
    /// A walk of less than some million multiplications is not worth a thread.
    fn deal(op: &SequenceOp, threads: usize) -> Vec<Self> {
        const WORTH_A_THREAD: usize = 1 << 21;
        let lengths = op.lengths.as_slice();
        let sizes = op.sizes;
        let work = op.lengths.total() * sizes.gates * (sizes.input + sizes.output * sizes.order);
        let threads = threads.min(work / WORTH_A_THREAD);
        let mut order: Vec<usize> = (0..lengths.len()).collect();
        order.sort_by_key(|&row| std::cmp::Reverse(lengths[row]));
        let threads = threads.clamp(1, order.len());
        (0..threads)
            .map(|thread| {
                let rows = order.iter().skip(thread).step_by(threads);
                let rows: Vec<_> = rows.map(|&row| (row, lengths[row])).collect();
                let running: Vec<usize> =
                    (0..rows[0].1).map(|s| rows.partition_point(|&(_, length)| length > s)).collect();
                let mut offsets = vec![0];
                for n in &running {
                    offsets.push(offsets[offsets.len() - 1] + n);
                }
                Self { rows, running, offsets }
            })
            .collect()
    }

    fn len(&self) -> usize {
        self.rows.len()
    }

    fn steps(&self) -> usize {
        self.running.len()
    }

    /// Valid steps of all rows together.
    fn total(&self) -> usize {
        self.offsets[self.steps()]
    }

    /// The stored rows of walked step `s`.
    fn at(&self, s: usize) -> std::ops::Range<usize> {
        self.offsets[s]..self.offsets[s + 1]
    }

    /// Calls `f(stored row, row of batch · time + time step)` for every valid step.
    fn each_step(&self, op: &SequenceOp, mut f: impl FnMut(usize, usize)) {
        for s in 0..self.steps() {
            for (i, &(row, length)) in self.rows[..self.running[s]].iter().enumerate() {
                let t = if op.reverse { length - 1 - s } else { s };
                f(self.offsets[s] + i, row * op.sizes.time + t);
            }
        }
    }

    /// `[batch, time, width]` to `[total, width]`, valid steps in the order they are walked.
    fn gather<R: Real>(&self, op: &SequenceOp, padded: &[R], width: usize) -> Vec<R> {
        let mut stored = vec![R::zero(); self.total() * width];
        self.each_step(op, |to, from| {
            stored[to * width..][..width].copy_from_slice(&padded[from * width..][..width]);
        });
        stored
    }

    /// One part of the state, `[rows, width]`, out of `[batch, state]` from column `from` on.
    fn gather_state<R: Real>(&self, op: &SequenceOp, states: &[R], from: usize, width: usize) -> Vec<R> {
        let parts = self.rows.iter();
        parts.flat_map(|&(row, _)| states[row * op.sizes.state + from..][..width].iter().copied()).collect()
    }
}

/// A sequence of vectors per row, stored as [`Rows`] does, with the `K` vectors from before the
/// first step in front: `h_{1-K} … h_0, h_1, …, h_T`.
struct History<R> {
    data: Vec<R>,
    width: usize,
    /// Rows of one initial block.
    rows: usize,
    lead: usize,
}

impl<R: Real> History<R> {
    /// `initial`: oldest first, each `[rows, width]`.
    fn new(rows: &Rows, width: usize, initial: Vec<Vec<R>>) -> Self {
        let lead = initial.len();
        let mut data = initial.concat();
        data.resize((lead * rows.len() + rows.total()) * width, R::zero());
        Self { data, width, rows: rows.len(), lead }
    }

    fn start(&self, rows: &Rows, s: isize) -> usize {
        let row = match s {
            s if s < 0 => (self.lead as isize + s) as usize * self.rows,
            s => self.lead * self.rows + rows.offsets[s as usize],
        };
        row * self.width
    }

    /// The vectors of walked step `s`; the initial ones are −1, −2, …, for the rows that
    /// run at step `until`.
    fn at(&self, rows: &Rows, s: isize, until: usize) -> &[R] {
        &self.data[self.start(rows, s)..][..rows.running[until] * self.width]
    }

    /// The vectors of step `s − 1`, to read, and those of step `s`, to write.
    fn previous_and_current(&mut self, rows: &Rows, s: usize) -> (&[R], &mut [R]) {
        let (previous, current) = (self.start(rows, s as isize - 1), self.start(rows, s as isize));
        let (before, after) = self.data.split_at_mut(current);
        let n = rows.running[s] * self.width;
        (&before[previous..][..n], &mut after[..n])
    }

    /// `[total, width]`: for every stored step the vector `lag` steps earlier.
    fn lagged(&self, rows: &Rows, lag: usize) -> Vec<R> {
        let mut lagged = Vec::with_capacity(rows.total() * self.width);
        for s in 0..rows.steps() {
            lagged.extend_from_slice(self.at(rows, s as isize - lag as isize, s));
        }
        lagged
    }

    /// The vector of stored row `i`'s walked step `s` (negative: initial).
    fn vector(&self, rows: &Rows, i: usize, s: isize) -> &[R] {
        &self.data[self.start(rows, s) + i * self.width..][..self.width]
    }

    /// `[total, width]`: all walked steps.
    fn walked(&self) -> &[R] {
        &self.data[self.lead * self.rows * self.width..]
    }
}

/// What one thread keeps of the forward pass for the backward pass.
struct Walk<R> {
    rows: Rows,
    /// `[total, input]`
    xs: Vec<R>,
    /// `[total, gates]`: the gates after their nonlinearities (Elman: unused).
    gates: Vec<R>,
    h: History<R>,
    /// LSTM: the cell states.
    c: Option<History<R>>,
    /// `[total, hidden]`; LSTM: `tanh(c_t)`; GRU: `W_hn h_{t-1} + b_hn`.
    extra: Vec<R>,
}

/// What the whole forward pass keeps.
pub(super) struct Saved<R>(Vec<Walk<R>>);

/// Gradients that one thread computes for its rows.
struct Gradients<R> {
    /// `[total, gates]`: of the input product `W_ih x_t + b_ih`.
    gates: Vec<R>,
    /// Flat, parts as in the flat weights.
    w_hh: Vec<R>,
    b_hh: Vec<R>,
    w_hr: Vec<R>,
    /// `[rows, state]`
    state: Vec<R>,
    /// Σ ‖∂L/∂h‖² of every walked step.
    squares: Vec<f64>,
}

/// Whether the product of one row with `W_hh` is worth more than one thread.
fn spread(op: &SequenceOp) -> bool {
    op.sizes.gates * op.sizes.output >= 1 << 19
}

/// A contiguous tensor's elements.
pub(super) fn slice<'a, R>(data: &'a [R], layout: &Layout) -> Result<&'a [R]> {
    match layout.contiguous_offsets() {
        Some((from, to)) => Ok(&data[from..to]),
        None => candle_core::bail!("rnn-sequence: an input is not contiguous"),
    }
}

/// The flat result (outputs, then states) and what the backward pass needs.
pub(super) fn forward<R: Real>(op: &SequenceOp, xs: &[R], weights: &[R], state: &[R]) -> (Vec<R>, Saved<R>) {
    let sizes = op.sizes;
    let weights = Weights::new(op, weights);
    let w_hh: Vec<_> = weights
        .w_hh
        .chunks(sizes.gates * sizes.output)
        .map(|w| R::pack(Matrix::new(w, sizes.gates, sizes.output).transposed()))
        .collect();
    let w_hr = (!weights.w_hr.is_empty())
        .then(|| R::pack(Matrix::new(weights.w_hr, sizes.output, sizes.hidden).transposed()));
    // The GRU's reset gate stands between W_hn h + b_hn and the rest; elsewhere one bias will do.
    let mut bias = weights.b_ih.to_vec();
    if op.cell != Cell::Gru {
        bias.iter_mut().zip(weights.b_hh).for_each(|(b, &b_hh)| *b += b_hh);
    }
    let walks = on_each(Rows::deal(op, threads()), spread(op), |rows| {
        let x = rows.gather(op, xs, sizes.input);
        let mut gates: Vec<R> = Vec::with_capacity(rows.total() * sizes.gates);
        for _ in 0..rows.total() {
            gates.extend_from_slice(&bias);
        }
        R::product(
            &mut gates,
            Matrix::new(&x, rows.total(), sizes.input),
            Matrix::new(weights.w_ih, sizes.gates, sizes.input).transposed(),
        );
        let initial: Vec<_> =
            (0..sizes.order).map(|k| rows.gather_state(op, state, k * sizes.output, sizes.output)).collect();
        match op.cell {
            Cell::Elman { activation, .. } => {
                let oldest_first = initial.into_iter().rev().collect();
                elman::forward(activation, rows, x, gates, oldest_first, &w_hh)
            }
            Cell::Gru => gru::forward(rows, x, gates, initial.concat(), weights.b_hh, &w_hh[0]),
            Cell::Lstm { .. } => {
                let c = rows.gather_state(op, state, sizes.output, sizes.hidden);
                lstm::forward(rows, x, gates, initial.concat(), c, &w_hh[0], w_hr.as_ref())
            }
        }
    });

    let mut result = vec![R::zero(); op.result_size()];
    let (ys, states) = result.split_at_mut(sizes.batch * sizes.time * sizes.output);
    for walk in &walks {
        let width = sizes.output;
        let h = walk.h.walked();
        walk.rows.each_step(op, |from, to| {
            ys[to * width..][..width].copy_from_slice(&h[from * width..][..width]);
        });
        for (i, &(row, length)) in walk.rows.rows.iter().enumerate() {
            let last = length as isize - 1;
            let state = &mut states[row * sizes.state..][..sizes.state];
            for (k, part) in state[..sizes.order * width].chunks_mut(width).enumerate() {
                part.copy_from_slice(walk.h.vector(&walk.rows, i, last - k as isize));
            }
            if let Some(c) = &walk.c {
                state[width..].copy_from_slice(c.vector(&walk.rows, i, last));
            }
        }
    }
    (result, Saved(walks))
}

/// Gradients of the input, the flat weights and the initial state.
pub(super) fn backward<R: Real>(
    op: &SequenceOp,
    saved: &Saved<R>,
    weights: &Tensor,
    gradient: &Tensor,
) -> Result<(Tensor, Tensor, Tensor)> {
    let sizes = op.sizes;
    let (weights_storage, weights_layout) = weights.storage_and_layout();
    let (gradient_storage, gradient_layout) = gradient.storage_and_layout();
    let flat = slice(R::of_storage(&weights_storage)?, weights_layout)?;
    let weights = Weights::new(op, flat);
    let gradient = slice(R::of_storage(&gradient_storage)?, gradient_layout)?;
    let (dys, dstates) = gradient.split_at(sizes.batch * sizes.time * sizes.output);

    let w_hh: Vec<_> = weights
        .w_hh
        .chunks(sizes.gates * sizes.output)
        .map(|w| R::pack(Matrix::new(w, sizes.gates, sizes.output)))
        .collect();
    let w_hr =
        (!weights.w_hr.is_empty()).then(|| R::pack(Matrix::new(weights.w_hr, sizes.output, sizes.hidden)));
    let parts = on_each(saved.0.iter().collect(), spread(op), |walk: &Walk<R>| {
        let rows = &walk.rows;
        let dys = rows.gather(op, dys, sizes.output);
        let dstate = |from, width| rows.gather_state(op, dstates, from, width);
        let gradients = match op.cell {
            Cell::Elman { activation, order } => {
                let pending = (0..order).map(|k| dstate(k * sizes.output, sizes.output)).collect();
                elman::backward(activation, walk, dys, pending, &w_hh)
            }
            Cell::Gru => gru::backward(walk, dys, dstate(0, sizes.output), &w_hh[0]),
            Cell::Lstm { .. } => {
                let dc = dstate(sizes.output, sizes.hidden);
                lstm::backward(walk, dys, dstate(0, sizes.output), dc, &w_hh[0], w_hr.as_ref())
            }
        };
        // dX = dG W_ih and dW_ih = dGᵀ X, over all steps at once.
        let dgates = Matrix::new(&gradients.gates, rows.total(), sizes.gates);
        let mut dx = vec![R::zero(); rows.total() * sizes.input];
        R::product(&mut dx, dgates, Matrix::new(weights.w_ih, sizes.gates, sizes.input));
        let mut dw_ih = vec![R::zero(); weights.w_ih.len()];
        R::product(&mut dw_ih, dgates.transposed(), Matrix::new(&walk.xs, rows.total(), sizes.input));
        let db_ih = column_sums(&gradients.gates, sizes.gates);
        let dw = [dw_ih, gradients.w_hh, db_ih, gradients.b_hh, gradients.w_hr].concat();
        (dx, dw, gradients.state, gradients.squares)
    });

    let mut dxs = vec![R::zero(); sizes.batch * sizes.time * sizes.input];
    let mut dweights = vec![R::zero(); flat.len()];
    let mut dstate = vec![R::zero(); sizes.batch * sizes.state];
    let mut squares = vec![0.; sizes.time];
    for (walk, (dx, dw, ds, part)) in saved.0.iter().zip(parts) {
        let width = sizes.input;
        walk.rows.each_step(op, |from, to| {
            dxs[to * width..][..width].copy_from_slice(&dx[from * width..][..width]);
        });
        for (&(row, _), ds) in walk.rows.rows.iter().zip(ds.chunks(sizes.state)) {
            dstate[row * sizes.state..][..sizes.state].copy_from_slice(ds);
        }
        dweights.iter_mut().zip(dw).for_each(|(sum, dw)| *sum += dw);
        squares.iter_mut().zip(part).for_each(|(sum, square)| *sum += square);
    }
    let scale = op.weight_scale();
    if scale != 1. {
        dweights.iter_mut().for_each(|dw| *dw *= R::from_f64(scale));
    }
    op.record_flow(squares);
    Ok((
        Tensor::from_vec(dxs, (sizes.batch, sizes.time, sizes.input), &Device::Cpu)?,
        Tensor::from_vec(dweights, flat.len(), &Device::Cpu)?,
        Tensor::from_vec(dstate, (sizes.batch, sizes.state), &Device::Cpu)?,
    ))
}

/// Sums of the columns of `[rows, width]`.
fn column_sums<R: Real>(data: &[R], width: usize) -> Vec<R> {
    let mut sums = vec![R::zero(); width];
    for row in data.chunks(width) {
        sums.iter_mut().zip(row).for_each(|(sum, &x)| *sum += x);
    }
    sums
}

/// Σ x²
fn square_sum<R: Real>(data: &[R]) -> f64 {
    data.iter().map(|x| x.to_f64() * x.to_f64()).sum()
}

/// `dWᵀ`-like product of the walk: `dG [total, gates]` with a history `[total, width]`, flat
/// `[gates, width]`.
fn outer_sum<R: Real>(dgates: &[R], gates: usize, history: &[R], width: usize) -> Vec<R> {
    let total = dgates.len() / gates;
    let mut dw = vec![R::zero(); gates * width];
    R::product(&mut dw, Matrix::new(dgates, total, gates).transposed(), Matrix::new(history, total, width));
    dw
}
