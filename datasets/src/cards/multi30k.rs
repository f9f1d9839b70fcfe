use crate::card::{Card, RemoteFile, Source};

/// Captions of pictures in three languages, the small yardstick of translation.
pub static MULTI30K: Card = Card {
    name: "multi30k",
    title: "31,014 captions in English, German and French",
    about: "Descriptions of the pictures of Flickr30k, translated by people: gzipped UTF-8, one \
            sentence\na line, the files of a part aligned by line. Elliott and others (2016), \
            Multi30K:\nMultilingual English-German Image Descriptions; French by Elliott and others \
            (2017).",
    licence: "CC BY-SA 4.0",
    home: "https://github.com/multi30k/dataset",
    split: "train (29,000 sentences), val (1,014), test_2016_flickr (1,000)",
    applications: &["translation"],
    source: Source::Remote(&[
        RemoteFile {
            file: "train.en.gz",
            url: "https://raw.githubusercontent.com/multi30k/dataset/master/data/task1/raw/train.en.gz",
            bytes: Some(568_929),
            sha256: Some("d79cfa999dd4c51d2cb42499b6796d5a882c3a8a961923c25a898c90f8bbd56f"),
        },
        RemoteFile {
            file: "train.de.gz",
            url: "https://raw.githubusercontent.com/multi30k/dataset/master/data/task1/raw/train.de.gz",
            bytes: Some(637_044),
            sha256: Some("726e39b2fa9eb9ffb6dc763fb35a179f80fae06ffc5d28b6ace5faa883de28a6"),
        },
        RemoteFile {
            file: "train.fr.gz",
            url: "https://raw.githubusercontent.com/multi30k/dataset/master/data/task1/raw/train.fr.gz",
            bytes: Some(604_242),
            sha256: Some("622e75069e9f4c577425c4f277116ce66e63a2401c0a2312d90073cb12379a3c"),
        },
        RemoteFile {
            file: "val.en.gz",
            url: "https://raw.githubusercontent.com/multi30k/dataset/master/data/task1/raw/val.en.gz",
            bytes: Some(21_650),
            sha256: Some("14f7d25ddd868909a9213e361768460edcacdd6ab9d1e77b92560dc10c10dc28"),
        },
        RemoteFile {
            file: "val.de.gz",
            url: "https://raw.githubusercontent.com/multi30k/dataset/master/data/task1/raw/val.de.gz",
            bytes: Some(24_681),
            sha256: Some("f0cba2f995189cf5770f29a8a9a537a3ad3f51657ad873405082ff6863a5e75a"),
        },
        RemoteFile {
            file: "val.fr.gz",
            url: "https://raw.githubusercontent.com/multi30k/dataset/master/data/task1/raw/val.fr.gz",
            bytes: Some(23_001),
            sha256: Some("ca3106f1a72390591d25f6c45cb4cd39dec4cd3f123e099748a3ce5256c160e9"),
        },
        RemoteFile {
            file: "test_2016_flickr.en.gz",
            url: "https://raw.githubusercontent.com/multi30k/dataset/master/data/task1/raw/test_2016_flickr.en.gz",
            bytes: Some(21_077),
            sha256: Some("611d361c6334bc7246101d48097c13cf5c4413c5befc793cc629934359d532d9"),
        },
        RemoteFile {
            file: "test_2016_flickr.de.gz",
            url: "https://raw.githubusercontent.com/multi30k/dataset/master/data/task1/raw/test_2016_flickr.de.gz",
            bytes: Some(22_890),
            sha256: Some("9204244e408ccb38d2a55cfcd344df15005fc42a07a6e55ca6c52b6ababb8cc8"),
        },
        RemoteFile {
            file: "test_2016_flickr.fr.gz",
            url: "https://raw.githubusercontent.com/multi30k/dataset/master/data/task1/raw/test_2016_flickr.fr.gz",
            bytes: Some(22_310),
            sha256: Some("6d326e188d259fb1d04ac19eae3af956559b3a0b93d7635e56c90987c40c8b90"),
        },
    ]),
};
