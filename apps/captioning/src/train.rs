//! Training: from the settings to a task, and the run.

use std::collections::HashMap;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result};
use app_kit::UsageError;
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_rnn::MatmulPrecision;
use image_features::AugmentConfig;
use rayon::prelude::*;
use rnn_train::{ProgressStyle, RunFolder, TrainConfig};

use crate::corpus::{self, Captioned, EMBEDDED, Image, Part, Source};
use crate::encoder::{self, Encoder, EncoderConfig, EncoderKind};
use crate::examples::{Example, LivePictures};
use crate::features::{Features, cache_folder};
use crate::model::{APPLICATION, CaptionConfig, CaptionModel};
use crate::settings::{DataConfig, RunConfig, TrainArgs};
use crate::task::{CaptionTask, Data, Pictures, Start};
use crate::vocabulary::Vocabulary;

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
    rnn_train::settings::write(&run.config(), config)?;
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
    if args.no_contours && !matches!(config.encoder.kind, EncoderKind::Residual(_)) {
        let error =
            "only the residual encoder sees contours: leave out --no-contours, or choose --encoder residual";
        return Err(UsageError::new(error).into());
    }
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
    let vb = VarBuilder::from_tensors(encoder::on_device(weights, device)?, DType::F32, device);
    let encoder = Encoder::new(config, MatmulPrecision::Full, vb)?;
    let work = progress.work(images.len(), "pictures");
    Features::of(&images, (&encoder, weights), folder, device, &|done| work.set(done), &|error| {
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
