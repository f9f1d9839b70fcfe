//! [`TranslationModel`]: a trained network with its vocabularies, as it lies in a model folder.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Result, ensure};
use app_kit::ModelFolder;
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use serde::{Deserialize, Serialize};

use crate::corpus::Languages;
use crate::network::{Network, NetworkConfig};
use crate::vocabulary::Vocabularies;

/// The name of this application in `config.toml`.
pub const APPLICATION: &str = "translation";

/// `config.toml` of a model folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TranslationConfig {
    /// Symbols of the source.
    pub source_vocab: usize,
    /// Symbols of the target.
    pub target_vocab: usize,
    /// Whether both languages have one vocabulary.
    pub joint: bool,
    /// Whether sentences are put into lower case before they are read.
    pub lowercase: bool,
    /// What the languages were called in the training data.
    #[serde(default)]
    pub languages: Languages,
    /// The shape of the network.
    pub network: NetworkConfig,
}

/// A trained model.
#[derive(Clone, Debug)]
pub struct TranslationModel {
    config: TranslationConfig,
    vocabularies: Vocabularies,
    network: Network,
    weights: HashMap<String, Tensor>,
    device: Device,
}

impl TranslationModel {
    /// A model of these weights, by name.
    ///
    /// # Errors
    /// Settings that do not fit each other; a weight that is missing or has another shape.
    pub fn new(
        config: TranslationConfig,
        vocabularies: Vocabularies,
        weights: HashMap<String, Tensor>,
        device: &Device,
    ) -> Result<Self> {
        let vb = VarBuilder::from_tensors(weights.clone(), DType::F32, device);
        let network = Network::new(&config.network, config.source_vocab, config.target_vocab, vb)?;
        Ok(Self { config, vocabularies, network, weights, device: device.clone() })
    }

    /// Reads a model folder, or the best model of a run folder.
    ///
    /// # Errors
    /// What is missing, damaged or of another application, by file.
    pub fn load(folder: &Path, device: &Device) -> Result<Self> {
        let folder = ModelFolder::open(folder, APPLICATION, &[])?;
        let config: TranslationConfig = folder.config()?;
        let folder = ModelFolder::open(folder.path(), APPLICATION, Vocabularies::files(config.joint))?;
        let vocabularies = Vocabularies::load(folder.path(), config.joint)?;
        let found = (vocabularies.source().vocab_size(), vocabularies.target().vocab_size());
        ensure!(
            found == (config.source_vocab, config.target_vocab),
            "the vocabularies in {} have {} and {} symbols but config.toml says {} and {}: the files are of \
             different models",
            folder.path().display(),
            found.0,
            found.1,
            config.source_vocab,
            config.target_vocab
        );
        folder.model(device, |weights| Self::new(config, vocabularies, weights, device))
    }

    /// Writes a model folder; `folder` exists. Write into one that nobody sees yet.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn save(&self, folder: &Path) -> Result<()> {
        save(folder, &self.config, &self.vocabularies, &self.weights)
    }

    /// The settings it was made with.
    pub fn config(&self) -> &TranslationConfig {
        &self.config
    }

    /// The vocabularies of both languages.
    pub fn vocabularies(&self) -> &Vocabularies {
        &self.vocabularies
    }

    /// The network.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// All weights, by name.
    pub fn weights(&self) -> &HashMap<String, Tensor> {
        &self.weights
    }

    /// Where it computes.
    pub fn device(&self) -> &Device {
        &self.device
    }
}

/// Writes a model folder; `folder` exists.
///
/// # Errors
/// A file that cannot be written.
pub(crate) fn save(
    folder: &Path,
    config: &TranslationConfig,
    vocabularies: &Vocabularies,
    weights: &HashMap<String, Tensor>,
) -> Result<()> {
    ModelFolder::write(folder, APPLICATION, config, weights)?;
    vocabularies.save(folder)
}
