//! `metrics.jsonl`: one JSON object per line, readable by any script while the training runs.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::files::write_atomically;

/// One line of the log; `kind` tells the two apart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Entry {
    /// Training since the last such line.
    Train {
        /// Updates done.
        step: usize,
        /// Mean loss per item.
        loss: f64,
        /// Learning rate of the last step.
        learning_rate: f64,
        /// Norm of the last step's gradient, before clipping.
        gradient_norm: f64,
        /// Items the mean is over.
        items: usize,
        /// Seconds of training so far.
        seconds: f64,
    },
    /// An evaluation.
    Validation {
        /// Updates done.
        step: usize,
        /// Mean loss per item.
        loss: f64,
        /// Whatever else the task measured; what is not finite, as text.
        #[serde(with = "crate::any_number")]
        metrics: BTreeMap<String, f64>,
        /// Seconds of training so far.
        seconds: f64,
    },
}

impl Entry {
    /// Updates done when the line was written.
    pub fn step(&self) -> usize {
        match self {
            Self::Train { step, .. } | Self::Validation { step, .. } => *step,
        }
    }
}

/// The log file, and what is in it.
#[derive(Debug)]
pub struct MetricsLog {
    path: PathBuf,
    file: File,
    entries: Vec<Entry>,
}

impl MetricsLog {
    /// Opens the log of a training that stands at `step`: lines of later steps, which will be done
    /// again, and lines cut short by a crash are removed.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn open(path: &Path, step: usize) -> Result<Self> {
        let text = match fs::read(path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", path.display()));
            }
        };
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Entry>(line).ok());
        let entries: Vec<_> = lines.filter(|entry| entry.step() <= step).collect();
        write_atomically(path, |file| {
            for entry in &entries {
                writeln!(file, "{}", serde_json::to_string(entry)?)?;
            }
            Ok(())
        })?;
        let file = File::options().append(true).open(path);
        let file = file.with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { path: path.to_owned(), file, entries })
    }

    /// Adds a line.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn append(&mut self, entry: Entry) -> Result<()> {
        let line = serde_json::to_string(&entry)? + "\n";
        let written = self.file.write_all(line.as_bytes());
        written.with_context(|| format!("cannot write {}", self.path.display()))?;
        self.entries.push(entry);
        Ok(())
    }

    /// All lines, in order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(step: usize) -> Entry {
        Entry::Validation { step, loss: 0.1 * step as f64, metrics: BTreeMap::new(), seconds: 1.5 }
    }

    #[test]
    fn reopening_drops_later_steps_and_a_line_cut_short() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("metrics.jsonl");
        let mut log = MetricsLog::open(&path, 0)?;
        for step in 1..=3 {
            log.append(entry(step))?;
        }
        log.file.write_all(br#"{"kind":"validation","st"#)?;
        let mut log = MetricsLog::open(&path, 2)?;
        log.append(entry(7))?;
        assert_eq!(log.entries(), [entry(1), entry(2), entry(7)]);
        assert_eq!(MetricsLog::open(&path, 9)?.entries(), log.entries());
        assert_eq!(fs::read_to_string(&path)?.lines().count(), 3);
        Ok(())
    }
}
