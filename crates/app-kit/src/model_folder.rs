//! The folder a trained model lives in: `config.toml`, `model.safetensors` and
//! whatever else its application needs, with nothing outside it.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;
use candle_core::{Device, Tensor};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The file that names the application and holds its settings.
pub const CONFIG: &str = "config.toml";
/// The file that holds the weights.
pub const WEIGHTS: &str = "model.safetensors";
/// The file that says how good the model was when it was saved; it may be missing.
pub const METRICS: &str = "metrics.json";

/// A folder known to hold a model of the application that asked for it.
#[derive(Debug, Clone)]
pub struct ModelFolder {
    path: PathBuf,
    config: toml::Table,
}

/// Why a folder is not a model folder, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum ModelFolderError {
    /// Nothing is at the path.
    #[error("there is no model folder {}; give the folder that `train` wrote", .0.display())]
    Missing(PathBuf),
    /// Something other than a folder is at the path.
    #[error("{} is a file; give the folder that holds the model", .0.display())]
    NotAFolder(PathBuf),
    /// A file of the model is not in the folder.
    #[error("{} is not a complete model folder: {file} is missing", .folder.display())]
    MissingFile {
        /// The folder that was looked into.
        folder: PathBuf,
        /// The name of the missing file.
        file: String,
    },
    /// The model belongs to another application.
    #[error("{} holds a model of `{found}`, not of `{wanted}`; open it with `{found}`", .folder.display())]
    WrongApplication {
        /// The folder that was looked into.
        folder: PathBuf,
        /// The application that asked.
        wanted: String,
        /// The application whose model it is.
        found: String,
    },
    /// `config.toml` is not what its application writes.
    #[error("{} is damaged: {reason}", .file.display())]
    Damaged {
        /// The configuration file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file could not be read or written.
    #[error("cannot access {}: {source}", .file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl ModelFolder {
    /// Opens `path` for `application` (such as `"language-model"`) and checks
    /// that `config.toml`, `model.safetensors` and every one of `files` is
    /// there. A run folder is opened at its `best/`.
    ///
    /// # Errors
    /// Every [`ModelFolderError`] says what is wrong with which file.
    pub fn open(path: impl AsRef<Path>, application: &str, files: &[&str]) -> Result<Self, ModelFolderError> {
        let given = path.as_ref();
        if !given.exists() {
            return Err(ModelFolderError::Missing(given.to_owned()));
        }
        if !given.is_dir() {
            return Err(ModelFolderError::NotAFolder(given.to_owned()));
        }
        let best = given.join("best");
        let is_run = !given.join(WEIGHTS).exists() && best.join(CONFIG).exists();
        let path = if is_run { best } else { given.to_owned() };

        let check = |file: &str| match path.join(file).is_file() {
            true => Ok(()),
            false => Err(ModelFolderError::MissingFile { folder: path.clone(), file: file.to_owned() }),
        };
        check(CONFIG)?;
        let config = read_config(&path)?;
        match config.get("application").and_then(toml::Value::as_str) {
            Some(found) if found == application => {}
            Some(found) => {
                return Err(ModelFolderError::WrongApplication {
                    wanted: application.to_owned(),
                    found: found.to_owned(),
                    folder: path,
                });
            }
            None => {
                return Err(ModelFolderError::Damaged {
                    file: path.join(CONFIG),
                    reason: "it does not name its `application`".to_owned(),
                });
            }
        }
        // Which files there must be is known once it is the right application.
        [WEIGHTS].iter().chain(files).try_for_each(|file| check(file))?;
        Ok(Self { path, config })
    }

    /// The folder itself: the one given to [`ModelFolder::open`] or its `best/`.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a file in the folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The path of `model.safetensors`.
    pub fn weights(&self) -> PathBuf {
        self.file(WEIGHTS)
    }

    /// The settings in `config.toml`, the key `application` among them.
    ///
    /// # Errors
    /// [`ModelFolderError::Damaged`] if a setting is missing or of another type.
    pub fn config<T: DeserializeOwned>(&self) -> Result<T, ModelFolderError> {
        let config = self.config.clone().try_into();
        config.map_err(|error: toml::de::Error| ModelFolderError::Damaged {
            file: self.file(CONFIG),
            reason: error.to_string().trim_end().to_owned(),
        })
    }

    /// Reads `model.safetensors` and makes a model of the weights, by name.
    ///
    /// # Errors
    /// The file is damaged, or `build` does not find in it what it needs.
    pub fn model<T>(
        &self,
        device: &Device,
        build: impl FnOnce(HashMap<String, Tensor>) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let read = candle_core::safetensors::load(self.weights(), device);
        read.map_err(anyhow::Error::from).and_then(build).with_context(|| {
            format!("{} is damaged: copy it again, or train the model again", self.weights().display())
        })
    }

    /// Writes `folder/config.toml`, the settings of `config`, which must serialise to a table, with
    /// the key `application` set, and `folder/model.safetensors`.
    ///
    /// It writes in place: give it a folder that is not yet visible.
    ///
    /// # Errors
    /// `config` is not a table, or a file cannot be written.
    pub fn write<T: Serialize>(
        folder: &Path,
        application: &str,
        config: &T,
        weights: &HashMap<String, Tensor>,
    ) -> anyhow::Result<()> {
        write_config(folder, application, config)?;
        let path = folder.join(WEIGHTS);
        candle_core::safetensors::save(weights, &path)
            .with_context(|| format!("cannot write {}", path.display()))
    }
}

fn write_config<T: Serialize>(folder: &Path, application: &str, config: &T) -> Result<(), ModelFolderError> {
    let file = folder.join(CONFIG);
    let damaged =
        |error: toml::ser::Error| ModelFolderError::Damaged { file: file.clone(), reason: error.to_string() };
    let mut table = toml::Table::try_from(config).map_err(damaged)?;
    table.insert("application".to_owned(), application.into());
    let text = toml::to_string_pretty(&table).map_err(damaged)?;
    std::fs::write(&file, text).map_err(|source| ModelFolderError::Io { file, source })
}

fn read_config(folder: &Path) -> Result<toml::Table, ModelFolderError> {
    let file = folder.join(CONFIG);
    let text = std::fs::read_to_string(&file)
        .map_err(|source| ModelFolderError::Io { file: file.clone(), source })?;
    text.parse().map_err(|error: toml::de::Error| ModelFolderError::Damaged {
        file,
        reason: error.to_string().trim_end().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Settings {
        rnn: Inner,
        tied: bool,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Inner {
        hidden_size: usize,
    }

    const SETTINGS: Settings = Settings { rnn: Inner { hidden_size: 512 }, tied: true };

    fn model(folder: &Path) {
        std::fs::create_dir_all(folder).unwrap();
        let weights = HashMap::from([("w".to_owned(), Tensor::new(&[1f32, 2.0], &Device::Cpu).unwrap())]);
        ModelFolder::write(folder, "language-model", &SETTINGS, &weights).unwrap();
    }

    fn refusal(folder: &Path, application: &str, files: &[&str]) -> String {
        ModelFolder::open(folder, application, files).unwrap_err().to_string()
    }

    #[test]
    fn settings_read_back_as_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        model(folder.path());
        let opened = ModelFolder::open(folder.path(), "language-model", &[]).unwrap();
        assert_eq!(opened.config::<Settings>().unwrap(), SETTINGS);
    }

    #[test]
    fn weights_that_are_cut_short_or_do_not_fit_the_model_are_damaged() {
        let folder = tempfile::tempdir().unwrap();
        model(folder.path());
        let opened = ModelFolder::open(folder.path(), "language-model", &[]).unwrap();
        let read = || {
            opened.model(&Device::Cpu, |mut weights| {
                Ok(weights.remove("w").context("there is no w")?.to_vec1::<f32>()?)
            })
        };
        assert_eq!(read().unwrap(), [1.0, 2.0]);
        let unfit =
            opened.model(&Device::Cpu, |weights| weights.get("v").map(|_| ()).context("there is no v"));
        let message = format!("{:#}", unfit.unwrap_err());
        assert!(message.contains("model.safetensors is damaged") && message.contains("no v"), "{message}");
        let bytes = std::fs::read(opened.weights()).unwrap();
        std::fs::write(opened.weights(), &bytes[..bytes.len() - 1]).unwrap();
        let message = read().unwrap_err().to_string();
        assert!(message.contains("model.safetensors is damaged"), "{message}");
    }

    #[test]
    fn a_run_folder_opens_at_its_best_model() {
        let folder = tempfile::tempdir().unwrap();
        model(&folder.path().join("best"));
        let opened = ModelFolder::open(folder.path(), "language-model", &[]).unwrap();
        assert_eq!(opened.path(), folder.path().join("best"));
    }

    #[test]
    fn a_missing_folder_a_file_and_a_missing_file_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        model(folder.path());
        let missing = refusal(&folder.path().join("none"), "language-model", &[]);
        assert!(missing.contains("no model folder"), "{missing}");
        let file = refusal(&folder.path().join(CONFIG), "language-model", &[]);
        assert!(file.contains("is a file"), "{file}");
        let incomplete = refusal(folder.path(), "language-model", &["tokenizer.json"]);
        assert!(incomplete.contains("tokenizer.json is missing"), "{incomplete}");
    }

    #[test]
    fn a_model_of_another_application_names_both() {
        let folder = tempfile::tempdir().unwrap();
        model(folder.path());
        let error = refusal(folder.path(), "speech", &[]);
        assert!(error.contains("`language-model`") && error.contains("`speech`"), "{error}");
    }

    #[test]
    fn a_damaged_configuration_names_its_file() {
        let folder = tempfile::tempdir().unwrap();
        model(folder.path());
        for text in ["application = ", "hidden_size = 1"] {
            std::fs::write(folder.path().join(CONFIG), text).unwrap();
            let error = refusal(folder.path(), "language-model", &[]);
            assert!(error.contains("config.toml is damaged"), "{error}");
        }
        std::fs::write(folder.path().join(CONFIG), "application = \"language-model\"").unwrap();
        let opened = ModelFolder::open(folder.path(), "language-model", &[]).unwrap();
        let error = opened.config::<Settings>().unwrap_err().to_string();
        assert!(error.contains("rnn"), "{error}");
    }
}
