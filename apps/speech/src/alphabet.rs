//! What the network says: characters, phonemes or words.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use anyhow::{Result, bail};
use app_kit::UsageError;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// The symbol of connectionist temporal classification that stands for nothing.
pub const BLANK: u32 = 0;

/// What words are parted by, as a symbol: a blank in a text of characters.
pub const SEPARATOR: &str = " ";

/// What a text is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Units {
    /// Characters
    #[default]
    Char,
    /// Phonemes, by a table of pronunciations
    Phoneme,
    /// Words
    Word,
}

impl fmt::Display for Units {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Char => "char",
            Self::Phoneme => "phoneme",
            Self::Word => "word",
        })
    }
}

/// How words are pronounced: for each one or more sequences of phonemes, the usual one first.
pub type Pronunciations = BTreeMap<String, Vec<Vec<String>>>;

/// The symbols of a network. Of connectionist temporal classification, number 0 is the blank, which has
/// no text; of a classifier, each symbol is a label.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Saved")]
pub struct Alphabet {
    units: Units,
    symbols: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pronunciations: Pronunciations,
    #[serde(skip)]
    numbers: HashMap<String, u32>,
    /// The words by their phonemes, one after another.
    #[serde(skip)]
    words: HashMap<String, String>,
}

/// As it lies in a file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    units: Units,
    symbols: Vec<String>,
    #[serde(default)]
    pronunciations: Pronunciations,
}

impl TryFrom<Saved> for Alphabet {
    type Error = String;

    fn try_from(Saved { units, symbols, pronunciations }: Saved) -> Result<Self, String> {
        let count = symbols.len();
        let alphabet = Self::of(units, symbols, pronunciations);
        match alphabet.numbers.len() == count && count > 0 {
            true => Ok(alphabet),
            false => Err("the alphabet is empty or has a symbol twice".to_owned()),
        }
    }
}

impl Alphabet {
    fn of(units: Units, symbols: Vec<String>, pronunciations: Pronunciations) -> Self {
        let numbers = symbols.iter().cloned().zip(0..).collect();
        // Of words that are pronounced alike the first stays.
        let spoken = pronunciations.iter().rev();
        let words = spoken.flat_map(|(word, spoken)| spoken.iter().map(|ps| (ps.concat(), word.clone())));
        Self { units, symbols, numbers, words: words.collect(), pronunciations }
    }

    /// The symbols that occur in `texts`, in their order as strings, after the blank. Phonemes are those
    /// of all `pronunciations`, with a symbol that parts words.
    ///
    /// # Errors
    /// [`UsageError`] when there is no symbol, or no pronunciations for phonemes.
    pub fn of_texts<'a>(
        units: Units,
        texts: impl IntoIterator<Item = &'a str>,
        pronunciations: &Pronunciations,
    ) -> Result<Self, UsageError> {
        let mut symbols = BTreeSet::new();
        match units {
            Units::Char => texts.into_iter().for_each(|text| symbols.extend(text.chars().map(String::from))),
            Units::Word => texts.into_iter().for_each(|text| symbols.extend(words(text).map(String::from))),
            Units::Phoneme => {
                symbols.extend(pronunciations.values().flatten().flatten().cloned());
                symbols.insert(SEPARATOR.to_owned());
            }
        }
        if symbols.len() <= usize::from(units == Units::Phoneme) {
            return Err(UsageError::new(match units {
                Units::Phoneme => {
                    "the units `phoneme` need pronunciations: give a table with --pronunciations"
                }
                _ => "there is no text to take symbols from: the transcripts are empty",
            }));
        }
        let symbols = [String::new()].into_iter().chain(symbols).collect();
        let pronunciations =
            if units == Units::Phoneme { pronunciations.clone() } else { Pronunciations::new() };
        Ok(Self::of(units, symbols, pronunciations))
    }

    /// The labels of a classifier, in their order as strings.
    ///
    /// # Errors
    /// [`UsageError`] for fewer than two labels.
    pub fn of_labels<'a>(labels: impl IntoIterator<Item = &'a str>) -> Result<Self, UsageError> {
        let labels: BTreeSet<&str> = labels.into_iter().collect();
        if labels.len() < 2 {
            return Err(UsageError::new(format!(
                "there is nothing to tell apart: the recordings have {} label(s)",
                labels.len()
            )));
        }
        Ok(Self::of(Units::Word, labels.into_iter().map(String::from).collect(), Pronunciations::new()))
    }

    /// What a text is made of.
    pub fn units(&self) -> Units {
        self.units
    }

    /// How many symbols there are, the blank among them.
    pub fn len(&self) -> usize {
        self.symbols.len()
    }

    /// Whether there is no symbol.
    pub fn is_empty(&self) -> bool {
        self.symbols.is_empty()
    }

    /// The symbols by their numbers.
    pub fn symbols(&self) -> &[String] {
        &self.symbols
    }

    /// How words are pronounced, for [`Units::Phoneme`].
    pub fn pronunciations(&self) -> &Pronunciations {
        &self.pronunciations
    }

    /// The number of a symbol.
    pub fn number(&self, symbol: &str) -> Option<u32> {
        self.numbers.get(symbol).copied()
    }

    /// The symbol that parts words, if words are spelled with symbols.
    pub fn separator(&self) -> Option<u32> {
        if self.units == Units::Word { None } else { self.number(SEPARATOR) }
    }

    /// A text as numbers. In phonemes, a word with several pronunciations has the first, and the separator
    /// stands before, between and after the words, for the silence there.
    ///
    /// # Errors
    /// A character, word or pronunciation that is not known, by name.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let known = |symbol: &str| match self.number(symbol) {
            Some(number) => Ok(number),
            None => bail!("the symbol {symbol:?} does not occur in the training texts"),
        };
        match self.units {
            Units::Char => text.chars().map(|c| known(c.encode_utf8(&mut [0; 4]))).collect(),
            Units::Word => words(text).map(known).collect(),
            Units::Phoneme => {
                let mut spoken = Vec::new();
                for word in words(text) {
                    match self.spellings(word)?.into_iter().next() {
                        Some(phonemes) => spoken.push(phonemes),
                        None => bail!("the word {word:?} has no pronunciation"),
                    }
                }
                Ok(self.with_silence(spoken))
            }
        }
    }

    /// A text as numbers, each word with the pronunciation that was heard: the one with which the phonemes
    /// go on. What is said between words, such as silence, is passed over.
    ///
    /// # Errors
    /// A word without a pronunciation, or none of whose pronunciations is there.
    pub fn encode_as_spoken(&self, text: &str, phonemes: &[&str]) -> Result<Vec<u32>> {
        let mut spoken = Vec::new();
        let mut rest: Vec<u32> = phonemes.iter().filter_map(|phoneme| self.number(phoneme)).collect();
        rest.retain(|&number| Some(number) != self.separator());
        for word in words(text) {
            let spellings = self.spellings(word)?;
            let Some(said) =
                spellings.iter().filter(|said| rest.starts_with(said)).max_by_key(|said| said.len())
            else {
                bail!("the word {word:?} is said otherwise than its pronunciations, or they are missing");
            };
            spoken.push(said.clone());
            rest.drain(..said.len());
        }
        Ok(self.with_silence(spoken))
    }

    /// The phonemes of words with the separator before, between and after them.
    fn with_silence(&self, spoken: Vec<Vec<u32>>) -> Vec<u32> {
        let mut numbers: Vec<u32> = self.separator().into_iter().collect();
        for phonemes in spoken {
            numbers.extend(phonemes);
            numbers.extend(self.separator());
        }
        numbers
    }

    /// A word as numbers, each of its pronunciations; none if it has none.
    ///
    /// # Errors
    /// As [`Alphabet::encode`], for words that are not pronounced but spelled.
    pub fn spellings(&self, word: &str) -> Result<Vec<Vec<u32>>> {
        let Some(spoken) = self.pronunciations.get(word) else {
            return match self.units {
                Units::Phoneme => Ok(Vec::new()),
                _ => Ok(vec![self.encode(word)?]),
            };
        };
        let numbers =
            |phonemes: &Vec<String>| phonemes.iter().filter_map(|phoneme| self.number(phoneme)).collect();
        Ok(spoken.iter().map(numbers).collect())
    }

    /// The words that sequences of phonemes are, by their phonemes one after another; of words that are
    /// pronounced alike the first.
    pub fn words_by_phonemes(&self) -> &HashMap<String, String> {
        &self.words
    }
}

/// What stands between blanks.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split_whitespace()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spoken() -> Pronunciations {
        let phonemes = |text: &str| text.split(' ').map(String::from).collect::<Vec<_>>();
        [("two", vec![phonemes("T UW")]), ("seven", vec![phonemes("S EH V AH N"), phonemes("S EH V N")])]
            .map(|(word, spoken)| (word.to_owned(), spoken))
            .into()
    }

    #[test]
    fn a_text_of_characters_is_numbers_and_the_blank_is_none_of_them() {
        let alphabet = Alphabet::of_texts(Units::Char, ["b a", "ab"], &Pronunciations::new()).unwrap();
        assert_eq!(alphabet.symbols(), ["", " ", "a", "b"]);
        assert_eq!(alphabet.encode("ab b").unwrap(), [2, 3, 1, 3]);
        assert_eq!(alphabet.separator(), Some(1));
        assert!(alphabet.encode("abc").unwrap_err().to_string().contains("\"c\""));
    }

    #[test]
    fn words_become_phonemes_with_separators_between() {
        let alphabet = Alphabet::of_texts(Units::Phoneme, [], &spoken()).unwrap();
        let separator = alphabet.separator().unwrap();
        let numbers = alphabet.encode("two two").unwrap();
        assert_eq!(numbers.len(), 7);
        assert_eq!([numbers[0], numbers[3], numbers[6]], [separator; 3]);
        assert_eq!(alphabet.spellings("seven").unwrap().len(), 2);
        assert_eq!(alphabet.words_by_phonemes()["SEHVN"], "seven");
        let said =
            alphabet.encode_as_spoken("seven two", &["SIL", "S", "EH", "V", "N", "T", "UW", "SIL"]).unwrap();
        assert_eq!(said.len(), 9);
        assert_eq!(said[4], alphabet.number("N").unwrap());
        assert!(alphabet.encode_as_spoken("seven", &["S", "EH"]).is_err());
        assert!(alphabet.encode("eight").unwrap_err().to_string().contains("no pronunciation"));
        assert!(Alphabet::of_texts(Units::Phoneme, [], &Pronunciations::new()).is_err());
    }

    #[test]
    fn an_alphabet_saved_is_the_same_alphabet_and_a_symbol_twice_is_refused() {
        let alphabet = Alphabet::of_texts(Units::Phoneme, [], &spoken()).unwrap();
        let saved = toml::to_string(&alphabet).unwrap();
        assert_eq!(toml::from_str::<Alphabet>(&saved).unwrap(), alphabet);
        assert!(toml::from_str::<Alphabet>("units = \"char\"\nsymbols = [\"\", \"a\", \"a\"]").is_err());
        assert!(toml::from_str::<Alphabet>("units = \"char\"\nsymbols = []").is_err());
    }

    #[test]
    fn a_single_label_is_nothing_to_tell_apart() {
        assert!(Alphabet::of_labels(["a", "a"]).is_err());
        let labels = Alphabet::of_labels(["stop", "go", "stop"]).unwrap();
        assert_eq!(labels.symbols(), ["go", "stop"]);
    }
}
