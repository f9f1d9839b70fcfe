use crate::card::{Card, RemoteFile, Source};

/// Small pictures with names in six languages.
///
/// The npm registry publishes SHA-512; the sizes and SHA-256 are those of files
/// that have them.
pub static EMOJI: Card = Card {
    name: "emoji",
    title: "7,572 pictures of emoji with names in six languages",
    about: "Three npm packages: the emoji of Google (Noto Emoji) and of Twitter (Twemoji) as PNG files, \
            and\ntheir names in many languages (emojibase, from the Unicode CLDR). \
            scripts/emoji_tsv.py makes of\nthem pictures of 64 by 64 pixels with transparency, and UTF-8 \
            files with the columns image, en,\nde, fr, es, zh (Simplified Chinese) and ja.",
    licence: "pictures: Apache-2.0 (Google), CC BY 4.0 (Twitter); names and the packages themselves: MIT",
    home: "https://github.com/iamcal/emoji-data, https://github.com/milesj/emojibase",
    split: "train (6,736 pictures), val (836), by a hash of the code points; no emoji is in both",
    applications: &["captioning"],
    source: Source::Remote(&[
        RemoteFile {
            file: "emoji-datasource-google-16.0.0.tgz",
            url: "https://registry.npmjs.org/emoji-datasource-google/-/emoji-datasource-google-16.0.0.tgz",
            bytes: Some(74_344_091),
            sha256: Some("fb5fd131b362aab7a55542d2a147a79708cce0a8b1c1bbacd470172708b5c438"),
        },
        RemoteFile {
            file: "emoji-datasource-twitter-16.0.0.tgz",
            url: "https://registry.npmjs.org/emoji-datasource-twitter/-/emoji-datasource-twitter-16.0.0.tgz",
            bytes: Some(61_683_754),
            sha256: Some("f64a530c63bca463bd8317fdc4615ce63a53a0c65018e4ce2d848aaba7a28877"),
        },
        RemoteFile {
            file: "emojibase-data-17.0.0.tgz",
            url: "https://registry.npmjs.org/emojibase-data/-/emojibase-data-17.0.0.tgz",
            bytes: Some(6_711_091),
            sha256: Some("d01d0e2ca4e22cb402679532155342c71e2e871f25c32223c013b8b166ebdf5a"),
        },
    ]),
};
