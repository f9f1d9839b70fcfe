use crate::card::{Card, RemoteFile, Source};

/// Photographs with five captions each, the usual yardstick of captioning.
///
/// Sizes and SHA-256 are those of TensorFlow Datasets' `url_checksums/coco.txt`.
/// The addresses there are those of images.cocodataset.org, which names the same
/// storage, but has no certificate of its own.
pub static COCO: Card = Card {
    name: "coco-2017",
    title: "123,287 photographs with five captions each",
    about: "COCO, the parts of 2017, in three ZIP archives, to be unpacked in their \
            folder:\ntrain2017/*.jpg (118,287 photographs), val2017/*.jpg (5,000), and \
            annotations/captions_*.json,\nwhich names for each caption the photograph's number, with \
            twelve digits its file. About 640\npixels wide. Lin and others (2014), Microsoft COCO: \
            Common Objects in Context; captions by\nChen and others (2015).",
    licence: "captions: CC BY 4.0; photographs: Flickr's terms of use, and a licence each in the JSON files",
    home: "https://cocodataset.org/",
    split: "train2017 trains, val2017 validates; the captions of the test are not public",
    applications: &["captioning"],
    source: Source::Remote(&[
        RemoteFile {
            file: "train2017.zip",
            url: "https://s3.amazonaws.com/images.cocodataset.org/zips/train2017.zip",
            bytes: Some(19_336_861_798),
            sha256: Some("69a8bb58ea5f8f99d24875f21416de2e9ded3178e903f1f7603e283b9e06d929"),
        },
        RemoteFile {
            file: "val2017.zip",
            url: "https://s3.amazonaws.com/images.cocodataset.org/zips/val2017.zip",
            bytes: Some(815_585_330),
            sha256: Some("4f7e2ccb2866ec5041993c9cf2a952bbed69647b115d0f74da7ce8f4bef82f05"),
        },
        RemoteFile {
            file: "annotations_trainval2017.zip",
            url: "https://s3.amazonaws.com/images.cocodataset.org/annotations/annotations_trainval2017.zip",
            bytes: Some(252_907_541),
            sha256: Some("113a836d90195ee1f884e704da6304dfaaecff1f023f49b6ca93c4aaae470268"),
        },
    ]),
};
