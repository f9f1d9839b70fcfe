//! What each character is to the tokenizer.

use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};

use crate::whitespace::is_blank;

/// The last character of the Basic Multilingual Plane.
const LAST: char = '\u{ffff}';

pub(super) fn is_letter(c: char) -> bool {
    match c.is_ascii() {
        true => c.is_ascii_alphabetic(),
        false => c <= LAST && c.general_category_group() == GeneralCategoryGroup::Letter,
    }
}

pub(super) fn is_digit(c: char) -> bool {
    match c.is_ascii() {
        true => c.is_ascii_digit(),
        false => c <= LAST && c.general_category() == GeneralCategory::DecimalNumber,
    }
}

pub(super) fn is_letter_or_digit(c: char) -> bool {
    is_letter(c) || is_digit(c)
}

/// An accent and the like, which belongs to the letter before it.
pub(super) fn is_mark(c: char) -> bool {
    !c.is_ascii() && c <= LAST && !is_dropped(c) && c.general_category_group() == GeneralCategoryGroup::Mark
}

pub(super) fn is_apostrophe(c: char) -> bool {
    matches!(c, '\'' | '’')
}

/// What separates tokens and is none: blanks, control characters, quotation marks, dashes, and what
/// the original has no rule for.
pub(super) fn is_dropped(c: char) -> bool {
    match c.is_ascii() {
        true => is_blank(c) || c.is_ascii_control(),
        false => c > LAST || is_separator(c) || is_quotation_or_dash(c) || is_unknown(c),
    }
}

fn is_separator(c: char) -> bool {
    matches!(c.general_category_group(), GeneralCategoryGroup::Separator | GeneralCategoryGroup::Other)
}

fn is_quotation_or_dash(c: char) -> bool {
    matches!(c, '‘' | '‛' | '‹' | '›' | '“' | '”' | '«' | '»' | '–' | '—' | '―' | '…')
}

/// Punctuation and symbols of some blocks; letters are never unknown.
fn is_unknown(c: char) -> bool {
    let block = matches!(c,
        '\u{2010}'..='\u{2012}' | '\u{2024}' | '\u{2025}' | '\u{2027}' // punctuation
        | '\u{203c}' | '\u{203d}' | '\u{2043}' | '\u{2045}'..='\u{205e}'
        | '\u{20a1}'..='\u{20a3}' | '\u{20a5}'..='\u{20ab}' | '\u{20ad}'..='\u{20ff}' // currencies, marks
        | '\u{2150}'..='\u{2152}' | '\u{215f}'..='\u{218b}' // numbers
        | '\u{2e00}'..='\u{2fff}' // more punctuation, radicals
        | '\u{3003}'..='\u{3011}' | '\u{3013}'..='\u{3030}' | '\u{3036}'..='\u{303f}' // CJK
        | '\u{3099}'..='\u{309c}' | '\u{30a0}' | '\u{3190}'..='\u{33ff}'
        | '\u{fd3e}'..='\u{fe6b}' | '\u{ffe2}'..='\u{ffe4}' | '\u{ffe8}'..='\u{fffd}' // presentation forms
    );
    block && !is_letter(c)
}

/// The name that stands for a character.
pub(super) fn written(c: char) -> Option<&'static str> {
    Some(match c {
        '(' => "-lrb-",
        ')' => "-rrb-",
        '[' => "-lsb-",
        ']' => "-rsb-",
        '{' => "-lcb-",
        '}' => "-rcb-",
        '£' => "#",
        '€' | '¤' | '₠' => "$",
        '¢' => "cents",
        '¼' => "1/4",
        '½' => "1/2",
        '¾' => "3/4",
        '⅓' => "1/3",
        '⅔' => "2/3",
        c if is_blank(c) => "\u{a0}",
        _ => return None,
    })
}
