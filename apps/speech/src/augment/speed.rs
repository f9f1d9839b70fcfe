//! Faster or slower, and with it higher or lower (Ko et al. 2015, *Audio Augmentation for Speech
//! Recognition*).

use std::f64::consts::PI;

use audio_features::lanes::{WIDTH, dot};

/// Zero crossings of the sinc function on either side.
const ZERO_CROSSINGS: f64 = 16.0;

/// The cut-off as a part of the highest frequency that there can be.
const ROLL_OFF: f64 = 0.95;

/// Places between two samples that have a filter of their own; between these, two results are
/// interpolated. The error of it is below -58 dB at the highest frequency, and falls with its square.
const PHASES: usize = 32;

/// `samples` played `factor` times as fast: every frequency is multiplied by `factor`, and of `n`
/// samples `⌈n / factor⌉` are left. What would be above half of the sampling rate is removed.
///
/// The factor must be positive; before its start and after its end the signal is taken to be silent.
///
/// This is interpolation by a sinc function under a Hann window, not [`audio_features::resample()`]:
/// that one transforms blocks of a whole number of periods of the ratio, which for factors such as
/// 1.0873 are longer than the recording, and makes its filters anew for each ratio.
pub fn speed(samples: &[f32], factor: f64) -> Vec<f32> {
    if factor == 1.0 || samples.is_empty() {
        return samples.to_vec();
    }
    let cutoff = ROLL_OFF * (1.0 / factor).min(1.0);
    // so that a filter is whole blocks
    let reach = ((ZERO_CROSSINGS / cutoff).ceil() as usize).next_multiple_of(WIDTH / 2);
    let width = 2 * reach;
    let filters = filters(cutoff, reach);
    let filter = |phase: usize| &filters[phase * width..][..width];

    let mut padded = vec![0.0; reach - 1 + samples.len() + reach];
    padded[reach - 1..][..samples.len()].copy_from_slice(samples);
    let length = (samples.len() as f64 / factor).ceil() as usize;
    let at = |index: usize| {
        let position = (index as f64 * factor).min((samples.len() - 1) as f64);
        let phase = position.fract() * PHASES as f64;
        let around = &padded[position as usize..][..width];
        let before = dot(around, filter(phase as usize));
        let after = dot(around, filter(phase as usize + 1));
        before + phase.fract() as f32 * (after - before)
    };
    (0..length).map(at).collect()
}

/// The weights of `2 reach` samples around a time between the two in the middle: for each of
/// `PHASES + 1` such times, the first and the last being those of the two samples.
fn filters(cutoff: f64, reach: usize) -> Vec<f32> {
    let weight = |time: f64| {
        let angle = PI * cutoff * time;
        let sinc = if angle == 0.0 { 1.0 } else { angle.sin() / angle };
        let hann = (PI * time / (2.0 * reach as f64)).cos().powi(2);
        (cutoff * sinc * hann) as f32
    };
    let filter = |phase: usize| {
        let first = 1.0 - reach as f64 - phase as f64 / PHASES as f64;
        (0..2 * reach).map(move |tap| weight(first + tap as f64))
    };
    (0..=PHASES).flat_map(filter).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::augment::measure::{frequency, tone};

    #[test]
    fn a_tone_played_faster_is_higher_and_shorter_and_keeps_its_level() {
        for (factor, hertz) in [(1.1, 484.0), (0.8, 352.0), (1.25, 550.0), (0.937, 412.28)] {
            let fast = speed(&tone(440.0, 8000, 8000), factor);
            assert_eq!(fast.len(), (8000.0 / factor).ceil() as usize);
            assert!((frequency(&fast, 8000) - hertz).abs() < 0.5, "{factor}: {}", frequency(&fast, 8000));
            let ideal = tone(hertz, 8000, fast.len());
            let inner = 100..fast.len() - 100;
            let worst = fast[inner.clone()].iter().zip(&ideal[inner]).map(|(a, b)| (a - b).abs());
            assert!(worst.fold(0.0, f32::max) < 2e-3, "{factor}");
        }
    }

    #[test]
    fn what_becomes_too_high_for_the_rate_is_removed_rather_than_folded_down() {
        // 3600 Hz would become 4500, and fold to 3500
        let fast = speed(&tone(3600.0, 8000, 8000), 1.25);
        let loudest = fast[100..6000].iter().fold(0.0f32, |loudest, x| loudest.max(x.abs()));
        assert!(loudest < 5e-3, "{loudest}");
    }

    #[test]
    fn speed_one_changes_nothing() {
        let samples = tone(440.0, 8000, 100);
        assert_eq!(speed(&samples, 1.0), samples);
    }

    proptest! {
        #[test]
        fn any_length_and_factor_give_the_length_that_is_promised(
            length in 0usize..3000, factor in 0.5f64..2.0
        ) {
            let fast = speed(&vec![0.5; length], factor);
            prop_assert_eq!(fast.len(), (length as f64 / factor).ceil() as usize);
            // Midway between two equal samples their sinc functions add up to 4/π of one.
            let highest = 0.5 * std::f32::consts::FRAC_2_PI * 2.0;
            prop_assert!(fast.iter().all(|x| x.abs() < highest));
        }
    }
}
