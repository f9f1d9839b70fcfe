//! What is in a model folder.

use std::fmt;
use std::path::Path;

use anyhow::Result;
use app_kit::ModelFolder;
use app_kit::inspect::Contents;
use candle_core::Device;
use serde::Serialize;

use crate::model::{APPLICATION, SpeechConfig, SpeechModel};

/// The contents of a model folder.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// The settings of the model.
    pub config: SpeechConfig,
    /// Its weights, and how good it was when it was saved.
    #[serde(flatten)]
    pub contents: Contents,
}

/// Reads a model folder, or the best model of a run folder, and checks that it can be used.
///
/// # Errors
/// Those of [`SpeechModel::load`]; a `metrics.json` that is damaged.
pub fn inspect(folder: &Path) -> Result<Inspection> {
    let model = SpeechModel::load(folder, &Device::Cpu)?;
    let folder = ModelFolder::open(folder, APPLICATION, &[])?;
    Ok(Inspection { config: model.config().clone(), contents: Contents::of(&folder, model.weights())? })
}

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SpeechConfig { frontend, network, alphabet, .. } = &self.config;
        for settings in [toml::to_string_pretty(frontend), toml::to_string_pretty(network)] {
            writeln!(f, "{}", settings.map_err(|_| fmt::Error)?)?;
        }
        let symbols: Vec<&str> = alphabet.symbols().iter().map(String::as_str).collect();
        writeln!(f, "{} symbols (units: {}): {:?}", alphabet.len(), alphabet.units(), symbols)?;
        self.contents.fmt(f)
    }
}
