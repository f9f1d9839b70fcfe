//! A dense layer on the last dimension.

use candle_core::{CustomOp3, D, Result, Shape, Tensor, bail};
use candle_nn::VarBuilder;

use crate::MatmulPrecision;
use crate::init::pytorch_uniform;
use crate::kernels::op::{Inputs, Layer, Node};
use crate::kernels::{self, Packed, Real, Rows, affine, sum_of_rows, transposed_product};

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
    matmul: MatmulPrecision,
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
        Ok(Self::from_weight(weight, bias))
    }

    /// A layer from a weight `[out, in]` and a bias `[out]` that exist: an embedding's weight
    /// gives tied input and output embeddings.
    pub fn from_weight(weight: Tensor, bias: Option<Tensor>) -> Self {
        Self { weight, bias, matmul: MatmulPrecision::Full }
    }

    /// The same layer with products of this precision, on the CPU.
    pub fn with_matmul(self, matmul: MatmulPrecision) -> Self {
        Self { matmul, ..self }
    }

    /// How exactly the factors of its products are held.
    pub fn matmul(&self) -> MatmulPrecision {
        self.matmul
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
        if flat.dim(0)? >= WORTH_PACKING && kernels::take(&flat) {
            return self
                .apply(&flat.contiguous()?, Node(Affine { input, matmul: self.matmul }))?
                .reshape(shape);
        }
        let ys = flat.matmul(&self.weight.t()?)?;
        let ys = match &self.bias {
            Some(bias) => ys.broadcast_add(bias)?,
            None => ys,
        };
        ys.reshape(shape)
    }

    /// An operation on `xs`, the weight and the bias, which is zero if there is none.
    pub(crate) fn apply(&self, xs: &Tensor, op: impl CustomOp3 + Send + Sync + 'static) -> Result<Tensor> {
        let bias = match &self.bias {
            Some(bias) => bias.contiguous()?,
            None => Tensor::zeros(self.weight.dim(0)?, xs.dtype(), xs.device())?,
        };
        xs.apply_op3(&self.weight.contiguous()?, &bias, op)
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

/// Rows from which on the weight is worth packing for the product.
const WORTH_PACKING: usize = 16;

/// `x Wᵀ + b` as one node: `x [rows, in]`, `W [out, in]`, `b [out]`.
struct Affine {
    input: usize,
    matmul: MatmulPrecision,
}

impl Layer for Affine {
    const NAME: &'static str = "affine";

    fn shape(&self, xs: &Shape, bias: &Shape) -> Result<Shape> {
        Ok((xs.dims2()?.0, bias.elem_count()).into())
    }

    fn forward<R: Real>(&self, Inputs { xs, weight, bias }: Inputs<R>) -> Vec<R> {
        let mut ys = vec![R::zero(); xs.len() / self.input * bias.len()];
        let weight = Packed::columns(Rows::new(weight, self.input), self.matmul);
        affine(&mut ys, Rows::new(xs, self.input), &weight, Some(bias));
        ys
    }

    /// `∂L/∂x = δ W`, `∂L/∂W = δᵀ x` and `∂L/∂b = Σ δ`.
    fn backward<R: Real>(
        &self,
        Inputs { xs, weight, bias }: Inputs<R>,
        _: &[R],
        deltas: &[R],
        [x, w, b]: [bool; 3],
    ) -> [Option<Vec<R>>; 3] {
        let packed = |numbers| Packed::rows(Rows::new(numbers, self.input), self.matmul);
        let deltas = Rows::new(deltas, bias.len());
        let dxs = x.then(|| {
            let mut dxs = vec![R::zero(); xs.len()];
            affine(&mut dxs, deltas, &packed(weight), None);
            dxs
        });
        let d_weight = w.then(|| transposed_product(deltas, &packed(xs)));
        let d_bias = b.then(|| sum_of_rows(deltas));
        [dxs, d_weight, d_bias]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Generator;
    use crate::Parameters;
    use candle_core::{DType, Device, Var};

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
    fn many_rows_and_few_rows_agree_in_value_and_gradient() -> Result<()> {
        let mut generator = Generator::new(3);
        let mut random = |shape: (usize, usize)| {
            let numbers: Vec<f64> = (0..shape.0 * shape.1).map(|_| generator.normal()).collect();
            Var::from_tensor(&Tensor::from_vec(numbers, shape, &Device::Cpu)?)
        };
        let (xs, weight, factors) = (random((40, 5))?, random((7, 5))?, random((40, 7))?);
        let bias = Var::from_tensor(&random((1, 7))?.get(0)?)?;
        for bias in [None, Some(bias.as_tensor().clone())] {
            let linear = Linear::from_weight(weight.as_tensor().clone(), bias.clone());
            let together = linear.forward(&xs)?;
            let pieces = (0..4).map(|i| linear.forward(&xs.narrow(0, 10 * i, 10)?));
            let pieces = Tensor::cat(&pieces.collect::<Result<Vec<_>>>()?, 0)?;
            let difference = |a: &Tensor, b: &Tensor| (a - b)?.abs()?.max_all()?.to_scalar::<f64>();
            assert!(difference(&together, &pieces)? < 1e-12);
            let gradients = |ys: Tensor| (ys * factors.as_tensor())?.sum_all()?.backward();
            let (ours, truth) = (gradients(together)?, gradients(pieces)?);
            for variable in [Some(xs.as_tensor().clone()), Some(weight.as_tensor().clone()), bias] {
                let Some(variable) = variable else { continue };
                let of = |store: &candle_core::backprop::GradStore| store.get(&variable).cloned();
                let (Some(ours), Some(truth)) = (of(&ours), of(&truth)) else { panic!("no gradient") };
                assert!(difference(&ours, &truth)? < 1e-12);
            }
        }
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
