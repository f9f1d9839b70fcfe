//! Scores agree with sacreBLEU's and jiwer's.
//!
//! The fixtures and what is in them: `fixtures/metrics.py`. The comparison on the whole of a test set
//! of Multi30k needs the data: it runs where `CANDLE_RNN_DATA` names a folder that holds
//! `multi30k/test_2016_flickr.{en,de,fr}.gz`.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use rnn_metrics::error_rate::Edit;
use rnn_metrics::{Bleu, Bootstrap, Chrf, Comparison, ErrorRate, Metric, Score, Ter, Tokenizer};
use serde::Deserialize;

/// In points of a score from 0 to 100. Theirs and ours are computed in the same order from the same
/// counts, in `f64`.
const TOLERANCE: f64 = 1e-9;

/// Scores of samples, which sacreBLEU computes in `f32`.
const SAMPLED_TOLERANCE: f64 = 1e-4;

#[derive(Deserialize)]
struct Expected {
    corpus: BTreeMap<String, (f64, String)>,
    #[serde(default)]
    bootstrap: BTreeMap<String, [f64; 7]>,
    wer: Errors,
    cer: Errors,
}

#[derive(Deserialize)]
struct Errors {
    counts: [usize; 4],
    rate: f64,
    alignments: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Corpus {
    hypotheses: Vec<String>,
    references: Vec<Vec<String>>,
    tokens: BTreeMap<String, Vec<String>>,
    sentence: BTreeMap<String, Vec<f64>>,
    other: Vec<String>,
    #[serde(flatten)]
    expected: Expected,
}

fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    std::fs::read_to_string(path).unwrap()
}

fn corpora() -> BTreeMap<String, Corpus> {
    serde_json::from_str(&fixture("sentences.json")).unwrap()
}

/// A metric whose kind is known only from a fixture's key.
trait AnyMetric {
    fn scores(&self, hypotheses: &[String], references: &[Vec<String>]) -> (f64, String);
    fn sentence_score(&self, hypothesis: &str, references: &[&String]) -> f64;
    fn compare(&self, systems: [&[String]; 2], references: &[Vec<String>]) -> Comparison;
    fn signatures(&self, sets: usize) -> [String; 2];
}

impl<M: Metric> AnyMetric for M {
    /// The score and the printed line.
    fn scores(&self, hypotheses: &[String], references: &[Vec<String>]) -> (f64, String) {
        let score = self.corpus(hypotheses, references).unwrap();
        (score.value(), score.line(""))
    }

    fn sentence_score(&self, hypothesis: &str, references: &[&String]) -> f64 {
        self.sentence(hypothesis, references).unwrap().value()
    }

    fn compare(&self, [baseline, system]: [&[String]; 2], references: &[Vec<String>]) -> Comparison {
        Bootstrap::default().compare(self, baseline, system, references).unwrap()
    }

    /// The plain one, and that of the bootstrap.
    fn signatures(&self, sets: usize) -> [String; 2] {
        [self.signature(sets), Bootstrap::default().signature(self, sets)]
    }
}

/// The metric with the settings of `key`, which is its name and its signature without version.
fn metric(key: &str, sets: usize) -> Box<dyn AnyMetric> {
    let (name, signature) = key.split_once('|').unwrap();
    let pairs: BTreeMap<&str, &str> =
        signature.split('|').map(|pair| pair.split_once(':').unwrap()).collect();
    let lowercase = pairs["case"] == "lc";
    let yes = |key: &str| pairs[key] == "yes";
    let metric: Box<dyn AnyMetric> = match name {
        "BLEU" => Box::new(Bleu {
            tokenizer: pairs["tok"].parse().unwrap(),
            smoothing: pairs["smooth"].parse().unwrap(),
            lowercase,
            effective_order: yes("eff"),
            ..Bleu::default()
        }),
        "TER" => Box::new(Ter {
            normalized: yes("norm"),
            no_punctuation: !yes("punct"),
            asian_support: yes("asian"),
            case_sensitive: !lowercase,
        }),
        chrf => Box::new(Chrf {
            char_order: pairs["nc"].parse().unwrap(),
            word_order: pairs["nw"].parse().unwrap(),
            beta: chrf.trim_start_matches("chrF").trim_end_matches('+').parse().unwrap(),
            lowercase,
            whitespace: yes("space"),
            eps_smoothing: !yes("eff"),
        }),
    };
    let signature = format!("{signature}|version:candle-rnn-{}", env!("CARGO_PKG_VERSION"));
    assert!(metric.signatures(sets).contains(&signature), "{signature}: {:?}", metric.signatures(sets));
    metric
}

fn close(what: &str, ours: f64, theirs: f64, tolerance: f64) {
    assert!((ours - theirs).abs() <= tolerance, "{what}: {ours}, and theirs is {theirs}");
}

fn compare_corpus(name: &str, expected: &Expected, hypotheses: &[String], references: &[Vec<String>]) {
    for (key, (theirs, line)) in &expected.corpus {
        let (ours, our_line) = metric(key, references.len()).scores(hypotheses, references);
        close(&format!("{name}, {key}"), ours, *theirs, TOLERANCE);
        assert_eq!(&our_line, line, "{name}, {key}");
    }
    for (unit, theirs) in [(ErrorRate::words(), &expected.wer), (ErrorRate::characters(), &expected.cer)] {
        let ours = unit.corpus(hypotheses, &references[..1]).unwrap();
        let counts = [ours.substitutions, ours.deletions, ours.insertions, ours.correct];
        assert_eq!(counts, theirs.counts, "{name}, {ours}");
        assert_eq!(ours.rate(), theirs.rate, "{name}, {ours}");
    }
}

fn compare_bootstrap(name: &str, expected: &Expected, systems: [&[String]; 2], references: &[Vec<String>]) {
    for (key, [p_value, rest @ ..]) in &expected.bootstrap {
        let ours = metric(key, references.len()).compare(systems, references);
        assert_eq!(ours.p_value, *p_value, "{name}, {key}");
        let estimates = [ours.baseline, ours.system].map(|of| [of.score, of.mean, of.half_width]);
        for (ours, theirs) in estimates.as_flattened().iter().zip(rest) {
            close(&format!("{name}, {key}"), *ours, *theirs, SAMPLED_TOLERANCE);
        }
    }
}

#[test]
fn every_tokenizer_cuts_as_sacrebleus() {
    for (name, corpus) in corpora() {
        let lines = corpus.hypotheses.iter().chain(corpus.references.iter().flatten());
        let lines: Vec<&String> = lines.collect();
        for (tokenizer, theirs) in corpus.tokens {
            let tokenizer: Tokenizer = tokenizer.parse().unwrap();
            for (line, theirs) in lines.iter().zip(theirs) {
                // sacreBLEU's `char` writes blanks as words, and drops them when it counts.
                let theirs: Vec<&str> = theirs.split_whitespace().collect();
                assert_eq!(tokenizer.tokenize(line), theirs.join(" "), "{name}, {tokenizer}, {line:?}");
            }
        }
    }
}

#[test]
fn corpus_scores_and_lines_are_those_of_sacrebleu_and_jiwer() {
    for (name, corpus) in corpora() {
        compare_corpus(&name, &corpus.expected, &corpus.hypotheses, &corpus.references);
    }
}

#[test]
fn sentence_scores_are_those_of_sacrebleu() {
    for (name, corpus) in corpora() {
        for (key, theirs) in &corpus.sentence {
            let metric = metric(key, corpus.references.len());
            for (at, (hypothesis, theirs)) in corpus.hypotheses.iter().zip(theirs).enumerate() {
                let references: Vec<&String> = corpus.references.iter().map(|set| &set[at]).collect();
                let ours = metric.sentence_score(hypothesis, &references);
                close(&format!("{name}, {key}, {hypothesis:?}"), ours, *theirs, TOLERANCE);
            }
        }
    }
}

#[test]
fn paired_bootstraps_have_the_p_values_of_sacrebleu() {
    for (name, Corpus { hypotheses, references, other, expected, .. }) in corpora() {
        compare_bootstrap(&name, &expected, [&hypotheses, &other], &references);
    }
}

#[test]
fn alignments_are_those_of_jiwer() {
    for (name, corpus) in corpora() {
        let Expected { wer, cer, .. } = corpus.expected;
        for (unit, theirs) in [(ErrorRate::words(), wer), (ErrorRate::characters(), cer)] {
            let ours = unit.align_all(&corpus.hypotheses, &corpus.references[0]).unwrap();
            for (alignment, theirs) in ours.iter().zip(theirs.alignments.unwrap()) {
                let letter = |edit: &Edit| match edit {
                    Edit::Correct(_) => '=',
                    Edit::Substituted { .. } => 'S',
                    Edit::Deleted(_) => 'D',
                    Edit::Inserted(_) => 'I',
                };
                let letters: String = alignment.edits.iter().map(letter).collect();
                assert_eq!(letters, theirs, "{name}, {alignment:?}");
            }
        }
    }
}

/// The same as `distorted` of `fixtures/metrics.py`.
fn distorted(line: &str, number: usize, keep: usize) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let (mut result, mut at) = (Vec::new(), 0);
    while at < words.len() {
        match (31 * number + 17 * at + number * at) % keep {
            0 => {}
            1 => result.extend([words[at], words[at]]),
            2 => result.push("thing"),
            3 if at + 1 < words.len() => {
                result.extend([words[at + 1], words[at]]);
                at += 1;
            }
            _ => result.push(words[at]),
        }
        at += 1;
    }
    result.join(" ")
}

fn distort(lines: &[String], start: usize) -> Vec<String> {
    lines.iter().zip(start..).map(|(line, number)| distorted(line, number, 11)).collect()
}

#[test]
fn scores_on_the_whole_of_multi30k_are_those_of_sacrebleu_and_jiwer() {
    let Some(data) = std::env::var_os("CANDLE_RNN_DATA") else {
        eprintln!("skipped: CANDLE_RNN_DATA is not set");
        return;
    };
    let read = |language: &str| -> Vec<String> {
        let path = Path::new(&data).join(format!("multi30k/test_2016_flickr.{language}.gz"));
        let file = std::fs::File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut text = String::new();
        flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
        text.trim_end_matches('\n').split('\n').map(str::to_owned).collect()
    };
    let expected: BTreeMap<String, Expected> = serde_json::from_str(&fixture("multi30k.json")).unwrap();
    for language in ["en", "de", "fr"] {
        let (expected, references) = (&expected[language], [read(language)]);
        let [one, two] = [0, 500].map(|start| distort(&references[0], start));
        compare_corpus(language, expected, &one, &references);
        compare_bootstrap(language, expected, [&one, &two], &references);
    }
    compare_corpus("de-en", &expected["de-en"], &read("de"), &[read("en")]);
}
