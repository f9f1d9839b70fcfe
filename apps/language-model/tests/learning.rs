//! The model learns: every variable of it, and what there is to learn.

use std::sync::atomic::AtomicBool;

use candle_core::Device;
use candle_rnn::{Generator, Precision, Windows};
use end_to_end::assert_every_variable_learns;
use language_model::{
    CellName, Data, DataConfig, GenerateConfig, Held, LanguageModelTask, NetworkConfig, RunConfig,
    train_on_text,
};
use rnn_decode::Sampling;
use rnn_text::Corpus;
use rnn_train::schedule::Schedule;
use rnn_train::{ProgressStyle, RunFolder, Task, TrainConfig};

const TEXT: &str = "the cat sat on the mat and ate the rat. ";

fn network(cell: CellName, tied: bool) -> NetworkConfig {
    let dropout = 0.2;
    NetworkConfig {
        cell,
        embedding_size: 16,
        hidden_size: 16,
        layers: 2,
        dropout,
        tied,
        ..Default::default()
    }
}

fn task(cell: CellName, tied: bool, overlap: usize) -> LanguageModelTask {
    let data = Data::new(&Corpus::new("text", TEXT.repeat(10)), &DataConfig::default()).unwrap();
    let windows = Windows { batch: 3, window: 12, overlap };
    LanguageModelTask::new(&network(cell, tied), data, windows, 1, &Device::Cpu).unwrap()
}

#[test]
fn every_variable_of_every_kind_of_model_receives_a_gradient() {
    for cell in [CellName::Tanh, CellName::Gru, CellName::Lstm] {
        for (tied, overlap) in [(false, 0), (true, 4)] {
            let mut task = task(cell, tied, overlap);
            let mut generator = Generator::new(1);
            task.loss(&mut generator).unwrap();
            let loss = task.loss(&mut generator).unwrap(); // this one with a carried state
            assert_eq!(loss.count, 3 * (12 - overlap));
            assert_every_variable_learns(task.parameters(), &loss.sum).unwrap();
        }
    }
}

#[test]
fn a_position_brings_back_the_same_loss() {
    let mut task = task(CellName::Lstm, false, 4);
    let mut generator = Generator::new(1);
    task.loss(&mut generator).unwrap();
    let (position, again) = (task.position().unwrap(), &mut generator.clone());
    let mut loss = |generator: &mut Generator| task.loss(generator).unwrap().sum.to_scalar::<f32>().unwrap();
    let first = loss(&mut generator);
    let second = loss(&mut generator);
    task.seek(&position).unwrap();
    let mut loss = |generator: &mut Generator| task.loss(generator).unwrap().sum.to_scalar::<f32>().unwrap();
    assert_eq!((loss(again), loss(again)), (first, second));
}

#[test]
fn a_sentence_heard_often_enough_is_written_and_scored_as_likely() {
    let folder = tempfile::tempdir().unwrap();
    let run = RunFolder::create(folder.path().join("run"), false).unwrap();
    let config = RunConfig {
        network: NetworkConfig { dropout: 0.0, layers: 1, hidden_size: 48, ..network(CellName::Lstm, false) },
        windows: Windows { batch: 4, window: 20, overlap: 0 },
        training: TrainConfig {
            epochs: 20.0,
            schedule: Schedule::constant(1e-2),
            evaluate_every: Some(100),
            ..TrainConfig::default()
        },
        ..RunConfig::default()
    };
    let stop = AtomicBool::new(false);
    let trained =
        train_on_text(&TEXT.repeat(40), &config, &run, &Device::Cpu, &stop, ProgressStyle::Hidden).unwrap();
    let loss = trained.report.best.unwrap().value;
    assert!(loss < 0.1, "{loss} nats per character of a text that repeats itself");

    let greedy = Sampling { temperature: 0.0, ..Sampling::default() };
    let config = GenerateConfig { sampling: greedy, length: 30, ..GenerateConfig::default() };
    let written = trained.model.generate(&TEXT[..10], &config, Generator::new(1)).unwrap();
    assert_eq!(written.collect::<anyhow::Result<String>>().unwrap(), &TEXT[10..40]);

    let held = Held { symbols: trained.model.tokenizer().encode(&TEXT.repeat(60)).unwrap(), characters: 1 };
    let together = trained.model.evaluate(&held).unwrap();
    let one_by_one = trained.model.evaluate_step_by_step(&held, Precision::F32).unwrap();
    assert_eq!(together.symbols, one_by_one.symbols);
    assert!((together.loss - one_by_one.loss).abs() < 1e-5, "{} and {}", together.loss, one_by_one.loss);

    let score = |text: &str| trained.model.score(text).unwrap().log_probability;
    assert!(score("the cat sat on") > score("the cat no tas") + 5.0);
}
