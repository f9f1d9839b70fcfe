//! Forward and backward pass of one layer.

use anyhow::{Context, Result};
use burn::nn::{GateController, Gru, GruConfig, Lstm, LstmConfig, Rnn, RnnConfig};
use burn::tensor::{Device, Gradients, Tensor};
use worker::{Cell, Check, Layer, Workload, numbers};

use crate::{values, weights};

enum Recurrent {
    Elman(Box<Rnn>),
    Gru(Box<Gru>),
    Lstm(Box<Lstm>),
}

impl Recurrent {
    fn forward(&self, inputs: Tensor<3>) -> Tensor<3> {
        match self {
            Self::Elman(layer) => layer.forward(inputs, None).0,
            Self::Gru(layer) => layer.forward(inputs, None),
            Self::Lstm(layer) => layer.forward(inputs, None).0,
        }
    }

    fn gates(&self) -> Vec<&GateController> {
        match self {
            Self::Elman(layer) => vec![&layer.gate],
            Self::Gru(layer) => vec![&layer.reset_gate, &layer.update_gate, &layer.new_gate],
            Self::Lstm(layer) => [&layer.input_gate, &layer.cell_gate, &layer.output_gate]
                .into_iter()
                .chain(&layer.forget_gate)
                .collect(),
        }
    }
}

pub struct Pass {
    recurrent: Recurrent,
    inputs: Tensor<3>,
}

impl Pass {
    pub fn new(row: &Layer) -> Self {
        let Layer { batch, time, hidden, .. } = *row;
        let device = Device::flex().autodiff();
        let recurrent = match row.cell {
            Cell::Tanh => {
                let mut layer = RnnConfig::new(hidden, hidden, true).init(&device);
                weights::elman(&mut layer, &device);
                Recurrent::Elman(Box::new(layer))
            }
            Cell::Gru => {
                let mut layer = GruConfig::new(hidden, hidden, true).init(&device);
                weights::gru(&mut layer, &device);
                Recurrent::Gru(Box::new(layer))
            }
            Cell::Lstm => {
                let mut layer = LstmConfig::new(hidden, hidden, true).init(&device);
                weights::lstm(&mut layer, 0, &device);
                Recurrent::Lstm(Box::new(layer))
            }
        };
        let inputs = numbers::fill("inputs", batch * time * hidden, 1.0);
        let inputs = weights::tensor(inputs, [batch, time, hidden], &device).require_grad();
        Self { recurrent, inputs }
    }
}

impl Workload for Pass {
    fn check(&mut self) -> Result<Check> {
        let outputs = self.recurrent.forward(self.inputs.clone());
        let gradients = outputs.clone().sum().backward();
        let recurrent = |gradients: &Gradients| -> Result<Vec<f32>> {
            let mut all = Vec::new();
            for gate in self.recurrent.gates() {
                let gradient = gate.hidden_transform.weight.val().grad(gradients).context("no gradient")?;
                all.extend(values(gradient)?);
            }
            Ok(all)
        };
        let input = self.inputs.grad(&gradients).context("no gradient")?;
        Ok(Check::from([
            ("outputs", crate::root_mean_square(outputs)?),
            ("input gradient", crate::root_mean_square(input)?),
            ("recurrent weight's gradient", numbers::root_mean_square(&recurrent(&gradients)?)),
        ]))
    }

    fn iterate(&mut self) -> Result<()> {
        self.recurrent.forward(self.inputs.clone()).sum().backward();
        Ok(())
    }
}
