//! [`OptimizerConfig`]: which optimiser, and its constants.

use candle_core::{Result, bail};
use serde::{Deserialize, Serialize};

use super::rule::Rule;

/// Which optimiser, and its constants; the learning rate is given to each
/// [`step`](super::Optimizer::step). `g` is the gradient and `w` the weight; a missing field of a
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
    /// Muon (Jordan et al. 2024; `torch.optim.Muon`) for matrices, with Nesterov's gradient and `orth` as in
    /// [`muon`](super::muon): `b ← momentum·b + (1−momentum)·g`,
    /// `w ← w − rate·weight_decay·w − rate·√max(1, m/n)·orth(momentum·b + (1−momentum)·g)`.
    /// All else is updated by Adam.
    Muon {
        /// What is kept of the last update, 0 ≤ momentum < 1.
        #[serde(default = "default::muon_momentum")]
        momentum: f64,
        /// The part of a weight, times the rate, that is taken off at each step.
        #[serde(default = "default::muon_decay")]
        weight_decay: f64,
        /// Adam's learning rate as a part of Muon's.
        #[serde(default = "default::adam_rate")]
        adam_rate: f64,
        /// Parts of the names of matrices that are Adam's, too: those of which each row is for one symbol or
        /// place.
        #[serde(default = "default::tables")]
        tables: Vec<String>,
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
    pub fn muon_momentum() -> f64 {
        0.95
    }
    pub fn muon_decay() -> f64 {
        0.1
    }
    pub fn adam_rate() -> f64 {
        0.1
    }
    pub fn tables() -> Vec<String> {
        ["embedding", "output", "source", "target", "position", "words"].map(str::to_owned).into()
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

    /// Muon with momentum 0.95 and weight decay 0.1, and Adam at a tenth of its rate for what is no matrix and for
    /// embeddings and outputs.
    pub fn muon() -> Self {
        Self::Muon {
            momentum: default::muon_momentum(),
            weight_decay: default::muon_decay(),
            adam_rate: default::adam_rate(),
            tables: default::tables(),
        }
    }

    /// The weight decay, as the optimiser means it.
    pub fn weight_decay_mut(&mut self) -> &mut f64 {
        match self {
            Self::Sgd { weight_decay, .. }
            | Self::Adam { weight_decay, .. }
            | Self::AdamW { weight_decay, .. }
            | Self::RmsProp { weight_decay, .. }
            | Self::Muon { weight_decay, .. } => weight_decay,
        }
    }

    /// What updates a variable of this name and shape, and by how much its learning rate is multiplied.
    pub(super) fn of(&self, name: &str, dims: &[usize]) -> (Self, f64) {
        match self {
            Self::Muon { adam_rate, tables, .. } => {
                let is_table = name.split('.').any(|part| tables.iter().any(|table| table == part));
                match dims.len() < 2 || is_table {
                    true => (Self::adam(), *adam_rate),
                    false => (self.clone(), 1.0),
                }
            }
            _ => (self.clone(), 1.0),
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
            Self::Muon { momentum, weight_decay, adam_rate, .. } => {
                below_one("momentum", momentum)?;
                not_negative("weight_decay", weight_decay)?;
                not_negative("adam_rate", adam_rate)
            }
        }
    }

    /// PyTorch's names of what is remembered of each variable.
    pub(super) fn moments(&self) -> &'static [&'static str] {
        match *self {
            Self::Sgd { momentum: 0.0, .. } => &[],
            Self::Sgd { .. } | Self::Muon { .. } => &["momentum_buffer"],
            Self::Adam { .. } | Self::AdamW { .. } => &["exp_avg", "exp_avg_sq"],
            Self::RmsProp { momentum: 0.0, .. } => &["square_avg"],
            Self::RmsProp { .. } => &["square_avg", "momentum_buffer"],
        }
    }

    /// The update number `steps` (from 1) of a variable, its constants worked out in f64.
    pub(super) fn rule(&self, steps: i64, rate: f64) -> Rule {
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
            Self::Muon { momentum, weight_decay, .. } => {
                Rule::Muon { keep: 1.0 - rate * weight_decay, momentum, rate }
            }
        }
    }
}
