//! What there is to know about a data set.

use std::{fmt, io};

use crate::sha256;

/// The card of a data set. Its [`Display`](fmt::Display) is what `datasets
/// show` prints.
#[derive(Debug)]
pub struct Card {
    /// The name on the command line and of the folder below the data root.
    pub name: &'static str,
    /// What it is, in a few words.
    pub title: &'static str,
    /// What is in it: kind, amount, encoding.
    pub about: &'static str,
    /// Under which terms it may be used.
    pub licence: &'static str,
    /// The public page that describes it.
    pub home: &'static str,
    /// Which part trains, which validates, which tests.
    pub split: &'static str,
    /// The applications that read it.
    pub applications: &'static [&'static str],
    /// Where its bytes come from.
    pub source: Source,
}

/// Where the bytes of a data set come from.
#[derive(Debug)]
pub enum Source {
    /// Texts that are built into the program; `datasets get` writes them to
    /// files.
    Embedded(&'static [EmbeddedFile]),
    /// Texts that are built into the program, and sounds or pictures that it
    /// makes; `datasets get` writes both to files.
    Synthesized {
        /// What is said in the sounds, or of the pictures.
        texts: &'static [EmbeddedFile],
        /// The sounds or pictures.
        made: &'static MadeFiles,
    },
    /// Files to download.
    Remote(&'static [RemoteFile]),
    /// An archive to download, with everything that is in the set's folder.
    Archive(&'static Archive),
}

/// A text that is built into the program.
#[derive(Debug)]
pub struct EmbeddedFile {
    /// The name of the file below the set's folder.
    pub file: &'static str,
    /// The text.
    pub text: fn() -> &'static str,
}

/// Sounds or pictures that the program makes.
#[derive(Debug)]
pub struct MadeFiles {
    /// The folder below the set's folder that they are in.
    pub folder: &'static str,
    /// The names of all files below the set's folder, with their sizes in bytes.
    pub files: fn() -> &'static [(String, u64)],
    /// The content of one of the files.
    pub content: fn(usize) -> io::Result<Vec<u8>>,
}

/// A file to download, and how to know that it is the right one.
#[derive(Debug)]
pub struct RemoteFile {
    /// The name of the file below the set's folder.
    pub file: &'static str,
    /// The public address.
    pub url: &'static str,
    /// The size in bytes, if it is published.
    pub bytes: Option<u64>,
    /// The SHA-256 of the content, in lower-case hexadecimal, if it is
    /// published. Without it nothing tells whether what comes is the right file.
    pub sha256: Option<&'static str>,
}

/// An archive to download and to unpack.
#[derive(Debug)]
pub struct Archive {
    /// A gzipped tape archive. It lies beside the set's folder, under its
    /// name, until it is unpacked, and is then deleted.
    pub file: RemoteFile,
    /// How many folders to leave out at the beginning of every path in it.
    pub strip: usize,
}

impl Card {
    /// The size in bytes of what is written or downloaded, if it is known.
    pub fn bytes(&self) -> Option<u64> {
        match self.source {
            Source::Archive(archive) => archive.file.bytes,
            _ => self.files().iter().map(|(_, bytes)| *bytes).sum(),
        }
    }

    /// The names of the set's files below its folder, with their sizes in
    /// bytes as far as they are known. The card of an archive names none.
    pub fn files(&self) -> Vec<(&'static str, Option<u64>)> {
        let texts = self.source.texts().iter().map(|file| (file.file, (file.text)().len() as u64));
        let known = |(name, bytes)| (name, Some(bytes));
        match self.source {
            Source::Embedded(_) => texts.map(known).collect(),
            Source::Synthesized { made, .. } => texts.chain(made.named()).map(known).collect(),
            Source::Remote(files) => files.iter().map(|file| (file.file, file.bytes)).collect(),
            Source::Archive(_) => vec![],
        }
    }
}

impl Source {
    /// The texts that are built into the program.
    pub fn texts(&self) -> &'static [EmbeddedFile] {
        match *self {
            Self::Embedded(texts) | Self::Synthesized { texts, .. } => texts,
            Self::Remote(_) | Self::Archive(_) => &[],
        }
    }
}

impl MadeFiles {
    fn named(&self) -> impl Iterator<Item = (&'static str, u64)> {
        (self.files)().iter().map(|(name, bytes)| (name.as_str(), *bytes))
    }
}

impl fmt::Display for Card {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}\n", self.name, self.title)?;
        writeln!(f, "{}\n", self.about)?;
        writeln!(f, "licence      {}", self.licence)?;
        writeln!(f, "home         {}", self.home)?;
        writeln!(f, "split        {}", self.split)?;
        writeln!(f, "read by      {}", self.applications.join(", "))?;
        for embedded in self.source.texts() {
            let text = (embedded.text)();
            writeln!(f, "\nfile         {}/{}", self.name, embedded.file)?;
            writeln!(f, "  address    built into the program")?;
            writeln!(f, "  size       {} bytes", text.len())?;
            writeln!(f, "  SHA-256    {}", sha256::of_bytes(text.as_bytes()))?;
        }
        match self.source {
            Source::Embedded(_) => Ok(()),
            Source::Synthesized { made, .. } => {
                let bytes: u64 = made.named().map(|(_, bytes)| bytes).sum();
                writeln!(f, "\nfolder       {}/{}", self.name, made.folder)?;
                writeln!(f, "  address    made by the program")?;
                writeln!(f, "  size       {} files, {bytes} bytes", made.named().count())
            }
            Source::Remote(files) => files.iter().try_for_each(|remote| {
                writeln!(f, "\nfile         {}/{}", self.name, remote.file)?;
                write!(f, "{remote}")
            }),
            Source::Archive(archive) => {
                writeln!(f, "\narchive      {}, unpacked to the folder {}", archive.file.file, self.name)?;
                write!(f, "{}", archive.file)
            }
        }
    }
}

impl fmt::Display for RemoteFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  address    {}", self.url)?;
        match self.bytes {
            Some(bytes) => writeln!(f, "  size       {bytes} bytes")?,
            None => writeln!(f, "  size       not published")?,
        }
        match self.sha256 {
            Some(sum) => writeln!(f, "  SHA-256    {sum}"),
            None => writeln!(f, "  SHA-256    not published; what is downloaded cannot be verified"),
        }
    }
}
