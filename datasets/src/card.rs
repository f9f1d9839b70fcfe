//! What there is to know about a data set.

use std::fmt;

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
        match self.source {
            Source::Embedded(files) => {
                files.iter().map(|file| (file.file, (file.text)().len() as u64)).collect()
            }
            Source::Remote(files) => files.iter().map(|file| (file.file, file.bytes)).collect(),
        }
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
        match self.source {
            Source::Embedded(files) => files.iter().try_for_each(|embedded| {
                let text = (embedded.text)();
                let sum = sha256::of_bytes(text.as_bytes());
                file(embedded.file, text.len() as u64, "built into the program", &sum)
            }),
            Source::Remote(files) => {
                files.iter().try_for_each(|remote| file(remote.file, remote.bytes, remote.url, remote.sha256))
            }
        }
    }
}
