//! A small residual network (He et al. 2016), to be trained from scratch on a CPU.
//!
//! ```text
//! x = relu(norm(conv₇ₓ₇(picture, stride 4)))
//! x = relu(norm(conv₃ₓ₃(relu(norm(conv₃ₓ₃(x, stride 2)))) + conv₁ₓ₁(x, stride 2)))    for each stage
//! ```
//!
//! The norms are over the channels of a place (Ba et al. 2016) rather than over the batch: a picture does not
//! depend on those it stands beside, and there is nothing to remember besides the weights.

use candle_core::{Result, Tensor, bail};
use candle_nn::VarBuilder;
use candle_rnn::{Convolution, LayerNorm, MatmulPrecision};
use serde::{Deserialize, Serialize};

/// The shape of a [`Residual`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ResidualConfig {
    /// Channels after the first convolution, which makes one place of four by four pixels, and after each
    /// stage, which halves the sides of the picture.
    pub channels: Vec<usize>,
}

impl Default for ResidualConfig {
    /// 64 and 128 channels: a picture of 64 pixels becomes a grid of 8 by 8 regions.
    fn default() -> Self {
        Self { channels: vec![64, 128] }
    }
}

impl ResidualConfig {
    /// Features of a region.
    pub fn output_size(&self) -> usize {
        self.channels.last().copied().unwrap_or(0)
    }

    /// Regions along a side of a picture of so many pixels.
    pub fn grid(&self, size: usize) -> usize {
        self.channels.iter().skip(1).fold(size.div_ceil(STEM), |size, _| size.div_ceil(2))
    }
}

/// Pixels of a side that the first convolution makes a place of.
const STEM: usize = 4;

/// A convolution and what makes its outputs comparable.
#[derive(Clone, Debug)]
struct Normed {
    convolution: Convolution,
    norm: LayerNorm,
}

impl Normed {
    fn new(input: usize, output: usize, kernel: usize, stride: usize, vb: VarBuilder) -> Result<Self> {
        Ok(Self {
            convolution: Convolution::new(input, output, kernel, stride, false, vb.clone())?,
            norm: LayerNorm::new(output, 1e-5, vb.pp("norm"))?,
        })
    }

    fn with_matmul(self, matmul: MatmulPrecision) -> Self {
        Self { convolution: self.convolution.with_matmul(matmul), ..self }
    }

    /// `relu(norm(convolution of xs))`, with something added before the norm.
    fn forward(&self, xs: &Tensor, added: Option<&Tensor>) -> Result<Tensor> {
        let ys = self.convolution.forward(xs)?;
        let ys = added.map_or(Ok(ys.clone()), |added| ys + added)?;
        self.norm.forward_relu(&ys)
    }
}

/// Two convolutions, and a way past them.
#[derive(Clone, Debug)]
struct Stage {
    first: Normed,
    second: Normed,
    shortcut: Convolution,
}

impl Stage {
    fn new(input: usize, output: usize, vb: VarBuilder) -> Result<Self> {
        Ok(Self {
            first: Normed::new(input, output, 3, 2, vb.pp("first"))?,
            second: Normed::new(output, output, 3, 1, vb.pp("second"))?,
            shortcut: Convolution::new(input, output, 1, 2, false, vb.pp("shortcut"))?,
        })
    }

    fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        let way_past = self.shortcut.forward(xs)?;
        self.second.forward(&self.first.forward(xs, None)?, Some(&way_past))
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
        let stem = Normed::new(3, first, 2 * STEM - 1, STEM, vb.pp("stem"))?;
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
            shortcut: stage.shortcut.with_matmul(matmul),
        };
        Self { stem: self.stem.with_matmul(matmul), stages: self.stages.into_iter().map(stage).collect() }
    }

    /// The regions of pictures `[batch, size, size, 3]`: `[batch, grid, grid, channels]`, of which
    /// [`ResidualConfig`] tells the sizes.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward(&self, pictures: &Tensor) -> Result<Tensor> {
        let first = self.stem.forward(pictures, None)?;
        self.stages.iter().try_fold(first, |xs, stage| stage.forward(&xs))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};
    use candle_rnn::Parameters;

    use super::*;

    #[test]
    fn regions_have_the_announced_shape_and_every_weight_learns() -> Result<()> {
        let config = ResidualConfig { channels: vec![4, 6, 8] };
        let parameters = Parameters::new(1, DType::F32, &Device::Cpu);
        let network = Residual::new(&config, parameters.builder())?;
        let pictures = Tensor::randn(0f32, 1., (2, 21, 21, 3), &Device::Cpu)?;
        let regions = network.forward(&pictures)?;
        let grid = config.grid(21);
        assert_eq!(regions.dims(), [2, grid, grid, config.output_size()]);
        let gradients = regions.sqr()?.sum_all()?.backward()?;
        for (name, variable) in parameters.named() {
            let gradient = gradients.get(&variable).unwrap_or_else(|| panic!("no gradient of {name}"));
            let size = gradient.sqr()?.sum_all()?.to_scalar::<f32>()?;
            assert!(size.is_finite() && size > 0., "the gradient of {name} is {size}");
        }
        assert!(Residual::new(&ResidualConfig { channels: vec![] }, parameters.builder()).is_err());
        Ok(())
    }
}
