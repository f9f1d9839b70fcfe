//! The fewest changes that turn one row of words or characters into another.

/// What happens at one place of an alignment, seen from the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Both have the same.
    Match,
    /// The hypothesis has another.
    Substitute,
    /// The hypothesis has nothing.
    Delete,
    /// The hypothesis has one more.
    Insert,
}

/// The operations, from the beginning to the end, of an alignment with the fewest errors
/// (Levenshtein 1966).
///
/// Where several alignments have the fewest errors, it is the one that jiwer's library, RapidFuzz,
/// chooses, since the numbers of substitutions, deletions and insertions depend on it: what both
/// have in common at the beginning and at the end is matched; in between, from the end to the
/// beginning, a deletion goes before a match or substitution, and these before an insertion.
///
/// Takes a byte for each pair of words that are not in the common beginning and end.
pub(crate) fn align<T: PartialEq>(reference: &[T], hypothesis: &[T]) -> Vec<Operation> {
    let common = |(a, b): &(&T, &T)| a == b;
    let prefix = reference.iter().zip(hypothesis).take_while(common).count();
    let (reference, hypothesis) = (&reference[prefix..], &hypothesis[prefix..]);
    let suffix = reference.iter().rev().zip(hypothesis.iter().rev()).take_while(common).count();
    let reference = &reference[..reference.len() - suffix];
    let hypothesis = &hypothesis[..hypothesis.len() - suffix];

    let mut backwards = vec![Operation::Match; suffix];
    let (rises, width) = (rises(reference, hypothesis), reference.len());
    let rise = |i: usize, j: usize| rises[i * width + j - 1];
    let (mut i, mut j) = (hypothesis.len(), reference.len());
    while i > 0 && j > 0 {
        if rise(i, j) == 1 {
            backwards.push(Operation::Delete);
            j -= 1;
            continue;
        }
        i -= 1;
        if rise(i, j) == -1 {
            backwards.push(Operation::Insert);
            continue;
        }
        j -= 1;
        backwards.push(match reference[j] == hypothesis[i] {
            true => Operation::Match,
            false => Operation::Substitute,
        });
    }
    backwards.extend(std::iter::repeat_n(Operation::Delete, j));
    backwards.extend(std::iter::repeat_n(Operation::Insert, i));
    backwards.extend(std::iter::repeat_n(Operation::Match, prefix));
    backwards.reverse();
    backwards
}

/// With D(i, j) the distance between the first i of the hypothesis and the first j of the
/// reference: D(i, j) − D(i, j − 1), which is −1, 0 or 1, for i = 0 … and j = 1 …, row by row.
fn rises<T: PartialEq>(reference: &[T], hypothesis: &[T]) -> Vec<i8> {
    let mut rises = vec![1; (hypothesis.len() + 1) * reference.len()];
    let mut distances: Vec<usize> = (0..=reference.len()).collect();
    for (i, word) in hypothesis.iter().enumerate() {
        let mut diagonal = distances[0];
        distances[0] = i + 1;
        for (j, other) in reference.iter().enumerate() {
            let replaced = diagonal + usize::from(word != other);
            diagonal = distances[j + 1];
            let distance = replaced.min(diagonal + 1).min(distances[j] + 1);
            rises[(i + 1) * reference.len() + j] = (distance as isize - distances[j] as isize) as i8;
            distances[j + 1] = distance;
        }
    }
    rises
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn letters(reference: &str, hypothesis: &str) -> String {
        let [reference, hypothesis] = [reference, hypothesis].map(|text| text.chars().collect::<Vec<_>>());
        let letter = |operation| match operation {
            Operation::Match => '=',
            Operation::Substitute => 'S',
            Operation::Delete => 'D',
            Operation::Insert => 'I',
        };
        align(&reference, &hypothesis).into_iter().map(letter).collect()
    }

    #[test]
    fn alignments_have_the_fewest_errors() {
        assert_eq!(letters("", ""), "");
        assert_eq!(letters("abc", "abc"), "===");
        assert_eq!(letters("abc", ""), "DDD");
        assert_eq!(letters("", "abc"), "III");
        assert_eq!(letters("kitten", "sitting"), "S===S=I");
        assert_eq!(letters("xabc", "abcy"), "D===I");
    }

    proptest! {
        #[test]
        fn operations_spell_both_sides(reference in "[abc]{0,12}", hypothesis in "[abc]{0,12}") {
            let operations = letters(&reference, &hypothesis);
            let (mut r, mut h) = (reference.chars(), hypothesis.chars());
            for operation in operations.chars() {
                match operation {
                    '=' => prop_assert_eq!(r.next(), h.next()),
                    'S' => prop_assert_ne!(r.next(), h.next()),
                    'D' => prop_assert!(r.next().is_some()),
                    _ => prop_assert!(h.next().is_some()),
                }
            }
            prop_assert_eq!((r.next(), h.next()), (None, None));
        }

        #[test]
        fn the_distance_is_the_same_both_ways(reference in "[abc]{0,12}", hypothesis in "[abc]{0,12}") {
            let errors = |a: &str, b: &str| letters(a, b).chars().filter(|c| *c != '=').count();
            prop_assert_eq!(errors(&reference, &hypothesis), errors(&hypothesis, &reference));
        }
    }
}
