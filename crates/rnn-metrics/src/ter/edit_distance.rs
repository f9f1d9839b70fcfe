//! The edit distance without shifts, near the diagonal.

use crate::levenshtein::Operation;

/// How far from the diagonal an alignment may go, in words.
const BEAM_WIDTH: usize = 25;

/// Larger than any distance, and far enough from overflow.
const INFINITY: usize = usize::MAX / 2;

/// Distances between one reference and hypotheses that mostly begin alike.
///
/// The table D(i, j), first i words of the hypothesis against first j words of the reference, is
/// kept: for the next hypothesis of the same length, rows are computed from the first word on that
/// differs.
pub(super) struct EditDistance<'a> {
    reference: &'a [u32],
    hypothesis: Vec<u32>,
    /// Row i = 0 …, column j = 0 …: the distance and the last operation that leads to it.
    cells: Vec<(usize, Operation)>,
}

impl<'a> EditDistance<'a> {
    pub(super) fn new(reference: &'a [u32]) -> Self {
        let cells = (0..=reference.len()).map(|j| (j, Operation::Delete)).collect();
        EditDistance { reference, hypothesis: Vec::new(), cells }
    }

    /// The number of insertions, deletions and replacements.
    pub(super) fn of(&mut self, hypothesis: &[u32]) -> usize {
        let width = self.reference.len() + 1;
        let known = match hypothesis.len() == self.hypothesis.len() {
            true => hypothesis.iter().zip(&self.hypothesis).take_while(|(a, b)| a == b).count(),
            false => 0, // another length has another diagonal
        };
        self.hypothesis.clear();
        self.hypothesis.extend_from_slice(hypothesis);
        self.cells.truncate((known + 1) * width);
        self.cells.resize((hypothesis.len() + 1) * width, (INFINITY, Operation::Delete));
        for i in known + 1..=hypothesis.len() {
            self.fill(i);
        }
        self.cells[self.cells.len() - 1].0
    }

    /// Computes row `i`, where the one before is known.
    fn fill(&mut self, i: usize) {
        let (rows, width) = (self.hypothesis.len(), self.reference.len() + 1);
        let ratio = self.reference.len() as f64 / rows as f64;
        // Wide enough for the next row's beam to overlap with this one's.
        let beam = match (BEAM_WIDTH as f64) < ratio / 2.0 {
            true => (ratio / 2.0 + BEAM_WIDTH as f64).ceil() as usize,
            false => BEAM_WIDTH,
        };
        let diagonal = (i as f64 * ratio).floor() as usize;
        let end = if i == rows { width } else { width.min(diagonal + beam) };
        let (above, row) = self.cells.split_at_mut(i * width);
        let above = &above[(i - 1) * width..];
        for j in diagonal.saturating_sub(beam)..end {
            if j == 0 {
                row[0] = (above[0].0 + 1, Operation::Insert);
                continue;
            }
            let (cost, operation) = match self.hypothesis[i - 1] == self.reference[j - 1] {
                true => (0, Operation::Match),
                false => (1, Operation::Substitute),
            };
            // In this order of preference; a cell outside the beam stays at infinity.
            let mut best = (INFINITY, Operation::Delete);
            for (distance, operation) in [
                (above[j - 1].0 + cost, operation),
                (above[j].0 + 1, Operation::Insert),
                (row[j - 1].0 + 1, Operation::Delete),
            ] {
                if distance < best.0 {
                    best = (distance, operation);
                }
            }
            row[j] = best;
        }
    }

    /// The operations of the last distance's alignment, from the beginning to the end.
    pub(super) fn operations(&self) -> Vec<Operation> {
        let width = self.reference.len() + 1;
        let (mut i, mut j) = (self.hypothesis.len(), self.reference.len());
        let mut backwards = Vec::with_capacity(i + j);
        while i > 0 || j > 0 {
            let operation = match (i, j) {
                (0, _) => Operation::Delete,
                (_, 0) => Operation::Insert,
                _ => self.cells[i * width + j].1,
            };
            i -= usize::from(operation != Operation::Delete);
            j -= usize::from(operation != Operation::Insert);
            backwards.push(operation);
        }
        backwards.reverse();
        backwards
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::levenshtein;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn short_lines_are_all_within_the_beam(
            reference in prop::collection::vec(0u32..4, 1..20),
            hypotheses in prop::collection::vec(prop::collection::vec(0u32..4, 0..20), 1..8)
        ) {
            let mut distance = EditDistance::new(&reference);
            for hypothesis in &hypotheses {
                let operations = levenshtein::align(&reference, hypothesis);
                let errors = |operations: &[Operation]| {
                    operations.iter().filter(|operation| **operation != Operation::Match).count()
                };
                prop_assert_eq!(distance.of(hypothesis), errors(&operations));
                prop_assert_eq!(errors(&distance.operations()), errors(&operations));
            }
        }

        #[test]
        fn what_is_kept_from_the_last_hypothesis_changes_nothing(
            reference in prop::collection::vec(0u32..9, 1..90),
            hypothesis in prop::collection::vec(0u32..9, 1..90), at in any::<prop::sample::Index>()
        ) {
            let mut changed = hypothesis.clone();
            changed[at.index(hypothesis.len())] = 9;
            let mut kept = EditDistance::new(&reference);
            kept.of(&hypothesis);
            let mut fresh = EditDistance::new(&reference);
            prop_assert_eq!(kept.of(&changed), fresh.of(&changed));
            prop_assert_eq!(kept.operations(), fresh.operations());
        }
    }
}
