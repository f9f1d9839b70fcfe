//! The mean of the weights of several checkpoints, which often does better than the last of them
//! ([Vaswani et al. 2017](https://arxiv.org/abs/1706.03762), §6.1).

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use candle_core::{DType, Device, Tensor};

use crate::checkpoint;

/// The weights of a model folder.
const MODEL: &str = "model.safetensors";

/// The mean of the weights in `folders`, by name, on `device`. A folder is a checkpoint
/// (`checkpoints/step-000123`) or a model folder with a `model.safetensors` (`best`). The sums are
/// kept in f64, and each mean has the type of the weights.
///
/// # Errors
/// - when there is no folder, or one cannot be read or is damaged;
/// - when two folders differ in the names, shapes or types of their weights, as those of two networks
///   do: the message names both.
pub fn average(folders: &[PathBuf], device: &Device) -> Result<HashMap<String, Tensor>> {
    let (first, rest) = folders.split_first().context("there are no checkpoints to average")?;
    let weights = read(first)?;
    let mut sums = HashMap::new();
    for (name, tensor) in &weights {
        ensure!(
            tensor.dtype().is_float(),
            "{name} in {} has the type {}, which has no mean",
            first.display(),
            tensor.dtype().as_str()
        );
        sums.insert(name.as_str(), tensor.to_dtype(DType::F64)?);
    }
    for folder in rest {
        let others = read(folder)?;
        ensure_same(&weights, first, &others, folder)?;
        for (name, sum) in &mut sums {
            *sum = (&*sum + others[*name].to_dtype(DType::F64)?)?;
        }
    }
    let count = Tensor::new(folders.len() as f64, &Device::Cpu)?;
    let mean = |name: &str, sum: Tensor| -> Result<Tensor> {
        let mean = sum.broadcast_div(&count)?.to_dtype(weights[name].dtype())?;
        Ok(mean.to_device(device)?)
    };
    sums.into_iter().map(|(name, sum)| Ok((name.to_owned(), mean(name, sum)?))).collect()
}

/// On the CPU, where every number can be f64.
fn read(folder: &Path) -> Result<HashMap<String, Tensor>> {
    if checkpoint::is_checkpoint(folder) {
        return checkpoint::load_weights(folder, &Device::Cpu);
    }
    let file = folder.join(MODEL);
    if !file.is_file() {
        bail!("{} is neither a checkpoint nor a model folder: it has no {MODEL}", folder.display());
    }
    candle_core::safetensors::load(&file, &Device::Cpu)
        .with_context(|| format!("{} is damaged or not a safetensors file", file.display()))
}

type Weights = HashMap<String, Tensor>;

fn ensure_same(left: &Weights, left_folder: &Path, right: &Weights, right_folder: &Path) -> Result<()> {
    let (left_shown, right_shown) = (left_folder.display(), right_folder.display());
    let refuse = |why: String| bail!("{left_shown} and {right_shown} hold different networks: {why}");
    for (weights, other, shown) in [(left, right, &right_shown), (right, left, &left_shown)] {
        if let Some(name) = weights.keys().filter(|name| !other.contains_key(*name)).min() {
            return refuse(format!("{shown} has no {name}"));
        }
    }
    for (name, l) in left {
        let r = &right[name];
        if l.shape() != r.shape() {
            return refuse(format!("{name} has the shapes {:?} and {:?}", l.dims(), r.dims()));
        }
        if l.dtype() != r.dtype() {
            let (l, r) = (l.dtype().as_str(), r.dtype().as_str());
            return refuse(format!("{name} has the types {l} and {r}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use candle_core::safetensors::save;
    use candle_rnn::Generator;

    use super::*;
    use crate::checkpoint::{Checkpoint, TrainerState};
    use crate::task::Position;

    fn weights<const N: usize>(tensors: [(&str, Tensor); N]) -> Weights {
        tensors.map(|(name, tensor)| (name.to_owned(), tensor)).into()
    }

    fn model(path: PathBuf, weights: &Weights) -> Result<PathBuf> {
        fs::create_dir(&path)?;
        save(weights, path.join(MODEL))?;
        Ok(path)
    }

    fn checkpoint(folder: &Path, step: usize, weights: Weights) -> Result<PathBuf> {
        let saved = Checkpoint {
            weights,
            optimizer: HashMap::new(),
            average: None,
            position: Position::default(),
            generator: Generator::new(1),
            state: TrainerState { step, ..TrainerState::default() },
        };
        checkpoint::save(folder, &saved)
    }

    #[test]
    fn the_mean_of_checkpoints_and_model_folders_is_summed_in_f64_and_keeps_its_type() -> Result<()> {
        let folder = tempfile::tempdir()?;
        // In f32, the two ones would be lost beside 2²⁵.
        let of = |w: f32, half: f32| -> Result<Weights> {
            let half = Tensor::new(&[half], &Device::Cpu)?.to_dtype(DType::BF16)?;
            Ok(weights([("w", Tensor::new(&[[w, -0.5]], &Device::Cpu)?), ("half", half)]))
        };
        let folders = [
            checkpoint(folder.path(), 1, of(33_554_432.0, 1.0)?)?,
            checkpoint(folder.path(), 2, of(1.0, 2.0)?)?,
            model(folder.path().join("best"), &of(1.0, 4.5)?)?,
            model(folder.path().join("last"), &of(-33_554_432.0, 2.5)?)?,
        ];
        let mean = average(&folders, &Device::Cpu)?;
        assert_eq!(mean.len(), 2);
        assert_eq!(mean["w"].to_vec2::<f32>()?, [[0.5, -0.5]]);
        assert_eq!(mean["half"].dtype(), DType::BF16);
        assert_eq!(mean["half"].to_dtype(DType::F32)?.to_vec1::<f32>()?, [2.5]);
        Ok(())
    }

    #[test]
    fn the_mean_of_one_checkpoint_is_that_checkpoint_bit_by_bit() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let values = [0.1f32, f32::MIN_POSITIVE / 2.0, -0.0, f32::MAX];
        let saved = checkpoint(folder.path(), 1, weights([("w", Tensor::new(&values, &Device::Cpu)?)]))?;
        for count in [1, 3] {
            let mean = average(&vec![saved.clone(); count], &Device::Cpu)?;
            let bits = mean["w"].to_vec1::<f32>()?.into_iter().map(f32::to_bits);
            assert!(bits.eq(values.map(f32::to_bits)), "of {count}");
        }
        Ok(())
    }

    #[test]
    fn different_networks_are_refused_with_both_folders_and_what_differs() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let zeros = |size: usize, dtype| Tensor::zeros(size, dtype, &Device::Cpu);
        let first = model(folder.path().join("first"), &weights([("w", zeros(2, DType::F32)?)]))?;
        for (name, other, why) in [
            ("more", weights([("w", zeros(2, DType::F32)?), ("b", zeros(1, DType::F32)?)]), "has no b"),
            ("less", weights([("v", zeros(2, DType::F32)?)]), "has no w"),
            ("long", weights([("w", zeros(3, DType::F32)?)]), "w has the shapes [2] and [3]"),
            ("wide", weights([("w", zeros(2, DType::F64)?)]), "w has the types f32 and f64"),
        ] {
            let second = model(folder.path().join(name), &other)?;
            let message = average(&[first.clone(), second], &Device::Cpu).unwrap_err().to_string();
            for part in ["first", name, why] {
                assert!(message.contains(part), "{message} does not say {part}");
            }
        }
        Ok(())
    }

    #[test]
    fn nothing_to_average_and_folders_without_weights_are_errors_that_say_so() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let message = |folders: &[PathBuf]| format!("{:#}", average(folders, &Device::Cpu).unwrap_err());
        assert!(message(&[]).contains("no checkpoints"));
        let empty = message(&[folder.path().to_owned()]);
        assert!(empty.contains("neither a checkpoint nor a model folder"), "{empty}");
        let ids = weights([("ids", Tensor::new(&[1u32], &Device::Cpu)?)]);
        let ids = message(&[model(folder.path().join("ids"), &ids)?]);
        assert!(ids.contains("ids in ") && ids.contains("u32"), "{ids}");
        let damaged = checkpoint(folder.path(), 1, HashMap::new())?;
        fs::write(damaged.join("weights.safetensors"), "nothing of use")?;
        let damaged = message(&[damaged]);
        assert!(damaged.contains("weights.safetensors is damaged"), "{damaged}");
        Ok(())
    }
}
