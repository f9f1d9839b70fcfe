//! Cross entropy between predicted tokens and targets, with padding ignored.

use std::sync::Arc;

use super::LossSum;
use super::of_linear::OfLinear;
use crate::kernels::softmax::{LogSumExp, Softmax};
use crate::kernels::{self, Real, numbers};
use crate::{Linear, Mode};
use candle_core::{CpuStorage, CustomOp1, D, DType, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

/// `-Σ_k q_k log softmax(x)_k` in nats for the logits `x` of each item, where the target
/// distribution `q` has `1 - ε + ε/V` on the target and `ε/V` on the `V - 1` other tokens
/// (label smoothing; Szegedy et al. 2016, arXiv:1512.00567).
///
/// `torch.nn.functional.cross_entropy(…, ignore_index, label_smoothing, reduction="sum")`.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use candle_rnn::CrossEntropy;
/// # fn main() -> candle_core::Result<()> {
/// let padding = 9;
/// let logits = Tensor::zeros((1, 3, 4), DType::F32, &Device::Cpu)?;
/// let targets = Tensor::new(&[[2u32, 0, padding]], &Device::Cpu)?;
/// let loss = CrossEntropy { ignore: Some(padding), ..Default::default() }.forward(&logits, &targets)?;
/// assert_eq!(loss.count, 2);
/// assert!((loss.sum.to_scalar::<f32>()? - 2. * 4f32.ln()).abs() < 1e-6);
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CrossEntropy {
    /// Target whose items contribute no loss, no count and no gradient: padding.
    pub ignore: Option<u32>,
    /// `ε`, in `0..=1`.
    pub label_smoothing: f64,
}

impl CrossEntropy {
    /// The loss of `logits [batch, time, vocab]` given `targets [batch, time]` (u32), summed over
    /// the targets that are not ignored. Any leading dimensions will do.
    ///
    /// On the CPU with f32 or f64 it is one node of the autograd graph, and its bits do not
    /// depend on the number of threads.
    ///
    /// # Errors
    /// When the shapes do not fit, a target that is not ignored is not below `vocab`, or the
    /// smoothing is outside `0..=1`.
    pub fn forward(&self, logits: &Tensor, targets: &Tensor) -> Result<LossSum> {
        let Some((&vocab, leading)) = logits.dims().split_last().filter(|(vocab, _)| **vocab > 0) else {
            bail!("logits of shape {:?}, expected [batch, time, vocab]", logits.dims());
        };
        if leading != targets.dims() {
            bail!("logits of shape {:?} for targets of shape {:?}", logits.dims(), targets.dims());
        }
        self.check_smoothing()?;
        let targets = self.checked(targets, vocab)?;
        let count = targets.iter().flatten().count();
        let logits = logits.reshape((targets.len(), vocab))?;
        let smoothing = self.label_smoothing;
        let sum = match kernels::take(&logits) {
            true => logits.contiguous()?.apply_op1(Fused { targets: targets.into(), smoothing })?,
            false => unfused(&logits, &targets, smoothing)?,
        };
        Ok(LossSum { sum, count })
    }

    /// The loss of `linear.forward(xs)`, `xs [..., in]`, without ever holding all its logits: for
    /// large vocabularies. `targets` has the leading dimensions of `xs`.
    ///
    /// In [`Mode::Train`](crate::Mode::Train) the gradients are computed along with the loss,
    /// where their logits are at hand; in [`Mode::Eval`](crate::Mode::Eval) only if there is a
    /// backward pass, which then computes the logits a second time.
    ///
    /// # Errors
    /// Those of [`CrossEntropy::forward`] and [`Linear::forward`].
    pub fn of_linear(&self, linear: &Linear, xs: &Tensor, targets: &Tensor, mode: &Mode) -> Result<LossSum> {
        if !kernels::take(xs) {
            return self.forward(&linear.forward(xs)?, targets);
        }
        let (vocab, input) = linear.weight().dims2()?;
        let Some((&last, leading)) = xs.dims().split_last() else { bail!("features without a dimension") };
        if last != input || leading != targets.dims() {
            let (xs, targets) = (xs.dims(), targets.dims());
            bail!("features of shape {xs:?} for targets of shape {targets:?} and a layer of {input} inputs");
        }
        if vocab == 0 {
            bail!("a layer without outputs has no cross entropy");
        }
        self.check_smoothing()?;
        let targets = self.checked(targets, vocab)?;
        let count = targets.iter().flatten().count();
        let xs = xs.reshape((targets.len(), input))?.contiguous()?;
        let along = matches!(mode, Mode::Train(_));
        let op = OfLinear::new(targets, self.label_smoothing, linear.matmul(), along);
        Ok(LossSum { sum: linear.apply(&xs, op)?, count })
    }

    fn check_smoothing(&self) -> Result<()> {
        match self.label_smoothing {
            smoothing if (0. ..=1.).contains(&smoothing) => Ok(()),
            smoothing => bail!("label smoothing {smoothing} is outside 0..=1"),
        }
    }

    /// The targets in a row, `None` where they are ignored.
    fn checked(&self, targets: &Tensor, vocab: usize) -> Result<Vec<Option<u32>>> {
        let targets = targets.flatten_all()?.to_vec1::<u32>()?;
        let checked = targets.into_iter().enumerate().map(|(item, target)| match target {
            _ if self.ignore == Some(target) => Ok(None),
            _ if (target as usize) < vocab => Ok(Some(target)),
            _ => bail!("target {target} of item {item} is not below the vocabulary size {vocab}"),
        });
        checked.collect()
    }
}

/// The loss from plain tensor operations, for any device and type.
fn unfused(logits: &Tensor, targets: &[Option<u32>], smoothing: f64) -> Result<Tensor> {
    let (device, dtype) = (logits.device(), logits.dtype());
    let items = targets.len();
    let index: Vec<u32> = targets.iter().map(|target| target.unwrap_or(0)).collect();
    let index = Tensor::from_vec(index, (items, 1), device)?;
    let counted: Vec<f32> = targets.iter().map(|target| f32::from(target.is_some())).collect();
    let counted = Tensor::from_vec(counted, items, device)?.to_dtype(dtype)?;

    let log_p = candle_nn::ops::log_softmax(logits, D::Minus1)?;
    let on_target = log_p.gather(&index, 1)?.squeeze(1)?;
    let expected = match smoothing {
        0. => on_target,
        _ => (on_target * (1. - smoothing))?.add(&(log_p.mean(1)? * smoothing)?)?,
    };
    // `where` rather than a product: what is ignored may be infinite.
    let ignored = counted.zeros_like()?;
    counted.ne(0.)?.where_cond(&expected, &ignored)?.sum_all()?.neg()
}

/// The loss of logits `[items, vocab]` in one pass over them; the softmax is not kept but
/// computed again in the backward pass, which costs less than storing it.
struct Fused {
    targets: Arc<[Option<u32>]>,
    smoothing: f64,
}

impl CustomOp1 for Fused {
    fn name(&self) -> &'static str {
        "cross-entropy"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let storage = match storage {
            CpuStorage::F32(_) => {
                CpuStorage::F32(vec![self.sum::<f32>(numbers(storage, layout)?, layout.dims()[1]) as f32])
            }
            CpuStorage::F64(_) => {
                CpuStorage::F64(vec![self.sum::<f64>(numbers(storage, layout)?, layout.dims()[1])])
            }
            _ => bail!("the fused cross entropy takes f32 or f64"),
        };
        Ok((storage, Shape::from(())))
    }

    fn bwd(&self, logits: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let scale = grad.to_dtype(DType::F64)?.to_scalar()?;
        logits.apply_op1_no_bwd(&FusedGradient { loss: self, scale }).map(Some)
    }
}

impl Fused {
    /// The loss, summed in the order of the items.
    fn sum<T: Real>(&self, logits: &[T], vocab: usize) -> f64 {
        item_losses(logits, vocab, &self.targets, self.smoothing).iter().sum()
    }

    fn gradient<T: Real>(&self, logits: &[T], vocab: usize, scale: f64) -> Vec<T> {
        let mut gradient = logits.to_vec();
        gradients_in_place(&mut gradient, vocab, &self.targets, self.smoothing, scale);
        gradient
    }
}

/// `log Σ_k exp x_k - (1 - ε) x_target - ε mean(x)` of every item; zero for ignored ones.
pub(super) fn item_losses<T: Real>(
    logits: &[T],
    vocab: usize,
    targets: &[Option<u32>],
    smoothing: f64,
) -> Vec<f64> {
    (logits.par_chunks_exact(vocab), targets)
        .into_par_iter()
        .with_min_len(MIN_ITEMS)
        .map(|(x, target)| {
            let Some(target) = target else { return 0. };
            T::dispatch(LogSumExp(x)) - expected_logit(x, *target, smoothing)
        })
        .collect()
}

/// Logits become `∂/∂x_k = (softmax(x)_k - q_k) · scale`; zero for ignored items. Gives what
/// [`item_losses`] does.
pub(super) fn gradients_in_place<T: Real>(
    logits: &mut [T],
    vocab: usize,
    targets: &[Option<u32>],
    smoothing: f64,
    scale: f64,
) -> Vec<f64> {
    let elsewhere = T::from_f64(scale * smoothing / vocab as f64);
    let on_target = T::from_f64(scale * (1. - smoothing));
    let factor = T::from_f64(scale);
    (logits.par_chunks_exact_mut(vocab), targets)
        .into_par_iter()
        .with_min_len(MIN_ITEMS)
        .map(|(x, target)| {
            let Some(target) = target else {
                x.fill(T::zero());
                return 0.;
            };
            let expected = expected_logit(x, *target, smoothing);
            let loss = T::dispatch(Softmax(x)) - expected;
            x.iter_mut().for_each(|x| *x = *x * factor - elsewhere);
            x[*target as usize] -= on_target;
            loss
        })
        .collect()
}

/// `Σ_k q_k x_k = (1 - ε) x_target + ε mean(x)`
fn expected_logit<T: Real>(x: &[T], target: u32, smoothing: f64) -> f64 {
    let mean = match smoothing {
        0. => 0.,
        _ => x.iter().map(|x| x.to_f64()).sum::<f64>() / x.len() as f64,
    };
    (1. - smoothing) * x[target as usize].to_f64() + smoothing * mean
}

/// Items that one thread takes at least: below this, sharing the work costs more than it saves.
const MIN_ITEMS: usize = 32;

struct FusedGradient<'a> {
    loss: &'a Fused,
    scale: f64,
}

impl CustomOp1 for FusedGradient<'_> {
    fn name(&self) -> &'static str {
        "cross-entropy-gradient"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let Self { loss, scale } = *self;
        let vocab = layout.dims()[1];
        let storage = match storage {
            CpuStorage::F32(_) => CpuStorage::F32(loss.gradient(numbers(storage, layout)?, vocab, scale)),
            CpuStorage::F64(_) => CpuStorage::F64(loss.gradient(numbers(storage, layout)?, vocab, scale)),
            _ => bail!("the fused cross entropy takes f32 or f64"),
        };
        Ok((storage, layout.shape().clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Generator;
    use candle_core::{Device, Var};

    const PADDING: u32 = 100;

    fn smoothed(label_smoothing: f64) -> CrossEntropy {
        CrossEntropy { ignore: Some(PADDING), label_smoothing }
    }

    /// Logits `[3, 40, vocab]` and targets with padding.
    fn example(vocab: usize) -> Result<(Tensor, Tensor)> {
        let mut generator = Generator::new(4);
        let logits: Vec<f64> = (0..120 * vocab).map(|_| 3. * generator.normal()).collect();
        let targets: Vec<u32> =
            (0..120).map(|i| if i % 7 == 0 { PADDING } else { generator.below(vocab) as u32 }).collect();
        Ok((
            Tensor::from_vec(logits, (3, 40, vocab), &Device::Cpu)?,
            Tensor::from_vec(targets, (3, 40), &Device::Cpu)?,
        ))
    }

    #[test]
    fn it_is_the_negative_log_probability_of_the_targets() -> Result<()> {
        // softmax(0, ln 2, ln 5) = (1, 2, 5) / 8
        let logits = Tensor::new(&[[[0., 2f64.ln(), 5f64.ln()]; 2]], &Device::Cpu)?;
        let targets = Tensor::new(&[[1u32, 2]], &Device::Cpu)?;
        let loss = CrossEntropy::default().forward(&logits, &targets)?;
        let expected = 4f64.ln() + 1.6f64.ln();
        assert!((loss.sum.to_scalar::<f64>()? - expected).abs() < 1e-12);
        // q = (0.1, 0.8, 0.1) and (0.1, 0.1, 0.8) for ε = 0.3
        let loss = smoothed(0.3).forward(&logits, &targets)?;
        let (a, b, c) = (8f64.ln(), 4f64.ln(), 1.6f64.ln());
        let expected = (0.1 * a + 0.8 * b + 0.1 * c) + (0.1 * a + 0.1 * b + 0.8 * c);
        assert!((loss.sum.to_scalar::<f64>()? - expected).abs() < 1e-12);
        Ok(())
    }

    #[test]
    fn the_fused_loss_and_gradient_agree_with_plain_tensor_operations() -> Result<()> {
        for (dtype, tolerance) in [(DType::F32, 1e-5), (DType::F64, 1e-12)] {
            for (vocab, smoothing) in [(5, 0.), (65, 0.), (65, 0.1), (1, 0.)] {
                let (logits, targets) = example(vocab)?;
                let logits = Var::from_tensor(&logits.to_dtype(dtype)?)?;
                let loss = smoothed(smoothing);
                let fused = loss.forward(&logits, &targets)?;
                let checked = loss.checked(&targets, vocab)?;
                let plain = unfused(&logits.reshape((120, vocab))?, &checked, smoothing)?;
                assert_eq!(fused.count, 120 - 18);
                let as_f64 = |t: &Tensor| t.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>();
                let (a, b) = (as_f64(&fused.sum)?[0], as_f64(&plain)?[0]);
                assert!((a - b).abs() <= tolerance * b.abs().max(1.), "{dtype:?} {vocab}: {a} {b}");
                // a factor before the loss reaches the gradient
                let gradient = |sum: Tensor| -> Result<Vec<f64>> {
                    as_f64((sum * 0.5)?.backward()?.get(&logits).expect("it depends on the logits"))
                };
                for (a, b) in gradient(fused.sum)?.into_iter().zip(gradient(plain)?) {
                    assert!((a - b).abs() <= tolerance, "{dtype:?} {vocab}: {a} {b}");
                }
            }
        }
        Ok(())
    }

    #[test]
    fn the_loss_of_a_layer_is_that_of_its_logits_in_value_and_gradient() -> Result<()> {
        for (dtype, tolerance) in [(DType::F32, 1e-4), (DType::F64, 1e-11)] {
            // The larger vocabulary takes the items in several blocks.
            for (vocab, smoothing) in [(7, 0.), (7, 0.1), (40_000, 0.1)] {
                let parameters = crate::Parameters::new(1, dtype, &Device::Cpu);
                let linear = Linear::new(6, vocab, true, parameters.builder())?;
                let (xs, targets) = example(6)?;
                let xs = Var::from_tensor(&xs.to_dtype(dtype)?)?;
                let loss = smoothed(smoothing);
                let plain = loss.forward(&linear.forward(&xs)?, &targets)?;
                let truth = (&plain.sum * 0.5)?.backward()?;
                for mode in [Mode::Eval, Mode::Train(&mut Generator::new(1))] {
                    let ours = loss.of_linear(&linear, &xs, &targets, &mode)?;
                    assert_eq!(ours.count, plain.count);
                    let sum = |loss: &LossSum| loss.sum.to_dtype(DType::F64)?.to_scalar::<f64>();
                    assert!((sum(&ours)? / sum(&plain)? - 1.).abs() < tolerance);
                    let scaled = (&ours.sum * 0.5)?;
                    for gradients in [scaled.backward()?, scaled.backward()?] {
                        let variables = [Some(xs.as_tensor()), Some(linear.weight()), linear.bias()];
                        for variable in variables.into_iter().flatten() {
                            let of = |g: &candle_core::backprop::GradStore| g.get(variable).cloned();
                            let (Some(a), Some(b)) = (of(&gradients), of(&truth)) else { panic!("none") };
                            let difference = (a - b)?.abs()?.flatten_all()?.max(0)?;
                            let difference = difference.to_dtype(DType::F64)?.to_scalar::<f64>()?;
                            assert!(difference < tolerance, "{dtype:?} {vocab} {smoothing}: {difference}");
                        }
                    }
                }
            }
        }
        Ok(())
    }

    #[test]
    fn gradients_agree_with_finite_differences() -> Result<()> {
        let targets = Tensor::new(&[[2u32, PADDING, 0]], &Device::Cpu)?;
        let values = [0.3, -1.2, 2.0, 0.7, 0.1, -0.4, 1.5, -2.0, 0.9];
        let loss = |values: &[f64]| -> Result<(f64, Vec<f64>)> {
            let logits = Var::from_slice(values, (1, 3, 3), &Device::Cpu)?;
            let sum = smoothed(0.2).forward(&logits, &targets)?.sum;
            let gradients = sum.backward()?;
            let gradient = gradients.get(&logits).expect("it depends on the logits");
            Ok((sum.to_scalar()?, gradient.flatten_all()?.to_vec1()?))
        };
        let (_, analytic) = loss(&values)?;
        for i in 0..values.len() {
            let at = |step: f64| {
                let mut moved = values;
                moved[i] += step;
                loss(&moved).map(|(loss, _)| loss)
            };
            let numeric = (at(1e-5)? - at(-1e-5)?) / 2e-5;
            assert!((analytic[i] - numeric).abs() < 1e-8, "{i}: {} {numeric}", analytic[i]);
        }
        assert_eq!(analytic[3..6], [0., 0., 0.]);
        Ok(())
    }

    #[test]
    fn ignored_items_do_not_count_whatever_their_logits() -> Result<()> {
        for dtype in [DType::F32, DType::F64, DType::BF16] {
            let logits = Tensor::new(&[[[f32::NAN, 1.], [0., 0.]]], &Device::Cpu)?.to_dtype(dtype)?;
            let targets = Tensor::new(&[[PADDING, 1]], &Device::Cpu)?;
            let loss = smoothed(0.).forward(&logits, &targets)?;
            let sum = loss.sum.to_dtype(DType::F64)?.to_scalar::<f64>()?;
            assert!((sum - 2f64.ln()).abs() < 1e-2 && loss.count == 1, "{dtype:?}: {sum}");
        }
        Ok(())
    }

    #[test]
    fn logits_that_are_not_numbers_give_a_loss_that_is_not_one() -> Result<()> {
        for bad in [f32::NAN, f32::INFINITY] {
            for dtype in [DType::F32, DType::F64] {
                let mut row = [0f32; 9];
                row[4] = bad;
                let logits = Tensor::new(&[[row]], &Device::Cpu)?.to_dtype(dtype)?;
                let loss = smoothed(0.).forward(&logits, &Tensor::new(&[[0u32]], &Device::Cpu)?)?;
                let sum = loss.sum.to_dtype(DType::F64)?.to_scalar::<f64>()?;
                assert!(!sum.is_finite(), "{bad} in {dtype:?} gives {sum}");
            }
        }
        Ok(())
    }

    #[test]
    fn a_target_outside_the_vocabulary_is_an_error_that_names_it() -> Result<()> {
        let logits = Tensor::zeros((1, 2, 3), DType::F32, &Device::Cpu)?;
        let targets = Tensor::new(&[[0u32, 7]], &Device::Cpu)?;
        let error = smoothed(0.).forward(&logits, &targets).unwrap_err().to_string();
        assert!(error.contains("target 7"), "{error}");
        assert!(smoothed(0.).forward(&logits, &targets.t()?).is_err());
        assert!(smoothed(1.5).forward(&logits, &targets).is_err());
        Ok(())
    }
}
