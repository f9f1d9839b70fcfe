//! Models from texts, by interpolated modified Kneser–Ney smoothing.

use std::collections::HashMap;

use super::{Entry, Ngram, NgramError, SENTENCE_END, SENTENCE_START, UNKNOWN, Vocabulary};

/// Interpolated Kneser–Ney smoothing with three discounts (Chen and Goodman 1998, *An empirical study of
/// smoothing techniques for language modeling*, section 3.1, "modified"):
///
/// ```text
/// p(w | h) = (c(h w) - D(c(h w))) / Σ_v c(h v) + γ(h) p(w | h')
/// γ(h) = (D1 N1(h) + D2 N2(h) + D3+ N3+(h)) / Σ_v c(h v)
/// D1 = 1 - 2 Y n2 / n1     D2 = 2 - 3 Y n3 / n2     D3+ = 3 - 4 Y n4 / n3     Y = n1 / (n1 + 2 n2)
/// ```
///
/// where `h'` is `h` without its first word, `N_r(h)` the number of words that follow `h` `r` times and
/// `n_r` the number of entries of the same length with the count `r`. `c` counts occurrences for the
/// longest entries and those that begin a sentence, for the others the different words before them. At
/// the end of the recursion stands the uniform distribution over the words, `</s>` and `<unk>`.
///
/// From little text, where a count of counts is zero or a discount is not above 0, the discounts of that
/// length are 0.5, 1 and 1.5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KneserNey {
    /// Words in a row to count at most, at least 1.
    pub order: usize,
}

/// Counts of the entries of one length.
type Counts = HashMap<Box<[u32]>, u64>;

const UNKNOWN_ID: u32 = 0;
const START_ID: u32 = 1;
const END_ID: u32 = 2;

/// `log10 p` of what is never predicted, as files have it.
const NEVER: f64 = -99.;

impl KneserNey {
    /// The model of these sentences. Words that are `<unk>` count as unknown ones.
    ///
    /// # Errors
    /// An order of 0, no sentence, a word that is `<s>` or `</s>`, empty or has white space in it.
    pub fn estimate<'a, S>(&self, sentences: impl IntoIterator<Item = S>) -> Result<Ngram, NgramError>
    where
        S: IntoIterator<Item = &'a str>,
    {
        if self.order == 0 {
            return Err(NgramError::Order(0));
        }
        let mut vocabulary = Vocabulary::default();
        for (word, id) in [(UNKNOWN, UNKNOWN_ID), (SENTENCE_START, START_ID), (SENTENCE_END, END_ID)] {
            assert_eq!(vocabulary.add(word), id);
        }
        let counts = self.counts(sentences, &mut vocabulary)?;
        let mut entries = vec![unigrams(&counts[0], vocabulary.words.len() as u32)];
        for counts in &counts[1..] {
            let longer = interpolate(counts, entries.last_mut());
            entries.push(longer);
        }
        let Vocabulary { words, ids } = vocabulary;
        Ok(Ngram { words, ids, entries })
    }

    /// `c` of every entry, by length.
    fn counts<'a, S>(
        &self,
        sentences: impl IntoIterator<Item = S>,
        vocabulary: &mut Vocabulary,
    ) -> Result<Vec<Counts>, NgramError>
    where
        S: IntoIterator<Item = &'a str>,
    {
        let mut counts = vec![Counts::new(); self.order];
        let mut ids = Vec::new();
        let mut any = false;
        for (sentence, words) in sentences.into_iter().enumerate() {
            any = true;
            ids.clear();
            ids.push(START_ID);
            for word in words {
                if [SENTENCE_START, SENTENCE_END].contains(&word) {
                    return Err(NgramError::Reserved { sentence, word: word.into() });
                }
                if word.is_empty() || word.contains(|c: char| c.is_ascii_whitespace()) {
                    return Err(NgramError::Word { sentence, word: word.into() });
                }
                ids.push(vocabulary.add(word));
            }
            ids.push(END_ID);
            for words in ids.windows(self.order) {
                *counts[self.order - 1].entry(words.into()).or_default() += 1;
            }
            for length in 2..self.order.min(ids.len() + 1) {
                *counts[length - 1].entry(ids[..length].into()).or_default() += 1;
            }
        }
        if !any {
            return Err(NgramError::NoText);
        }
        for length in (1..self.order).rev() {
            let (shorter, longer) = counts.split_at_mut(length);
            for words in longer[0].keys() {
                *shorter[length - 1].entry(words[1..].into()).or_default() += 1;
            }
        }
        // Nothing predicts the start.
        counts[0].remove(&[START_ID][..]);
        Ok(counts)
    }
}

/// The entries of single words.
fn unigrams(counts: &Counts, words: u32) -> HashMap<Box<[u32]>, Entry> {
    let discounts = Discounts::of(counts);
    let mut total = Followers::default();
    counts.values().for_each(|&count| total.add(count));
    let uniform = total.left(&discounts) / f64::from(words - 1);
    let entry = |word: u32| {
        let count = counts.get(&[word][..]).copied().unwrap_or(0);
        let p = (count as f64 - discounts.of_count(count)) / total.sum as f64 + uniform;
        let log_prob = if word == START_ID { NEVER } else { p.log10() };
        (Box::from([word]), Entry { log_prob, back_off: 0. })
    };
    (0..words).map(entry).collect()
}

/// The entries of one length, given those one shorter, which get their back-off weights.
fn interpolate(
    counts: &Counts,
    shorter: Option<&mut HashMap<Box<[u32]>, Entry>>,
) -> HashMap<Box<[u32]>, Entry> {
    let Some(shorter) = shorter else { return HashMap::new() };
    let discounts = Discounts::of(counts);
    let mut followers: HashMap<&[u32], Followers> = HashMap::new();
    for (words, &count) in counts {
        followers.entry(&words[..words.len() - 1]).or_default().add(count);
    }
    let mut entries = HashMap::with_capacity(counts.len());
    for (words, &count) in counts {
        let followers = &followers[&words[..words.len() - 1]];
        let lower = 10f64.powf(shorter[&words[1..]].log_prob);
        let p = (count as f64 - discounts.of_count(count)) / followers.sum as f64
            + followers.left(&discounts) * lower;
        entries.insert(words.clone(), Entry { log_prob: p.log10().min(0.), back_off: 0. });
    }
    for (history, followers) in followers {
        if let Some(entry) = shorter.get_mut(history) {
            entry.back_off = followers.left(&discounts).log10();
        }
    }
    entries
}

/// The counts of what follows a history.
#[derive(Default)]
struct Followers {
    sum: u64,
    /// `N1`, `N2` and `N3+`
    with_count: [u64; 3],
}

impl Followers {
    fn add(&mut self, count: u64) {
        self.sum += count;
        self.with_count[count.clamp(1, 3) as usize - 1] += 1;
    }

    /// `γ`: the share that the discounts leave to shorter histories.
    fn left(&self, discounts: &Discounts) -> f64 {
        let discounted = self.with_count.iter().zip(discounts.0);
        discounted.map(|(&n, discount)| n as f64 * discount).sum::<f64>() / self.sum as f64
    }
}

/// `D1`, `D2` and `D3+`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Discounts([f64; 3]);

impl Discounts {
    fn of(counts: &Counts) -> Self {
        let mut counts_of_counts = [0u64; 4];
        for &count in counts.values() {
            if (1..=4).contains(&count) {
                counts_of_counts[count as usize - 1] += 1;
            }
        }
        Self::of_counts_of_counts(counts_of_counts)
    }

    fn of_counts_of_counts(n: [u64; 4]) -> Self {
        let n = n.map(|n| n as f64);
        let y = n[0] / (n[0] + 2. * n[1]);
        let discounts = [1., 2., 3.].map(|r: f64| r - (r + 1.) * y * n[r as usize] / n[r as usize - 1]);
        let good = n.iter().all(|&n| n > 0.) && discounts.iter().all(|&discount| discount > 0.);
        Self(if good { discounts } else { [0.5, 1., 1.5] })
    }

    fn of_count(&self, count: u64) -> f64 {
        match count {
            0 => 0.,
            _ => self.0[count.min(3) as usize - 1],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_tiny_model_has_the_probabilities_computed_by_hand() {
        let model = KneserNey { order: 2 }.estimate([vec!["a", "b"], vec!["a"]]).unwrap();
        let p = |before: Option<&str>, word: &str| {
            let state = match before {
                Some(SENTENCE_START) => model.start(),
                Some(before) => model.score(&model.anywhere(), model.word(before)).1,
                None => model.anywhere(),
            };
            model.score(&state, model.word(word)).0.exp()
        };
        // Different words before: a 1, b 1, </s> 2. Discounts 0.5, 1: left are 2 of 4, shared by four words.
        // Pairs: `<s> a` twice, `a b`, `a </s>`, `b </s>` once.
        for (before, word, expected) in [
            (None, "a", 0.5 / 4. + 0.125),
            (None, "b", 0.5 / 4. + 0.125),
            (None, "</s>", 1. / 4. + 0.125),
            (None, "<unk>", 0.125),
            (Some("<s>"), "a", 0.5 + 0.5 * 0.25),
            (Some("<s>"), "b", 0.5 * 0.25),
            (Some("a"), "b", 0.25 + 0.5 * 0.25),
            (Some("a"), "</s>", 0.25 + 0.5 * 0.375),
            (Some("a"), "a", 0.5 * 0.25),
            (Some("b"), "</s>", 0.5 + 0.5 * 0.375),
        ] {
            assert!((p(before, word) - expected).abs() < 1e-12, "{before:?} {word}: {}", p(before, word));
        }
    }

    #[test]
    fn discounts_come_from_counts_of_counts_where_there_are_any() {
        assert_eq!(Discounts::of_counts_of_counts([4, 2, 1, 1]), Discounts([0.5, 1.25, 1.]));
        assert_eq!(Discounts::of_counts_of_counts([4, 2, 1, 0]), Discounts([0.5, 1., 1.5]));
        // D2 = 2 - 3 · 0.5 · 4 / 2 is below 0
        assert_eq!(Discounts::of_counts_of_counts([4, 2, 4, 1]), Discounts([0.5, 1., 1.5]));
    }

    #[test]
    fn what_cannot_be_counted_is_an_error() {
        let none: [[&str; 0]; 0] = [];
        assert!(matches!(KneserNey { order: 2 }.estimate(none), Err(NgramError::NoText)));
        assert!(matches!(KneserNey { order: 0 }.estimate([["a"]]), Err(NgramError::Order(0))));
        for word in ["<s>", "</s>", "", "a b"] {
            let error = KneserNey { order: 2 }.estimate([["a"], [word]]).unwrap_err().to_string();
            assert!(error.starts_with("sentence 1"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn probabilities_add_up_to_one_after_any_history(
            texts in prop::collection::vec(prop::collection::vec(0usize..6, 0..12), 1..12),
            history in prop::collection::vec(0usize..7, 0..6),
            order in 1usize..5,
        ) {
            const WORDS: [&str; 7] = ["a", "b", "c", "d", "<unk>", "e", "never"];
            let sentences = texts.iter().map(|text| text.iter().map(|&word| WORDS[word]));
            let model = KneserNey { order }.estimate(sentences).unwrap();
            for start in [model.start(), model.anywhere()] {
                let state = history.iter().fold(start, |state, &word| {
                    model.score(&state, model.word_or_unknown(WORDS[word])).1
                });
                let predicted = model.words().iter().filter(|word| *word != SENTENCE_START);
                let sum: f64 =
                    predicted.map(|word| model.score(&state, model.word(word)).0.exp()).sum();
                prop_assert!((sum - 1.).abs() < 1e-9, "{sum}");
            }
        }
    }
}
