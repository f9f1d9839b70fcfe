//! What is in a model folder.

use std::fmt;
use std::path::Path;

use anyhow::Result;
use app_kit::{Contents, ModelFolder};
use candle_core::Device;
use rnn_text::Units;
use serde::Serialize;

use crate::model::{APPLICATION, TranslationConfig, TranslationModel};

/// The contents of a model folder.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// The settings of the network.
    pub config: TranslationConfig,
    /// The units of source and target.
    pub units: (Units, Units),
    /// The weights, and how good they are.
    #[serde(flatten)]
    pub contents: Contents,
}

/// Reads a model folder, or the best model of a run folder, and checks that it can be used.
///
/// # Errors
/// Those of [`TranslationModel::load`]; a `metrics.json` that is damaged.
pub fn inspect(folder: &Path) -> Result<Inspection> {
    let model = TranslationModel::load(folder, &Device::Cpu)?;
    let folder = ModelFolder::open(folder, APPLICATION, &[])?;
    let vocabularies = model.vocabularies();
    Ok(Inspection {
        config: model.config().clone(),
        units: (vocabularies.source().units(), vocabularies.target().units()),
        contents: Contents::of(&folder, model.weights())?,
    })
}

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { config, units: (source, target), contents } = self;
        writeln!(f, "{}", toml::to_string_pretty(config).map_err(|_| fmt::Error)?)?;
        writeln!(f, "units: {source} to {target}; {} parameters", contents.parameters)?;
        write!(f, "{contents}")
    }
}
