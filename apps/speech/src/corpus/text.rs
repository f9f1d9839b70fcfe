//! What is done to a transcript before a network learns to write it.

use serde::{Deserialize, Serialize};
use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

/// What is done to a transcript before a network learns to write it.
///
/// ```
/// let text = speech::corpus::TextConfig::default();
/// let written = "That agent's already logged on.  Please enter…";
/// assert_eq!(text.apply(written), "that agent's already logged on please enter");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TextConfig {
    /// Whether it is put into lower case.
    pub lowercase: bool,
    /// The marks that stay, besides letters, digits and apostrophes inside words; everything else is
    /// taken for a blank. Without it all stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep: Option<String>,
}

impl Default for TextConfig {
    /// Lower case, no marks.
    fn default() -> Self {
        Self { lowercase: true, keep: Some(String::new()) }
    }
}

const APOSTROPHE: char = '\'';

impl TextConfig {
    /// Changes nothing but blanks.
    pub fn unchanged() -> Self {
        Self { lowercase: false, keep: None }
    }

    /// The text as a network is to write it, with single blanks and none at its ends. Applied to its own
    /// result it changes nothing.
    pub fn apply(&self, text: &str) -> String {
        let mut text = if self.lowercase { text.to_lowercase() } else { text.to_owned() };
        if let Some(marks) = &self.keep {
            text = only(&text, marks);
        }
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// The text with a blank for what is neither part of a word nor one of `marks`.
fn only(text: &str, marks: &str) -> String {
    let characters: Vec<char> = text.chars().map(plain).filter(|c| !is_invisible(*c)).collect();
    let is_letter = |at: Option<usize>| at.and_then(|at| characters.get(at)).is_some_and(|c| is_in_word(*c));
    let kept = |(at, &c): (usize, &char)| {
        let joins = [APOSTROPHE, ZERO_WIDTH_NON_JOINER, ZERO_WIDTH_JOINER].contains(&c);
        let is_inside = joins && is_letter(at.checked_sub(1)) && is_letter(Some(at + 1));
        if is_in_word(c) || is_inside || marks.contains(c) { c } else { ' ' }
    };
    characters.iter().enumerate().map(kept).collect()
}

/// Typographic apostrophes are apostrophes.
fn plain(c: char) -> char {
    if matches!(c, '\u{2019}' | '\u{02bc}' | '\u{ff07}') { APOSTROPHE } else { c }
}

fn is_in_word(c: char) -> bool {
    use GeneralCategoryGroup::{Letter, Mark, Number};
    matches!(c.general_category_group(), Letter | Mark | Number)
}

const ZERO_WIDTH_NON_JOINER: char = '\u{200c}';
const ZERO_WIDTH_JOINER: char = '\u{200d}';

/// Soft hyphens, marks of direction and their like; not the joiners, which words of Persian and of the
/// languages of India are spelt with.
fn is_invisible(c: char) -> bool {
    use unicode_properties::GeneralCategory::Format;
    c.general_category() == Format && ![ZERO_WIDTH_NON_JOINER, ZERO_WIDTH_JOINER].contains(&c)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_stay_and_marks_between_them_are_blanks() {
        let text = TextConfig::default();
        for (written, said) in [
            ("Call-Forward on No Answer.", "call forward on no answer"),
            ("Rock ’n’ roll: it’s o'clock, the dogs'!", "rock n roll it's o'clock the dogs"),
            ("\u{feff}co\u{ad}operate\tÉTÉ e\u{301}", "cooperate été e\u{301}"),
            ("नमस्कार।", "नमस्कार"),
            ("می\u{200c}خواهم", "می\u{200c}خواهم"),
            ("…", ""),
        ] {
            assert_eq!(text.apply(written), said);
        }
    }

    #[test]
    fn marks_and_capitals_stay_if_they_are_to() {
        let keep = TextConfig { lowercase: false, keep: Some(".-".into()) };
        assert_eq!(keep.apply("Call-Forward,  on… No Answer."), "Call-Forward on No Answer.");
        assert_eq!(TextConfig::unchanged().apply("  It's:\n ONE "), "It's: ONE");
    }

    proptest! {
        #[test]
        fn applied_twice_it_is_applied_once(text in any::<String>(), lowercase: bool, keep in "[-.'’]{0,2}") {
            for keep in [Some(keep), None] {
                let config = TextConfig { lowercase, keep };
                let once = config.apply(&text);
                prop_assert_eq!(config.apply(&once), once.clone());
                prop_assert!(!once.contains("  ") && once.trim() == once);
            }
        }
    }
}
