//! The spectrum of one frame.

use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};

use crate::lanes::{WIDTH, sum, sum_of_squares};
use crate::{Config, SpectrumKind};

/// From the samples of a frame to its spectrum; all that is computed once for all frames.
pub(crate) struct FrameTransform {
    window: Vec<f32>,
    remove_dc_offset: bool,
    preemphasis: f32,
    kind: SpectrumKind,
    fft: Arc<dyn RealToComplex<f32>>,
}

/// The memory of one frame at work.
pub(crate) struct FrameMemory {
    /// The frame under the window, then zeros. The transform uses it up.
    frame: Vec<f32>,
    bins: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
    /// `fft_length / 2 + 1` numbers, then [`WIDTH`] zeros, so that they can be read in blocks.
    pub(crate) spectrum: Vec<f32>,
}

/// `Σ x²` of a frame before pre-emphasis and window, and after.
pub(crate) struct FrameEnergy {
    pub(crate) raw: f32,
    pub(crate) windowed: f32,
}

impl FrameTransform {
    pub(crate) fn new(config: &Config) -> Self {
        let window = match config.periodic {
            true => config.window.periodic(config.frame_length),
            false => config.window.symmetric(config.frame_length),
        };
        Self {
            window,
            remove_dc_offset: config.remove_dc_offset,
            preemphasis: config.preemphasis,
            kind: config.spectrum,
            fft: RealFftPlanner::new().plan_fft_forward(config.fft_length),
        }
    }

    pub(crate) fn memory(&self) -> FrameMemory {
        let bins = self.fft.make_output_vec();
        FrameMemory {
            frame: self.fft.make_input_vec(),
            spectrum: vec![0.0; bins.len() + WIDTH],
            bins,
            scratch: self.fft.make_scratch_vec(),
        }
    }

    /// Computes the spectrum of `samples`, and their energies if `with_energy`.
    ///
    /// A shorter window lies at the start of the transform. Libraries that put it in the middle get
    /// other phases; powers and magnitudes are the same.
    pub(crate) fn run(
        &self,
        samples: &[f32],
        memory: &mut FrameMemory,
        with_energy: bool,
    ) -> Option<FrameEnergy> {
        let length = self.window.len();
        let mean = if self.remove_dc_offset { sum(samples) / length as f32 } else { 0.0 };
        let (frame, zeros) = memory.frame.split_at_mut(length);
        for (out, &sample) in frame.iter_mut().zip(samples) {
            *out = sample - mean;
        }
        let raw = if with_energy { sum_of_squares(frame) } else { 0.0 };
        if self.preemphasis != 0.0 {
            frame[0] -= self.preemphasis * frame[0];
            // the sample before is read where it came from: in `frame` it has changed already
            for (out, before) in frame[1..].iter_mut().zip(samples) {
                *out -= self.preemphasis * (before - mean);
            }
        }
        for (out, &weight) in frame.iter_mut().zip(&self.window) {
            *out *= weight;
        }
        let energy = with_energy.then(|| FrameEnergy { raw, windowed: sum_of_squares(frame) });
        zeros.fill(0.0);
        // fails only on buffers of other lengths than its own
        let _ = self.fft.process_with_scratch(&mut memory.frame, &mut memory.bins, &mut memory.scratch);
        for (out, bin) in memory.spectrum.iter_mut().zip(&memory.bins) {
            *out = bin.re * bin.re + bin.im * bin.im;
        }
        if self.kind == SpectrumKind::Magnitude {
            memory.spectrum.iter_mut().for_each(|value| *value = value.sqrt());
        }
        energy
    }
}
