//! Word and character error rates, of transcripts and of whatever else has one right text.
//!
//! ```text
//! rate = (S + D + I) / (S + D + C)      S + D + C = words of the references
//! ```
//!
//! with S substituted, D deleted, I inserted and C correct words (or characters) of the alignment
//! with the fewest errors. The rate is above 1 where more is inserted than there should be.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::levenshtein::{self, Operation};
use crate::metric::{Metric, Score};
use crate::whitespace::{is_blank, words};

/// What is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// What stands between blanks.
    #[default]
    Word,
    /// Unicode scalar values, the blanks between words among them.
    Character,
}

impl Unit {
    /// `WER` or `CER`.
    pub fn rate_name(self) -> &'static str {
        match self {
            Unit::Word => "WER",
            Unit::Character => "CER",
        }
    }

    /// The words, or the characters from the first to the last that is no blank.
    fn split(self, line: &str) -> Vec<&str> {
        let line = line.trim_matches(is_blank);
        match self {
            Unit::Word => words(line).collect(),
            Unit::Character => line.char_indices().map(|(at, c)| &line[at..at + c.len_utf8()]).collect(),
        }
    }
}

/// The word error rate (default) or the character error rate. The numbers are jiwer's; only, any
/// blank separates words here, and there a single one that is no space does not.
///
/// ```
/// use rnn_metrics::{ErrorRate, Metric};
///
/// # fn main() -> Result<(), rnn_metrics::Error> {
/// let hypotheses = ["please turn on the light", "stop"];
/// let references = ["please turn off the lights", "stop it"];
/// let words = ErrorRate::words().corpus(&hypotheses, &[references])?;
/// assert_eq!(words.to_string(), "WER = 42.86 (S = 2 D = 1 I = 0 C = 4)");
/// assert_eq!(words.rate(), 3.0 / 7.0);
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ErrorRate {
    /// What is counted.
    pub unit: Unit,
    /// Whether `The` matches `the`.
    pub lowercase: bool,
}

impl ErrorRate {
    /// The word error rate, WER.
    pub fn words() -> Self {
        ErrorRate { unit: Unit::Word, lowercase: false }
    }

    /// The character error rate, CER.
    pub fn characters() -> Self {
        ErrorRate { unit: Unit::Character, lowercase: false }
    }

    /// How one hypothesis differs from its reference.
    pub fn align(&self, hypothesis: &str, reference: &str) -> Alignment {
        let cased = |line: &str| if self.lowercase { line.to_lowercase() } else { line.to_owned() };
        let (hypothesis, reference) = (cased(hypothesis), cased(reference));
        let (hypothesis, reference) = (self.unit.split(&hypothesis), self.unit.split(&reference));
        let operations = levenshtein::align(&reference, &hypothesis);
        let (mut hypothesis, mut reference) = (hypothesis.into_iter(), reference.into_iter());
        let mut of_hypothesis = || hypothesis.next().unwrap_or_default().to_owned();
        let mut of_reference = || reference.next().unwrap_or_default().to_owned();
        let edits = operations.into_iter().map(|operation| match operation {
            Operation::Match => {
                of_hypothesis();
                Edit::Correct(of_reference())
            }
            Operation::Substitute => {
                Edit::Substituted { reference: of_reference(), hypothesis: of_hypothesis() }
            }
            Operation::Delete => Edit::Deleted(of_reference()),
            Operation::Insert => Edit::Inserted(of_hypothesis()),
        });
        Alignment { unit: self.unit, edits: edits.collect() }
    }

    /// How each hypothesis differs from its reference, for a [`Report`](crate::report::Report).
    ///
    /// # Errors
    /// [`Error::Misaligned`] if there are more or fewer references than hypotheses.
    pub fn align_all<H, R>(&self, hypotheses: &[H], references: &[R]) -> Result<Vec<Alignment>, Error>
    where
        H: AsRef<str>,
        R: AsRef<str>,
    {
        if hypotheses.len() != references.len() {
            let (hypotheses, references) = (hypotheses.len(), references.len());
            return Err(Error::Misaligned { hypotheses, references, set: 1 });
        }
        let pairs = hypotheses.iter().zip(references);
        Ok(pairs.map(|(hypothesis, reference)| self.align(hypothesis.as_ref(), reference.as_ref())).collect())
    }
}

impl Metric for ErrorRate {
    type Score = ErrorCounts;

    fn settings(&self) -> String {
        let case = if self.lowercase { "lc" } else { "mixed" };
        let unit = match self.unit {
            Unit::Word => "word",
            Unit::Character => "char",
        };
        format!("case:{case}|unit:{unit}")
    }

    fn check(&self) -> Result<(), Error> {
        Ok(())
    }

    /// The numbers of substitutions, deletions, insertions and correct words, against the reference
    /// with the fewest errors (the first among equals).
    fn sentence_statistics(&self, hypothesis: &str, references: &[&str]) -> Vec<f64> {
        let counts = references.iter().map(|reference| self.align(hypothesis, reference).counts());
        let best = counts.min_by_key(ErrorCounts::errors);
        let best = best.unwrap_or(ErrorCounts::none(self.unit));
        [best.substitutions, best.deletions, best.insertions, best.correct].map(|count| count as f64).to_vec()
    }

    fn score(&self, sums: &[f64]) -> ErrorCounts {
        let count = |at: usize| sums[at] as usize;
        ErrorCounts {
            unit: self.unit,
            substitutions: count(0),
            deletions: count(1),
            insertions: count(2),
            correct: count(3),
        }
    }
}

/// What is wrong, and what is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorCounts {
    /// What is counted.
    pub unit: Unit,
    /// S: another word stands there.
    pub substitutions: usize,
    /// D: a word of the reference is missing.
    pub deletions: usize,
    /// I: a word more than in the reference.
    pub insertions: usize,
    /// C: the same word.
    pub correct: usize,
}

impl ErrorCounts {
    fn none(unit: Unit) -> Self {
        ErrorCounts { unit, substitutions: 0, deletions: 0, insertions: 0, correct: 0 }
    }

    /// S + D + I.
    pub fn errors(&self) -> usize {
        self.substitutions + self.deletions + self.insertions
    }

    /// S + D + C, the length of the references.
    pub fn reference_length(&self) -> usize {
        self.substitutions + self.deletions + self.correct
    }

    /// S + I + C, the length of the hypotheses.
    pub fn hypothesis_length(&self) -> usize {
        self.substitutions + self.insertions + self.correct
    }

    /// Errors for each word of the references: from 0 (all correct) to above 1. With nothing in the
    /// references, the number of insertions.
    pub fn rate(&self) -> f64 {
        self.errors() as f64 / self.reference_length().max(1) as f64
    }
}

impl Score for ErrorCounts {
    fn name(&self) -> String {
        self.unit.rate_name().to_owned()
    }

    fn value(&self) -> f64 {
        100.0 * self.rate()
    }

    fn details(&self) -> String {
        let ErrorCounts { substitutions, deletions, insertions, correct, .. } = self;
        format!("(S = {substitutions} D = {deletions} I = {insertions} C = {correct})")
    }
}

impl fmt::Display for ErrorCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.line(""))
    }
}

/// One place of an [`Alignment`]: a word or a character.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Edit {
    /// Both have this.
    Correct(String),
    /// They differ.
    Substituted {
        /// What it should be.
        reference: String,
        /// What it is.
        hypothesis: String,
    },
    /// Only the reference has this.
    Deleted(String),
    /// Only the hypothesis has this.
    Inserted(String),
}

/// How a hypothesis differs from its reference, from the beginning to the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alignment {
    /// What the edits are of.
    pub unit: Unit,
    /// Place by place.
    pub edits: Vec<Edit>,
}

impl Alignment {
    /// How many edits there are of each kind.
    pub fn counts(&self) -> ErrorCounts {
        let mut counts = ErrorCounts::none(self.unit);
        for edit in &self.edits {
            match edit {
                Edit::Correct(_) => counts.correct += 1,
                Edit::Substituted { .. } => counts.substitutions += 1,
                Edit::Deleted(_) => counts.deletions += 1,
                Edit::Inserted(_) => counts.insertions += 1,
            }
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_kind_of_error_is_counted_once() {
        let counts = ErrorRate::words().sentence("a x c d f g h i", &["a b c d e f g h"]).unwrap();
        assert_eq!(counts.to_string(), "WER = 37.50 (S = 1 D = 1 I = 1 C = 6)");
        let counts = ErrorRate::characters().sentence(" a  bc", &["a bd\n"]).unwrap();
        assert_eq!(counts.to_string(), "CER = 50.00 (S = 1 D = 0 I = 1 C = 3)");
    }

    #[test]
    fn insertions_into_nothing_are_counted_as_they_are() {
        let rate = |hypothesis| ErrorRate::words().sentence(hypothesis, &[""]).unwrap().rate();
        assert_eq!([rate(""), rate("a"), rate("a b")], [0.0, 1.0, 2.0]);
    }

    #[test]
    fn case_counts_unless_told_otherwise() {
        assert_eq!(ErrorRate::words().sentence("The", &["the"]).unwrap().errors(), 1);
        let lowercase = ErrorRate { lowercase: true, ..ErrorRate::words() };
        assert_eq!(lowercase.sentence("The", &["the"]).unwrap().errors(), 0);
    }

    #[test]
    fn the_reference_with_the_fewest_errors_counts() {
        let counts = ErrorRate::words().sentence("a b", &["c d", "a b c", "a c"]).unwrap();
        assert_eq!((counts.deletions, counts.correct), (1, 2));
    }

    #[test]
    fn references_that_do_not_match_the_hypotheses_are_an_error() {
        let error = ErrorRate::words().align_all(&["a"], &["a", "b"]).unwrap_err();
        assert_eq!(error, Error::Misaligned { hypotheses: 1, references: 2, set: 1 });
    }

    proptest! {
        #[test]
        fn the_counts_add_up_to_the_lengths(hypothesis in "[ab é]{0,15}", reference in "[ab é]{0,15}") {
            for error_rate in [ErrorRate::words(), ErrorRate::characters()] {
                let counts = error_rate.sentence(&hypothesis, &[&reference]).unwrap();
                prop_assert_eq!(counts.reference_length(), error_rate.unit.split(&reference).len());
                prop_assert_eq!(counts.hypothesis_length(), error_rate.unit.split(&hypothesis).len());
                prop_assert!(counts.errors() <= counts.reference_length().max(counts.hypothesis_length()));
            }
        }

        #[test]
        fn an_alignment_spells_its_reference_and_hypothesis(
            hypothesis in "[ab ]{0,15}", reference in "[ab ]{0,15}"
        ) {
            let alignment = ErrorRate::characters().align(&hypothesis, &reference);
            let [mut r, mut h] = [String::new(), String::new()];
            for edit in &alignment.edits {
                match edit {
                    Edit::Correct(c) => { r += c; h += c }
                    Edit::Substituted { reference, hypothesis } => { r += reference; h += hypothesis }
                    Edit::Deleted(c) => r += c,
                    Edit::Inserted(c) => h += c,
                }
            }
            prop_assert_eq!((r.as_str(), h.as_str()), (reference.trim(), hypothesis.trim()));
        }
    }
}
