use std::sync::LazyLock;

use crate::card::{Card, EmbeddedFile, MadeFiles, Source};
use crate::embedded::speech::{Part, files};

/// Spoken digits from a formant synthesiser of our own.
pub static SPEECH: Card = Card {
    name: "speech",
    title: "1,550 strings of one to five spoken digits",
    about: "English digits, said by a formant synthesiser of our own in 70 voices, with noise and \
            rooms.\nWAV files, 16 bits, 8 kHz, mono; beside them UTF-8 files with the columns path, \
            text,\nphonemes (symbol:first sample:sample after the last; SIL is silence) and voice. \
            No voice\nis heard in two parts. The texts are the same on every machine, the samples up \
            to a step\nor two.",
    licence: "MIT OR Apache-2.0, as the workspace",
    home: "the workspace itself; datasets/src/embedded/speech",
    split: "train (1,200 utterances, 40 voices), validation (150, 10), test (200, 20)",
    applications: &["tour"],
    source: Source::Synthesized {
        texts: &[
            EmbeddedFile { file: "train.tsv", text: train },
            EmbeddedFile { file: "validation.tsv", text: validation },
            EmbeddedFile { file: "test.tsv", text: test },
        ],
        made: &MadeFiles { folder: files::FOLDER, files: files::sounds, content: files::sound },
    },
};

fn train() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| files::manifest(Part::Train));
    &TEXT
}

fn validation() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| files::manifest(Part::Validation));
    &TEXT
}

fn test() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| files::manifest(Part::Test));
    &TEXT
}
