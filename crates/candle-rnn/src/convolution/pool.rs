//! The largest of neighbouring places.

use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use crate::kernels::{self, Real, numbers, with_numbers};

/// The maximum of each two by two places, for each channel: `xs [batch, height, width, channels]` to
/// `[batch, ⌈height / 2⌉, ⌈width / 2⌉, channels]`; at an odd edge, of what is there. The gradient goes to the
/// first of the largest.
///
/// # Errors
/// When the shape is another.
pub fn max_pool(xs: &Tensor) -> Result<Tensor> {
    let (batch, height, width, channels) = xs.dims4()?;
    if kernels::take(xs) {
        return xs.contiguous()?.apply_op1(MaxPool { batch, height, width, channels });
    }
    reference(xs)
}

/// [`max_pool`] in plain tensor operations: the truth for the tests, and for any device. (The gradient of
/// candle's own pool is a quarter of what it should be.)
fn reference(xs: &Tensor) -> Result<Tensor> {
    let (batch, height, width, channels) = xs.dims4()?;
    let even = xs.pad_with_same(1, 0, height % 2)?.pad_with_same(2, 0, width % 2)?;
    let (down, across) = (height.div_ceil(2), width.div_ceil(2));
    let larger = |pairs: Tensor| pairs.narrow(1, 0, 1)?.maximum(&pairs.narrow(1, 1, 1)?);
    let rows = larger(even.reshape((batch * down, 2, 2 * across * channels))?)?;
    larger(rows.reshape((batch * down * across, 2, channels))?)?.reshape((batch, down, across, channels))
}

struct MaxPool {
    batch: usize,
    height: usize,
    width: usize,
    channels: usize,
}

impl MaxPool {
    /// Numbers of a row of places, before and after.
    fn rows(&self) -> [usize; 2] {
        [self.width * self.channels, self.width.div_ceil(2) * self.channels]
    }

    /// For a row of outputs, each output column with the places it is the largest of, as offsets in the two
    /// rows of inputs, of which the second may be missing.
    fn for_each_place(&self, lines: usize, mut f: impl FnMut(usize, usize)) {
        for column in 0..self.width.div_ceil(2) {
            for line in 0..lines {
                for x in 2 * column..(2 * column + 2).min(self.width) {
                    f(column * self.channels, (line * self.width + x) * self.channels);
                }
            }
        }
    }

    fn forward<R: Real + PartialOrd>(&self, xs: &[R]) -> CpuStorage {
        let [row, pooled] = self.rows();
        let down = self.height.div_ceil(2);
        let mut ys = vec![R::from_f64(f64::NEG_INFINITY); self.batch * down * pooled];
        ys.par_chunks_mut(pooled).enumerate().for_each(|(at, ys)| {
            let (picture, y) = (at / down, 2 * (at % down));
            let lines = 2.min(self.height - y);
            let xs = &xs[(picture * self.height + y) * row..][..lines * row];
            self.for_each_place(lines, |to, from| {
                let pairs = ys[to..to + self.channels].iter_mut().zip(&xs[from..from + self.channels]);
                // NaN stays NaN.
                pairs.for_each(|(y, &x)| {
                    if *y < x || x.partial_cmp(&x).is_none() {
                        *y = x;
                    }
                });
            });
        });
        R::to_cpu_storage_owned(ys)
    }

    fn backward<R: Real + PartialOrd>(&self, xs: &[R], ys: &[R], deltas: &[R]) -> Vec<R> {
        let [row, pooled] = self.rows();
        let (down, channels) = (self.height.div_ceil(2), self.channels);
        let mut dxs = vec![R::zero(); xs.len()];
        dxs.par_chunks_mut(self.height * row).enumerate().for_each(|(picture, dxs)| {
            let xs = &xs[picture * self.height * row..][..self.height * row];
            let mut left = vec![R::zero(); pooled];
            for y in 0..down {
                let at = (picture * down + y) * pooled;
                let ys = &ys[at..at + pooled];
                // What has found its place is no longer there for the next.
                left.copy_from_slice(&deltas[at..at + pooled]);
                let lines = 2.min(self.height - 2 * y);
                let (xs, dxs) = (&xs[2 * y * row..], &mut dxs[2 * y * row..]);
                self.for_each_place(lines, |to, from| {
                    for c in 0..channels {
                        let is_largest = xs[from + c] == ys[to + c];
                        dxs[from + c] = if is_largest { left[to + c] } else { R::zero() };
                        left[to + c] = if is_largest { R::zero() } else { left[to + c] };
                    }
                });
            }
        });
        dxs
    }

    fn gradient<R: Real + PartialOrd>(&self, xs: &Tensor, ys: &Tensor, deltas: &Tensor) -> Result<Tensor> {
        let dxs = with_numbers(xs, |xs: &[R]| {
            with_numbers(ys, |ys| with_numbers(deltas, |deltas| self.backward(xs, ys, deltas)))
        })???;
        Tensor::from_vec(dxs, xs.shape(), xs.device())
    }
}

impl CustomOp1 for MaxPool {
    fn name(&self) -> &'static str {
        "max pool"
    }

    fn cpu_fwd(&self, xs: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let ys = match xs {
            CpuStorage::F32(_) => self.forward::<f32>(numbers(xs, layout)?),
            _ => self.forward::<f64>(numbers(xs, layout)?),
        };
        Ok((ys, (self.batch, self.height.div_ceil(2), self.width.div_ceil(2), self.channels).into()))
    }

    fn bwd(&self, xs: &Tensor, ys: &Tensor, deltas: &Tensor) -> Result<Option<Tensor>> {
        match xs.dtype() {
            DType::F32 => self.gradient::<f32>(xs, ys, deltas),
            _ => self.gradient::<f64>(xs, ys, deltas),
        }
        .map(Some)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;
    use crate::Generator;

    #[test]
    fn values_and_gradients_are_those_of_the_plain_form() -> Result<()> {
        let generator = &mut Generator::new(4);
        let numbers: Vec<f64> = (0..2 * 5 * 7 * 3).map(|_| generator.normal()).collect();
        let xs = Var::from_tensor(&Tensor::from_vec(numbers, (2, 5, 7, 3), &Device::Cpu)?)?;
        let (ours, truth) = (max_pool(&xs)?, reference(&xs)?);
        let difference = |a: &Tensor, b: &Tensor| (a - b)?.abs()?.max_all()?.to_scalar::<f64>();
        assert_eq!(difference(&ours, &truth)?, 0.);
        let gradient = |ys: &Tensor| -> Result<Tensor> {
            let gradients = ys.sqr()?.sum_all()?.backward()?;
            Ok(gradients.get(xs.as_tensor()).expect("the sum depends on it").clone())
        };
        assert!(difference(&gradient(&ours)?, &gradient(&truth)?)? < 1e-12);
        Ok(())
    }

    #[test]
    fn an_odd_edge_counts_and_of_equals_the_first_learns() -> Result<()> {
        let numbers = [1f32, 1., 5., 1., 1., 2., 7., 8., 9.];
        let xs = Var::from_tensor(&Tensor::from_slice(&numbers, (1, 3, 3, 1), &Device::Cpu)?)?;
        let ys = max_pool(&xs)?;
        assert_eq!(ys.flatten_all()?.to_vec1::<f32>()?, [1., 5., 8., 9.]);
        let gradients = ys.sum_all()?.backward()?;
        let gradient = gradients.get(xs.as_tensor()).map(|gradient| gradient.flatten_all()?.to_vec1::<f32>());
        assert_eq!(gradient.transpose()?, Some(vec![1., 0., 1., 0., 0., 0., 0., 1., 1.]));
        let nan = Tensor::new(&[[[[f32::NAN], [1.]]]], &Device::Cpu)?;
        assert!(max_pool(&nan)?.flatten_all()?.to_vec1::<f32>()?[0].is_nan());
        Ok(())
    }
}
