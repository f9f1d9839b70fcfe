//! Noise.

use std::f64::consts::PI;

use candle_rnn::Generator;
use rand::Rng;

/// White noise of power 1: the sum of four uniform numbers, close to normal,
/// and the same on every machine.
#[inline]
pub(super) fn white(generator: &mut Generator) -> f64 {
    let bits = generator.next_u64();
    let sum: u64 = (0..4).map(|part| (bits >> (16 * part)) & 0xffff).sum();
    // Each is uniform on 0 to 2¹⁶ − 1, of variance 2³²/12.
    (sum as f64 - 131_070.) * (3f64.sqrt() / 65_536.)
}

/// Pink noise, of the same power in every octave: white noise through
/// low-passes whose corners are two octaves apart, each with half the gain of
/// the one below. Its power is not 1.
#[derive(Debug)]
pub(super) struct Pink {
    decays: [f64; 4],
    levels: [f64; 4],
}

impl Pink {
    /// At `rate` samples per second.
    pub fn new(rate: u32) -> Self {
        let corner = |stage: i32| 20. * 4f64.powi(stage);
        let decay = |stage| (-2. * PI * corner(stage) / f64::from(rate)).exp();
        Self { decays: [0, 1, 2, 3].map(decay), levels: [0.; 4] }
    }

    pub fn next(&mut self, generator: &mut Generator) -> f64 {
        let white = white(generator);
        let mut sum = 0.;
        for ((level, decay), gain) in self.levels.iter_mut().zip(self.decays).zip([8., 4., 2., 1.]) {
            *level = decay * *level + (1. - decay) * white;
            sum += gain * *level;
        }
        sum + 0.25 * white
    }
}
