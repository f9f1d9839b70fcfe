//! Would another test set have said the same?
//!
//! Koehn 2004, *Statistical Significance Tests for Machine Translation Evaluation*: sentences are
//! drawn from the test set, with replacement, until there are as many as before; the score is
//! computed; and that many times. How much the scores vary says how much a score can be trusted.
//! For two systems, both are scored on the same samples.
//!
//! The samples are those of sacreBLEU for the same seed, so that `--paired-bs` and `--confidence`
//! there print what this module computes.

mod generator;

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::metric::{Metric, Score, Statistics};
use generator::Generator;

/// Resampling of the sentences. The default is sacreBLEU's.
///
/// ```
/// use rnn_metrics::{Bleu, Bootstrap};
///
/// # fn main() -> Result<(), rnn_metrics::Error> {
/// let references = ["a b c d e", "f g h i j", "k l m n o", "p q r s t"];
/// let baseline = ["a b c d", "f g h j", "k l m n", "p q r s"];
/// let system = ["a b c d e", "f g h i j", "k l m n", "p q r s t"];
/// let comparison = Bootstrap::default().compare(&Bleu::default(), &baseline, &system, &[references])?;
/// assert!(comparison.system.score > comparison.baseline.score && comparison.p_value < 0.05);
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Bootstrap {
    /// How many samples are drawn, ≥ 1.
    pub samples: usize,
    /// Decides which.
    pub seed: u64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Bootstrap { samples: 1000, seed: 12345 }
    }
}

impl Bootstrap {
    /// How much a system's score varies. The hypotheses and references are those of
    /// [`Metric::corpus`].
    ///
    /// # Errors
    /// Those of [`Metric::corpus`], and [`Error::Setting`] for no samples.
    pub fn estimate<M, H, S, R>(
        &self,
        metric: &M,
        hypotheses: &[H],
        references: &[S],
    ) -> Result<Estimate, Error>
    where
        M: Metric,
        H: AsRef<str>,
        S: AsRef<[R]>,
        R: AsRef<str>,
    {
        self.check()?;
        let statistics = metric.statistics(hypotheses, references)?;
        Ok(Estimate::new(metric, &statistics, &self.scores(metric, [&statistics])[0]))
    }

    /// Whether a system's score differs from a baseline's by more than chance would have it. The
    /// hypotheses and references are those of [`Metric::corpus`].
    ///
    /// # Errors
    /// Those of [`Metric::corpus`], and [`Error::Setting`] for no samples.
    pub fn compare<M, H, S, R>(
        &self,
        metric: &M,
        baseline: &[H],
        system: &[H],
        references: &[S],
    ) -> Result<Comparison, Error>
    where
        M: Metric,
        H: AsRef<str>,
        S: AsRef<[R]>,
        R: AsRef<str>,
    {
        self.check()?;
        let baseline = metric.statistics(baseline, references)?;
        let system = metric.statistics(system, references)?;
        let [of_baseline, of_system] = self.scores(metric, [&baseline, &system]);
        let share = |count: usize| count as f64 / self.samples as f64;
        let higher = of_system.iter().zip(&of_baseline).filter(|(system, baseline)| system > baseline);
        let higher = share(higher.count());
        let baseline = Estimate::new(metric, &baseline, &of_baseline);
        let system = Estimate::new(metric, &system, &of_system);

        let differences: Vec<f64> =
            of_system.iter().zip(&of_baseline).map(|(system, baseline)| (system - baseline).abs()).collect();
        let mean = differences.iter().sum::<f64>() / self.samples as f64;
        let difference = (baseline.score - system.score).abs();
        let extreme = differences.iter().filter(|sampled| *sampled - mean > difference).count();
        let p_value = (extreme + 1) as f64 / (self.samples + 1) as f64;
        Ok(Comparison { baseline, system, higher, p_value })
    }

    /// The metric's [`signature`](Metric::signature) with the number of samples and the seed.
    /// `references`: the number of sets.
    pub fn signature<M: Metric>(&self, metric: &M, references: usize) -> String {
        let (nrefs, Bootstrap { samples, seed }) = (format!("nrefs:{references}|"), self);
        metric.signature(references).replacen(&nrefs, &format!("{nrefs}bs:{samples}|seed:{seed}|"), 1)
    }

    fn check(&self) -> Result<(), Error> {
        match self.samples {
            0 => Err(Error::Setting { name: "samples", value: 0.0, range: "at least 1" }),
            _ => Ok(()),
        }
    }

    /// The score of each system on each sample. All have the same sentences.
    fn scores<M: Metric, const N: usize>(&self, metric: &M, systems: [&Statistics; N]) -> [Vec<f64>; N] {
        let mut generator = Generator::new(self.seed);
        let sentences = systems[0].sentences();
        let mut scores = [const { Vec::new() }; N];
        for _ in 0..self.samples {
            let sample: Vec<usize> = (0..sentences).map(|_| generator.below(sentences)).collect();
            for (scores, statistics) in scores.iter_mut().zip(systems) {
                scores.push(metric.score(&statistics.sum_of(sample.iter().copied())).value());
            }
        }
        scores
    }
}

/// A score and how much it varies.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// Of all sentences.
    pub score: f64,
    /// The mean over the samples.
    pub mean: f64,
    /// Half the width of the interval that holds 95 % of the samples' scores.
    pub half_width: f64,
}

impl Estimate {
    fn new<M: Metric>(metric: &M, statistics: &Statistics, scores: &[f64]) -> Self {
        let mut sorted = scores.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let outside = sorted.len() / 40; // 2.5 % on each side
        Estimate {
            score: metric.score(&statistics.sum()).value(),
            mean: sorted.iter().sum::<f64>() / sorted.len() as f64,
            half_width: 0.5 * (sorted[sorted.len() - outside - 1] - sorted[outside]),
        }
    }
}

impl std::fmt::Display for Estimate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.2} (μ = {:.2} ± {:.2})", self.score, self.mean, self.half_width)
    }
}

/// Two systems on the same test set.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The first.
    pub baseline: Estimate,
    /// The second.
    pub system: Estimate,
    /// On which share of the samples the system's score is above the baseline's: 0.95 and more is
    /// what Koehn 2004 calls better with 95 % significance. Of TER and error rates, lower scores are
    /// better.
    pub higher: f64,
    /// The probability of a difference at least as large, in either direction, between two equally
    /// good systems. With the samples' differences δ, n in number, the two scores' difference Δ and
    /// both without sign: `p = (1 + #(δ − mean δ > Δ)) / (n + 1)` (sacreBLEU, after Moses'
    /// `bootstrap-hypothesis-difference-significance.pl`). It has no meaning for two systems whose
    /// scores are equal on every sample: then no δ is above the mean, and p is 1 / (n + 1).
    pub p_value: f64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Bleu, Chrf, ErrorRate};

    const REFERENCES: [&str; 4] = ["a b c d e", "f g h i j", "k l m n o", "p q r s t"];
    const BASELINE: [&str; 4] = ["a b c d", "f g h j", "k l m n", "p q r s"];

    #[test]
    fn a_system_does_not_differ_from_itself_and_p_has_no_meaning_then() {
        let bootstrap = Bootstrap::default();
        let same = bootstrap.compare(&Chrf::default(), &BASELINE, &BASELINE, &[REFERENCES]).unwrap();
        assert_eq!(same.baseline, same.system);
        assert_eq!(same.higher, 0.0);
        assert_eq!(same.p_value, 1.0 / 1001.0);
    }

    #[test]
    fn the_same_seed_draws_the_same_samples() {
        let estimate = |seed| {
            let bootstrap = Bootstrap { samples: 50, seed };
            bootstrap.estimate(&ErrorRate::words(), &BASELINE, &[REFERENCES]).unwrap()
        };
        assert_eq!(estimate(1), estimate(1));
        let bleu = |seed| {
            let bootstrap = Bootstrap { samples: 50, seed };
            bootstrap.estimate(&Bleu::default(), &BASELINE, &[REFERENCES]).unwrap()
        };
        assert_ne!(bleu(1), bleu(2));
    }

    #[test]
    fn the_signature_names_samples_and_seed() {
        let signature = Bootstrap::default().signature(&Bleu::default(), 2);
        assert!(signature.starts_with("nrefs:2|bs:1000|seed:12345|case:mixed|"), "{signature}");
    }

    #[test]
    fn no_samples_are_refused() {
        let bootstrap = Bootstrap { samples: 0, seed: 1 };
        let error = bootstrap.estimate(&Bleu::default(), &BASELINE, &[REFERENCES]).unwrap_err();
        assert!(error.to_string().starts_with("samples is 0"), "{error}");
    }
}
