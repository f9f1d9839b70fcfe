//! From a recording to what the network reads: log-mel spectra or cepstra, normalised.

use anyhow::{Context, Result};
use app_kit::UsageError;
use audio_features::{Audio, Config, Extractor, Features, Logarithm, Moments, RunningNormalization, Stream};
use clap::ValueEnum;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// How features are shifted and scaled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Normalization {
    /// By the moments of the recording: it takes out the microphone and the room; needs the whole
    /// recording
    #[default]
    Utterance,
    /// By the moments of all training recordings, after every recording was made as loud as the others;
    /// needs the whole recording
    Level,
    /// By the moments of all training recordings
    Corpus,
    /// By the moments of what was heard so far, beginning with those of the training recordings
    Running,
}

/// Frames of what was known before that weigh as much as what is heard, in running normalisation.
const RUNNING_WEIGHT: u64 = 200;

/// What the network reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FrontendConfig {
    /// Samples per second; recordings of other rates are resampled.
    pub rate: u32,
    /// Length of a frame in milliseconds.
    pub frame_length: f64,
    /// From a frame to the next, in milliseconds.
    pub hop: f64,
    /// Bands of the mel scale.
    pub bands: usize,
    /// Cepstral coefficients, if the network is to read these rather than the bands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cepstrum: Option<usize>,
    /// How they are normalised.
    pub normalization: Normalization,
}

impl Default for FrontendConfig {
    /// 40 bands at 8 kHz, frames of 25 ms every 10 ms, normalised by recording.
    fn default() -> Self {
        Self {
            rate: 8000,
            frame_length: 25.0,
            hop: 10.0,
            bands: 40,
            cepstrum: None,
            normalization: Normalization::Utterance,
        }
    }
}

impl FrontendConfig {
    /// Kaldi's log-mel spectra (or cepstra) of samples in units of 16-bit integers, with the power of one
    /// such unit as the floor: digital silence is then no outlier beside the noise of a recording.
    pub fn features(&self) -> Config {
        let samples = |milliseconds: f64| (f64::from(self.rate) * milliseconds / 1000.0).round() as usize;
        let preset = match self.cepstrum {
            Some(coefficients) => Config::kaldi_mfcc(self.rate, coefficients),
            None => Config::kaldi_fbank(self.rate, self.bands),
        };
        let frame_length = samples(self.frame_length);
        let mel = preset.mel.clone().map(|mel| audio_features::MelBank { bands: self.bands, ..mel });
        Config {
            frame_length,
            hop: samples(self.hop),
            fft_length: frame_length.checked_next_power_of_two().unwrap_or(usize::MAX),
            scale: 32_768.0,
            logarithm: Logarithm::Natural { floor: 1.0 },
            mel,
            ..preset
        }
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// [`UsageError`] that names the one that is out of range.
    pub fn validate(&self) -> Result<(), UsageError> {
        if self.cepstrum.is_some() && self.normalization == Normalization::Level {
            let error = "cepstra have no level to be taken from all of them: use another --normalization";
            return Err(UsageError::new(error));
        }
        self.features().validate().map_err(|error| UsageError::new(format!("the features: {error}")))
    }

    /// Numbers of a frame.
    pub fn dimension(&self) -> usize {
        self.cepstrum.unwrap_or(self.bands)
    }

    /// Frames of a recording of so many samples; one that is shorter than a frame is made as long.
    pub fn frames(&self, samples: usize) -> usize {
        let Config { frame_length, hop, .. } = self.features();
        1 + samples.saturating_sub(frame_length) / hop.max(1)
    }

    /// Seconds from a frame to the next.
    pub fn seconds_per_frame(&self) -> f64 {
        self.features().hop as f64 / f64::from(self.rate)
    }
}

/// Computes what the network reads.
#[derive(Clone, Debug)]
pub struct Frontend {
    config: FrontendConfig,
    extractor: Extractor,
    moments: Moments,
}

impl Frontend {
    /// The moments are those of the features of all training recordings.
    ///
    /// # Errors
    /// Settings out of range, moments of another dimension or of nothing.
    pub fn new(config: &FrontendConfig, moments: Moments) -> Result<Self> {
        let extractor = extractor(config)?;
        RunningNormalization::new(&moments, RUNNING_WEIGHT)
            .context("the moments of the training features")?;
        let (found, expected) = (moments.mean().len(), config.dimension());
        anyhow::ensure!(
            found == expected,
            "there are moments of {found} features, the network reads {expected}"
        );
        Ok(Self { config: config.clone(), extractor, moments })
    }

    /// What it was made with.
    pub fn config(&self) -> &FrontendConfig {
        &self.config
    }

    /// The moments of the training features.
    pub fn moments(&self) -> &Moments {
        &self.moments
    }

    /// The features of a recording of any rate, before normalisation.
    ///
    /// # Errors
    /// A sample that is not finite.
    pub fn raw(&self, audio: &Audio) -> Result<Features> {
        raw(&self.extractor, audio)
    }

    /// Normalises the features of a whole recording.
    ///
    /// # Errors
    /// Features of another dimension.
    pub fn normalize(&self, features: &mut Features) -> Result<()> {
        match self.config.normalization {
            _ if features.is_empty() => {}
            Normalization::Utterance => Moments::of(features).normalize(features)?,
            Normalization::Level => {
                level(features);
                self.moments.normalize(features)?;
            }
            Normalization::Corpus => self.moments.normalize(features)?,
            Normalization::Running => self.running()?.normalize(features)?,
        }
        Ok(())
    }

    /// What the network reads of a recording.
    ///
    /// # Errors
    /// A sample that is not finite.
    pub fn features(&self, audio: &Audio) -> Result<Features> {
        let mut features = self.raw(audio)?;
        self.normalize(&mut features)?;
        Ok(features)
    }

    /// What the network reads of a recording that has yet to come, at [`FrontendConfig::rate`].
    ///
    /// # Errors
    /// [`UsageError`] where normalisation needs the whole recording.
    pub fn stream(&self) -> Result<FrontendStream> {
        let running = match self.config.normalization {
            Normalization::Utterance | Normalization::Level => {
                let error = "this model normalises by the whole recording and cannot listen: train one with \
                             --normalization running (or --streaming)";
                return Err(UsageError::new(error).into());
            }
            Normalization::Corpus => None,
            Normalization::Running => Some(self.running()?),
        };
        Ok(FrontendStream { stream: self.extractor.stream(), moments: self.moments.clone(), running })
    }

    fn running(&self) -> Result<RunningNormalization> {
        Ok(RunningNormalization::new(&self.moments, RUNNING_WEIGHT)?)
    }
}

/// Takes the level of its loudest frame from a recording's logarithms of power: how loud the recording is does
/// not matter then.
fn level(features: &mut Features) {
    let mean = |row: &[f32]| row.iter().sum::<f32>() / row.len() as f32;
    let loudest = features.rows().map(mean).fold(f32::NEG_INFINITY, f32::max);
    features.rows_mut().flatten().for_each(|value| *value -= loudest);
}

/// Mean and variance of the features of recordings, as they are before [`Frontend::normalize`] uses these.
///
/// # Errors
/// Settings out of range, a sample that is not finite, no recording.
pub fn moments<'a>(
    config: &FrontendConfig,
    recordings: impl IntoParallelIterator<Item = &'a Audio>,
) -> Result<Moments> {
    let extractor = extractor(config)?;
    let of = |audio: &Audio| -> Result<Moments> {
        let mut features = raw(&extractor, audio)?;
        if config.normalization == Normalization::Level {
            level(&mut features);
        }
        Ok(Moments::of(&features))
    };
    let parts: Vec<Moments> = recordings.into_par_iter().map(of).collect::<Result<_>>()?;
    // In their order, so that the bits do not depend on the threads.
    let mut moments = Moments::new(config.dimension());
    parts.iter().try_for_each(|part| moments.merge(part))?;
    Ok(moments)
}

/// An extractor of features without normalisation.
///
/// # Errors
/// Settings out of range.
pub fn extractor(config: &FrontendConfig) -> Result<Extractor> {
    config.validate()?;
    Ok(Extractor::new(config.features())?)
}

/// The features of a recording of any rate, before normalisation. One that is shorter than a frame is
/// followed by silence, so that it has one.
///
/// # Errors
/// A sample that is not finite.
pub fn raw(extractor: &Extractor, audio: &Audio) -> Result<Features> {
    let Config { rate, frame_length, .. } = *extractor.config();
    if audio.rate == rate && audio.samples.len() >= frame_length {
        return Ok(extractor.extract(audio)?);
    }
    let mut audio = audio.clone().resampled(rate)?;
    audio.samples.resize(audio.samples.len().max(frame_length), 0.0);
    Ok(extractor.extract(&audio)?)
}

/// The normalised features of a recording, while it comes.
pub struct FrontendStream {
    stream: Stream,
    moments: Moments,
    running: Option<RunningNormalization>,
}

impl FrontendStream {
    /// Takes the next samples and gives the frames that they complete.
    ///
    /// # Errors
    /// A sample that is not finite.
    pub fn push(&mut self, samples: &[f32]) -> Result<Features> {
        let mut features = self.stream.push(samples)?;
        if !features.is_empty() {
            match &mut self.running {
                Some(running) => running.normalize(&mut features)?,
                None => self.moments.normalize(&mut features)?,
            }
        }
        Ok(features)
    }
}
