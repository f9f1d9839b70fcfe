//! The loop over the steps for devices and types without a kernel of ours, inside the node.
//!
//! The forward pass runs [`CellWeights::step`] on detached tensors. The backward pass walks the
//! steps in reverse and differentiates one of them at a time: the vector-Jacobian product of a
//! step gives `∂L/∂h_{t-1}` from `∂L/∂h_t`, which is backpropagation through time written down.
//! The states are computed again first, so that nothing but the inputs is kept.

use candle_core::{Result, Tensor, Var};

use super::SequenceOp;
use crate::cell::{Cell, CellWeights};

/// One step of the walk: which time step, and which rows are valid there (`[batch, 1]`).
struct Step {
    time: usize,
    valid: Tensor,
}

fn steps(op: &SequenceOp, xs: &Tensor) -> Result<Vec<Step>> {
    let mask = op.lengths.mask(xs.dtype(), xs.device())?;
    let time = op.sizes.time;
    let walk: Box<dyn Iterator<Item = usize>> =
        if op.reverse { Box::new((0..time).rev()) } else { Box::new(0..time) };
    walk.map(|t| Ok(Step { time: t, valid: mask.narrow(1, t, 1)? })).collect()
}

fn unpack(op: &SequenceOp, weights: &Tensor) -> Result<CellWeights> {
    let s = op.sizes;
    let parts = s.weight_parts(op.cell);
    let mut offset = 0;
    let mut take = |size: usize| {
        offset += size;
        weights.narrow(0, offset - size, size)
    };
    let w_ih = take(parts[0])?.reshape((s.gates, s.input))?;
    let w_hh = (0..s.order)
        .map(|_| take(s.gates * s.output)?.reshape((s.gates, s.output)))
        .collect::<Result<_>>()?;
    let (b_ih, b_hh) = (take(parts[2])?, take(parts[3])?);
    let w_hr = match op.cell {
        Cell::Lstm { projection: Some(_) } => Some(take(parts[4])?.reshape((s.output, s.hidden))?),
        _ => None,
    };
    Ok(CellWeights { w_ih, w_hh, b_ih, b_hh, w_hr })
}

fn input(xs: &Tensor, step: &Step) -> Result<Tensor> {
    xs.narrow(1, step.time, 1)?.squeeze(1)?.contiguous()
}

/// A step that leaves the state of rows on padding as it is.
fn masked_step(op: &SequenceOp, w: &CellWeights, x: &Tensor, h: &Tensor, step: &Step) -> Result<Tensor> {
    let next = w.step(op.cell, x, h)?;
    h + (next - h)?.broadcast_mul(&step.valid)?
}

/// The flat result of [`SequenceOp`], from detached tensors.
pub(super) fn forward(op: &SequenceOp, xs: &Tensor, weights: &Tensor, state: &Tensor) -> Result<Tensor> {
    let w = unpack(op, weights)?;
    let mut state = state.clone();
    let mut outputs = vec![None; op.sizes.time];
    for step in steps(op, xs)? {
        state = masked_step(op, &w, &input(xs, &step)?, &state, &step)?;
        let h = state.narrow(1, 0, op.sizes.output)?.broadcast_mul(&step.valid)?;
        outputs[step.time] = Some(h);
    }
    let outputs: Vec<Tensor> = outputs.into_iter().flatten().collect();
    let outputs = Tensor::stack(&outputs, 1)?.flatten_all()?;
    Tensor::cat(&[outputs, state.flatten_all()?], 0)
}

/// Gradients of the input, the flat weights and the initial state.
pub(super) fn backward(
    op: &SequenceOp,
    xs: &Tensor,
    weights: &Tensor,
    state: &Tensor,
    gradient: &Tensor,
) -> Result<(Tensor, Tensor, Tensor)> {
    let s = op.sizes;
    let outputs = s.batch * s.time * s.output;
    let dys = gradient.narrow(0, 0, outputs)?.reshape((s.batch, s.time, s.output))?;
    let mut dstate = gradient.narrow(0, outputs, s.batch * s.state)?.reshape((s.batch, s.state))?;

    let w = unpack(op, weights)?;
    let walk = steps(op, xs)?;
    let mut states = vec![state.clone()];
    for (step, i) in walk.iter().zip(0..s.time - 1) {
        states.push(masked_step(op, &w, &input(xs, step)?, &states[i], step)?);
    }

    let mut dxs = vec![None; s.time];
    let mut dweights = weights.zeros_like()?;
    let mut squares = vec![0.; s.time];
    for (i, step) in walk.iter().enumerate().rev() {
        let dy = dys.narrow(1, step.time, 1)?.squeeze(1)?.broadcast_mul(&step.valid)?;
        let dh = (dy + dstate.narrow(1, 0, s.output)?)?;
        dstate = match s.state - s.output {
            0 => dh.clone(),
            rest => Tensor::cat(&[&dh, &dstate.narrow(1, s.output, rest)?], 1)?,
        };
        if op.flow.is_some() {
            let valid = dh.broadcast_mul(&step.valid)?;
            squares[i] = valid.sqr()?.sum_all()?.to_dtype(candle_core::DType::F64)?.to_scalar()?;
        }
        // One step as a graph of its own: its vector-Jacobian product with ∂L/∂state_t.
        let x = Var::from_tensor(&input(xs, step)?)?;
        let h = Var::from_tensor(&states[i])?;
        let v = Var::from_tensor(weights)?;
        let next = masked_step(op, &unpack(op, &v)?, &x, &h, step)?;
        let local = (next * &dstate)?.sum_all()?.backward()?;
        let of = |var: &Var| match local.get(var) {
            Some(gradient) => Ok(gradient.detach()),
            None => var.zeros_like(),
        };
        dweights = (dweights + of(&v)?)?;
        dxs[step.time] = Some(of(&x)?);
        dstate = of(&h)?;
    }
    op.record_flow(squares);
    let dxs: Vec<Tensor> = dxs.into_iter().flatten().collect();
    Ok((Tensor::stack(&dxs, 1)?, (dweights * op.weight_scale())?, dstate))
}
