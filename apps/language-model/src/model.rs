//! [`LanguageModel`]: a trained network with its vocabulary, as it lies in a model folder.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Result, ensure};
use app_kit::ModelFolder;
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_rnn::{Mode, Parameters, Precision, State};
use rnn_text::Tokenizer;
use serde::{Deserialize, Serialize};

use crate::data::Held;
use crate::evaluate::{Score, evaluate, evaluate_step_by_step};
use crate::network::{Network, NetworkConfig};
use crate::reader::Reader;

/// The name of this application in `config.toml`.
pub const APPLICATION: &str = "language-model";
/// The vocabulary's file in a model folder.
pub const TOKENIZER: &str = "tokenizer.json";

/// `config.toml` of a model folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LanguageModelConfig {
    /// Number of symbols.
    pub vocab_size: usize,
    /// The shape of the network.
    pub network: NetworkConfig,
}

/// A trained model, ready to write, to score and to be evaluated.
///
/// ```no_run
/// use candle_rnn::Generator;
/// use language_model::{GenerateConfig, LanguageModel};
///
/// # fn main() -> anyhow::Result<()> {
/// let model = LanguageModel::load("run".as_ref(), &candle_core::Device::Cpu)?;
/// let config = GenerateConfig { length: 200, ..GenerateConfig::default() };
/// for piece in model.generate("ROMEO:", &config, Generator::new(42))? {
///     print!("{}", piece?);
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct LanguageModel {
    config: LanguageModelConfig,
    tokenizer: Tokenizer,
    network: Network,
    weights: HashMap<String, Tensor>,
    device: Device,
}

impl LanguageModel {
    /// Reads a model folder, or the best model of a run folder.
    ///
    /// # Errors
    /// What is missing, damaged or of another application, by file.
    pub fn load(folder: &Path, device: &Device) -> Result<Self> {
        let folder = ModelFolder::open(folder, APPLICATION, &[TOKENIZER])?;
        let config: LanguageModelConfig = folder.config()?;
        let tokenizer = Tokenizer::load(&folder.file(TOKENIZER))?;
        ensure!(
            tokenizer.vocab_size() == config.vocab_size,
            "{} has {} symbols but config.toml says {}: the files are of different models",
            folder.file(TOKENIZER).display(),
            tokenizer.vocab_size(),
            config.vocab_size
        );
        folder.model(device, |weights| {
            let vb = VarBuilder::from_tensors(weights.clone(), DType::F32, device);
            let network = Network::new(&config.network, config.vocab_size, vb)?;
            Ok(Self { config, tokenizer, network, weights, device: device.clone() })
        })
    }

    /// The settings it was made with.
    pub fn config(&self) -> &LanguageModelConfig {
        &self.config
    }

    /// Its vocabulary.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// All weights, by name.
    pub fn weights(&self) -> &HashMap<String, Tensor> {
        &self.weights
    }

    /// The network.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Where it computes.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// How well it predicts a text.
    ///
    /// # Errors
    /// Those of [`evaluate`].
    pub fn evaluate(&self, held: &Held) -> Result<Score> {
        evaluate(&self.network, held, &self.device)
    }

    /// How well it predicts a text when it reads symbol by symbol, with weights of this precision.
    ///
    /// # Errors
    /// Those of [`evaluate_step_by_step`].
    pub fn evaluate_step_by_step(&self, held: &Held, precision: Precision) -> Result<Score> {
        evaluate_step_by_step(&self.network, held, precision, &self.device)
    }

    /// What a text without beginning is taken to follow: a line break, if the model knows it.
    pub(crate) fn beginning(&self) -> Vec<u32> {
        self.tokenizer.encode("\n").unwrap_or_default()
    }

    /// Scores of the symbol after each of `symbols`, `[time, vocab_size]`, and the state after them.
    pub(crate) fn read(&self, symbols: &[u32]) -> Result<(Tensor, State)> {
        let symbols = Tensor::new(symbols, &self.device)?.unsqueeze(0)?;
        let (scores, state) = self.network.forward(&symbols, None, &mut Mode::Eval)?;
        Ok((scores.squeeze(0)?, state))
    }

    /// Goes on from a state, one symbol after another.
    ///
    /// # Errors
    /// Those of [`Reader::new`].
    pub fn reader(&self, state: &State, precision: Precision) -> Result<Reader<'_>> {
        Reader::new(&self.network, state, precision, &self.device)
    }
}

/// Writes a model folder; `folder` exists.
pub(crate) fn save(
    folder: &Path,
    network: &NetworkConfig,
    tokenizer: &Tokenizer,
    parameters: &Parameters,
) -> Result<()> {
    let config = LanguageModelConfig { vocab_size: tokenizer.vocab_size(), network: network.clone() };
    ModelFolder::write(folder, APPLICATION, &config, &parameters.tensors())?;
    Ok(tokenizer.save(&folder.join(TOKENIZER))?)
}
