//! Captions as symbols.

use std::path::Path;

use anyhow::{Context, Result};
use rnn_text::{Tokenizer, Units};
use serde::{Deserialize, Serialize};

/// The vocabulary's file.
pub const FILE: &str = "tokenizer.json";

/// How captions become symbols.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VocabularyConfig {
    /// The unit that captions are cut into. A word is a character where most letters are Chinese, Japanese or
    /// Korean, between which there are no spaces.
    pub units: Units,
    /// Size of the vocabulary, for the units `bpe` and `word`.
    pub size: usize,
}

impl Default for VocabularyConfig {
    /// At most 6,000 words.
    fn default() -> Self {
        Self { units: Units::Word, size: 6000 }
    }
}

/// Whether most letters of a text are Chinese, Japanese or Korean, which have no spaces between words.
pub fn is_without_spaces(text: &str) -> bool {
    const CJK: char = '\u{2e80}';
    let letters = text.chars().filter(|letter| letter.is_alphabetic());
    let (wide, all) =
        letters.fold((0, 0), |(wide, all), letter| (wide + usize::from(letter >= CJK), all + 1));
    2 * wide > all
}

/// The symbols of captions. A caption is a line: it ends with the line break, which is also what a decoder
/// begins with.
#[derive(Clone, Debug)]
pub struct Vocabulary {
    tokenizer: Tokenizer,
    end: u32,
}

impl Vocabulary {
    /// Learns the vocabulary from captions.
    ///
    /// # Errors
    /// A size too small for the units.
    pub fn train<'a>(captions: impl Iterator<Item = &'a str>, config: &VocabularyConfig) -> Result<Self> {
        let lines: String = captions.flat_map(|caption| [caption, "\n"]).collect();
        let units = match config.units {
            Units::Word if is_without_spaces(&lines) => Units::Char,
            units => units,
        };
        Self::new(Tokenizer::train(units, &lines, config.size)?)
    }

    fn new(tokenizer: Tokenizer) -> Result<Self> {
        match tokenizer.encode("\n").ok().as_deref() {
            Some(&[end]) => Ok(Self { tokenizer, end }),
            _ => anyhow::bail!("the vocabulary has no line break, which ends a caption"),
        }
    }

    /// Reads what [`save`](Self::save) wrote.
    ///
    /// # Errors
    /// A file that is missing or damaged, by name.
    pub fn load(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        Self::new(Tokenizer::load(&path)?).with_context(|| format!("{} is damaged", path.display()))
    }

    /// Writes the vocabulary into a folder.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn save(&self, folder: &Path) -> Result<()> {
        Ok(self.tokenizer.save(&folder.join(FILE))?)
    }

    /// What cuts captions and puts them together again.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The symbol that ends a caption, and before its first.
    pub fn end(&self) -> u32 {
        self.end
    }

    /// Symbols that there are.
    pub fn size(&self) -> usize {
        self.tokenizer.vocab_size()
    }

    /// The symbols of a caption and its end. Characters that the vocabulary does not have are left out.
    ///
    /// # Errors
    /// What the tokenizer reports.
    pub fn encode(&self, caption: &str) -> Result<Vec<u32>> {
        let known: String = match self.tokenizer.unknown() {
            Some(_) => caption.to_owned(),
            None => caption.chars().filter(|&character| self.tokenizer.knows(character)).collect(),
        };
        let mut symbols = self.tokenizer.encode(&known)?;
        symbols.push(self.end);
        Ok(symbols)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_language_without_spaces_are_its_characters() -> Result<()> {
        let train = |captions: [&'static str; 2]| {
            Vocabulary::train(captions.into_iter(), &VocabularyConfig::default())
        };
        let chinese = train(["一個紅色的圓形", "兩個三角形"])?;
        assert_eq!(chinese.tokenizer().units(), Units::Char);
        assert_eq!(chinese.encode("一個三角形")?.len(), 6);
        assert_eq!(train(["a red circle", "two triangles"])?.tokenizer().units(), Units::Word);
        Ok(())
    }
}
