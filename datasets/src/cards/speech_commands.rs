use crate::card::{Archive, Card, RemoteFile, Source};

/// Single words by thousands of people, the yardstick of keyword spotting.
///
/// Size and SHA-256 are those of TensorFlow Datasets'
/// `url_checksums/speech_commands.txt`; torchaudio's `speechcommands.py` has the
/// same SHA-256.
pub static SPEECH_COMMANDS: Card = Card {
    name: "speech-commands",
    title: "105,829 recordings of 35 English words",
    about: "Speech Commands, version 0.02: WORD/SPEAKER_nohash_INDEX.wav, 16 bits, 16 kHz, mono, a \
            second\nor less, and minutes of noise in _background_noise_. validation_list.txt and \
            testing_list.txt\nname the recordings of these parts. Warden (2018), Speech Commands: A \
            Dataset for\nLimited-Vocabulary Speech Recognition.",
    licence: "CC BY 4.0",
    home: "https://arxiv.org/abs/1804.03209",
    split: "train (84,843 recordings), validation (9,981), test (11,005); no speaker is in two parts",
    applications: &["speech"],
    source: Source::Archive(&Archive {
        file: RemoteFile {
            file: "speech-commands.tar.gz",
            url: "https://download.tensorflow.org/data/speech_commands_v0.02.tar.gz",
            bytes: Some(2_428_923_189),
            sha256: Some("af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58"),
        },
        strip: 0,
    }),
};
