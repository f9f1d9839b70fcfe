//! English and Traditional Chinese sentences from a small grammar of our own.
//!
//! The grammar is `rules.toml`, its vocabulary `words.toml`. A draw fills a rule
//! in both languages at once, so that a pair is a translation by construction.
//! What differs is the order (time and place before the verb), and what one
//! language has and the other lacks: measure words, the question particle and
//! aspect there, agreement, tense and articles here.

mod grammar;
mod words;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::RangeInclusive;
use std::sync::LazyLock;

use candle_rnn::Generator;

use grammar::Rules;
use words::Words;

/// The seed of [`translation`].
const SEED: u64 = 42;
/// One combination of words in so many is kept out of training.
const HELD_OUT: usize = 8;
const TRAIN: usize = 6000;
const VALIDATION: usize = 300;
const TEST: usize = 500;
/// How often training has every word of the other parts, at least.
const OFTEN: usize = 10;
/// Words of an English sentence.
const LENGTHS: RangeInclusive<usize> = 3..=14;

/// A sentence in two languages.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pair {
    /// English: words with spaces between, a capital, a mark at the end.
    pub english: String,
    /// Traditional Chinese, without spaces.
    pub chinese: String,
    /// Whether it combines words (a verb with its object, an adjective with its
    /// noun) that are never combined in the training part.
    pub novel: bool,
}

/// The three parts of the set. No sentence of either language stands twice, so
/// that each has one translation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Translation {
    /// 6,000 pairs.
    pub train: Vec<Pair>,
    /// 300 pairs, half of them [`novel`](Pair::novel).
    pub validation: Vec<Pair>,
    /// 500 pairs, half of them [`novel`](Pair::novel).
    pub test: Vec<Pair>,
    /// The combinations that the training part lacks: verb and object, or
    /// adjective and noun, in English.
    pub held_out: BTreeSet<(String, String)>,
}

/// The embedded set: the same pairs on every machine.
///
/// ```
/// let set = datasets::embedded::translation();
/// assert_eq!(set.train.len(), 6000);
/// let pair = &set.train[0];
/// println!("{} = {}", pair.english, pair.chinese);
/// ```
pub fn translation() -> &'static Translation {
    static SET: LazyLock<Translation> = LazyLock::new(|| Translation::drawn_from(SEED));
    &SET
}

impl Translation {
    /// Other sentences of the same grammar, with other combinations held out.
    pub fn drawn_from(seed: u64) -> Self {
        let words = Words::read();
        let rules = Rules::read();
        let mut generator = Generator::new(seed);
        let mut combinations = words.combinations();
        generator.shuffle(&mut combinations);
        combinations.truncate(combinations.len() / HELD_OUT);
        let held_out: BTreeSet<_> = combinations.into_iter().collect();

        let mut draw = Draw { words, rules, generator, held_out, seen: HashSet::new() };
        let train: Vec<_> = (0..TRAIN).map(|_| draw.pair(|pair| !pair.novel)).collect();
        let counts = word_counts(&train);
        let is_known = |pair: &Pair| pair.words().all(|word| counts.get(word).is_some_and(|n| *n >= OFTEN));
        let mut part = |size: usize| {
            let pair =
                |index: usize| draw.pair(|pair| pair.novel == index.is_multiple_of(2) && is_known(pair));
            (0..size).map(pair).collect()
        };
        let validation = part(VALIDATION);
        let test = part(TEST);
        Self { train, validation, test, held_out: draw.held_out }
    }
}

impl Pair {
    /// English words, then Chinese characters, without the marks at the end.
    fn words(&self) -> impl Iterator<Item = &str> {
        let english = self.english.trim_end_matches(['.', '?']).split(' ');
        english.chain(self.chinese.split("").filter(|character| !character.is_empty()))
    }
}

/// How often each word of these pairs occurs.
fn word_counts(pairs: &[Pair]) -> HashMap<&str, usize> {
    let words = pairs.iter().flat_map(Pair::words);
    words.fold(HashMap::new(), |mut counts, word| {
        *counts.entry(word).or_default() += 1;
        counts
    })
}

/// The set on the way.
struct Draw {
    words: Words,
    rules: Rules,
    generator: Generator,
    held_out: BTreeSet<(String, String)>,
    /// The sentences so far, of both languages.
    seen: HashSet<String>,
}

impl Draw {
    /// The next new pair that is wanted.
    fn pair(&mut self, is_wanted: impl Fn(&Pair) -> bool) -> Pair {
        loop {
            let Some(sentence) = grammar::draw(&self.words, &self.rules, &mut self.generator) else {
                continue;
            };
            let novel = sentence.combinations.iter().any(|pair| self.held_out.contains(pair));
            let pair = Pair { english: sentence.english, chinese: sentence.chinese, novel };
            let is_new = !self.seen.contains(&pair.english) && !self.seen.contains(&pair.chinese);
            let length = pair.english.split(' ').count();
            if is_new && LENGTHS.contains(&length) && is_wanted(&pair) {
                self.seen.extend([pair.english.clone(), pair.chinese.clone()]);
                return pair;
            }
        }
    }
}

/// Pairs as tab-separated values, under a line with the names of the columns.
pub fn tsv(pairs: &[Pair]) -> String {
    let header = "en\tzh_TW\n".to_owned();
    pairs.iter().fold(header, |text, pair| text + &pair.english + "\t" + &pair.chinese + "\n")
}

#[cfg(test)]
mod tests;
