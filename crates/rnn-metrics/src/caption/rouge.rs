use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Caption, CaptionTokenizer};
use crate::Error;
use crate::metric::{Metric, Score};

/// Recall counts more than precision.
const BETA: f64 = 1.2;

/// ROUGE-L of one caption, from 0 to 1.
///
/// Lin 2004, *ROUGE: A Package for Automatic Evaluation of Summaries*, equations 2 to 4. With LCS the
/// length of the longest common subsequence, β = 1.2, and h and r the words of the hypothesis and of
/// one of the references:
///
/// ```text
/// P       = max LCS(h, r) / length of h          over the references
/// R       = max LCS(h, r) / length of r          over the references, not always the same one
/// ROUGE-L = (1 + β²) P R / (R + β² P)
/// ```
///
/// As in pycocoevalcap, a caption without words counts as one with one empty word.
///
/// ```
/// use rnn_metrics::caption::rouge_l;
///
/// let score = rouge_l(&["a", "dog", "runs"], &[vec!["a", "dog", "is", "running"]]);
/// assert_eq!(format!("{score:.3}"), "0.557");
/// ```
pub fn rouge_l<W: PartialEq, R: AsRef<[W]>>(hypothesis: &[W], references: &[R]) -> f64 {
    let (mut precision, mut recall) = (0.0, 0.0);
    for reference in references {
        let reference = reference.as_ref();
        let common = match hypothesis.is_empty() && reference.is_empty() {
            true => 1,
            false => longest_common_subsequence(hypothesis, reference),
        };
        let share = |words: &[W]| common as f64 / words.len().max(1) as f64;
        precision = f64::max(precision, share(hypothesis));
        recall = f64::max(recall, share(reference));
    }
    match precision > 0.0 && recall > 0.0 {
        true => (1.0 + BETA * BETA) * precision * recall / (recall + BETA * BETA * precision),
        false => 0.0,
    }
}

/// Its length.
fn longest_common_subsequence<W: PartialEq>(one: &[W], other: &[W]) -> usize {
    let mut lengths = vec![0; other.len() + 1];
    for word in one {
        let mut diagonal = 0;
        for (at, other) in other.iter().enumerate() {
            let length = match word == other {
                true => diagonal + 1,
                false => lengths[at].max(lengths[at + 1]),
            };
            diagonal = std::mem::replace(&mut lengths[at + 1], length);
        }
    }
    lengths[other.len()]
}

/// The mean of [`rouge_l`] over captions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RougeL {
    /// How captions are cut into words.
    pub tokenizer: CaptionTokenizer,
}

impl Metric for RougeL {
    type Score = RougeLScore;

    fn settings(&self) -> String {
        format!("case:lc|tok:{}|beta:{BETA}", self.tokenizer)
    }

    fn check(&self) -> Result<(), Error> {
        Ok(())
    }

    /// The caption's score, and 1.
    fn sentence_statistics(&self, hypothesis: &str, references: &[&str]) -> Vec<f64> {
        let references: Vec<Caption> = references.iter().map(|line| self.tokenizer.words(line)).collect();
        vec![rouge_l(&self.tokenizer.words(hypothesis), &references), 1.0]
    }

    fn score(&self, sums: &[f64]) -> RougeLScore {
        RougeLScore { rouge_l: sums[0] / sums[1] }
    }
}

/// The mean over captions.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RougeLScore {
    /// From 0 to 1.
    pub rouge_l: f64,
}

impl Score for RougeLScore {
    fn name(&self) -> String {
        "ROUGE-L".to_owned()
    }

    fn value(&self) -> f64 {
        100.0 * self.rouge_l
    }

    fn details(&self) -> String {
        String::new()
    }
}

impl fmt::Display for RougeLScore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.line(""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(hypothesis: &str, references: &[&str]) -> f64 {
        RougeL::default().sentence(hypothesis, references).unwrap().rouge_l
    }

    #[test]
    fn the_words_in_common_need_not_be_neighbours() {
        let common = |one: &str, other: &str| longest_common_subsequence(one.as_bytes(), other.as_bytes());
        assert_eq!(common("abcde", "xaybzd"), 3);
        assert_eq!([common("", "a"), common("a", ""), common("aaa", "aa"), common("ab", "ba")], [0, 0, 2, 1]);
        // Lin 2004, section 3: "police killed the gunman".
        let reference = "police killed the gunman";
        assert!(
            score("police kill the gunman", &[reference]) > score("the gunman kill police", &[reference])
        );
    }

    #[test]
    fn precision_and_recall_may_be_of_different_references() {
        // 2/2 of the hypothesis are in the second, 1/1 of the first is in the hypothesis.
        assert_eq!(score("a dog", &["dog", "a big dog runs"]), 1.0);
    }

    #[test]
    fn two_captions_without_words_are_equal() {
        assert_eq!([score("", &[""]), score("", &["a"]), score("a", &["."])], [1.0, 0.0, 0.0]);
    }

    #[test]
    fn the_corpus_has_the_mean() {
        let metric = RougeL::default();
        let score = metric.corpus(&["a dog", "cats"], &[["a dog", "a bird"]]).unwrap();
        assert_eq!(score.line(&metric.signature(1)).split(" = ").last(), Some("50.00"));
        assert_eq!(metric.settings(), "case:lc|tok:ptb|beta:1.2");
    }
}
