//! What the phonemes of the digits are aimed at, read from `phonemes.toml`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

/// What the silence before, between and after words is called.
pub(super) const SILENCE: &str = "SIL";

/// The digits in English, each at its own index.
pub(super) const DIGITS: [&str; 10] =
    ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];

/// The phonemes, and how the digits are pronounced with them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Inventory {
    /// A word's pronunciations, equally likely.
    pub words: BTreeMap<String, Vec<Vec<String>>>,
    pub phonemes: BTreeMap<String, Phoneme>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Phoneme {
    /// Whether it carries the accent of its word.
    #[serde(default)]
    pub vowel: bool,
    /// The shortest and the longest, in milliseconds.
    pub duration: [f64; 2],
    pub phases: Vec<Phase>,
}

/// A stretch of a phoneme with one target for the mouth.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Phase {
    #[serde(default = "one")]
    pub share: f64,
    /// F1 to F4 in Hz; the mouth is already where it will be next if there are
    /// none.
    pub formants: Option<[f64; 4]>,
    #[serde(default = "usual_bandwidths")]
    pub bandwidths: [f64; 4],
    /// Level of the voice in dB.
    pub voicing: Option<f64>,
    /// Level of the breath through the mouth in dB.
    pub aspiration: Option<f64>,
    /// Level of the noise at a constriction in dB.
    pub frication: Option<f64>,
    /// Centre and bandwidth of that noise in Hz.
    pub noise: Option<[f64; 2]>,
    /// In Hz.
    pub nasal_zero: Option<f64>,
}

fn one() -> f64 {
    1.
}

fn usual_bandwidths() -> [f64; 4] {
    [60., 90., 150., 200.]
}

impl Phase {
    /// Nothing is heard.
    pub fn silence() -> Self {
        Self {
            share: one(),
            formants: None,
            bandwidths: usual_bandwidths(),
            voicing: None,
            aspiration: None,
            frication: None,
            noise: None,
            nasal_zero: None,
        }
    }
}

/// The embedded phonemes and words.
pub(super) fn inventory() -> &'static Inventory {
    static INVENTORY: LazyLock<Inventory> = LazyLock::new(|| {
        toml::from_str(include_str!("phonemes.toml")).expect("the embedded phonemes are well formed")
    });
    &INVENTORY
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_digit_has_a_pronunciation_and_every_phoneme_a_word() {
        let Inventory { words, phonemes } = inventory();
        assert!(DIGITS.iter().all(|word| words[*word].iter().all(|phonemes| !phonemes.is_empty())));
        let used: BTreeSet<_> = words.values().flatten().flatten().collect();
        assert!(used.into_iter().eq(phonemes.keys()));
    }

    #[test]
    fn targets_are_in_order_and_noise_has_a_band() {
        for (symbol, phoneme) in &inventory().phonemes {
            assert!(phoneme.duration[0] < phoneme.duration[1], "{symbol}");
            for phase in &phoneme.phases {
                assert!(phase.formants.is_none_or(|formants| formants.is_sorted()), "{symbol}");
                assert_eq!(phase.frication.is_some(), phase.noise.is_some(), "{symbol}");
            }
        }
    }
}
