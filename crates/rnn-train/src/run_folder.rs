//! What a run leaves on disk.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::files;

/// The folder of one training run.
///
/// | path | what it is |
/// |---|---|
/// | `config.toml` | all settings of the run; written by the application |
/// | `checkpoints/step-000123/` | [checkpoints](crate::checkpoint) to resume from |
/// | `best/` | the model folder with the lowest validation loss so far, and its `metrics.json` |
/// | `last/` | the model folder at the moment the training ended |
/// | `metrics.jsonl` | one JSON object per line: [`Entry`](crate::metrics_log::Entry) |
/// | `events.out.tfevents.*` | the same for TensorBoard |
/// | `curves.svg` | training and validation loss over the steps |
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

    /// The model folder with the lowest validation loss.
    pub fn best(&self) -> PathBuf {
        self.path.join("best")
    }

    /// The model folder at the end of the training.
    pub fn last(&self) -> PathBuf {
        self.path.join("last")
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
        for folder in [self.best(), self.last(), self.checkpoints()] {
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
        let message = RunFolder::create(&path, false).unwrap_err().to_string();
        assert!(message.contains("--resume") && message.contains("--out"), "{message}");
        RunFolder::create(&path, true)?;
        assert!(!run.metrics().exists() && path.join("notes.txt").exists());
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
