//! Muon's step: the gradient of a matrix with all its singular values made equal.
//!
//! K. Jordan et al. (2024), *Muon: An optimizer for hidden layers in neural networks*. A direction in which the
//! gradient is small, such as a faint edge beside a strong colour, is learnt as fast as one in which it is
//! large.

use candle_core::{Result, Tensor, bail};
use candle_rnn::MatmulPrecision;
use candle_rnn::kernels::{Packed, Real, Rows, product};

/// Iterations of Newton and Schulz, as in PyTorch.
const ITERATIONS: usize = 5;
/// Of the polynomial `a x + b x³ + c x⁵`, which takes any singular value in (0, 1] to about 1.
const COEFFICIENTS: [f64; 3] = [3.4445, -4.775, 2.0315];
/// Of the norm, so that nothing is divided by zero.
const EPSILON: f64 = 1e-7;

/// The direction of a step, for a variable of two or more dimensions, a convolution's kernel being a matrix
/// with a row for each output: the matrix with the singular vectors of `momentum`, and singular values that
/// are all about 1 (between 0.7 and 1.2); and longer, if it is higher than wide.
///
/// # Errors
/// When the variable has fewer dimensions.
pub fn direction(momentum: &Tensor) -> Result<Tensor> {
    let [rows, _, ..] = *momentum.dims() else { bail!("Muon updates matrices, not {:?}", momentum.dims()) };
    let matrix = momentum.reshape((rows, ()))?.contiguous()?;
    let is_high = rows > matrix.dim(1)?;
    // The products below are of the shorter side.
    let x = if is_high { matrix.t()?.contiguous()? } else { matrix };
    let norm = x.sqr()?.sum_all()?.sqrt()?.affine(1., EPSILON)?;
    let mut x = x.broadcast_div(&norm)?;
    let [a, b, c] = COEFFICIENTS;
    for _ in 0..ITERATIONS {
        let square = x.matmul(&x.t()?)?;
        let factor = ((&square * b)? + (square.matmul(&square)? * c)?)?;
        x = ((&x * a)? + factor.matmul(&x)?)?;
    }
    let x = if is_high { x.t()?.contiguous()? } else { x };
    (x * length(rows, momentum.elem_count() / rows.max(1)))?.reshape(momentum.shape())
}

/// `√max(1, rows / columns)`
fn length(rows: usize, columns: usize) -> f64 {
    (rows as f64 / columns.max(1) as f64).max(1.).sqrt()
}

/// [`direction`] of the matrix with so many rows, on this thread: the numbers of `matrix` become it.
pub(super) fn direct<R: Real>(matrix: &mut [R], rows: usize) {
    let columns = matrix.len() / rows.max(1);
    if rows > columns {
        let mut across = transposed(matrix, columns);
        orthogonalize(&mut across, columns, rows);
        matrix.copy_from_slice(&transposed(&across, rows));
    } else {
        orthogonalize(matrix, rows, columns);
    }
    let length = R::from_f64(length(rows, columns));
    matrix.iter_mut().for_each(|x| *x *= length);
}

fn transposed<R: Real>(matrix: &[R], columns: usize) -> Vec<R> {
    (0..columns).flat_map(|column| matrix.iter().skip(column).step_by(columns).copied()).collect()
}

/// `x` becomes `a x + (b x xᵀ + c (x xᵀ)²) x`, some times over.
fn orthogonalize<R: Real>(x: &mut [R], rows: usize, columns: usize) {
    let squares: f64 = x.iter().map(|x| x.to_f64() * x.to_f64()).sum();
    let inverse = R::from_f64(1. / (squares.sqrt() + EPSILON));
    x.iter_mut().for_each(|x| *x *= inverse);
    let [a, b, c] = COEFFICIENTS.map(R::from_f64);
    let (mut square, mut factor) = (vec![R::zero(); rows * rows], vec![R::zero(); rows * rows]);
    for _ in 0..ITERATIONS {
        square.fill(R::zero());
        product(
            &mut square,
            Rows::new(x, columns),
            &Packed::columns(Rows::new(x, columns), MatmulPrecision::Full),
        );
        factor.fill(R::zero());
        product(
            &mut factor,
            Rows::new(&square, rows),
            &Packed::rows(Rows::new(&square, rows), MatmulPrecision::Full),
        );
        factor.iter_mut().zip(&square).for_each(|(factor, &square)| *factor = *factor * c + square * b);
        let packed = Packed::rows(Rows::new(x, columns), MatmulPrecision::Full);
        x.iter_mut().for_each(|x| *x *= a);
        product(x, Rows::new(&factor, rows), &packed);
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};
    use candle_rnn::Generator;

    use super::*;

    fn random(rows: usize, columns: usize, seed: u64) -> Result<Tensor> {
        let mut generator = Generator::new(seed);
        let numbers: Vec<f64> = (0..rows * columns).map(|_| generator.normal()).collect();
        Tensor::from_vec(numbers, (rows, columns), &Device::Cpu)
    }

    #[test]
    fn singular_values_become_about_one_in_either_shape_and_by_either_way() -> Result<()> {
        for (rows, columns) in [(3, 8), (8, 3), (5, 5)] {
            let matrix = random(rows, columns, 2)?;
            let x = (direction(&matrix)? / length(rows, columns))?;
            // Of tr(XᵀX) and tr((XᵀX)²), the sums of their squares and fourth powers.
            let small = if rows < columns { x.matmul(&x.t()?)? } else { x.t()?.matmul(&x)? };
            let count = rows.min(columns) as f64;
            let squares = x.sqr()?.sum_all()?.to_scalar::<f64>()? / count;
            let fourths = small.sqr()?.sum_all()?.to_scalar::<f64>()? / count;
            assert!((0.5..1.4).contains(&squares) && (0.3..1.8).contains(&fourths), "{squares} {fourths}");
            let mut by_numbers = matrix.flatten_all()?.to_vec1::<f64>()?;
            direct(&mut by_numbers, rows);
            let by_tensors = direction(&matrix)?.flatten_all()?.to_vec1::<f64>()?;
            assert!(by_numbers.iter().zip(by_tensors).all(|(a, b)| (a - b).abs() < 1e-9));
        }
        Ok(())
    }

    #[test]
    fn a_kernel_is_a_matrix_with_a_row_for_each_output() -> Result<()> {
        let kernel = random(4, 18, 3)?;
        let flat = direction(&kernel)?;
        let shaped = direction(&kernel.reshape((4, 2, 3, 3))?)?;
        assert_eq!(shaped.dims(), [4, 2, 3, 3]);
        assert_eq!(shaped.flatten_all()?.to_vec1::<f64>()?, flat.flatten_all()?.to_vec1::<f64>()?);
        assert!(direction(&Tensor::zeros(3, DType::F64, &Device::Cpu)?).is_err());
        // A gradient that is zero stays zero.
        let nothing = direction(&Tensor::zeros((2, 3), DType::F32, &Device::Cpu)?)?;
        assert_eq!(nothing.abs()?.max_all()?.to_scalar::<f32>()?, 0.);
        Ok(())
    }
}
