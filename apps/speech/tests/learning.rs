//! The model learns: every variable of it; and what it recognises does not depend on how it is asked.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, LazyLock};

use audio_features::Audio;
use candle_core::Device;
use candle_rnn::Generator;
use end_to_end::assert_every_variable_learns;
use rnn_train::{ProgressStyle, RunFolder, Task};
use speech::augment::Augmenter;
use speech::corpus::{self, Layout, Part, Source, TextConfig};
use speech::examples::examples;
use speech::frontend::moments;
use speech::joining::Joining;
use speech::task::Data;
use speech::{
    Alphabet, AugmentConfig, FrontendConfig, Head, Listener, NetworkConfig, Normalization, Recognizer,
    RunConfig, Search, SpeechConfig, SpeechModel, SpeechTask, Units, Utterance, evaluate,
    train_on_utterances,
};

fn utterances(part: Part) -> Vec<Utterance> {
    corpus::read(&Source::Embedded(part), &Layout::default()).unwrap()
}

/// Utterances of a single word.
fn single(part: Part) -> Vec<Utterance> {
    utterances(part).into_iter().filter(|utterance| !utterance.text.contains(' ')).collect()
}

fn task(network: NetworkConfig, units: Units, joining: Option<Joining>) -> SpeechTask {
    let utterances = single(Part::Validation)[..12].to_vec();
    let texts = utterances.iter().map(|utterance| utterance.text.as_str());
    let alphabet = match network.head {
        Head::Classification => Alphabet::of_labels(texts),
        Head::Ctc => Alphabet::of_texts(units, texts.chain([" "]), datasets::embedded::pronunciations()),
    };
    let (alphabet, frontend) = (alphabet.unwrap(), FrontendConfig { bands: 20, ..FrontendConfig::default() });
    let (train, dropped) = examples(&utterances, &alphabet, &frontend, &network).unwrap();
    assert_eq!(dropped.count(), 0);
    let recordings: Vec<&Audio> = train.iter().map(|example| &example.audio).collect();
    let moments = moments(&frontend, recordings).unwrap();
    let data = Data {
        validation: train.clone(),
        train,
        augmenter: Augmenter::new(AugmentConfig::strong(), &frontend.features()).unwrap(),
        joining,
        batch: 6,
        label_smoothing: 0.1,
        monophones: None,
    };
    let config = SpeechConfig { text: TextConfig::default(), frontend, network, alphabet, moments };
    SpeechTask::new(config, data, 1, &Device::Cpu).unwrap()
}

#[test]
fn every_variable_of_every_kind_of_model_receives_a_gradient() {
    use app_kit::network::CellName;
    for (head, cell, convolutions, bidirectional, joining) in [
        (Head::Ctc, CellName::Gru, 1, true, None),
        (Head::Ctc, CellName::Lstm, 0, false, Some(Joining::default())),
        (Head::Classification, CellName::Gru, 2, false, None),
        (Head::Classification, CellName::Lstm, 1, true, None),
    ] {
        let network = NetworkConfig {
            head,
            cell,
            convolutions,
            bidirectional,
            channels: 12,
            hidden_size: 10,
            ..NetworkConfig::default()
        };
        let mut task = task(network, Units::Char, joining);
        let loss = task.loss(&mut Generator::new(2)).unwrap();
        assert!(loss.count > 0);
        assert_every_variable_learns(task.parameters(), &loss.sum).unwrap();
    }
}

#[test]
fn the_same_epoch_is_the_same_examples_and_another_is_not() {
    let network = NetworkConfig { channels: 8, hidden_size: 8, ..NetworkConfig::default() };
    let mut task = task(network, Units::Char, Some(Joining::default()));
    let loss =
        |task: &mut SpeechTask| task.loss(&mut Generator::new(3)).unwrap().sum.to_scalar::<f32>().unwrap();
    let start = task.position().unwrap();
    let first = loss(&mut task);
    let steps = task.steps_per_epoch();
    for _ in 1..steps {
        loss(&mut task);
    }
    let next_epoch = loss(&mut task);
    assert_ne!(first, next_epoch);
    task.seek(&start).unwrap();
    assert_eq!(first, loss(&mut task));
}

#[test]
fn every_epoch_changes_the_recordings_anew() {
    let network = NetworkConfig { channels: 8, hidden_size: 8, dropout: 0.0, ..NetworkConfig::default() };
    let mut task = task(network, Units::Char, None);
    // Over all of the same recordings: what differs is how they were changed.
    let mut epoch = || {
        let losses = (0..task.steps_per_epoch()).map(|_| task.loss(&mut Generator::new(3)).unwrap());
        losses.map(|loss| loss.sum.to_scalar::<f32>().unwrap()).sum::<f32>()
    };
    let (first, second) = (epoch(), epoch());
    assert!((first - second).abs() > 1.0, "{first} {second}");
}

#[test]
fn more_recordings_are_learnt_from_and_never_chosen_by() {
    let data = speech::settings::DataConfig {
        train: Some(Source::Embedded(Part::Validation)),
        only: Some("voice=40-44".parse().unwrap()),
        hold_out: Some("voice=40".parse().unwrap()),
        ..Default::default()
    };
    let (train, validation) = speech::train::parts(&data, 1).unwrap();
    let with_more = speech::settings::DataConfig { also: Some(Source::EmbeddedDigits), ..data };
    let (more, same) = speech::train::parts(&with_more, 1).unwrap();
    let names = |utterances: &[Utterance]| -> Vec<String> {
        utterances.iter().map(|utterance| utterance.name.clone()).collect()
    };
    assert_eq!((train.len(), validation.len()), (60, 15));
    assert_eq!(names(&same), names(&validation));
    assert_eq!(names(&more[..60]), names(&train));
    assert_eq!(
        names(&more[60..]),
        names(&corpus::read(&Source::EmbeddedDigits, &Layout::default()).unwrap())
    );
}

/// A streaming model that has learnt a part of the built-in digits.
static TRAINED: LazyLock<(tempfile::TempDir, SpeechModel)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let run = RunFolder::create(folder.path().join("run"), false).unwrap();
    let embedded = RunConfig::embedded();
    let config = RunConfig {
        frontend: FrontendConfig { bands: 24, normalization: Normalization::Running, ..embedded.frontend },
        network: NetworkConfig {
            bidirectional: false,
            channels: 48,
            hidden_size: 64,
            layers: 1,
            dropout: 0.0,
            ..embedded.network
        },
        data: speech::settings::DataConfig { train: Some(Source::Embedded(Part::Train)), ..embedded.data },
        training: rnn_train::TrainConfig { epochs: 8.0, ..embedded.training },
        batch: 8,
        ..RunConfig::default()
    };
    let parts = (utterances(Part::Train)[..600].to_vec(), utterances(Part::Validation)[..10].to_vec());
    let stop = AtomicBool::new(false);
    let trained =
        train_on_utterances(parts, &config, &run, &Device::Cpu, &stop, ProgressStyle::Hidden).unwrap();
    (folder, trained.model)
});

fn recognizer(search: Search) -> Recognizer {
    Recognizer::new(TRAINED.1.clone(), search)
}

fn searched() -> Search {
    speech::SearchArgs::default().search(&TRAINED.1).unwrap()
}

#[test]
fn it_learns_digits_and_where_their_phonemes_are() {
    let found = evaluate(&recognizer(searched()), &utterances(Part::Test)[..60], true).unwrap();
    assert!(found.wer.unwrap() < 15.0, "WER {:?}", found.wer);
    assert!(found.boundaries.unwrap().mean_ms < 60.0);
}

#[test]
fn recordings_side_by_side_are_recognised_as_if_alone() {
    let recordings: Vec<Audio> =
        utterances(Part::Test)[..20].iter().map(|utterance| utterance.sound.read().unwrap()).collect();
    let recognizer = recognizer(Search::default());
    let together = recognizer.transcribe(&recordings.iter().collect::<Vec<_>>()).unwrap();
    for (audio, together) in recordings.iter().zip(together) {
        let alone = &recognizer.transcribe(&[audio]).unwrap()[0];
        assert_eq!(alone.text, together.text);
        assert!((alone.score - together.score).abs() < 1e-2);
    }
}

#[test]
fn listening_gives_the_text_of_the_whole_recording_in_any_pieces_and_is_never_far_behind() {
    for search in [Search::default(), searched()] {
        let recognizer = recognizer(search);
        let guide = recognizer.search().guide(recognizer.model().alphabet());
        for (number, utterance) in utterances(Part::Test)[..12].iter().enumerate() {
            let audio = utterance.sound.read().unwrap();
            let whole = &recognizer.transcribe(&[&audio]).unwrap()[0];
            let mut listener = Listener::new(recognizer.model(), recognizer.search(), &guide).unwrap();
            for piece in audio.samples.chunks([13, 80, 801, 100_000][number % 4]) {
                listener.push(piece).unwrap();
                assert!(listener.heard() - listener.recognized() < 0.1);
            }
            assert_eq!(listener.finish().unwrap().text, whole.text);
        }
    }
}

#[test]
fn silence_and_recordings_of_no_length_are_recognised_as_nothing_much() {
    let recognizer = recognizer(searched());
    for samples in [vec![], vec![0.0], vec![0.0; 100], vec![0.0; 16_000]] {
        let audio = Audio { samples, rate: 8000 };
        let text = &recognizer.transcribe(&[&audio]).unwrap()[0].text;
        assert!(text.len() < 12, "{text}");
    }
}

#[test]
fn an_alignment_of_more_than_was_said_is_an_error_and_no_panic() {
    let audio = Audio { samples: vec![0.01; 1600], rate: 8000 };
    let error = speech::align::align_text(&TRAINED.1, &audio, "one two three four five").unwrap_err();
    assert!(format!("{error:#}").contains("does not fit"), "{error:#}");
    assert!(speech::align::align_text(&TRAINED.1, &audio, "hundred").is_err());
    assert!(speech::align::align_text(&TRAINED.1, &audio, " ").is_err());
}

#[test]
fn recordings_too_short_for_their_text_are_left_out_and_counted() {
    let sound = |samples| speech::Sound::Memory(Arc::new(Audio { samples, rate: 8000 }));
    let utterance = |text: &str, samples: usize| Utterance {
        name: "a".into(),
        text: text.into(),
        fields: BTreeMap::new(),
        sound: sound(vec![0.1; samples]),
    };
    let all = [utterance("zero", 8000), utterance("zero", 300), utterance("", 8000)];
    let alphabet = Alphabet::of_texts(Units::Char, ["zero"], &BTreeMap::new()).unwrap();
    let (frontend, network) = (FrontendConfig::default(), NetworkConfig::default());
    let (kept, dropped) = examples(&all, &alphabet, &frontend, &network).unwrap();
    assert_eq!((kept.len(), dropped.empty, dropped.too_short, dropped.of), (1, 1, 1, 3));
}
