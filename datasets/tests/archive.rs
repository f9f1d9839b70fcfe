//! Archives that are downloaded and unpacked, from servers on this machine.

#[allow(dead_code, reason = "other tests use the rest")]
mod server;

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use datasets::{Archive, Card, DataRoot, DownloadError, How, Obtained, RemoteFile, Source};
use flate2::Compression;
use flate2::write::GzEncoder;
use indicatif::ProgressBar;
use server::Server;
use sha2::{Digest, Sha256};
use tar::{EntryType, Header};
use tempfile::TempDir;

/// An entry with this path, whatever it is.
fn entry(path: &str, kind: EntryType, content: &[u8]) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
    header.set_entry_type(kind);
    if matches!(kind, EntryType::Symlink | EntryType::Link) {
        header.set_link_name("../../outside").unwrap();
    }
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    header.set_cksum();
    let padding = vec![0; content.len().next_multiple_of(512) - content.len()];
    [header.as_bytes(), content, &padding].concat()
}

fn file(path: &str, content: &[u8]) -> Vec<u8> {
    entry(path, EntryType::Regular, content)
}

fn gzipped(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&entries.concat()).unwrap();
    encoder.write_all(&[0; 1024]).unwrap();
    encoder.finish().unwrap()
}

/// 100,000 bytes that do not become less when compressed.
fn noise() -> Vec<u8> {
    (0..100_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

/// Three files in two folders, all in one that is left out.
fn archive() -> Vec<u8> {
    gzipped(&[
        entry("pax_global_header", EntryType::XGlobalHeader, b"30 comment=the commit d6938f\n"),
        entry("set-1.0/", EntryType::Directory, b""),
        file("set-1.0/README", b"read me"),
        entry("./set-1.0/empty/", EntryType::Directory, b""),
        file("set-1.0/sounds/one.wav", b"one"),
        file("set-1.0/sounds/noise.wav", &noise()),
    ])
}

/// The card of this archive, which states its size and checksum or does not.
fn card(archive: &[u8], is_published: bool) -> &'static Card {
    let sum: String = Sha256::digest(archive).iter().map(|byte| format!("{byte:02x}")).collect();
    let file = RemoteFile {
        file: "set.tar.gz",
        url: "http://127.0.0.1:1/",
        bytes: is_published.then_some(archive.len() as u64),
        sha256: is_published.then(|| &*sum.leak()),
    };
    Box::leak(Box::new(Card {
        name: "set",
        title: "",
        about: "",
        licence: "",
        home: "",
        split: "",
        applications: &[],
        source: Source::Archive(Box::leak(Box::new(Archive { file, strip: 1 }))),
    }))
}

struct Place {
    folder: TempDir,
    root: DataRoot,
    card: &'static Card,
}

impl Place {
    fn new(card: &'static Card) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = DataRoot::resolve(Some(&folder.path().join("data"))).unwrap();
        fs::create_dir(root.path()).unwrap();
        Self { folder, root, card }
    }

    fn get(&self, url: &str) -> Result<Vec<Obtained>, DownloadError> {
        datasets::get(self.card, &self.root, Some(url), &ProgressBar::hidden())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Everything below the data root.
    fn files(&self) -> Vec<String> {
        fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => walk(&path, found),
                    false => found.push(path),
                }
            }
        }
        let mut found = vec![];
        walk(self.root.path(), &mut found);
        let name = |path: PathBuf| path.strip_prefix(self.root.path()).unwrap().display().to_string();
        let mut names: Vec<_> = found.into_iter().map(name).collect();
        names.sort();
        names
    }

    fn assert_whole(&self) {
        let expected =
            ["set/.unpacked", "set/README", "set/sounds/noise.wav", "set/sounds/one.wav"].map(String::from);
        assert_eq!(self.files(), expected);
        assert!(self.path("set/empty").is_dir());
        assert_eq!(fs::read(self.path("set/sounds/noise.wav")).unwrap(), noise());
        assert!(self.root.has(self.card));
    }

    /// The message of a download that fails and leaves no set.
    fn refusal(&self, url: &str) -> String {
        let message = self.get(url).unwrap_err().to_string();
        assert!(!self.path("set").exists() && !self.path("set.part").exists());
        assert!(!self.root.has(self.card));
        message
    }
}

fn how(obtained: Vec<Obtained>) -> Vec<How> {
    obtained.into_iter().map(|obtained| obtained.how).collect()
}

#[test]
fn an_archive_becomes_a_folder_once_and_is_then_left_alone() {
    let bytes = archive();
    let place = Place::new(card(&bytes, true));
    let server = Server::with_ranges(&bytes);
    assert!(!place.root.has(place.card));
    let obtained = place.get(&server.url).unwrap();
    assert!(obtained.iter().all(|obtained| obtained.unverified.is_none()));
    assert_eq!(how(obtained), [How::Downloaded { resumed_from: 0 }, How::Unpacked { files: 3 }]);
    place.assert_whole();
    // as after a cut between the last two steps
    fs::write(place.path("set.tar.gz"), &bytes).unwrap();
    assert_eq!(how(place.get(&server.url).unwrap()), [How::AlreadyUnpacked]);
    assert_eq!(server.ranges(), [None]);
    place.assert_whole();
}

#[test]
fn a_cut_download_of_an_archive_is_continued_and_then_unpacked() {
    let bytes = archive();
    let place = Place::new(card(&bytes, true));
    let message = place.refusal(&Server::cutting(&bytes, 4_000).url);
    assert!(message.contains("again to continue from there"), "{message}");
    let obtained = place.get(&Server::with_ranges(&bytes).url).unwrap();
    assert_eq!(how(obtained), [How::Downloaded { resumed_from: 4_000 }, How::Unpacked { files: 3 }]);
    place.assert_whole();
}

#[test]
fn an_unpacking_that_was_cut_is_done_again_from_the_archive_that_is_there() {
    let bytes = archive();
    let place = Place::new(card(&bytes, true));
    fs::write(place.path("set.tar.gz"), &bytes).unwrap();
    fs::create_dir(place.path("set.part")).unwrap();
    fs::write(place.path("set.part/README"), "half").unwrap();
    fs::write(place.path("set.part/stale"), "from another version").unwrap();
    assert!(!place.root.has(place.card));
    let obtained = place.get("http://127.0.0.1:1/").unwrap();
    assert_eq!(how(obtained), [How::AlreadyThere, How::Unpacked { files: 3 }]);
    place.assert_whole();
}

#[test]
fn what_has_no_checksum_is_got_and_said_to_be_unverified() {
    let bytes = archive();
    let place = Place::new(card(&bytes, false));
    let sum = match card(&bytes, true).source {
        Source::Archive(archive) => archive.file.sha256.unwrap(),
        _ => unreachable!(),
    };
    let obtained = place.get(&Server::with_ranges(&bytes).url).unwrap();
    assert_eq!(obtained[0].unverified.as_deref(), Some(sum));
    assert_eq!(obtained[1].unverified, None);
    place.assert_whole();
}

#[test]
fn what_has_no_checksum_is_not_put_together_from_two_downloads() {
    let bytes = archive();
    let place = Place::new(card(&bytes, false));
    let message = place.refusal(&Server::cutting(&bytes, 4_000).url);
    assert!(message.contains(&format!("4000 of {} bytes", bytes.len())), "{message}");
    assert!(message.contains("run the same command again to start again"), "{message}");
    let server = Server::with_ranges(&bytes);
    place.get(&server.url).unwrap();
    assert_eq!(server.ranges(), [None]);
    place.assert_whole();
}

#[test]
fn paths_that_leave_the_folder_links_and_devices_are_refused() {
    let cases = [
        (file("set-1.0/../../outside", b"x"), "set-1.0/../../outside leads out of the folder"),
        (file("../outside", b"x"), "../outside leads out of the folder"),
        (file("/outside", b"x"), "/outside leads out of the folder"),
        (entry("set-1.0/link", EntryType::Symlink, b""), "set-1.0/link is neither a file nor a folder"),
        (entry("set-1.0/link", EntryType::Link, b""), "set-1.0/link is neither a file nor a folder"),
        (entry("set-1.0/tty", EntryType::Char, b""), "set-1.0/tty is neither a file nor a folder"),
        (entry("set-1.0/pipe", EntryType::Fifo, b""), "set-1.0/pipe is neither a file nor a folder"),
    ];
    for (bad, reason) in cases {
        for is_published in [true, false] {
            let bytes = gzipped(&[file("set-1.0/README", b"read me"), bad.clone()]);
            let place = Place::new(card(&bytes, is_published));
            let message = place.refusal(&Server::with_ranges(&bytes).url);
            assert!(message.contains(reason), "{message}");
            assert!(place.files().is_empty());
            assert_eq!(fs::read_dir(place.folder.path()).unwrap().count(), 1);
        }
    }
}

#[test]
fn a_damaged_archive_is_deleted_and_can_be_got_again() {
    let bytes = archive();
    let mut wrong_checksum = bytes.clone();
    wrong_checksum[bytes.len() - 8] ^= 1;
    let mut wrong_content = bytes.clone();
    wrong_content[bytes.len() / 2] ^= 1;
    let short = &bytes[..bytes.len() - 1];
    let empty = gzipped(&[]);
    for damaged in
        [&wrong_checksum[..], &wrong_content, short, &empty, b"", b"a page that says the file moved"]
    {
        let place = Place::new(card(&bytes, false));
        let message = place.refusal(&Server::with_ranges(damaged).url);
        assert!(message.contains("it is damaged") || message.contains("there is no file in it"), "{message}");
        assert!(message.contains("run the same command again"), "{message}");
        assert!(place.files().is_empty());
        place.get(&Server::with_ranges(&bytes).url).unwrap();
        place.assert_whole();
    }
}

#[test]
fn a_folder_of_the_same_name_with_something_else_is_left_alone() {
    let bytes = archive();
    let place = Place::new(card(&bytes, true));
    let server = Server::with_ranges(&bytes);
    fs::create_dir(place.path("set")).unwrap();
    fs::write(place.path("set/mine"), "mine").unwrap();
    assert!(!place.root.has(place.card));
    let error = place.get(&server.url).unwrap_err();
    assert!(matches!(error, DownloadError::OtherFolder(_)), "{error}");
    assert_eq!(place.files(), ["set/mine"]);
    assert!(server.ranges().is_empty());
}

#[test]
fn two_unpackings_of_one_archive_do_not_mix() {
    let bytes = archive();
    let place = Place::new(card(&bytes, true));
    fs::write(place.path("set.tar.gz"), &bytes).unwrap();
    let other = File::open(place.path("set.tar.gz")).unwrap();
    other.lock().unwrap();
    fs::create_dir(place.path("set.part")).unwrap();
    fs::write(place.path("set.part/README"), "of the other").unwrap();
    let error = place.get("http://127.0.0.1:1/").unwrap_err();
    assert!(matches!(error, DownloadError::Busy(_)), "{error}");
    assert_eq!(place.files(), ["set.part/README", "set.tar.gz"]);
}
