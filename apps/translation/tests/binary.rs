//! The binary from outside: what it prints, how it ends, and that bad input is told.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::AtomicBool;

use assert_cmd::Command;
use candle_core::Device;
use candle_rnn::Windows;
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use rnn_train::{ProgressStyle, RunFolder};
use tempfile::TempDir;

/// Settings that make a training a matter of moments.
const TINY: &[&str] = &[
    "--embedding-size",
    "16",
    "--encoder-size",
    "16",
    "--decoder-size",
    "24",
    "--attention-size",
    "8",
    "--units",
    "word",
    "--separate",
    "--batch-tokens",
    "60",
    "--warmup-steps",
    "5",
    "--device",
    "cpu",
    "--threads",
    "1",
];

fn program(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_translation"));
    command.current_dir(folder);
    command
}

/// A folder with aligned files, `train.{de,en}` and `val.{de,en}`, and a table.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let (subjects, verbs) =
        ([("Hund", "dog"), ("Mann", "man"), ("Vogel", "bird")], [("läuft", "runs"), ("schläft", "sleeps")]);
    let pairs: Vec<(String, String)> = (0..60)
        .map(|i| (subjects[i % 3], verbs[i % 2]))
        .map(|((s, t), (v, w))| (format!("der {s} {v} ."), format!("the {t} {w} .")))
        .collect();
    let write = |name: &str, text: String| fs::write(folder.path().join(name), text).unwrap();
    write("train.de", pairs.iter().map(|(source, _)| format!("{source}\n")).collect());
    write("train.en", pairs.iter().map(|(_, target)| format!("{target}\n")).collect());
    write("val.de", pairs[..6].iter().map(|(source, _)| format!("{source}\n")).collect());
    write("val.en", pairs[..6].iter().map(|(_, target)| format!("{target}\n")).collect());
    let table = pairs.iter().map(|(source, target)| format!("{target}\t{source}\n")).collect::<String>();
    write("pairs.tsv", "en\tde\n".to_owned() + &table);
    folder
}

fn train(folder: &Path, run: &str) -> Command {
    let mut command = program(folder);
    command.args([
        "train",
        "--data",
        "train.de",
        "train.en",
        "--validation",
        "val.de",
        "val.en",
        "--out",
        run,
    ]);
    command.args(TINY);
    command
}

/// A folder in which `run` has learnt its few sentences.
static TRAINED: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = folder();
    train(folder.path(), "run")
        .args(["--epochs", "25", "--learning-rate", "0.02", "--keep-last", "3", "--dropout", "0"])
        .assert()
        .success();
    folder
});

fn on_run(name: &str, more: &[&str]) -> Command {
    let mut command = program(TRAINED.path());
    command.arg(name).arg("run").args(more);
    command
}

fn json(command: &mut Command) -> serde_json::Value {
    serde_json::from_slice(&command.assert().success().get_output().stdout).unwrap()
}

fn refuses(mut command: Command, code: i32, message: &str) {
    command.assert().code(code).stdout("").stderr(contains("error: ").and(contains(message)));
}

#[test]
fn a_trained_run_translates_and_can_be_evaluated_scored_averaged_and_inspected() {
    let folder = TRAINED.path();
    for file in ["config.toml", "curves.svg", "best/tokenizer.source.json", "best-loss/model.safetensors"] {
        assert!(folder.join("run").join(file).is_file(), "{file}");
    }
    on_run("translate", &["--beam", "3"])
        .write_stdin("der Mann läuft .\n\nder Vogel schläft .")
        .assert()
        .success()
        .stdout("the man runs.\n\nthe bird sleeps.\n");

    let translation = json(
        on_run("translate", &["--json", "--beam", "3", "--nbest", "2"]).write_stdin("der Hund läuft .\n"),
    );
    assert_eq!(translation["line"], 1);
    assert_eq!(translation["source_tokens"].as_array().unwrap().len(), 5);
    let hypotheses = translation["hypotheses"].as_array().unwrap();
    assert_eq!((hypotheses.len(), &hypotheses[0]["text"]), (2, &"the dog runs.".into()));
    assert!(hypotheses[0]["score"].as_f64() >= hypotheses[1]["score"].as_f64());

    let evaluation = json(&mut on_run("eval", &["--json", "--output", "out.txt"]));
    assert!(evaluation["scores"]["bleu"].as_f64().unwrap() > 99.0);
    assert_eq!(fs::read_to_string(folder.join("out.txt")).unwrap().lines().count(), 6);
    on_run("eval", &["--data", "pairs.tsv", "--source-lang", "de", "--target-lang", "en", "--lowercase"])
        .assert()
        .success()
        .stdout(contains("BLEU|nrefs:1|case:lc|eff:no|tok:13a").and(contains("of 60 pairs")));
    fs::write(folder.join("worse.txt"), "a\nb\nc\nd\ne\nf\n").unwrap();
    on_run("eval", &["--against", "worse.txt"]).assert().success().stdout(contains("of the baseline"));

    on_run("score", &["--tokens"])
        .write_stdin("der Hund läuft .\tthe dog runs .\nder Hund läuft .\tthe man sleeps .\nno tab\n")
        .assert()
        .code(1)
        .stdout(contains("\"dog\"").and(contains("\"\\n\"")))
        .stderr(contains("line 3 is not scored: there is no tab in it").and(contains("1 of 3 lines")));

    on_run("average", &["--last", "3", "--out", "mean"]).assert().success().stdout("");
    program(folder)
        .args(["translate", "mean"])
        .write_stdin("der Mann schläft .\n")
        .assert()
        .success()
        .stdout("the man sleeps.\n");
    refuses(on_run("average", &["--last", "9", "--out", "other"]), 2, "has 3 checkpoints");
    refuses(on_run("average", &["--out", "mean"]), 1, "mean exists");

    on_run("inspect", &[]).assert().success().stdout(contains("decoder.attention.v [8]"));
    let inspection = json(&mut on_run("inspect", &["--json"]));
    assert_eq!(inspection["config"]["network"]["decoder_size"], 24);
}

#[test]
fn attention_is_drawn_in_every_form() {
    let folder = TRAINED.path();
    let draw = |file: &str, text: &str| {
        on_run("translate", &["--attention", file]).write_stdin(text).assert().success();
    };
    draw("a.svg", "der Hund läuft .\n");
    draw("b.png", "der Hund läuft .\nder Mann läuft .\n");
    draw("c.html", "der Hund läuft .\nder Mann läuft .\n");
    for file in ["a.svg", "b-1.png", "b-2.png", "c.html"] {
        assert!(folder.join(file).is_file(), "{file}");
    }
    refuses(on_run("translate", &["--attention", "d.jpg"]), 2, ".svg, .png or .html");
}

#[test]
fn models_translate_together_and_unknown_words_are_taken_over() {
    let mut together = program(TRAINED.path());
    together.args(["translate", "run", "run/last", "--beam", "2"]).write_stdin("der Hund läuft .\n");
    together.assert().success().stdout("the dog runs.\n");
    // A vocabulary too small for all words writes <unk>.
    let folder = folder();
    train(folder.path(), "small")
        .args(["--epochs", "25", "--learning-rate", "0.02", "--vocab-size", "5", "--dropout", "0"])
        .assert()
        .success();
    let translate = |more: &[&str]| {
        let mut command = program(folder.path());
        command.args(["translate", "small"]).args(more).write_stdin("der Hund läuft .\n");
        let output = command.assert().success().get_output().stdout.clone();
        String::from_utf8(output).unwrap()
    };
    assert!(translate(&[]).contains("<unk>"));
    assert!(!translate(&["--replace-unknown"]).contains("<unk>"));
    let mut mixed = program(folder.path());
    mixed.arg("translate").arg("small").arg(TRAINED.path().join("run"));
    refuses(mixed, 2, "another vocabulary");
}

#[test]
fn a_language_model_of_the_same_vocabulary_helps() {
    let folder = TRAINED.path();
    let text = fs::read_to_string(folder.join("train.en")).unwrap();
    let train = |name: &str, tokenizer: Option<PathBuf>| {
        let mut config = language_model::RunConfig::default();
        config.data.tokenizer = tokenizer;
        config.network.hidden_size = 16;
        config.windows = Windows { batch: 2, window: 10, overlap: 0 };
        config.training.epochs = 1.0;
        let run = RunFolder::create(folder.join(name), false).unwrap();
        let never = AtomicBool::new(false);
        language_model::train_on_text(&text, &config, &run, &Device::Cpu, &never, ProgressStyle::Hidden)
            .unwrap();
    };
    train("words", Some(folder.join("run/best/tokenizer.target.json")));
    train("letters", None);
    let helped = |model: &str, weight: &str| {
        on_run(
            "translate",
            &["--language-model", model, &format!("--language-model-weight={weight}"), "--beam", "2"],
        )
    };
    helped("words", "0.1").write_stdin("der Hund läuft .\n").assert().success().stdout("the dog runs.\n");
    // With all the weight, it is heard.
    let alone = helped("words", "1000").write_stdin("der Hund läuft .\n").assert().success();
    assert_ne!(alone.get_output().stdout, b"the dog runs.\n");
    refuses(helped("letters", "0.1"), 2, "another vocabulary");
    refuses(helped("words", "-1"), 2, "a number from 0 on");
    refuses(helped("run", "0.1"), 1, "holds a model of `translation`, not of `language-model`");
}

#[test]
fn one_bad_line_does_not_end_the_stream() {
    let long = "Hund ".repeat(5000);
    let input =
        [b"der Hund l\xe4uft .\n".as_slice(), long.as_bytes(), b"\n\nder Mann l", "äuft .\n".as_bytes()]
            .concat();
    on_run("translate", &[]).write_stdin(input).assert().code(1).stdout("\n\n\nthe man runs.\n").stderr(
        contains("line 1 is not translated: it is not UTF-8 from byte 10 on")
            .and(contains("line 2 is not translated: it has 5001 symbols"))
            .and(contains("2 of 4 lines were not translated")),
    );
}

#[test]
fn bad_training_data_is_refused_before_anything_is_written() {
    let folder = folder();
    let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    write("short.en", b"one\ntwo\n");
    write("latin.en", b"sch\xf6n\n");
    write("empty.en", b"");
    let with = |data: &[&str]| {
        let mut command = program(folder.path());
        command.args(["train", "--validation", "val.de", "val.en", "--out", "run", "--data"]).args(data);
        command
    };
    for (data, code, message) in [
        (&["train.de", "short.en"][..], 1, "train.de has 60 lines"),
        (&["train.de", "latin.en"], 1, "line 1 of"),
        (&["train.de", "empty.en"], 1, "is empty"),
        (&["train.de", "missing.en"], 1, "missing.en"),
        (&["pairs.tsv", "--source-lang", "fr"], 2, "no column \"fr\""),
        (&["train.de", "train.en", "--max-length", "2"], 2, "raise --max-length"),
        (&["train.de", "train.en", "--tied", "all", "--separate"], 2, "--separate"),
        (&["train.de", "train.en", "--monitor", "beauty"], 2, "monitor must be loss or bleu"),
        (&["train.de", "train.en", "--dropout", "1"], 2, "dropout must be at least 0 and below 1"),
        (&["train.de", "train.en", "--source-units", "char"], 2, "the same units"),
    ] {
        refuses(with(data), code, message);
        assert!(!folder.path().join("run").exists(), "{data:?}");
    }
    let mut nothing = program(folder.path());
    nothing.args(["train", "--out", "run"]);
    refuses(nothing, 2, "nothing to learn from");
}

#[test]
fn models_that_are_none_are_told_apart() {
    let folder = TRAINED.path();
    let translate = |run: &str| {
        let mut command = program(folder);
        command.args(["translate", run]);
        command
    };
    refuses(translate("nowhere"), 1, "no model folder nowhere");
    refuses(translate("train.de"), 1, "is a file");
    let copy = folder.join("foreign");
    fs::create_dir_all(&copy).unwrap();
    for entry in fs::read_dir(folder.join("run/best")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, copy.join(path.file_name().unwrap())).unwrap();
    }
    let config = fs::read_to_string(copy.join("config.toml")).unwrap();
    fs::write(copy.join("config.toml"), config.replace("\"translation\"", "\"speech\"")).unwrap();
    refuses(translate("foreign"), 1, "holds a model of `speech`");
    fs::write(copy.join("config.toml"), &config).unwrap();
    fs::write(copy.join("model.safetensors"), "cut").unwrap();
    refuses(translate("foreign"), 1, "is damaged");
    fs::remove_file(copy.join("tokenizer.target.json")).unwrap();
    refuses(translate("foreign"), 1, "tokenizer.target.json is missing");
}

#[test]
fn a_stopped_training_resumes_to_the_same_weights() {
    let folder = folder();
    let weights = |run: &str| fs::read(folder.path().join(run).join("last/model.safetensors")).unwrap();
    train(folder.path(), "whole").args(["--epochs", "4"]).assert().success();
    train(folder.path(), "halves")
        .args(["--epochs", "4", "--patience", "1", "--evaluate-every", "3"])
        .assert()
        .success();
    let mut resume = program(folder.path());
    resume
        .args(["train", "--out", "halves", "--resume", "--patience", "1000", "--threads", "1"])
        .assert()
        .success();
    assert_eq!(weights("halves"), weights("whole"));
    let mut other = program(folder.path());
    other.args(["train", "--out", "halves", "--resume", "--decoder-size", "9"]);
    refuses(other, 2, "are fixed");
    fs::write(folder.path().join("val.en"), "the same\n".repeat(6)).unwrap();
    let mut changed = program(folder.path());
    changed.args(["train", "--out", "halves", "--resume"]);
    refuses(changed, 2, "have changed");
}
