//! Words as the evaluation of COCO captions counts them.
//!
//! The evaluation (Chen et al. 2015, *Microsoft COCO Captions: Data Collection and Evaluation
//! Server*) cuts captions with the tokenizer of Stanford CoreNLP 3.4.1, options
//! `-preserveLines -lowerCase`, and then drops [`PUNCTUATION`]. That tokenizer follows the Penn
//! Treebank: contractions are two words (`do n't`, `it 's`), words with hyphens, numbers and
//! abbreviations are one, brackets are written `-lrb-`.
//!
//! The rules here were written down from what that program does with several hundred thousand short
//! texts, not from its source. At each place the longest match of all rules is the next token. What
//! follows from oversights is here too, since scores depend on it:
//!
//! - brackets stay, as words: the list of punctuation has `-LRB-`, in capitals;
//! - `!!` and `?!` stay: the list has single marks only;
//! - characters outside the Basic Multilingual Plane are dropped, and so are the marks of CJK but
//!   those between U+FF01 and U+FF65, `、` and `。`.
//!
//! One thing is not here: the original reads all captions as one text, so that whether a full stop at
//! the end belongs to the word before it (`plan A.`, `no.`) depends on how the next caption begins. Here
//! each caption is by itself.
//!
//! Left out is what captions do not have: telephone numbers with blanks, Internet addresses without
//! `http://` but with a path, rarer entities of HTML and rarer emoticons. Marks of scripts of South and
//! Southeast Asia stay with their letter, where the original drops some of them.

mod abbreviations;
mod characters;
mod rules;

use characters::{is_apostrophe, is_dropped, written};

/// What the evaluation drops after cutting.
pub const PUNCTUATION: [&str; 17] = [
    "''", "'", "``", "`", "-LRB-", "-RRB-", "-LCB-", "-RCB-", ".", "?", "!", ",", ":", "-", "--", "...", ";",
];

/// The words of a caption, lower-cased, without [`PUNCTUATION`].
///
/// A word has no blank within but the no-break space (U+00A0) that joins, as in the original, the two
/// parts of `1 1/2` and those of a tag of HTML. BLEU and CIDEr count such a word as two, ROUGE-L as one.
///
/// ```
/// use rnn_metrics::ptb;
///
/// let words = ptb::tokenize("Mr. Smith's dog can't jump (well, it's a T-shirt-sized dog).");
/// assert_eq!(
///     words.join(" "),
///     "mr. smith 's dog ca n't jump -lrb- well it 's a t-shirt-sized dog -rrb-"
/// );
/// ```
pub fn tokenize(caption: &str) -> Vec<String> {
    const SOFT_HYPHEN: char = '\u{ad}';
    let text: Vec<char> = caption.replace("&amp;", "&").chars().filter(|c| *c != SOFT_HYPHEN).collect();
    let mut tokens = Vec::new();
    let mut rest = &text[..];
    while let Some(&first) = rest.first() {
        if is_dropped(first) {
            rest = &rest[1..];
            continue;
        }
        let (token, after) = rest.split_at(rules::longest(rest));
        tokens.extend(cut(token, after).map(form).filter(|token| !is_punctuation(token)));
        rest = after;
    }
    tokens
}

/// `cannot` and a few more are two words, but not before `'s`.
fn cut<'a>(token: &'a [char], after: &[char]) -> impl Iterator<Item = &'a [char]> {
    const PAIRS: [&str; 6] = ["cannot", "gonna", "gotta", "wanna", "gimme", "lemme"];
    let pair = PAIRS.iter().any(|pair| rules::equal(token, pair));
    let (first, second) = token.split_at(if pair && !rules::suffix_follows(after) { 3 } else { token.len() });
    [first, second].into_iter().filter(|part| !part.is_empty())
}

/// The token as it is written: brackets and some symbols by name, in lower case.
fn form(token: &[char]) -> String {
    if let Some((_, character)) = rules::ENTITIES.iter().find(|(name, _)| rules::equal(token, name)) {
        return (*character).to_owned();
    }
    let straight = rules::is_contraction(token);
    let mut text = String::with_capacity(token.len());
    for &c in token {
        match c {
            c if straight && is_apostrophe(c) => text.push('\''),
            c => match written(c) {
                Some(name) => text.push_str(name),
                None => text.push(c),
            },
        }
    }
    text.to_lowercase()
}

/// Also what the original writes as an entry of [`PUNCTUATION`]: `"`, `’`, and `---`, which is a dash.
fn is_punctuation(token: &str) -> bool {
    PUNCTUATION.contains(&token) || matches!(token, "" | "\"" | "’" | "---" | "----")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(caption: &str) -> String {
        tokenize(caption).join(" ")
    }

    #[test]
    fn contractions_are_two_words() {
        assert_eq!(
            words("Don't you think it's theirs? They'd've said."),
            "do n't you think it 's theirs they 'd 've said"
        );
        assert_eq!(words("I can’t, the dogs’ owner won’t"), "i ca n't the dogs owner wo n't");
        assert_eq!(words("cannot GONNA 'tis"), "can not gon na 't is");
        assert_eq!(
            words("o'clock O'Brien's ma'am y'all rock'n'roll"),
            "o'clock o'brien 's ma'am y' all rock 'n' roll"
        );
    }

    #[test]
    fn compounds_numbers_and_abbreviations_are_one() {
        assert_eq!(
            words("a well-known 5-year-old, black/white -- or"),
            "a well-known 5-year-old black/white or"
        );
        assert_eq!(
            words("1,000.50 at 10:45am, 50% of $3.50, 1 1/2"),
            "1,000.50 at 10:45 am 50 % of $ 3.50 1\u{a0}1/2"
        );
        assert_eq!(
            words("Mr. J. Doe of the U.S. at 5 p.m., No. 5. no."),
            "mr. j. doe of the u.s. at 5 p.m. no. 5 no"
        );
        assert_eq!(words("plan A. The end."), "plan a the end");
    }

    #[test]
    fn brackets_and_double_marks_stay() {
        assert_eq!(
            words("(a) [b] {c}! what?! 'yes' “no”…"),
            "-lrb- a -rrb- -lsb- b -rsb- -lcb- c -rcb- what ?! yes no"
        );
    }

    #[test]
    fn letters_of_all_scripts_are_words() {
        assert_eq!(words("Ein Café 狗 在 跑 。 🐶"), "ein café 狗 在 跑 。");
        assert_eq!(words("Straße, ñandú İ"), "straße ñandú i̇");
    }

    #[test]
    fn nothing_is_no_word() {
        for caption in ["", " \n ", ".,;: ! ?", "-- ' \" `"] {
            assert_eq!(tokenize(caption), [""; 0], "{caption:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_has_words_without_blanks_or_capitals(caption in ".{0,60}") {
            for word in tokenize(&caption) {
                prop_assert!(!word.is_empty() && !word.contains(' '), "{:?}", word);
                prop_assert_eq!(word.to_lowercase(), word);
            }
        }

        #[test]
        fn marks_and_letters_in_any_order_are_cut(caption in r"[abnstlc15 .,:'’!?\-_/(<>&#@$£½é狗]{0,40}") {
            let letters = |text: &str| text.chars().filter(|c| matches!(c, 'a' | 'é' | '狗')).count();
            prop_assert_eq!(letters(&words(&caption)), letters(&caption));
        }

        #[test]
        fn plain_words_are_left_as_they_are(caption in "[a-z]{1,4}(?: [a-z]{1,4}){0,8}") {
            prop_assert_eq!(words(&caption), caption);
        }
    }
}
