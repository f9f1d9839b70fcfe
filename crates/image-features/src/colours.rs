//! Which colours are in each region of a picture.
//!
//! A network that has learnt what things are has learnt to overlook what colour they have; captions name it. A
//! region's colours are counted (Swain and Ballard 1991): red, green and blue each have as many steps as are asked
//! for, and each pixel counts for the eight mixtures around it, the more the nearer they are, so that colours
//! between two steps differ too. Of the parts that the mixtures then have of the region, the square roots are
//! taken, which makes those of a small object matter beside those of what is behind it (Arandjelović and
//! Zisserman 2012), and they are doubled, to stand beside features of about 1.

use candle_core::{Device, Result, Tensor, bail};
use rayon::prelude::*;

use crate::Preprocessing;

/// What a region of one colour has of it.
const WHOLE: f32 = 2.0;

/// The mixtures that are counted, for so many steps of each of red, green and blue.
pub fn mixtures(steps: usize) -> usize {
    steps.pow(3)
}

/// The colours of pictures `[batch, size, size, 3]` (f32) that were made by `preprocessing`, in `grid · grid`
/// regions, row by row: `[batch, grid · grid, steps³]`, on the same device; they are counted on the CPU. No
/// gradient goes back through them.
///
/// # Errors
/// When the shape or the type is another, when a region would be smaller than a pixel, or with fewer than two
/// steps.
pub fn colours(
    pictures: &Tensor,
    preprocessing: &Preprocessing,
    grid: usize,
    steps: usize,
) -> Result<Tensor> {
    let (batch, size, _, 3) = pictures.dims4()? else {
        bail!("pictures have three colours, not {:?}", pictures.shape())
    };
    if !(1..=size).contains(&grid) || steps < 2 {
        bail!("there are no {steps} steps of colours in {grid} by {grid} regions of {size} pixels")
    }
    let numbers = pictures.to_device(&Device::Cpu)?.flatten_all()?.to_vec1::<f32>()?;
    let mixtures = mixtures(steps);
    let mut colours = vec![0.0; batch * grid * grid * mixtures];
    let regions = colours.par_chunks_mut(grid * grid * mixtures);
    regions.zip(numbers.par_chunks(size * size * 3)).for_each(|(regions, picture)| {
        for (at, pixel) in picture.chunks_exact(3).enumerate() {
            let (y, x) = (at / size, at % size);
            let region = (y * grid / size) * grid + x * grid / size;
            count(&mut regions[region * mixtures..][..mixtures], pixel, preprocessing, steps);
        }
        for region in regions.chunks_exact_mut(mixtures) {
            let pixels: f32 = region.iter().sum();
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
    use proptest::prelude::*;

    use super::*;

    fn of(numbers: Vec<f32>, size: usize, grid: usize, steps: usize) -> Result<Vec<Vec<f32>>> {
        let pictures = Tensor::from_vec(numbers, (1, size, size, 3), &Device::Cpu)?;
        colours(&pictures, &Preprocessing::default(), grid, steps)?.get(0)?.to_vec2::<f32>()
    }

    #[test]
    fn each_region_has_its_own_colours() -> Result<()> {
        // Left black, right blue; below a pixel between black and green.
        let [black, blue, greenish] = [[-1.0, -1.0, -1.0], [-1.0, -1.0, 1.0], [-1.0, -0.5, -1.0]];
        let rows = [[black, black, blue, blue], [black, black, blue, blue]];
        let last = [[greenish, greenish, blue, black], [greenish, greenish, black, blue]];
        let numbers = rows.iter().chain(&last).flatten().flatten().copied().collect();
        let regions = of(numbers, 4, 2, 2)?;
        let half = (0.5f32).sqrt();
        let expected = [
            vec![(0, 1.0)],
            vec![(1, 1.0)],
            vec![(0, 0.75f32.sqrt()), (2, 0.25f32.sqrt())],
            vec![(0, half), (1, half)],
        ];
        for (region, expected) in regions.iter().zip(expected) {
            let mut all = [0.0; 8];
            expected.into_iter().for_each(|(mixture, part)| all[mixture] = WHOLE * part);
            for (found, expected) in region.iter().zip(all) {
                assert!((found - expected).abs() < 1e-6, "{region:?}");
            }
        }
        Ok(())
    }

    #[test]
    fn what_cannot_be_counted_is_refused() {
        assert!(of(vec![0.0; 12], 2, 3, 4).is_err());
        assert!(of(vec![0.0; 12], 2, 0, 4).is_err());
        assert!(of(vec![0.0; 12], 2, 2, 1).is_err());
    }

    proptest! {
        /// Whatever the pixels, the parts of a region are together 1, also where regions are not of one size.
        #[test]
        fn parts_of_a_region_are_together_one(
            numbers in prop::collection::vec(-1.2f32..1.2, 7 * 7 * 3),
            grid in 1usize..=7,
            steps in 2usize..6,
        ) {
            for region in of(numbers, 7, grid, steps).unwrap() {
                let whole: f32 = region.iter().map(|root| (root / WHOLE).powi(2)).sum();
                prop_assert!((whole - 1.0).abs() < 1e-4, "{whole}");
            }
        }
    }
}
