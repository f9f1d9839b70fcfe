//! Training: settings, flags over them, and the run.

use std::collections::HashMap;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result};
use app_kit::UsageError;
use app_kit::network::{CellName, MatmulArgs};
use app_kit::path::absolute;
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_rnn::MatmulPrecision;
use clap::Args;
use image_features::AugmentConfig;
use rayon::prelude::*;
use rnn_text::Units;
use rnn_train::command::RunArgs;
use rnn_train::flags::set;
use rnn_train::{OptimizerConfig, ProgressStyle, RunFolder, Schedule, TrainConfig, TrainingArgs, settings};
use serde::{Deserialize, Serialize};

use crate::corpus::{self, Captioned, EMBEDDED, Image, Part, Reading, Source};
use crate::encoder::{self, Encoder, EncoderConfig, EncoderKind, EncoderName};
use crate::examples::{Example, LivePictures};
use crate::features::{Features, cache_folder};
use crate::model::{APPLICATION, CaptionConfig, CaptionModel};
use crate::network::{DecoderName, NetworkConfig};
use crate::task::{CaptionTask, Data, FineTuning, LossConfig, Pictures, Start};
use crate::vocabulary::{Vocabulary, VocabularyConfig};

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
    /// The settings of the built-in set of drawn scenes: small networks from scratch, a minute and a half of
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
                epochs: 7.0,
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

/// A training that has ended, and the model it has found.
pub type Trained = rnn_train::Trained<CaptionModel>;

/// Trains on pictures held in memory or in files, without flags: what the tour and other programs call. Set
/// `config.training.max_seconds` to train for a given time.
///
/// # Errors
/// Settings that do not fit each other, no pictures, or what [`rnn_train::train`] reports.
pub fn train_on_pictures(
    (train, validation): (Vec<Captioned>, Vec<Captioned>),
    config: &RunConfig,
    run: &RunFolder,
    device: &Device,
    stop: &AtomicBool,
    progress: ProgressStyle,
) -> Result<Trained> {
    let mut task = task(train, validation, config, None, device, progress)?;
    settings::write(&run.config(), config)?;
    let report = rnn_train::train(&mut task, &config.training, run, false, stop, progress)?;
    Ok(Trained { model: CaptionModel::load(&run.model(&report), device)?, report })
}

/// `captioning train`: resolves the settings, trains, and says on `out` what came of it.
///
/// Nothing is written into the run folder before the pictures, the settings and the networks have been found
/// good.
///
/// # Errors
/// [`UsageError`] for settings that make no sense; pictures that cannot be read; a run folder that exists
/// (or, with `--resume`, does not); what [`rnn_train::train`] reports.
pub fn run(
    args: &TrainArgs,
    seed: Option<u64>,
    device: &Device,
    progress: ProgressStyle,
    out: &mut dyn Write,
) -> Result<()> {
    let is_embedded = args.data.as_deref() == Some(EMBEDDED);
    let saved = args.run.settings(if is_embedded { RunConfig::embedded } else { RunConfig::default })?;
    let mut config = saved.clone();
    args.apply(&mut config);
    config.training.seed = seed.unwrap_or(config.training.seed);
    config.training.validate()?;
    let (train, validation) =
        if args.run.resume { resumed(args, &saved, &config)? } else { fresh(args, &mut config)? };
    let mut task = task(train, validation, &config, args.cache.clone(), device, progress)?;
    config.training.monitored(&task)?;
    let run = args.run.folder(&config)?;
    let (data, parameters) = (task.data(), rnn_train::Task::parameters(&task).count());
    tracing::info!(
        "{} captions of {} pictures to learn from, {} pictures to choose by; {} symbols in the vocabulary, {parameters} \
         parameters to train",
        data.train.iter().map(|example| example.captions.len()).sum::<usize>(),
        data.train.len(),
        data.validation.len(),
        data.vocabulary.size(),
    );
    args.run.train(APPLICATION, &mut task, &config.training, &run, progress, out)
}

/// The task of a training on these pictures; what a frozen encoder sees of them is kept in `cache`, or in the
/// user's folder for caches.
///
/// # Errors
/// Settings that do not fit each other; not one picture that can be used.
pub fn task(
    train: Vec<Captioned>,
    validation: Vec<Captioned>,
    config: &RunConfig,
    cache: Option<PathBuf>,
    device: &Device,
    progress: ProgressStyle,
) -> Result<CaptionTask> {
    let DataConfig { vocabulary, max_length, augment, batch, reading, .. } = &config.data;
    config.encoder.validate()?;
    config.network.validate()?;
    augment.validate().map_err(|error| UsageError::new(error.to_string()))?;
    if *max_length == 0 {
        return Err(UsageError::new("a caption must have at least 1 symbol").into());
    }
    let vocabulary = Vocabulary::train(captions(&train), vocabulary)?;
    let weights = encoder_weights(config)?;
    let start = match weights {
        Some(weights) if config.keeps_features() => Start::Frozen(weights),
        weights => Start::Trained(config.fine_tuning.unwrap_or_default(), weights),
    };
    let is_varied = *augment != AugmentConfig::default();
    if is_varied && matches!(start, Start::Frozen(_)) {
        let error = "a frozen encoder sees every picture once: leave out --crop, --mirror and --colour, or train \
                     it along with --fine-tune";
        return Err(UsageError::new(error).into());
    }
    let scenes = match validation.iter().all(|picture| matches!(picture.image, Image::Scene(_))) {
        true => Some(corpus::language(reading)?),
        false => None,
    };
    let kept = |pictures: &[Captioned], weights| -> Result<Features> {
        let folder = cache.clone().map_or_else(cache_folder, Ok)?;
        keep(pictures, &config.encoder, weights, &folder, device, progress)
    };
    let (train, validation, pictures, validation_features) = match &start {
        Start::Frozen(weights) => {
            let features = kept(&train, weights)?;
            let of_validation = kept(&validation, weights)?;
            if let Some(number) = (0..validation.len()).find(|&number| !of_validation.has(number)) {
                anyhow::bail!("the validation picture {} cannot be used", validation[number].name);
            }
            (train, validation, Pictures::Kept(features), Some(of_validation))
        }
        Start::Trained(..) => {
            let (train, validation) = (usable(train), usable(validation));
            let images = train.iter().map(|picture| picture.image.clone()).collect();
            let (preprocessing, seed) = (config.encoder.preprocessing, config.training.seed);
            let live = LivePictures::new(images, preprocessing, *augment, seed);
            (train, validation, Pictures::Live(live), None)
        }
    };
    let has = |number: usize| match &pictures {
        Pictures::Kept(features) => features.has(number),
        Pictures::Live(_) => true,
    };
    let mut examples = Vec::new();
    for (picture, Captioned { captions, .. }) in train.iter().enumerate().filter(|(number, _)| has(*number)) {
        let symbols = |caption: &String| -> Result<Vec<u32>> {
            let mut caption = vocabulary.encode(caption)?;
            if caption.len() > max_length + 1 {
                caption.truncate(*max_length);
                caption.push(vocabulary.end());
            }
            Ok(caption)
        };
        let captions = captions.iter().map(symbols).collect::<Result<_>>()?;
        examples.push(Example { picture, captions });
    }
    anyhow::ensure!(!examples.is_empty(), "there is not one picture to learn from that can be used");
    anyhow::ensure!(!validation.is_empty(), "there is not one picture to choose a model by that can be used");
    let settings = CaptionConfig {
        vocab: vocabulary.size(),
        lowercase: reading.lowercase,
        encoder: config.encoder.clone(),
        network: config.network.clone(),
    };
    let data = Data {
        vocabulary,
        train: examples,
        pictures,
        validation,
        validation_features,
        scenes,
        batch: *batch,
    };
    CaptionTask::new(settings, config.loss, start, data, config.training.seed, device)
}

fn captions(pictures: &[Captioned]) -> impl Iterator<Item = &str> {
    pictures.iter().flat_map(|picture| &picture.captions).map(String::as_str)
}

/// The weights of an encoder that has been trained before.
fn encoder_weights(config: &RunConfig) -> Result<Option<HashMap<String, Tensor>>> {
    match (&config.encoder.kind, &config.encoder_weights) {
        (EncoderKind::EfficientnetLite0, Some(path)) => encoder::published(path).map(Some),
        (EncoderKind::EfficientnetLite0, None) => Err(UsageError::new(
            "EfficientNet-Lite0 needs its weights: give --encoder-weights FILE (the guide says where they are)",
        )
        .into()),
        (EncoderKind::Residual(_), None) => Ok(None),
        (EncoderKind::Residual(_), Some(path)) => Err(UsageError::new(format!(
            "the residual encoder is trained from scratch, and {} is not for it: leave out --encoder-weights, or \
             choose --encoder efficientnet-lite0",
            path.display()
        ))
        .into()),
    }
}

/// What a frozen encoder sees of pictures.
///
/// # Errors
/// Those of [`Features::of`].
pub fn keep(
    pictures: &[Captioned],
    config: &EncoderConfig,
    weights: &HashMap<String, Tensor>,
    folder: &std::path::Path,
    device: &Device,
    progress: ProgressStyle,
) -> Result<Features> {
    let images: Vec<&Image> = pictures.iter().map(|picture| &picture.image).collect();
    let on_device = weights.iter().map(|(name, tensor)| Ok((name.clone(), tensor.to_device(device)?)));
    let on_device: HashMap<String, Tensor> = on_device.collect::<Result<_>>()?;
    let vb = VarBuilder::from_tensors(on_device, DType::F32, device);
    let encoder = Encoder::new(config, MatmulPrecision::Full, vb)?;
    let work = progress.work(images.len(), "pictures");
    Features::of(&images, (&encoder, config, weights), folder, device, &|done| work.set(done), &|error| {
        tracing::warn!("{error:#}: it is left out")
    })
}

/// The pictures that can be read; the others are named and left out.
fn usable(pictures: Vec<Captioned>) -> Vec<Captioned> {
    let check = |captioned: Captioned| match captioned.image.picture() {
        Ok(_) => Some(captioned),
        Err(error) => {
            tracing::warn!("{error:#}: it is left out");
            None
        }
    };
    pictures.into_par_iter().filter_map(check).collect()
}

/// The pictures of a new run to learn from and to choose a model by, which `config` then names.
fn fresh(args: &TrainArgs, config: &mut RunConfig) -> Result<(Vec<Captioned>, Vec<Captioned>)> {
    let named = |name: &Option<String>, split: &Option<String>, part| {
        name.as_deref().map(|name| Source::named(name, split.as_deref(), part))
    };
    let train =
        named(&args.data, &args.split, Part::Train).or(config.data.train.take()).ok_or_else(|| {
            UsageError::new("there is nothing to learn from: give --data FILE or --data embedded")
        })?;
    // Another split of the same file.
    let of_data = || match (&train, &args.validation_split) {
        (Source::Embedded(_), _) => Some(Source::Embedded(Part::Validation)),
        (Source::File { path, .. }, Some(split)) => {
            Some(Source::named(&path.to_string_lossy(), Some(split), Part::Validation))
        }
        _ => None,
    };
    let validation = named(&args.validation, &args.validation_split, Part::Validation)
        .or(config.data.validation.take())
        .or_else(of_data);
    let validation = validation.ok_or_else(|| {
        UsageError::new(
            "there is nothing to choose a model by: give --validation FILE or --validation-split SPLIT",
        )
    })?;
    let (pictures, held) =
        (corpus::read(&train, &config.data.reading)?, corpus::read(&validation, &config.data.reading)?);
    config.data.crc32c = Some([corpus::fingerprint(&pictures), corpus::fingerprint(&held)]);
    (config.data.train, config.data.validation) = (Some(train), Some(validation));
    Ok((pictures, held))
}

/// The pictures of a run that goes on, if nothing of what must stay has changed from `saved` to `config`.
fn resumed(
    args: &TrainArgs,
    saved: &RunConfig,
    config: &RunConfig,
) -> Result<(Vec<Captioned>, Vec<Captioned>)> {
    let fixed = |config: &RunConfig| RunConfig {
        training: TrainConfig {
            seed: config.training.seed,
            monitor: config.training.monitor.clone(),
            ..TrainConfig::default()
        },
        ..config.clone()
    };
    if fixed(config) != fixed(saved) || args.data.is_some() || args.validation.is_some() {
        return Err(UsageError::new(
            "the pictures, the networks, the loss, the batches, the seed and the measure of a run are fixed: leave \
             their flags out, or start a new run without --resume",
        )
        .into());
    }
    let read = |source: &Option<Source>| {
        let named = || format!("{} names no pictures", args.run.out.join("config.toml").display());
        corpus::read(source.as_ref().with_context(named)?, &saved.data.reading)
    };
    let (train, validation) = (read(&saved.data.train)?, read(&saved.data.validation)?);
    let found = [corpus::fingerprint(&train), corpus::fingerprint(&validation)];
    if saved.data.crc32c.is_some_and(|saved| saved != found) {
        let error = "the captions have changed since this run was started: put the old ones back, or start a new \
                     run without --resume";
        return Err(UsageError::new(error).into());
    }
    Ok((train, validation))
}
