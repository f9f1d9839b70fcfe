//! Training: settings, flags over them, and the run.

use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use anyhow::Result;
use app_kit::{CellName, MatmulArgs, UsageError};
use candle_core::Device;
use candle_rnn::Windows;
use clap::Args;
use rnn_text::{Corpus, Source, Units, corpus};
use rnn_train::flags::set;
use rnn_train::{ProgressStyle, RunArgs, RunFolder, TrainConfig, TrainingArgs, settings};
use serde::{Deserialize, Serialize};

use crate::data::{Data, DataConfig};
use crate::model::{APPLICATION, LanguageModel};
use crate::network::NetworkConfig;
use crate::task::LanguageModelTask;

/// All settings of a run; `config.toml` of the run folder, and the format of `--config`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunConfig {
    /// From text to symbols.
    pub data: DataConfig,
    /// The shape of the network.
    pub network: NetworkConfig,
    /// How the text is cut for truncated backpropagation through time.
    pub windows: Windows,
    /// Optimiser, schedule, evaluations and checkpoints.
    pub training: TrainConfig,
}

impl Default for RunConfig {
    /// The settings of a text of about a million characters: 32 rows of windows of 64 steps, 16
    /// epochs of Adam at 2·10⁻³ falling along a cosine.
    fn default() -> Self {
        Self {
            data: DataConfig::default(),
            network: NetworkConfig::default(),
            windows: Windows { batch: 32, window: 64, overlap: 0 },
            training: TrainConfig { epochs: 16.0, ..TrainConfig::default() },
        }
    }
}

/// The flags of `language-model train`.
#[derive(Args, Clone, Debug, Default)]
pub struct TrainArgs {
    /// Text to learn from: a file, a folder of text files, or - for the standard input
    #[arg(long, value_name = "FILE|DIR|-")]
    pub data: Option<String>,
    /// Where it is written, and what it begins with.
    #[command(flatten)]
    pub run: RunArgs,

    /// Units of the text: char, byte, bpe or word [default: char]
    #[arg(long, help_heading = "Text")]
    pub units: Option<Units>,
    /// Size of the vocabulary of the units bpe and word [default: 8000]
    #[arg(long, value_name = "N", help_heading = "Text")]
    pub vocab_size: Option<usize>,
    /// Use the vocabulary in this tokenizer.json, of another model that this one is to help
    #[arg(long, value_name = "FILE", conflicts_with_all = ["units", "vocab_size"], help_heading = "Text")]
    pub tokenizer: Option<PathBuf>,
    /// Part of the text, at its end, to hold out for validation [default: 0.1]
    #[arg(long, value_name = "PART", help_heading = "Text")]
    pub validation: Option<f64>,

    /// Neuron [default: lstm]
    #[arg(long, help_heading = "Network")]
    pub cell: Option<CellName>,
    /// Features of a symbol's vector [default: 128]
    #[arg(long, value_name = "N", help_heading = "Network")]
    pub embedding_size: Option<usize>,
    /// Units of each recurrent layer [default: 512]
    #[arg(long, value_name = "N", help_heading = "Network")]
    pub hidden_size: Option<usize>,
    /// Recurrent layers [default: 2]
    #[arg(long, value_name = "N", help_heading = "Network")]
    pub layers: Option<usize>,
    /// Probability of dropping a number between the layers in training [default: 0.5]
    #[arg(long, value_name = "P", help_heading = "Network")]
    pub dropout: Option<f64>,
    /// Probability of dropping a number of a symbol's vector in training [default: 0]
    #[arg(long, value_name = "P", help_heading = "Network")]
    pub embedding_dropout: Option<f64>,
    /// Use the embedding as the output's weight; needs equal embedding and hidden sizes
    #[arg(long, help_heading = "Network")]
    pub tied: bool,
    /// How its products are computed.
    #[command(flatten)]
    pub matmul: MatmulArgs,

    /// Rows of text read side by side [default: 32]
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub batch: Option<usize>,
    /// Steps the gradient reaches back [default: 64]
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub window: Option<usize>,
    /// Steps of a window that the one before has read too [default: 0]
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub overlap: Option<usize>,
    /// How it is trained.
    #[command(flatten)]
    pub training: TrainingArgs,
}

impl TrainArgs {
    /// `config` with every flag that was given put over it.
    pub fn apply(&self, config: &mut RunConfig) {
        let RunConfig { data, network, windows, training } = config;
        set(&mut data.units, &self.units);
        set(&mut data.vocab_size, &self.vocab_size);
        set(&mut data.validation, &self.validation);
        if let Some(path) = &self.tokenizer {
            data.tokenizer = Some(app_kit::path::absolute(path));
        }
        set(&mut network.cell, &self.cell);
        set(&mut network.embedding_size, &self.embedding_size);
        set(&mut network.hidden_size, &self.hidden_size);
        set(&mut network.layers, &self.layers);
        set(&mut network.dropout, &self.dropout);
        set(&mut network.embedding_dropout, &self.embedding_dropout);
        network.tied |= self.tied;
        self.matmul.apply(&mut network.matmul);
        set(&mut windows.batch, &self.batch);
        set(&mut windows.window, &self.window);
        set(&mut windows.overlap, &self.overlap);
        self.training.apply(training);
    }
}

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
    settings::write(&run.config(), config)?;
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
