//! The model learns: every variable of it, and what is on pictures; and what it says does not depend on how it
//! is asked.

use std::sync::LazyLock;
use std::sync::atomic::AtomicBool;

use app_kit::network::CellName;
use candle_core::Device;
use candle_rnn::Generator;
use captioning::corpus::{self, Part, Reading, Source};
use captioning::encoder::EncoderKind;
use captioning::network::DecoderName;
use captioning::task::{CaptionTask, FineTuning, ScheduledSampling};
use captioning::train::task;
use captioning::{Caption, CaptionModel, Captioned, Captioner, RunConfig, SearchConfig, train_on_pictures};
use end_to_end::assert_every_variable_learns;
use image_features::{AugmentConfig, ResidualConfig};
use rnn_decode::BeamSearch;
use rnn_train::{ProgressStyle, RunFolder, Task};

fn pictures(count: usize) -> Vec<Captioned> {
    let mut pictures = corpus::read(&Source::Embedded(Part::Validation), &Reading::default()).unwrap();
    pictures.truncate(count);
    pictures
}

/// Settings of networks that are a matter of moments.
fn tiny() -> RunConfig {
    let mut config = RunConfig::embedded();
    config.encoder.kind = EncoderKind::Residual(ResidualConfig { channels: vec![8, 12] });
    config.encoder.preprocessing.size = 32;
    for size in [
        &mut config.network.region_size,
        &mut config.network.embedding_size,
        &mut config.network.hidden_size,
        &mut config.network.attention_size,
    ] {
        *size = 24;
    }
    config.network.dropout = 0.0;
    config.data.batch = 16;
    config
}

fn task_of(config: &RunConfig) -> CaptionTask {
    task(pictures(12), pictures(4), config, None, &Device::Cpu, ProgressStyle::Hidden).unwrap()
}

#[test]
fn every_variable_of_every_kind_of_model_receives_a_gradient() {
    for (decoder, cell, gate, words, surroundings) in [
        (DecoderName::Attend, CellName::Gru, true, true, true),
        (DecoderName::Attend, CellName::Lstm, false, false, false),
        (DecoderName::Tell, CellName::Gru, true, false, false),
        (DecoderName::Tell, CellName::Tanh, false, true, true),
    ] {
        let mut config = tiny();
        let network = &mut config.network;
        (network.decoder, network.cell, network.gate, network.words) = (decoder, cell, gate, words);
        network.surroundings = surroundings;
        config.loss.attention_penalty = 0.5;
        let mut task = task_of(&config);
        let loss = task.loss(&mut Generator::new(1)).unwrap();
        assert_every_variable_learns(task.parameters(), &loss.sum).unwrap();
    }
}

#[test]
fn an_encoder_waits_as_long_as_it_is_told_to() {
    let mut config = tiny();
    config.fine_tuning = Some(FineTuning { after_epochs: 1, rate: 0.5 });
    let mut task = task_of(&config);
    assert_eq!((task.rate_factor("encoder.stem.weight"), task.rate_factor("region.weight")), (0.5, 1.0));
    let learns = |task: &mut CaptionTask| {
        let gradients = task.loss(&mut Generator::new(1)).unwrap().sum.backward().unwrap();
        let of = |name: &str| task.parameters().named().into_iter().find(|(own, _)| own == name).unwrap().1;
        let has = |name: &str| gradients.get(&of(name)).is_some();
        (has("encoder.stem.weight"), has("region.weight"))
    };
    for _ in 0..task.steps_per_epoch() {
        assert_eq!(learns(&mut task), (false, true));
    }
    assert_eq!(learns(&mut task), (true, true));
}

#[test]
fn a_position_brings_back_the_same_batch_of_the_same_pictures() {
    let mut config = tiny();
    config.data.augment = AugmentConfig { crop: 0.3, brightness: 0.3, ..AugmentConfig::default() };
    config.loss.scheduled_sampling = ScheduledSampling { probability: 0.5, epochs: 2 };
    config.network.dropout = 0.2;
    let loss = |task: &mut CaptionTask| {
        task.loss(&mut Generator::new(7)).unwrap().sum.to_scalar::<f32>().unwrap().to_bits()
    };
    let mut one = task_of(&config);
    let mut losses = Vec::new();
    let mut positions = Vec::new();
    for _ in 0..2 * one.steps_per_epoch() {
        positions.push(one.position().unwrap());
        losses.push(loss(&mut one));
    }
    // Out of order, in another task.
    let mut other = task_of(&config);
    for (position, expected) in positions.iter().zip(losses).rev() {
        other.seek(position).unwrap();
        assert_eq!(loss(&mut other), expected);
    }
}

/// A model that has learnt ten scenes by heart, and these scenes.
static BY_HEART: LazyLock<(CaptionModel, Vec<Captioned>)> = LazyLock::new(|| {
    let mut pictures = pictures(10);
    pictures.iter_mut().for_each(|picture| picture.captions.truncate(1));
    let mut config = tiny();
    config.network.hidden_size = 48;
    config.training.epochs = 400.0;
    config.training.schedule.warmup_steps = 10;
    config.training.schedule.learning_rate = 0.01;
    config.training.evaluate_every = Some(1000);
    let folder = tempfile::tempdir().unwrap();
    let run = RunFolder::create(folder.path().join("run"), false).unwrap();
    let never = AtomicBool::new(false);
    let data = (pictures.clone(), pictures.clone());
    let trained =
        train_on_pictures(data, &config, &run, &Device::Cpu, &never, ProgressStyle::Hidden).unwrap();
    (trained.model, pictures)
});

fn captions(search: BeamSearch, together: bool) -> Vec<Vec<Caption>> {
    let (model, pictures) = &*BY_HEART;
    let captioner = Captioner::new(model.clone()).unwrap();
    let pictures: Vec<_> = pictures.iter().map(|picture| picture.image.picture().unwrap()).collect();
    let config = SearchConfig { search, max_length: 20, prefix: String::new() };
    match together {
        true => captioner.caption(&pictures, &config).unwrap(),
        false => pictures
            .iter()
            .flat_map(|picture| captioner.caption(std::slice::from_ref(picture), &config).unwrap())
            .collect(),
    }
}

#[test]
fn what_was_learnt_by_heart_is_said_and_every_word_looks_somewhere() {
    let (model, pictures) = &*BY_HEART;
    let captions = captions(BeamSearch::default(), true);
    let right = captions.iter().zip(pictures).filter(|(said, picture)| said[0].text == picture.captions[0]);
    assert!(right.count() >= 9, "{:?}", captions.iter().map(|said| &said[0].text).collect::<Vec<_>>());
    for caption in captions.iter().flatten() {
        // One more for the end.
        assert_eq!(caption.attention.len(), caption.tokens.len() + 1);
        for weights in &caption.attention {
            assert_eq!(weights.len(), model.config().encoder.sizes().places());
            assert!((weights.iter().sum::<f32>() - 1.0).abs() < 1e-4);
        }
    }
}

#[test]
fn a_picture_does_not_know_those_beside_it() {
    let search = BeamSearch { beam: 3, nbest: 3, ..BeamSearch::default() };
    let (together, alone) = (captions(search.clone(), true), captions(search, false));
    for (together, alone) in together.iter().zip(&alone) {
        assert_eq!(together.len(), 3);
        for (a, b) in together.iter().zip(alone) {
            assert_eq!(a.text, b.text);
            assert!((a.log_probability - b.log_probability).abs() < 1e-4);
        }
    }
}

#[test]
fn a_caption_begins_as_it_is_told_to() {
    let (model, pictures) = &*BY_HEART;
    let captioner = Captioner::new(model.clone()).unwrap();
    let picture = pictures[0].image.picture().unwrap();
    let config = SearchConfig { prefix: "two".to_owned(), max_length: 20, ..SearchConfig::default() };
    let captions = captioner.caption(&[picture], &config).unwrap();
    assert!(captions[0][0].text.starts_with("two"), "{}", captions[0][0].text);
}
