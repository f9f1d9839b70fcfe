//! The flags of a training, which every application that trains has.

use clap::{Args, ValueEnum};

use crate::schedule::ScheduleKind;
use crate::{OptimizerConfig, TrainConfig};

/// Puts a flag, if it was given, over a setting.
pub fn set<T: Clone>(setting: &mut T, flag: &Option<T>) {
    if let Some(value) = flag {
        setting.clone_from(value);
    }
}

/// `--optimizer`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)]
pub enum OptimizerName {
    Sgd,
    Adam,
    #[value(name = "adamw")]
    AdamW,
    #[value(name = "rmsprop")]
    RmsProp,
    Muon,
}

/// `--schedule`; others, and their settings, go in a `--config` file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ScheduleName {
    /// The same rate to the end
    Constant,
    /// Straight down to zero
    Linear,
    /// Half a cosine down to zero
    Cosine,
    /// Times 0.9 after every epoch
    Exponential,
    /// Halved when an evaluation brought nothing better
    Plateau,
}

/// Flags that go over a [`TrainConfig`]; what is not given stays as it is there.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Training")]
pub struct TrainingArgs {
    /// Passes over the training data
    #[arg(long, value_name = "N")]
    pub epochs: Option<f64>,
    /// Stop after so many seconds, if the epochs are not over before
    #[arg(long, value_name = "SECONDS")]
    pub max_seconds: Option<f64>,
    /// Optimiser, with PyTorch's defaults
    #[arg(long, value_name = "NAME")]
    pub optimizer: Option<OptimizerName>,
    /// Weight decay: of AdamW and Muon a part of each weight, times the learning rate, of the others a penalty
    #[arg(long, value_name = "X")]
    pub weight_decay: Option<f64>,
    /// Learning rate
    #[arg(long, value_name = "RATE")]
    pub learning_rate: Option<f64>,
    /// What becomes of the learning rate
    #[arg(long, value_name = "NAME")]
    pub schedule: Option<ScheduleName>,
    /// Steps over which the learning rate rises at the start
    #[arg(long, value_name = "N")]
    pub warmup_steps: Option<usize>,
    /// Largest Euclidean norm of the gradient; 0 for no limit
    #[arg(long, value_name = "NORM")]
    pub clip_norm: Option<f64>,
    /// Evaluate and keep a moving average of the weights, of which each step keeps this part; 0 for none
    #[arg(long, value_name = "PART")]
    pub moving_average: Option<f64>,
    /// Batches per update of the weights
    #[arg(long, value_name = "N")]
    pub accumulate: Option<usize>,
    /// Evaluate every so many steps [default: after each epoch]
    #[arg(long, value_name = "STEPS")]
    pub evaluate_every: Option<usize>,
    /// Write a checkpoint every so many steps [default: after each evaluation]
    #[arg(long, value_name = "STEPS")]
    pub checkpoint_every: Option<usize>,
    /// Checkpoints to keep
    #[arg(long, value_name = "N")]
    pub keep_last: Option<usize>,
    /// Stop after so many evaluations that brought nothing better
    #[arg(long, value_name = "N")]
    pub patience: Option<usize>,
}

impl TrainingArgs {
    /// Puts every flag that was given over `config`.
    pub fn apply(&self, config: &mut TrainConfig) {
        set(&mut config.epochs, &self.epochs);
        set(&mut config.schedule.learning_rate, &self.learning_rate);
        set(&mut config.schedule.warmup_steps, &self.warmup_steps);
        set(&mut config.accumulate, &self.accumulate);
        set(&mut config.keep_last, &self.keep_last);
        for (setting, flag) in [
            (&mut config.evaluate_every, self.evaluate_every),
            (&mut config.checkpoint_every, self.checkpoint_every),
            (&mut config.patience, self.patience),
        ] {
            *setting = flag.or(*setting);
        }
        config.max_seconds = self.max_seconds.or(config.max_seconds);
        if let Some(norm) = self.clip_norm {
            config.clip_norm = (norm != 0.0).then_some(norm);
        }
        if let Some(decay) = self.moving_average {
            config.moving_average = (decay != 0.0).then_some(decay);
        }
        if let Some(name) = self.optimizer {
            config.optimizer = match name {
                OptimizerName::Sgd => OptimizerConfig::sgd(),
                OptimizerName::Adam => OptimizerConfig::adam(),
                OptimizerName::AdamW => OptimizerConfig::adamw(),
                OptimizerName::RmsProp => OptimizerConfig::rmsprop(),
                OptimizerName::Muon => OptimizerConfig::muon(),
            };
        }
        set(config.optimizer.weight_decay_mut(), &self.weight_decay);
        if let Some(name) = self.schedule {
            config.schedule.kind = match name {
                ScheduleName::Constant => ScheduleKind::Constant,
                ScheduleName::Linear => ScheduleKind::Linear,
                ScheduleName::Cosine => ScheduleKind::Cosine { minimum: 0.0 },
                ScheduleName::Exponential => ScheduleKind::Exponential { gamma: 0.9 },
                ScheduleName::Plateau => {
                    ScheduleKind::ReduceOnPlateau { factor: 0.5, patience: 0, minimum: 0.0 }
                }
            };
        }
    }
}
