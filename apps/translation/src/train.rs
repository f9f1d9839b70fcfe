//! Training: settings, flags over them, and the run.

use std::io::Write;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result};
use app_kit::{CellName, MatmulArgs, UsageError};
use candle_core::Device;
use clap::Args;
use rnn_metrics::Tokenizer;
use rnn_text::Units;
use rnn_train::flags::set;
use rnn_train::{ProgressStyle, RunArgs, RunFolder, Schedule, TrainConfig, TrainingArgs, settings};
use serde::{Deserialize, Serialize};

use crate::batches::{BatchConfig, Example};
use crate::corpus::{self, Dropped, Filter, Languages, Pair, Part, Source};
use crate::evaluate::Measures;
use crate::model::{APPLICATION, TranslationConfig, TranslationModel};
use crate::network::{NetworkConfig, ScoreName, Tied};
use crate::task::{Data, TranslationTask};
use crate::vocabulary::{Vocabularies, VocabularyConfig};

/// From pairs of sentences to examples.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataConfig {
    /// The pairs to learn from. Set by `--data`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train: Option<Source>,
    /// The pairs to choose a model by. Set by `--validation`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<Source>,
    /// CRC-32C of both, by which a resumed run knows them again. Set when the run starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crc32c: Option<[u32; 2]>,
    /// The columns or keys of the two languages.
    pub languages: Languages,
    /// Whether sentences are put into lower case.
    pub lowercase: bool,
    /// How sentences become symbols.
    pub vocabulary: VocabularyConfig,
    /// Which pairs are not learnt from.
    pub filter: Filter,
    /// How large a batch may be.
    pub batches: BatchConfig,
    /// How translations of the validation pairs are compared with theirs.
    pub measures: Measures,
}

/// All settings of a run; `config.toml` of the run folder, and the format of `--config`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunConfig {
    /// From pairs of sentences to examples.
    pub data: DataConfig,
    /// The shape of the network.
    pub network: NetworkConfig,
    /// Part of a target's probability that is spread over all symbols (Szegedy et al. 2016).
    pub label_smoothing: f64,
    /// Optimiser, schedule, evaluations and checkpoints.
    pub training: TrainConfig,
}

impl Default for RunConfig {
    /// The settings of some ten thousand pairs: ten epochs of Adam at 10⁻³ falling along a cosine,
    /// label smoothing 0.1, the model chosen by BLEU.
    fn default() -> Self {
        let training = TrainConfig::default();
        Self {
            data: DataConfig::default(),
            network: NetworkConfig::default(),
            label_smoothing: 0.1,
            training: TrainConfig {
                schedule: Schedule { learning_rate: 1e-3, warmup_steps: 200, ..training.schedule.clone() },
                clip_norm: Some(1.0),
                monitor: "bleu".to_owned(),
                ..training
            },
        }
    }
}

impl RunConfig {
    /// The settings of the built-in set of six thousand short sentences, English to Chinese: words to
    /// characters, a small network, a minute of training.
    pub fn embedded() -> Self {
        let default = Self::default();
        Self {
            data: DataConfig {
                vocabulary: VocabularyConfig {
                    source_units: Units::Word,
                    target_units: Units::Char,
                    joint: false,
                    ..VocabularyConfig::default()
                },
                batches: BatchConfig { tokens: 500, ..BatchConfig::default() },
                measures: Measures { tokenize: Tokenizer::Chinese, lowercase: false },
                ..default.data
            },
            network: NetworkConfig {
                embedding_size: 128,
                encoder_size: 128,
                decoder_size: 128,
                attention_size: 128,
                tied: Tied::Target,
                ..default.network
            },
            training: TrainConfig {
                epochs: 12.0,
                schedule: Schedule { learning_rate: 3e-3, warmup_steps: 100, ..default.training.schedule },
                ..default.training
            },
            ..default
        }
    }
}

/// The flags of `translation train`.
#[derive(Args, Clone, Debug, Default)]
pub struct TrainArgs {
    /// Pairs to learn from: two files of lines (SOURCE TARGET), a .tsv or .jsonl, each plain or gzip, or
    /// `embedded`
    #[arg(long, value_name = "FILE", num_args = 1..=2)]
    pub data: Vec<String>,
    /// Pairs to choose a model by, in the same forms
    #[arg(long, value_name = "FILE", num_args = 1..=2)]
    pub validation: Vec<String>,
    /// Where it is written, and what it begins with.
    #[command(flatten)]
    pub run: RunArgs,

    /// Column or key of the sources
    #[arg(long, value_name = "NAME", help_heading = "Sentences")]
    pub source_lang: Option<String>,
    /// Column or key of the targets
    #[arg(long, value_name = "NAME", help_heading = "Sentences")]
    pub target_lang: Option<String>,
    /// Put all sentences into lower case
    #[arg(long, help_heading = "Sentences")]
    pub lowercase: bool,
    /// Units of both languages: char, byte, bpe or word [default: bpe]
    #[arg(long, help_heading = "Sentences")]
    pub units: Option<Units>,
    /// Units of the source
    #[arg(long, value_name = "UNITS", help_heading = "Sentences")]
    pub source_units: Option<Units>,
    /// Units of the target
    #[arg(long, value_name = "UNITS", help_heading = "Sentences")]
    pub target_units: Option<Units>,
    /// Size of a vocabulary of the units bpe and word [default: 6000]
    #[arg(long, value_name = "N", help_heading = "Sentences")]
    pub vocab_size: Option<usize>,
    /// A vocabulary for each language, rather than one for both
    #[arg(long, help_heading = "Sentences")]
    pub separate: bool,
    /// Symbols of a side at most; longer pairs are left out [default: 100]
    #[arg(long, value_name = "N", help_heading = "Sentences")]
    pub max_length: Option<usize>,
    /// How many times as long as the other a side may be [default: 4]
    #[arg(long, value_name = "RATIO", help_heading = "Sentences")]
    pub max_ratio: Option<f64>,
    /// How BLEU cuts a line into words: 13a, intl, zh, char or none [default: 13a]
    #[arg(long, value_name = "NAME", help_heading = "Sentences")]
    pub tokenize: Option<Tokenizer>,

    /// Neuron [default: gru]
    #[arg(long, help_heading = "Network")]
    pub cell: Option<CellName>,
    /// Features of a symbol's vector [default: 256]
    #[arg(long, value_name = "N", help_heading = "Network")]
    pub embedding_size: Option<usize>,
    /// Units of each layer and direction of the encoder [default: 256]
    #[arg(long, value_name = "N", help_heading = "Network")]
    pub encoder_size: Option<usize>,
    /// Layers of the encoder [default: 1]
    #[arg(long, value_name = "N", help_heading = "Network")]
    pub encoder_layers: Option<usize>,
    /// Units of the decoder [default: 512]
    #[arg(long, value_name = "N", help_heading = "Network")]
    pub decoder_size: Option<usize>,
    /// How the decoder attends [default: additive]
    #[arg(long, help_heading = "Network")]
    pub score: Option<ScoreName>,
    /// Units of the additive attention [default: 256]
    #[arg(long, value_name = "N", help_heading = "Network")]
    pub attention_size: Option<usize>,
    /// Do not feed what was attended to into the next step: faster, a little less good
    #[arg(long, help_heading = "Network")]
    pub no_input_feeding: bool,
    /// Embeddings that are one [default: all, or target with a vocabulary for each language]
    #[arg(long, help_heading = "Network")]
    pub tied: Option<Tied>,
    /// Probability of dropping a number in training, everywhere [default: 0.3]
    #[arg(long, value_name = "P", help_heading = "Network")]
    pub dropout: Option<f64>,
    /// Drop the same numbers at all steps of a sentence
    #[arg(long, help_heading = "Network")]
    pub dropout_over_time: bool,
    /// How its products are computed.
    #[command(flatten)]
    pub matmul: MatmulArgs,

    /// Target symbols in a batch, padding counted [default: 1000]
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub batch_tokens: Option<usize>,
    /// Part of the probability that is spread over all symbols [default: 0.1]
    #[arg(long, value_name = "PART", help_heading = "Training")]
    pub label_smoothing: Option<f64>,
    /// Choose the best model, and stop early, by bleu or loss [default: bleu]
    #[arg(long, value_name = "NAME", help_heading = "Training")]
    pub monitor: Option<String>,
    /// How it is trained.
    #[command(flatten)]
    pub training: TrainingArgs,
}

impl TrainArgs {
    /// `config` with every flag that was given put over it.
    pub fn apply(&self, config: &mut RunConfig) {
        let RunConfig { data, network, label_smoothing, training } = config;
        data.languages.source = self.source_lang.clone().or(data.languages.source.take());
        data.languages.target = self.target_lang.clone().or(data.languages.target.take());
        data.lowercase |= self.lowercase;
        let vocabulary = &mut data.vocabulary;
        for units in [self.units, self.source_units] {
            set(&mut vocabulary.source_units, &units);
        }
        for units in [self.units, self.target_units] {
            set(&mut vocabulary.target_units, &units);
        }
        set(&mut vocabulary.size, &self.vocab_size);
        if self.separate {
            vocabulary.joint = false;
            if network.tied == Tied::All {
                network.tied = Tied::Target;
            }
        }
        set(&mut data.filter.max_length, &self.max_length);
        set(&mut data.filter.max_ratio, &self.max_ratio);
        set(&mut data.batches.tokens, &self.batch_tokens);
        set(&mut data.measures.tokenize, &self.tokenize);
        data.measures.lowercase |= self.lowercase;
        set(&mut network.cell, &self.cell);
        set(&mut network.embedding_size, &self.embedding_size);
        set(&mut network.encoder_size, &self.encoder_size);
        set(&mut network.encoder_layers, &self.encoder_layers);
        set(&mut network.decoder_size, &self.decoder_size);
        set(&mut network.score, &self.score);
        set(&mut network.attention_size, &self.attention_size);
        network.input_feeding &= !self.no_input_feeding;
        set(&mut network.tied, &self.tied);
        for dropout in
            [&mut network.embedding_dropout, &mut network.encoder_dropout, &mut network.output_dropout]
        {
            set(dropout, &self.dropout);
        }
        network.dropout_over_time |= self.dropout_over_time;
        self.matmul.apply(&mut network.matmul);
        set(label_smoothing, &self.label_smoothing);
        set(&mut training.monitor, &self.monitor);
        self.training.apply(training);
    }
}

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
    settings::write(&run.config(), config)?;
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
