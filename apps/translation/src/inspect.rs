//! What is in a model folder.

use std::path::Path;

use anyhow::{Context, Result};
use app_kit::ModelFolder;
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
    /// Number of trainable scalars.
    pub parameters: usize,
    /// Name and shape of every weight, sorted by name.
    pub weights: Vec<(String, Vec<usize>)>,
    /// The instructions that it computes with on a CPU of this machine.
    pub instruction_set: &'static str,
    /// `metrics.json`: how good the model was when it was saved; none if the file is not there.
    pub metrics: Option<serde_json::Value>,
}

/// Reads a model folder, or the best model of a run folder, and checks that it can be used.
///
/// # Errors
/// Those of [`TranslationModel::load`]; a `metrics.json` that is damaged.
pub fn inspect(folder: &Path) -> Result<Inspection> {
    let model = TranslationModel::load(folder, &Device::Cpu)?;
    let folder = ModelFolder::open(folder, APPLICATION, &[])?;
    let tensors = model.weights();
    let mut weights: Vec<_> =
        tensors.iter().map(|(name, tensor)| (name.clone(), tensor.dims().to_vec())).collect();
    weights.sort();
    let path = folder.file("metrics.json");
    let metrics = match std::fs::read_to_string(&path) {
        Ok(text) => {
            Some(serde_json::from_str(&text).with_context(|| format!("{} is damaged", path.display()))?)
        }
        Err(_) => None,
    };
    let vocabularies = model.vocabularies();
    Ok(Inspection {
        config: model.config().clone(),
        units: (vocabularies.source().units(), vocabularies.target().units()),
        parameters: tensors.values().map(|tensor| tensor.elem_count()).sum(),
        weights,
        instruction_set: candle_rnn::instruction_set(),
        metrics,
    })
}
