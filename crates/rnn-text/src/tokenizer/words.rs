//! Words and punctuation marks: how they are found, counted and joined.

use std::collections::HashMap;

use tokenizers::models::wordlevel::WordLevel;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer, SplitDelimiterBehavior};

use super::library_error;
use crate::Error;

/// The token that stands for every word outside the vocabulary; its number is 0.
pub const UNKNOWN_WORD: &str = "<unk>";

/// A word (with apostrophes and hyphens inside), a punctuation mark, or a line break.
const WORD_PATTERN: &str = r"<unk>|\n|\w+(?:['’\-]\w+)*|[^\w\s]";

/// Learns the most frequent words of `text`; [`UNKNOWN_WORD`] is among the `vocab_size` tokens.
pub(super) fn train(text: &str, vocab_size: usize) -> Result<tokenizers::Tokenizer, Error> {
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

/// What stands between two words: a blank, except around line breaks and where a mark clings to
/// its neighbour.
pub(super) fn separator(previous: &str, next: &str) -> &'static str {
    const CLOSING: &str = "\n.,;:!?)]}%’”…";
    const OPENING: &str = "\n([{‘“";
    if OPENING.contains(previous) || CLOSING.contains(next) { "" } else { " " }
}
