//! A convolution of all channels: for each picture a product of what the kernel sees at each place
//! ("patches", or im2col) with the weight.
//!
//! Constraint: the patches of a batch are `kernel²` times as large as the pictures, and as a tensor of their
//! own they and their gradient would be written to and read from main memory several times. Solution: those
//! of one picture at a time, in memory that is used again and fits a cache; the backward pass makes them once
//! more.

use candle_core::{Result, Shape};
use rayon::prelude::*;

use super::Sliding;
use crate::MatmulPrecision;
use crate::kernels::op::{Inputs, Layer};
use crate::kernels::{Buffer, Packed, Real, Rows, product, sum_of_rows, transposed_product};

/// Of `xs [batch, height, width, in]`, `weight [out, kernel² · in]` with the channels of a place side by side,
/// and `bias [out]`.
pub(super) struct Dense {
    pub sliding: Sliding,
    pub matmul: MatmulPrecision,
}

impl Dense {
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
        let mut patches = Buffer::new(self.sliding.places() * self.patch());
        if self.sliding.is_padded() {
            patches.fill(R::zero());
        }
        self.for_each_run(|from, to, len| patches[to..to + len].copy_from_slice(&picture[from..from + len]));
        patches
    }
}

impl Layer for Dense {
    const NAME: &'static str = "convolution";

    fn shape(&self, _: &Shape, bias: &Shape) -> Result<Shape> {
        Ok(self.sliding.outputs(bias.elem_count()))
    }

    fn forward<R: Real>(&self, Inputs { xs, weight, bias }: Inputs<R>) -> Vec<R> {
        let weight = Packed::columns(Rows::new(weight, self.patch()), self.matmul);
        let of_picture = self.sliding.places() * bias.len();
        let mut ys = vec![R::zero(); self.sliding.batch * of_picture];
        ys.par_chunks_mut(of_picture).zip(xs.par_chunks(self.sliding.picture())).for_each(|(ys, picture)| {
            let patches = self.patches(picture);
            ys.chunks_exact_mut(bias.len()).for_each(|ys| ys.copy_from_slice(bias));
            product(ys, Rows::new(&patches, self.patch()), &weight);
        });
        ys
    }

    /// Each number of a picture has the sum of the gradients of its copies.
    fn backward<R: Real>(
        &self,
        Inputs { xs, weight, bias }: Inputs<R>,
        _: &[R],
        deltas: &[R],
        [x, w, b]: [bool; 3],
    ) -> [Option<Vec<R>>; 3] {
        let (patch, output, picture) = (self.patch(), bias.len(), self.sliding.picture());
        let of_pictures = || deltas.par_chunks(self.sliding.places() * output);
        let dxs = x.then(|| {
            let weight = Packed::rows(Rows::new(weight, patch), self.matmul);
            let mut dxs = vec![R::zero(); xs.len()];
            dxs.par_chunks_mut(picture).zip(of_pictures()).for_each(|(dxs, deltas)| {
                let mut patches = Buffer::new(self.sliding.places() * patch);
                patches.fill(R::zero());
                product(&mut patches, Rows::new(deltas, output), &weight);
                self.for_each_run(|to, from, len| {
                    let added = &patches[from..from + len];
                    dxs[to..to + len].iter_mut().zip(added).for_each(|(dx, &d)| *dx += d);
                });
            });
            dxs
        });
        let d_weight = w.then(|| {
            let of_pictures = xs.par_chunks(picture).zip(of_pictures()).map(|(picture, deltas)| {
                let patches = Packed::rows(Rows::new(&self.patches(picture), patch), self.matmul);
                transposed_product(Rows::new(deltas, output), &patches)
            });
            let mut sum = vec![R::zero(); weight.len()];
            for of_picture in of_pictures.collect::<Vec<_>>() {
                sum.iter_mut().zip(of_picture).for_each(|(sum, d)| *sum += d);
            }
            sum
        });
        let d_bias = b.then(|| sum_of_rows(Rows::new(deltas, output)));
        [dxs, d_weight, d_bias]
    }
}
