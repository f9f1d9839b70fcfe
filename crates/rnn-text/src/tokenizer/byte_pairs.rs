//! Byte-level byte-pair encoding, learnt with the `tokenizers` library.

use std::collections::HashMap;

use tokenizers::decoders::byte_level::ByteLevel as ByteLevelDecoder;
use tokenizers::models::TrainerWrapper;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;

use super::{library_error, names};
use crate::Error;

/// Learns pairs from the lines of `text`; the 256 bytes are among the `vocab_size` tokens.
pub(super) fn train(text: &str, vocab_size: usize) -> Result<tokenizers::Tokenizer, Error> {
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

/// The bytes of each token, by number.
pub(super) fn bytes_of_tokens(library: &tokenizers::Tokenizer) -> Result<Vec<Vec<u8>>, Error> {
    let byte_of: HashMap<char, u8> = (0..=255u8).map(|byte| (letter_of(byte), byte)).collect();
    names(library)?
        .into_iter()
        .map(|name| {
            let bytes: Option<Vec<u8>> = name.chars().map(|c| byte_of.get(&c).copied()).collect();
            bytes.ok_or_else(|| Error::Library(format!("{name:?} is no byte-level token")))
        })
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
