//! SGD, Adam, AdamW and RMSprop with PyTorch's formulas, defaults and state names.
//!
//! On the CPU (f32, f64) an update is one pass over each variable that reads the gradient and
//! changes the weights and the moments in place, with no temporary. Other devices and types take
//! the same formulas as tensor operations.

use std::{cell::RefCell, collections::HashMap};

use candle_core::{
    CpuStorage, DType, Device, InplaceOp2, Layout, Result, Shape, Tensor, Var, WithDType, bail,
};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::gradients::Gradients;

/// Numbers updated by one task. Every number is updated on its own, so the result does not depend
/// on the number of threads.
const CHUNK: usize = 1 << 15;

/// Which optimiser, and its constants; the learning rate is given to each
/// [`step`](Optimizer::step). `g` is the gradient and `w` the weight; a missing field of a
/// configuration file has PyTorch's default.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(tag = "name", rename_all = "lowercase", deny_unknown_fields)]
pub enum OptimizerConfig {
    /// Stochastic gradient descent (`torch.optim.SGD`, dampening 0):
    /// `b ← momentum·b + g`, `w ← w − rate·b`, or with Nesterov `w ← w − rate·(g + momentum·b)`.
    Sgd {
        /// What is kept of the last update, 0 ≤ momentum < 1.
        #[serde(default)]
        momentum: f64,
        /// Whether the gradient is taken one step ahead (needs a momentum).
        #[serde(default)]
        nesterov: bool,
        /// L2 penalty: `g ← g + weight_decay·w` before all else.
        #[serde(default)]
        weight_decay: f64,
    },
    /// Adam (Kingma & Ba 2015, algorithm 1; `torch.optim.Adam`):
    /// `m ← β₁m + (1−β₁)g`, `v ← β₂v + (1−β₂)g²`,
    /// `w ← w − rate · m/(1−β₁ᵗ) / (√(v/(1−β₂ᵗ)) + ε)`.
    Adam {
        /// β₁, the decay of the mean of the gradients.
        #[serde(default = "default::beta1")]
        beta1: f64,
        /// β₂, the decay of the mean of their squares.
        #[serde(default = "default::beta2")]
        beta2: f64,
        /// ε, added to the denominator.
        #[serde(default = "default::epsilon")]
        epsilon: f64,
        /// L2 penalty: `g ← g + weight_decay·w` before all else.
        #[serde(default)]
        weight_decay: f64,
    },
    /// Adam with decoupled weight decay (Loshchilov & Hutter 2019, algorithm 2;
    /// `torch.optim.AdamW`): `w ← (1 − rate·weight_decay)·w`, then Adam without penalty.
    AdamW {
        /// β₁, the decay of the mean of the gradients.
        #[serde(default = "default::beta1")]
        beta1: f64,
        /// β₂, the decay of the mean of their squares.
        #[serde(default = "default::beta2")]
        beta2: f64,
        /// ε, added to the denominator.
        #[serde(default = "default::epsilon")]
        epsilon: f64,
        /// The part of a weight, times the rate, that is taken off at each step.
        #[serde(default = "default::decoupled_decay")]
        weight_decay: f64,
    },
    /// RMSprop (`torch.optim.RMSprop`, not centred): `v ← αv + (1−α)g²`,
    /// `b ← momentum·b + g/(√v + ε)`, `w ← w − rate·b`.
    RmsProp {
        /// α, the decay of the mean of the squared gradients.
        #[serde(default = "default::alpha")]
        alpha: f64,
        /// ε, added to the denominator.
        #[serde(default = "default::epsilon")]
        epsilon: f64,
        /// What is kept of the last update, 0 ≤ momentum < 1.
        #[serde(default)]
        momentum: f64,
        /// L2 penalty: `g ← g + weight_decay·w` before all else.
        #[serde(default)]
        weight_decay: f64,
    },
}

/// PyTorch's defaults that are not zero.
mod default {
    pub fn beta1() -> f64 {
        0.9
    }
    pub fn beta2() -> f64 {
        0.999
    }
    pub fn epsilon() -> f64 {
        1e-8
    }
    pub fn decoupled_decay() -> f64 {
        0.01
    }
    pub fn alpha() -> f64 {
        0.99
    }
}

impl Default for OptimizerConfig {
    /// Adam.
    fn default() -> Self {
        Self::adam()
    }
}

impl OptimizerConfig {
    /// SGD with no momentum and no weight decay.
    pub fn sgd() -> Self {
        Self::Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0 }
    }

    /// Adam with β = (0.9, 0.999), ε = 1e-8 and no weight decay.
    pub fn adam() -> Self {
        Self::Adam {
            beta1: default::beta1(),
            beta2: default::beta2(),
            epsilon: default::epsilon(),
            weight_decay: 0.0,
        }
    }

    /// AdamW with β = (0.9, 0.999), ε = 1e-8 and weight decay 0.01.
    pub fn adamw() -> Self {
        Self::AdamW {
            beta1: default::beta1(),
            beta2: default::beta2(),
            epsilon: default::epsilon(),
            weight_decay: default::decoupled_decay(),
        }
    }

    /// RMSprop with α = 0.99, ε = 1e-8, no momentum and no weight decay.
    pub fn rmsprop() -> Self {
        Self::RmsProp {
            alpha: default::alpha(),
            epsilon: default::epsilon(),
            momentum: 0.0,
            weight_decay: 0.0,
        }
    }

    /// Checks every value.
    ///
    /// # Errors
    /// Names the first value out of its range, and the range.
    pub fn validate(&self) -> Result<()> {
        let below_one = |name: &str, value: f64| {
            if !(0.0..1.0).contains(&value) {
                bail!("the optimiser's {name} must be at least 0 and below 1, not {value}");
            }
            Ok(())
        };
        let not_negative = |name: &str, value: f64| {
            if !(value >= 0.0 && value.is_finite()) {
                bail!("the optimiser's {name} must not be below 0, and not {value}");
            }
            Ok(())
        };
        match *self {
            Self::Sgd { momentum, nesterov, weight_decay } => {
                below_one("momentum", momentum)?;
                if nesterov && momentum == 0.0 {
                    bail!("Nesterov's gradient needs a momentum above 0");
                }
                not_negative("weight_decay", weight_decay)
            }
            Self::Adam { beta1, beta2, epsilon, weight_decay }
            | Self::AdamW { beta1, beta2, epsilon, weight_decay } => {
                below_one("beta1", beta1)?;
                below_one("beta2", beta2)?;
                not_negative("epsilon", epsilon)?;
                not_negative("weight_decay", weight_decay)
            }
            Self::RmsProp { alpha, epsilon, momentum, weight_decay } => {
                below_one("alpha", alpha)?;
                below_one("momentum", momentum)?;
                not_negative("epsilon", epsilon)?;
                not_negative("weight_decay", weight_decay)
            }
        }
    }

    /// PyTorch's names of what is remembered of each variable.
    fn moments(&self) -> &'static [&'static str] {
        match *self {
            Self::Sgd { momentum: 0.0, .. } => &[],
            Self::Sgd { .. } => &["momentum_buffer"],
            Self::Adam { .. } | Self::AdamW { .. } => &["exp_avg", "exp_avg_sq"],
            Self::RmsProp { momentum: 0.0, .. } => &["square_avg"],
            Self::RmsProp { .. } => &["square_avg", "momentum_buffer"],
        }
    }

    /// The update number `steps` (from 1) of a variable, its constants worked out in f64.
    fn rule(&self, steps: i64, rate: f64) -> Rule {
        let adam = |beta1: f64, beta2: f64, epsilon, decay, keep| {
            let steps = steps as f64;
            Rule::Adam {
                decay,
                keep,
                beta1,
                beta2,
                epsilon,
                correction: (1.0 - beta2.powf(steps)).sqrt(),
                rate: rate / (1.0 - beta1.powf(steps)),
            }
        };
        match *self {
            Self::Sgd { momentum, nesterov, weight_decay } => {
                Rule::Sgd { decay: weight_decay, momentum, nesterov, rate }
            }
            Self::Adam { beta1, beta2, epsilon, weight_decay } => {
                adam(beta1, beta2, epsilon, weight_decay, 1.0)
            }
            Self::AdamW { beta1, beta2, epsilon, weight_decay } => {
                adam(beta1, beta2, epsilon, 0.0, 1.0 - rate * weight_decay)
            }
            Self::RmsProp { alpha, epsilon, momentum, weight_decay } => {
                Rule::RmsProp { decay: weight_decay, alpha, epsilon, momentum, rate }
            }
        }
    }
}

/// One update: the constants of the formula at this step.
#[derive(Clone, Copy)]
enum Rule {
    Sgd { decay: f64, momentum: f64, nesterov: bool, rate: f64 },
    Adam { decay: f64, keep: f64, beta1: f64, beta2: f64, epsilon: f64, correction: f64, rate: f64 },
    RmsProp { decay: f64, alpha: f64, epsilon: f64, momentum: f64, rate: f64 },
}

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
    moments: Moments,
    /// How many updates it had (a step without a gradient is none).
    steps: i64,
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
        let count = config.moments().len();
        let slot = |(name, variable): (String, Var)| {
            if !variable.is_contiguous() {
                bail!("{name}: an optimiser needs contiguous variables");
            }
            let size = variable.elem_count();
            let moments = match (variable.dtype(), variable.device()) {
                (DType::F32, Device::Cpu) if fused => Moments::F32(vec![vec![0.0; size]; count]),
                (DType::F64, Device::Cpu) if fused => Moments::F64(vec![vec![0.0; size]; count]),
                _ => Moments::Tensors((0..count).map(|_| variable.zeros_like()).collect::<Result<_>>()?),
            };
            Ok(Slot { name, variable, moments, steps: 0 })
        };
        Ok(Self { config: config.clone(), slots: variables.into_iter().map(slot).collect::<Result<_>>()? })
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
        for (slot, gradient) in self.slots.iter_mut().zip(gradients) {
            if let Some(gradient) = gradient {
                slot.steps += 1;
                let rule = self.config.rule(slot.steps, learning_rate);
                slot.update(rule, factor, gradient)?;
            }
        }
        Ok(())
    }

    /// All that is remembered, under PyTorch's names: for a variable `NAME` the scalar
    /// `NAME.step` (i64) and, with its shape and type, `NAME.exp_avg` and `NAME.exp_avg_sq`
    /// (Adam, AdamW), `NAME.momentum_buffer` (with momentum), `NAME.square_avg` (RMSprop).
    ///
    /// # Errors
    /// Those of the device.
    pub fn state(&self) -> Result<HashMap<String, Tensor>> {
        let mut state = HashMap::new();
        for slot in &self.slots {
            let steps = Tensor::new(slot.steps, &Device::Cpu)?;
            state.insert(format!("{}.step", slot.name), steps);
            let tensors = slot.moments.tensors(slot.variable.shape())?;
            for (moment, tensor) in self.config.moments().iter().zip(tensors) {
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
            for moment in self.config.moments() {
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

impl Rule {
    /// The new weights, as tensor operations; `moments` are replaced.
    fn tensors(self, w: &Tensor, g: Tensor, moments: &mut [Tensor]) -> Result<Tensor> {
        let penalised = |decay: f64| match decay {
            0.0 => Ok(g.clone()),
            _ => &g + (w * decay)?,
        };
        match (self, moments) {
            (Rule::Sgd { decay, rate, .. }, []) => w - (penalised(decay)? * rate)?,
            (Rule::Sgd { decay, momentum, nesterov, rate }, [buffer]) => {
                let g = penalised(decay)?;
                *buffer = ((&*buffer * momentum)? + &g)?;
                let direction = match nesterov {
                    true => (g + (&*buffer * momentum)?)?,
                    false => buffer.clone(),
                };
                w - (direction * rate)?
            }
            (Rule::Adam { decay, keep, beta1, beta2, epsilon, correction, rate }, [mean, square]) => {
                let g = penalised(decay)?;
                *mean = (&*mean + ((&g - &*mean)? * (1.0 - beta1))?)?;
                *square = ((&*square * beta2)? + (g.sqr()? * (1.0 - beta2))?)?;
                let scale = ((square.sqrt()? / correction)? + epsilon)?;
                (w * keep)? - ((&*mean / scale)? * rate)?
            }
            (Rule::RmsProp { decay, alpha, epsilon, momentum, rate }, [square, buffer @ ..]) => {
                let g = penalised(decay)?;
                *square = ((&*square * alpha)? + (g.sqr()? * (1.0 - alpha))?)?;
                let direction = (g / (square.sqrt()? + epsilon)?)?;
                let direction = match buffer {
                    [buffer, ..] => {
                        *buffer = ((&*buffer * momentum)? + direction)?;
                        buffer.clone()
                    }
                    [] => direction,
                };
                w - (direction * rate)?
            }
            _ => bail!("the optimiser's state does not belong to it"),
        }
    }

    /// One pass over a piece of a variable: `w` and the moments change in place.
    fn slices<T: Real>(self, factor: f64, w: &mut [T], g: &[T], moments: &mut [&mut [T]]) -> Result<()> {
        let c = T::from_f64;
        let factor = c(factor);
        let penalised = |decay: T, w: T, g: T| {
            let g = g * factor;
            if decay == T::zero() { g } else { g + decay * w }
        };
        match (self, moments) {
            (Rule::Sgd { decay, rate, .. }, []) => {
                let (decay, rate) = (c(decay), c(rate));
                for (w, &g) in w.iter_mut().zip(g) {
                    *w -= rate * penalised(decay, *w, g);
                }
            }
            (Rule::Sgd { decay, momentum, nesterov, rate }, [buffer]) => {
                let (decay, momentum, rate) = (c(decay), c(momentum), c(rate));
                for ((w, &g), b) in w.iter_mut().zip(g).zip(&mut **buffer) {
                    let g = penalised(decay, *w, g);
                    *b = *b * momentum + g;
                    *w -= rate * if nesterov { g + *b * momentum } else { *b };
                }
            }
            (Rule::Adam { decay, keep, beta1, beta2, epsilon, correction, rate }, [mean, square]) => {
                let (new1, new2) = (c(1.0 - beta1), c(1.0 - beta2));
                let (decay, keep, beta2) = (c(decay), c(keep), c(beta2));
                let (epsilon, correction, rate) = (c(epsilon), c(correction), c(rate));
                let moments = mean.iter_mut().zip(&mut **square);
                for ((w, &g), (m, v)) in w.iter_mut().zip(g).zip(moments) {
                    let g = penalised(decay, *w, g);
                    *m += (g - *m) * new1;
                    *v = *v * beta2 + g * g * new2;
                    *w = *w * keep - *m / (v.sqrt() / correction + epsilon) * rate;
                }
            }
            (Rule::RmsProp { decay, alpha, epsilon, rate, momentum }, [square, buffer @ ..]) => {
                let (decay, epsilon, rate, momentum) = (c(decay), c(epsilon), c(rate), c(momentum));
                let (alpha, new) = (c(alpha), c(1.0 - alpha));
                let direction = |w: T, g: T, v: &mut T| {
                    let g = penalised(decay, w, g);
                    *v = *v * alpha + g * g * new;
                    g / (v.sqrt() + epsilon)
                };
                let pairs = w.iter_mut().zip(g).zip(&mut **square);
                match buffer {
                    [buffer, ..] => {
                        for (((w, &g), v), b) in pairs.zip(&mut **buffer) {
                            *b = *b * momentum + direction(*w, g, v);
                            *w -= rate * *b;
                        }
                    }
                    [] => {
                        for ((w, &g), v) in pairs {
                            *w -= rate * direction(*w, g, v);
                        }
                    }
                }
            }
            _ => bail!("the optimiser's state does not belong to it"),
        }
        Ok(())
    }
}

/// The types of the fused path.
trait Real: WithDType {
    fn sqrt(self) -> Self;
    fn slice_mut(storage: &mut CpuStorage) -> Result<&mut [Self]>;
}

macro_rules! real {
    ($type:ty, $variant:ident) => {
        impl Real for $type {
            fn sqrt(self) -> Self {
                <$type>::sqrt(self)
            }

            fn slice_mut(storage: &mut CpuStorage) -> Result<&mut [Self]> {
                match storage {
                    CpuStorage::$variant(values) => Ok(values),
                    _ => bail!("a variable's type has changed"),
                }
            }
        }
    };
}
real!(f32, F32);
real!(f64, F64);

/// The update of one variable as an in-place operation on its storage.
struct Fused<'a, T> {
    rule: Rule,
    factor: f64,
    moments: RefCell<&'a mut [Vec<T>]>,
}

impl<'a, T: Real> Fused<'a, T> {
    fn run(
        rule: Rule,
        factor: f64,
        variable: &Var,
        gradient: &Tensor,
        moments: &'a mut [Vec<T>],
    ) -> Result<()> {
        let moments = RefCell::new(moments);
        let update = Fused { rule, factor, moments };
        variable.inplace_op2(&gradient.contiguous()?, &update)
    }
}

impl<T: Real> InplaceOp2 for Fused<'_, T> {
    fn name(&self) -> &'static str {
        "optimizer-step"
    }

    fn cpu_fwd(
        &self,
        weights: &mut CpuStorage,
        weights_at: &Layout,
        gradient: &CpuStorage,
        gradient_at: &Layout,
    ) -> Result<()> {
        let part = |at: &Layout| at.start_offset()..at.start_offset() + at.shape().elem_count();
        let w = &mut T::slice_mut(weights)?[part(weights_at)];
        let g = &gradient.as_slice::<T>()?[part(gradient_at)];
        let mut moments = self.moments.borrow_mut();
        let mut moments: Vec<&mut [T]> = moments.iter_mut().map(|m| &mut m[..]).collect();
        if w.len() <= CHUNK {
            return self.rule.slices(self.factor, w, g, &mut moments);
        }
        let mut pieces: Vec<_> = w
            .chunks_mut(CHUNK)
            .zip(g.chunks(CHUNK))
            .map(|(w, g)| (w, g, Vec::with_capacity(moments.len())))
            .collect();
        for moment in moments {
            for (piece, part) in pieces.iter_mut().zip(moment.chunks_mut(CHUNK)) {
                piece.2.push(part);
            }
        }
        let (rule, factor) = (self.rule, self.factor);
        pieces.into_par_iter().try_for_each(|(w, g, mut moments)| rule.slices(factor, w, g, &mut moments))
    }
}

#[cfg(test)]
mod tests {
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
