//! Recordings in a folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use app_kit::UsageError;
use walkdir::{DirEntry, WalkDir};

use super::names::{LABEL, stem};
use super::{NamePattern, Sound, Utterance, librispeech};

/// A file below a folder.
#[derive(Debug)]
pub(super) struct File {
    /// Its path below the folder, with `/` between its parts.
    pub name: String,
    /// Its whole path.
    pub path: PathBuf,
}

/// The utterances of a folder, sorted by name. What is said in them is in their names if a pattern is
/// given, else in files as LibriSpeech has them if there is one, else the label before the first `_`
/// of their names if there are no folders in the folder, else the name of the folder of each.
///
/// # Errors
/// A folder that cannot be read, names that do not fit, and those of [`librispeech::utterances`].
pub(super) fn read(folder: &Path, names: Option<&NamePattern>) -> Result<Vec<Utterance>> {
    let (transcripts, others): (Vec<_>, Vec<_>) =
        files(folder)?.into_iter().partition(|file| librispeech::is_transcript(&file.name));
    let sounds: Vec<_> = others.into_iter().filter(|file| is_sound(&file.name)).collect();
    if names.is_none() && !transcripts.is_empty() {
        return librispeech::utterances(&transcripts, sounds);
    }
    let is_flat = sounds.iter().all(|file| !file.name.contains('/'));
    let utterance = |file: File| {
        let mut fields = match names {
            Some(pattern) => pattern.fields(&file.name).ok_or_else(|| {
                UsageError::new(format!("the name {} does not fit --names {pattern}", file.path.display()))
            })?,
            None => BTreeMap::new(),
        };
        let text = match fields.remove(LABEL) {
            Some(label) => label,
            None if is_flat => label_in_name(&file)?,
            None => label_of_folder(&file)?,
        };
        Ok(Utterance { name: file.name, text, fields, sound: Sound::File(file.path) })
    };
    sounds.into_iter().map(utterance).collect()
}

/// What stands before the first `_` of a name: the digit of `7_theo_12.wav`.
fn label_in_name(file: &File) -> Result<String> {
    let label = stem(&file.name).split_once('_').map(|(label, _)| label).filter(|label| !label.is_empty());
    let label = label.with_context(|| {
        format!(
            "nothing says what is said in {}: it has no transcript, lies in no folder of a label, and its \
             name does not begin with a label and `_`; name the parts of the names with --names, as in \
             {{label}}_{{speaker}}_{{index}}, or write a manifest",
            file.path.display()
        )
    })?;
    Ok(label.to_owned())
}

/// The name of the folder a file lies in.
fn label_of_folder(file: &File) -> Result<String> {
    let label = file.name.rsplit('/').nth(1).with_context(|| {
        format!(
            "{} lies in no folder of a label, as other recordings do: move it into one, or name the parts \
             of the names with --names",
            file.path.display()
        )
    })?;
    Ok(label.to_owned())
}

fn is_sound(name: &str) -> bool {
    let ending = name.rsplit_once('.').map(|(_, ending)| ending);
    ending.is_some_and(|ending| ["wav", "flac"].iter().any(|sound| ending.eq_ignore_ascii_case(sound)))
}

/// All files below a folder, sorted by name, links followed. Hidden files and folders are left out, and
/// folders whose name begins with `_`, such as the `_background_noise_` of Speech Commands.
fn files(folder: &Path) -> Result<Vec<File>> {
    let is_left_out = |entry: &DirEntry| {
        let name = entry.file_name().as_encoded_bytes();
        name.starts_with(b".") || (name.starts_with(b"_") && entry.file_type().is_dir())
    };
    let entries = WalkDir::new(folder)
        .follow_links(true)
        .into_iter()
        .filter_entry(|entry| entry.depth() == 0 || !is_left_out(entry));
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot read all of {}", folder.display()))?;
        if !entry.file_type().is_file() {
            continue;
        }
        let path = entry.into_path();
        let parts = path.strip_prefix(folder).unwrap_or(&path).iter().map(|part| part.to_str());
        let parts: Option<Vec<_>> = parts.collect();
        let parts = parts.with_context(|| format!("the name {path:?} is not UTF-8: rename the file"))?;
        files.push(File { name: parts.join("/"), path });
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    fn folder(names: &[&str]) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, b"").unwrap();
        }
        folder
    }

    fn names_and_texts(folder: &TempDir, names: Option<&str>) -> Vec<String> {
        let names = names.map(|names| names.parse().unwrap());
        let utterances = read(folder.path(), names.as_ref()).unwrap();
        utterances.into_iter().map(|said| format!("{}: {}", said.name, said.text)).collect()
    }

    fn message(folder: &TempDir, names: Option<&str>) -> String {
        let names = names.map(|names| names.parse().unwrap());
        format!("{:#}", read(folder.path(), names.as_ref()).unwrap_err())
    }

    #[test]
    fn the_folder_of_a_recording_is_its_label() {
        let folder = folder(&[
            "yes/b.wav",
            "yes/a.FLAC",
            "no/c.wav",
            "no/.hidden.wav",
            "no/note.txt",
            ".git/d.wav",
            "_background_noise_/e.wav",
            "README.md",
        ]);
        assert_eq!(names_and_texts(&folder, None), ["no/c.wav: no", "yes/a.FLAC: yes", "yes/b.wav: yes"]);
        fs::write(folder.path().join("a_b.wav"), b"").unwrap();
        assert!(message(&folder, None).contains("a_b.wav lies in no folder of a label"));
    }

    #[test]
    fn without_folders_the_label_stands_first_in_the_name() {
        let folder = folder(&["7_theo_0.wav", "10_theo_0.wav", "_noise_/x.wav"]);
        assert_eq!(names_and_texts(&folder, None), ["10_theo_0.wav: 10", "7_theo_0.wav: 7"]);
        fs::write(folder.path().join("theo.wav"), b"").unwrap();
        let message = message(&folder, None);
        assert!(message.contains("theo.wav") && message.contains("--names"), "{message}");
    }

    #[test]
    fn a_pattern_gives_fields_and_the_label_if_it_has_one() {
        let folder = folder(&["yes/3f_nohash_0.wav", "yes/3f_nohash_1.wav", "no/a_nohash_0.wav"]);
        let names = "{speaker}_nohash_{index}".parse().unwrap();
        let utterances = read(folder.path(), Some(&names)).unwrap();
        let Utterance { text, fields, .. } = &utterances[2];
        assert_eq!((text.as_str(), &*fields["speaker"], &*fields["index"]), ("yes", "3f", "1"));
        assert_eq!(names_and_texts(&folder, Some("{label}_nohash_{index}"))[0], "no/a_nohash_0.wav: a");
        let message = message(&folder, Some("{label}-{index}"));
        assert!(
            message.contains("a_nohash_0.wav") && message.contains("--names {label}-{index}"),
            "{message}"
        );
    }

    #[test]
    fn a_folder_without_recordings_gives_none() {
        assert!(read(folder(&["a.mp3"]).path(), None).unwrap().is_empty());
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_and_one_that_leads_in_a_circle_is_named() {
        use std::os::unix::fs::symlink;
        let (folder, other) = (folder(&["yes/a.wav"]), folder(&["b.wav"]));
        symlink(other.path(), folder.path().join("no")).unwrap();
        assert_eq!(names_and_texts(&folder, None), ["no/b.wav: no", "yes/a.wav: yes"]);
        symlink(folder.path(), folder.path().join("yes").join("again")).unwrap();
        let message = message(&folder, None);
        assert!(message.contains("yes/again") && message.contains("loop"), "{message}");
    }
}
