//! Operations of an input, a weight and a bias as nodes of the autograd graph.

use candle_core::{CpuStorage, CustomOp3, DType, Layout, Result, Shape, Tensor};

use super::{Real, numbers, with_numbers};

/// An operation on the numbers of three tensors, in f32 or f64, and its gradients. Every layer that has a
/// weight and a bias is one.
pub trait Layer: Send + Sync + 'static {
    /// What it is called in errors.
    const NAME: &'static str;

    /// The shape of the outputs.
    ///
    /// # Errors
    /// When the shape of the inputs does not fit.
    fn shape(&self, xs: &Shape, bias: &Shape) -> Result<Shape>;

    /// The outputs.
    fn forward<R: Real>(&self, inputs: Inputs<R>) -> Vec<R>;

    /// The gradients by the inputs, the weight and the bias, of which those that are not wanted may be left
    /// out: with `ys` the outputs, and `deltas` the gradient by these.
    fn backward<R: Real>(
        &self,
        inputs: Inputs<R>,
        ys: &[R],
        deltas: &[R],
        wanted: [bool; 3],
    ) -> [Option<Vec<R>>; 3];
}

/// The numbers of the three tensors.
#[derive(Clone, Copy)]
pub struct Inputs<'a, R> {
    pub xs: &'a [R],
    pub weight: &'a [R],
    pub bias: &'a [R],
}

impl<'a, R: Real> Inputs<'a, R> {
    /// Those of x, the weight and the bias.
    ///
    /// # Errors
    /// When one is of another type or not contiguous.
    pub fn of([(xs, lx), (weight, lw), (bias, lb)]: [(&'a CpuStorage, &Layout); 3]) -> Result<Self> {
        Ok(Self { xs: numbers(xs, lx)?, weight: numbers(weight, lw)?, bias: numbers(bias, lb)? })
    }
}

/// `f` of the numbers of x, the weight and the bias.
///
/// # Errors
/// When one is of another type, not contiguous or not on the CPU.
pub fn with_inputs<R: Real, T>(
    [xs, weight, bias]: [&Tensor; 3],
    f: impl FnOnce(Inputs<R>) -> T,
) -> Result<T> {
    with_numbers(xs, |xs| {
        with_numbers(weight, |weight| with_numbers(bias, |bias| f(Inputs { xs, weight, bias })))
    })??
}

/// A [`Layer`] as candle takes it.
pub struct Node<O>(pub O);

impl<O: Layer> Node<O> {
    fn outputs<R: Real>(&self, inputs: [(&CpuStorage, &Layout); 3]) -> Result<CpuStorage> {
        Ok(R::to_cpu_storage_owned(self.0.forward(Inputs::of(inputs)?)))
    }

    fn gradients<R: Real>(
        &self,
        inputs: [&Tensor; 3],
        ys: &Tensor,
        deltas: &Tensor,
    ) -> Result<[Option<Tensor>; 3]> {
        let wanted = inputs.map(Tensor::track_op);
        let numbers = with_inputs(inputs, |inputs: Inputs<R>| {
            with_numbers(ys, |ys| with_numbers(deltas, |deltas| self.0.backward(inputs, ys, deltas, wanted)))
        })???;
        let mut gradients = [None, None, None];
        for ((gradient, numbers), like) in gradients.iter_mut().zip(numbers).zip(inputs) {
            *gradient =
                numbers.map(|numbers| Tensor::from_vec(numbers, like.shape(), like.device())).transpose()?;
        }
        Ok(gradients)
    }
}

impl<O: Layer> CustomOp3 for Node<O> {
    fn name(&self) -> &'static str {
        O::NAME
    }

    fn cpu_fwd(
        &self,
        xs: &CpuStorage,
        lx: &Layout,
        weight: &CpuStorage,
        lw: &Layout,
        bias: &CpuStorage,
        lb: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let inputs = [(xs, lx), (weight, lw), (bias, lb)];
        let ys = match xs {
            CpuStorage::F32(_) => self.outputs::<f32>(inputs)?,
            _ => self.outputs::<f64>(inputs)?,
        };
        Ok((ys, self.0.shape(lx.shape(), lb.shape())?))
    }

    fn bwd(
        &self,
        xs: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        ys: &Tensor,
        deltas: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let inputs = [xs, weight, bias];
        let [dxs, d_weight, d_bias] = match xs.dtype() {
            DType::F32 => self.gradients::<f32>(inputs, ys, deltas)?,
            _ => self.gradients::<f64>(inputs, ys, deltas)?,
        };
        Ok((dxs, d_weight, d_bias))
    }
}
