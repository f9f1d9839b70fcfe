//! N-gram language models: the probability of a word after the words before it.
//!
//! ```
//! use rnn_decode::ngram::{KneserNey, Ngram};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let texts = ["the cat sat", "the cat ran", "a dog ran"];
//! let model = KneserNey { order: 3 }.estimate(texts.map(str::split_whitespace))?;
//!
//! let after_the = model.score(&model.start(), model.word("the")).1;
//! let p = |word| model.score(&after_the, model.word(word)).0.exp();
//! assert!(p("cat") > p("dog"));
//!
//! let mut arpa = Vec::new();
//! model.write_arpa(&mut arpa)?;
//! let read = Ngram::read_arpa(&arpa[..])?;
//! assert_eq!(read.perplexity(texts.map(str::split_whitespace)), model.perplexity(texts.map(str::split_whitespace)));
//! # Ok(()) }
//! ```

mod arpa;
mod kneser_ney;
mod perplexity;

use std::collections::HashMap;

pub use kneser_ney::KneserNey;
pub use perplexity::Perplexity;

/// Stands before the first word of a sentence; is itself never predicted.
pub const SENTENCE_START: &str = "<s>";
/// Stands after the last word of a sentence.
pub const SENTENCE_END: &str = "</s>";
/// Stands for every word that a model does not know.
pub const UNKNOWN: &str = "<unk>";

/// A back-off model of any order (Katz 1987, in the form of the ARPA file format): with `h` the words
/// before, of which only the last `order - 1` count, and `h'` those without the first,
///
/// ```text
/// p(w | h) = p of the entry h w            if there is one
///          = back_off(h) · p(w | h')       otherwise; back_off is 1 where h has no entry
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Ngram {
    words: Vec<String>,
    ids: HashMap<String, u32>,
    /// The entries of length 1, 2, …
    entries: Vec<HashMap<Box<[u32]>, Entry>>,
}

/// Base-10 logarithms, as files have them.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Entry {
    log_prob: f64,
    back_off: f64,
}

/// The words before, as far as they matter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct NgramState(Vec<u32>);

/// Why there is no model.
#[derive(Debug, thiserror::Error)]
pub enum NgramError {
    /// A line of an ARPA file that is not as it should be.
    #[error("line {line}: {reason}")]
    Line {
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// An order that is none.
    #[error("the order is {0}; it must be at least 1")]
    Order(usize),
    /// Nothing to estimate from.
    #[error("there is no sentence to estimate a model from")]
    NoText,
    /// A sentence with a word that has a meaning of its own.
    #[error("sentence {sentence} has the word {word}, which models keep for themselves")]
    Reserved {
        /// The sentence, counted from 0.
        sentence: usize,
        /// The word.
        word: String,
    },
    /// A sentence with a word that an ARPA file could not hold.
    #[error("sentence {sentence} has the word {word:?}: words are not empty and have no white space in them")]
    Word {
        /// The sentence, counted from 0.
        sentence: usize,
        /// The word.
        word: String,
    },
    /// The text could not be read.
    #[error("an ARPA file could not be read: {0}")]
    Read(#[from] std::io::Error),
}

impl Ngram {
    /// Words in a row that the model knows at most, at least 1.
    pub fn order(&self) -> usize {
        self.entries.len()
    }

    /// Number of entries of each length, from single words on.
    pub fn counts(&self) -> Vec<usize> {
        self.entries.iter().map(HashMap::len).collect()
    }

    /// The words, by their numbers; those of the model's own are among them.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// A word's number, if the model knows it.
    pub fn word(&self, word: &str) -> Option<u32> {
        self.ids.get(word).copied()
    }

    /// A word's number, or that of `<unk>`, if the model has one.
    pub fn word_or_unknown(&self, word: &str) -> Option<u32> {
        self.word(word).or_else(|| self.word(UNKNOWN))
    }

    /// The number of the word that ends sentences.
    pub fn end(&self) -> Option<u32> {
        self.word(SENTENCE_END)
    }

    /// Before the first word of a sentence.
    pub fn start(&self) -> NgramState {
        self.after(self.word(SENTENCE_START).into_iter().collect())
    }

    /// Before a word of which nothing is known.
    pub fn anywhere(&self) -> NgramState {
        NgramState::default()
    }

    /// `ln p(word | state)` in nats, and the state after it. No word, one that the model does not know,
    /// has the probability 0, and nothing is known after it.
    pub fn score(&self, state: &NgramState, word: Option<u32>) -> (f64, NgramState) {
        let Some(word) = word else { return (f64::NEG_INFINITY, NgramState::default()) };
        let mut words = state.0.clone();
        words.push(word);
        let log_prob = self.log_prob(&words) * std::f64::consts::LN_10;
        (log_prob, self.after(words))
    }

    /// `log10 p` of the last word after those before it.
    fn log_prob(&self, words: &[u32]) -> f64 {
        let mut sum = 0.;
        for first in 0..words.len() {
            let words = &words[first..];
            if let Some(entry) = self.entry(words) {
                return sum + entry.log_prob;
            }
            sum += self.entry(&words[..words.len() - 1]).map_or(0., |entry| entry.back_off);
        }
        f64::NEG_INFINITY
    }

    fn entry(&self, words: &[u32]) -> Option<&Entry> {
        self.entries.get(words.len().checked_sub(1)?)?.get(words)
    }

    /// The longest end of these words that has an entry and is short enough to be followed by a word:
    /// what is longer changes no probability.
    fn after(&self, mut words: Vec<u32>) -> NgramState {
        let longest = words.len().min(self.order() - 1);
        let known = |length: &usize| self.entry(&words[words.len() - length..]).is_some();
        let length = (1..=longest).rev().find(known).unwrap_or(0);
        words.drain(..words.len() - length);
        NgramState(words)
    }
}

/// A vocabulary as it grows.
#[derive(Debug, Default)]
struct Vocabulary {
    words: Vec<String>,
    ids: HashMap<String, u32>,
}

impl Vocabulary {
    fn add(&mut self, word: &str) -> u32 {
        if let Some(&id) = self.ids.get(word) {
            return id;
        }
        let id = self.words.len() as u32;
        self.words.push(word.to_string());
        self.ids.insert(word.to_string(), id);
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TINY: &str = "\
\\data\\
ngram 1=5
ngram 2=3
ngram 3=1

\\1-grams:
-99\t<s>\t-0.5
-1\t</s>
-0.7\ta\t-0.2
-0.4\tb\t-0.3
-2\t<unk>

\\2-grams:
-0.2\t<s> a\t-0.1
-0.3\ta b
-0.6\tb </s>

\\3-grams:
-0.05\t<s> a b

\\end\\
";

    #[test]
    fn what_has_no_entry_backs_off_to_what_is_shorter() {
        let model = Ngram::read_arpa(TINY.as_bytes()).unwrap();
        let id = |word| model.word(word);
        let log10 = |words: &[&str]| {
            let mut state = model.start();
            let mut log_prob = 0.;
            for word in words {
                (log_prob, state) = model.score(&state, model.word_or_unknown(word));
            }
            log_prob / std::f64::consts::LN_10
        };
        for (words, expected) in [
            (&["a"][..], -0.2),
            (&["a", "b"], -0.05),
            (&["b"], -0.5 - 0.4),            // back_off(<s>) p(b)
            (&["a", "a"], -0.1 - 0.2 - 0.7), // back_off(<s> a) back_off(a) p(a)
            (&["b", "a", "b"], -0.3),        // no entry `b a`: p(b | a)
            (&["a", "b", "</s>"], -0.6),     // no back-off given for `a b`
            (&["never"], -0.5 - 2.),         // <unk>
            (&["never", "b"], -0.4),
        ] {
            assert!((log10(words) - expected).abs() < 1e-12, "{words:?}: {}", log10(words));
        }
        assert_eq!(model.score(&model.anywhere(), id("c")), (f64::NEG_INFINITY, model.anywhere()));
        assert_eq!((model.order(), model.counts()), (3, vec![5, 3, 1]));
    }

    #[test]
    fn a_state_has_no_more_words_than_matter() {
        let model = Ngram::read_arpa(TINY.as_bytes()).unwrap();
        let after = |words: &[&str]| {
            words.iter().fold(model.start(), |state, word| model.score(&state, model.word(word)).1)
        };
        assert_eq!(after(&["b", "a"]), after(&["b", "b", "b", "a"]));
        assert_ne!(after(&["a"]), after(&["b", "a"]));
        assert_eq!(after(&["a", "b"]).0.len(), 2);
    }
}
