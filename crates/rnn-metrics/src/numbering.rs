//! Words as numbers, which are quicker to compare.

use std::collections::HashMap;

/// Equal words have equal numbers.
#[derive(Default)]
pub(crate) struct Numbering<'a>(HashMap<&'a str, u32>);

impl<'a> Numbering<'a> {
    /// The numbers of some words, in their order.
    pub(crate) fn of(&mut self, words: impl IntoIterator<Item = &'a str>) -> Vec<u32> {
        let number = |word| {
            let next = self.0.len() as u32;
            *self.0.entry(word).or_insert(next)
        };
        words.into_iter().map(number).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_words_have_equal_numbers_in_all_lines() {
        let mut numbering = Numbering::default();
        assert_eq!(numbering.of(["a", "b", "a"]), [0, 1, 0]);
        assert_eq!(numbering.of(["c", "b"]), [2, 1]);
    }
}
