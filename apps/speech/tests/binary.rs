//! The binary from outside: what it prints, how it ends, and that bad input is told.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use assert_cmd::Command;
use audio_features::Audio;
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use tempfile::TempDir;

/// Settings that make a training a matter of moments.
const TINY: &[&str] = &[
    "--bands",
    "20",
    "--channels",
    "24",
    "--hidden-size",
    "32",
    "--layers",
    "1",
    "--dropout",
    "0",
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
    let mut command = Command::new(env!("CARGO_BIN_EXE_speech"));
    command.current_dir(folder);
    command
}

/// A tone: "low" or "high", a little different each time.
fn tone(name: &str, number: usize) -> Audio {
    let hertz = if name == "low" { 300.0 } else { 1500.0 } + 10.0 * number as f32;
    let sample = |i: usize| (i as f32 * hertz * std::f32::consts::TAU / 8000.0).sin() * 0.3;
    let silence = |i: usize| (i as f32 * 0.7 + (i * i) as f32 * 0.013).sin() * 1e-3;
    let samples = (0..4000).map(|i| if (1000..3000).contains(&i) { sample(i) } else { silence(i) });
    Audio { samples: samples.collect(), rate: 8000 }
}

/// A folder with `low_N.wav` and `high_N.wav` in `tones`, and a manifest of them.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("tones")).unwrap();
    let mut manifest = "path\ttext\n".to_owned();
    for (number, name) in (0..32).map(|number| (number, ["low", "high"][number % 2])) {
        let file = format!("tones/{name}_{number}.wav");
        tone(name, number / 2).write(folder.path().join(&file)).unwrap();
        manifest += &format!("{file}\tTone {name}!\n");
    }
    fs::write(folder.path().join("tones.tsv"), manifest).unwrap();
    folder
}

/// A folder in which `labels` tells tones apart and `words` writes what they are.
static TRAINED: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = folder();
    let train = |run: &str, more: &[&str]| {
        let mut command = program(folder.path());
        command
            .args(["train", "--out", run, "--epochs", "60", "--learning-rate", "0.01"])
            .args(TINY)
            .args(more);
        command.assert().success();
    };
    train(
        "labels",
        &[
            "--data",
            "tones",
            "--head",
            "classification",
            "--names",
            "{label}_{index}",
            "--hold-out",
            "index=0-3",
        ],
    );
    train("words", &["--data", "tones.tsv", "--streaming", "--keep-last", "1"]);
    folder
});

fn on(name: &str, run: &str, more: &[&str]) -> Command {
    let mut command = program(TRAINED.path());
    command.arg(name).arg(run).args(more);
    command
}

fn json(command: &mut Command) -> serde_json::Value {
    serde_json::from_slice(&command.assert().success().get_output().stdout).unwrap()
}

fn refuses(mut command: Command, code: i32, message: &str) {
    command.assert().code(code).stderr(contains("error: ").and(contains(message)));
}

#[test]
fn a_classifier_is_evaluated_and_recognises_files() {
    let found = json(&mut on("eval", "labels", &["--json"]));
    assert_eq!((found["recordings"].as_u64(), found["exact"].as_f64()), (Some(4), Some(100.0)));
    on("recognize", "labels", &["tones/low_0.wav"]).assert().success().stdout("low\n");
    on("recognize", "labels", &["tones/low_0.wav", "tones/high_1.wav"])
        .assert()
        .success()
        .stdout("tones/low_0.wav\tlow\ntones/high_1.wav\thigh\n");
    on("eval", "labels", &["--data", "tones", "--where", "text=low", "--names", "{label}_{index}"])
        .assert()
        .success()
        .stdout(contains("low: low 16"));
    refuses(on("recognize", "labels", &["tones/low_0.wav", "--beam", "8"]), 2, "nothing to search");
    refuses(on("align", "labels", &["tones/low_0.wav", "--text", "low"]), 2, "--head ctc");
    refuses(on("recognize", "labels", &["-"]), 2, "cannot listen");
}

#[test]
fn models_that_agree_recognise_together() {
    let alone = json(&mut on("recognize", "labels", &["tones/low_0.wav", "--json"]));
    let twice = json(&mut on("recognize", "labels", &["tones/low_0.wav", "--json", "--with", "labels"]));
    let score = |found: &serde_json::Value| found["score"].as_f64().unwrap();
    assert_eq!(alone["text"], twice["text"]);
    assert!((score(&alone) - score(&twice)).abs() < 1e-6);
    on("eval", "labels", &["--with", "labels", "--with", "labels"])
        .assert()
        .success()
        .stdout(contains("4 recordings").and(contains("100.00 % right")));
    refuses(on("recognize", "labels", &["tones/low_0.wav", "--with", "words"]), 2, "words has another head");
    refuses(on("recognize", "words", &["-", "--with", "words"]), 2, "one model listens");
}

#[test]
fn words_are_recognised_in_every_form_with_times() {
    let folder = TRAINED.path();
    on("recognize", "words", &["tones/high_1.wav"]).assert().success().stdout("tone high\n");
    let more =
        &["tones/low_2.wav", "--json", "--srt", "a.srt", "--textgrid", "a.TextGrid", "--posteriors", "a.png"];
    let found = json(&mut on("recognize", "words", more));
    assert_eq!((&found["file"], &found["text"]), (&"tones/low_2.wav".into(), &"tone low".into()));
    let word = &found["words"][1];
    assert!(word["start"].as_f64() < word["end"].as_f64() && word["end"].as_f64() <= Some(0.5));
    assert!(fs::read_to_string(folder.join("a.srt")).unwrap().contains("tone low"));
    assert!(fs::read_to_string(folder.join("a.TextGrid")).unwrap().contains("\"low\""));
    assert!(fs::read(folder.join("a.png")).unwrap().starts_with(b"\x89PNG"));
    on("recognize", "words", &["tones/low_0.wav", "tones/low_2.wav", "--srt", "subtitles"])
        .assert()
        .success();
    assert!(folder.join("subtitles/low_2.srt").is_file());

    on("align", "words", &["tones/low_4.wav", "--text", "Tone low."])
        .assert()
        .success()
        .stdout(contains("\ttone\t").and(contains("\tlow\t")));
    on("inspect", "words", &[])
        .assert()
        .success()
        .stdout(contains("output.weight").and(contains("units: char")));
    on("eval", "words", &[]).assert().success().stdout(contains("WER"));
    on("eval", "words", &["--report", "errors.html"]).assert().success();
    assert!(fs::read_to_string(folder.join("errors.html")).unwrap().contains("<html"));
}

#[test]
fn a_stream_is_recognised_as_its_file_whether_it_is_wav_or_raw() {
    let wav = fs::read(TRAINED.path().join("tones/high_3.wav")).unwrap();
    for (bytes, format) in [(&wav[..], "auto"), (&wav[44..], "raw"), (&wav[44..], "auto")] {
        let output = on("recognize", "words", &["-", "--format", format, "--json"])
            .write_stdin(bytes)
            .assert()
            .success();
        let lines = String::from_utf8(output.get_output().stdout.clone()).unwrap();
        let last: serde_json::Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
        assert_eq!(last["text"], "tone high");
        assert!(lines.lines().count() > 1, "{lines}");
    }
    let other = Audio { samples: vec![0.1; 100], rate: 16_000 }.to_wav().unwrap();
    let mut command = on("recognize", "words", &["-"]);
    command.write_stdin(other);
    refuses(command, 2, "ffmpeg");
    let mut command = on("recognize", "words", &["-"]);
    command.write_stdin(&b"RIFFnonsense"[..]);
    refuses(command, 1, "begins like a WAV file");
}

#[test]
fn a_language_model_a_lexicon_and_hot_words_are_used() {
    on("ngram", "words", &["--out", "words.arpa"]).assert().success().stdout("");
    on("ngram", "words", &["--out", "symbols.arpa", "--of", "symbol"]).assert().success();
    fs::write(TRAINED.path().join("lexicon.txt"), "tone\nlow\n").unwrap();
    for more in [
        &["--ngram", "words.arpa"][..],
        &["--ngram", "symbols.arpa", "--beam", "8"],
        &["--hot-word", "high:5", "--hot-word", "tone"],
    ] {
        on("recognize", "words", &[&["tones/high_5.wav"][..], more].concat())
            .assert()
            .success()
            .stdout("tone high\n");
    }
    // The word that is said may not be.
    on("recognize", "words", &["tones/high_5.wav", "--lexicon", "lexicon.txt"])
        .assert()
        .success()
        .stdout(contains("high").not());
    refuses(on("recognize", "words", &["tones/high_5.wav", "--ngram", "none.arpa"]), 1, "none.arpa");
    fs::write(TRAINED.path().join("bad.arpa"), "nonsense").unwrap();
    refuses(on("recognize", "words", &["tones/high_5.wav", "--ngram", "bad.arpa"]), 1, "bad.arpa");
    refuses(on("recognize", "words", &["tones/high_5.wav", "--hot-word", "high:much"]), 2, "much");
    refuses(
        on("recognize", "words", &["tones/high_5.wav", "--hot-word", "low", "--beam", "1"]),
        2,
        "--beam 2",
    );
}

#[test]
fn features_are_printed_and_drawn_and_data_is_checked() {
    let folder = TRAINED.path();
    let output = program(folder).args(["features", "tones/low_0.wav", "--bands", "12"]).assert().success();
    let text = String::from_utf8(output.get_output().stdout.clone()).unwrap();
    assert_eq!(text.lines().count(), 48);
    assert!(text.lines().all(|line| line.split('\t').count() == 12));
    program(folder).args(["features", "tones/low_0.wav", "--run", "words"]).assert().success();
    program(folder).args(["features", "tones/low_0.wav", "--png", "low.png"]).assert().success();
    assert!(folder.join("low.png").is_file());
    program(folder).args(["check", "tones.tsv"]).assert().success().stdout(contains("32"));
    let silent = tempfile::tempdir().unwrap();
    Audio { samples: vec![0.0; 8000], rate: 8000 }.write(silent.path().join("a_1.wav")).unwrap();
    fs::write(silent.path().join("a_2.wav"), "ID3 this is no WAV file").unwrap();
    let mut command = program(silent.path());
    command.args(["check", "."]);
    refuses(command, 1, "2 of 2 recordings have problems");
}

#[test]
fn bad_recordings_are_told_and_the_others_recognised() {
    let folder = TRAINED.path();
    let wav = fs::read(folder.join("tones/low_0.wav")).unwrap();
    fs::write(folder.join("cut.wav"), &wav[..1000]).unwrap();
    fs::write(folder.join("song.wav"), [b"ID3\x04", &wav[4..]].concat()).unwrap();
    fs::write(folder.join("none.wav"), &wav[..44]).unwrap();
    fs::write(folder.join("nothing.wav"), "").unwrap();
    for (file, message) in [
        ("cut.wav", "cut.wav"),
        ("song.wav", "song.wav"),
        ("none.wav", "none.wav"),
        ("nothing.wav", "nothing.wav"),
        ("missing.wav", "missing.wav"),
    ] {
        let mut command = on("recognize", "words", &[file, "tones/low_2.wav"]);
        command.assert().code(1).stdout(contains("tone low")).stderr(contains(message));
    }
    refuses(on("recognize", "words", &["-", "tones/low_0.wav"]), 2, "standard input");
    refuses(on("align", "words", &["tones/low_0.wav", "--text", &"tone low ".repeat(40)]), 1, "does not fit");
    refuses(on("align", "words", &["tones/low_0.wav", "--text", "Tönung"]), 2, "does not occur");
}

#[test]
fn a_training_refuses_what_makes_no_sense_and_writes_nothing() {
    let folder = folder();
    let refused = |args: &[&str], code: i32, message: &str| {
        let mut command = program(folder.path());
        command.args(["train", "--out", "run"]).args(TINY).args(args);
        refuses(command, code, message);
        assert!(!folder.path().join("run").exists());
    };
    refused(&[], 2, "--data");
    refused(&["--data", "nowhere"], 2, "nowhere");
    refused(&["--data", "tones.tsv", "--text-column", "words"], 2, "words");
    refused(&["--data", "tones.tsv", "--stride", "4", "--kernel", "3"], 2, "kernel");
    refused(&["--data", "tones.tsv", "--units", "phoneme"], 2, "--pronunciations");
    refused(&["--data", "tones.tsv", "--head", "classification", "--join", "1-2"], 2, "--join");
    refused(&["--data", "tones.tsv", "--monitor", "bleu"], 2, "bleu");
    refused(&["--data", "tones.tsv", "--where", "speaker=ann"], 2, "speaker");
    fs::write(folder.path().join("tones/low_0.wav"), "RIFF").unwrap();
    refused(&["--data", "tones.tsv"], 1, "low_0.wav");
}

#[test]
fn an_interrupted_training_resumes_to_the_same_bits() {
    let folder = folder();
    let train = |run: &str, more: &[&str]| {
        let mut command = program(folder.path());
        command.args(["train", "--out", run]).args(more);
        command.assert().success();
    };
    let settings =
        [TINY, &["--data", "tones.tsv", "--augment", "strong", "--checkpoint-every", "3", "--epochs", "3"]]
            .concat();
    train("whole", &settings);
    let stopped = [&settings[..], &["--keep-last", "9"]].concat();
    train("parts", &stopped);
    let checkpoints = folder.path().join("parts/checkpoints");
    let mut kept: Vec<_> = fs::read_dir(&checkpoints).unwrap().map(|entry| entry.unwrap().path()).collect();
    kept.sort();
    // As if it had been killed after its first checkpoint.
    for path in &kept[1..] {
        match path.is_dir() {
            true => fs::remove_dir_all(path).unwrap(),
            false => fs::remove_file(path).unwrap(),
        }
    }
    train("parts", &["--resume"]);
    let weights = |run: &str| fs::read(folder.path().join(run).join("last/model.safetensors")).unwrap();
    assert_eq!(weights("whole"), weights("parts"));
}
