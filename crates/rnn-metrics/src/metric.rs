//! What the metrics have in common.

use serde::Serialize;

use crate::Error;

/// A score that is a function of sums over the sentences.
///
/// What one sentence contributes, its sufficient statistics, is a row of numbers; the rows are
/// added up, and the score is computed from the sum. So is the score of any other sample of the
/// sentences, which makes the [`bootstrap`](crate::bootstrap) cheap.
pub trait Metric {
    /// What is computed.
    type Score: Score;

    /// The settings as `key:value`, joined by `|`: the middle of the signature.
    fn settings(&self) -> String;

    /// Whether the settings make sense.
    ///
    /// # Errors
    /// [`Error::Setting`] names the first setting outside its range.
    fn check(&self) -> Result<(), Error>;

    /// What one sentence contributes. Its length does not depend on the sentence.
    /// `references`: one or more translations of the sentence.
    fn sentence_statistics(&self, hypothesis: &str, references: &[&str]) -> Vec<f64>;

    /// The score of sentences whose [statistics](Self::sentence_statistics) add up to `sums`.
    fn score(&self, sums: &[f64]) -> Self::Score;

    /// The score of all sentences together, which is not the mean of the sentences' scores.
    ///
    /// `references`: one or more sets, each with one line for each hypothesis.
    ///
    /// # Errors
    /// [`Error::Misaligned`] if a set has more or fewer lines than there are hypotheses; no
    /// sentence, no set, or a setting outside its range.
    fn corpus<H, S, R>(&self, hypotheses: &[H], references: &[S]) -> Result<Self::Score, Error>
    where
        H: AsRef<str>,
        S: AsRef<[R]>,
        R: AsRef<str>,
    {
        Ok(self.score(&self.statistics(hypotheses, references)?.sum()))
    }

    /// The score of one sentence. `references`: one or more translations of it.
    ///
    /// # Errors
    /// No reference, or a setting outside its range.
    fn sentence<R: AsRef<str>>(&self, hypothesis: &str, references: &[R]) -> Result<Self::Score, Error> {
        self.check()?;
        if references.is_empty() {
            return Err(Error::NoReferences);
        }
        let references: Vec<&str> = references.iter().map(AsRef::as_ref).collect();
        Ok(self.score(&self.sentence_statistics(hypothesis, &references)))
    }

    /// What each sentence contributes. Arguments and errors are those of
    /// [`corpus`](Self::corpus).
    fn statistics<H, S, R>(&self, hypotheses: &[H], references: &[S]) -> Result<Statistics, Error>
    where
        H: AsRef<str>,
        S: AsRef<[R]>,
        R: AsRef<str>,
    {
        self.check()?;
        let sets: Vec<&[R]> = references.iter().map(AsRef::as_ref).collect();
        if sets.is_empty() {
            return Err(Error::NoReferences);
        }
        if let Some(at) = sets.iter().position(|set| set.len() != hypotheses.len()) {
            let (hypotheses, references) = (hypotheses.len(), sets[at].len());
            return Err(Error::Misaligned { hypotheses, references, set: at + 1 });
        }
        if hypotheses.is_empty() {
            return Err(Error::NoSentences);
        }
        let rows = hypotheses.iter().enumerate().map(|(sentence, hypothesis)| {
            let references: Vec<&str> = sets.iter().map(|set| set[sentence].as_ref()).collect();
            self.sentence_statistics(hypothesis.as_ref(), &references)
        });
        Ok(Statistics::new(rows))
    }

    /// All that a reader needs to compute the score again, as sacreBLEU writes it, with this
    /// workspace's version. `references`: the number of sets.
    fn signature(&self, references: usize) -> String {
        let version = env!("CARGO_PKG_VERSION");
        format!("nrefs:{references}|{}|version:candle-rnn-{version}", self.settings())
    }
}

/// A computed score. Its `Display` is sacreBLEU's line, for example
/// `BLEU = 44.05 81.8/55.6/42.9/40.0 (BP = 0.834 ratio = 0.846 hyp_len = 11 ref_len = 13)`.
pub trait Score: Serialize {
    /// What it is a score of, for example `BLEU` or `chrF2++`.
    fn name(&self) -> String;

    /// The score in percent.
    fn value(&self) -> f64;

    /// What goes into the score; may be empty.
    fn details(&self) -> String;

    /// The score in one line with the metric's [`signature`](Metric::signature).
    fn line(&self, signature: &str) -> String {
        let bar = if signature.is_empty() { "" } else { "|" };
        let line = format!("{}{bar}{signature} = {:.2} {}", self.name(), self.value(), self.details());
        line.trim_end().to_owned()
    }
}

/// The sufficient statistics of each sentence: a table with as many rows as sentences.
#[derive(Clone, Debug, PartialEq)]
pub struct Statistics {
    width: usize,
    values: Vec<f64>,
}

impl Statistics {
    fn new(rows: impl Iterator<Item = Vec<f64>>) -> Self {
        let (mut width, mut values) = (0, Vec::new());
        for row in rows {
            width = row.len();
            values.extend(row);
        }
        Statistics { width, values }
    }

    /// The number of sentences.
    pub fn sentences(&self) -> usize {
        self.values.len() / self.width.max(1)
    }

    /// What one sentence contributes. `sentence` counts from 0 and is below
    /// [`sentences`](Self::sentences).
    pub fn row(&self, sentence: usize) -> &[f64] {
        &self.values[sentence * self.width..][..self.width]
    }

    /// The sum over all sentences.
    pub fn sum(&self) -> Vec<f64> {
        self.sum_of(0..self.sentences())
    }

    /// The sum over some sentences, each as often as it is named.
    pub fn sum_of(&self, sentences: impl IntoIterator<Item = usize>) -> Vec<f64> {
        let mut sums = vec![0.0; self.width];
        for sentence in sentences {
            for (sum, value) in sums.iter_mut().zip(self.row(sentence)) {
                *sum += value;
            }
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Bleu, Chrf, ErrorRate, Ter};
    use proptest::prelude::*;

    #[test]
    fn counts_that_do_not_match_are_an_error_that_names_both() {
        let error = Bleu::default().corpus(&["a", "b"], &[vec!["a", "b"], vec!["a"]]).unwrap_err();
        assert_eq!(error, Error::Misaligned { hypotheses: 2, references: 1, set: 2 });
        let message = error.to_string();
        assert!(message.contains("2 hypotheses and 1 references in set 2"), "{message}");
    }

    #[test]
    fn nothing_to_score_is_an_error() {
        let bleu = Bleu::default();
        let nothing: [&str; 0] = [];
        assert_eq!(bleu.corpus(&nothing, &[nothing]).unwrap_err(), Error::NoSentences);
        assert_eq!(bleu.corpus::<_, [&str; 1], _>(&["a"], &[]).unwrap_err(), Error::NoReferences);
        assert_eq!(bleu.sentence("a", &nothing).unwrap_err(), Error::NoReferences);
    }

    #[test]
    fn references_are_taken_as_slices_vectors_and_arrays() {
        let strings: Vec<String> = vec!["a b c d e".into()];
        let chrf = Chrf::default();
        let expected = chrf.corpus(&["a b c d"], &[["a b c d e"]]).unwrap();
        assert_eq!(chrf.corpus(&["a b c d"], &[&strings]).unwrap(), expected);
        assert_eq!(chrf.corpus(&["a b c d".to_owned()], &[strings.as_slice()]).unwrap(), expected);
        assert_eq!(chrf.corpus(&["a b c d"], &Vec::from([strings])).unwrap(), expected);
    }

    /// A line with words that repeat, so that n-grams match now and then.
    fn line() -> impl Strategy<Value = String> {
        prop::collection::vec(prop::sample::select(vec!["a", "b", "c", "dd", "e.", "5,5", "你好"]), 0..12)
            .prop_map(|words| words.join(" "))
    }

    proptest! {
        #[test]
        fn a_text_equals_itself(lines in prop::collection::vec(line(), 1..6)) {
            let words: usize = lines.iter().map(|line| line.split_whitespace().count()).sum();
            prop_assume!(lines.iter().any(|line| line.split_whitespace().count() > 3));
            let bleu = Bleu::default().corpus(&lines, &[&lines]).unwrap();
            prop_assert!((bleu.value() - 100.0).abs() < 1e-9, "{}", bleu);
            for word_order in [0, 2] {
                let chrf = Chrf { word_order, ..Chrf::default() }.corpus(&lines, &[&lines]).unwrap();
                prop_assert!((chrf.value() - 100.0).abs() < 1e-9, "{}", chrf);
            }
            prop_assert_eq!(Ter::default().corpus(&lines, &[&lines]).unwrap().value(), 0.0);
            for error_rate in [ErrorRate::words(), ErrorRate::characters()] {
                prop_assert_eq!(error_rate.corpus(&lines, &[&lines]).unwrap().value(), 0.0);
            }
            let correct = ErrorRate::words().corpus(&lines, &[&lines]).unwrap().correct;
            prop_assert_eq!(correct, words);
        }

        #[test]
        fn scores_are_within_their_range_and_the_corpus_of_one_is_its_sentence(
            hypothesis in line(), first in line(), second in line()
        ) {
            let references = [&first, &second];
            let sets = [[&first], [&second]];
            for smoothing in ["none", "floor", "add-k", "exp"] {
                let smoothing = smoothing.parse().unwrap();
                for effective_order in [false, true] {
                    let bleu = Bleu { smoothing, effective_order, ..Bleu::default() };
                    let score = bleu.sentence(&hypothesis, &references).unwrap();
                    prop_assert!((0.0..100.0 + 1e-9).contains(&score.value()), "{}", score);
                    prop_assert_eq!(&score, &bleu.corpus(&[&hypothesis], &sets).unwrap());
                }
            }
            for eps_smoothing in [false, true] {
                let chrf = Chrf { word_order: 2, eps_smoothing, ..Chrf::default() };
                let score = chrf.sentence(&hypothesis, &references).unwrap();
                prop_assert!((0.0..100.0 + 1e-9).contains(&score.value()), "{}", score);
                prop_assert_eq!(&score, &chrf.corpus(&[&hypothesis], &sets).unwrap());
            }
        }

        #[test]
        fn ter_needs_no_more_edits_than_the_word_error_rate(hypothesis in line(), reference in line()) {
            let ter = Ter::default().sentence(&hypothesis, &[&reference]).unwrap();
            let words = ErrorRate::words().sentence(&hypothesis, &[&reference]).unwrap();
            prop_assert!(ter.edits <= words.errors(), "{} {}", ter.edits, words);
        }
    }
}
