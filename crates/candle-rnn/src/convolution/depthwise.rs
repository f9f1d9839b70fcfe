//! A convolution of each channel with a kernel of its own, all channels side by side.
//!
//! ```text
//! y[p, c] = b[c] + Σ_k w[k, c] x[p + k, c]
//! ∂L/∂x[p + k, c] += w[k, c] δ[p, c]     ∂L/∂w[k, c] = Σ_p x[p + k, c] δ[p, c]     ∂L/∂b[c] = Σ_p δ[p, c]
//! ```

use candle_core::{CpuStorage, CustomOp3, DType, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::Sliding;
use crate::kernels::{Kernel, Lanes, Real, Rows, Vector, add_rows, numbers, with_numbers};

/// `xs [batch, height, width, channels]`, `weight [kernel², channels]`, `bias [channels]`.
pub(super) fn depthwise(xs: &Tensor, weight: &Tensor, bias: &Tensor, sliding: Sliding) -> Result<Tensor> {
    xs.contiguous()?.apply_op3(weight, &bias.contiguous()?, Depthwise(sliding))
}

struct Depthwise(Sliding);

/// One row of outputs of one picture.
struct Row<'a, R> {
    sliding: Sliding,
    row: usize,
    /// `[height, width, channels]`
    picture: &'a [R],
    /// `[kernel², channels]`
    weight: &'a [R],
    bias: &'a [R],
    /// `[columns, channels]`, to be written.
    ys: &'a mut [R],
}

impl<R: Real> Kernel<R> for Row<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes<Real = R>>(self, l: L) {
        let Self { sliding, row, picture, weight, bias, ys } = self;
        let Sliding { height, width, channels, kernel, stride, rows, columns, .. } = sliding;
        let (first_line, lines) = rows.seen(row, stride, kernel, height);
        for (column, ys) in ys.chunks_exact_mut(channels).enumerate() {
            let (first, places) = columns.seen(column, stride, kernel, width);
            for c in l.pieces(channels) {
                let mut sum = l.load(&bias[c.clone()]);
                for (line, y) in (first_line..).zip(lines.clone()) {
                    for (place, x) in (first..).zip(places.clone()) {
                        let w = &weight[(line * kernel + place) * channels..][..channels];
                        let x = &picture[(y * width + x) * channels..][..channels];
                        sum = l.load(&x[c.clone()]).mul_add(l.load(&w[c.clone()]), sum);
                    }
                }
                l.store(sum, &mut ys[c]);
            }
        }
    }
}

/// The gradients of one picture.
struct PictureBack<'a, R> {
    sliding: Sliding,
    picture: &'a [R],
    weight: &'a [R],
    /// δ, `[rows, columns, channels]`
    deltas: &'a [R],
    d_picture: &'a mut [R],
    d_weight: &'a mut [R],
}

impl<R: Real> Kernel<R> for PictureBack<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes<Real = R>>(self, l: L) {
        let Self { sliding, picture, weight, deltas, d_picture, d_weight } = self;
        let Sliding { height, width, channels, kernel, stride, rows, columns, .. } = sliding;
        for (at, deltas) in deltas.chunks_exact(channels).enumerate() {
            let (first_line, lines) = rows.seen(at / columns.outputs, stride, kernel, height);
            let (first, places) = columns.seen(at % columns.outputs, stride, kernel, width);
            for (line, y) in (first_line..).zip(lines) {
                for (place, x) in (first..).zip(places.clone()) {
                    let (k, p) = ((line * kernel + place) * channels, (y * width + x) * channels);
                    for c in l.pieces(channels) {
                        let delta = l.load(&deltas[c.clone()]);
                        let (k, p) = (k + c.start..k + c.end, p + c.start..p + c.end);
                        let dx = delta.mul_add(l.load(&weight[k.clone()]), l.load(&d_picture[p.clone()]));
                        let dw = delta.mul_add(l.load(&picture[p.clone()]), l.load(&d_weight[k.clone()]));
                        l.store(dx, &mut d_picture[p]);
                        l.store(dw, &mut d_weight[k]);
                    }
                }
            }
        }
    }
}

impl Depthwise {
    fn outputs(&self) -> usize {
        self.0.rows.outputs * self.0.columns.outputs * self.0.channels
    }

    fn forward<R: Real>(&self, xs: &[R], weight: &[R], bias: &[R]) -> CpuStorage {
        let Sliding { batch, channels, rows, columns, .. } = self.0;
        let mut ys = vec![R::zero(); batch * self.outputs()];
        ys.par_chunks_mut(columns.outputs * channels).enumerate().for_each(|(at, ys)| {
            let picture = &xs[at / rows.outputs * self.0.picture()..][..self.0.picture()];
            R::dispatch(Row { sliding: self.0, row: at % rows.outputs, picture, weight, bias, ys });
        });
        R::to_cpu_storage_owned(ys)
    }

    fn backward<R: Real>(
        &self,
        xs: &Tensor,
        weight: &Tensor,
        deltas: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let channels = self.0.channels;
        let (mut dxs, mut dweight) = (vec![R::zero(); xs.elem_count()], vec![R::zero(); weight.elem_count()]);
        let mut dbias = vec![R::zero(); channels];
        let mut pass = |xs: &[R], weight: &[R], deltas: &[R]| {
            let pictures = dxs.par_chunks_mut(self.0.picture()).zip(xs.par_chunks(self.0.picture()));
            let pictures = pictures.zip(deltas.par_chunks(self.outputs()));
            let of_pictures = pictures.map(|((d_picture, picture), deltas)| {
                let mut d_weight = vec![R::zero(); weight.len()];
                let d = &mut d_weight;
                R::dispatch(PictureBack { sliding: self.0, picture, weight, deltas, d_picture, d_weight: d });
                d_weight
            });
            for of_picture in of_pictures.collect::<Vec<_>>() {
                dweight.iter_mut().zip(of_picture).for_each(|(sum, d)| *sum += d);
            }
            add_rows(&mut dbias, Rows::new(deltas, channels));
        };
        with_numbers(xs, |xs| {
            with_numbers(weight, |weight| with_numbers(deltas, |deltas| pass(xs, weight, deltas)))
        })???;
        let device = xs.device();
        Ok((
            Some(Tensor::from_vec(dxs, xs.shape(), device)?),
            Some(Tensor::from_vec(dweight, weight.shape(), device)?),
            Some(Tensor::from_vec(dbias, channels, device)?),
        ))
    }
}

impl CustomOp3 for Depthwise {
    fn name(&self) -> &'static str {
        "depthwise convolution"
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
        let Sliding { batch, channels, rows, columns, .. } = self.0;
        Ok((ys, (batch, rows.outputs, columns.outputs, channels).into()))
    }

    fn bwd(
        &self,
        xs: &Tensor,
        weight: &Tensor,
        _: &Tensor,
        _: &Tensor,
        deltas: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        match xs.dtype() {
            DType::F32 => self.backward::<f32>(xs, weight, deltas),
            _ => self.backward::<f64>(xs, weight, deltas),
        }
    }
}
