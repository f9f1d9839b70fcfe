//! Training: from the settings to a task, and the run.

use std::io::Write;
use std::sync::atomic::AtomicBool;

use anyhow::Result;
use app_kit::UsageError;
use candle_core::Device;
use rnn_text::{Corpus, Source, corpus};
use rnn_train::{ProgressStyle, RunFolder};

use crate::data::Data;
use crate::model::{APPLICATION, LanguageModel};
use crate::settings::{RunConfig, TrainArgs};
use crate::task::LanguageModelTask;

/// A training that has ended, and the model it has found.
pub type Trained = rnn_train::Trained<LanguageModel>;

/// Trains on a text held in memory, without flags: what the tour and other programs call. Set
/// `config.training.max_seconds` to train for a given time.
///
/// # Errors
/// Settings that do not fit each other, a text too short for them, or what
/// [`rnn_train::train`] reports.
pub fn train_on_text(
    text: &str,
    config: &RunConfig,
    run: &RunFolder,
    device: &Device,
    stop: &AtomicBool,
    progress: ProgressStyle,
) -> Result<Trained> {
    let data = Data::new(&Corpus::new("the text", text), &config.data)?;
    let mut task =
        LanguageModelTask::new(&config.network, data, config.windows, config.training.seed, device)?;
    rnn_train::settings::write(&run.config(), config)?;
    let report = rnn_train::train(&mut task, &config.training, run, false, stop, progress)?;
    Ok(Trained { model: LanguageModel::load(&run.model(&report), device)?, report })
}

/// `language-model train`: resolves the settings, trains, and says on `out` what came of it.
///
/// Nothing is written before the text, the settings and the network have been found good.
///
/// # Errors
/// [`UsageError`] for settings that make no sense; a text that cannot be read; a run folder that
/// exists (or, with `--resume`, does not); what [`rnn_train::train`] reports.
pub fn run(
    args: &TrainArgs,
    seed: Option<u64>,
    device: &Device,
    progress: ProgressStyle,
    out: &mut dyn Write,
) -> Result<()> {
    let saved: RunConfig = args.run.settings(RunConfig::default)?;
    let mut config = saved.clone();
    args.apply(&mut config);
    config.training.seed = seed.unwrap_or(config.training.seed);
    config.training.validate()?;
    let corpus =
        if args.run.resume { resumed(args, &saved, &mut config)? } else { fresh(args, &mut config)? };
    let data = Data::new(&corpus, &config.data)?;
    let mut task =
        LanguageModelTask::new(&config.network, data, config.windows, config.training.seed, device)?;
    config.training.monitored(&task)?;
    let run = args.run.folder(&config)?;
    tracing::info!(
        "{} training and {} validation {}, {} symbols in the vocabulary, {} parameters",
        task.data().train.len(),
        task.data().validation.symbols.len(),
        task.data().tokenizer.units().plural(),
        task.data().tokenizer.vocab_size(),
        rnn_train::Task::parameters(&task).count(),
    );
    args.run.train(APPLICATION, &mut task, &config.training, &run, progress, out)
}

/// The text of a new run, which `config` then names.
fn fresh(args: &TrainArgs, config: &mut RunConfig) -> Result<Corpus> {
    let source = args.data.as_deref().or(config.data.source.as_deref()).ok_or_else(|| {
        UsageError::new(
            "there is no text to learn from: give --data FILE, a folder, or - for the standard input",
        )
    })?;
    config.network.validate()?;
    let corpus = read(source)?;
    config.data.crc32c = Some(crc32c::crc32c(corpus.bytes()));
    config.data.source = Some(absolute(source));
    Ok(corpus)
}

/// The text of a run that goes on, if nothing of what must stay has changed from `saved` to `config`.
fn resumed(args: &TrainArgs, saved: &RunConfig, config: &mut RunConfig) -> Result<Corpus> {
    let fixed = |config: &RunConfig| {
        (config.data.clone(), config.network.clone(), config.windows, config.training.seed)
    };
    if fixed(config) != fixed(saved) {
        return Err(UsageError::new(
            "the text's units, the network, the windows and the seed of a run are fixed: leave their \
             flags out, or start a new run without --resume",
        )
        .into());
    }
    let source = args.data.as_deref().or(saved.data.source.as_deref()).unwrap_or("-");
    let corpus = read(source)?;
    if saved.data.crc32c.is_some_and(|saved| saved != crc32c::crc32c(corpus.bytes())) {
        return Err(UsageError::new(format!(
            "{source} is not the text this run was started with: give that text with --data"
        ))
        .into());
    }
    config.data.source = Some(absolute(source));
    Ok(corpus)
}

/// Reads a text as `--data` names it.
///
/// # Errors
/// Those of [`corpus::read`].
pub fn read(source: &str) -> Result<Corpus> {
    let Ok(source) = source.parse::<Source>();
    Ok(corpus::read(&source)?)
}

/// The source as it will be found from another working folder.
fn absolute(source: &str) -> String {
    if source == "-" {
        return source.to_owned();
    }
    app_kit::path::absolute(source).display().to_string()
}
