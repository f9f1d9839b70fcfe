//! Two parts of LibriSpeech, a card each: nobody who wants one has to download
//! the other.
//!
//! Sizes and SHA-256 are those of TensorFlow Datasets'
//! `url_checksums/librispeech.txt`; torchaudio's `librispeech.py` has the same
//! SHA-256.

use crate::card::{Archive, Card, RemoteFile, Source};

/// Read books to validate with.
pub static LIBRISPEECH_DEV_CLEAN: Card = Card {
    name: "librispeech-dev-clean",
    title: "5 hours of English books, read aloud by 40 people",
    about: "2,703 utterances of the part dev-clean of LibriSpeech: \
            dev-clean/SPEAKER/CHAPTER/*.flac,\n16 bits, 16 kHz, mono, and beside them *.trans.txt, \
            which has a line for each: its name and\nits text in capitals. Panayotov and others \
            (2015), Librispeech: an ASR corpus based on\npublic domain audio books.",
    licence: "CC BY 4.0",
    home: "https://www.openslr.org/12/",
    split: "all of it validates; librispeech-train-clean-100 trains",
    applications: &["speech"],
    source: Source::Archive(&Archive {
        file: RemoteFile {
            file: "librispeech-dev-clean.tar.gz",
            url: "https://www.openslr.org/resources/12/dev-clean.tar.gz",
            bytes: Some(337_926_286),
            sha256: Some("76f87d090650617fca0cac8f88b9416e0ebf80350acb97b343a85fa903728ab3"),
        },
        strip: 1,
    }),
};

/// Read books to learn from.
pub static LIBRISPEECH_TRAIN_CLEAN_100: Card = Card {
    name: "librispeech-train-clean-100",
    title: "100 hours of English books, read aloud by 251 people",
    about: "28,539 utterances of the part train-clean-100 of \
            LibriSpeech:\ntrain-clean-100/SPEAKER/CHAPTER/*.flac, 16 bits, 16 kHz, mono, and beside \
            them *.trans.txt,\nwhich has a line for each: its name and its text in capitals. Panayotov \
            and others (2015),\nLibrispeech: an ASR corpus based on public domain audio books.",
    licence: "CC BY 4.0",
    home: "https://www.openslr.org/12/",
    split: "all of it trains; librispeech-dev-clean validates",
    applications: &["speech"],
    source: Source::Archive(&Archive {
        file: RemoteFile {
            file: "librispeech-train-clean-100.tar.gz",
            url: "https://www.openslr.org/resources/12/train-clean-100.tar.gz",
            bytes: Some(6_387_309_499),
            sha256: Some("d4ddd1d5a6ab303066f14971d768ee43278a5f2a0aa43dc716b0e64ecbbbf6e2"),
        },
        strip: 1,
    }),
};
