//! The training loop as an application sees it, on a recurrent task of five numbers.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use candle_core::{DType, Device, Tensor};
use candle_nn::init::Init;
use candle_rnn::{Generator, LossSum, Parameters};
use rnn_train::checkpoint;
use rnn_train::{
    Best, Evaluation, OptimizerConfig, Outcome, Position, ProgressStyle, Report, RunFolder, Schedule, Task,
    TrainConfig, train,
};

/// Follow a wave with `h ← tanh(w h + u x + noise)`, `y = v·h`, the state carried over the batches.
struct Follow<'a> {
    parameters: Parameters,
    w: Tensor,
    u: Tensor,
    v: Tensor,
    state: Tensor,
    batch: usize,
    /// Set by the batch of this number: the interruption of a test.
    interrupt: Option<(usize, &'a AtomicBool)>,
    /// The batch of this number has a loss of NaN.
    poison: Option<usize>,
    /// The losses that the evaluations return, instead of the truth.
    scripted: Vec<f64>,
    /// The same for the metric `score`.
    scores: Vec<f64>,
    /// What every evaluation returns as the metric `root`, instead of the truth.
    root: Option<f64>,
    quality: &'static [&'static str],
    evaluations: Cell<usize>,
}

impl<'a> Follow<'a> {
    fn new() -> Result<Self> {
        let parameters = Parameters::new(1, DType::F32, &Device::Cpu);
        let builder = parameters.builder();
        let weight = |name, size| builder.get_with_hints((2, size), name, Init::Const(0.3));
        Ok(Self {
            w: weight("w", 2)?,
            u: weight("u", 1)?,
            v: weight("v", 1)?,
            state: Tensor::zeros((1, 2), DType::F32, &Device::Cpu)?,
            batch: 0,
            interrupt: None,
            poison: None,
            scripted: Vec::new(),
            scores: Vec::new(),
            root: None,
            quality: &[],
            evaluations: Cell::new(0),
            parameters,
        })
    }

    fn bits(&self) -> Result<BTreeMap<String, Vec<u32>>> {
        bits(self.parameters.tensors())
    }

    fn forward(&self, state: &Tensor, t: usize, noise: f64) -> Result<(Tensor, Tensor)> {
        let (x, target) = ((t as f64 * 0.7).sin(), (t as f64 * 0.7 + 0.7).sin());
        let state = (state.matmul(&self.w.t()?)? + ((self.u.t()? * x)? + noise)?)?.tanh()?;
        let error = (state.matmul(&self.v)? - target)?.sqr()?.sum_all()?;
        Ok((error, state))
    }
}

impl Task for Follow<'_> {
    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn steps_per_epoch(&self) -> usize {
        10
    }

    fn loss(&mut self, generator: &mut Generator) -> Result<LossSum> {
        let (mut sum, mut state) = (Tensor::zeros((), DType::F32, &Device::Cpu)?, self.state.clone());
        for t in self.batch * 3..self.batch * 3 + 3 {
            let (error, next) = self.forward(&state, t, 0.01 * generator.normal())?;
            (sum, state) = ((sum + error)?, next);
        }
        if self.poison == Some(self.batch) {
            sum = (sum * f64::NAN)?;
        }
        self.state = state.detach();
        self.batch += 1;
        if let Some((batch, flag)) = self.interrupt
            && self.batch == batch
        {
            flag.store(true, Ordering::Relaxed);
        }
        Ok(LossSum { sum, count: 3 })
    }

    fn evaluate(&mut self) -> Result<Evaluation> {
        // An evaluation that uses the same state as the training: the trainer must restore it.
        let mut loss = 0.0;
        self.state = self.state.zeros_like()?;
        self.batch = 0;
        for t in 0..20 {
            let (error, next) = self.forward(&self.state, t, 0.0)?;
            loss += f64::from(error.to_scalar::<f32>()?) / 20.0;
            self.state = next.detach();
        }
        // Rises and falls while the loss falls, so that the best model by it is another one.
        let score = self.scores.get(self.evaluations.get()).copied().unwrap_or((40.0 * loss).sin());
        let metrics = [("root", self.root.unwrap_or(loss.sqrt())), ("score", score)];
        let metrics = metrics.map(|(name, value)| (name.to_owned(), value)).into();
        let scripted = self.scripted.get(self.evaluations.get()).copied();
        self.evaluations.set(self.evaluations.get() + 1);
        Ok(Evaluation { loss: scripted.unwrap_or(loss), metrics })
    }

    fn quality_metrics(&self) -> &[&'static str] {
        self.quality
    }

    fn position(&self) -> Result<Position> {
        let tensors = HashMap::from([("state".to_owned(), self.state.clone())]);
        Ok(Position { tensors, meta: self.batch.into() })
    }

    fn seek(&mut self, position: &Position) -> Result<()> {
        self.state = position.tensors.get("state").context("no state")?.clone();
        self.batch = position.meta.as_u64().context("no batch")? as usize;
        Ok(())
    }

    fn save_model(&self, folder: &Path) -> Result<()> {
        let tensors = self.parameters.tensors();
        Ok(candle_core::safetensors::save(&tensors, folder.join("model.safetensors"))?)
    }
}

fn config() -> TrainConfig {
    TrainConfig {
        epochs: 4.0,
        evaluate_every: Some(7),
        checkpoint_every: Some(4),
        log_every: 3,
        ..TrainConfig::default()
    }
}

fn go(task: &mut Follow, config: &TrainConfig, run: &RunFolder, resume: bool) -> Result<Report> {
    static NEVER: AtomicBool = AtomicBool::new(false);
    let stop = task.interrupt.map_or(&NEVER, |(_, flag)| flag);
    train(task, config, run, resume, stop, ProgressStyle::Hidden)
}

/// The bits of weights by name.
fn bits(weights: HashMap<String, Tensor>) -> Result<BTreeMap<String, Vec<u32>>> {
    let bits = |(name, tensor): (String, Tensor)| {
        let values = tensor.flatten_all()?.to_vec1::<f32>()?;
        Ok((name, values.into_iter().map(f32::to_bits).collect()))
    };
    weights.into_iter().map(bits).collect()
}

/// The log without what depends on the clock.
fn log(run: &RunFolder) -> Result<Vec<serde_json::Value>> {
    let text = fs::read_to_string(run.metrics())?;
    let lines = text.lines().map(|line| {
        let mut line: serde_json::Value = serde_json::from_str(line)?;
        line.as_object_mut().context("not an object")?.remove("seconds");
        Ok(line)
    });
    lines.collect()
}

#[test]
fn a_training_that_was_interrupted_ends_with_the_same_bits_as_one_that_was_not() -> Result<()> {
    let optimizers = [
        OptimizerConfig::sgd(),
        OptimizerConfig::adam(),
        OptimizerConfig::adamw(),
        OptimizerConfig::rmsprop(),
        OptimizerConfig::muon(),
    ];
    let averages = [None, Some(0.9), None, None, Some(0.5)];
    for ((optimizer, accumulate), moving_average) in optimizers.into_iter().zip([1, 1, 2, 1, 1]).zip(averages)
    {
        let config = TrainConfig { optimizer, accumulate, moving_average, ..config() };
        let temporary = tempfile::tempdir()?;
        let whole = RunFolder::create(temporary.path().join("whole"), false)?;
        let mut reference = Follow::new()?;
        let expected = go(&mut reference, &config, &whole, false)?;
        assert_eq!(expected.outcome, Outcome::Finished);
        assert_eq!(expected.steps, 40 / accumulate);

        // Stopped twice, each time with a fresh process' worth of state.
        let parts = RunFolder::create(temporary.path().join("parts"), false)?;
        for (resume, batch) in [(false, 5 * accumulate), (true, 14)] {
            let stop = AtomicBool::new(false);
            let mut task = Follow { interrupt: Some((batch, &stop)), ..Follow::new()? };
            let report = go(&mut task, &config, &parts, resume)?;
            assert_eq!(report.outcome, Outcome::Interrupted);
            assert_eq!(report.steps, batch / accumulate);
        }
        let mut task = Follow::new()?;
        let report = go(&mut task, &config, &parts, true)?;
        assert_eq!(task.bits()?, reference.bits()?);
        assert_eq!(Report { seconds: 0.0, ..report }, Report { seconds: 0.0, ..expected.clone() });
        assert_eq!(log(&parts)?, log(&whole)?);
        let last = |run: &RunFolder| {
            bits(candle_core::safetensors::load(run.last().join("model.safetensors"), &Device::Cpu)?)
        };
        assert_eq!(last(&parts)?, last(&whole)?);
        // The model is of the average, from which the training does not go on.
        assert_eq!(last(&whole)? == reference.bits()?, moving_average.is_none());

        // Resuming what is finished changes nothing and still has the report.
        let report = go(&mut Follow::new()?, &config, &parts, true)?;
        assert_eq!(Report { seconds: 0.0, ..report }, Report { seconds: 0.0, ..expected });
    }
    Ok(())
}

#[test]
fn a_training_that_was_killed_goes_on_from_its_newest_checkpoint_with_the_same_bits() -> Result<()> {
    let temporary = tempfile::tempdir()?;
    let whole = RunFolder::create(temporary.path().join("whole"), false)?;
    let mut reference = Follow::new()?;
    go(&mut reference, &config(), &whole, false)?;

    let killed = RunFolder::create(temporary.path().join("killed"), false)?;
    let mut task = Follow { poison: Some(26), ..Follow::new()? };
    assert!(go(&mut task, &config(), &killed, false).is_err());
    // A write that did not come to its end.
    let partial = killed.checkpoints().join(".step-000028.new");
    fs::create_dir_all(&partial)?;
    fs::write(partial.join("weights.safetensors"), "half")?;
    let mut task = Follow::new()?;
    go(&mut task, &config(), &killed, true)?;
    assert_eq!(task.bits()?, reference.bits()?);
    assert_eq!(log(&killed)?, log(&whole)?);
    assert!(!partial.exists());

    // Killed before the first checkpoint: from the start.
    let early = RunFolder::create(temporary.path().join("early"), false)?;
    let mut task = Follow { poison: Some(2), ..Follow::new()? };
    assert!(go(&mut task, &config(), &early, false).is_err());
    let mut task = Follow::new()?;
    go(&mut task, &config(), &early, true)?;
    assert_eq!(task.bits()?, reference.bits()?);
    Ok(())
}

#[test]
fn a_loss_that_is_not_a_number_stops_with_step_rate_and_the_last_good_checkpoint() -> Result<()> {
    let temporary = tempfile::tempdir()?;
    let run = RunFolder::create(temporary.path(), false)?;
    let config = TrainConfig { schedule: Schedule::constant(0.01), ..config() };
    let mut task = Follow { poison: Some(10), ..Follow::new()? };
    let message = go(&mut task, &config, &run, false).unwrap_err().to_string();
    for part in ["loss is NaN", "step 11", "1.000e-2", "step-000008"] {
        assert!(message.contains(part), "{message} does not say {part}");
    }
    let weights = task.bits()?;
    assert!(weights.values().flatten().all(|&bits| f32::from_bits(bits).is_finite()));
    Ok(())
}

#[test]
fn a_metric_that_no_model_is_chosen_by_may_be_infinite_or_no_number_and_the_run_is_resumed() -> Result<()> {
    for root in [f64::INFINITY, f64::NAN] {
        let temporary = tempfile::tempdir()?;
        let run = RunFolder::create(temporary.path(), false)?;
        let stop = AtomicBool::new(false);
        let mut task = Follow { interrupt: Some((9, &stop)), root: Some(root), ..Follow::new()? };
        assert_eq!(go(&mut task, &config(), &run, false)?.steps, 9);
        let report = go(&mut Follow { root: Some(root), ..Follow::new()? }, &config(), &run, true)?;
        assert_eq!((report.outcome, report.steps), (Outcome::Finished, 40));

        let evaluations: Vec<_> =
            log(&run)?.into_iter().filter(|line| line["kind"] == "validation").collect();
        assert_eq!(evaluations.len(), 6);
        let root = root.to_string();
        assert!(evaluations.iter().all(|line| line["metrics"]["root"] == root));
        // Finished: what is known of the last evaluation comes from its checkpoint.
        let last = go(&mut Follow::new()?, &config(), &run, true)?.last.context("no evaluation")?;
        assert_eq!(last.metrics["root"].to_string(), root.to_string());
    }
    Ok(())
}

#[test]
fn a_training_that_no_longer_improves_stops_and_keeps_its_best_model() -> Result<()> {
    let temporary = tempfile::tempdir()?;
    let run = RunFolder::create(temporary.path(), false)?;
    let config = TrainConfig { patience: Some(2), ..config() };
    let mut task = Follow { scripted: vec![3.0, 1.0, 2.0, 1.0, 0.5], ..Follow::new()? };
    let report = go(&mut task, &config, &run, false)?;
    assert_eq!(report.outcome, Outcome::EarlyStopped);
    assert_eq!((report.steps, report.best), (28, Some(Best { step: 14, value: 1.0 })));
    let metrics = fs::read_to_string(run.best().join("metrics.json"))?;
    let metrics: serde_json::Value = serde_json::from_str(&metrics)?;
    assert_eq!((&metrics["step"], &metrics["loss"]), (&14.into(), &1.0.into()));
    assert!(run.best().join("model.safetensors").exists());
    assert_ne!(
        fs::read(run.best().join("model.safetensors"))?,
        fs::read(run.last().join("model.safetensors"))?
    );
    // Resuming does not go on, unless the patience is raised.
    let report = go(&mut Follow::new()?, &config, &run, true)?;
    assert_eq!((report.outcome, report.steps), (Outcome::EarlyStopped, 28));
    let config = TrainConfig { patience: None, ..config };
    assert_eq!(go(&mut Follow::new()?, &config, &run, true)?.steps, 40);
    Ok(())
}

/// The step in a model folder's metrics.json, and the bytes of its weights.
fn kept(folder: &Path) -> Result<(u64, Vec<u8>)> {
    let metrics: serde_json::Value = serde_json::from_slice(&fs::read(folder.join("metrics.json"))?)?;
    Ok((metrics["step"].as_u64().context("no step")?, fs::read(folder.join("model.safetensors"))?))
}

fn best_folders(run: &RunFolder) -> Result<Vec<String>> {
    let names = fs::read_dir(run.path())?.map(|e| Ok(e?.file_name().into_string().unwrap_or_default()));
    let mut names = names.collect::<Result<Vec<_>>>()?;
    names.retain(|name| name.contains("best"));
    names.sort();
    Ok(names)
}

#[test]
fn a_training_that_goes_by_a_metric_of_quality_stops_by_it_and_keeps_the_best_by_the_loss_too() -> Result<()>
{
    let temporary = tempfile::tempdir()?;
    let run = RunFolder::create(temporary.path(), false)?;
    let config = TrainConfig { patience: Some(2), monitor: "score".into(), ..config() };
    let scripted = || -> Result<Follow> {
        let (losses, scores) = (vec![3.0, 2.0, 1.0, 2.0, 1.5], vec![10.0, 30.0, 20.0, 30.0, 99.0]);
        Ok(Follow { scripted: losses, scores, quality: &["score"], ..Follow::new()? })
    };
    let report = go(&mut scripted()?, &config, &run, false)?;
    assert_eq!((report.outcome, report.steps), (Outcome::EarlyStopped, 28));
    let by_score = Best { step: 14, value: 30.0 };
    assert_eq!(report.best, Some(by_score));
    let bests = [("loss", Best { step: 21, value: 1.0 }), ("score", by_score)];
    assert_eq!(report.bests, bests.map(|(name, best)| (name.to_owned(), best)).into());
    assert_eq!(best_folders(&run)?, ["best", "best-loss"]);
    let (best, by_loss) = (kept(&run.best())?, kept(&run.best_by("loss"))?);
    assert_eq!((best.0, by_loss.0), (14, 21));
    assert_ne!(best.1, by_loss.1);
    assert!(fs::read_to_string(run.curves())?.contains("score"));

    // The same evaluations, judged by their loss.
    RunFolder::create(temporary.path(), true)?;
    assert_eq!(best_folders(&run)?, [""; 0]);
    let config = TrainConfig { monitor: "loss".into(), ..config };
    let report = go(&mut scripted()?, &config, &run, false)?;
    assert_eq!((report.outcome, report.steps), (Outcome::EarlyStopped, 35));
    assert_eq!(report.best, Some(Best { step: 21, value: 1.0 }));
    assert_eq!(best_folders(&run)?, ["best", "best-score"]);
    assert_eq!((kept(&run.best())?.0, kept(&run.best_by("score"))?.0), (21, 35));
    Ok(())
}

#[test]
fn a_resumed_training_has_the_same_best_models_by_every_measure() -> Result<()> {
    let temporary = tempfile::tempdir()?;
    let config = TrainConfig { monitor: "score".into(), ..config() };
    let follow = || -> Result<Follow> { Ok(Follow { quality: &["score"], ..Follow::new()? }) };
    let whole = RunFolder::create(temporary.path().join("whole"), false)?;
    let expected = go(&mut follow()?, &config, &whole, false)?;
    let steps: Vec<_> = expected.bests.values().map(|best| best.step).collect();
    assert!(steps[0] != steps[1], "{steps:?} are the same model");

    // Killed after an evaluation that no checkpoint has yet, while a folder was being replaced.
    let parts = RunFolder::create(temporary.path().join("parts"), false)?;
    for (resume, poison) in [(false, 23), (true, 36)] {
        assert!(go(&mut Follow { poison: Some(poison), ..follow()? }, &config, &parts, resume).is_err());
        fs::rename(parts.best_by("loss"), parts.path().join(".best-loss.old"))?;
        fs::create_dir(parts.path().join(".best-loss.new"))?;
    }
    let report = go(&mut follow()?, &config, &parts, true)?;
    assert_eq!(Report { seconds: 0.0, ..report }, Report { seconds: 0.0, ..expected });
    assert_eq!(best_folders(&parts)?, ["best", "best-loss"]);
    assert_eq!(kept(&parts.best())?, kept(&whole.best())?);
    assert_eq!(kept(&parts.best_by("loss"))?, kept(&whole.best_by("loss"))?);

    let config = TrainConfig { monitor: "loss".into(), ..config };
    let message = go(&mut follow()?, &config, &parts, true).unwrap_err().to_string();
    assert!(message.contains("goes by its score") && message.contains("new run"), "{message}");
    Ok(())
}

#[test]
fn a_measure_that_the_task_lacks_or_that_is_not_a_number_is_an_error_that_names_it() -> Result<()> {
    let temporary = tempfile::tempdir()?;
    let run = RunFolder::create(temporary.path(), false)?;
    let by = |monitor: &str| TrainConfig { monitor: monitor.into(), ..config() };
    for (quality, monitor, complaint) in [
        (&[][..], "root", r#"monitor must be loss, not "root""#),
        (&["score", "bleu"], "root", r#"monitor must be loss or score or bleu, not "root""#),
        (&["bleu"], "loss", "no metric bleu"),
    ] {
        let message = go(&mut Follow { quality, ..Follow::new()? }, &by(monitor), &run, false);
        let message = message.unwrap_err().to_string();
        assert!(message.contains(complaint), "{message}");
        assert!(checkpoint::newest(&run.checkpoints())?.is_none_or(|path| path.ends_with("step-000004")));
        RunFolder::create(temporary.path(), true)?;
    }
    let mut task = Follow { scores: vec![1.0, f64::NAN], quality: &["score"], ..Follow::new()? };
    let message = go(&mut task, &by("score"), &run, false).unwrap_err().to_string();
    for part in ["validation score is NaN at step 14", "step-000012"] {
        assert!(message.contains(part), "{message} does not say {part}");
    }
    Ok(())
}

#[test]
fn a_run_leaves_logs_curves_and_the_last_checkpoints_and_refuses_to_start_over() -> Result<()> {
    let temporary = tempfile::tempdir()?;
    let run = RunFolder::create(temporary.path(), false)?;
    let config = TrainConfig { keep_last: 3, ..config() };
    let report = go(&mut Follow::new()?, &config, &run, false)?;
    let steps: Vec<_> =
        checkpoint::list(&run.checkpoints())?.iter().filter_map(|path| checkpoint::step_of(path)).collect();
    assert_eq!(steps, [32, 36, 40]);
    assert!(fs::read_to_string(run.curves())?.contains("validation"));
    let names = fs::read_dir(run.path())?.map(|e| Ok(e?.file_name().into_string().unwrap_or_default()));
    let names = names.collect::<std::io::Result<Vec<_>>>()?;
    assert_eq!(names.iter().filter(|name| name.starts_with("events.out.tfevents.")).count(), 1);
    let log = log(&run)?;
    let validations = log.iter().filter(|line| line["kind"] == "validation");
    assert_eq!(validations.map(|line| &line["step"]).collect::<Vec<_>>(), [7, 14, 21, 28, 35, 40]);
    let last = report.last.context("no evaluation")?;
    assert_eq!(log.last().context("empty log")?["loss"], last.loss);
    let first = log.iter().find(|line| line["kind"] == "validation").map(|line| &line["loss"]);
    let best = report.best.context("no best")?.value;
    assert!(Some(best) < first.and_then(|loss| loss.as_f64()), "{best}: nothing was learned");

    let message = go(&mut Follow::new()?, &config, &run, false).unwrap_err().to_string();
    assert!(message.contains("--resume"), "{message}");
    Ok(())
}

#[test]
fn a_damaged_checkpoint_is_named_and_the_one_before_it_can_be_resumed() -> Result<()> {
    let temporary = tempfile::tempdir()?;
    let run = RunFolder::create(temporary.path(), false)?;
    let mut reference = Follow::new()?;
    go(&mut reference, &config(), &run, false)?;
    let newest = run.checkpoints().join("step-000040");
    fs::write(newest.join("optimizer.safetensors"), "nothing of use")?;
    let message = format!("{:#}", go(&mut Follow::new()?, &config(), &run, true).unwrap_err());
    for part in ["optimizer.safetensors is damaged", "delete that folder", "step-000040"] {
        assert!(message.contains(part), "{message} does not say {part}");
    }
    fs::remove_dir_all(newest)?;
    let mut task = Follow::new()?;
    go(&mut task, &config(), &run, true)?;
    assert_eq!(task.bits()?, reference.bits()?);
    Ok(())
}

#[test]
fn accumulating_two_batches_counts_half_the_steps_and_a_time_limit_ends_the_training() -> Result<()> {
    let temporary = tempfile::tempdir()?;
    let run = RunFolder::create(temporary.path().join("half"), false)?;
    let half = TrainConfig { accumulate: 2, clip_value: Some(0.5), ..config() };
    assert_eq!(go(&mut Follow::new()?, &half, &run, false)?.steps, 20);

    let run = RunFolder::create(temporary.path().join("timed"), false)?;
    let timed = TrainConfig { max_seconds: Some(0.3), epochs: 1e6, ..config() };
    let timed = TrainConfig { evaluate_every: Some(1_000_000), checkpoint_every: None, ..timed };
    let report = go(&mut Follow::new()?, &timed, &run, false)?;
    assert_eq!(report.outcome, Outcome::Finished);
    assert!(report.last.is_some() && (0.3..3.0).contains(&report.seconds), "{report:?}");
    let rates: Vec<_> = log(&run)?.iter().filter_map(|l| l["learning_rate"].as_f64()).collect();
    assert!(rates.last() < rates.first(), "{rates:?}");
    assert!(rates.last() < Some(&5e-4), "the cosine has not come down: {rates:?}");
    Ok(())
}

#[test]
fn settings_come_back_from_toml_and_senseless_ones_are_named() -> Result<()> {
    let config = TrainConfig { patience: Some(3), ..config() };
    assert_eq!(toml::from_str::<TrainConfig>(&toml::to_string(&config)?)?, config);
    assert_eq!(toml::from_str::<TrainConfig>("")?, TrainConfig::default());
    for (config, name) in [
        (TrainConfig { epochs: f64::NAN, ..config.clone() }, "epochs"),
        (TrainConfig { accumulate: 0, ..config.clone() }, "accumulate"),
        (TrainConfig { clip_norm: Some(-1.0), ..config.clone() }, "clip_norm"),
        (TrainConfig { keep_last: 0, ..config }, "keep_last"),
    ] {
        let message = config.validate().unwrap_err().to_string();
        assert!(message.contains(name), "{message}");
    }
    Ok(())
}
