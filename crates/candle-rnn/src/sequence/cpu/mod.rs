//! The CPU path: forward and hand-written backpropagation through time.
//!
//! Three stages each way, of which only the middle one is recurrent:
//!
//! | | forward | backward |
//! |---|---|---|
//! | all steps at once | the input's share of the gates, `W_ih x_t + b` | |
//! | walk | `W_hh h_{t-1}` and the nonlinearities, step by step | `δ_t` and `∂L/∂h_{t-1}`, step by step |
//! | all steps at once | | `∂L/∂x = δ W_ih`, `∂L/∂W_ih = δᵀ x`, `∂L/∂W_hh = δᵀ h_{t-1}` |
//!
//! No barrier stands between two steps of a walk: each thread has rows of its own ([`plan`]).

use candle_core::{Device, Result, Shape, Tensor};
use rayon::prelude::*;

use super::{Gradients, Layer, Sizes, Wanted, Weights};
use crate::cell::{Cell, CellWeights};
use crate::kernels::{Buffer, Kernel, Lanes, Packed, Real, Rows};
use crate::kernels::{Team, affine, product, transposed_product, with_numbers, with_team};

pub(crate) mod elman;
mod feeding;
pub(crate) mod gru;
mod history;
pub(crate) mod lstm;
mod plan;

use history::History;
use plan::{Plan, Walk};

use super::feeding::Feeding;

/// Rows of a padded batch that one task copies or computes.
const BLOCK: usize = 64;

/// What the forward pass keeps for the backward pass.
pub(super) struct Saved<R: Real> {
    plan: Plan,
    /// `[total, gates]`: the gates after their nonlinearities (Elman: none).
    gates: Buffer<R>,
    /// `h` of every step and of those before the first.
    h: Buffer<R>,
    /// LSTM: `c` of every step and of the one before the first.
    c: Buffer<R>,
    /// `[total, hidden]`; LSTM: `tanh(c_t)`; GRU: `W_hn h_{t-1} + b_hn`.
    extra: Buffer<R>,
    /// With input feeding.
    feeding: Option<feeding::Saved<R>>,
}

/// How wide the parts of [`Saved`] are.
#[derive(Clone, Copy)]
struct Widths {
    h: usize,
    /// Steps before the first in `h`.
    lead: usize,
    c: usize,
    extra: usize,
}

impl Widths {
    fn of(layer: &Layer) -> Self {
        let Sizes { hidden, output, order, .. } = layer.sizes;
        let (c, extra) = match layer.cell {
            Cell::Elman { .. } => (0, 0),
            Cell::Gru => (0, hidden),
            Cell::Lstm { .. } => (hidden, hidden),
        };
        Self { h: output, lead: order, c, extra }
    }
}

/// A walk and its pieces of the buffers, forward.
struct ForwardWalk<'a, R: Real> {
    walk: &'a Walk,
    gates: &'a mut [R],
    h: History<'a, &'a mut [R]>,
    c: History<'a, &'a mut [R]>,
    extra: &'a mut [R],
    feeding: Option<feeding::Forward<'a, R>>,
}

impl<R: Real> ForwardWalk<'_, R> {
    /// Adds what is fed back to the gates of step `s`, before anything else is done with them.
    fn feed(&mut self, team: &Team, s: usize) {
        if let Some(feeding) = &mut self.feeding {
            let width = self.gates.len() / self.walk.total();
            feeding.feed(team, s, &mut self.gates[self.walk.at(s, width)]);
        }
    }

    /// Attends, after step `s`, if there is something to attend to.
    fn attend(&mut self, team: &Team, s: usize) {
        if let Some(feeding) = &mut self.feeding {
            feeding.attend(team, s, self.h.earlier_and_current(s, 1).1);
        }
    }
}

/// A walk and its pieces of the buffers, backward.
struct BackwardWalk<'a, R: Real> {
    walk: &'a Walk,
    gates: &'a [R],
    h: History<'a, &'a [R]>,
    c: History<'a, &'a [R]>,
    extra: &'a [R],
    /// `∂L/∂(W_ih x_t + b_ih)`, to be written.
    deltas: &'a mut [R],
    /// `∂L/∂y` of all rows, `[batch · time, output]`, and where each position is in it.
    outputs: Rows<'a, R>,
    /// `∂L/∂(final state)`, `[batch, state]`.
    last: Rows<'a, R>,
    /// For each position its row of `[batch · time]`.
    sources: &'a [usize],
    /// Steps of the padded batch, if the norms ‖∂L/∂h_t‖ are asked for.
    flow: Option<usize>,
    feeding: Option<feeding::Backward<'a, R>>,
}

impl<R: Real> BackwardWalk<'_, R> {
    /// `∂L/∂h_t`, so far from the step after, plus what comes from the outputs of step `s`.
    fn add_outputs(&mut self, team: &Team, dh: &mut [R], s: usize) {
        let outputs = self.outputs.slice(self.walk.positions(s));
        match &mut self.feeding {
            None => R::dispatch(AddRows { sum: dh, rows: outputs }),
            Some(feeding) => feeding.attend(team, s, outputs, dh),
        }
    }

    /// Hands what step `s` sends back through the input that is fed.
    fn feed(&mut self, team: &Team, s: usize) {
        if let Some(feeding) = &mut self.feeding {
            let width = self.deltas.len() / self.walk.total();
            feeding.feed(team, s, &self.deltas[self.walk.at(s, width)]);
        }
    }

    /// Columns `from..from + width` of the gradient of the final state, for the rows of the walk.
    fn last(&self, from: usize, width: usize) -> Buffer<R> {
        let mut part = Buffer::new(self.walk.len() * width);
        for (to, &(row, _)) in part.chunks_exact_mut(width).zip(&self.walk.rows) {
            to.copy_from_slice(&self.last.row(row)[from..from + width]);
        }
        part
    }
}

/// What a walk carries along on its way back.
struct Carried<R: Real> {
    /// At the end: the gradient of the initial state, its parts `[rows, width]`.
    state: Vec<Buffer<R>>,
    /// Sums of the deltas.
    bias: Vec<R>,
    /// Σ ‖∂L/∂h‖² of every time step, if asked for.
    squares: Option<Vec<f64>>,
    /// With input feeding.
    memory: Option<feeding::MemoryGradient<R>>,
}

impl<R: Real> Carried<R> {
    fn new(pass: &BackwardWalk<R>, bias: usize) -> Self {
        let squares = pass.flow.map(|time| vec![0.; time]);
        Self { state: Vec::new(), bias: vec![R::zero(); bias], squares, memory: None }
    }

    /// At the end of a walk.
    fn finish(self, pass: BackwardWalk<R>, state: Vec<Buffer<R>>) -> Self {
        Self { state, memory: pass.feeding.map(feeding::Backward::finish), ..self }
    }
}

fn tensor<R: Real>(numbers: Vec<R>, shape: impl Into<Shape>) -> Result<Tensor> {
    Tensor::from_vec(numbers, shape.into(), &Device::Cpu)
}

/// `f` of every walk, each on a thread of its own.
fn on_each<T: Send, S: Send>(mut walks: Vec<T>, f: impl Fn(T) -> S + Sync + Send) -> Vec<S> {
    match walks.len() {
        1 => walks.drain(..).map(f).collect(),
        _ => walks.into_par_iter().with_max_len(1).map(f).collect(),
    }
}

/// Outputs `[batch, time, output]`, the final state `[batch, state]`, and what the backward pass
/// needs.
pub(super) fn forward<R: Real>(
    layer: &Layer,
    weights: &Weights,
    xs: &[R],
    state: &[R],
) -> Result<(Vec<R>, Tensor, Saved<R>)> {
    match &weights.feeding {
        None => forward_with(layer, &weights.cell, None, xs, state),
        Some(feeding) => feeding::with_ready(layer, feeding, true, |ready| {
            forward_with(layer, &weights.cell, Some(&ready), xs, state)
        }),
    }
}

fn forward_with<R: Real>(
    layer: &Layer,
    weights: &CellWeights,
    ready: Option<&feeding::Ready<R>>,
    xs: &[R],
    state: &[R],
) -> Result<(Vec<R>, Tensor, Saved<R>)> {
    let sizes = layer.sizes;
    let widths = Widths::of(layer);
    let plan = Plan::new(layer);
    let pack = |w: &Tensor, width| with_numbers(w, |w| Packed::columns(Rows::new(w, width), layer.matmul));

    let mut gates = Buffer::new(plan.total() * sizes.gates);
    let b_hh: Vec<R> = with_numbers(&weights.b_hh, <[R]>::to_vec)?;
    let mut bias: Vec<R> = with_numbers(&weights.b_ih, <[R]>::to_vec)?;
    // The GRU's reset gate stands between W_hn h + b_hn and the rest; elsewhere one bias will do.
    if layer.cell != Cell::Gru {
        bias.iter_mut().zip(&b_hh).for_each(|(b, &b_hh)| *b += b_hh);
    }
    let inputs = Rows::in_order(xs, sizes.input, &plan.sources);
    affine(&mut gates, inputs, &pack(&weights.w_ih, sizes.input)?, Some(&bias));

    let history = |lead: usize| plan.walks.iter().map(|walk| walk.history(lead)).sum::<usize>();
    let mut h = Buffer::new(history(widths.lead) * widths.h);
    let mut c = Buffer::new(history(1) * widths.c);
    let mut extra = Buffer::new(plan.total() * widths.extra);
    let pieces = plan.split(&mut gates, sizes.gates).into_iter().zip(plan.split(&mut extra, widths.extra));
    let histories = plan.split_history(&mut h, widths.h, widths.lead).into_iter();
    let histories = histories.zip(plan.split_history(&mut c, widths.c, 1));
    let mut saved_feeding = ready.map(|ready| feeding::Saved::new(&plan, ready.sizes));
    let feedings = match (&mut saved_feeding, ready) {
        (Some(saved), Some(ready)) => saved.forward(&plan, ready).into_iter().map(Some).collect(),
        _ => Vec::new(),
    };
    let feedings = feedings.into_iter().chain(std::iter::repeat_with(|| None));
    let walks = plan.walks.iter().zip(pieces).zip(histories).zip(feedings);
    let walks = walks.map(|(((walk, (gates, extra)), (h, c)), feeding)| {
        let h = History { walk, data: h, width: widths.h, lead: widths.lead };
        let c = History { walk, data: c, width: widths.c, lead: 1 };
        let mut pass = ForwardWalk { walk, gates, h, c, extra, feeding };
        for (i, &(row, _)) in walk.rows.iter().enumerate() {
            let (earlier, c) = state[row * sizes.state..][..sizes.state].split_at(widths.lead * widths.h);
            for (step, earlier) in earlier.chunks_exact(widths.h).enumerate() {
                pass.h.set_initial(step, i, earlier);
            }
            pass.c.set_initial(0, i, c);
        }
        pass
    });
    let w_hh = weights.w_hh.iter().map(|w| pack(w, sizes.output)).collect::<Result<Vec<_>>>()?;
    let w_hr = weights.w_hr.as_ref().map(|w| pack(w, sizes.hidden)).transpose()?;
    on_each(walks.collect(), |pass| {
        with_team(sizes.batch, plan.multiplications, |team| match layer.cell {
            Cell::Elman { activation, .. } => elman::forward(pass, team, activation, &w_hh),
            Cell::Gru => gru::forward(pass, team, &b_hh, &w_hh[0]),
            Cell::Lstm { .. } => lstm::forward(pass, team, &w_hh[0], w_hr.as_ref()),
        });
    });
    if let Cell::Elman { .. } = layer.cell {
        gates = Buffer::new(0);
    }
    let saved = Saved { plan, gates, h, c, extra, feeding: saved_feeding };
    let last = tensor(final_state(layer, &saved), (sizes.batch, sizes.state))?;
    Ok((outputs(layer, &saved), last, saved))
}

/// `[batch, time, output]`, zero on padding.
fn outputs<R: Real>(layer: &Layer, saved: &Saved<R>) -> Vec<R> {
    let Sizes { batch, time, output, order, .. } = layer.sizes;
    let (from, lead, output) = match &saved.feeding {
        Some(feeding) => feeding.outputs(),
        None => (&saved.h[..], order, output),
    };
    let stored = saved.plan.lagged(lead, 0);
    let mut ys = vec![R::zero(); batch * time * output];
    let blocks = ys.par_chunks_mut(BLOCK * output).zip(saved.plan.positions.par_chunks(BLOCK));
    blocks.with_min_len(4).for_each(|(ys, positions)| {
        for (y, position) in ys.chunks_exact_mut(output).zip(positions) {
            if let Some(position) = *position {
                y.copy_from_slice(&from[stored[position] * output..][..output]);
            }
        }
    });
    ys
}

/// `[batch, state]`: the state after each row's last step.
fn final_state<R: Real>(layer: &Layer, saved: &Saved<R>) -> Vec<R> {
    let sizes = layer.sizes;
    let mut states = vec![R::zero(); sizes.batch * sizes.state];
    for (walk, h, c) in histories(layer, saved) {
        for (i, &(row, length)) in walk.rows.iter().enumerate() {
            let last = length as isize - 1;
            let state = &mut states[row * sizes.state..][..sizes.state];
            let (earlier, c_last) = state.split_at_mut(sizes.order * sizes.output);
            for (k, part) in earlier.chunks_exact_mut(sizes.output).enumerate() {
                part.copy_from_slice(h.vector(last - k as isize, i));
            }
            c_last.copy_from_slice(c.vector(last, i));
        }
    }
    states
}

/// Every walk with its histories.
#[expect(clippy::type_complexity, reason = "a walk, its h and its c")]
fn histories<'a, R: Real>(
    layer: &Layer,
    saved: &'a Saved<R>,
) -> Vec<(&'a Walk, History<'a, &'a [R]>, History<'a, &'a [R]>)> {
    let widths = Widths::of(layer);
    let (mut h, mut c) = (&saved.h[..], &saved.c[..]);
    let mut piece = |walk: &'a Walk| {
        let (h_piece, c_piece);
        (h_piece, h) = h.split_at(walk.history(widths.lead) * widths.h);
        (c_piece, c) = c.split_at(walk.history(1) * widths.c);
        let h = History { walk, data: h_piece, width: widths.h, lead: widths.lead };
        (walk, h, History { walk, data: c_piece, width: widths.c, lead: 1 })
    };
    saved.plan.walks.iter().map(&mut piece).collect()
}

/// Gradients of what is `wanted`, from those of the outputs (`[batch, time, output]`) and of the
/// final state.
pub(super) fn backward<R: Real>(
    layer: &Layer,
    weights: &Weights,
    saved: &Saved<R>,
    xs: &Tensor,
    outputs: &Tensor,
    last: &Tensor,
    wanted: Wanted,
) -> Result<Gradients> {
    let inputs = BackwardInputs { saved, xs, outputs, last };
    match &weights.feeding {
        None => backward_with(layer, &weights.cell, None, inputs, wanted),
        Some(feeding) => feeding::with_ready(layer, feeding, false, |ready| {
            backward_with(layer, &weights.cell, Some((feeding, &ready)), inputs, wanted)
        }),
    }
}

/// What a backward pass begins with.
struct BackwardInputs<'a, R: Real> {
    saved: &'a Saved<R>,
    xs: &'a Tensor,
    outputs: &'a Tensor,
    last: &'a Tensor,
}

fn backward_with<R: Real>(
    layer: &Layer,
    weights: &CellWeights,
    feeding: Option<(&Feeding, &feeding::Ready<R>)>,
    BackwardInputs { saved, xs, outputs, last }: BackwardInputs<R>,
    wanted: Wanted,
) -> Result<Gradients> {
    let sizes = layer.sizes;
    let plan = &saved.plan;
    let pack = |w: &Tensor, width| with_numbers(w, |w| Packed::rows(Rows::new(w, width), layer.matmul));
    let w_hh = weights.w_hh.iter().map(|w| pack(w, sizes.output)).collect::<Result<Vec<_>>>()?;
    let w_hr = weights.w_hr.as_ref().map(|w| pack(w, sizes.hidden)).transpose()?;

    let mut deltas = Buffer::new(plan.total() * sizes.gates);
    // GRU: ∂L/∂(W_hh h + b_hh), which for the new gate differs from that of the input's share;
    // projected LSTM: ∂L/∂h of every step.
    let beside = match layer.cell {
        Cell::Gru => sizes.gates,
        Cell::Lstm { projection: Some(_) } => sizes.output,
        _ => 0,
    };
    let mut second = Buffer::new(plan.total() * beside);
    let widths = Widths::of(layer);
    let kept_gates = saved.gates.len() / plan.total();
    let mut feeding_deltas = feeding.map(|(_, ready)| feeding::Deltas::new(plan, ready.sizes));
    let output = outputs.dim(2)?;
    let mut walk_back = |outputs: &[R], last: &[R]| {
        let feedings = match (&mut feeding_deltas, feeding, &saved.feeding) {
            (Some(deltas), Some((_, ready)), Some(saved)) => {
                deltas.backward(plan, ready, saved).into_iter().map(Some).collect()
            }
            _ => Vec::new(),
        };
        let feedings = feedings.into_iter().chain(std::iter::repeat_with(|| None));
        let pieces = plan.split(&mut deltas, sizes.gates).into_iter().zip(plan.split(&mut second, beside));
        let pieces = pieces.zip(feedings);
        let walks = histories(layer, saved).into_iter().zip(pieces).map(
            |((walk, h, c), ((deltas, second), feeding))| {
                let pass = BackwardWalk {
                    walk,
                    gates: &saved.gates[walk.within(kept_gates)],
                    h,
                    c,
                    extra: &saved.extra[walk.within(widths.extra)],
                    deltas,
                    outputs: Rows::in_order(outputs, output, &plan.sources),
                    last: Rows::new(last, sizes.state),
                    sources: &plan.sources,
                    flow: layer.flow.is_some().then_some(sizes.time),
                    feeding,
                };
                (pass, second)
            },
        );
        on_each(walks.collect(), |(pass, second)| {
            with_team(sizes.batch, plan.multiplications, |team| match layer.cell {
                Cell::Elman { activation, .. } => elman::backward(pass, team, activation, &w_hh),
                Cell::Gru => gru::backward(pass, team, &w_hh[0], second),
                Cell::Lstm { .. } => lstm::backward(pass, team, &w_hh[0], w_hr.as_ref(), second),
            })
        })
    };
    let mut carried = with_numbers(outputs, |outputs| with_numbers(last, |last| walk_back(outputs, last)))??;

    layer.record_flow(carried.iter().filter_map(|walk| walk.squares.as_deref()));
    let xs_gradient = match wanted.xs {
        true => Some(input_gradient(layer, plan, &deltas, &pack(&weights.w_ih, sizes.input)?)?),
        false => None,
    };
    let mut weights = match wanted.weights {
        true => weight_gradients(layer, saved, xs, &deltas, &second, &carried)?,
        false => Vec::new(),
    };
    if let (true, Some((feeding, _)), Some(saved), Some(of_feeding)) =
        (wanted.weights, feeding, &saved.feeding, &feeding_deltas)
    {
        let memories = carried.iter_mut().filter_map(|walk| walk.memory.take()).collect();
        weights.extend(feeding::gradients(layer, feeding, plan, saved, (&deltas, of_feeding), memories)?);
    }
    let state = match wanted.state {
        true => Some(state_gradient(layer, plan, &carried)?),
        false => None,
    };
    Ok(Gradients { xs: xs_gradient, weights, state })
}

/// `∂L/∂x = δ W_ih`, zero on padding.
fn input_gradient<R: Real>(layer: &Layer, plan: &Plan, deltas: &[R], w_ih: &Packed<R>) -> Result<Tensor> {
    let Sizes { batch, time, input, gates, .. } = layer.sizes;
    let mut dxs = vec![R::zero(); batch * time * input];
    let blocks = dxs.par_chunks_mut(BLOCK * input).zip(plan.positions.par_chunks(BLOCK));
    // What is too small to share stays in one piece.
    let least = ((1 << 20) / (BLOCK * input * gates)).max(1);
    blocks.with_min_len(least).for_each(|(mut dxs, positions)| {
        for run in positions.chunk_by(|a, b| a.is_some() == b.is_some()) {
            let dx = dxs.split_off_mut(..run.len() * input).expect("as many rows as positions");
            let order: Vec<usize> = run.iter().copied().flatten().collect();
            if !order.is_empty() {
                product(dx, Rows::in_order(deltas, gates, &order), w_ih);
            }
        }
    });
    tensor(dxs, (batch, time, input))
}

/// Gradients in the order of [`CellWeights::tensors`].
fn weight_gradients<R: Real>(
    layer: &Layer,
    saved: &Saved<R>,
    xs: &Tensor,
    deltas: &[R],
    second: &[R],
    carried: &[Carried<R>],
) -> Result<Vec<Tensor>> {
    let Sizes { input, gates, hidden, output, order, .. } = layer.sizes;
    let plan = &saved.plan;
    let scale = layer.weight_scale();
    let scaled = |mut numbers: Vec<R>, shape: Shape| {
        if scale != 1. {
            numbers.iter_mut().for_each(|x| *x *= R::from_f64(scale));
        }
        tensor(numbers, shape)
    };
    let pack = |rows: Rows<R>| Packed::rows(rows, layer.matmul);
    let inputs = with_numbers(xs, |xs| pack(Rows::in_order(xs, input, &plan.sources)))?;
    let mut tensors =
        vec![scaled(transposed_product(Rows::new(deltas, gates), &inputs), (gates, input).into())?];

    let recurrent = if layer.cell == Cell::Gru { second } else { deltas };
    for lag in 1..=order {
        let earlier = pack(Rows::in_order(&saved.h, output, &plan.lagged(order, lag)));
        let dw = transposed_product(Rows::new(recurrent, gates), &earlier);
        tensors.push(scaled(dw, (gates, output).into())?);
    }

    let mut bias = carried[0].bias.clone();
    for walk in &carried[1..] {
        bias.iter_mut().zip(&walk.bias).for_each(|(sum, &b)| *sum += b);
    }
    tensors.push(scaled(bias[..gates].to_vec(), gates.into())?);
    if layer.cell == Cell::Gru {
        // δr, δz are the same on both sides; behind δn stands δn ⊙ r.
        bias.drain(2 * hidden..3 * hidden);
    }
    tensors.push(scaled(bias, gates.into())?);

    if let Cell::Lstm { projection: Some(_) } = layer.cell {
        let mut unprojected = Buffer::new(plan.total() * hidden);
        let o_and_tanh_c = saved.gates.chunks_exact(4 * hidden).zip(saved.extra.chunks_exact(hidden));
        for (h, (gates, tanh_c)) in unprojected.chunks_exact_mut(hidden).zip(o_and_tanh_c) {
            for ((h, &o), &tanh_c) in h.iter_mut().zip(&gates[3 * hidden..]).zip(tanh_c) {
                *h = o * tanh_c;
            }
        }
        let unprojected = pack(Rows::new(&unprojected, hidden));
        let dw = transposed_product(Rows::new(second, output), &unprojected);
        tensors.push(scaled(dw, (output, hidden).into())?);
    }
    Ok(tensors)
}

/// `∂L/∂(initial state)`, `[batch, state]`.
fn state_gradient<R: Real>(layer: &Layer, plan: &Plan, carried: &[Carried<R>]) -> Result<Tensor> {
    let Sizes { batch, state, .. } = layer.sizes;
    let mut dstate = vec![R::zero(); batch * state];
    for (walk, carried) in plan.walks.iter().zip(carried) {
        for (i, &(row, _)) in walk.rows.iter().enumerate() {
            let mut to = &mut dstate[row * state..][..state];
            for part in &carried.state {
                let width = part.len() / walk.len();
                let piece = to.split_off_mut(..width).expect("the parts make up the state");
                piece.copy_from_slice(&part[i * width..][..width]);
            }
        }
    }
    tensor(dstate, (batch, state))
}

/// `sum += rows`, row by row.
struct AddRows<'a, R> {
    sum: &'a mut [R],
    rows: Rows<'a, R>,
}

impl<R: Real> Kernel<R> for AddRows<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes<Real = R>>(self, l: L) {
        for (i, sum) in self.sum.chunks_exact_mut(self.rows.width()).enumerate() {
            let row = self.rows.row(i);
            for j in l.pieces(row.len()) {
                let x = l.load(&sum[j.clone()]) + l.load(&row[j.clone()]);
                l.store(x, &mut sum[j]);
            }
        }
    }
}

/// Adds ‖∂L/∂h_t‖² of the rows of walked step `s` to the time step of each, if it is asked for.
fn add_squares<R: Real>(dh: &[R], pass: &BackwardWalk<R>, s: usize, squares: &mut Option<Vec<f64>>) {
    if let Some(squares) = squares {
        let sources = &pass.sources[pass.walk.positions(s)];
        let time = squares.len();
        for (dh, source) in dh.chunks_exact(pass.h.width).zip(sources) {
            squares[source % time] += dh.iter().map(|x| x.to_f64() * x.to_f64()).sum::<f64>();
        }
    }
}
