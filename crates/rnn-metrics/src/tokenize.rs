//! How BLEU cuts a line into words.
//!
//! A score depends on it more than on most models, so a paper that gives a BLEU score must say
//! which tokenizer it used (Post 2018); [`Bleu`](crate::Bleu)'s signature does.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

use crate::Error;
use crate::whitespace::{is_blank, single_spaced};

/// A way to cut a line into words, under sacreBLEU's names.
///
/// ```
/// use rnn_metrics::Tokenizer;
///
/// let line = "It's 1,000.5 m² – \"wow\"!";
/// assert_eq!(Tokenizer::V13a.tokenize(line), "It's 1,000.5 m² – \" wow \" !");
/// assert_eq!(Tokenizer::International.tokenize(line), "It ' s 1,000.5 m² – \" wow \" !");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Tokenizer {
    /// The line's own blanks, for text that is tokenised already.
    #[serde(rename = "none")]
    None,
    /// NIST's `mteval-v13a.pl`, which WMT uses: punctuation of ASCII is separated, but neither
    /// apostrophes, nor a hyphen that follows no digit, nor commas and dots within numbers.
    #[default]
    #[serde(rename = "13a")]
    V13a,
    /// `mteval-v14.pl --international-tokenization`: Unicode's punctuation (category P) is
    /// separated unless it stands between numerals, and each symbol (category S).
    #[serde(rename = "intl")]
    International,
    /// Chinese: every ideograph by itself, the rest as [`V13a`](Self::V13a).
    #[serde(rename = "zh")]
    Chinese,
    /// Every character by itself (Unicode scalar values; blanks are dropped).
    #[serde(rename = "char")]
    Characters,
}

impl Tokenizer {
    /// All tokenizers, in the order in which help texts list them.
    pub const ALL: [Tokenizer; 5] = [
        Tokenizer::None,
        Tokenizer::V13a,
        Tokenizer::International,
        Tokenizer::Chinese,
        Tokenizer::Characters,
    ];

    /// The name in signatures and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Tokenizer::None => "none",
            Tokenizer::V13a => "13a",
            Tokenizer::International => "intl",
            Tokenizer::Chinese => "zh",
            Tokenizer::Characters => "char",
        }
    }

    /// The line's words with one space between each two.
    pub fn tokenize(self, line: &str) -> String {
        match self {
            Tokenizer::None => single_spaced(line),
            Tokenizer::V13a => mteval_13a(line),
            Tokenizer::International => international(line),
            Tokenizer::Chinese => western(&separate(line.trim_matches(is_blank), is_chinese)),
            Tokenizer::Characters => single_spaced(&separate(line, |_| true)),
        }
    }
}

impl fmt::Display for Tokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Tokenizer {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        (Tokenizer::ALL.into_iter())
            .find(|tokenizer| tokenizer.name() == name)
            .ok_or_else(|| Error::UnknownTokenizer(name.to_owned()))
    }
}

fn mteval_13a(line: &str) -> String {
    let joined = line.replace("<skipped>", "").replace("-\n", "").replace('\n', " ");
    western(&format!(" {} ", unescape(joined)))
}

/// The four entities of SGML that the test sets of NIST are written with.
pub(crate) fn unescape(line: String) -> String {
    match line.contains('&') {
        false => line,
        // In this order, by which `&amp;lt;` becomes `<`.
        true => line.replace("&quot;", "\"").replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">"),
    }
}

fn western(line: &str) -> String {
    single_spaced(&separate_beside_numbers(&separate(line, is_western_mark)))
}

fn international(line: &str) -> String {
    let group = |c: char| c.general_category_group();
    let number = |c| group(c) == GeneralCategoryGroup::Number;
    let punctuation = |c| group(c) == GeneralCategoryGroup::Punctuation;
    let line = separate_pairs(line, |a, b| !number(a) && punctuation(b), Side::After);
    let line = separate_pairs(&line, |a, b| punctuation(a) && !number(b), Side::Before);
    single_spaced(&separate(&line, |c| group(c) == GeneralCategoryGroup::Symbol))
}

/// ASCII without letters, digits and the four marks that need a look at what is beside them:
/// apostrophe, comma, hyphen and dot.
pub(crate) fn is_western_mark(c: char) -> bool {
    matches!(c, ' '..='&' | '('..='+' | '/' | ':'..='@' | '['..='`' | '{'..='~')
}

/// Separates commas and dots that are not between two digits, and hyphens that follow a digit.
pub(crate) fn separate_beside_numbers(line: &str) -> String {
    let stop = |c| matches!(c, '.' | ',');
    let line = separate_pairs(line, |a, b| !a.is_ascii_digit() && stop(b), Side::After);
    let line = separate_pairs(&line, |a, b| stop(a) && !b.is_ascii_digit(), Side::Before);
    separate_pairs(&line, |a, b| a.is_ascii_digit() && b == '-', Side::After)
}

/// A blank on both sides of each character that `matches`.
pub(crate) fn separate(line: &str, matches: impl Fn(char) -> bool) -> String {
    let mut separated = String::with_capacity(2 * line.len());
    for c in line.chars() {
        match matches(c) {
            true => separated.extend([' ', c, ' ']),
            false => separated.push(c),
        }
    }
    separated
}

/// On which side of a pair there is a blank, besides that in its middle.
enum Side {
    Before,
    After,
}

/// A blank within, and on one `side` of, each pair that `matches`. As with a substitution by
/// regular expression, pairs are looked for from left to right and do not overlap: of `a..`, only
/// the first dot is paired with the character before it.
fn separate_pairs(line: &str, matches: impl Fn(char, char) -> bool, side: Side) -> String {
    let mut separated = String::with_capacity(2 * line.len());
    let mut rest = line.chars();
    while let Some(first) = rest.next() {
        match rest.clone().next() {
            Some(second) if matches(first, second) => {
                rest.next();
                match side {
                    Side::Before => separated.extend([' ', first, ' ', second]),
                    Side::After => separated.extend([first, ' ', second, ' ']),
                }
            }
            _ => separated.push(first),
        }
    }
    separated
}

/// What sacreBLEU's `zh` takes for Chinese: ideographs, radicals, strokes, Bopomofo, their
/// punctuation, full-width forms, and the blocks of dingbats and enclosed letters.
///
/// The ranges meant for the ideographs outside the Basic Multilingual Plane (Extension B and the
/// compatibility supplement) are written there with four hexadecimal digits and a fifth that counts
/// as a character of its own. What they do instead is here too, since scores depend on it: U+2001
/// to U+2A6D, from general punctuation to mathematical operators, counts as Chinese, and
/// Extension B does not.
fn is_chinese(c: char) -> bool {
    matches!(c,
        '\u{2001}'..='\u{2a6d}' // see above
        | '\u{2e80}'..='\u{2eff}' // radicals, supplement
        | '\u{2f00}'..='\u{2fdf}' // radicals of the Kangxi dictionary
        | '\u{2ff0}'..='\u{2fff}' // ideographic description
        | '\u{3000}'..='\u{303f}' // punctuation
        | '\u{3100}'..='\u{312f}' // Bopomofo
        | '\u{31a0}'..='\u{31bf}' // Bopomofo, extended
        | '\u{31c0}'..='\u{31ef}' // strokes
        | '\u{3200}'..='\u{33ff}' // enclosed letters, compatibility
        | '\u{3400}'..='\u{4db5}' // ideographs, extension A
        | '\u{4e00}'..='\u{9fbb}' // ideographs
        | '\u{f900}'..='\u{fa2d}' | '\u{fa30}'..='\u{fa6a}' | '\u{fa70}'..='\u{fad9}' // compatibility
        | '\u{fe10}'..='\u{fe1f}' // vertical forms
        | '\u{fe30}'..='\u{fe4f}' // compatibility forms
        | '\u{ff00}'..='\u{ffef}' // full-width and half-width forms
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_tokenizer_is_parsed_from_its_own_name() {
        for tokenizer in Tokenizer::ALL {
            assert_eq!(tokenizer.to_string().parse::<Tokenizer>().unwrap(), tokenizer);
            assert_eq!(serde_json::to_string(&tokenizer).unwrap(), format!("\"{tokenizer}\""));
        }
        let message = "14".parse::<Tokenizer>().unwrap_err().to_string();
        assert!(message.contains("\"14\"") && message.contains("13a, intl, zh or char"), "{message}");
    }

    #[test]
    fn mteval_13a_leaves_numbers_apostrophes_and_hyphens_within_words() {
        let tokens = |line| Tokenizer::V13a.tokenize(line);
        assert_eq!(tokens("Don't pay $3.50, well-known!"), "Don't pay $ 3.50 , well-known !");
        assert_eq!(tokens("1,000,000 in 2016-2017."), "1,000,000 in 2016 - 2017 .");
        assert_eq!(tokens("&quot;A&amp;B&quot; a &lt; b"), "\" A & B \" a < b");
        assert_eq!(tokens("end..."), "end . . .");
        assert_eq!(tokens(".5"), ". 5");
    }

    #[test]
    fn the_international_tokenizer_knows_the_punctuation_and_symbols_of_all_scripts() {
        let tokens = |line| Tokenizer::International.tokenize(line);
        assert_eq!(tokens("„Ja“, 3,5 €!"), "„ Ja “ , 3,5 € !");
        assert_eq!(tokens("你好。🙂"), "你好 。 🙂");
        // As in the original, a dot after a number at the end of a line stays.
        assert_eq!(tokens("in 2016."), "in 2016.");
    }

    #[test]
    fn chinese_characters_stand_alone_and_foreign_words_do_not() {
        assert_eq!(Tokenizer::Chinese.tokenize("我用Rust写,很好。"), "我 用 Rust 写 , 很 好 。");
        assert_eq!(Tokenizer::Chinese.tokenize("“ok”"), "“ ok ”");
        assert_eq!(Tokenizer::Chinese.tokenize("\u{20000}\u{20001}"), "\u{20000}\u{20001}");
    }

    proptest! {
        #[test]
        fn no_tokenizer_but_13a_adds_or_loses_a_character(line in r"[a-z0-9 .,'\-€你。🙂“]{0,40}") {
            let letters = |text: &str| text.chars().filter(|c| !is_blank(*c)).collect::<String>();
            for tokenizer in Tokenizer::ALL {
                prop_assert_eq!(letters(&tokenizer.tokenize(&line)), letters(&line));
            }
        }

        #[test]
        fn text_of_single_characters_is_left_as_it_is(line in r"[a-z](?: [a-z.,!你]){0,20}") {
            for tokenizer in Tokenizer::ALL {
                prop_assert_eq!(tokenizer.tokenize(&line), line.clone());
            }
        }
    }
}
