//! Prefix beam search: the most probable symbols over all their paths.

use std::cmp::Ordering;
use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::hot_words::HotState;
use super::{CtcError, HotWords, Lexicon, NoScorer, Scorer, TimedSymbol, align, check_frames, log_add};

/// How to search.
///
/// A prefix is a beginning of the sought symbols. After each frame the search knows, for each prefix it
/// follows, the probability `p_b` of all paths that become it and end with a blank, and `p_nb` of those
/// that end with its last symbol (Graves 2012, *Supervised sequence labelling with recurrent neural
/// networks*, section 7.5; Hannun et al. 2014, *First-pass large vocabulary continuous speech recognition
/// using bi-directional recurrent DNNs*, algorithm 1). It follows those with the highest
///
/// ```text
/// score(Y) = ln (p_b(Y) + p_nb(Y)) + scorer_weight · ln p_scorer(Y) + insertion_bonus · |Y| + hot(Y)
/// ```
///
/// where `|Y|` counts the scorer's units, words or symbols, and `hot(Y)` is what [`HotWords`] give.
///
/// ```
/// use rnn_decode::ctc::{Guide, PrefixBeam, greedy};
/// # fn main() -> Result<(), rnn_decode::CtcError> {
/// // Two frames of a blank and one symbol: the best path is blank twice, with 0.36, but three paths
/// // become `1`, together 0.64.
/// let log_probs = [0.6f32.ln(), 0.4f32.ln(), 0.6f32.ln(), 0.4f32.ln()];
/// assert!(greedy(&log_probs, 2, 0)?.is_empty());
/// let found = PrefixBeam::default().decode(&log_probs, 2, &Guide::default())?;
/// assert_eq!(found[0].symbols[0].symbol, 1);
/// assert!((found[0].log_prob.exp() - 0.64).abs() < 1e-6);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PrefixBeam {
    /// The symbol that stands for nothing.
    pub blank: u32,
    /// Prefixes that are followed at once, at least 1.
    pub beam: usize,
    /// Sequences to give at most, from 1 to `beam`.
    pub nbest: usize,
    /// How much the scorer's word counts, from 0 on.
    pub scorer_weight: f64,
    /// What each unit of the scorer adds to the score, in nats: a language model favours few units.
    pub insertion_bonus: f64,
    /// In a frame, a prefix is continued only by symbols with at least this log-probability: −∞ for all.
    pub min_log_prob: f32,
}

impl Default for PrefixBeam {
    /// A beam of 32 that continues by every symbol, and the best sequence.
    fn default() -> Self {
        Self {
            blank: 0,
            beam: 32,
            nbest: 1,
            scorer_weight: 1.,
            insertion_bonus: 0.,
            min_log_prob: f32::NEG_INFINITY,
        }
    }
}

/// What the search knows beside the frames.
#[derive(Clone, Debug)]
pub struct Guide<S = NoScorer> {
    /// A language model.
    pub scorer: S,
    /// Phrases that are worth more.
    pub hot_words: Option<HotWords>,
    /// The words that may be said; any symbols without.
    pub lexicon: Option<Lexicon>,
}

impl Default for Guide {
    /// Nothing.
    fn default() -> Self {
        Self { scorer: NoScorer, hot_words: None, lexicon: None }
    }
}

/// A sequence that was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CtcFound {
    /// Its symbols, with the frames of its most probable path ([`align`]).
    pub symbols: Vec<TimedSymbol>,
    /// Logarithm of the probability of all its paths that the search followed, in nats.
    pub log_prob: f64,
    /// What it was ranked by.
    pub score: f64,
}

impl PrefixBeam {
    /// The sequences in `log_probs [frames, symbols]`, from the best to the worst: at most `nbest`, and
    /// none if the lexicon leaves no prefix whose last word is finished.
    ///
    /// # Errors
    /// Settings out of range, frames that are not whole, a log-probability that is NaN or +∞.
    pub fn decode<S: Scorer>(
        &self,
        log_probs: &[f32],
        symbols: usize,
        guide: &Guide<S>,
    ) -> Result<Vec<CtcFound>, CtcError> {
        let mut decoding = self.start(symbols, guide)?;
        decoding.push(log_probs)?;
        Ok(decoding.finish())
    }

    /// Begins to decode an utterance that comes piece by piece, in frames of so many symbols.
    ///
    /// # Errors
    /// Settings out of range.
    pub fn start<'a, S: Scorer>(
        &'a self,
        symbols: usize,
        guide: &'a Guide<S>,
    ) -> Result<Decoding<'a, S>, CtcError> {
        self.validate()?;
        check_frames(&[], symbols, self.blank, 0)?;
        let knowledge = Knowledge {
            scorer: guide.scorer.start(),
            scored: 0.,
            hot: guide.hot_words.as_ref().map(HotWords::start),
            word: 0,
        };
        let empty = Prefix { node: 0, blank: 0., symbol: f64::NEG_INFINITY, knowledge };
        Ok(Decoding {
            search: self,
            guide,
            symbols,
            tree: PrefixTree::default(),
            beam: vec![empty],
            log_probs: Vec::new(),
        })
    }

    fn validate(&self) -> Result<(), CtcError> {
        let check = |name, value: f64, good: bool, range| match good {
            true => Ok(()),
            false => Err(CtcError::Setting { name, value, range }),
        };
        check("beam", self.beam as f64, self.beam >= 1, "at least 1")?;
        let nbest = (1..=self.beam).contains(&self.nbest);
        check("nbest", self.nbest as f64, nbest, "from 1 to the size of the beam")?;
        let weight = self.scorer_weight;
        check("scorer_weight", weight, weight >= 0. && weight.is_finite(), "a number from 0 on")?;
        let bonus = self.insertion_bonus;
        check("insertion_bonus", bonus, bonus.is_finite(), "a number")?;
        let least = self.min_log_prob;
        check("min_log_prob", f64::from(least), !least.is_nan(), "a number or minus infinity")
    }

    /// What a scorer's word adds to the score.
    fn weigh(&self, log_prob: f64, units: u32) -> f64 {
        // Not 0 · −∞.
        let scorer = if self.scorer_weight == 0. { 0. } else { self.scorer_weight * log_prob };
        scorer + self.insertion_bonus * f64::from(units)
    }
}

/// An utterance on its way: [`push`](Decoding::push) frames as they come, look at it with
/// [`partial`](Decoding::partial), and [`finish`](Decoding::finish). In what pieces the frames come
/// changes nothing.
pub struct Decoding<'a, S: Scorer> {
    search: &'a PrefixBeam,
    guide: &'a Guide<S>,
    symbols: usize,
    tree: PrefixTree,
    /// From the best to the worst.
    beam: Vec<Prefix<S::State>>,
    /// Of all frames so far, to find the symbols' frames in the end.
    log_probs: Vec<f32>,
}

/// A prefix that is followed.
#[derive(Clone, Debug)]
struct Prefix<S> {
    /// Its place in the tree.
    node: u32,
    /// `ln p_b`
    blank: f64,
    /// `ln p_nb`
    symbol: f64,
    knowledge: Knowledge<S>,
}

impl<S> Prefix<S> {
    fn log_prob(&self) -> f64 {
        log_add(self.blank, self.symbol)
    }
}

/// What is known of a prefix beside its paths.
#[derive(Clone, Debug)]
struct Knowledge<S> {
    scorer: S,
    /// The scorer's part of the score.
    scored: f64,
    hot: Option<HotState>,
    /// Where its last word is in the lexicon.
    word: u32,
}

/// A prefix with one more symbol.
struct Continuation<S> {
    from: u32,
    last: u32,
    log_prob: f64,
    knowledge: Knowledge<S>,
}

impl<S: Scorer> Decoding<'_, S> {
    /// Reads the next frames, `log_probs [frames, symbols]`.
    ///
    /// # Errors
    /// Frames that are not whole, a log-probability that is NaN or +∞: nothing is read then.
    pub fn push(&mut self, log_probs: &[f32]) -> Result<(), CtcError> {
        check_frames(log_probs, self.symbols, self.search.blank, self.frames())?;
        self.log_probs.extend_from_slice(log_probs);
        log_probs.chunks_exact(self.symbols).for_each(|frame| self.advance(frame));
        Ok(())
    }

    /// Number of frames read.
    pub fn frames(&self) -> usize {
        self.log_probs.len() / self.symbols
    }

    /// The best prefix so far, as if more were to come: its last word may be unfinished, and hot words
    /// count their advance. None when the frames have ruled everything out.
    pub fn partial(&self) -> Option<CtcFound> {
        let best = self.beam.first()?;
        self.found(best, self.score(best.log_prob(), &best.knowledge))
    }

    /// The symbols of [`partial`](Decoding::partial), without their frames, which take a pass over all frames so
    /// far to find.
    pub fn partial_symbols(&self) -> Vec<u32> {
        self.beam.first().map_or_else(Vec::new, |best| self.tree.symbols(best.node))
    }

    /// The sequences found, as [`PrefixBeam::decode`] gives them.
    pub fn finish(&self) -> Vec<CtcFound> {
        let mut ended: Vec<(f64, &Prefix<S::State>)> =
            self.beam.iter().map(|prefix| (self.final_score(prefix), prefix)).collect();
        ended.retain(|(score, _)| *score > f64::NEG_INFINITY);
        ended.sort_by(|a, b| b.0.total_cmp(&a.0));
        ended.truncate(self.search.nbest);
        ended.into_iter().filter_map(|(score, prefix)| self.found(prefix, score)).collect()
    }

    fn final_score(&self, prefix: &Prefix<S::State>) -> f64 {
        let Knowledge { scorer, scored, hot, word } = &prefix.knowledge;
        if self.guide.lexicon.as_ref().is_some_and(|lexicon| !lexicon.may_end(*word)) {
            return f64::NEG_INFINITY;
        }
        let end = self.guide.scorer.end(scorer);
        let hot = self.guide.hot_words.as_ref().zip(*hot).map_or(0., |(words, state)| words.earned(state));
        prefix.log_prob() + scored + self.search.weigh(end.log_prob, end.units) + hot
    }

    fn score(&self, log_prob: f64, knowledge: &Knowledge<S::State>) -> f64 {
        let hot = self.guide.hot_words.as_ref().zip(knowledge.hot);
        log_prob + knowledge.scored + hot.map_or(0., |(words, state)| words.bonus(state))
    }

    fn found(&self, prefix: &Prefix<S::State>, score: f64) -> Option<CtcFound> {
        let symbols = self.tree.symbols(prefix.node);
        // A prefix of the beam has a path: that is how it came there.
        let aligned = align(&self.log_probs, self.symbols, &symbols, self.search.blank).ok()?;
        Some(CtcFound { symbols: aligned.symbols, log_prob: prefix.log_prob(), score })
    }

    /// One frame.
    fn advance(&mut self, frame: &[f32]) {
        let y = |symbol: u32| f64::from(frame[symbol as usize]);
        let place: HashMap<u32, usize> =
            self.beam.iter().enumerate().map(|(place, prefix)| (prefix.node, place)).collect();

        // The prefixes stay what they are by a blank, or by their last symbol once more.
        let mut stay: Vec<(f64, f64)> = Vec::with_capacity(self.beam.len());
        for prefix in &self.beam {
            let again = self.tree.last(prefix.node).map_or(f64::NEG_INFINITY, y);
            stay.push((prefix.log_prob() + y(self.search.blank), prefix.symbol + again));
        }
        // Or they become longer; some become another one in the beam.
        let least = self.search.min_log_prob;
        let likely: Vec<u32> = (0..self.symbols as u32)
            .filter(|&symbol| symbol != self.search.blank && frame[symbol as usize] >= least)
            .collect();
        let mut continued: Vec<Continuation<S::State>> = Vec::new();
        for prefix in &self.beam {
            let (all, last) = (prefix.log_prob(), self.tree.last(prefix.node));
            for &symbol in &likely {
                // Without a blank between, equal symbols are one.
                let before = if last == Some(symbol) { prefix.blank } else { all };
                let log_prob = before + y(symbol);
                if log_prob == f64::NEG_INFINITY {
                    continue;
                }
                let there = self.tree.child(prefix.node, symbol).and_then(|child| place.get(&child));
                if let Some(&there) = there {
                    stay[there].1 = log_add(stay[there].1, log_prob);
                } else if let Some(knowledge) = self.learn(&prefix.knowledge, symbol) {
                    continued.push(Continuation { from: prefix.node, last: symbol, log_prob, knowledge });
                }
            }
        }
        self.keep_the_best(&stay, continued);
    }

    /// What is known of the prefix with one more symbol, if it is allowed.
    fn learn(&self, knowledge: &Knowledge<S::State>, symbol: u32) -> Option<Knowledge<S::State>> {
        let word = match &self.guide.lexicon {
            Some(lexicon) => lexicon.step(knowledge.word, symbol)?,
            None => 0,
        };
        let next = self.guide.scorer.score(&knowledge.scorer, symbol);
        let scored = knowledge.scored + self.search.weigh(next.log_prob, next.units);
        let hot = self.guide.hot_words.as_ref().zip(knowledge.hot);
        let hot = hot.map(|(words, state)| words.step(state, symbol));
        (scored > f64::NEG_INFINITY).then_some(Knowledge { scorer: next.state, scored, hot, word })
    }

    fn keep_the_best(&mut self, stay: &[(f64, f64)], continued: Vec<Continuation<S::State>>) {
        // Which prefix that stays, or else which continuation, and its score. Among equals the first.
        let mut ranked: Vec<(f64, usize)> = Vec::with_capacity(stay.len() + continued.len());
        for (&(blank, symbol), prefix) in stay.iter().zip(&self.beam) {
            ranked.push((self.score(log_add(blank, symbol), &prefix.knowledge), ranked.len()));
        }
        for next in &continued {
            ranked.push((self.score(next.log_prob, &next.knowledge), ranked.len()));
        }
        let better =
            |a: &(f64, usize), b: &(f64, usize)| -> Ordering { b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)) };
        ranked.retain(|(score, _)| *score > f64::NEG_INFINITY);
        if ranked.len() > self.search.beam {
            ranked.select_nth_unstable_by(self.search.beam, better);
            ranked.truncate(self.search.beam);
        }
        ranked.sort_unstable_by(better);
        let mut before: Vec<Option<Prefix<S::State>>> =
            std::mem::take(&mut self.beam).into_iter().map(Some).collect();
        let mut continued: Vec<Option<Continuation<S::State>>> = continued.into_iter().map(Some).collect();
        for (_, choice) in ranked {
            let kept = match stay.get(choice) {
                Some(&(blank, symbol)) => before[choice].take().map(|p| Prefix { blank, symbol, ..p }),
                None => continued[choice - stay.len()].take().map(|next| Prefix {
                    node: self.tree.add(next.from, next.last),
                    blank: f64::NEG_INFINITY,
                    symbol: next.log_prob,
                    knowledge: next.knowledge,
                }),
            };
            self.beam.extend(kept);
        }
    }
}

/// The prefixes that were ever followed, each as its beginning and its last symbol. A prefix that was
/// dropped and comes again is the same node.
#[derive(Clone, Debug, Default)]
struct PrefixTree {
    /// Beginning and last symbol of the nodes from 1 on; 0 is the empty prefix.
    nodes: Vec<(u32, u32)>,
    children: HashMap<(u32, u32), u32>,
}

impl PrefixTree {
    fn child(&self, node: u32, symbol: u32) -> Option<u32> {
        self.children.get(&(node, symbol)).copied()
    }

    fn add(&mut self, node: u32, symbol: u32) -> u32 {
        let fresh = self.nodes.len() as u32 + 1;
        let child = *self.children.entry((node, symbol)).or_insert(fresh);
        if child == fresh {
            self.nodes.push((node, symbol));
        }
        child
    }

    fn last(&self, node: u32) -> Option<u32> {
        Some(self.nodes[node.checked_sub(1)? as usize].1)
    }

    fn symbols(&self, mut node: u32) -> Vec<u32> {
        let mut symbols = Vec::new();
        while node > 0 {
            let (before, symbol) = self.nodes[node as usize - 1];
            symbols.push(symbol);
            node = before;
        }
        symbols.reverse();
        symbols
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctc::{Scored, SymbolScorer, WordScorer};
    use crate::ngram::{KneserNey, Ngram};
    use proptest::prelude::*;

    fn symbols(found: &CtcFound) -> Vec<u32> {
        found.symbols.iter().map(|timed| timed.symbol).collect()
    }

    /// Every sequence and the probability of all its paths.
    fn every_sequence(log_probs: &[f32], symbols: usize) -> HashMap<Vec<u32>, f64> {
        let frames = log_probs.len() / symbols;
        let mut probabilities = HashMap::new();
        for number in 0..symbols.pow(frames as u32) {
            let path: Vec<usize> = (0..frames as u32).map(|t| number / symbols.pow(t) % symbols).collect();
            let log_p: f64 =
                path.iter().enumerate().map(|(t, k)| f64::from(log_probs[t * symbols + k])).sum();
            let mut merged: Vec<u32> = path.iter().map(|&symbol| symbol as u32).collect();
            merged.dedup();
            merged.retain(|&symbol| symbol != 0);
            *probabilities.entry(merged).or_insert(0.) += log_p.exp();
        }
        probabilities
    }

    /// A beam wide enough for all prefixes of the tests' frames.
    fn exhaustive() -> PrefixBeam {
        PrefixBeam { beam: 1000, nbest: 1000, ..PrefixBeam::default() }
    }

    fn frames(symbols: usize) -> impl Strategy<Value = Vec<f32>> {
        (1usize..=5).prop_flat_map(move |frames| prop::collection::vec(-4f32..0., frames * symbols))
    }

    /// A scorer whose word depends on the last two symbols.
    #[derive(Clone, Copy)]
    struct Pairs;

    impl Scorer for Pairs {
        type State = u32;

        fn start(&self) -> u32 {
            0
        }

        fn score(&self, before: &u32, symbol: u32) -> Scored<u32> {
            Scored { log_prob: -f64::from((before * 5 + symbol * 3) % 7) / 2., units: 1, state: symbol }
        }

        fn end(&self, before: &u32) -> Scored<u32> {
            Scored { log_prob: -f64::from(*before), units: 0, state: 0 }
        }
    }

    proptest! {
        #[test]
        fn a_wide_beam_finds_every_sequence_with_the_probability_of_all_its_paths(log_probs in frames(3)) {
            let truth = every_sequence(&log_probs, 3);
            let found = exhaustive().decode(&log_probs, 3, &Guide::default())?;
            prop_assert_eq!(found.len(), truth.len());
            for pair in found.windows(2) {
                prop_assert!(pair[0].score >= pair[1].score);
            }
            for found in found {
                prop_assert!((found.log_prob - truth[&symbols(&found)].ln()).abs() < 1e-9);
                prop_assert_eq!(found.score, found.log_prob);
            }
        }

        #[test]
        fn a_wide_beam_with_scorer_and_hot_words_ranks_as_the_formula_does(
            log_probs in frames(3), weight in 0f64..2., bonus in -1f64..1.,
        ) {
            let hot_words = HotWords::new([([1u32, 2], 1.5), ([2, 1], -0.5)], None)?;
            let guide = Guide { scorer: Pairs, hot_words: Some(hot_words), lexicon: None };
            let search = PrefixBeam { scorer_weight: weight, insertion_bonus: bonus, ..exhaustive() };
            let found = search.decode(&log_probs, 3, &guide)?;
            let score = |sequence: &[u32], p: f64| {
                let before = [0].iter().chain(sequence);
                let scored: f64 = before.zip(sequence).map(|(b, &s)| Pairs.score(b, s).log_prob).sum();
                let end = Pairs.end(sequence.last().unwrap_or(&0)).log_prob;
                let hot = |pair: &[u32]| match pair { [1, 2] => 1.5, [2, 1] => -0.5, _ => 0. };
                let hot: f64 = sequence.windows(2).map(hot).sum();
                p.ln() + weight * (scored + end) + bonus * sequence.len() as f64 + hot
            };
            for found in &found {
                let sequence = symbols(found);
                prop_assert!((found.score - score(&sequence, found.log_prob.exp())).abs() < 1e-9);
            }
            let best = every_sequence(&log_probs, 3).iter().map(|(s, &p)| score(s, p)).fold(f64::MIN, f64::max);
            prop_assert!((found[0].score - best).abs() < 1e-9);
        }

        #[test]
        fn a_scorer_without_weight_is_none(log_probs in frames(4), beam in 1usize..6) {
            let search = PrefixBeam { beam, nbest: beam, scorer_weight: 0., ..PrefixBeam::default() };
            let with = search.decode(&log_probs, 4, &Guide { scorer: Pairs, hot_words: None, lexicon: None })?;
            prop_assert_eq!(with, search.decode(&log_probs, 4, &Guide::default())?);
        }

        #[test]
        fn in_what_pieces_the_frames_come_changes_nothing(
            log_probs in prop::collection::vec(-4f32..0., 40), cuts in prop::collection::vec(0usize..10, 0..4),
        ) {
            let search = PrefixBeam { beam: 5, nbest: 3, ..PrefixBeam::default() };
            let guide = Guide { scorer: Pairs, hot_words: None, lexicon: None };
            let mut decoding = search.start(4, &guide)?;
            let mut cuts = cuts;
            cuts.extend([0, 10]);
            cuts.sort();
            for cut in cuts.windows(2) {
                decoding.push(&log_probs[cut[0] * 4..cut[1] * 4])?;
                prop_assert!(decoding.partial().is_some());
            }
            prop_assert_eq!(decoding.frames(), 10);
            prop_assert_eq!(decoding.finish(), search.decode(&log_probs, 4, &guide)?);
        }

        #[test]
        fn a_lexicon_leaves_its_words_and_no_others(log_probs in frames(4)) {
            let (cat, dog) = ([1u32, 2], [2u32]);
            let lexicon = Lexicon::new([&cat[..], &dog[..]], 3)?;
            let guide = Guide { lexicon: Some(lexicon), ..Guide::default() };
            let found = exhaustive().decode(&log_probs, 4, &guide)?;
            let allowed = |sequence: &[u32]| {
                sequence.split(|&symbol| symbol == 3).all(|word| word.is_empty() || word == cat || word == dog)
            };
            let truth = every_sequence(&log_probs, 4);
            prop_assert_eq!(found.len(), truth.keys().filter(|sequence| allowed(sequence)).count());
            for found in found {
                prop_assert!(allowed(&symbols(&found)));
                prop_assert!((found.log_prob - truth[&symbols(&found)].ln()).abs() < 1e-9);
            }
        }
    }

    /// Log-probabilities of these frames, each a list of symbols that share it equally.
    fn said(frames: &[&[u32]], symbols: u32) -> Vec<f32> {
        let p = |frame: &&[u32], symbol| match frame.contains(&symbol) {
            true => 0.98 / frame.len() as f32,
            false => 0.02 / (symbols as usize - frame.len()) as f32,
        };
        let frames = frames.iter().flat_map(|frame| (0..symbols).map(move |symbol| p(frame, symbol).ln()));
        frames.collect()
    }

    const LETTERS: [&str; 6] = ["", " ", "a", "b", "c", "t"];

    #[test]
    fn a_language_model_of_words_or_of_symbols_decides_what_the_frames_leave_open() {
        // "a cat" or "a bat"
        let frames = said(&[&[2], &[1], &[3, 4], &[2], &[5]], 6);
        let words: Ngram =
            KneserNey { order: 2 }.estimate([["a", "cat"], ["a", "cat"], ["a", "tab"]]).unwrap();
        let scorer = WordScorer::new(&words, LETTERS, 1);
        let search = PrefixBeam::default();
        let guide = Guide { scorer, hot_words: None, lexicon: None };
        let found = search.decode(&frames, 6, &guide).unwrap();
        assert_eq!(symbols(&found[0]), [2, 1, 4, 2, 5]);

        let letters = ["a", "▁", "b", "a", "t"];
        let word = |letter| if letter == " " { "▁" } else { letter };
        let letters = KneserNey { order: 3 }.estimate([letters, letters]).unwrap();
        let guide =
            Guide { scorer: SymbolScorer::new(&letters, LETTERS.map(word)), hot_words: None, lexicon: None };
        let found = search.decode(&frames, 6, &guide).unwrap();
        assert_eq!(symbols(&found[0]), [2, 1, 3, 2, 5]);
    }

    #[test]
    fn hot_words_decide_what_the_frames_leave_open_and_times_are_those_of_the_best_path() {
        let frames = said(&[&[2], &[2], &[1], &[3, 4], &[0], &[2], &[5], &[5]], 6);
        for hot in [3, 4] {
            let hot_words = HotWords::new([([hot, 2, 5], 2.)], Some(1)).unwrap();
            let guide = Guide { hot_words: Some(hot_words), ..Guide::default() };
            let found = PrefixBeam::default().decode(&frames, 6, &guide).unwrap();
            assert_eq!(symbols(&found[0]), [2, 1, hot, 2, 5]);
            let times: Vec<_> = found[0].symbols.iter().map(|timed| timed.frames.clone()).collect();
            assert_eq!(times, [0..2, 2..3, 3..4, 5..6, 6..8]);
            let confidences: Vec<f64> = found[0].symbols.iter().map(TimedSymbol::confidence).collect();
            for (ours, truth) in confidences.iter().zip([0.98, 0.98, 0.49, 0.98, 0.98]) {
                assert!((ours - truth).abs() < 1e-6, "{confidences:?}");
            }
        }
    }

    #[test]
    fn a_prefix_that_was_dropped_and_comes_again_is_not_there_twice() {
        let mut generator = candle_rnn::Generator::new(5);
        let frames: Vec<f32> = (0..60 * 4).map(|_| generator.uniform().ln() as f32).collect();
        let search = PrefixBeam { beam: 4, nbest: 4, ..PrefixBeam::default() };
        let guide = Guide::default();
        let mut decoding = search.start(4, &guide).unwrap();
        for frame in frames.chunks_exact(4) {
            decoding.push(frame).unwrap();
            let mut sequences: Vec<Vec<u32>> = decoding.finish().iter().map(symbols).collect();
            let count = sequences.len();
            sequences.sort();
            sequences.dedup();
            assert_eq!(sequences.len(), count);
        }
    }

    #[test]
    fn settings_and_frames_that_cannot_be_are_errors() {
        let plain = PrefixBeam::default();
        for (search, name) in [
            (PrefixBeam { beam: 0, ..plain.clone() }, "beam"),
            (PrefixBeam { nbest: 33, ..plain.clone() }, "nbest"),
            (PrefixBeam { scorer_weight: -1., ..plain.clone() }, "scorer_weight"),
            (PrefixBeam { insertion_bonus: f64::NAN, ..plain.clone() }, "insertion_bonus"),
            (PrefixBeam { min_log_prob: f32::NAN, ..plain.clone() }, "min_log_prob"),
        ] {
            let error = search.decode(&[], 3, &Guide::default()).unwrap_err();
            assert!(error.to_string().starts_with(name), "{error}");
        }
        let guide = Guide::default();
        let mut decoding = plain.start(2, &guide).unwrap();
        decoding.push(&[-1., -2.]).unwrap();
        let before = decoding.finish();
        let error = decoding.push(&[-1., f32::NAN]).unwrap_err();
        assert!(error.to_string().contains("symbol 1 in frame 1"), "{error}");
        assert_eq!(decoding.finish(), before);
        let nothing = [f32::NEG_INFINITY; 2];
        assert!(plain.decode(&nothing, 2, &guide).unwrap().is_empty());
    }
}
