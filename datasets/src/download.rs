//! Getting a data set: downloaded into a `.part` file, continued from there
//! after a cut, and renamed into place only once its SHA-256 is right.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;
use ureq::http::{Response, StatusCode, header};
use ureq::{Agent, Body, Proxy};

use crate::card::{Card, EmbeddedFile, RemoteFile, Sounds, Source};
use crate::data_root::DataRoot;
use crate::sha256;

/// A file of a data set that is in its place, with the right content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obtained {
    /// Where it is.
    pub path: PathBuf,
    /// How it came there.
    pub how: How,
}

/// How a file came to its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// It was there already; its content was verified.
    AlreadyThere,
    /// It was written from the program itself.
    Written,
    /// It was downloaded, of which this many bytes earlier.
    Downloaded {
        /// Bytes that an earlier, cut download had left.
        resumed_from: u64,
    },
}

/// Why a data set could not be got, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// No connection, no such host, no answer in time.
    #[error("cannot reach {url}: {reason}; check the network or give another address with --url")]
    Unreachable {
        /// The address.
        url: String,
        /// What the network said.
        reason: String,
    },
    /// The server answered, but not with the file.
    #[error("{url} answered {status}; the file may have moved: give another address with --url")]
    Refused {
        /// The address.
        url: String,
        /// The HTTP status.
        status: StatusCode,
    },
    /// The connection broke in the middle of the file.
    #[error(
        "{url} was cut off after {received} of {bytes} bytes ({reason}); \
         run the same command again to continue from there"
    )]
    Cut {
        /// The address.
        url: String,
        /// Bytes that are in the `.part` file now.
        received: u64,
        /// Bytes that the file has.
        bytes: u64,
        /// What the network said.
        reason: String,
    },
    /// The server sent something other than the file on the card.
    #[error(
        "{url} sent something other than the file on the card, and it was deleted: \
         its SHA-256 is {found}, expected {expected}"
    )]
    WrongChecksum {
        /// The address.
        url: String,
        /// The sum of what came.
        found: String,
        /// The sum on the card.
        expected: String,
    },
    /// The server sent more than the file on the card has.
    #[error("{url} is longer than the {bytes} bytes that the card states; what came was deleted")]
    TooLong {
        /// The address.
        url: String,
        /// Bytes on the card.
        bytes: u64,
    },
    /// A file of that name is there, but it is another one.
    #[error(
        "{} is there, but its SHA-256 is {found}, expected {expected}; \
         delete it or move it away and run the same command again", .path.display()
    )]
    OtherFile {
        /// The file.
        path: PathBuf,
        /// Its sum.
        found: String,
        /// The sum on the card.
        expected: String,
    },
    /// Another process downloads the same file.
    #[error("another process is downloading {}; wait for it", .0.display())]
    Busy(PathBuf),
    /// No room for the file.
    #[error(
        "the disk is full: {} needs {missing} more bytes; \
         free some or choose another folder with --data-root", .path.display()
    )]
    DiskFull {
        /// The file.
        path: PathBuf,
        /// Bytes still to write.
        missing: u64,
    },
    /// A file could not be read or written.
    #[error("cannot access {}: {source}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

type Result<T> = std::result::Result<T, DownloadError>;

/// Brings every file of a data set to its place below `root`. A file that is
/// there already is verified and left alone.
///
/// `url` replaces the address on the card: that of the file itself, or, if the
/// set has several, of the folder that holds them all. `progress` counts bytes.
///
/// # Errors
/// See [`DownloadError`]. Whatever happens, no file with wrong content gets to
/// its place.
pub fn get(card: &Card, root: &DataRoot, url: Option<&str>, progress: &ProgressBar) -> Result<Vec<Obtained>> {
    let folder = root.folder(card);
    fs::create_dir_all(&folder).map_err(at(&folder))?;
    match card.source {
        Source::Embedded(files) => write_texts(files, &folder),
        Source::Synthesized { texts, sounds } => {
            let sounds = write_sounds(sounds, &folder)?;
            // What names the sounds comes after them.
            Ok([vec![sounds], write_texts(texts, &folder)?].concat())
        }
        Source::Remote([file]) => {
            let url = url.unwrap_or(file.url);
            Ok(vec![get_file(file, url, &folder, progress)?])
        }
        Source::Remote(files) => files
            .iter()
            .map(|file| match url.map(|url| url.trim_end_matches('/')) {
                Some(base) => get_file(file, &format!("{base}/{}", file.file), &folder, progress),
                None => get_file(file, file.url, &folder, progress),
            })
            .collect(),
    }
}

/// A bar that shows a download on a terminal, and nothing elsewhere.
pub fn progress_bar(name: &str) -> ProgressBar {
    let style =
        ProgressStyle::with_template("{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta} left");
    ProgressBar::new(0)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        .with_message(name.to_owned())
}

fn write_texts(files: &[EmbeddedFile], folder: &Path) -> Result<Vec<Obtained>> {
    files.iter().map(|file| write_embedded(folder.join(file.file), (file.text)().as_bytes())).collect()
}

/// Tells of the folder with all the sounds in it.
fn write_sounds(sounds: &Sounds, folder: &Path) -> Result<Obtained> {
    let path = folder.join(sounds.folder);
    fs::create_dir_all(&path).map_err(at(&path))?;
    let write = |(index, (name, _)): (usize, &(String, u64))| {
        let path = folder.join(name);
        let content = (sounds.content)(index).map_err(at(&path))?;
        write_embedded(path, &content)
    };
    let written = (sounds.files)().par_iter().enumerate().map(write).collect::<Result<Vec<_>>>()?;
    let is_there = written.iter().all(|obtained| obtained.how == How::AlreadyThere);
    Ok(Obtained { path, how: if is_there { How::AlreadyThere } else { How::Written } })
}

/// What is embedded changes with the program, so an older file is replaced.
fn write_embedded(path: PathBuf, content: &[u8]) -> Result<Obtained> {
    if fs::read(&path).is_ok_and(|found| found == content) {
        let how = How::AlreadyThere;
        return Ok(Obtained { path, how });
    }
    let part = part_of(&path);
    let mut file = open_part(&part)?;
    file.set_len(0)
        .and_then(|()| file.write_all(content))
        .map_err(|error| writing(&part, content.len() as u64, error))?;
    publish(&file, &part, &path)?;
    let how = How::Written;
    Ok(Obtained { path, how })
}

fn get_file(remote: &RemoteFile, url: &str, folder: &Path, progress: &ProgressBar) -> Result<Obtained> {
    let path = folder.join(remote.file);
    if path.exists() {
        let found = File::open(&path).and_then(sha256::of_reader).map_err(at(&path))?;
        if found != remote.sha256 {
            let expected = remote.sha256.to_owned();
            return Err(DownloadError::OtherFile { path, found, expected });
        }
        let how = How::AlreadyThere;
        return Ok(Obtained { path, how });
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(at(parent))?;
    }

    let part = part_of(&path);
    let mut file = open_part(&part)?;
    let resumed_from = receive(remote, url, &mut file, &part, progress)?;
    let found = file.rewind().and_then(|()| sha256::of_reader(&file)).map_err(at(&part))?;
    if found != remote.sha256 {
        discard(&part)?;
        return Err(DownloadError::WrongChecksum {
            url: url.to_owned(),
            found,
            expected: remote.sha256.to_owned(),
        });
    }
    publish(&file, &part, &path)?;
    let how = How::Downloaded { resumed_from };
    Ok(Obtained { path, how })
}

/// Appends to `file` what it lacks and returns how many bytes it had before.
fn receive(
    remote: &RemoteFile,
    url: &str,
    file: &mut File,
    part: &Path,
    progress: &ProgressBar,
) -> Result<u64> {
    let RemoteFile { bytes, .. } = *remote;
    let mut received = file.metadata().map_err(at(part))?.len();
    if received == bytes {
        return Ok(received);
    }
    if received > bytes {
        file.set_len(0).map_err(at(part))?;
        received = 0;
    }
    let mut response = request(url, received)?;
    if received > 0 && !continues_at(&response, received) {
        // The server sent something else than the rest: take it from the start.
        if response.status() != StatusCode::OK {
            response = request(url, 0)?;
        }
        file.set_len(0).map_err(at(part))?;
        received = 0;
    }
    let expected_status = match received {
        0 => StatusCode::OK,
        _ => StatusCode::PARTIAL_CONTENT,
    };
    let status = response.status();
    if status != expected_status {
        let url = url.to_owned();
        return Err(DownloadError::Refused { url, status });
    }

    let resumed_from = received;
    progress.set_length(bytes);
    progress.set_position(received);
    progress.reset_eta();
    let announced = response.body().content_length().map(|n| n + received);
    let mut body = response.into_body().into_reader();
    let mut buffer = vec![0; 1 << 16];
    let cut = |received, reason| DownloadError::Cut { url: url.to_owned(), received, bytes, reason };
    loop {
        let n = match body.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(cut(received, error.to_string())),
        };
        if received + n as u64 > bytes {
            discard(part)?;
            let url = url.to_owned();
            return Err(DownloadError::TooLong { url, bytes });
        }
        file.write_all(&buffer[..n]).map_err(|error| writing(part, bytes - received, error))?;
        received += n as u64;
        progress.set_position(received);
    }
    // A body that is as long as announced came whole, even if it is the wrong
    // one; the checksum will tell.
    if received < bytes && announced != Some(received) {
        return Err(cut(received, "the server closed the connection".to_owned()));
    }
    Ok(resumed_from)
}

/// Asks for the bytes of `url` from `from` on. Any HTTP status is an answer.
fn request(url: &str, from: u64) -> Result<Response<Body>> {
    let agent: Agent = Agent::config_builder()
        .http_status_as_error(false)
        .proxy(proxy(url))
        .timeout_connect(Some(Duration::from_secs(30)))
        .timeout_recv_response(Some(Duration::from_secs(60)))
        .timeout_per_read(Some(Duration::from_secs(60)))
        .build()
        .into();
    // Compressed, a range would be one of the compressed bytes.
    let mut request = agent.get(url).header(header::ACCEPT_ENCODING, "identity");
    if from > 0 {
        request = request.header(header::RANGE, format!("bytes={from}-"));
    }
    request
        .call()
        .map_err(|error| DownloadError::Unreachable { url: url.to_owned(), reason: error.to_string() })
}

/// The proxy that the environment names, but none for this machine itself.
fn proxy(url: &str) -> Option<Proxy> {
    let host = url.strip_prefix("http://").unwrap_or_default();
    match host.starts_with("127.0.0.1") || host.starts_with("localhost") {
        true => None,
        false => Proxy::try_from_env(),
    }
}

/// Whether the response is the part of the file from byte `from` on.
fn continues_at(response: &Response<Body>, from: u64) -> bool {
    let range = response.headers().get(header::CONTENT_RANGE);
    response.status() == StatusCode::PARTIAL_CONTENT
        && range
            .and_then(|range| range.to_str().ok())
            .is_some_and(|range| range.starts_with(&format!("bytes {from}-")))
}

fn part_of(path: &Path) -> PathBuf {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    part.into()
}

/// Opens the `.part` file at its end and keeps other processes off it.
fn open_part(part: &Path) -> Result<File> {
    let file = File::options()
        .read(true)
        .append(true)
        .create(true)
        .open(part)
        .map_err(|error| writing(part, 0, error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(DownloadError::Busy(part.to_owned())),
        // Some network file systems know no locks; one process alone needs none.
        Err(TryLockError::Error(_)) => Ok(file),
    }
}

/// Makes the finished `.part` file visible under its name, whole or not at all.
fn publish(file: &File, part: &Path, path: &Path) -> Result<()> {
    file.sync_all().map_err(|error| writing(part, 0, error))?;
    fs::rename(part, path).map_err(at(path))
}

fn discard(part: &Path) -> Result<()> {
    fs::remove_file(part).map_err(at(part))
}

fn at(path: &Path) -> impl Fn(io::Error) -> DownloadError {
    move |source| writing(path, 0, source)
}

fn writing(path: &Path, missing: u64, source: io::Error) -> DownloadError {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            DownloadError::DiskFull { path, missing }
        }
        _ => DownloadError::Io { path, source },
    }
}
