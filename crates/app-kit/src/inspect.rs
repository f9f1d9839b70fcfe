//! `inspect`: what is in a model folder, of whatever application.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;

use anyhow::{Context, Result};
use candle_core::Tensor;
use clap::Args;
use serde::Serialize;

use crate::model_folder::{METRICS, ModelFolder};

/// The flags of `inspect`.
#[derive(Args, Clone, Debug)]
pub struct InspectArgs {
    /// Run folder (its best model) or model folder
    pub run: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

impl InspectArgs {
    /// Prints what an application has found in its model folder.
    ///
    /// # Errors
    /// A value that JSON cannot hold.
    pub fn print(&self, found: &(impl Serialize + fmt::Display)) -> Result<()> {
        if self.json {
            println!("{}", serde_json::to_string(found)?);
        } else {
            print!("{found}");
        }
        Ok(())
    }
}

/// What is in every model folder beside its settings; an application puts it, `#[serde(flatten)]`,
/// beside its own.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Contents {
    /// Number of trainable scalars.
    pub parameters: usize,
    /// Name and shape of every weight, sorted by name.
    pub weights: Vec<(String, Vec<usize>)>,
    /// The instructions that the model computes with on a CPU of this machine.
    pub instruction_set: &'static str,
    /// `metrics.json`: how good the model was when it was saved; none if the file is not there.
    pub metrics: Option<serde_json::Value>,
}

impl Contents {
    /// Describes the weights of the model in `folder`, by name, and reads its `metrics.json`.
    ///
    /// # Errors
    /// A `metrics.json` that is damaged.
    pub fn of(folder: &ModelFolder, weights: &HashMap<String, Tensor>) -> Result<Self> {
        let mut shapes: Vec<_> =
            weights.iter().map(|(name, tensor)| (name.clone(), tensor.dims().to_vec())).collect();
        shapes.sort();
        let path = folder.file(METRICS);
        let metrics = match std::fs::read_to_string(&path) {
            Ok(text) => {
                Some(serde_json::from_str(&text).with_context(|| format!("{} is damaged", path.display()))?)
            }
            Err(_) => None,
        };
        Ok(Self {
            parameters: weights.values().map(|tensor| tensor.elem_count()).sum(),
            weights: shapes,
            instruction_set: candle_rnn::instruction_set(),
            metrics,
        })
    }
}

impl fmt::Display for Contents {
    /// A line for each weight, for the instructions and for the metrics.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, shape) in &self.weights {
            writeln!(f, "  {name} {shape:?}")?;
        }
        writeln!(f, "on this CPU: {}", self.instruction_set)?;
        match &self.metrics {
            Some(metrics) => writeln!(f, "{metrics}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};

    #[test]
    fn weights_are_counted_and_sorted_and_the_metrics_may_be_missing_but_not_damaged() -> Result<()> {
        let temporary = tempfile::tempdir()?;
        let zeros = |shape: (usize, usize)| Tensor::zeros(shape, DType::F32, &Device::Cpu);
        let weights = HashMap::from([("b".to_owned(), zeros((2, 3))?), ("a".to_owned(), zeros((1, 4))?)]);
        ModelFolder::write(temporary.path(), "speech", &toml::Table::new(), &weights)?;
        let folder = ModelFolder::open(temporary.path(), "speech", &[])?;

        let found = Contents::of(&folder, &weights)?;
        assert_eq!(found.parameters, 10);
        assert!(found.to_string().starts_with("  a [1, 4]\n  b [2, 3]\non this CPU: "), "{found}");
        assert_eq!(found.metrics, None);

        std::fs::write(folder.file(METRICS), r#"{ "loss": 0.5 }"#)?;
        assert!(Contents::of(&folder, &weights)?.to_string().ends_with("\n{\"loss\":0.5}\n"));
        std::fs::write(folder.file(METRICS), "{ \"loss\": ")?;
        let error = Contents::of(&folder, &weights).unwrap_err().to_string();
        assert!(error.contains("metrics.json is damaged"), "{error}");
        Ok(())
    }
}
