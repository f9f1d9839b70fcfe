//! Training steps, by the code of the application.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use candle_core::{DType, Device, Tensor};
use candle_rnn::{CrossEntropy, Generator, Lengths, LossSum, Mode, Parameters};
use rnn_train::clip::{clip, norm};
use rnn_train::{Gradients, Optimizer, OptimizerConfig};
use serde::Deserialize;
use translation::network::{Network, NetworkConfig};
use worker::{Check, Workload};

use crate::Model;
use crate::data::Data;

/// A target that is padding.
const IGNORED: u32 = u32::MAX;

#[derive(Deserialize)]
pub struct Row {
    #[serde(flatten)]
    model: Model,
    data: PathBuf,
    label_smoothing: f32,
    clip: f64,
    rate: f64,
}

/// A pass over all batches, a step each.
pub struct Training {
    clip: f64,
    rate: f64,
    loss: CrossEntropy,
    batches: Vec<Batch>,
    parameters: Parameters,
    network: Network,
    /// The same variables without dropout.
    exact: Network,
    optimizer: Optimizer,
    generator: Generator,
}

struct Batch {
    sources: Tensor,
    source_lengths: Lengths,
    inputs: Tensor,
    targets: Tensor,
    target_lengths: Lengths,
}

impl Batch {
    fn new(data: &Data, number: usize) -> Result<Self> {
        let (sources, source_lengths) = data.sentences(&format!("train.{number}.source"))?;
        let (targets, target_lengths) = data.sentences(&format!("train.{number}.target"))?;
        let mut targets = targets.to_vec2::<u32>()?;
        let mut inputs = targets.clone();
        for ((inputs, targets), &length) in inputs.iter_mut().zip(&mut targets).zip(target_lengths.as_slice())
        {
            // What comes before the first symbol.
            inputs.rotate_right(1);
            inputs[0] = data.end;
            targets[length..].fill(IGNORED);
        }
        let tensor = |rows: Vec<Vec<u32>>| Tensor::new(rows, &Device::Cpu);
        Ok(Self {
            sources,
            source_lengths,
            inputs: tensor(inputs)?,
            targets: tensor(targets)?,
            target_lengths,
        })
    }
}

impl Training {
    pub fn new(row: &Row) -> Result<Self> {
        let data = Data::load(&row.data)?;
        let parameters = Parameters::new(0, DType::F32, &Device::Cpu);
        let network = row.model.load(data.vocab, &parameters)?;
        let exact = NetworkConfig {
            embedding_dropout: 0.0,
            encoder_dropout: 0.0,
            output_dropout: 0.0,
            ..row.model.network.clone()
        };
        Ok(Self {
            clip: row.clip,
            rate: row.rate,
            loss: CrossEntropy { ignore: Some(IGNORED), label_smoothing: row.label_smoothing.into() },
            batches: (0..data.batches()).map(|number| Batch::new(&data, number)).collect::<Result<_>>()?,
            exact: Network::new(&exact, data.vocab, data.vocab, parameters.builder())?,
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
    let encoded = network.encode(&batch.sources, &batch.source_lengths, mode)?;
    let vectors = network.decode(&encoded, &batch.inputs, &batch.target_lengths, mode)?;
    Ok(network.loss(loss, &vectors, &batch.targets, mode)?)
}

impl Workload for Training {
    /// Of the first batch without dropout.
    fn check(&mut self) -> Result<Check> {
        let mut generator = Generator::new(0);
        let loss = loss(&self.exact, self.loss, &self.batches[0], &mut Mode::Train(&mut generator))?;
        let mean = loss.sum.to_dtype(DType::F64)?.to_scalar::<f64>()? / loss.count as f64;
        let symbols: usize =
            self.batches.iter().map(|batch| batch.target_lengths.as_slice().iter().sum::<usize>()).sum();
        Ok(Check::from([
            ("loss", mean),
            ("gradient's norm", norm(&self.gradients(&loss)?)?),
            ("target symbols", symbols as f64),
        ]))
    }

    /// The same calls as the trainer's, which also looks at the loss and at the gradient's norm.
    fn iterate(&mut self) -> Result<()> {
        for batch in &self.batches {
            let loss = loss(&self.network, self.loss, batch, &mut Mode::Train(&mut self.generator))?;
            let sum = loss.sum.to_dtype(DType::F64)?.to_scalar::<f64>()?;
            ensure!(sum.is_finite(), "the loss is {sum}");
            let mut gradients = self.gradients(&loss)?;
            let norm = clip(&mut gradients, None, Some(self.clip))?;
            ensure!(norm.is_finite(), "the gradient's norm is {norm}");
            self.optimizer.step(&gradients, self.rate)?;
        }
        Ok(())
    }
}
