//! Small tables, lists and pictures, changed at random: whatever comes of it is read or refused with a reason,
//! and nothing panics.

use std::fs;

use captioning::corpus::{Reading, Source, fingerprint, read};
use end_to_end::fuzz::fuzz;
use image::{DynamicImage, ImageFormat, RgbaImage};
use image_features::{Picture, Preprocessing};

const NAMES: [&str; 3] = ["a.png", "b.png", "c/d.png"];

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("c")).unwrap();
    NAMES.iter().for_each(|name| fs::write(folder.path().join(name), b"no picture").unwrap());
    folder
}

fn fuzz_file(name: &str, inputs: &[Vec<u8>]) {
    let folder = folder();
    let path = folder.path().join(name);
    let pieces = [
        b"image".as_slice(),
        b"a.png",
        b"c/d.png",
        b"../",
        b"#0",
        b"\n",
        b"\r",
        b"\t",
        b",",
        b"\"",
        b"{\"images\":[",
        b"\"annotations\":",
        b"\"split\":\"val\"",
        b"[[[[",
        b"1e999",
        b"null",
        b"\\ud800",
        b"\xff",
        b"\0",
        b"\xef\xbb\xbf",
    ];
    fuzz(inputs, &pieces, |bytes| {
        fs::write(&path, bytes).unwrap();
        for split in [None, Some("train")] {
            let source = Source::named(&path.to_string_lossy(), split, captioning::corpus::Part::Train);
            match read(&source, &Reading::default()) {
                Ok(captioned) => {
                    assert!(captioned.iter().all(|picture| !picture.captions.is_empty()));
                    assert!(
                        captioned.iter().flat_map(|picture| &picture.captions).all(|text| !text.is_empty())
                    );
                    let again = read(&source, &Reading::default()).unwrap();
                    assert_eq!(fingerprint(&captioned), fingerprint(&again));
                }
                Err(error) => {
                    let message = format!("{error:#}");
                    assert!(message.contains(name), "{message}");
                    assert!(message.len() < 4000, "{message}");
                }
            }
        }
    });
}

#[test]
fn changed_tables_with_tabs_are_read_or_refused() {
    fuzz_file(
        "m.tsv",
        &[
            b"image\ten\tde\na.png\ta \"dog\tein Hund\nb.png\ta cat\teine Katze\n".to_vec(),
            "\u{feff}image\tsplit\tzh\r\nc/d.png\ttrain\t狗\r\n".as_bytes().to_vec(),
        ],
    );
}

#[test]
fn changed_tables_with_commas_are_read_or_refused() {
    fuzz_file("m.csv", &[b"image,caption\na.png,\"a dog, \"\"black\"\"\"\nb.png,a cat\n".to_vec()]);
}

#[test]
fn changed_objects_are_read_or_refused() {
    fuzz_file(
        "m.json",
        &[
            br#"{"images":[{"id":1,"file_name":"a.png"}],"annotations":[{"image_id":1,"caption":"a dog"}]}"#
                .to_vec(),
            br#"{"images":[{"filename":"b.png","split":"train","sentences":[{"raw":"a cat"}]}]}"#.to_vec(),
        ],
    );
}

#[test]
fn changed_token_files_are_read_or_refused() {
    fuzz_file("m.token.txt", &[b"a.png#0\ta dog .\na.png#1\ta black dog .\nb.png#0\ta cat .\n".to_vec()]);
}

#[test]
fn changed_pictures_are_read_or_refused() {
    let image = RgbaImage::from_fn(9, 7, |x, y| image::Rgba([x as u8 * 20, y as u8 * 30, 7, 200]));
    let encoded = |image: DynamicImage, format| {
        let mut bytes = std::io::Cursor::new(Vec::new());
        image.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    };
    let image = DynamicImage::from(image);
    let inputs = [
        encoded(image.clone(), ImageFormat::Png),
        encoded(image.to_luma8().into(), ImageFormat::Png),
        encoded(image.to_rgb8().into(), ImageFormat::Jpeg),
    ];
    let pieces =
        [b"IHDR".as_slice(), b"IDAT", b"PLTE", b"\xff\xd8", b"\xff\xc0", b"\xff\xe1", b"Exif\0\0", b"\0"];
    fuzz(&inputs, &pieces, |bytes| {
        if let Ok(picture) = Picture::decode(bytes) {
            let numbers = Preprocessing { size: 8, ..Preprocessing::default() }.pixels(&picture);
            assert!(numbers.unwrap().iter().all(|number| (-1.0..=1.0).contains(number)));
        }
    });
}
