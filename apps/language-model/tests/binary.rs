//! The binary from outside: what it prints, how it ends, and that a killed training loses nothing.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use assert_cmd::Command;
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use tempfile::TempDir;

/// Settings that make a training a matter of moments.
const TINY: &[&str] = &[
    "--hidden-size",
    "12",
    "--embedding-size",
    "6",
    "--layers",
    "2",
    "--dropout",
    "0.2",
    "--batch",
    "4",
    "--window",
    "10",
    "--overlap",
    "3",
    "--device",
    "cpu",
    "--threads",
    "1",
];

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_language-model"))
}

fn text() -> String {
    (0..120).map(|i| format!("line {} of the text, {} more to come.\n", i, 120 - i)).collect()
}

/// A folder with `text.txt` in it.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("text.txt"), text()).unwrap();
    folder
}

fn train(folder: &Path, run: &str) -> Command {
    let mut command = program();
    command.current_dir(folder).args(["train", "--data", "text.txt", "--out", run]).args(TINY);
    command
}

fn trained() -> TempDir {
    let folder = folder();
    train(folder.path(), "run").args(["--epochs", "1"]).assert().success();
    folder
}

fn refuses(mut command: Command, code: i32, message: &str) {
    command.assert().code(code).stdout("").stderr(contains("error: ").and(contains(message)));
}

#[test]
fn a_trained_run_can_be_evaluated_sampled_scored_and_inspected() {
    let folder = trained();
    let on_run = |name: &str, more: &[&str]| {
        let mut command = program();
        command.current_dir(folder.path()).arg(name).arg("run").args(more);
        command
    };
    for file in
        ["config.toml", "metrics.jsonl", "curves.svg", "best/model.safetensors", "best/tokenizer.json"]
    {
        assert!(folder.path().join("run").join(file).is_file(), "{file}");
    }

    let evaluation = on_run("eval", &["--json", "--int8"]).assert().success();
    let evaluation: serde_json::Value = serde_json::from_slice(&evaluation.get_output().stdout).unwrap();
    let metrics = std::fs::read(folder.path().join("run/best/metrics.json")).unwrap();
    let metrics: serde_json::Value = serde_json::from_slice(&metrics).unwrap();
    let (found, saved) = (evaluation["loss"].as_f64().unwrap(), metrics["loss"].as_f64().unwrap());
    assert!((found - saved).abs() < 1e-6, "eval says {found}, the training said {saved}");
    let rounded = evaluation["int8"]["loss"].as_f64().unwrap();
    assert!(rounded != found && (rounded - found).abs() < 0.05, "{rounded} and {found}");
    let bits = evaluation["bits_per_character"].as_f64().unwrap();
    assert!((bits - found / std::f64::consts::LN_2).abs() < 1e-9, "a character is a symbol here");

    let write = || on_run("generate", &["--prompt", "line", "--length", "30", "--seed", "7"]);
    let once = write().assert().success().get_output().stdout.clone();
    assert_eq!(once, write().assert().success().get_output().stdout, "the seed decides");
    let once = String::from_utf8(once).unwrap();
    let rounded = write().arg("--int8").assert().success().get_output().stdout.clone();
    assert!(String::from_utf8(rounded).unwrap().starts_with("line"));
    assert!(once.starts_with("line") && once.chars().count() == 4 + 30 + 1, "{once:?}");

    let scores = on_run("score", &["--json", "--tokens"]).write_stdin("line 7\nof\n").assert().success();
    let scores = String::from_utf8(scores.get_output().stdout.clone()).unwrap();
    let lines: Vec<serde_json::Value> =
        scores.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    let tokens = lines[0]["tokens"].as_array().unwrap();
    let sum: f64 = tokens.iter().map(|token| token[1].as_f64().unwrap()).sum();
    assert_eq!(tokens.len(), 6);
    assert!((sum - lines[0]["log_probability"].as_f64().unwrap()).abs() < 1e-9 && sum < 0.0);

    let inspected = on_run("inspect", &[]).assert().success();
    inspected.stdout(contains("rnn.weight_hh_l1 [48, 12]").and(contains("on this CPU: ")));
}

#[test]
fn every_unit_learns_from_the_standard_input_and_writes() {
    let folder = tempfile::tempdir().unwrap();
    for units in ["byte", "bpe", "word"] {
        let mut command = program();
        command.current_dir(folder.path()).args(["train", "--data", "-", "--out", units, "--units", units]);
        command.args([
            "--vocab-size",
            "300",
            "--epochs",
            "1",
            "--batch",
            "2",
            "--window",
            "8",
            "--cell",
            "gru",
        ]);
        command.args(["--hidden-size", "8", "--embedding-size", "8", "--tied", "--threads", "1", "--json"]);
        command.write_stdin(text()).assert().success().stdout(contains("\"finished\""));
        let mut command = program();
        command.current_dir(folder.path()).args(["generate", units, "--prompt", "line", "--length", "9"]);
        command.assert().success().stdout(predicates::str::starts_with("line"));
    }
}

#[test]
fn products_of_bf16_learn_and_are_remembered() {
    let folder = folder();
    train(folder.path(), "run").arg("--bf16").assert().success();
    let config = std::fs::read_to_string(folder.path().join("run/config.toml")).unwrap();
    assert!(config.contains("matmul = \"bf16\""), "{config}");
    let metrics = std::fs::read(folder.path().join("run/best/metrics.json")).unwrap();
    let metrics: serde_json::Value = serde_json::from_slice(&metrics).unwrap();
    assert!(metrics["loss"].as_f64().unwrap() < 3.0, "{metrics}");
    program().current_dir(folder.path()).args(["generate", "run", "--length", "5"]).assert().success();
}

#[test]
fn a_stop_text_ends_the_writing_and_is_not_written() {
    let folder = trained();
    let write = |more: &[&str]| {
        let mut command = program();
        command.current_dir(folder.path()).args(["generate", "run", "--length", "60"]).args(more);
        String::from_utf8(command.assert().success().get_output().stdout.clone()).unwrap()
    };
    let whole = write(&[]);
    let stop: String = whole.chars().skip(20).take(3).collect();
    let cut = write(&["--stop", &stop]);
    assert_eq!(cut.strip_suffix('\n').unwrap(), whole.split(&stop).next().unwrap());
}

#[test]
fn bad_text_is_refused_and_nothing_is_written() {
    let folder = folder();
    let path = folder.path();
    std::fs::write(path.join("empty.txt"), "").unwrap();
    std::fs::write(path.join("latin.txt"), b"caf\xe9 au lait").unwrap();
    std::fs::write(path.join("short.txt"), "too short").unwrap();
    for (name, code, message) in [
        ("empty.txt", 1, "empty.txt is empty"),
        ("latin.txt", 1, "invalid byte at offset 3"),
        ("missing.txt", 1, "cannot read missing.txt"),
        ("short.txt", 2, "use a smaller --batch or --window"),
    ] {
        let mut command = program();
        command.current_dir(path).args(["train", "--data", name, "--out", "run"]);
        command.args(["--hidden-size", "8", "--validation", "0.3"]);
        refuses(command, code, message);
        assert!(!path.join("run").exists(), "{name} left a run folder behind");
    }
}

#[test]
fn settings_that_make_no_sense_are_wrong_usage() {
    let folder = folder();
    for (flags, message) in [
        (&["--tied"][..], "tied weights need"),
        (&["--dropout", "1"], "dropout"),
        (&["--overlap", "10"], "overlap"),
        (&["--learning-rate", "0"], "learning rate"),
        (&["--clip-norm=-1"], "clip_norm"),
        (&["--units", "syllable"], "syllable"),
    ] {
        // A flag given twice is refused by the parser, so that the tiny setting gives way here.
        let mut command = program();
        command.current_dir(folder.path()).args(["train", "--data", "text.txt", "--out", "run"]);
        let tiny = TINY.chunks(2).filter(|pair| !flags.contains(&pair[0])).flatten();
        command.args(tiny).args(flags);
        command.assert().code(2).stdout("").stderr(contains(message));
        assert!(!folder.path().join("run").exists(), "{flags:?}");
    }
    let mut command = program();
    command.current_dir(folder.path()).args(["train", "--out", "run"]);
    refuses(command, 2, "give --data");
}

#[test]
fn a_run_folder_that_exists_is_left_alone() {
    let folder = folder();
    train(folder.path(), "run").args(["--epochs", "1", "--seed", "7"]).assert().success();
    let before = std::fs::read(folder.path().join("run/best/model.safetensors")).unwrap();
    refuses(train(folder.path(), "run"), 1, "run exists; resume it with --resume or choose another --out");
    assert_eq!(before, std::fs::read(folder.path().join("run/best/model.safetensors")).unwrap());

    for flags in [["--cell", "gru"], ["--seed", "42"]] {
        let mut another = train(folder.path(), "run");
        another.arg("--resume").args(flags);
        refuses(another, 2, "of a run are fixed");
    }
    std::fs::write(folder.path().join("text.txt"), text() + "more").unwrap();
    let mut changed = train(folder.path(), "run");
    changed.arg("--resume");
    refuses(changed, 2, "not the text this run was started with");
}

#[test]
fn a_prompt_or_line_with_unknown_characters_names_the_character() {
    let folder = trained();
    let mut command = program();
    command.current_dir(folder.path()).args(["generate", "run", "--prompt", "line न"]);
    refuses(command, 2, "in the prompt, the character 'न' (U+0928) at position 5");
    let mut command = program();
    command.current_dir(folder.path()).args(["score", "run"]).write_stdin("of न\n");
    refuses(command, 1, "in line 1 of the standard input");
    let mut command = program();
    command.current_dir(folder.path()).args(["generate", "run", "--temperature=-1"]);
    refuses(command, 2, "temperature");
}

#[test]
fn a_damaged_model_or_checkpoint_is_named() {
    let folder = trained();
    let cut = |path: &Path| {
        let bytes = std::fs::read(path).unwrap();
        std::fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    };
    cut(&folder.path().join("run/best/model.safetensors"));
    for name in ["generate", "eval", "inspect"] {
        let mut command = program();
        command.current_dir(folder.path()).args([name, "run"]);
        refuses(command, 1, "model.safetensors is damaged");
    }
    let mut command = program();
    command.current_dir(folder.path()).args(["generate", "nowhere"]);
    refuses(command, 1, "no model folder nowhere");

    let checkpoints = std::fs::read_dir(folder.path().join("run/checkpoints")).unwrap();
    for checkpoint in checkpoints {
        cut(&checkpoint.unwrap().path().join("weights.safetensors"));
    }
    let mut command = train(folder.path(), "run");
    command.args(["--resume", "--epochs", "2"]);
    refuses(command, 1, "weights.safetensors");
}

#[test]
fn a_training_killed_at_any_step_ends_with_the_same_bits() {
    let folder = folder();
    let more = ["--epochs", "2", "--checkpoint-every", "5", "--evaluate-every", "60"];
    train(folder.path(), "whole").args(more).assert().success();

    // Killed twice, at moments that differ from one test run to the next.
    let killed = folder.path().join("killed");
    let mut resume = false;
    for _ in 0..2 {
        let newest = || std::fs::read_dir(killed.join("checkpoints")).map_or(0, |entries| entries.count());
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_language-model"));
        command.current_dir(folder.path()).args(["train", "--data", "text.txt", "--out", "killed"]);
        command.args(TINY).args(more).stdout(Stdio::null()).stderr(Stdio::null());
        if resume {
            command.arg("--resume");
        }
        let mut child = command.spawn().unwrap();
        let start = Instant::now();
        while newest() == 0 && start.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(u64::from(std::process::id() % 40)));
        child.kill().unwrap(); // SIGKILL
        child.wait().unwrap();
        assert!(!killed.join("last").exists(), "the training was over before it could be killed");
        resume = true;
    }
    train(folder.path(), "killed").args(more).arg("--resume").assert().success();
    for file in ["last/model.safetensors", "best/model.safetensors"] {
        let read = |run: &str| std::fs::read(folder.path().join(run).join(file)).unwrap();
        assert!(read("whole") == read("killed"), "{file} differs");
    }
}
