//! Forward and backward pass of the CTC loss.

use anyhow::{Context, Result};
use candle_core::{Device, Tensor, Var};
use candle_rnn::{Ctc, Lengths};
use serde::Deserialize;
use worker::{Check, Workload, numbers};

#[derive(Deserialize)]
pub struct Row {
    batch: usize,
    time: usize,
    /// The blank, which is number 0, included.
    symbols: usize,
    /// Symbols of each row's target.
    target: usize,
    /// The logits lie between plus and minus this.
    scale: f64,
}

/// The loss of logits, and its gradient by them.
pub struct Pass {
    logits: Var,
    lengths: Lengths,
    targets: Vec<u32>,
    target_lengths: Vec<usize>,
}

impl Pass {
    pub fn new(row: &Row) -> Result<Self> {
        let Row { batch, time, symbols, target, scale } = *row;
        let logits = numbers::fill("logits", batch * time * symbols, scale);
        let targets = numbers::symbols("targets", batch * target, symbols - 1);
        Ok(Self {
            logits: Var::from_vec(logits, (batch, time, symbols), &Device::Cpu)?,
            lengths: Lengths::new(vec![time; batch], time)?,
            targets: targets.into_iter().map(|symbol| symbol + 1).collect(),
            target_lengths: vec![target; batch],
        })
    }

    /// The sum of the rows' losses, and its gradient.
    fn pass(&self) -> Result<(f32, Tensor)> {
        let loss =
            Ctc::default().forward(&self.logits, &self.lengths, &self.targets, &self.target_lengths)?;
        let mut gradients = loss.sum.backward()?;
        Ok((loss.sum.to_scalar()?, gradients.remove(&self.logits).context("no gradient")?))
    }
}

impl Workload for Pass {
    fn check(&mut self) -> Result<Check> {
        let (loss, gradient) = self.pass()?;
        let gradient = numbers::root_mean_square(&gradient.flatten_all()?.to_vec1()?);
        let norm = gradient * (self.logits.elem_count() as f64).sqrt();
        Ok(Check::from([("loss", f64::from(loss)), ("gradient's norm", norm)]))
    }

    fn iterate(&mut self) -> Result<()> {
        self.pass().map(drop)
    }
}
