//! A table of vectors, one per token.

use candle_core::{Result, Tensor};
use candle_nn::{Init, VarBuilder};

/// Row `i` of a weight `[vocab, size]` for every token `i`, as `torch.nn.Embedding`.
#[derive(Clone, Debug)]
pub struct Embedding {
    weight: Tensor,
}

impl Embedding {
    /// Reads or creates `weight [vocab, size]`; a new one is normal with deviation 1, PyTorch's
    /// default.
    ///
    /// # Errors
    /// When the weight has another shape.
    pub fn new(vocab: usize, size: usize, vb: VarBuilder) -> Result<Self> {
        let weight = vb.get_with_hints((vocab, size), "weight", Init::Randn { mean: 0., stdev: 1. })?;
        Ok(Self { weight })
    }

    /// `ids [...]` (u32) to `[..., size]`.
    ///
    /// # Errors
    /// When an id is not below the size of the vocabulary.
    pub fn forward(&self, ids: &Tensor) -> Result<Tensor> {
        let mut shape = ids.dims().to_vec();
        shape.push(self.weight.dim(1)?);
        self.weight.index_select(&ids.flatten_all()?.contiguous()?, 0)?.reshape(shape)
    }

    /// `[vocab, size]`.
    pub fn weight(&self) -> &Tensor {
        &self.weight
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Parameters;
    use candle_core::{DType, Device};

    #[test]
    fn it_selects_rows_and_sums_the_gradients_of_repeated_tokens() -> Result<()> {
        let parameters = Parameters::new(1, DType::F32, &Device::Cpu);
        let embedding = Embedding::new(4, 2, parameters.builder())?;
        let ids = Tensor::new(&[[3u32, 1, 3], [0, 3, 1]], &Device::Cpu)?;
        let ys = embedding.forward(&ids)?;
        assert_eq!(ys.dims(), [2, 3, 2]);
        let (table, ys_) = (embedding.weight().to_vec2::<f32>()?, ys.to_vec3::<f32>()?);
        assert_eq!([&ys_[0][0], &ys_[0][1], &ys_[1][0]], [&table[3], &table[1], &table[0]]);
        let gradients = ys.sum_all()?.backward()?;
        let gradient = gradients.get(embedding.weight()).expect("it was used").to_vec2::<f32>()?;
        assert_eq!(gradient, [[1., 1.], [2., 2.], [0., 0.], [3., 3.]]);
        Ok(())
    }

    #[test]
    fn a_token_outside_the_vocabulary_is_an_error() -> Result<()> {
        let parameters = Parameters::new(1, DType::F32, &Device::Cpu);
        let embedding = Embedding::new(4, 2, parameters.builder())?;
        assert!(embedding.forward(&Tensor::new(&[4u32], &Device::Cpu)?).is_err());
        Ok(())
    }
}
