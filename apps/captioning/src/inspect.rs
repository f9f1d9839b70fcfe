//! What is in a model folder.

use std::fmt;
use std::path::Path;

use anyhow::Result;
use app_kit::ModelFolder;
use app_kit::inspect::Contents;
use candle_core::Device;
use serde::Serialize;

use crate::model::{APPLICATION, CaptionConfig, CaptionModel};

/// The contents of a model folder.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// The settings of the model.
    pub config: CaptionConfig,
    /// The unit of its captions.
    pub units: String,
    /// Its weights, and how good it was when it was saved.
    #[serde(flatten)]
    pub contents: Contents,
}

/// Reads a model folder, or the best model of a run folder, and checks that it can be used.
///
/// # Errors
/// Those of [`CaptionModel::load`]; a `metrics.json` that is damaged.
pub fn inspect(folder: &Path) -> Result<Inspection> {
    let model = CaptionModel::load(folder, &Device::Cpu)?;
    let folder = ModelFolder::open(folder, APPLICATION, &[])?;
    Ok(Inspection {
        config: model.config().clone(),
        units: model.vocabulary().tokenizer().units().to_string(),
        contents: Contents::of(&folder, model.weights())?,
    })
}

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", toml::to_string_pretty(&self.config).map_err(|_| fmt::Error)?)?;
        writeln!(f, "{} symbols (units: {})", self.config.vocab, self.units)?;
        self.contents.fmt(f)
    }
}
