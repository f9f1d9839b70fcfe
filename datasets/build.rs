//! Gathers the workspace's own sources and documents into one text, which the
//! crate embeds: a corpus that is there wherever the program was built.

use std::env;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

fn main() {
    let crate_folder = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("set by cargo"));
    let root = crate_folder.parent().expect("a member has a workspace");

    watch(root);
    let mut text = String::new();
    for (name, path) in files(root) {
        let bytes = fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        // The same text on every system, whatever the checkout made of line ends.
        let content = String::from_utf8_lossy(&bytes).replace("\r\n", "\n");
        writeln!(text, "==== {name} ====\n\n{}\n", content.trim_end()).expect("memory");
    }
    fs::write(out.join("workspace.txt"), text).expect("cargo's output folder is writable");
}

/// Every Rust and Markdown file below `root`, with its name from there, sorted.
fn files(root: &Path) -> Vec<(String, PathBuf)> {
    let entries = WalkDir::new(root).into_iter().filter_entry(is_source);
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("the workspace is readable"))
        .filter(|entry| entry.file_type().is_file())
        .filter(|entry| {
            let extension = entry.path().extension();
            extension.is_some_and(|extension| extension == "rs" || extension == "md")
        })
        .map(|entry| {
            let inside = entry.path().strip_prefix(root).expect("found below it");
            let parts: Vec<_> = inside.iter().map(|part| part.to_string_lossy()).collect();
            (parts.join("/"), entry.into_path())
        })
        .collect();
    files.sort();
    files
}

/// Tells cargo to run this again when a source changes. A folder stands for
/// everything in it, so the root, which holds `target`, cannot be named itself.
fn watch(root: &Path) {
    for entry in WalkDir::new(root).max_depth(1).min_depth(1) {
        let entry = entry.expect("the workspace is readable");
        let is_file = entry.file_type().is_file();
        if (is_file && entry.path().extension().is_some_and(|e| e == "md")) || (!is_file && is_source(&entry))
        {
            println!("cargo:rerun-if-changed={}", entry.path().display());
        }
    }
}

/// Whether an entry belongs to the workspace's sources: not hidden and not a
/// folder that a build or a run left behind.
fn is_source(entry: &DirEntry) -> bool {
    let name = entry.file_name().to_string_lossy();
    let left_behind = ["target", "runs", "tour-report"].contains(&name.as_ref())
        || entry.path().join("CACHEDIR.TAG").exists();
    entry.depth() == 0 || !(name.starts_with('.') || (entry.file_type().is_dir() && left_behind))
}
