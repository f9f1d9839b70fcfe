//! Convolutions over pictures, `[batch, height, width, channels]`.
//!
//! Constraint: candle computes a convolution of groups as one convolution for each group, so that a
//! depthwise layer becomes hundreds of them, and its backward pass on the CPU is ten times as slow as
//! PyTorch's. Solution: a dense convolution is a product of matrices whose left side has a row of numbers
//! for each place that the kernel sees (`dense`); a depthwise one goes over the places with
//! all channels side by side. That wants the channels last, which is also what attention reads: a picture
//! of `height · width` places is a memory as soon as it is flat.
//!
//! Padding is TensorFlow's `same`: as many outputs as there are steps of the stride in the input, and
//! where the number of zeros is odd, the last one comes after. Weights have PyTorch's shapes, so that a
//! state_dict loads unchanged.
//!
//! On the CPU with f32 or f64 these are operations of our own; elsewhere they are candle's.

use candle_core::{Result, Shape, Tensor, bail};
use candle_nn::VarBuilder;

use crate::init::pytorch_uniform;
use crate::kernels::op::Node;
use crate::{Linear, MatmulPrecision, kernels};
use dense::Dense;
use depthwise::Depthwise;

mod clip;
mod dense;
mod depthwise;
mod pool;

pub use clip::clip;
pub use pool::max_pool;

/// How many outputs a convolution has along a side, and where its first kernel begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Side {
    outputs: usize,
    /// Zeros before the first input.
    before: usize,
    /// Zeros after the last.
    after: usize,
}

impl Side {
    fn same(inputs: usize, kernel: usize, stride: usize) -> Self {
        let outputs = inputs.div_ceil(stride);
        let padding = (outputs.saturating_sub(1) * stride + kernel).saturating_sub(inputs);
        Self { outputs, before: padding / 2, after: padding - padding / 2 }
    }

    /// The inputs that the kernel of an output sees: the first place of the kernel that is not on padding,
    /// and the range of inputs.
    fn seen(
        &self,
        output: usize,
        stride: usize,
        kernel: usize,
        inputs: usize,
    ) -> (usize, std::ops::Range<usize>) {
        let first = output * stride;
        let skipped = self.before.saturating_sub(first);
        let from = first + skipped - self.before;
        let to = (first + kernel - self.before).min(inputs);
        (skipped, from..to.max(from))
    }
}

/// What a kernel slides over and how.
#[derive(Clone, Copy, Debug)]
struct Sliding {
    batch: usize,
    height: usize,
    width: usize,
    channels: usize,
    kernel: usize,
    stride: usize,
    rows: Side,
    columns: Side,
}

impl Sliding {
    fn new(xs: &Tensor, kernel: usize, stride: usize) -> Result<Self> {
        let (batch, height, width, channels) = xs.dims4()?;
        if batch * height * width * channels == 0 {
            bail!("a convolution over a picture of shape {:?}", xs.dims());
        }
        let rows = Side::same(height, kernel, stride);
        let columns = Side::same(width, kernel, stride);
        Ok(Self { batch, height, width, channels, kernel, stride, rows, columns })
    }

    /// Whether some kernel sees a place that is not there.
    fn is_padded(&self) -> bool {
        [self.rows, self.columns].iter().any(|side| side.before + side.after > 0)
    }

    /// Numbers of one picture.
    fn picture(&self) -> usize {
        self.height * self.width * self.channels
    }

    /// Places of the outputs of a picture.
    fn places(&self) -> usize {
        self.rows.outputs * self.columns.outputs
    }

    /// The shape of the outputs.
    fn outputs(&self, channels: usize) -> Shape {
        (self.batch, self.rows.outputs, self.columns.outputs, channels).into()
    }

    /// `f`, candle's convolution, of padded pictures with the channels first, `[batch, channels, …]`.
    fn plain(&self, xs: &Tensor, f: impl FnOnce(&Tensor) -> Result<Tensor>) -> Result<Tensor> {
        let mut xs = xs.clone();
        for (dim, side) in [(1, self.rows), (2, self.columns)] {
            xs = xs.pad_with_zeros(dim, side.before, side.after)?;
            // What no kernel sees is cut off: candle's backward pass expects as much of it in both directions.
            xs = xs.narrow(dim, 0, (side.outputs - 1) * self.stride + self.kernel)?;
        }
        f(&xs.permute((0, 3, 1, 2))?.contiguous()?)?.permute((0, 2, 3, 1))?.contiguous()
    }
}

/// A convolution of all channels (`torch.nn.Conv2d` with padding as above).
#[derive(Clone, Debug)]
pub struct Convolution {
    /// `[out, in, kernel, kernel]`
    weight: Tensor,
    bias: Option<Tensor>,
    stride: usize,
    matmul: MatmulPrecision,
}

impl Convolution {
    /// Reads or creates `weight [out, in, kernel, kernel]` and, if wanted, `bias [out]`, uniform in
    /// `±1/√(in · kernel²)`.
    ///
    /// # Errors
    /// When a size is zero or a weight has another shape.
    pub fn new(
        input: usize,
        output: usize,
        kernel: usize,
        stride: usize,
        bias: bool,
        vb: VarBuilder,
    ) -> Result<Self> {
        let init = pytorch_uniform(input * kernel * kernel);
        let weight = vb.get_with_hints((output, input, kernel, kernel), "weight", init)?;
        let bias = if bias { Some(vb.get_with_hints(output, "bias", init)?) } else { None };
        Self::from_weight(weight, bias, stride)
    }

    /// A convolution whose weight `[out, in, kernel, kernel]` and bias `[out]` exist.
    ///
    /// # Errors
    /// When the kernel is not square or a size is zero.
    pub fn from_weight(weight: Tensor, bias: Option<Tensor>, stride: usize) -> Result<Self> {
        let (output, input, height, width) = weight.dims4()?;
        if height != width || output * input * height * stride == 0 {
            bail!("a convolution of weight {:?} and stride {stride}", weight.dims());
        }
        Ok(Self { weight, bias, stride, matmul: MatmulPrecision::Full })
    }

    /// The same with products of this precision, on the CPU.
    pub fn with_matmul(self, matmul: MatmulPrecision) -> Self {
        Self { matmul, ..self }
    }

    /// `xs [batch, height, width, in]` to `[batch, ⌈height / stride⌉, ⌈width / stride⌉, out]`.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        if !kernels::take(xs) {
            return self.reference(xs);
        }
        let (output, input, kernel, _) = self.weight.dims4()?;
        let sliding = self.sliding(xs)?;
        // A row of the weight in the order of a patch: the channels of a place side by side.
        let weight = match kernel {
            1 => self.weight.reshape((output, input))?,
            _ => self.weight.permute((0, 2, 3, 1))?.reshape((output, kernel * kernel * input))?,
        };
        let linear = Linear::from_weight(weight, self.bias.clone()).with_matmul(self.matmul);
        match (kernel, self.stride) {
            (1, 1) => linear.forward(xs),
            _ => linear.apply(&xs.contiguous()?, Node(Dense { sliding, matmul: self.matmul })),
        }
    }

    /// [`forward`](Self::forward) by candle's convolution: the truth for the tests, and for any device.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn reference(&self, xs: &Tensor) -> Result<Tensor> {
        let ys = self.sliding(xs)?.plain(xs, |xs| xs.conv2d(&self.weight, 0, self.stride, 1, 1))?;
        match &self.bias {
            Some(bias) => ys.broadcast_add(bias),
            None => Ok(ys),
        }
    }

    fn sliding(&self, xs: &Tensor) -> Result<Sliding> {
        let (_, input, kernel, _) = self.weight.dims4()?;
        match xs.dims() {
            [_, _, _, channels] if *channels == input => Sliding::new(xs, kernel, self.stride),
            other => bail!("a picture of shape {other:?}, expected [batch, height, width, {input}]"),
        }
    }
}

/// A convolution of each channel with a kernel of its own (`torch.nn.Conv2d` with as many groups as
/// channels).
#[derive(Clone, Debug)]
pub struct DepthwiseConvolution {
    /// `[channels, 1, kernel, kernel]`
    weight: Tensor,
    /// `[channels]`
    bias: Tensor,
    stride: usize,
}

impl DepthwiseConvolution {
    /// A convolution whose weight `[channels, 1, kernel, kernel]` and bias `[channels]` exist.
    ///
    /// # Errors
    /// When the shapes do not fit each other.
    pub fn from_weight(weight: Tensor, bias: Tensor, stride: usize) -> Result<Self> {
        let (channels, one, height, width) = weight.dims4()?;
        if one != 1 || height != width || bias.dims() != [channels] || channels * height * stride == 0 {
            bail!("a depthwise convolution of weight {:?} and bias {:?}", weight.dims(), bias.dims());
        }
        Ok(Self { weight, bias, stride })
    }

    /// `xs [batch, height, width, channels]` to `[batch, ⌈height / stride⌉, ⌈width / stride⌉, channels]`.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        if !kernels::take(xs) {
            return self.reference(xs);
        }
        let (channels, _, kernel, _) = self.weight.dims4()?;
        let sliding = self.sliding(xs)?;
        // The channels of a place of the kernel side by side.
        let weight = self.weight.reshape((channels, kernel * kernel))?.t()?.contiguous()?;
        xs.contiguous()?.apply_op3(&weight, &self.bias.contiguous()?, Node(Depthwise(sliding)))
    }

    /// [`forward`](Self::forward) by candle's convolution: the truth for the tests, and for any device.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn reference(&self, xs: &Tensor) -> Result<Tensor> {
        let groups = self.weight.dim(0)?;
        let ys = self.sliding(xs)?.plain(xs, |xs| xs.conv2d(&self.weight, 0, self.stride, 1, groups))?;
        ys.broadcast_add(&self.bias)
    }

    fn sliding(&self, xs: &Tensor) -> Result<Sliding> {
        let (channels, _, kernel, _) = self.weight.dims4()?;
        match xs.dims() {
            [_, _, _, found] if *found == channels => Sliding::new(xs, kernel, self.stride),
            other => bail!("a picture of shape {other:?}, expected [batch, height, width, {channels}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};
    use proptest::prelude::*;

    use super::*;
    use crate::Generator;

    fn random(shape: &[usize], generator: &mut Generator) -> Result<Var> {
        let numbers: Vec<f64> = (0..shape.iter().product()).map(|_| generator.normal()).collect();
        Var::from_tensor(&Tensor::from_vec(numbers, shape, &Device::Cpu)?)
    }

    fn largest_difference(a: &Tensor, b: &Tensor) -> Result<f64> {
        (a - b)?.abs()?.max_all()?.to_scalar::<f64>()
    }

    /// Outputs and the gradients of all variables agree.
    fn agree(ours: &Tensor, truth: &Tensor, variables: &[&Var], generator: &mut Generator) -> Result<()> {
        assert_eq!(ours.dims(), truth.dims());
        assert!(largest_difference(ours, truth)? < 1e-10);
        let factors = random(ours.dims(), generator)?;
        let gradients = |ys: &Tensor| (ys * factors.as_tensor())?.sum_all()?.backward();
        let (ours, truth) = (gradients(ours)?, gradients(truth)?);
        for variable in variables {
            let of = |store: &candle_core::backprop::GradStore| store.get(variable.as_tensor()).cloned();
            let (Some(ours), Some(truth)) = (of(&ours), of(&truth)) else { panic!("a gradient is missing") };
            assert!(largest_difference(&ours, &truth)? < 1e-9);
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn values_and_gradients_are_those_of_candle(
            batch in 1usize..4, height in 1usize..9, width in 1usize..9, input in 1usize..20,
            output in 1usize..6, kernel in 1usize..6, stride in 1usize..4, seed: u64,
        ) {
            let generator = &mut Generator::new(seed);
            let xs = random(&[batch, height, width, input], generator).unwrap();
            let weight = random(&[output, input, kernel, kernel], generator).unwrap();
            let bias = random(&[output], generator).unwrap();
            let dense = Convolution::from_weight(
                weight.as_tensor().clone(), Some(bias.as_tensor().clone()), stride).unwrap();
            let (ours, truth) = (dense.forward(&xs).unwrap(), dense.reference(&xs).unwrap());
            agree(&ours, &truth, &[&xs, &weight, &bias], generator).unwrap();

            let weight = random(&[input, 1, kernel, kernel], generator).unwrap();
            let bias = random(&[input], generator).unwrap();
            let depthwise = DepthwiseConvolution::from_weight(
                weight.as_tensor().clone(), bias.as_tensor().clone(), stride).unwrap();
            let (ours, truth) = (depthwise.forward(&xs).unwrap(), depthwise.reference(&xs).unwrap());
            agree(&ours, &truth, &[&xs, &weight, &bias], generator).unwrap();
        }
    }

    #[test]
    fn padding_is_tensorflows() {
        assert_eq!(Side::same(224, 3, 2), Side { outputs: 112, before: 0, after: 1 });
        assert_eq!(Side::same(7, 5, 1), Side { outputs: 7, before: 2, after: 2 });
        assert_eq!(Side::same(5, 3, 2), Side { outputs: 3, before: 1, after: 1 });
    }

    #[test]
    fn other_shapes_are_refused() -> Result<()> {
        let ones = |shape: &[usize]| Tensor::ones(shape, candle_core::DType::F32, &Device::Cpu);
        let dense = Convolution::from_weight(ones(&[4, 3, 3, 3])?, None, 1)?;
        assert!(dense.forward(&ones(&[1, 5, 5, 4])?).is_err());
        assert!(dense.forward(&ones(&[1, 0, 5, 3])?).is_err());
        assert!(Convolution::from_weight(ones(&[4, 3, 3, 2])?, None, 1).is_err());
        assert!(Convolution::from_weight(ones(&[4, 3, 3, 3])?, None, 0).is_err());
        assert!(DepthwiseConvolution::from_weight(ones(&[4, 3, 3, 3])?, ones(&[4])?, 1).is_err());
        Ok(())
    }
}
