//! Counting n-grams.

use std::collections::HashMap;
use std::hash::Hash;

/// The n-grams of one length and how often each occurs.
pub(crate) type Counts<'a, T> = HashMap<&'a [T], usize>;

/// The n-grams of length `order` (≥ 1) of a row of words or characters.
pub(crate) fn count<T: Eq + Hash>(units: &[T], order: usize) -> Counts<'_, T> {
    let mut counts = Counts::new();
    for ngram in units.windows(order) {
        *counts.entry(ngram).or_insert(0) += 1;
    }
    counts
}

/// The n-grams that either has, each with the larger of its two counts.
pub(crate) fn most<'a, T: Eq + Hash>(mut one: Counts<'a, T>, other: Counts<'a, T>) -> Counts<'a, T> {
    for (ngram, count) in other {
        let most = one.entry(ngram).or_insert(0);
        *most = count.max(*most);
    }
    one
}

/// How many n-grams a row of `length` words or characters has.
pub(crate) fn total(length: usize, order: usize) -> usize {
    (length + 1).saturating_sub(order)
}

/// The number of n-grams that both have, each counted as often as it occurs in both.
pub(crate) fn matches<T: Eq + Hash>(hypothesis: &Counts<T>, reference: &Counts<T>) -> usize {
    hypothesis.iter().filter_map(|(ngram, count)| Some(*count.min(reference.get(ngram)?))).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ngram_matches_as_often_as_it_occurs_in_both() {
        let (hypothesis, reference) = (['a', 'a', 'a', 'b'], ['a', 'a', 'b', 'b', 'b']);
        assert_eq!(matches(&count(&hypothesis, 1), &count(&reference, 1)), 3);
        assert_eq!(matches(&count(&hypothesis, 2), &count(&reference, 2)), 2);
        let most = most(count(&hypothesis, 1), count(&reference, 1));
        assert_eq!((most[&['a'][..]], most[&['b'][..]]), (3, 3));
        assert_eq!(matches(&count(&hypothesis, 9), &count(&reference, 9)), 0);
        assert_eq!([1, 4, 5, 6].map(|order| total(4, order)), [4, 1, 0, 0]);
    }
}
