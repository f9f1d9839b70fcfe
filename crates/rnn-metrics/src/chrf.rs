//! chrF: how many character n-grams hypothesis and reference share.
//!
//! Popović 2015, *chrF: character n-gram F-score for automatic MT evaluation*; with words, chrF++,
//! Popović 2017, *chrF++: words helping character n-grams*. With P and R the precision and the
//! recall, averaged over the characters' n = 1 … 6 and the words' n = 1 … 2 (of chrF++; none of
//! chrF):
//!
//! ```text
//! P_n  = shared n-grams / n-grams of the hypotheses
//! R_n  = shared n-grams / n-grams of the references
//! chrF = 100 · (1 + β²) P R / (β² P + R)      β = 2: recall weighs twice as much as precision
//! ```
//!
//! Of several references of a sentence, that with the best score counts.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::metric::{Metric, Score};
use crate::ngrams;
use crate::numbering::Numbering;
use crate::whitespace::{is_blank, words};

/// chrF. The default is sacreBLEU's; [`Chrf::plus_plus`] is chrF++.
///
/// ```
/// use rnn_metrics::{Chrf, Metric};
///
/// # fn main() -> Result<(), rnn_metrics::Error> {
/// let score = Chrf::plus_plus().corpus(&["the cat sat on a mat"], &[["the cat sat on the mat"]])?;
/// assert_eq!(score.to_string(), "chrF2++ = 67.44");
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Chrf {
    /// The longest n-gram of characters.
    pub char_order: usize,
    /// The longest n-gram of words; 0 for none, 2 for chrF++.
    pub word_order: usize,
    /// β.
    pub beta: u32,
    /// Whether `The` matches `the`.
    pub lowercase: bool,
    /// Whether blanks count as characters.
    pub whitespace: bool,
    /// Average the F-scores instead of P and R, with 10⁻¹⁶ for what is not defined, as Popović's
    /// own script, NLTK and Moses do. Otherwise the averages are over the n for which both sides
    /// have n-grams.
    pub eps_smoothing: bool,
}

impl Default for Chrf {
    fn default() -> Self {
        Chrf {
            char_order: 6,
            word_order: 0,
            beta: 2,
            lowercase: false,
            whitespace: false,
            eps_smoothing: false,
        }
    }
}

/// The n-grams of one line, for each n of the characters, then of the words.
struct Line<'a> {
    characters: Vec<ngrams::Counts<'a, char>>,
    words: Vec<ngrams::Counts<'a, u32>>,
}

impl Chrf {
    /// chrF++.
    pub fn plus_plus() -> Self {
        Chrf { word_order: 2, ..Chrf::default() }
    }

    fn characters(&self, line: &str) -> Vec<char> {
        line.chars().filter(|c| self.whitespace || !is_blank(*c)).collect()
    }

    fn ngrams<'a>(&self, characters: &'a [char], words: &'a [u32]) -> Line<'a> {
        Line {
            characters: (1..=self.char_order).map(|n| ngrams::count(characters, n)).collect(),
            words: (1..=self.word_order).map(|n| ngrams::count(words, n)).collect(),
        }
    }

    /// From 0 to 1. `sums`: for each n, the n-grams of hypothesis and reference, and the matches.
    fn f_score(&self, sums: &[f64]) -> f64 {
        const EPSILON: f64 = 1e-16;
        let factor = f64::from(self.beta).powi(2);
        let (mut precisions, mut recalls, mut scores, mut effective) = (0.0, 0.0, 0.0, 0.0);
        for counts in sums.chunks_exact(3) {
            let [hypothesis, reference, matches] = [counts[0], counts[1], counts[2]];
            let precision = if hypothesis > 0.0 { matches / hypothesis } else { EPSILON };
            let recall = if reference > 0.0 { matches / reference } else { EPSILON };
            let denominator = factor * precision + recall;
            scores += match denominator > 0.0 {
                true => (1.0 + factor) * precision * recall / denominator,
                false => EPSILON,
            };
            if hypothesis > 0.0 && reference > 0.0 {
                precisions += precision;
                recalls += recall;
                effective += 1.0;
            }
        }
        if self.eps_smoothing {
            return scores / (self.char_order + self.word_order) as f64;
        }
        if precisions + recalls == 0.0 {
            return 0.0; // also where no n is effective
        }
        let (precision, recall) = (precisions / effective, recalls / effective);
        (1.0 + factor) * precision * recall / (factor * precision + recall)
    }
}

/// The hypothesis' n-grams (none if the reference has none to match), the reference's, and the
/// shared ones.
fn overlap<T: Eq + std::hash::Hash>(
    hypothesis: &ngrams::Counts<T>,
    reference: &ngrams::Counts<T>,
) -> [f64; 3] {
    let total = |counts: &ngrams::Counts<T>| counts.values().sum::<usize>();
    let counted = if reference.is_empty() { 0 } else { total(hypothesis) };
    [counted, total(reference), ngrams::matches(hypothesis, reference)].map(|count| count as f64)
}

/// Blank-separated words, with one mark of ASCII punctuation split from the end of each, or else
/// from its beginning.
fn words_and_marks(line: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    for word in words(line) {
        // A mark of ASCII is one byte.
        match (word.chars().next(), word.chars().next_back()) {
            _ if word.chars().nth(1).is_none() => parts.push(word),
            (_, Some(last)) if last.is_ascii_punctuation() => {
                let (rest, mark) = word.split_at(word.len() - 1);
                parts.extend([rest, mark]);
            }
            (Some(first), _) if first.is_ascii_punctuation() => {
                let (mark, rest) = word.split_at(1);
                parts.extend([mark, rest]);
            }
            _ => parts.push(word),
        }
    }
    parts
}

impl Metric for Chrf {
    type Score = ChrfScore;

    fn settings(&self) -> String {
        let yes = |is: bool| if is { "yes" } else { "no" };
        format!(
            "case:{}|eff:{}|nc:{}|nw:{}|space:{}",
            if self.lowercase { "lc" } else { "mixed" },
            yes(!self.eps_smoothing),
            self.char_order,
            self.word_order,
            yes(self.whitespace)
        )
    }

    fn check(&self) -> Result<(), Error> {
        match self.char_order + self.word_order {
            0 => Err(Error::Setting { name: "char_order", value: 0.0, range: "at least 1 without words" }),
            _ => Ok(()),
        }
    }

    /// For each n of the characters, then of the words: the n-grams of the hypothesis, of the
    /// reference, and the shared ones.
    fn sentence_statistics(&self, hypothesis: &str, references: &[&str]) -> Vec<f64> {
        let cased = |line: &str| if self.lowercase { line.to_lowercase() } else { line.to_owned() };
        let hypothesis = cased(hypothesis);
        let references: Vec<String> = references.iter().map(|line| cased(line)).collect();
        let mut numbering = Numbering::default();
        let words = numbering.of(words_and_marks(&hypothesis));
        let characters = self.characters(&hypothesis);
        let hypothesis = self.ngrams(&characters, &words);
        let statistics = references.iter().map(|reference| {
            let words = numbering.of(words_and_marks(reference));
            let characters = self.characters(reference);
            let reference = self.ngrams(&characters, &words);
            let characters = hypothesis.characters.iter().zip(&reference.characters);
            let words = hypothesis.words.iter().zip(&reference.words);
            (characters.map(|(h, r)| overlap(h, r)))
                .chain(words.map(|(h, r)| overlap(h, r)))
                .flatten()
                .collect::<Vec<f64>>()
        });
        let scored = statistics.map(|statistics| (self.f_score(&statistics), statistics));
        // The first among equals.
        let best = scored.reduce(|best, next| if next.0 > best.0 { next } else { best });
        best.map_or_else(Vec::new, |(_, statistics)| statistics)
    }

    fn score(&self, sums: &[f64]) -> ChrfScore {
        let Chrf { char_order, word_order, beta, .. } = *self;
        ChrfScore { score: 100.0 * self.f_score(sums), char_order, word_order, beta }
    }
}

/// A chrF score, and of which chrF.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChrfScore {
    /// From 0 to 100.
    pub score: f64,
    /// The longest n-gram of characters.
    pub char_order: usize,
    /// The longest n-gram of words.
    pub word_order: usize,
    /// β.
    pub beta: u32,
}

impl Score for ChrfScore {
    fn name(&self) -> String {
        format!("chrF{}{}", self.beta, "+".repeat(self.word_order))
    }

    fn value(&self) -> f64 {
        self.score
    }

    fn details(&self) -> String {
        String::new()
    }
}

impl fmt::Display for ChrfScore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.line(""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_mark_is_split_from_each_word() {
        let parts = words_and_marks("(hi) so, a? 'x . é! ??");
        assert_eq!(parts, ["(hi", ")", "so", ",", "a", "?", "'", "x", ".", "é", "!", "?", "?"]);
    }

    #[test]
    fn the_formula_holds_for_one_letter_that_differs() {
        // ab against ac: P_1 = R_1 = 1/2, P_2 = R_2 = 0; the averages are 1/4.
        let chrf = Chrf { char_order: 2, ..Chrf::default() };
        assert_eq!(chrf.sentence("ab", &["ac"]).unwrap().score, 25.0);
        // ab against abbb: P = (2/2 + 1/1) / 2 = 1, R = (2/4 + 1/3) / 2 = 5/12.
        let score = chrf.sentence("ab", &["abbb"]).unwrap().score;
        assert!((score - 100.0 * 5.0 * (5.0 / 12.0) / (4.0 + 5.0 / 12.0)).abs() < 1e-12);
    }

    #[test]
    fn the_best_reference_counts() {
        let chrf = Chrf::default();
        let best = chrf.sentence("a house", &["a horse", "a house", "the house"]).unwrap();
        assert_eq!(best.score, 100.0);
    }

    #[test]
    fn empty_lines_score_zero() {
        for chrf in [Chrf::default(), Chrf::plus_plus()] {
            for (hypothesis, reference) in [("", "a"), ("a", ""), ("", "")] {
                assert_eq!(chrf.sentence(hypothesis, &[reference]).unwrap().score, 0.0);
            }
        }
    }

    #[test]
    fn without_any_ngram_it_is_refused() {
        let error = Chrf { char_order: 0, ..Chrf::default() }.sentence("a", &["a"]).unwrap_err();
        assert!(error.to_string().starts_with("char_order is 0"), "{error}");
        assert!(Chrf { char_order: 0, word_order: 1, ..Chrf::default() }.check().is_ok());
    }
}
