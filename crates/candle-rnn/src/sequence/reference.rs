//! A layer unrolled in plain tensor operations, every step in the autograd graph.
//!
//! This is the network as the article draws it: the same cell again and again, one copy per time
//! step, all sharing their weights. Any device, any floating-point type.

use candle_core::{Result, Tensor};

use super::Sequence;
use super::feeding::PlainStep;
use crate::bptt::Reduction;

/// Outputs `[batch, time, output]` and final state `[batch, state_size]`; see
/// [`forward`](super::forward).
///
/// Only the sum of the steps' gradients is defined here: autograd adds them up.
///
/// # Errors
/// When the mean is asked for.
pub fn forward(sequence: Sequence) -> Result<(Tensor, Tensor)> {
    if sequence.reduction == Reduction::Mean {
        candle_core::bail!("the reference path adds the gradients of the steps: use Reduction::Sum");
    }
    let (_, time, _) = sequence.xs.dims3()?;
    let Sequence { cell, weights, feeding, .. } = sequence;
    let plain = PlainStep { cell, weights, feeding };
    let (from, size) = plain.output()?;
    let mask = match sequence.lengths {
        Some(lengths) => Some(lengths.mask(sequence.xs.dtype(), sequence.xs.device())?),
        None => None,
    };
    let mut state = plain.initial(sequence.state)?;
    let mut outputs = vec![None; time];
    for s in 0..time {
        let t = if sequence.reverse { time - 1 - s } else { s };
        let x = sequence.xs.narrow(1, t, 1)?.squeeze(1)?.contiguous()?;
        let mut next = plain.step(&x, &state)?;
        if let Some(mask) = &mask {
            // Padding leaves the state as it is. In the backward direction it comes first, so
            // that the initial state arrives untouched at the row's last valid step.
            let valid = mask.narrow(1, t, 1)?;
            next = (&state + (next - &state)?.broadcast_mul(&valid)?)?;
            outputs[t] = Some(next.narrow(1, from, size)?.broadcast_mul(&valid)?);
        } else {
            outputs[t] = Some(next.narrow(1, from, size)?);
        }
        state = next;
    }
    let outputs: Vec<Tensor> = outputs.into_iter().flatten().collect();
    Ok((Tensor::stack(&outputs, 1)?, plain.cell_state(&state)?))
}
