//! Layer normalisation with a gradient: candle-nn's fused one has none.

use candle_core::{D, Result, Shape, Tensor, bail};
use candle_nn::{Init, VarBuilder};
use rayon::prelude::*;

use crate::kernels::dot::{dot, total};
use crate::kernels::op::{Inputs, Layer, Node};
use crate::kernels::{self, Kernel, Lanes, Real, Vector};

/// `y = (x - E[x]) / √(Var[x] + ε) · γ + β` over the last dimension, with the biased variance
/// (Ba, Kiros and Hinton 2016, arXiv:1607.06450; `torch.nn.LayerNorm`).
#[derive(Clone, Debug)]
pub struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    eps: f64,
}

impl LayerNorm {
    /// Reads or creates `weight [size]` (γ, ones) and `bias [size]` (β, zeros). PyTorch's `eps`
    /// is `1e-5`.
    ///
    /// # Errors
    /// When a weight has another shape.
    pub fn new(size: usize, eps: f64, vb: VarBuilder) -> Result<Self> {
        let weight = vb.get_with_hints(size, "weight", Init::Const(1.))?;
        let bias = vb.get_with_hints(size, "bias", Init::Const(0.))?;
        Ok(Self { weight, bias, eps })
    }

    /// `xs [..., size]` to the same shape.
    ///
    /// # Errors
    /// When the last dimension of `xs` is not `size`.
    pub fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        self.apply(xs, false)
    }

    /// `relu(y)` of [`forward`](Self::forward)'s y, as one node.
    ///
    /// # Errors
    /// When the last dimension of `xs` is not `size`.
    pub fn forward_relu(&self, xs: &Tensor) -> Result<Tensor> {
        self.apply(xs, true)
    }

    fn apply(&self, xs: &Tensor, rectified: bool) -> Result<Tensor> {
        if xs.dim(D::Minus1)? != self.weight.elem_count() {
            bail!("input of shape {:?}, expected [..., {}]", xs.dims(), self.weight.elem_count());
        }
        match kernels::take(xs) {
            true => xs.contiguous()?.apply_op3(
                &self.weight.contiguous()?,
                &self.bias.contiguous()?,
                Node(Normalize { eps: self.eps, rectified }),
            ),
            false if rectified => self.reference(xs)?.relu(),
            false => self.reference(xs),
        }
    }

    /// [`forward`](Self::forward) in plain tensor operations: the truth for the tests, and for any device.
    ///
    /// # Errors
    /// When the last dimension of `xs` is not `size`.
    pub fn reference(&self, xs: &Tensor) -> Result<Tensor> {
        let centred = xs.broadcast_sub(&xs.mean_keepdim(D::Minus1)?)?;
        let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
        let deviation = variance.affine(1., self.eps)?.sqrt()?;
        centred.broadcast_div(&deviation)?.broadcast_mul(&self.weight)?.broadcast_add(&self.bias)
    }
}

/// Rows that one task takes: as many on any number of threads, for the sums of their gradients depend on it.
const BLOCK: usize = 256;

/// The normalisation as one node.
struct Normalize {
    eps: f64,
    /// Whether what is below 0 becomes 0.
    rectified: bool,
}

/// `x̂ = (x - E[x]) / √(Var[x] + ε)`; gives `1 / √(Var[x] + ε)`.
struct Standardize<'a, R> {
    eps: f64,
    xs: &'a [R],
    /// x̂, to be written.
    standard: &'a mut [R],
}

impl<R: Real> Kernel<R> for Standardize<'_, R> {
    type Output = R;

    #[inline(always)]
    fn run<L: Lanes<Real = R>>(self, l: L) -> R {
        let Self { eps, xs, standard } = self;
        let mut sum = l.splat(R::zero());
        for j in l.pieces(xs.len()) {
            sum = sum + l.load(&xs[j]);
        }
        let count = xs.len() as f64;
        let mean = l.splat(R::from_f64(total(l, sum).to_f64() / count));
        for j in l.pieces(xs.len()) {
            l.store(l.load(&xs[j.clone()]) - mean, &mut standard[j]);
        }
        let variance = dot(l, standard, standard).to_f64() / count;
        let inverse = R::from_f64(1. / (variance + eps).sqrt());
        let factor = l.splat(inverse);
        for j in l.pieces(xs.len()) {
            l.store(l.load(&standard[j.clone()]) * factor, &mut standard[j]);
        }
        inverse
    }
}

/// x̂ becomes `x̂ · γ + β`, or 0 where that is below, if it is rectified.
struct Scale<'a, R> {
    rectified: bool,
    weight: &'a [R],
    bias: &'a [R],
    xs: &'a mut [R],
}

impl<R: Real> Kernel<R> for Scale<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes<Real = R>>(self, l: L) {
        for j in l.pieces(self.xs.len()) {
            let (weight, bias) = (l.load(&self.weight[j.clone()]), l.load(&self.bias[j.clone()]));
            let y = l.load(&self.xs[j.clone()]).mul_add(weight, bias);
            l.store(if self.rectified { y.relu() } else { y }, &mut self.xs[j]);
        }
    }
}

/// With `δ = ∂L/∂y` (0 where y was made 0), `g = δ ⊙ γ` and σ the deviation:
///
/// ```text
/// ∂L/∂x = (g − E[g] − x̂ E[g ⊙ x̂]) / σ      ∂L/∂γ += δ ⊙ x̂      ∂L/∂β += δ
/// ```
struct NormalizeBack<'a, R> {
    rectified: bool,
    weight: &'a [R],
    bias: &'a [R],
    deltas: &'a [R],
    /// 1 / σ
    inverse: R,
    /// x̂, which becomes `∂L/∂x`.
    standard: &'a mut [R],
    d_weight: &'a mut [R],
    d_bias: &'a mut [R],
}

impl<R: Real> Kernel<R> for NormalizeBack<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes<Real = R>>(self, l: L) {
        let Self { rectified, weight, bias, deltas, inverse, standard, d_weight, d_bias } = self;
        let delta = |j: std::ops::Range<usize>, x: L::Vector, weight: L::Vector| {
            let delta = l.load(&deltas[j.clone()]);
            match rectified {
                true => delta.where_positive(x.mul_add(weight, l.load(&bias[j]))),
                false => delta,
            }
        };
        let (mut sum, mut along) = (l.splat(R::zero()), l.splat(R::zero()));
        for j in l.pieces(standard.len()) {
            let (x, weight) = (l.load(&standard[j.clone()]), l.load(&weight[j.clone()]));
            let delta = delta(j.clone(), x, weight);
            let g = delta * weight;
            sum = sum + g;
            along = g.mul_add(x, along);
            l.store(delta.mul_add(x, l.load(&d_weight[j.clone()])), &mut d_weight[j.clone()]);
            l.store(delta + l.load(&d_bias[j.clone()]), &mut d_bias[j]);
        }
        let count = standard.len() as f64;
        let mean = |sum| l.splat(R::from_f64(total(l, sum).to_f64() / count));
        let (mean_g, mean_along, inverse) = (mean(sum), mean(along), l.splat(inverse));
        for j in l.pieces(standard.len()) {
            let (x, weight) = (l.load(&standard[j.clone()]), l.load(&weight[j.clone()]));
            let dx = delta(j.clone(), x, weight) * weight - mean_g - x * mean_along;
            l.store(dx * inverse, &mut standard[j]);
        }
    }
}

impl Layer for Normalize {
    const NAME: &'static str = "layer norm";

    fn shape(&self, xs: &Shape, _: &Shape) -> Result<Shape> {
        Ok(xs.clone())
    }

    fn forward<R: Real>(&self, Inputs { xs, weight, bias }: Inputs<R>) -> Vec<R> {
        let size = weight.len();
        let mut ys = vec![R::zero(); xs.len()];
        let blocks = ys.par_chunks_mut(BLOCK * size).zip(xs.par_chunks(BLOCK * size));
        blocks.for_each(|(ys, xs)| {
            for (ys, xs) in ys.chunks_exact_mut(size).zip(xs.chunks_exact(size)) {
                R::dispatch(Standardize { eps: self.eps, xs, standard: ys });
                R::dispatch(Scale { rectified: self.rectified, weight, bias, xs: ys });
            }
        });
        ys
    }

    fn backward<R: Real>(
        &self,
        Inputs { xs, weight, bias }: Inputs<R>,
        _: &[R],
        deltas: &[R],
        _: [bool; 3],
    ) -> [Option<Vec<R>>; 3] {
        let (size, rectified) = (weight.len(), self.rectified);
        let mut dxs = vec![R::zero(); xs.len()];
        let blocks = dxs.par_chunks_mut(BLOCK * size).zip(xs.par_chunks(BLOCK * size));
        let of_blocks = blocks.zip(deltas.par_chunks(BLOCK * size)).map(|((dxs, xs), deltas)| {
            let (mut d_weight, mut d_bias) = (vec![R::zero(); size], vec![R::zero(); size]);
            let rows = dxs.chunks_exact_mut(size).zip(xs.chunks_exact(size));
            for ((standard, xs), deltas) in rows.zip(deltas.chunks_exact(size)) {
                let inverse = R::dispatch(Standardize { eps: self.eps, xs, standard });
                let (d_weight, d_bias) = (&mut d_weight, &mut d_bias);
                R::dispatch(NormalizeBack {
                    rectified,
                    weight,
                    bias,
                    deltas,
                    inverse,
                    standard,
                    d_weight,
                    d_bias,
                });
            }
            [d_weight, d_bias]
        });
        let mut sums = [vec![R::zero(); size], vec![R::zero(); size]];
        for of_block in of_blocks.collect::<Vec<_>>() {
            for (sum, of_block) in sums.iter_mut().zip(of_block) {
                sum.iter_mut().zip(of_block).for_each(|(sum, d)| *sum += d);
            }
        }
        let [d_weight, d_bias] = sums;
        [Some(dxs), Some(d_weight), Some(d_bias)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    /// A loss that depends on every output differently, so that no gradient vanishes by symmetry.
    fn loss(xs: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
        let norm = LayerNorm { weight: weight.clone(), bias: bias.clone(), eps: 1e-5 };
        let ys = norm.forward(xs)?;
        let factors = Tensor::new(&[[0.3, -1.2, 0.7], [2.0, 0.1, -0.4]], &Device::Cpu)?;
        ys.mul(&factors)?.add(&ys.sqr()?.mul(&factors.sin()?)?)?.sum_all()
    }

    #[test]
    fn outputs_have_mean_zero_and_variance_one() -> Result<()> {
        let parameters = crate::Parameters::new(1, candle_core::DType::F64, &Device::Cpu);
        let norm = LayerNorm::new(4, 0., parameters.builder())?;
        let ys = norm.forward(&Tensor::new(&[[1f64, 2., 3., 4.]], &Device::Cpu)?)?.get(0)?;
        let expected = [-3., -1., 1., 3.].map(|x: f64| x / 5f64.sqrt());
        for (y, e) in ys.to_vec1::<f64>()?.iter().zip(expected) {
            assert!((y - e).abs() < 1e-12);
        }
        assert!(norm.forward(&Tensor::zeros((2, 3), candle_core::DType::F64, &Device::Cpu)?).is_err());
        Ok(())
    }

    #[test]
    fn the_plain_form_agrees_in_value_and_gradient() -> Result<()> {
        let mut generator = crate::Generator::new(5);
        // More rows than a task takes, and no whole number of vectors in each.
        let mut random = |shape: &[usize]| {
            let numbers: Vec<f32> = (0..shape.iter().product()).map(|_| generator.normal() as f32).collect();
            Var::from_tensor(&Tensor::from_vec(numbers, shape, &Device::Cpu)?)
        };
        let (xs, factors) = (random(&[3, 100, 37])?, random(&[3, 100, 37])?);
        let (weight, bias) = (random(&[37])?, random(&[37])?);
        let norm =
            LayerNorm { weight: weight.as_tensor().clone(), bias: bias.as_tensor().clone(), eps: 1e-5 };
        let plain = (norm.forward(&xs)?, norm.reference(&xs)?);
        let rectified = (norm.forward_relu(&xs)?, norm.reference(&xs)?.relu()?);
        for (ours, truth) in [plain, rectified] {
            let difference = |a: &Tensor, b: &Tensor| (a - b)?.abs()?.max_all()?.to_scalar::<f32>();
            assert!(difference(&ours, &truth)? < 1e-5);
            let gradients = |ys: Tensor| ys.mul(&factors)?.sum_all()?.backward();
            let (ours, truth) = (gradients(ours)?, gradients(truth)?);
            for variable in [&xs, &weight, &bias] {
                let of = |store: &candle_core::backprop::GradStore| store.get(variable.as_tensor()).cloned();
                let (Some(ours), Some(truth)) = (of(&ours), of(&truth)) else {
                    panic!("a gradient is missing")
                };
                assert!(difference(&ours, &truth)? < 2e-4);
            }
        }
        Ok(())
    }

    #[test]
    fn gradients_agree_with_finite_differences() -> Result<()> {
        let xs = Var::new(&[[0.5, -1.5, 2.5], [1.0, 0.2, 0.3]], &Device::Cpu)?;
        let weight = Var::new(&[0.9, 1.3, -0.6], &Device::Cpu)?;
        let bias = Var::new(&[0.1, -0.2, 0.3], &Device::Cpu)?;
        let gradients = loss(&xs, &weight, &bias)?.backward()?;
        for var in [&xs, &weight, &bias] {
            let analytic =
                gradients.get(var).expect("the loss depends on it").flatten_all()?.to_vec1::<f64>()?;
            let values = var.flatten_all()?.to_vec1::<f64>()?;
            for (i, analytic) in analytic.into_iter().enumerate() {
                let at = |step: f64| -> Result<f64> {
                    let mut moved = values.clone();
                    moved[i] += step;
                    var.set(&Tensor::from_vec(moved, var.shape(), &Device::Cpu)?)?;
                    loss(&xs, &weight, &bias)?.to_scalar()
                };
                let numeric = (at(1e-5)? - at(-1e-5)?) / 2e-5;
                at(0.)?;
                assert!((analytic - numeric).abs() < 1e-6, "{analytic} against {numeric}");
            }
        }
        Ok(())
    }
}
