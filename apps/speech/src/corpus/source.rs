//! Where recordings come from.

use std::fmt;
use std::path::{Path, PathBuf};

use app_kit::UsageError;
use app_kit::path::absolute;
use serde::{Deserialize, Serialize};

use super::manifest::{self, Columns};
use super::{NamePattern, Part};

/// Where recordings come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// A part of the built-in set of spoken digits.
    Embedded(Part),
    /// Single digits said by a hundred other voices of the same synthesiser; what is said is written as a numeral.
    EmbeddedDigits,
    /// A table with the path of a recording and its text in each row: tab-separated (`.tsv`),
    /// comma-separated (`.csv`), or one JSON object in each line (`.jsonl`, `.ndjson`). A path is
    /// relative to the folder of the table.
    Manifest(PathBuf),
    /// All `.wav` and `.flac` files below a folder, except hidden ones and those in folders whose
    /// name begins with `_`. What is said in them stands in files `*.trans.txt` (as in LibriSpeech)
    /// or in their names, or else is the name of the folder that each lies in.
    Folder(PathBuf),
}

/// The name of the built-in set on the command line.
pub const EMBEDDED: &str = "embedded";

/// The name of the built-in single digits.
const EMBEDDED_DIGITS: &str = "embedded-digits";

/// How a source is laid out, where it is not as one expects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Layout {
    /// What the names of the files in a folder say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub names: Option<NamePattern>,
    /// The columns of a manifest.
    pub columns: Columns,
}

impl Source {
    /// What `--data` and its kin name: a folder, a manifest, or `embedded`, which is the part `part`
    /// of the built-in set; `embedded-train`, `embedded-validation` and `embedded-test` say which.
    /// `embedded-digits` are its single digits.
    ///
    /// # Errors
    /// [`UsageError`] for what is neither a folder nor has the ending of a manifest.
    pub fn named(name: &str, part: Part) -> Result<Self, UsageError> {
        if name == EMBEDDED {
            return Ok(Self::Embedded(part));
        }
        if name == EMBEDDED_DIGITS {
            return Ok(Self::EmbeddedDigits);
        }
        let is_named = |part: &Part| name == format!("{EMBEDDED}-{}", part.name());
        if let Some(part) = Part::ALL.into_iter().find(is_named) {
            return Ok(Self::Embedded(part));
        }
        let path = absolute(name);
        if path.is_dir() {
            Ok(Self::Folder(path))
        } else if manifest::has_ending(&path) {
            Ok(Self::Manifest(path))
        } else {
            let wrong = if path.exists() { "is neither" } else { "does not exist, or is neither" };
            Err(UsageError::new(format!(
                "{name} {wrong} a folder of recordings nor a manifest ({}); `{EMBEDDED}` is the built-in set",
                manifest::ENDINGS.join(", ")
            )))
        }
    }

    /// The file or folder; none for the built-in set.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Embedded(_) | Self::EmbeddedDigits => None,
            Self::Manifest(path) | Self::Folder(path) => Some(path),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded(part) => write!(f, "the built-in set ({})", part.name()),
            Self::EmbeddedDigits => f.write_str("the built-in digits"),
            Self::Manifest(path) | Self::Folder(path) => path.display().fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_the_built_in_set_a_folder_or_a_manifest() {
        let named = |name: &str| Source::named(name, Part::Validation);
        assert_eq!(named("embedded").unwrap(), Source::Embedded(Part::Validation));
        assert_eq!(named("embedded-test").unwrap(), Source::Embedded(Part::Test));
        assert_eq!(named("embedded-digits").unwrap(), Source::EmbeddedDigits);
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(named(folder.path().to_str().unwrap()).unwrap(), Source::Folder(folder.path().into()));
        assert!(matches!(named("a.TSV").unwrap(), Source::Manifest(path) if path.is_absolute()));
        let message = named("embedded-all").unwrap_err().to_string();
        assert!(message.contains("does not exist") && message.contains(".jsonl"), "{message}");
    }

    #[test]
    fn a_source_and_its_layout_are_kept_in_a_file() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Config {
            source: Source,
            layout: Layout,
        }
        for source in
            [Source::Embedded(Part::Test), Source::EmbeddedDigits, Source::Manifest("/a/b.tsv".into())]
        {
            let columns = Columns { text: Some("sentence".into()), ..Columns::default() };
            let names = Some("{label}_{speaker}".parse().unwrap());
            let config = Config { source, layout: Layout { names, columns } };
            let file = toml::to_string(&config).unwrap();
            assert_eq!(toml::from_str::<Config>(&file).unwrap(), config, "{file}");
        }
        assert_eq!(Source::Embedded(Part::Test).to_string(), "the built-in set (test)");
    }
}
