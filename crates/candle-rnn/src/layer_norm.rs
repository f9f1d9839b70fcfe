//! Layer normalisation with a gradient: candle-nn's fused one has none.

use candle_core::{D, Result, Tensor};
use candle_nn::{Init, VarBuilder};

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
        let centred = xs.broadcast_sub(&xs.mean_keepdim(D::Minus1)?)?;
        let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
        let deviation = variance.affine(1., self.eps)?.sqrt()?;
        centred.broadcast_div(&deviation)?.broadcast_mul(&self.weight)?.broadcast_add(&self.bias)
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
