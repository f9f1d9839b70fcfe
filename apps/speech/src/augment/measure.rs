//! What tests measure in a signal.

use realfft::RealFftPlanner;

/// Half a full scale of a sine.
pub(super) fn tone(hertz: f64, rate: u32, length: usize) -> Vec<f32> {
    let angle = std::f64::consts::TAU * hertz / f64::from(rate);
    (0..length).map(|i| (0.5 * (angle * i as f64).sin()) as f32).collect()
}

/// The power at each of `length / 2 + 1` frequencies, zeros being added to the signal.
pub(super) fn powers(samples: &[f32], length: usize) -> Vec<f64> {
    let fft = RealFftPlanner::<f64>::new().plan_fft_forward(length);
    let mut input = fft.make_input_vec();
    for (i, (out, &sample)) in input.iter_mut().zip(samples).enumerate() {
        let hann = (std::f64::consts::PI * i as f64 / samples.len() as f64).sin().powi(2);
        *out = f64::from(sample) * hann;
    }
    let mut bins = fft.make_output_vec();
    fft.process(&mut input, &mut bins).unwrap();
    bins.iter().map(|bin| bin.norm_sqr()).collect()
}

/// Where the spectrum peaks, in Hz.
pub(super) fn frequency(samples: &[f32], rate: u32) -> f64 {
    const LENGTH: usize = 1 << 17;
    let powers = powers(samples, LENGTH);
    let peak = (0..powers.len()).max_by(|&a, &b| powers[a].total_cmp(&powers[b])).unwrap();
    peak as f64 * f64::from(rate) / LENGTH as f64
}
