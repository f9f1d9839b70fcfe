//! Words and phrases that are likely to be said, more likely than the network knows.

use std::collections::{HashMap, VecDeque};

use super::CtcError;

/// Phrases, each with a bonus in nats that a hypothesis earns whenever it has the phrase in it. A bonus
/// below 0 makes a phrase less likely.
///
/// A hypothesis that is in the middle of a phrase has its share of the bonus in advance, so that the
/// search does not drop it before the phrase is complete, and loses it when it goes on otherwise. The
/// phrases are found all at once, in an automaton (Aho and Corasick 1975, *Efficient string matching*).
#[derive(Clone, Debug)]
pub struct HotWords {
    separator: Option<u32>,
    next: HashMap<(u32, u32), u32>,
    nodes: Vec<Node>,
}

/// The beginning of a phrase.
#[derive(Clone, Copy, Debug, Default)]
struct Node {
    /// The longest beginning of a phrase that this one ends with.
    fallback: u32,
    /// Bonus of the phrases that end here, by themselves or at the end of this one.
    complete: f64,
    /// Share of the bonus of the phrase that begins like this.
    advance: f64,
}

/// Where a hypothesis is among the phrases, and what it has earned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct HotState {
    node: u32,
    earned: f64,
}

impl HotWords {
    /// Phrases of symbols and their bonuses. With a separator of words, a phrase counts only as whole
    /// words (and may have separators within); without, wherever it occurs.
    ///
    /// # Errors
    /// When a phrase is empty, begins or ends with the separator, or its bonus is no number.
    pub fn new<P: AsRef<[u32]>>(
        phrases: impl IntoIterator<Item = (P, f64)>,
        separator: Option<u32>,
    ) -> Result<Self, CtcError> {
        let mut words = Self { separator, next: HashMap::new(), nodes: vec![Node::default()] };
        for (number, (phrase, bonus)) in phrases.into_iter().enumerate() {
            let phrase = phrase.as_ref();
            let (Some(first), Some(last)) = (phrase.first(), phrase.last()) else {
                return Err(CtcError::Word { number, reason: "it is empty" });
            };
            if separator.is_some() && [Some(*first), Some(*last)].contains(&separator) {
                return Err(CtcError::Word { number, reason: "it begins or ends with a separator of words" });
            }
            if !bonus.is_finite() {
                return Err(CtcError::Word { number, reason: "its bonus is not a number" });
            }
            words.add(phrase, bonus);
        }
        words.link();
        Ok(words)
    }

    fn add(&mut self, phrase: &[u32], bonus: f64) {
        let mut node = 0;
        if let Some(separator) = self.separator {
            node = self.child(node, separator);
        }
        for (i, &symbol) in phrase.iter().enumerate() {
            node = self.child(node, symbol);
            let complete = i + 1 == phrase.len() && self.separator.is_none();
            let share = bonus * (i + 1) as f64 / phrase.len() as f64;
            let Node { advance, .. } = &mut self.nodes[node as usize];
            if !complete && share.abs() > advance.abs() {
                *advance = share;
            }
        }
        if let Some(separator) = self.separator {
            node = self.child(node, separator);
        }
        self.nodes[node as usize].complete += bonus;
    }

    fn child(&mut self, node: u32, symbol: u32) -> u32 {
        let fresh = self.nodes.len() as u32;
        let child = *self.next.entry((node, symbol)).or_insert(fresh);
        if child == fresh {
            self.nodes.push(Node::default());
        }
        child
    }

    /// Sets the fallbacks, from the shortest beginnings to the longest.
    fn link(&mut self) {
        let mut children: Vec<Vec<(u32, u32)>> = vec![Vec::new(); self.nodes.len()];
        for (&(node, symbol), &child) in &self.next {
            children[node as usize].push((symbol, child));
        }
        let mut queue: VecDeque<u32> = children[0].iter().map(|&(_, child)| child).collect();
        while let Some(node) = queue.pop_front() {
            let fallback = self.nodes[node as usize].fallback;
            self.nodes[node as usize].complete += self.nodes[fallback as usize].complete;
            for &(symbol, child) in &children[node as usize] {
                self.nodes[child as usize].fallback = self.follow(fallback, symbol);
                queue.push_back(child);
            }
        }
    }

    /// The longest beginning of a phrase that ends with this symbol after that node.
    fn follow(&self, mut node: u32, symbol: u32) -> u32 {
        loop {
            if let Some(&next) = self.next.get(&(node, symbol)) {
                return next;
            }
            if node == 0 {
                return 0;
            }
            node = self.nodes[node as usize].fallback;
        }
    }

    /// Before the first symbol, which begins a word.
    pub(super) fn start(&self) -> HotState {
        let node = self.separator.map_or(0, |separator| self.follow(0, separator));
        HotState { node, earned: 0. }
    }

    pub(super) fn step(&self, state: HotState, symbol: u32) -> HotState {
        let node = self.follow(state.node, symbol);
        HotState { node, earned: state.earned + self.nodes[node as usize].complete }
    }

    /// What the search counts: what is earned, and the advance.
    pub(super) fn bonus(&self, state: HotState) -> f64 {
        state.earned + self.nodes[state.node as usize].advance
    }

    /// What is earned when nothing follows, which ends a word.
    pub(super) fn earned(&self, state: HotState) -> f64 {
        self.separator.map_or(state, |separator| self.step(state, separator)).earned
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn earned(words: &HotWords, symbols: &[u32]) -> f64 {
        let end = symbols.iter().fold(words.start(), |state, &symbol| words.step(state, symbol));
        words.earned(end)
    }

    #[test]
    fn a_phrase_is_counted_wherever_it_is_found_also_within_another() {
        let words = HotWords::new([(&[1u32, 2, 3][..], 2.), (&[2, 3], 0.5), (&[3, 1, 2], 4.)], None).unwrap();
        for (symbols, expected) in [
            (&[][..], 0.),
            (&[1, 2], 0.),
            (&[2, 3], 0.5),
            (&[1, 2, 3], 2.5),
            (&[1, 2, 3, 1, 2, 3], 9.),
            (&[4, 1, 1, 2, 3, 4], 2.5),
        ] {
            assert_eq!(earned(&words, symbols), expected, "{symbols:?}");
        }
    }

    #[test]
    fn with_a_separator_only_whole_words_count() {
        let words = HotWords::new([(&[1u32, 2][..], 3.), (&[1, 2, 9, 4], 1.)], Some(9)).unwrap();
        for (symbols, expected) in [
            (&[1u32, 2][..], 3.),
            (&[1, 2, 3], 0.),
            (&[3, 1, 2], 0.),
            (&[1, 2, 9, 1, 2, 9], 6.),
            (&[1, 2, 9, 4], 4.),
            (&[1, 2, 9, 4, 4], 3.),
        ] {
            assert_eq!(earned(&words, symbols), expected, "{symbols:?}");
        }
    }

    #[test]
    fn an_advance_is_taken_back() {
        let words = HotWords::new([([1u32, 2, 3, 4], 8.)], None).unwrap();
        let mut state = words.start();
        let mut bonuses = Vec::new();
        for symbol in [1, 2, 3, 1, 2, 3, 4, 5] {
            state = words.step(state, symbol);
            bonuses.push(words.bonus(state));
        }
        assert_eq!(bonuses, [2., 4., 6., 2., 4., 6., 8., 8.]);
    }

    #[test]
    fn a_phrase_that_is_none_is_refused_by_its_number() {
        let refused = |phrase: &[u32], bonus| HotWords::new([(&[1u32][..], 1.), (phrase, bonus)], Some(9));
        for (phrase, bonus) in [(&[][..], 1.), (&[9, 1], 1.), (&[1], f64::NAN)] {
            assert!(matches!(refused(phrase, bonus), Err(CtcError::Word { number: 1, .. })));
        }
    }
}
