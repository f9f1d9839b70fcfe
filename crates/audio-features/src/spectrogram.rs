//! Pictures of spectra: time to the right, frequency up.

use std::f32::consts::LN_10;
use std::io::Cursor;

use image::{ImageFormat, Rgb, RgbImage};

use crate::{Config, Error, Features, Logarithm, SpectrumKind};

/// How features are drawn: pixels alone, without axes or text.
///
/// The loudest value is nearly white, `range` decibel below it and everything lower nearly black.
/// Between them lightness rises in a straight line in Oklab (Ottosson 2020,
/// <https://bottosson.github.io/posts/oklab/>), from violet over green to yellow, so that equal
/// differences in decibel look equal, in print without colours too.
#[derive(Clone, Debug, PartialEq)]
pub struct Spectrogram {
    /// Decibel from the brightest to the darkest; 80 is what an ear notices in a quiet room.
    pub range: f32,
    /// Pixels from left to right for a frame.
    pub frame_width: usize,
    /// Pixels from bottom to top for a band.
    pub band_height: usize,
}

impl Default for Spectrogram {
    fn default() -> Self {
        Self { range: 80.0, frame_width: 1, band_height: 1 }
    }
}

/// Pixels that a side may have.
const SIDE: usize = 16_384;

impl Spectrogram {
    /// The picture of `features` that `config` describes, as the bytes of a PNG file.
    ///
    /// # Errors
    /// When the features are cepstra or not of `config`, when the picture would have no pixel or more
    /// than 16,384 on a side, or `range` is not above 0.
    pub fn png(&self, features: &Features, config: &Config) -> Result<Vec<u8>, Error> {
        let picture = self.picture(features, config)?;
        let mut bytes = Cursor::new(Vec::new());
        picture
            .write_to(&mut bytes, ImageFormat::Png)
            .map_err(|error| Error::Encoding { what: "picture", reason: error.to_string() })?;
        Ok(bytes.into_inner())
    }

    fn picture(&self, features: &Features, config: &Config) -> Result<RgbImage, Error> {
        if config.cepstrum.is_some() {
            return Err(Error::NoSpectrum);
        }
        if !(self.range > 0.0 && self.range.is_finite()) {
            return Err(Error::setting("the range of a spectrogram", self.range, "above 0 decibel"));
        }
        let (found, expected) = (features.dimension(), config.dimension());
        if found != expected {
            return Err(Error::Dimension { found, expected });
        }
        // the energy in front is no frequency
        let lowest = usize::from(config.energy.is_some());
        let bands = config.spectrum_length();
        let [width, height] = [(features.frames(), self.frame_width), (bands, self.band_height)]
            .map(|(cells, pixels)| cells.saturating_mul(pixels));
        if ![width, height].iter().all(|side| (1..=SIDE).contains(side)) {
            return Err(Error::Size { width, height });
        }
        let squared = if config.spectrum == SpectrumKind::Magnitude { 2.0 } else { 1.0 };
        let decibel = |value: f32| {
            squared
                * match config.logarithm {
                    Logarithm::None => 10.0 * value.max(f32::MIN_POSITIVE).log10(),
                    Logarithm::Natural { .. } => value * (10.0 / LN_10),
                    Logarithm::Decibel { .. } => value,
                }
        };
        let levels: Vec<f32> =
            features.rows().flat_map(|row| row[lowest..].iter().map(|&value| decibel(value))).collect();
        let loudest = levels.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        Ok(RgbImage::from_fn(width as u32, height as u32, |x, y| {
            let frame = x as usize / self.frame_width;
            let band = bands - 1 - y as usize / self.band_height;
            Rgb(colour(1.0 + (levels[frame * bands + band] - loudest) / self.range))
        }))
    }
}

/// The colour of a value from 0, `range` decibel below the loudest, to 1, the loudest, as red, green and
/// blue: for a legend.
pub fn colour(value: f32) -> [u8; 3] {
    let value = value.clamp(0.0, 1.0);
    let lightness = 0.15 + 0.82 * value;
    let hue = (300.0 - 195.0 * value).to_radians();
    // as much as a screen has at both ends, where nearly black and nearly white have little
    let chroma = 0.06 + 0.28 * value * (1.0 - value);
    let (a, b) = (chroma * hue.cos(), chroma * hue.sin());
    let long = (lightness + 0.396_337_78 * a + 0.215_803_76 * b).powi(3);
    let medium = (lightness - 0.105_561_346 * a - 0.063_854_17 * b).powi(3);
    let short = (lightness - 0.089_484_18 * a - 1.291_485_5 * b).powi(3);
    let linear = [
        4.076_741_7 * long - 3.307_711_6 * medium + 0.230_969_94 * short,
        -1.268_438 * long + 2.609_757_4 * medium - 0.341_319_38 * short,
        -0.004_196_086_3 * long - 0.703_418_6 * medium + 1.707_614_7 * short,
    ];
    // the transfer function of IEC 61966-2-1, to 8 bits
    linear.map(|part| {
        let part = part.clamp(0.0, 1.0);
        let part = if part <= 0.003_130_8 { 12.92 * part } else { 1.055 * part.powf(1.0 / 2.4) - 0.055 };
        (part * 255.0).round() as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Audio, Extractor};

    fn luminance([red, green, blue]: [u8; 3]) -> f32 {
        0.2126 * f32::from(red) + 0.7152 * f32::from(green) + 0.0722 * f32::from(blue)
    }

    #[test]
    fn louder_is_lighter() {
        let colours: Vec<f32> = (0..=50).map(|step| luminance(colour(step as f32 / 50.0))).collect();
        assert!(colours.is_sorted_by(|darker, lighter| darker < lighter), "{colours:?}");
        assert_eq!(colour(-1.0), colour(0.0));
        assert_eq!(colour(f32::INFINITY), colour(1.0));
    }

    #[test]
    fn a_rising_tone_rises_in_the_picture() {
        let chirp = |i: i32| (std::f32::consts::PI * 3000.0 * (i as f32 / 16_000.0).powi(2)).sin();
        let audio = Audio { samples: (0..32_000).map(chirp).collect(), rate: 16_000 };
        let config = Config::kaldi_fbank(16_000, 40);
        let features = Extractor::new(config.clone()).unwrap().extract(&audio).unwrap();
        let spectrogram = Spectrogram { frame_width: 2, band_height: 3, ..Spectrogram::default() };
        let png = spectrogram.png(&features, &config).unwrap();
        let picture = image::load_from_memory(&png).unwrap().to_rgb8();
        assert_eq!(picture.dimensions(), (2 * features.frames() as u32, 120));
        let lightest = |x: u32| {
            (0..120).max_by(|&a, &b| {
                luminance(picture.get_pixel(x, a).0).total_cmp(&luminance(picture.get_pixel(x, b).0))
            })
        };
        let rows: Vec<u32> = [40, 120, 200, 300, 380].into_iter().filter_map(lightest).collect();
        assert!(rows.is_sorted_by(|earlier, later| earlier > later), "{rows:?}");
    }

    #[test]
    fn the_same_sound_in_any_logarithm_is_the_same_picture() {
        let audio =
            Audio { samples: (0..4000).map(|i| ((i * i) as f32 / 900.0).sin()).collect(), rate: 16_000 };
        let picture = |logarithm| {
            let config = Config { logarithm, ..Config::librosa_mel(16_000, 30) };
            let features = Extractor::new(config.clone()).unwrap().extract(&audio).unwrap();
            Spectrogram::default().picture(&features, &config).unwrap()
        };
        let plain = picture(Logarithm::None);
        for logarithm in [Logarithm::Natural { floor: 1e-30 }, Logarithm::Decibel { floor: 1e-30 }] {
            let other = picture(logarithm);
            assert!(plain.iter().zip(other.iter()).all(|(a, b)| a.abs_diff(*b) <= 1));
        }
    }

    #[test]
    fn what_cannot_be_drawn_is_an_error() {
        let fbank = Config::kaldi_fbank(16_000, 40);
        let features = Features::new(vec![0.0; 80], 40).unwrap();
        let drawing = Spectrogram::default();
        assert!(drawing.png(&features, &fbank).is_ok());
        assert!(matches!(drawing.png(&features, &Config::kaldi_mfcc(16_000, 13)), Err(Error::NoSpectrum)));
        let narrow = Config::kaldi_fbank(16_000, 20);
        assert!(matches!(drawing.png(&features, &narrow), Err(Error::Dimension { .. })));
        let nothing = Features::new(vec![], 40).unwrap();
        assert!(matches!(drawing.png(&nothing, &fbank), Err(Error::Size { width: 0, .. })));
        let endless = Spectrogram { frame_width: usize::MAX, ..drawing.clone() };
        assert!(matches!(endless.png(&features, &fbank), Err(Error::Size { .. })));
        let flat = Spectrogram { range: 0.0, ..drawing };
        assert!(matches!(flat.png(&features, &fbank), Err(Error::Setting { .. })));
    }
}
