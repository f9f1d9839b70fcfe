//! Batch normalisation as one node, and what it remembers for the time after training.

use candle_core::{D, DType, Result, Shape, Tensor, bail};
use candle_nn::{Init, VarBuilder};
use rayon::prelude::*;

use crate::Mode;
use crate::kernels::op::{Inputs, Layer, Node};
use crate::kernels::{self, Kernel, Lanes, Real, Vector, with_numbers};

/// `y = (x - E[x]) / √(Var[x] + ε) · γ + β` for each channel, the last dimension (Ioffe and Szegedy 2015,
/// arXiv:1502.03167; `torch.nn.BatchNorm2d` with the channels last).
///
/// In training, mean and (biased) variance are those of all places of all pictures of the batch; a running
/// mean of both is kept, and stands in their place afterwards, so that what comes out for a picture then
/// does not depend on those beside it.
///
/// [`LayerNorm`](crate::LayerNorm) over the channels of a place would depend on nothing beside it even in
/// training. For pictures it is no substitute: it makes the noise of an empty place as loud as an object.
#[derive(Clone, Debug)]
pub struct BatchNorm {
    weight: Tensor,
    bias: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    eps: f64,
}

/// Whether a weight of this name is what a [`BatchNorm`] remembers: it is saved with the others, and no gradient
/// reaches it.
pub fn is_remembered(name: &str) -> bool {
    name.ends_with("running_mean") || name.ends_with("running_var")
}

/// The part of a new batch in the running mean, PyTorch's `momentum`.
const MOMENTUM: f64 = 0.1;

impl BatchNorm {
    /// Reads or creates `weight [size]` (γ, ones), `bias [size]` (β, zeros), and what is remembered:
    /// `running_mean [size]` (zeros) and `running_var [size]` (ones), which have no gradient. PyTorch's `eps`
    /// is `1e-5`.
    ///
    /// # Errors
    /// When a weight has another shape.
    pub fn new(size: usize, eps: f64, vb: VarBuilder) -> Result<Self> {
        let get = |name, value| vb.get_with_hints(size, name, Init::Const(value));
        Ok(Self {
            weight: get("weight", 1.)?,
            bias: get("bias", 0.)?,
            running_mean: get("running_mean", 0.)?,
            running_var: get("running_var", 1.)?,
            eps,
        })
    }

    /// `xs [..., size]` to the same shape.
    ///
    /// # Errors
    /// When the last dimension of `xs` is not `size`, or there is nothing to normalise.
    pub fn forward(&self, xs: &Tensor, mode: &Mode) -> Result<Tensor> {
        self.apply(xs, mode, false)
    }

    /// `relu(y)` of [`forward`](Self::forward)'s y, as one node.
    ///
    /// # Errors
    /// Those of [`forward`](Self::forward).
    pub fn forward_relu(&self, xs: &Tensor, mode: &Mode) -> Result<Tensor> {
        self.apply(xs, mode, true)
    }

    fn apply(&self, xs: &Tensor, mode: &Mode, rectified: bool) -> Result<Tensor> {
        let size = self.weight.elem_count();
        if xs.dim(D::Minus1)? != size || xs.elem_count() == 0 {
            bail!("input of shape {:?}, expected [..., {size}] with at least one row", xs.dims());
        }
        if !kernels::take(xs) {
            let ys = self.reference(xs, mode)?;
            return if rectified { ys.relu() } else { Ok(ys) };
        }
        let xs = xs.contiguous()?;
        let of_batch = matches!(mode, Mode::Train(_));
        let (mean, variance) = match of_batch {
            true => {
                let [mean, variance] = match xs.dtype() {
                    DType::F32 => moments::<f32>(&xs, size)?,
                    _ => moments::<f64>(&xs, size)?,
                };
                let tensor = |numbers: &[f64]| Tensor::new(numbers, xs.device())?.to_dtype(xs.dtype());
                self.remember(&tensor(&mean)?, &tensor(&variance)?, xs.elem_count() / size)?;
                (mean, variance)
            }
            false => {
                let numbers = |tensor: &Tensor| tensor.to_dtype(DType::F64)?.to_vec1::<f64>();
                (numbers(&self.running_mean)?, numbers(&self.running_var)?)
            }
        };
        let inverse = variance.iter().map(|variance| 1. / (variance + self.eps).sqrt()).collect();
        let normalize = Node(Normalize { mean, inverse, of_batch, rectified });
        xs.apply_op3(&self.weight.contiguous()?, &self.bias.contiguous()?, normalize)
    }

    /// [`forward`](Self::forward) in plain tensor operations: the truth for the tests, and for any device.
    ///
    /// # Errors
    /// Those of [`forward`](Self::forward).
    pub fn reference(&self, xs: &Tensor, mode: &Mode) -> Result<Tensor> {
        let size = self.weight.elem_count();
        let rows = xs.reshape(((), size))?;
        let (centred, variance) = match mode {
            Mode::Train(_) => {
                let mean = rows.mean(0)?;
                let centred = rows.broadcast_sub(&mean)?;
                let variance = centred.sqr()?.mean(0)?;
                self.remember(&mean.detach(), &variance.detach(), rows.dim(0)?)?;
                (centred, variance)
            }
            Mode::Eval => (rows.broadcast_sub(&self.running_mean)?, self.running_var.clone()),
        };
        let scaled = centred.broadcast_div(&variance.affine(1., self.eps)?.sqrt()?)?;
        scaled.broadcast_mul(&self.weight)?.broadcast_add(&self.bias)?.reshape(xs.shape())
    }

    /// Moves the running mean and variance towards those of a batch of so many rows.
    fn remember(&self, mean: &Tensor, variance: &Tensor, rows: usize) -> Result<()> {
        let unbiased = (variance * (rows as f64 / (rows.max(2) - 1) as f64))?;
        for (running, new) in [(&self.running_mean, mean), (&self.running_var, &unbiased)] {
            let moved = (running.affine(1. - MOMENTUM, 0.)? + (new * MOMENTUM)?)?.detach();
            running.slice_set(&moved, 0, 0)?;
        }
        Ok(())
    }
}

/// Rows that one task takes: as many on any number of threads, for the sums depend on it.
const BLOCK: usize = 256;

/// Mean and biased variance of each channel.
fn moments<R: Real>(xs: &Tensor, size: usize) -> Result<[Vec<f64>; 2]> {
    with_numbers(xs, |xs: &[R]| {
        let rows = (xs.len() / size) as f64;
        let mean_of = |centre: &[R], squared: bool| -> Vec<f64> {
            let of_blocks = xs.par_chunks(BLOCK * size).map(|xs| {
                let mut sums = vec![R::zero(); size];
                R::dispatch(Moment { centre, squared, xs, sums: &mut sums });
                sums
            });
            let mut mean = vec![0.; size];
            for of_block in of_blocks.collect::<Vec<_>>() {
                mean.iter_mut().zip(of_block).for_each(|(mean, sum)| *mean += sum.to_f64() / rows);
            }
            mean
        };
        let mean = mean_of(&vec![R::zero(); size], false);
        let centre: Vec<R> = mean.iter().map(|&mean| R::from_f64(mean)).collect();
        let variance = mean_of(&centre, true);
        [mean, variance]
    })
}

/// Adds `x - centre` of each row, or its square, to `sums`.
struct Moment<'a, R> {
    centre: &'a [R],
    squared: bool,
    xs: &'a [R],
    sums: &'a mut [R],
}

impl<R: Real> Kernel<R> for Moment<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes<Real = R>>(self, l: L) {
        let Self { centre, squared, xs, sums } = self;
        for c in l.pieces(sums.len()) {
            let middle = l.load(&centre[c.clone()]);
            let mut sum = l.splat(R::zero());
            for xs in xs.chunks_exact(centre.len()) {
                let x = l.load(&xs[c.clone()]) - middle;
                sum = if squared { x.mul_add(x, sum) } else { sum + x };
            }
            l.store(sum, &mut sums[c]);
        }
    }
}

/// The normalisation as one node.
struct Normalize {
    mean: Vec<f64>,
    /// `1 / √(Var[x] + ε)`
    inverse: Vec<f64>,
    /// Whether both are those of the batch, and so have a gradient themselves.
    of_batch: bool,
    /// Whether what is below 0 becomes 0.
    rectified: bool,
}

/// `y = x · factor + summand`, or 0 where that is below, if it is rectified.
struct Scale<'a, R> {
    rectified: bool,
    factor: &'a [R],
    summand: &'a [R],
    xs: &'a [R],
    /// To be written.
    ys: &'a mut [R],
}

impl<R: Real> Kernel<R> for Scale<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes<Real = R>>(self, l: L) {
        let Self { rectified, factor, summand, xs, ys } = self;
        let size = factor.len();
        for (xs, ys) in xs.chunks_exact(size).zip(ys.chunks_exact_mut(size)) {
            for c in l.pieces(size) {
                let y =
                    l.load(&xs[c.clone()]).mul_add(l.load(&factor[c.clone()]), l.load(&summand[c.clone()]));
                l.store(if rectified { y.relu() } else { y }, &mut ys[c]);
            }
        }
    }
}

/// δ: what is given, or 0 where y was made 0.
#[inline(always)]
fn delta<L: Lanes>(l: L, rectified: bool, ys: &[L::Real], deltas: &[L::Real]) -> L::Vector {
    let delta = l.load(deltas);
    if rectified { delta.where_positive(l.load(ys)) } else { delta }
}

/// `∂L/∂β = Σ δ` and `∂L/∂γ = Σ δ x̂` with `δ = ∂L/∂y`, 0 where y was made 0.
struct SumsBack<'a, R> {
    rectified: bool,
    mean: &'a [R],
    inverse: &'a [R],
    xs: &'a [R],
    ys: &'a [R],
    deltas: &'a [R],
    d_weight: &'a mut [R],
    d_bias: &'a mut [R],
}

impl<R: Real> Kernel<R> for SumsBack<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes<Real = R>>(self, l: L) {
        let Self { rectified, mean, inverse, xs, ys, deltas, d_weight, d_bias } = self;
        let size = mean.len();
        for c in l.pieces(size) {
            let (mean, inverse) = (l.load(&mean[c.clone()]), l.load(&inverse[c.clone()]));
            let (mut sum, mut along) = (l.splat(R::zero()), l.splat(R::zero()));
            for at in (0..xs.len()).step_by(size) {
                let c = at + c.start..at + c.end;
                let delta = delta(l, rectified, &ys[c.clone()], &deltas[c.clone()]);
                sum = sum + delta;
                along = delta.mul_add((l.load(&xs[c]) - mean) * inverse, along);
            }
            l.store(along, &mut d_weight[c.clone()]);
            l.store(sum, &mut d_bias[c]);
        }
    }
}

/// `∂L/∂x = factor · δ + slope · x + summand`, into which all else has been put.
struct InputBack<'a, R> {
    rectified: bool,
    factor: &'a [R],
    slope: &'a [R],
    summand: &'a [R],
    xs: &'a [R],
    ys: &'a [R],
    deltas: &'a [R],
    /// To be written.
    dxs: &'a mut [R],
}

impl<R: Real> Kernel<R> for InputBack<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes<Real = R>>(self, l: L) {
        let Self { rectified, factor, slope, summand, xs, ys, deltas, dxs } = self;
        let size = factor.len();
        for at in (0..xs.len()).step_by(size) {
            for c in l.pieces(size) {
                let here = at + c.start..at + c.end;
                let delta = delta(l, rectified, &ys[here.clone()], &deltas[here.clone()]);
                let rest =
                    l.load(&xs[here.clone()]).mul_add(l.load(&slope[c.clone()]), l.load(&summand[c.clone()]));
                l.store(delta.mul_add(l.load(&factor[c.clone()]), rest), &mut dxs[here]);
            }
        }
    }
}

fn reals<R: Real>(numbers: impl IntoIterator<Item = f64>) -> Vec<R> {
    numbers.into_iter().map(R::from_f64).collect()
}

impl Layer for Normalize {
    const NAME: &'static str = "batch norm";

    fn shape(&self, xs: &Shape, _: &Shape) -> Result<Shape> {
        Ok(xs.clone())
    }

    fn forward<R: Real>(&self, Inputs { xs, weight, bias }: Inputs<R>) -> Vec<R> {
        let size = weight.len();
        let factors: Vec<f64> =
            weight.iter().zip(&self.inverse).map(|(w, inverse)| w.to_f64() * inverse).collect();
        let shifts = self.mean.iter().zip(&factors).map(|(mean, factor)| mean * factor);
        let summand: Vec<R> = reals(bias.iter().zip(shifts).map(|(b, shift)| b.to_f64() - shift));
        let factor: Vec<R> = reals(factors);
        let mut ys = vec![R::zero(); xs.len()];
        let blocks = ys.par_chunks_mut(BLOCK * size).zip(xs.par_chunks(BLOCK * size));
        blocks.for_each(|(ys, xs)| {
            R::dispatch(Scale { rectified: self.rectified, factor: &factor, summand: &summand, xs, ys });
        });
        ys
    }

    /// With N rows and `f = γ / σ`:
    ///
    /// ```text
    /// ∂L/∂x = f (δ − E[δ] − x̂ E[δ x̂])        or f δ, where mean and variance are not the batch's
    /// ```
    fn backward<R: Real>(
        &self,
        Inputs { xs, weight, .. }: Inputs<R>,
        ys: &[R],
        deltas: &[R],
        _: [bool; 3],
    ) -> [Option<Vec<R>>; 3] {
        let (size, rectified) = (weight.len(), self.rectified);
        let (mean, inverse) =
            (reals::<R>(self.mean.iter().copied()), reals::<R>(self.inverse.iter().copied()));
        let blocks = xs.par_chunks(BLOCK * size).zip(ys.par_chunks(BLOCK * size));
        let of_blocks = blocks.zip(deltas.par_chunks(BLOCK * size)).map(|((xs, ys), deltas)| {
            let mut sums = vec![R::zero(); 2 * size];
            let (d_weight, d_bias) = sums.split_at_mut(size);
            let (mean, inverse) = (&mean, &inverse);
            R::dispatch(SumsBack { rectified, mean, inverse, xs, ys, deltas, d_weight, d_bias });
            sums
        });
        let mut sums = vec![0.; 2 * size];
        for of_block in of_blocks.collect::<Vec<_>>() {
            sums.iter_mut().zip(of_block).for_each(|(sum, d)| *sum += d.to_f64());
        }
        let (d_weight, d_bias) = sums.split_at(size);
        let rows = (xs.len() / size) as f64;
        let [mut factor, mut slope, mut summand] = [(); 3].map(|()| vec![R::zero(); size]);
        for c in 0..size {
            let (mean, inverse) = (self.mean[c], self.inverse[c]);
            let f = weight[c].to_f64() * inverse;
            factor[c] = R::from_f64(f);
            if self.of_batch {
                // −f x̂ E[δ x̂], of which x̂ = (x − E[x]) / σ.
                let along = -f * inverse * d_weight[c] / rows;
                slope[c] = R::from_f64(along);
                summand[c] = R::from_f64(-f * d_bias[c] / rows - along * mean);
            }
        }
        let mut dxs = vec![R::zero(); xs.len()];
        let blocks = dxs.par_chunks_mut(BLOCK * size).zip(xs.par_chunks(BLOCK * size));
        let blocks = blocks.zip(ys.par_chunks(BLOCK * size)).zip(deltas.par_chunks(BLOCK * size));
        blocks.for_each(|(((dxs, xs), ys), deltas)| {
            let (factor, slope, summand) = (&factor, &slope, &summand);
            R::dispatch(InputBack { rectified, factor, slope, summand, xs, ys, deltas, dxs });
        });
        [Some(dxs), Some(reals(d_weight.iter().copied())), Some(reals(d_bias.iter().copied()))]
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;
    use crate::{Generator, Parameters};

    fn random(shape: &[usize], generator: &mut Generator) -> Result<Tensor> {
        let numbers: Vec<f64> = (0..shape.iter().product()).map(|_| 3. + 2. * generator.normal()).collect();
        Tensor::from_vec(numbers, shape, &Device::Cpu)
    }

    fn difference(a: &Tensor, b: &Tensor) -> Result<f64> {
        (a - b)?.abs()?.max_all()?.to_scalar()
    }

    #[test]
    fn the_plain_form_agrees_in_value_in_gradient_and_in_what_is_remembered() -> Result<()> {
        let mut generator = Generator::new(5);
        // More rows than a task takes, and no whole number of vectors in each.
        let xs = Var::from_tensor(&random(&[3, 10, 10, 37], &mut generator)?)?;
        let factors = random(&[3, 10, 10, 37], &mut generator)?;
        let norms = [1, 2].map(|seed| {
            let parameters = Parameters::new(seed, DType::F64, &Device::Cpu);
            (BatchNorm::new(37, 1e-5, parameters.builder()), parameters)
        });
        let [(ours, one), (truth, other)] = norms;
        let (ours, truth) = (ours?, truth?);
        for parameters in [&one, &other] {
            let mut generator = Generator::new(9);
            for (_, variable) in parameters.named() {
                variable.set(&random(&[37], &mut generator)?)?;
            }
        }
        let drawn = &mut Generator::new(0);
        for mode in [Mode::Train(drawn), Mode::Eval] {
            for rectified in [false, true] {
                let (y, expected) = match rectified {
                    true => (ours.forward_relu(&xs, &mode)?, truth.reference(&xs, &mode)?.relu()?),
                    false => (ours.forward(&xs, &mode)?, truth.reference(&xs, &mode)?),
                };
                assert!(difference(&y, &expected)? < 1e-9);
                assert!(difference(&ours.running_mean, &truth.running_mean)? < 1e-9);
                assert!(difference(&ours.running_var, &truth.running_var)? < 1e-9);
                let loss = |ys: Tensor| ys.sqr()?.mul(&factors)?.sum_all()?.backward();
                let (y, expected) = (loss(y)?, loss(expected)?);
                for (mine, theirs) in [
                    (xs.as_tensor(), xs.as_tensor()),
                    (&ours.weight, &truth.weight),
                    (&ours.bias, &truth.bias),
                ] {
                    let (Some(mine), Some(theirs)) = (y.get(mine), expected.get(theirs)) else {
                        panic!("a gradient is missing")
                    };
                    assert!(difference(mine, theirs)? < 1e-7);
                }
            }
        }
        Ok(())
    }

    #[test]
    fn after_training_a_row_does_not_depend_on_those_beside_it() -> Result<()> {
        let generator = &mut Generator::new(3);
        let parameters = Parameters::new(1, DType::F32, &Device::Cpu);
        let norm = BatchNorm::new(5, 1e-5, parameters.builder())?;
        let xs = random(&[64, 5], generator)?.to_dtype(DType::F32)?;
        for _ in 0..200 {
            norm.forward(&xs, &Mode::Train(&mut Generator::new(0)))?;
        }
        let together = norm.forward(&xs, &Mode::Eval)?;
        let alone = norm.forward(&xs.narrow(0, 7, 1)?, &Mode::Eval)?;
        assert_eq!(together.narrow(0, 7, 1)?.to_vec2::<f32>()?, alone.to_vec2::<f32>()?);
        // What is remembered has come to be what was seen.
        let means = together.mean(0)?.abs()?.max_all()?.to_scalar::<f32>()?;
        assert!(means < 1e-3, "{means}");
        assert!(norm.forward(&xs.narrow(1, 0, 4)?, &Mode::Eval).is_err());
        Ok(())
    }
}
