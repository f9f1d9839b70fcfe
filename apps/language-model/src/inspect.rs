//! What is in a model folder.

use std::fmt;
use std::path::Path;

use anyhow::Result;
use app_kit::{Contents, ModelFolder};
use candle_core::Device;
use rnn_text::Units;
use serde::Serialize;

use crate::model::{APPLICATION, LanguageModel, LanguageModelConfig};

/// The contents of a model folder.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// The settings of the network.
    pub config: LanguageModelConfig,
    /// The units of the text.
    pub units: Units,
    /// The weights, and how good they are.
    #[serde(flatten)]
    pub contents: Contents,
}

/// Reads a model folder, or the best model of a run folder, and checks that it can be used.
///
/// # Errors
/// Those of [`LanguageModel::load`]; a `metrics.json` that is damaged.
pub fn inspect(folder: &Path) -> Result<Inspection> {
    let model = LanguageModel::load(folder, &Device::Cpu)?;
    let folder = ModelFolder::open(folder, APPLICATION, &[])?;
    Ok(Inspection {
        config: model.config().clone(),
        units: model.tokenizer().units(),
        contents: Contents::of(&folder, model.weights())?,
    })
}

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { config, units, contents } = self;
        writeln!(f, "{}", toml::to_string_pretty(&config.network).map_err(|_| fmt::Error)?)?;
        let (symbols, parameters) = (config.vocab_size, contents.parameters);
        writeln!(f, "{symbols} symbols (units: {units}), {parameters} parameters")?;
        write!(f, "{contents}")
    }
}
