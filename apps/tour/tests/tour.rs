//! The tour through its binary.

mod browser;

use assert_cmd::Command;
use predicates::prelude::*;
use predicates::str::contains;
use unicode_width::UnicodeWidthStr;

fn tour() -> anyhow::Result<(Command, tempfile::TempDir)> {
    let folder = tempfile::tempdir()?;
    let mut command = Command::cargo_bin("tour")?;
    command.current_dir(folder.path());
    Ok((command, folder))
}

#[test]
fn the_whole_tour_is_told_and_drawn() -> anyhow::Result<()> {
    let (mut command, folder) = tour()?;
    let assert = command.args(["--fast", "--device", "cpu"]).assert().success();
    let assert = assert
        .stdout(contains("7 of 7"))
        .stdout(contains("5 of 7"))
        .stdout(contains("h_t = tanh(W_hh h_{t-1} + W_xh x_t + b_h)"))
        .stdout(contains("delta_t h_{t-1}^T"))
        .stdout(contains("h_2 = -0.076 after n, h_4 = 0.363 after n"))
        .stdout(contains("A language model that writes"))
        .stdout(contains("Translation, and where it looks"))
        .stdout(contains("a word error rate of"))
        .stdout(contains("of its captions are true"))
        .stdout(contains("\x1b").not());
    let text = String::from_utf8(assert.get_output().stdout.clone())?;
    let figures = text.lines().filter_map(|line| line.strip_prefix("Drawn: "));
    let figures: Vec<&str> = figures.collect();
    assert!(figures.len() >= 11, "{text}");
    for line in text.lines() {
        assert!(line.width() <= 80, "{line}");
    }
    for figure in figures {
        assert!(figure.starts_with("tour-report"), "{figure}");
        let svg = std::fs::read_to_string(folder.path().join(figure))?;
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"), "{figure}");
    }
    let report = std::fs::read_to_string(folder.path().join("tour-report/index.html"))?;
    assert_eq!(report.matches("<h2 ").count(), 11);
    assert!(!report.contains("http://") && !report.contains("https://"));
    // The drawn one, and two examples at least.
    let sounds: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("Heard: ")).collect();
    assert!(sounds.len() >= 3 && report.matches("<audio controls").count() == sounds.len(), "{sounds:?}");
    for sound in &sounds {
        assert!(std::fs::read(folder.path().join(sound))?.starts_with(b"RIFF"), "{sound}");
    }
    assert_eq!(report.matches("<figcaption>Said: ").count(), sounds.len() - 1);
    browser::shows(&report)
}

#[test]
fn the_whole_tour_is_told_in_chinese_on_lines_of_eighty_columns() -> anyhow::Result<()> {
    let (mut command, folder) = tour()?;
    let arguments = ["--fast", "--device", "cpu", "--lang", "zh-Hant"];
    let assert = command.args(arguments).assert().success();
    let assert = assert
        .stdout(contains("循環神經網路簡介"))
        .stdout(contains("7 題中 5 題"))
        .stdout(contains("h_4 = 0.363"))
        .stdout(contains("5. 時間反向傳播"))
        .stdout(contains("圖檔：tour-report/unrolled.svg"));
    let text = String::from_utf8(assert.get_output().stdout.clone())?;
    for line in text.lines() {
        assert!(line.width() <= 80, "{line}");
    }
    let report = std::fs::read_to_string(folder.path().join("tour-report/index.html"))?;
    assert!(report.contains("<html lang=\"zh-Hant\">") && report.contains("<title>循環神經網路簡介</title>"));
    assert_eq!(report.matches("<h2 ").count(), 11);
    browser::shows(&report)
}

#[test]
fn a_language_that_is_not_spoken_is_a_usage_error_that_names_those_that_are() -> anyhow::Result<()> {
    let (mut command, _folder) = tour()?;
    command.args(["--lang", "fr"]).assert().code(2).stderr(contains("en").and(contains("zh-Hant")));
    Ok(())
}

#[test]
fn a_chapter_alone_is_told_on_lines_of_eighty_columns_and_drawn_where_it_is_asked() -> anyhow::Result<()> {
    let (mut command, folder) = tour()?;
    let told =
        command.args(["--chapter", "unrolling", "--chapter", "bptt", "--out", "figures"]).assert().success();
    let text = String::from_utf8(told.get_output().stdout.clone())?;
    for line in text.lines() {
        assert!(line.width() <= 80, "{line}");
    }
    assert!(text.contains("4. The network, unrolled") && text.contains("5. Backpropagation"));
    assert!(!text.contains("7 of 7"));
    assert!(folder.path().join("figures/unrolled.svg").is_file());
    Ok(())
}

#[test]
fn the_same_seed_tells_the_same_story() -> anyhow::Result<()> {
    let told = || -> anyhow::Result<Vec<u8>> {
        let (mut command, folder) = tour()?;
        let chapters = ["namaskar", "memory", "language-model", "speech"].map(|name| ["--chapter", name]);
        let chapters = chapters.as_flattened();
        command.args(chapters).args(["--seed", "9", "--fast"]).assert().success();
        Ok(std::fs::read(folder.path().join("tour-report/index.html"))?)
    };
    assert!(told()? == told()?, "two reports of the same seed differ");
    Ok(())
}

#[test]
fn completions_and_manual_pages_are_made_when_the_environment_asks() -> anyhow::Result<()> {
    let (mut command, folder) = tour()?;
    command.env("COMPLETE", "zsh").assert().success().stdout(contains("#compdef tour"));
    let (mut command, _folder) = tour()?;
    command.current_dir(folder.path()).env("CANDLE_RNN_MANUAL", "man1").assert().success();
    assert!(std::fs::read_to_string(folder.path().join("man1/tour.1"))?.contains("chapter"));
    let (mut command, _folder) = tour()?;
    command.env("COMPLETE", "tcsh").assert().code(2).stderr(contains("no shell").and(contains("bash")));
    Ok(())
}

#[test]
fn an_unknown_chapter_is_a_usage_error_that_names_the_chapters() -> anyhow::Result<()> {
    let (mut command, folder) = tour()?;
    command.args(["--chapter", "epilogue"]).assert().code(2).stderr(contains("namaskar"));
    assert_eq!(std::fs::read_dir(folder.path())?.count(), 0);
    Ok(())
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error_that_names_it() -> anyhow::Result<()> {
    let (mut command, folder) = tour()?;
    std::fs::write(folder.path().join("taken"), "a file")?;
    let arguments = ["--chapter", "unrolling", "--out", "taken"];
    command.args(arguments).assert().code(1).stderr(contains("error:").and(contains("taken")));
    Ok(())
}

#[test]
fn a_browser_tells_what_does_not_show() {
    if browser::chromium().is_none() {
        eprintln!("skipped: there is no Chromium");
        return;
    }
    let picture = "<img src=\"data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg'/%3E\" alt=\"\">";
    let told = |more: &str| browser::shows(&format!("<!doctype html>{picture}{more}"));
    assert!(told("").is_ok());
    for (more, message) in [
        ("<img src=\"data:image/png;base64,AAAA\">", "1 of 2 pictures were not loaded"),
        ("<div style=\"width: 500px\">wide</div>", "pixels wide"),
        ("<script>nothing.at.all()</script>", "console"),
    ] {
        let error = told(more).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
}
