//! Text to symbols and back.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::ops::Range;
use std::path::Path;

use serde::{Deserialize, Serialize};
use tokenizers::decoders::byte_level::ByteLevel as ByteLevelDecoder;
use tokenizers::models::TrainerWrapper;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::models::wordlevel::WordLevel;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer, SplitDelimiterBehavior};

use crate::{Corpus, Error, Units};

/// The token that stands for every word outside the vocabulary; its number is 0.
pub const UNKNOWN_WORD: &str = "<unk>";

/// A word (with apostrophes and hyphens inside), a punctuation mark, or a line break.
const WORD_PATTERN: &str = r"<unk>|\n|\w+(?:['’\-]\w+)*|[^\w\s]";

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

/// What `tokenizer.json` holds.
#[derive(Serialize, Deserialize)]
#[serde(tag = "units", rename_all = "lowercase")]
enum Document {
    Char { symbols: Vec<char> },
    Byte {},
    Bpe { tokenizer: serde_json::Value },
    Word { tokenizer: serde_json::Value },
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
            Units::Bpe => Vocabulary::of_byte_pairs(train_byte_pairs(text, vocab_size)?)?,
            Units::Word => Vocabulary::of_words(train_words(text, vocab_size)?)?,
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

    /// Cuts one line into symbols, each with the bytes of the line that it stands for. Byte pairs within a
    /// character all stand for the whole character.
    ///
    /// # Errors
    /// Those of [`encode`](Self::encode).
    pub fn pieces(&self, line: &str) -> Result<Vec<(u32, Range<usize>)>, Error> {
        match &self.vocabulary {
            Vocabulary::Char { .. } => {
                let starts = line.char_indices().map(|(at, symbol)| at..at + symbol.len_utf8());
                Ok(self.encode(line)?.into_iter().zip(starts).collect())
            }
            Vocabulary::Byte => {
                Ok(line.bytes().enumerate().map(|(at, byte)| (byte.into(), at..at + 1)).collect())
            }
            Vocabulary::Bpe { library, .. } | Vocabulary::Word { library, .. } => {
                let encoding = library.encode(line, false).map_err(library_error)?;
                let places = encoding.get_offsets().iter().map(|&(start, end)| start..end);
                Ok(encoding.get_ids().iter().copied().zip(places).collect())
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
        let mut previous = None;
        for token in tokens {
            text += between(previous, token);
            text += token;
            previous = Some(token.as_str());
        }
        text
    }

    /// What stands between two symbols: a blank between most words, else nothing.
    pub(crate) fn separator(&self, previous: Option<u32>, next: u32) -> &'static str {
        let Vocabulary::Word { tokens, .. } = &self.vocabulary else { return "" };
        let token = |id: u32| tokens.get(id as usize).map_or("", String::as_str);
        between(previous.map(token), token(next))
    }
}

/// What stands between two words or marks.
fn between(previous: Option<&str>, next: &str) -> &'static str {
    const CLOSING: &str = "\n.,;:!?)]}%’”…";
    const OPENING: &str = "\n([{‘“";
    let is_one_of = |token: &str, marks: &str| !token.is_empty() && marks.contains(token);
    match previous {
        Some(previous) if !is_one_of(previous, OPENING) && !is_one_of(next, CLOSING) => " ",
        _ => "",
    }
}

impl Vocabulary {
    fn of_chars(symbols: Vec<char>) -> Self {
        let ids = symbols.iter().copied().zip(0..).collect();
        Vocabulary::Char { symbols, ids }
    }

    fn of_byte_pairs(library: tokenizers::Tokenizer) -> Result<Self, Error> {
        let byte_of: HashMap<char, u8> = (0..=255u8).map(|byte| (letter_of(byte), byte)).collect();
        let tokens = names(&library)?
            .into_iter()
            .map(|name| {
                let bytes: Option<Vec<u8>> = name.chars().map(|c| byte_of.get(&c).copied()).collect();
                bytes.ok_or_else(|| Error::Library(format!("{name:?} is no byte-level token")))
            })
            .collect::<Result<_, _>>()?;
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

/// GPT-2's printable letter for a byte: itself if it is a visible Latin-1 character, otherwise
/// the next free one from U+0100 on. (`bytes_to_unicode` in GPT-2's `encoder.py`.)
fn letter_of(byte: u8) -> char {
    let visible = |byte: u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    if visible(byte) {
        char::from(byte)
    } else {
        let before = (0..byte).filter(|&other| !visible(other)).count() as u32;
        // Below U+0100 + 256, where every number is a character.
        char::from_u32(0x100 + before).unwrap_or(char::REPLACEMENT_CHARACTER)
    }
}

fn train_byte_pairs(text: &str, vocab_size: usize) -> Result<tokenizers::Tokenizer, Error> {
    let mut library = tokenizers::Tokenizer::new(BPE::default());
    library
        .with_pre_tokenizer(Some(ByteLevel::new(false, false, true)))
        .with_decoder(Some(ByteLevelDecoder::new(false, false, true)));
    let mut trainer = TrainerWrapper::from(
        BpeTrainer::builder()
            .vocab_size(vocab_size)
            .min_frequency(2)
            .show_progress(false)
            .initial_alphabet((0..=255).map(letter_of).collect())
            .build(),
    );
    library.train(&mut trainer, text.split_inclusive('\n')).map_err(library_error)?;
    Ok(library)
}

fn train_words(text: &str, vocab_size: usize) -> Result<tokenizers::Tokenizer, Error> {
    let pattern = SplitPattern::Regex(WORD_PATTERN.to_owned());
    // Inverted and "removed": what matches is kept, what lies between (blanks) is dropped.
    let split = Split::new(pattern, SplitDelimiterBehavior::Removed, true).map_err(library_error)?;
    let mut counts: HashMap<String, usize> = HashMap::new();
    for line in text.split_inclusive('\n') {
        let mut pieces = PreTokenizedString::from(line);
        split.pre_tokenize(&mut pieces).map_err(library_error)?;
        for (word, ..) in pieces.get_splits(OffsetReferential::Original, OffsetType::Byte) {
            match counts.get_mut(word) {
                Some(count) => *count += 1,
                None => _ = counts.insert(word.to_owned(), 1),
            }
        }
    }
    counts.remove(UNKNOWN_WORD); // number 0, whether it occurs or not
    let mut words: Vec<(String, usize)> = counts.into_iter().collect();
    words.sort_by(|(a, n), (b, m)| m.cmp(n).then_with(|| a.cmp(b)));
    let vocabulary = std::iter::once(UNKNOWN_WORD.to_owned())
        .chain(words.into_iter().map(|(word, _)| word))
        .take(vocab_size)
        .zip(0..)
        .collect();
    let model = WordLevel::builder()
        .vocab(vocabulary)
        .unk_token(UNKNOWN_WORD.to_owned())
        .build()
        .map_err(library_error)?;
    let mut library = tokenizers::Tokenizer::new(model);
    library.with_pre_tokenizer(Some(split));
    Ok(library)
}

fn library_error(error: tokenizers::Error) -> Error {
    Error::Library(error.to_string())
}

fn to_json(library: &tokenizers::Tokenizer) -> Result<serde_json::Value, Error> {
    serde_json::to_value(library).map_err(|error| library_error(error.into()))
}

fn from_json(value: &serde_json::Value) -> Result<tokenizers::Tokenizer, Error> {
    tokenizers::Tokenizer::from_bytes(value.to_string()).map_err(library_error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::LazyLock;

    use proptest::prelude::*;

    const TEXT: &str = "The cat, the dog and the bird:\nthey don't know <unk> words.\n\n\
                        नमस्कार, the well-known greeting — the end…\n";

    fn trained(units: Units) -> Tokenizer {
        Tokenizer::train(units, TEXT, 280).unwrap()
    }

    #[test]
    fn the_pieces_of_a_line_are_its_symbols_and_where_they_stand() {
        let line = "the cat, नमस्कार <unk> greeting";
        for units in Units::ALL {
            let tokenizer = trained(units);
            let Ok(pieces) = tokenizer.pieces(line) else { continue };
            let (symbols, places): (Vec<u32>, Vec<Range<usize>>) = pieces.into_iter().unzip();
            assert_eq!(symbols, tokenizer.encode(line).unwrap(), "{units}");
            assert!(places.iter().all(|place| place.end <= line.len()));
            if units == Units::Word {
                let words: Vec<&str> = places.into_iter().map(|place| &line[place]).collect();
                assert_eq!(words, ["the", "cat", ",", "नमस्कार", "<unk>", "greeting"]);
            }
        }
    }

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
            }
        }
    }
}
