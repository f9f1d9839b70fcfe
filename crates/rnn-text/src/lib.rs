//! Tokenizers and text corpora: from files to sequences of numbers, and back.
//!
//! ```
//! use rnn_text::{Tokenizer, Units};
//!
//! # fn main() -> Result<(), rnn_text::Error> {
//! let tokenizer = Tokenizer::train(Units::Char, "namaskar", 0)?;
//! assert_eq!(tokenizer.vocab_size(), 6); // a k m n r s
//! let ids = tokenizer.encode("mask")?;
//! assert_eq!(tokenizer.decode(&ids), "mask");
//! # Ok(()) }
//! ```
//!
//! | module | what is in it |
//! |---|---|
//! | [`units`] | [`Units`]: characters, bytes, byte pairs or words |
//! | [`tokenizer`] | [`Tokenizer`]: learnt from a text, kept in `tokenizer.json` |
//! | [`stream`] | [`Stream`]: symbols to text one at a time, never half a character |
//! | [`corpus`] | reading a file, a folder or the standard input |

pub mod corpus;
pub mod stream;
pub mod tokenizer;
pub mod units;

use std::path::PathBuf;

pub use corpus::{Corpus, Source};
pub use stream::Stream;
pub use tokenizer::{Tokenizer, UNKNOWN_WORD};
pub use units::Units;

/// What can go wrong between a file and a sequence of symbols.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A character outside the vocabulary of a character tokenizer.
    #[error(
        "the character {symbol:?} (U+{code:04X}) at position {position} is not in the \
         vocabulary: it does not occur in the training text", code = *symbol as u32
    )]
    UnknownSymbol {
        /// The character.
        symbol: char,
        /// How many characters precede it.
        position: usize,
    },
    /// A name that is no [`Units`].
    #[error("unknown units {0:?}: choose char, byte, bpe or word")]
    UnknownUnits(String),
    /// The text or the folder holds nothing.
    #[error("{0} is empty: there is nothing to read")]
    Empty(String),
    /// The folder has no text files.
    #[error("{} holds no text files", .0.display())]
    NoTextFiles(PathBuf),
    /// Bytes that are not UTF-8 where text is needed.
    #[error(
        "{name} is not UTF-8 text: invalid byte at offset {offset}; convert it to UTF-8, or use \
         the units `byte`"
    )]
    NotUtf8 {
        /// The file.
        name: String,
        /// How many bytes of that file precede the first invalid one.
        offset: usize,
    },
    /// The vocabulary asked for cannot hold what it must.
    #[error("a vocabulary of {size} is too small for the units `{units}`: at least {least}")]
    VocabularyTooSmall {
        /// The units.
        units: Units,
        /// What was asked for.
        size: usize,
        /// The smallest size that works.
        least: usize,
    },
    /// A tokenizer file that is damaged or of another program.
    #[error("{} is not a tokenizer of this workspace: {reason}", path.display())]
    BadFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Reading or writing failed.
    #[error("cannot {action} {name}: {source}")]
    Io {
        /// "read" or "write".
        action: &'static str,
        /// The file.
        name: String,
        /// The system's message.
        source: std::io::Error,
    },
    /// The `tokenizers` library refused; the text is its message.
    #[error("tokenizer: {0}")]
    Library(String),
}
