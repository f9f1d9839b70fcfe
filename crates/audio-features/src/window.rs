//! Window functions.

use std::f64::consts::TAU;

use serde::{Deserialize, Serialize};

/// What a frame is multiplied with, so that it begins and ends softly.
///
/// With `x` from 0 at the first sample to 1 at the last:
///
/// | window | value at `x` |
/// |---|---|
/// | Hann | `0.5 - 0.5 cos 2πx` |
/// | Hamming | `0.54 - 0.46 cos 2πx` |
/// | Povey | the Hann window to the power of 0.85 (Kaldi's own; zero at the ends, else close to Hamming) |
/// | Blackman | `0.42 - 0.5 cos 2πx + 0.08 cos 4πx` |
/// | Rectangular | 1 |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)] // the table above
pub enum Window {
    Hann,
    Hamming,
    Povey,
    Blackman,
    Rectangular,
}

impl Window {
    /// The window with equal ends, `x = i / (length - 1)`: Kaldi's, `scipy.signal.get_window(…,
    /// fftbins=False)`.
    pub fn symmetric(self, length: usize) -> Vec<f32> {
        self.values(length, length.saturating_sub(1))
    }

    /// The window that continues itself, `x = i / length`: `torch.hann_window`, librosa's.
    pub fn periodic(self, length: usize) -> Vec<f32> {
        self.values(length, length)
    }

    fn values(self, length: usize, period: usize) -> Vec<f32> {
        if length == 1 {
            return vec![1.0];
        }
        let value = |i: usize| {
            let angle = TAU * i as f64 / period as f64;
            let hann = (0.5 - 0.5 * angle.cos()).max(0.0);
            match self {
                Self::Hann => hann,
                Self::Hamming => 0.54 - 0.46 * angle.cos(),
                Self::Povey => hann.powf(0.85),
                Self::Blackman => 0.42 - 0.5 * angle.cos() + 0.08 * (2.0 * angle).cos(),
                Self::Rectangular => 1.0,
            }
        };
        (0..length).map(|i| value(i) as f32).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Window; 5] =
        [Window::Hann, Window::Hamming, Window::Povey, Window::Blackman, Window::Rectangular];

    #[test]
    fn a_symmetric_window_reads_the_same_backwards_and_peaks_at_one() {
        for window in ALL {
            let values = window.symmetric(401);
            assert!((values[200] - 1.0).abs() < 1e-6, "{window:?}");
            for i in 0..401 {
                assert!((values[i] - values[400 - i]).abs() < 1e-6, "{window:?} at {i}");
            }
        }
    }

    #[test]
    fn periodic_windows_half_overlapped_add_up_to_a_constant() {
        for (window, sum) in [(Window::Hann, 1.0), (Window::Hamming, 1.08), (Window::Rectangular, 2.0)] {
            let values = window.periodic(400);
            assert!((0..200).all(|i| (values[i] + values[i + 200] - sum).abs() < 1e-6), "{window:?}");
        }
    }

    #[test]
    fn a_window_of_one_sample_or_none_is_defined() {
        for window in ALL {
            assert_eq!(window.symmetric(1), [1.0]);
            assert_eq!(window.periodic(1), [1.0]);
            assert!(window.symmetric(0).is_empty() && window.periodic(0).is_empty());
            assert!(window.symmetric(2).iter().all(|value| value.is_finite()));
        }
    }
}
