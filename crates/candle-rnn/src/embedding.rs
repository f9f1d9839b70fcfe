//! A table of vectors, one per token.

use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result, Shape, Tensor, bail};
use candle_nn::{Init, VarBuilder};

use crate::kernels::{self, Real, numbers, with_numbers};

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
        let ids = ids.flatten_all()?;
        if !kernels::take(&self.weight) {
            return self.weight.index_select(&ids.contiguous()?, 0)?.reshape(shape);
        }
        let vocab = self.weight.dim(0)?;
        let ids = ids.to_vec1::<u32>()?;
        if let Some(id) = ids.iter().find(|id| **id as usize >= vocab) {
            bail!("token {id} is not below the vocabulary size {vocab}");
        }
        self.weight.contiguous()?.apply_op1(Select { ids })?.reshape(shape)
    }

    /// `[vocab, size]`.
    pub fn weight(&self) -> &Tensor {
        &self.weight
    }
}

/// Rows of a table as one node, whose gradient is written to the rows used only.
struct Select {
    ids: Vec<u32>,
}

impl Select {
    fn rows<R: Real>(&self, table: &[R], width: usize) -> CpuStorage {
        let row = |id: &u32| &table[*id as usize * width..][..width];
        R::to_cpu_storage_owned(self.ids.iter().flat_map(row).copied().collect())
    }

    fn gradient<R: Real>(&self, table: &Tensor, rows: &Tensor) -> Result<Option<Tensor>> {
        let width = table.dim(1)?;
        let mut gradient = vec![R::zero(); table.elem_count()];
        with_numbers(rows, |rows: &[R]| {
            for (id, row) in self.ids.iter().zip(rows.chunks_exact(width)) {
                let sum = &mut gradient[*id as usize * width..][..width];
                sum.iter_mut().zip(row).for_each(|(sum, &x)| *sum += x);
            }
        })?;
        Tensor::from_vec(gradient, table.shape(), table.device()).map(Some)
    }
}

impl CustomOp1 for Select {
    fn name(&self) -> &'static str {
        "embedding"
    }

    fn cpu_fwd(&self, table: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let width = layout.dims()[1];
        let rows = match table {
            CpuStorage::F32(_) => self.rows::<f32>(numbers(table, layout)?, width),
            _ => self.rows::<f64>(numbers(table, layout)?, width),
        };
        Ok((rows, (self.ids.len(), width).into()))
    }

    fn bwd(&self, table: &Tensor, _: &Tensor, rows: &Tensor) -> Result<Option<Tensor>> {
        match table.dtype() {
            DType::F32 => self.gradient::<f32>(table, rows),
            _ => self.gradient::<f64>(table, rows),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Parameters;
    use candle_core::Device;

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
