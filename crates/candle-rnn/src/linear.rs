//! A dense layer on the last dimension.

use candle_core::{D, Result, Tensor, bail};
use candle_nn::VarBuilder;

use crate::init::pytorch_uniform;

/// `y = x Wᵀ + b`, as `torch.nn.Linear`: weight `[out, in]`, bias `[out]`.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use candle_rnn::{Linear, Parameters};
/// # fn main() -> candle_core::Result<()> {
/// let parameters = Parameters::new(1, DType::F32, &Device::Cpu);
/// let head = Linear::new(8, 3, true, parameters.builder())?;
/// let xs = Tensor::ones((2, 5, 8), DType::F32, &Device::Cpu)?;
/// assert_eq!(head.forward(&xs)?.dims(), [2, 5, 3]);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Linear {
    /// Reads or creates `weight [output, input]` and, if asked for, `bias [output]`; new ones are
    /// uniform in `±1/√input`, PyTorch's default.
    ///
    /// # Errors
    /// When a weight has another shape.
    pub fn new(input: usize, output: usize, bias: bool, vb: VarBuilder) -> Result<Self> {
        let init = pytorch_uniform(input);
        let weight = vb.get_with_hints((output, input), "weight", init)?;
        let bias = if bias { Some(vb.get_with_hints(output, "bias", init)?) } else { None };
        Ok(Self { weight, bias })
    }

    /// A layer from a weight `[out, in]` and a bias `[out]` that exist: an embedding's weight
    /// gives tied input and output embeddings.
    pub fn from_weight(weight: Tensor, bias: Option<Tensor>) -> Self {
        Self { weight, bias }
    }

    /// `xs [..., in]` to `[..., out]`, by one matrix product over all leading dimensions.
    ///
    /// # Errors
    /// When the last dimension of `xs` is not the layer's input size.
    pub fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        let (output, input) = self.weight.dims2()?;
        let mut shape = xs.dims().to_vec();
        match shape.last_mut() {
            Some(last) if *last == input => *last = output,
            _ => bail!("input of shape {:?}, expected [..., {input}]", xs.dims()),
        }
        let flat = xs.reshape((xs.elem_count() / input.max(1), input))?;
        let ys = flat.matmul(&self.weight.t()?)?;
        let ys = match &self.bias {
            Some(bias) => ys.broadcast_add(bias)?,
            None => ys,
        };
        ys.reshape(shape)
    }

    /// `[out, in]`.
    pub fn weight(&self) -> &Tensor {
        &self.weight
    }

    /// `[out]`, where there is one.
    pub fn bias(&self) -> Option<&Tensor> {
        self.bias.as_ref()
    }

    /// Number of features it gives.
    pub fn output_size(&self) -> Result<usize> {
        self.weight.dim(D::Minus2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Parameters;
    use candle_core::{DType, Device};

    #[test]
    fn it_multiplies_by_the_transposed_weight_and_adds_the_bias() -> Result<()> {
        let weight = Tensor::new(&[[1f32, 2.], [3., 4.], [5., 6.]], &Device::Cpu)?;
        let bias = Tensor::new(&[0.5f32, 0., -1.], &Device::Cpu)?;
        let linear = Linear::from_weight(weight, Some(bias));
        let xs = Tensor::new(&[[[1f32, 0.], [0., 1.]]], &Device::Cpu)?;
        assert_eq!(linear.forward(&xs)?.to_vec3::<f32>()?, [[[1.5, 3., 4.], [2.5, 4., 5.]]]);
        assert_eq!(linear.forward(&xs.get(0)?.get(1)?)?.to_vec1::<f32>()?, [2.5, 4., 5.]);
        assert!(linear.forward(&xs.transpose(0, 1)?.reshape((2, 1, 2))?).is_ok());
        assert!(linear.forward(&Tensor::zeros((2, 3), DType::F32, &Device::Cpu)?).is_err());
        Ok(())
    }

    #[test]
    fn new_weights_stay_within_pytorchs_bound() -> Result<()> {
        let parameters = Parameters::new(1, DType::F32, &Device::Cpu);
        let linear = Linear::new(16, 200, true, parameters.builder())?;
        let largest = linear.weight().abs()?.max_all()?.to_scalar::<f32>()?;
        assert!(largest <= 0.25 && largest > 0.24, "1/√16 = 0.25, got {largest}");
        Ok(())
    }
}
