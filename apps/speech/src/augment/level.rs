//! How loud a signal is.

use audio_features::lanes::sum_of_squares;

/// The mean of the squares of `samples`; 0 if there are none.
pub fn power(samples: &[f32]) -> f64 {
    f64::from(sum_of_squares(samples)) / samples.len().max(1) as f64
}

/// The largest absolute value; 0 if there are none.
pub fn peak(samples: &[f32]) -> f32 {
    samples.iter().fold(0.0, |peak, sample| peak.max(sample.abs()))
}

/// Makes `samples` louder by `decibels`.
pub fn gain(samples: &mut [f32], decibels: f64) {
    scale(samples, amplitude(decibels) as f32);
}

/// Turns `samples` down so far that none is beyond `most`; they are not clipped, which would distort
/// them.
pub fn limit(samples: &mut [f32], most: f32) {
    let peak = peak(samples);
    if peak > most {
        scale(samples, most / peak);
        // the product is rounded, perhaps up
        samples.iter_mut().for_each(|sample| *sample = sample.clamp(-most, most));
    }
}

/// Multiplies each sample.
pub(super) fn scale(samples: &mut [f32], factor: f32) {
    samples.iter_mut().for_each(|sample| *sample *= factor);
}

/// The factor on amplitudes that `decibels` are.
pub(super) fn amplitude(decibels: f64) -> f64 {
    10f64.powf(decibels / 20.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::measure::tone;

    #[test]
    fn a_gain_of_six_decibels_is_a_factor_of_two_and_four_in_power() {
        let samples = tone(440.0, 8000, 800);
        let mut louder = samples.clone();
        gain(&mut louder, 20.0 * 2f64.log10());
        assert!((peak(&louder) / peak(&samples) - 2.0).abs() < 1e-5);
        assert!((power(&louder) / power(&samples) - 4.0).abs() < 1e-5);
        assert!((power(&samples) - 0.125).abs() < 1e-5);
    }

    #[test]
    fn only_what_is_too_loud_is_turned_down_and_keeps_its_shape() {
        let mut samples = vec![0.5, -4.0, 2.0];
        limit(&mut samples, 1.0);
        assert_eq!(samples, [0.125, -1.0, 0.5]);
        limit(&mut samples, 1.0);
        assert_eq!(samples, [0.125, -1.0, 0.5]);
    }

    #[test]
    fn nothing_has_no_power_and_no_peak() {
        assert_eq!((power(&[]), peak(&[])), (0.0, 0.0));
    }
}
