//! The settings of a training, and the flags over them.

use std::path::PathBuf;

use app_kit::{CellName, MatmulArgs};
use candle_rnn::Windows;
use clap::Args;
use rnn_text::Units;
use rnn_train::flags::set;
use rnn_train::{RunArgs, TrainConfig, TrainingArgs};
use serde::{Deserialize, Serialize};

use crate::data::DataConfig;
use crate::network::NetworkConfig;

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
