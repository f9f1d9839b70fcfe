//! Scores of captions agree with pycocoevalcap's.
//!
//! The fixtures and what is in them: `fixtures/captions.py`.

use std::collections::BTreeMap;
use std::path::Path;

use rnn_metrics::caption::{CaptionBleu, CaptionScores, CaptionTokenizer, Cider, CiderVariant, RougeL};
use rnn_metrics::{Metric, ptb};
use serde::Deserialize;

const TOLERANCE: f64 = 1e-9;

#[derive(Deserialize)]
struct Corpus {
    tokenizer: CaptionTokenizer,
    hypotheses: Vec<String>,
    references: Vec<Vec<String>>,
    words: Vec<Vec<String>>,
    scores: BTreeMap<String, f64>,
    pictures: BTreeMap<String, Vec<f64>>,
}

fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    std::fs::read_to_string(path).unwrap()
}

fn corpora() -> BTreeMap<String, Corpus> {
    serde_json::from_str(&fixture("captions.json")).unwrap()
}

fn close(what: &str, ours: f64, theirs: f64) {
    assert!((ours - theirs).abs() <= TOLERANCE, "{what}: {ours}, and theirs is {theirs}");
}

#[test]
fn captions_are_cut_as_by_the_evaluation_of_coco() {
    for (name, corpus) in corpora() {
        for ((hypothesis, references), theirs) in
            corpus.hypotheses.iter().zip(&corpus.references).zip(&corpus.words)
        {
            for (caption, theirs) in [hypothesis].into_iter().chain(references).zip(theirs) {
                assert_eq!(&corpus.tokenizer.words(caption).join(" "), theirs, "{name}, {caption:?}");
            }
        }
    }
}

#[test]
fn difficult_lines_are_cut_as_by_the_evaluation_of_coco() {
    let lines: Vec<(String, String)> = serde_json::from_str(&fixture("ptb.json")).unwrap();
    for (line, theirs) in lines {
        assert_eq!(ptb::tokenize(&line).join(" "), theirs, "{line:?}");
    }
}

#[test]
fn scores_of_the_corpora_are_those_of_pycocoevalcap() {
    for (name, Corpus { tokenizer, hypotheses, references, scores: theirs, .. }) in corpora() {
        let ours = CaptionScores::new(&hypotheses, &references, tokenizer).unwrap();
        for (n, bleu) in (1..).zip(ours.bleu) {
            close(&format!("{name}, BLEU-{n}"), bleu, theirs[&format!("bleu_{n}")]);
        }
        close(&format!("{name}, ROUGE-L"), ours.rouge_l, theirs["rouge_l"]);
        close(&format!("{name}, CIDEr"), ours.cider, theirs["cider"]);
        close(&format!("{name}, CIDEr-D"), ours.cider_d, theirs["cider_d"]);
    }
}

#[test]
fn scores_of_the_pictures_are_those_of_pycocoevalcap() {
    for (name, Corpus { tokenizer, hypotheses, references, pictures: theirs, .. }) in corpora() {
        for (at, (hypothesis, references)) in hypotheses.iter().zip(&references).enumerate() {
            let bleu = CaptionBleu { tokenizer }.sentence(hypothesis, references).unwrap().bleu;
            for (n, bleu) in (1..).zip(bleu) {
                close(&format!("{name}, {hypothesis:?}, BLEU-{n}"), bleu, theirs[&format!("bleu_{n}")][at]);
            }
            let rouge = RougeL { tokenizer }.sentence(hypothesis, references).unwrap().rouge_l;
            close(&format!("{name}, {hypothesis:?}, ROUGE-L"), rouge, theirs["rouge_l"][at]);
        }
        let cider = Cider::new(&references, tokenizer).unwrap();
        for (measure, variant) in [("cider", CiderVariant::Cider), ("cider_d", CiderVariant::CiderD)] {
            let ours = cider.pictures(&hypotheses, variant).unwrap();
            for ((hypothesis, ours), theirs) in hypotheses.iter().zip(ours).zip(&theirs[measure]) {
                close(&format!("{name}, {hypothesis:?}, {measure}"), ours, *theirs);
            }
        }
    }
}
