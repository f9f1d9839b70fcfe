//! The data that is built into the program.

pub mod captioning;
pub mod speech;
mod translation;

pub use captioning::{Captioning, Scene, captioning};
pub use speech::{Speech, Utterance, pronunciations, speech};
pub use translation::{Pair, Translation, translation, tsv};

/// The workspace's own Rust and Markdown files, sorted by path, each under a
/// line `==== path ====`; gathered when this crate is built.
pub fn workspace_text() -> &'static str {
    include_str!(concat!(env!("OUT_DIR"), "/workspace.txt"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_holds_the_workspace_in_order_and_nothing_built() {
        let text = workspace_text();
        let names: Vec<_> =
            text.lines().filter_map(|line| line.strip_prefix("==== ")?.strip_suffix(" ====")).collect();
        assert!(names.contains(&"datasets/src/embedded.rs"));
        assert!(names.is_sorted());
        assert!(!names.iter().any(|name| name.starts_with("target/")));
        assert!(!text.contains('\r'));
    }
}
