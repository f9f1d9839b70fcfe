//! The network that looks: from pictures to regions and to what they are as a whole.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use app_kit::UsageError;
use candle_core::{Device, Tensor};
use candle_nn::VarBuilder;
use candle_rnn::{MatmulPrecision, Mode};
use clap::ValueEnum;
use image_features::{EfficientNetLite0, Preprocessing, Residual, ResidualConfig};
use serde::{Deserialize, Serialize};

/// Which network looks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum EncoderKind {
    /// A small residual network, trained along with the decoder.
    Residual(ResidualConfig),
    /// EfficientNet-Lite0 with its weights of ImageNet.
    EfficientnetLite0,
}

/// The names of the kinds on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EncoderName {
    /// A small residual network, trained from scratch
    Residual,
    /// EfficientNet-Lite0, which has seen ImageNet; needs --encoder-weights
    EfficientnetLite0,
}

/// The network that looks, and what pictures are for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EncoderConfig {
    /// Which network.
    pub kind: EncoderKind,
    /// What it sees of a picture.
    pub preprocessing: Preprocessing,
}

impl Default for EncoderConfig {
    /// The residual network on pictures of 64 pixels.
    fn default() -> Self {
        Self::named(EncoderName::Residual)
    }
}

impl EncoderConfig {
    /// The default settings of a kind.
    pub fn named(name: EncoderName) -> Self {
        match name {
            EncoderName::Residual => Self {
                kind: EncoderKind::Residual(ResidualConfig::default()),
                preprocessing: Preprocessing::default(),
            },
            EncoderName::EfficientnetLite0 => Self {
                kind: EncoderKind::EfficientnetLite0,
                preprocessing: EfficientNetLite0::preprocessing(),
            },
        }
    }

    /// Whether the settings make sense.
    ///
    /// # Errors
    /// [`UsageError`], with what to change.
    pub fn validate(&self) -> Result<(), UsageError> {
        self.preprocessing.validate().map_err(|error| UsageError::new(error.to_string()))?;
        match &self.kind {
            EncoderKind::Residual(config) if config.channels.is_empty() || config.channels.contains(&0) => {
                Err(UsageError::new("the encoder needs at least one channel in each of its layers"))
            }
            _ => Ok(()),
        }
    }

    /// What there will be of a picture.
    pub fn sizes(&self) -> Sizes {
        let size = self.preprocessing.size;
        match &self.kind {
            EncoderKind::Residual(config) => {
                Sizes { grid: config.grid(size), region: config.output_size(), global: config.output_size() }
            }
            EncoderKind::EfficientnetLite0 => Sizes {
                grid: EfficientNetLite0::grid(size),
                region: EfficientNetLite0::REGION,
                global: EfficientNetLite0::GLOBAL,
            },
        }
    }
}

/// How much there is of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Regions along a side.
    pub grid: usize,
    /// Features of a region.
    pub region: usize,
    /// Features of the whole.
    pub global: usize,
}

impl Sizes {
    /// Regions of a picture.
    pub fn places(&self) -> usize {
        self.grid * self.grid
    }
}

/// What an encoder has seen of a batch of pictures.
#[derive(Clone, Debug)]
pub struct Seen {
    /// `[batch, places, region]`, row by row.
    pub regions: Tensor,
    /// `[batch, global]`
    pub global: Tensor,
}

impl Seen {
    /// The same numbers without their history.
    pub fn detach(&self) -> Self {
        Self { regions: self.regions.detach(), global: self.global.detach() }
    }
}

/// The network that looks.
#[derive(Clone, Debug)]
pub struct Encoder {
    network: Kind,
    sizes: Sizes,
}

#[derive(Clone, Debug)]
enum Kind {
    Residual(Residual),
    EfficientnetLite0(Box<EfficientNetLite0>),
}

impl Encoder {
    /// Reads or creates its weights.
    ///
    /// # Errors
    /// A weight that is missing or has another shape.
    pub fn new(config: &EncoderConfig, matmul: MatmulPrecision, vb: VarBuilder) -> Result<Self> {
        let network = match &config.kind {
            EncoderKind::Residual(config) => Kind::Residual(Residual::new(config, vb)?.with_matmul(matmul)),
            EncoderKind::EfficientnetLite0 => Kind::EfficientnetLite0(Box::new(EfficientNetLite0::new(vb)?)),
        };
        Ok(Self { network, sizes: config.sizes() })
    }

    /// Looks at pictures `[batch, size, size, 3]`.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward(&self, pictures: &Tensor, mode: &Mode) -> candle_core::Result<Seen> {
        let Sizes { region, .. } = self.sizes;
        let flat = |grid: Tensor| grid.reshape((grid.dim(0)?, self.sizes.places(), region));
        match &self.network {
            Kind::Residual(network) => {
                let regions = flat(network.forward(pictures, mode)?)?;
                Ok(Seen { global: regions.mean(1)?, regions })
            }
            Kind::EfficientnetLite0(network) => {
                let seen = network.forward(pictures)?;
                Ok(Seen { regions: flat(seen.regions)?, global: seen.global })
            }
        }
    }
}

/// The weights of a trained encoder, by the names of its network: of EfficientNet-Lite0 the published ones,
/// as a `.safetensors` file or PyTorch's state_dict (`.pth`, `.pt`, in its zip format).
///
/// # Errors
/// A file that cannot be read, or holds the weights of another network.
pub fn published(path: &Path) -> Result<HashMap<String, Tensor>> {
    let shown = path.display();
    let tensors = match path.extension().and_then(|extension| extension.to_str()) {
        Some("safetensors") => candle_core::safetensors::load(path, &Device::Cpu)
            .with_context(|| format!("cannot read the weights in {shown}"))?,
        Some("pth" | "pt" | "bin") => candle_core::pickle::read_all(path)
            .with_context(|| {
                format!(
                    "cannot read the weights in {shown}: if the file is of PyTorch's format before 1.6, load it \
                     with torch and save it with safetensors"
                )
            })?
            .into_iter()
            .collect(),
        _ => bail!(UsageError::new(format!(
            "{shown} is neither .safetensors nor .pth: give the weights in one of these forms"
        ))),
    };
    let mut weights = EfficientNetLite0::folded(&tensors)
        .with_context(|| format!("{shown} does not hold the weights of EfficientNet-Lite0"))?;
    // What ImageNet's classes are called does not matter here.
    weights.retain(|name, _| !name.starts_with("classes."));
    Ok(weights)
}
