//! The echo of a room.

use std::sync::{Mutex, PoisonError};

use candle_rnn::Generator;
use realfft::RealFftPlanner;

use super::level::{peak, power, scale};

/// Seconds from the direct sound to the first echo, which comes by a way almost a metre longer.
const FIRST_ECHO: f64 = 0.0025;

/// Up to so many samples, the shorter of two signals is convolved with directly.
const DIRECT_LENGTH: usize = 32;

/// What a room makes of a click, and which of its samples is the direct sound.
#[derive(Clone, Debug, PartialEq)]
pub struct ImpulseResponse {
    /// The samples.
    pub samples: Vec<f32>,
    /// Index of the direct sound.
    pub direct: usize,
}

impl ImpulseResponse {
    /// A synthetic room at `rate` samples a second: the direct sound, and 2.5 ms later noise that falls
    /// by 60 dB in `rt60` seconds, together `direct_to_reverberant_db` below it (the model of Polack
    /// 1988, *La transmission de l'énergie sonore dans les salles*).
    pub fn of_room(rt60: f64, direct_to_reverberant_db: f64, rate: u32, generator: &mut Generator) -> Self {
        let first = (FIRST_ECHO * f64::from(rate)).ceil().max(1.0) as usize;
        let length = (rt60 * f64::from(rate)).ceil() as usize;
        // the same factor from each sample to the next is cheaper than a power for each
        let fall = 10f64.powf(-3.0 / (rt60 * f64::from(rate)));
        let mut samples = vec![0.0; first];
        let mut level = 1.0;
        samples.extend((0..length).map(|_| {
            level *= fall;
            (generator.normal() * level) as f32
        }));
        let reverberant = samples.len() as f64 * power(&samples);
        if reverberant > 0.0 {
            scale(&mut samples, (10f64.powf(-direct_to_reverberant_db / 10.0) / reverberant).sqrt() as f32);
        }
        samples[0] = 1.0;
        Self { samples, direct: 0 }
    }

    /// A recorded response, whose direct sound is where it is loudest.
    pub fn recorded(samples: Vec<f32>) -> Self {
        let loudest = peak(&samples);
        let direct = samples.iter().position(|sample| sample.abs() == loudest).unwrap_or(0);
        Self { samples, direct }
    }
}

/// Convolution; Fourier transforms are planned once for each power of two.
pub struct Convolver {
    planner: Mutex<RealFftPlanner<f32>>,
}

impl Default for Convolver {
    fn default() -> Self {
        Self { planner: Mutex::new(RealFftPlanner::new()) }
    }
}

impl Convolver {
    /// `samples` as heard in a room: as many, the direct sound at the same time, the same power. What
    /// echoes after their end is cut off.
    pub fn reverberate(&self, samples: &[f32], response: &ImpulseResponse) -> Vec<f32> {
        let mut echoing = self.convolve(samples, &response.samples);
        echoing.drain(..response.direct.min(echoing.len()));
        echoing.resize(samples.len(), 0.0);
        let power_now = power(&echoing);
        if power_now > 0.0 {
            scale(&mut echoing, (power(samples) / power_now).sqrt() as f32);
        }
        echoing
    }

    /// `Σ_k a[k] b[i - k]`: of `n` and `m` samples, `n + m - 1`; none if there are none of either.
    pub fn convolve(&self, a: &[f32], b: &[f32]) -> Vec<f32> {
        if a.is_empty() || b.is_empty() {
            return Vec::new();
        }
        let (long, short) = if a.len() < b.len() { (b, a) } else { (a, b) };
        let length = long.len() + short.len() - 1;
        if short.len() <= DIRECT_LENGTH {
            let mut sum = vec![0.0; length];
            for (delay, factor) in short.iter().enumerate() {
                for (sum, sample) in sum[delay..].iter_mut().zip(long) {
                    *sum += factor * sample;
                }
            }
            return sum;
        }
        let transformed = length.next_power_of_two();
        let (forward, inverse) = {
            // a planner that a thread left in panic still plans
            let mut planner = self.planner.lock().unwrap_or_else(PoisonError::into_inner);
            (planner.plan_fft_forward(transformed), planner.plan_fft_inverse(transformed))
        };
        let mut scratch = forward.make_scratch_vec();
        let mut spectrum = |samples: &[f32]| {
            let mut padded = forward.make_input_vec();
            padded[..samples.len()].copy_from_slice(samples);
            let mut bins = forward.make_output_vec();
            // fails only on buffers of other lengths than its own
            let _ = forward.process_with_scratch(&mut padded, &mut bins, &mut scratch);
            bins
        };
        let mut product = spectrum(long);
        let factor = 1.0 / transformed as f32;
        for (bin, other) in product.iter_mut().zip(spectrum(short)) {
            *bin = *bin * other * factor;
        }
        // what rounding leaves there, the inverse takes for an error
        for real in [0, transformed / 2] {
            product[real].im = 0.0;
        }
        let mut sum = inverse.make_output_vec();
        let _ = inverse.process(&mut product, &mut sum);
        sum.truncate(length);
        sum
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::augment::measure::tone;
    use crate::augment::noise::white;

    /// Seconds until the energy that is still to come has fallen by 60 dB, from its fall between -5 and
    /// -25 dB (Schroeder 1965, ISO 3382's T20).
    fn measured_rt60(samples: &[f32], rate: u32) -> f64 {
        let mut left: Vec<f64> = samples
            .iter()
            .rev()
            .scan(0.0, |sum, &x| {
                *sum += f64::from(x).powi(2);
                Some(*sum)
            })
            .collect();
        left.reverse();
        let below = |decibels: f64| {
            left.iter().position(|energy| 10.0 * (energy / left[0]).log10() < -decibels).unwrap() as f64
        };
        3.0 * (below(25.0) - below(5.0)) / f64::from(rate)
    }

    #[test]
    fn the_echo_falls_by_sixty_decibels_in_the_time_asked_for() {
        for rt60 in [0.1, 0.3, 1.0] {
            for seed in 0..5 {
                let room = ImpulseResponse::of_room(rt60, 0.0, 16_000, &mut Generator::new(seed));
                let measured = measured_rt60(&room.samples[40..], 16_000);
                assert!((measured / rt60 - 1.0).abs() < 0.15, "{measured} for {rt60}");
            }
        }
    }

    #[test]
    fn the_echo_is_as_far_below_the_direct_sound_as_asked_for() {
        for asked in [-10.0, 0.0, 15.0] {
            let room = ImpulseResponse::of_room(0.2, asked, 8000, &mut Generator::new(1));
            assert_eq!(room.samples[0], 1.0);
            assert!(room.samples[1..20].iter().all(|&x| x == 0.0));
            let echo: f64 = room.samples[1..].iter().map(|&x| f64::from(x).powi(2)).sum();
            assert!((-10.0 * echo.log10() - asked).abs() < 0.01);
        }
    }

    #[test]
    fn the_direct_sound_of_a_recorded_room_stays_at_its_time() {
        let mut samples = vec![0.0; 100];
        (samples[30], samples[50]) = (-0.8, 0.2);
        let response = ImpulseResponse::recorded(samples);
        assert_eq!(response.direct, 30);
        let mut click = vec![0.0; 200];
        click[60] = 1.0;
        let echoing = Convolver::default().reverberate(&click, &response);
        assert_eq!(echoing.len(), 200);
        assert!((echoing[80] / echoing[60] + 0.25).abs() < 1e-5);
        assert!((power(&echoing) - power(&click)).abs() < 1e-7);
    }

    #[test]
    fn a_room_without_echo_changes_nothing() {
        let samples = tone(440.0, 8000, 500);
        let response = ImpulseResponse::recorded(vec![0.5]);
        for (a, b) in Convolver::default().reverberate(&samples, &response).iter().zip(&samples) {
            assert!((a - b).abs() < 1e-6);
        }
    }

    proptest! {
        #[test]
        fn convolution_is_the_sum_of_the_definition(n in 0usize..200, m in 0usize..200, seed: u64) {
            let mut generator = Generator::new(seed);
            let (a, b) = (white(n, &mut generator), white(m, &mut generator));
            let sum = Convolver::default().convolve(&a, &b);
            let expected = if n == 0 || m == 0 { 0 } else { n + m - 1 };
            prop_assert_eq!(sum.len(), expected);
            for (i, sum) in sum.iter().enumerate() {
                let terms = (i.saturating_sub(m - 1)..n.min(i + 1)).map(|k| a[k] * b[i - k]);
                let exact: f32 = terms.sum();
                prop_assert!((sum - exact).abs() < 1e-3, "{} for {}", sum, exact);
            }
        }

        #[test]
        fn a_room_keeps_length_and_power(length in 0usize..3000, rt60 in 0.01f64..0.5, seed: u64) {
            let mut generator = Generator::new(seed);
            let samples = white(length, &mut generator);
            let room = ImpulseResponse::of_room(rt60, 3.0, 8000, &mut generator);
            let echoing = Convolver::default().reverberate(&samples, &room);
            prop_assert_eq!(echoing.len(), length);
            prop_assert!((power(&echoing) - power(&samples)).abs() < 1e-3 * power(&samples).max(1e-9));
        }
    }
}
