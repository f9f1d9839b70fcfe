//! The filters that a vocal tract is made of.

use std::f64::consts::PI;

/// A resonance of second order that lets 0 Hz through as it is:
/// `y = a·x + b·y₋₁ + c·y₋₂` (Klatt, JASA 67, 1980, equations 1 and 2).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Resonator {
    a: f64,
    b: f64,
    c: f64,
    y1: f64,
    y2: f64,
}

impl Resonator {
    /// Moves the resonance. Frequencies are in parts of the sampling rate.
    pub fn tune(&mut self, frequency: f64, bandwidth: f64) {
        let radius = (-PI * bandwidth).exp();
        self.c = -radius * radius;
        self.b = 2. * radius * (2. * PI * frequency).cos();
        self.a = 1. - self.b - self.c;
    }

    #[inline]
    pub fn step(&mut self, x: f64) -> f64 {
        let y = self.a * x + self.b * self.y1 + self.c * self.y2;
        (self.y2, self.y1) = (self.y1, y);
        y
    }
}

/// The opposite of a [`Resonator`]: it takes out what that one lets through.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Antiresonator {
    poles: Resonator,
    x1: f64,
    x2: f64,
}

impl Antiresonator {
    /// Moves the zero. Frequencies are in parts of the sampling rate.
    pub fn tune(&mut self, frequency: f64, bandwidth: f64) {
        self.poles.tune(frequency, bandwidth);
    }

    #[inline]
    pub fn step(&mut self, x: f64) -> f64 {
        let Resonator { a, b, c, .. } = self.poles;
        let y = (x - b * self.x1 - c * self.x2) / a;
        (self.x2, self.x1) = (self.x1, x);
        y
    }
}

/// What lets a band of noise through, with no gain on its power: white noise of
/// power 1 leaves with power 1, whatever the band.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct NoiseBand {
    gain: f64,
    b: f64,
    c: f64,
    x: [f64; 2],
    y: [f64; 2],
}

impl NoiseBand {
    /// Moves the band. Frequencies are in parts of the sampling rate.
    pub fn tune(&mut self, centre: f64, bandwidth: f64) {
        let radius = (-PI * bandwidth).exp();
        self.c = -radius * radius;
        self.b = 2. * radius * (2. * PI * centre).cos();
        // With zeros at 0 and at half the sampling rate and a gain of (1 − r²)/2 it is half the
        // difference of 1 and an all-pass, of power (1 − r²)/2.
        self.gain = ((1. - radius * radius) / 2.).sqrt();
    }

    #[inline]
    pub fn step(&mut self, x: f64) -> f64 {
        let y = self.gain * (x - self.x[1]) + self.b * self.y[0] + self.c * self.y[1];
        self.x = [x, self.x[0]];
        self.y = [y, self.y[0]];
        y
    }
}

#[cfg(test)]
mod tests {
    use candle_rnn::Generator;

    use super::super::noise::white;
    use super::*;

    /// The gain at a frequency, in parts of the sampling rate.
    fn gain(frequency: f64, mut step: impl FnMut(f64) -> f64) -> f64 {
        let impulse = (0..4000).map(|n| if n == 0 { 1. } else { 0. });
        let (re, im) = impulse.enumerate().fold((0., 0.), |(re, im), (n, x)| {
            let (sin, cos) = (2. * PI * frequency * f64::from(n as u32)).sin_cos();
            let y = step(x);
            (re + y * cos, im - y * sin)
        });
        f64::hypot(re, im)
    }

    #[test]
    fn a_resonator_is_loudest_at_its_frequency_and_3_db_less_at_half_its_bandwidth_from_it() {
        let mut resonator = Resonator::default();
        resonator.tune(0.1, 0.01);
        let at = |frequency: f64| {
            let mut fresh = resonator;
            20. * gain(frequency, |x| fresh.step(x)).log10()
        };
        assert!(at(0.).abs() < 0.01);
        assert!((at(0.1) - at(0.105) - 3.).abs() < 0.4 && (at(0.1) - at(0.095) - 3.).abs() < 0.4);
    }

    #[test]
    fn an_antiresonator_undoes_a_resonator() {
        let (mut resonator, mut antiresonator) = (Resonator::default(), Antiresonator::default());
        resonator.tune(0.06, 0.02);
        antiresonator.tune(0.06, 0.02);
        let mut generator = Generator::new(2);
        for _ in 0..1000 {
            let x = white(&mut generator);
            assert!((antiresonator.step(resonator.step(x)) - x).abs() < 1e-9);
        }
    }

    #[test]
    fn a_band_of_noise_has_power_1_wherever_it_is() {
        for (centre, bandwidth) in [(0.1, 0.05), (0.25, 0.4), (0.44, 0.1)] {
            let mut band = NoiseBand::default();
            band.tune(centre, bandwidth);
            let mut generator = Generator::new(2);
            let power = (0..40_000).map(|_| band.step(white(&mut generator)).powi(2)).sum::<f64>() / 40_000.;
            assert!((power - 1.).abs() < 0.06, "{centre}: {power}");
        }
    }
}
