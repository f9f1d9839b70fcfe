//! Spoken digits from a small formant synthesiser of our own.
//!
//! What the mouth does for each phoneme is in `phonemes.toml`. A [`Voice`] says
//! it, a [`Recording`] hears it, and since the synthesiser knows when it says
//! what, every utterance has its true boundaries.

pub(crate) mod files;
mod glottis;
mod noise;
mod phonemes;
mod recording;
mod resonator;
mod score;
#[cfg(test)]
mod spectrum;
mod synthesizer;
mod tracks;
mod voice;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::LazyLock;

use candle_rnn::Generator;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

pub use recording::{Colour, Noise, Recording, Room};
pub use synthesizer::{SpeechError, Synthesizer};
pub use voice::Voice;

/// The seed of [`speech`].
const SEED: u64 = 42;
/// The seed of [`single_digits`].
const SINGLE_SEED: u64 = 7;
/// Samples per second of both.
const RATE: u32 = 8000;
/// Every utterance has so many random numbers to itself, of 32 bits.
const NUMBERS: u32 = 32;

/// Digits that were said, and when.
#[derive(Clone, Debug, PartialEq)]
pub struct Utterance {
    /// From −1 to 1, in steps of 2⁻¹⁵.
    pub samples: Vec<f32>,
    /// Samples per second.
    pub rate: u32,
    /// From 0 to 9.
    pub digits: Vec<u8>,
    /// The words: `three one four`.
    pub text: String,
    /// When each word is said.
    pub words: Vec<Segment>,
    /// When each phoneme is said, and when nothing (`SIL`), without a gap from
    /// the first sample to the last.
    pub phonemes: Vec<Segment>,
    /// The number of the [`Voice`].
    pub voice: u32,
}

/// A part of an utterance, in samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// What is said: a word, or a phoneme in the letters of ARPAbet.
    pub symbol: &'static str,
    /// Its first sample.
    pub start: usize,
    /// The sample after its last.
    pub end: usize,
}

/// The three parts of the set. A voice is heard in one of them only.
#[derive(Clone, Debug, PartialEq)]
pub struct Speech {
    /// 1,200 utterances of 40 voices.
    pub train: Vec<Utterance>,
    /// 150 utterances of 10 voices.
    pub validation: Vec<Utterance>,
    /// 200 utterances of 20 voices.
    pub test: Vec<Utterance>,
}

/// A part of [`Speech`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// What a model learns from.
    Train,
    /// What is looked at on the way.
    Validation,
    /// What is looked at in the end.
    Test,
}

/// The embedded set, at 8,000 samples per second: two in five utterances are a
/// single digit, the others two to five digits, some of them with pauses.
///
/// It is made the first time it is asked for, on all threads. On every machine
/// the boundaries are the same; a sample may be off by one step of 2⁻¹⁵ or two,
/// since machines differ in the last bits of a sine.
///
/// ```
/// let set = datasets::embedded::speech();
/// assert_eq!(set.train.len(), 1200);
/// let utterance = &set.train[0];
/// println!("{}: {} s", utterance.text, utterance.seconds());
/// ```
pub fn speech() -> &'static Speech {
    static SET: LazyLock<Speech> =
        LazyLock::new(|| Speech::drawn_from(SEED, RATE).expect("the rate is one of those there are"));
    &SET
}

/// Single digits, at 8,000 samples per second: each voice says each of the ten, with another microphone each time.
///
/// Voices from 70 on are heard in no part of [`speech`].
///
/// ```
/// let digits = datasets::embedded::speech::single_digits(70..72);
/// assert_eq!(digits.len(), 20);
/// assert_eq!((digits[13].voice, &digits[13].text[..]), (71, "three"));
/// ```
pub fn single_digits(voices: Range<u32>) -> Vec<Utterance> {
    let synthesizer = Synthesizer::new(RATE).expect("the rate is one of those there are");
    let say = |(voice, digit): (u32, u8)| {
        let mut generator =
            Generator::at(SINGLE_SEED, u128::from(10 * u64::from(voice) + u64::from(digit)) << NUMBERS);
        let recording = Recording::drawn(&mut generator);
        synthesizer.speak(&[digit], &Voice::numbered(voice), &recording, &mut generator)
    };
    let digits: Vec<(u32, u8)> = voices.flat_map(|voice| (0..10).map(move |digit| (voice, digit))).collect();
    digits.into_par_iter().map(say).collect()
}

/// How the words of the set are pronounced: of each, its pronunciations, equally likely, as phonemes in the
/// letters of ARPAbet.
pub fn pronunciations() -> &'static BTreeMap<String, Vec<Vec<String>>> {
    &phonemes::inventory().words
}

impl Speech {
    /// Other utterances of the same voices, at `rate` samples per second.
    ///
    /// # Errors
    /// [`SpeechError::Rate`] below 8,000 and above 48,000.
    pub fn drawn_from(seed: u64, rate: u32) -> Result<Self, SpeechError> {
        let synthesizer = Synthesizer::new(rate)?;
        let part = |part: Part| {
            let indices = (0..part.size()).into_par_iter();
            indices.map(|index| part.draw(seed, index).utterance(&synthesizer)).collect()
        };
        Ok(Self { train: part(Part::Train), validation: part(Part::Validation), test: part(Part::Test) })
    }
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Train, Self::Validation, Self::Test];

    /// `train`, `validation` or `test`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }

    /// How many utterances it has.
    pub fn size(self) -> usize {
        match self {
            Self::Train => 1200,
            Self::Validation => 150,
            Self::Test => 200,
        }
    }

    /// The numbers of its voices.
    pub fn voices(self) -> Range<u32> {
        match self {
            Self::Train => 0..40,
            Self::Validation => 40..50,
            Self::Test => 50..70,
        }
    }

    /// One utterance of the part, without making the others; none if `index` is
    /// not below [`Part::size`].
    pub fn utterance(self, seed: u64, index: usize, synthesizer: &Synthesizer) -> Option<Utterance> {
        (index < self.size()).then(|| self.draw(seed, index).utterance(synthesizer))
    }

    fn draw(self, seed: u64, index: usize) -> Draw {
        let before: usize = Self::ALL.iter().take_while(|part| **part != self).map(|part| part.size()).sum();
        let mut generator = Generator::at(seed, ((before + index) as u128) << NUMBERS);
        let length = if generator.below(5) < 2 { 1 } else { 2 + generator.below(4) };
        let digits = (0..length).map(|_| generator.below(10) as u8).collect();
        let voices = self.voices();
        let voice = Voice::numbered(voices.start + index as u32 % voices.len() as u32);
        let recording = Recording::drawn(&mut generator);
        Draw { digits, voice, recording, generator }
    }
}

/// What decides on an utterance.
struct Draw {
    digits: Vec<u8>,
    voice: Voice,
    recording: Recording,
    /// For everything that follows.
    generator: Generator,
}

impl Draw {
    fn utterance(mut self, synthesizer: &Synthesizer) -> Utterance {
        synthesizer.speak(&self.digits, &self.voice, &self.recording, &mut self.generator)
    }

    /// The utterance without samples.
    fn labels(mut self, synthesizer: &Synthesizer) -> Utterance {
        synthesizer.labels(&self.digits, &self.voice, &mut self.generator)
    }
}

impl fmt::Display for Segment {
    /// `symbol:start:end`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.symbol, self.start, self.end)
    }
}

impl Utterance {
    /// The phonemes in one line: each as `symbol:start:end`, with a blank between two.
    pub fn phoneme_line(&self) -> String {
        self.phonemes.iter().map(Segment::to_string).collect::<Vec<_>>().join(" ")
    }

    /// How long it is.
    pub fn seconds(&self) -> f64 {
        self.samples.len() as f64 / f64::from(self.rate)
    }
}

/// Uniform between two numbers.
fn between(generator: &mut Generator, low: f64, high: f64) -> f64 {
    low + (high - low) * generator.uniform()
}

#[cfg(test)]
mod tests;
