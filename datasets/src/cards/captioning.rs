use std::sync::LazyLock;

use crate::card::{Card, EmbeddedFile, MadeFiles, Source};
use crate::embedded::captioning::files;

/// Pictures of coloured shapes with captions in two languages.
pub static CAPTIONING: Card = Card {
    name: "captioning",
    title: "4,800 pictures of coloured shapes, captioned in two languages",
    about: "One to four circles, squares, triangles, stars, crosses and rings in seven colours, painted \
            by\nour own code. PNG files of 64 by 64 pixels; beside them UTF-8 files with the columns \
            image, en\nand zh-Hant (Traditional Chinese). Every picture has four rows, one for each of \
            its captions.\nHalf of the pictures of validation and test combine properties (a colour \
            with a shape, two\nshapes with where they are) that never meet in train. The same bytes on \
            every machine.",
    licence: "MIT OR Apache-2.0, as the workspace",
    home: "the workspace itself; datasets/src/embedded/captioning",
    split: "train (4,000 pictures), validation (300), test (500)",
    applications: &["captioning"],
    source: Source::Synthesized {
        texts: &[
            EmbeddedFile { file: "train.tsv", text: train },
            EmbeddedFile { file: "validation.tsv", text: validation },
            EmbeddedFile { file: "test.tsv", text: test },
        ],
        made: &MadeFiles { folder: files::FOLDER, files: files::pictures, content: files::picture },
    },
};

fn train() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| files::table(files::TRAIN));
    &TEXT
}

fn validation() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| files::table(files::VALIDATION));
    &TEXT
}

fn test() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| files::table(files::TEST));
    &TEXT
}
