//! Which effects recordings are changed by, and how strongly.

use std::path::PathBuf;

use app_kit::UsageError;
use serde::{Deserialize, Serialize};

/// How training recordings are varied; what is left out is off, and the default is off altogether.
///
/// Each range is its lowest and its highest number, `[0.9, 1.1]`; every recording draws its own from
/// it, all numbers between being equally likely.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AugmentConfig {
    /// How many times as fast a recording is played, tempo and pitch together (Ko et al. 2015): from
    /// 0.5 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speed: Option<[f64; 2]>,
    /// How many times as fast it is spoken, at the same pitch (Verhelst and Roelands 1993): from 0.5
    /// to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tempo: Option<[f64; 2]>,
    /// How many times as high its frequencies are, as with a shorter vocal tract, at the same tempo
    /// (Jaitly and Hinton 2013): from 0.5 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vtlp: Option<[f64; 2]>,
    /// By how many dB some of its frequencies are made louder or quieter at most, as by another microphone
    /// (Nam et al. 2022): from 0, off, to 40.
    pub equalizer_db: f64,
    /// How much louder it is made, in dB: from -60 to 60.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gain_db: Option<[f64; 2]>,
    /// Probability with which its sign is changed: from 0 to 1.
    pub polarity: f64,
    /// Seconds of silence that are put before it, and as many others after: from 0 to 10.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silence: Option<[f64; 2]>,
    /// Noise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noise: Option<NoiseConfig>,
    /// The echo of a room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reverberation: Option<ReverberationConfig>,
    /// Masks on the features.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub masks: Option<MaskConfig>,
}

/// What noise is added, and how loud.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NoiseConfig {
    /// Probability with which a recording gets noise: from 0 to 1.
    pub probability: f64,
    /// By how many dB the recording is louder than the noise: from -20 to 100.
    pub snr_db: [f64; 2],
    /// Synthetic noise to choose from.
    pub colours: Vec<NoiseColour>,
    /// A folder of WAV files, read once; one more kind to choose, a random piece of a random file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folder: Option<PathBuf>,
}

impl Default for NoiseConfig {
    /// White or pink noise in every recording, 10 to 30 dB below it.
    fn default() -> Self {
        Self {
            probability: 1.0,
            snr_db: [10.0, 30.0],
            colours: vec![NoiseColour::White, NoiseColour::Pink],
            folder: None,
        }
    }
}

/// How the power of noise is spread over the frequencies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoiseColour {
    /// The same for each Hertz: hiss.
    White,
    /// The same for each octave, `1/f`: nearer to the sound of a room.
    Pink,
}

/// In what rooms recordings are heard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReverberationConfig {
    /// Probability with which a recording is put into a room: from 0 to 1.
    pub probability: f64,
    /// Seconds until the echo has fallen by 60 dB (RT60): from 0.01 to 5.
    pub rt60: [f64; 2],
    /// By how many dB the direct sound is louder than the whole echo: from -20 to 60.
    pub direct_to_reverberant_db: [f64; 2],
    /// A folder of impulse responses in WAV files, read once, to be used instead of synthetic rooms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folder: Option<PathBuf>,
}

impl Default for ReverberationConfig {
    /// Half of the recordings, in rooms from a bathroom to a living room.
    fn default() -> Self {
        Self { probability: 0.5, rt60: [0.1, 0.5], direct_to_reverberant_db: [0.0, 15.0], folder: None }
    }
}

/// SpecAugment (Park et al. 2019) without the time warping: what the network must do without.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MaskConfig {
    /// Masks over time: at most 100.
    pub time_masks: usize,
    /// Frames of a time mask at most.
    pub time_width: usize,
    /// The part of all frames that the time masks cover together at most: from 0 to 1.
    pub time_share: f64,
    /// Masks over bands: at most 100.
    pub band_masks: usize,
    /// Bands of a band mask at most.
    pub band_width: usize,
}

impl Default for MaskConfig {
    /// One mask of either kind, of at most 8 frames and a sixth of the word, and of at most 5 bands.
    fn default() -> Self {
        Self { time_masks: 1, time_width: 8, time_share: 0.15, band_masks: 1, band_width: 5 }
    }
}

impl AugmentConfig {
    /// For small corpora of isolated words whose speakers are also those to be recognised.
    pub fn light() -> Self {
        Self {
            speed: Some([0.9, 1.1]),
            vtlp: Some([0.95, 1.05]),
            gain_db: Some([-6.0, 6.0]),
            silence: Some([0.0, 0.1]),
            noise: Some(NoiseConfig { probability: 0.5, snr_db: [15.0, 40.0], ..NoiseConfig::default() }),
            masks: Some(MaskConfig::default()),
            ..Self::default()
        }
    }

    /// For a handful of speakers from whom a network is to learn to understand others.
    pub fn strong() -> Self {
        Self {
            speed: Some([0.8, 1.25]),
            vtlp: Some([0.85, 1.2]),
            equalizer_db: 10.0,
            gain_db: Some([-12.0, 12.0]),
            polarity: 0.5,
            silence: Some([0.0, 0.2]),
            noise: Some(NoiseConfig { probability: 0.8, snr_db: [5.0, 30.0], ..NoiseConfig::default() }),
            reverberation: Some(ReverberationConfig::default()),
            masks: Some(MaskConfig {
                time_masks: 2,
                time_width: 10,
                time_share: 0.25,
                band_masks: 2,
                band_width: 6,
            }),
            ..Self::default()
        }
    }

    /// Whether all settings are in their ranges. Folders are not looked into.
    ///
    /// # Errors
    /// [`UsageError`] naming the setting and its range.
    pub fn validate(&self) -> Result<(), UsageError> {
        between("speed", self.speed, FACTORS)?;
        between("tempo", self.tempo, FACTORS)?;
        between("vtlp", self.vtlp, FACTORS)?;
        between("equalizer_db", Some([0.0, self.equalizer_db]), [0.0, 40.0])?;
        between("gain_db", self.gain_db, [-60.0, 60.0])?;
        part("polarity", self.polarity)?;
        between("silence", self.silence, [0.0, 10.0])?;
        if let Some(noise) = &self.noise {
            part("noise.probability", noise.probability)?;
            between("noise.snr_db", Some(noise.snr_db), [-20.0, 100.0])?;
            if noise.colours.is_empty() && noise.folder.is_none() {
                return Err(UsageError::new(
                    "noise.colours is empty and there is no noise.folder; \
                     name \"white\", \"pink\" or a folder, or leave out noise",
                ));
            }
        }
        if let Some(room) = &self.reverberation {
            part("reverberation.probability", room.probability)?;
            between("reverberation.rt60", Some(room.rt60), [0.01, 5.0])?;
            let ratio = Some(room.direct_to_reverberant_db);
            between("reverberation.direct_to_reverberant_db", ratio, [-20.0, 60.0])?;
        }
        if let Some(masks) = &self.masks {
            part("masks.time_share", masks.time_share)?;
            for (name, count) in
                [("masks.time_masks", masks.time_masks), ("masks.band_masks", masks.band_masks)]
            {
                if count > MOST_MASKS {
                    return Err(UsageError::new(format!(
                        "{name} is {count}; it must be from 0 to {MOST_MASKS}"
                    )));
                }
            }
        }
        Ok(())
    }
}

/// The factors by which tempo and frequencies can be changed.
const FACTORS: [f64; 2] = [0.5, 2.0];

const MOST_MASKS: usize = 100;

fn between(name: &str, setting: Option<[f64; 2]>, [least, most]: [f64; 2]) -> Result<(), UsageError> {
    match setting {
        Some([from, to]) if !(least <= from && from <= to && to <= most) => Err(UsageError::new(format!(
            "{name} is [{from}, {to}]; it must be two numbers from {least} to {most}, the lower one first"
        ))),
        _ => Ok(()),
    }
}

fn part(name: &str, setting: f64) -> Result<(), UsageError> {
    match (0.0..=1.0).contains(&setting) {
        true => Ok(()),
        false => Err(UsageError::new(format!("{name} is {setting}; it must be from 0 to 1"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_are_valid_and_saved_are_the_same_and_unknown_settings_are_refused() {
        for config in [AugmentConfig::default(), AugmentConfig::light(), AugmentConfig::strong()] {
            config.validate().unwrap();
            let saved = toml::to_string(&config).unwrap();
            assert_eq!(toml::from_str::<AugmentConfig>(&saved).unwrap(), config);
            assert!(toml::from_str::<AugmentConfig>(&format!("pitch = 1\n{saved}")).is_err());
        }
        assert_eq!(toml::from_str::<AugmentConfig>("").unwrap(), AugmentConfig::default());
        let noise = toml::from_str::<AugmentConfig>("[noise]\ncolours = [\"pink\"]").unwrap().noise.unwrap();
        assert_eq!(noise, NoiseConfig { colours: vec![NoiseColour::Pink], ..NoiseConfig::default() });
    }

    #[test]
    fn each_impossible_setting_is_refused_by_name_and_range() {
        for (text, message) in [
            (
                "speed = [0.4, 1.0]",
                "speed is [0.4, 1]; it must be two numbers from 0.5 to 2, the lower one first",
            ),
            ("tempo = [1.1, 0.9]", "tempo is [1.1, 0.9]; "),
            ("vtlp = [1.0, nan]", "vtlp is [1, NaN]; "),
            ("gain_db = [-70, 0]", "gain_db is [-70, 0]; it must be two numbers from -60 to 60"),
            ("polarity = 1.5", "polarity is 1.5; it must be from 0 to 1"),
            ("silence = [-0.1, 0]", "silence is "),
            ("noise.probability = -1", "noise.probability is "),
            ("noise.snr_db = [10, inf]", "noise.snr_db is "),
            ("noise.colours = []", "noise.colours is empty"),
            ("reverberation.probability = nan", "reverberation.probability is "),
            ("reverberation.rt60 = [0, 1]", "reverberation.rt60 is "),
            (
                "reverberation.direct_to_reverberant_db = [0, 61]",
                "reverberation.direct_to_reverberant_db is ",
            ),
            ("masks.time_share = 1.1", "masks.time_share is "),
            ("masks.time_masks = 101", "masks.time_masks is 101; it must be from 0 to 100"),
            ("masks.band_masks = 101", "masks.band_masks is "),
        ] {
            let config: AugmentConfig = toml::from_str(text).unwrap();
            let error = config.validate().unwrap_err().to_string();
            assert!(error.starts_with(message), "{text}: {error}");
        }
    }
}
