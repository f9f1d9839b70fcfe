//! Which colours are in each region of a picture.
//!
//! A network that has learnt what things are has learnt to overlook what colour they have; captions name it. The
//! colours of a region are counted in a histogram of red, green and blue (Swain and Ballard 1991). With `x_c` from 0,
//! black, to 1, and `k_c` one of `K` steps from 0 to `K − 1`, the number of the mixture `k` in a region of `n` pixels is
//!
//! ```text
//! 2 √( 1/n Σ_pixels Π_c max(0, 1 − |(K − 1) x_c − k_c|) )
//! ```
//!
//! A pixel counts for the eight mixtures around it, by trilinear interpolation, so that colours between two steps
//! differ too. The square roots make the colours of a small object matter beside those of what is behind it
//! (Arandjelović and Zisserman 2012, of other histograms). The numbers of a region are a vector of length 2.

use candle_core::{Result, Tensor, bail};
use rayon::prelude::*;

use crate::Preprocessing;

/// The number of a mixture that all pixels of a region are of.
const WHOLE: f32 = 2.0;

/// The mixtures of so many steps of red, green and blue each.
pub fn mixtures(steps: usize) -> usize {
    steps.pow(3)
}

/// The colours of pictures `[batch, size, size, 3]` (f32) that were made by `preprocessing`, in regions of `side` by
/// `side` pixels, row by row, of which the last may be smaller: `[batch, ⌈size/side⌉², steps³]`, red changing the most
/// slowly; on the same device, but counted on the CPU. No gradient goes back through them.
///
/// # Errors
/// When the shape or the type is another; regions without pixels; fewer than two steps.
pub fn colours(
    pictures: &Tensor,
    preprocessing: &Preprocessing,
    side: usize,
    steps: usize,
) -> Result<Tensor> {
    let (batch, size) = (preprocessing.count(pictures)?, preprocessing.size);
    if side == 0 {
        bail!("a region has at least one pixel")
    }
    if steps < 2 {
        bail!("colours have at least two steps, not {steps}")
    }
    let numbers = pictures.flatten_all()?.to_vec1::<f32>()?;
    let (grid, mixtures) = (size.div_ceil(side), mixtures(steps));
    let mut colours = vec![0.0; batch * grid * grid * mixtures];
    let regions = colours.par_chunks_mut(grid * grid * mixtures);
    regions.zip(numbers.par_chunks(size * size * 3)).for_each(|(regions, picture)| {
        for (at, pixel) in picture.chunks_exact(3).enumerate() {
            let region = (at / size / side) * grid + at % size / side;
            count(&mut regions[region * mixtures..][..mixtures], pixel, preprocessing, steps);
        }
        let pixels = |row: usize| side.min(size - row * side);
        for (at, region) in regions.chunks_exact_mut(mixtures).enumerate() {
            let pixels = (pixels(at / grid) * pixels(at % grid)) as f32;
            region.iter_mut().for_each(|count| *count = WHOLE * (*count / pixels).sqrt());
        }
    });
    Tensor::from_vec(colours, (batch, grid * grid, mixtures), pictures.device())
}

/// Adds a pixel to the mixtures around it.
fn count(mixtures: &mut [f32], pixel: &[f32], preprocessing: &Preprocessing, steps: usize) {
    let (mut below, mut above) = ([0; 3], [0.0; 3]);
    for colour in 0..3 {
        let light = (pixel[colour] * preprocessing.scale + preprocessing.mean) / 255.0;
        let step = light.clamp(0.0, 1.0) * (steps - 1) as f32;
        below[colour] = (step as usize).min(steps - 2);
        above[colour] = step - below[colour] as f32;
    }
    for corner in 0..8 {
        let (mut mixture, mut weight) = (0, 1.0);
        for colour in 0..3 {
            let up = corner >> colour & 1;
            mixture = mixture * steps + below[colour] + up;
            weight *= if up == 1 { above[colour] } else { 1.0 - above[colour] };
        }
        mixtures[mixture] += weight;
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};
    use proptest::prelude::*;

    use super::*;

    /// The parts of the last of some pictures, whose light is from 0 to 1.
    fn parts(light: &[f32], size: usize, side: usize, steps: usize) -> Result<Vec<Vec<f32>>> {
        let preprocessing = Preprocessing { size, mean: 127.0, scale: 128.0 };
        let numbers = light.iter().map(|light| (255.0 * light - 127.0) / 128.0).collect();
        let batch = light.len() / (size * size * 3);
        let pictures = Tensor::from_vec(numbers, (batch, size, size, 3), &Device::Cpu)?;
        let colours = colours(&pictures, &preprocessing, side, steps)?;
        (colours.get(batch - 1)? / f64::from(WHOLE))?.sqr()?.to_vec2()
    }

    /// That these are the parts of the region, and the others none.
    fn has(region: &[f32], parts: &[(usize, f32)]) {
        for (mixture, found) in region.iter().enumerate() {
            let part = parts.iter().find(|(number, _)| *number == mixture).map_or(0.0, |(_, part)| *part);
            assert!((found - part).abs() < 1e-5, "{found} of mixture {mixture}, not {part}");
        }
    }

    #[test]
    fn each_region_has_its_own_colours() -> Result<()> {
        let [black, blue, greenish] = [[0.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.25, 0.0]];
        let picture = [[black, black, blue], [black, black, black], [greenish, greenish, blue]];
        let light: Vec<f32> = picture.into_iter().flatten().flatten().collect();
        // After another picture, of which nothing may be left.
        let light = [vec![1.0; light.len()], light].concat();
        let regions = parts(&light, 3, 2, 2)?;
        has(&regions[0], &[(0, 1.0)]);
        has(&regions[1], &[(0, 0.5), (1, 0.5)]);
        has(&regions[2], &[(0, 0.75), (2, 0.25)]);
        has(&regions[3], &[(1, 1.0)]);
        Ok(())
    }

    #[test]
    fn a_pixel_counts_for_the_mixtures_around_it() -> Result<()> {
        // Of three steps: red between the first and the second, green the second, blue the last.
        let [region] = &parts(&[0.1, 0.5, 1.0], 1, 1, 3)?[..] else { panic!("one region") };
        has(region, &[(3 + 2, 0.8), (9 + 3 + 2, 0.2)]);
        Ok(())
    }

    #[test]
    fn what_cannot_be_counted_is_refused() -> Result<()> {
        let pictures = |shape| Tensor::zeros(shape, DType::F32, &Device::Cpu);
        let preprocessing = Preprocessing { size: 4, ..Preprocessing::default() };
        let square = pictures((1, 4, 4, 3))?;
        assert!(colours(&square, &preprocessing, 2, 4).is_ok());
        assert!(colours(&square, &preprocessing, 0, 4).is_err());
        assert!(colours(&square, &preprocessing, 2, 1).is_err());
        assert!(colours(&pictures((2, 4, 8, 3))?, &preprocessing, 2, 4).is_err());
        assert!(colours(&pictures((2, 4, 4, 1))?, &preprocessing, 2, 4).is_err());
        Ok(())
    }

    proptest! {
        /// Whatever the pixels, and however few are in the last regions, all of them are counted once.
        #[test]
        fn the_parts_of_a_region_are_together_one(
            light in prop::collection::vec(-0.2f32..1.2, 2 * 7 * 7 * 3),
            side in 1usize..=8,
            steps in 2usize..6,
        ) {
            let regions = parts(&light, 7, side, steps).unwrap();
            prop_assert_eq!(regions.len(), 7usize.div_ceil(side).pow(2));
            for region in regions {
                let whole: f32 = region.iter().sum();
                prop_assert!((whole - 1.0).abs() < 1e-4, "{}", whole);
            }
        }
    }
}
