use crate::card::{Card, RemoteFile, Source};

/// Photographs with five captions each, the smallest yardstick of captioning.
pub static FLICKR8K: Card = Card {
    name: "flickr8k",
    title: "8,000 photographs with five captions each",
    about: "Photographs of people and dogs that do something, in two ZIP archives, to be unpacked in \
            their\nfolder: Flicker8k_Dataset/*.jpg, about 500 pixels wide; Flickr8k.token.txt, which \
            has a line for\neach caption (FILE#NUMBER, a tab, the caption); and lists of the files of \
            each part. Hodosh,\nYoung and Hockenmaier (2013), Framing Image Description as a Ranking \
            Task. The archives are\nthose of a release on GitHub, about 1.1 GB; nobody publishes their \
            exact sizes and SHA-256.",
    licence: "for research and teaching, not for commerce; the photographs under Flickr's terms of use",
    home: "https://github.com/jbrownlee/Datasets/releases/tag/Flickr8k",
    split: "Flickr_8k.trainImages.txt (6,000 photographs), devImages (1,000), testImages (1,000)",
    applications: &["captioning"],
    source: Source::Remote(&[
        RemoteFile {
            file: "Flickr8k_Dataset.zip",
            url: "https://github.com/jbrownlee/Datasets/releases/download/Flickr8k/Flickr8k_Dataset.zip",
            bytes: None,
            sha256: None,
        },
        RemoteFile {
            file: "Flickr8k_text.zip",
            url: "https://github.com/jbrownlee/Datasets/releases/download/Flickr8k/Flickr8k_text.zip",
            bytes: None,
            sha256: None,
        },
    ]),
};
