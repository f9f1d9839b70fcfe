//! Unpacking an archive: into a `.part` folder, which gets its name once
//! everything is in it.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::path::{Component, Path, PathBuf};

use flate2::read::MultiGzDecoder;
use indicatif::ProgressBar;
use tar::EntryType;

use crate::card::Archive;
use crate::download::{DownloadError, Result, at, discard, lock, part_of, show_step};

/// A file in the folder that names the archive it was unpacked from.
const STAMP: &str = ".unpacked";

/// Whether all of the archive was unpacked to `folder`.
pub(crate) fn is_unpacked(archive: &Archive, folder: &Path) -> bool {
    fs::read_to_string(folder.join(STAMP)).is_ok_and(|address| address.trim_end() == archive.file.url)
}

/// Unpacks the archive at `path` to `folder`, which must not be there, deletes
/// it, and returns how many files were in it.
pub(crate) fn unpack(archive: &Archive, path: &Path, folder: &Path, progress: &ProgressBar) -> Result<usize> {
    let file = File::open(path).map_err(at(path))?;
    lock(&file, path)?;
    let part = part_of(folder);
    // What an earlier run left that was cut.
    remove(&part)?;
    let bytes = file.metadata().map_err(at(path))?.len();
    show_step(progress, "unpacking", Some(bytes), 0);

    let written = extract(progress.wrap_read(&file), archive.strip, &part).and_then(|files| {
        write(&part.join(STAMP), &mut archive.file.url.as_bytes())?;
        settle();
        fs::rename(&part, folder).map_err(at(folder))?;
        Ok(files)
    });
    match written {
        Ok(files) => discard(path).map(|()| files),
        Err(failure) => {
            remove(&part)?;
            Err(match failure {
                Failure::System(error) => error,
                Failure::Archive(reason) => {
                    discard(path)?;
                    DownloadError::BadArchive { path: path.to_owned(), reason }
                }
            })
        }
    }
}

/// Why an archive was not unpacked.
enum Failure {
    /// Something is wrong with the archive.
    Archive(String),
    /// The files could not be written.
    System(DownloadError),
}

impl From<DownloadError> for Failure {
    fn from(error: DownloadError) -> Self {
        Self::System(error)
    }
}

fn damaged(error: io::Error) -> Failure {
    Failure::Archive(format!("it is damaged ({error})"))
}

/// Writes the files and folders of an archive below `into`, without the first
/// `strip` folders of their paths, and returns how many files there are.
fn extract(archive: impl Read, strip: usize, into: &Path) -> std::result::Result<usize, Failure> {
    fs::create_dir_all(into).map_err(at(into))?;
    let mut tar = tar::Archive::new(MultiGzDecoder::new(BufReader::new(archive)));
    let mut files = 0;
    for entry in tar.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let path = entry.path().map_err(damaged)?.into_owned();
        let kind = entry.header().entry_type();
        // A remark on the whole archive, such as which commit it is of.
        if kind == EntryType::XGlobalHeader {
            continue;
        }
        if !matches!(kind, EntryType::Regular | EntryType::Directory) {
            return Err(Failure::Archive(format!("{} is neither a file nor a folder", path.display())));
        }
        let names = names(&path)
            .ok_or_else(|| Failure::Archive(format!("{} leads out of the folder", path.display())))?;
        let inside: PathBuf = names.into_iter().skip(strip).collect();
        if inside.as_os_str().is_empty() {
            continue;
        }
        let target = into.join(inside);
        if kind == EntryType::Directory {
            fs::create_dir_all(&target).map_err(at(&target))?;
            continue;
        }
        let parent = target.parent().unwrap_or(into);
        fs::create_dir_all(parent).map_err(at(parent))?;
        write(&target, &mut entry)?;
        files += 1;
    }
    // Behind the last entry is the checksum of the whole.
    io::copy(&mut tar.into_inner(), &mut io::sink()).map_err(damaged)?;
    match files {
        0 => Err(Failure::Archive("there is no file in it".to_owned())),
        _ => Ok(files),
    }
}

/// The names along a path; none if it starts at a root or goes up.
fn names(path: &Path) -> Option<Vec<&OsStr>> {
    let names = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(Some(name)),
        Component::CurDir => None,
        Component::Prefix(_) | Component::RootDir | Component::ParentDir => Some(None),
    });
    names.collect()
}

/// Writes a file that must not be there.
fn write(path: &Path, content: &mut impl Read) -> std::result::Result<(), Failure> {
    let mut file = File::create_new(path).map_err(at(path))?;
    let mut buffer = [0; 1 << 14];
    loop {
        match content.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => file.write_all(&buffer[..n]).map_err(at(path))?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(damaged(error)),
        }
    }
    if cfg!(not(unix)) {
        file.sync_all().map_err(at(path))?;
    }
    Ok(())
}

/// Has the system write what it still holds back, all at once: file by file,
/// a hundred thousand of them would take minutes.
fn settle() {
    #[cfg(unix)]
    rustix::fs::sync();
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(folder)(error)),
        _ => Ok(()),
    }
}
