//! How words are pronounced, from a file.

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::alphabet::{Pronunciations, words};
use crate::corpus::TextConfig;

/// Reads a file with a word and its phonemes in each line, parted by blanks or a tab, as the CMU
/// Pronouncing Dictionary has them: `WORD(2)` is another pronunciation of the same word, a line that begins
/// with `;;;` or `#` says nothing. Words are written as the texts are.
///
/// # Errors
/// A file that cannot be read or is not UTF-8; a word without phonemes, by its line.
pub fn read(path: &Path, text: &TextConfig) -> Result<Pronunciations> {
    let content = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the pronunciations in {}", path.display()))?;
    let mut pronunciations = Pronunciations::new();
    for (number, line) in (1..).zip(content.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with(";;;") || line.starts_with('#') {
            continue;
        }
        let mut parts = words(line);
        let word = parts.next().unwrap_or_default();
        let phonemes: Vec<String> = parts.map(String::from).collect();
        if phonemes.is_empty() {
            bail!("line {number} of {}: the word {word:?} has no phonemes", path.display());
        }
        let word = word.split_once('(').map_or(word, |(word, _)| word);
        let spoken = pronunciations.entry(text.apply(word)).or_default();
        if !spoken.contains(&phonemes) {
            spoken.push(phonemes);
        }
    }
    if pronunciations.is_empty() {
        bail!("there is not one pronunciation in {}", path.display());
    }
    Ok(pronunciations)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_have_their_pronunciations_and_a_word_without_phonemes_is_told_by_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("words.txt");
        std::fs::write(&path, ";;; digits\nTWO\tT UW\nSEVEN  S EH V AH N\nSEVEN(2)  S EH V N\n").unwrap();
        let found = read(&path, &TextConfig::default()).unwrap();
        assert_eq!(found["two"], [["T", "UW"]]);
        assert_eq!(found["seven"].len(), 2);
        std::fs::write(&path, "TWO T UW\nFIVE\n").unwrap();
        assert!(read(&path, &TextConfig::default()).unwrap_err().to_string().contains("line 2"));
        std::fs::write(&path, "\n").unwrap();
        assert!(read(&path, &TextConfig::default()).is_err());
    }
}
