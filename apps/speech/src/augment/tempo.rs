//! Faster or slower at the same pitch: WSOLA (Verhelst and Roelands 1993, *An overlap-add technique
//! based on waveform similarity*).

use std::f64::consts::PI;

use audio_features::lanes::dot;

/// Seconds between the pieces that the result is made of; each is two such steps long.
const STEP: f64 = 0.016;

/// `samples`, which are `rate` per second, spoken `factor` times as fast: of `n`, `⌈n / factor⌉` are
/// left, and frequencies stay where they are. The factor must be positive.
///
/// The result is a sum of overlapping pieces of the signal under a Hann window. Each is taken where
/// the tempo asks for it, up to a quarter of its length earlier or later: where it differs least from
/// what followed the piece before it in the signal, so that periods of the voice go on undisturbed.
pub fn tempo(samples: &[f32], factor: f64, rate: u32) -> Vec<f32> {
    let step = (STEP * f64::from(rate)) as usize;
    if factor == 1.0 || samples.is_empty() || step < 2 {
        return samples.to_vec();
    }
    let window: Vec<f32> =
        (0..2 * step).map(|i| (PI * i as f64 / (2 * step) as f64).sin().powi(2) as f32).collect();
    let search = step / 2;
    // silence around, so that every piece and what follows it exist
    let before = step + search;
    let mut padded = vec![0.0; before + samples.len() + 4 * step];
    padded[before..][..samples.len()].copy_from_slice(samples);

    let length = (samples.len() as f64 / factor).ceil() as usize;
    let mut spoken = vec![0.0; (length.div_ceil(step) + 2) * step];
    let mut start = search;
    for (index, out) in (0..spoken.len() - step).step_by(step).enumerate() {
        if index > 0 {
            let centre = (index as f64 * step as f64 * factor).min(samples.len() as f64) as usize;
            let following = &padded[start + step..][..step];
            start = centre + nearest(&padded[centre..][..2 * search + step], following);
        }
        for ((out, sample), weight) in spoken[out..].iter_mut().zip(&padded[start..]).zip(&window) {
            *out += sample * weight;
        }
    }
    spoken.drain(..step);
    spoken.truncate(length);
    spoken
}

/// Where in `signal` a piece begins that has the least squared distance from `piece`; of equal ones
/// that nearest to the middle.
fn nearest(signal: &[f32], piece: &[f32]) -> usize {
    let square = |index: usize| f64::from(signal[index]).powi(2);
    let places = signal.len() - piece.len() + 1;
    let mut energy: f64 = (0..piece.len()).map(square).sum();
    let mut best = (f64::INFINITY, usize::MAX, 0);
    for place in 0..places {
        if place > 0 {
            energy += square(place + piece.len() - 1) - square(place - 1);
        }
        let distance = energy - 2.0 * f64::from(dot(&signal[place..][..piece.len()], piece));
        let candidate = (distance, place.abs_diff(places / 2), place);
        if candidate < best {
            best = candidate;
        }
    }
    best.2
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::augment::measure::{frequency, tone};

    #[test]
    fn a_tone_spoken_faster_is_shorter_has_its_pitch_and_no_breaks() {
        for factor in [0.8, 0.93, 1.1, 1.25] {
            let samples = tone(440.0, 8000, 8000);
            let fast = tempo(&samples, factor, 8000);
            assert_eq!(fast.len(), (8000.0 / factor).ceil() as usize);
            assert!((frequency(&fast, 8000) - 440.0).abs() < 2.0, "{factor}: {}", frequency(&fast, 8000));
            let steepest = |samples: &[f32]| {
                samples.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max)
            };
            let inner = 200..fast.len() - 200;
            assert!(steepest(&fast[inner.clone()]) < 1.05 * steepest(&samples), "{factor}");
            // no piece cancels its neighbour
            let quietest = fast[inner]
                .chunks_exact(40)
                .map(|chunk| chunk.iter().fold(0.0f32, |peak, x| peak.max(x.abs())))
                .fold(1.0, f32::min);
            assert!(quietest > 0.42, "{factor}: {quietest}");
        }
    }

    #[test]
    fn what_happens_in_the_middle_is_still_in_the_middle() {
        let mut samples = vec![0.0; 8000];
        samples[3960..4040].copy_from_slice(&tone(440.0, 8000, 80));
        for factor in [0.8, 1.25] {
            let fast = tempo(&samples, factor, 8000);
            let weighted: f64 = fast.iter().enumerate().map(|(i, x)| i as f64 * f64::from(x * x)).sum();
            let centre = weighted / fast.iter().map(|x| f64::from(x * x)).sum::<f64>();
            assert!((centre / fast.len() as f64 - 0.5).abs() < 0.02, "{factor}: {centre}");
        }
    }

    #[test]
    fn tempo_one_changes_nothing() {
        let samples = tone(440.0, 8000, 1000);
        assert_eq!(tempo(&samples, 1.0, 8000), samples);
    }

    proptest! {
        #[test]
        fn any_length_and_factor_give_the_length_that_is_promised(
            length in 0usize..3000, factor in 0.5f64..2.0, rate in prop::sample::select(vec![1u32, 200, 8000])
        ) {
            let fast = tempo(&vec![0.5; length], factor, rate);
            let promised = if rate == 1 { length } else { (length as f64 / factor).ceil() as usize };
            prop_assert_eq!(fast.len(), promised);
            prop_assert!(fast.iter().all(|x| x.abs() <= 0.501));
        }
    }
}
