//! Dropout: in training, random elements are set to zero.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, WithDType, bail};
use rand::Rng;
use rayon::prelude::*;

use crate::kernels::{self, Real, numbers};
use crate::{Generator, Mode};

/// Sets each element to zero with probability `p` and multiplies the others by `1 / (1 - p)`, so
/// that the expectation stays the same (inverted dropout; Srivastava et al. 2014,
/// `torch.nn.functional.dropout`). Any shape; the mask comes from the mode's generator.
///
/// With [`Mode::Eval`] or `p = 0` it returns the same tensor and draws nothing.
///
/// # Errors
/// When `p` is outside `0..1`.
pub fn dropout(xs: &Tensor, p: f64, mode: &mut Mode) -> Result<Tensor> {
    if !(0. ..1.).contains(&p) {
        bail!("dropout probability {p} is outside 0..1");
    }
    let generator = match mode {
        Mode::Train(generator) if p > 0. => generator,
        _ => return Ok(xs.clone()),
    };
    let op = Dropout { p, generator: generator.clone() };
    **generator = generator.ahead(xs.elem_count());
    if kernels::take(xs) {
        return xs.contiguous()?.apply_op1(op);
    }
    let mut mask = vec![1f32; xs.elem_count()];
    op.apply(&mut mask);
    xs.mul(&Tensor::from_vec(mask, xs.shape(), xs.device())?.to_dtype(xs.dtype())?)
}

/// Dropout of `xs [batch, time, features]` whose mask is the same at all time steps of a row (Gal and
/// Ghahramani 2016, *A theoretically grounded application of dropout in recurrent neural networks*).
///
/// # Errors
/// When `p` is outside `0..1` or `xs` has not three dimensions.
pub fn dropout_over_time(xs: &Tensor, p: f64, mode: &mut Mode) -> Result<Tensor> {
    let (batch, _, features) = xs.dims3()?;
    let ones = Tensor::ones((batch, 1, features), xs.dtype(), xs.device())?;
    let mask = dropout(&ones, p, mode)?;
    if mask.id() == ones.id() { Ok(xs.clone()) } else { xs.broadcast_mul(&mask) }
}

/// The mask, which is not kept: the backward pass draws it again.
struct Dropout {
    p: f64,
    /// Where the mask begins: one 32-bit word for each number.
    generator: Generator,
}

impl Dropout {
    /// Multiplies by 0 with probability `p` (to 2⁻³²), else by `1 / (1 − p)`.
    fn apply<T: WithDType>(&self, xs: &mut [T]) {
        // Each task draws its own part of the stream, so that the mask is the same for any
        // number of threads.
        const PART: usize = 1 << 14;
        const BLOCK: usize = 64;
        let threshold = (self.p * 2f64.powi(32)) as u32;
        let (dropped, kept) = (T::zero(), T::from_f64(1. / (1. - self.p)));
        xs.par_chunks_mut(PART).enumerate().for_each(|(part, xs)| {
            let mut generator = self.generator.ahead(part * PART);
            let mut words = [[0u8; 4]; BLOCK];
            for xs in xs.chunks_mut(BLOCK) {
                generator.fill_bytes(words[..xs.len()].as_flattened_mut());
                for (x, word) in xs.iter_mut().zip(&words) {
                    *x *= if u32::from_le_bytes(*word) < threshold { dropped } else { kept };
                }
            }
        });
    }

    fn applied<T: Real>(&self, storage: &CpuStorage, layout: &Layout) -> Result<CpuStorage> {
        let mut xs = numbers::<T>(storage, layout)?.to_vec();
        self.apply(&mut xs);
        Ok(T::to_cpu_storage_owned(xs))
    }
}

impl CustomOp1 for Dropout {
    fn name(&self) -> &'static str {
        "dropout"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let dropped = match storage {
            CpuStorage::F32(_) => self.applied::<f32>(storage, layout)?,
            _ => self.applied::<f64>(storage, layout)?,
        };
        Ok((dropped, layout.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let op = Self { p: self.p, generator: self.generator.clone() };
        gradient.contiguous()?.apply_op1_no_bwd(&op).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device, Var};

    #[test]
    fn without_training_or_with_probability_zero_it_is_the_same_tensor() -> Result<()> {
        let xs = Tensor::ones(4, DType::F32, &Device::Cpu)?;
        let mut generator = Generator::new(1);
        assert_eq!(dropout(&xs, 0.5, &mut Mode::Eval)?.id(), xs.id());
        assert_eq!(dropout(&xs, 0., &mut Mode::Train(&mut generator))?.id(), xs.id());
        assert_eq!(generator.position(), 0);
        assert!(dropout(&xs, 1., &mut Mode::Eval).is_err());
        assert!(dropout(&xs, f64::NAN, &mut Mode::Eval).is_err());
        Ok(())
    }

    #[test]
    fn the_mask_is_the_generators_words_whatever_the_number_of_threads() -> Result<()> {
        let xs = Tensor::ones((3, 20_011), DType::F32, &Device::Cpu)?;
        let mut words = Generator::new(5);
        words.next_u32();
        let start = words.clone();
        let expected: Vec<f32> =
            (0..xs.elem_count()).map(|_| if words.next_u32() < 1 << 30 { 0. } else { 4. / 3. }).collect();
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
            let mut generator = start.clone();
            let ys = pool.install(|| dropout(&xs, 0.25, &mut Mode::Train(&mut generator)))?;
            assert_eq!(ys.flatten_all()?.to_vec1::<f32>()?, expected);
            assert_eq!(generator, words);
        }
        Ok(())
    }

    #[test]
    fn over_time_the_mask_of_a_row_is_the_same_at_every_step() -> Result<()> {
        let xs = Tensor::ones((3, 4, 50), DType::F32, &Device::Cpu)?;
        assert_eq!(dropout_over_time(&xs, 0.5, &mut Mode::Eval)?.id(), xs.id());
        let ys = dropout_over_time(&xs, 0.5, &mut Mode::Train(&mut Generator::new(1)))?.to_vec3::<f32>()?;
        for row in &ys {
            assert!(row.iter().all(|step| *step == row[0]) && row[0].contains(&0.) && row[0].contains(&2.));
        }
        assert!(ys[0][0] != ys[1][0]);
        Ok(())
    }

    #[test]
    fn it_drops_the_share_asked_for_and_scales_the_rest_in_output_and_gradient() -> Result<()> {
        for dtype in [DType::F32, DType::F64] {
            let xs = Var::ones((100, 200), dtype, &Device::Cpu)?;
            let ys = dropout(&xs, 0.2, &mut Mode::Train(&mut Generator::new(1)))?;
            let gradient = ys.sum_all()?.backward()?.get(&xs).expect("it depends on xs").clone();
            let values = |t: &Tensor| t.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>();
            let ys = values(&ys)?;
            let dropped = ys.iter().filter(|y| **y == 0.).count();
            assert!((3800..4200).contains(&dropped), "{dropped} of 20000");
            assert!(ys.iter().all(|y| *y == 0. || (y - 1.25).abs() < 1e-12));
            assert_eq!(values(&gradient)?, ys);
        }
        Ok(())
    }
}
