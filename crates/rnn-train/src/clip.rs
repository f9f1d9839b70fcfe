//! Gradient clipping (Pascanu, Mikolov & Bengio 2013, algorithm 1): the remedy for exploding
//! gradients.

use candle_core::{CpuStorage, DType, Result, Storage, Tensor, bail};
use rayon::prelude::*;

use crate::gradients::Gradients;

/// Numbers summed by one task. The partial sums are added in order, so the norm has the same bits
/// with any number of threads.
const CHUNK: usize = 1 << 15;

/// Limits first every element to ± `value` and then the norm of all gradients together to `limit`
/// (`torch.nn.utils.clip_grad_norm_`), each where it is asked for. Gives the norm before any of it,
/// its squares summed in f64; if that is not finite, nothing has been done, for no scale would repair
/// such gradients.
///
/// # Errors
/// When a limit is not positive, unless the norm is not finite.
pub fn clip(gradients: &mut Gradients, value: Option<f64>, limit: Option<f64>) -> Result<f64> {
    let before = norm(gradients)?;
    if !before.is_finite() {
        return Ok(before);
    }
    let mut now = before;
    if let Some(value) = value {
        clip_value(gradients, value)?;
        now = norm(gradients)?;
    }
    if let Some(limit) = limit {
        limit_norm(gradients, now, limit)?;
    }
    Ok(before)
}

/// Scales gradients whose norm is known by `max / (norm + 1e-6)`, if it is above `max`.
fn limit_norm(gradients: &mut Gradients, norm: f64, max: f64) -> Result<()> {
    if max.is_nan() || max <= 0.0 {
        bail!("gradients are clipped to a positive norm, not {max}");
    }
    let factor = max / (norm + 1e-6);
    if factor < 1.0 {
        gradients.scale(factor);
    }
    Ok(())
}

/// The global L2 norm of all gradients, as if they were one vector.
///
/// # Errors
/// Those of the device.
pub fn norm(gradients: &Gradients) -> Result<f64> {
    let (tensors, factor) = gradients.unscaled();
    let mut sum = 0.0;
    let mut elsewhere = Vec::new();
    for tensor in tensors.iter().flatten() {
        match sum_of_squares(tensor)? {
            Some(squares) => sum += squares,
            None => {
                let dtype = match tensor.dtype() {
                    DType::F64 => DType::F64,
                    _ => DType::F32,
                };
                elsewhere.push(tensor.to_dtype(dtype)?.sqr()?.sum_all()?.to_dtype(DType::F32)?);
            }
        }
    }
    if !elsewhere.is_empty() {
        // One transfer from the device for all variables.
        let squares = Tensor::stack(&elsewhere, 0)?.to_vec1::<f32>()?;
        sum += squares.into_iter().map(f64::from).sum::<f64>();
    }
    Ok(sum.sqrt() * factor.abs())
}

/// Clamps every element to `[-max, max]` (`torch.nn.utils.clip_grad_value_`).
///
/// # Errors
/// When `max` is not positive.
pub fn clip_value(gradients: &mut Gradients, max: f64) -> Result<()> {
    if max.is_nan() || max <= 0.0 {
        bail!("gradients are clipped to a positive value, not {max}");
    }
    gradients.map(|gradient| gradient.clamp(-max, max))
}

/// Σx² of an f32 or f64 tensor in main memory; `None` for any other tensor.
fn sum_of_squares(tensor: &Tensor) -> Result<Option<f64>> {
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    let start = layout.start_offset();
    let range = start..start + layout.shape().elem_count();
    Ok(match &*storage {
        Storage::Cpu(CpuStorage::F32(values)) => Some(in_chunks(&values[range])),
        Storage::Cpu(CpuStorage::F64(values)) => Some(in_chunks(&values[range])),
        _ => None,
    })
}

fn in_chunks<T: Copy + Into<f64> + Sync>(values: &[T]) -> f64 {
    if values.len() <= CHUNK {
        return of_chunk(values);
    }
    let partial: Vec<f64> = values.par_chunks(CHUNK).map(of_chunk).collect();
    partial.iter().sum()
}

/// Eight sums side by side, which the compiler turns into vector instructions.
fn of_chunk<T: Copy + Into<f64>>(values: &[T]) -> f64 {
    let (blocks, rest) = values.as_chunks::<8>();
    let mut lanes = [0.0; 8];
    for block in blocks {
        for (lane, &value) in lanes.iter_mut().zip(block) {
            let value: f64 = value.into();
            *lane += value * value;
        }
    }
    let rest = rest.iter().map(|&value| value.into().powi(2));
    lanes.iter().sum::<f64>() + rest.sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;
    use proptest::prelude::*;

    fn gradients(values: &[Vec<f32>]) -> Gradients {
        let tensor = |v: &Vec<f32>| Tensor::new(v.as_slice(), &Device::Cpu).unwrap();
        let with_a_gap = std::iter::once(None).chain(values.iter().map(|v| Some(tensor(v))));
        with_a_gap.collect::<Vec<_>>().into()
    }

    fn values(gradients: &Gradients) -> Vec<Vec<f32>> {
        let tensors = gradients.iter().filter_map(|g| g.unwrap());
        tensors.map(|t| t.to_vec1().unwrap()).collect()
    }

    #[test]
    fn the_norm_is_that_of_all_gradients_together_and_small_ones_are_left_alone() {
        let mut small = gradients(&[vec![3.0, 0.0], vec![-4.0]]);
        assert_eq!(clip(&mut small, None, Some(5.5)).unwrap(), 5.0);
        assert_eq!(values(&small), [vec![3.0, 0.0], vec![-4.0]]);
        assert_eq!(clip(&mut small, None, Some(2.5)).unwrap(), 5.0);
        assert!((norm(&small).unwrap() - 2.5).abs() < 1e-6);
        // The scaled gradients are what is clipped next.
        small.scale(-10.0);
        clip_value(&mut small, 16.0).unwrap();
        let clamped = values(&small);
        assert!((clamped[0][0] + 15.0).abs() < 1e-4);
        assert_eq!(clamped[1], [16.0]);
    }

    #[test]
    fn both_limits_together_clip_the_value_first_and_give_the_norm_of_before() {
        let mut both = gradients(&[vec![3.0, 0.0], vec![-4.0]]);
        assert_eq!(clip(&mut both, Some(3.0), Some(1.5)).unwrap(), 5.0);
        let factor = 1.5 / (18f32.sqrt() + 1e-6);
        let expected = [3.0 * factor, 0.0, -3.0 * factor];
        assert!(values(&both).concat().iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6));
        let mut broken = gradients(&[vec![f32::INFINITY, 1.0]]);
        assert_eq!(clip(&mut broken, Some(1.0), Some(1.0)).unwrap(), f64::INFINITY);
        assert_eq!(values(&broken), [vec![f32::INFINITY, 1.0]]);
    }

    #[test]
    fn the_norm_has_the_same_bits_with_one_thread_and_with_three() {
        let many: Vec<f32> = (0..3 * CHUNK + 17).map(|i| (i as f32).sin()).collect();
        let gradients = gradients(&[many]);
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            pool.build().unwrap().install(|| norm(&gradients).unwrap())
        };
        assert_eq!(with(1).to_bits(), with(3).to_bits());
        let expected = ((3 * CHUNK + 17) as f64 / 2.0).sqrt();
        assert!((with(1) - expected).abs() < 0.01);
    }

    #[test]
    fn a_transposed_and_a_half_precision_gradient_count_like_any_other() {
        let matrix = Tensor::new(&[[1f32, 2.0], [3.0, 4.0]], &Device::Cpu).unwrap();
        let half = matrix.to_dtype(DType::BF16).unwrap();
        let gradients = Gradients::from(vec![Some(matrix.t().unwrap()), Some(half)]);
        assert!((norm(&gradients).unwrap() - 60f64.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn limits_that_are_not_positive_are_errors() {
        let mut broken = gradients(&[vec![1.0, f32::NAN]]);
        assert!(clip(&mut broken, None, Some(1.0)).unwrap().is_nan());
        let mut fine = gradients(&[vec![1.0]]);
        assert!(clip(&mut fine, None, Some(0.0)).is_err());
        assert!(clip_value(&mut fine, f64::NAN).is_err());
    }

    proptest! {
        #[test]
        fn clipping_keeps_the_direction_and_bounds_the_norm(
            list in prop::collection::vec(prop::collection::vec(-1e3f32..1e3, 1..20), 1..5),
            max in 0.01f64..100.0,
        ) {
            let before = gradients(&list);
            let mut after = before.clone();
            let norm_before = clip(&mut after, None, Some(max)).unwrap();
            prop_assert!(norm(&after).unwrap() <= max.min(norm_before) * (1.0 + 1e-9));
            let factor = (max / (norm_before + 1e-6)).min(1.0) as f32;
            for (a, b) in values(&after).concat().iter().zip(values(&before).concat()) {
                prop_assert!((a - b * factor).abs() <= 1e-6 * b.abs());
            }
        }

        #[test]
        fn no_element_is_larger_than_the_value_clipped_to(
            list in prop::collection::vec(-10f32..10.0, 1..50), max in 0.1f64..5.0,
        ) {
            let mut clipped = gradients(std::slice::from_ref(&list));
            clip_value(&mut clipped, max).unwrap();
            for (clipped, value) in values(&clipped).concat().into_iter().zip(list) {
                prop_assert_eq!(clipped, value.clamp(-max as f32, max as f32));
            }
        }
    }
}
