//! EfficientNet-Lite0: a network for telephones that has seen ImageNet.
//!
//! EfficientNet (Tan and Le 2019) without squeeze-and-excitation and with ReLU6 for an activation. A block
//! widens its input, looks around in each channel, and narrows again (Sandler et al. 2018):
//!
//! ```text
//! y = project(relu6(depthwise(relu6(expand(x))))) (+ x where the shapes are the same)
//! ```
//!
//! After every convolution stood a batch norm in training. It is part of the weights here:
//! `W ← W · γ / √(σ² + ε)`, `b = β − μ · γ / √(σ² + ε)`.

use std::collections::HashMap;

use candle_core::{DType, Result, Tensor, bail};
use candle_nn::VarBuilder;
use candle_rnn::convolution::clip;
use candle_rnn::{Convolution, DepthwiseConvolution, Linear};

use crate::Preprocessing;

/// Repeats, kernel, stride of the first, factor by which it is widened, outputs.
const STAGES: [[usize; 5]; 7] = [
    [1, 3, 1, 1, 16],
    [2, 3, 2, 6, 24],
    [2, 5, 2, 6, 40],
    [3, 3, 2, 6, 80],
    [3, 5, 1, 6, 112],
    [4, 5, 2, 6, 192],
    [1, 3, 1, 6, 320],
];
const STEM: usize = 32;
/// Of the batch norms.
const EPSILON: f64 = 1e-3;
/// Classes of ImageNet.
const CLASSES: usize = 1000;
/// How often the sides of a picture are halved.
const HALVINGS: u32 = 5;

/// What the network has seen of pictures.
#[derive(Clone, Debug)]
pub struct Seen {
    /// `[batch, grid, grid, 320]`
    pub regions: Tensor,
    /// `[batch, 1280]`
    pub global: Tensor,
}

#[derive(Clone, Debug)]
struct Block {
    expand: Option<Convolution>,
    depthwise: DepthwiseConvolution,
    project: Convolution,
    is_residual: bool,
}

/// The sizes of a block.
#[derive(Clone, Copy)]
struct Shape {
    input: usize,
    wide: usize,
    output: usize,
    kernel: usize,
    stride: usize,
}

fn blocks() -> impl Iterator<Item = Shape> {
    let mut input = STEM;
    STAGES.into_iter().flat_map(move |[repeats, kernel, stride, factor, output]| {
        let first = input;
        input = output;
        (0..repeats).map(move |number| {
            let (input, stride) = if number == 0 { (first, stride) } else { (output, 1) };
            Shape { input, wide: input * factor, output, kernel, stride }
        })
    })
}

/// The network (see the [module](self)).
#[derive(Clone, Debug)]
pub struct EfficientNetLite0 {
    stem: Convolution,
    blocks: Vec<Block>,
    head: Convolution,
}

impl EfficientNetLite0 {
    /// Features of a region.
    pub const REGION: usize = 320;
    /// Features of a picture as a whole.
    pub const GLOBAL: usize = 1280;
    /// Pixels along a side of a region.
    pub const SIDE: usize = 2usize.pow(HALVINGS);

    /// What it was trained to see: 224 pixels.
    pub fn preprocessing() -> Preprocessing {
        Preprocessing { size: 224, mean: 127.0, scale: 128.0 }
    }

    /// Regions along a side of a picture of so many pixels.
    pub fn grid(size: usize) -> usize {
        size.div_ceil(Self::SIDE)
    }

    /// Reads or creates the weights `stem.weight`, `stem.bias`, `blocks.0.depthwise.weight`, …, `head.weight`,
    /// …, which [`folded`](Self::folded) makes of the published ones.
    ///
    /// # Errors
    /// A weight that is missing or has another shape.
    pub fn new(vb: VarBuilder) -> Result<Self> {
        let dense = |shape: [usize; 4], stride, vb: VarBuilder| {
            Convolution::from_weight(vb.get(&shape, "weight")?, Some(vb.get(shape[0], "bias")?), stride)
        };
        let block = |(number, shape): (usize, Shape)| {
            let vb = vb.pp("blocks").pp(number);
            let Shape { input, wide, output, kernel, stride } = shape;
            let depthwise = vb.pp("depthwise");
            Ok(Block {
                expand: match wide > input {
                    true => Some(dense([wide, input, 1, 1], 1, vb.pp("expand"))?),
                    false => None,
                },
                depthwise: DepthwiseConvolution::from_weight(
                    depthwise.get((wide, 1, kernel, kernel), "weight")?,
                    depthwise.get(wide, "bias")?,
                    stride,
                )?,
                project: dense([output, wide, 1, 1], 1, vb.pp("project"))?,
                is_residual: stride == 1 && input == output,
            })
        };
        Ok(Self {
            stem: dense([STEM, 3, 3, 3], 2, vb.pp("stem"))?,
            blocks: blocks().enumerate().map(block).collect::<Result<_>>()?,
            head: dense([Self::GLOBAL, Self::REGION, 1, 1], 1, vb.pp("head"))?,
        })
    }

    /// The weights by the names of [`new`](Self::new) and [`classes`](Self::classes), from those of the published PyTorch state_dict, the
    /// batch norms being made part of them.
    ///
    /// # Errors
    /// A weight that is missing or has another shape: then it is not this network's.
    pub fn folded(published: &HashMap<String, Tensor>) -> Result<HashMap<String, Tensor>> {
        let get = |name: &str| match published.get(name) {
            Some(tensor) => tensor.to_dtype(DType::F32),
            None => bail!("there is no {name}"),
        };
        let mut folded = HashMap::new();
        let mut fold = |convolution: &str, norm: &str, name: &str| -> Result<()> {
            let of_norm = |part: &str| get(&format!("{norm}.{part}"));
            let deviation = of_norm("running_var")?.affine(1.0, EPSILON)?.sqrt()?;
            let factor = of_norm("weight")?.div(&deviation)?;
            let weight = get(&format!("{convolution}.weight"))?;
            let weight = weight.broadcast_mul(&factor.reshape(((), 1, 1, 1))?)?;
            let bias = of_norm("bias")?.sub(&of_norm("running_mean")?.mul(&factor)?)?;
            folded.insert(format!("{name}.weight"), weight);
            folded.insert(format!("{name}.bias"), bias);
            Ok(())
        };
        fold("_conv_stem", "_bn0", "stem")?;
        for (number, Shape { input, wide, .. }) in blocks().enumerate() {
            let old = format!("_blocks.{number}");
            let new = format!("blocks.{number}");
            if wide > input {
                fold(&format!("{old}._expand_conv"), &format!("{old}._bn0"), &format!("{new}.expand"))?;
            }
            fold(&format!("{old}._depthwise_conv"), &format!("{old}._bn1"), &format!("{new}.depthwise"))?;
            fold(&format!("{old}._project_conv"), &format!("{old}._bn2"), &format!("{new}.project"))?;
        }
        fold("_conv_head", "_bn1", "head")?;
        folded.insert("classes.weight".to_owned(), get("_fc.weight")?);
        folded.insert("classes.bias".to_owned(), get("_fc.bias")?);
        Ok(folded)
    }

    /// What is seen on pictures `[batch, size, size, 3]`.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward(&self, pictures: &Tensor) -> Result<Seen> {
        let first = clip(&self.stem.forward(pictures)?, 6.0)?;
        let regions = self.blocks.iter().try_fold(first, |xs, block| block.forward(&xs))?;
        let global = clip(&self.head.forward(&regions)?, 6.0)?.mean((1, 2))?;
        Ok(Seen { regions, global })
    }

    /// The layer that gives the scores of ImageNet's 1,000 classes from what a picture is as a whole; its
    /// weights are `classes.weight` and `classes.bias`.
    ///
    /// # Errors
    /// A weight that is missing or has another shape.
    pub fn classes(vb: VarBuilder) -> Result<Linear> {
        let vb = vb.pp("classes");
        Ok(Linear::from_weight(vb.get((CLASSES, Self::GLOBAL), "weight")?, Some(vb.get(CLASSES, "bias")?)))
    }
}

impl Block {
    fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        let wide = match &self.expand {
            Some(expand) => clip(&expand.forward(xs)?, 6.0)?,
            None => xs.clone(),
        };
        let ys = self.project.forward(&clip(&self.depthwise.forward(&wide)?, 6.0)?)?;
        if self.is_residual { ys + xs } else { Ok(ys) }
    }
}
