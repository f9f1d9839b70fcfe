//! Drawing the next symbol from scores.
//!
//! The steps, in this order (that of Hugging Face's `generate`):
//!
//! 1. **repetition penalty** θ (Keskar et al. 2019, *CTRL*, section 4.1, with the correction that
//!    everyone uses): for each symbol of the history, a positive score is divided by θ and a
//!    negative one multiplied by it;
//! 2. **temperature** T: `p = softmax(scores / T)`; at T = 0 the best score wins (greedy; the
//!    lowest number among equals) and the steps below do nothing;
//! 3. **top-k** (Fan et al. 2018): the k most probable symbols;
//! 4. **top-p**, nucleus sampling (Holtzman et al. 2020, *The Curious Case of Neural Text
//!    Degeneration*): the fewest most probable symbols whose probabilities add up to at least p;
//! 5. **min-p** (Nguyen et al. 2024, *Turning Up the Heat: Min-p Sampling*): the symbols at least
//!    min-p times as probable as the most probable.
//!
//! Each filter works on what the one before left, its probabilities scaled to sum to 1, and
//! never removes the most probable symbol. Among equally probable symbols, the lower number
//! counts as the more probable. All arithmetic is in `f64`.

use std::cmp::Ordering;

use candle_rnn::Generator;
use serde::{Deserialize, Serialize};

/// How to draw. The default draws from the model's distribution as it is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sampling {
    /// ≥ 0: below 1 favours likely symbols, above 1 unlikely ones; 0 is greedy.
    pub temperature: f64,
    /// ≥ 1: how many of the most probable symbols to keep.
    pub top_k: Option<usize>,
    /// In (0, 1]: how much probability the kept symbols must hold.
    pub top_p: Option<f64>,
    /// In [0, 1]: the least probability relative to the most probable symbol.
    pub min_p: Option<f64>,
    /// Above 0: more than 1 discourages symbols of the history; 1 is off.
    pub repetition_penalty: f64,
}

impl Default for Sampling {
    fn default() -> Self {
        Sampling { temperature: 1.0, top_k: None, top_p: None, min_p: None, repetition_penalty: 1.0 }
    }
}

/// Why nothing could be drawn.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// A setting is outside its range.
    #[error("{name} is {value}; it must be {range}")]
    Setting {
        /// The field of [`Sampling`].
        name: &'static str,
        /// What it was.
        value: f64,
        /// What it may be.
        range: &'static str,
    },
    /// No scores.
    #[error("there are no scores to draw from")]
    NoScores,
    /// A score that is NaN or +∞.
    #[error("the score of symbol {id} is {value}: the model's weights are likely damaged")]
    BadScore {
        /// The symbol.
        id: usize,
        /// Its score.
        value: f32,
    },
    /// All scores are −∞.
    #[error("every symbol is ruled out: all scores are minus infinity")]
    NothingLeft,
    /// A symbol of the history has no score.
    #[error("symbol {id} of the history is outside the vocabulary of {vocab_size}")]
    UnknownSymbol {
        /// The symbol.
        id: u32,
        /// How many scores there are.
        vocab_size: usize,
    },
}

/// Draws symbols by one [`Sampling`]. Keeps its buffers from draw to draw.
#[derive(Clone, Debug)]
pub struct Sampler {
    sampling: Sampling,
    scores: Vec<f64>,
    /// Symbols and their probabilities (sum 1 after each step).
    candidates: Vec<(usize, f64)>,
}

impl Sampler {
    /// A sampler with these settings.
    ///
    /// # Errors
    /// [`Error::Setting`] names the first setting outside its range.
    pub fn new(sampling: Sampling) -> Result<Self, Error> {
        let check = |name, value: f64, good: bool, range| match good {
            true => Ok(()),
            false => Err(Error::Setting { name, value, range }),
        };
        let Sampling { temperature: t, repetition_penalty: r, .. } = sampling;
        check("temperature", t, t >= 0.0 && t.is_finite(), "a number from 0 on")?;
        check("repetition_penalty", r, r > 0.0 && r.is_finite(), "a number above 0")?;
        if let Some(k) = sampling.top_k {
            check("top_k", k as f64, k >= 1, "at least 1")?;
        }
        if let Some(p) = sampling.top_p {
            check("top_p", p, p > 0.0 && p <= 1.0, "above 0 and at most 1")?;
        }
        if let Some(p) = sampling.min_p {
            check("min_p", p, (0.0..=1.0).contains(&p), "from 0 to 1")?;
        }
        Ok(Sampler { sampling, scores: Vec::new(), candidates: Vec::new() })
    }

    /// The settings.
    pub fn sampling(&self) -> &Sampling {
        &self.sampling
    }

    /// Draws one symbol, a number below `logits.len()`.
    ///
    /// `logits`: one unnormalised score per symbol, −∞ to rule a symbol out. `history`: the
    /// symbols that the repetition penalty applies to, in any order. `generator` gives one uniform
    /// number, or none at temperature 0.
    ///
    /// # Errors
    /// A score that is NaN or +∞, no score above −∞, or a history outside the vocabulary.
    pub fn sample(
        &mut self,
        logits: &[f32],
        history: &[u32],
        generator: &mut Generator,
    ) -> Result<usize, Error> {
        self.filter(logits, history)?;
        if let [(id, _)] = self.candidates[..]
            && self.sampling.temperature == 0.0
        {
            return Ok(id);
        }
        // Inverse of the cumulative distribution. Rounding may leave the sum a little below the
        // uniform number: then it is the last symbol with any probability.
        let mut left = generator.uniform();
        let mut drawn = None;
        for &(id, probability) in self.candidates.iter().filter(|(_, p)| *p > 0.0) {
            drawn = Some(id);
            left -= probability;
            if left < 0.0 {
                break;
            }
        }
        drawn.ok_or(Error::NothingLeft)
    }

    /// The symbols that [`sample`](Self::sample) may draw and their probabilities (sum 1), the
    /// most probable first.
    ///
    /// # Errors
    /// Those of [`sample`](Self::sample).
    pub fn distribution(&mut self, logits: &[f32], history: &[u32]) -> Result<Vec<(usize, f64)>, Error> {
        self.filter(logits, history)?;
        let mut distribution = self.candidates.clone();
        distribution.retain(|(_, probability)| *probability > 0.0);
        distribution.sort_unstable_by(more_probable_first);
        Ok(distribution)
    }

    /// Fills `candidates`.
    fn filter(&mut self, logits: &[f32], history: &[u32]) -> Result<(), Error> {
        self.penalise(logits, history)?;
        // The first among equals, as every filter below.
        let best =
            (self.scores.iter().enumerate()).reduce(|best, next| if next.1 > best.1 { next } else { best });
        let (best, max) = match best {
            Some((id, &score)) if score > f64::NEG_INFINITY => (id, score),
            _ => return Err(Error::NothingLeft),
        };
        let Sampling { temperature, top_k, top_p, min_p, .. } = self.sampling;
        self.candidates.clear();
        if temperature == 0.0 {
            self.candidates.push((best, 1.0));
            return Ok(());
        }
        let weights = self.scores.iter().map(|score| ((score - max) / temperature).exp());
        self.candidates.extend(weights.enumerate());
        self.normalise();
        if let Some(k) = top_k.filter(|&k| k < self.candidates.len()) {
            self.candidates.select_nth_unstable_by(k, more_probable_first);
            self.candidates.truncate(k);
            self.normalise();
        }
        if let Some(p) = top_p.filter(|&p| p < 1.0) {
            self.candidates.sort_unstable_by(more_probable_first);
            let mut sum = 0.0;
            let kept = (self.candidates.iter())
                .take_while(|(_, probability)| {
                    let needed = sum < p;
                    sum += probability;
                    needed
                })
                .count();
            self.candidates.truncate(kept);
            self.normalise();
        }
        if let Some(ratio) = min_p {
            let most = (self.candidates.iter()).fold(0.0, |most: f64, (_, p)| most.max(*p));
            self.candidates.retain(|(_, p)| *p >= ratio * most);
            self.normalise();
        }
        Ok(())
    }

    /// Checks the scores, copies them and applies the repetition penalty, once per symbol.
    fn penalise(&mut self, logits: &[f32], history: &[u32]) -> Result<(), Error> {
        if logits.is_empty() {
            return Err(Error::NoScores);
        }
        let bad = |score: &f32| score.is_nan() || *score == f32::INFINITY;
        if let Some(id) = logits.iter().position(bad) {
            let value = logits[id];
            return Err(Error::BadScore { id, value });
        }
        self.scores.clear();
        self.scores.extend(logits.iter().copied().map(f64::from));
        let penalty = self.sampling.repetition_penalty;
        for &id in history {
            let vocab_size = logits.len();
            let original = *(logits.get(id as usize)).ok_or(Error::UnknownSymbol { id, vocab_size })?;
            let original = f64::from(original);
            // From the original score, so that a symbol that occurs twice is penalised once.
            self.scores[id as usize] = match original > 0.0 {
                true => original / penalty,
                false => original * penalty,
            };
        }
        Ok(())
    }

    fn normalise(&mut self) {
        let sum: f64 = self.candidates.iter().map(|(_, weight)| weight).sum();
        for (_, weight) in &mut self.candidates {
            *weight /= sum; // ≥ the largest weight, which is above 0
        }
    }
}

fn more_probable_first(a: &(usize, f64), b: &(usize, f64)) -> Ordering {
    b.1.total_cmp(&a.1).then(a.0.cmp(&b.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sampler(sampling: Sampling) -> Sampler {
        Sampler::new(sampling).unwrap()
    }

    fn ids(distribution: &[(usize, f64)]) -> Vec<usize> {
        distribution.iter().map(|(id, _)| *id).collect()
    }

    #[test]
    fn settings_outside_their_range_are_refused_by_name() {
        let plain = Sampling::default();
        for (sampling, name) in [
            (Sampling { temperature: -1.0, ..plain }, "temperature"),
            (Sampling { temperature: f64::NAN, ..plain }, "temperature"),
            (Sampling { top_k: Some(0), ..plain }, "top_k"),
            (Sampling { top_p: Some(0.0), ..plain }, "top_p"),
            (Sampling { top_p: Some(1.1), ..plain }, "top_p"),
            (Sampling { min_p: Some(f64::NAN), ..plain }, "min_p"),
            (Sampling { repetition_penalty: 0.0, ..plain }, "repetition_penalty"),
        ] {
            let error = Sampler::new(sampling).unwrap_err();
            assert!(error.to_string().starts_with(name), "{error}");
        }
    }

    #[test]
    fn scores_that_are_no_numbers_are_errors() {
        let mut generator = Generator::new(0);
        for temperature in [0.0, 1.0] {
            let mut sampler = sampler(Sampling { temperature, ..Sampling::default() });
            let mut draw = |logits: &[f32], history: &[u32]| {
                sampler.sample(logits, history, &mut generator).unwrap_err()
            };
            assert!(matches!(draw(&[0.0, f32::NAN], &[]), Error::BadScore { id: 1, .. }));
            assert!(matches!(draw(&[f32::INFINITY], &[]), Error::BadScore { id: 0, .. }));
            assert_eq!(draw(&[f32::NEG_INFINITY; 2], &[]), Error::NothingLeft);
            assert_eq!(draw(&[], &[]), Error::NoScores);
            assert_eq!(draw(&[0.0], &[1]), Error::UnknownSymbol { id: 1, vocab_size: 1 });
        }
    }

    #[test]
    fn temperature_zero_takes_the_first_best_score_and_no_random_number() {
        let mut greedy = sampler(Sampling { temperature: 0.0, ..Sampling::default() });
        let mut generator = Generator::new(3);
        assert_eq!(greedy.sample(&[1.0, 5.0, 5.0, -2.0], &[], &mut generator).unwrap(), 1);
        assert_eq!(generator.position(), Generator::new(3).position());
    }

    #[test]
    fn the_repetition_penalty_lowers_each_symbol_of_the_history_once() {
        let mut sampler = sampler(Sampling { repetition_penalty: 2.0, ..Sampling::default() });
        let penalised = sampler.distribution(&[2.0, 2.0, -1.0, -1.0], &[0, 2, 0]).unwrap();
        sampler.sampling.repetition_penalty = 1.0;
        let expected = sampler.distribution(&[1.0, 2.0, -2.0, -1.0], &[]).unwrap();
        assert_eq!(penalised, expected);
    }

    #[test]
    fn the_filters_keep_the_sets_their_papers_define() {
        let logits = [0.1f32, 0.5, 0.25, 0.15].map(f32::ln);
        let kept = |sampling| ids(&sampler(sampling).distribution(&logits, &[]).unwrap());
        let plain = Sampling::default();
        assert_eq!(kept(plain), [1, 2, 3, 0]);
        assert_eq!(kept(Sampling { top_k: Some(2), ..plain }), [1, 2]);
        assert_eq!(kept(Sampling { top_p: Some(0.7), ..plain }), [1, 2]);
        assert_eq!(kept(Sampling { top_p: Some(0.8), ..plain }), [1, 2, 3]);
        assert_eq!(kept(Sampling { top_p: Some(0.01), ..plain }), [1]);
        assert_eq!(kept(Sampling { min_p: Some(0.4), ..plain }), [1, 2]);
        assert_eq!(kept(Sampling { min_p: Some(1.0), ..plain }), [1]);
    }

    #[test]
    fn a_symbol_that_is_ruled_out_is_never_drawn_and_the_rest_by_their_probabilities() {
        let logits = [f32::NEG_INFINITY, 0.75f32.ln(), 0.25f32.ln()];
        let mut sampler = sampler(Sampling::default());
        let mut generator = Generator::new(11);
        let mut counts = [0usize; 3];
        for _ in 0..20_000 {
            counts[sampler.sample(&logits, &[], &mut generator).unwrap()] += 1;
        }
        assert_eq!(counts[0], 0);
        // Five standard deviations: 5 √(0.75 · 0.25 / 20000) = 0.0153.
        assert!((counts[1] as f64 / 20_000.0 - 0.75).abs() < 0.0153, "{counts:?}");
    }

    #[test]
    fn the_same_seed_draws_the_same_symbols() {
        let logits: Vec<f32> = (0..50).map(|i| (i as f32 * 0.7).sin()).collect();
        let draw = |seed| {
            let mut generator = Generator::new(seed);
            let mut sampler = sampler(Sampling { top_p: Some(0.9), ..Sampling::default() });
            let mut one = || sampler.sample(&logits, &[], &mut generator).unwrap();
            (0..50).map(|_| one()).collect::<Vec<_>>()
        };
        assert_eq!(draw(5), draw(5));
        assert_ne!(draw(5), draw(6));
    }

    proptest! {
        #[test]
        fn top_k_keeps_the_k_most_probable(
            logits in prop::collection::vec(-4i8..4, 1..40), k in 1usize..50
        ) {
            let logits: Vec<f32> = logits.into_iter().map(f32::from).collect();
            let all = sampler(Sampling::default()).distribution(&logits, &[]).unwrap();
            let kept = sampler(Sampling { top_k: Some(k), ..Sampling::default() })
                .distribution(&logits, &[]).unwrap();
            prop_assert_eq!(ids(&kept), ids(&all[..k.min(all.len())]));
            prop_assert!((kept.iter().map(|(_, p)| p).sum::<f64>() - 1.0).abs() < 1e-12);
        }

        #[test]
        fn top_p_keeps_the_smallest_set_that_holds_p(
            logits in prop::collection::vec(-8.0f32..8.0, 1..40), p in 0.001f64..1.0
        ) {
            let all = sampler(Sampling::default()).distribution(&logits, &[]).unwrap();
            let kept = sampler(Sampling { top_p: Some(p), ..Sampling::default() })
                .distribution(&logits, &[]).unwrap();
            let n = kept.len();
            prop_assert_eq!(ids(&kept), ids(&all[..n]));
            let mass = |n: usize| all[..n].iter().map(|(_, p)| p).sum::<f64>();
            prop_assert!(mass(n) >= p - 1e-12);
            prop_assert!(n == 1 || mass(n - 1) < p + 1e-12);
        }

        #[test]
        fn min_p_keeps_those_probable_enough_beside_the_best(
            logits in prop::collection::vec(-8.0f32..8.0, 1..40), ratio in 0.0f64..=1.0
        ) {
            let all = sampler(Sampling::default()).distribution(&logits, &[]).unwrap();
            let kept = sampler(Sampling { min_p: Some(ratio), ..Sampling::default() })
                .distribution(&logits, &[]).unwrap();
            let expected: Vec<usize> =
                all.iter().filter(|(_, p)| *p >= ratio * all[0].1).map(|(id, _)| *id).collect();
            prop_assert_eq!(ids(&kept), expected);
        }

        #[test]
        fn whatever_is_drawn_is_in_the_distribution(
            logits in prop::collection::vec(-50.0f32..50.0, 1..40),
            temperature in 0.0f64..3.0, k in prop::option::of(1usize..10),
            top_p in prop::option::of(0.01f64..=1.0), min_p in prop::option::of(0.0f64..=1.0),
            seed in any::<u64>()
        ) {
            let sampling = Sampling { temperature, top_k: k, top_p, min_p, repetition_penalty: 1.2 };
            let mut sampler = sampler(sampling);
            let allowed = ids(&sampler.distribution(&logits, &[0]).unwrap());
            let drawn = sampler.sample(&logits, &[0], &mut Generator::new(seed)).unwrap();
            prop_assert!(allowed.contains(&drawn));
        }
    }
}
