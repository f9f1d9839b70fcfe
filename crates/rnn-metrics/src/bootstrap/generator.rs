//! The random numbers of NumPy's `default_rng`, which sacreBLEU draws its samples with.

/// PCG64 (O'Neill 2014, *PCG: A Family of Simple Fast Space-Efficient Statistically Good Algorithms
/// for Random Number Generation*; the variant XSL-RR 128/64), started from a seed as NumPy's
/// `SeedSequence` does.
pub(super) struct Generator {
    state: u128,
    increment: u128,
    /// The upper half of the last 64 bits, until it is used.
    half: Option<u32>,
}

impl Generator {
    pub(super) fn new(seed: u64) -> Self {
        let words = spread(seed);
        let increment = (u128::from(words[2]) << 64 | u128::from(words[3])) << 1 | 1;
        let start = u128::from(words[0]) << 64 | u128::from(words[1]);
        let mut generator = Generator { state: increment.wrapping_add(start), increment, half: None };
        generator.step();
        generator
    }

    fn step(&mut self) {
        const MULTIPLIER: u128 = 0x2360_ED05_1FC6_5DA4_4385_DF64_9FCC_F645;
        self.state = self.state.wrapping_mul(MULTIPLIER).wrapping_add(self.increment);
    }

    fn next_u64(&mut self) -> u64 {
        self.step();
        let folded = (self.state >> 64) as u64 ^ self.state as u64;
        folded.rotate_right((self.state >> 122) as u32)
    }

    fn next_u32(&mut self) -> u32 {
        if let Some(half) = self.half.take() {
            return half;
        }
        let bits = self.next_u64();
        self.half = Some((bits >> 32) as u32);
        bits as u32
    }

    /// A number below `bound`, all with the same probability. `bound` is above 0 and below 2³².
    ///
    /// Lemire 2019, *Fast Random Integer Generation in an Interval*, algorithm 5.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        let bound = bound as u32;
        let threshold = bound.wrapping_neg() % bound;
        loop {
            let product = u64::from(self.next_u32()) * u64::from(bound);
            if product as u32 >= threshold {
                return (product >> 32) as usize;
            }
        }
    }
}

/// NumPy's `SeedSequence(seed).generate_state(4, uint64)`: four words of 32 bits that all depend on
/// every bit of the seed, from which eight are hashed.
fn spread(seed: u64) -> [u64; 4] {
    let mut hash = Hash { constant: 0x43b0_d7e5, multiplier: 0x931e_8875 };
    let mut pool = [seed as u32, (seed >> 32) as u32, 0, 0].map(|word| hash.of(word));
    for from in 0..4 {
        for to in (0..4).filter(|to| *to != from) {
            let mixed = pool[to].wrapping_mul(0xca01_f9dd);
            let mixed = mixed.wrapping_sub(hash.of(pool[from]).wrapping_mul(0x4973_f715));
            pool[to] = mixed ^ mixed >> 16;
        }
    }
    let mut hash = Hash { constant: 0x8b51_f9dd, multiplier: 0x58f3_8ded };
    let mut next = pool.iter().cycle().map(|word| u64::from(hash.of(*word)));
    [(); 4].map(|()| {
        let low = next.next().unwrap_or_default();
        next.next().unwrap_or_default() << 32 | low
    })
}

/// A hash whose constant changes with each word.
struct Hash {
    constant: u32,
    multiplier: u32,
}

impl Hash {
    fn of(&mut self, word: u32) -> u32 {
        let word = word ^ self.constant;
        self.constant = self.constant.wrapping_mul(self.multiplier);
        let word = word.wrapping_mul(self.constant);
        word ^ word >> 16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_numpys() {
        let draw = |seed, bound| {
            let mut generator = Generator::new(seed);
            [(); 8].map(|()| generator.below(bound))
        };
        // numpy.random.default_rng(seed).choice(bound, 8)
        assert_eq!(draw(12345, 1000), [699, 227, 788, 316, 204, 797, 642, 676]);
        assert_eq!(draw(1 << 40, 7), [6, 2, 2, 4, 5, 6, 2, 1]);
        assert_eq!(draw(0, 1), [0; 8]);
    }
}
