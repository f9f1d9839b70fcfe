//! Training steps of the decoder, by the code of the application.

use anyhow::{Result, ensure};
use candle_core::{DType, Device};
use candle_rnn::{CrossEntropy, Generator, LossSum, Mode, Parameters};
use captioning::encoder::Seen;
use captioning::network::{Network, NetworkConfig};
use rnn_train::batches::{IGNORED, TeacherForced};
use rnn_train::clip::{clip, norm};
use rnn_train::{Gradients, Optimizer, OptimizerConfig};
use serde::Deserialize;
use worker::numbers::symbols;
use worker::{Check, Workload};

use crate::{Model, noise};

#[derive(Deserialize)]
pub struct Row {
    #[serde(flatten)]
    model: Model,
    /// Symbols of each caption; as many pictures as there are captions.
    lengths: Vec<usize>,
    /// The symbol that ends a caption, and that one begins with.
    end: u32,
    label_smoothing: f32,
    clip: f64,
    rate: f64,
}

/// One step after another over the same batch.
pub struct Training {
    clip: f64,
    rate: f64,
    loss: CrossEntropy,
    batch: Batch,
    parameters: Parameters,
    network: Network,
    /// The same variables without dropout.
    exact: Network,
    optimizer: Optimizer,
    generator: Generator,
}

/// Pictures, and a caption of each.
struct Batch {
    seen: Seen,
    captions: TeacherForced,
}

impl Training {
    pub fn new(row: &Row) -> Result<Self> {
        let parameters = Parameters::new(0, DType::F32, &Device::Cpu);
        let network = row.model.load(&parameters)?;
        let exact = NetworkConfig { dropout: 0.0, ..row.model.network.clone() };
        let mut numbers = symbols("captions", row.lengths.iter().sum(), row.model.vocab).into_iter();
        let caption = |&length: &usize| -> Vec<u32> { numbers.by_ref().take(length).collect() };
        let captions: Vec<Vec<u32>> = row.lengths.iter().map(caption).collect();
        let captions: Vec<&[u32]> = captions.iter().map(Vec::as_slice).collect();
        Ok(Self {
            clip: row.clip,
            rate: row.rate,
            loss: CrossEntropy { ignore: Some(IGNORED), label_smoothing: row.label_smoothing.into() },
            batch: Batch {
                seen: noise(captions.len())?,
                captions: TeacherForced::new(&captions, row.end, &Device::Cpu)?,
            },
            exact: Network::new(&exact, crate::sizes(), row.model.vocab, parameters.builder())?,
            network,
            optimizer: Optimizer::new(&OptimizerConfig::adam(), parameters.named())?,
            parameters,
            generator: Generator::new(0),
        })
    }

    fn gradients(&self, loss: &LossSum) -> Result<Gradients> {
        let mean = (&loss.sum / loss.count as f64)?;
        Ok(Gradients::of(&mean, &self.parameters.named())?)
    }
}

fn loss(network: &Network, loss: CrossEntropy, batch: &Batch, mode: &mut Mode) -> Result<LossSum> {
    let TeacherForced { inputs, targets, lengths } = &batch.captions;
    let picture = network.look(&batch.seen, mode)?;
    let (vectors, _) = network.decode(&picture, inputs, lengths, mode)?;
    Ok(network.loss(loss, &vectors, targets, mode)?)
}

impl Workload for Training {
    /// Without dropout.
    fn check(&mut self) -> Result<Check> {
        let loss = loss(&self.exact, self.loss, &self.batch, &mut Mode::Train(&mut Generator::new(0)))?;
        let mean = loss.sum.to_dtype(DType::F64)?.to_scalar::<f64>()? / loss.count as f64;
        Ok(Check::from([
            ("loss", mean),
            ("gradient's norm", norm(&self.gradients(&loss)?)?),
            ("words", loss.count as f64),
        ]))
    }

    /// The same calls as the trainer's, which also looks at the loss and at the gradient's norm.
    fn iterate(&mut self) -> Result<()> {
        let loss = loss(&self.network, self.loss, &self.batch, &mut Mode::Train(&mut self.generator))?;
        let sum = loss.sum.to_dtype(DType::F64)?.to_scalar::<f64>()?;
        ensure!(sum.is_finite(), "the loss is {sum}");
        let mut gradients = self.gradients(&loss)?;
        let norm = clip(&mut gradients, None, Some(self.clip))?;
        ensure!(norm.is_finite(), "the gradient's norm is {norm}");
        self.optimizer.step(&gradients, self.rate)?;
        Ok(())
    }
}
