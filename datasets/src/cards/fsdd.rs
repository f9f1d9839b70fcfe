use crate::card::{Archive, Card, RemoteFile, Source};

/// Digits in the voices of six people, the smallest yardstick of speech.
pub static FSDD: Card = Card {
    name: "fsdd",
    title: "3,000 digits, said by six people",
    about: "The Free Spoken Digit Dataset, version 1.0.10: recordings/DIGIT_SPEAKER_INDEX.wav, 16 \
            bits,\n8 kHz, mono, trimmed; 50 of each digit by each speaker. Zohar Jackson and others. \
            The archive\nis that of the version's commit. GitHub makes it anew when asked, and nobody \
            publishes its\nsize or checksum.",
    licence: "CC BY-SA 4.0",
    home: "https://github.com/Jakobovski/free-spoken-digit-dataset",
    split: "INDEX 0 to 4 tests (300 recordings), 5 to 49 trains (2,700)",
    applications: &["speech"],
    source: Source::Archive(&Archive {
        file: RemoteFile {
            file: "fsdd.tar.gz",
            url: "https://github.com/Jakobovski/free-spoken-digit-dataset/archive/d6938f9bf1545aa66d8489fc9f1385a7abd64282.tar.gz",
            bytes: None,
            sha256: None,
        },
        strip: 1,
    }),
};
