//! A dense layer and the cross entropy of its outputs as one node.
//!
//! Constraint: with a vocabulary of ten thousand, the logits of a batch and their gradients are
//! the largest tensors of a language model, each written and read several times. Solution: a
//! block of items at a time; its logits become their own gradients while they are in the cache
//! and are used up at once for `∂L/∂x = δ W` and `∂L/∂W += δᵀ x`.

use std::sync::{Mutex, PoisonError};

use candle_core::{CpuStorage, CustomOp3, DType, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use crate::MatmulPrecision;

use super::cross_entropy::{gradients_in_place, item_losses};
use crate::kernels::op::{Inputs, with_inputs};
use crate::kernels::{Buffer, Packed, Real, Rows};
use crate::kernels::{add_rows, add_transposed_product, affine, transposed_product};

/// Logits in a block: 16 MB of f32.
const BLOCK: usize = 1 << 22;

/// The loss of `x [items, in]` through `W [vocab, in]` and `b [vocab]`.
pub(super) struct OfLinear {
    targets: Vec<Option<u32>>,
    smoothing: f64,
    matmul: MatmulPrecision,
    /// Whether the gradients are computed along with the loss.
    along: bool,
    /// What the forward pass has computed of the gradients, until the backward pass takes it.
    gradients: Mutex<Option<Computed>>,
}

/// The gradients of x, W and b, for a loss that is not scaled.
struct Gradients<R> {
    xs: Vec<R>,
    weight: Vec<R>,
    bias: Vec<R>,
}

enum Computed {
    F32(Gradients<f32>),
    F64(Gradients<f64>),
}

impl OfLinear {
    pub fn new(targets: Vec<Option<u32>>, smoothing: f64, matmul: MatmulPrecision, along: bool) -> Self {
        Self { targets, smoothing, matmul, along, gradients: Mutex::new(None) }
    }

    /// The loss and, if asked for, its gradients.
    fn compute<R: Real>(&self, inputs: Inputs<R>, gradients: bool) -> (f64, Option<Gradients<R>>) {
        let vocab = inputs.bias.len();
        let input = inputs.weight.len() / vocab;
        let weight = Packed::columns(Rows::new(inputs.weight, input), self.matmul);
        let weight_back = gradients.then(|| Packed::rows(Rows::new(inputs.weight, input), self.matmul));
        let mut computed = gradients.then(|| Gradients {
            xs: vec![R::zero(); inputs.xs.len()],
            // With the first block.
            weight: Vec::new(),
            bias: vec![R::zero(); vocab],
        });
        let items = (BLOCK / vocab).max(64);
        let mut logits = Buffer::new(items.min(self.targets.len()) * vocab);
        let mut losses = Vec::with_capacity(self.targets.len());
        for (i, targets) in self.targets.chunks(items).enumerate() {
            let range = i * items * input..(i * items + targets.len()) * input;
            let xs = Rows::new(&inputs.xs[range.clone()], input);
            let logits = &mut logits[..targets.len() * vocab];
            affine(logits, xs, &weight, Some(inputs.bias));
            let (Some(computed), Some(weight)) = (&mut computed, &weight_back) else {
                losses.extend(item_losses(logits, vocab, targets, self.smoothing));
                continue;
            };
            losses.extend(gradients_in_place(logits, vocab, targets, self.smoothing, 1.));
            let deltas = Rows::new(logits, vocab);
            affine(&mut computed.xs[range], deltas, weight, None);
            let xs = Packed::rows(xs, self.matmul);
            match i {
                0 => computed.weight = transposed_product(deltas, &xs),
                _ => add_transposed_product(&mut computed.weight, deltas, &xs),
            }
            add_rows(&mut computed.bias, deltas);
        }
        if let Some(Gradients { weight, .. }) = &mut computed {
            // Without items there was none.
            weight.resize(inputs.weight.len(), R::zero());
        }
        (losses.iter().sum(), computed)
    }

    fn forward<R: Real>(&self, inputs: Inputs<R>, keep: fn(Gradients<R>) -> Computed) -> CpuStorage {
        let (loss, gradients) = self.compute(inputs, self.along);
        *self.gradients.lock().unwrap_or_else(PoisonError::into_inner) = gradients.map(keep);
        R::to_cpu_storage_owned(vec![R::from_f64(loss)])
    }

    /// The gradients, from the forward pass or computed now.
    fn backward<R: Real>(
        &self,
        kept: Option<Gradients<R>>,
        xs: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        scale: f64,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let gradients = match kept {
            Some(kept) => kept,
            None => {
                let (_, computed) = with_inputs([xs, weight, bias], |inputs| self.compute(inputs, true))?;
                computed.expect("the gradients were asked for")
            }
        };
        let scaled = |mut numbers: Vec<R>, like: &Tensor| {
            if scale != 1. {
                let scale = R::from_f64(scale);
                numbers.par_chunks_mut(1 << 15).for_each(|part| part.iter_mut().for_each(|x| *x *= scale));
            }
            Tensor::from_vec(numbers, like.shape(), like.device()).map(Some)
        };
        let Gradients { xs: dxs, weight: dweight, bias: dbias } = gradients;
        Ok((scaled(dxs, xs)?, scaled(dweight, weight)?, scaled(dbias, bias)?))
    }
}

impl CustomOp3 for OfLinear {
    fn name(&self) -> &'static str {
        "cross-entropy-of-linear"
    }

    fn cpu_fwd(
        &self,
        xs: &CpuStorage,
        lx: &Layout,
        weight: &CpuStorage,
        lw: &Layout,
        bias: &CpuStorage,
        lb: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let inputs = [(xs, lx), (weight, lw), (bias, lb)];
        let loss = match xs {
            CpuStorage::F32(_) => self.forward(Inputs::of(inputs)?, Computed::F32),
            _ => self.forward(Inputs::of(inputs)?, Computed::F64),
        };
        Ok((loss, Shape::from(())))
    }

    fn bwd(
        &self,
        xs: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let scale = gradient.to_dtype(DType::F64)?.to_scalar()?;
        let kept = self.gradients.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (kept, xs.dtype()) {
            (Some(Computed::F32(kept)), _) => self.backward(Some(kept), xs, weight, bias, scale),
            (Some(Computed::F64(kept)), _) => self.backward(Some(kept), xs, weight, bias, scale),
            (None, DType::F32) => self.backward::<f32>(None, xs, weight, bias, scale),
            (None, _) => self.backward::<f64>(None, xs, weight, bias, scale),
        }
    }
}
