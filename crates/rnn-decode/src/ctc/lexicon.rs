//! The words that may be said.

use std::collections::HashMap;

use super::CtcError;

/// Allowed words, as symbols, in a tree that shares their beginnings. Words are parted by a symbol of
/// their own, of which there may be more than one, also before the first word and after the last.
#[derive(Clone, Debug)]
pub struct Lexicon {
    separator: u32,
    /// The node after a node and a symbol; 0 is the root.
    next: HashMap<(u32, u32), u32>,
    /// Whether a word ends at a node.
    ends: Vec<bool>,
}

impl Lexicon {
    /// A lexicon of these words; some may occur more than once.
    ///
    /// # Errors
    /// When a word is empty or has the separator in it.
    pub fn new<W: AsRef<[u32]>>(
        words: impl IntoIterator<Item = W>,
        separator: u32,
    ) -> Result<Self, CtcError> {
        let mut lexicon = Self { separator, next: HashMap::new(), ends: vec![false] };
        for (number, word) in words.into_iter().enumerate() {
            let word = word.as_ref();
            if word.is_empty() {
                return Err(CtcError::Word { number, reason: "it is empty" });
            }
            if word.contains(&separator) {
                return Err(CtcError::Word { number, reason: "the separator of words is in it" });
            }
            let mut node = 0;
            for &symbol in word {
                let fresh = lexicon.ends.len() as u32;
                node = *lexicon.next.entry((node, symbol)).or_insert(fresh);
                if node == fresh {
                    lexicon.ends.push(false);
                }
            }
            lexicon.ends[node as usize] = true;
        }
        Ok(lexicon)
    }

    /// Where the symbol leads from here, if anywhere. Everything begins at 0.
    pub(super) fn step(&self, node: u32, symbol: u32) -> Option<u32> {
        match symbol == self.separator {
            true => self.may_end(node).then_some(0),
            false => self.next.get(&(node, symbol)).copied(),
        }
    }

    /// Whether no word is left unfinished.
    pub(super) fn may_end(&self, node: u32) -> bool {
        node == 0 || self.ends[node as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEPARATOR: u32 = 9;

    fn allows(lexicon: &Lexicon, symbols: &[u32]) -> bool {
        let end = symbols.iter().try_fold(0, |node, &symbol| lexicon.step(node, symbol));
        end.is_some_and(|node| lexicon.may_end(node))
    }

    #[test]
    fn words_and_only_words_between_separators() {
        let lexicon = Lexicon::new([&[1u32, 2][..], &[1, 2, 3], &[4]], SEPARATOR).unwrap();
        for good in [&[][..], &[4], &[1, 2], &[1, 2, 3, 9, 4], &[9, 4, 9, 9, 1, 2, 9]] {
            assert!(allows(&lexicon, good), "{good:?}");
        }
        for bad in [&[1u32][..], &[1, 2, 4], &[1, 9, 4], &[4, 4], &[5]] {
            assert!(!allows(&lexicon, bad), "{bad:?}");
        }
    }

    #[test]
    fn a_word_that_is_none_is_refused_by_its_number() {
        let error = Lexicon::new([&[1u32][..], &[]], SEPARATOR).unwrap_err();
        assert_eq!(error, CtcError::Word { number: 1, reason: "it is empty" });
        assert!(Lexicon::new([[1, SEPARATOR]], SEPARATOR).is_err());
    }
}
