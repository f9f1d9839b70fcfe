//! The loop over the steps for devices and types without a kernel of ours, inside the node.
//!
//! The forward pass runs [`PlainStep`](super::feeding::PlainStep)s on detached tensors. The backward pass walks the
//! steps in reverse and differentiates one of them at a time: the vector-Jacobian product of a
//! step gives `∂L/∂h_{t-1}` from `∂L/∂h_t`, which is backpropagation through time written down.
//! The states are computed again first, so that nothing but the inputs is kept.

use candle_core::{DType, Result, Tensor, Var};

use super::{Gradients, Layer, Weights};

/// One step of the walk: which time step, and which rows are valid there (`[batch, 1]`).
struct Step {
    time: usize,
    valid: Tensor,
}

fn steps(layer: &Layer, xs: &Tensor) -> Result<Vec<Step>> {
    let mask = layer.lengths.mask(xs.dtype(), xs.device())?;
    let time = layer.sizes.time;
    let walk: Box<dyn Iterator<Item = usize>> =
        if layer.reverse { Box::new((0..time).rev()) } else { Box::new(0..time) };
    walk.map(|t| Ok(Step { time: t, valid: mask.narrow(1, t, 1)? })).collect()
}

fn input(xs: &Tensor, step: &Step) -> Result<Tensor> {
    xs.narrow(1, step.time, 1)?.squeeze(1)?.contiguous()
}

/// A step that leaves the state of rows on padding as it is.
fn masked_step(layer: &Layer, w: &Weights, x: &Tensor, h: &Tensor, step: &Step) -> Result<Tensor> {
    let next = w.plain_step(layer.cell).step(x, h)?;
    h + (next - h)?.broadcast_mul(&step.valid)?
}

/// Outputs and final state, from detached tensors.
pub(super) fn forward(
    layer: &Layer,
    weights: &Weights,
    xs: &Tensor,
    state: &Tensor,
) -> Result<(Tensor, Tensor)> {
    let plain = weights.plain_step(layer.cell);
    let (from, size) = plain.output()?;
    let mut state = plain.initial(state)?;
    let mut outputs = vec![None; layer.sizes.time];
    for step in steps(layer, xs)? {
        state = masked_step(layer, weights, &input(xs, &step)?, &state, &step)?;
        let output = state.narrow(1, from, size)?.broadcast_mul(&step.valid)?;
        outputs[step.time] = Some(output);
    }
    let outputs: Vec<Tensor> = outputs.into_iter().flatten().collect();
    Ok((Tensor::stack(&outputs, 1)?, plain.cell_state(&state)?))
}

/// Gradients of everything, from those of the outputs and of the final state.
pub(super) fn backward(
    layer: &Layer,
    weights: &Weights,
    xs: &Tensor,
    state: &Tensor,
    outputs: &Tensor,
    last: &Tensor,
) -> Result<Gradients> {
    let s = layer.sizes;
    let plain = weights.plain_step(layer.cell);
    let (from, size) = plain.output()?;
    let mut dstate = plain.initial(last)?;
    let walk = steps(layer, xs)?;
    let mut states = vec![plain.initial(state)?];
    for (step, i) in walk.iter().zip(0..s.time - 1) {
        states.push(masked_step(layer, weights, &input(xs, step)?, &states[i], step)?);
    }

    let mut dxs = vec![None; s.time];
    let mut dweights: Vec<Tensor> =
        weights.tensors().into_iter().map(Tensor::zeros_like).collect::<Result<_>>()?;
    let mut squares = vec![0.; s.time];
    for (i, step) in walk.iter().enumerate().rev() {
        let dy = outputs.narrow(1, step.time, 1)?.squeeze(1)?.broadcast_mul(&step.valid)?;
        let beyond = dstate.dim(1)? - from - size;
        dstate = (dstate + dy.pad_with_zeros(1, from, beyond)?)?;
        if layer.flow.is_some() {
            let dh = dstate.narrow(1, 0, s.output)?;
            let valid = dh.broadcast_mul(&step.valid)?;
            squares[step.time] = valid.sqr()?.sum_all()?.to_dtype(DType::F64)?.to_scalar()?;
        }
        // One step as a graph of its own: its vector-Jacobian product with ∂L/∂state_t.
        let x = Var::from_tensor(&input(xs, step)?)?;
        let h = Var::from_tensor(&states[i])?;
        let variables = weights.try_map(|w| Ok(Var::from_tensor(w)?.into_inner()))?;
        let next = masked_step(layer, &variables, &x, &h, step)?;
        let local = (next * &dstate)?.sum_all()?.backward()?;
        let of = |tensor: &Tensor| match local.get(tensor) {
            Some(gradient) => Ok(gradient.detach()),
            None => tensor.zeros_like(),
        };
        for (sum, variable) in dweights.iter_mut().zip(variables.tensors()) {
            *sum = (&*sum + of(variable)?)?;
        }
        dxs[step.time] = Some(of(&x)?);
        dstate = of(&h)?;
    }
    layer.record_flow(std::iter::once(&squares[..]));
    let dxs: Vec<Tensor> = dxs.into_iter().flatten().collect();
    let scale = layer.weight_scale();
    let weights = dweights.iter().map(|dw| dw * scale).collect::<Result<_>>()?;
    Ok(Gradients { xs: Some(Tensor::stack(&dxs, 1)?), weights, state: Some(plain.cell_state(&dstate)?) })
}
