//! Checkpoints: all that a training needs to go on as if it had never stopped.
//!
//! `checkpoints/step-000123/` holds `weights.safetensors`, `optimizer.safetensors`,
//! `position.safetensors` and `state.json`. The folder is written under a temporary name,
//! synchronised to disk and renamed, so that one with its final name is complete. `state.json` holds
//! the size and the SHA-256 of the other files: damage is found before anything is used.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use candle_core::{Device, Tensor};
use candle_rnn::Generator;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::files;
use crate::schedule::ScheduleState;
use crate::task::{Evaluation, Position};

/// Version of the layout, written to `state.json`.
const FORMAT: u32 = 1;
const WEIGHTS: &str = "weights.safetensors";
const OPTIMIZER: &str = "optimizer.safetensors";
const POSITION: &str = "position.safetensors";
const STATE: &str = "state.json";

/// The best evaluation so far.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// The step it was made after.
    pub step: usize,
    /// Its validation loss.
    pub loss: f64,
}

/// The training loss since the last line of the log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Running {
    /// Sum over the items.
    pub sum: f64,
    /// Number of items.
    pub count: usize,
}

/// What the trainer itself remembers from step to step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainerState {
    /// Updates done.
    pub step: usize,
    /// Seconds of training, over all processes.
    pub seconds: f64,
    /// Memory of the learning-rate schedule.
    pub schedule: ScheduleState,
    /// The best evaluation so far.
    pub best: Option<Best>,
    /// Evaluations since then.
    pub evaluations_without_improvement: usize,
    /// The step of the latest evaluation.
    pub evaluated_at: Option<usize>,
    /// The latest evaluation.
    pub last: Option<Evaluation>,
    /// The training loss since the last line of the log.
    pub running: Running,
}

/// The contents of a checkpoint.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// All trainable variables.
    pub weights: HashMap<String, Tensor>,
    /// The state of the optimiser.
    pub optimizer: HashMap<String, Tensor>,
    /// Where the task stands in its data.
    pub position: Position,
    /// The generator of the training, at its position.
    pub generator: Generator,
    /// Counters and memories of the trainer.
    pub state: TrainerState,
}

/// `state.json`
#[derive(Serialize, Deserialize)]
struct StateFile {
    format: u32,
    seed: String,
    /// A `u128`, which JSON has no number for.
    generator_position: String,
    trainer: TrainerState,
    position: serde_json::Value,
    files: BTreeMap<String, FileRecord>,
}

#[derive(Serialize, Deserialize)]
struct FileRecord {
    bytes: u64,
    sha256: String,
}

/// Writes `folder/step-000123`, replacing one of the same step, and returns its path.
///
/// # Errors
/// When a file cannot be written; there is then no new checkpoint.
pub fn save(folder: &Path, checkpoint: &Checkpoint) -> Result<PathBuf> {
    let path = folder.join(format!("step-{:06}", checkpoint.state.step));
    files::replace_folder(&path, |new| {
        let mut records = BTreeMap::new();
        for (name, tensors) in [
            (WEIGHTS, &checkpoint.weights),
            (OPTIMIZER, &checkpoint.optimizer),
            (POSITION, &checkpoint.position.tensors),
        ] {
            let bytes = safetensors::serialize(tensors, None)?;
            fs::write(new.join(name), &bytes)?;
            records.insert(name.to_owned(), FileRecord::of(&bytes));
        }
        let state = StateFile {
            format: FORMAT,
            seed: checkpoint.generator.seed().to_string(),
            generator_position: checkpoint.generator.position().to_string(),
            trainer: checkpoint.state.clone(),
            position: checkpoint.position.meta.clone(),
            files: records,
        };
        Ok(fs::write(new.join(STATE), serde_json::to_vec_pretty(&state)?)?)
    })?;
    Ok(path)
}

/// Reads a checkpoint; its tensors are placed on `device`.
///
/// # Errors
/// When a file is missing, cut short or altered: the message names it and says what to do.
pub fn load(path: &Path, device: &Device) -> Result<Checkpoint> {
    read(path, device).with_context(|| advice(path))
}

/// What to do about a checkpoint that cannot be used.
pub fn advice(path: &Path) -> String {
    format!(
        "cannot resume from {}; delete that folder to resume from the one before, \
         or from the start if there is none",
        path.display()
    )
}

fn read(path: &Path, device: &Device) -> Result<Checkpoint> {
    let file = path.join(STATE);
    let damaged = |what: String| anyhow!("{} is damaged: {what}", file.display());
    let bytes = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let state: StateFile = serde_json::from_slice(&bytes).map_err(|e| damaged(e.to_string()))?;
    ensure!(
        state.format == FORMAT,
        "{} has format {}, this program reads format {FORMAT}",
        file.display(),
        state.format
    );
    let seed = state.seed.parse().map_err(|_| damaged("the seed is not a number".into()))?;
    let position = state
        .generator_position
        .parse()
        .map_err(|_| damaged("the generator position is not a number".into()))?;
    let tensors = |name: &str| {
        let record = state.files.get(name);
        let record = record.ok_or_else(|| damaged(format!("it does not mention {name}")))?;
        read_tensors(&path.join(name), record, device)
    };
    Ok(Checkpoint {
        weights: tensors(WEIGHTS)?,
        optimizer: tensors(OPTIMIZER)?,
        position: Position { tensors: tensors(POSITION)?, meta: state.position },
        generator: Generator::at(seed, position),
        state: state.trainer,
    })
}

fn read_tensors(path: &Path, record: &FileRecord, device: &Device) -> Result<HashMap<String, Tensor>> {
    let shown = path.display();
    let bytes = fs::read(path).with_context(|| format!("cannot read {shown}"))?;
    let found = FileRecord::of(&bytes);
    if found.bytes != record.bytes {
        bail!("{shown} is damaged: it has {} bytes instead of {}", found.bytes, record.bytes);
    }
    if found.sha256 != record.sha256 {
        bail!("{shown} is damaged: its SHA-256 is not the one that {STATE} states");
    }
    candle_core::safetensors::load_buffer(&bytes, device)
        .with_context(|| format!("{shown} is not a safetensors file"))
}

impl FileRecord {
    fn of(bytes: &[u8]) -> Self {
        let digest = Sha256::digest(bytes);
        let sha256 = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Self { bytes: bytes.len() as u64, sha256 }
    }
}

/// The step of a checkpoint folder by its name; none for temporary and foreign ones.
pub fn step_of(path: &Path) -> Option<usize> {
    let digits = path.file_name()?.to_str()?.strip_prefix("step-")?;
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// The checkpoints in `folder`, oldest first.
///
/// # Errors
/// When the folder is there but cannot be read.
pub fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()));
    for entry in entries? {
        let path = entry?.path();
        if let Some(step) = step_of(&path).filter(|_| path.is_dir()) {
            found.push((step, path));
        }
    }
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// The newest complete checkpoint in `folder`.
///
/// # Errors
/// As [`list`].
pub fn newest(folder: &Path) -> Result<Option<PathBuf>> {
    Ok(list(folder)?.pop())
}

/// Removes all but the newest `keep` checkpoints, and what an interrupted write left behind.
///
/// # Errors
/// When a folder cannot be removed.
pub fn prune(folder: &Path, keep: usize) -> Result<()> {
    let all = list(folder)?;
    for path in &all[..all.len().saturating_sub(keep)] {
        files::remove_folder(path)?;
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with(".step-") && (name.ends_with(".new") || name.ends_with(".old")) {
            files::remove_folder(&path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::DType;

    fn example(step: usize) -> Result<Checkpoint> {
        let tensor = Tensor::new(&[1f32, -0.0, f32::MIN_POSITIVE / 2.0], &Device::Cpu)?;
        let mut generator = Generator::new(u64::MAX);
        generator.uniform();
        let state = TrainerState {
            step,
            seconds: 0.1 + 0.2,
            best: Some(Best { step: 3, loss: 1.0 / 3.0 }),
            running: Running { sum: std::f64::consts::PI * 1e-7, count: 9 },
            ..TrainerState::default()
        };
        Ok(Checkpoint {
            weights: HashMap::from([("w".to_owned(), tensor)]),
            optimizer: HashMap::new(),
            position: Position {
                tensors: HashMap::from([("ids".into(), Tensor::zeros(2, DType::U32, &Device::Cpu)?)]),
                meta: serde_json::json!({ "window": 7 }),
            },
            generator,
            state,
        })
    }

    #[test]
    fn a_checkpoint_comes_back_bit_by_bit() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let saved = example(123)?;
        let path = save(folder.path(), &saved)?;
        assert!(path.ends_with("step-000123"));
        let loaded = load(&path, &Device::Cpu)?;
        assert_eq!(loaded.state, saved.state);
        assert_eq!(loaded.generator, saved.generator);
        assert_eq!(loaded.position.meta, saved.position.meta);
        assert_eq!(loaded.position.tensors["ids"].dtype(), DType::U32);
        let bits = |c: &Checkpoint| -> Result<Vec<u32>> {
            Ok(c.weights["w"].to_vec1::<f32>()?.into_iter().map(f32::to_bits).collect())
        };
        assert_eq!(bits(&loaded)?, bits(&saved)?);
        Ok(())
    }

    #[test]
    fn damage_of_any_file_is_reported_with_its_name_and_advice() -> Result<()> {
        type Damage = fn(&Path) -> std::io::Result<()>;
        let cut: Damage = |file| fs::write(file, &fs::read(file)?[..10]);
        let flip: Damage = |file| {
            let mut bytes = fs::read(file)?;
            *bytes.last_mut().expect("the file is not empty") ^= 1;
            fs::write(file, bytes)
        };
        let remove: Damage = |file| fs::remove_file(file);
        for (name, damage, complaint) in [
            (WEIGHTS, cut, "has 10 bytes instead of"),
            (WEIGHTS, flip, "SHA-256"),
            (OPTIMIZER, remove, "cannot read"),
            (POSITION, flip, "SHA-256"),
            (STATE, cut, "is damaged"),
            (STATE, remove, "cannot read"),
        ] {
            let folder = tempfile::tempdir()?;
            let path = save(folder.path(), &example(1)?)?;
            damage(&path.join(name))?;
            let message = format!("{:#}", load(&path, &Device::Cpu).unwrap_err());
            for part in [name, complaint, "delete that folder", "step-000001"] {
                assert!(message.contains(part), "{message} does not say {part}");
            }
        }
        Ok(())
    }

    #[test]
    fn the_newest_is_found_by_number_and_pruning_keeps_the_last_and_sweeps_the_floor() -> Result<()> {
        let folder = tempfile::tempdir()?;
        assert_eq!(newest(&folder.path().join("none"))?, None);
        for step in [999_999, 5, 1_000_000] {
            save(folder.path(), &example(step)?)?;
        }
        fs::create_dir(folder.path().join(".step-1000001.new"))?;
        fs::write(folder.path().join("step-9999999"), "a file")?;
        assert_eq!(newest(folder.path())?.as_deref().and_then(step_of), Some(1_000_000));
        prune(folder.path(), 2)?;
        let steps: Vec<_> = list(folder.path())?.iter().filter_map(|p| step_of(p)).collect();
        assert_eq!(steps, [999_999, 1_000_000]);
        assert!(!folder.path().join(".step-1000001.new").exists());
        Ok(())
    }
}
