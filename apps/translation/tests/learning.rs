//! The model learns: every variable of it, and to put known words together in new ways; and what it
//! finds does not depend on how it is asked.

use std::sync::atomic::AtomicBool;
use std::sync::{LazyLock, Mutex};

use candle_core::Device;
use candle_rnn::Generator;
use end_to_end::assert_every_variable_learns;
use rnn_decode::{BeamSearch, Sampling};
use rnn_text::Units;
use rnn_train::{ProgressStyle, RunFolder, Task};
use translation::batches::BatchConfig;
use translation::corpus::{self, Languages, Part, Source};
use translation::evaluate::{self, Measures};
use translation::network::{ScoreName, Tied};
use translation::task::{Data, TranslationTask};
use translation::vocabulary::{Vocabularies, VocabularyConfig};
use translation::{
    CellName, NetworkConfig, Pair, RunConfig, TranslateConfig, Translation, TranslationConfig,
    TranslationModel, Translator, train_on_pairs,
};

fn pairs(part: Part) -> Vec<Pair> {
    corpus::read(&Source::Embedded(part), &Languages::default()).unwrap()
}

fn task(network: NetworkConfig) -> TranslationTask {
    let pairs = pairs(Part::Validation)[..60].to_vec();
    let joint = network.tied == Tied::All;
    let units = if joint { Units::Bpe } else { Units::Char };
    let config = VocabularyConfig { source_units: units, target_units: units, size: 300, joint };
    let vocabularies = Vocabularies::train(&pairs, &config).unwrap();
    let config = TranslationConfig {
        source_vocab: vocabularies.source().vocab_size(),
        target_vocab: vocabularies.target().vocab_size(),
        joint,
        lowercase: false,
        languages: Languages::default(),
        network,
    };
    let train = evaluate::examples(&vocabularies, &pairs).unwrap();
    let data = Data { vocabularies, train, validation: pairs[..5].to_vec() };
    let batches = BatchConfig { tokens: 60, pairs: 10 };
    TranslationTask::new(config, data, batches, 0.1, Measures::default(), 1, &Device::Cpu).unwrap()
}

#[test]
fn every_variable_of_every_kind_of_model_receives_a_gradient() {
    for cell in [CellName::Tanh, CellName::Gru, CellName::Lstm] {
        for (score, tied, input_feeding, encoder_layers) in [
            (ScoreName::Additive, Tied::All, true, 1),
            (ScoreName::Additive, Tied::None, false, 2),
            (ScoreName::Multiplicative, Tied::Target, true, 2),
            (ScoreName::Multiplicative, Tied::All, false, 1),
        ] {
            let mut task = task(NetworkConfig {
                cell,
                score,
                tied,
                input_feeding,
                encoder_layers,
                embedding_size: 12,
                encoder_size: 8,
                decoder_size: 14,
                attention_size: 10,
                dropout_over_time: input_feeding,
                ..NetworkConfig::default()
            });
            let loss = task.loss(&mut Generator::new(1)).unwrap();
            assert_every_variable_learns(task.parameters(), &loss.sum).unwrap();
        }
    }
}

#[test]
fn a_position_brings_back_the_same_loss_in_any_epoch() {
    let mut task = task(NetworkConfig { embedding_size: 8, decoder_size: 8, ..NetworkConfig::default() });
    let mut generator = Generator::new(1);
    for _ in 0..task.steps_per_epoch() + 2 {
        task.loss(&mut generator).unwrap();
    }
    let (position, mut again) = (task.position().unwrap(), generator.clone());
    let loss =
        |task: &mut TranslationTask, g: &mut Generator| task.loss(g).unwrap().sum.to_scalar::<f32>().unwrap();
    let first = [loss(&mut task, &mut generator), loss(&mut task, &mut generator)];
    task.seek(&position).unwrap();
    assert_eq!([loss(&mut task, &mut again), loss(&mut task, &mut again)], first);
}

/// A model that has learnt the built-in set for some epochs.
static TRAINED: LazyLock<Mutex<Translator>> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let run = RunFolder::create(folder.path().join("run"), false).unwrap();
    let mut config = RunConfig::embedded();
    config.training.epochs = 6.0;
    let data = (pairs(Part::Train), pairs(Part::Validation));
    let never = AtomicBool::new(false);
    let trained = train_on_pairs(data, &config, &run, &Device::Cpu, &never, ProgressStyle::Hidden).unwrap();
    Mutex::new(Translator::new(trained.model).unwrap())
});

fn with_trained<T>(f: impl FnOnce(&Translator) -> T) -> T {
    f(&TRAINED.lock().unwrap())
}

fn sources(part: Part, count: usize) -> Vec<String> {
    pairs(part).into_iter().take(count).map(|pair| pair.source).collect()
}

fn translate(translator: &Translator, sources: &[String], config: &TranslateConfig) -> Vec<Translation> {
    translator.translate(sources, config).unwrap().into_iter().map(Result::unwrap).collect()
}

fn beam(beam: usize, batch: usize) -> TranslateConfig {
    let search = BeamSearch { beam, nbest: beam, length_penalty: 1.0, ..BeamSearch::default() };
    TranslateConfig { search, batch, ..TranslateConfig::default() }
}

#[test]
fn words_are_put_together_that_never_stood_together() {
    let (translations, unseen) = with_trained(|translator| {
        let unseen = pairs(Part::Unseen);
        (evaluate::translate(translator, &unseen, &beam(5, 64)).unwrap().0, unseen)
    });
    let scores = Measures::default().scores(&translations, &unseen).unwrap();
    assert!(scores.exact >= 90.0, "{} % of the unseen combinations", scores.exact);
}

#[test]
fn a_thousand_sentences_side_by_side_are_translated_as_if_alone() {
    let sources = sources(Part::Train, 1000);
    with_trained(|translator| {
        let together = translate(translator, &sources, &beam(3, 64));
        let alone = translate(translator, &sources, &beam(3, 1));
        for (together, alone) in together.iter().zip(&alone) {
            let texts = |translation: &Translation| -> Vec<Vec<String>> {
                translation.hypotheses.iter().map(|hypothesis| hypothesis.tokens.clone()).collect()
            };
            assert_eq!(texts(together), texts(alone), "{}", together.source);
        }
    });
}

#[test]
fn a_beam_of_one_takes_the_likeliest_symbol_and_so_does_drawing_at_temperature_zero() {
    let sources = sources(Part::Test, 100);
    with_trained(|translator| {
        let greedy = translate(translator, &sources, &beam(1, 64));
        let cold = Sampling { temperature: 0.0, ..Sampling::default() };
        let drawn = TranslateConfig { sampling: Some((cold, 1)), ..TranslateConfig::default() };
        for (greedy, drawn) in greedy.iter().zip(translate(translator, &sources, &drawn)) {
            assert_eq!(greedy.text(), drawn.text());
        }
    });
}

#[test]
fn drawing_follows_the_seed_and_not_the_company() {
    let sources = sources(Part::Test, 20);
    let drawn = |seed, batch| TranslateConfig {
        sampling: Some((Sampling { temperature: 2.0, ..Sampling::default() }, seed)),
        batch,
        ..TranslateConfig::default()
    };
    with_trained(|translator| {
        let texts = |config| -> Vec<String> {
            translate(translator, &sources, &config).iter().map(|t| t.text().to_owned()).collect()
        };
        assert_eq!(texts(drawn(1, 64)), texts(drawn(1, 3)));
        assert_ne!(texts(drawn(1, 64)), texts(drawn(2, 64)));
    });
}

#[test]
fn a_model_beside_itself_is_the_model() {
    let sources = sources(Part::Test, 200);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model");
    with_trained(|translator| {
        let model = translator.model();
        save(model, &path);
        let twice = Translator::load(&[&path, &path], &Device::Cpu).unwrap();
        let alone = translate(translator, &sources, &beam(4, 64));
        for (twice, alone) in translate(&twice, &sources, &beam(4, 64)).iter().zip(&alone) {
            assert_eq!(twice.text(), alone.text());
            let (twice, alone) = (twice.hypotheses[0].log_probability, alone.hypotheses[0].log_probability);
            assert!((twice - alone).abs() < 1e-4, "{twice} {alone}");
        }
    });
}

/// A model folder as a training leaves it.
fn save(model: &TranslationModel, path: &std::path::Path) {
    std::fs::create_dir(path).unwrap();
    model.save(path).unwrap();
}

#[test]
fn the_search_finds_what_scoring_gives_and_rules_are_kept() {
    let sources = sources(Part::Test, 30);
    with_trained(|translator| {
        for translation in translate(translator, &sources, &beam(4, 64)) {
            let best = &translation.hypotheses[0];
            let pair = Pair { source: translation.source.clone(), target: best.text.clone() };
            let scored = translator.model().score(&pair).unwrap().log_probability;
            assert!((scored - best.log_probability).abs() < 1e-3, "{scored} {best:?}");
            assert_eq!(best.attention.len(), best.tokens.len() + 1);
            for step in &best.attention {
                assert!((step.iter().sum::<f32>() - 1.0).abs() < 1e-4);
                assert_eq!(step.len(), translation.source_tokens.len());
            }
        }
        let prefix = TranslateConfig { prefix: "我".to_owned(), ..beam(2, 64) };
        assert!(translate(translator, &sources, &prefix).iter().all(|t| t.text().starts_with('我')));
        let short = TranslateConfig { max_length: Some(2), ..beam(2, 64) };
        for translation in translate(translator, &sources, &short) {
            let best = &translation.hypotheses[0];
            assert!(best.tokens.len() <= 2);
        }
    });
}

#[test]
fn a_bad_sentence_among_good_ones_is_told_and_the_others_are_translated() {
    let sources: Vec<String> = ["I like tea.", "", "   ", &"tea ".repeat(5000), "\u{0}\u{1}", "I like tea."]
        .map(str::to_owned)
        .into();
    with_trained(|translator| {
        let translations = translator.translate(&sources, &beam(2, 64)).unwrap();
        let good = |at: usize| translations[at].as_ref().unwrap().text().to_owned();
        assert!(!good(0).is_empty() && good(0) == good(5));
        assert_eq!((good(1), good(2)), (String::new(), String::new()));
        let message = translations[3].as_ref().unwrap_err().to_string();
        assert!(message.contains("5001 symbols") && message.contains("--max-source"), "{message}");
        assert!(translations[4].is_ok());
    });
}
