//! Numbers kept within bounds.

use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use crate::kernels::{self, Real, numbers, with_numbers};

/// Numbers of a task.
const PART: usize = 1 << 14;

/// `min(max(x, 0), most)`, the activation of small networks for telephones (ReLU6 with `most` = 6;
/// Krizhevsky 2010, *Convolutional deep belief networks on CIFAR-10*); its gradient is that of x where x is
/// strictly between.
///
/// # Errors
/// When the device fails.
pub fn clip(xs: &Tensor, most: f64) -> Result<Tensor> {
    match kernels::take(xs) {
        true => xs.contiguous()?.apply_op1(Clip { most }),
        false => xs.relu()?.minimum(most),
    }
}

struct Clip {
    most: f64,
}

impl Clip {
    fn forward<R: Real + PartialOrd>(&self, xs: &[R]) -> CpuStorage {
        let (zero, most) = (R::zero(), R::from_f64(self.most));
        let mut ys = vec![zero; xs.len()];
        ys.par_chunks_mut(PART).zip(xs.par_chunks(PART)).for_each(|(ys, xs)| {
            for (y, &x) in ys.iter_mut().zip(xs) {
                // NaN stays NaN.
                *y = if x < zero {
                    zero
                } else if x > most {
                    most
                } else {
                    x
                };
            }
        });
        R::to_cpu_storage_owned(ys)
    }

    fn backward<R: Real + PartialOrd>(&self, ys: &Tensor, gradient: &Tensor) -> Result<Tensor> {
        let (zero, most) = (R::zero(), R::from_f64(self.most));
        let dxs = with_numbers(ys, |ys: &[R]| {
            with_numbers(gradient, |dys: &[R]| {
                let mut dxs = vec![zero; ys.len()];
                let parts = dxs.par_chunks_mut(PART).zip(ys.par_chunks(PART)).zip(dys.par_chunks(PART));
                parts.for_each(|((dxs, ys), dys)| {
                    for ((dx, &y), &dy) in dxs.iter_mut().zip(ys).zip(dys) {
                        *dx = if y > zero && y < most { dy } else { zero };
                    }
                });
                dxs
            })
        })??;
        Tensor::from_vec(dxs, ys.shape(), ys.device())
    }
}

impl CustomOp1 for Clip {
    fn name(&self) -> &'static str {
        "clip"
    }

    fn cpu_fwd(&self, xs: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let ys = match xs {
            CpuStorage::F32(_) => self.forward::<f32>(numbers(xs, layout)?),
            _ => self.forward::<f64>(numbers(xs, layout)?),
        };
        Ok((ys, layout.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, ys: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        match ys.dtype() {
            DType::F32 => self.backward::<f32>(ys, gradient),
            _ => self.backward::<f64>(ys, gradient),
        }
        .map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    #[test]
    fn values_and_gradients_end_at_the_bounds() -> Result<()> {
        let xs = Var::from_tensor(&Tensor::new(&[-1f32, 0., 0.5, 6., 7.], &Device::Cpu)?)?;
        let ys = clip(&xs, 6.)?;
        assert_eq!(ys.to_vec1::<f32>()?, [0., 0., 0.5, 6., 6.]);
        let gradients = ys.sum_all()?.backward()?;
        let gradient = gradients.get(&xs).map(Tensor::to_vec1::<f32>).transpose()?;
        assert_eq!(gradient, Some(vec![0., 0., 1., 0., 0.]));
        assert!(clip(&Tensor::new(&[f32::NAN], &Device::Cpu)?, 6.)?.to_vec1::<f32>()?[0].is_nan());
        Ok(())
    }
}
