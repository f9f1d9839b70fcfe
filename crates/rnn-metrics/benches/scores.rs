//! A test set of 1,000 sentences, scored and compared: `cargo bench -p rnn-metrics`.

use divan::Bencher;
use rnn_metrics::{Bleu, Bootstrap, CaptionScores, CaptionTokenizer, Chrf, ErrorRate, Metric, Score, Ter};

const SENTENCES: usize = 1000;

const WORDS: [&str; 16] = [
    "a", "man", "in", "the", "blue", "shirt", "stands", "on", "ladder", "and", "cleans", "window", "of",
    "his", "house,", "slowly.",
];

fn main() {
    divan::main();
}

/// Sentences of 8 to 18 words, and the same with two pairs of words swapped in each.
fn lines() -> [Vec<String>; 2] {
    let sentence = |number: usize| -> Vec<&str> {
        let length = 8 + number % 11;
        (0..length).map(|at| WORDS[(number * 7 + at * at + at * (number % 5)) % WORDS.len()]).collect()
    };
    let swapped = |number: usize| {
        let mut words = sentence(number);
        let length = words.len();
        words.swap(number % length, 7 * number % length);
        words.swap(3 * number % length, 5 * number % length);
        words.join(" ")
    };
    [(0..SENTENCES).map(swapped).collect(), (0..SENTENCES).map(|number| sentence(number).join(" ")).collect()]
}

fn corpus<M: Metric + Sync>(bencher: Bencher, metric: M) {
    let [hypotheses, references] = lines();
    bencher.bench(|| metric.corpus(&hypotheses, &[&references]).map(|score| score.value()));
}

#[divan::bench]
fn bleu(bencher: Bencher) {
    corpus(bencher, Bleu::default());
}

#[divan::bench]
fn chrf(bencher: Bencher) {
    corpus(bencher, Chrf::default());
}

#[divan::bench]
fn chrf_plus_plus(bencher: Bencher) {
    corpus(bencher, Chrf::plus_plus());
}

#[divan::bench]
fn ter(bencher: Bencher) {
    corpus(bencher, Ter::default());
}

#[divan::bench]
fn word_error_rate(bencher: Bencher) {
    corpus(bencher, ErrorRate::words());
}

#[divan::bench]
fn character_error_rate(bencher: Bencher) {
    corpus(bencher, ErrorRate::characters());
}

/// 1,000 pictures with five references.
#[divan::bench]
fn captions(bencher: Bencher) {
    let [hypotheses, references] = lines();
    let next = |at: usize, by: usize| references[(at + by) % SENTENCES].as_str();
    let references: Vec<[&str; 5]> =
        (0..SENTENCES).map(|at| [0, 1, 2, 3, 4].map(|by| next(at, by))).collect();
    bencher.bench(|| CaptionScores::new(&hypotheses, &references, CaptionTokenizer::Ptb));
}

/// 1,000 samples for both systems.
#[divan::bench]
fn paired_bootstrap_of_bleu(bencher: Bencher) {
    let [hypotheses, references] = lines();
    let bootstrap = Bootstrap::default();
    bencher.bench(|| bootstrap.compare(&Bleu::default(), &hypotheses, &references, &[&references]));
}
