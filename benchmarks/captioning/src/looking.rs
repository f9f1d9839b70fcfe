//! EfficientNet-Lite0 over a batch of pictures, by the code of the application.

use std::path::PathBuf;

use anyhow::Result;
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_rnn::{MatmulPrecision, Mode};
use captioning::encoder::{Encoder, EncoderConfig, EncoderName, Seen, published};
use serde::Deserialize;
use worker::numbers::{fill, root_mean_square};
use worker::{Check, Workload};

#[derive(Deserialize)]
pub struct Row {
    /// PyTorch's state_dict.
    weights: PathBuf,
    batch: usize,
    size: usize,
}

/// Pictures of noise, and what looks at them.
pub struct Looking {
    encoder: Encoder,
    pictures: Tensor,
}

impl Looking {
    pub fn new(row: &Row) -> Result<Self> {
        // PyTorch's side does not count colours.
        let config = EncoderConfig { colour_steps: 0, ..EncoderConfig::named(EncoderName::EfficientnetLite0) };
        let vb = VarBuilder::from_tensors(published(&row.weights)?, DType::F32, &Device::Cpu);
        let shape = (row.batch, row.size, row.size, 3);
        let pixels = fill("pictures", row.batch * row.size * row.size * 3, 1.0);
        Ok(Self {
            encoder: Encoder::new(&config, MatmulPrecision::Full, vb)?,
            pictures: Tensor::from_vec(pixels, shape, &Device::Cpu)?,
        })
    }

    fn look(&self) -> Result<Seen> {
        Ok(self.encoder.forward(&self.pictures, &Mode::Eval)?)
    }
}

impl Workload for Looking {
    fn check(&mut self) -> Result<Check> {
        let seen = self.look()?;
        let size =
            |xs: &Tensor| Ok::<_, anyhow::Error>(root_mean_square(&xs.flatten_all()?.to_vec1::<f32>()?));
        Ok(Check::from([("regions", size(&seen.regions)?), ("global", size(&seen.global)?)]))
    }

    fn iterate(&mut self) -> Result<()> {
        self.look().map(drop)
    }
}
