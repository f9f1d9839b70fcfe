//! The binary from outside: what it prints, how it ends, and that bad input is told.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use assert_cmd::Command;
use image::{Rgb, RgbImage};
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use tempfile::TempDir;

/// Settings that make a training a matter of moments.
const TINY: &[&str] = &[
    "--size",
    "32",
    "--region-size",
    "16",
    "--embedding-size",
    "16",
    "--hidden-size",
    "16",
    "--attention-size",
    "16",
    "--batch",
    "8",
    "--warmup-steps",
    "5",
    "--device",
    "cpu",
    "--threads",
    "1",
];

fn program(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_captioning"));
    command.current_dir(folder);
    command
}

/// A folder with pictures of one colour in `images`, a table of them, and what is no picture in `mixed`.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = |path: &str| folder.path().join(path);
    fs::create_dir(at("images")).unwrap();
    fs::create_dir(at("mixed")).unwrap();
    let mut table = "image\ten\tde\n".to_owned();
    for number in 0..16u8 {
        let (colour, pixel) =
            if number % 2 == 0 { ("red", Rgb([200, number, 0])) } else { ("blue", Rgb([0, number, 200])) };
        let name = format!("{number}.png");
        RgbImage::from_pixel(24, 20, pixel).save(at("images").join(&name)).unwrap();
        table += &format!("{name}\tA {colour} picture\t{colour}es Bild\n");
    }
    fs::write(at("table.tsv"), &table).unwrap();
    RgbImage::from_pixel(1, 1, Rgb([200, 0, 0])).save(at("mixed/one.png")).unwrap();
    RgbImage::from_pixel(60, 40, Rgb([0, 0, 200])).save(at("mixed/photo.jpg")).unwrap();
    let whole = fs::read(at("mixed/photo.jpg")).unwrap();
    fs::write(at("mixed/cut.jpg"), &whole[..whole.len() / 3]).unwrap();
    fs::write(at("mixed/moving.gif"), b"GIF89a\x01\0\x01\0\0\0\0;").unwrap();
    fs::write(at("mixed/notes.txt"), b"no picture").unwrap();
    fs::write(at("mixed/empty.png"), b"").unwrap();
    folder
}

fn train(folder: &Path, out: &str, more: &[&str]) -> assert_cmd::assert::Assert {
    let data = ["train", "--data", "table.tsv", "--validation", "table.tsv", "--out", out];
    program(folder).args(data).args(TINY).args(more).assert()
}

/// A folder with a run in it, trained once for all tests that only look at it.
static TRAINED: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = folder();
    train(folder.path(), "run", &["--epochs", "30", "--learning-rate", "0.01", "--evaluate-every", "20"])
        .success()
        .stdout(contains("best validation cider").and(contains("model in")));
    folder
});

#[test]
fn pictures_are_captioned_and_what_is_none_is_named() {
    let folder = TRAINED.path();
    program(folder)
        .args(["caption", "run", "mixed"])
        .assert()
        .code(1)
        .stdout(contains("one.png\ta red picture").and(contains("photo.jpg\ta blue picture")))
        .stderr(
            contains("moving.gif: it is neither a PNG nor a JPEG")
                .and(contains("notes.txt: it is neither"))
                .and(contains("cut.jpg: it is damaged"))
                .and(contains("empty.png: it is neither"))
                .and(contains("4 of 6 files are not captioned")),
        );
    program(folder)
        .args(["caption", "run", "missing.png"])
        .assert()
        .code(1)
        .stderr(contains("cannot use missing.png"));
}

#[test]
fn captions_come_as_text_json_pictures_and_a_page() {
    let folder = TRAINED.path();
    let output = program(folder)
        .args([
            "caption",
            "run",
            "images/0.png",
            "images/1.png",
            "--json",
            "--nbest",
            "2",
            "--html",
            "page.html",
        ])
        .assert()
        .success();
    let lines = String::from_utf8(output.get_output().stdout.clone()).unwrap();
    let lines: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[1]["captions"][0]["text"], "a blue picture");
    assert_eq!(lines[1]["captions"].as_array().unwrap().len(), 2);
    assert_eq!(lines[0]["captions"][0]["attention"][0].as_array().unwrap().len(), 16);
    let page = fs::read_to_string(folder.join("page.html")).unwrap();
    assert_eq!(page.matches("<figure").count(), 2);
    program(folder).args(["caption", "run", "images/1.png", "--attention", "tiles.png"]).assert().success();
    let tiles = image::open(folder.join("tiles.png")).unwrap();
    assert!(tiles.width() > tiles.height());
    program(folder)
        .args(["caption", "run", "images", "--attention", "tiles.png"])
        .assert()
        .code(2)
        .stderr(contains("draws one picture, not 16"));
    program(folder)
        .args(["caption", "run", "images/1.png", "--attention", "tiles.gif"])
        .assert()
        .code(2)
        .stderr(contains("neither in .png nor in .svg"));
}

#[test]
fn captions_are_measured_beside_those_of_the_most_similar_pictures() {
    let folder = TRAINED.path();
    program(folder)
        .args(["eval", "run", "--cache", "cache", "--html", "eval.html"])
        .assert()
        .success()
        .stdout(contains("16 pictures").and(contains("nearest neighbour  BLEU-1 = 1.000")));
    let json = program(folder).args(["eval", "run", "--no-neighbours", "--json"]).assert().success();
    let value: serde_json::Value = serde_json::from_slice(&json.get_output().stdout).unwrap();
    assert!(value["scores"]["model"]["bleu"][0].as_f64().unwrap() > 0.999_999);
    assert!(value["scores"].get("nearest_neighbour").is_none());
    // The drawn scenes have another vocabulary, but are judged all the same.
    program(folder)
        .args(["eval", "run", "--data", "embedded-unseen", "--no-neighbours"])
        .assert()
        .success()
        .stdout(contains("% are true of their scene"));
}

#[test]
fn captions_of_pictures_that_cannot_be_used_are_not_measured() {
    let folder = TRAINED.path();
    fs::write(folder.join("broken.tsv"), "image\tcaption\n../mixed/empty.png\ta red picture\n").unwrap();
    program(folder)
        .args(["eval", "run", "--data", "broken.tsv"])
        .assert()
        .code(1)
        .stderr(contains("empty.png: it is neither").and(contains("not one picture to evaluate on")));
}

#[test]
fn a_model_folder_is_described() {
    program(TRAINED.path()).args(["inspect", "run"]).assert().success().stdout(
        contains("kind = \"residual\"").and(contains("units: word")).and(contains("encoder.stem.weight")),
    );
}

#[test]
fn an_interrupted_training_goes_on_to_the_same_weights() {
    let folder = folder();
    let path = folder.path();
    // One evaluation an epoch, as many steps in all.
    train(path, "whole", &["--epochs", "4", "--crop", "0.3"]).success();
    train(path, "parts", &["--epochs", "4", "--crop", "0.3", "--keep-last", "9"]).success();
    let last = |run: &str| fs::read(path.join(run).join("last/model.safetensors"));
    let weights = |run: &str| last(run).or_else(|_| fs::read(path.join(run).join("best/model.safetensors")));
    let expected = weights("whole").unwrap();
    // As if it had been cut after its second checkpoint.
    let mut checkpoints: Vec<_> =
        fs::read_dir(path.join("parts/checkpoints")).unwrap().map(|entry| entry.unwrap().path()).collect();
    checkpoints.sort();
    assert!(checkpoints.len() >= 4, "{checkpoints:?}");
    checkpoints[2..].iter().for_each(|checkpoint| fs::remove_dir_all(checkpoint).unwrap());
    let resume = ["train", "--out", "parts", "--resume", "--device", "cpu", "--threads", "1"];
    program(path).args(resume).assert().success();
    assert!(weights("parts").unwrap() == expected, "the weights differ");
    program(path).args(resume).args(["--hidden-size", "20"]).assert().code(2).stderr(contains("are fixed"));
}

#[test]
fn what_cannot_be_is_told_with_what_to_do() {
    let folder = folder();
    let path = folder.path();
    let refused = |args: &[&str], code: i32, message: &str| {
        program(path).args(args).assert().code(code).stderr(contains(message));
    };
    let train = |more: &[&'static str]| [&["train", "--out", "new"][..], more].concat();
    refused(&train(&[]), 2, "there is nothing to learn from");
    refused(&train(&["--data", "table.tsv"]), 2, "there is nothing to choose a model by");
    let both = ["--data", "table.tsv", "--validation", "table.tsv"];
    let with = |more: &[&'static str]| train(&[&both[..], more].concat());
    refused(&with(&["--language", "fr"]), 2, "it has no column \"fr\", but \"image\", \"en\", \"de\"");
    refused(&with(&["--images", "mixed"]), 1, "16 of 16 pictures are not in");
    refused(&with(&["--encoder", "efficientnet-lite0"]), 2, "give --encoder-weights FILE");
    refused(&with(&["--encoder-weights", "table.tsv"]), 2, "trained from scratch");
    let weights = ["--encoder", "efficientnet-lite0", "--encoder-weights"];
    refused(&with(&[&weights[..], &["table.tsv"]].concat()), 2, "neither .safetensors nor .pth");
    fs::write(path.join("bad.safetensors"), b"bad").unwrap();
    refused(&with(&[&weights[..], &["bad.safetensors"]].concat()), 1, "cannot read the weights in");
    refused(&with(&[&weights[..], &["x.pth", "--no-contours"]].concat()), 2, "choose --encoder residual");
    refused(&with(&["--colour-steps", "1"]), 2, "from 2 to 16 steps, or 0 for none, not 1");
    refused(&with(&["--dropout", "1"]), 2, "the dropout must be at least 0 and below 1");
    refused(&with(&["--size", "0"]), 2, "the size of the pictures is 0");
    refused(&with(&["--crop", "1"]), 2, "crop is 1; it must be from 0 to 0.9");
    refused(&with(&["--split", "train"]), 1, "there is no split \"train\"");
    refused(&["train", "--data", "embedded", "--language", "fr", "--out", "new"], 2, "choose en or zh-Hant");
    refused(&["caption", "nothing", "images"], 1, "there is no model folder nothing");
    refused(&["features", "--data", "embedded", "--encoder-weights", "x.pth"], 2, "it needs no features");
    let features = ["features", "--data", "table.tsv", "--encoder-weights", "x.pth", "--colour-steps", "17"];
    refused(&features, 2, "from 2 to 16 steps, or 0 for none, not 17");
    fs::write(path.join("latin.tsv"), b"image\ten\n0.png\tcaf\xe9\n").unwrap();
    refused(&train(&["--data", "latin.tsv", "--validation", "latin.tsv"]), 1, "latin.tsv");
    assert!(!path.join("new").exists());
}
