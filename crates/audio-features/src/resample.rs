//! From one sampling rate to another.

use rubato::audioadapter_buffers::direct::SequentialSlice;
use rubato::{Fft, FixedSync, Resampler, WindowFunction};

use crate::Error;

/// The highest rate of a signal in Hz, that of the fastest converters.
pub const MAX_RATE: u32 = 768_000;

/// Samples of the input that go through one Fourier transform, at least.
const BLOCK: usize = 2048;

/// `samples`, which are `from` per second, as `to` per second.
///
/// Band-limited in blocks of the Fourier transform (the crate `rubato`): what lies above half of the
/// lower rate is removed, what lies below keeps its place in time. Sample `i` of the result is at the
/// time `i / to`; there are `⌈n · to / from⌉` of them for `n` samples. Before its start and after its
/// end the signal is taken to be silent.
///
/// # Errors
/// When a rate is 0 or above [`MAX_RATE`], or a sample is not finite.
pub fn resample(samples: &[f32], from: u32, to: u32) -> Result<Vec<f32>, Error> {
    for (name, rate) in [("the rate of the signal", from), ("the new rate", to)] {
        if !(1..=MAX_RATE).contains(&rate) {
            return Err(Error::setting(name, rate, format!("from 1 to {MAX_RATE} samples a second")));
        }
    }
    if let Some(index) = samples.iter().position(|sample| !sample.is_finite()) {
        return Err(Error::NotFinite { name: "the signal".into(), index, value: samples[index] });
    }
    if from == to || samples.is_empty() {
        return Ok(samples.to_vec());
    }
    let (from, to) = (from as usize, to as usize);
    let expected = (samples.len() as u64 * to as u64).div_ceil(from as u64) as usize;
    // an even number of periods, or half a block would be no whole number of samples, and the delay none
    let period = from / greatest_common_divisor(from, to);
    let periods = BLOCK.div_ceil(period).next_multiple_of(2);
    let resampled = Fft::<f32>::new_custom(
        from,
        to,
        period * periods,
        1,
        1,
        WindowFunction::BlackmanHarris2,
        FixedSync::Both,
    )
    .map_err(|error| error.to_string())
    .and_then(|mut resampler| {
        let input = SequentialSlice::new(samples, 1, samples.len()).map_err(|error| error.to_string())?;
        resampler.process_all(&input, samples.len(), None).map_err(|error| error.to_string())
    });
    let mut resampled =
        resampled.map_err(|range| Error::setting("the new rate", to as f64, range))?.take_data();
    // the length comes from a ratio in floating point
    resampled.resize(expected, 0.0);
    Ok(resampled)
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(frequency: f64, rate: u32, length: usize) -> Vec<f32> {
        (0..length)
            .map(|i| (0.5 * (std::f64::consts::TAU * frequency * i as f64 / f64::from(rate)).sin()) as f32)
            .collect()
    }

    #[test]
    fn a_tone_keeps_its_place_in_time_at_any_rate() {
        for (from, to) in [
            (8000, 16_000),
            (16_000, 8000),
            (44_100, 16_000),
            (48_000, 16_000),
            (11_025, 16_000),
            (22_050, 44_100),
            (16_000, 16_001),
        ] {
            let length = from as usize + 17;
            let resampled = resample(&tone(1000.0, from, length), from, to).unwrap();
            let expected = (length as f64 * f64::from(to) / f64::from(from)).ceil() as usize;
            assert_eq!(resampled.len(), expected, "{from} to {to}");
            let ideal = tone(1000.0, to, expected);
            // near the ends the filter sees the silence around
            let inner = expected / 8..expected - expected / 8;
            let error = resampled[inner.clone()].iter().zip(&ideal[inner]).map(|(a, b)| (a - b).abs());
            let worst = error.fold(0.0, f32::max);
            assert!(worst < 1e-3, "{from} to {to}: {worst}");
        }
    }

    #[test]
    fn what_the_new_rate_cannot_carry_is_removed() {
        let resampled = resample(&tone(6000.0, 16_000, 16_000), 16_000, 8000).unwrap();
        let loudest = resampled[1000..7000].iter().fold(0.0f32, |loudest, x| loudest.max(x.abs()));
        assert!(loudest < 1e-3, "{loudest}");
    }

    #[test]
    fn short_signals_and_none_are_resampled_and_bad_ones_refused() {
        assert!(resample(&[], 8000, 16_000).unwrap().is_empty());
        for length in 1..10 {
            assert_eq!(resample(&vec![0.1; length], 8000, 16_000).unwrap().len(), 2 * length);
            assert_eq!(resample(&vec![0.1; length], 16_000, 8000).unwrap().len(), length.div_ceil(2));
        }
        assert!(matches!(resample(&[0.0], 0, 8000), Err(Error::Setting { .. })));
        assert!(matches!(resample(&[0.0], 8000, u32::MAX), Err(Error::Setting { .. })));
        assert!(matches!(resample(&[0.0, f32::NAN], 8000, 16_000), Err(Error::NotFinite { index: 1, .. })));
    }
}
