//! Listening by numbers, for the tests.

use std::f64::consts::PI;

/// The power spectrum under a Hann window, at multiples of `rate / n` from 0 to
/// half of `rate`.
pub(super) fn power(samples: &[f64]) -> Vec<f64> {
    let n = samples.len();
    let turns = |at: usize| 2. * PI * at as f64 / n as f64;
    let windowed: Vec<_> =
        samples.iter().enumerate().map(|(at, x)| x * (0.5 - 0.5 * turns(at).cos())).collect();
    let circle: Vec<_> = (0..n).map(|at| turns(at).sin_cos()).collect();
    let bin = |k: usize| {
        let (mut re, mut im) = (0., 0.);
        for (at, x) in windowed.iter().enumerate() {
            let (sin, cos) = circle[k * at % n];
            re += x * cos;
            im -= x * sin;
        }
        re * re + im * im
    };
    (0..=n / 2).map(bin).collect()
}

/// The part of the power between two frequencies in Hz.
pub(super) fn share(samples: &[f64], rate: u32, low: f64, high: f64) -> f64 {
    let power = power(samples);
    let frequency = |k: usize| k as f64 * f64::from(rate) / samples.len() as f64;
    let within = power.iter().enumerate().filter(|(k, _)| (low..high).contains(&frequency(*k)));
    within.map(|(_, power)| power).sum::<f64>() / power.iter().sum::<f64>()
}

/// The peaks of the envelope that linear prediction finds, in Hz (Makhoul,
/// Linear Prediction: A Tutorial Review, Proceedings of the IEEE 63, 1975).
pub(super) fn envelope_peaks(samples: &[f64], rate: u32, order: usize) -> Vec<f64> {
    let correlation = |lag: usize| samples.iter().zip(&samples[lag..]).map(|(a, b)| a * b).sum::<f64>();
    let correlations: Vec<_> = (0..=order).map(correlation).collect();
    // Durbin's recursion.
    let mut coefficients = vec![1.];
    let mut error = correlations[0];
    for lag in 1..=order {
        let sum: f64 = coefficients.iter().enumerate().map(|(n, a)| a * correlations[lag - n]).sum();
        let reflection = -sum / error;
        coefficients.push(0.);
        let turned: Vec<_> = coefficients.iter().rev().copied().collect();
        coefficients.iter_mut().zip(turned).for_each(|(a, b)| *a += reflection * b);
        error *= 1. - reflection * reflection;
    }
    let gain = |hertz: f64| {
        let (mut re, mut im) = (0., 0.);
        for (n, a) in coefficients.iter().enumerate() {
            let (sin, cos) = (2. * PI * hertz * n as f64 / f64::from(rate)).sin_cos();
            re += a * cos;
            im -= a * sin;
        }
        1. / (re * re + im * im)
    };
    let step = 5.;
    let gains: Vec<_> = (0..(f64::from(rate) / 2. / step) as usize).map(|n| gain(n as f64 * step)).collect();
    let is_peak = |n: &usize| gains[*n] > gains[n - 1] && gains[*n] > gains[n + 1];
    (1..gains.len() - 1).filter(is_peak).map(|n| n as f64 * step).collect()
}

/// How alike the samples are to themselves so much later, at most 1.
pub(super) fn periodicity(samples: &[f64], lag: usize) -> f64 {
    let (early, late) = (&samples[..samples.len() - lag], &samples[lag..]);
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    product(early, late) / (product(early, early) * product(late, late)).sqrt()
}
