//! The cards of all data sets, one module each.

mod captioning;
mod coco;
mod emoji;
mod flickr8k;
mod fsdd;
mod librispeech;
mod multi30k;
mod speech;
mod speech_commands;
mod tinyshakespeare;
mod translation;
mod workspace;

pub use captioning::CAPTIONING;
pub use coco::COCO;
pub use emoji::EMOJI;
pub use flickr8k::FLICKR8K;
pub use fsdd::FSDD;
pub use librispeech::{LIBRISPEECH_DEV_CLEAN, LIBRISPEECH_TRAIN_CLEAN_100};
pub use multi30k::MULTI30K;
pub use speech::SPEECH;
pub use speech_commands::SPEECH_COMMANDS;
pub use tinyshakespeare::TINYSHAKESPEARE;
pub use translation::TRANSLATION;
pub use workspace::WORKSPACE;

use crate::card::Card;

/// Every card, sorted by name.
pub const ALL: &[&Card] = &[
    &CAPTIONING,
    &COCO,
    &EMOJI,
    &FLICKR8K,
    &FSDD,
    &LIBRISPEECH_DEV_CLEAN,
    &LIBRISPEECH_TRAIN_CLEAN_100,
    &MULTI30K,
    &SPEECH,
    &SPEECH_COMMANDS,
    &TINYSHAKESPEARE,
    &TRANSLATION,
    &WORKSPACE,
];

/// The card of this name.
pub fn find(name: &str) -> Option<&'static Card> {
    ALL.iter().copied().find(|card| card.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::card::Source;

    #[test]
    fn cards_are_sorted_and_found_by_their_names() {
        assert!(ALL.is_sorted_by(|a, b| a.name < b.name));
        for card in ALL {
            assert_eq!(find(card.name).map(|found| found.name), Some(card.name));
        }
        assert!(find("nothing").is_none());
    }

    #[test]
    fn every_remote_file_has_an_encrypted_address_and_a_plausible_checksum() {
        for card in ALL {
            let files: Vec<_> = match card.source {
                Source::Remote(files) => files.iter().collect(),
                Source::Archive(archive) => vec![&archive.file],
                Source::Embedded(_) | Source::Synthesized { .. } => continue,
            };
            for file in files {
                assert!(file.url.starts_with("https://"), "{}", file.url);
                assert_ne!(file.bytes, Some(0));
                let is_hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
                assert!(file.sha256.is_none_or(|sum| sum.len() == 64 && sum.chars().all(is_hex)));
            }
        }
    }

    #[test]
    fn every_set_is_in_the_readme() {
        let readme = include_str!("../../README.md");
        for card in ALL {
            assert!(readme.contains(&format!("`{}`", card.name)), "{}", card.name);
        }
    }

    #[test]
    fn what_is_not_published_is_called_so() {
        let card = FSDD.to_string();
        assert!(card.contains("size       not published\n"), "{card}");
        assert!(card.contains("SHA-256    not published; what is downloaded cannot be verified"), "{card}");
        assert_eq!(FSDD.bytes(), None);
        assert_eq!(LIBRISPEECH_DEV_CLEAN.bytes(), Some(337_926_286));
    }
}
