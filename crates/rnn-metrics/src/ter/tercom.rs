//! How Tercom cuts a line into words.

use super::Ter;
use crate::tokenize::{is_western_mark, separate, separate_beside_numbers, unescape};
use crate::whitespace::{is_blank, single_spaced};

/// The words of a line with one space between each two.
pub(super) fn tokenize(line: &str, ter: &Ter) -> String {
    let mut line = line.trim_end_matches(is_blank).to_owned();
    if !ter.case_sensitive {
        line = line.to_lowercase();
    }
    if ter.normalized {
        line = normalized(line);
        if ter.asian_support {
            line = separate(&line, |c| is_ideograph(c) || is_asian_mark(c));
        }
    }
    if ter.no_punctuation {
        line.retain(|c| !matches!(c, '.' | ',' | '?' | ':' | ';' | '!' | '"' | '(' | ')'));
        if ter.asian_support {
            line.retain(|c| !is_asian_mark(c));
        }
    }
    single_spaced(&line)
}

fn normalized(line: String) -> String {
    let joined = unescape(line.replace("\n-", "").replace('\n', " "));
    let marked = separate(&format!(" {joined} "), is_western_mark);
    separate_beside_numbers(&marked.replace("'s ", " 's "))
}

/// Ideographs, their radicals and strokes, and the blocks of compatibility and enclosed forms.
/// Kana stay together: Tercom means to separate runs of them, but its patterns only find lines that
/// are nothing else.
fn is_ideograph(c: char) -> bool {
    matches!(c,
        '\u{4e00}'..='\u{9fff}' | '\u{3400}'..='\u{4dbf}'
        | '\u{31c0}'..='\u{31ef}' | '\u{2e80}'..='\u{2eff}'
        | '\u{3300}'..='\u{33ff}' | '\u{f900}'..='\u{faff}' | '\u{fe30}'..='\u{fe4f}'
        // Meant for the enclosed letters, U+3200 to U+32FF, and written with two digits swapped.
        | '\u{3200}'..='\u{3f22}'
    )
}

fn is_asian_mark(c: char) -> bool {
    matches!(c,
        '\u{3001}' | '\u{3002}' | '\u{3008}'..='\u{3011}' | '\u{3014}'..='\u{301f}'
        | '\u{ff61}'..='\u{ff65}' | '\u{30fb}'
        // full width
        | '．' | '，' | '？' | '：' | '；' | '！' | '＂' | '（' | '）'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_blanks_are_all_that_the_default_changes() {
        let line = " It's  5,5 m²,\tOK?  ";
        assert_eq!(tokenize(line, &Ter::default()), "it's 5,5 m², ok?");
        assert_eq!(tokenize(line, &Ter { case_sensitive: true, ..Ter::default() }), "It's 5,5 m², OK?");
    }

    #[test]
    fn normalised_lines_have_their_marks_and_possessives_apart() {
        let normalized = Ter { normalized: true, ..Ter::default() };
        assert_eq!(
            tokenize("It's Tom's 5,5-inch \"A&amp;B\".", &normalized),
            "it 's tom 's 5,5 - inch \" a & b \" ."
        );
        assert_eq!(tokenize("你好，世界。", &normalized), "你好，世界。");
        let asian = Ter { asian_support: true, ..normalized };
        assert_eq!(tokenize("你好，世界。ひらがな", &asian), "你 好 ， 世 界 。 ひらがな");
    }

    #[test]
    fn marks_are_dropped_and_asian_ones_if_asked() {
        let dropped = Ter { no_punctuation: true, ..Ter::default() };
        assert_eq!(tokenize("a, (b): 5.5 - ok。", &dropped), "a b 55 - ok。");
        assert_eq!(tokenize("你好，ok。", &Ter { asian_support: true, ..dropped }), "你好ok");
    }
}
