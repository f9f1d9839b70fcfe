//! What a run leaves on disk.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use app_kit::model_folder::METRICS;

use crate::files;
use crate::measure::Measure;
use crate::task::Evaluation;
use crate::trainer::Report;

/// The folder of one training run.
///
/// | path | what it is |
/// |---|---|
/// | `config.toml` | all settings of the run; written by the application |
/// | `checkpoints/step-000123/` | [checkpoints](crate::checkpoint) to resume from |
/// | `best/` | the best model folder so far by what [`TrainConfig::monitor`](crate::TrainConfig::monitor) names, and its `metrics.json` |
/// | `best-loss/`, `best-bleu/` | if the task has [quality metrics](crate::Task::quality_metrics), the same by each other measure |
/// | `last/` | the model folder at the moment the training ended |
/// | `metrics.jsonl` | one JSON object per line: [`Entry`](crate::metrics_log::Entry) |
/// | `events.out.tfevents.*` | the same for TensorBoard |
/// | `curves.svg` | training and validation loss and the quality metrics over the steps |
#[derive(Debug, Clone)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// Makes a folder for a new run, with its parents. With `overwrite`, what an earlier run wrote
    /// there is removed; other files are never touched.
    ///
    /// # Errors
    /// When `path` is a file, when it is a folder that is not empty and `overwrite` is not given,
    /// or when it cannot be created.
    pub fn create(path: impl Into<PathBuf>, overwrite: bool) -> Result<Self> {
        let run = Self { path: path.into() };
        let shown = run.path.display();
        if run.path.exists() {
            if !run.path.is_dir() {
                bail!("{shown} is a file; choose another folder with --out");
            }
            let mut entries = fs::read_dir(&run.path).with_context(|| format!("cannot read {shown}"))?;
            if entries.next().is_some() {
                if !overwrite {
                    bail!("{shown} exists; resume it with --resume or choose another --out");
                }
                let _lock = run.lock()?;
                run.clear()?;
            }
        }
        fs::create_dir_all(&run.path).with_context(|| format!("cannot create {shown}"))?;
        Ok(run)
    }

    /// Opens the folder of an earlier run, to resume it.
    ///
    /// # Errors
    /// When there is no such folder.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let run = Self { path: path.into() };
        if !run.path.is_dir() {
            bail!("there is no run folder {}; start a new run by leaving out --resume", run.path.display());
        }
        Ok(run)
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `config.toml`, which the application writes.
    pub fn config(&self) -> PathBuf {
        self.path.join("config.toml")
    }

    /// The best model folder by what the training goes by
    /// ([`TrainConfig::monitor`](crate::TrainConfig::monitor)).
    pub fn best(&self) -> PathBuf {
        self.path.join("best")
    }

    /// The best model folder by another measure, `"loss"` or the name of a quality metric.
    pub fn best_by(&self, name: &str) -> PathBuf {
        self.path.join(format!("best-{name}"))
    }

    /// The model folder at the end of the training.
    pub fn last(&self) -> PathBuf {
        self.path.join("last")
    }

    /// The model folder that a training was for: [`best`](Self::best), or, if there was no evaluation
    /// yet, [`last`](Self::last).
    pub fn model(&self, report: &Report) -> PathBuf {
        if report.best.is_some() { self.best() } else { self.last() }
    }

    /// The folder of the checkpoints.
    pub fn checkpoints(&self) -> PathBuf {
        self.path.join("checkpoints")
    }

    /// `metrics.jsonl`
    pub fn metrics(&self) -> PathBuf {
        self.path.join("metrics.jsonl")
    }

    /// `curves.svg`
    pub fn curves(&self) -> PathBuf {
        self.path.join("curves.svg")
    }

    /// Keeps a second training out of this folder for as long as the returned file is open.
    pub(crate) fn lock(&self) -> Result<File> {
        let path = self.path.join(".lock");
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .with_context(|| format!("cannot write {}", path.display()))?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => bail!(
                "another training is running in {}; wait for it or choose another --out",
                self.path.display()
            ),
            // A file system without locks does not keep anyone from training.
            Ok(()) | Err(TryLockError::Error(_)) => Ok(file),
        }
    }

    fn clear(&self) -> Result<()> {
        let whole = [self.best(), self.last(), self.checkpoints()];
        for folder in whole.into_iter().chain(self.bests_by_other_measures()?) {
            files::recover_folder(&folder)?;
            files::remove_folder(&folder)?;
        }
        for entry in fs::read_dir(&self.path)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if ["config.toml", "metrics.jsonl", "curves.svg"].contains(&&*name)
                || name.starts_with("events.out.tfevents.")
            {
                fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
            }
        }
        Ok(())
    }

    /// The folders [`best_by`](Self::best_by) of an earlier run, whatever its measures were, also
    /// those that a crash left half replaced. A copy that someone made of `best/` is not among them.
    fn bests_by_other_measures(&self) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let replaced = name
                .strip_prefix(".best-")
                .and_then(|name| name.strip_suffix(".new").or_else(|| name.strip_suffix(".old")));
            if let Some(measure) = replaced {
                found.push(self.best_by(measure));
            } else if name.strip_prefix("best-").is_some_and(|measure| was_measured(&path, measure)) {
                found.push(path);
            }
        }
        Ok(found)
    }
}

/// Whether the evaluation of a model folder has `measure`.
fn was_measured(model: &Path, measure: &str) -> bool {
    let text = fs::read(model.join(METRICS)).unwrap_or_default();
    serde_json::from_slice::<Evaluation>(&text)
        .is_ok_and(|evaluation| measure == Measure::Loss.name() || evaluation.metrics.contains_key(measure))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_in_use_is_refused_with_advice_and_overwriting_spares_foreign_files() -> Result<()> {
        let temporary = tempfile::tempdir()?;
        let path = temporary.path().join("a/run");
        let run = RunFolder::create(&path, false)?;
        RunFolder::create(&path, false)?; // still empty
        fs::write(run.metrics(), "{}")?;
        fs::write(path.join("notes.txt"), "mine")?;
        for folder in ["best", ".best-loss.old", ".best-chrf.new", "best-photographs"] {
            fs::create_dir(path.join(folder))?;
        }
        for model in ["best-loss", "best-bleu", "best-to-keep"] {
            fs::create_dir(path.join(model))?;
            let metrics = r#"{ "step": 7, "loss": 2.5, "metrics": { "bleu": 30.5 } }"#;
            fs::write(path.join(model).join("metrics.json"), metrics)?;
        }
        let message = RunFolder::create(&path, false).unwrap_err().to_string();
        assert!(message.contains("--resume") && message.contains("--out"), "{message}");
        RunFolder::create(&path, true)?;
        let names = fs::read_dir(&path)?.map(|entry| Ok(entry?.file_name()));
        let mut names = names.collect::<Result<Vec<_>>>()?;
        names.sort();
        assert_eq!(names, [".lock", "best-photographs", "best-to-keep", "notes.txt"]);
        assert!(RunFolder::create(path.join("notes.txt"), true).is_err());
        assert!(RunFolder::open(path.join("missing")).is_err());
        Ok(())
    }

    #[test]
    fn two_trainings_cannot_share_a_folder() -> Result<()> {
        let temporary = tempfile::tempdir()?;
        let run = RunFolder::create(temporary.path(), false)?;
        let lock = run.lock()?;
        assert!(run.lock().unwrap_err().to_string().contains("another training"));
        drop(lock);
        run.lock()?;
        Ok(())
    }
}
