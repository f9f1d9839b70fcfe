//! The training loop.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use app_kit::UsageError;
use app_kit::model_folder::METRICS;
use candle_core::{DType, Device};
use candle_rnn::Generator;
use serde::{Deserialize, Serialize};

use crate::checkpoint::{self, Best, Checkpoint, Running, TrainerState};
use crate::clip::clip;
use crate::curves;
use crate::files;
use crate::gradients::Gradients;
use crate::measure::Measure;
use crate::metrics_log::{Entry, MetricsLog};
use crate::moving_average::MovingAverage;
use crate::optimizer::{Optimizer, OptimizerConfig};
use crate::progress::{Progress, ProgressStyle};
use crate::run_folder::RunFolder;
use crate::schedule::{Schedule, ScheduleKind};
use crate::task::{Evaluation, Task};
use crate::tensorboard::EventWriter;

/// All settings of a training. A *step* is one update of the weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// How gradients become updates.
    pub optimizer: OptimizerConfig,
    /// The learning rate over the steps.
    pub schedule: Schedule,
    /// Passes over the training data; fractions are allowed.
    pub epochs: f64,
    /// Stop after so many seconds of training, if that comes before the epochs are over. The
    /// schedule is then stretched over the time instead of the epochs, so that a run is **not**
    /// reproducible bit by bit.
    pub max_seconds: Option<f64>,
    /// Scale the gradients of all parameters together down to this Euclidean norm, where it is
    /// larger ([Pascanu et al. 2013](https://arxiv.org/abs/1211.5063)).
    pub clip_norm: Option<f64>,
    /// Limit every component of the gradient to ± this value, before the norm is clipped.
    pub clip_value: Option<f64>,
    /// Evaluate a [moving average](MovingAverage) of the weights, of which each step keeps this part, above 0
    /// and below 1: 0.99 is a mean of about the last hundred steps. The models in `best/` and `last/` are of
    /// the averages; the task's weights and those of checkpoints are what the training goes on from. It has
    /// most to do where the learning rate does not fall to zero.
    pub moving_average: Option<f64>,
    /// Batches per step: their gradients are summed, then divided by the number of their items.
    pub accumulate: usize,
    /// Evaluate every so many steps, and at the end; without it, after each epoch.
    pub evaluate_every: Option<usize>,
    /// Write a checkpoint every so many steps, and at the end; without it, after each evaluation.
    pub checkpoint_every: Option<usize>,
    /// Write the training loss to the logs every so many steps.
    pub log_every: usize,
    /// Checkpoints to keep; older ones are removed.
    pub keep_last: usize,
    /// What [`RunFolder::best`], `patience` and [`ScheduleKind::ReduceOnPlateau`] go by: `"loss"`,
    /// the validation loss, or one of the task's [`quality_metrics`](Task::quality_metrics). A run
    /// keeps to it when it is resumed.
    pub monitor: String,
    /// Stop after so many evaluations in a row that were not the best so far by `monitor`.
    pub patience: Option<usize>,
    /// Seed of the generator that [`Task::loss`] gets.
    pub seed: u64,
}

impl Default for TrainConfig {
    /// Adam at 2·10⁻³ falling along a cosine, ten epochs, gradient norm 5, two checkpoints kept.
    fn default() -> Self {
        Self {
            optimizer: OptimizerConfig::adam(),
            schedule: Schedule { kind: ScheduleKind::Cosine { minimum: 0.0 }, ..Schedule::constant(2e-3) },
            epochs: 10.0,
            max_seconds: None,
            clip_norm: Some(5.0),
            clip_value: None,
            moving_average: None,
            accumulate: 1,
            evaluate_every: None,
            checkpoint_every: None,
            log_every: 10,
            keep_last: 2,
            monitor: Measure::Loss.name().to_owned(),
            patience: None,
            seed: 42,
        }
    }
}

impl TrainConfig {
    /// Checks that every setting makes sense by itself; whether the task has what `monitor` names,
    /// [`monitored`](Self::monitored) tells.
    ///
    /// # Errors
    /// Naming the first setting that does not.
    pub fn validate(&self) -> Result<(), UsageError> {
        let positive = |name: &str, value: Option<f64>| match value {
            Some(v) if !(v > 0.0 && v.is_finite()) => {
                Err(UsageError::new(format!("{name} must be above 0, not {v}")))
            }
            _ => Ok(()),
        };
        self.schedule.validate()?;
        positive("epochs", Some(self.epochs))?;
        positive("max_seconds", self.max_seconds)?;
        positive("clip_norm", self.clip_norm)?;
        positive("clip_value", self.clip_value)?;
        if let Some(decay) = self.moving_average
            && !(decay > 0.0 && decay < 1.0)
        {
            return Err(UsageError::new(format!("moving_average must be above 0 and below 1, not {decay}")));
        }
        for (name, value) in [
            ("accumulate", Some(self.accumulate)),
            ("evaluate_every", self.evaluate_every),
            ("checkpoint_every", self.checkpoint_every),
            ("log_every", Some(self.log_every)),
            ("keep_last", Some(self.keep_last)),
            ("patience", self.patience),
        ] {
            if value == Some(0) {
                return Err(UsageError::new(format!("{name} must be at least 1")));
            }
        }
        Ok(())
    }

    /// What `monitor` names.
    ///
    /// # Errors
    /// When `task` has no such measure; the message lists what it has.
    pub fn monitored(&self, task: &dyn Task) -> Result<Measure, UsageError> {
        let measures = Measure::all(task);
        measures.iter().find(|measure| measure.name() == self.monitor).copied().ok_or_else(|| {
            let names = measures.iter().map(|measure| measure.name()).collect::<Vec<_>>().join(" or ");
            UsageError::new(format!("monitor must be {names}, not {:?}", self.monitor))
        })
    }
}

/// Why a training ended without an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All epochs are done, or the time is over.
    Finished,
    /// What [`TrainConfig::monitor`] names has not improved for [`TrainConfig::patience`]
    /// evaluations.
    EarlyStopped,
    /// The stop flag was set. A checkpoint has been written; `resume` goes on from it.
    Interrupted,
}

impl Outcome {
    /// In one word, for machines.
    pub fn name(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::EarlyStopped => "early-stopped",
            Self::Interrupted => "interrupted",
        }
    }
}

/// What came out of a training.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Why it ended.
    pub outcome: Outcome,
    /// Steps done, including those before a resume.
    pub steps: usize,
    /// The best evaluation by what [`TrainConfig::monitor`] names; the model in `best/` is from
    /// there.
    pub best: Option<Best>,
    /// The best evaluation by each measure: `loss`, and the task's
    /// [`quality_metrics`](Task::quality_metrics).
    pub bests: BTreeMap<String, Best>,
    /// The latest evaluation; none if the training was interrupted before the first.
    pub last: Option<Evaluation>,
    /// Seconds spent in training, including those before a resume.
    pub seconds: f64,
}

/// Trains `task` until its epochs are over, patience is lost or `stop` becomes true.
///
/// With `resume`, goes on from the newest complete checkpoint in `run` (from the start if there is
/// none yet) and ends with the same weights, bit for bit, as if it had never stopped. Setting `stop`
/// finishes the current step, writes a checkpoint and `last/`, and returns
/// [`Outcome::Interrupted`]; how to resume is for the caller to tell.
///
/// # Errors
/// - settings that make no sense or do not fit the task or the run to resume, or a folder that
///   already holds checkpoints without `resume`;
/// - a loss, gradient or quality metric that is NaN or infinite: the message names the step, the
///   learning rate and the last good checkpoint. The weights are those before the bad step;
/// - a damaged checkpoint: the message names the file and says what to do;
/// - whatever the task and the file system report.
pub fn train(
    task: &mut dyn Task,
    config: &TrainConfig,
    run: &RunFolder,
    resume: bool,
    stop: &AtomicBool,
    progress: ProgressStyle,
) -> Result<Report> {
    config.validate()?;
    let _lock = run.lock()?;
    Trainer::new(task, config, run, resume, progress)?.run(stop)
}

/// Sums over the batches of one step.
struct StepResult {
    loss_sum: f64,
    count: usize,
    gradient_norm: f64,
}

struct Trainer<'a> {
    task: &'a mut dyn Task,
    config: &'a TrainConfig,
    folder: &'a RunFolder,
    optimizer: Optimizer,
    average: Option<MovingAverage>,
    generator: Generator,
    state: TrainerState,
    measures: Vec<Measure>,
    monitored: Measure,
    log: MetricsLog,
    events: EventWriter,
    progress: Progress,
    /// Steps until the epochs are over.
    total_steps: usize,
    steps_per_epoch: usize,
    clock: Instant,
    /// Seconds of training before this process.
    seconds_before: f64,
    last_checkpoint: Option<PathBuf>,
}

impl<'a> Trainer<'a> {
    fn new(
        task: &'a mut dyn Task,
        config: &'a TrainConfig,
        folder: &'a RunFolder,
        resume: bool,
        progress: ProgressStyle,
    ) -> Result<Self> {
        let (measures, monitored) = (Measure::all(task), config.monitored(task)?);
        for measure in &measures {
            files::recover_folder(&folder.best_by(measure.name()))?;
        }
        files::recover_folder(&folder.best())?;
        files::recover_folder(&folder.last())?;
        let batches = task.steps_per_epoch();
        ensure!(batches > 0, "there is not enough training data for a single batch");
        let steps_per_epoch = batches.div_ceil(config.accumulate);
        let total_batches = config.epochs * batches as f64;
        let total_steps = (total_batches / config.accumulate as f64).ceil().max(1.0) as usize;

        let optimizer = Optimizer::new(&config.optimizer, task.parameters().named())?;
        let mut optimizer = optimizer.with_rate_factors(|name| task.rate_factor(name));
        let newest = checkpoint::newest(&folder.checkpoints())?;
        let (generator, state, saved_average) = match &newest {
            Some(path) if !resume => bail!(
                "{} already holds checkpoints; resume it with --resume or choose another --out",
                path.parent().unwrap_or(path).display()
            ),
            Some(path) => {
                let saved = checkpoint::load(path, task.parameters().device())?;
                ensure!(
                    saved.state.monitor == config.monitor,
                    "{} goes by its {monitor}: resume it with monitor = {monitor:?}, or start a new run \
                     to go by {}",
                    folder.path().display(),
                    config.monitor,
                    monitor = saved.state.monitor
                );
                let advice = || checkpoint::advice(path);
                task.parameters().assign(&saved.weights).with_context(advice)?;
                optimizer.load_state(&saved.optimizer).with_context(advice)?;
                task.seek(&saved.position).with_context(advice)?;
                (saved.generator, saved.state, saved.average)
            }
            None => {
                let state = TrainerState { monitor: config.monitor.clone(), ..TrainerState::default() };
                (Generator::new(config.seed), state, None)
            }
        };
        let averaged = |decay| MovingAverage::new(decay, &task.parameters().named());
        let average = config.moving_average.map(averaged).transpose()?;
        // A run that had none begins it here, and one that has none any more drops it.
        if let (Some(average), Some(saved), Some(path)) = (&average, &saved_average, &newest) {
            average.load(saved).with_context(|| checkpoint::advice(path))?;
        }
        let log = MetricsLog::open(&folder.metrics(), state.step)?;
        let events = EventWriter::create(folder.path(), state.step)?;
        let mut progress = Progress::new(progress, total_steps, config.max_seconds, task.unit(), monitored);
        progress.start(state.step, state.seconds, resume);
        Ok(Self {
            seconds_before: state.seconds,
            task,
            config,
            folder,
            optimizer,
            average,
            generator,
            state,
            measures,
            monitored,
            log,
            events,
            progress,
            total_steps,
            steps_per_epoch,
            clock: Instant::now(),
            last_checkpoint: newest,
        })
    }

    fn run(mut self, stop: &AtomicBool) -> Result<Report> {
        let evaluate_every = self.config.evaluate_every.unwrap_or(self.steps_per_epoch);
        let checkpoint_every = self.config.checkpoint_every.unwrap_or(evaluate_every);
        let outcome = loop {
            // The order matters for a resumed run: all that belongs to a step is done before its
            // checkpoint is written, and the reasons to stop are looked at after it.
            let finished = self.is_finished();
            let due = self.state.step.is_multiple_of(evaluate_every) || finished;
            if due && self.state.step > 0 && self.state.evaluated_at != Some(self.state.step) {
                self.evaluate()?;
            }
            let lost_patience = self
                .config
                .patience
                .is_some_and(|patience| self.state.evaluations_without_improvement >= patience);
            let outcome = if finished {
                Some(Outcome::Finished)
            } else if lost_patience {
                Some(Outcome::EarlyStopped)
            } else if stop.load(Ordering::Relaxed) {
                Some(Outcome::Interrupted)
            } else {
                None
            };
            let due = self.state.step.is_multiple_of(checkpoint_every) && self.state.step > 0;
            if (due || outcome.is_some()) && self.checkpoint_step() != Some(self.state.step) {
                self.save_checkpoint()?;
            }
            match outcome {
                Some(outcome) => break outcome,
                None => self.step()?,
            }
        };
        self.with_average(|trainer| {
            let (task, state) = (&*trainer.task, &trainer.state);
            let evaluation = state.last.as_ref().filter(|_| state.evaluated_at == Some(state.step));
            files::replace_folder(&trainer.folder.last(), |folder| {
                task.save_model(folder)?;
                write_metrics(folder, state.step, evaluation)
            })
        })?;
        self.draw_curves()?;
        self.progress.finish();
        Ok(Report {
            outcome,
            steps: self.state.step,
            best: self.state.bests.get(self.monitored.name()).copied(),
            bests: self.state.bests,
            last: self.state.last,
            seconds: self.state.seconds,
        })
    }

    /// One update of the weights.
    fn step(&mut self) -> Result<()> {
        let rate = self.config.schedule.rate(
            self.state.step,
            self.expected_steps(),
            self.steps_per_epoch,
            &self.state.schedule,
        );
        let (mut gradients, mut result) = self.accumulate(rate)?;
        // Of before any clipping, which could hide an infinite component.
        result.gradient_norm = clip(&mut gradients, self.config.clip_value, self.config.clip_norm)?;
        self.check("gradient norm", result.gradient_norm, self.state.step + 1, rate)?;
        self.optimizer.step(&gradients, rate)?;

        self.state.step += 1;
        if let Some(average) = &self.average {
            average.update(&self.task.parameters().named(), self.state.step)?;
        }
        self.state.seconds = self.seconds_before + self.clock.elapsed().as_secs_f64();
        self.state.running.add(result.loss_sum, result.count);
        self.progress.step(
            self.state.step,
            self.state.seconds,
            result.loss_sum / result.count as f64,
            result.count,
        );
        if self.state.step.is_multiple_of(self.config.log_every) {
            let running = std::mem::take(&mut self.state.running);
            let entry = Entry::Train {
                step: self.state.step,
                loss: running.mean(),
                learning_rate: rate,
                gradient_norm: result.gradient_norm,
                items: running.count,
                seconds: self.state.seconds,
            };
            self.events.write(&entry)?;
            self.log.append(entry)?;
        }
        Ok(())
    }

    /// The gradient of the mean loss over the items of all batches of a step.
    fn accumulate(&mut self, rate: f64) -> Result<(Gradients, StepResult)> {
        let variables = self.task.parameters().named();
        let mut result = StepResult { loss_sum: 0.0, count: 0, gradient_norm: 0.0 };
        let mut total: Option<Gradients> = None;
        for _ in 0..self.config.accumulate {
            let loss = self.task.loss(&mut self.generator)?;
            let sum = loss.sum.to_device(&Device::Cpu)?.to_dtype(DType::F64)?.to_scalar::<f64>()?;
            self.check("loss", sum, self.state.step + 1, rate)?;
            result.loss_sum += sum;
            result.count += loss.count;
            // A single batch is divided inside the graph, which costs nothing.
            let loss = if self.config.accumulate == 1 && loss.count > 0 {
                (loss.sum / loss.count as f64)?
            } else {
                loss.sum
            };
            let gradients = Gradients::of(&loss, &variables)?;
            match &mut total {
                Some(total) => total.add(&gradients)?,
                None => total = Some(gradients),
            }
        }
        let mut total = total.context("a step needs at least one batch")?;
        ensure!(result.count > 0, "the batch of step {} has no items", self.state.step + 1);
        if self.config.accumulate > 1 {
            total.scale(1.0 / result.count as f64);
        }
        Ok((total, result))
    }

    /// `work` while the weights are their moving average, if there is one.
    fn with_average<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let exchange = |trainer: &Self| match &trainer.average {
            Some(average) => average.exchange(&trainer.task.parameters().named()),
            None => Ok(()),
        };
        exchange(self)?;
        let result = work(self);
        exchange(self)?;
        result
    }

    fn evaluate(&mut self) -> Result<()> {
        let position = self.task.position()?;
        self.progress.evaluating();
        let step = self.state.step;
        let rate = self.config.schedule.rate(
            step.saturating_sub(1),
            self.expected_steps(),
            self.steps_per_epoch,
            &self.state.schedule,
        );
        let (evaluation, improved) = self.with_average(|trainer| {
            let evaluation = trainer.task.evaluate()?;
            for &measure in &trainer.measures {
                let value = measure.value(&evaluation)?;
                trainer.check(&format!("validation {measure}"), value, step, rate)?;
            }
            let improved = trainer.keep_bests(&evaluation)?;
            Ok((evaluation, improved))
        })?;
        self.task.seek(&position)?;
        let value = self.monitored.value(&evaluation)?;
        self.config.schedule.observe(&mut self.state.schedule, self.monitored, value);
        if improved.contains(&self.monitored) {
            self.state.evaluations_without_improvement = 0;
        } else {
            self.state.evaluations_without_improvement += 1;
        }
        self.state.seconds = self.seconds_before + self.clock.elapsed().as_secs_f64();
        let entry = Entry::Validation {
            step,
            loss: evaluation.loss,
            metrics: evaluation.metrics.clone(),
            seconds: self.state.seconds,
        };
        self.events.write(&entry)?;
        self.log.append(entry)?;
        self.progress.evaluated(step, &evaluation, &improved);
        self.state.last = Some(evaluation);
        self.state.evaluated_at = Some(step);
        self.draw_curves()
    }

    /// Saves the model in the folder of each measure by which it is the best so far; returns these.
    fn keep_bests(&mut self, evaluation: &Evaluation) -> Result<Vec<Measure>> {
        let (task, step) = (&*self.task, self.state.step);
        let mut improved = Vec::new();
        for &measure in &self.measures {
            let value = measure.value(evaluation)?;
            let best = self.state.bests.get(measure.name()).map(|best| best.value);
            if !measure.is_better(value, best, 0.0) {
                continue;
            }
            self.state.bests.insert(measure.name().to_owned(), Best { step, value });
            let folder = match measure == self.monitored {
                true => self.folder.best(),
                false => self.folder.best_by(measure.name()),
            };
            files::replace_folder(&folder, |folder| {
                task.save_model(folder)?;
                write_metrics(folder, step, Some(evaluation))
            })?;
            improved.push(measure);
        }
        Ok(improved)
    }

    fn save_checkpoint(&mut self) -> Result<()> {
        let weights = self.task.parameters().named();
        let saved = Checkpoint {
            weights: weights
                .into_iter()
                .map(|(name, variable)| (name, variable.as_tensor().clone()))
                .collect(),
            optimizer: self.optimizer.state()?,
            average: self.average.as_ref().map(MovingAverage::tensors),
            position: self.task.position()?,
            generator: self.generator.clone(),
            state: self.state.clone(),
        };
        let folder = self.folder.checkpoints();
        self.last_checkpoint = Some(checkpoint::save(&folder, &saved)?);
        checkpoint::prune(&folder, self.config.keep_last)
    }

    fn checkpoint_step(&self) -> Option<usize> {
        self.last_checkpoint.as_deref().and_then(checkpoint::step_of)
    }

    fn draw_curves(&self) -> Result<()> {
        curves::draw(&self.folder.curves(), self.log.entries(), self.task.quality_metrics())
    }

    fn is_finished(&self) -> bool {
        self.state.step >= self.total_steps
            || self.config.max_seconds.is_some_and(|limit| self.state.seconds >= limit)
    }

    /// The steps that the schedule is stretched over: those of all epochs or, under a time limit,
    /// those that will have been done when the time is over, at the pace so far.
    fn expected_steps(&self) -> usize {
        match self.config.max_seconds {
            Some(limit) if self.state.step > 0 => {
                let steps = self.state.step as f64 * limit / self.state.seconds.max(1e-3);
                (steps.ceil() as usize).clamp(self.state.step + 1, self.total_steps.max(self.state.step + 1))
            }
            _ => self.total_steps,
        }
    }

    /// Stops the training if `value` is NaN or infinite; an update that gave it is not applied.
    fn check(&self, what: &str, value: f64, step: usize, rate: f64) -> Result<()> {
        if value.is_finite() {
            return Ok(());
        }
        let advice = match &self.last_checkpoint {
            Some(path) => format!("the last good checkpoint is {}", path.display()),
            None => "no checkpoint had been written yet".to_owned(),
        };
        bail!(
            "the {what} is {value} at step {step} with learning rate {rate:.3e}; {advice}. \
             A lower learning rate or a smaller gradient norm (clip_norm) usually helps"
        )
    }
}

/// `metrics.json` of a model folder: the step it is from and how good it is.
fn write_metrics(folder: &Path, step: usize, evaluation: Option<&Evaluation>) -> Result<()> {
    #[derive(Serialize)]
    struct Metrics<'a> {
        step: usize,
        #[serde(flatten)]
        evaluation: Option<&'a Evaluation>,
    }
    let text = serde_json::to_string_pretty(&Metrics { step, evaluation })?;
    std::fs::write(folder.join(METRICS), text + "\n")?;
    Ok(())
}

impl Running {
    fn add(&mut self, sum: f64, count: usize) {
        self.sum += sum;
        self.count += count;
    }

    fn mean(&self) -> f64 {
        self.sum / self.count.max(1) as f64
    }
}
