//! Noise behind a recording.

use candle_rnn::Generator;

use super::level::power;

/// White noise with mean 0 and variance 1.
pub fn white(length: usize, generator: &mut Generator) -> Vec<f32> {
    (0..length).map(|_| generator.normal() as f32).collect()
}

/// Pink noise: the same power in every octave, at no particular level.
///
/// White noise through three first-order filters side by side, whose sum falls by 3 dB per octave to
/// within half a dB (Paul Kellet's filter, <https://www.firstpr.com.au/dsp/pink-noise>). It does so
/// from about a 5000th of the sampling rate up, whatever the rate.
pub fn pink(length: usize, generator: &mut Generator) -> Vec<f32> {
    /// What of a filter's value is left a sample later, and what of the input is added to it.
    const FILTERS: [[f32; 2]; 3] = [[0.997_65, 0.099_046], [0.963, 0.296_516_4], [0.57, 1.052_691_3]];
    const DIRECT: f32 = 0.184_8;
    /// Samples until the slowest filter has forgotten that it began with nothing.
    const SETTLING: usize = 1024;
    let mut values = [0.0; 3];
    let filtered = |input: f32| {
        for (value, [kept, added]) in values.iter_mut().zip(FILTERS) {
            *value = kept * *value + added * input;
        }
        values.iter().sum::<f32>() + DIRECT * input
    };
    white(SETTLING + length, generator).into_iter().map(filtered).skip(SETTLING).collect()
}

/// A random piece of a recording; a shorter one is repeated from its start.
///
/// # Panics
/// When the recording has no sample.
pub fn piece(recording: &[f32], length: usize, generator: &mut Generator) -> Vec<f32> {
    let places = recording.len().saturating_sub(length) + 1;
    let start = generator.below(places.max(1));
    recording[start..].iter().cycle().take(length).copied().collect()
}

/// Adds `noise` to `samples`, so loud that a signal of this `power` is `snr_db` louder. Noise that is
/// all zero adds nothing.
pub fn add_noise(samples: &mut [f32], noise: &[f32], power_of_signal: f64, snr_db: f64) {
    let power_of_noise = power(noise);
    if power_of_noise > 0.0 {
        let factor = (power_of_signal / power_of_noise / 10f64.powf(snr_db / 10.0)).sqrt() as f32;
        for (sample, noise) in samples.iter_mut().zip(noise) {
            *sample += factor * noise;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::measure::{powers, tone};

    #[test]
    fn the_ratio_of_signal_to_noise_is_the_one_asked_for() {
        let signal = tone(440.0, 8000, 4000);
        for noise in [white, pink] {
            for asked in [-5.0, 0.0, 20.0, 40.0] {
                let mut noisy = signal.clone();
                let noise = noise(4000, &mut Generator::new(1));
                add_noise(&mut noisy, &noise, power(&signal), asked);
                let added: Vec<f32> = noisy.iter().zip(&signal).map(|(a, b)| a - b).collect();
                let measured = 10.0 * (power(&signal) / power(&added)).log10();
                assert!((measured - asked).abs() < 0.01, "{measured} for {asked}");
            }
        }
    }

    #[test]
    fn white_noise_has_the_same_power_per_hertz_and_pink_noise_per_octave() {
        let octaves = |samples: Vec<f32>| -> Vec<f64> {
            let powers = powers(&samples, samples.len());
            // from 1/512 of the rate up to a half
            (8..16)
                .map(|octave| 10.0 * powers[1 << octave..2 << octave].iter().sum::<f64>().log10())
                .collect()
        };
        let white = octaves(white(1 << 17, &mut Generator::new(3)));
        let pink = octaves(pink(1 << 17, &mut Generator::new(3)));
        for pair in white.windows(2) {
            assert!((pair[1] - pair[0] - 3.01).abs() < 0.6, "{white:?}");
        }
        let mean = pink.iter().sum::<f64>() / 8.0;
        assert!(pink.iter().all(|level| (level - mean).abs() < 1.2), "{pink:?}");
    }

    #[test]
    fn pieces_come_from_all_of_a_long_recording_and_short_ones_are_repeated() {
        let recording: Vec<f32> = (0..10).map(|i| i as f32).collect();
        let mut generator = Generator::new(1);
        let mut starts = [false; 10];
        for _ in 0..200 {
            let piece = piece(&recording, 4, &mut generator);
            let start = piece[0] as usize;
            assert_eq!(piece, recording[start..start + 4]);
            starts[start] = true;
        }
        assert_eq!(starts, [true, true, true, true, true, true, true, false, false, false]);
        assert_eq!(piece(&[1.0, 2.0], 5, &mut generator), [1.0, 2.0, 1.0, 2.0, 1.0]);
        assert!(piece(&recording, 0, &mut generator).is_empty());
    }

    #[test]
    fn silent_noise_adds_nothing() {
        let mut samples = vec![0.5; 3];
        add_noise(&mut samples, &[0.0; 3], 0.25, 0.0);
        add_noise(&mut samples, &[], 0.25, 0.0);
        assert_eq!(samples, [0.5; 3]);
    }
}
