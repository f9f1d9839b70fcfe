//! What an encoder has seen of many pictures, kept in a file.
//!
//! A frozen encoder says the same of a picture in every epoch, so it is asked once. The file is one of
//! safetensors, mapped into memory: `regions [pictures, places, region]` and `global [pictures, global]` in
//! half precision, and in its metadata which pictures could not be used. Its name follows from the encoder,
//! its weights and the pictures; what has changed has another name.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result, ensure};
use candle_core::safetensors::MmapedSafetensors;
use candle_core::{DType, Device, Tensor};
use candle_rnn::Mode;
use half::f16;
use rayon::prelude::*;
use rnn_train::files::write_atomically;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::corpus::Image;
use crate::encoder::{Encoder, EncoderConfig, Seen, Sizes};

/// Pictures that an encoder looks at at once.
pub const BATCH: usize = 16;

/// The pictures of a data set as an encoder has seen them.
#[derive(Clone)]
pub struct Features {
    path: PathBuf,
    file: Arc<MmapedSafetensors>,
    sizes: Sizes,
    /// The row of each picture; none if it could not be used.
    rows: Vec<Option<usize>>,
}

impl Features {
    /// Reads the features of these pictures from `folder`, or has the encoder look at them and writes them.
    /// `progress` is told how many pictures have been seen.
    ///
    /// A picture that cannot be used has no features; `report` is told why.
    ///
    /// # Errors
    /// A file that cannot be written; not one picture that can be used.
    pub fn of(
        images: &[&Image],
        (encoder, weights): (&Encoder, &HashMap<String, Tensor>),
        folder: &Path,
        device: &Device,
        progress: &dyn Fn(usize),
        report: &dyn Fn(&anyhow::Error),
    ) -> Result<Self> {
        let config = encoder.config();
        let path = folder.join(format!("{}.safetensors", key(images, config, weights)?));
        if let Ok(features) = Self::open(&path, images.len(), config.sizes()) {
            return Ok(features);
        }
        fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
        write(&path, images, encoder, device, progress, report)?;
        Self::open(&path, images.len(), config.sizes())
    }

    fn open(path: &Path, pictures: usize, sizes: Sizes) -> Result<Self> {
        let damaged = || format!("{} is damaged: remove it, and it is made again", path.display());
        let metadata = safetensors_metadata(path).with_context(damaged)?;
        // Safety: the file is written whole under another name and never changed.
        let file = unsafe { MmapedSafetensors::new(path) }.with_context(damaged)?;
        let left_out: BTreeSet<usize> =
            serde_json::from_str(metadata.get("left_out").map_or("[]", String::as_str))
                .with_context(damaged)?;
        let mut next = 0..;
        let rows = (0..pictures).map(|number| if left_out.contains(&number) { None } else { next.next() });
        let rows: Vec<Option<usize>> = rows.collect();
        let count = pictures - left_out.len();
        let expected = [&[count, sizes.places(), sizes.region][..], &[count, sizes.global][..]];
        for (name, shape) in ["regions", "global"].iter().zip(expected) {
            ensure!(file.get(name).with_context(damaged)?.shape() == shape, damaged());
        }
        Ok(Self { path: path.to_owned(), file: Arc::new(file), sizes, rows })
    }

    /// The file that they are kept in.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether there are features of a picture.
    pub fn has(&self, picture: usize) -> bool {
        self.rows[picture].is_some()
    }

    /// The features of these pictures, of which all have some.
    ///
    /// # Errors
    /// A picture without features; a device that fails.
    pub fn rows(&self, pictures: &[usize], device: &Device) -> Result<Seen> {
        let rows: Option<Vec<usize>> = pictures.iter().map(|&picture| self.rows[picture]).collect();
        let rows = rows.context("a picture that cannot be used was asked for")?;
        let read = |name: &str, width: usize| -> Result<Vec<f32>> {
            let view = self.file.get(name)?;
            let bytes = view.data();
            let row = |row: usize| bytes[row * width * 2..(row + 1) * width * 2].chunks_exact(2);
            Ok(rows
                .iter()
                .flat_map(|&number| row(number))
                .map(|pair| f16::from_le_bytes([pair[0], pair[1]]).to_f32())
                .collect())
        };
        let Sizes { region, global, .. } = self.sizes;
        let places = self.sizes.places();
        let regions = read("regions", places * region)?;
        Ok(Seen {
            regions: Tensor::from_vec(regions, (rows.len(), places, region), device)?,
            global: Tensor::from_vec(read("global", global)?, (rows.len(), global), device)?,
        })
    }
}

/// The metadata of a safetensors file.
fn safetensors_metadata(path: &Path) -> Result<HashMap<String, String>> {
    use std::io::Read;
    let mut file = fs::File::open(path)?;
    let mut size = [0; 8];
    file.read_exact(&mut size)?;
    let size = u64::from_le_bytes(size);
    ensure!(size < 100_000_000, "the header is too long");
    let mut header = vec![0; size as usize];
    file.read_exact(&mut header)?;
    let header: serde_json::Value = serde_json::from_slice(&header)?;
    let metadata = header.get("__metadata__").cloned().unwrap_or_else(|| json!({}));
    Ok(serde_json::from_value(metadata)?)
}

/// A name for the features of these pictures by this encoder. A file is known by its size and the time of its
/// last change.
fn key(images: &[&Image], config: &EncoderConfig, weights: &HashMap<String, Tensor>) -> Result<String> {
    let mut hash = Sha256::new();
    hash.update(toml::to_string(config)?);
    let mut names: Vec<&String> = weights.keys().collect();
    names.sort();
    for name in names {
        hash.update(name);
        for number in weights[name].flatten_all()?.to_dtype(DType::F32)?.to_vec1::<f32>()? {
            hash.update(number.to_le_bytes());
        }
    }
    for image in images {
        match image {
            Image::File(path) => {
                let metadata =
                    fs::metadata(path).with_context(|| format!("cannot use {}", path.display()))?;
                let changed = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
                hash.update(path.as_os_str().as_encoded_bytes());
                hash.update(metadata.len().to_le_bytes());
                hash.update(changed.unwrap_or_default().as_nanos().to_le_bytes());
            }
            Image::Scene(scene) => hash.update(scene.picture()),
        }
    }
    Ok(hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect())
}

fn write(
    path: &Path,
    images: &[&Image],
    encoder: &Encoder,
    device: &Device,
    progress: &dyn Fn(usize),
    report: &dyn Fn(&anyhow::Error),
) -> Result<()> {
    // The regions go to a file without a header, for how many there will be is not known yet.
    let raw = path.with_extension("regions");
    let (mut global, mut left_out) = (Vec::new(), Vec::new());
    write_atomically(&raw, |out| {
        for (number, images) in images.chunks(BATCH).enumerate() {
            progress(number * BATCH);
            let (seen, bad) = see(images, encoder, device)?;
            for (at, error) in bad {
                report(&error);
                left_out.push(number * BATCH + at);
            }
            let Some(seen) = seen else { continue };
            out.write_all(&halves(&seen.regions)?)?;
            global.extend(halves(&seen.global)?);
        }
        Ok(())
    })?;
    let written = (|| {
        let count = images.len() - left_out.len();
        ensure!(count > 0, "not one picture can be used");
        let sizes = encoder.config().sizes();
        let (Sizes { region, global: width, .. }, places) = (sizes, sizes.places());
        let end = count * places * region * 2;
        let header = json!({
            "__metadata__": { "left_out": serde_json::to_string(&left_out)? },
            "regions": { "dtype": "F16", "shape": [count, places, region], "data_offsets": [0, end] },
            "global": { "dtype": "F16", "shape": [count, width], "data_offsets": [end, end + global.len()] },
        });
        let mut header = header.to_string().into_bytes();
        // The numbers begin at a multiple of 8.
        header.resize(header.len().next_multiple_of(8), b' ');
        write_atomically(path, |out| {
            out.write_all(&(header.len() as u64).to_le_bytes())?;
            out.write_all(&header)?;
            std::io::copy(&mut fs::File::open(&raw)?, out)?;
            Ok(out.write_all(&global)?)
        })
    })();
    // Best effort: what is left is found and replaced the next time.
    let _ = fs::remove_file(&raw);
    written
}

/// What the encoder sees of pictures, and which cannot be used and why.
type Looked = (Option<Seen>, Vec<(usize, anyhow::Error)>);

/// Has the encoder look at pictures, of which some may be damaged.
///
/// # Errors
/// A device that fails.
pub fn see(images: &[&Image], encoder: &Encoder, device: &Device) -> Result<Looked> {
    let preprocessing = encoder.config().preprocessing;
    let pixels = |image: &&Image| Ok(preprocessing.pixels(&image.picture()?)?);
    let pixels: Vec<Result<Vec<f32>>> = images.par_iter().map(pixels).collect();
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for (number, pixels) in pixels.into_iter().enumerate() {
        match pixels {
            Ok(pixels) => good.push(pixels),
            Err(error) => bad.push((number, error)),
        }
    }
    if good.is_empty() {
        return Ok((None, bad));
    }
    let seen =
        encoder.forward(&image_features::batch(&good, preprocessing.size, device)?, &Mode::Eval)?.detach();
    Ok((Some(seen), bad))
}

/// The numbers of a tensor in half precision, as bytes.
fn halves(tensor: &Tensor) -> Result<Vec<u8>> {
    let numbers = tensor.flatten_all()?.to_dtype(DType::F32)?.to_vec1::<f32>()?;
    Ok(numbers.into_iter().flat_map(|number| f16::from_f32(number).to_le_bytes()).collect())
}

/// Where features are kept unless told otherwise: in the user's folder for caches.
///
/// # Errors
/// When the user has none.
pub fn cache_folder() -> Result<PathBuf> {
    let folders = directories::ProjectDirs::from("", "", "candle-rnn");
    let folders = folders.context("there is no folder for caches: name one with --cache")?;
    Ok(folders.cache_dir().join("features"))
}
