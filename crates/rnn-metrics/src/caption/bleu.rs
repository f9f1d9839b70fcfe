use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Caption, CaptionTokenizer};
use crate::metric::{Metric, Score};
use crate::{Bleu, Error, Smoothing, Tokenizer};

/// N, the longest n-gram.
const ORDER: usize = 4;

/// The lengths of hypothesis and nearest reference; matches and n-grams for n = 1 … N.
pub(super) const WIDTH: usize = 2 + 2 * ORDER;

/// BLEU-1 to BLEU-4 of captions.
///
/// Papineni et al. 2002, *BLEU: a Method for Automatic Evaluation of Machine Translation*, as
/// [`Bleu`], with the lengths and the matches of all pictures added up, and with two small numbers
/// instead of smoothing:
///
/// ```text
/// p_n    = (matched n-grams + 10⁻¹⁵) / (n-grams of the hypotheses + 10⁻⁹)
/// BP     = min(1, exp(1 − (r + 10⁻⁹) / (c + 10⁻¹⁵)))
/// BLEU-N = BP · (p_1 · … · p_N)^(1/N)
/// ```
///
/// r is the length of the reference nearest in length, the shorter of two equally near.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CaptionBleu {
    /// How captions are cut into words.
    pub tokenizer: CaptionTokenizer,
}

/// BLEU of words with one blank between each two.
const OF_WORDS: Bleu = Bleu {
    tokenizer: Tokenizer::None,
    smoothing: Smoothing::None,
    lowercase: false,
    max_order: ORDER,
    effective_order: false,
};

pub(super) fn statistics(hypothesis: &Caption, references: &[Caption]) -> Vec<f64> {
    let references: Vec<String> = references.iter().map(|words| words.join(" ")).collect();
    let references: Vec<&str> = references.iter().map(String::as_str).collect();
    OF_WORDS.sentence_statistics(&hypothesis.join(" "), &references)
}

pub(super) fn score(sums: &[f64]) -> [f64; ORDER] {
    const TINY: f64 = 1e-15;
    const SMALL: f64 = 1e-9;
    let (lengths, ngrams) = sums.split_at(2);
    let (matches, totals) = ngrams.split_at(ORDER);
    let ratio = (lengths[0] + TINY) / (lengths[1] + SMALL);
    let brevity_penalty = if ratio < 1.0 { (1.0 - 1.0 / ratio).exp() } else { 1.0 };
    let mut product = 1.0;
    let mut bleu = [0.0; ORDER];
    for (n, bleu) in bleu.iter_mut().enumerate() {
        product *= (matches[n] + TINY) / (totals[n] + SMALL);
        *bleu = brevity_penalty * f64::powf(product, 1.0 / (n + 1) as f64);
    }
    bleu
}

impl Metric for CaptionBleu {
    type Score = CaptionBleuScore;

    fn settings(&self) -> String {
        format!("case:lc|tok:{}|smooth:tiny", self.tokenizer)
    }

    fn check(&self) -> Result<(), Error> {
        Ok(())
    }

    /// The lengths of the hypothesis and of the nearest reference; the matches for n = 1 … 4; the
    /// n-grams of the hypothesis for n = 1 … 4.
    fn sentence_statistics(&self, hypothesis: &str, references: &[&str]) -> Vec<f64> {
        let references: Vec<Caption> = references.iter().map(|line| self.tokenizer.words(line)).collect();
        statistics(&self.tokenizer.words(hypothesis), &references)
    }

    fn score(&self, sums: &[f64]) -> CaptionBleuScore {
        CaptionBleuScore { bleu: score(sums) }
    }
}

/// BLEU-1 to BLEU-4.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CaptionBleuScore {
    /// From 0 to 1, for N = 1 … 4.
    pub bleu: [f64; ORDER],
}

impl Score for CaptionBleuScore {
    fn name(&self) -> String {
        "BLEU-4".to_owned()
    }

    fn value(&self) -> f64 {
        100.0 * self.bleu[ORDER - 1]
    }

    fn details(&self) -> String {
        self.bleu.map(|bleu| format!("{:.1}", 100.0 * bleu)).join("/")
    }
}

impl fmt::Display for CaptionBleuScore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.line(""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_match_the_score_is_tiny_and_not_zero() {
        let bleu = CaptionBleu::default().sentence("a b c d", &["a c b d"]).unwrap().bleu;
        assert!((bleu[0] - 1.0).abs() < 1e-9, "{bleu:?}");
        assert!(bleu[1..].iter().all(|&bleu| bleu > 0.0 && bleu < 1e-3), "{bleu:?}");
    }

    #[test]
    fn a_short_hypothesis_is_compared_with_the_nearest_length() {
        let metric = CaptionBleu::default();
        let [bleu, ..] = metric.sentence("a dog", &["a dog runs", "a dog runs on the beach"]).unwrap().bleu;
        assert!((bleu - (-0.5f64).exp()).abs() < 1e-6, "{bleu}");
        assert_eq!(metric.settings(), "case:lc|tok:ptb|smooth:tiny");
    }

    #[test]
    fn the_line_has_all_four() {
        let score =
            CaptionBleu::default().corpus(&["a dog runs on sand"], &[["a dog runs on grass"]]).unwrap();
        assert_eq!(score.to_string(), "BLEU-4 = 66.87 80.0/77.5/73.7/66.9");
    }
}
