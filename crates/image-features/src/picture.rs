//! PNG and JPEG files as red, green and blue.

use std::fs;
use std::io::Cursor;
use std::path::Path;

use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};

use crate::Error;

/// Millions of pixels of a picture at most, so that a small file cannot ask for all memory.
const MOST_MEGAPIXELS: u64 = 64;
/// Bytes of a pixel while it is decoded: four numbers of 16 bits, and once more as bytes.
const BYTES: u64 = 12;

/// A picture: three numbers from 0 to 255 for each pixel, row by row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    width: u32,
    height: u32,
    pixels: Vec<u8>,
}

impl Picture {
    /// A picture of these pixels, `[height, width, 3]`.
    ///
    /// # Errors
    /// When there are not as many, or none.
    pub fn new(width: u32, height: u32, pixels: Vec<u8>) -> Result<Self, Error> {
        let expected = 3 * u64::from(width) * u64::from(height);
        if expected == 0 || expected != pixels.len() as u64 {
            return Err(Error::Shape { width, height, found: pixels.len() });
        }
        Ok(Self { width, height, pixels })
    }

    /// Reads a PNG or JPEG file: grey, palette, CMYK, of 8 or 16 bits. It is turned as its EXIF orientation
    /// says, and what is transparent lies on white.
    ///
    /// # Errors
    /// A file that cannot be read, is of another format, is damaged, or has more than 64 million pixels.
    pub fn read(path: &Path) -> Result<Self, Error> {
        Self::decode(&fs::read(path)?)
    }

    /// [`read`](Self::read) of a file's bytes.
    ///
    /// # Errors
    /// Those of [`read`](Self::read) but for reading.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
        if !matches!(reader.format(), Some(ImageFormat::Png | ImageFormat::Jpeg)) {
            return Err(Error::Format);
        }
        let mut limits = Limits::default();
        limits.max_alloc = Some(MOST_MEGAPIXELS * 1_000_000 * BYTES);
        reader.limits(limits);
        let mut decoder = reader.into_decoder().map_err(Error::Decode)?;
        let (width, height) = decoder.dimensions();
        if u64::from(width) * u64::from(height) > MOST_MEGAPIXELS * 1_000_000 {
            return Err(Error::TooLarge { width, height, most: MOST_MEGAPIXELS });
        }
        // A damaged orientation is none.
        let orientation = decoder.orientation().ok();
        let mut image = DynamicImage::from_decoder(decoder).map_err(Error::Decode)?;
        if let Some(orientation) = orientation {
            image.apply_orientation(orientation);
        }
        Self::new(image.width(), image.height(), on_white(image))
    }

    /// Pixels from left to right.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Pixels from top to bottom.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Red, green and blue of each pixel, row by row.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }
}

/// Red, green and blue of each pixel, on white where it is transparent.
fn on_white(image: DynamicImage) -> Vec<u8> {
    if !image.color().has_alpha() {
        return image.into_rgb8().into_raw();
    }
    let over_white = |pixel: &image::Rgba<u8>| {
        let [red, green, blue, alpha] = pixel.0.map(u32::from);
        [red, green, blue].map(|colour| ((colour * alpha + 255 * (255 - alpha) + 127) / 255) as u8)
    };
    image.into_rgba8().pixels().flat_map(over_white).collect()
}

#[cfg(test)]
mod tests {
    use image::{GrayImage, ImageEncoder, RgbImage, Rgba, RgbaImage};
    use proptest::prelude::*;

    use super::*;

    fn png(image: impl Into<DynamicImage>) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.into().write_to(&mut bytes, ImageFormat::Png).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn what_is_transparent_lies_on_white() {
        let image = RgbaImage::from_fn(2, 1, |x, _| Rgba([10, 20, 30, if x == 0 { 0 } else { 255 }]));
        let picture = Picture::decode(&png(image)).unwrap();
        assert_eq!(picture.pixels(), [255, 255, 255, 10, 20, 30]);
    }

    #[test]
    fn every_mode_and_size_becomes_red_green_and_blue() {
        let one = Picture::decode(&png(GrayImage::from_pixel(1, 1, image::Luma([7])))).unwrap();
        assert_eq!((one.width(), one.height(), one.pixels()), (1, 1, &[7, 7, 7][..]));
        let deep = image::ImageBuffer::<image::Rgb<u16>, _>::from_pixel(2, 2, image::Rgb([0, 257, 65_535]));
        let deep = Picture::decode(&png(deep)).unwrap();
        assert_eq!(deep.pixels()[..3], [0, 1, 255]);
    }

    #[test]
    fn a_photograph_that_lies_on_its_side_is_turned() {
        let image = RgbImage::from_fn(16, 8, |x, _| image::Rgb([if x < 8 { 255 } else { 0 }, 0, 0]));
        let mut bytes = Vec::new();
        let mut encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 100);
        // EXIF of one entry: the orientation (0x0112) is 6, "turn clockwise".
        let exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
        encoder.set_exif_metadata(exif.to_vec()).unwrap();
        encoder.encode_image(&image).unwrap();
        let picture = Picture::decode(&bytes).unwrap();
        assert_eq!((picture.width(), picture.height()), (8, 16));
        // What was left is on top now.
        assert!(picture.pixels()[0] > 200 && picture.pixels()[3 * (8 * 15)] < 50);
    }

    #[test]
    fn the_colours_of_a_printer_become_those_of_a_screen() {
        let picture = Picture::decode(include_bytes!("../tests/fixtures/cmyk.jpg")).unwrap();
        assert_eq!((picture.width(), picture.height()), (16, 8));
        let (left, right) = (&picture.pixels()[..3], &picture.pixels()[45..48]);
        assert!(left[0] > 200 && left[1] < 50 && left[2] < 50, "{left:?}");
        assert!(right[0] < 50 && right[1] < 50 && right[2] > 200, "{right:?}");
    }

    #[test]
    fn what_is_no_picture_is_named() {
        let of = |bytes: &[u8]| Picture::decode(bytes).unwrap_err().to_string();
        assert!(of(b"").contains("neither a PNG nor a JPEG"));
        assert!(of(b"GIF89a").contains("neither a PNG nor a JPEG"));
        let whole = png(RgbImage::new(40, 40));
        assert!(of(&whole[..whole.len() / 2]).contains("damaged"));
        // A header of 20,000 by 20,000 pixels, with its checksum.
        let mut huge = whole;
        huge[16..24].copy_from_slice(&[0, 0, 0x4e, 0x20, 0, 0, 0x4e, 0x20]);
        let crc = crc32(&huge[12..29]).to_be_bytes();
        huge[29..33].copy_from_slice(&crc);
        assert!(of(&huge).contains("20000 by 20000 pixels; 64 million"), "{}", of(&huge));
        assert!(matches!(Picture::new(2, 2, vec![0; 11]), Err(Error::Shape { found: 11, .. })));
        assert!(Picture::new(0, 2, vec![]).is_err());
    }

    /// The checksum of PNG, bit by bit.
    fn crc32(bytes: &[u8]) -> u32 {
        let step = |crc: u32| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
        !bytes.iter().fold(!0, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), |crc, _| step(crc)))
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(cut in 0usize..2000, at in 0usize..2000, byte: u8, is_png: bool) {
            let image = RgbImage::from_fn(24, 17, |x, y| image::Rgb([x as u8 * 9, y as u8 * 13, 77]));
            let mut bytes = png(image.clone());
            if !is_png {
                bytes.clear();
                image::codecs::jpeg::JpegEncoder::new(&mut bytes)
                    .write_image(&image, 24, 17, image::ExtendedColorType::Rgb8).unwrap();
            }
            let at = at % bytes.len();
            bytes[at] = byte;
            bytes.truncate(cut.max(1));
            let _ = Picture::decode(&bytes);
        }
    }
}
