//! Sound as a network reads it: WAV or FLAC in, log-mel spectra, cepstra and their deltas out.
//!
//! ```
//! use audio_features::{Audio, Config, Extractor, Moments};
//!
//! # fn main() -> Result<(), audio_features::Error> {
//! // a second of 440 Hz; from a file: Audio::read("a.wav", Channels::Mean)?
//! let tone = (0..8000).map(|i| (440.0 * std::f32::consts::TAU * i as f32 / 8000.0).sin() / 2.0);
//! let audio = Audio { samples: tone.collect(), rate: 8000 };
//! let audio = audio.resampled(16_000)?;
//!
//! let extractor = Extractor::new(Config::kaldi_fbank(16_000, 40))?;
//! let mut features = extractor.extract(&audio)?; // a row of 40 numbers every 10 ms
//! assert_eq!((features.frames(), features.dimension()), (98, 40));
//!
//! Moments::of(&features).normalize(&mut features)?; // mean 0, variance 1
//! let with_deltas = audio_features::with_deltas(&features, 2, 2)?; // and how they change
//! assert_eq!(with_deltas.dimension(), 120);
//! # Ok(()) }
//! ```
//!
//! | module | what is in it |
//! |---|---|
//! | [`audio`] | [`Audio`]: one channel of samples and their rate |
//! | [`file`](mod@file) | reading WAV and FLAC files |
//! | [`wav`] | writing WAV files |
//! | [`resample`](mod@resample) | from one rate to another |
//! | [`config`] | [`Config`]: all that decides what the features are, and whose they are: Kaldi's, librosa's, torchaudio's |
//! | [`framing`] | which samples belong to a frame, at the ends too |
//! | [`window`] | [`Window`]: Hann, Hamming, Povey, Blackman |
//! | [`mel`] | [`MelBank`] and [`MelFilters`]: triangles on the mel scale |
//! | [`cepstrum`] | [`Cepstrum`]: the cosine transform and its lifter |
//! | [`extractor`] | [`Extractor`]: a signal's features |
//! | [`stream`] | [`Stream`]: the same features while the signal arrives |
//! | [`features`] | [`Features`]: rows of numbers, one for each frame |
//! | [`lanes`] | sums over many samples, fast and always of the same bits |
//! | [`deltas`](mod@deltas) | how features change from frame to frame |
//! | [`normalization`] | [`Moments`]: mean 0 and variance 1, of an utterance, of a corpus, of what was heard so far |
//! | [`spectrogram`] | [`Spectrogram`]: a picture of all this |
//!
//! A signal is a slice of `f32` from -1 to 1; features are rows of `f32`. There are no tensors here.
//! [`Config::kaldi_fbank`] and [`Config::kaldi_mfcc`] give the numbers of
//! [`torchaudio.compliance.kaldi`](https://docs.pytorch.org/audio/stable/compliance.kaldi.html),
//! [`Config::librosa_mel`] those of
//! [`librosa.feature.melspectrogram`](https://librosa.org/doc/latest/generated/librosa.feature.melspectrogram.html),
//! [`Config::torchaudio_mel`] those of `torchaudio.transforms.MelSpectrogram`. Tests compare with all
//! of them. Threads change nothing: a signal's features are the same bits with one and with many,
//! and whether it comes whole or in pieces.

pub mod audio;
pub mod cepstrum;
pub mod config;
pub mod deltas;
pub mod error;
pub mod extractor;
pub mod features;
pub mod file;
mod flac;
pub mod framing;
pub mod lanes;
pub mod mel;
pub mod normalization;
mod presets;
pub mod resample;
pub mod spectrogram;
mod stft;
pub mod stream;
pub mod wav;
pub mod window;

pub use audio::Audio;
pub use cepstrum::Cepstrum;
pub use config::{Config, Energy, Logarithm, SpectrumKind};
pub use deltas::{deltas, with_deltas};
pub use error::Error;
pub use extractor::Extractor;
pub use features::Features;
pub use file::Channels;
pub use framing::Padding;
pub use mel::{MelBank, MelFilters, MelScale, Triangle};
pub use normalization::{Moments, RunningNormalization};
pub use resample::resample;
pub use spectrogram::Spectrogram;
pub use stream::Stream;
pub use window::Window;
