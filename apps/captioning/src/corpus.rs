//! Pictures and what is said about them: where both come from.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use app_kit::UsageError;
use app_kit::path::absolute;
use datasets::embedded::captioning::{Language, SIZE, Scene, captioning};
use image_features::Picture;
use serde::{Deserialize, Serialize};

/// Where a picture is.
#[derive(Clone, Debug)]
pub enum Image {
    /// In a PNG or JPEG file.
    File(PathBuf),
    /// Drawn from its description.
    Scene(Arc<Scene>),
}

impl Image {
    /// The picture itself.
    ///
    /// # Errors
    /// A file that is missing, damaged, too large or no picture, by name.
    pub fn picture(&self) -> Result<Picture> {
        match self {
            Self::File(path) => Picture::read(path).with_context(|| format!("cannot use {}", path.display())),
            Self::Scene(scene) => Ok(Picture::new(SIZE as u32, SIZE as u32, scene.picture())?),
        }
    }
}

/// A picture and what is said about it.
#[derive(Clone, Debug)]
pub struct Captioned {
    /// What it is called in the data.
    pub name: String,
    /// Where it is.
    pub image: Image,
    /// One caption or several.
    pub captions: Vec<String>,
}

/// A part of the built-in set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// To learn from.
    Train,
    /// To choose a model by.
    Validation,
    /// To measure it by.
    Test,
    /// The part of the test that combines what is never combined in training.
    Unseen,
}

/// The name of the built-in set on the command line.
pub const EMBEDDED: &str = "embedded";
/// The name of its [`Part::Unseen`].
const UNSEEN: &str = "embedded-unseen";

/// Where pictures and captions come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// A table (.tsv, .csv), captions of COCO (.json), a data set of Karpathy (.json), or the token file of
    /// Flickr8k; and the split of it: its name, or a file with a name of a picture in each line.
    File {
        /// The file.
        path: PathBuf,
        /// The split; all without it.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        split: Option<String>,
    },
    /// A part of the built-in set of drawn scenes.
    Embedded(Part),
}

impl Source {
    /// What `--data` and its kin name.
    pub fn named(name: &str, split: Option<&str>, embedded: Part) -> Self {
        match name {
            EMBEDDED => Self::Embedded(embedded),
            UNSEEN => Self::Embedded(Part::Unseen),
            path => Self::File { path: absolute(path), split: split.map(whole_path) },
        }
    }
}

/// A split that is a file by its whole path, so that a run can be resumed from another folder.
fn whole_path(split: &str) -> String {
    match Path::new(split).is_file() {
        true => absolute(split).to_string_lossy().into_owned(),
        false => split.to_owned(),
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, split: None } => path.display().fmt(f),
            Self::File { path, split: Some(split) } => write!(f, "{} ({split})", path.display()),
            Self::Embedded(part) => write!(f, "the built-in set ({part:?})"),
        }
    }
}

/// How a source is read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Reading {
    /// The folder of the pictures; without it `images` beside the file, if there is one, or its own folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images: Option<PathBuf>,
    /// Columns of a table that hold captions, with commas between them; without it, the one after the
    /// pictures'. `en` or `zh-Hant` of the built-in set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Whether captions are put into lower case.
    pub lowercase: bool,
}

/// Reads all pictures of a source with their captions, in the order of the source.
///
/// # Errors
/// A file that is missing, not text or of another form, by file and line; pictures that are not there; no
/// caption at all.
pub fn read(source: &Source, reading: &Reading) -> Result<Vec<Captioned>> {
    let mut captioned = match source {
        Source::Embedded(part) => embedded(*part, reading)?,
        Source::File { path, split } => {
            file(path, split.as_deref(), reading).with_context(|| format!("cannot use {}", path.display()))?
        }
    };
    for Captioned { captions, .. } in &mut captioned {
        for caption in captions.iter_mut() {
            let whole = caption.split_whitespace().collect::<Vec<_>>().join(" ");
            *caption = if reading.lowercase { whole.to_lowercase() } else { whole };
        }
        captions.retain(|caption| !caption.is_empty());
    }
    captioned.retain(|captioned| !captioned.captions.is_empty());
    ensure!(!captioned.is_empty(), "{source}: there is not one picture with a caption");
    Ok(captioned)
}

/// The scenes of a part of the built-in set.
pub fn scenes(part: Part) -> Vec<Scene> {
    let set = captioning();
    let of = |scenes: &[Scene]| scenes.to_vec();
    match part {
        Part::Train => of(&set.train),
        Part::Validation => of(&set.validation),
        Part::Test => of(&set.test),
        Part::Unseen => set.test.iter().filter(|scene| scene.novel).cloned().collect(),
    }
}

/// The language of the built-in set that is asked for.
///
/// # Errors
/// [`UsageError`] for one that it does not have.
pub fn language(reading: &Reading) -> Result<Language, UsageError> {
    match reading.language.as_deref() {
        None | Some("en") => Ok(Language::English),
        Some("zh-Hant") => Ok(Language::Chinese),
        Some(other) => {
            Err(UsageError::new(format!("the built-in set has no language {other:?}: choose en or zh-Hant")))
        }
    }
}

fn embedded(part: Part, reading: &Reading) -> Result<Vec<Captioned>> {
    let language = language(reading)?;
    let captioned = |(number, scene): (usize, Scene)| Captioned {
        name: format!("scene {number}"),
        captions: scene.captions(language),
        image: Image::Scene(Arc::new(scene)),
    };
    Ok(scenes(part).into_iter().enumerate().map(captioned).collect())
}

/// A picture's name, its split (if the file says it), and a caption of it.
type Row = (String, Option<String>, String);

fn file(path: &Path, split: Option<&str>, reading: &Reading) -> Result<Vec<Captioned>> {
    let text = app_kit::text::utf8(fs::read(path)?, path)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or("");
    let rows = match extension.to_lowercase().as_str() {
        "tsv" => table(text, b'\t', reading)?,
        "csv" => table(text, b',', reading)?,
        "json" => json(text)?,
        _ => tokens(text)?,
    };
    let rows = of_split(rows, split)?;
    let folder = folder(path, reading);
    let mut captioned: Vec<Captioned> = Vec::new();
    let mut numbers: HashMap<String, usize> = HashMap::new();
    for (name, _, caption) in rows {
        let number = *numbers.entry(name.clone()).or_insert_with(|| {
            let image = Image::File(folder.join(&name));
            captioned.push(Captioned { name, image, captions: Vec::new() });
            captioned.len() - 1
        });
        captioned[number].captions.push(caption);
    }
    let is_missing =
        |captioned: &&Captioned| matches!(&captioned.image, Image::File(path) if !path.is_file());
    let missing: Vec<&Captioned> = captioned.iter().filter(is_missing).collect();
    if let Some(first) = missing.first() {
        bail!(
            "{} of {} pictures are not in {}, {} for one: name their folder with --images",
            missing.len(),
            captioned.len(),
            folder.display(),
            first.name
        );
    }
    Ok(captioned)
}

fn folder(path: &Path, reading: &Reading) -> PathBuf {
    let own = path.parent().unwrap_or(Path::new("."));
    match &reading.images {
        Some(folder) => folder.clone(),
        None if own.join("images").is_dir() => own.join("images"),
        None => own.to_owned(),
    }
}

/// The rows of a split: those that say so, or whose picture is in a list.
fn of_split(rows: Vec<Row>, split: Option<&str>) -> Result<Vec<Row>> {
    let Some(split) = split else { return Ok(rows) };
    if Path::new(split).is_file() {
        let list = app_kit::text::utf8(fs::read(split)?, Path::new(split))?;
        let listed: HashSet<&str> = list.lines().map(str::trim).collect();
        let rows: Vec<Row> = rows.into_iter().filter(|(name, ..)| listed.contains(name.as_str())).collect();
        ensure!(!rows.is_empty(), "no picture of {split} is in it");
        return Ok(rows);
    }
    let known: BTreeMap<String, usize> = rows.iter().fold(BTreeMap::new(), |mut known, (_, of, _)| {
        if let Some(of) = of {
            *known.entry(of.clone()).or_default() += 1;
        }
        known
    });
    // What Karpathy calls restval belongs to the training part.
    let belongs = |of: &str| of == split || (split == "train" && of == "restval");
    let chosen: Vec<Row> = rows.into_iter().filter(|(_, of, _)| of.as_deref().is_some_and(belongs)).collect();
    ensure!(
        !chosen.is_empty(),
        "there is no split {split:?} in it (it has {}), nor a file of this name with a picture in each line",
        match known.is_empty() {
            true => "none".to_owned(),
            false => known.keys().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", "),
        }
    );
    Ok(chosen)
}

/// A table whose first line names its columns: `image`, perhaps `split`, and captions.
fn table(text: &str, delimiter: u8, reading: &Reading) -> Result<Vec<Row>> {
    let mut table = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .quoting(delimiter == b',')
        .from_reader(text.as_bytes());
    let header = table.headers().context("it has no first line with the names of its columns")?.clone();
    let place = |name: &str| {
        header.iter().position(|column| column.trim() == name).ok_or_else(|| {
            let known: Vec<String> = header.iter().map(|column| format!("{column:?}")).collect();
            UsageError::new(format!("it has no column {name:?}, but {}", known.join(", ")))
        })
    };
    let image = place("image")?;
    let split = place("split").ok();
    let columns: Vec<usize> = match &reading.language {
        Some(names) => names.split(',').map(|name| place(name.trim())).collect::<Result<_, _>>()?,
        None => {
            let first = (0..header.len()).find(|&column| column != image && Some(column) != split);
            vec![first.context("it has no column with captions")?]
        }
    };
    let mut rows = Vec::new();
    for record in table.records() {
        let record = record.context("a line has another number of columns than the first")?;
        for &column in &columns {
            let split = split.map(|split| record[split].to_owned());
            rows.push((record[image].to_owned(), split, record[column].to_owned()));
        }
    }
    Ok(rows)
}

/// `annotations/captions_….json` of COCO.
#[derive(Deserialize)]
struct Coco {
    images: Vec<CocoImage>,
    annotations: Vec<CocoCaption>,
}

#[derive(Deserialize)]
struct CocoImage {
    id: u64,
    file_name: String,
}

#[derive(Deserialize)]
struct CocoCaption {
    image_id: u64,
    caption: String,
}

/// `dataset_….json` of Karpathy and Fei-Fei (2015).
#[derive(Deserialize)]
struct Karpathy {
    images: Vec<KarpathyImage>,
}

#[derive(Deserialize)]
struct KarpathyImage {
    filename: String,
    #[serde(default)]
    filepath: Option<String>,
    split: String,
    sentences: Vec<KarpathySentence>,
}

#[derive(Deserialize)]
struct KarpathySentence {
    raw: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Json {
    Coco(Coco),
    Karpathy(Karpathy),
}

fn json(text: &str) -> Result<Vec<Row>> {
    serde_json::from_str::<serde::de::IgnoredAny>(text).context("it is no JSON")?;
    let form = "it is neither captions of COCO (`images`, `annotations`) nor a data set of Karpathy (`images` \
                with `split` and `sentences`)";
    Ok(match serde_json::from_str::<Json>(text).context(form)? {
        Json::Coco(Coco { images, annotations }) => {
            let names: HashMap<u64, String> =
                images.into_iter().map(|image| (image.id, image.file_name)).collect();
            let row = |CocoCaption { image_id, caption }: CocoCaption| {
                let name = names.get(&image_id).cloned();
                Ok((
                    name.with_context(|| {
                        format!("a caption is of picture {image_id}, which it does not have")
                    })?,
                    None,
                    caption,
                ))
            };
            annotations.into_iter().map(row).collect::<Result<_>>()?
        }
        Json::Karpathy(Karpathy { images }) => {
            let rows = |image: KarpathyImage| {
                let name = match image.filepath {
                    Some(folder) => format!("{folder}/{}", image.filename),
                    None => image.filename,
                };
                let split = Some(image.split);
                image.sentences.into_iter().map(move |sentence| (name.clone(), split.clone(), sentence.raw))
            };
            images.into_iter().flat_map(rows).collect()
        }
    })
}

/// Lines of `picture.jpg#0`, a tab, a caption: `Flickr8k.token.txt`.
fn tokens(text: &str) -> Result<Vec<Row>> {
    let rows = text.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty());
    let row = |(line, number): (&str, usize)| {
        let parts =
            line.split_once('\t').and_then(|(name, caption)| Some((name.rsplit_once('#')?.0, caption)));
        let (name, caption) = parts.with_context(|| {
            format!(
                "line {number} is not PICTURE#NUMBER, a tab, CAPTION: give a .tsv, a .csv, a .json, or the \
                 token file of Flickr8k"
            )
        })?;
        Ok((name.to_owned(), None, caption.to_owned()))
    };
    rows.map(row).collect()
}

/// A number by which the same pictures and captions are known again.
pub fn fingerprint(captioned: &[Captioned]) -> u32 {
    captioned.iter().fold(0, |sum, Captioned { name, captions, .. }| {
        [name]
            .into_iter()
            .chain(captions)
            .fold(sum, |sum, text| crc32c::crc32c_append(crc32c::crc32c_append(sum, text.as_bytes()), b"\n"))
    })
}
