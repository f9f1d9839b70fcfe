//! Pictures changed a little each time they are seen.

use candle_rnn::Generator;
use serde::{Deserialize, Serialize};

use crate::preprocessing::{Piece, Preprocessing};
use crate::{Error, Picture};

/// How training pictures are varied; what is left out is off, and the default is off altogether.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AugmentConfig {
    /// The most of a picture's area that is cut away, from 0 to 0.9 (Szegedy et al. 2015, the scale of
    /// their crops); what is left is anywhere in it.
    pub crop: f64,
    /// Probability of the mirror image, from 0 to 1; not where captions say left and right.
    pub mirror: f64,
    /// By how much all numbers are multiplied at most, up or down: from 0 to 1.
    pub brightness: f64,
    /// By how much the distance to the picture's mean is multiplied at most: from 0 to 1.
    pub contrast: f64,
    /// By how much the distance to grey is multiplied at most: from 0 to 1.
    pub saturation: f64,
}

impl AugmentConfig {
    /// Whether all settings are in their ranges.
    ///
    /// # Errors
    /// [`Error::Setting`].
    pub fn validate(&self) -> Result<(), Error> {
        let settings = [
            ("crop", self.crop, 0.9, "from 0 to 0.9"),
            ("mirror", self.mirror, 1.0, "from 0 to 1"),
            ("brightness", self.brightness, 1.0, "from 0 to 1"),
            ("contrast", self.contrast, 1.0, "from 0 to 1"),
            ("saturation", self.saturation, 1.0, "from 0 to 1"),
        ];
        match settings.into_iter().find(|&(_, value, most, _)| !(0.0..=most).contains(&value)) {
            Some((name, value, _, range)) => Err(Error::Setting { name, value, range }),
            None => Ok(()),
        }
    }

    /// A picture as a network sees it this time, `[size, size, 3]`.
    ///
    /// # Errors
    /// A picture that cannot be brought to the size.
    pub fn pixels(
        &self,
        picture: &Picture,
        preprocessing: &Preprocessing,
        generator: &mut Generator,
    ) -> Result<Vec<f32>, Error> {
        let piece = self.piece(picture, generator);
        let mut pixels = preprocessing.numbers(&preprocessing.square(picture, piece)?);
        if generator.uniform() < self.mirror {
            mirror(&mut pixels, preprocessing.size);
        }
        self.recolour(&mut pixels, preprocessing, generator);
        Ok(pixels)
    }

    fn piece(&self, picture: &Picture, generator: &mut Generator) -> Piece {
        let whole = Piece::whole(picture);
        let side = (1.0 - self.crop * generator.uniform()).sqrt();
        let (width, height) = (whole.width * side, whole.height * side);
        let left = (whole.width - width) * generator.uniform();
        let top = (whole.height - height) * generator.uniform();
        Piece { left, top, width, height }
    }

    /// Brightness is a factor on what lies above black, which is not at 0 here.
    fn recolour(&self, pixels: &mut [f32], preprocessing: &Preprocessing, generator: &mut Generator) {
        let mut factor = |most: f64| (1.0 + most * (2.0 * generator.uniform() - 1.0)) as f32;
        let (brightness, contrast) = (factor(self.brightness), factor(self.contrast));
        let saturation = factor(self.saturation);
        let black = -preprocessing.mean / preprocessing.scale;
        let white = black + 255.0 / preprocessing.scale;
        let mean = pixels.iter().sum::<f32>() / pixels.len() as f32;
        for pixel in pixels.chunks_exact_mut(3) {
            let grey = pixel.iter().sum::<f32>() / 3.0;
            for x in pixel {
                *x = grey + (*x - grey) * saturation;
                *x = mean + (*x - mean) * contrast;
                *x = (black + (*x - black) * brightness).clamp(black, white);
            }
        }
    }
}

/// Left becomes right.
fn mirror(pixels: &mut [f32], size: usize) {
    for row in pixels.chunks_exact_mut(3 * size) {
        for x in 0..size / 2 {
            (0..3).for_each(|colour| row.swap(3 * x + colour, 3 * (size - 1 - x) + colour));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gradient() -> Picture {
        let pixels = (0..20 * 30).flat_map(|at| [(at % 30) as u8 * 8, (at / 30) as u8 * 12, 99]).collect();
        Picture::new(30, 20, pixels).unwrap()
    }

    #[test]
    fn nothing_is_changed_unless_asked_for() {
        let preprocessing = Preprocessing { size: 16, ..Preprocessing::default() };
        let plain = preprocessing.pixels(&gradient()).unwrap();
        let same = AugmentConfig::default();
        let changed = same.pixels(&gradient(), &preprocessing, &mut Generator::new(4)).unwrap();
        assert!(plain.iter().zip(changed).all(|(a, b)| (a - b).abs() < 1e-5));
    }

    #[test]
    fn what_is_drawn_comes_from_the_seed_and_stays_between_black_and_white() {
        let all = AugmentConfig { crop: 0.5, mirror: 0.5, brightness: 0.9, contrast: 0.9, saturation: 0.9 };
        all.validate().unwrap();
        let preprocessing = Preprocessing { size: 16, ..Preprocessing::default() };
        let draw = |seed| all.pixels(&gradient(), &preprocessing, &mut Generator::new(seed)).unwrap();
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        assert!((0..20).flat_map(draw).all(|x| (-1.0..=1.0).contains(&x)));
    }

    #[test]
    fn the_mirror_image_of_the_mirror_image_is_the_picture() {
        let mut pixels: Vec<f32> = (0..3 * 5 * 5).map(|x| x as f32).collect();
        let before = pixels.clone();
        mirror(&mut pixels, 5);
        assert_eq!(pixels[..3], before[12..15]);
        mirror(&mut pixels, 5);
        assert_eq!(pixels, before);
    }

    #[test]
    fn settings_out_of_range_are_named() {
        let wrong = AugmentConfig { mirror: 1.5, ..AugmentConfig::default() };
        assert_eq!(wrong.validate().unwrap_err().to_string(), "mirror is 1.5; it must be from 0 to 1");
        assert!(AugmentConfig { crop: f64::NAN, ..AugmentConfig::default() }.validate().is_err());
    }
}
