//! First values of weights, beyond those of [`candle_nn::Init`].

use candle_core::{Device, Result, Tensor, bail};
use candle_nn::Init;

use crate::Generator;

/// PyTorch's default for every weight and bias of `nn.RNN`, `nn.GRU` and `nn.LSTM`: uniform in
/// `±1/√hidden`, where `hidden` is the number of units. With the number of inputs in its place
/// it is `nn.Linear`'s.
pub fn pytorch_uniform(hidden: usize) -> Init {
    let bound = 1. / (hidden.max(1) as f64).sqrt();
    Init::Uniform { lo: -bound, up: bound }
}

/// A random matrix `[rows, cols]` of f64 on the CPU with orthonormal rows or columns, whichever
/// are fewer, all such matrices being equally likely. As a recurrent matrix it keeps the norm of
/// what passes through it.
///
/// The same distribution as `torch.nn.init.orthogonal_` (Saxe, McClelland and Ganguli 2013,
/// arXiv:1312.6120): the Q of the QR decomposition, with a positive diagonal of R, of a matrix
/// of normal numbers.
///
/// # Errors
/// When `rows` or `cols` is zero.
pub fn orthogonal(rows: usize, cols: usize, generator: &mut Generator) -> Result<Tensor> {
    if rows == 0 || cols == 0 {
        bail!("an orthogonal matrix of {rows} rows and {cols} columns has no elements");
    }
    let (count, length) = (rows.min(cols), rows.max(cols));
    let mut basis: Vec<Vec<f64>> = Vec::with_capacity(count);
    while basis.len() < count {
        let mut vector: Vec<f64> = (0..length).map(|_| generator.normal()).collect();
        // Modified Gram-Schmidt, twice: once leaves rounding errors in nearly parallel vectors
        // (Giraud, Langou and Rozložník 2005, "twice is enough").
        for _ in 0..2 {
            for unit in &basis {
                let along = dot(&vector, unit);
                vector.iter_mut().zip(unit).for_each(|(v, u)| *v -= along * u);
            }
        }
        let norm = dot(&vector, &vector).sqrt();
        // A vector that lies in the span of the others, up to rounding, is drawn anew.
        if norm > 1e-8 {
            vector.iter_mut().for_each(|v| *v /= norm);
            basis.push(vector);
        }
    }
    let matrix = Tensor::from_vec(basis.concat(), (count, length), &Device::Cpu)?;
    if rows <= cols { Ok(matrix) } else { matrix.t()?.contiguous() }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The bias `[4 · hidden]` of an LSTM, in PyTorch's gate order `i, f, g, o`, with `value` in the
/// forget gate's quarter. A positive value lets the cell remember from the first step of
/// training on (Gers, Schmidhuber and Cummins 2000; 1 in Jozefowicz, Zaremba and Sutskever
/// 2015). PyTorch's LSTM has two biases that are added: give the value to one, 0 to the other.
///
/// # Errors
/// When `bias` is not a vector of four equal parts.
pub fn forget_gate_bias(bias: &Tensor, value: f64) -> Result<Tensor> {
    let rows = bias.dims1()?;
    if rows == 0 || !rows.is_multiple_of(4) {
        bail!("the bias of an LSTM has four equal parts, one per gate; this one has length {rows}");
    }
    let hidden = rows / 4;
    let forget = Tensor::full(value, hidden, bias.device())?.to_dtype(bias.dtype())?;
    Tensor::cat(&[bias.narrow(0, 0, hidden)?, forget, bias.narrow(0, 2 * hidden, 2 * hidden)?], 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orthogonal_matrices_have_orthonormal_rows_or_columns() -> Result<()> {
        for (rows, cols) in [(5, 5), (3, 8), (8, 3), (1, 1), (64, 64)] {
            let q = orthogonal(rows, cols, &mut Generator::new(2))?;
            assert_eq!(q.dims(), [rows, cols]);
            let product = if rows <= cols { q.matmul(&q.t()?)? } else { q.t()?.matmul(&q)? };
            for (i, row) in product.to_vec2::<f64>()?.iter().enumerate() {
                for (j, x) in row.iter().enumerate() {
                    assert!((x - f64::from(i == j)).abs() < 1e-12, "{rows}x{cols} at {i}, {j}: {x}");
                }
            }
        }
        assert!(orthogonal(0, 3, &mut Generator::new(2)).is_err());
        Ok(())
    }

    #[test]
    fn only_the_forget_gates_quarter_of_the_bias_changes() -> Result<()> {
        let bias = Tensor::new(&[1f32, 2., 3., 4., 5., 6., 7., 8.], &Device::Cpu)?;
        let bias = forget_gate_bias(&bias, 0.5)?;
        assert_eq!(bias.to_vec1::<f32>()?, [1., 2., 0.5, 0.5, 5., 6., 7., 8.]);
        assert!(forget_gate_bias(&bias.narrow(0, 0, 6)?, 1.).is_err());
        Ok(())
    }
}
