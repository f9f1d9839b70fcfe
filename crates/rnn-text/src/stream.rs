//! From symbols to text, one symbol at a time.

use crate::Tokenizer;

/// Turns a stream of symbols into text as it arrives.
///
/// A symbol may be a part of a character (units `byte` and `bpe`): the part is held back until
/// the character is whole. All pushed texts and the finish together are exactly
/// [`Tokenizer::decode`] of all the symbols. To continue a prompt, push the prompt's symbols
/// first: between words, a blank depends on the word before.
#[derive(Clone, Debug)]
pub struct Stream<'a> {
    tokenizer: &'a Tokenizer,
    previous: Option<u32>,
    /// The beginning of a character that is not yet whole: at most three bytes.
    pending: Vec<u8>,
}

impl<'a> Stream<'a> {
    /// A stream at its beginning.
    pub fn new(tokenizer: &'a Tokenizer) -> Self {
        Stream { tokenizer, previous: None, pending: Vec::new() }
    }

    /// Takes one symbol and returns the characters that it completes, possibly none.
    ///
    /// Bytes that cannot belong to any character become U+FFFD, as does a symbol outside the
    /// vocabulary.
    pub fn push(&mut self, id: u32) -> String {
        let separator = self.tokenizer.separator(self.previous, id);
        self.previous = Some(id);
        self.pending.extend_from_slice(separator.as_bytes());
        self.tokenizer.append_bytes(id, &mut self.pending);

        let mut text = String::new();
        let mut rest = self.pending.as_slice();
        loop {
            match std::str::from_utf8(rest) {
                Ok(valid) => {
                    text.push_str(valid);
                    rest = &[];
                    break;
                }
                Err(error) => {
                    let (valid, after) = rest.split_at(error.valid_up_to());
                    // `valid` was just found to be UTF-8, so nothing is replaced here.
                    text.push_str(&String::from_utf8_lossy(valid));
                    rest = after;
                    match error.error_len() {
                        Some(wrong) => {
                            text.push(char::REPLACEMENT_CHARACTER);
                            rest = &rest[wrong..];
                        }
                        None => break, // the beginning of a character: wait for the rest
                    }
                }
            }
        }
        let kept = self.pending.len() - rest.len();
        self.pending.drain(..kept);
        text
    }

    /// Ends the stream; an unfinished character becomes U+FFFD.
    pub fn finish(self) -> String {
        String::from_utf8_lossy(&self.pending).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Units;
    use proptest::prelude::*;

    fn streamed(tokenizer: &Tokenizer, ids: &[u32]) -> String {
        let mut stream = Stream::new(tokenizer);
        let mut text: String = ids.iter().map(|&id| stream.push(id)).collect();
        text.push_str(&stream.finish());
        text
    }

    #[test]
    fn a_character_of_three_bytes_comes_out_with_its_third_byte() {
        let tokenizer = Tokenizer::train(Units::Byte, "x", 0).unwrap();
        let mut stream = Stream::new(&tokenizer);
        let pushed: Vec<String> = "न!".bytes().map(|byte| stream.push(byte.into())).collect();
        assert_eq!(pushed, ["", "", "न", "!"]);
        assert_eq!(stream.finish(), "");
    }

    #[test]
    fn a_character_cut_by_the_end_becomes_the_replacement_character() {
        let tokenizer = Tokenizer::train(Units::Byte, "x", 0).unwrap();
        let mut stream = Stream::new(&tokenizer);
        assert_eq!(stream.push(0xe0), "");
        assert_eq!(stream.finish(), "\u{fffd}");
    }

    #[test]
    fn words_are_separated_in_the_stream_as_in_the_whole() {
        let text = "Well (so), he said: don't!\nThen <unk> came.";
        let tokenizer = Tokenizer::train(Units::Word, text, 100).unwrap();
        let ids = tokenizer.encode(text).unwrap();
        assert_eq!(streamed(&tokenizer, &ids), text);
    }

    proptest! {
        #[test]
        fn streaming_any_bytes_gives_what_decoding_them_at_once_gives(
            ids in prop::collection::vec(prop_oneof![0u32..300, 0x80u32..0xf8], 0..40)
        ) {
            let tokenizer = Tokenizer::train(Units::Byte, "x", 0).unwrap();
            prop_assert_eq!(streamed(&tokenizer, &ids), tokenizer.decode(&ids));
        }
    }
}
