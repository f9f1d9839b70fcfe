//! Learning-rate schedules: a linear warm-up, then one of [`ScheduleKind`].

use app_kit::UsageError;
use serde::{Deserialize, Serialize};

use crate::measure::Measure;

/// How the learning rate changes over a run.
///
/// The rate is a pure function of the step and of the [`ScheduleState`], so that a resumed run
/// continues on the same curve.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct Schedule {
    /// The base rate, reached at the end of the warm-up.
    pub learning_rate: f64,
    /// Number of updates of the warm-up: update `s` (from 0) uses `(s + 1) / warmup_steps` of the
    /// rate.
    pub warmup_steps: usize,
    /// What happens after the warm-up.
    pub kind: ScheduleKind,
}

impl Default for Schedule {
    /// A constant 1e-3 without warm-up.
    fn default() -> Self {
        Self::constant(1e-3)
    }
}

/// The shape of a [`Schedule`] after its warm-up.
///
/// `Linear` and `Cosine` run from the end of the warm-up to the end of the run; the others count
/// the epochs and steps of the whole run, warm-up included.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq)]
#[serde(tag = "name", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ScheduleKind {
    /// The base rate to the end.
    Constant,
    /// Straight down to zero at the end of the run.
    Linear,
    /// Half a cosine from the base rate to `minimum` (Loshchilov & Hutter 2017, eq. 5 without
    /// restarts; `torch.optim.lr_scheduler.CosineAnnealingLR`).
    Cosine {
        /// The rate at the end of the run.
        #[serde(default)]
        minimum: f64,
    },
    /// Multiplied by `gamma` at regular intervals (`StepLR`).
    Step {
        /// The interval.
        every: Every,
        /// The factor at each interval.
        gamma: f64,
    },
    /// Multiplied by `gamma` after every epoch (`ExponentialLR`).
    Exponential {
        /// The factor per epoch.
        gamma: f64,
    },
    /// Multiplied by `factor` when what the training goes by, the evaluation loss or another
    /// [`Measure`], has not improved by at least 0.01 % for more than `patience` evaluations
    /// (`ReduceLROnPlateau` with its default threshold).
    ReduceOnPlateau {
        /// The factor of each reduction, between 0 and 1.
        factor: f64,
        /// Evaluations without improvement that are tolerated.
        patience: usize,
        /// The rate is never reduced below this.
        #[serde(default)]
        minimum: f64,
    },
}

/// The interval of [`ScheduleKind::Step`].
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Every {
    /// A number of epochs.
    Epochs(usize),
    /// A number of updates.
    Steps(usize),
}

/// What a schedule remembers between evaluations: the plateau's counters. Saved in checkpoints.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
pub struct ScheduleState {
    /// The best value so far. Written as text: JSON readers may round a number.
    #[serde(with = "as_text")]
    best: Option<f64>,
    /// Evaluations in a row that did not improve on it.
    bad: usize,
    /// How many times the rate was reduced.
    reductions: i32,
}

/// The part of the best value by which an evaluation must be better (PyTorch's `threshold`).
const IMPROVEMENT: f64 = 1e-4;

impl Schedule {
    /// The rate `learning_rate` from the first update to the last.
    pub fn constant(learning_rate: f64) -> Self {
        Self { learning_rate, warmup_steps: 0, kind: ScheduleKind::Constant }
    }

    /// Checks every value.
    ///
    /// # Errors
    /// Names the first value that makes no sense, and its range.
    pub fn validate(&self) -> Result<(), UsageError> {
        let rate = self.learning_rate;
        if !(rate > 0.0 && rate.is_finite()) {
            return Err(UsageError::new(format!("the learning rate must be a positive number, not {rate}")));
        }
        let minimum = match self.kind {
            ScheduleKind::Constant | ScheduleKind::Linear => 0.0,
            ScheduleKind::Cosine { minimum } => minimum,
            ScheduleKind::Step { every, gamma } => {
                if matches!(every, Every::Epochs(0) | Every::Steps(0)) {
                    return Err(UsageError::new("a step schedule needs an interval of at least 1"));
                }
                positive_factor("gamma", gamma)?
            }
            ScheduleKind::Exponential { gamma } => positive_factor("gamma", gamma)?,
            ScheduleKind::ReduceOnPlateau { factor, minimum, .. } => {
                positive_factor("factor", factor)?;
                minimum
            }
        };
        if !(0.0..=rate).contains(&minimum) {
            return Err(UsageError::new(format!(
                "the minimum rate must lie between 0 and the learning rate {rate}, not {minimum}"
            )));
        }
        Ok(())
    }

    /// The learning rate of update `step` (counted from 0) in a run of `total_steps` updates.
    pub fn rate(
        &self,
        step: usize,
        total_steps: usize,
        steps_per_epoch: usize,
        state: &ScheduleState,
    ) -> f64 {
        let base = self.learning_rate;
        let decaying = total_steps.saturating_sub(self.warmup_steps).max(1);
        let progress = (step.saturating_sub(self.warmup_steps) as f64 / decaying as f64).min(1.0);
        let epochs = |count: usize| step / steps_per_epoch.max(1) / count.max(1);
        let rate = match self.kind {
            ScheduleKind::Constant => base,
            ScheduleKind::Linear => base * (1.0 - progress),
            ScheduleKind::Cosine { minimum } => {
                let height = 0.5 * (1.0 + (std::f64::consts::PI * progress).cos());
                minimum + (base - minimum) * height
            }
            ScheduleKind::Step { every, gamma } => {
                let times = match every {
                    Every::Epochs(count) => epochs(count),
                    Every::Steps(count) => step / count.max(1),
                };
                base * power(gamma, times)
            }
            ScheduleKind::Exponential { gamma } => base * power(gamma, epochs(1)),
            ScheduleKind::ReduceOnPlateau { factor, minimum, .. } => {
                (base * factor.powi(state.reductions)).max(minimum)
            }
        };
        let warmup = match self.warmup_steps {
            steps if step < steps => (step + 1) as f64 / steps as f64,
            _ => 1.0,
        };
        rate * warmup
    }

    /// Tells the schedule the value of `measure`, the same one each time, in an evaluation. What is
    /// not a number counts as no improvement. Only [`ScheduleKind::ReduceOnPlateau`] listens.
    pub fn observe(&self, state: &mut ScheduleState, measure: Measure, value: f64) {
        let ScheduleKind::ReduceOnPlateau { patience, .. } = self.kind else {
            return;
        };
        if measure.is_better(value, state.best, IMPROVEMENT) {
            state.best = Some(value);
            state.bad = 0;
        } else {
            state.bad += 1;
        }
        if state.bad > patience {
            state.bad = 0;
            state.reductions = state.reductions.saturating_add(1);
        }
    }
}

fn power(base: f64, exponent: usize) -> f64 {
    base.powi(i32::try_from(exponent).unwrap_or(i32::MAX))
}

/// Zero (no minimum rate of its own) if `factor` lies in (0, 1].
fn positive_factor(name: &str, factor: f64) -> Result<f64, UsageError> {
    if !(factor > 0.0 && factor <= 1.0) {
        return Err(UsageError::new(format!(
            "the schedule's {name} must lie above 0 and not above 1, not {factor}"
        )));
    }
    Ok(0.0)
}

/// `f64` as decimal text: Rust prints the shortest text that reads back as the same bits.
mod as_text {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub fn serialize<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
        value.map(|v| v.to_string()).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| text.parse().map_err(D::Error::custom)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates<const N: usize>(schedule: &Schedule, steps: [usize; N]) -> [f64; N] {
        steps.map(|step| schedule.rate(step, 110, 20, &ScheduleState::default()))
    }

    fn assert_close<const N: usize>(actual: [f64; N], expected: [f64; N]) {
        for (a, e) in actual.iter().zip(expected) {
            assert!((a - e).abs() < 1e-12, "{actual:?} is not {expected:?}");
        }
    }

    fn schedule(kind: ScheduleKind) -> Schedule {
        Schedule { learning_rate: 0.8, warmup_steps: 10, kind }
    }

    #[test]
    fn the_warm_up_rises_in_equal_steps_from_above_zero_to_the_base_rate() {
        let constant = schedule(ScheduleKind::Constant);
        assert_close(rates(&constant, [0, 4, 9, 10, 500]), [0.08, 0.4, 0.8, 0.8, 0.8]);
    }

    #[test]
    fn linear_and_cosine_fall_from_the_end_of_the_warm_up_to_the_end_of_the_run() {
        let linear = schedule(ScheduleKind::Linear);
        assert_close(rates(&linear, [10, 60, 109, 110, 200]), [0.8, 0.4, 0.008, 0.0, 0.0]);
        let cosine = schedule(ScheduleKind::Cosine { minimum: 0.2 });
        assert_close(
            rates(&cosine, [10, 60, 110, 200, 35]),
            [0.8, 0.5, 0.2, 0.2, 0.2 + 0.3 * (1.0 + 0.5f64.sqrt())],
        );
    }

    #[test]
    fn step_and_exponential_count_whole_epochs_or_steps_of_the_run() {
        let epochs = schedule(ScheduleKind::Step { every: Every::Epochs(2), gamma: 0.1 });
        assert_close(rates(&epochs, [10, 39, 40, 79, 80]), [0.8, 0.8, 0.08, 0.08, 0.008]);
        let steps = schedule(ScheduleKind::Step { every: Every::Steps(15), gamma: 0.5 });
        assert_close(rates(&steps, [14, 15, 30]), [0.8, 0.4, 0.2]);
        let exponential = schedule(ScheduleKind::Exponential { gamma: 0.5 });
        assert_close(rates(&exponential, [19, 20, 59]), [0.8, 0.4, 0.2]);
    }

    #[test]
    fn a_plateau_longer_than_the_patience_reduces_the_rate_down_to_the_minimum() {
        let plateau = schedule(ScheduleKind::ReduceOnPlateau { factor: 0.5, patience: 1, minimum: 0.3 });
        let losses = [2.0, 1.0, 0.99999, 1.5, 0.9, f64::NAN, 0.9, 0.9, 0.9];
        let bleus = [20.0, 30.0, 30.0001, 25.0, 30.1, f64::NAN, 30.1, 30.1, 30.1];
        for (measure, values) in [(Measure::Loss, losses), (Measure::Quality("bleu"), bleus)] {
            let mut state = ScheduleState::default();
            let observed = values.map(|value| {
                plateau.observe(&mut state, measure, value);
                plateau.rate(50, 110, 20, &state)
            });
            assert_close(observed, [0.8, 0.8, 0.8, 0.4, 0.4, 0.4, 0.3, 0.3, 0.3]);
        }
    }

    #[test]
    fn schedule_and_state_come_back_from_their_files_the_same() {
        let kinds = [
            ScheduleKind::Constant,
            ScheduleKind::Cosine { minimum: 1e-5 },
            ScheduleKind::Step { every: Every::Epochs(3), gamma: 0.3 },
        ];
        for kind in kinds {
            let text = toml::to_string(&schedule(kind)).unwrap();
            assert_eq!(toml::from_str::<Schedule>(&text).unwrap(), schedule(kind), "{text}");
        }
        let state = ScheduleState { best: Some(1.0 / 3.0 + f64::EPSILON), bad: 2, reductions: 1 };
        let text = serde_json::to_string(&state).unwrap();
        assert_eq!(serde_json::from_str::<ScheduleState>(&text).unwrap(), state);
    }

    #[test]
    fn a_misspelt_key_or_a_senseless_value_is_an_error() {
        assert!(toml::from_str::<Schedule>("learning_rat = 0.1").is_err());
        assert!(toml::from_str::<Schedule>("kind = { name = \"cosine\", maximum = 1 }").is_err());
        assert!(Schedule::constant(f64::NAN).validate().is_err());
        assert!(schedule(ScheduleKind::Cosine { minimum: 0.9 }).validate().is_err());
        assert!(schedule(ScheduleKind::Exponential { gamma: 0.0 }).validate().is_err());
        assert!(Schedule::default().validate().is_ok());
    }
}
