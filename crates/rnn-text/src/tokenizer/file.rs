//! `tokenizer.json`.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Tokenizer, Vocabulary, library_error};
use crate::Error;

/// What the file holds.
#[derive(Serialize, Deserialize)]
#[serde(tag = "units", rename_all = "lowercase")]
enum Document {
    Char { symbols: Vec<char> },
    Byte {},
    Bpe { tokenizer: serde_json::Value },
    Word { tokenizer: serde_json::Value },
}

impl Tokenizer {
    /// Reads what [`save`](Self::save) wrote.
    ///
    /// # Errors
    /// A missing or unreadable file; [`Error::BadFile`] if it is damaged or something else.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let bytes = fs::read(path).map_err(|source| Error::Io {
            action: "read",
            name: path.display().to_string(),
            source,
        })?;
        let bad = |reason: String| Error::BadFile { path: path.to_owned(), reason };
        let document = serde_json::from_slice(&bytes).map_err(|error| bad(error.to_string()))?;
        let vocabulary = match document {
            Document::Char { symbols } => {
                let count = symbols.len();
                let vocabulary = Vocabulary::of_chars(symbols);
                if !matches!(&vocabulary, Vocabulary::Char { ids, .. } if ids.len() == count && count > 0) {
                    return Err(bad("its list of symbols is empty or repeats one".to_owned()));
                }
                vocabulary
            }
            Document::Byte {} => Vocabulary::Byte,
            Document::Bpe { tokenizer } => from_json(&tokenizer)
                .and_then(Vocabulary::of_byte_pairs)
                .map_err(|error| bad(error.to_string()))?,
            Document::Word { tokenizer } => from_json(&tokenizer)
                .and_then(Vocabulary::of_words)
                .map_err(|error| bad(error.to_string()))?,
        };
        Ok(Tokenizer { vocabulary })
    }

    /// Writes the vocabulary to a JSON file: an object with the key `units` and, for `char`,
    /// `symbols`; for `bpe` and `word`, `tokenizer`, which is the `tokenizers` library's own
    /// format.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        let document = match &self.vocabulary {
            Vocabulary::Char { symbols, .. } => Document::Char { symbols: symbols.clone() },
            Vocabulary::Byte => Document::Byte {},
            Vocabulary::Bpe { library, .. } => Document::Bpe { tokenizer: to_json(library)? },
            Vocabulary::Word { library, .. } => Document::Word { tokenizer: to_json(library)? },
        };
        let json = serde_json::to_string(&document).map_err(|error| library_error(error.into()))?;
        fs::write(path, json + "\n").map_err(|source| Error::Io {
            action: "write",
            name: path.display().to_string(),
            source,
        })
    }
}

fn to_json(library: &tokenizers::Tokenizer) -> Result<serde_json::Value, Error> {
    serde_json::to_value(library).map_err(|error| library_error(error.into()))
}

fn from_json(value: &serde_json::Value) -> Result<tokenizers::Tokenizer, Error> {
    tokenizers::Tokenizer::from_bytes(value.to_string()).map_err(library_error)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{TEXT, trained};
    use super::*;
    use crate::Units;

    #[test]
    fn every_unit_is_the_same_after_saving_and_loading() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokenizer.json");
        for units in Units::ALL {
            let tokenizer = trained(units);
            tokenizer.save(&path).unwrap();
            let loaded = Tokenizer::load(&path).unwrap();
            assert_eq!(loaded.units(), units);
            assert_eq!(loaded.vocab_size(), tokenizer.vocab_size());
            let ids = tokenizer.encode(TEXT).unwrap();
            assert_eq!(loaded.encode(TEXT).unwrap(), ids);
            assert_eq!(loaded.decode(&ids), tokenizer.decode(&ids));
            assert!(ids.iter().all(|&id| (id as usize) < tokenizer.vocab_size()));
            let json: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            assert_eq!(json["units"], units.name());
        }
    }

    #[test]
    fn a_damaged_or_missing_file_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokenizer.json");
        let message = Tokenizer::load(&path).unwrap_err().to_string();
        assert!(message.starts_with("cannot read"), "{message}");
        for content in [
            "",
            "{",
            r#"{"units":"char","symbols":[]}"#,
            r#"{"units":"char","symbols":["a","a"]}"#,
            r#"{"units":"bpe","tokenizer":{}}"#,
            r#"{"units":"syllable"}"#,
        ] {
            fs::write(&path, content).unwrap();
            let error = Tokenizer::load(&path).unwrap_err();
            assert!(matches!(error, Error::BadFile { .. }), "{content}: {error}");
        }
        // A tokenizer of one kind under the name of another.
        trained(Units::Word).save(&path).unwrap();
        let renamed = fs::read_to_string(&path).unwrap().replace(r#""units":"word""#, r#""units":"bpe""#);
        fs::write(&path, renamed).unwrap();
        assert!(matches!(Tokenizer::load(&path), Err(Error::BadFile { .. })));
    }
}
