//! A convolution of each channel with a kernel of its own, all channels side by side.
//!
//! ```text
//! y[p, c] = b[c] + Σ_k w[k, c] x[p + k, c]
//! ∂L/∂x[p + k, c] += w[k, c] δ[p, c]     ∂L/∂w[k, c] = Σ_p x[p + k, c] δ[p, c]     ∂L/∂b[c] = Σ_p δ[p, c]
//! ```

use candle_core::{Result, Shape};
use rayon::prelude::*;

use super::Sliding;
use crate::kernels::op::{Inputs, Layer};
use crate::kernels::{Kernel, Lanes, Real, Rows, Vector, sum_of_rows};

/// Of `xs [batch, height, width, channels]`, `weight [kernel², channels]` and `bias [channels]`.
pub(super) struct Depthwise(pub Sliding);

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
    /// Numbers of the outputs of a picture.
    fn of_picture(&self) -> usize {
        self.0.places() * self.0.channels
    }
}

impl Layer for Depthwise {
    const NAME: &'static str = "depthwise convolution";

    fn shape(&self, _: &Shape, bias: &Shape) -> Result<Shape> {
        Ok(self.0.outputs(bias.elem_count()))
    }

    fn forward<R: Real>(&self, Inputs { xs, weight, bias }: Inputs<R>) -> Vec<R> {
        let Sliding { batch, channels, rows, columns, .. } = self.0;
        let mut ys = vec![R::zero(); batch * self.of_picture()];
        ys.par_chunks_mut(columns.outputs * channels).enumerate().for_each(|(at, ys)| {
            let picture = &xs[at / rows.outputs * self.0.picture()..][..self.0.picture()];
            R::dispatch(Row { sliding: self.0, row: at % rows.outputs, picture, weight, bias, ys });
        });
        ys
    }

    fn backward<R: Real>(
        &self,
        Inputs { xs, weight, .. }: Inputs<R>,
        _: &[R],
        deltas: &[R],
        _: [bool; 3],
    ) -> [Option<Vec<R>>; 3] {
        let mut dxs = vec![R::zero(); xs.len()];
        let pictures = dxs.par_chunks_mut(self.0.picture()).zip(xs.par_chunks(self.0.picture()));
        let of_pictures =
            pictures.zip(deltas.par_chunks(self.of_picture())).map(|((d_picture, picture), deltas)| {
                let mut sum = vec![R::zero(); weight.len()];
                let d_weight = &mut sum;
                R::dispatch(PictureBack { sliding: self.0, picture, weight, deltas, d_picture, d_weight });
                sum
            });
        let mut d_weight = vec![R::zero(); weight.len()];
        for of_picture in of_pictures.collect::<Vec<_>>() {
            d_weight.iter_mut().zip(of_picture).for_each(|(sum, d)| *sum += d);
        }
        let d_bias = sum_of_rows(Rows::new(deltas, self.0.channels));
        [Some(dxs), Some(d_weight), Some(d_bias)]
    }
}
