//! Training: from the settings to a task, and the run.

use std::io::Write;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result};
use app_kit::UsageError;
use candle_core::Device;
use rnn_train::{ProgressStyle, RunFolder};

use crate::batches::Example;
use crate::corpus::{self, Dropped, Pair, Part, Source};
use crate::model::{APPLICATION, TranslationConfig, TranslationModel};
use crate::settings::{DataConfig, RunConfig, TrainArgs};
use crate::task::{Data, TranslationTask};
use crate::vocabulary::Vocabularies;

/// A training that has ended, and the model it has found.
pub type Trained = rnn_train::Trained<TranslationModel>;

/// Trains on pairs held in memory, without flags: what the tour and other programs call. Set
/// `config.training.max_seconds` to train for a given time.
///
/// # Errors
/// Settings that do not fit each other, no pairs, or what [`rnn_train::train`] reports.
pub fn train_on_pairs(
    (train, validation): (Vec<Pair>, Vec<Pair>),
    config: &RunConfig,
    run: &RunFolder,
    device: &Device,
    stop: &AtomicBool,
    progress: ProgressStyle,
) -> Result<Trained> {
    let (mut task, _) = task(train, validation, config, device)?;
    rnn_train::settings::write(&run.config(), config)?;
    let report = rnn_train::train(&mut task, &config.training, run, false, stop, progress)?;
    Ok(Trained { model: TranslationModel::load(&run.model(&report), device)?, report })
}

/// `translation train`: resolves the settings, trains, and says on `out` what came of it.
///
/// Nothing is written before the pairs, the settings and the network have been found good.
///
/// # Errors
/// [`UsageError`] for settings that make no sense; pairs that cannot be read; a run folder that exists
/// (or, with `--resume`, does not); what [`rnn_train::train`] reports.
pub fn run(
    args: &TrainArgs,
    seed: Option<u64>,
    device: &Device,
    progress: ProgressStyle,
    out: &mut dyn Write,
) -> Result<()> {
    let is_embedded = args.data == [corpus::EMBEDDED];
    let saved = args.run.settings(if is_embedded { RunConfig::embedded } else { RunConfig::default })?;
    let mut config = saved.clone();
    args.apply(&mut config);
    config.training.seed = seed.unwrap_or(config.training.seed);
    config.training.validate()?;
    let (train, validation) =
        if args.run.resume { resumed(args, &saved, &config)? } else { fresh(args, &mut config)? };
    let (mut task, dropped) = task(train, validation, &config, device)?;
    config.training.monitored(&task)?;
    let run = args.run.folder(&config)?;
    if dropped.count() > 0 {
        tracing::warn!("{dropped}");
    }
    let (data, parameters) = (task.data(), rnn_train::Task::parameters(&task).count());
    tracing::info!(
        "{} pairs to learn from, {} to choose by; {} and {} symbols in the vocabularies, {parameters} \
         parameters",
        data.train.len(),
        data.validation.len(),
        data.vocabularies.source().vocab_size(),
        data.vocabularies.target().vocab_size(),
    );
    args.run.train(APPLICATION, &mut task, &config.training, &run, progress, out)
}

/// The task, and what was left out of the pairs.
fn task(
    mut train: Vec<Pair>,
    mut validation: Vec<Pair>,
    config: &RunConfig,
    device: &Device,
) -> Result<(TranslationTask, Dropped)> {
    let DataConfig { languages, lowercase, vocabulary, filter, batches, measures, .. } = &config.data;
    config.network.validate(vocabulary.joint)?;
    if *lowercase {
        corpus::lowercase(&mut train);
        corpus::lowercase(&mut validation);
    }
    let vocabularies = Vocabularies::train(&train, vocabulary)?;
    let mut dropped = Dropped::default();
    let examples = train.iter().map(|pair| vocabularies.example(pair)).collect::<Result<Vec<Example>>>()?;
    let kept = examples.into_iter().filter(|example| {
        // Without their ends.
        filter.keeps(example.source.len() - 1, example.target.len() - 1, &mut dropped)
    });
    let train: Vec<Example> = kept.collect();
    if train.is_empty() {
        let error = format!("nothing is left to learn from, {dropped}: raise --max-length or --max-ratio");
        return Err(UsageError::new(error).into());
    }
    let settings = TranslationConfig {
        source_vocab: vocabularies.source().vocab_size(),
        target_vocab: vocabularies.target().vocab_size(),
        joint: vocabularies.joint(),
        lowercase: *lowercase,
        languages: languages.clone(),
        network: config.network.clone(),
    };
    let data = Data { vocabularies, train, validation };
    let seed = config.training.seed;
    let task =
        TranslationTask::new(settings, data, *batches, config.label_smoothing, *measures, seed, device)?;
    Ok((task, dropped))
}

/// The pairs of a new run to learn from and to choose a model by, which `config` then names.
fn fresh(args: &TrainArgs, config: &mut RunConfig) -> Result<(Vec<Pair>, Vec<Pair>)> {
    let named = |names: &[String], part: Part, saved: &Option<Source>| match (names, saved) {
        ([], Some(saved)) => Ok(Some(saved.clone())),
        ([], None) => Ok(None),
        (names, _) => Source::named(names, part).map(Some),
    };
    let train = named(&args.data, Part::Train, &config.data.train)?.ok_or_else(|| {
        UsageError::new(
            "there is nothing to learn from: give --data SOURCE TARGET, a .tsv, a .jsonl, or embedded",
        )
    })?;
    let validation = match named(&args.validation, Part::Validation, &config.data.validation)? {
        Some(validation) => validation,
        None if args.data == [corpus::EMBEDDED] => Source::Embedded(Part::Validation),
        None => {
            return Err(UsageError::new(
                "there is nothing to choose a model by: give --validation SOURCE TARGET, a .tsv or a .jsonl",
            )
            .into());
        }
    };
    let (pairs, held) =
        (corpus::read(&train, &config.data.languages)?, corpus::read(&validation, &config.data.languages)?);
    config.data.crc32c = Some([corpus::fingerprint(&pairs), corpus::fingerprint(&held)]);
    (config.data.train, config.data.validation) = (Some(train), Some(validation));
    Ok((pairs, held))
}

/// The pairs of a run that goes on, if nothing of what must stay has changed from `saved` to `config`.
fn resumed(args: &TrainArgs, saved: &RunConfig, config: &RunConfig) -> Result<(Vec<Pair>, Vec<Pair>)> {
    let fixed = |config: &RunConfig| {
        let training = (config.training.seed, config.training.monitor.clone());
        (config.data.clone(), config.network.clone(), config.label_smoothing, training)
    };
    if fixed(config) != fixed(saved) || !args.data.is_empty() || !args.validation.is_empty() {
        return Err(UsageError::new(
            "the pairs, the units, the network, the batches, the seed and the measure of a run are fixed: \
             leave their flags out, or start a new run without --resume",
        )
        .into());
    }
    let pairs = |source: &Option<Source>| {
        let named = || format!("{} names no pairs", args.run.out.join("config.toml").display());
        let source = source.as_ref().with_context(named)?;
        corpus::read(source, &saved.data.languages)
    };
    let (train, validation) = (pairs(&saved.data.train)?, pairs(&saved.data.validation)?);
    let found = [corpus::fingerprint(&train), corpus::fingerprint(&validation)];
    if saved.data.crc32c.is_some_and(|saved| saved != found) {
        let error = "the files have changed since this run was started: put the old ones back, or start a \
                     new run without --resume";
        return Err(UsageError::new(error).into());
    }
    Ok((train, validation))
}
