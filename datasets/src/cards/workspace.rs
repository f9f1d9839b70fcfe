use crate::card::{Card, EmbeddedFile, Source};
use crate::embedded;

/// This workspace's own sources and documents.
pub static WORKSPACE: Card = Card {
    name: "workspace",
    title: "this workspace's own sources and documents",
    about: "Every Rust and Markdown file of the workspace the program was built from, sorted by \
            path,\neach under a line with its name. UTF-8. It changes with the workspace.",
    licence: "MIT OR Apache-2.0, as the workspace",
    home: "the workspace itself; gathered by datasets/build.rs",
    split: "first 90 % train, last 10 % validation",
    applications: &["language-model", "tour"],
    source: Source::Embedded(&[EmbeddedFile { file: "input.txt", text: embedded::workspace_text }]),
};
