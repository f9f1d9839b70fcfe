//! The output layer of a model of symbols, made ready for a search: `ln softmax(W x + b)` for many `x` at a
//! time.

use candle_core::Result;
use rayon::prelude::*;

use crate::kernels::softmax::LogSoftmax;
use crate::kernels::{Packed, Real, Rows, product_in_tiles, rows_of_a_block};
use crate::prepared::{bias_of, vector};
use crate::{Linear, MatmulPrecision};

/// Rows that one thread takes at once: so few that their scores are still in its cache when they are
/// normalised.
const BLOCK: usize = 32;

/// A [`Linear`] and the softmax of what it gives (see the [module](self)); the weight is packed once.
pub struct SoftmaxLayer {
    weight: Packed<f32>,
    bias: Vec<f32>,
    input: usize,
}

impl SoftmaxLayer {
    /// The layer as it is now; later changes of its variables are not seen.
    ///
    /// # Errors
    /// When its weight cannot be read.
    pub fn new(linear: &Linear) -> Result<Self> {
        let input = linear.weight().dim(1)?;
        let weight = vector(&linear.weight().flatten_all()?)?;
        let weight = Packed::columns(Rows::new(&weight, input), MatmulPrecision::Full);
        Ok(Self { weight, bias: bias_of(linear)?, input })
    }

    /// Writes the log-probabilities after each row of `xs [rows, input]` to `out [rows, symbols]`. The bits
    /// of a row do not depend on how many rows there are.
    ///
    /// # Panics
    /// When a length is not that of the layer.
    pub fn log_probs(&self, xs: &[f32], out: &mut [f32]) {
        let symbols = self.bias.len();
        let rows = xs.len() / self.input;
        assert_eq!(
            (xs.len(), out.len()),
            (rows * self.input, rows * symbols),
            "a row of scores for each row of features"
        );
        let block = rows_of_a_block(rows, BLOCK);
        let blocks = out.par_chunks_mut(block * symbols).zip(xs.par_chunks(block * self.input));
        blocks.for_each(|(out, xs)| {
            out.chunks_exact_mut(symbols).for_each(|row| row.copy_from_slice(&self.bias));
            product_in_tiles(out, Rows::new(xs, self.input), &self.weight);
            out.chunks_exact_mut(symbols).for_each(|row| f32::dispatch(LogSoftmax(row)));
        });
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device, Tensor};

    use super::*;
    use crate::{Generator, Parameters};

    #[test]
    fn many_rows_give_the_layers_log_probabilities_and_the_bits_of_each_row_alone() -> Result<()> {
        let parameters = Parameters::new(3, DType::F32, &Device::Cpu);
        let (rows, input, symbols) = (70, 19, 41);
        let linear = Linear::new(input, symbols, true, parameters.builder())?;
        let layer = SoftmaxLayer::new(&linear)?;
        let mut generator = Generator::new(4);
        let mut xs: Vec<f32> = (0..rows * input).map(|_| generator.normal() as f32).collect();
        let scores = linear.forward(&Tensor::from_slice(&xs, (rows, input), &Device::Cpu)?)?;
        let truth = candle_nn::ops::log_softmax(&scores, 1)?.flatten_all()?.to_vec1::<f32>()?;
        let log_probs = |xs: &[f32]| {
            let mut out = vec![0.; xs.len() / input * symbols];
            layer.log_probs(xs, &mut out);
            out
        };
        assert!(log_probs(&[]).is_empty());
        let ours = log_probs(&xs);
        assert!(ours.iter().zip(&truth).all(|(ours, truth)| (ours - truth).abs() < 1e-5));
        for (x, ours) in xs.chunks_exact(input).zip(ours.chunks_exact(symbols)) {
            assert_eq!(log_probs(x), ours);
        }
        xs[3] = f32::NAN;
        assert!(log_probs(&xs)[..symbols].iter().all(|x| x.is_nan()), "a NaN is not hidden");
        Ok(())
    }
}
