//! The rules: each says how long a token it sees at the beginning of a text.

use super::abbreviations::{begins_sentence, keeps_stop};
use super::characters::{is_apostrophe, is_digit, is_letter, is_letter_or_digit, is_mark};
use crate::whitespace::is_blank;

/// What a rule found.
struct Match {
    /// The length of the token.
    length: usize,
    /// The length with what must follow, by which rules are compared.
    seen: usize,
}

fn token(length: usize) -> Option<Match> {
    Some(Match { length, seen: length })
}

/// What it finds at the beginning of a text.
type Rule = fn(&[char]) -> Option<Match>;

/// Of two that saw equally much, the first wins.
const RULES: [Rule; 25] = [
    tag,
    entity,
    web_address,
    mail_address,
    mention,
    contracted_not,
    before_suffix,
    not,
    suffix,
    short_form,
    decade,
    word,
    prefix,
    compound,
    dotted_compound,
    slashed,
    elided,
    abbreviation,
    acronym,
    before_stop,
    ampersands,
    named_language_or_currency,
    number,
    mixed_fraction,
    emoticon,
];

/// Characters of HTML by name, and what they are.
pub(super) const ENTITIES: [(&str, &str); 7] = [
    ("&lt;", "<"),
    ("&gt;", ">"),
    ("&quot;", "''"),
    ("&apos;", "'"),
    ("&nbsp;", ""),
    ("&ndash;", "--"),
    ("&mdash;", "--"),
];

/// The length of the first token. `text` is not empty and does not begin with a blank.
pub(super) fn longest(text: &[char]) -> usize {
    let mut best = Match { length: repeated(text), seen: repeated(text) };
    for found in RULES.iter().filter_map(|rule| rule(text)) {
        if found.seen > best.seen {
            best = found;
        }
    }
    best.length
}

/// Whether a word is `lower`, whatever its case.
pub(super) fn equal(word: &[char], lower: &str) -> bool {
    word.len() == lower.len() && starts(word, lower)
}

/// Whether a text starts with the ASCII characters `lower`, whatever its case.
fn starts(text: &[char], lower: &str) -> bool {
    text.len() >= lower.len() && text.iter().zip(lower.chars()).all(|(c, l)| c.to_ascii_lowercase() == l)
}

/// The end of a run of characters from `at` on.
fn run(text: &[char], at: usize, belongs: impl Fn(char) -> bool) -> usize {
    at + text[at.min(text.len())..].iter().take_while(|c| belongs(**c)).count()
}

fn is(text: &[char], at: usize, belongs: impl Fn(char) -> bool) -> bool {
    text.get(at).is_some_and(|c| belongs(*c))
}

fn is_any(text: &[char], at: usize, of: &str) -> bool {
    is(text, at, |c| of.contains(c))
}

fn ascii_letter(c: char) -> bool {
    c.is_ascii_alphabetic()
}

/// A mark that may be repeated, or one character.
fn repeated(text: &[char]) -> usize {
    match text[0] {
        '!' | '?' => run(text, 0, |c| matches!(c, '!' | '?')),
        first @ ('-' | '_' | '*' | '#' | '@') => run(text, 0, |c| c == first),
        '.' if starts(text, "...") => 3,
        _ => 1,
    }
}

/// `<b>`, `</a>`, `<img src=x>`.
fn tag(text: &[char]) -> Option<Match> {
    let name = 1 + usize::from(is(text, 1, |c| c == '/'));
    let end = run(text, name, |c| !matches!(c, '<' | '>'));
    (text[0] == '<' && is(text, name, ascii_letter) && is(text, end, |c| c == '>')).then(|| token(end + 1))?
}

/// A character of HTML.
fn entity(text: &[char]) -> Option<Match> {
    token(ENTITIES.iter().find(|(name, _)| starts(text, name))?.0.len())
}

/// `http://example.org/a`, without the punctuation after it.
fn web_address(text: &[char]) -> Option<Match> {
    let host = ["http://", "https://"].iter().find(|name| starts(text, name))?.len();
    let end = run(text, host, |c| !is_blank(c) && !"<>\"()".contains(c));
    let end = end - text[host..end].iter().rev().take_while(|c| ".,!?:;'".contains(**c)).count();
    text[host..end].contains(&'.').then(|| token(end))?
}

/// `someone@example.org`
fn mail_address(text: &[char]) -> Option<Match> {
    let belongs = |c| is_letter_or_digit(c) || matches!(c, '.' | '-' | '_' | '+');
    let name = run(text, 0, belongs);
    if name == 0 || !is_letter_or_digit(text[0]) || !is(text, name, |c| c == '@') {
        return None;
    }
    let end = run(text, name + 1, belongs);
    let end = end - text[name + 1..end].iter().rev().take_while(|c| !is_letter_or_digit(**c)).count();
    (end > name + 1 && is(text, name + 1, is_letter_or_digit)).then(|| token(end))?
}

/// `@someone` and `#subject`
fn mention(text: &[char]) -> Option<Match> {
    let end = match text[0] {
        '@' if is(text, 1, |c| ascii_letter(c) || c == '_') => {
            run(text, 1, |c| c.is_ascii_alphanumeric() || c == '_')
        }
        '#' => run(text, 1, is_letter),
        _ => return None,
    };
    (end > 1).then(|| token(end))?
}

/// `do` before `n't`.
fn contracted_not(text: &[char]) -> Option<Match> {
    let length = run(text, 0, ascii_letter).checked_sub(1)?;
    let doubled = length > 0 && is_any(text, length - 1, "nN");
    (length > 0 && !doubled && not(&text[length..]).is_some()).then_some(Match { length, seen: length + 3 })
}

/// `n't`
fn not(text: &[char]) -> Option<Match> {
    (is_any(text, 0, "nN") && is(text, 1, is_apostrophe) && is_any(text, 2, "tT")).then(|| token(3))?
}

/// The length of `'s`, `'ll` and so on at `at`. Whether the word ends there matters to the straight
/// apostrophe only.
fn suffix_length(text: &[char], at: usize) -> Option<usize> {
    let rest = text.get(at + 1..)?;
    let ends = |length| text[at] == '’' || !is(rest, length, is_letter);
    let mut suffixes = ["s", "d", "m", "re", "ve", "ll"].iter().map(|suffix| (suffix, suffix.len()));
    let (_, length) = suffixes.find(|(suffix, length)| starts(rest, suffix) && ends(*length))?;
    is_apostrophe(text[at]).then_some(1 + length)
}

/// `it` before `'s`.
fn before_suffix(text: &[char]) -> Option<Match> {
    let length = run(text, 0, is_letter_or_digit);
    let suffix = suffix_length(text, length)?;
    (length > 0).then_some(Match { length, seen: length + suffix })
}

fn suffix(text: &[char]) -> Option<Match> {
    token(suffix_length(text, 0)?)
}

/// Whether a suffix follows.
pub(super) fn suffix_follows(text: &[char]) -> bool {
    suffix_length(text, 0).is_some()
}

/// Whether the token is `n't` or `'s` and the like, whose apostrophe is always written straight.
pub(super) fn is_contraction(word: &[char]) -> bool {
    match word.first() {
        Some(&c) if is_apostrophe(c) => suffix_length(word, 0) == Some(word.len()),
        Some('n' | 'N') => word.len() == 3 && not(word).is_some(),
        _ => false,
    }
}

/// What begins with an apostrophe: `'em`, `'cause`, `'n'`; `'t` of `'tis`.
fn short_form(text: &[char]) -> Option<Match> {
    if !is_apostrophe(text[0]) {
        return None;
    }
    let rest = &text[1..];
    if text[0] == '\'' && (starts(rest, "tis") || starts(rest, "twas")) {
        return token(2);
    }
    if is_any(rest, 0, "nN") && is(rest, 1, is_apostrophe) {
        return token(3);
    }
    if is_any(rest, 0, "nN") && !is(rest, 1, is_letter_or_digit) {
        return token(2);
    }
    let forms = ["till", "til", "cause", "em"];
    token(1 + forms.iter().find(|form| starts(rest, form))?.len())
}

/// `'80s`
fn decade(text: &[char]) -> Option<Match> {
    let two = is_apostrophe(text[0]) && is(text, 1, is_digit) && is(text, 2, is_digit);
    match text.get(3) {
        Some('s' | 'S') if two => token(4),
        Some(c) if two && is_blank(*c) => token(3),
        None if two => token(3),
        _ => None,
    }
}

/// Letters, with digits and accents after the first; so also several with a full stop or mark
/// between two: `dog.Cat`.
fn word(text: &[char]) -> Option<Match> {
    let belongs = |c| is_letter_or_digit(c) || is_mark(c);
    if !is_letter(text[0]) {
        return None;
    }
    let mut end = run(text, 1, belongs);
    while is_any(text, end, ".!?") && is(text, end + 1, is_letter) {
        end = run(text, end + 2, belongs);
    }
    token(end)
}

/// `pro-` of `pro- and anti-smoking`; other prefixes lose the hyphen.
fn prefix(text: &[char]) -> Option<Match> {
    token(["pro-", "anti-"].iter().find(|prefix| starts(text, prefix))?.len())
}

/// `t-shirt`, `d'or`, `5-year-old`
fn compound(text: &[char]) -> Option<Match> {
    let part = |at| {
        let start = if is_elision(text, at) { at + 2 } else { at };
        let end = run(text, start, is_letter_or_digit);
        (end > start).then_some(end)
    };
    let mut end = part(0)?;
    while is_any(text, end, "-_‐‑") {
        let Some(next) = part(end + 1) else { break };
        end = next;
    }
    token(end)
}

/// `d'`, `l'`, `n'` or `o'` before a word.
fn is_elision(text: &[char], at: usize) -> bool {
    is_any(text, at, "dDlLnNoO")
        && is(text, at + 1, is_apostrophe)
        && is(text, at + 2, is_letter_or_digit)
        && is(text, at + 3, is_letter_or_digit)
        && suffix_length(text, at + 1).is_none()
}

/// `3.5-inch`
fn dotted_compound(text: &[char]) -> Option<Match> {
    let part = |at| run(text, at, is_letter_or_digit);
    let mut end = part(0);
    while is_any(text, end, ".,") && end > 0 && part(end + 1) > end + 1 {
        end = part(end + 1);
    }
    let dotted = end + usize::from(is_any(text, end, "."));
    let mut after = dotted;
    while is_any(text, after, "-") && part(after + 1) > after + 1 {
        after = part(after + 1);
    }
    (end > 0 && after > dotted).then(|| token(after))?
}

/// `black/white/blue`, `24/7`
fn slashed(text: &[char]) -> Option<Match> {
    let part = |at| {
        let mut end = run(text, at, |c| c.is_ascii_alphanumeric());
        for _ in 0..2 {
            if end > at && is_any(text, end, "-") && is(text, end + 1, ascii_letter) {
                end = run(text, end + 1, ascii_letter);
            }
        }
        (end > at).then_some(end)
    };
    let mut end = part(0)?;
    for _ in 0..2 {
        if is_any(text, end, "/") {
            end = part(end + 1).unwrap_or(end);
        }
    }
    token(end)
}

/// Words with an apostrophe: `ma'am`, `c'est`, and `ol'`, `y'` of `y'all`.
fn elided(text: &[char]) -> Option<Match> {
    if let Some(whole) = ["c'est", "c'mon", "s'mores", "e'er"].iter().find(|whole| starts(text, whole)) {
        return token(whole.len());
    }
    let letters = run(text, 0, ascii_letter);
    if letters == 0 || !is(text, letters, is_apostrophe) {
        return None;
    }
    if letters > 1 && is_any(text, letters - 1, "aeiouyAEIOUY") && is_any(text, letters + 1, "aeiouAEIOU") {
        return token(run(text, letters + 1, ascii_letter));
    }
    let cut = ["d", "l", "j", "ol", "somethin", "dunkin"].iter().any(|cut| equal(&text[..letters], cut));
    let before_word = equal(&text[..letters], "y") && is(text, letters + 1, is_letter);
    (cut || before_word).then(|| token(letters + 1))?
}

/// `Mr.`, `No.` of `No. 5`, `Ph.D.`; the initial of `J. Smith`, but not the letter that ends a
/// sentence.
fn abbreviation(text: &[char]) -> Option<Match> {
    if let Some(whole) = ["ph.d.", "ed.d."].iter().find(|whole| starts(text, whole)) {
        return token(whole.len());
    }
    let end = run(text, 0, ascii_letter);
    if !is_any(text, end, ".") {
        return None;
    }
    let after = &text[end + 1..];
    match end {
        0 => None,
        1 => (!sentence_begins(after)).then(|| token(2))?,
        _ => keeps_stop(&text[..end], after).then(|| token(end + 1))?,
    }
}

/// Whether there is a blank and a word that begins a sentence.
fn sentence_begins(text: &[char]) -> bool {
    let start = run(text, 0, is_blank);
    let end = run(text, start, ascii_letter);
    start > 0 && begins_sentence(&text[start..end]) && (end == text.len() || is_blank(text[end]))
}

/// `U.S.`
fn acronym(text: &[char]) -> Option<Match> {
    let pairs = text.chunks_exact(2).take_while(|pair| ascii_letter(pair[0]) && pair[1] == '.').count();
    (pairs > 1).then(|| token(2 * pairs))?
}

/// A word or number keeps the full stop before a comma, colon or semicolon.
fn before_stop(text: &[char]) -> Option<Match> {
    let word = [word, compound, number].iter().filter_map(|rule| rule(text)).map(|found| found.length);
    let end = word.max()?;
    (is_any(text, end, ".") && is_any(text, end + 1, ",:;"))
        .then_some(Match { length: end + 1, seen: end + 2 })
}

/// `AT&T`
fn ampersands(text: &[char]) -> Option<Match> {
    let part = |at| run(text, at, |c| c.is_ascii_uppercase());
    let mut end = part(0);
    let first = end;
    while first > 0 && is_any(text, end, "&") && part(end + 1) > end + 1 {
        end = part(end + 1);
    }
    (end > first).then(|| token(end))?
}

/// `C++`, `C#`, `US$`
fn named_language_or_currency(text: &[char]) -> Option<Match> {
    if let Some(name) = ["c++", "c#", "f#"].iter().find(|name| starts(text, name)) {
        return token(name.len());
    }
    let end = run(text, 0, |c| c.is_ascii_uppercase());
    (end > 0 && is_any(text, end, "$")).then(|| token(end + 1))?
}

/// `1,234.56`, `10:45`, `.5`, `-3`
fn number(text: &[char]) -> Option<Match> {
    let digits = |at| run(text, at, is_digit);
    let sign = usize::from(is_any(text, 0, "+-"));
    let mut end = digits(sign);
    while is_any(text, end, ".,:") && digits(end + 1) > end + 1 {
        end = digits(end + 1);
    }
    (end > sign).then(|| token(end))?
}

/// `1 1/2`
fn mixed_fraction(text: &[char]) -> Option<Match> {
    let digits = |at| Some(run(text, at, is_digit)).filter(|end| (1..=4).contains(&(end - at)));
    let whole = digits(0)?;
    if !is_any(text, whole, " \u{a0}-") {
        return None;
    }
    let numerator = digits(whole + 1)?;
    if !is_any(text, numerator, "/") {
        return None;
    }
    // Digits after the fourth are another token.
    let denominator = run(text, numerator + 1, is_digit).min(numerator + 5);
    (denominator > numerator + 1).then(|| token(denominator))?
}

/// `:-)`, `;D`, `=(`, `^_^`
fn emoticon(text: &[char]) -> Option<Match> {
    if let Some(face) = ["^_^", "-_-"].iter().find(|face| starts(text, face)) {
        return token(face.len());
    }
    let eyes = usize::from(text[0] == '>');
    let nose = eyes + 1 + usize::from(is_any(text, eyes + 1, "-'"));
    let face = is_any(text, eyes, ":;=") && is_any(text, nose, "()|DPpO3");
    (face && !is(text, nose + 1, is_letter_or_digit)).then(|| token(nose + 1))?
}
