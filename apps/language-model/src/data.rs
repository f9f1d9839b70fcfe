//! From a text to two streams of symbols: one to learn from, one held out.

use std::path::PathBuf;

use anyhow::{Context, Result};
use app_kit::UsageError;
use rnn_text::{Corpus, Tokenizer, Units};
use serde::{Deserialize, Serialize};

/// How a text becomes symbols.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataConfig {
    /// File or folder of the text; `-` is the standard input. Set by `--data`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// CRC-32C of the text, by which a resumed run knows it again. Set when the run starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crc32c: Option<u32>,
    /// A vocabulary that exists already, in place of one learnt from the text. Set by `--tokenizer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<PathBuf>,
    /// The unit the text is cut into.
    pub units: Units,
    /// Size of the vocabulary, for the units `bpe` and `word`.
    pub vocab_size: usize,
    /// Part of the text, at its end, that is held out for validation.
    pub validation: f64,
}

impl Default for DataConfig {
    /// Characters; the last tenth is held out.
    fn default() -> Self {
        Self {
            source: None,
            crc32c: None,
            tokenizer: None,
            units: Units::Char,
            vocab_size: 8000,
            validation: 0.1,
        }
    }
}

/// A text cut into symbols.
#[derive(Clone, Debug)]
pub struct Data {
    /// The vocabulary.
    pub tokenizer: Tokenizer,
    /// The symbols to learn from.
    pub train: Vec<u32>,
    /// The symbols held out.
    pub validation: Held,
}

/// A stream of symbols to evaluate on, and how much text it is.
#[derive(Clone, Debug)]
pub struct Held {
    /// The symbols.
    pub symbols: Vec<u32>,
    /// Characters of the text they came from (bytes, where it is no text).
    pub characters: usize,
}

impl Held {
    /// Cuts a whole corpus into symbols.
    ///
    /// # Errors
    /// A text with symbols outside the vocabulary, or of fewer than two symbols.
    pub fn new(corpus: &Corpus, tokenizer: &Tokenizer) -> Result<Self> {
        let characters = corpus.text().map_or(corpus.bytes().len(), |text| text.chars().count());
        let symbols = tokenizer.encode_corpus(corpus)?;
        if symbols.len() < 2 {
            anyhow::bail!("the text to evaluate on has {} symbols; at least 2 are needed", symbols.len());
        }
        Ok(Self { symbols, characters })
    }
}

impl Data {
    /// Splits the text by characters, before anything is learnt from it, and cuts both parts into
    /// symbols. Byte pairs and words are learnt from the training part; the vocabulary of the units
    /// `char` is that of the whole text, since it could not write an unknown character at all.
    ///
    /// # Errors
    /// Text that is not UTF-8 (except for `byte`), a vocabulary too small for its units, or a part
    /// with too few symbols.
    pub fn new(corpus: &Corpus, config: &DataConfig) -> Result<Self> {
        let (train, held) = split(corpus, config)?;
        let tokenizer = match &config.tokenizer {
            Some(path) => Tokenizer::load(path)?,
            None => {
                let learn_from = if config.units == Units::Char { corpus } else { &train };
                Tokenizer::train_on(config.units, learn_from, config.vocab_size)?
            }
        };
        let train = tokenizer.encode_corpus(&train)?;
        let validation = Held::new(&held, &tokenizer).context("the validation part is too short")?;
        Ok(Self { tokenizer, train, validation })
    }
}

/// The training part and the validation part: the last `validation` of the characters, or of the
/// bytes for the units `byte`.
///
/// # Errors
/// Text that is not UTF-8 (except for `byte`); a part outside 0 to 1.
pub fn split(corpus: &Corpus, config: &DataConfig) -> Result<(Corpus, Corpus)> {
    if !(config.validation > 0.0 && config.validation < 1.0) {
        return Err(UsageError::new(format!(
            "the validation part must lie between 0 and 1, not {}",
            config.validation
        ))
        .into());
    }
    let kept = |count: usize| (count as f64 * (1.0 - config.validation)) as usize;
    let at = match config.units {
        Units::Byte => kept(corpus.bytes().len()),
        _ => {
            let text = corpus.text()?;
            let characters = kept(text.chars().count());
            text.char_indices().nth(characters).map_or(text.len(), |(at, _)| at)
        }
    };
    let (train, held) = corpus.bytes().split_at(at);
    Ok((Corpus::new("the training part", train), Corpus::new("the validation part", held)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_tenth_of_the_characters_is_held_out() {
        let text = "नमस्कार namaskar नमस्";
        assert_eq!(text.chars().count(), 21);
        let (train, held) = split(&Corpus::new("text", text), &DataConfig::default()).unwrap();
        assert_eq!(train.text().unwrap().chars().count(), 18);
        assert_eq!(held.text().unwrap(), "मस्");
    }

    #[test]
    fn the_units_byte_take_what_is_no_text() {
        let corpus = Corpus::new("bytes", (0u8..=255).collect::<Vec<_>>());
        let config = DataConfig { units: Units::Byte, ..DataConfig::default() };
        let data = Data::new(&corpus, &config).unwrap();
        assert_eq!((data.train.len(), data.validation.symbols.len()), (230, 26));
        assert!(Data::new(&corpus, &DataConfig::default()).is_err());
    }
}
