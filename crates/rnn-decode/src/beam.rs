//! Beam search over many sequences at once.
//!
//! The classical form (Graves 2012, *Sequence transduction with recurrent neural networks*; Sutskever
//! et al. 2014, *Sequence to sequence learning with neural networks*): of all continuations of the
//! live hypotheses of a sequence, the most probable ones live on, as many as there are places. One
//! that ends leaves the beam and takes its place with it, so that a beam of one is greedy search. The
//! scores by which ended hypotheses are ranked are those of Wu et al. (2016), *Google's neural machine
//! translation system*, equation 14:
//!
//! ```text
//! score(Y) = ln p(Y) / lp(Y) + cp(Y)
//! lp(Y) = ((5 + |Y|) / 6)^α            cp(Y) = β Σ_i ln(min(1, Σ_t attention_t,i))
//! ```
//!
//! with `|Y|` counting the end and i running over the places of the source.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::Hypotheses;

/// How to search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BeamSearch {
    /// Hypotheses of a sequence that are followed at once, at least 1.
    pub beam: usize,
    /// Hypotheses of a sequence to give, from 1 to `beam`.
    pub nbest: usize,
    /// α ≥ 0: 0 ranks by probability, which favours short sequences, 1 nearly by the mean per symbol.
    pub length_penalty: f64,
    /// β ≥ 0: how much it costs to leave places of the source unattended.
    pub coverage_penalty: f64,
    /// Symbols in a row that may not occur twice in a hypothesis; 0 for no such rule.
    pub no_repeat_ngram: usize,
    /// Symbols before the end at least.
    pub min_length: usize,
}

impl Default for BeamSearch {
    /// Greedy search.
    fn default() -> Self {
        Self {
            beam: 1,
            nbest: 1,
            length_penalty: 0.0,
            coverage_penalty: 0.0,
            no_repeat_ngram: 0,
            min_length: 0,
        }
    }
}

/// One sequence to be found.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Symbols at most, the end not counted, at least 1; a hypothesis of that length is cut off.
    pub max_length: usize,
    /// How every hypothesis begins, without the end and no longer than `max_length`; rules do not
    /// apply to it. Where the model holds it for impossible, it is cut off.
    pub prefix: Vec<u32>,
    /// Places of the source that the coverage penalty counts; 0 without attention.
    pub source_length: usize,
}

/// A sequence that was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Found {
    /// Its symbols, without the end.
    pub symbols: Vec<u32>,
    /// `ln p`, the end included.
    pub log_prob: f64,
    /// What it was ranked by.
    pub score: f64,
    /// Whether it came to its end; otherwise it was cut off.
    pub ended: bool,
    /// What each symbol, and the end, attended to, `[symbols, source]`; empty without attention.
    pub attention: Vec<Vec<f32>>,
}

/// Why a search could not go on.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum BeamError<E> {
    /// A setting is outside its range.
    #[error("{name} is {value}; it must be {range}")]
    Setting {
        /// The field of [`BeamSearch`].
        name: &'static str,
        /// What it was.
        value: f64,
        /// What it may be.
        range: &'static str,
    },
    /// A log-probability that is NaN or +∞.
    #[error("the log-probability of symbol {symbol} is {value}: the model's weights are likely damaged")]
    BadScore {
        /// The symbol.
        symbol: usize,
        /// Its log-probability.
        value: f32,
    },
    /// A model whose answer has not a row for each hypothesis.
    #[error("the model gave {found} log-probabilities for {hypotheses} hypotheses")]
    BadShape {
        /// How many it gave.
        found: usize,
        /// How many hypotheses there were.
        hypotheses: usize,
    },
    /// A request that cannot be met.
    #[error("request {number}: {reason}")]
    Request {
        /// Which one.
        number: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A prefix or an end that the model does not know.
    #[error("symbol {symbol} is not below the vocabulary size {vocab_size}")]
    UnknownSymbol {
        /// The symbol.
        symbol: u32,
        /// How many the model knows.
        vocab_size: usize,
    },
    /// What sampling reports.
    #[error(transparent)]
    Sampling(crate::Error),
    /// The model's own.
    #[error("{0}")]
    Model(E),
}

/// A log-probability that is none.
struct BadScore {
    symbol: usize,
    value: f32,
}

impl BadScore {
    /// The first of a row, which has one.
    fn find(row: &[f32]) -> Self {
        let mut scores = row.iter().copied().enumerate();
        let found = scores.find(|(_, x)| x.is_nan() || *x == f32::INFINITY);
        let (symbol, value) = found.expect("a log-probability that is none");
        Self { symbol, value }
    }
}

/// The largest of some log-probabilities, or none if one of them is NaN or +∞.
fn largest_if_good(block: &[f32]) -> Option<f32> {
    // Several at once, without a branch.
    const WIDTH: usize = 16;
    let (mut most, mut bad) = ([f32::NEG_INFINITY; WIDTH], [0u32; WIDTH]);
    for piece in block.chunks(WIDTH) {
        for ((most, bad), &x) in most.iter_mut().zip(&mut bad).zip(piece) {
            *most = if x > *most { x } else { *most };
            *bad |= u32::from(x.is_nan() | (x == f32::INFINITY));
        }
    }
    (bad == [0; WIDTH]).then(|| most.into_iter().fold(f32::NEG_INFINITY, f32::max))
}

impl<E> From<BadScore> for BeamError<E> {
    fn from(BadScore { symbol, value }: BadScore) -> Self {
        Self::BadScore { symbol, value }
    }
}

/// Log-probabilities that are looked at together.
const BLOCK: usize = 64;

/// A hypothesis on its way.
#[derive(Clone, Debug)]
struct Live {
    symbols: Vec<u32>,
    log_prob: f64,
    /// Of each symbol; hypotheses with the same beginning share it.
    attention: Vec<Arc<[f32]>>,
}

/// The search for one sequence.
struct Beam<'a> {
    search: &'a BeamSearch,
    request: &'a Request,
    live: Vec<Live>,
    found: Vec<Found>,
}

/// A continuation of a live hypothesis.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    from: usize,
    symbol: u32,
    log_prob: f64,
}

impl BeamSearch {
    /// Searches a continuation of each hypothesis of `model` after the symbol `start`, until the
    /// symbol `end`. There are as many requests as hypotheses. Each sequence's hypotheses are given
    /// from the best to the worst: at least one, at most `nbest`.
    ///
    /// Each sequence is searched as if it were alone: what stands beside it changes nothing, as long as
    /// the model's numbers do not depend on it.
    ///
    /// # Errors
    /// Settings out of range, scores that are no numbers, and the model's errors.
    pub fn search<H: Hypotheses>(
        &self,
        model: &mut H,
        start: u32,
        end: u32,
        requests: &[Request],
    ) -> Result<Vec<Vec<Found>>, BeamError<H::Error>> {
        self.validate()?;
        for (number, request) in requests.iter().enumerate() {
            request.validate(end).map_err(|reason| BeamError::Request { number, reason })?;
        }
        let nothing = Live { symbols: Vec::new(), log_prob: 0.0, attention: Vec::new() };
        let beam = |request| Beam { search: self, request, live: vec![nothing.clone()], found: Vec::new() };
        let mut beams: Vec<Beam> = requests.iter().map(beam).collect();
        let mut symbols = vec![start; requests.len()];
        let mut log_probs = Vec::new();
        while !symbols.is_empty() {
            model.read(&symbols, &mut log_probs).map_err(BeamError::Model)?;
            let hypotheses = symbols.len();
            if log_probs.is_empty() || log_probs.len() % hypotheses != 0 {
                return Err(BeamError::BadShape { found: log_probs.len(), hypotheses });
            }
            let vocab = log_probs.len() / hypotheses;
            let unknown = |symbol: &&u32| **symbol as usize >= vocab;
            if let Some(&symbol) =
                requests.iter().flat_map(|request| &request.prefix).chain([&end]).find(unknown)
            {
                return Err(BeamError::UnknownSymbol { symbol, vocab_size: vocab });
            }
            let attention = model.attention();
            let source = attention.map_or(0, |attention| attention.len() / hypotheses);
            let mut first = 0;
            let rows_of = |beam: &Beam| {
                let rows = first..first + beam.live.len();
                first = rows.end;
                rows
            };
            let rows: Vec<Range<usize>> = beams.iter().map(rows_of).collect();
            // Each sequence for itself, and the sequences shared among the threads.
            let advance = |(beam, rows): (&mut Beam, &Range<usize>)| {
                let attended = attention.map(|a| &a[rows.start * source..rows.end * source]);
                beam.advance(&log_probs[rows.start * vocab..rows.end * vocab], vocab, attended, end)
            };
            let continued: Vec<Vec<(usize, u32)>> =
                beams.par_iter_mut().zip(&rows).map(advance).collect::<Result<_, BadScore>>()?;
            symbols.clear();
            let mut from = Vec::new();
            for (rows, continued) in rows.iter().zip(continued) {
                for (row, symbol) in continued {
                    from.push(rows.start + row);
                    symbols.push(symbol);
                }
            }
            let unchanged = from.len() == hypotheses && from.iter().enumerate().all(|(i, &from)| i == from);
            if !symbols.is_empty() && !unchanged {
                model.select(&from).map_err(BeamError::Model)?;
            }
        }
        Ok(beams.into_iter().map(Beam::finish).collect())
    }

    fn validate<E>(&self) -> Result<(), BeamError<E>> {
        let check = |name, value: f64, good: bool, range| match good {
            true => Ok(()),
            false => Err(BeamError::Setting { name, value, range }),
        };
        let penalty = |value: f64| value >= 0.0 && value.is_finite();
        check("beam", self.beam as f64, self.beam >= 1, "at least 1")?;
        let nbest = (1..=self.beam).contains(&self.nbest);
        check("nbest", self.nbest as f64, nbest, "from 1 to the size of the beam")?;
        check("length_penalty", self.length_penalty, penalty(self.length_penalty), "a number from 0 on")?;
        check("coverage_penalty", self.coverage_penalty, penalty(self.coverage_penalty), "a number from 0 on")
    }

    /// `lp` of so many symbols, the end included.
    fn length_factor(&self, symbols: usize) -> f64 {
        ((5.0 + symbols as f64) / 6.0).powf(self.length_penalty)
    }

    /// The score of a hypothesis that goes no further.
    fn score(&self, live: &Live, ended: bool, source_length: usize) -> f64 {
        let length = live.symbols.len() + usize::from(ended);
        live.log_prob / self.length_factor(length) + self.coverage(&live.attention, source_length)
    }

    /// `cp`; a place that was not attended to at all has the smallest attention there is.
    fn coverage(&self, attention: &[Arc<[f32]>], source_length: usize) -> f64 {
        if self.coverage_penalty == 0.0 || attention.is_empty() {
            return 0.0;
        }
        let at = |place: usize| attention.iter().map(|step| f64::from(step[place])).sum::<f64>();
        let least = f64::from(f32::MIN_POSITIVE);
        self.coverage_penalty * (0..source_length).map(|place| at(place).clamp(least, 1.0).ln()).sum::<f64>()
    }
}

impl Request {
    pub(crate) fn validate(&self, end: u32) -> Result<(), &'static str> {
        match self {
            _ if self.max_length == 0 => Err("a sequence of at most 0 symbols"),
            _ if self.prefix.len() > self.max_length => Err("the prefix is longer than the sequence may be"),
            _ if self.prefix.contains(&end) => Err("the prefix contains the end"),
            _ => Ok(()),
        }
    }
}

impl Beam<'_> {
    /// Takes the best continuations of the live hypotheses, whose rows of `log_probs` and `attention`
    /// these are. Gives for each that lives on the row it continues, and its symbol.
    fn advance(
        &mut self,
        log_probs: &[f32],
        vocab: usize,
        attention: Option<&[f32]>,
        end: u32,
    ) -> Result<Vec<(usize, u32)>, BadScore> {
        let places = self.search.beam - self.found.len();
        let mut best = Vec::with_capacity(places + 1);
        for (from, row) in log_probs.chunks_exact(vocab).enumerate() {
            self.candidates(from, row, end, places, &mut best)?;
        }
        if best.is_empty() {
            // Nothing may follow: what there is is cut off here.
            let live = std::mem::take(&mut self.live);
            let cut: Vec<_> = live.into_iter().map(|live| self.found(live, false)).collect();
            self.found.extend(cut);
            return Ok(Vec::new());
        }
        let source = attention.map(|attention| attention.len() / self.live.len());
        let mut next = Vec::with_capacity(best.len());
        let mut rows = Vec::with_capacity(best.len());
        for Candidate { from, symbol, log_prob } in best {
            let mut live = Live { log_prob, ..self.live[from].clone() };
            if let (Some(attention), Some(source)) = (attention, source) {
                live.attention.push(attention[from * source..(from + 1) * source].into());
            }
            if symbol == end {
                self.found.push(self.found(live, true));
                continue;
            }
            live.symbols.push(symbol);
            if live.symbols.len() >= self.request.max_length {
                self.found.push(self.found(live, false));
                continue;
            }
            rows.push((from, symbol));
            next.push(live);
        }
        self.live = next;
        if self.is_decided() {
            self.live.clear();
            rows.clear();
        }
        Ok(rows)
    }

    /// Puts the continuations of one hypothesis among the best so far, of which there are at most
    /// `places`, the most probable first; among equals, the lower row and symbol.
    fn candidates(
        &self,
        from: usize,
        row: &[f32],
        end: u32,
        places: usize,
        best: &mut Vec<Candidate>,
    ) -> Result<(), BadScore> {
        let Live { symbols, log_prob, .. } = &self.live[from];
        let forced = self.request.prefix.get(symbols.len());
        let banned = if forced.is_some() { Vec::new() } else { self.banned(symbols) };
        let consider = |symbol: u32, score: f32, best: &mut Vec<Candidate>| {
            let log_prob = log_prob + f64::from(score);
            if best.len() == places && best.last().is_some_and(|last| log_prob <= last.log_prob) {
                return;
            }
            if log_prob == f64::NEG_INFINITY
                || forced.is_some_and(|&forced| symbol != forced)
                || banned.contains(&symbol)
                || symbol == end && symbols.len() < self.search.min_length
            {
                return;
            }
            let at = best.partition_point(|other| other.log_prob >= log_prob);
            best.insert(at, Candidate { from, symbol, log_prob });
            best.truncate(places);
        };
        for (block, first) in row.chunks(BLOCK).zip((0..).step_by(BLOCK)) {
            let Some(most) = largest_if_good(block) else { return Err(BadScore::find(row)) };
            // Nearly all blocks have nothing that is good enough.
            if let Some(worst) = best.get(places - 1)
                && log_prob + f64::from(most) <= worst.log_prob
            {
                continue;
            }
            for (&score, symbol) in block.iter().zip(first..) {
                consider(symbol, score, best);
            }
        }
        Ok(())
    }

    /// Symbols after which some n symbols would stand in the hypothesis twice.
    fn banned(&self, symbols: &[u32]) -> Vec<u32> {
        let n = self.search.no_repeat_ngram;
        if n == 0 || symbols.len() + 1 < n {
            return Vec::new();
        }
        let latest = &symbols[symbols.len() + 1 - n..];
        let repeated = symbols.windows(n).filter(|ngram| ngram[..n - 1] == *latest);
        repeated.map(|ngram| ngram[n - 1]).collect()
    }

    fn found(&self, live: Live, ended: bool) -> Found {
        let score = self.search.score(&live, ended, self.request.source_length);
        let Live { symbols, log_prob, attention } = live;
        let attention = attention.iter().map(|step| step.to_vec()).collect();
        Found { symbols, log_prob, score, ended, attention }
    }

    /// Whether no live hypothesis can be among the best any more: log-probabilities only fall, and the
    /// longest sequence is divided by most.
    fn is_decided(&self) -> bool {
        let nbest = self.search.nbest;
        let mut scores: Vec<f64> =
            self.found.iter().filter(|found| found.ended).map(|found| found.score).collect();
        if scores.len() < nbest {
            return false;
        }
        scores.sort_unstable_by(|a, b| b.total_cmp(a));
        let most = self.live.iter().map(|live| live.log_prob).fold(f64::NEG_INFINITY, f64::max);
        most / self.search.length_factor(self.request.max_length + 1) <= scores[nbest - 1]
    }

    /// The best, ended ones before those cut off.
    fn finish(mut self) -> Vec<Found> {
        self.found.sort_by(|a, b| match b.ended.cmp(&a.ended) {
            Ordering::Equal => b.score.total_cmp(&a.score),
            order => order,
        });
        self.found.truncate(self.search.nbest);
        self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Ensemble, Fusion};
    use proptest::prelude::*;
    use std::convert::Infallible;

    const VOCAB: usize = 5;
    const START: u32 = 0;
    const END: u32 = 1;

    /// A model whose distributions follow from a seed, the sequence's number and the symbols so far.
    #[derive(Clone)]
    struct Toy {
        seed: u64,
        histories: Vec<Vec<u32>>,
        attention: Vec<f32>,
    }

    impl Toy {
        fn new(seed: u64, sequences: std::ops::Range<u32>) -> Self {
            Self {
                seed,
                histories: sequences.map(|number| vec![100 + number]).collect(),
                attention: Vec::new(),
            }
        }

        fn distribution(&self, history: &[u32]) -> Vec<f32> {
            let hash = |symbol: usize| {
                let all = history.iter().map(|&s| u64::from(s)).chain([self.seed, symbol as u64]);
                let mixed =
                    all.fold(7u64, |hash, x| (hash ^ x).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29));
                (mixed >> 40) as f32 / (1 << 22) as f32
            };
            let scores: Vec<f32> = (0..VOCAB).map(hash).collect();
            let sum = scores.iter().map(|x| x.exp()).sum::<f32>().ln();
            scores.iter().map(|x| x - sum).collect()
        }
    }

    impl Hypotheses for Toy {
        type Error = Infallible;

        fn read(&mut self, symbols: &[u32], log_probs: &mut Vec<f32>) -> Result<(), Infallible> {
            assert_eq!(symbols.len(), self.histories.len());
            for (history, &symbol) in self.histories.iter_mut().zip(symbols) {
                history.push(symbol);
            }
            *log_probs = self.histories.iter().flat_map(|history| self.distribution(history)).collect();
            let attended =
                |history: &Vec<u32>| [0.5, if history.len().is_multiple_of(2) { 0.5 } else { 0.0 }, 0.0];
            self.attention = self.histories.iter().flat_map(attended).collect();
            Ok(())
        }

        fn select(&mut self, from: &[usize]) -> Result<(), Infallible> {
            self.histories = from.iter().map(|&i| self.histories[i].clone()).collect();
            Ok(())
        }

        fn attention(&self) -> Option<&[f32]> {
            Some(&self.attention)
        }
    }

    fn request(max_length: usize, prefix: &[u32]) -> Request {
        Request { max_length, prefix: prefix.to_vec(), source_length: 2 }
    }

    fn requests(count: usize, max_length: usize) -> Vec<Request> {
        (0..count).map(|i| request(max_length + i % 2, &[])).collect()
    }

    fn search(
        search: &BeamSearch,
        model: &mut impl Hypotheses<Error = Infallible>,
        requests: &[Request],
    ) -> Vec<Vec<Found>> {
        search.search(model, START, END, requests).expect("a search")
    }

    /// The most probable ended sequence of at most `left` more symbols.
    fn exhaustive(toy: &Toy, history: &mut Vec<u32>, left: usize, log_prob: f64) -> f64 {
        let row = toy.distribution(history);
        let mut best = log_prob + f64::from(row[END as usize]);
        if left == 0 {
            return f64::NEG_INFINITY;
        }
        for symbol in (0..VOCAB as u32).filter(|&symbol| symbol != END) {
            history.push(symbol);
            best = best.max(exhaustive(toy, history, left - 1, log_prob + f64::from(row[symbol as usize])));
            history.pop();
        }
        best
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn sequences_side_by_side_are_found_as_if_alone(
            seed: u64, beam in 1usize..5, alpha in 0.0..1.5, beta in 0.0..0.5, ngram in 0usize..3,
        ) {
            let config = BeamSearch {
                beam, nbest: beam, length_penalty: alpha, coverage_penalty: beta,
                no_repeat_ngram: ngram, min_length: 1,
            };
            let together = search(&config, &mut Toy::new(seed, 0..6), &requests(6, 7));
            for (number, together) in together.into_iter().enumerate() {
                let number = number as u32;
                let alone = search(&config, &mut Toy::new(seed, number..number + 1), &requests(6, 7)[number as usize..][..1]);
                prop_assert_eq!(&together, &alone[0]);
            }
        }

        #[test]
        fn a_beam_of_one_takes_the_likeliest_symbol_every_time(seed: u64, alpha in 0.0..2.0) {
            let config = BeamSearch { length_penalty: alpha, ..BeamSearch::default() };
            let found = search(&config, &mut Toy::new(seed, 0..1), &requests(1, 6));
            let toy = Toy::new(seed, 0..1);
            let mut history = vec![100, START];
            while history.len() < 2 + 6 {
                let row = toy.distribution(&history);
                let best = (0..VOCAB).reduce(|a, b| if row[b] > row[a] { b } else { a }).expect("symbols") as u32;
                if best == END {
                    break;
                }
                history.push(best);
            }
            prop_assert_eq!(&found[0][0].symbols, &history[2..]);
        }

        #[test]
        fn a_beam_as_wide_as_all_there_is_finds_the_most_probable(seed: u64) {
            let config = BeamSearch { beam: 400, ..BeamSearch::default() };
            let found = search(&config, &mut Toy::new(seed, 0..1), &requests(1, 4));
            let best = exhaustive(&Toy::new(seed, 0..1), &mut vec![100, START], 4, 0.0);
            prop_assert!((found[0][0].log_prob - best).abs() < 1e-5, "{} {}", found[0][0].log_prob, best);
        }

        #[test]
        fn an_ensemble_of_a_model_with_itself_and_a_fusion_of_weight_zero_are_the_model(seed: u64) {
            let config = BeamSearch { beam: 3, nbest: 3, ..BeamSearch::default() };
            let toy = || Toy::new(seed, 0..4);
            let alone = search(&config, &mut toy(), &requests(4, 6));
            let mut twice = Ensemble::new(vec![toy(), toy()]).expect("models");
            let fused = search(&config, &mut Fusion::new(toy(), Toy::new(seed + 1, 0..4), 0.0), &requests(4, 6));
            prop_assert_eq!(&fused, &alone);
            for (twice, alone) in search(&config, &mut twice, &requests(4, 6)).iter().flatten().zip(alone.iter().flatten()) {
                prop_assert_eq!(&twice.symbols, &alone.symbols);
                prop_assert!((twice.log_prob - alone.log_prob).abs() < 1e-4);
            }
        }

        #[test]
        fn rules_are_kept(seed: u64, beam in 1usize..4, min_length in 0usize..5) {
            let config = BeamSearch { beam, no_repeat_ngram: 2, min_length, ..BeamSearch::default() };
            let request = request(6, &[3, 3]);
            let found = &search(&config, &mut Toy::new(seed, 0..1), &[request])[0][0];
            prop_assert!(found.symbols.starts_with(&[3, 3]) && found.symbols.len() <= 6);
            prop_assert!(!found.ended || found.symbols.len() >= min_length);
            prop_assert_eq!(found.attention.len(), found.symbols.len() + usize::from(found.ended));
            let pairs: Vec<_> = found.symbols.windows(2).collect();
            for (i, pair) in pairs.iter().enumerate() {
                prop_assert!(!pairs[..i].contains(pair), "{:?}", found.symbols);
            }
        }
    }

    #[test]
    fn the_scores_are_those_of_the_equation() {
        let config = BeamSearch { length_penalty: 0.6, coverage_penalty: 0.2, ..BeamSearch::default() };
        let found = &search(&config, &mut Toy::new(4, 0..1), &requests(1, 6))[0][0];
        let length = found.symbols.len() + usize::from(found.ended);
        let covered = |place: usize| found.attention.iter().map(|step| f64::from(step[place])).sum::<f64>();
        let least = f64::from(f32::MIN_POSITIVE);
        let coverage = 0.2 * (covered(0).clamp(least, 1.0).ln() + covered(1).clamp(least, 1.0).ln());
        let expected = found.log_prob / ((5.0 + length as f64) / 6.0).powf(0.6) + coverage;
        assert!((found.score - expected).abs() < 1e-9, "{} {expected}", found.score);
    }

    #[test]
    fn a_score_that_is_no_number_is_named_wherever_it_is() {
        /// A model of so many symbols, one of which has such a score.
        struct Damaged(Vec<f32>);

        impl Hypotheses for Damaged {
            type Error = Infallible;

            fn read(&mut self, symbols: &[u32], log_probs: &mut Vec<f32>) -> Result<(), Infallible> {
                *log_probs = self.0.repeat(symbols.len());
                Ok(())
            }

            fn select(&mut self, _: &[usize]) -> Result<(), Infallible> {
                Ok(())
            }
        }

        let symbols = 2 * BLOCK + 21;
        for symbol in 0..symbols {
            for value in [f32::NAN, f32::INFINITY] {
                let mut log_probs = vec![-3.0; symbols];
                log_probs[(symbol + 1) % symbols] = f32::NEG_INFINITY;
                let search = BeamSearch { beam: 2, ..BeamSearch::default() };
                let found = search.search(&mut Damaged(log_probs.clone()), START, END, &requests(1, 1));
                assert!(found.is_ok(), "−∞ is a score");
                log_probs[symbol] = value;
                let refused = search.search(&mut Damaged(log_probs), START, END, &requests(1, 1));
                let BeamError::BadScore { symbol: found, value: named } = refused.expect_err("refused")
                else {
                    panic!("another error");
                };
                assert_eq!((found, named.is_nan()), (symbol, value.is_nan()));
            }
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let one = [request(3, &[9])];
        let refused = |config: BeamSearch| {
            config.search(&mut Toy::new(1, 0..1), START, END, &one).expect_err("refused").to_string()
        };
        assert!(refused(BeamSearch { beam: 0, ..BeamSearch::default() }).contains("beam is 0"));
        assert!(
            refused(BeamSearch { nbest: 2, ..BeamSearch::default() })
                .contains("from 1 to the size of the beam")
        );
        assert!(
            refused(BeamSearch { length_penalty: f64::NAN, ..BeamSearch::default() })
                .contains("length_penalty")
        );
        assert!(refused(BeamSearch::default()).contains("symbol 9 is not below"));
        for bad in [request(0, &[]), request(1, &[2, 2]), request(3, &[2, END])] {
            let refused = BeamSearch::default().search(&mut Toy::new(1, 0..1), START, END, &[bad]);
            assert!(refused.expect_err("refused").to_string().starts_with("request 0: "));
        }
    }
}
