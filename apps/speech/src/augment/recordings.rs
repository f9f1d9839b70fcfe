//! Folders of noise and of impulse responses.

use std::path::Path;

use anyhow::{Context, Result};
use app_kit::UsageError;
use audio_features::{Audio, Channels};
use walkdir::WalkDir;

use super::level::peak;

/// All WAV files of a folder and those in it, in the order of their names, as `rate` samples a second.
/// What is silent from start to end is left out with a warning.
///
/// # Errors
/// [`UsageError`] naming the `setting` when there is no such folder or no sound in it; a file that
/// cannot be read.
pub(super) fn read_folder(setting: &str, folder: &Path, rate: u32) -> Result<Vec<Vec<f32>>> {
    if !folder.is_dir() {
        return Err(UsageError::new(format!(
            "{setting} is {}, which is no folder; name one with WAV files",
            folder.display()
        ))
        .into());
    }
    let mut recordings = Vec::new();
    for entry in WalkDir::new(folder).follow_links(true).sort_by_file_name() {
        let entry = entry.with_context(|| format!("cannot list the folder {}", folder.display()))?;
        let is_wav = entry.path().extension().is_some_and(|extension| extension.eq_ignore_ascii_case("wav"));
        if !is_wav || !entry.file_type().is_file() {
            continue;
        }
        let samples = Audio::read(entry.path(), Channels::Mean)?.resampled(rate)?.samples;
        if peak(&samples) > 0.0 {
            recordings.push(samples);
        } else {
            tracing::warn!("{} is silent and is left out", entry.path().display());
        }
    }
    if recordings.is_empty() {
        return Err(UsageError::new(format!(
            "{setting} is {}, where no WAV file with sound is; name another folder",
            folder.display()
        ))
        .into());
    }
    Ok(recordings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::measure::tone;

    #[test]
    fn files_are_read_in_order_at_the_rate_and_silent_ones_left_out() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("a")).unwrap();
        let write = |name: &str, samples: Vec<f32>, rate| {
            Audio { samples, rate }.write(folder.path().join(name)).unwrap();
        };
        write("b.WAV", tone(440.0, 8000, 100), 8000);
        write("a/c.wav", tone(440.0, 16_000, 400), 16_000);
        write("silent.wav", vec![0.0; 100], 8000);
        std::fs::write(folder.path().join("notes.txt"), "not a sound").unwrap();
        let recordings = read_folder("noise.folder", folder.path(), 8000).unwrap();
        assert_eq!(recordings.iter().map(Vec::len).collect::<Vec<_>>(), [200, 100]);
    }

    #[test]
    fn no_folder_and_no_sound_are_wrong_usage_and_a_broken_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        for path in [folder.path().join("missing"), folder.path().to_owned()] {
            let error = read_folder("noise.folder", &path, 8000).unwrap_err();
            assert!(error.is::<UsageError>() && error.to_string().starts_with("noise.folder is "));
        }
        std::fs::write(folder.path().join("broken.wav"), "no sound").unwrap();
        let error = read_folder("noise.folder", folder.path(), 8000).unwrap_err();
        assert!(error.to_string().contains("broken.wav is neither a WAV"), "{error}");
    }
}
