//! [`CaptionModel`]: a trained encoder and decoder with their vocabulary, as they lie in a model folder.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Result, ensure};
use app_kit::ModelFolder;
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_rnn::MatmulPrecision;
use serde::{Deserialize, Serialize};

use crate::encoder::{Encoder, EncoderConfig};
use crate::network::{Network, NetworkConfig};
use crate::vocabulary::{self, Vocabulary};

/// The name of this application in `config.toml`.
pub const APPLICATION: &str = "captioning";

/// Before the names of the encoder's weights.
pub const ENCODER: &str = "encoder";

/// `config.toml` of a model folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CaptionConfig {
    /// Symbols of the vocabulary.
    pub vocab: usize,
    /// Whether captions were put into lower case.
    pub lowercase: bool,
    /// The network that looks.
    pub encoder: EncoderConfig,
    /// The network that tells.
    pub network: NetworkConfig,
}

/// A trained model.
#[derive(Clone, Debug)]
pub struct CaptionModel {
    config: CaptionConfig,
    vocabulary: Vocabulary,
    encoder: Encoder,
    network: Network,
    weights: HashMap<String, Tensor>,
    device: Device,
}

impl CaptionModel {
    /// A model of these weights, by name; those of the encoder begin with `encoder.`.
    ///
    /// # Errors
    /// Settings that do not fit each other; a weight that is missing or has another shape.
    pub fn new(
        config: CaptionConfig,
        vocabulary: Vocabulary,
        weights: HashMap<String, Tensor>,
        device: &Device,
    ) -> Result<Self> {
        let vb = VarBuilder::from_tensors(weights.clone(), DType::F32, device);
        let encoder = Encoder::new(&config.encoder, MatmulPrecision::Full, vb.pp(ENCODER))?;
        let network = Network::new(&config.network, config.encoder.sizes(), config.vocab, vb)?;
        Ok(Self { config, vocabulary, encoder, network, weights, device: device.clone() })
    }

    /// Reads a model folder, or the best model of a run folder.
    ///
    /// # Errors
    /// What is missing, damaged or of another application, by file.
    pub fn load(folder: &Path, device: &Device) -> Result<Self> {
        let folder = ModelFolder::open(folder, APPLICATION, &[vocabulary::FILE])?;
        let config: CaptionConfig = folder.config()?;
        config.encoder.validate()?;
        let vocabulary = Vocabulary::load(folder.path())?;
        ensure!(
            vocabulary.size() == config.vocab,
            "the vocabulary in {} has {} symbols but config.toml says {}: the files are of different models",
            folder.path().display(),
            vocabulary.size(),
            config.vocab
        );
        folder.model(device, |weights| Self::new(config, vocabulary, weights, device))
    }

    /// Writes a model folder; `folder` exists. Write into one that nobody sees yet.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn save(&self, folder: &Path) -> Result<()> {
        ModelFolder::write(folder, APPLICATION, &self.config, &self.weights)?;
        self.vocabulary.save(folder)
    }

    /// The settings it was made with.
    pub fn config(&self) -> &CaptionConfig {
        &self.config
    }

    /// The symbols of its captions.
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// The network that looks.
    pub fn encoder(&self) -> &Encoder {
        &self.encoder
    }

    /// The network that tells.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// All weights, by name.
    pub fn weights(&self) -> &HashMap<String, Tensor> {
        &self.weights
    }

    /// Those of the encoder, by the names of its network.
    pub fn encoder_weights(&self) -> HashMap<String, Tensor> {
        let own = |(name, tensor): (&String, &Tensor)| {
            Some((name.strip_prefix(ENCODER)?.strip_prefix('.')?.to_owned(), tensor.clone()))
        };
        self.weights.iter().filter_map(own).collect()
    }

    /// Where it computes.
    pub fn device(&self) -> &Device {
        &self.device
    }
}
