//! Text to symbols and back.

mod byte_pairs;
mod file;
mod words;

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use crate::{Corpus, Error, Units};

pub use words::UNKNOWN_WORD;

/// How many lines are handed to the `tokenizers` library at once.
const LINES_AT_ONCE: usize = 4096;

/// A fixed vocabulary of symbols numbered from 0, and how a text is cut into them.
///
/// | units | vocabulary | `decode(encode(x)) == x` |
/// |---|---|---|
/// | `char` | the characters of the training text, sorted | yes, if all are known |
/// | `byte` | 256 bytes | yes |
/// | `bpe` | 256 bytes and the learnt pairs | yes |
/// | `word` | `<unk>`, then the most frequent words and marks | words and line breaks only |
///
/// Units `bpe` and `word` are cut line by line, so the encoding of two lines is the encodings of
/// the lines in a row.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    vocabulary: Vocabulary,
}

#[derive(Clone, Debug)]
enum Vocabulary {
    Char {
        symbols: Vec<char>,
        ids: HashMap<char, u32>,
    },
    Byte,
    Bpe {
        library: Box<tokenizers::Tokenizer>,
        /// The bytes of each token.
        tokens: Vec<Vec<u8>>,
    },
    Word {
        library: Box<tokenizers::Tokenizer>,
        tokens: Vec<String>,
    },
}

impl Tokenizer {
    /// Learns a vocabulary from `text`.
    ///
    /// `vocab_size` is the largest number of symbols, for `bpe` and `word`; a text with less
    /// variety gives fewer. Units `char` and `byte` disregard it. The same text gives the same
    /// vocabulary each time.
    ///
    /// # Errors
    /// [`Error::Empty`] for an empty text (except `byte`), [`Error::VocabularyTooSmall`] for
    /// `bpe` below 256 and `word` below 2.
    pub fn train(units: Units, text: &str, vocab_size: usize) -> Result<Self, Error> {
        let least = match units {
            Units::Char | Units::Byte => 0,
            Units::Bpe => 256,
            Units::Word => 2,
        };
        if vocab_size < least {
            return Err(Error::VocabularyTooSmall { units, size: vocab_size, least });
        }
        if text.is_empty() && units != Units::Byte {
            return Err(Error::Empty("the training text".to_owned()));
        }
        let vocabulary = match units {
            Units::Char => {
                let symbols: BTreeSet<char> = text.chars().collect();
                Vocabulary::of_chars(symbols.into_iter().collect())
            }
            Units::Byte => Vocabulary::Byte,
            Units::Bpe => Vocabulary::of_byte_pairs(byte_pairs::train(text, vocab_size)?)?,
            Units::Word => Vocabulary::of_words(words::train(text, vocab_size)?)?,
        };
        Ok(Tokenizer { vocabulary })
    }

    /// [`train`](Self::train) on a corpus, which for the units `byte` need not be text.
    ///
    /// # Errors
    /// Those of [`train`](Self::train) and [`Corpus::text`].
    pub fn train_on(units: Units, corpus: &Corpus, vocab_size: usize) -> Result<Self, Error> {
        match units {
            Units::Byte => Self::train(units, "", vocab_size),
            _ => Self::train(units, corpus.text()?, vocab_size),
        }
    }

    /// Whether the other has the same symbols with the same numbers.
    pub fn same_as(&self, other: &Tokenizer) -> bool {
        self.vocab_size() == other.vocab_size()
            && self.units() == other.units()
            && (0..self.vocab_size() as u32).all(|id| self.token(id) == other.token(id))
    }

    /// The units this tokenizer cuts text into.
    pub fn units(&self) -> Units {
        match self.vocabulary {
            Vocabulary::Char { .. } => Units::Char,
            Vocabulary::Byte => Units::Byte,
            Vocabulary::Bpe { .. } => Units::Bpe,
            Vocabulary::Word { .. } => Units::Word,
        }
    }

    /// How many symbols there are; they are numbered `0..vocab_size`.
    pub fn vocab_size(&self) -> usize {
        match &self.vocabulary {
            Vocabulary::Char { symbols, .. } => symbols.len(),
            Vocabulary::Byte => 256,
            Vocabulary::Bpe { tokens, .. } => tokens.len(),
            Vocabulary::Word { tokens, .. } => tokens.len(),
        }
    }

    /// The symbol as text: bytes that are not whole characters as `\xE0\xA4`, a number outside
    /// the vocabulary as U+FFFD.
    pub fn token(&self, id: u32) -> String {
        let mut bytes = Vec::new();
        self.append_bytes(id, &mut bytes);
        match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => (error.as_bytes().iter()).map(|byte| format!("\\x{byte:02X}")).collect(),
        }
    }

    /// The number of [`UNKNOWN_WORD`], for the units `word`; the others have no such symbol.
    pub fn unknown(&self) -> Option<u32> {
        matches!(self.vocabulary, Vocabulary::Word { .. }).then_some(0)
    }

    /// Whether [`encode`](Self::encode) takes a text with this character. Only units `char` know
    /// some characters and not others.
    pub fn knows(&self, character: char) -> bool {
        match &self.vocabulary {
            Vocabulary::Char { ids, .. } => ids.contains_key(&character),
            _ => true,
        }
    }

    /// Cuts `text` into symbols.
    ///
    /// # Errors
    /// [`Error::UnknownSymbol`] for the units `char`, with the first unknown character and how
    /// many characters precede it. Unknown words become [`UNKNOWN_WORD`].
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, Error> {
        match &self.vocabulary {
            Vocabulary::Char { ids, .. } => (text.chars().enumerate())
                .map(|(position, symbol)| {
                    (ids.get(&symbol).copied()).ok_or(Error::UnknownSymbol { symbol, position })
                })
                .collect(),
            Vocabulary::Byte => Ok(text.bytes().map(u32::from).collect()),
            Vocabulary::Bpe { library, .. } | Vocabulary::Word { library, .. } => {
                let mut ids = Vec::new();
                let mut lines = text.split_inclusive('\n').peekable();
                while lines.peek().is_some() {
                    let some: Vec<&str> = lines.by_ref().take(LINES_AT_ONCE).collect();
                    let encodings = (library.encode_batch_fast(some, false)).map_err(library_error)?;
                    for encoding in encodings {
                        ids.extend_from_slice(encoding.get_ids());
                    }
                }
                Ok(ids)
            }
        }
    }

    /// The symbols of `text`, each with the bytes of `text` that it stands for, in order.
    ///
    /// What no symbol stands for is in no range: blanks between words, and, for the units `char`,
    /// characters outside the vocabulary, which [`encode`](Self::encode) would refuse. For the
    /// units `byte` and `bpe` a range may begin or end within a character.
    ///
    /// ```
    /// # use rnn_text::{Tokenizer, Units};
    /// # fn main() -> Result<(), rnn_text::Error> {
    /// let tokenizer = Tokenizer::train(Units::Word, "a dog", 100)?;
    /// let pieces = tokenizer.pieces("a  quagga")?;
    /// assert_eq!(pieces[1], (tokenizer.unknown().unwrap(), 3..9));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// The `tokenizers` library refuses.
    pub fn pieces(&self, text: &str) -> Result<Vec<(u32, Range<usize>)>, Error> {
        match &self.vocabulary {
            Vocabulary::Char { ids, .. } => Ok((text.char_indices())
                .filter_map(|(at, symbol)| Some((*ids.get(&symbol)?, at..at + symbol.len_utf8())))
                .collect()),
            Vocabulary::Byte => {
                Ok(text.bytes().enumerate().map(|(at, byte)| (byte.into(), at..at + 1)).collect())
            }
            // Nothing is lost between byte pairs, so their own lengths add up.
            Vocabulary::Bpe { tokens, .. } => {
                let mut start = 0;
                let ranges = self.encode(text)?.into_iter().map(|id| {
                    let end = start + tokens[id as usize].len();
                    (id, std::mem::replace(&mut start, end)..end)
                });
                Ok(ranges.collect())
            }
            Vocabulary::Word { library, .. } => {
                let mut pieces = Vec::new();
                let mut start = 0;
                for line in text.split_inclusive('\n') {
                    let encoding = library.encode(line, false).map_err(library_error)?;
                    let ranges = encoding.get_offsets().iter().map(|&(from, to)| start + from..start + to);
                    pieces.extend(encoding.get_ids().iter().copied().zip(ranges));
                    start += line.len();
                }
                Ok(pieces)
            }
        }
    }

    /// Cuts a corpus into symbols; for the units `byte` it need not be text.
    ///
    /// # Errors
    /// Those of [`encode`](Self::encode) and [`Corpus::text`].
    pub fn encode_corpus(&self, corpus: &Corpus) -> Result<Vec<u32>, Error> {
        match self.vocabulary {
            Vocabulary::Byte => Ok(corpus.bytes().iter().copied().map(u32::from).collect()),
            _ => self.encode(corpus.text()?),
        }
    }

    /// The text of a sequence of symbols. Bytes that are no UTF-8 and numbers outside the
    /// vocabulary become U+FFFD. Words are joined by single blanks, except around line breaks
    /// and where a punctuation mark clings to its neighbour.
    pub fn decode(&self, ids: &[u32]) -> String {
        let mut bytes = Vec::new();
        let mut previous = None;
        for &id in ids {
            bytes.extend_from_slice(self.separator(previous, id).as_bytes());
            self.append_bytes(id, &mut bytes);
            previous = Some(id);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Appends the bytes of one symbol.
    pub(crate) fn append_bytes(&self, id: u32, bytes: &mut Vec<u8>) {
        let index = id as usize;
        let known = match &self.vocabulary {
            Vocabulary::Char { symbols, .. } => (symbols.get(index))
                .map(|symbol| bytes.extend_from_slice(symbol.encode_utf8(&mut [0; 4]).as_bytes())),
            Vocabulary::Byte => u8::try_from(id).ok().map(|byte| bytes.push(byte)),
            Vocabulary::Bpe { tokens, .. } => (tokens.get(index)).map(|token| bytes.extend(token)),
            Vocabulary::Word { tokens, .. } => {
                (tokens.get(index)).map(|token| bytes.extend_from_slice(token.as_bytes()))
            }
        };
        if known.is_none() {
            bytes.extend_from_slice("\u{fffd}".as_bytes());
        }
    }

    /// The text of tokens, some of which may be none of the vocabulary's, put together as
    /// [`decode`](Self::decode) does.
    pub fn join(&self, tokens: &[String]) -> String {
        if self.units() != Units::Word {
            return tokens.concat();
        }
        let mut text = String::new();
        let mut previous: Option<&str> = None;
        for token in tokens {
            text += previous.map_or("", |previous| words::separator(previous, token));
            text += token;
            previous = Some(token);
        }
        text
    }

    /// What stands between two symbols: a blank between most words, else nothing.
    pub(crate) fn separator(&self, previous: Option<u32>, next: u32) -> &'static str {
        let (Vocabulary::Word { tokens, .. }, Some(previous)) = (&self.vocabulary, previous) else {
            return "";
        };
        let text = |id: u32| tokens.get(id as usize).map_or("\u{fffd}", String::as_str);
        words::separator(text(previous), text(next))
    }
}

impl Vocabulary {
    fn of_chars(symbols: Vec<char>) -> Self {
        let ids = symbols.iter().copied().zip(0..).collect();
        Vocabulary::Char { symbols, ids }
    }

    fn of_byte_pairs(library: tokenizers::Tokenizer) -> Result<Self, Error> {
        let tokens = byte_pairs::bytes_of_tokens(&library)?;
        Ok(Vocabulary::Bpe { library: Box::new(library), tokens })
    }

    fn of_words(library: tokenizers::Tokenizer) -> Result<Self, Error> {
        let tokens = names(&library)?;
        if tokens.first().map(String::as_str) != Some(UNKNOWN_WORD) {
            return Err(Error::Library(format!("its token 0 is not {UNKNOWN_WORD}")));
        }
        Ok(Vocabulary::Word { library: Box::new(library), tokens })
    }
}

/// The tokens' names by number.
fn names(library: &tokenizers::Tokenizer) -> Result<Vec<String>, Error> {
    (0..library.get_vocab_size(true) as u32)
        .map(|id| (library.id_to_token(id)).ok_or_else(|| Error::Library(format!("no token {id}"))))
        .collect()
}

fn library_error(error: tokenizers::Error) -> Error {
    Error::Library(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::LazyLock;

    use proptest::prelude::*;

    pub(super) const TEXT: &str = "The cat, the dog and the bird:\nthey don't know <unk> words.\n\n\
                        नमस्कार, the well-known greeting — the end…\n";

    pub(super) fn trained(units: Units) -> Tokenizer {
        Tokenizer::train(units, TEXT, 280).unwrap()
    }

    #[test]
    fn an_unknown_character_is_named_with_its_position_in_characters() {
        let tokenizer = Tokenizer::train(Units::Char, "abcन", 0).unwrap();
        let error = tokenizer.encode("नaé").unwrap_err();
        assert!(matches!(error, Error::UnknownSymbol { symbol: 'é', position: 2 }));
        assert!(error.to_string().contains("U+00E9"), "{error}");
    }

    #[test]
    fn word_keeps_line_breaks_and_unknown_words_and_the_most_frequent() {
        let tokenizer = Tokenizer::train(Units::Word, "b a b\nc <unk> b a", 3).unwrap();
        assert_eq!(tokenizer.vocab_size(), 3);
        let tokens: Vec<String> = (0..3).map(|id| tokenizer.token(id)).collect();
        assert_eq!(tokens, ["<unk>", "b", "a"]);
        assert_eq!(tokenizer.encode("a zebra <unk> b").unwrap(), [2, 0, 0, 1]);

        let tokenizer = trained(Units::Word);
        let ids = tokenizer.encode("the dog\n\nThe").unwrap();
        assert_eq!(ids.len(), 5);
        assert_eq!(tokenizer.decode(&ids), "the dog\n\nThe");
        assert_eq!(tokenizer.encode("don't").unwrap().len(), 1);
        assert_eq!(tokenizer.encode("नमस्कार").unwrap().len(), 1);
    }

    #[test]
    fn byte_pairs_shorten_the_text_they_were_learnt_from_the_same_way_each_time() {
        let tokenizer = trained(Units::Bpe);
        assert!(tokenizer.vocab_size() > 256 && tokenizer.vocab_size() <= 280);
        let ids = tokenizer.encode(TEXT).unwrap();
        assert!(ids.len() < TEXT.len());
        assert_eq!(trained(Units::Bpe).encode(TEXT).unwrap(), ids);
        let vocabulary: BTreeSet<String> = (0..256).map(|id| tokenizer.token(id)).collect();
        assert_eq!(vocabulary.len(), 256, "every byte has its own token");
    }

    #[test]
    fn many_lines_are_cut_as_each_line_alone() {
        let text = "the cat\n".repeat(LINES_AT_ONCE + 3) + "the end";
        for units in [Units::Bpe, Units::Word] {
            let tokenizer = trained(units);
            let mut ids = tokenizer.encode("the cat\n").unwrap().repeat(LINES_AT_ONCE + 3);
            ids.extend(tokenizer.encode("the end").unwrap());
            assert_eq!(tokenizer.encode(&text).unwrap(), ids);
        }
    }

    #[test]
    fn a_corpus_that_is_not_text_can_be_cut_into_bytes_only() {
        let corpus = Corpus::new("data", vec![0xff, 0x00, 0x41]);
        let tokenizer = Tokenizer::train_on(Units::Byte, &corpus, 0).unwrap();
        assert_eq!(tokenizer.encode_corpus(&corpus).unwrap(), [0xff, 0x00, 0x41]);
        assert_eq!(tokenizer.token(0xff), "\\xFF");
        for units in [Units::Char, Units::Bpe, Units::Word] {
            let error = Tokenizer::train_on(units, &corpus, 300).unwrap_err();
            assert!(matches!(error, Error::NotUtf8 { offset: 0, .. }));
        }
    }

    #[test]
    fn an_empty_text_or_a_tiny_vocabulary_is_an_error() {
        for units in [Units::Char, Units::Bpe, Units::Word] {
            assert!(matches!(Tokenizer::train(units, "", 300), Err(Error::Empty(_))));
        }
        for (units, size) in [(Units::Bpe, 255), (Units::Word, 1)] {
            let error = Tokenizer::train(units, TEXT, size).unwrap_err();
            assert!(matches!(error, Error::VocabularyTooSmall { .. }));
        }
    }

    #[test]
    fn a_piece_of_text_is_known_for_every_symbol() {
        let text = "the  zebra and\nनमस् the cat";
        for units in [Units::Byte, Units::Bpe, Units::Char, Units::Word] {
            let tokenizer = trained(units);
            for (id, range) in tokenizer.pieces(text).unwrap() {
                let piece = &text.as_bytes()[range];
                let mut bytes = Vec::new();
                tokenizer.append_bytes(id, &mut bytes);
                assert!(piece == bytes || piece == b"zebra" || piece == "नमस्".as_bytes(), "{id}");
            }
        }
        let words = trained(Units::Word).pieces(text).unwrap();
        let words: Vec<&str> = words.into_iter().map(|(_, range)| &text[range]).collect();
        assert_eq!(words, ["the", "zebra", "and", "\n", "नमस्", "the", "cat"]);
    }

    #[test]
    fn characters_outside_the_vocabulary_are_in_no_piece() {
        let tokenizer = Tokenizer::train(Units::Char, "abcन", 0).unwrap();
        assert!(tokenizer.knows('न') && !tokenizer.knows('é') && trained(Units::Word).knows('é'));
        let pieces = tokenizer.pieces("éaxनb").unwrap();
        assert_eq!(pieces, [(0, 2..3), (3, 4..7), (1, 7..8)]);
    }

    #[test]
    fn only_words_have_a_symbol_for_the_unknown() {
        let unknown = Units::ALL.map(|units| trained(units).unknown());
        assert_eq!(unknown, [None, None, None, Some(0)]);
        assert_eq!(trained(Units::Word).token(0), UNKNOWN_WORD);
    }

    #[test]
    fn a_number_outside_the_vocabulary_decodes_to_the_replacement_character() {
        for units in Units::ALL {
            assert_eq!(trained(units).decode(&[1_000_000]), "\u{fffd}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn decoding_what_was_encoded_gives_the_text_back(text in "(\\PC|[ \\n\\t\\r\\x00]){0,60}") {
            static BYTE_PAIRS: LazyLock<Tokenizer> = LazyLock::new(|| trained(Units::Bpe));
            let characters = Tokenizer::train(Units::Char, &format!("a{text}"), 0).unwrap();
            for tokenizer in [&characters, &trained(Units::Byte), &*BYTE_PAIRS] {
                let ids = tokenizer.encode(&text).unwrap();
                prop_assert_eq!(tokenizer.decode(&ids), text.as_str());
                let (symbols, ranges): (Vec<u32>, Vec<_>) = tokenizer.pieces(&text).unwrap().into_iter().unzip();
                prop_assert_eq!(symbols, ids);
                let covered: Vec<usize> = ranges.into_iter().flatten().collect();
                prop_assert_eq!(covered, (0..text.len()).collect::<Vec<_>>());
            }
        }
    }
}
