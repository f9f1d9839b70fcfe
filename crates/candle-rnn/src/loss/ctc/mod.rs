//! Connectionist temporal classification: the loss of a sequence whose alignment is not known.

mod forward_backward;
mod scaled;

use candle_core::{CpuStorage, CustomOp1, DType, Device, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use crate::Lengths;
use crate::kernels::{Real, with_numbers};
use forward_backward::Sequence;

/// `-ln p(l | x)` in nats, where `p(l | x)` is the probability of all paths through the frames that
/// become the target `l` when repeated symbols are merged and blanks removed (Graves, Fernández, Gomez
/// and Schmidhuber 2006, *Connectionist temporal classification: labelling unsegmented sequence data with
/// recurrent neural networks*).
///
/// `torch.nn.functional.ctc_loss(log_softmax(logits), …, blank, zero_infinity, reduction="sum")`; the
/// softmax is inside.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use candle_rnn::{Ctc, Lengths};
/// # fn main() -> candle_core::Result<()> {
/// // Two frames, a blank and two symbols, all as likely: of the nine paths `1 1`, `1 -` and `- 1`
/// // become `1`.
/// let logits = Tensor::zeros((1, 2, 3), DType::F32, &Device::Cpu)?;
/// let lengths = Lengths::new(vec![2], 2)?;
/// let loss = Ctc::default().forward(&logits, &lengths, &[1], &[1])?;
/// assert!((loss.sum.to_scalar::<f32>()? - 3f32.ln()).abs() < 1e-6);
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ctc {
    /// The symbol that stands for nothing.
    pub blank: u32,
    /// Whether a row without any alignment is left out, instead of making the sum infinite.
    pub zero_infinity: bool,
}

/// The loss of a batch, and the rows for which there was none.
#[derive(Clone, Debug)]
pub struct CtcLoss {
    /// Sum over the rows, a differentiable scalar `[]`, in nats.
    pub sum: Tensor,
    /// Number of rows in the sum.
    pub count: usize,
    /// The rows without any alignment, in ascending order: their input is too short for their target, or
    /// the logits rule every path out. With [`Ctc::zero_infinity`] they have no share in the sum, the
    /// count and the gradient; otherwise the sum is +∞ and their gradient NaN.
    pub impossible: Vec<usize>,
}

impl Ctc {
    /// The loss of `logits [batch, time, symbols]`, of which `lengths` says how many frames of each row
    /// are real. `targets` has the targets of all rows one after another, without blanks, and
    /// `target_lengths` the length of each, which may be zero.
    ///
    /// A target needs a frame for each of its symbols and one more for each symbol that follows its like.
    ///
    /// One node of the autograd graph; the rows are shared among the threads, and the bits do not depend
    /// on their number. Where the logits can have a gradient, it is computed along with the loss. All
    /// happens on the CPU, in f64 beside the softmax: logits of another device are copied there, and
    /// their gradient back. The sum has the type of the logits if that is f32 or f64, otherwise it is f32.
    ///
    /// # Errors
    /// When the shapes do not fit, or a target is the blank or not below `symbols`.
    pub fn forward(
        &self,
        logits: &Tensor,
        lengths: &Lengths,
        targets: &[u32],
        target_lengths: &[usize],
    ) -> Result<CtcLoss> {
        let Ok((batch, time, symbols)) = logits.dims3() else {
            bail!("logits of shape {:?}, expected [batch, time, symbols]", logits.dims());
        };
        lengths.check(batch, time)?;
        let targets = self.checked(symbols, batch, targets, target_lengths)?;
        let here = logits.to_device(&Device::Cpu)?;
        let loss = match here.dtype() {
            DType::F64 => self.rows::<f64>(&here, lengths, &targets)?,
            DType::F32 => self.rows::<f32>(&here, lengths, &targets)?,
            _ => self.rows::<f32>(&here.to_dtype(DType::F32)?, lengths, &targets)?,
        };
        Ok(CtcLoss { sum: loss.sum.to_device(logits.device())?, ..loss })
    }

    /// The targets row by row.
    fn checked<'a>(
        &self,
        symbols: usize,
        batch: usize,
        mut targets: &'a [u32],
        target_lengths: &[usize],
    ) -> Result<Vec<&'a [u32]>> {
        let blank = self.blank;
        if blank as usize >= symbols {
            bail!("the blank {blank} is not below the number of symbols, {symbols}");
        }
        if target_lengths.len() != batch {
            bail!("{} target lengths for a batch of {batch} rows", target_lengths.len());
        }
        let (given, needed) = (targets.len(), target_lengths.iter().sum::<usize>());
        if given != needed {
            bail!("{given} targets, but the target lengths add up to {needed}");
        }
        let mut rows = Vec::with_capacity(batch);
        for (row, &length) in target_lengths.iter().enumerate() {
            let (target, rest) = targets.split_at(length);
            for (place, &symbol) in target.iter().enumerate() {
                if symbol == blank {
                    bail!("target {symbol} at place {place} of row {row} is the blank: leave blanks out");
                }
                if symbol as usize >= symbols {
                    bail!(
                        "target {symbol} at place {place} of row {row} is not below the number of symbols, \
                         {symbols}"
                    );
                }
            }
            rows.push(target);
            targets = rest;
        }
        Ok(rows)
    }

    fn rows<R: Real>(&self, logits: &Tensor, lengths: &Lengths, targets: &[&[u32]]) -> Result<CtcLoss> {
        let (batch, time, symbols) = logits.dims3()?;
        let wanted = logits.track_op();
        let mut gradient = vec![R::zero(); if wanted { logits.elem_count() } else { 0 }];
        let mut gradients: Vec<Option<&mut [R]>> =
            gradient.chunks_exact_mut(time * symbols).map(Some).collect();
        gradients.resize_with(batch, || None);
        let losses: Vec<f64> = with_numbers(logits, |logits: &[R]| {
            let rows = logits.par_chunks_exact(time * symbols).zip(lengths.as_slice()).zip(targets);
            rows.zip(gradients)
                .map(|(((logits, &length), target), gradient)| {
                    let real = length * symbols;
                    let sequence = Sequence { logits: &logits[..real], symbols, target, blank: self.blank };
                    match gradient {
                        Some(gradient) => self.loss_and_gradient(&sequence, &mut gradient[..real]),
                        None => sequence.loss(),
                    }
                })
                .collect()
        })?;
        let impossible: Vec<usize> = (0..batch).filter(|&row| losses[row] == f64::INFINITY).collect();
        let left_out = |row: usize| self.zero_infinity && losses[row] == f64::INFINITY;
        let counted = (0..batch).filter(|&row| !left_out(row));
        let (count, sum) = (counted.clone().count(), counted.map(|row| losses[row]).sum());
        let gradient = wanted.then(|| Tensor::from_vec(gradient, logits.shape(), &Device::Cpu));
        let sum = logits.apply_op1(Known { sum, gradient: gradient.transpose()? })?;
        Ok(CtcLoss { sum, count, impossible })
    }

    fn loss_and_gradient<R: Real>(&self, sequence: &Sequence<R>, gradient: &mut [R]) -> f64 {
        let loss = sequence.loss_and_gradient(gradient);
        if loss == f64::INFINITY && self.zero_infinity {
            gradient.fill(R::zero());
        }
        loss
    }
}

/// The node: a loss that is known already, and its gradient unless nobody can ask for it.
struct Known {
    sum: f64,
    gradient: Option<Tensor>,
}

impl CustomOp1 for Known {
    fn name(&self) -> &'static str {
        "ctc"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        let storage = match storage {
            CpuStorage::F32(_) => CpuStorage::F32(vec![self.sum as f32]),
            _ => CpuStorage::F64(vec![self.sum]),
        };
        Ok((storage, Shape::from(())))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let factor: f64 = grad.to_dtype(DType::F64)?.to_scalar()?;
        match &self.gradient {
            Some(gradient) if factor == 1. => Ok(Some(gradient.clone())),
            gradient => gradient.as_ref().map(|gradient| gradient * factor).transpose(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Generator;
    use candle_core::Var;
    use proptest::prelude::*;

    /// Targets of three rows, one with repeats, one empty, for `[3, 8, 5]` and the blank 2.
    const TARGETS: [u32; 6] = [0, 0, 4, 1, 3, 1];
    const TARGET_LENGTHS: [usize; 3] = [3, 0, 3];
    const CTC: Ctc = Ctc { blank: 2, zero_infinity: false };

    fn lengths() -> Lengths {
        Lengths::new(vec![6, 4, 8], 8).expect("three rows within eight frames")
    }

    fn logits() -> Vec<f64> {
        let mut generator = Generator::new(3);
        (0..3 * 8 * 5).map(|_| 2. * generator.normal()).collect()
    }

    fn variable(numbers: &[f64], dtype: DType) -> Result<Var> {
        Var::from_tensor(&Tensor::from_slice(numbers, (3, 8, 5), &Device::Cpu)?.to_dtype(dtype)?)
    }

    fn numbers(tensor: &Tensor) -> Result<Vec<f64>> {
        tensor.to_dtype(DType::F64)?.flatten_all()?.to_vec1()
    }

    fn loss_and_gradient(ctc: Ctc, logits: &Var) -> Result<(CtcLoss, Vec<f64>)> {
        let loss = ctc.forward(logits, &lengths(), &TARGETS, &TARGET_LENGTHS)?;
        let gradients = loss.sum.backward()?;
        let gradient = numbers(gradients.get(logits).expect("it depends on the logits"))?;
        Ok((loss, gradient))
    }

    /// `p(l | x)` by its definition: the sum over all paths that become the target.
    fn probability_of_all_paths(logits: &[f64], symbols: usize, target: &[u32], blank: u32) -> f64 {
        let frames = logits.len() / symbols;
        let mut probability = 0.;
        for number in 0..symbols.pow(frames as u32) {
            let path: Vec<usize> = (0..frames as u32).map(|t| number / symbols.pow(t) % symbols).collect();
            let mut merged = path.clone();
            merged.dedup();
            merged.retain(|&symbol| symbol != blank as usize);
            if merged.iter().map(|&symbol| symbol as u32).eq(target.iter().copied()) {
                let frames = logits.chunks_exact(symbols).zip(&path);
                let y = |(x, &k): (&[f64], &usize)| x[k].exp() / x.iter().map(|x| x.exp()).sum::<f64>();
                probability += frames.map(y).product::<f64>();
            }
        }
        probability
    }

    proptest! {
        #[test]
        fn it_is_the_negative_logarithm_of_the_sum_over_all_paths(
            (symbols, logits) in (2usize..=3, 1usize..=5).prop_flat_map(|(symbols, frames)| {
                (Just(symbols), prop::collection::vec(-3f64..3., symbols * frames))
            }),
            target in prop::collection::vec(0u32..3, 0..4),
            blank in 0u32..2,
        ) {
            let frames = logits.len() / symbols;
            let target: Vec<u32> =
                target.into_iter().filter(|&symbol| symbol != blank && symbol < symbols as u32).collect();
            let truth = -probability_of_all_paths(&logits, symbols, &target, blank).ln();
            let ctc = Ctc { blank, zero_infinity: false };
            let logits = Tensor::from_vec(logits, (1, frames, symbols), &Device::Cpu)?;
            let lengths = Lengths::new(vec![frames], frames)?;
            let loss = ctc.forward(&logits, &lengths, &target, &[target.len()])?;
            let ours = loss.sum.to_scalar::<f64>()?;
            prop_assert!(ours == truth || (ours - truth).abs() < 1e-12, "{ours} {truth}");
            prop_assert_eq!(loss.impossible.len(), usize::from(truth == f64::INFINITY));
        }
    }

    #[test]
    fn gradients_agree_with_finite_differences() -> Result<()> {
        let values = logits();
        let (_, analytic) = loss_and_gradient(CTC, &variable(&values, DType::F64)?)?;
        for i in 0..values.len() {
            let at = |step: f64| -> Result<f64> {
                let mut moved = values.clone();
                moved[i] += step;
                let logits = variable(&moved, DType::F64)?.detach();
                CTC.forward(&logits, &lengths(), &TARGETS, &TARGET_LENGTHS)?.sum.to_scalar()
            };
            let numeric = (at(1e-5)? - at(-1e-5)?) / 2e-5;
            assert!((analytic[i] - numeric).abs() < 1e-8, "{i}: {} {numeric}", analytic[i]);
        }
        Ok(())
    }

    #[test]
    fn a_factor_reaches_the_gradient_and_narrow_types_have_one() -> Result<()> {
        let (_, truth) = loss_and_gradient(CTC, &variable(&logits(), DType::F64)?)?;
        for (dtype, tolerance) in [(DType::F32, 1e-6), (DType::BF16, 3e-2)] {
            let logits = variable(&logits(), dtype)?;
            let loss = CTC.forward(&logits, &lengths(), &TARGETS, &TARGET_LENGTHS)?;
            assert_eq!(loss.sum.dtype(), DType::F32);
            let gradients = (loss.sum * 0.5)?.backward()?;
            let gradient = gradients.get(&logits).expect("it depends on the logits");
            for (ours, truth) in numbers(gradient)?.into_iter().zip(&truth) {
                assert!((2. * ours - truth).abs() < tolerance, "{dtype:?}: {ours} {truth}");
            }
        }
        Ok(())
    }

    #[test]
    fn what_lies_in_the_padding_changes_nothing() -> Result<()> {
        let clean = logits();
        let mut dirty = clean.clone();
        for (row, length) in [6, 4, 8].into_iter().enumerate() {
            for (i, x) in dirty[row * 40 + length * 5..][..(8 - length) * 5].iter_mut().enumerate() {
                *x = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY][i % 3];
            }
        }
        for dtype in [DType::F32, DType::F64] {
            let of = |values| -> Result<_> {
                let (loss, gradient) = loss_and_gradient(CTC, &variable(values, dtype)?)?;
                Ok((numbers(&loss.sum)?, gradient))
            };
            let (loss, gradient) = of(&dirty)?;
            assert_eq!((loss, gradient.clone()), of(&clean)?);
            assert!(gradient[30..40].iter().all(|&g| g == 0.), "{gradient:?}");
        }
        Ok(())
    }

    #[test]
    fn a_row_without_an_alignment_is_infinite_or_left_out_and_named() -> Result<()> {
        // `0 0 4` needs four frames.
        let short = Lengths::new(vec![3, 4, 8], 8)?;
        let logits = variable(&logits(), DType::F64)?;
        let loss = CTC.forward(&logits, &short, &TARGETS, &TARGET_LENGTHS)?;
        assert_eq!((loss.sum.to_scalar()?, loss.count), (f64::INFINITY, 3));
        assert_eq!(loss.impossible, [0]);
        let gradients = loss.sum.backward()?;
        let gradient = numbers(gradients.get(&logits).expect("it depends on the logits"))?;
        assert!(gradient[0].is_nan() && gradient[40..].iter().all(|g| g.is_finite()));

        let lenient = Ctc { zero_infinity: true, ..CTC };
        let loss = lenient.forward(&logits, &short, &TARGETS, &TARGET_LENGTHS)?;
        assert_eq!((loss.count, &loss.impossible[..]), (2, &[0][..]));
        let gradients = loss.sum.backward()?;
        let gradient = numbers(gradients.get(&logits).expect("it depends on the logits"))?;
        assert!(gradient[..40].iter().all(|&g| g == 0.));
        let others =
            CTC.forward(&logits.narrow(0, 1, 2)?, &Lengths::new(vec![4, 8], 8)?, &[1, 3, 1], &[0, 3])?;
        assert_eq!(loss.sum.to_scalar::<f64>()?, others.sum.to_scalar::<f64>()?);
        Ok(())
    }

    #[test]
    fn logits_that_rule_every_path_out_are_an_impossible_row_and_a_nan_is_not_hidden() -> Result<()> {
        let (row, five) = (Lengths::new(vec![2], 2)?, [0f64, 1., 2., 3., 4.]);
        let of = |frames: [[f64; 5]; 2]| -> Result<(f64, Vec<usize>)> {
            let logits = Tensor::new(&[frames], &Device::Cpu)?;
            let loss = CTC.forward(&logits, &row, &[1, 3], &[2])?;
            Ok((loss.sum.to_scalar()?, loss.impossible))
        };
        let without_one = [0., f64::NEG_INFINITY, 2., 3., 4.];
        assert_eq!(of([without_one, five])?, (f64::INFINITY, vec![0]));
        assert!(of([five, without_one])?.0.is_finite());
        for bad in [f64::NAN, f64::INFINITY] {
            let (loss, impossible) = of([five, [0., 1., bad, 3., 4.]])?;
            assert!(loss.is_nan() && impossible.is_empty(), "{bad} gives {loss}");
        }
        Ok(())
    }

    #[test]
    fn thousands_of_frames_and_certain_networks_neither_overflow_nor_vanish() -> Result<()> {
        let frames = 5000;
        let certain = (0..frames * 3).map(|i| if i % 3 == i / 3 % 2 { 300f32 } else { -300. });
        let logits = Var::from_vec(certain.collect(), (1, frames, 3), &Device::Cpu)?;
        let target = vec![2u32; 2000];
        let loss = Ctc::default().forward(&logits, &Lengths::new(vec![frames], frames)?, &target, &[2000])?;
        // Every other frame wants a symbol that is not in the target, and to deny it costs 600.
        let sum = loss.sum.to_scalar::<f32>()?;
        assert!((sum / 1.5e6 - 1.).abs() < 5e-3, "{sum}");
        let gradients = loss.sum.backward()?;
        let gradient = numbers(gradients.get(&logits).expect("it depends on the logits"))?;
        for frame in gradient.chunks_exact(3) {
            assert!(frame.iter().sum::<f64>().abs() < 1e-5, "{frame:?}");
        }
        Ok(())
    }

    #[test]
    fn the_bits_do_not_depend_on_the_number_of_threads_nor_on_a_gradient() -> Result<()> {
        let logits = variable(&logits(), DType::F32)?;
        let with = |threads| -> Result<(f32, Vec<f64>)> {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
            let (loss, gradient) = pool.install(|| loss_and_gradient(CTC, &logits))?;
            Ok((loss.sum.to_scalar()?, gradient))
        };
        let (sum, gradient) = with(1)?;
        for threads in 2..5 {
            assert_eq!(with(threads)?, (sum, gradient.clone()));
        }
        let alone = CTC.forward(&logits.detach(), &lengths(), &TARGETS, &TARGET_LENGTHS)?;
        assert_eq!(alone.sum.to_scalar::<f32>()?, sum);
        Ok(())
    }

    #[test]
    fn targets_that_cannot_be_are_errors_that_name_them() -> Result<()> {
        let logits = Tensor::zeros((2, 3, 4), DType::F32, &Device::Cpu)?;
        let lengths = Lengths::new(vec![3, 3], 3)?;
        let error = |targets: &[u32], target_lengths: &[usize]| {
            let refused = Ctc::default().forward(&logits, &lengths, targets, target_lengths);
            refused.unwrap_err().to_string()
        };
        for (targets, lengths, expected) in [
            (&[1, 3, 0][..], &[1, 2][..], "target 0 at place 1 of row 1 is the blank"),
            (&[1, 3, 4], &[1, 2], "target 4 at place 1 of row 1 is not below"),
            (&[1, 3], &[1, 2], "2 targets, but the target lengths add up to 3"),
            (&[1, 3], &[2], "1 target lengths for a batch of 2 rows"),
        ] {
            let error = error(targets, lengths);
            assert!(error.contains(expected), "{error}");
        }
        let far = Ctc { blank: 4, ..Ctc::default() }.forward(&logits, &lengths, &[], &[0, 0]);
        assert!(far.unwrap_err().to_string().contains("the blank 4"));
        assert!(Ctc::default().forward(&logits.get(0)?, &lengths, &[], &[0, 0]).is_err());
        Ok(())
    }
}
