//! Truncated backpropagation through time: windows over a long stream, how the steps'
//! gradients are put together, and how far they reach.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{Device, Result, Tensor, bail};
use serde::{Deserialize, Serialize};

/// How the contributions `∂L/∂W` of the time steps to the gradient of a shared weight are put
/// together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reduction {
    /// Their sum: the gradient of the loss.
    #[default]
    Sum,
    /// Their mean over the steps: does not grow with the length of the sequence.
    Mean,
}

/// How strongly the loss depends on the hidden state of every step: `‖∂L/∂h_t‖`, the Euclidean
/// norm over batch and units. Norms that shrink towards the first step are a vanishing gradient.
///
/// Give it to [`Rnn::forward_recording`](crate::Rnn::forward_recording); the backward pass fills
/// it. A clone shares the values.
#[derive(Clone, Debug, Default)]
pub struct GradientFlow(Arc<Mutex<Norms>>);

/// The norm of every step, by layer and direction.
type Norms = BTreeMap<(usize, usize), Vec<f64>>;

impl GradientFlow {
    pub(crate) fn record(&self, layer: usize, direction: usize, norms: Vec<f64>) {
        let mut recorded = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        recorded.insert((layer, direction), norms);
    }

    /// The norm of every time step, step 0 first, of the last backward pass; `None` when no
    /// backward pass has come through this layer and direction.
    pub fn norms(&self, layer: usize, direction: usize) -> Option<Vec<f64>> {
        let recorded = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        recorded.get(&(layer, direction)).cloned()
    }
}

/// Cuts a long stream of tokens into windows for truncated backpropagation through time
/// (Williams and Peng 1990; Mikolov 2010).
///
/// The stream of `N` tokens is cut into `batch` contiguous tracks of `(N - 1) / batch` tokens,
/// one per row of the batch; what is left at the end is not used. Window `i` reads the tokens
/// `i · stride .. i · stride + window` of every track, with `stride = window - overlap`, and the
/// target of each token is the one after it. The rows of window `i + 1` thus continue those of
/// window `i`, and the state is carried over, detached.
///
/// With an overlap the first `overlap` steps of a window are read a second time: the gradient
/// reaches back through them, but their loss has been counted already. The state to carry is
/// then the one after the first `stride` steps, where the next window begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Windows {
    /// Number of tracks read side by side.
    pub batch: usize,
    /// Steps in a window: how far the gradient reaches.
    pub window: usize,
    /// Steps of a window that the one before it has read too; less than `window`.
    pub overlap: usize,
}

/// One window over every track.
#[derive(Clone, Debug)]
pub struct Window {
    /// Tokens to read, `[batch, window]`, u32.
    pub inputs: Tensor,
    /// The token after each, `[batch, window]`, u32.
    pub targets: Tensor,
    /// Leading steps whose loss the window before has counted: leave it out.
    pub warmup: usize,
    /// Whether the tracks begin here, with no state to carry.
    pub first: bool,
}

impl Windows {
    /// Steps from the start of a window to the start of the next.
    pub fn stride(&self) -> usize {
        self.window.saturating_sub(self.overlap)
    }

    /// Number of whole windows in a stream of `stream_len` tokens; 0 when it is too short or
    /// the sizes make no sense.
    pub fn count(&self, stream_len: usize) -> usize {
        let track = self.track(stream_len);
        match self.stride() {
            0 => 0,
            _ if track < self.window => 0,
            stride => (track - self.window) / stride + 1,
        }
    }

    /// Window `index` of `stream`.
    ///
    /// # Errors
    /// When the sizes make no sense, the stream is too short for one window, or there is no
    /// window `index`.
    pub fn window(&self, stream: &[u32], index: usize, device: &Device) -> Result<Window> {
        let Self { batch, window, overlap } = *self;
        if batch == 0 || overlap >= window {
            bail!(
                "{batch} rows of windows of {window} steps that overlap by {overlap}: there must be a row, and the overlap must be shorter than the window"
            );
        }
        let (count, track) = (self.count(stream.len()), self.track(stream.len()));
        if count == 0 {
            bail!(
                "the stream of {} tokens is too short: {batch} rows of {window} steps and one \
                 more token for the last target need {}",
                stream.len(),
                batch.saturating_mul(window).saturating_add(1)
            );
        }
        if index >= count {
            bail!("there is no window {index}: the stream of {} tokens has {count}", stream.len());
        }
        let gather = |offset: usize| {
            let rows = (0..batch).map(|row| row * track + index * self.stride() + offset);
            let tokens: Vec<u32> = rows.flat_map(|from| &stream[from..from + window]).copied().collect();
            Tensor::from_vec(tokens, (batch, window), device)
        };
        Ok(Window {
            inputs: gather(0)?,
            targets: gather(1)?,
            warmup: if index == 0 { 0 } else { overlap },
            first: index == 0,
        })
    }

    /// Tokens in a track: the last token of the stream is only ever a target.
    fn track(&self, stream_len: usize) -> usize {
        stream_len.saturating_sub(1).checked_div(self.batch).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn windows_continue_their_tracks_and_targets_are_one_ahead() -> Result<()> {
        let stream: Vec<u32> = (0..21).collect();
        let windows = Windows { batch: 2, window: 4, overlap: 1 };
        assert_eq!(windows.count(stream.len()), 3);
        let second = windows.window(&stream, 1, &Device::Cpu)?;
        assert_eq!(second.inputs.to_vec2::<u32>()?, [[3, 4, 5, 6], [13, 14, 15, 16]]);
        assert_eq!(second.targets.to_vec2::<u32>()?, [[4, 5, 6, 7], [14, 15, 16, 17]]);
        assert_eq!((second.warmup, second.first), (1, false));
        let first = windows.window(&stream, 0, &Device::Cpu)?;
        assert_eq!((first.warmup, first.first), (0, true));
        Ok(())
    }

    #[test]
    fn a_stream_too_short_for_one_window_is_an_error_that_names_the_numbers() {
        let windows = Windows { batch: 3, window: 5, overlap: 0 };
        assert_eq!((windows.count(15), windows.count(16)), (0, 1));
        let error = windows.window(&[0; 15], 0, &Device::Cpu).unwrap_err().to_string();
        assert!(error.contains("15 tokens") && error.contains("need 16"), "{error}");
        assert!(windows.window(&[0; 16], 1, &Device::Cpu).is_err());
    }

    #[test]
    fn sizes_that_make_no_sense_are_errors() {
        for (batch, window, overlap) in [(0, 4, 0), (2, 4, 4), (2, 0, 0)] {
            let windows = Windows { batch, window, overlap };
            assert_eq!(windows.count(100), 0);
            assert!(windows.window(&[0; 100], 0, &Device::Cpu).is_err());
        }
    }

    proptest! {
        #[test]
        fn every_target_is_counted_at_most_once_and_in_order(
            n in 0usize..200, batch in 1usize..5, window in 1usize..9, overlap in 0usize..9,
        ) {
            prop_assume!(overlap < window);
            let stream: Vec<u32> = (0..n as u32).collect();
            let windows = Windows { batch, window, overlap };
            let mut counted = vec![Vec::new(); batch];
            for i in 0..windows.count(n) {
                let w = windows.window(&stream, i, &Device::Cpu).unwrap();
                for (row, targets) in w.targets.to_vec2::<u32>().unwrap().iter().enumerate() {
                    counted[row].extend_from_slice(&targets[w.warmup..]);
                }
            }
            for row in &counted {
                prop_assert!(row.windows(2).all(|pair| pair[1] == pair[0] + 1));
            }
            let mut all = counted.concat();
            all.dedup();
            prop_assert_eq!(all.len(), counted.iter().map(Vec::len).sum::<usize>());
        }
    }
}
