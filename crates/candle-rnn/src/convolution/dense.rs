//! A convolution of all channels: for each picture a product of what the kernel sees at each place
//! ("patches", or im2col) with the weight.
//!
//! Constraint: the patches of a batch are `kernel²` times as large as the pictures, and as a tensor of their
//! own they and their gradient would be written to and read from main memory several times. Solution: those
//! of one picture at a time, in memory that is used again and fits a cache; the backward pass makes them once
//! more.

use candle_core::{CpuStorage, CustomOp3, DType, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::Sliding;
use crate::MatmulPrecision;
use crate::kernels::{
    Buffer, Packed, Real, Rows, add_rows, numbers, product, transposed_product, with_numbers,
};

/// `xs [batch, height, width, in]`, `weight [out, kernel² · in]` with the channels of a place side by side,
/// `bias [out]`; to `[batch, rows, columns, out]`.
pub(super) fn dense(
    xs: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    sliding: Sliding,
    matmul: MatmulPrecision,
) -> Result<Tensor> {
    xs.contiguous()?.apply_op3(&weight.contiguous()?, &bias.contiguous()?, Dense { sliding, matmul })
}

struct Dense {
    sliding: Sliding,
    matmul: MatmulPrecision,
}

impl Dense {
    /// Places of the outputs of a picture.
    fn places(&self) -> usize {
        self.sliding.rows.outputs * self.sliding.columns.outputs
    }

    /// Numbers of a patch.
    fn patch(&self) -> usize {
        self.sliding.kernel * self.sliding.kernel * self.sliding.channels
    }

    /// `f` of each run of numbers that lie side by side both in a picture and in its patches: where it begins
    /// in the picture and in the patches, and how long it is.
    fn for_each_run(&self, mut f: impl FnMut(usize, usize, usize)) {
        let Sliding { height, width, channels, kernel, stride, rows, columns, .. } = self.sliding;
        for row in 0..rows.outputs {
            let (first_line, lines) = rows.seen(row, stride, kernel, height);
            for column in 0..columns.outputs {
                let (first, places) = columns.seen(column, stride, kernel, width);
                let patch = (row * columns.outputs + column) * self.patch();
                for (line, y) in (first_line..).zip(lines.clone()) {
                    let to = patch + (line * kernel + first) * channels;
                    f((y * width + places.start) * channels, to, places.len() * channels);
                }
            }
        }
    }

    /// What the kernel sees at each place of a picture, zero on padding: `[places, patch]`.
    fn patches<R: Real>(&self, picture: &[R]) -> Buffer<R> {
        let mut patches = Buffer::new(self.places() * self.patch());
        if self.sliding.is_padded() {
            patches.fill(R::zero());
        }
        self.for_each_run(|from, to, len| patches[to..to + len].copy_from_slice(&picture[from..from + len]));
        patches
    }

    fn forward<R: Real>(&self, xs: &[R], weight: &[R], bias: &[R]) -> CpuStorage {
        let weight = Packed::columns(Rows::new(weight, self.patch()), self.matmul);
        let out = self.places() * bias.len();
        let mut ys = vec![R::zero(); self.sliding.batch * out];
        ys.par_chunks_mut(out).zip(xs.par_chunks(self.sliding.picture())).for_each(|(ys, picture)| {
            let patches = self.patches(picture);
            ys.chunks_exact_mut(bias.len()).for_each(|ys| ys.copy_from_slice(bias));
            product(ys, Rows::new(&patches, self.patch()), &weight);
        });
        R::to_cpu_storage_owned(ys)
    }

    /// Each number of a picture has the sum of the gradients of its copies.
    fn backward<R: Real>(
        &self,
        xs: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        deltas: &Tensor,
    ) -> Result<[Option<Tensor>; 3]> {
        let (patch, output, picture) = (self.patch(), bias.elem_count(), self.sliding.picture());
        let of_picture = self.places() * output;
        with_numbers(deltas, |deltas: &[R]| {
            let d_xs = || -> Result<Tensor> {
                let weight =
                    with_numbers(weight, |weight| Packed::rows(Rows::new(weight, patch), self.matmul))?;
                let mut dxs = vec![R::zero(); xs.elem_count()];
                dxs.par_chunks_mut(picture).zip(deltas.par_chunks(of_picture)).for_each(|(dxs, deltas)| {
                    let mut patches = Buffer::new(self.places() * patch);
                    patches.fill(R::zero());
                    product(&mut patches, Rows::new(deltas, output), &weight);
                    self.for_each_run(|to, from, len| {
                        let added = &patches[from..from + len];
                        dxs[to..to + len].iter_mut().zip(added).for_each(|(dx, &d)| *dx += d);
                    });
                });
                Tensor::from_vec(dxs, xs.shape(), xs.device())
            };
            let d_weight = || -> Result<Tensor> {
                let of_pictures = with_numbers(xs, |xs: &[R]| {
                    let pictures = xs.par_chunks(picture).zip(deltas.par_chunks(of_picture));
                    let of_picture = pictures.map(|(picture, deltas)| {
                        let patches = Packed::rows(Rows::new(&self.patches(picture), patch), self.matmul);
                        transposed_product(Rows::new(deltas, output), &patches)
                    });
                    of_picture.collect::<Vec<_>>()
                })?;
                let mut sum = vec![R::zero(); weight.elem_count()];
                for of_picture in of_pictures {
                    sum.iter_mut().zip(of_picture).for_each(|(sum, d)| *sum += d);
                }
                Tensor::from_vec(sum, weight.shape(), weight.device())
            };
            let d_bias = || -> Result<Tensor> {
                let mut sum = vec![R::zero(); output];
                add_rows(&mut sum, Rows::new(deltas, output));
                Tensor::from_vec(sum, output, bias.device())
            };
            Ok([
                xs.track_op().then(d_xs).transpose()?,
                weight.track_op().then(d_weight).transpose()?,
                bias.track_op().then(d_bias).transpose()?,
            ])
        })?
    }
}

impl CustomOp3 for Dense {
    fn name(&self) -> &'static str {
        "convolution"
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
        let ys = match xs {
            CpuStorage::F32(_) => {
                self.forward::<f32>(numbers(xs, lx)?, numbers(weight, lw)?, numbers(bias, lb)?)
            }
            _ => self.forward::<f64>(numbers(xs, lx)?, numbers(weight, lw)?, numbers(bias, lb)?),
        };
        let Sliding { batch, rows, columns, .. } = self.sliding;
        Ok((ys, (batch, rows.outputs, columns.outputs, lb.shape().elem_count()).into()))
    }

    fn bwd(
        &self,
        xs: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _: &Tensor,
        deltas: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [dxs, d_weight, d_bias] = match xs.dtype() {
            DType::F32 => self.backward::<f32>(xs, weight, bias, deltas)?,
            _ => self.backward::<f64>(xs, weight, bias, deltas)?,
        };
        Ok((dxs, d_weight, d_bias))
    }
}
