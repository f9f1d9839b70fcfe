//! Random numbers from a seed: nothing global, and a position that can be saved and restored.

use std::convert::Infallible;

use rand::rand_core::TryRng;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

/// A seeded stream of random numbers: the ChaCha cipher with eight rounds, the same numbers on
/// every machine.
///
/// A generator is its seed and its position, so that a run continues exactly where it stopped:
///
/// ```
/// use candle_rnn::Generator;
/// let mut generator = Generator::new(42);
/// generator.normal();
/// let mut resumed = Generator::at(generator.seed(), generator.position());
/// assert_eq!(resumed.uniform(), generator.uniform());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generator {
    seed: u64,
    rng: ChaCha8Rng,
}

impl Generator {
    /// A generator at the start of the stream of `seed`.
    pub fn new(seed: u64) -> Self {
        Self { seed, rng: ChaCha8Rng::seed_from_u64(seed) }
    }

    /// A generator `position` 32-bit words into the stream of `seed`; the inverse of
    /// [`Generator::seed`] and [`Generator::position`]. A stream begins again after 2⁶⁸ words.
    pub fn at(seed: u64, position: u128) -> Self {
        let mut generator = Self::new(seed);
        generator.rng.set_word_pos(position);
        generator
    }

    /// One of the 2⁶⁴ independent streams of the same seed; stream 0 is [`Generator::new`]'s.
    pub(crate) fn stream(seed: u64, stream: u64) -> Self {
        let mut generator = Self::new(seed);
        generator.rng.set_stream(stream);
        generator
    }

    /// The seed it was made with.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// How many 32-bit words have been drawn.
    pub fn position(&self) -> u128 {
        self.rng.get_word_pos()
    }

    /// This generator `words` 32-bit words further on.
    pub(crate) fn ahead(&self, words: usize) -> Self {
        let mut generator = self.clone();
        generator.rng.set_word_pos(self.position() + words as u128);
        generator
    }

    /// Uniform in `[0, 1)`, with 53 random bits.
    pub fn uniform(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 * 2f64.powi(-53)
    }

    /// Normal with mean 0 and standard deviation 1.
    pub fn normal(&mut self) -> f64 {
        self.sample(StandardNormal)
    }

    /// Uniform among `0, 1, …, n - 1`.
    ///
    /// # Panics
    /// When `n` is zero: there is nothing to choose from.
    pub fn below(&mut self, n: usize) -> usize {
        self.random_range(0..n)
    }

    /// Puts the items in a random order, all orders being equally likely (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

impl TryRng for Generator {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.rng.try_next_u32()
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.rng.try_next_u64()
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.rng.try_fill_bytes(bytes)
    }
}

/// Whether a network is trained or used, and where training takes its random numbers from.
#[derive(Debug)]
pub enum Mode<'a> {
    /// Nothing is random and nothing is dropped.
    Eval,
    /// [`dropout`](crate::dropout()) draws its masks from the generator.
    Train(&'a mut Generator),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generator_restored_at_any_position_continues_the_same_stream() {
        let mut generator = Generator::new(3);
        for words in 0..200 {
            let mut restored = Generator::at(3, generator.position());
            assert_eq!(restored.clone().next_u64(), generator.clone().next_u64(), "after {words} words");
            assert_eq!(restored.next_u32(), generator.next_u32(), "after {words} words");
        }
        assert_eq!(generator.position(), 200);
    }

    #[test]
    fn seeds_and_streams_give_different_numbers() {
        let first = |mut g: Generator| g.next_u64();
        let drawn = [Generator::new(1), Generator::new(2), Generator::stream(1, 1), Generator::stream(1, 2)]
            .map(first);
        let distinct: std::collections::HashSet<_> = drawn.into_iter().collect();
        assert_eq!(distinct.len(), 4);
    }

    #[test]
    fn draws_have_the_moments_of_their_distributions() {
        let mut generator = Generator::new(5);
        let n = 100_000;
        let moments = |xs: Vec<f64>| {
            let mean = xs.iter().sum::<f64>() / n as f64;
            (mean, xs.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n as f64)
        };
        let (mean, variance) = moments((0..n).map(|_| generator.uniform()).collect());
        assert!((mean - 0.5).abs() < 0.005 && (variance - 1. / 12.).abs() < 0.002);
        let (mean, variance) = moments((0..n).map(|_| generator.normal()).collect());
        assert!(mean.abs() < 0.02 && (variance - 1.).abs() < 0.02);
    }

    #[test]
    fn a_shuffle_keeps_every_item_and_moves_most() {
        let mut items: Vec<usize> = (0..100).collect();
        Generator::new(1).shuffle(&mut items);
        assert!(items.iter().enumerate().filter(|(i, item)| i == *item).count() < 10);
        items.sort_unstable();
        assert!(items.into_iter().eq(0..100));
    }
}
