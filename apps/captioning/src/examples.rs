//! Pictures with captions as examples, and in batches.

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result, anyhow};
use candle_core::Device;
use candle_rnn::Generator;
use image_features::{AugmentConfig, Preprocessing};
use rayon::prelude::*;

use crate::corpus::Image;

/// A picture and its captions, which are learnt together: the encoder looks once for all of them.
#[derive(Clone, Debug)]
pub struct Example {
    /// The number of the picture.
    pub picture: usize,
    /// The symbols of each caption, its end among them.
    pub captions: Vec<Vec<u32>>,
}

/// Pictures that an encoder looks at anew each time, changed a little; those of the next batch are made ready
/// while this one is learnt from.
pub struct LivePictures {
    images: Arc<Vec<Image>>,
    preprocessing: Preprocessing,
    augment: AugmentConfig,
    seed: u64,
    ahead: Option<Ahead>,
}

/// Pictures of a batch on their way.
struct Ahead {
    batch: Batch,
    pixels: JoinHandle<Result<Vec<Vec<f32>>>>,
}

/// Which pictures are wanted, in which epoch, and from which random number on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The epoch, counted from 0.
    pub epoch: usize,
    /// The numbers of the examples, from which each picture's random numbers follow.
    pub examples: Vec<usize>,
    /// The numbers of their pictures.
    pub pictures: Vec<usize>,
}

/// Every example of an epoch has 2³² random numbers to itself; the first as many are for the order.
const NUMBERS: u32 = 32;

impl LivePictures {
    /// These pictures, varied as `augment` says, from `seed`.
    pub fn new(images: Vec<Image>, preprocessing: Preprocessing, augment: AugmentConfig, seed: u64) -> Self {
        Self { images: Arc::new(images), preprocessing, augment, seed, ahead: None }
    }

    /// The pixels of a batch, `[batch, size, size, 3]`; begins with those of the `next`.
    ///
    /// # Errors
    /// A picture that cannot be used any more.
    pub fn pixels(
        &mut self,
        batch: Batch,
        next: Option<Batch>,
        device: &Device,
    ) -> Result<candle_core::Tensor> {
        let pixels = match self.ahead.take() {
            Some(ahead) if ahead.batch == batch => {
                ahead.pixels.join().map_err(|_| anyhow!("the thread that reads pictures has ended"))??
            }
            _ => read(&self.images, &batch, self.preprocessing, self.augment, self.seed)?,
        };
        if let Some(batch) = next {
            let (images, wanted) = (Arc::clone(&self.images), batch.clone());
            let (preprocessing, augment, seed) = (self.preprocessing, self.augment, self.seed);
            let pixels = thread::Builder::new()
                .name("pictures".to_owned())
                .spawn(move || read(&images, &wanted, preprocessing, augment, seed))
                .context("cannot start a thread")?;
            self.ahead = Some(Ahead { batch, pixels });
        }
        Ok(image_features::batch(&pixels, self.preprocessing.size, device)?)
    }
}

fn read(
    images: &[Image],
    batch: &Batch,
    preprocessing: Preprocessing,
    augment: AugmentConfig,
    seed: u64,
) -> Result<Vec<Vec<f32>>> {
    let of = |(&picture, &example): (&usize, &usize)| {
        let seed = seed.wrapping_add(batch.epoch as u64);
        let mut generator = Generator::at(seed, (1 + example as u128) << NUMBERS);
        Ok(augment.pixels(&images[picture].picture()?, &preprocessing, &mut generator)?)
    };
    batch.pictures.par_iter().zip(&batch.examples).map(of).collect()
}
