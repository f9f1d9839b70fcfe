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
    /// Texts that are built into the program, and sounds that it makes;
    /// `datasets get` writes both to files.
    Synthesized {
        /// What is said in the sounds.
        texts: &'static [EmbeddedFile],
        /// The sounds.
        sounds: &'static Sounds,
    },
    /// Files to download.
    Remote(&'static [RemoteFile]),
}

/// A text that is built into the program.
#[derive(Debug)]
pub struct EmbeddedFile {
    /// The name of the file below the set's folder.
    pub file: &'static str,
    /// The text.
    pub text: fn() -> &'static str,
}

/// Sound files that the program makes.
#[derive(Debug)]
pub struct Sounds {
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
    /// The size in bytes.
    pub bytes: u64,
    /// The SHA-256 of the content, in lower-case hexadecimal.
    pub sha256: &'static str,
}

impl Card {
    /// The size of the set in bytes.
    pub fn bytes(&self) -> u64 {
        self.files().iter().map(|(_, bytes)| bytes).sum()
    }

    /// The names of the set's files below its folder, with their sizes in bytes.
    pub fn files(&self) -> Vec<(&'static str, u64)> {
        let texts = self.source.texts().iter().map(|file| (file.file, (file.text)().len() as u64));
        match self.source {
            Source::Embedded(_) => texts.collect(),
            Source::Synthesized { sounds, .. } => texts.chain(sounds.named()).collect(),
            Source::Remote(files) => files.iter().map(|file| (file.file, file.bytes)).collect(),
        }
    }
}

impl Source {
    /// The texts that are built into the program.
    pub fn texts(&self) -> &'static [EmbeddedFile] {
        match *self {
            Self::Embedded(texts) | Self::Synthesized { texts, .. } => texts,
            Self::Remote(_) => &[],
        }
    }
}

impl Sounds {
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
        let mut file = |name: &str, bytes: u64, address: &str, sha256: &str| {
            writeln!(f, "\nfile         {}/{name}", self.name)?;
            writeln!(f, "  address    {address}")?;
            writeln!(f, "  size       {bytes} bytes")?;
            writeln!(f, "  SHA-256    {sha256}")
        };
        for embedded in self.source.texts() {
            let text = (embedded.text)();
            let sum = sha256::of_bytes(text.as_bytes());
            file(embedded.file, text.len() as u64, "built into the program", &sum)?;
        }
        match self.source {
            Source::Embedded(_) => Ok(()),
            Source::Synthesized { sounds, .. } => {
                let bytes: u64 = sounds.named().map(|(_, bytes)| bytes).sum();
                writeln!(f, "\nfolder       {}/{}", self.name, sounds.folder)?;
                writeln!(f, "  address    made by the program")?;
                writeln!(f, "  size       {} files, {bytes} bytes", sounds.named().count())
            }
            Source::Remote(files) => {
                files.iter().try_for_each(|remote| file(remote.file, remote.bytes, remote.url, remote.sha256))
            }
        }
    }
}
