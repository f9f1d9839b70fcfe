//! The settings of a run: `config.toml` of its folder, and the file that `--config` names.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use app_kit::UsageError;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::files::write_atomically;

/// Reads settings. What the file leaves out has its default if `C` says `#[serde(default)]`.
///
/// # Errors
/// A file that cannot be read; [`UsageError`] naming the file and the line that makes no sense.
pub fn read<C: DeserializeOwned>(path: &Path) -> Result<C> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the settings in {}", path.display()))?;
    toml::from_str(&text).map_err(|error| {
        UsageError::new(format!("in the settings {}: {}", path.display(), error.to_string().trim_end()))
            .into()
    })
}

/// Writes settings, which must serialise to a table.
///
/// # Errors
/// They do not, or the file cannot be written.
pub fn write<C: Serialize>(path: &Path, settings: &C) -> Result<()> {
    let text = toml::to_string_pretty(settings)?;
    write_atomically(path, |file| Ok(file.write_all(text.as_bytes())?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TrainConfig;

    #[test]
    fn settings_come_back_and_wrong_ones_name_file_and_line() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("config.toml");
        let settings = TrainConfig { epochs: 2.5, patience: Some(3), ..TrainConfig::default() };
        write(&path, &settings)?;
        assert_eq!(read::<TrainConfig>(&path)?, settings);

        std::fs::write(&path, "epochs = 2\nlayers = 3\n")?;
        let error = read::<TrainConfig>(&path).unwrap_err();
        let message = error.to_string();
        assert!(error.is::<UsageError>(), "{message}");
        assert!(message.contains("config.toml") && message.contains("line 2"), "{message}");
        let missing = read::<TrainConfig>(&folder.path().join("none.toml")).unwrap_err();
        assert!(missing.to_string().contains("cannot read the settings in"), "{missing}");
        Ok(())
    }
}
