//! Checkpoints: all that a training needs to go on as if it had never stopped.
//!
//! `checkpoints/step-000123/` holds `weights.safetensors`, `optimizer.safetensors`,
//! `position.safetensors` and `state.json`, and with a moving average `average.safetensors`. The folder
//! is written under a temporary name, synchronised to disk and renamed, so that one with its final name
//! is complete. `state.json` holds the size and the SHA-256 of the other files: damage is found before
//! anything is used.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use candle_core::{Device, Tensor};
use candle_rnn::Generator;
use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest, Sha256};

use crate::files;
use crate::measure::Measure;
use crate::schedule::ScheduleState;
use crate::task::{Evaluation, Position};

/// Version of the layout, written to `state.json`. Format 1, which is still read, knew no best
/// evaluation but that by the loss.
const FORMAT: u32 = 2;
const WEIGHTS: &str = "weights.safetensors";
const OPTIMIZER: &str = "optimizer.safetensors";
const AVERAGE: &str = "average.safetensors";
const POSITION: &str = "position.safetensors";
const STATE: &str = "state.json";

/// The best evaluation so far by one [`Measure`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// The step it was made after.
    pub step: usize,
    /// What was measured.
    pub value: f64,
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
    /// What the training goes by: [`TrainConfig::monitor`](crate::TrainConfig::monitor).
    #[serde(default = "loss")]
    pub monitor: String,
    /// The best evaluation so far by each measure.
    #[serde(alias = "best", deserialize_with = "bests_of_any_format")]
    pub bests: BTreeMap<String, Best>,
    /// Evaluations since the best one by `monitor`.
    pub evaluations_without_improvement: usize,
    /// The step of the latest evaluation.
    pub evaluated_at: Option<usize>,
    /// The latest evaluation.
    pub last: Option<Evaluation>,
    /// The training loss since the last line of the log.
    pub running: Running,
}

fn loss() -> String {
    Measure::Loss.name().to_owned()
}

fn bests_of_any_format<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, Best>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Bests {
        Format1(Option<Format1>),
        Format2(BTreeMap<String, Best>),
    }
    #[derive(Deserialize)]
    struct Format1 {
        step: usize,
        loss: f64,
    }
    Ok(match Bests::deserialize(deserializer)? {
        Bests::Format1(best) => {
            best.into_iter().map(|best| (loss(), Best { step: best.step, value: best.loss })).collect()
        }
        Bests::Format2(bests) => bests,
    })
}

/// The contents of a checkpoint.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// All trainable variables.
    pub weights: HashMap<String, Tensor>,
    /// The state of the optimiser.
    pub optimizer: HashMap<String, Tensor>,
    /// The [moving average](crate::MovingAverage) of the weights, if there is one.
    pub average: Option<HashMap<String, Tensor>>,
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
        let always = [
            (WEIGHTS, &checkpoint.weights),
            (OPTIMIZER, &checkpoint.optimizer),
            (POSITION, &checkpoint.position.tensors),
        ];
        for (name, tensors) in
            always.into_iter().chain(checkpoint.average.as_ref().map(|mean| (AVERAGE, mean)))
        {
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

/// Reads nothing but the weights of a checkpoint.
///
/// # Errors
/// As [`load`], without advice on how to resume.
pub fn load_weights(path: &Path, device: &Device) -> Result<HashMap<String, Tensor>> {
    StateFile::read(path)?.tensors(path, WEIGHTS, device)
}

/// Whether a folder is a checkpoint, perhaps a damaged one.
pub(crate) fn is_checkpoint(path: &Path) -> bool {
    [STATE, WEIGHTS].iter().any(|name| path.join(name).is_file())
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
    let state = StateFile::read(path)?;
    let damaged = |what: &str| anyhow!("{} is damaged: {what}", path.join(STATE).display());
    let seed = state.seed.parse().map_err(|_| damaged("the seed is not a number"))?;
    let position = state.generator_position.parse();
    let position = position.map_err(|_| damaged("the generator position is not a number"))?;
    Ok(Checkpoint {
        weights: state.tensors(path, WEIGHTS, device)?,
        optimizer: state.tensors(path, OPTIMIZER, device)?,
        average: match state.files.contains_key(AVERAGE) {
            true => Some(state.tensors(path, AVERAGE, device)?),
            false => None,
        },
        position: Position { tensors: state.tensors(path, POSITION, device)?, meta: state.position },
        generator: Generator::at(seed, position),
        state: state.trainer,
    })
}

impl StateFile {
    /// Reads that of the checkpoint `folder`.
    fn read(folder: &Path) -> Result<Self> {
        let file = folder.join(STATE);
        let shown = file.display();
        let bytes = fs::read(&file).with_context(|| format!("cannot read {shown}"))?;
        let state: Self =
            serde_json::from_slice(&bytes).map_err(|error| anyhow!("{shown} is damaged: {error}"))?;
        ensure!(
            (1..=FORMAT).contains(&state.format),
            "{shown} has format {}, this program reads formats 1 to {FORMAT}",
            state.format
        );
        Ok(state)
    }

    /// Reads one of the other files, if it is the one that was written.
    fn tensors(&self, folder: &Path, name: &str, device: &Device) -> Result<HashMap<String, Tensor>> {
        let state = || format!("{} is damaged: it does not mention {name}", folder.join(STATE).display());
        read_tensors(&folder.join(name), self.files.get(name).with_context(state)?, device)
    }
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
            monitor: "bleu".into(),
            bests: [("loss", 1.0 / 3.0), ("bleu", 100.0 / 7.0)]
                .map(|(name, value)| (name.to_owned(), Best { step: 3, value }))
                .into(),
            running: Running { sum: std::f64::consts::PI * 1e-7, count: 9 },
            ..TrainerState::default()
        };
        Ok(Checkpoint {
            weights: HashMap::from([("w".to_owned(), tensor)]),
            optimizer: HashMap::new(),
            average: None,
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
    fn a_checkpoint_of_format_1_is_read_with_its_best_loss_and_one_of_the_future_is_refused() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let path = save(folder.path(), &example(1)?)?;
        let file = path.join(STATE);
        let mut state: serde_json::Value = serde_json::from_slice(&fs::read(&file)?)?;
        state["format"] = 1.into();
        let trainer = state["trainer"].as_object_mut().context("no trainer")?;
        trainer.remove("monitor");
        trainer.remove("bests");
        for (best, expected) in [
            (serde_json::json!({ "step": 3, "loss": 1.0 / 3.0 }), Some(Best { step: 3, value: 1.0 / 3.0 })),
            (serde_json::Value::Null, None),
        ] {
            state["trainer"]["best"] = best;
            fs::write(&file, state.to_string())?;
            let loaded = load(&path, &Device::Cpu)?.state;
            assert_eq!(loaded.monitor, "loss");
            assert_eq!(loaded.bests, expected.map(|best| (loss(), best)).into_iter().collect());
        }
        state["format"] = 3.into();
        fs::write(&file, state.to_string())?;
        let message = format!("{:#}", load(&path, &Device::Cpu).unwrap_err());
        assert!(message.contains("has format 3, this program reads formats 1 to 2"), "{message}");
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
