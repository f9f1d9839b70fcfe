//! Pictures of what was looked at, and a page of captioned pictures.

use std::io::{Cursor, Write};
use std::path::Path;

use anyhow::{Context, Result};
use app_kit::UsageError;
use figures::{AttendedPicture, Exhibit, Gallery};
use image::{ImageFormat, RgbImage};
use image_features::Picture;
use rnn_train::files::write_atomically;

use crate::captioner::Caption;

/// Pixels of a side of the pictures on a page or in tiles, at most.
const MOST: u32 = 320;
/// Tiles side by side.
const COLUMNS: usize = 6;
/// Pixels of a PNG for each unit of the drawing.
const SCALE: f32 = 2.0;

/// The form of a drawing, by the name of its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Lines and pictures.
    Svg,
    /// Pixels.
    Png,
}

impl Form {
    /// The form of the file at `path`.
    ///
    /// # Errors
    /// [`UsageError`] for a name that ends otherwise.
    pub fn of(path: &Path) -> Result<Self, UsageError> {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("svg") => Ok(Self::Svg),
            Some("png") => Ok(Self::Png),
            _ => Err(UsageError::new(format!("{} ends neither in .png nor in .svg", path.display()))),
        }
    }
}

/// What was looked at for each word of a caption.
///
/// # Errors
/// A picture that cannot be drawn.
pub fn attended(picture: &Picture, caption: &Caption, grid: usize) -> Result<AttendedPicture> {
    let tokens = caption.tokens.clone();
    // Not what was looked at for the end.
    let attention = caption.attention.iter().take(tokens.len()).cloned().collect();
    Ok(AttendedPicture { png: small_png(picture)?, tokens, grid, attention })
}

/// Draws one tile for each word, with the attended regions lit.
///
/// # Errors
/// [`UsageError`] for a decoder that does not attend; a file that cannot be written.
pub fn write_tiles(path: &Path, picture: &AttendedPicture) -> Result<()> {
    if picture.attention.is_empty() && !picture.tokens.is_empty() {
        let error = "this model does not attend: there is nothing to draw for --attention; train one with \
                     --decoder attend";
        return Err(UsageError::new(error).into());
    }
    let svg = picture.svg(COLUMNS)?;
    let bytes = match Form::of(path)? {
        Form::Svg => svg.into_bytes(),
        Form::Png => figures::png(&svg, SCALE)?,
    };
    write_atomically(path, |file| Ok(file.write_all(&bytes)?))
}

/// Writes a page of captioned pictures.
///
/// # Errors
/// A file that cannot be written.
pub fn write_gallery(path: &Path, title: &str, exhibits: Vec<Exhibit>) -> Result<()> {
    let html = Gallery { title: title.to_owned(), exhibits }.html()?;
    write_atomically(path, |file| Ok(file.write_all(html.as_bytes())?))
}

/// The picture as a PNG file, made smaller if it is large.
fn small_png(picture: &Picture) -> Result<Vec<u8>> {
    let image = RgbImage::from_raw(picture.width(), picture.height(), picture.pixels().to_vec());
    let image = image::DynamicImage::from(image.context("a picture has another size than it says")?);
    let image = match image.width().max(image.height()) > MOST {
        true => image.thumbnail(MOST, MOST),
        false => image,
    };
    let mut png = Cursor::new(Vec::new());
    image.write_to(&mut png, ImageFormat::Png).context("cannot encode a picture")?;
    Ok(png.into_inner())
}
