//! The cards of all data sets, one module each.

mod multi30k;
mod speech;
mod tinyshakespeare;
mod translation;
mod workspace;

pub use multi30k::MULTI30K;
pub use speech::SPEECH;
pub use tinyshakespeare::TINYSHAKESPEARE;
pub use translation::TRANSLATION;
pub use workspace::WORKSPACE;

use crate::card::Card;

/// Every card, sorted by name.
pub const ALL: &[&Card] = &[&MULTI30K, &SPEECH, &TINYSHAKESPEARE, &TRANSLATION, &WORKSPACE];

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
    fn every_remote_file_has_an_encrypted_address_a_size_and_a_checksum() {
        for card in ALL {
            let Source::Remote(files) = card.source else {
                continue;
            };
            for file in files {
                assert!(file.url.starts_with("https://"), "{}", file.url);
                assert!(file.bytes > 0);
                let is_hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
                assert!(file.sha256.len() == 64 && file.sha256.chars().all(is_hex));
            }
        }
    }
}
