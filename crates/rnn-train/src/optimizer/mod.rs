//! SGD, Adam, AdamW, RMSprop and Muon with PyTorch's formulas, defaults and state names.
//!
//! On the CPU (f32, f64) an update is one pass over each variable that reads the gradient and
//! changes the weights and the moments in place, with no temporary. Other devices and types take
//! the same formulas as tensor operations.

use std::collections::HashMap;

use candle_core::{DType, Device, Result, Shape, Tensor, Var, WithDType, bail};
use rayon::prelude::*;

use crate::gradients::Gradients;

mod config;
pub mod muon;
pub(crate) mod rule;

pub use config::OptimizerConfig;
use rule::{Fused, Rule};

/// An optimiser over a sorted list of named variables, with all it remembers of them.
#[derive(Debug)]
pub struct Optimizer {
    config: OptimizerConfig,
    slots: Vec<Slot>,
}

/// A variable, and what the optimiser remembers of it.
#[derive(Debug)]
struct Slot {
    name: String,
    variable: Var,
    /// What updates it.
    config: OptimizerConfig,
    moments: Moments,
    /// How many updates it had (a step without a gradient is none).
    steps: i64,
    /// By how much the learning rate is multiplied.
    rate: f64,
}

#[derive(Debug)]
enum Moments {
    F32(Vec<Vec<f32>>),
    F64(Vec<Vec<f64>>),
    /// Any other device or type.
    Tensors(Vec<Tensor>),
}

impl Optimizer {
    /// An optimiser of `variables` with everything it remembers at zero.
    ///
    /// # Errors
    /// When the configuration is not [valid](OptimizerConfig::validate), or a variable is not
    /// contiguous.
    pub fn new(config: &OptimizerConfig, variables: Vec<(String, Var)>) -> Result<Self> {
        Self::with_path(config, variables, true)
    }

    /// `fused: false` takes tensor operations everywhere.
    fn with_path(config: &OptimizerConfig, variables: Vec<(String, Var)>, fused: bool) -> Result<Self> {
        config.validate()?;
        let slot = |(name, variable): (String, Var)| {
            if !variable.is_contiguous() {
                bail!("{name}: an optimiser needs contiguous variables");
            }
            let (config, rate) = config.of(&name, variable.dims());
            let (size, count) = (variable.elem_count(), config.moments().len());
            let moments = match (variable.dtype(), variable.device()) {
                (DType::F32, Device::Cpu) if fused => Moments::F32(vec![vec![0.0; size]; count]),
                (DType::F64, Device::Cpu) if fused => Moments::F64(vec![vec![0.0; size]; count]),
                _ => Moments::Tensors((0..count).map(|_| variable.zeros_like()).collect::<Result<_>>()?),
            };
            Ok(Slot { name, variable, config, moments, steps: 0, rate })
        };
        Ok(Self { config: config.clone(), slots: variables.into_iter().map(slot).collect::<Result<_>>()? })
    }

    /// The same optimiser with learning rates that are multiplied, for each variable by what `factor` gives
    /// for its name.
    pub fn with_rate_factors(mut self, factor: impl Fn(&str) -> f64) -> Self {
        self.slots.iter_mut().for_each(|slot| slot.rate *= factor(&slot.name));
        self
    }

    /// The configuration it was made with.
    pub fn config(&self) -> &OptimizerConfig {
        &self.config
    }

    /// Updates every variable that has a gradient. `gradients` are those of the same list of
    /// variables.
    ///
    /// # Errors
    /// When number, shape or type of the gradients is not that of the variables (the first such
    /// variable is named, and none is changed), or the rate is not a finite number.
    pub fn step(&mut self, gradients: &Gradients, learning_rate: f64) -> Result<()> {
        let (gradients, factor) = gradients.unscaled();
        if gradients.len() != self.slots.len() {
            let (given, own) = (gradients.len(), self.slots.len());
            bail!("{given} gradients for an optimiser of {own} variables");
        }
        if !learning_rate.is_finite() {
            bail!("the learning rate is {learning_rate}");
        }
        for (slot, gradient) in self.slots.iter().zip(gradients) {
            if let Some(gradient) = gradient {
                same_kind(&slot.name, "gradient", gradient, &slot.variable)?;
            }
        }
        let update = |(slot, gradient): (&mut Slot, &Option<Tensor>)| match gradient {
            Some(gradient) => {
                slot.steps += 1;
                let rule = slot.config.rule(slot.steps, learning_rate * slot.rate);
                slot.update(rule, factor, gradient)
            }
            None => Ok(()),
        };
        match self.config {
            // Each matrix on a thread of its own.
            OptimizerConfig::Muon { .. } => self.slots.par_iter_mut().zip(gradients).try_for_each(update),
            _ => self.slots.iter_mut().zip(gradients).try_for_each(update),
        }
    }

    /// All that is remembered, under PyTorch's names: for a variable `NAME` the scalar
    /// `NAME.step` (i64) and, with its shape and type, `NAME.exp_avg` and `NAME.exp_avg_sq`
    /// (Adam, AdamW), `NAME.momentum_buffer` (with momentum, and Muon), `NAME.square_avg` (RMSprop).
    ///
    /// # Errors
    /// Those of the device.
    pub fn state(&self) -> Result<HashMap<String, Tensor>> {
        let mut state = HashMap::new();
        for slot in &self.slots {
            let steps = Tensor::new(slot.steps, &Device::Cpu)?;
            state.insert(format!("{}.step", slot.name), steps);
            let tensors = slot.moments.tensors(slot.variable.shape())?;
            for (moment, tensor) in slot.config.moments().iter().zip(tensors) {
                state.insert(format!("{}.{moment}", slot.name), tensor);
            }
        }
        Ok(state)
    }

    /// Takes up a saved [`state`](Self::state): the following steps have the same bits as if the
    /// optimiser had gone on. Tensors of other names are left aside.
    ///
    /// # Errors
    /// When a tensor is missing or has another shape or type than its variable; it is named, and
    /// nothing is changed.
    pub fn load_state(&mut self, state: &HashMap<String, Tensor>) -> Result<()> {
        let find = |name: &str| match state.get(name) {
            Some(tensor) => Ok(tensor),
            None => bail!(
                "the optimiser's state has no tensor {name}: it was saved by another optimiser or \
                 for another model"
            ),
        };
        let mut loaded = Vec::with_capacity(self.slots.len());
        for slot in &self.slots {
            let name = format!("{}.step", slot.name);
            let steps = find(&name)?;
            if steps.dtype() != DType::I64 || steps.elem_count() != 1 {
                bail!("{name}: one i64 was expected, not {steps:?}");
            }
            let steps = steps.reshape(())?.to_scalar::<i64>()?;
            if steps < 0 {
                bail!("{name}: {steps} is not a number of steps");
            }
            let mut tensors = Vec::new();
            for moment in slot.config.moments() {
                let name = format!("{}.{moment}", slot.name);
                let tensor = find(&name)?;
                same_kind(&name, "saved tensor", tensor, &slot.variable)?;
                tensors.push(tensor);
            }
            loaded.push((slot.moments.like(&tensors, slot.variable.device())?, steps));
        }
        for (slot, (moments, steps)) in self.slots.iter_mut().zip(loaded) {
            slot.moments = moments;
            slot.steps = steps;
        }
        Ok(())
    }
}

/// An error unless `tensor` has the shape and type of `variable`.
fn same_kind(name: &str, what: &str, tensor: &Tensor, variable: &Var) -> Result<()> {
    let kind = |t: &Tensor| format!("{:?} {:?}", t.dtype(), t.dims());
    if tensor.shape() != variable.shape() || tensor.dtype() != variable.dtype() {
        let (found, expected) = (kind(tensor), kind(variable));
        bail!("{name}: the {what} is {found}, and the variable {expected}");
    }
    Ok(())
}

impl Moments {
    fn tensors(&self, shape: &Shape) -> Result<Vec<Tensor>> {
        fn from<T: WithDType>(moments: &[Vec<T>], shape: &Shape) -> Result<Vec<Tensor>> {
            let tensor = |m: &Vec<T>| Tensor::from_slice(m, shape, &Device::Cpu);
            moments.iter().map(tensor).collect()
        }
        match self {
            Self::F32(moments) => from(moments, shape),
            Self::F64(moments) => from(moments, shape),
            Self::Tensors(moments) => Ok(moments.clone()),
        }
    }

    /// The values of `tensors`, kept the way these are.
    fn like(&self, tensors: &[&Tensor], device: &Device) -> Result<Self> {
        fn to<T: WithDType>(tensors: &[&Tensor]) -> Result<Vec<Vec<T>>> {
            let values = |t: &&Tensor| t.flatten_all()?.to_vec1();
            tensors.iter().map(values).collect()
        }
        Ok(match self {
            Self::F32(_) => Self::F32(to(tensors)?),
            Self::F64(_) => Self::F64(to(tensors)?),
            Self::Tensors(_) => {
                let here = tensors.iter().map(|t| t.to_device(device));
                Self::Tensors(here.collect::<Result<_>>()?)
            }
        })
    }
}

impl Slot {
    fn update(&mut self, rule: Rule, factor: f64, gradient: &Tensor) -> Result<()> {
        match &mut self.moments {
            Moments::F32(moments) => Fused::run(rule, factor, &self.variable, gradient, moments),
            Moments::F64(moments) => Fused::run(rule, factor, &self.variable, gradient, moments),
            Moments::Tensors(moments) => {
                let weights = self.variable.as_detached_tensor();
                let gradient = match factor {
                    1.0 => gradient.clone(),
                    _ => gradient.affine(factor, 0.0)?,
                };
                let updated = rule.tensors(&weights, gradient, moments)?;
                self.variable.set(&updated)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::rule::CHUNK;
    use super::*;

    /// SGD, Adam, AdamW and RMSprop, each with its defaults and with everything switched on.
    fn configurations() -> [OptimizerConfig; 9] {
        let heavy_ball = |nesterov| OptimizerConfig::Sgd { momentum: 0.9, nesterov, weight_decay: 0.01 };
        let (beta1, beta2, epsilon, weight_decay) = (0.8, 0.95, 1e-6, 0.1);
        [
            OptimizerConfig::sgd(),
            heavy_ball(false),
            heavy_ball(true),
            OptimizerConfig::adam(),
            OptimizerConfig::Adam { beta1, beta2, epsilon, weight_decay },
            OptimizerConfig::adamw(),
            OptimizerConfig::AdamW { beta1, beta2, epsilon, weight_decay },
            OptimizerConfig::rmsprop(),
            OptimizerConfig::RmsProp { alpha: 0.9, epsilon, momentum: 0.9, weight_decay },
        ]
    }

    /// The weights after five steps at rate 0.1 from PyTorch 2, in the order of
    /// [`configurations`], as printed by
    ///
    /// ```python
    /// import torch
    /// from torch.optim import SGD, Adam, AdamW, RMSprop
    /// def go(make):
    ///     w = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64, requires_grad=True)
    ///     c = torch.tensor([1.0, 3.0, 0.25], dtype=torch.float64)
    ///     t = torch.tensor([0.5, 0.5, -1.0], dtype=torch.float64)
    ///     optimizer = make([w])
    ///     for _ in range(5):
    ///         optimizer.zero_grad()
    ///         (0.5 * (c * (w - t) ** 2).sum()).backward()
    ///         optimizer.step()
    ///     print(w.tolist())
    /// adam = dict(lr=0.1, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.1)
    /// go(lambda p: SGD(p, lr=0.1))
    /// go(lambda p: SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01))
    /// go(lambda p: SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01))
    /// go(lambda p: Adam(p, lr=0.1))
    /// go(lambda p: Adam(p, **adam))
    /// go(lambda p: AdamW(p, lr=0.1))
    /// go(lambda p: AdamW(p, **adam))
    /// go(lambda p: RMSprop(p, lr=0.1))
    /// go(lambda p: RMSprop(p, lr=0.1, alpha=0.9, eps=1e-6, momentum=0.9, weight_decay=0.1))
    /// ```
    const PYTORCH: [[f64; 3]; 9] = [
        [0.795245, 0.07982500000000006, 0.3216435400390625],
        [0.476459748278149, 2.444165428355952, 0.030504700391711978],
        [0.43910574195634816, 1.3634243353036763, -0.07473366725838022],
        [0.5278144565307444, -1.5022246489318043, 0.00435818169099754],
        [0.5303007171587982, -1.503399960572883, 0.00846918506434019],
        [0.5243260096901005, -1.4932944337163239, 0.0028826855465561574],
        [0.5028118909581065, -1.4159949191245196, -0.007962561501740614],
        [0.48965424763552945, 0.1948775886532093, -0.9912808380924283],
        [0.1158461362377805, 0.6705453263732485, -1.543720881012477],
    ];

    fn one(variable: &Var) -> Vec<(String, Var)> {
        vec![("w".to_string(), variable.clone())]
    }

    /// ½ Σ c (w − t)² over the three weights.
    fn quadratic(w: &Var) -> Result<Gradients> {
        let (dtype, device) = (w.dtype(), w.device());
        let curvature = Tensor::new(&[1.0f64, 3.0, 0.25], device)?.to_dtype(dtype)?;
        let target = Tensor::new(&[0.5f64, 0.5, -1.0], device)?.to_dtype(dtype)?;
        let loss = ((w.as_tensor() - target)?.sqr()? * curvature)?.sum_all()?;
        Gradients::of(&(loss * 0.5)?, &one(w))
    }

    fn after_five_steps(config: &OptimizerConfig, dtype: DType, fused: bool) -> Result<Vec<f64>> {
        let start = Tensor::new(&[1.0f64, -2.0, 0.5], &Device::Cpu)?;
        let w = Var::from_tensor(&start.to_dtype(dtype)?)?;
        let mut optimizer = Optimizer::with_path(config, one(&w), fused)?;
        for _ in 0..5 {
            optimizer.step(&quadratic(&w)?, 0.1)?;
        }
        w.to_dtype(DType::F64)?.to_vec1()
    }

    fn assert_close(actual: &[f64], expected: &[f64], tolerance: f64, what: &OptimizerConfig) {
        for (a, e) in actual.iter().zip(expected) {
            assert!((a - e).abs() < tolerance, "{what:?}: {actual:?} is not {expected:?}");
        }
    }

    #[test]
    fn five_steps_on_a_quadratic_end_where_pytorch_ends() -> Result<()> {
        for (config, expected) in configurations().iter().zip(PYTORCH) {
            let fused = after_five_steps(config, DType::F64, true)?;
            assert_close(&fused, &expected, 1e-13, config);
            let fused = after_five_steps(config, DType::F32, true)?;
            assert_close(&fused, &expected, 2e-6, config);
        }
        Ok(())
    }

    #[test]
    fn tensor_operations_end_where_the_fused_pass_ends() -> Result<()> {
        for (config, expected) in configurations().iter().zip(PYTORCH) {
            let tensors = after_five_steps(config, DType::F64, false)?;
            assert_close(&tensors, &expected, 1e-13, config);
            let half = after_five_steps(config, DType::BF16, false)?;
            assert_close(&half, &expected, 0.1, config);
        }
        Ok(())
    }

    /// The weights after five steps from PyTorch 2, which rounds to bf16 on the way, as printed by
    ///
    /// ```python
    /// import torch
    /// w = torch.tensor([[1.0, -2.0, 0.5], [0.25, 1.5, -1.0]], requires_grad=True)
    /// c = torch.tensor([[1.0, 3.0, 0.25], [2.0, 0.5, 1.0]])
    /// o = torch.optim.Muon([w], lr=0.1, weight_decay=0.1, momentum=0.95)
    /// for _ in range(5):
    ///     o.zero_grad(); (0.5 * (c * (w - 0.5) ** 2).sum()).backward(); o.step()
    /// print(w.tolist())
    /// ```
    ///
    /// and by the same of both transposed.
    #[test]
    fn muon_ends_where_pytorch_ends() -> Result<()> {
        let wide = [0.9341795, -1.5547675, 0.4976242, 0.3442633, 1.4136872, -0.5964160];
        let high = [0.9301304, 0.3722152, -1.4696137, 1.4105477, 0.5039786, -0.4973359];
        let start = Tensor::new(&[[1.0f32, -2.0, 0.5], [0.25, 1.5, -1.0]], &Device::Cpu)?;
        let curvature = Tensor::new(&[[1.0f32, 3.0, 0.25], [2.0, 0.5, 1.0]], &Device::Cpu)?;
        let config = OptimizerConfig::muon();
        let transposed = |tensor: &Tensor| tensor.t()?.contiguous();
        for (start, curvature, expected) in
            [(start.clone(), curvature.clone(), wide), (transposed(&start)?, transposed(&curvature)?, high)]
        {
            for fused in [true, false] {
                let w = Var::from_tensor(&start)?;
                let mut optimizer = Optimizer::with_path(&config, one(&w), fused)?;
                for _ in 0..5 {
                    let loss = ((w.affine(1.0, -0.5)?.sqr()? * &curvature)?.sum_all()? * 0.5)?;
                    optimizer.step(&Gradients::of(&loss, &one(&w))?, 0.1)?;
                }
                let found = w.flatten_all()?.to_dtype(DType::F64)?.to_vec1()?;
                assert_close(&found, &expected, 0.02, &config);
            }
        }
        Ok(())
    }

    /// A variable of several chunks, and its gradient at step `step`.
    fn large(step: usize, transposed: bool) -> Result<Tensor> {
        let value = |i: usize| ((i * 7 + step * 13) % 101) as f32 / 50.0 - 1.0;
        let (rows, columns) = (3, CHUNK);
        let values: Vec<f32> = (0..rows * columns).map(value).collect();
        let tensor = Tensor::from_vec(values, (rows, columns), &Device::Cpu)?;
        match transposed {
            true => tensor.t()?.contiguous()?.t(),
            false => Ok(tensor),
        }
    }

    #[test]
    fn a_large_variable_is_updated_alike_in_chunks_by_any_threads_and_by_tensor_operations() -> Result<()> {
        let run = |config: &OptimizerConfig, threads: usize, fused: bool| -> Result<Vec<f32>> {
            let w = Var::from_tensor(&large(0, false)?)?;
            let mut optimizer = Optimizer::with_path(config, one(&w), fused)?;
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            let pool = pool.map_err(candle_core::Error::wrap)?;
            for step in 1..4 {
                let mut gradients = Gradients::from(vec![Some(large(step, true)?)]);
                gradients.scale(0.5);
                let step = || optimizer.step(&gradients, 0.01);
                pool.install(step)?;
            }
            w.flatten_all()?.to_vec1()
        };
        for config in &configurations() {
            let one_thread = run(config, 1, true)?;
            assert!(one_thread == run(config, 3, true)?, "{config:?}");
            for (a, b) in one_thread.iter().zip(run(config, 2, false)?) {
                assert!((a - b).abs() < 1e-5, "{config:?}: {a} is not {b}");
            }
        }
        Ok(())
    }

    #[test]
    fn an_optimiser_that_takes_up_a_saved_state_goes_on_with_the_same_bits() -> Result<()> {
        for (config, fused) in configurations().iter().flat_map(|c| [(c, true), (c, false)]) {
            let w = Var::new(&[1.0f32, -2.0, 0.5], &Device::Cpu)?;
            let mut optimizer = Optimizer::with_path(config, one(&w), fused)?;
            for _ in 0..3 {
                optimizer.step(&quadratic(&w)?, 0.1)?;
            }
            let copy = Var::from_tensor(&w.copy()?.detach())?;
            let mut resumed = Optimizer::with_path(config, one(&copy), fused)?;
            resumed.load_state(&optimizer.state()?)?;
            for _ in 0..4 {
                optimizer.step(&quadratic(&w)?, 0.1)?;
                resumed.step(&quadratic(&copy)?, 0.1)?;
            }
            assert_eq!(w.to_vec1::<f32>()?, copy.to_vec1::<f32>()?, "{config:?}");
            let (state, expected) = (resumed.state()?, optimizer.state()?);
            assert_eq!(state.len(), expected.len());
            assert_eq!(state["w.step"].to_scalar::<i64>()?, 7);
        }
        Ok(())
    }

    #[test]
    fn a_state_with_a_missing_or_misshapen_tensor_is_refused_by_name_and_changes_nothing() -> Result<()> {
        let w = Var::new(&[1.0f32, -2.0, 0.5], &Device::Cpu)?;
        let mut optimizer = Optimizer::new(&OptimizerConfig::adam(), one(&w))?;
        optimizer.step(&quadratic(&w)?, 0.1)?;
        let good = optimizer.state()?;
        let mut fresh = Optimizer::new(&OptimizerConfig::adam(), one(&w))?;
        for name in ["w.step", "w.exp_avg", "w.exp_avg_sq"] {
            let mut missing = good.clone();
            missing.remove(name);
            let mut misshapen = good.clone();
            misshapen.insert(name.to_string(), Tensor::zeros(2, DType::F32, &Device::Cpu)?);
            for bad in [missing, misshapen] {
                let message = fresh.load_state(&bad).unwrap_err().to_string();
                assert!(message.contains(name), "{message}");
            }
        }
        assert_eq!(fresh.state()?["w.step"].to_scalar::<i64>()?, 0);
        Ok(())
    }

    #[test]
    fn a_variable_without_a_gradient_and_its_step_count_stay_as_they_are() -> Result<()> {
        let used = Var::new(&[1.0f32], &Device::Cpu)?;
        let idle = Var::new(&[5.0f32], &Device::Cpu)?;
        let variables = vec![("idle".to_string(), idle.clone()), ("used".to_string(), used.clone())];
        let mut optimizer = Optimizer::new(&OptimizerConfig::adamw(), variables.clone())?;
        let gradients = Gradients::of(&used.sqr()?.sum_all()?, &variables)?;
        optimizer.step(&gradients, 0.1)?;
        assert_eq!(idle.to_vec1::<f32>()?, [5.0]);
        assert_eq!(optimizer.state()?["idle.step"].to_scalar::<i64>()?, 0);
        assert!(used.to_vec1::<f32>()?[0] < 1.0);
        Ok(())
    }

    #[test]
    fn a_variable_with_a_rate_of_its_own_moves_by_so_much() -> Result<()> {
        let (slow, fast) = (Var::new(&[1.0f32], &Device::Cpu)?, Var::new(&[1.0f32], &Device::Cpu)?);
        let variables = vec![("slow".to_owned(), slow.clone()), ("fast".to_owned(), fast.clone())];
        let optimizer = Optimizer::new(&OptimizerConfig::sgd(), variables.clone())?;
        let mut optimizer = optimizer.with_rate_factors(|name| if name == "slow" { 0.5 } else { 1.0 });
        let loss = (slow.as_tensor() + fast.as_tensor())?.sum_all()?;
        optimizer.step(&Gradients::of(&loss, &variables)?, 0.5)?;
        assert_eq!((slow.to_vec1::<f32>()?, fast.to_vec1::<f32>()?), (vec![0.75], vec![0.5]));
        Ok(())
    }

    #[test]
    fn a_gradient_of_another_shape_is_refused_with_the_name_of_the_variable() -> Result<()> {
        let w = Var::new(&[1.0f32, 2.0], &Device::Cpu)?;
        let mut optimizer = Optimizer::new(&OptimizerConfig::sgd(), one(&w))?;
        let wrong = Gradients::from(vec![Some(Tensor::zeros(3, DType::F32, &Device::Cpu)?)]);
        let message = optimizer.step(&wrong, 0.1).unwrap_err().to_string();
        assert!(message.starts_with("w: "), "{message}");
        assert!(optimizer.step(&Gradients::from(vec![]), 0.1).is_err());
        Ok(())
    }

    #[test]
    fn configurations_come_back_from_their_files_and_missing_values_are_pytorchs() {
        for config in configurations() {
            let text = toml::to_string(&config).unwrap();
            assert_eq!(toml::from_str::<OptimizerConfig>(&text).unwrap(), config);
        }
        let parse = |text: &str| toml::from_str::<OptimizerConfig>(text);
        assert_eq!(parse("name = \"adamw\"").unwrap(), OptimizerConfig::adamw());
        assert_eq!(parse("name = \"rmsprop\"").unwrap(), OptimizerConfig::rmsprop());
        assert!(parse("name = \"sgd\"\nmomentun = 0.9").is_err());
    }

    #[test]
    fn values_out_of_range_are_refused() {
        let nesterov_alone = OptimizerConfig::Sgd { momentum: 0.0, nesterov: true, weight_decay: 0.0 };
        let slow = OptimizerConfig::RmsProp { alpha: 1.0, epsilon: 1e-8, momentum: 0.0, weight_decay: 0.0 };
        for config in [nesterov_alone, slow] {
            assert!(Optimizer::new(&config, vec![]).is_err(), "{config:?}");
        }
    }
}
