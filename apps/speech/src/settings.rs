//! The settings of a training, and the flags over them.

use std::path::PathBuf;

use app_kit::network::{CellName, MatmulArgs};
use app_kit::path::absolute;
use clap::{Args, ValueEnum};
use rnn_train::command::RunArgs;
use rnn_train::flags::set;
use rnn_train::{Schedule, TrainConfig, TrainingArgs};
use serde::{Deserialize, Serialize};

use crate::alphabet::Units;
use crate::augment::AugmentConfig;
use crate::corpus::{Layout, Selection, Source, TextConfig};
use crate::frontend::{FrontendConfig, Normalization};
use crate::joining::Joining;
use crate::layout_args::LayoutArgs;
use crate::network::{Head, NetworkConfig};

/// From recordings to examples.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataConfig {
    /// The recordings to learn from. Set by `--data`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train: Option<Source>,
    /// More recordings to learn from, that are never chosen by. Set by `--also`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub also: Option<Source>,
    /// The recordings to choose a model by. Set by `--validation`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<Source>,
    /// Without `validation`: which of the recordings are held out to choose a model by; one in ten if this
    /// is not given either.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold_out: Option<Selection>,
    /// The only recordings that are used, of `train` and `validation`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub only: Option<Selection>,
    /// CRC-32C of both, by which a resumed run knows them again. Set when the run starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crc32c: Option<[u32; 2]>,
    /// How the recordings are laid out.
    pub layout: Layout,
    /// What is done to their texts.
    pub text: TextConfig,
    /// What the texts are made of, for connectionist temporal classification.
    pub units: Units,
    /// How words are pronounced: a file with a word and its phonemes in each line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pronunciations: Option<PathBuf>,
    /// Whether recordings are joined to strings, and how.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub joining: Option<Joining>,
}

/// All settings of a run; `config.toml` of the run folder, and the format of `--config`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunConfig {
    /// From recordings to examples.
    pub data: DataConfig,
    /// How recordings are changed each time they are heard.
    pub augment: AugmentConfig,
    /// What the network reads.
    pub frontend: FrontendConfig,
    /// The shape of the network.
    pub network: NetworkConfig,
    /// Recordings, or strings of them, in a batch.
    pub batch: usize,
    /// Part of the probability that a classifier spreads over all labels (Szegedy et al. 2016).
    pub label_smoothing: f64,
    /// Optimiser, schedule, evaluations and checkpoints.
    pub training: TrainConfig,
}

impl Default for RunConfig {
    /// 30 epochs of Adam at 3·10⁻³ falling along a cosine, 32 recordings in a batch, the model chosen by
    /// the share of words (or labels) that are right.
    fn default() -> Self {
        let training = TrainConfig::default();
        Self {
            data: DataConfig::default(),
            augment: AugmentConfig::default(),
            frontend: FrontendConfig::default(),
            network: NetworkConfig::default(),
            batch: 32,
            label_smoothing: 0.1,
            training: TrainConfig {
                epochs: 30.0,
                schedule: Schedule { learning_rate: 3e-3, warmup_steps: 100, ..training.schedule.clone() },
                clip_norm: Some(1.0),
                monitor: "accuracy".to_owned(),
                ..training
            },
        }
    }
}

impl RunConfig {
    /// The settings of the built-in set of spoken digits: phonemes, a minute of training.
    pub fn embedded() -> Self {
        let default = Self::default();
        Self {
            data: DataConfig { units: Units::Phoneme, ..default.data },
            training: TrainConfig { epochs: 8.0, ..default.training },
            ..default
        }
    }
}

/// How much recordings are changed each time they are heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Augmentation {
    /// Not at all
    None,
    /// A little: speed, level, noise, masks
    Light,
    /// Much: other voices, rooms and noise
    Strong,
}

impl From<Augmentation> for AugmentConfig {
    fn from(augmentation: Augmentation) -> Self {
        match augmentation {
            Augmentation::None => Self::default(),
            Augmentation::Light => Self::light(),
            Augmentation::Strong => Self::strong(),
        }
    }
}

/// The flags of `speech train`.
#[derive(Args, Clone, Debug, Default)]
pub struct TrainArgs {
    /// Recordings to learn from: a folder (a folder for each label, names with labels, or LibriSpeech), a
    /// manifest (.tsv, .csv, .jsonl), or `embedded`
    #[arg(long, value_name = "DATA")]
    pub data: Option<String>,
    /// More recordings to learn from, such as `embedded-digits`, digits of a hundred synthetic voices; --where and
    /// --hold-out leave them alone
    #[arg(long, value_name = "DATA")]
    pub also: Option<String>,
    /// Recordings to choose a model by, in the same forms
    #[arg(long, value_name = "DATA")]
    pub validation: Option<String>,
    /// Choose a model by those with FIELD=VALUES [default: one recording in ten]
    #[arg(long, value_name = "SELECTION", conflicts_with = "validation")]
    pub hold_out: Option<Selection>,
    /// Where the run is, and how it starts.
    #[command(flatten)]
    pub run: RunArgs,

    /// How recordings are found.
    #[command(flatten)]
    pub layout: LayoutArgs,
    /// Keep capital letters and punctuation of the texts
    #[arg(long, help_heading = "Recordings")]
    pub cased: bool,
    /// Join so many recordings of single words to strings, such as 1-7
    #[arg(long, value_name = "RANGE", help_heading = "Recordings")]
    pub join: Option<Joining>,
    /// How much recordings are changed each time they are heard [default: none]
    #[arg(long, value_name = "HOW", help_heading = "Recordings")]
    pub augment: Option<Augmentation>,
    /// Folder of recordings of noise that is mixed in
    #[arg(long, value_name = "FOLDER", help_heading = "Recordings")]
    pub noise: Option<PathBuf>,
    /// Folder of impulse responses of rooms
    #[arg(long, value_name = "FOLDER", help_heading = "Recordings")]
    pub rooms: Option<PathBuf>,

    /// Samples per second that the network hears [default: 8000]
    #[arg(long, value_name = "HZ", help_heading = "Features")]
    pub rate: Option<u32>,
    /// Bands of the mel scale [default: 40]
    #[arg(long, value_name = "N", help_heading = "Features")]
    pub bands: Option<usize>,
    /// Read so many cepstral coefficients, rather than the bands
    #[arg(long, value_name = "N", help_heading = "Features")]
    pub cepstrum: Option<usize>,
    /// How features are shifted and scaled [default: utterance]
    #[arg(long, value_name = "HOW", help_heading = "Features")]
    pub normalization: Option<Normalization>,

    /// What the network says: symbols as they are heard, or a label for the whole [default: ctc]
    #[arg(long, help_heading = "Network")]
    pub head: Option<Head>,
    /// What the texts are made of [default: char]
    #[arg(long, help_heading = "Network")]
    pub units: Option<Units>,
    /// How words are pronounced, for the units `phoneme`: a word and its phonemes in each line
    #[arg(long, value_name = "FILE", help_heading = "Network")]
    pub pronunciations: Option<PathBuf>,
    /// Listen while it is spoken to: one direction, normalised by what was heard so far
    #[arg(long, help_heading = "Network")]
    pub streaming: bool,
    /// Convolutions over time before the recurrent layers [default: 1]
    #[arg(long, value_name = "N", help_heading = "Network")]
    pub convolutions: Option<usize>,
    /// Features that each gives [default: 128]
    #[arg(long, value_name = "N", help_heading = "Network")]
    pub channels: Option<usize>,
    /// Frames that each sees at once [default: 5]
    #[arg(long, value_name = "N", help_heading = "Network")]
    pub kernel: Option<usize>,
    /// Of how many frames each makes one [default: 2]
    #[arg(long, value_name = "N", help_heading = "Network")]
    pub stride: Option<usize>,
    /// Neuron [default: gru]
    #[arg(long, help_heading = "Network")]
    pub cell: Option<CellName>,
    /// Units of each recurrent layer and direction [default: 128]
    #[arg(long, value_name = "N", help_heading = "Network")]
    pub hidden_size: Option<usize>,
    /// Recurrent layers [default: 2]
    #[arg(long, value_name = "N", help_heading = "Network")]
    pub layers: Option<usize>,
    /// Probability of dropping a number in training [default: 0.2]
    #[arg(long, value_name = "P", help_heading = "Network")]
    pub dropout: Option<f64>,
    /// How exactly it multiplies.
    #[command(flatten)]
    pub matmul: MatmulArgs,

    /// Recordings, or strings of them, in a batch [default: 32]
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub batch: Option<usize>,
    /// Part of the probability that a classifier spreads over all labels [default: 0.1]
    #[arg(long, value_name = "PART", help_heading = "Training")]
    pub label_smoothing: Option<f64>,
    /// Choose the best model, and stop early, by accuracy or loss [default: accuracy]
    #[arg(long, value_name = "NAME", help_heading = "Training")]
    pub monitor: Option<String>,
    /// How it is trained.
    #[command(flatten)]
    pub training: TrainingArgs,
}

impl TrainArgs {
    /// `config` with every flag that was given put over it.
    pub fn apply(&self, config: &mut RunConfig) {
        let RunConfig { data, augment, frontend, network, batch, label_smoothing, training } = config;
        self.layout.apply(&mut data.layout, &mut data.only);
        data.hold_out = self.hold_out.clone().or(data.hold_out.take());
        if self.cased {
            data.text = TextConfig::unchanged();
        }
        data.joining = self.join.or(data.joining);
        if let Some(augmentation) = self.augment {
            *augment = augmentation.into();
        }
        if let Some(folder) = &self.noise {
            augment.noise.get_or_insert_default().folder = Some(absolute(folder));
        }
        if let Some(folder) = &self.rooms {
            augment.reverberation.get_or_insert_default().folder = Some(absolute(folder));
        }
        set(&mut frontend.rate, &self.rate);
        set(&mut frontend.bands, &self.bands);
        frontend.cepstrum = self.cepstrum.or(frontend.cepstrum);
        set(&mut network.head, &self.head);
        set(&mut data.units, &self.units);
        if let Some(path) = &self.pronunciations {
            data.pronunciations = Some(absolute(path));
        }
        if self.streaming {
            network.bidirectional = false;
            frontend.normalization = Normalization::Running;
        }
        set(&mut frontend.normalization, &self.normalization);
        set(&mut network.convolutions, &self.convolutions);
        set(&mut network.channels, &self.channels);
        set(&mut network.kernel, &self.kernel);
        set(&mut network.stride, &self.stride);
        set(&mut network.cell, &self.cell);
        set(&mut network.hidden_size, &self.hidden_size);
        set(&mut network.layers, &self.layers);
        set(&mut network.dropout, &self.dropout);
        self.matmul.apply(&mut network.matmul);
        set(batch, &self.batch);
        set(label_smoothing, &self.label_smoothing);
        set(&mut training.monitor, &self.monitor);
        self.training.apply(training);
    }
}
