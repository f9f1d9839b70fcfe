//! Strings of recordings: single words, one after another, as material for learning and measuring how
//! connected words are recognised.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::sync::Arc;

use anyhow::{Result, ensure};
use app_kit::UsageError;
use audio_features::Audio;
use candle_rnn::Generator;
use serde::{Deserialize, Serialize};

use crate::corpus::{Sound, Utterance};

/// How recordings are joined.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Joining {
    /// Recordings of a string at least.
    pub least: usize,
    /// Recordings of a string at most.
    pub most: usize,
    /// Milliseconds of silence between two of them at most; how many is drawn for each gap.
    pub gap: f64,
}

impl Default for Joining {
    /// One to seven, up to 300 ms between them.
    fn default() -> Self {
        Self { least: 1, most: 7, gap: 300.0 }
    }
}

/// A string of recordings: their numbers, and the milliseconds of silence before each.
pub type Join = Vec<(usize, f64)>;

impl FromStr for Joining {
    type Err = UsageError;

    /// `3-7`
    fn from_str(text: &str) -> Result<Self, UsageError> {
        let range = text.split_once('-').unwrap_or((text, text));
        match (range.0.trim().parse(), range.1.trim().parse()) {
            (Ok(least), Ok(most)) if 1 <= least && least <= most => {
                Ok(Self { least, most, ..Self::default() })
            }
            _ => Err(UsageError::new(format!("{text:?} is no range of numbers of recordings, such as 3-7"))),
        }
    }
}

impl Joining {
    fn lengths(&self) -> RangeInclusive<usize> {
        self.least.max(1)..=self.most.max(self.least).max(1)
    }

    /// How many strings make about one pass over so many recordings.
    pub fn strings(&self, recordings: usize) -> usize {
        let lengths = self.lengths();
        (2 * recordings).div_ceil(lengths.start() + lengths.end()).max(1)
    }

    /// So many strings of recordings `0..recordings`. No recording is used again before all others were.
    pub fn draw(&self, strings: usize, recordings: usize, generator: &mut Generator) -> Vec<Join> {
        let lengths = self.lengths();
        let mut left: Vec<usize> = Vec::new();
        let mut next = |generator: &mut Generator| {
            if left.is_empty() {
                left = (0..recordings).collect();
                generator.shuffle(&mut left);
            }
            left.pop().unwrap_or(0)
        };
        let mut string = |_| {
            let length = lengths.start() + generator.below(lengths.end() - lengths.start() + 1);
            let place = |place: usize| {
                let gap = if place == 0 { 0.0 } else { self.gap * generator.uniform() };
                (next(generator), gap)
            };
            (0..length).map(place).collect()
        };
        (0..strings).map(&mut string).collect()
    }
}

/// The samples of a string, whose recordings have the same rate.
pub fn join<'a>(string: &Join, samples: impl Fn(usize) -> &'a [f32], rate: u32) -> Vec<f32> {
    let mut joined = Vec::new();
    for &(number, gap) in string {
        joined.resize(joined.len() + (gap / 1000.0 * f64::from(rate)).round() as usize, 0.0);
        joined.extend_from_slice(samples(number));
    }
    joined
}

/// About as many strings as make one pass over the utterances, each of which is heard once.
///
/// # Errors
/// A recording that cannot be read, or has another rate than the first.
pub fn strings(utterances: &[Utterance], joining: &Joining, seed: u64) -> Result<Vec<Utterance>> {
    let recordings = utterances.iter().map(|utterance| utterance.sound.read()).collect::<Result<Vec<_>>>()?;
    let rate = recordings.first().map_or(0, |audio| audio.rate);
    for (utterance, audio) in utterances.iter().zip(&recordings) {
        ensure!(
            audio.rate == rate,
            "{} has {} samples a second, but {} has {rate}: recordings that are joined must have one rate",
            utterance.name,
            audio.rate,
            utterances[0].name
        );
    }
    let mut generator = Generator::new(seed);
    let drawn = joining.draw(joining.strings(utterances.len()), utterances.len(), &mut generator);
    let utterance = |(number, string): (usize, Join)| {
        let samples = join(&string, |number| &recordings[number].samples, rate);
        let texts: Vec<&str> = string.iter().map(|&(number, _)| utterances[number].text.as_str()).collect();
        Utterance {
            name: format!("string {}", number + 1),
            text: texts.join(" "),
            fields: BTreeMap::new(),
            sound: Sound::Memory(Arc::new(Audio { samples, rate })),
        }
    };
    Ok(drawn.into_iter().enumerate().map(utterance).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_recording_is_used_before_any_is_used_again(
            recordings in 1usize..40, least in 1usize..5, more in 0usize..5, seed: u64,
        ) {
            let joining = Joining { least, most: least + more, gap: 300.0 };
            let count = 3 * joining.strings(recordings);
            let strings = joining.draw(count, recordings, &mut Generator::new(seed));
            prop_assert_eq!(strings.len(), count);
            prop_assert!(strings.iter().all(|string| (least..=least + more).contains(&string.len())));
            let used: Vec<usize> = strings.iter().flatten().map(|&(number, _)| number).collect();
            for pass in used.chunks(recordings) {
                let mut pass = pass.to_vec();
                pass.sort_unstable();
                pass.dedup();
                prop_assert!(pass.len() == recordings || used.len() % recordings == pass.len());
            }
            prop_assert!(strings.iter().flatten().all(|&(_, gap)| (0.0..300.0).contains(&gap)));
        }
    }

    #[test]
    fn a_string_has_its_recordings_in_order_with_silence_between() {
        let recordings = [[1.0; 2], [0.5; 2]];
        let joined = join(&vec![(1, 0.0), (0, 250.0)], |number| &recordings[number], 8);
        assert_eq!(joined, [0.5, 0.5, 0.0, 0.0, 1.0, 1.0]);
        assert!("3-7".parse::<Joining>().is_ok_and(|joining| (joining.least, joining.most) == (3, 7)));
        assert!("7-3".parse::<Joining>().is_err() && "0".parse::<Joining>().is_err());
    }
}
