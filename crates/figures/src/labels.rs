//! Tokens as labels of rows and columns.

use unicode_width::UnicodeWidthChar;

/// Columns of a terminal after which a label is cut.
const COLUMNS: usize = 28;

/// One label per token of a sentence: without the blanks around it, and where blanks tell words
/// apart, a piece that continues a word begins with a dot, as in a dictionary (`Donau`, `·dampf`).
pub fn labels(tokens: &[String]) -> Vec<String> {
    let spaced = tokens.iter().any(|token| token.len() > 1 && token.starts_with(' '));
    let mut before = None;
    let label = |token: &String| {
        let continues = token.starts_with(char::is_alphanumeric) && before.is_some_and(char::is_alphanumeric);
        before = token.chars().next_back();
        match token.trim_matches(' ') {
            "" => "␠".to_owned(),
            text if spaced && continues => format!("·{text}"),
            text => text.to_owned(),
        }
    };
    tokens.iter().map(label).collect()
}

/// `label`, or as much of it as 28 columns of a terminal hold and an ellipsis.
pub fn cut(label: &str) -> String {
    let mut columns = 0;
    for (at, character) in label.char_indices() {
        columns += character.width().unwrap_or(1);
        if columns > COLUMNS {
            return label[..at].to_owned() + "…";
        }
    }
    label.to_owned()
}

/// About how wide `label` is, in units of the font's size; rather too wide than too narrow.
pub fn width(label: &str) -> f32 {
    let wide = |character: char| match character.width().unwrap_or(1) {
        0 => 0.0,
        1 if character.is_uppercase() || "mwMW@%…—".contains(character) => 0.85,
        1 => 0.6,
        _ => 1.0,
    };
    label.chars().map(wide).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(tokens: &[&str]) -> Vec<String> {
        labels(&tokens.iter().map(|&token| token.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn a_piece_that_continues_a_word_has_a_dot_where_blanks_tell_words_apart() {
        assert_eq!(
            of(&["Die", " Donau", "dampf", "er", " ", "."]),
            ["Die", "Donau", "·dampf", "·er", "␠", "."]
        );
        assert_eq!(of(&["a", "dog", "barks"]), ["a", "dog", "barks"]);
        assert_eq!(of(&["一隻", "狗", "。"]), ["一隻", "狗", "。"]);
    }

    #[test]
    fn long_labels_are_cut_and_wide_characters_count_twice() {
        assert_eq!(cut(&"a".repeat(28)), "a".repeat(28));
        assert_eq!(cut(&"a".repeat(29)), "a".repeat(28) + "…");
        assert_eq!(cut(&"狗".repeat(15)), "狗".repeat(14) + "…");
        assert_eq!(width("狗"), 1.0);
        assert!(width("ab") < width("狗狗"));
    }
}
