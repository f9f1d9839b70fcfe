//! The folder below which every data set has its own.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::card::{Card, Source};
use crate::unpack;

/// The environment variable that names the data root.
pub const VARIABLE: &str = "CANDLE_RNN_DATA";

/// Where the data sets are: `ROOT/NAME/FILE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataRoot(PathBuf);

/// Neither a flag nor the environment names a data root, and there is no home
/// folder to put one into.
#[derive(Debug, thiserror::Error)]
#[error("found no folder for data; name one with --data-root or {VARIABLE}")]
pub struct NoDataRoot;

impl DataRoot {
    /// `flag` (the value of `--data-root`) if given, else the environment
    /// variable `CANDLE_RNN_DATA`, else `candle-rnn` in the user's cache folder.
    ///
    /// # Errors
    /// [`NoDataRoot`] if none of them is there.
    pub fn resolve(flag: Option<&Path>) -> Result<Self, NoDataRoot> {
        Self::choose(flag, env::var_os(VARIABLE), || {
            let folders = directories::ProjectDirs::from("", "", "candle-rnn")?;
            Some(folders.cache_dir().to_owned())
        })
    }

    fn choose(
        flag: Option<&Path>,
        variable: Option<OsString>,
        cache: impl FnOnce() -> Option<PathBuf>,
    ) -> Result<Self, NoDataRoot> {
        let variable = variable.filter(|value| !value.is_empty());
        flag.map(Path::to_owned)
            .or_else(|| variable.map(PathBuf::from))
            .or_else(cache)
            .map(Self)
            .ok_or(NoDataRoot)
    }

    /// The root itself. It need not exist.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The folder of a data set. It need not exist.
    pub fn folder(&self, card: &Card) -> PathBuf {
        self.0.join(card.name)
    }

    /// Whether every file of the set is there with the right size, or its
    /// archive was unpacked. The content is not looked at.
    pub fn has(&self, card: &Card) -> bool {
        let folder = self.folder(card);
        if let Source::Archive(archive) = card.source {
            return unpack::is_unpacked(archive, &folder);
        }
        card.files().iter().all(|(file, bytes)| {
            let found = folder.join(file).metadata();
            found.is_ok_and(|found| found.is_file() && bytes.is_none_or(|bytes| found.len() == bytes))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_wins_over_the_variable_and_the_variable_over_the_cache() {
        let cache = || Some(PathBuf::from("cache"));
        let choose = |flag: Option<&str>, variable: Option<&str>| {
            let root = DataRoot::choose(flag.map(Path::new), variable.map(OsString::from), cache);
            root.unwrap().0
        };
        assert_eq!(choose(Some("flag"), Some("variable")), Path::new("flag"));
        assert_eq!(choose(None, Some("variable")), Path::new("variable"));
        assert_eq!(choose(None, Some("")), Path::new("cache"));
        assert_eq!(choose(None, None), Path::new("cache"));
        assert!(DataRoot::choose(None, None, || None).is_err());
    }
}
