//! A small residual network (He et al. 2016), to be trained from scratch on a CPU.
//!
//! ```text
//! x = relu(norm(conv₅ₓ₅(picture, stride 2)))
//! x = relu(norm(pool(conv₃ₓ₃(x))))                    for each stage, which so halves the sides,
//! x = relu(norm(conv₃ₓ₃(x) + x))                      and looks again
//! ```
//!
//! The norms are over the batch (Ioffe and Szegedy 2015), the pool is the maximum of two by two places
//! (He's stages halve by a stride, and norms over the channels of a place would do without a batch: of the
//! embedded scenes, such a network learns the shapes many times as slowly).

use candle_core::{Result, Tensor, bail};
use candle_nn::VarBuilder;
use candle_rnn::convolution::max_pool;
use candle_rnn::{BatchNorm, Convolution, MatmulPrecision, Mode};
use serde::{Deserialize, Serialize};

/// The shape of a [`Residual`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ResidualConfig {
    /// Channels after the first convolution and after each stage, all of which halve the sides of the picture.
    pub channels: Vec<usize>,
}

impl Default for ResidualConfig {
    /// 24, 48 and 96 channels: a picture of 64 pixels becomes a grid of 8 by 8 regions.
    fn default() -> Self {
        Self { channels: vec![24, 48, 96] }
    }
}

impl ResidualConfig {
    /// Features of a region.
    pub fn output_size(&self) -> usize {
        self.channels.last().copied().unwrap_or(0)
    }

    /// Pixels along a side of a region.
    pub fn side(&self) -> usize {
        2usize.saturating_pow(self.channels.len() as u32)
    }

    /// Regions along a side of a picture of so many pixels.
    pub fn grid(&self, size: usize) -> usize {
        size.div_ceil(self.side())
    }
}

/// A convolution and what makes its outputs comparable.
#[derive(Clone, Debug)]
struct Normed {
    convolution: Convolution,
    norm: BatchNorm,
}

impl Normed {
    fn new(input: usize, output: usize, kernel: usize, stride: usize, vb: VarBuilder) -> Result<Self> {
        Ok(Self {
            convolution: Convolution::new(input, output, kernel, stride, false, vb.clone())?,
            norm: BatchNorm::new(output, 1e-5, vb.pp("norm"))?,
        })
    }

    fn with_matmul(self, matmul: MatmulPrecision) -> Self {
        Self { convolution: self.convolution.with_matmul(matmul), ..self }
    }
}

/// A convolution with a pool, and one that is added to its input.
#[derive(Clone, Debug)]
struct Stage {
    first: Normed,
    second: Normed,
}

impl Stage {
    fn new(input: usize, output: usize, vb: VarBuilder) -> Result<Self> {
        Ok(Self {
            first: Normed::new(input, output, 3, 1, vb.pp("first"))?,
            second: Normed::new(output, output, 3, 1, vb.pp("second"))?,
        })
    }

    fn forward(&self, xs: &Tensor, mode: &Mode) -> Result<Tensor> {
        let Self { first, second } = self;
        let xs = first.norm.forward_relu(&max_pool(&first.convolution.forward(xs)?)?, mode)?;
        second.norm.forward_relu(&(second.convolution.forward(&xs)? + xs)?, mode)
    }
}

/// The network (see the [module](self)).
#[derive(Clone, Debug)]
pub struct Residual {
    stem: Normed,
    stages: Vec<Stage>,
}

impl Residual {
    /// Reads or creates `stem.weight`, `stem.norm.weight`, …, `stages.0.first.weight`, ….
    ///
    /// # Errors
    /// When there are no channels, or a weight has another shape.
    pub fn new(config: &ResidualConfig, vb: VarBuilder) -> Result<Self> {
        let Some(&first) = config.channels.first() else { bail!("a network without channels") };
        let stem = Normed::new(3, first, 5, 2, vb.pp("stem"))?;
        let stages = config.channels.windows(2).enumerate();
        let stage =
            |(number, pair): (usize, &[usize])| Stage::new(pair[0], pair[1], vb.pp("stages").pp(number));
        Ok(Self { stem, stages: stages.map(stage).collect::<Result<_>>()? })
    }

    /// The same network with products of this precision, on the CPU.
    pub fn with_matmul(self, matmul: MatmulPrecision) -> Self {
        let stage = |stage: Stage| Stage {
            first: stage.first.with_matmul(matmul),
            second: stage.second.with_matmul(matmul),
        };
        Self { stem: self.stem.with_matmul(matmul), stages: self.stages.into_iter().map(stage).collect() }
    }

    /// The regions of pictures `[batch, size, size, 3]`: `[batch, grid, grid, channels]`, of which
    /// [`ResidualConfig`] tells the sizes.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward(&self, pictures: &Tensor, mode: &Mode) -> Result<Tensor> {
        let first = self.stem.norm.forward_relu(&self.stem.convolution.forward(pictures)?, mode)?;
        self.stages.iter().try_fold(first, |xs, stage| stage.forward(&xs, mode))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};
    use candle_rnn::batch_norm::is_remembered;
    use candle_rnn::{Generator, Parameters};

    use super::*;

    #[test]
    fn regions_have_the_announced_shape_and_every_weight_learns() -> Result<()> {
        let config = ResidualConfig { channels: vec![4, 6, 8] };
        let parameters = Parameters::new(1, DType::F32, &Device::Cpu);
        let network = Residual::new(&config, parameters.builder())?;
        let pictures = Tensor::randn(0f32, 1., (2, 21, 21, 3), &Device::Cpu)?;
        let regions = network.forward(&pictures, &Mode::Train(&mut Generator::new(0)))?;
        let grid = config.grid(21);
        assert_eq!(regions.dims(), [2, grid, grid, config.output_size()]);
        let gradients = regions.sqr()?.sum_all()?.backward()?;
        let learns = |(name, _): &(String, _)| !is_remembered(name);
        for (name, variable) in parameters.named().into_iter().filter(learns) {
            let gradient = gradients.get(&variable).unwrap_or_else(|| panic!("no gradient of {name}"));
            let size = gradient.sqr()?.sum_all()?.to_scalar::<f32>()?;
            assert!(size.is_finite() && size > 0., "the gradient of {name} is {size}");
        }
        assert!(Residual::new(&ResidualConfig { channels: vec![] }, parameters.builder()).is_err());
        Ok(())
    }
}
