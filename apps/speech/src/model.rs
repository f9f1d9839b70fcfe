//! [`SpeechModel`]: a trained network, what it reads and what it says, as it lies in a model folder.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use app_kit::ModelFolder;
use audio_features::{Audio, Features, Moments};
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_rnn::{Lengths, Mode, log_softmax_rows};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::alphabet::{Alphabet, Units};
use crate::corpus::TextConfig;
use crate::frontend::{Frontend, FrontendConfig};
use crate::monophones::Monophones;
use crate::network::{Network, NetworkConfig};

/// The name of this application in `config.toml`.
pub const APPLICATION: &str = "speech";

/// The file of the models that find when phonemes are said.
pub const ALIGNMENT: &str = "alignment.safetensors";

/// Recordings whose frames are computed at once.
const ROWS: usize = 16;

/// `config.toml` of a model folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpeechConfig {
    /// What is done to texts before they are compared with what the network says.
    pub text: TextConfig,
    /// What the network reads.
    pub frontend: FrontendConfig,
    /// The shape of the network.
    pub network: NetworkConfig,
    /// What the network says.
    pub alphabet: Alphabet,
    /// Mean and variance of the training features.
    pub moments: Moments,
}

/// A trained model.
#[derive(Clone, Debug)]
pub struct SpeechModel {
    config: SpeechConfig,
    frontend: Frontend,
    network: Network,
    weights: HashMap<String, Tensor>,
    monophones: Option<Monophones>,
    device: Device,
}

/// What the network says of each frame of a recording; a classifier says it of the recording, as one frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Emissions {
    /// Natural logarithms of probabilities, `[frames, symbols]`.
    pub log_probs: Vec<f32>,
    /// Symbols of a frame.
    pub symbols: usize,
    /// Their place in time.
    pub clock: Clock,
}

/// When the frames that a network gives out are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clock {
    /// When the first begins, in seconds from the start of the recording; it may be before it.
    pub first: f64,
    /// Seconds from a frame to the next.
    pub frame: f64,
}

impl Clock {
    /// When a frame begins, in seconds; within a recording of so many seconds.
    pub fn time(&self, frame: usize, duration: f64) -> f64 {
        (self.first + frame as f64 * self.frame).clamp(0.0, duration.max(0.0))
    }
}

impl Emissions {
    /// How many frames there are.
    pub fn frames(&self) -> usize {
        self.log_probs.len() / self.symbols
    }

    /// The mean of the probabilities that several give to the same recording; `None` where there is nothing, or
    /// where their frames are not the same.
    pub fn mean(several: &[&Self]) -> Option<Self> {
        let (first, others) = several.split_first()?;
        let alike = |other: &&Self| {
            (other.log_probs.len(), other.symbols, other.clock)
                == (first.log_probs.len(), first.symbols, first.clock)
        };
        if !others.iter().all(alike) {
            return None;
        }
        let log_prob = |number: usize| {
            let most = several.iter().map(|of| of.log_probs[number]).fold(f32::NEG_INFINITY, f32::max);
            let sum: f32 = several.iter().map(|of| (of.log_probs[number] - most).exp()).sum();
            if most == f32::NEG_INFINITY { most } else { most + (sum / several.len() as f32).ln() }
        };
        Some(Self { log_probs: (0..first.log_probs.len()).map(log_prob).collect(), ..**first })
    }
}

impl SpeechModel {
    /// A model of these weights, by name.
    ///
    /// # Errors
    /// Settings that do not fit each other; a weight that is missing or has another shape.
    pub fn new(config: SpeechConfig, weights: HashMap<String, Tensor>, device: &Device) -> Result<Self> {
        let frontend = Frontend::new(&config.frontend, config.moments.clone())?;
        let vb = VarBuilder::from_tensors(weights.clone(), DType::F32, device);
        let network = Network::new(&config.network, config.frontend.dimension(), config.alphabet.len(), vb)?;
        Ok(Self { config, frontend, network, weights, monophones: None, device: device.clone() })
    }

    /// The same model, with what finds when phonemes are said.
    #[must_use]
    pub fn with_monophones(self, monophones: Option<Monophones>) -> Self {
        Self { monophones, ..self }
    }

    /// Reads a model folder, or the best model of a run folder.
    ///
    /// # Errors
    /// What is missing, damaged or of another application, by file.
    pub fn load(folder: &Path, device: &Device) -> Result<Self> {
        let folder = ModelFolder::open(folder, APPLICATION, &[])?;
        let config: SpeechConfig = folder.config()?;
        let monophones = match (config.alphabet.units(), config.alphabet.separator()) {
            (Units::Phoneme, Some(silence)) => {
                let file = ModelFolder::open(folder.path(), APPLICATION, &[ALIGNMENT])?.file(ALIGNMENT);
                let (symbols, rate) = (config.alphabet.len(), config.frontend.rate);
                let read = candle_core::safetensors::load(&file, &Device::Cpu).map_err(anyhow::Error::from);
                let monophones =
                    read.and_then(|tensors| Monophones::from_tensors(&tensors, symbols, silence, rate));
                Some(monophones.with_context(|| {
                    format!("{} is damaged: copy it again, or train the model again", file.display())
                })?)
            }
            _ => None,
        };
        let model = folder.model(device, |weights| Self::new(config, weights, device))?;
        Ok(model.with_monophones(monophones))
    }

    /// Writes a model folder; `folder` exists. Write into one that nobody sees yet.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn save(&self, folder: &Path) -> Result<()> {
        if let Some(monophones) = &self.monophones {
            let path = folder.join(ALIGNMENT);
            let written = candle_core::safetensors::save(&monophones.tensors()?, &path);
            written.with_context(|| format!("cannot write {}", path.display()))?;
        }
        ModelFolder::write(folder, APPLICATION, &self.config, &self.weights)
    }

    /// The settings it was made with.
    pub fn config(&self) -> &SpeechConfig {
        &self.config
    }

    /// What the network says.
    pub fn alphabet(&self) -> &Alphabet {
        &self.config.alphabet
    }

    /// What computes its features.
    pub fn frontend(&self) -> &Frontend {
        &self.frontend
    }

    /// The network.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Where it computes.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// All weights, by name.
    pub fn weights(&self) -> &HashMap<String, Tensor> {
        &self.weights
    }

    /// When the frames are that the network gives out.
    pub fn clock(&self) -> Clock {
        let SpeechConfig { frontend, network, .. } = &self.config;
        let hop = frontend.seconds_per_frame();
        Clock {
            first: frontend.frame_length / 2000.0 + hop * network.first_frame(),
            frame: hop * network.subsampling() as f64,
        }
    }

    /// The models that find when phonemes are said, of a model of phonemes.
    pub fn monophones(&self) -> Option<&Monophones> {
        self.monophones.as_ref()
    }

    /// What the network says of each recording. Recordings of like length are computed together.
    ///
    /// # Errors
    /// Samples that are not finite, a device that fails.
    pub fn emissions(&self, recordings: &[&Audio]) -> Result<Vec<Emissions>> {
        let features = recordings.par_iter().map(|audio| self.frontend.features(audio));
        let features = features.collect::<Result<Vec<Features>>>()?;
        let mut order: Vec<usize> = (0..features.len()).collect();
        order.sort_by_key(|&number| features[number].frames());
        let mut emissions = vec![None; features.len()];
        for numbers in order.chunks(ROWS) {
            let rows: Vec<&Features> = numbers.iter().map(|&number| &features[number]).collect();
            for (&number, of_row) in numbers.iter().zip(self.of_features(&rows)?) {
                emissions[number] = Some(of_row);
            }
        }
        Ok(emissions.into_iter().flatten().collect())
    }

    fn of_features(&self, rows: &[&Features]) -> Result<Vec<Emissions>> {
        let (xs, lengths) = padded(rows, &self.device)?;
        let (scores, lengths) = self.network.forward(&xs, &lengths, &mut Mode::Eval)?;
        let symbols = self.config.alphabet.len();
        let mut scores: Vec<f32> = scores.flatten_all()?.to_dtype(DType::F32)?.to_vec1()?;
        log_softmax_rows(&mut scores, symbols);
        let frames = scores.len() / symbols / rows.len();
        let of_row = |(row, &length): (&[f32], &usize)| Emissions {
            log_probs: row[..length.min(frames) * symbols].to_vec(),
            symbols,
            clock: self.clock(),
        };
        Ok(scores.chunks_exact(frames * symbols).zip(lengths.as_slice()).map(of_row).collect())
    }
}

/// Features of several recordings side by side, `[batch, time, features]`, zero on padding.
///
/// # Errors
/// No recording, or one without a frame.
pub fn padded(rows: &[&Features], device: &Device) -> Result<(Tensor, Lengths)> {
    let time = rows.iter().map(|row| row.frames()).max().unwrap_or(0);
    let lengths = Lengths::new(rows.iter().map(|row| row.frames()).collect(), time)?;
    let dimension = rows.first().map_or(0, |row| row.dimension());
    ensure!(rows.iter().all(|row| row.dimension() == dimension), "features of different dimensions");
    let mut values = vec![0.0; rows.len() * time * dimension];
    for (row, into) in rows.iter().zip(values.chunks_exact_mut(time * dimension)) {
        into[..row.values().len()].copy_from_slice(row.values());
    }
    Ok((Tensor::from_vec(values, (rows.len(), time, dimension), device)?, lengths))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_say_the_mean_of_their_probabilities() {
        let clock = Clock { first: 0.0, frame: 0.01 };
        let says = |probs: &[f32]| Emissions {
            log_probs: probs.iter().map(|p| p.ln()).collect(),
            symbols: 2,
            clock,
        };
        let mean =
            Emissions::mean(&[&says(&[0.25, 0.75, 0.0, 1.0]), &says(&[0.75, 0.25, 0.0, 1.0])]).unwrap();
        let probs: Vec<f32> = mean.log_probs.iter().map(|log_prob| log_prob.exp()).collect();
        for (found, expected) in probs.iter().zip([0.5, 0.5, 0.0, 1.0]) {
            assert!((found - expected).abs() < 1e-6, "{probs:?}");
        }
        assert_eq!(Emissions::mean(&[]), None);
        assert_eq!(Emissions::mean(&[&says(&[0.5, 0.5]), &says(&[0.5, 0.5, 0.5, 0.5])]), None);
    }
}
