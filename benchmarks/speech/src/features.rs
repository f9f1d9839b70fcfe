//! The features of a signal, by the crate `audio-features`.

use std::hint::black_box;
use std::path::PathBuf;

use anyhow::Result;
use audio_features::{Audio, Config, Extractor, Features};
use serde::Deserialize;
use worker::{Check, Workload, numbers};

/// Whose features they are.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Preset {
    KaldiFbank,
    TorchaudioMel,
}

#[derive(Deserialize)]
pub struct Row {
    preset: Preset,
    /// Samples a second.
    rate: u32,
    seconds: usize,
    bands: usize,
    /// The signal's numbers lie between plus and minus this.
    scale: f64,
    /// Where the features go, with the extension `ours`: f32 in the machine's order of bytes, frame by
    /// frame.
    write: PathBuf,
}

/// The features of a whole signal at once.
pub struct Extraction {
    write: PathBuf,
    audio: Audio,
    extractor: Extractor,
}

impl Extraction {
    pub fn new(row: &Row) -> Result<Self> {
        let config = match row.preset {
            Preset::KaldiFbank => Config::kaldi_fbank(row.rate, row.bands),
            Preset::TorchaudioMel => Config::torchaudio_mel(row.rate, row.bands),
        };
        let samples = numbers::fill("signal", row.seconds * row.rate as usize, row.scale);
        let audio = Audio { samples, rate: row.rate };
        Ok(Self { write: row.write.clone(), audio, extractor: Extractor::new(config)? })
    }

    fn features(&self) -> Result<Features> {
        Ok(self.extractor.extract(&self.audio)?)
    }
}

impl Workload for Extraction {
    fn check(&mut self) -> Result<Check> {
        let features = self.features()?;
        let bytes: Vec<u8> = features.values().iter().flat_map(|value| value.to_ne_bytes()).collect();
        std::fs::write(self.write.with_extension("ours"), bytes)?;
        Ok(Check::from([
            ("frames", features.frames() as f64),
            ("root mean square", numbers::root_mean_square(features.values())),
        ]))
    }

    fn iterate(&mut self) -> Result<()> {
        black_box(self.features()?);
        Ok(())
    }
}
