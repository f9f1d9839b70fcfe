//! Where a picture changes, and which way, whatever its colours.
//!
//! A network that is to know a shape in colours that it never had in training must not see them. What is left of
//! a picture without them is its structure tensor (Di Zenzo 1986, of several colours), with `∇x_c` the
//! differences of a colour between the neighbours to the right and left, below and above:
//!
//! ```text
//! J = Σ_c ∇x_c ∇x_cᵀ                                    s² = J₁₁ + J₂₂
//! contours = [ s / (s + ε),  (J₁₁ − J₂₂) / (s² + ε²),  2 J₁₂ / (s² + ε²) ]
//! ```
//!
//! The first number tells whether there is a contour, and with [`FAINT`], ε, well below `s`, hardly more of how
//! strong it is, which would say what the colours on its sides are. The other two are the cosine and the sine of
//! twice the angle that it is crossed at (Granlund 1978), so that a contour from light to dark is the same as one
//! from dark to light.

use candle_core::{Device, Result, Tensor};
use rayon::prelude::*;

/// A change that is half a contour: about the noise of a photograph, where black is −1 and white is 1.
const FAINT: f32 = 0.3;

/// The contours of pictures `[batch, height, width, 3]` (f32), of the same shape and on the same device; they are
/// found on the CPU. No gradient goes back through them.
///
/// # Errors
/// When the shape or the type is another.
pub fn contours(pictures: &Tensor) -> Result<Tensor> {
    let (batch, height, width, 3) = pictures.dims4()? else {
        candle_core::bail!("pictures have three colours, not {:?}", pictures.shape())
    };
    let numbers = pictures.to_device(&Device::Cpu)?.flatten_all()?.to_vec1::<f32>()?;
    let mut contours = vec![0.0; numbers.len()];
    let size = (height * width * 3).max(1);
    contours.par_chunks_mut(size).zip(numbers.par_chunks(size)).for_each(|(contours, picture)| {
        let rows = contours.chunks_exact_mut(width * 3).enumerate();
        for (y, row) in rows {
            for (x, contour) in row.chunks_exact_mut(3).enumerate() {
                contour.copy_from_slice(&contour_at(picture, (y, x), (height, width)));
            }
        }
    });
    Tensor::from_vec(contours, (batch, height, width, 3), pictures.device())
}

/// The border goes on beyond itself.
fn contour_at(picture: &[f32], (y, x): (usize, usize), (height, width): (usize, usize)) -> [f32; 3] {
    let pixel = |y: usize, x: usize| &picture[(y * width + x) * 3..][..3];
    let (left, right) = (pixel(y, x.saturating_sub(1)), pixel(y, (x + 1).min(width - 1)));
    let (above, below) = (pixel(y.saturating_sub(1), x), pixel((y + 1).min(height - 1), x));
    let mut tensor = [0.0; 3];
    for colour in 0..3 {
        let across = right[colour] - left[colour];
        let down = below[colour] - above[colour];
        tensor[0] += across * across;
        tensor[1] += across * down;
        tensor[2] += down * down;
    }
    let square = tensor[0] + tensor[2];
    let strength = square.sqrt();
    let whole = square + FAINT * FAINT;
    [strength / (strength + FAINT), (tensor[0] - tensor[2]) / whole, 2.0 * tensor[1] / whole]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One picture of a function of its row and column.
    fn picture(size: usize, of: impl Fn(usize, usize) -> [f32; 3]) -> Result<Tensor> {
        let numbers: Vec<f32> = (0..size * size).flat_map(|at| of(at / size, at % size)).collect();
        Tensor::from_vec(numbers, (1, size, size, 3), &Device::Cpu)
    }

    fn at(contours: &Tensor, y: usize, x: usize) -> Result<[f32; 3]> {
        let numbers = contours.get(0)?.get(y)?.get(x)?.to_vec1::<f32>()?;
        Ok([numbers[0], numbers[1], numbers[2]])
    }

    #[test]
    fn a_contour_tells_its_direction_but_not_its_colours() -> Result<()> {
        let (red, green, blue) = ([1.0, -1.0, -1.0], [-1.0, 1.0, -1.0], [-1.0, -1.0, 1.0]);
        let standing = contours(&picture(8, |_, x| if x < 4 { red } else { green })?)?;
        for colours in [(green, red), (blue, red), (green, blue)] {
            let other = contours(&picture(8, |_, x| if x < 4 { colours.0 } else { colours.1 })?)?;
            assert_eq!(other.flatten_all()?.to_vec1::<f32>()?, standing.flatten_all()?.to_vec1::<f32>()?);
        }
        let [strength, cosine, sine] = at(&standing, 3, 3)?;
        assert!(strength > 0.9 && cosine > 0.9 && sine == 0.0, "{strength} {cosine} {sine}");
        let [_, cosine, sine] = at(&contours(&picture(8, |y, _| if y < 4 { red } else { green })?)?, 3, 3)?;
        assert!(cosine < -0.9 && sine == 0.0, "{cosine} {sine}");
        let falling = contours(&picture(8, |y, x| if x < y { red } else { green })?)?;
        let rising = contours(&picture(8, |y, x| if x + y < 8 { red } else { green })?)?;
        let ([.., falls], [.., rises]) = (at(&falling, 4, 4)?, at(&rising, 4, 4)?);
        assert!(falls < -0.9 && rises > 0.9, "{falls} {rises}");
        Ok(())
    }

    #[test]
    fn where_nothing_changes_there_is_no_contour_and_the_border_is_none() -> Result<()> {
        let plain = contours(&picture(5, |_, _| [0.3, -0.2, 0.9])?)?;
        assert_eq!(plain.abs()?.sum_all()?.to_scalar::<f32>()?, 0.0);
        let one_pixel = contours(&picture(1, |_, _| [1.0; 3])?)?;
        assert_eq!(at(&one_pixel, 0, 0)?, [0.0; 3]);
        assert!(contours(&Tensor::zeros((1, 4, 4, 1), candle_core::DType::F32, &Device::Cpu)?).is_err());
        Ok(())
    }
}
