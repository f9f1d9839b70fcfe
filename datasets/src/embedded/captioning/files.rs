//! The embedded set as files: pictures, and tables of what is said of them.

use std::io;
use std::sync::LazyLock;

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};

use super::{Captioning, Language, SIZE, Scene, captioning};

/// The folder of the pictures.
pub(crate) const FOLDER: &str = "images";

/// A part of the set: its name and its scenes.
type Part = (&'static str, fn(&Captioning) -> &[Scene]);

pub(crate) const TRAIN: Part = ("train", |set| &set.train);
pub(crate) const VALIDATION: Part = ("validation", |set| &set.validation);
pub(crate) const TEST: Part = ("test", |set| &set.test);

impl Scene {
    /// The picture as a PNG file. It is not compressed: so it has the same bytes
    /// whatever compresses, and noise would hardly become smaller.
    ///
    /// # Errors
    /// When the encoder fails, which it has no reason to.
    pub fn png(&self) -> io::Result<Vec<u8>> {
        let mut file = vec![];
        let encoder =
            PngEncoder::new_with_quality(&mut file, CompressionType::Uncompressed, FilterType::NoFilter);
        let side = SIZE as u32;
        encoder
            .write_image(&self.picture(), side, side, ExtendedColorType::Rgb8)
            .map_err(io::Error::other)?;
        Ok(file)
    }
}

/// The captions of a part, as tab-separated values under a line with the names
/// of the columns: a row for each caption, with the name of the picture in
/// [`FOLDER`].
pub(crate) fn table((name, scenes): Part) -> String {
    let rows = scenes(captioning()).iter().enumerate().flat_map(|(index, scene)| {
        let chinese = scene.captions(Language::Chinese);
        let pairs = scene.captions(Language::English).into_iter().zip(chinese);
        pairs.map(move |(english, chinese)| format!("{}\t{english}\t{chinese}\n", file(name, index)))
    });
    "image\ten\tzh-Hant\n".to_owned() + &rows.collect::<String>()
}

/// The names of all pictures, with their sizes in bytes.
pub(crate) fn pictures() -> &'static [(String, u64)] {
    static FILES: LazyLock<Vec<(String, u64)>> = LazyLock::new(|| {
        // Uncompressed, all have the same size.
        let bytes = picture(0).map_or(0, |file| file.len() as u64);
        scenes().map(|(name, index, _)| (format!("{FOLDER}/{}", file(name, index)), bytes)).collect()
    });
    &FILES
}

/// The content of one of [`pictures`].
pub(crate) fn picture(number: usize) -> io::Result<Vec<u8>> {
    let scene = scenes().nth(number);
    scene.map_or_else(|| Err(io::ErrorKind::NotFound.into()), |(_, _, scene)| scene.png())
}

/// All scenes, with the names of their parts and their numbers there.
fn scenes() -> impl Iterator<Item = (&'static str, usize, &'static Scene)> {
    let of = |(name, scenes): Part| {
        scenes(captioning()).iter().enumerate().map(move |(index, scene)| (name, index, scene))
    };
    [TRAIN, VALIDATION, TEST].into_iter().flat_map(of)
}

fn file(part: &str, index: usize) -> String {
    format!("{part}-{index:04}.png")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_png_file_holds_every_pixel_and_has_the_size_that_was_announced() {
        for number in [0, 4003, 4799] {
            let file = picture(number).unwrap();
            assert_eq!(file.len() as u64, pictures()[number].1);
            let read = image::load_from_memory(&file).unwrap().into_rgb8();
            let (_, _, scene) = scenes().nth(number).unwrap();
            assert_eq!(read.into_raw(), scene.picture());
        }
        assert_eq!(pictures()[4003].0, "images/validation-0003.png");
        assert_eq!(pictures().len(), 4800);
    }

    #[test]
    fn a_picture_has_a_row_for_each_caption() {
        let table = table(TEST);
        let rows: Vec<Vec<_>> = table.lines().map(|line| line.split('\t').collect()).collect();
        assert_eq!(rows[0], ["image", "en", "zh-Hant"]);
        assert_eq!(rows.len(), 1 + 4 * 500);
        let scene = &captioning().test[7];
        for (row, english) in rows[1 + 4 * 7..].iter().zip(scene.captions(Language::English)) {
            assert_eq!(row[..2], ["test-0007.png", &english]);
        }
    }
}
