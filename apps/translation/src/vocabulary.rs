//! [`Vocabularies`]: the symbols of both languages.

use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use app_kit::UsageError;
use rnn_text::{Tokenizer, Units};
use serde::{Deserialize, Serialize};

use crate::batches::Example;
use crate::corpus::Pair;

/// How sentences become symbols.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VocabularyConfig {
    /// The unit that sources are cut into.
    pub source_units: Units,
    /// The unit that targets are cut into.
    pub target_units: Units,
    /// Size of each vocabulary, for the units `bpe` and `word`.
    pub size: usize,
    /// One vocabulary for both languages.
    pub joint: bool,
}

impl Default for VocabularyConfig {
    /// 6,000 byte pairs for both languages together.
    fn default() -> Self {
        Self { source_units: Units::Bpe, target_units: Units::Bpe, size: 6000, joint: true }
    }
}

/// The vocabularies of source and target. A sentence is a line: it ends with the symbol of the line
/// break, which is also what a decoder begins with, so that a language model of lines with the same
/// tokenizer can take part.
#[derive(Clone, Debug)]
pub struct Vocabularies {
    source: Tokenizer,
    target: Tokenizer,
    joint: bool,
    source_end: u32,
    target_end: u32,
}

/// A sentence as symbols.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoded {
    /// Its symbols.
    pub symbols: Vec<u32>,
    /// The bytes of the sentence that each symbol stands for.
    pub places: Vec<Range<usize>>,
    /// Characters that the vocabulary does not have, which were left out.
    pub unknown: Vec<char>,
}

/// The vocabulary's file of a model with one for both languages.
const JOINT: &str = "tokenizer.json";
const SOURCE: &str = "tokenizer.source.json";
const TARGET: &str = "tokenizer.target.json";

impl Vocabularies {
    /// Learns the vocabularies from the training pairs.
    ///
    /// # Errors
    /// [`UsageError`] for different units in a joint vocabulary; a vocabulary too small for its units.
    pub fn train(pairs: &[Pair], config: &VocabularyConfig) -> Result<Self> {
        let lines =
            |of: fn(&Pair) -> &str| -> String { pairs.iter().flat_map(|pair| [of(pair), "\n"]).collect() };
        let (sources, targets) = (lines(|pair| &pair.source), lines(|pair| &pair.target));
        if !config.joint {
            let source = Tokenizer::train(config.source_units, &sources, config.size)?;
            return Self::new(source, Some(Tokenizer::train(config.target_units, &targets, config.size)?));
        }
        if config.source_units != config.target_units {
            return Err(UsageError::new(format!(
                "one vocabulary for both languages needs the same units, not {} and {}: make them equal, or \
                 do not join",
                config.source_units, config.target_units
            ))
            .into());
        }
        Self::new(Tokenizer::train(config.source_units, &(sources + &targets), config.size)?, None)
    }

    /// Without a target, the source's serves both.
    fn new(source: Tokenizer, target: Option<Tokenizer>) -> Result<Self> {
        let joint = target.is_none();
        let target = target.unwrap_or_else(|| source.clone());
        let end = |tokenizer: &Tokenizer| -> Result<u32> {
            match tokenizer.encode("\n").ok().as_deref() {
                Some(&[end]) => Ok(end),
                _ => anyhow::bail!("the vocabulary has no line break, which ends a sentence"),
            }
        };
        let (source_end, target_end) = (end(&source)?, end(&target)?);
        Ok(Self { source, target, joint, source_end, target_end })
    }

    /// The names of the files that [`save`](Self::save) writes.
    pub fn files(joint: bool) -> &'static [&'static str] {
        if joint { &[JOINT] } else { &[SOURCE, TARGET] }
    }

    /// Reads what [`save`](Self::save) wrote.
    ///
    /// # Errors
    /// A file that is missing or damaged, by name.
    pub fn load(folder: &Path, joint: bool) -> Result<Self> {
        let load = |name: &str| Tokenizer::load(&folder.join(name));
        let (source, target) = match joint {
            true => (load(JOINT)?, None),
            false => (load(SOURCE)?, Some(load(TARGET)?)),
        };
        Self::new(source, target)
            .with_context(|| format!("the vocabulary in {} is damaged", folder.display()))
    }

    /// Writes the vocabularies into a folder.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn save(&self, folder: &Path) -> Result<()> {
        let save = |tokenizer: &Tokenizer, name: &str| tokenizer.save(&PathBuf::from(folder).join(name));
        match self.joint {
            true => save(&self.source, JOINT)?,
            false => {
                save(&self.source, SOURCE)?;
                save(&self.target, TARGET)?;
            }
        }
        Ok(())
    }

    /// The source's.
    pub fn source(&self) -> &Tokenizer {
        &self.source
    }

    /// The target's.
    pub fn target(&self) -> &Tokenizer {
        &self.target
    }

    /// Whether they are one.
    pub fn joint(&self) -> bool {
        self.joint
    }

    /// The symbol that begins and ends a target.
    pub fn end(&self) -> u32 {
        self.target_end
    }

    /// Whether the other has the same symbols with the same numbers.
    pub fn same_as(&self, other: &Self) -> bool {
        self.source.same_as(&other.source) && self.target.same_as(&other.target)
    }

    /// The symbols of a source, its end among them. Line breaks within are blanks.
    ///
    /// # Errors
    /// What the tokenizer reports.
    pub fn encode_source(&self, sentence: &str) -> Result<Encoded> {
        let mut encoded = encode(&self.source, sentence)?;
        encoded.symbols.push(self.source_end);
        encoded.places.push(sentence.len()..sentence.len());
        Ok(encoded)
    }

    /// The symbols of a target, without its end. Line breaks within are blanks.
    ///
    /// # Errors
    /// What the tokenizer reports.
    pub fn encode_target(&self, sentence: &str) -> Result<Encoded> {
        encode(&self.target, sentence)
    }

    /// A pair as symbols, both sides with their ends.
    ///
    /// # Errors
    /// What the tokenizers report.
    pub fn example(&self, pair: &Pair) -> Result<Example> {
        let source = self.encode_source(&pair.source)?.symbols;
        let mut target = self.encode_target(&pair.target)?.symbols;
        target.push(self.target_end);
        Ok(Example { source, target })
    }

    /// The text of a target.
    pub fn decode_target(&self, symbols: &[u32]) -> String {
        self.target.decode(symbols).trim().to_owned()
    }
}

fn encode(tokenizer: &Tokenizer, sentence: &str) -> Result<Encoded> {
    let line = sentence.replace(['\n', '\r'], " ");
    let unknown = line.chars().filter(|&character| !tokenizer.knows(character)).collect();
    let (symbols, places) = tokenizer.pieces(&line)?.into_iter().unzip();
    Ok(Encoded { symbols, places, unknown })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs() -> Vec<Pair> {
        let pair = |source: &str, target: &str| Pair { source: source.into(), target: target.into() };
        vec![pair("ein Hund läuft .", "a dog runs ."), pair("ein Hund schläft .", "a dog sleeps .")]
    }

    #[test]
    fn a_sentence_comes_back_from_its_symbols_whatever_the_units() -> Result<()> {
        for units in [Units::Bpe, Units::Char, Units::Byte, Units::Word] {
            for joint in [true, false] {
                let config = VocabularyConfig { source_units: units, target_units: units, size: 300, joint };
                let vocabularies = Vocabularies::train(&pairs(), &config)?;
                let encoded = vocabularies.encode_target("a dog runs.")?;
                assert_eq!(vocabularies.decode_target(&encoded.symbols), "a dog runs.", "{units}");
                assert!(!encoded.symbols.contains(&vocabularies.end()));
                let source = vocabularies.encode_source("ein Hund\nläuft")?;
                assert_eq!(source.symbols.iter().filter(|&&s| s == vocabularies.source_end).count(), 1);
                assert_eq!(source.symbols.len(), source.places.len());
                let folder = tempfile::tempdir()?;
                vocabularies.save(folder.path())?;
                let loaded = Vocabularies::load(folder.path(), joint)?;
                assert!(loaded.same_as(&vocabularies));
                for file in Vocabularies::files(joint) {
                    assert!(folder.path().join(file).exists());
                }
            }
        }
        Ok(())
    }

    #[test]
    fn places_point_into_the_sentence() -> Result<()> {
        let config = VocabularyConfig { source_units: Units::Word, ..VocabularyConfig::default() };
        let vocabularies = Vocabularies::train(&pairs(), &VocabularyConfig { joint: false, ..config })?;
        let sentence = "ein grüner Hund läuft";
        let encoded = vocabularies.encode_source(sentence)?;
        let words: Vec<&str> = encoded.places.iter().map(|place| &sentence[place.clone()]).collect();
        assert_eq!(words, ["ein", "grüner", "Hund", "läuft", ""]);
        Ok(())
    }

    #[test]
    fn unknown_characters_are_left_out_and_told() -> Result<()> {
        let units = Units::Char;
        let config = VocabularyConfig { source_units: units, target_units: units, size: 0, joint: false };
        let encoded = Vocabularies::train(&pairs(), &config)?.encode_source("ein 犬 Hund")?;
        assert_eq!((encoded.unknown, encoded.symbols.len()), (vec!['犬'], 10));
        Ok(())
    }

    #[test]
    fn different_units_cannot_be_joined() {
        let config = VocabularyConfig { target_units: Units::Char, ..VocabularyConfig::default() };
        let error = Vocabularies::train(&pairs(), &config).unwrap_err().to_string();
        assert!(error.contains("bpe and char"), "{error}");
    }
}
