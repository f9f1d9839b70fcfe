//! Which samples belong to a frame.

use serde::{Deserialize, Serialize};

use crate::Config;

/// Where frames begin, and what there is beyond the ends of the signal.
///
/// With frames of `l` samples (the window), transforms of `f`, a hop of `h` and a signal of `n`:
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Padding {
    /// The first frame begins with the signal, and all lie within it (Kaldi's `snip_edges`):
    /// `1 + ⌊(n - l) / h⌋` frames, none where `n < l`.
    Snip,
    /// Frame `t` is centred at `(t + ½) h`; beyond its ends the signal is mirrored with the outermost
    /// sample doubled (Kaldi's `snip_edges=false`): `⌊n / h + ½⌋` frames.
    Mirror,
    /// Frame `t` is centred at `t h`; beyond its ends the signal is mirrored around the outermost sample
    /// (`torch.stft`): `1 + ⌊n / h⌋` frames if `f` is even.
    CentreReflect,
    /// Frame `t` is centred at `t h`; beyond its ends the signal is zero (librosa): as many frames.
    CentreZeros,
}

/// The frames of a signal whose end may not have come yet.
#[derive(Clone, Debug)]
pub(crate) struct Framing {
    pub(crate) length: usize,
    hop: usize,
    fft_length: usize,
    padding: Padding,
    /// Where frame 0 begins; before the signal if negative.
    offset: i64,
}

impl Framing {
    pub(crate) fn new(config: &Config) -> Self {
        let Config { frame_length: length, hop, fft_length, padding, .. } = *config;
        let offset = match padding {
            Padding::Snip => 0,
            Padding::Mirror => (hop / 2) as i64 - (length / 2) as i64,
            Padding::CentreReflect | Padding::CentreZeros => {
                ((fft_length - length) / 2) as i64 - (fft_length / 2) as i64
            }
        };
        Self { length, hop, fft_length, padding, offset }
    }

    /// Where a frame begins.
    pub(crate) fn start(&self, frame: usize) -> i64 {
        self.offset + (frame * self.hop) as i64
    }

    /// How many frames a signal of `samples` has.
    pub(crate) fn count(&self, samples: usize) -> usize {
        if samples == 0 {
            return 0;
        }
        match self.padding {
            Padding::Snip => samples.checked_sub(self.length).map_or(0, |rest| 1 + rest / self.hop),
            Padding::Mirror => (samples + self.hop / 2) / self.hop,
            Padding::CentreReflect | Padding::CentreZeros => 1 + (samples - self.fft_length % 2) / self.hop,
        }
    }

    /// How many frames are known when `samples` have come and more may follow.
    pub(crate) fn known(&self, samples: usize) -> usize {
        let received = samples as i64;
        // the first frame reaches back furthest, and what it mirrors must be there
        let last = received - self.length as i64 - self.offset;
        if last < 0 || received <= -self.offset {
            return 0;
        }
        (1 + last as usize / self.hop).min(self.count(samples))
    }

    /// The first sample that the frames from `next` on, or the mirror at the end, may still need when
    /// `samples` have come.
    pub(crate) fn needed_from(&self, next: usize, samples: usize) -> usize {
        let mirrored = samples.saturating_sub(self.fft_length + self.hop + 1);
        mirrored.min(self.start(next).max(0) as usize)
    }

    /// Writes into `out` the samples of a frame that crosses an end of the signal. `samples` has come
    /// in all; `buffer` begins at sample `first`.
    pub(crate) fn gather(
        &self,
        frame: usize,
        (buffer, first): (&[f32], usize),
        samples: usize,
        out: &mut [f32],
    ) {
        for (at, out) in (self.start(frame)..).zip(out) {
            let inside = (0..samples as i64).contains(&at);
            *out = if inside || self.padding != Padding::CentreZeros {
                buffer[self.mirrored(at, samples) - first]
            } else {
                0.0
            };
        }
    }

    /// The sample that stands at `position`, which may lie outside of a signal of `samples`.
    fn mirrored(&self, position: i64, samples: usize) -> usize {
        let doubled = i64::from(self.padding == Padding::Mirror);
        let last = samples as i64 - 1;
        // there and back again; a signal of one sample without its double has nowhere to go
        let period = (2 * last + 2 * doubled).max(1);
        let folded = position.rem_euclid(period);
        folded.min(period - doubled - folded).clamp(0, last) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framing(padding: Padding, frame_length: usize, hop: usize, fft_length: usize) -> Framing {
        Framing::new(&Config { padding, frame_length, hop, fft_length, ..Config::kaldi_fbank(16_000, 20) })
    }

    fn frames(framing: &Framing, signal: &[f32]) -> Vec<Vec<f32>> {
        let frame = |number| {
            let mut out = vec![f32::NAN; framing.length];
            framing.gather(number, (signal, 0), signal.len(), &mut out);
            out
        };
        (0..framing.count(signal.len())).map(frame).collect()
    }

    #[test]
    fn each_padding_places_its_frames_as_its_model_does() {
        let signal = [1., 2., 3., 4., 5., 6., 7.];
        assert_eq!(frames(&framing(Padding::Snip, 4, 2, 4), &signal), [[1., 2., 3., 4.], [3., 4., 5., 6.]]);
        assert_eq!(
            frames(&framing(Padding::Mirror, 4, 2, 4), &signal),
            [[1., 1., 2., 3.], [2., 3., 4., 5.], [4., 5., 6., 7.], [6., 7., 7., 6.]]
        );
        assert_eq!(
            frames(&framing(Padding::CentreReflect, 4, 3, 4), &signal),
            [[3., 2., 1., 2.], [2., 3., 4., 5.], [5., 6., 7., 6.]]
        );
        assert_eq!(frames(&framing(Padding::CentreZeros, 2, 3, 6), &signal), [[0., 1.], [3., 4.], [6., 7.]]);
    }

    #[test]
    fn a_signal_shorter_than_its_mirror_is_mirrored_again() {
        assert_eq!(
            frames(&framing(Padding::CentreReflect, 8, 8, 8), &[1., 2.]),
            [[1., 2., 1., 2., 1., 2., 1., 2.]]
        );
        assert_eq!(frames(&framing(Padding::CentreReflect, 4, 4, 4), &[5.]), [[5.; 4]]);
        assert_eq!(frames(&framing(Padding::Mirror, 8, 2, 8), &[1., 2.]), [[2., 2., 1., 1., 2., 2., 1., 1.]]);
    }

    #[test]
    fn a_known_frame_lies_within_what_has_come_and_stays_when_more_comes() {
        for padding in [Padding::Snip, Padding::Mirror, Padding::CentreReflect, Padding::CentreZeros] {
            for (length, fft_length) in [(1, 1), (1, 2), (2, 5), (4, 4), (5, 8), (7, 7)] {
                for hop in 1..10 {
                    let framing = framing(padding, length, hop, fft_length);
                    let signal: Vec<f32> = (1..=40).map(|i| i as f32).collect();
                    let whole = frames(&framing, &signal);
                    for received in 0..=40 {
                        let known = framing.known(received);
                        let now = frames(&framing, &signal[..received]);
                        assert!(known <= now.len());
                        assert_eq!(now[..known], whole[..known], "{framing:?} after {received}");
                        if known > 0 {
                            assert!(framing.start(known - 1) + length as i64 <= received as i64);
                        }
                    }
                }
            }
        }
    }
}
