//! Where a picture changes, and which way, whatever its colours.
//!
//! A network that is to know a shape in colours that it never had in training must not see them. What is left of
//! a picture without them is its structure tensor (Di Zenzo 1986, of several colours). With `∇x_c` the difference
//! of colour `c` between the pixels right and left of one, and between those below and above it, where black is 0
//! and white 1:
//!
//! ```text
//! J = Σ_c ∇x_c ∇x_cᵀ                                    s² = J₁₁ + J₂₂
//! contours = [ s / (s + ε),  (J₁₁ − J₂₂) / (s² + ε²),  2 J₁₂ / (s² + ε²) ]            ε = 0.15
//! ```
//!
//! The first number tells whether there is a contour. How strong it is, which would say what the colours on its
//! sides are, hardly matters where `s` is well above ε: the edge of a red thing on black has 0.87, of a white one 0.92.
//! The other two are the direction: of a straight and strong contour the cosine and the sine of twice the angle that
//! it is crossed at (Granlund 1978), which are the same from light to dark as from dark to light; of a faint one,
//! or of a corner, they are smaller.

use candle_core::{Result, Tensor};
use rayon::prelude::*;

use crate::Preprocessing;

/// A change that is half a contour.
const FAINT: f32 = 0.15;

/// The contours of pictures `[batch, size, size, 3]` (f32) that were made by `preprocessing`, of the same shape and
/// on the same device; they are found on the CPU. Beyond the border a picture goes on as at the border. No gradient
/// goes back through them.
///
/// # Errors
/// When the shape or the type is another.
pub fn contours(pictures: &Tensor, preprocessing: &Preprocessing) -> Result<Tensor> {
    preprocessing.count(pictures)?;
    let size = preprocessing.size;
    let numbers = pictures.flatten_all()?.to_vec1::<f32>()?;
    let mut contours = vec![0.0; numbers.len()];
    let of_picture = size * size * 3;
    contours.par_chunks_mut(of_picture).zip(numbers.par_chunks(of_picture)).for_each(
        |(contours, picture)| {
            for (at, contour) in contours.chunks_exact_mut(3).enumerate() {
                contour.copy_from_slice(&contour_at(picture, (at / size, at % size), size, preprocessing));
            }
        },
    );
    Tensor::from_vec(contours, pictures.shape(), pictures.device())
}

fn contour_at(
    picture: &[f32],
    (y, x): (usize, usize),
    size: usize,
    preprocessing: &Preprocessing,
) -> [f32; 3] {
    let pixel = |y: usize, x: usize| &picture[(y * size + x) * 3..][..3];
    let (left, right) = (pixel(y, x.saturating_sub(1)), pixel(y, (x + 1).min(size - 1)));
    let (above, below) = (pixel(y.saturating_sub(1), x), pixel((y + 1).min(size - 1), x));
    let light = preprocessing.scale / 255.0;
    let mut tensor = [0.0; 3];
    for colour in 0..3 {
        let across = light * (right[colour] - left[colour]);
        let down = light * (below[colour] - above[colour]);
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
    use candle_core::{DType, Device};

    use super::*;

    const RED: [f32; 3] = [1.0, 0.0, 0.0];
    const GREEN: [f32; 3] = [0.0, 1.0, 0.0];
    const SIZE: usize = 8;

    /// The contours of a picture that is of one colour or another by row and column.
    fn of(colours: [[f32; 3]; 2], second: fn(usize, usize) -> bool) -> Result<Vec<Vec<Vec<f32>>>> {
        let pixel = |at: usize| colours[usize::from(second(at / SIZE, at % SIZE))];
        let light: Vec<f32> = (0..SIZE * SIZE).flat_map(pixel).collect();
        // Two pictures, the first of which has nothing on it.
        let both = [vec![0.3; light.len()], light].concat();
        let found = |mean, scale| -> Result<Tensor> {
            let numbers: Vec<f32> = both.iter().map(|light| (255.0 * light - mean) / scale).collect();
            let pictures = Tensor::from_vec(numbers, (2, SIZE, SIZE, 3), &Device::Cpu)?;
            contours(&pictures, &Preprocessing { size: SIZE, mean, scale })
        };
        let (usual, plain) = (found(127.5, 127.5)?, found(0.0, 255.0)?);
        let most = |tensor: Tensor| tensor.abs()?.max_all()?.to_scalar::<f32>();
        assert!(most(usual.get(0)?)? < 1e-6 && most(plain.get(0)?)? < 1e-6);
        assert!(most((usual - &plain)?)? < 1e-5);
        plain.get(1)?.to_vec3()
    }

    #[test]
    fn a_contour_tells_which_way_it_is_crossed() -> Result<()> {
        let at =
            |second, y: usize, x: usize| Ok::<_, candle_core::Error>(of([RED, GREEN], second)?[y][x].clone());
        let standing = at(|_, x| x >= 4, 3, 3)?;
        assert!(standing[0] > 0.9 && standing[1] > 0.9 && standing[2] == 0.0, "{standing:?}");
        let lying = at(|y, _| y >= 4, 3, 3)?;
        assert!(lying[0] > 0.9 && lying[1] < -0.9 && lying[2] == 0.0, "{lying:?}");
        let (falling, rising) = (at(|y, x| x >= y, 4, 4)?, at(|y, x| x + y >= 8, 4, 4)?);
        assert!(falling[2] < -0.9 && rising[2] > 0.9, "{falling:?} {rising:?}");
        assert_eq!(at(|_, x| x >= 4, 3, 1)?, [0.0; 3]);
        Ok(())
    }

    #[test]
    fn a_contour_hardly_tells_its_colours() -> Result<()> {
        let square = |y: usize, x: usize| (2..6).contains(&y) && (2..6).contains(&x);
        let black = [0.0; 3];
        let white = of([black, [1.0; 3]], square)?;
        for colours in [[[1.0; 3], black], [black, RED], [black, GREEN], [RED, GREEN], [[0.0, 0.0, 1.0], RED]]
        {
            for (found, white) in
                of(colours, square)?.iter().flatten().flatten().zip(white.iter().flatten().flatten())
            {
                assert!((found - white).abs() < 0.1, "{found} {white} of {colours:?}");
            }
        }
        Ok(())
    }

    #[test]
    fn the_border_is_no_contour_and_other_shapes_are_refused() -> Result<()> {
        let of_size = |size| Preprocessing { size, ..Preprocessing::default() };
        let ones = |shape| Tensor::ones(shape, DType::F32, &Device::Cpu);
        let one_pixel = contours(&ones((1, 1, 1, 3))?, &of_size(1))?;
        assert_eq!(one_pixel.flatten_all()?.to_vec1::<f32>()?, [0.0; 3]);
        for shape in [(1, 4, 4, 1), (1, 4, 8, 3), (1, 0, 0, 3)] {
            assert!(contours(&ones(shape)?, &of_size(shape.1)).is_err(), "{shape:?}");
        }
        Ok(())
    }
}
