//! The tour through its binary.

use assert_cmd::Command;
use predicates::prelude::*;
use predicates::str::contains;

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
        .stdout(contains("A language model that writes"))
        .stdout(contains("\x1b").not());
    let text = String::from_utf8(assert.get_output().stdout.clone())?;
    let figures = text.lines().filter_map(|line| line.strip_prefix("Drawn: "));
    let figures: Vec<&str> = figures.collect();
    assert!(figures.len() >= 5, "{text}");
    for figure in figures {
        assert!(figure.starts_with("tour-report"), "{figure}");
        let svg = std::fs::read_to_string(folder.path().join(figure))?;
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"), "{figure}");
    }
    Ok(())
}

#[test]
fn a_chapter_alone_is_told_on_lines_of_eighty_columns_and_drawn_where_it_is_asked() -> anyhow::Result<()> {
    let (mut command, folder) = tour()?;
    let told =
        command.args(["--chapter", "hidden", "--chapter", "bptt", "--out", "figures"]).assert().success();
    let text = String::from_utf8(told.get_output().stdout.clone())?;
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    assert!(text.contains("2. What the memory holds") && text.contains("3. Backpropagation"));
    assert!(!text.contains("7 of 7"));
    assert!(folder.path().join("figures/unrolled.svg").is_file());
    Ok(())
}

#[test]
fn the_same_seed_tells_the_same_story() -> anyhow::Result<()> {
    let told = || -> anyhow::Result<Vec<u8>> {
        let (mut command, _folder) = tour()?;
        let arguments = ["--chapter", "feedforward", "--seed", "9"];
        Ok(command.args(arguments).assert().success().get_output().stdout.clone())
    };
    assert_eq!(told()?, told()?);
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
    let arguments = ["--chapter", "hidden", "--out", "taken"];
    command.args(arguments).assert().code(1).stderr(contains("error:").and(contains("taken")));
    Ok(())
}
