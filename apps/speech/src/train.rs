//! Training: from the settings to a task, and the run.

use std::io::Write;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result};
use app_kit::UsageError;
use audio_features::Audio;
use candle_core::Device;
use candle_rnn::Generator;
use rnn_train::{ProgressStyle, RunFolder, Task, TrainConfig};

use crate::alphabet::{Alphabet, Pronunciations, Units};
use crate::augment::Augmenter;
use crate::corpus::{self, Part, Source, Utterance};
use crate::examples::{Dropped, examples};
use crate::frontend::moments;
use crate::joining;
use crate::model::{SpeechConfig, SpeechModel};
use crate::monophones::Monophones;
use crate::network::Head;
use crate::pronunciations;
use crate::settings::{DataConfig, RunConfig, TrainArgs};
use crate::task::{Data, SpeechTask, check_joining};

/// A training that has ended, and the best model it found.
pub type Trained = rnn_train::Trained<SpeechModel>;

/// Recordings to learn from, and to choose a model by.
pub type Parts = (Vec<Utterance>, Vec<Utterance>);

/// Trains on recordings held in memory, without flags: what the tour and other programs call. Set
/// `config.training.max_seconds` to train for a given time.
///
/// # Errors
/// Settings that do not fit each other, no recordings, or what [`rnn_train::train`] reports.
pub fn train_on_utterances(
    parts: Parts,
    config: &RunConfig,
    run: &RunFolder,
    device: &Device,
    stop: &AtomicBool,
    progress: ProgressStyle,
) -> Result<Trained> {
    let (mut task, _) = task(parts, config, device)?;
    rnn_train::settings::write(&run.config(), config)?;
    let report = rnn_train::train(&mut task, &config.training, run, false, stop, progress)?;
    Ok(Trained { model: SpeechModel::load(&run.model(&report), device)?, report })
}

/// `speech train`: resolves the settings, trains, and says on `out` what came of it.
///
/// Nothing is written before the recordings, the settings and the network have been found good.
///
/// # Errors
/// [`UsageError`] for settings that make no sense; recordings that cannot be read; a run folder that exists
/// (or, with `--resume`, does not); what [`rnn_train::train`] reports.
pub fn run(
    args: &TrainArgs,
    seed: Option<u64>,
    device: &Device,
    progress: ProgressStyle,
    out: &mut dyn Write,
) -> Result<()> {
    let (config, parts) = if args.run.resume { resumed(args, seed)? } else { fresh(args, seed)? };
    config.training.validate()?;
    let (mut task, dropped) = task(parts, &config, device)?;
    config.training.monitored(&task)?;
    let run = args.run.folder(&config)?;
    if dropped.count() > 0 {
        tracing::warn!("{dropped}");
    }
    let seconds: f64 = task.data().train.iter().map(|example| example.audio.duration()).sum();
    tracing::info!(
        "{} recordings to learn from ({:.1} minutes), {} to choose by; {} symbols, {} parameters",
        task.data().train.len(),
        seconds / 60.0,
        task.data().validation.len(),
        task.alphabet().len(),
        task.parameters().count(),
    );
    args.run.train("speech", &mut task, &config.training, &run, progress, out)
}

/// The recordings of a run: to learn from, and to choose a model by.
///
/// # Errors
/// [`UsageError`] when there are none; those of [`corpus::read_selected`].
pub fn parts(config: &DataConfig, seed: u64) -> Result<Parts> {
    let (mut train, validation) = divided(config, seed)?;
    if let Some(also) = &config.also {
        train.extend(corpus::read(also, &config.layout)?);
    }
    Ok((train, validation))
}

/// The recordings of a run without those of [`DataConfig::also`].
fn divided(config: &DataConfig, seed: u64) -> Result<Parts> {
    let train = config.train.as_ref().ok_or_else(|| {
        UsageError::new(format!(
            "there are no recordings to learn from: give --data DATA, a folder or a manifest, or `{}`",
            corpus::EMBEDDED
        ))
    })?;
    let train = corpus::read_selected(train, &config.layout, config.only.as_ref())?;
    if let Some(validation) = &config.validation {
        return Ok((train, corpus::read_selected(validation, &config.layout, config.only.as_ref())?));
    }
    if let Some(hold_out) = &config.hold_out {
        let (held_out, rest) = hold_out.partition(train)?;
        if rest.is_empty() {
            let error = format!("{hold_out} holds out all recordings: nothing is left to learn from");
            return Err(UsageError::new(error).into());
        }
        return Ok((rest, held_out));
    }
    one_in_ten(train, seed)
}

/// The others, and one recording in ten.
fn one_in_ten(utterances: Vec<Utterance>, seed: u64) -> Result<Parts> {
    let mut order: Vec<usize> = (0..utterances.len()).collect();
    Generator::new(seed).shuffle(&mut order);
    let held_out = utterances.len().div_ceil(10);
    if held_out == utterances.len() {
        return Err(
            UsageError::new("one recording is not enough to learn from and to choose a model by").into()
        );
    }
    let mut is_held_out = vec![false; utterances.len()];
    order[..held_out].iter().for_each(|&number| is_held_out[number] = true);
    let (held_out, rest): (Vec<_>, Vec<_>) =
        utterances.into_iter().zip(is_held_out).partition(|(_, held)| *held);
    let utterances =
        |part: Vec<(Utterance, bool)>| part.into_iter().map(|(utterance, _)| utterance).collect();
    Ok((utterances(rest), utterances(held_out)))
}

/// The task, and what was left out of the recordings to learn from.
fn task(
    (mut train, mut validation): Parts,
    config: &RunConfig,
    device: &Device,
) -> Result<(SpeechTask, Dropped)> {
    let RunConfig { data, augment, frontend, network, .. } = config;
    frontend.validate()?;
    network.validate()?;
    augment.validate()?;
    check_joining(data.joining.as_ref(), network.head)?;
    for utterance in train.iter_mut().chain(&mut validation) {
        utterance.text = data.text.apply(&utterance.text);
    }
    let alphabet = alphabet(&train, data, network.head)?;
    let (train, dropped) = examples(&train, &alphabet, frontend, network)?;
    if train.is_empty() {
        return Err(UsageError::new(format!("nothing is left to learn from, {dropped}")).into());
    }
    let recordings: Vec<&Audio> = train.iter().map(|example| &example.audio).collect();
    let moments = moments(frontend, recordings)?;
    if let Some(joining) = &data.joining {
        validation = joining::strings(&validation, joining, config.training.seed)?;
    }
    let (validation, left_out) = examples(&validation, &alphabet, frontend, network)
        .context("in the recordings to choose a model by")?;
    if validation.is_empty() {
        return Err(UsageError::new(format!("nothing is left to choose a model by, {left_out}")).into());
    }
    let monophones = match (alphabet.units(), alphabet.separator()) {
        (Units::Phoneme, Some(silence)) if network.head == Head::Ctc => {
            let said: Vec<_> = train.iter().map(|example| (&example.audio, &example.target[..])).collect();
            Some(Monophones::train(&said, alphabet.len(), silence, frontend.rate)?)
        }
        _ => None,
    };
    let data = Data {
        monophones,
        train,
        validation,
        augmenter: Augmenter::new(augment.clone(), &frontend.features())?,
        joining: data.joining,
        batch: config.batch,
        label_smoothing: config.label_smoothing,
    };
    let settings = SpeechConfig {
        text: config.data.text.clone(),
        frontend: frontend.clone(),
        network: network.clone(),
        alphabet,
        moments,
    };
    Ok((SpeechTask::new(settings, data, config.training.seed, device)?, dropped))
}

fn alphabet(train: &[Utterance], data: &DataConfig, head: Head) -> Result<Alphabet> {
    let texts = train.iter().map(|utterance| utterance.text.as_str());
    if head == Head::Classification {
        return Ok(Alphabet::of_labels(texts)?);
    }
    let pronunciations = match (&data.pronunciations, &data.train) {
        (Some(path), _) => pronunciations::read(path, &data.text)?,
        (None, Some(Source::Embedded(_))) => datasets::embedded::pronunciations().clone(),
        _ => Pronunciations::new(),
    };
    // Strings have a separator that single words have not.
    let joined = data.joining.iter().map(|_| crate::alphabet::SEPARATOR);
    Ok(Alphabet::of_texts(data.units, texts.chain(joined), &pronunciations)?)
}

fn fresh(args: &TrainArgs, seed: Option<u64>) -> Result<(RunConfig, Parts)> {
    let train = args.data.as_deref().map(|name| Source::named(name, Part::Train)).transpose()?;
    let is_embedded = matches!(train, Some(Source::Embedded(_)));
    let mut config =
        args.run.settings(|| if is_embedded { RunConfig::embedded() } else { RunConfig::default() })?;
    args.apply(&mut config);
    config.training.seed = seed.unwrap_or(config.training.seed);
    if train.is_some() {
        config.data.train = train;
        config.data.validation = is_embedded.then_some(Source::Embedded(Part::Validation));
    }
    if let Some(name) = &args.also {
        config.data.also = Some(Source::named(name, Part::Train)?);
    }
    if let Some(name) = &args.validation {
        config.data.validation = Some(Source::named(name, Part::Validation)?);
    }
    let parts = parts(&config.data, config.training.seed)?;
    config.data.crc32c = Some([corpus::fingerprint(&parts.0), corpus::fingerprint(&parts.1)]);
    Ok((config, parts))
}

fn resumed(args: &TrainArgs, seed: Option<u64>) -> Result<(RunConfig, Parts)> {
    let saved: RunConfig = args.run.settings(RunConfig::default)?;
    let mut config = saved.clone();
    args.apply(&mut config);
    config.training.seed = seed.unwrap_or(config.training.seed);
    let fixed = |config: &RunConfig| {
        let RunConfig { training: TrainConfig { seed, .. }, .. } = config;
        (RunConfig { training: TrainConfig::default(), ..config.clone() }, *seed)
    };
    if fixed(&config) != fixed(&saved) {
        return Err(UsageError::new(
            "the recordings, the features, the network, the augmentation, the batches and the seed of a run are \
             fixed: leave their flags out, or start a new run without --resume",
        )
        .into());
    }
    if let Some(name) = &args.data {
        config.data.train = Some(Source::named(name, Part::Train)?);
    }
    if let Some(name) = &args.also {
        config.data.also = Some(Source::named(name, Part::Train)?);
    }
    if let Some(name) = &args.validation {
        config.data.validation = Some(Source::named(name, Part::Validation)?);
    }
    let parts = parts(&config.data, config.training.seed)?;
    let found = [corpus::fingerprint(&parts.0), corpus::fingerprint(&parts.1)];
    if saved.data.crc32c.is_some_and(|saved| saved != found) {
        let error = "these are not the recordings this run was started with: give those with --data";
        return Err(UsageError::new(error).into());
    }
    Ok((config, parts))
}
