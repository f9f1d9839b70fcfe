//! The network that looks: from pictures to regions and to what they are as a whole.
//!
//! A network that has seen ImageNet overlooks the colour that a thing has, and one that is trained from scratch
//! learns which things have which: neither helps to tell of a thing in a colour that is new to it. So the one that is
//! trained from scratch sees [`contours()`] rather than colours, and the [`colours()`] of each region are counted and
//! stand beside what either says of it.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use app_kit::UsageError;
use candle_core::{Device, Tensor};
use candle_nn::VarBuilder;
use candle_rnn::{MatmulPrecision, Mode};
use clap::ValueEnum;
use image_features::colours::mixtures;
use image_features::{EfficientNetLite0, Preprocessing, Residual, ResidualConfig, colours, contours};
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
    /// Whether it sees the [`contours()`] of a picture rather than its colours, which then cannot take part in
    /// telling one shape from another; not for a network that has seen pictures in colours.
    pub contours: bool,
    /// Steps of red, green and blue, whose mixtures are counted in each region ([`colours()`]); 0 for none.
    pub colour_steps: usize,
}

/// Steps of colours unless told otherwise.
pub const COLOUR_STEPS: usize = 4;
/// Steps of colours at most: 4,096 mixtures in each region.
const MOST_COLOUR_STEPS: usize = 16;

impl Default for EncoderConfig {
    /// The residual network on the contours of pictures of 64 pixels.
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
                contours: true,
                colour_steps: COLOUR_STEPS,
            },
            EncoderName::EfficientnetLite0 => Self {
                kind: EncoderKind::EfficientnetLite0,
                preprocessing: EfficientNetLite0::preprocessing(),
                contours: false,
                colour_steps: COLOUR_STEPS,
            },
        }
    }

    /// Whether the settings make sense.
    ///
    /// # Errors
    /// [`UsageError`], with what to change.
    pub fn validate(&self) -> Result<(), UsageError> {
        self.preprocessing.validate().map_err(|error| UsageError::new(error.to_string()))?;
        let steps = self.colour_steps;
        if steps == 1 || steps > MOST_COLOUR_STEPS {
            return Err(UsageError::new(format!(
                "colours must have from 2 to {MOST_COLOUR_STEPS} steps, or 0 for none, not {steps}"
            )));
        }
        match &self.kind {
            EncoderKind::Residual(config) if config.channels.is_empty() || config.channels.contains(&0) => {
                Err(UsageError::new("the encoder needs at least one channel in each of its layers"))
            }
            EncoderKind::EfficientnetLite0 if self.contours => Err(UsageError::new(
                "EfficientNet-Lite0 has learnt from colours and cannot see contours: set contours = false",
            )),
            _ => Ok(()),
        }
    }

    /// Pixels along a side of a region.
    fn side(&self) -> usize {
        match &self.kind {
            EncoderKind::Residual(config) => config.side(),
            EncoderKind::EfficientnetLite0 => EfficientNetLite0::SIDE,
        }
    }

    /// What there will be of a picture.
    pub fn sizes(&self) -> Sizes {
        let size = self.preprocessing.size;
        let colours = mixtures(self.colour_steps);
        match &self.kind {
            EncoderKind::Residual(config) => {
                let region = config.output_size() + colours;
                Sizes { grid: config.grid(size), region, global: region }
            }
            EncoderKind::EfficientnetLite0 => Sizes {
                grid: EfficientNetLite0::grid(size),
                region: EfficientNetLite0::REGION + colours,
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
    /// Features of a region, its colours among them.
    pub region: usize,
    /// Features of the whole: of a residual network the mean region, of EfficientNet-Lite0 what ImageNet's classes are
    /// told from.
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
    config: EncoderConfig,
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
        Ok(Self { network, config: config.clone() })
    }

    /// What it was made with.
    pub fn config(&self) -> &EncoderConfig {
        &self.config
    }

    /// Looks at pictures `[batch, size, size, 3]` (f32), as its [`Preprocessing`] makes them.
    ///
    /// # Errors
    /// When the shape or the type is another.
    pub fn forward(&self, pictures: &Tensor, mode: &Mode) -> candle_core::Result<Seen> {
        let EncoderConfig { preprocessing, contours: by_contours, colour_steps, .. } = &self.config;
        preprocessing.count(pictures)?;
        let (regions, global) = match &self.network {
            Kind::Residual(network) => {
                let pictures =
                    if *by_contours { contours(pictures, preprocessing)? } else { pictures.clone() };
                (network.forward(&pictures, mode)?, None)
            }
            Kind::EfficientnetLite0(network) => {
                let seen = network.forward(pictures)?;
                (seen.regions, Some(seen.global))
            }
        };
        let mut regions = regions.flatten(1, 2)?;
        if *colour_steps > 0 {
            let colours = colours(pictures, preprocessing, self.config.side(), *colour_steps)?;
            regions = Tensor::cat(&[&regions, &colours], 2)?;
        }
        Ok(Seen { global: global.map_or_else(|| regions.mean(1), Ok)?, regions })
    }
}

/// The same weights on a device.
///
/// # Errors
/// A device that fails.
pub fn on_device(weights: &HashMap<String, Tensor>, device: &Device) -> Result<HashMap<String, Tensor>> {
    weights.iter().map(|(name, tensor)| Ok((name.clone(), tensor.to_device(device)?))).collect()
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

#[cfg(test)]
mod tests {
    use candle_core::DType;
    use candle_rnn::Parameters;

    use super::*;

    const RED: [f32; 3] = [1.0, -1.0, -1.0];
    const BLUE: [f32; 3] = [-1.0, -1.0, 1.0];

    fn small() -> EncoderConfig {
        let mut config = EncoderConfig::default();
        config.preprocessing.size = 21;
        config
    }

    fn encoder(config: &EncoderConfig) -> Result<Encoder> {
        let parameters = Parameters::new(1, DType::F32, &Device::Cpu);
        Encoder::new(config, MatmulPrecision::Full, parameters.builder())
    }

    /// A square of a colour on black.
    fn square(colour: [f32; 3], size: usize) -> Result<Tensor> {
        let inside = |at: usize| (size / 4..size / 2).contains(&at);
        let pixel = |at: usize| if inside(at / size) && inside(at % size) { colour } else { [-1.0; 3] };
        let numbers: Vec<f32> = (0..size * size).flat_map(pixel).collect();
        Ok(Tensor::from_vec(numbers, (1, size, size, 3), &Device::Cpu)?)
    }

    #[test]
    fn a_shape_is_the_same_in_each_colour_and_the_colours_stand_beside_it() -> Result<()> {
        let compared = |config: &EncoderConfig| -> Result<[f32; 2]> {
            let (encoder, size) = (encoder(config)?, config.preprocessing.size);
            let look = |colour| Ok::<_, anyhow::Error>(encoder.forward(&square(colour, size)?, &Mode::Eval)?);
            let difference = (look(RED)?.regions - look(BLUE)?.regions)?.abs()?;
            let counted = mixtures(config.colour_steps);
            let shapes = difference.dim(2)? - counted;
            let most = |part: Tensor| part.max_all()?.to_scalar::<f32>();
            Ok([most(difference.narrow(2, 0, shapes)?)?, most(difference.narrow(2, shapes, counted)?)?])
        };
        let [shapes, colours] = compared(&small())?;
        assert!(shapes < 1e-4 && colours > 0.5, "{shapes} {colours}");
        let [shapes, _] = compared(&EncoderConfig { contours: false, ..small() })?;
        assert!(shapes > 0.01, "{shapes}");
        Ok(())
    }

    #[test]
    fn what_is_seen_has_the_announced_sizes() -> Result<()> {
        for colour_steps in [0, 4] {
            let config = EncoderConfig { colour_steps, ..small() };
            let (encoder, sizes) = (encoder(&config)?, config.sizes());
            let seen = encoder.forward(&square(RED, 21)?, &Mode::Eval)?;
            assert_eq!(seen.regions.dims(), [1, sizes.places(), sizes.region]);
            assert_eq!(seen.global.dims(), [1, sizes.global]);
            assert!(encoder.forward(&square(RED, 20)?, &Mode::Eval).is_err());
        }
        Ok(())
    }

    #[test]
    fn a_network_that_knows_colours_does_not_see_contours() {
        let config = EncoderConfig::named(EncoderName::EfficientnetLite0);
        assert!(config.validate().is_ok());
        assert!(EncoderConfig { contours: true, ..config }.validate().is_err());
    }
}
