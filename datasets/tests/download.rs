//! Downloads through the library, from servers on this machine.

mod server;

use std::fs;
use std::path::PathBuf;

use datasets::{Card, DataRoot, DownloadError, How, Obtained, RemoteFile, Source};
use indicatif::ProgressBar;
use server::Server;
use tempfile::TempDir;

/// The SHA-256 of [`content`].
const SHA256: &str = "cd2df694e424bc7968cc37f47751019e5ca0cd1bdf2e479ea537c3a1c32ee1aa";

/// 100,000 bytes: more than one read.
fn content() -> Vec<u8> {
    (0..100_000u32).map(|i| (i % 251) as u8).collect()
}

const CARD: Card = Card {
    name: "bytes",
    title: "bytes that count up",
    about: "",
    licence: "",
    home: "",
    split: "",
    applications: &[],
    source: Source::Remote(&[RemoteFile {
        file: "input.bin",
        url: "http://127.0.0.1:1/",
        bytes: Some(100_000),
        sha256: Some(SHA256),
    }]),
};

/// The SHA-256 of `abc`, example of FIPS 180-4.
const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

static TWO_FILES: Card = Card {
    source: Source::Remote(&[
        RemoteFile { file: "one.txt", url: "http://127.0.0.1:1/one", bytes: Some(3), sha256: Some(ABC) },
        RemoteFile {
            file: "two.bin",
            url: "http://127.0.0.1:1/two",
            bytes: Some(100_000),
            sha256: Some(SHA256),
        },
    ]),
    name: "two",
    ..CARD
};

struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("bytes")).unwrap();
        Self { folder }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("bytes/input.bin")
    }

    fn part(&self) -> PathBuf {
        self.folder.path().join("bytes/input.bin.part")
    }

    fn get(&self, url: &str) -> Result<How, DownloadError> {
        let root = DataRoot::resolve(Some(self.folder.path())).unwrap();
        let obtained = datasets::get(&CARD, &root, Some(url), &ProgressBar::hidden())?;
        let [Obtained { path, how, unverified: None }] = &obtained[..] else {
            panic!("one file: {obtained:?}");
        };
        assert_eq!(*path, self.file());
        assert_eq!(fs::read(path).unwrap(), content());
        assert!(!self.part().exists());
        Ok(*how)
    }

    /// The message of a download that fails and leaves no file in its place.
    fn refusal(&self, url: &str) -> String {
        let message = self.get(url).unwrap_err().to_string();
        assert!(!self.file().exists());
        message
    }
}

#[test]
fn a_file_is_downloaded_once_and_then_only_verified() {
    let place = Place::new();
    let server = Server::with_ranges(&content());
    let whole = How::Downloaded { resumed_from: 0 };
    assert_eq!(place.get(&server.url).unwrap(), whole);
    assert_eq!(place.get(&server.url).unwrap(), How::AlreadyThere);
    assert_eq!(server.ranges(), [None]);
}

#[test]
fn after_a_cut_only_the_rest_is_asked_for() {
    let place = Place::new();
    let message = place.refusal(&Server::cutting(&content(), 40_000).url);
    assert!(message.contains("40000 of 100000 bytes"), "{message}");
    assert!(message.contains("run the same command again"), "{message}");
    assert_eq!(fs::read(place.part()).unwrap(), content()[..40_000]);

    let server = Server::with_ranges(&content());
    let resumed_from = 40_000;
    let how = place.get(&server.url).unwrap();
    assert_eq!(how, How::Downloaded { resumed_from });
    assert_eq!(server.ranges(), [Some("bytes=40000-".to_owned())]);
}

#[test]
fn a_server_that_cannot_continue_sends_the_file_from_the_start() {
    let place = Place::new();
    fs::write(place.part(), &content()[..40_000]).unwrap();
    let how = place.get(&Server::without_ranges(&content()).url).unwrap();
    assert_eq!(how, How::Downloaded { resumed_from: 0 });
}

#[test]
fn a_complete_part_is_published_without_a_request() {
    let place = Place::new();
    fs::write(place.part(), content()).unwrap();
    let server = Server::with_ranges(&content());
    place.get(&server.url).unwrap();
    assert!(server.ranges().is_empty());
}

#[test]
fn a_part_that_is_too_long_is_started_again() {
    let place = Place::new();
    fs::write(place.part(), vec![0; 200_000]).unwrap();
    place.get(&Server::with_ranges(&content()).url).unwrap();
}

#[test]
fn a_server_whose_file_is_shorter_than_the_part_is_read_from_the_start() {
    let place = Place::new();
    fs::write(place.part(), &content()[..40_000]).unwrap();
    let message = place.refusal(&Server::with_ranges(b"short").url);
    assert!(message.contains("SHA-256"), "{message}");
}

#[test]
fn wrong_content_is_deleted_and_both_sums_are_told() {
    let place = Place::new();
    let mut wrong = content();
    wrong[70_000] ^= 1;
    let message = place.refusal(&Server::with_ranges(&wrong).url);
    let sums = message.split(|c: char| !c.is_ascii_hexdigit()).filter(|word| word.len() == 64);
    assert_eq!(sums.count(), 2, "{message}");
    assert!(message.contains(SHA256), "{message}");
    assert!(!place.part().exists());
}

#[test]
fn content_longer_than_the_card_says_is_deleted() {
    let place = Place::new();
    let message = place.refusal(&Server::with_ranges(&vec![7; 200_000]).url);
    assert!(message.contains("longer than the 100000 bytes"), "{message}");
    assert!(!place.part().exists());
}

#[test]
fn another_file_of_the_same_name_is_left_alone() {
    let place = Place::new();
    fs::write(place.file(), "mine").unwrap();
    let server = Server::with_ranges(&content());
    let error = place.get(&server.url).unwrap_err();
    assert!(matches!(error, DownloadError::OtherFile { .. }), "{error}");
    assert_eq!(fs::read(place.file()).unwrap(), b"mine");
    assert!(server.ranges().is_empty());
}

#[test]
fn a_status_other_than_success_is_told_and_keeps_the_part() {
    let place = Place::new();
    fs::write(place.part(), &content()[..40_000]).unwrap();
    let message = place.refusal(&Server::refusing(503).url);
    assert!(message.contains("503"), "{message}");
    assert!(place.part().exists());
}

#[test]
fn two_downloads_of_one_file_do_not_mix() {
    let place = Place::new();
    let other = fs::File::create(place.part()).unwrap();
    other.lock().unwrap();
    let message = place.refusal(&Server::with_ranges(&content()).url);
    assert!(message.contains("another process"), "{message}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_with_what_is_missing() {
    let place = Place::new();
    std::os::unix::fs::symlink("/dev/full", place.part()).unwrap();
    let message = place.refusal(&Server::with_ranges(&content()).url);
    assert!(message.contains("the disk is full"), "{message}");
    assert!(message.contains("100000 more bytes"), "{message}");
}

#[test]
fn each_file_of_a_set_is_got_from_the_folder_that_holds_them_all() {
    let served = tempfile::tempdir().unwrap();
    fs::write(served.path().join("one.txt"), "abc").unwrap();
    fs::write(served.path().join("two.bin"), content()).unwrap();
    let server = Server::of_folder(served.path());
    let folder = tempfile::tempdir().unwrap();
    let root = DataRoot::resolve(Some(folder.path())).unwrap();
    let get = || datasets::get(&TWO_FILES, &root, Some(&server.url), &ProgressBar::hidden()).unwrap();
    let how = |obtained: Vec<Obtained>| obtained.into_iter().map(|file| file.how).collect::<Vec<_>>();
    assert!(!root.has(&TWO_FILES));
    assert_eq!(how(get()), [How::Downloaded { resumed_from: 0 }; 2]);
    assert_eq!(how(get()), [How::AlreadyThere; 2]);
    assert!(root.has(&TWO_FILES));
    assert_eq!(fs::read(folder.path().join("two/two.bin")).unwrap(), content());
}
