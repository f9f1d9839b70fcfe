//! The settings of a training, and the flags over them.

use std::path::PathBuf;

use app_kit::network::{CellName, MatmulArgs};
use app_kit::path::absolute;
use clap::Args;
use image_features::AugmentConfig;
use rnn_text::Units;
use rnn_train::command::RunArgs;
use rnn_train::flags::set;
use rnn_train::{OptimizerConfig, Schedule, TrainConfig, TrainingArgs};
use serde::{Deserialize, Serialize};

use crate::corpus::{Reading, Source};
use crate::encoder::{EncoderConfig, EncoderName};
use crate::network::{DecoderName, NetworkConfig};
use crate::task::{FineTuning, LossConfig};
use crate::vocabulary::VocabularyConfig;

/// From pictures and captions to examples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataConfig {
    /// What is learnt from. Set by `--data`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train: Option<Source>,
    /// What a model is chosen by. Set by `--validation`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<Source>,
    /// CRC-32C of both, by which a resumed run knows them again. Set when the run starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crc32c: Option<[u32; 2]>,
    /// How they are read.
    pub reading: Reading,
    /// How captions become symbols.
    pub vocabulary: VocabularyConfig,
    /// Symbols of a caption at most; what is longer is cut off.
    pub max_length: usize,
    /// How pictures are varied, where the encoder is trained.
    pub augment: AugmentConfig,
    /// Captions in a batch.
    pub batch: usize,
}

impl Default for DataConfig {
    /// Captions of at most 50 words in lower case, 64 at once.
    fn default() -> Self {
        Self {
            train: None,
            validation: None,
            crc32c: None,
            reading: Reading { lowercase: true, ..Reading::default() },
            vocabulary: VocabularyConfig::default(),
            max_length: 50,
            augment: AugmentConfig::default(),
            batch: 64,
        }
    }
}

/// All settings of a run; `config.toml` of the run folder, and the format of `--config`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunConfig {
    /// From pictures and captions to examples.
    pub data: DataConfig,
    /// The network that looks.
    pub encoder: EncoderConfig,
    /// The file of its weights, if it has been trained before. Set by `--encoder-weights`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoder_weights: Option<PathBuf>,
    /// How it learns; without it, an encoder with weights stays as it is, and one without learns from the
    /// beginning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fine_tuning: Option<FineTuning>,
    /// The network that tells.
    pub network: NetworkConfig,
    /// What the loss is made of.
    pub loss: LossConfig,
    /// Optimiser, schedule, evaluations and checkpoints.
    pub training: TrainConfig,
}

impl Default for RunConfig {
    /// The settings of some thousand pictures: twenty epochs of Adam at 10⁻³ falling along a cosine, the
    /// model chosen by CIDEr-D.
    fn default() -> Self {
        let training = TrainConfig::default();
        Self {
            data: DataConfig::default(),
            encoder: EncoderConfig::default(),
            encoder_weights: None,
            fine_tuning: None,
            network: NetworkConfig::default(),
            loss: LossConfig::default(),
            training: TrainConfig {
                epochs: 20.0,
                schedule: Schedule { learning_rate: 1e-3, warmup_steps: 100, ..training.schedule.clone() },
                monitor: "cider".to_owned(),
                ..training
            },
        }
    }
}

impl RunConfig {
    /// The settings of the built-in set of drawn scenes: small networks from scratch, a minute and a quarter of
    /// training.
    pub fn embedded() -> Self {
        let default = Self::default();
        Self {
            network: NetworkConfig {
                region_size: 128,
                embedding_size: 128,
                hidden_size: 128,
                attention_size: 128,
                surroundings: true,
                words: true,
                dropout: 0.0,
                ..default.network
            },
            loss: LossConfig { label_smoothing: 0.0, words: 1.0, ..default.loss },
            training: TrainConfig {
                epochs: 6.0,
                optimizer: OptimizerConfig::muon(),
                schedule: Schedule { learning_rate: 0.04, warmup_steps: 100, ..default.training.schedule },
                monitor: "true".to_owned(),
                ..default.training
            },
            ..default
        }
    }

    /// Whether the encoder stays as it is, so that what it sees is kept.
    pub fn keeps_features(&self) -> bool {
        self.encoder_weights.is_some() && self.fine_tuning.is_none()
    }
}

/// The flags of `captioning train`.
#[derive(Args, Clone, Debug, Default)]
pub struct TrainArgs {
    /// Pictures and captions to learn from: a .tsv or .csv with the column `image`, captions of COCO or a
    /// data set of Karpathy (.json), the token file of Flickr8k, or `embedded`
    #[arg(long, value_name = "FILE")]
    pub data: Option<String>,
    /// The split of it: a name, or a file with the name of a picture in each line
    #[arg(long, value_name = "SPLIT")]
    pub split: Option<String>,
    /// Pictures and captions to choose a model by, in the same forms [default: --data, if there is
    /// --validation-split]
    #[arg(long, value_name = "FILE")]
    pub validation: Option<String>,
    /// The split of these
    #[arg(long, value_name = "SPLIT")]
    pub validation_split: Option<String>,
    /// Where it is written, and what it begins with.
    #[command(flatten)]
    pub run: RunArgs,

    /// Folder of the pictures [default: `images` beside the file, or its own]
    #[arg(long, value_name = "FOLDER", help_heading = "Data")]
    pub images: Option<PathBuf>,
    /// Column of the captions, or several with commas between them
    #[arg(long, value_name = "NAME", help_heading = "Data")]
    pub language: Option<String>,
    /// Leave captions as they are rather than put them into lower case
    #[arg(long, help_heading = "Data")]
    pub keep_case: bool,
    /// Units of captions: word (in Chinese, Japanese and Korean a character), bpe, char or byte [default: word]
    #[arg(long, help_heading = "Data")]
    pub units: Option<Units>,
    /// Size of a vocabulary of the units word and bpe [default: 6000]
    #[arg(long, value_name = "N", help_heading = "Data")]
    pub vocab_size: Option<usize>,
    /// Symbols of a caption at most; what is longer is cut off [default: 50]
    #[arg(long, value_name = "N", help_heading = "Data")]
    pub max_length: Option<usize>,
    /// Captions in a batch [default: 64]
    #[arg(long, value_name = "N", help_heading = "Data")]
    pub batch: Option<usize>,

    /// Which network looks [default: residual]
    #[arg(long, value_name = "NAME", help_heading = "Encoder")]
    pub encoder: Option<EncoderName>,
    /// Its weights, if it has been trained before (.safetensors or .pth)
    #[arg(long, value_name = "FILE", help_heading = "Encoder")]
    pub encoder_weights: Option<PathBuf>,
    /// Pixels of a side of what it sees [default: 64, or 224 for efficientnet-lite0]
    #[arg(long, value_name = "N", help_heading = "Encoder")]
    pub size: Option<usize>,
    /// Let the residual network see the colours of pictures rather than their contours
    #[arg(long, help_heading = "Encoder")]
    pub no_contours: bool,
    /// Steps of red, green and blue, whose mixtures are counted in each region; 0 for none, and then, with
    /// contours, hardly anything is seen of colours [default: 4]
    #[arg(long, value_name = "N", help_heading = "Encoder")]
    pub colour_steps: Option<usize>,
    /// Train it along, after so many epochs in which only the decoder learns
    #[arg(long, value_name = "EPOCHS", help_heading = "Encoder")]
    pub fine_tune: Option<usize>,
    /// Its learning rate, as a part of the decoder's [default: 1]
    #[arg(long, value_name = "X", help_heading = "Encoder")]
    pub encoder_rate: Option<f64>,
    /// Where a frozen encoder keeps what it has seen [default: the user's folder for caches]
    #[arg(long, value_name = "FOLDER", help_heading = "Encoder")]
    pub cache: Option<PathBuf>,
    /// Cut away at most this part of a picture, at random, where the encoder is trained
    #[arg(long, value_name = "PART", help_heading = "Encoder")]
    pub crop: Option<f64>,
    /// Show the mirror image with this probability; not where captions say left and right
    #[arg(long, value_name = "P", help_heading = "Encoder")]
    pub mirror: Option<f64>,
    /// Vary brightness, contrast and saturation by this part at most
    #[arg(long, value_name = "PART", help_heading = "Encoder")]
    pub colour: Option<f64>,

    /// How the picture takes part in what is told [default: attend]
    #[arg(long, help_heading = "Decoder")]
    pub decoder: Option<DecoderName>,
    /// Neuron [default: gru]
    #[arg(long, help_heading = "Decoder")]
    pub cell: Option<CellName>,
    /// Features of a region as the decoder sees it [default: 256]
    #[arg(long, value_name = "N", help_heading = "Decoder")]
    pub region_size: Option<usize>,
    /// Features of a symbol's vector [default: 256]
    #[arg(long, value_name = "N", help_heading = "Decoder")]
    pub embedding_size: Option<usize>,
    /// Units of the recurrent layer [default: 256]
    #[arg(long, value_name = "N", help_heading = "Decoder")]
    pub hidden_size: Option<usize>,
    /// Units of the additive attention [default: 256]
    #[arg(long, value_name = "N", help_heading = "Decoder")]
    pub attention_size: Option<usize>,
    /// Use what is seen as it is, without a gate
    #[arg(long, help_heading = "Decoder")]
    pub no_gate: bool,
    /// Go over the rows and the columns of regions with recurrent layers, so that each knows what is around it
    #[arg(long, help_heading = "Decoder")]
    pub surroundings: bool,
    /// Probability of dropping a number in training [default: 0.3]
    #[arg(long, value_name = "P", help_heading = "Decoder")]
    pub dropout: Option<f64>,
    /// How its products are computed.
    #[command(flatten)]
    pub matmul: MatmulArgs,

    /// Part of the probability that is spread over all symbols [default: 0.1]
    #[arg(long, value_name = "PART", help_heading = "Training")]
    pub label_smoothing: Option<f64>,
    /// What it costs to look at a region more or less than once (doubly stochastic attention) [default: 0]
    #[arg(long, value_name = "LAMBDA", help_heading = "Training")]
    pub attention_penalty: Option<f64>,
    /// How much it counts which words the regions say stand for them; helps an encoder that is trained from
    /// scratch [default: 0]
    #[arg(long, value_name = "X", help_heading = "Training")]
    pub word_loss: Option<f64>,
    /// Let the decoder read its own guess with this probability (scheduled sampling)
    #[arg(long, value_name = "P", help_heading = "Training")]
    pub scheduled_sampling: Option<f64>,
    /// Epochs in which that probability rises from 0
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub scheduled_sampling_epochs: Option<usize>,
    /// Choose the best model, and stop early, by cider, loss or, of the built-in set, true [default: cider]
    #[arg(long, value_name = "NAME", help_heading = "Training")]
    pub monitor: Option<String>,
    /// How it is trained.
    #[command(flatten)]
    pub training: TrainingArgs,
}

impl TrainArgs {
    /// `config` with every flag that was given put over it.
    pub fn apply(&self, config: &mut RunConfig) {
        let RunConfig { data, encoder, encoder_weights, fine_tuning, network, loss, training } = config;
        data.reading.images = self.images.as_ref().map(absolute).or(data.reading.images.take());
        data.reading.language = self.language.clone().or(data.reading.language.take());
        data.reading.lowercase &= !self.keep_case;
        set(&mut data.vocabulary.units, &self.units);
        set(&mut data.vocabulary.size, &self.vocab_size);
        set(&mut data.max_length, &self.max_length);
        set(&mut data.batch, &self.batch);
        set(&mut data.augment.crop, &self.crop);
        set(&mut data.augment.mirror, &self.mirror);
        for colour in [&mut data.augment.brightness, &mut data.augment.contrast, &mut data.augment.saturation]
        {
            set(colour, &self.colour);
        }
        if let Some(name) = self.encoder {
            *encoder = EncoderConfig::named(name);
        }
        set(&mut encoder.preprocessing.size, &self.size);
        encoder.contours &= !self.no_contours;
        set(&mut encoder.colour_steps, &self.colour_steps);
        *encoder_weights = self.encoder_weights.as_ref().map(absolute).or(encoder_weights.take());
        if self.fine_tune.is_some() || self.encoder_rate.is_some() {
            let tuning = fine_tuning.get_or_insert_default();
            set(&mut tuning.after_epochs, &self.fine_tune);
            set(&mut tuning.rate, &self.encoder_rate);
        }
        set(&mut network.decoder, &self.decoder);
        set(&mut network.cell, &self.cell);
        set(&mut network.region_size, &self.region_size);
        set(&mut network.embedding_size, &self.embedding_size);
        set(&mut network.hidden_size, &self.hidden_size);
        set(&mut network.attention_size, &self.attention_size);
        network.gate &= !self.no_gate;
        network.surroundings |= self.surroundings;
        set(&mut network.dropout, &self.dropout);
        self.matmul.apply(&mut network.matmul);
        set(&mut loss.label_smoothing, &self.label_smoothing);
        set(&mut loss.attention_penalty, &self.attention_penalty);
        if let Some(words) = self.word_loss {
            (network.words, loss.words) = (words > 0.0, words);
        }
        set(&mut loss.scheduled_sampling.probability, &self.scheduled_sampling);
        set(&mut loss.scheduled_sampling.epochs, &self.scheduled_sampling_epochs);
        set(&mut training.monitor, &self.monitor);
        self.training.apply(training);
    }
}
