//! One model from several: the mean of the weights of a run's last checkpoints.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use app_kit::{ModelFolder, UsageError};
use candle_core::Device;
use rnn_train::checkpoint;
use rnn_train::files::replace_folder;

use crate::model::{APPLICATION, TranslationConfig, TranslationModel};
use crate::vocabulary::Vocabularies;

/// The newest `count` checkpoints of a run.
///
/// # Errors
/// [`UsageError`] when there are not as many.
pub fn last_checkpoints(run: &Path, count: usize) -> Result<Vec<PathBuf>> {
    let all = checkpoint::list(&run.join("checkpoints"))?;
    if count == 0 || all.len() < count {
        return Err(UsageError::new(format!(
            "{} has {} checkpoints, and {count} were asked for: train with --keep-last {}",
            run.display(),
            all.len(),
            count.max(2)
        ))
        .into());
    }
    Ok(all[all.len() - count..].to_vec())
}

/// Writes the mean of `folders`, checkpoints or model folders, as a model folder `out`. Settings and
/// vocabularies are those of `model`, a model folder of the same network.
///
/// # Errors
/// Weights that do not belong together, by folder; `out` that exists or cannot be written.
pub fn average(model: &Path, folders: &[PathBuf], out: &Path) -> Result<()> {
    ensure!(!out.exists(), "{} exists: choose another --out", out.display());
    let folder = ModelFolder::open(model, APPLICATION, &[])?;
    let config: TranslationConfig = folder.config()?;
    let vocabularies = Vocabularies::load(folder.path(), config.joint)?;
    let weights = rnn_train::average(folders, &Device::Cpu)?;
    let model = TranslationModel::new(config, vocabularies, weights, &Device::Cpu)?;
    replace_folder(out, |new| model.save(new)).with_context(|| format!("cannot write {}", out.display()))
}
