//! Pictures of one size, as numbers.

use candle_core::{Device, Tensor};
use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use serde::{Deserialize, Serialize};

use crate::{Error, Picture};

/// How a picture becomes what a network sees: brought to a square of so many pixels, its sides stretched, and
/// each number x made `(x − mean) / scale`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Preprocessing {
    /// Pixels of a side.
    pub size: usize,
    /// What becomes 0.
    pub mean: f32,
    /// From it to what becomes 1.
    pub scale: f32,
}

impl Default for Preprocessing {
    /// 64 pixels, numbers from −1 to 1.
    fn default() -> Self {
        Self { size: 64, mean: 127.5, scale: 127.5 }
    }
}

/// A part of a picture, in pixels that need not be whole.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Piece {
    /// Pixels left of it.
    pub left: f64,
    /// Pixels above it.
    pub top: f64,
    /// Its width.
    pub width: f64,
    /// Its height.
    pub height: f64,
}

impl Piece {
    /// All of a picture.
    pub fn whole(picture: &Picture) -> Self {
        Self { left: 0.0, top: 0.0, width: f64::from(picture.width()), height: f64::from(picture.height()) }
    }
}

impl Preprocessing {
    /// Pixels of a side at most.
    const MOST: usize = 4096;

    /// Whether the settings make sense.
    ///
    /// # Errors
    /// [`Error::Setting`].
    pub fn validate(&self) -> Result<(), Error> {
        let setting = |name, value, range| Err(Error::Setting { name, value, range });
        if !(1..=Self::MOST).contains(&self.size) {
            return setting("the size of the pictures", self.size as f64, "from 1 to 4096");
        }
        if !(self.scale.is_finite() && self.scale > 0.0) {
            return setting("the scale of the pixels", self.scale.into(), "a number above 0");
        }
        if !self.mean.is_finite() {
            return setting("the mean of the pixels", self.mean.into(), "a number");
        }
        Ok(())
    }

    /// The picture as numbers, `[size, size, 3]`.
    ///
    /// # Errors
    /// A picture that cannot be brought to the size.
    pub fn pixels(&self, picture: &Picture) -> Result<Vec<f32>, Error> {
        Ok(self.numbers(&self.square(picture, Piece::whole(picture))?))
    }

    /// A part of a picture brought to the size.
    ///
    /// # Errors
    /// When it cannot be.
    pub fn square(&self, picture: &Picture, piece: Piece) -> Result<Picture, Error> {
        let resize = |reason: String| Error::Resize { size: self.size, reason };
        if piece == Piece::whole(picture) && [picture.width(), picture.height()] == [self.size as u32; 2] {
            return Ok(picture.clone());
        }
        let of = ImageRef::new(picture.width(), picture.height(), picture.pixels(), PixelType::U8x3)
            .map_err(|error| resize(error.to_string()))?;
        let size = self.size as u32;
        let mut square = Image::new(size, size, PixelType::U8x3);
        let options = ResizeOptions::new()
            .crop(piece.left, piece.top, piece.width, piece.height)
            .resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
        Resizer::new().resize(&of, &mut square, &options).map_err(|error| resize(error.to_string()))?;
        Picture::new(size, size, square.into_vec())
    }

    /// How many pictures of this size there are in `[batch, size, size, 3]`.
    ///
    /// # Errors
    /// When the shape is another.
    pub fn count(&self, pictures: &Tensor) -> candle_core::Result<usize> {
        let size = self.size;
        match *pictures.dims() {
            [batch, height, width, 3] if [height, width] == [size; 2] && size > 0 => Ok(batch),
            _ => candle_core::bail!("pictures are [batch, {size}, {size}, 3], not {:?}", pictures.shape()),
        }
    }

    /// Its pixels as numbers.
    pub(crate) fn numbers(&self, picture: &Picture) -> Vec<f32> {
        picture.pixels().iter().map(|&x| (f32::from(x) - self.mean) / self.scale).collect()
    }
}

/// Pictures side by side: `[batch, size, size, 3]`.
///
/// # Errors
/// When one has not `size · size · 3` numbers.
pub fn batch<P: AsRef<[f32]>>(pictures: &[P], size: usize, device: &Device) -> candle_core::Result<Tensor> {
    let numbers: Vec<f32> = pictures.iter().flat_map(|picture| picture.as_ref()).copied().collect();
    Tensor::from_vec(numbers, (pictures.len(), size, size, 3), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_of_any_shape_becomes_a_square_of_numbers() {
        let of =
            |width, height| Picture::new(width, height, vec![255; 3 * (width * height) as usize]).unwrap();
        let preprocessing = Preprocessing { size: 9, ..Preprocessing::default() };
        for (width, height) in [(1, 1), (9, 9), (300, 2), (3, 40)] {
            let pixels = preprocessing.pixels(&of(width, height)).unwrap();
            assert_eq!(pixels, vec![1.0; 9 * 9 * 3]);
        }
        assert!(batch(&[vec![0.0; 27]], 9, &Device::Cpu).is_err());
        for wrong in [
            Preprocessing { size: 0, ..preprocessing },
            Preprocessing { scale: 0.0, ..preprocessing },
            Preprocessing { mean: f32::NAN, ..preprocessing },
        ] {
            assert!(wrong.validate().is_err());
        }
    }
}
