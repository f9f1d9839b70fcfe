//! Utterances as the network hears them and says them.

use std::fmt;

use anyhow::{Context, Result};
use audio_features::Audio;
use rayon::prelude::*;

use crate::alphabet::{Alphabet, Units, words};
use crate::corpus::Utterance;
use crate::frontend::FrontendConfig;
use crate::network::{Head, NetworkConfig};

/// The field of an utterance with the phonemes that are said in it: symbols with blanks between, each of
/// which may be followed by `:start:end`.
pub const PHONEMES: &str = "phonemes";

/// A recording and what is said in it, as the network says it.
#[derive(Clone, Debug)]
pub struct Example {
    /// At the rate of the network.
    pub audio: Audio,
    /// The symbols, or the label.
    pub target: Vec<u32>,
    /// The text.
    pub text: String,
}

/// How many recordings are not learnt from, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// All there were.
    pub of: usize,
    /// Nothing is said in them.
    pub empty: usize,
    /// More is said in them than they have frames for.
    pub too_short: usize,
}

impl Dropped {
    /// How many.
    pub fn count(&self) -> usize {
        self.empty + self.too_short
    }
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of {} recordings left out: {} without text, {} too short for their text",
            self.count(),
            self.of,
            self.empty,
            self.too_short
        )
    }
}

/// The recording of an utterance at a rate.
///
/// # Errors
/// A recording that cannot be read.
pub fn recording(utterance: &Utterance, rate: u32) -> Result<Audio> {
    let audio = utterance.sound.read()?;
    audio.resampled(rate).with_context(|| format!("cannot resample {}", utterance.name))
}

/// Reads all recordings. Those without text and, for connectionist temporal classification, too short for
/// their text are left out and counted.
///
/// # Errors
/// A recording that cannot be read, a text that has no symbols, by name.
pub fn examples(
    utterances: &[Utterance],
    alphabet: &Alphabet,
    frontend: &FrontendConfig,
    network: &NetworkConfig,
) -> Result<(Vec<Example>, Dropped)> {
    let example = |utterance: &Utterance| -> Result<Example> {
        let target = target(utterance, alphabet, network.head)
            .with_context(|| format!("{}: {:?}", utterance.name, utterance.text))?;
        let audio = recording(utterance, frontend.rate)?;
        Ok(Example { audio, target, text: utterance.text.clone() })
    };
    let all = utterances.par_iter().map(example).collect::<Result<Vec<_>>>()?;
    let mut dropped = Dropped { of: all.len(), ..Dropped::default() };
    let is_kept = |example: &Example| {
        if example.target.is_empty() {
            dropped.empty += 1;
            return false;
        }
        let is_long_enough = network.head == Head::Classification
            || network.frames(frontend.frames(example.audio.samples.len())) >= frames_needed(&example.target);
        dropped.too_short += usize::from(!is_long_enough);
        is_long_enough
    };
    let kept = all.into_iter().filter(is_kept).collect();
    Ok((kept, dropped))
}

fn target(utterance: &Utterance, alphabet: &Alphabet, head: Head) -> Result<Vec<u32>> {
    match (head, utterance.fields.get(PHONEMES)) {
        (Head::Classification, _) => {
            let label = alphabet.number(&utterance.text);
            Ok(vec![
                label.with_context(|| format!("no training recording has the label {:?}", utterance.text))?,
            ])
        }
        (Head::Ctc, Some(phonemes)) if alphabet.units() == Units::Phoneme => {
            let symbols: Vec<&str> =
                words(phonemes).map(|phoneme| phoneme.split(':').next().unwrap_or("")).collect();
            alphabet.encode_as_spoken(&utterance.text, &symbols)
        }
        (Head::Ctc, _) => alphabet.encode(&utterance.text),
    }
}

/// Frames that a target needs: one for each symbol, and one between equal symbols.
pub fn frames_needed(target: &[u32]) -> usize {
    target.len() + target.windows(2).filter(|pair| pair[0] == pair[1]).count()
}
