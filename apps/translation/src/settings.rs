//! The settings of a training, and the flags over them.

use app_kit::{CellName, MatmulArgs};
use clap::Args;
use rnn_metrics::Tokenizer;
use rnn_text::Units;
use rnn_train::flags::set;
use rnn_train::{RunArgs, Schedule, TrainConfig, TrainingArgs};
use serde::{Deserialize, Serialize};

use crate::batches::BatchConfig;
use crate::corpus::{Filter, Languages, Source};
use crate::evaluate::Measures;
use crate::network::{NetworkConfig, ScoreName, Tied};
use crate::vocabulary::VocabularyConfig;

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
