//! Dropout: in training, random elements are set to zero.

use candle_core::{DType, Result, Tensor, WithDType, bail};
use rand::Rng;

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
    let (n, device) = (xs.elem_count(), xs.device());
    let mask = match xs.dtype() {
        DType::F64 => Tensor::from_vec(mask::<f64>(n, p, generator), xs.shape(), device)?,
        dtype => Tensor::from_vec(mask::<f32>(n, p, generator), xs.shape(), device)?.to_dtype(dtype)?,
    };
    xs.mul(&mask)
}

/// `n` elements, `0` with probability `p` (to 2⁻³²), else `1 / (1 - p)`; one 32-bit word each.
fn mask<T: WithDType>(n: usize, p: f64, generator: &mut Generator) -> Vec<T> {
    let (dropped, kept) = (T::zero(), T::from_f64(1. / (1. - p)));
    let threshold = (p * 2f64.powi(32)) as u32;
    (0..n).map(|_| if generator.next_u32() < threshold { dropped } else { kept }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

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
