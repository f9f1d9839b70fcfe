//! Silence around a recording.

use candle_rnn::Generator;

use super::level::{power, scale};
use super::noise::white;

/// Seconds over which the quietest moment of a recording is looked for.
const MOMENT: f64 = 0.01;

/// The power of silence as a part of the recording's, at most: 30 dB below it. A recording that was cut
/// close to the word has no quiet moment.
const MOST: f64 = 1e-3;

/// `samples`, which are `rate` per second, with as many more `before` and `after` as are said.
///
/// The silence is that of the recording: white noise as loud as its quietest 10 ms, and at least 30 dB
/// below the whole. Zeros would have features that no microphone gives, and would tell where the word
/// begins; a recording of less than 10 ms gets them.
pub fn surround(
    samples: &[f32],
    before: usize,
    after: usize,
    rate: u32,
    generator: &mut Generator,
) -> Vec<f32> {
    let moment = ((MOMENT * f64::from(rate)) as usize).max(1);
    let quietest = samples.chunks_exact(moment).map(power).reduce(f64::min);
    let level = quietest.unwrap_or(0.0).min(MOST * power(samples)).sqrt();
    let mut silence = white(before + after, generator);
    scale(&mut silence, level as f32);
    let (start, end) = silence.split_at(before);
    [start, samples, end].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::measure::tone;

    #[test]
    fn the_silence_is_as_loud_as_the_quietest_moment_and_the_recording_is_untouched() {
        // with a moment at -40 dB, and without a pause
        for (factor, expected) in [(0.01, 1e-4), (1.0, 1e-3)] {
            let mut samples = tone(1000.0, 8000, 4000);
            scale(&mut samples[800..880], factor);
            let surrounded = surround(&samples, 1600, 2400, 8000, &mut Generator::new(1));
            assert_eq!(surrounded.len(), 8000);
            assert!(surrounded[1600..5600] == samples);
            for silence in [&surrounded[..1600], &surrounded[5600..]] {
                let ratio = power(silence) / (0.125 * expected);
                assert!((0.9..1.1).contains(&ratio), "{ratio}");
            }
        }
    }

    #[test]
    fn the_shortest_recordings_are_put_between_zeros() {
        assert_eq!(surround(&[0.5], 2, 1, 8000, &mut Generator::new(1)), [0.0, 0.0, 0.5, 0.0]);
        assert_eq!(surround(&[], 1, 1, 8000, &mut Generator::new(1)), [0.0, 0.0]);
        assert_eq!(surround(&[0.5], 0, 0, 8000, &mut Generator::new(1)), [0.5]);
    }
}
