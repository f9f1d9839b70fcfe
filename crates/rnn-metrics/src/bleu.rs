//! BLEU: how many of the hypothesis' word n-grams occur in the references.
//!
//! Papineni et al. 2002, *BLEU: a Method for Automatic Evaluation of Machine Translation*. With c
//! the number of words of all hypotheses and r that of the references (of each sentence's
//! references the one nearest in length, the shorter of two equally near):
//!
//! ```text
//! p_n  = matched n-grams / n-grams of the hypotheses      n = 1 … N, N = 4
//! BP   = min(1, exp(1 − r / c))
//! BLEU = 100 · BP · exp(1/N · Σ ln p_n)
//! ```
//!
//! An n-gram matches at most as often as it occurs in the reference that has it most often.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::metric::{Metric, Score};
use crate::ngrams;
use crate::numbering::Numbering;
use crate::whitespace::{is_blank, words};
use crate::{Error, Tokenizer};

/// What stands in for a precision of zero. The methods are those of Chen and Cherry 2014, *A
/// Systematic Comparison of Smoothing Techniques for Sentence-Level BLEU*.
///
/// Written and parsed as in signatures: `none`, `floor[0.10]`, `add-k[1.00]`, `exp`; without
/// brackets, floor is 0.1 and k is 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Smoothing {
    /// Nothing: the score is 0 as soon as no 4-gram matches.
    None,
    /// Method 1: this many n-grams match where none does.
    Floor(f64),
    /// Method 2: this much is added to the matches and to the total of each n above 1.
    AddK(f64),
    /// Method 3, NIST's: 1/2 match where none does, 1/4 at the next such n, and so on.
    #[default]
    Exp,
}

impl fmt::Display for Smoothing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Smoothing::None => f.write_str("none"),
            Smoothing::Floor(value) => write!(f, "floor[{value:.2}]"),
            Smoothing::AddK(k) => write!(f, "add-k[{k:.2}]"),
            Smoothing::Exp => f.write_str("exp"),
        }
    }
}

impl FromStr for Smoothing {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let unknown = || Error::UnknownSmoothing(text.to_owned());
        let (name, value) = match text.split_once('[') {
            Some((name, rest)) => {
                let value = rest.strip_suffix(']').and_then(|value| value.parse().ok());
                (name, Some(value.ok_or_else(unknown)?))
            }
            None => (text, None),
        };
        match (name, value) {
            ("none", None) => Ok(Smoothing::None),
            ("floor", value) => Ok(Smoothing::Floor(value.unwrap_or(0.1))),
            ("add-k", value) => Ok(Smoothing::AddK(value.unwrap_or(1.0))),
            ("exp", None) => Ok(Smoothing::Exp),
            _ => Err(unknown()),
        }
    }
}

/// BLEU. The default is sacreBLEU's.
///
/// ```
/// use rnn_metrics::{Bleu, Metric, Score};
///
/// # fn main() -> Result<(), rnn_metrics::Error> {
/// let score = Bleu::default().corpus(&["the cat sat on a mat"], &[["the cat sat on the mat"]])?;
/// assert_eq!(format!("{:.2}", score.value()), "53.73");
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Bleu {
    /// How lines are cut into words.
    pub tokenizer: Tokenizer,
    /// What stands in for a precision of zero.
    pub smoothing: Smoothing,
    /// Whether `The` matches `the`.
    pub lowercase: bool,
    /// N ≥ 1, the longest n-gram.
    pub max_order: usize,
    /// Whether N is, at most, the length of the longest n-gram that the hypotheses have. For the
    /// scores of single sentences.
    pub effective_order: bool,
}

impl Default for Bleu {
    fn default() -> Self {
        Bleu {
            tokenizer: Tokenizer::V13a,
            smoothing: Smoothing::Exp,
            lowercase: false,
            max_order: 4,
            effective_order: false,
        }
    }
}

impl Bleu {
    /// The score of many older papers, that of Moses' `multi-bleu.perl -lc`: lower-cased, the words
    /// as the lines have them, not smoothed.
    pub fn of_lowercased_tokens() -> Self {
        let (tokenizer, smoothing) = (Tokenizer::None, Smoothing::None);
        Bleu { tokenizer, smoothing, lowercase: true, ..Bleu::default() }
    }

    fn tokenized(&self, line: &str) -> String {
        let line = if self.lowercase { &line.to_lowercase() } else { line };
        self.tokenizer.tokenize(line.trim_end_matches(is_blank))
    }
}

impl Metric for Bleu {
    type Score = BleuScore;

    fn settings(&self) -> String {
        let case = if self.lowercase { "lc" } else { "mixed" };
        let effective = if self.effective_order { "yes" } else { "no" };
        format!("case:{case}|eff:{effective}|tok:{}|smooth:{}", self.tokenizer, self.smoothing)
    }

    fn check(&self) -> Result<(), Error> {
        if self.max_order == 0 {
            return Err(Error::Setting { name: "max_order", value: 0.0, range: "at least 1" });
        }
        match self.smoothing {
            Smoothing::Floor(value) | Smoothing::AddK(value) if !(value >= 0.0 && value.is_finite()) => {
                Err(Error::Setting { name: "smoothing", value, range: "a number from 0 on" })
            }
            _ => Ok(()),
        }
    }

    /// The lengths of the hypothesis and of the nearest reference; the matches for n = 1 … N; the
    /// n-grams of the hypothesis for n = 1 … N.
    fn sentence_statistics(&self, hypothesis: &str, references: &[&str]) -> Vec<f64> {
        let hypothesis = self.tokenized(hypothesis);
        let references: Vec<String> = references.iter().map(|line| self.tokenized(line)).collect();
        let mut numbering = Numbering::default();
        let hypothesis = numbering.of(words(&hypothesis));
        let references: Vec<_> = references.iter().map(|line| numbering.of(words(line))).collect();
        let length = hypothesis.len();
        let nearest = (references.iter().map(Vec::len))
            .min_by_key(|&reference| (reference.abs_diff(length), reference))
            .unwrap_or(0);
        let matches = (1..=self.max_order).map(|order| {
            let counts = references.iter().map(|reference| ngrams::count(reference, order));
            let most = counts.reduce(ngrams::most).unwrap_or_default();
            ngrams::matches(&ngrams::count(&hypothesis, order), &most)
        });
        let totals = (1..=self.max_order).map(|order| ngrams::total(length, order));
        [length, nearest].into_iter().chain(matches).chain(totals).map(|count| count as f64).collect()
    }

    fn score(&self, sums: &[f64]) -> BleuScore {
        let (lengths, ngrams) = sums.split_at(2);
        let (matches, totals) = ngrams.split_at(self.max_order);
        let [length, reference] = [lengths[0], lengths[1]];
        let brevity_penalty = match length {
            length if length >= reference => 1.0,
            0.0 => 0.0,
            length => (1.0 - reference / length).exp(),
        };
        let (precisions, order) = self.precisions(matches, totals);
        let mean = precisions[..order].iter().map(|p| p.ln()).sum::<f64>() / order as f64;
        let whole = |counts: &[f64]| counts.iter().map(|count| *count as usize).collect();
        BleuScore {
            score: brevity_penalty * mean.exp(),
            matches: whole(matches),
            totals: whole(totals),
            precisions,
            brevity_penalty,
            hypothesis_length: length as usize,
            reference_length: reference as usize,
        }
    }
}

impl Bleu {
    /// The smoothed precisions in percent, and N. Without a single match, they are all 0.
    fn precisions(&self, matches: &[f64], totals: &[f64]) -> (Vec<f64>, usize) {
        let mut precisions = vec![0.0; self.max_order];
        let mut order = self.max_order;
        if matches.iter().all(|&count| count == 0.0) {
            return (precisions, order);
        }
        let mut exp = 1.0;
        for n in 0..self.max_order {
            let added = match self.smoothing {
                Smoothing::AddK(k) if n > 0 => k,
                _ => 0.0,
            };
            let (mut matched, total) = (matches[n] + added, totals[n] + added);
            if total == 0.0 {
                break;
            }
            if self.effective_order {
                order = n + 1;
            }
            if matched == 0.0 {
                matched = match self.smoothing {
                    Smoothing::Floor(value) => value,
                    Smoothing::Exp => {
                        exp /= 2.0;
                        exp
                    }
                    Smoothing::None | Smoothing::AddK(_) => 0.0,
                };
            }
            precisions[n] = 100.0 * matched / total;
        }
        (precisions, order)
    }
}

/// A BLEU score and what it is made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BleuScore {
    /// From 0 to 100.
    pub score: f64,
    /// Matched n-grams for n = 1 … N, before smoothing.
    pub matches: Vec<usize>,
    /// n-grams of the hypotheses for n = 1 … N, before smoothing.
    pub totals: Vec<usize>,
    /// In percent, for n = 1 … N, smoothed.
    pub precisions: Vec<f64>,
    /// BP, from 0 to 1: below 1 if the hypotheses are shorter than the references.
    pub brevity_penalty: f64,
    /// c, in words.
    pub hypothesis_length: usize,
    /// r, in words.
    pub reference_length: usize,
}

impl Score for BleuScore {
    fn name(&self) -> String {
        "BLEU".to_owned()
    }

    fn value(&self) -> f64 {
        self.score
    }

    fn details(&self) -> String {
        let precisions: Vec<String> = self.precisions.iter().map(|p| format!("{p:.1}")).collect();
        let (length, reference) = (self.hypothesis_length, self.reference_length);
        let ratio = if reference == 0 { 0.0 } else { length as f64 / reference as f64 };
        format!(
            "{} (BP = {:.3} ratio = {ratio:.3} hyp_len = {length} ref_len = {reference})",
            precisions.join("/"),
            self.brevity_penalty
        )
    }
}

impl fmt::Display for BleuScore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.line(""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unigram_precision_of_the_papers_example_is_two_sevenths() {
        // Papineni et al. 2002, example 2.
        let references = ["The cat is on the mat", "There is a cat on the mat"];
        let bleu = Bleu { lowercase: true, max_order: 1, ..Bleu::default() };
        let score = bleu.sentence("the the the the the the the", &references).unwrap();
        assert_eq!((score.matches[0], score.totals[0]), (2, 7));
        assert_eq!((score.hypothesis_length, score.reference_length), (7, 7));
    }

    #[test]
    fn of_two_equally_near_references_the_shorter_one_counts() {
        let bleu = Bleu::default();
        let length = |references: &[&str]| bleu.sentence("a b c", references).unwrap().reference_length;
        assert_eq!(length(&["a b c d", "a b"]), 2);
        assert_eq!(length(&["a b c d e", "a b c d"]), 4);
    }

    #[test]
    fn each_smoothing_replaces_zeros_as_its_paper_says() {
        let precisions = |smoothing: &str| {
            let bleu = Bleu { smoothing: smoothing.parse().unwrap(), ..Bleu::default() };
            bleu.sentence("a b x c d", &["a b y c d"]).unwrap().precisions
        };
        assert_eq!(precisions("none"), [80.0, 50.0, 0.0, 0.0]);
        assert_eq!(precisions("floor"), [80.0, 50.0, 100.0 * 0.1 / 3.0, 100.0 * 0.1 / 2.0]);
        assert_eq!(precisions("floor[0.5]")[3], 25.0);
        assert_eq!(precisions("add-k"), [80.0, 60.0, 25.0, 100.0 / 3.0]);
        assert_eq!(precisions("exp"), [80.0, 50.0, 100.0 / 6.0, 12.5]);
    }

    #[test]
    fn smoothing_is_written_and_parsed_as_in_signatures() {
        for text in ["none", "floor[0.10]", "floor[0.25]", "add-k[1.00]", "exp"] {
            assert_eq!(text.parse::<Smoothing>().unwrap().to_string(), text);
        }
        for text in ["", "exp[1]", "floor[", "floor[x]", "floor[0.1", "linear"] {
            assert_eq!(text.parse::<Smoothing>().unwrap_err(), Error::UnknownSmoothing(text.to_owned()));
        }
    }

    #[test]
    fn settings_outside_their_range_are_refused_by_name() {
        let error = Bleu { max_order: 0, ..Bleu::default() }.sentence("a", &["a"]).unwrap_err();
        assert!(error.to_string().starts_with("max_order is 0"), "{error}");
        let bleu = Bleu { smoothing: Smoothing::Floor(f64::NAN), ..Bleu::default() };
        assert!(bleu.sentence("a", &["a"]).unwrap_err().to_string().starts_with("smoothing is NaN"));
    }

    #[test]
    fn empty_hypotheses_score_zero_with_effective_order_or_without() {
        for effective_order in [false, true] {
            let bleu = Bleu { effective_order, ..Bleu::default() };
            for (hypothesis, reference) in [("", "a b c d"), ("", ""), ("a", "")] {
                let score = bleu.sentence(hypothesis, &[reference]).unwrap();
                assert_eq!(score.score, 0.0, "{hypothesis:?} {reference:?}");
            }
        }
    }

    #[test]
    fn older_papers_lower_case_and_do_not_smooth() {
        let bleu = Bleu::of_lowercased_tokens();
        assert_eq!(bleu.settings(), "case:lc|eff:no|tok:none|smooth:none");
        assert_eq!(bleu.sentence("A b , c d", &["a b , c x"]).unwrap().matches, [4, 3, 2, 1]);
        assert_eq!(bleu.sentence("a b , c", &["a b, c"]).unwrap().score, 0.0);
    }

    #[test]
    fn settings_and_scores_are_read_back_from_json() {
        let bleu: Bleu = serde_json::from_str(r#"{"tokenizer":"zh","smoothing":{"floor":0.2}}"#).unwrap();
        let (tokenizer, smoothing) = (Tokenizer::Chinese, Smoothing::Floor(0.2));
        assert_eq!(bleu, Bleu { tokenizer, smoothing, ..Bleu::default() });
        let score = bleu.sentence("一二三四五", &["一二三四五六"]).unwrap();
        let json = serde_json::to_string(&score).unwrap();
        assert_eq!(serde_json::from_str::<BleuScore>(&json).unwrap(), score);
    }
}
