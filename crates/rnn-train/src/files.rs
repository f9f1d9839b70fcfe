//! Files and folders that are either whole or not there, also after a crash or a power cut.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};

/// Writes a file through a temporary neighbour that is synchronised to disk and renamed into place:
/// readers see the old content or the new one, never a part. Missing parent folders are created.
///
/// # Errors
/// When `write` fails or the file cannot be written; the old content then stays and nothing is
/// left behind.
pub fn write_atomically(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> Result<()>) -> Result<()> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let parent = parent_of(path);
    fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    let partial = hidden_neighbour(path, &format!("partial-{}-{number}", std::process::id()));
    let attempt = || -> Result<()> {
        let mut file = BufWriter::new(File::create(&partial)?);
        write(&mut file)?;
        file.flush()?;
        file.get_ref().sync_all()?;
        drop(file);
        fs::rename(&partial, path)?;
        sync_folder(parent);
        Ok(())
    };
    attempt()
        .inspect_err(|_| {
            let _ = fs::remove_file(&partial);
        })
        .with_context(|| format!("cannot write {}", path.display()))
}

/// Fills a temporary neighbour of `target`, synchronises it to disk and puts it in the place of
/// `target`. A folder that was there is moved aside first and deleted last; should the process die
/// between the two renames, [`recover_folder`] brings the old one back.
///
/// # Errors
/// When `fill` or a file operation fails; `target` is then as it was.
pub fn replace_folder(target: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    recover_folder(target)?;
    let parent = parent_of(target);
    let (new, old) = (hidden_neighbour(target, "new"), hidden_neighbour(target, "old"));
    fs::create_dir_all(&new).with_context(|| format!("cannot create {}", new.display()))?;
    let attempt = || -> Result<()> {
        fill(&new)?;
        sync_tree(&new)?;
        if target.exists() {
            fs::rename(target, &old)?;
        }
        if let Err(error) = fs::rename(&new, target) {
            let _ = fs::rename(&old, target);
            return Err(error.into());
        }
        sync_folder(parent);
        Ok(())
    };
    attempt()
        .inspect_err(|_| {
            let _ = fs::remove_dir_all(&new);
        })
        .with_context(|| format!("cannot write {}", target.display()))?;
    remove_folder(&old)
}

/// Tidies up after a [`replace_folder`] that died: removes an incomplete new folder, and puts the
/// old one back if the new one had not taken its place yet.
///
/// # Errors
/// When a folder cannot be moved or removed.
pub fn recover_folder(target: &Path) -> Result<()> {
    let old = hidden_neighbour(target, "old");
    if old.exists() && !target.exists() {
        fs::rename(&old, target).with_context(|| format!("cannot restore {}", target.display()))?;
    }
    remove_folder(&old)?;
    remove_folder(&hidden_neighbour(target, "new"))
}

/// Removes a folder and what is in it; it is no error if there is none.
///
/// # Errors
/// When something in it cannot be removed.
pub fn remove_folder(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// `folder/name` → `folder/.name.suffix`
fn hidden_neighbour(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".");
    name.push(suffix);
    path.with_file_name(name)
}

fn sync_tree(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            sync_tree(&path)?;
        } else {
            // Windows synchronises only files that are open for writing.
            File::options().write(true).open(&path)?.sync_all()?;
        }
    }
    sync_folder(folder);
    Ok(())
}

/// Makes a rename durable, where the system lets one synchronise a folder at all.
fn sync_folder(folder: &Path) {
    if let Ok(handle) = File::open(folder) {
        let _ = handle.sync_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("a/value.txt");
        write_atomically(&path, |file| Ok(file.write_all(b"first")?))?;
        let failed = write_atomically(&path, |file| {
            file.write_all(b"sec")?;
            anyhow::bail!("the disk is full")
        });
        let message = format!("{:#}", failed.unwrap_err());
        assert!(message.contains("value.txt") && message.contains("disk is full"), "{message}");
        assert_eq!(fs::read(&path)?, b"first");
        assert_eq!(fs::read_dir(folder.path().join("a"))?.count(), 1);
        Ok(())
    }

    #[test]
    fn a_folder_is_replaced_whole_or_not_at_all() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let best = folder.path().join("best");
        replace_folder(&best, |new| Ok(fs::write(new.join("one"), "1")?))?;
        replace_folder(&best, |new| Ok(fs::write(new.join("two"), "2")?))?;
        assert!(!best.join("one").exists() && best.join("two").exists());
        let failed = replace_folder(&best, |new| {
            fs::write(new.join("three"), "3")?;
            anyhow::bail!("out of luck")
        });
        assert!(failed.is_err());
        assert!(best.join("two").exists());
        assert_eq!(fs::read_dir(folder.path())?.count(), 1);
        Ok(())
    }

    #[test]
    fn a_replacement_that_died_half_way_is_undone() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let best = folder.path().join("best");
        fs::create_dir(folder.path().join(".best.old"))?;
        fs::write(folder.path().join(".best.old/model"), "old")?;
        fs::create_dir(folder.path().join(".best.new"))?;
        recover_folder(&best)?;
        assert_eq!(fs::read(best.join("model"))?, b"old");
        assert_eq!(fs::read_dir(folder.path())?.count(), 1);
        Ok(())
    }
}
