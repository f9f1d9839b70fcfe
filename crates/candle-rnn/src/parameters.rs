//! Named trainable variables, initialised from a seed.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candle_core::{DType, Device, Result, Shape, Tensor, Var, bail};
use candle_nn::init::{Init, NormalOrUniform};
use candle_nn::var_builder::{SimpleBackend, VarBuilder};

use crate::Generator;
use crate::batch_norm::is_remembered;

/// The trainable variables of a model, by name.
///
/// The [`VarBuilder`] of [`Parameters::builder`] creates a variable when a layer asks for it and
/// returns the same variable when it is asked for again. Each variable's first values come from
/// its own random stream, given by the seed and the variable's name: they do not depend on the
/// order in which layers are built, and adding a layer changes no other. A clone shares the
/// variables.
///
/// ```
/// use candle_core::{DType, Device};
/// use candle_rnn::{Linear, Parameters};
/// # fn main() -> candle_core::Result<()> {
/// let parameters = Parameters::new(42, DType::F32, &Device::Cpu);
/// Linear::new(3, 2, true, parameters.builder().pp("head"))?;
/// let names: Vec<_> = parameters.named().into_iter().map(|(name, _)| name).collect();
/// assert_eq!(names, ["head.bias", "head.weight"]);
/// assert_eq!(parameters.count(), 3 * 2 + 2);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Parameters {
    seed: u64,
    dtype: DType,
    device: Device,
    variables: Arc<Mutex<BTreeMap<String, Var>>>,
}

impl Parameters {
    /// No variables yet; those to come will be of `dtype`, on `device`, drawn from `seed`.
    pub fn new(seed: u64, dtype: DType, device: &Device) -> Self {
        Self { seed, dtype, device: device.clone(), variables: Arc::default() }
    }

    /// What layers take their weights from.
    pub fn builder(&self) -> VarBuilder<'static> {
        VarBuilder::from_backend(Box::new(self.clone()), self.dtype, self.device.clone())
    }

    /// All variables, sorted by name.
    pub fn named(&self) -> Vec<(String, Var)> {
        self.lock().iter().map(|(name, var)| (name.clone(), var.clone())).collect()
    }

    /// The values of all variables by name, for saving. They share the variables' storage:
    /// training on changes them.
    pub fn tensors(&self) -> HashMap<String, Tensor> {
        self.lock().iter().map(|(name, var)| (name.clone(), var.as_detached_tensor())).collect()
    }

    /// Number of trainable scalars: what a [`BatchNorm`](crate::BatchNorm) remembers is not counted.
    pub fn count(&self) -> usize {
        let variables = self.lock();
        let trained = variables.iter().filter(|(name, _)| !is_remembered(name));
        trained.map(|(_, var)| var.elem_count()).sum()
    }

    /// Where the variables are.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Gives every variable the values of the tensor of the same name, converted to the
    /// variable's type and device. Tensors of other names are left aside.
    ///
    /// # Errors
    /// When a variable has no tensor, or one of another shape; then no variable has changed.
    pub fn assign(&self, tensors: &HashMap<String, Tensor>) -> Result<()> {
        let variables = self.lock();
        for (name, var) in variables.iter() {
            match tensors.get(name) {
                None => bail!("the weights have no tensor {name:?} (shape {:?})", var.dims()),
                Some(tensor) => check_shape(name, tensor.shape(), var.shape())?,
            }
        }
        for (name, var) in variables.iter() {
            let tensor = tensors[name].to_dtype(var.dtype())?.to_device(var.device())?;
            // `Var::set` refuses its own storage; `copy` makes assigning a model to itself legal.
            var.set(&tensor.copy()?)?;
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Var>> {
        self.variables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SimpleBackend for Parameters {
    fn get(&self, shape: Shape, name: &str, init: Init, dtype: DType, device: &Device) -> Result<Tensor> {
        let mut variables = self.lock();
        if let Some(var) = variables.get(name) {
            check_shape(name, var.shape(), &shape)?;
            return var.as_tensor().to_dtype(dtype);
        }
        let mut generator = Generator::stream(self.seed, fnv1a(name));
        let values = draw(init, &shape, &mut generator);
        let tensor = Tensor::from_vec(values, shape, &Device::Cpu)?.to_dtype(dtype)?;
        let var = Var::from_tensor(&tensor.to_device(device)?)?;
        let tensor = var.as_tensor().clone();
        variables.insert(name.to_string(), var);
        Ok(tensor)
    }

    fn get_unchecked(&self, name: &str, dtype: DType, _device: &Device) -> Result<Tensor> {
        match self.lock().get(name) {
            Some(var) => var.as_tensor().to_dtype(dtype),
            None => bail!("there is no variable {name:?}, and without a shape none can be made"),
        }
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.lock().contains_key(name)
    }
}

fn check_shape(name: &str, found: &Shape, expected: &Shape) -> Result<()> {
    if found != expected {
        bail!("{name:?} has shape {:?}, expected {:?}", found.dims(), expected.dims());
    }
    Ok(())
}

/// Values for a tensor of `shape`, in f64.
fn draw(init: Init, shape: &Shape, generator: &mut Generator) -> Vec<f64> {
    let n = shape.elem_count();
    let mut uniform = |lo: f64, up: f64| (0..n).map(|_| lo + (up - lo) * generator.uniform()).collect();
    match init {
        Init::Const(value) => vec![value; n],
        Init::Uniform { lo, up } => uniform(lo, up),
        Init::Randn { mean, stdev } => (0..n).map(|_| mean + stdev * generator.normal()).collect(),
        Init::Kaiming { dist, fan, non_linearity } => {
            let stdev = non_linearity.gain() / (fan.for_shape(shape) as f64).sqrt();
            match dist {
                NormalOrUniform::Uniform => uniform(-3f64.sqrt() * stdev, 3f64.sqrt() * stdev),
                NormalOrUniform::Normal => (0..n).map(|_| stdev * generator.normal()).collect(),
            }
        }
    }
}

/// The 64-bit FNV-1a hash (Fowler, Noll and Vo): unlike the standard library's, the same in every
/// version, on which the initial weights of a seed depend.
fn fnv1a(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NORMAL: Init = Init::Randn { mean: 0., stdev: 1. };

    fn parameters() -> Parameters {
        Parameters::new(7, DType::F32, &Device::Cpu)
    }

    #[test]
    fn initial_values_do_not_depend_on_the_order_of_construction() -> Result<()> {
        let (one, two) = (parameters(), parameters());
        for name in ["a", "b"] {
            one.builder().get_with_hints(5, name, NORMAL)?;
        }
        for name in ["b", "a"] {
            two.builder().get_with_hints(5, name, NORMAL)?;
        }
        let values = |p: &Parameters| -> Result<Vec<Vec<f32>>> {
            p.named().iter().map(|(_, var)| var.to_vec1()).collect()
        };
        assert_eq!(values(&one)?, values(&two)?);
        assert_ne!(values(&one)?[0], values(&one)?[1]);
        Ok(())
    }

    #[test]
    fn asking_twice_gives_the_same_variable_and_another_shape_is_an_error() -> Result<()> {
        let parameters = parameters();
        let vb = parameters.builder().pp("layer");
        let first = vb.get_with_hints((2, 3), "weight", NORMAL)?;
        assert_eq!(first.id(), vb.get_with_hints((2, 3), "weight", NORMAL)?.id());
        let error = vb.get((3, 2), "weight").unwrap_err().to_string();
        assert!(error.contains("layer.weight"), "{error}");
        Ok(())
    }

    #[test]
    fn initialisers_keep_to_their_bounds() -> Result<()> {
        let parameters = parameters();
        let vb = parameters.builder();
        let uniform = vb.get_with_hints(1000, "u", Init::Uniform { lo: -0.5, up: 0.25 })?.to_vec1::<f32>()?;
        assert!(uniform.iter().all(|x| (-0.5..0.25).contains(x)));
        assert!(uniform.iter().any(|x| *x < -0.4) && uniform.iter().any(|x| *x > 0.2));
        assert_eq!(vb.get_with_hints(2, "c", Init::Const(3.))?.to_vec1::<f32>()?, [3., 3.]);
        let kaiming = vb.get_with_hints((20, 24), "k", candle_nn::init::DEFAULT_KAIMING_UNIFORM)?;
        let largest = kaiming.abs()?.max_all()?.to_scalar::<f32>()?;
        assert!(largest <= 0.5 && largest > 0.45, "sqrt(6 / 24) = 0.5, got {largest}");
        Ok(())
    }

    #[test]
    fn assigning_needs_every_tensor_with_its_shape_and_changes_nothing_otherwise() -> Result<()> {
        let (source, target) = (parameters(), parameters());
        for (p, scale) in [(&source, 1.), (&target, 2.)] {
            p.builder().get_with_hints(3, "a", Init::Const(scale))?;
            p.builder().get_with_hints((2, 2), "b", Init::Const(scale))?;
        }
        let mut tensors = source.tensors();
        let b = tensors.remove("b").expect("it was just saved");
        let error = target.assign(&tensors).unwrap_err().to_string();
        assert!(error.contains("\"b\""), "{error}");
        tensors.insert("b".into(), b.flatten_all()?);
        assert!(target.assign(&tensors).is_err());
        assert_eq!(target.tensors()["a"].to_vec1::<f32>()?, [2., 2., 2.]);
        target.assign(&source.tensors())?;
        assert_eq!(target.tensors()["a"].to_vec1::<f32>()?, [1., 1., 1.]);
        target.assign(&target.tensors())
    }
}
