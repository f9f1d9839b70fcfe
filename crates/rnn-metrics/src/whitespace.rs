//! What separates words. Python's `str.split`, which the tools we agree with use, knows four
//! separators more than Unicode's `White_Space`.

/// Whether `c` separates words: Unicode's `White_Space`, and the four separators of files, groups,
/// records and units (U+001C to U+001F).
pub(crate) fn is_blank(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// The words of a line.
pub(crate) fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(is_blank).filter(|word| !word.is_empty())
}

/// The words of a line with one space between each two.
pub(crate) fn single_spaced(line: &str) -> String {
    let mut spaced = String::with_capacity(line.len());
    for word in words(line) {
        if !spaced.is_empty() {
            spaced.push(' ');
        }
        spaced.push_str(word);
    }
    spaced
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_what_stands_between_blanks_of_any_kind() {
        let line = "\u{a0}a\u{1c}b \t c\u{3000}\u{85}d\u{200b}e\n";
        assert_eq!(words(line).collect::<Vec<_>>(), ["a", "b", "c", "d\u{200b}e"]);
        assert_eq!(single_spaced(line), "a b c d\u{200b}e");
        assert_eq!(words(" ").count(), 0);
    }
}
