//! What a kernel sees at each place, side by side in a row ("im2col").

use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::Sliding;
use crate::kernels::{Real, numbers, with_numbers};

/// `xs [batch, height, width, channels]` to `[batch, rows, columns, kernel² · channels]`, zero on padding.
pub(super) fn patches(xs: &Tensor, sliding: Sliding) -> Result<Tensor> {
    xs.contiguous()?.apply_op1(Patches(sliding))
}

struct Patches(Sliding);

impl Patches {
    /// Numbers of a patch.
    fn size(&self) -> usize {
        self.0.kernel * self.0.kernel * self.0.channels
    }

    /// `f` of each run of numbers that lie side by side both in the picture and in the patches of one row of
    /// outputs: where it begins in the picture and in the patches, and how long it is.
    fn for_each_run(&self, row: usize, mut f: impl FnMut(usize, usize, usize)) {
        let Sliding { height, width, channels, kernel, stride, rows, columns, .. } = self.0;
        let (first_line, lines) = rows.seen(row, stride, kernel, height);
        for column in 0..columns.outputs {
            let (first, places) = columns.seen(column, stride, kernel, width);
            for (line, y) in (first_line..).zip(lines.clone()) {
                let patch = column * self.size() + (line * kernel + first) * channels;
                f((y * width + places.start) * channels, patch, places.len() * channels);
            }
        }
    }

    fn forward<R: Real>(&self, xs: &[R]) -> CpuStorage {
        let Sliding { batch, rows, columns, .. } = self.0;
        let line = columns.outputs * self.size();
        let mut patches = vec![R::zero(); batch * rows.outputs * line];
        patches.par_chunks_mut(line).enumerate().for_each(|(at, patches)| {
            let picture = &xs[at / rows.outputs * self.0.picture()..][..self.0.picture()];
            self.for_each_run(at % rows.outputs, |from, to, len| {
                patches[to..to + len].copy_from_slice(&picture[from..from + len]);
            });
        });
        R::to_cpu_storage_owned(patches)
    }

    /// Each number of the picture has the sum of the gradients of its copies.
    fn backward<R: Real>(&self, xs: &Tensor, gradient: &Tensor) -> Result<Tensor> {
        let Sliding { rows, columns, .. } = self.0;
        let line = columns.outputs * self.size();
        let dxs = with_numbers(gradient, |patches: &[R]| {
            let mut dxs = vec![R::zero(); xs.elem_count()];
            let pictures = dxs.par_chunks_mut(self.0.picture()).zip(patches.par_chunks(rows.outputs * line));
            pictures.for_each(|(dxs, patches)| {
                for (row, patches) in patches.chunks_exact(line).enumerate() {
                    self.for_each_run(row, |to, from, len| {
                        let added = &patches[from..from + len];
                        dxs[to..to + len].iter_mut().zip(added).for_each(|(dx, &d)| *dx += d);
                    });
                }
            });
            dxs
        })?;
        Tensor::from_vec(dxs, xs.shape(), xs.device())
    }
}

impl CustomOp1 for Patches {
    fn name(&self) -> &'static str {
        "patches"
    }

    fn cpu_fwd(&self, xs: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let patches = match xs {
            CpuStorage::F32(_) => self.forward::<f32>(numbers(xs, layout)?),
            _ => self.forward::<f64>(numbers(xs, layout)?),
        };
        let Sliding { batch, rows, columns, .. } = self.0;
        Ok((patches, (batch, rows.outputs, columns.outputs, self.size()).into()))
    }

    fn bwd(&self, xs: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        match xs.dtype() {
            DType::F32 => self.backward::<f32>(xs, gradient),
            _ => self.backward::<f64>(xs, gradient),
        }
        .map(Some)
    }
}
