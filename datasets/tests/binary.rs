//! The `datasets` binary, with servers on this machine.

mod server;

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use flate2::Compression;
use flate2::write::GzEncoder;
use predicates::prelude::*;
use predicates::str::contains;
use server::Server;

fn datasets(root: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_datasets"));
    command.env_remove("CANDLE_RNN_DATA");
    command.arg("--data-root").arg(root);
    command
}

#[test]
fn list_names_every_set_and_says_which_are_here() {
    let root = tempfile::tempdir().unwrap();
    datasets(root.path())
        .arg("list")
        .assert()
        .success()
        .stdout(contains("tinyshakespeare").and(contains("not here")))
        .stdout(contains("multi30k").and(contains("speech")).and(contains("translation")))
        .stdout(contains("workspace").and(contains("built in")))
        .stdout(contains(root.path().to_str().unwrap()));
}

#[test]
fn a_set_whose_size_and_checksum_nobody_publishes_is_listed_shown_and_got_with_a_notice() {
    let root = tempfile::tempdir().unwrap();
    let listed = |pattern: &str| {
        let matches = predicates::str::is_match(pattern).unwrap();
        datasets(root.path()).arg("list").assert().success().stdout(matches);
    };
    listed("fsdd +size unknown +not here");
    datasets(root.path())
        .args(["show", "fsdd"])
        .assert()
        .success()
        .stdout(contains("archive      fsdd.tar.gz, unpacked to the folder fsdd"))
        .stdout(contains("size       not published").and(contains("SHA-256    not published")));
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for name in ["0_george_0.wav", "1_george_0.wav"] {
        let mut header = tar::Header::new_gnu();
        header.set_size(4);
        archive.append_data(&mut header, format!("set-d6938f9/recordings/{name}"), &b"RIFF"[..]).unwrap();
    }
    let server = Server::with_ranges(&archive.into_inner().unwrap().finish().unwrap());
    let get = || datasets(root.path()).args(["get", "fsdd", "--url", &server.url]).assert().success();
    get().stdout(contains("fsdd.tar.gz: downloaded, NOT verified").and(contains("2 files unpacked")));
    assert_eq!(fs::read(root.path().join("fsdd/recordings/1_george_0.wav")).unwrap(), b"RIFF");
    get().stdout(contains("already there, unpacked earlier"));
    listed("fsdd +size unknown +here");
}

#[test]
fn the_variable_names_the_data_root_if_no_flag_does() {
    Command::new(env!("CARGO_BIN_EXE_datasets"))
        .env("CANDLE_RNN_DATA", "the-variable")
        .arg("list")
        .assert()
        .success()
        .stdout(contains("data root: the-variable"));
}

#[test]
fn show_prints_the_whole_card() {
    let root = tempfile::tempdir().unwrap();
    datasets(root.path())
        .args(["show", "tinyshakespeare"])
        .assert()
        .success()
        .stdout(contains("public domain").and(contains("first 90 %")))
        .stdout(contains("https://").and(contains("1115394 bytes")))
        .stdout(contains("86c4e6aa9db7c042").and(contains("language-model")));
}

#[test]
fn an_unknown_name_is_a_usage_error_that_says_where_the_names_are() {
    let root = tempfile::tempdir().unwrap();
    for command in ["show", "get"] {
        datasets(root.path())
            .args([command, "shakespeare"])
            .assert()
            .code(2)
            .stderr(contains("`shakespeare`").and(contains("datasets list")));
    }
}

#[test]
fn get_writes_the_embedded_text_and_knows_it_again() {
    let root = tempfile::tempdir().unwrap();
    for outcome in ["written", "already there"] {
        datasets(root.path()).args(["get", "workspace"]).assert().success().stdout(contains(outcome));
    }
    let text = fs::read_to_string(root.path().join("workspace/input.txt")).unwrap();
    assert_eq!(text, datasets::embedded::workspace_text());
    datasets(root.path())
        .args(["get", "workspace", "--url", "http://127.0.0.1:1/"])
        .assert()
        .code(2)
        .stderr(contains("built in"));
}

#[test]
fn every_embedded_file_of_a_set_is_written_and_printed() {
    let root = tempfile::tempdir().unwrap();
    let rows = |file: &str| {
        let text = fs::read_to_string(root.path().join("translation").join(file)).unwrap();
        datasets(root.path()).args(["print", "translation", file]).assert().success().stdout(text.clone());
        assert_eq!(text.lines().next(), Some("en\tzh_TW"));
        assert!(text.lines().all(|line| line.split('\t').count() == 2));
        text.lines().count() - 1
    };
    datasets(root.path())
        .args(["get", "translation"])
        .assert()
        .success()
        .stdout(contains("written").count(3));
    assert_eq!(["train.tsv", "validation.tsv", "test.tsv"].map(rows), [6000, 300, 500]);
    datasets(root.path()).args(["print", "translation"]).assert().success().stdout(contains("en\t").count(3));
}

#[test]
fn get_writes_every_sound_that_the_tables_of_speech_name() {
    let root = tempfile::tempdir().unwrap();
    for outcome in ["written", "already there"] {
        datasets(root.path()).args(["get", "speech"]).assert().success().stdout(contains(outcome).count(4));
    }
    let folder = root.path().join("speech");
    let mut sounds = 0;
    for part in ["train", "validation", "test"] {
        let file = format!("{part}.tsv");
        let table = fs::read_to_string(folder.join(&file)).unwrap();
        datasets(root.path()).args(["print", "speech", &file]).assert().success().stdout(table.clone());
        assert_eq!(table.lines().next(), Some("path\ttext\tphonemes\tvoice"));
        for row in table.lines().skip(1) {
            let columns: Vec<_> = row.split('\t').collect();
            let [path, text, phonemes, voice] = columns[..] else { panic!("{row}") };
            assert!(!text.is_empty() && voice.parse::<u32>().is_ok());
            let end: u64 = phonemes.rsplit(':').next().unwrap().parse().unwrap();
            assert_eq!(folder.join(path).metadata().unwrap().len(), 44 + 2 * end);
            sounds += 1;
        }
    }
    assert_eq!(sounds, 1550);
    datasets(root.path())
        .arg("list")
        .assert()
        .success()
        .stdout(predicates::str::is_match("speech .* here").unwrap());
    datasets(root.path())
        .args(["get", "speech", "--url", "http://127.0.0.1:1/"])
        .assert()
        .code(2)
        .stderr(contains("built in"));
}

#[test]
fn get_writes_every_picture_that_the_tables_of_captioning_name() {
    let root = tempfile::tempdir().unwrap();
    for outcome in ["written", "already there"] {
        let got = datasets(root.path()).args(["get", "captioning"]).assert().success();
        got.stdout(contains(outcome).count(4));
    }
    let folder = root.path().join("captioning");
    let set = datasets::embedded::captioning();
    for (part, scenes) in [("train", &set.train), ("validation", &set.validation), ("test", &set.test)] {
        let table = fs::read_to_string(folder.join(format!("{part}.tsv"))).unwrap();
        let rows: Vec<Vec<_>> = table.lines().map(|line| line.split('\t').collect()).collect();
        assert_eq!(rows[0], ["image", "en", "zh-Hant"]);
        assert_eq!(rows.len(), 1 + 4 * scenes.len());
        for (row, scene) in rows[1..].iter().step_by(4).zip(scenes) {
            assert_eq!(row.len(), 3);
            assert_eq!(fs::read(folder.join("images").join(row[0])).unwrap(), scene.png().unwrap());
        }
    }
    let here = predicates::str::is_match("captioning .* here").unwrap();
    datasets(root.path()).arg("list").assert().success().stdout(here);
}

#[test]
fn what_cannot_be_printed_is_a_usage_error_that_says_what_can() {
    let root = tempfile::tempdir().unwrap();
    let cases = [
        (vec!["tinyshakespeare"], "datasets get tinyshakespeare"),
        (vec!["translation", "dev.tsv"], "train.tsv, validation.tsv, test.tsv"),
    ];
    for (arguments, message) in cases {
        datasets(root.path())
            .arg("print")
            .args(arguments)
            .assert()
            .code(2)
            .stdout("")
            .stderr(contains(message));
    }
}

#[test]
fn a_failed_get_says_why_exits_1_and_leaves_no_file() {
    let root = tempfile::tempdir().unwrap();
    let cases = [
        (Server::without_ranges(b"To be").url, "86c4e6aa9db7c042"),
        (Server::refusing(404).url, "404 Not Found"),
        (Server::cutting(b"To be", 3).url, "3 of 1115394 bytes"),
        ("http://127.0.0.1:1/".to_owned(), "refused"),
        ("no address".to_owned(), "--url"),
    ];
    for (url, message) in cases {
        datasets(root.path())
            .args(["get", "tinyshakespeare", "--url", &url])
            .assert()
            .code(1)
            .stdout("")
            .stderr(contains("error: ").and(contains(message)));
        assert!(!root.path().join("tinyshakespeare/input.txt").exists());
    }
}

/// Runs where the data root has the real file, and says so where it has not.
#[test]
fn the_real_file_is_got_resumed_and_recognised() {
    let variable = std::env::var_os("CANDLE_RNN_DATA").unwrap_or_default();
    let real = PathBuf::from(variable).join("tinyshakespeare/input.txt");
    let Ok(text) = fs::read(&real) else {
        eprintln!("skipped: no {}", real.display());
        return;
    };
    let root = tempfile::tempdir().unwrap();
    let cut = Server::cutting(&text, 500_000);
    let whole = Server::with_ranges(&text);
    let get = |url: &str| {
        let mut command = datasets(root.path());
        command.args(["get", "tinyshakespeare", "--url", url]);
        command.assert()
    };
    get(&cut.url).code(1).stderr(contains("again to continue"));
    get(&whole.url).success().stdout(contains("continued after 500000 bytes"));
    get(&whole.url).success().stdout(contains("already there"));
    assert_eq!(whole.ranges(), [Some("bytes=500000-".to_owned())]);
}

/// Runs where the data root has the real files, and says so where it has not.
#[test]
fn the_real_files_of_multi30k_are_those_on_the_card() {
    let variable = std::env::var_os("CANDLE_RNN_DATA").unwrap_or_default();
    let real = PathBuf::from(variable).join("multi30k");
    if !real.join("train.en.gz").exists() {
        eprintln!("skipped: no {}", real.display());
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let server = Server::of_folder(&real);
    for outcome in ["downloaded, SHA-256 verified", "already there"] {
        datasets(root.path())
            .args(["get", "multi30k", "--url", &server.url])
            .assert()
            .success()
            .stdout(contains(outcome).count(9));
    }
}
