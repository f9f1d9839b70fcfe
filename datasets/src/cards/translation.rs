use std::sync::LazyLock;

use crate::card::{Card, EmbeddedFile, Source};
use crate::embedded::{translation, tsv};

/// English and Traditional Chinese sentences from a small grammar of our own.
pub static TRANSLATION: Card = Card {
    name: "translation",
    title: "6,800 sentences in English and Traditional Chinese",
    about: "Sentences from a small grammar of our own, 3 to 14 English words each, in UTF-8 files \
            with\ntwo columns, en and zh_TW. Each has one translation. Half of the sentences of \
            validation\nand test combine words (a verb with its object, an adjective with its noun) \
            that\nnever meet in train.",
    licence: "MIT OR Apache-2.0, as the workspace",
    home: "the workspace itself; datasets/src/embedded/translation",
    split: "train (6,000 pairs), validation (300), test (500)",
    applications: &["translation", "tour"],
    source: Source::Embedded(&[
        EmbeddedFile { file: "train.tsv", text: train },
        EmbeddedFile { file: "validation.tsv", text: validation },
        EmbeddedFile { file: "test.tsv", text: test },
    ]),
};

fn train() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| tsv(&translation().train));
    &TEXT
}

fn validation() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| tsv(&translation().validation));
    &TEXT
}

fn test() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| tsv(&translation().test));
    &TEXT
}
