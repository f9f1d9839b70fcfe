//! Forward and backward pass of one layer.

use anyhow::{Context, Result};
use candle_core::{DType, Device, Tensor, Var};
use candle_rnn::{Cell, Generator, Lengths, Mode, Parameters, Rnn, RnnConfig};
use worker::{Check, Layer, Workload, numbers};

pub struct Pass {
    parameters: Parameters,
    rnn: Rnn,
    inputs: Var,
    lengths: Option<Lengths>,
    generator: Generator,
}

impl Pass {
    pub fn new(layer: &Layer) -> Result<Self> {
        let Layer { batch, time, hidden, bidirectional, .. } = *layer;
        let cell = match layer.cell {
            worker::Cell::Tanh => Cell::tanh(),
            worker::Cell::Gru => Cell::Gru,
            worker::Cell::Lstm => Cell::lstm(),
        };
        let parameters = Parameters::new(0, DType::F32, &Device::Cpu);
        let config = RnnConfig { bidirectional, ..RnnConfig::new(cell, hidden, hidden) };
        let rnn = Rnn::new(&config, parameters.builder().pp("rnn"))?;
        crate::set_weights(&parameters, hidden)?;
        let inputs = numbers::fill("inputs", batch * time * hidden, 1.0);
        let inputs = Var::from_vec(inputs, (batch, time, hidden), &Device::Cpu)?;
        let lengths =
            layer.lengths.as_ref().map(|lengths| Lengths::new(lengths.clone(), time)).transpose()?;
        Ok(Self { parameters, rnn, inputs, lengths, generator: Generator::new(0) })
    }

    fn forward(&mut self) -> Result<Tensor> {
        let mut mode = Mode::Train(&mut self.generator);
        Ok(self.rnn.forward(&self.inputs, self.lengths.as_ref(), None, &mut mode)?.0)
    }
}

impl Workload for Pass {
    fn check(&mut self) -> Result<Check> {
        let outputs = self.forward()?;
        let gradients = outputs.sum_all()?.backward()?;
        let named = self.parameters.named();
        let (_, recurrent) =
            named.iter().find(|(name, _)| name == "rnn.weight_hh_l0").context("no weight")?;
        let gradient = |variable: &Var| gradients.get(variable).context("no gradient");
        Ok(Check::from([
            ("outputs", crate::root_mean_square(&outputs)?),
            ("input gradient", crate::root_mean_square(gradient(&self.inputs)?)?),
            ("recurrent weight's gradient", crate::root_mean_square(gradient(recurrent)?)?),
        ]))
    }

    fn iterate(&mut self) -> Result<()> {
        self.forward()?.sum_all()?.backward()?;
        Ok(())
    }
}
