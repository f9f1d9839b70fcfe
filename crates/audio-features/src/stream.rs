//! Features while the signal arrives.

use std::fmt;
use std::sync::Arc;

use candle_rnn::Generator;
use rayon::prelude::*;

use crate::extractor::{Memory, Recipe};
use crate::{Config, Error, Extractor, Features};

/// Samples that are taken in at once, so that a long signal is not copied as a whole.
const BLOCK: usize = 1 << 18;

/// Frames of a thread's share. Fewer than two shares are not worth another thread.
const SHARE: usize = 64;

/// A signal that comes in pieces, and the features of what has come.
///
/// However it is cut, the frames together are bit for bit those of [`Extractor::extract`], which is
/// one piece. A frame is given out as soon as its last sample is there.
///
/// ```
/// use audio_features::{Config, Stream};
/// # fn main() -> Result<(), audio_features::Error> {
/// let mut stream = Stream::new(Config::kaldi_fbank(16_000, 40))?;
/// assert_eq!(stream.push(&[0.1; 399])?.frames(), 0);
/// assert_eq!(stream.push(&[0.1; 1])?.frames(), 1); // the first 25 ms are there
/// assert_eq!(stream.push(&[0.1; 320])?.frames(), 2);
/// assert_eq!(stream.finish().frames(), 0);
/// # Ok(()) }
/// ```
pub struct Stream {
    recipe: Arc<Recipe>,
    memory: Memory,
    noise: Generator,
    /// The last samples, scaled and with noise.
    buffer: Vec<f32>,
    /// Which sample of the signal the buffer begins with.
    first: usize,
    /// Frames that have been given out.
    given: usize,
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("config", self.config())
            .field("samples", &self.samples())
            .field("frames", &self.given)
            .finish_non_exhaustive()
    }
}

impl Stream {
    /// A stream of features that `config` describes.
    ///
    /// # Errors
    /// When a setting is out of its range: [`Config::validate`].
    pub fn new(config: Config) -> Result<Self, Error> {
        Ok(Extractor::new(config)?.stream())
    }

    pub(crate) fn of(recipe: Arc<Recipe>) -> Self {
        let memory = recipe.memory();
        let noise = Generator::new(recipe.config.seed);
        Self { recipe, memory, noise, buffer: Vec::new(), first: 0, given: 0 }
    }

    /// What it was made with.
    pub fn config(&self) -> &Config {
        &self.recipe.config
    }

    /// Samples that have come.
    pub fn samples(&self) -> usize {
        self.first + self.buffer.len()
    }

    /// Takes the next samples, from -1 to 1, and returns the frames that they complete.
    ///
    /// # Errors
    /// When a sample is not finite; none of them is then taken.
    pub fn push(&mut self, samples: &[f32]) -> Result<Features, Error> {
        if let Some(index) = samples.iter().position(|sample| !sample.is_finite()) {
            let name = "the signal".to_owned();
            return Err(Error::NotFinite { name, index: self.samples() + index, value: samples[index] });
        }
        let mut features = Features::none(self.config().dimension());
        features.reserve(samples.len() / self.config().hop);
        for block in samples.chunks(BLOCK) {
            self.take(block);
            let known = self.recipe.framing.known(self.samples());
            self.give(known, &mut features);
            self.forget();
        }
        Ok(features)
    }

    /// Ends the signal and returns the frames that reach beyond its end, if frames are padded.
    pub fn finish(mut self) -> Features {
        let mut features = Features::none(self.config().dimension());
        let all = self.recipe.framing.count(self.samples());
        self.give(all, &mut features);
        features
    }

    fn take(&mut self, samples: &[f32]) {
        let Config { scale, dither, .. } = self.recipe.config;
        self.buffer.extend(samples.iter().map(|sample| sample * scale));
        if dither != 0.0 {
            let new = self.buffer.len() - samples.len();
            for sample in &mut self.buffer[new..] {
                *sample += dither * self.noise.normal() as f32;
            }
        }
    }

    /// Appends the frames up to number `until`.
    fn give(&mut self, until: usize, features: &mut Features) {
        let dimension = features.dimension();
        let frames = until.saturating_sub(self.given);
        let rows = features.extend(frames);
        let (recipe, given) = (&*self.recipe, self.given);
        let (buffer, first) = (self.buffer.as_slice(), self.first);
        let share = |start: usize, rows: &mut [f32], memory: &mut Memory| {
            for (frame, row) in (start..).zip(rows.chunks_exact_mut(dimension)) {
                let begin = recipe.framing.start(frame) - first as i64;
                let end = begin + recipe.framing.length as i64;
                if begin >= 0 && end <= buffer.len() as i64 {
                    recipe.run(&buffer[begin as usize..end as usize], memory, row);
                } else {
                    let mut samples = std::mem::take(&mut memory.samples);
                    recipe.framing.gather(frame, (buffer, first), first + buffer.len(), &mut samples);
                    recipe.run(&samples, memory, row);
                    memory.samples = samples;
                }
            }
        };
        if frames < 2 * SHARE || rayon::current_num_threads() == 1 {
            share(given, rows, &mut self.memory);
        } else {
            rows.par_chunks_mut(SHARE * dimension).enumerate().for_each_init(
                || recipe.memory(),
                |memory, (number, rows)| share(given + number * SHARE, rows, memory),
            );
        }
        self.given += frames;
    }

    /// Drops the samples that no frame needs any more; when they are many, as the rest has to move.
    fn forget(&mut self) {
        let done = self.recipe.framing.needed_from(self.given, self.samples()).saturating_sub(self.first);
        if done > self.buffer.len() / 2 {
            self.buffer.drain(..done);
            self.first += done;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Audio, Padding};

    const PADDINGS: [Padding; 4] =
        [Padding::Snip, Padding::Mirror, Padding::CentreReflect, Padding::CentreZeros];

    fn signal(length: usize) -> Vec<f32> {
        let mut generator = Generator::new(length as u64);
        (0..length).map(|_| (0.1 * generator.normal()) as f32).collect()
    }

    fn bits(features: &Features) -> Vec<u32> {
        features.values().iter().map(|value| value.to_bits()).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn frames_are_the_same_bits_however_the_signal_is_cut(
            padding in prop::sample::select(&PADDINGS),
            (fft_length, frame_length) in (1usize..80).prop_flat_map(|fft| (Just(fft), 1..=fft)),
            hop in 1usize..100,
            dither in prop::sample::select(&[0.0f32, 1e-3]),
            length in 0usize..1500,
            cuts in prop::collection::vec(1usize..300, 1..20),
        ) {
            let mel = None;
            let config = Config {
                padding, frame_length, fft_length, hop, dither, mel, ..Config::kaldi_fbank(16_000, 20)
            };
            let extractor = Extractor::new(config).unwrap();
            let samples = signal(length);
            let mut stream = extractor.stream();
            let mut streamed = Features::none(extractor.config().dimension());
            let mut rest = samples.as_slice();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (piece, later) = rest.split_at((*cut).min(rest.len()));
                streamed.append(&stream.push(piece).unwrap()).unwrap();
                rest = later;
            }
            streamed.append(&stream.finish()).unwrap();
            let whole = extractor.extract(&Audio { samples, rate: 16_000 }).unwrap();
            prop_assert_eq!(bits(&streamed), bits(&whole));
        }
    }

    #[test]
    fn a_long_signal_gives_the_same_bits_on_one_thread_and_on_many_and_in_small_pieces() {
        let samples = signal(2 * BLOCK + 1234);
        let extractor = Extractor::new(Config::kaldi_fbank(16_000, 40)).unwrap();
        let audio = Audio { samples, rate: 16_000 };
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            bits(&pool.install(|| extractor.extract(&audio)).unwrap())
        };
        let one = on(1);
        assert_eq!(one.len(), 40 * (1 + (audio.samples.len() - 400) / 160));
        assert_eq!(one, on(4));
        let mut stream = extractor.stream();
        let pieces = audio.samples.chunks(777).flat_map(|piece| bits(&stream.push(piece).unwrap()));
        assert_eq!(one, pieces.collect::<Vec<_>>());
        assert!(stream.buffer.len() < 4096, "{} samples kept", stream.buffer.len());
    }

    #[test]
    fn a_sample_that_is_not_finite_is_named_and_the_stream_goes_on_without_its_piece() {
        let mut stream = Stream::new(Config::kaldi_fbank(16_000, 40)).unwrap();
        stream.push(&[0.1; 300]).unwrap();
        let error = stream.push(&[0.1, f32::NAN]).unwrap_err();
        assert!(matches!(error, Error::NotFinite { index: 301, .. }), "{error}");
        assert_eq!(stream.push(&[0.1; 100]).unwrap().frames(), 1);
    }
}
