//! The greedy search for shifts.

use std::cmp::Reverse;

use super::edit_distance::EditDistance;
use crate::levenshtein::Operation;

/// The longest run of words that is shifted.
const MAX_LENGTH: usize = 10;

/// How far a run may be from its place in the reference, in words.
const MAX_DISTANCE: usize = 50;

/// After so many tried shifts of one sentence, no more are looked for.
const MAX_CANDIDATES: usize = 1000;

/// The number of edits, shifts included, between two lines. Words are numbers.
pub(super) fn edits(hypothesis: &[u32], reference: &[u32]) -> usize {
    if reference.is_empty() {
        return hypothesis.len();
    }
    let mut distance = EditDistance::new(reference);
    let mut words = hypothesis.to_vec();
    let (mut shifts, mut tried) = (0, 0);
    // A shift is an edit: it must save at least one other.
    while let Some(shift) = best_shift(&words, reference, &mut distance, &mut tried) {
        if tried >= MAX_CANDIDATES || shift.gain <= 0 {
            break;
        }
        words = shift.apply(&words);
        shifts += 1;
    }
    shifts + distance.of(&words)
}

/// The words `start..start + length` go before what is now word `target`. In the order of
/// preference: the one that saves the most, then the longest, then the first, then the one with
/// the first target.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Shift {
    /// How many edits are saved.
    gain: isize,
    length: usize,
    start: Reverse<usize>,
    target: Reverse<usize>,
}

impl Shift {
    fn apply(&self, words: &[u32]) -> Vec<u32> {
        let (Reverse(start), Reverse(target)) = (self.start, self.target);
        let end = start + self.length;
        let mut shifted = words.to_vec();
        if target < start {
            shifted[target..end].rotate_right(self.length);
        } else if target > end {
            shifted[start..target].rotate_left(self.length);
        } else {
            // A target within the run counts from the run's own beginning: the run moves behind
            // as many of the words that follow it. At the end of the line there may be fewer.
            let behind = words.len().min(self.length + target);
            shifted[start..behind].rotate_left(self.length);
        }
        shifted
    }
}

/// The best of the shifts that Tercom tries, whether or not it saves an edit.
fn best_shift(
    words: &[u32],
    reference: &[u32],
    distance: &mut EditDistance,
    tried: &mut usize,
) -> Option<Shift> {
    let before = distance.of(words) as isize;
    let alignment = Alignment::new(&distance.operations());
    let mut best: Option<Shift> = None;
    for (start, at, length) in common_runs(words, reference) {
        let end = start + length;
        // Only what is wrong here, and would be right where something is wrong there.
        if !alignment.wrong_words[start..end].contains(&true)
            || !alignment.wrong_references[at..at + length].contains(&true)
        {
            continue;
        }
        // Not to a place within itself.
        if (start + 1..end + 1).contains(&alignment.after[at]) {
            continue;
        }
        // The places behind the words that are aligned with the reference from the one before the
        // run on; or the beginning.
        let mut last = None;
        for place in at..=at + length {
            let target = place.checked_sub(1).map_or(0, |place| alignment.after[place]);
            if last.replace(target) == Some(target) {
                continue;
            }
            let mut shift = Shift { gain: 0, length, start: Reverse(start), target: Reverse(target) };
            shift.gain = before - distance.of(&shift.apply(words)) as isize;
            *tried += 1;
            best = best.max(Some(shift));
        }
        if *tried >= MAX_CANDIDATES {
            break;
        }
    }
    best
}

/// Runs of words that both lines have, not too far from each other: where they start in
/// `words` and in `reference`, and each length from 1 on.
fn common_runs(words: &[u32], reference: &[u32]) -> impl Iterator<Item = (usize, usize, usize)> {
    (0..words.len()).flat_map(move |start| {
        let near = start.saturating_sub(MAX_DISTANCE)..reference.len().min(start + MAX_DISTANCE + 1);
        near.flat_map(move |at| {
            let pairs = words[start..].iter().zip(&reference[at..]);
            let longest = pairs.take(MAX_LENGTH).take_while(|(a, b)| a == b).count();
            (1..=longest).map(move |length| (start, at, length))
        })
    })
}

/// Which word stands for which.
struct Alignment {
    /// For each word of the reference, the place behind the word of the hypothesis that stands for
    /// it, or if there is none, behind the last one before.
    after: Vec<usize>,
    /// Whether nothing equal stands for this word of the reference.
    wrong_references: Vec<bool>,
    /// Whether this word of the hypothesis stands for no equal one.
    wrong_words: Vec<bool>,
}

impl Alignment {
    fn new(operations: &[Operation]) -> Self {
        let mut alignment =
            Alignment { after: Vec::new(), wrong_references: Vec::new(), wrong_words: Vec::new() };
        for &operation in operations {
            let wrong = operation != Operation::Match;
            if operation != Operation::Delete {
                alignment.wrong_words.push(wrong);
            }
            if operation != Operation::Insert {
                alignment.after.push(alignment.wrong_words.len());
                alignment.wrong_references.push(wrong);
            }
        }
        alignment
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shifted(words: &[u32], start: usize, length: usize, target: usize) -> Vec<u32> {
        Shift { gain: 0, length, start: Reverse(start), target: Reverse(target) }.apply(words)
    }

    #[test]
    fn a_run_is_shifted_forth_back_and_behind_its_followers() {
        let words = [0, 1, 2, 3, 4, 5];
        assert_eq!(shifted(&words, 3, 2, 1), [0, 3, 4, 1, 2, 5]);
        assert_eq!(shifted(&words, 1, 2, 5), [0, 3, 4, 1, 2, 5]);
        assert_eq!(shifted(&words, 1, 2, 2), [0, 3, 1, 2, 4, 5]);
        assert_eq!(shifted(&words, 1, 2, 3), [0, 3, 4, 1, 2, 5]);
        assert_eq!(shifted(&words, 1, 2, 1), words);
    }

    #[test]
    fn swapped_halves_are_one_edit() {
        assert_eq!(edits(&[4, 5, 6, 1, 2, 3], &[1, 2, 3, 4, 5, 6]), 1);
        assert_eq!(edits(&[1, 3, 2, 4], &[1, 2, 3, 4]), 1);
        assert_eq!(edits(&[1, 2, 3], &[]), 3);
        assert_eq!(edits(&[], &[1, 2]), 2);
    }

    proptest! {
        #[test]
        fn a_shift_keeps_all_words(
            words in prop::collection::vec(0u32..9, 1..20), a in any::<prop::sample::Index>(),
            b in any::<prop::sample::Index>(), c in any::<prop::sample::Index>()
        ) {
            let start = a.index(words.len());
            let length = 1 + b.index(words.len() - start);
            let mut shifted = shifted(&words, start, length, c.index(words.len() + 1));
            shifted.sort_unstable();
            let mut expected = words.clone();
            expected.sort_unstable();
            prop_assert_eq!(shifted, expected);
        }
    }
}
