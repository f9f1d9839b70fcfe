//! Reading a file, a folder or the standard input.

use std::convert::Infallible;
use std::fmt;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use walkdir::WalkDir;

use crate::Error;

/// Where a corpus comes from. Parsed from a command line: `-` is the standard input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The standard input, to its end.
    Stdin,
    /// A file; or a folder, of which every text file is read.
    Path(PathBuf),
}

impl FromStr for Source {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text {
            "-" => Source::Stdin,
            path => Source::Path(path.into()),
        })
    }
}

impl From<&Path> for Source {
    fn from(path: &Path) -> Self {
        Source::Path(path.to_owned())
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Stdin => f.write_str("the standard input"),
            Source::Path(path) => path.display().fmt(f),
        }
    }
}

/// The bytes of one or more files, in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Corpus {
    bytes: Vec<u8>,
    /// Each file's name and where its bytes start.
    files: Vec<(String, usize)>,
}

impl Corpus {
    /// A corpus of one named piece, for example an embedded text.
    pub fn new(name: &str, bytes: impl Into<Vec<u8>>) -> Self {
        Corpus { bytes: bytes.into(), files: vec![(name.to_owned(), 0)] }
    }

    /// All bytes. Between files there is a line break where the earlier one did not end in one.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// All of it as text.
    ///
    /// # Errors
    /// [`Error::NotUtf8`], which names the file and the offset of the invalid byte in that file.
    pub fn text(&self) -> Result<&str, Error> {
        std::str::from_utf8(&self.bytes).map_err(|error| {
            let at = error.valid_up_to();
            let after = self.files.partition_point(|(_, start)| *start <= at);
            let (name, start) = match self.files.get(after.saturating_sub(1)) {
                Some((name, start)) => (name.clone(), *start),
                None => ("the text".to_owned(), 0),
            };
            Error::NotUtf8 { name, offset: at - start }
        })
    }

    /// The names of the files, in the order of their bytes.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|(name, _)| name.as_str())
    }

    fn push(&mut self, name: String, bytes: &[u8]) {
        if self.bytes.last().is_some_and(|&last| last != b'\n') {
            self.bytes.push(b'\n');
        }
        self.files.push((name, self.bytes.len()));
        self.bytes.extend_from_slice(bytes);
    }
}

/// Reads everything `source` holds.
///
/// Of a folder, all text files below it are read, sorted by path. Hidden files and folders, links
/// and empty files are passed over, and so are files with a zero byte among their first 8,000
/// (git's rule for "not text").
///
/// # Errors
/// A missing or unreadable path; [`Error::Empty`] if there is not one byte;
/// [`Error::NoTextFiles`]. Whether the bytes are text is for [`Corpus::text`] to say.
pub fn read(source: &Source) -> Result<Corpus, Error> {
    let failed = |source: io::Error, name: String| Error::Io { action: "read", name, source };
    let corpus = match source {
        Source::Stdin => {
            let mut bytes = Vec::new();
            io::stdin().lock().read_to_end(&mut bytes).map_err(|error| failed(error, source.to_string()))?;
            Corpus::new(&source.to_string(), bytes)
        }
        Source::Path(path) if path.is_dir() => return read_folder(path),
        Source::Path(path) => {
            let bytes = fs::read(path).map_err(|error| failed(error, source.to_string()))?;
            Corpus::new(&source.to_string(), bytes)
        }
    };
    if corpus.bytes.is_empty() {
        return Err(Error::Empty(source.to_string()));
    }
    Ok(corpus)
}

fn read_folder(folder: &Path) -> Result<Corpus, Error> {
    let mut corpus = Corpus { bytes: Vec::new(), files: Vec::new() };
    let hidden = |name: &std::ffi::OsStr| name.as_encoded_bytes().starts_with(b".");
    let entries = WalkDir::new(folder)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(|entry| entry.depth() == 0 || !hidden(entry.file_name()));
    for entry in entries {
        let entry = entry.map_err(|error| Error::Io {
            action: "read",
            name: folder.display().to_string(),
            source: error.into(),
        })?;
        if !entry.file_type().is_file() {
            continue;
        }
        let name = entry.path().display().to_string();
        let bytes = fs::read(entry.path()).map_err(|source| Error::Io {
            action: "read",
            name: name.clone(),
            source,
        })?;
        if !bytes.is_empty() && !bytes[..bytes.len().min(8000)].contains(&0) {
            corpus.push(name, &bytes);
        }
    }
    if corpus.files.is_empty() {
        return Err(Error::NoTextFiles(folder.to_owned()));
    }
    Ok(corpus)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_read_in_order_without_hidden_and_binary_files() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
        fs::create_dir(folder.path().join("a")).unwrap();
        write("a/z.txt", b"first");
        write("b.txt", b"second\n");
        write("c.txt", b"");
        write("d.png", b"\x89PNG\0\0");
        write(".hidden", b"no");
        write("e.md", b"third");
        let corpus = read(&Source::from(folder.path())).unwrap();
        assert_eq!(corpus.text().unwrap(), "first\nsecond\nthird");
        assert_eq!(corpus.names().count(), 3);
    }

    #[test]
    fn bytes_that_are_not_utf8_are_named_by_file_and_offset() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.txt"), "good\n").unwrap();
        fs::write(folder.path().join("b.txt"), b"ab\xffc").unwrap();
        let corpus = read(&Source::from(folder.path())).unwrap();
        let message = corpus.text().unwrap_err().to_string();
        assert!(message.contains("b.txt") && message.contains("offset 2"), "{message}");
        assert_eq!(corpus.bytes().len(), 9);
    }

    #[test]
    fn missing_and_empty_files_are_errors_that_name_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("none.txt");
        let message = read(&Source::from(path.as_path())).unwrap_err().to_string();
        assert!(message.contains("cannot read") && message.contains("none.txt"), "{message}");
        fs::write(&path, "").unwrap();
        let error = read(&Source::from(path.as_path())).unwrap_err();
        assert!(matches!(&error, Error::Empty(name) if name.contains("none.txt")));
        fs::remove_file(&path).unwrap();
        let error = read(&Source::from(folder.path())).unwrap_err();
        assert!(matches!(error, Error::NoTextFiles(_)));
    }

    #[test]
    fn a_dash_means_the_standard_input() {
        assert_eq!("-".parse::<Source>().unwrap(), Source::Stdin);
        assert_eq!("x".parse::<Source>().unwrap(), Source::Path("x".into()));
    }
}
