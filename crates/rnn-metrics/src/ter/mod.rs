//! TER, translation edit rate: how many words a proof-reader would have to change.
//!
//! Snover et al. 2006, *A Study of Translation Edit Rate with Targeted Human Annotation*. An edit
//! inserts, deletes or replaces a word, or shifts a run of words to another place:
//!
//! ```text
//! TER = 100 · edits / words of the references (their mean, where a sentence has several)
//! ```
//!
//! Which shifts are the best cannot be found in reasonable time; these are found greedily, in the
//! order and within the limits of Tercom as sacreBLEU has them, so that the numbers agree.
//!
//! | file | what is in it |
//! |---|---|
//! | `tercom` | how a line is cut into words |
//! | `edit_distance` | insertions, deletions and replacements |
//! | `shifts` | the search for shifts |

mod edit_distance;
mod shifts;
mod tercom;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::metric::{Metric, Score};
use crate::numbering::Numbering;
use crate::whitespace::words;

/// TER. The default is sacreBLEU's.
///
/// ```
/// use rnn_metrics::{Metric, Ter};
///
/// # fn main() -> Result<(), rnn_metrics::Error> {
/// let score = Ter::default().sentence("on the mat sat the cat", &["The cat sat on the mat"])?;
/// assert_eq!((score.edits, score.reference_length), (2, 6.0)); // two shifts
/// assert_eq!(score.to_string(), "TER = 33.33");
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ter {
    /// Whether punctuation is separated from words first.
    pub normalized: bool,
    /// Whether punctuation is dropped.
    pub no_punctuation: bool,
    /// Whether the two settings above apply to Chinese and Japanese characters and punctuation as
    /// well: normalised, each ideograph is a word.
    pub asian_support: bool,
    /// Whether `The` and `the` differ.
    pub case_sensitive: bool,
}

impl Metric for Ter {
    type Score = TerScore;

    fn settings(&self) -> String {
        let yes = |is: bool| if is { "yes" } else { "no" };
        format!(
            "case:{}|tok:tercom|norm:{}|punct:{}|asian:{}",
            if self.case_sensitive { "mixed" } else { "lc" },
            yes(self.normalized),
            yes(!self.no_punctuation),
            yes(self.asian_support)
        )
    }

    fn check(&self) -> Result<(), Error> {
        Ok(())
    }

    /// The edits to the reference that needs the fewest; the mean length of the references.
    fn sentence_statistics(&self, hypothesis: &str, references: &[&str]) -> Vec<f64> {
        let hypothesis = tercom::tokenize(hypothesis, self);
        let references: Vec<String> = references.iter().map(|line| tercom::tokenize(line, self)).collect();
        let mut numbering = Numbering::default();
        let hypothesis = numbering.of(words(&hypothesis));
        let references: Vec<_> = references.iter().map(|line| numbering.of(words(line))).collect();
        let length: usize = references.iter().map(Vec::len).sum();
        let edits = references.iter().map(|reference| shifts::edits(&hypothesis, reference)).min();
        vec![edits.unwrap_or(0) as f64, length as f64 / references.len().max(1) as f64]
    }

    fn score(&self, sums: &[f64]) -> TerScore {
        let [edits, reference_length] = [sums[0], sums[1]];
        let rate = match (edits, reference_length) {
            (edits, length) if length > 0.0 => edits / length,
            (0.0, _) => 0.0,
            _ => 1.0, // words where there should be none
        };
        TerScore { score: 100.0 * rate, edits: edits as usize, reference_length }
    }
}

/// A TER score and what it is made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TerScore {
    /// From 0 on: 0 is best, and above 100 there are more edits than words.
    pub score: f64,
    /// Insertions, deletions, replacements and shifts.
    pub edits: usize,
    /// In words.
    pub reference_length: f64,
}

impl Score for TerScore {
    fn name(&self) -> String {
        "TER".to_owned()
    }

    fn value(&self) -> f64 {
        self.score
    }

    fn details(&self) -> String {
        String::new()
    }
}

impl fmt::Display for TerScore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.line(""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_paper_has_four_edits() {
        // Snover et al. 2006: one shift, one insertion, two replacements.
        let reference = "SAUDI ARABIA denied THIS WEEK information published in the AMERICAN new york times";
        let hypothesis = "THIS WEEK THE SAUDIS denied information published in the new york times";
        let score = Ter::default().sentence(hypothesis, &[reference]).unwrap();
        assert_eq!((score.edits, score.reference_length), (4, 13.0));
    }

    #[test]
    fn empty_lines_are_counted_as_edits() {
        let edits = |hypothesis: &str, reference: &str| {
            let score = Ter::default().sentence(hypothesis, &[reference]).unwrap();
            (score.edits, score.score)
        };
        assert_eq!(edits("", "a b"), (2, 100.0));
        assert_eq!(edits("a b", ""), (2, 100.0));
        assert_eq!(edits("", ""), (0, 0.0));
    }

    #[test]
    fn of_several_references_the_nearest_counts_over_their_mean_length() {
        let score = Ter::default().sentence("a b c", &["a b c", "a b d e f"]).unwrap();
        assert_eq!((score.edits, score.reference_length), (0, 4.0));
    }
}
