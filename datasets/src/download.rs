//! Getting a data set: downloaded into a `.part` file, continued from there
//! after a cut, renamed into place only once its SHA-256 is right, and unpacked
//! if it is an archive.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;
use ureq::http::{Response, StatusCode, header};
use ureq::{Agent, Body, Proxy};

use crate::card::{Archive, Card, EmbeddedFile, MadeFiles, RemoteFile, Source};
use crate::data_root::DataRoot;
use crate::sha256;
use crate::unpack;

/// A file of a data set, or the folder of one, that is in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obtained {
    /// Where it is. An archive that was unpacked is there no more.
    pub path: PathBuf,
    /// How it came there.
    pub how: How,
    /// The SHA-256 that a file has whose card states none: it may be the wrong
    /// one. Everything else is what the card or the program says.
    pub unverified: Option<String>,
}

/// How a file came to its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// It was there already, and has the SHA-256 on the card if that states one.
    AlreadyThere,
    /// It is a folder whose archive was unpacked earlier. Its content was not
    /// looked at.
    AlreadyUnpacked,
    /// It was written from the program itself.
    Written,
    /// It was downloaded, of which this many bytes earlier.
    Downloaded {
        /// Bytes that an earlier, cut download had left.
        resumed_from: u64,
    },
    /// It is a folder, to which an archive was unpacked.
    Unpacked {
        /// The number of files that were in the archive.
        files: usize,
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
        "{url} was cut off after {received} of {} bytes ({reason}); run the same command again {}",
        .bytes.map_or("an unknown number of".to_owned(), |bytes| bytes.to_string()),
        if *.resumes { "to continue from there" } else { "to start again" }
    )]
    Cut {
        /// The address.
        url: String,
        /// Bytes that are in the `.part` file now.
        received: u64,
        /// Bytes that the file has, as far as the card or the server says.
        bytes: Option<u64>,
        /// Whether the next download goes on from there.
        resumes: bool,
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
    /// The folder of the set is there, but something else is in it.
    #[error(
        "{} is there, but was not unpacked from the archive on the card; \
         delete it or move it away and run the same command again", .0.display()
    )]
    OtherFolder(PathBuf),
    /// An archive is damaged, or has something in it that none should have.
    #[error(
        "cannot unpack {}, and it was deleted: {reason}; \
         run the same command again or give another address with --url", .path.display()
    )]
    BadArchive {
        /// The archive.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Another process downloads or unpacks the same file.
    #[error("another process is getting {}; wait for it", .0.display())]
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

pub(crate) type Result<T> = std::result::Result<T, DownloadError>;

/// Brings every file of a data set to its place below `root`. A file that is
/// there already is verified and left alone; so is the folder of an archive that
/// was unpacked, of which nothing is verified again.
///
/// `url` replaces the address on the card: that of the file itself, or, if the
/// set has several, of the folder that holds them all. `progress` counts bytes.
///
/// # Errors
/// See [`DownloadError`]. Whatever happens, no file with another SHA-256 than
/// that on the card gets to its place, and no folder without all that is in its
/// archive.
pub fn get(card: &Card, root: &DataRoot, url: Option<&str>, progress: &ProgressBar) -> Result<Vec<Obtained>> {
    let folder = root.folder(card);
    let home = match card.source {
        Source::Archive(_) => root.path(),
        _ => &folder,
    };
    fs::create_dir_all(home).map_err(at(home))?;
    match card.source {
        Source::Embedded(files) => write_texts(files, &folder),
        Source::Synthesized { texts, made } => {
            let made = write_made(made, &folder)?;
            // What names the sounds or pictures comes after them.
            Ok([vec![made], write_texts(texts, &folder)?].concat())
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
        Source::Archive(archive) => {
            let url = url.unwrap_or(archive.file.url);
            get_archive(archive, url, home, &folder, progress)
        }
    }
}

/// A bar that shows a download on a terminal, and nothing elsewhere.
pub fn progress_bar(name: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(
        "{prefix}: {msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta} left",
    );
    ProgressBar::new(0)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        .with_prefix(name.to_owned())
}

/// Has the bar show what is done now, for how many bytes, and how many of them
/// were done before.
pub(crate) fn show_step(progress: &ProgressBar, step: &'static str, bytes: Option<u64>, before: u64) {
    progress.set_message(step);
    match bytes {
        Some(bytes) => progress.set_length(bytes),
        None => progress.unset_length(),
    }
    progress.set_position(before);
    progress.reset_eta();
}

fn write_texts(files: &[EmbeddedFile], folder: &Path) -> Result<Vec<Obtained>> {
    files.iter().map(|file| write_embedded(folder.join(file.file), (file.text)().as_bytes())).collect()
}

/// Tells of the folder with all that was made in it.
fn write_made(made: &MadeFiles, folder: &Path) -> Result<Obtained> {
    let path = folder.join(made.folder);
    fs::create_dir_all(&path).map_err(at(&path))?;
    let write = |(index, (name, _)): (usize, &(String, u64))| {
        let path = folder.join(name);
        let content = (made.content)(index).map_err(at(&path))?;
        write_embedded(path, &content)
    };
    let written = (made.files)().par_iter().enumerate().map(write).collect::<Result<Vec<_>>>()?;
    let is_there = written.iter().all(|obtained| obtained.how == How::AlreadyThere);
    let how = if is_there { How::AlreadyThere } else { How::Written };
    Ok(Obtained { path, how, unverified: None })
}

/// What is embedded changes with the program, so an older file is replaced.
fn write_embedded(path: PathBuf, content: &[u8]) -> Result<Obtained> {
    if fs::read(&path).is_ok_and(|found| found == content) {
        return Ok(Obtained { path, how: How::AlreadyThere, unverified: None });
    }
    let part = part_of(&path);
    let mut file = open_part(&part)?;
    file.set_len(0)
        .and_then(|()| file.write_all(content))
        .map_err(|error| writing(&part, content.len() as u64, error))?;
    publish(&file, &part, &path)?;
    Ok(Obtained { path, how: How::Written, unverified: None })
}

fn get_archive(
    archive: &Archive,
    url: &str,
    home: &Path,
    folder: &Path,
    progress: &ProgressBar,
) -> Result<Vec<Obtained>> {
    let path = folder.to_owned();
    if unpack::is_unpacked(archive, folder) {
        // An earlier run may have been cut just before this last step.
        let _ = fs::remove_file(home.join(archive.file.file));
        return Ok(vec![Obtained { path, how: How::AlreadyUnpacked, unverified: None }]);
    }
    if folder.exists() {
        return Err(DownloadError::OtherFolder(path));
    }
    let file = get_file(&archive.file, url, home, progress)?;
    let files = unpack::unpack(archive, &file.path, folder, progress)?;
    let how = How::Unpacked { files };
    Ok(vec![file, Obtained { path, how, unverified: None }])
}

fn get_file(remote: &RemoteFile, url: &str, folder: &Path, progress: &ProgressBar) -> Result<Obtained> {
    let path = folder.join(remote.file);
    if path.exists() {
        let file = File::open(&path).map_err(at(&path))?;
        let found = checksum(&file, &path, progress)?;
        return match remote.sha256 {
            Some(expected) if found != expected => {
                Err(DownloadError::OtherFile { path, found, expected: expected.to_owned() })
            }
            expected => {
                let unverified = expected.is_none().then_some(found);
                Ok(Obtained { path, how: How::AlreadyThere, unverified })
            }
        };
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(at(parent))?;
    }

    let part = part_of(&path);
    let mut file = open_part(&part)?;
    let resumed_from = receive(remote, url, &mut file, &part, progress)?;
    file.rewind().map_err(at(&part))?;
    let found = checksum(&file, &part, progress)?;
    if let Some(expected) = remote.sha256
        && found != expected
    {
        discard(&part)?;
        let (url, expected) = (url.to_owned(), expected.to_owned());
        return Err(DownloadError::WrongChecksum { url, found, expected });
    }
    publish(&file, &part, &path)?;
    let unverified = remote.sha256.is_none().then_some(found);
    Ok(Obtained { path, how: How::Downloaded { resumed_from }, unverified })
}

/// The SHA-256 of the rest of a file, while the bar shows how far it is.
fn checksum(file: &File, path: &Path, progress: &ProgressBar) -> Result<String> {
    let bytes = file.metadata().map_err(at(path))?.len();
    show_step(progress, "verifying", Some(bytes), 0);
    sha256::of_reader(progress.wrap_read(file)).map_err(at(path))
}

/// Appends to `file` what it lacks and returns how many bytes it had before.
fn receive(
    remote: &RemoteFile,
    url: &str,
    file: &mut File,
    part: &Path,
    progress: &ProgressBar,
) -> Result<u64> {
    let mut received = file.metadata().map_err(at(part))?.len();
    // Without a checksum, nothing would tell that two parts are of two files.
    let resumes = remote.sha256.is_some();
    if resumes && remote.bytes == Some(received) {
        return Ok(received);
    }
    if !resumes || remote.bytes.is_some_and(|bytes| received > bytes) {
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
    let announced = response.body().content_length().map(|n| n + received);
    let bytes = remote.bytes.or(announced);
    show_step(progress, "downloading", bytes, received);
    let mut body = response.into_body().into_reader();
    let mut buffer = vec![0; 1 << 16];
    let cut = |received, reason| DownloadError::Cut { url: url.to_owned(), received, bytes, resumes, reason };
    loop {
        let n = match body.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(cut(received, error.to_string())),
        };
        let missing = bytes.map_or(0, |bytes| bytes.saturating_sub(received));
        received += n as u64;
        if let Some(bytes) = remote.bytes
            && received > bytes
        {
            discard(part)?;
            let url = url.to_owned();
            return Err(DownloadError::TooLong { url, bytes });
        }
        file.write_all(&buffer[..n]).map_err(|error| writing(part, missing, error))?;
        progress.set_position(received);
    }
    // A body that is as long as announced came whole, even if it is the wrong
    // one; the checksum will tell.
    if bytes.is_some_and(|bytes| received < bytes) && announced != Some(received) {
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

pub(crate) fn part_of(path: &Path) -> PathBuf {
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
    lock(&file, part)?;
    Ok(file)
}

/// Keeps other processes off a file as long as it is open.
pub(crate) fn lock(file: &File, path: &Path) -> Result<()> {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(DownloadError::Busy(path.to_owned())),
        // Some network file systems know no locks; one process alone needs none.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(()),
    }
}

/// Makes the finished `.part` file visible under its name, whole or not at all.
fn publish(file: &File, part: &Path, path: &Path) -> Result<()> {
    file.sync_all().map_err(|error| writing(part, 0, error))?;
    fs::rename(part, path).map_err(at(path))
}

pub(crate) fn discard(part: &Path) -> Result<()> {
    fs::remove_file(part).map_err(at(part))
}

pub(crate) fn at(path: &Path) -> impl Fn(io::Error) -> DownloadError {
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
