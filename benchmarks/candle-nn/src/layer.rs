//! Forward and backward pass of one layer, unrolled by `RNN::seq`.

use anyhow::{Context, Result};
use candle_core::{DType, Device, Tensor, Var};
use candle_nn::rnn::{GRU, GRUConfig, LSTM, LSTMConfig, RNN};
use candle_nn::{VarBuilder, VarMap};
use worker::{Cell, Check, Layer, Workload, numbers};

enum Recurrent {
    Gru(GRU),
    Lstm(LSTM),
}

pub struct Pass {
    variables: VarMap,
    recurrent: Recurrent,
    inputs: Var,
}

impl Pass {
    pub fn new(layer: &Layer) -> Result<Self> {
        let Layer { batch, time, hidden, .. } = *layer;
        let variables = VarMap::new();
        let vb = VarBuilder::from_varmap(&variables, DType::F32, &Device::Cpu).pp("rnn");
        let recurrent = match layer.cell {
            Cell::Gru => Recurrent::Gru(GRU::new(hidden, hidden, GRUConfig::default(), vb)?),
            _ => Recurrent::Lstm(LSTM::new(hidden, hidden, LSTMConfig::default(), vb)?),
        };
        crate::set_weights(&variables, hidden)?;
        let inputs = numbers::fill("inputs", batch * time * hidden, 1.0);
        let inputs = Var::from_vec(inputs, (batch, time, hidden), &Device::Cpu)?;
        Ok(Self { variables, recurrent, inputs })
    }

    fn forward(&self) -> Result<Tensor> {
        // Not `states_to_tensor`: the GRU's joins the steps in the wrong dimension.
        let hidden: Vec<Tensor> = match &self.recurrent {
            Recurrent::Gru(gru) => gru.seq(&self.inputs)?.into_iter().map(|state| state.h).collect(),
            Recurrent::Lstm(lstm) => lstm.seq(&self.inputs)?.into_iter().map(|state| state.h).collect(),
        };
        Ok(Tensor::stack(&hidden, 1)?)
    }
}

impl Workload for Pass {
    fn check(&mut self) -> Result<Check> {
        let outputs = self.forward()?;
        let gradients = outputs.sum_all()?.backward()?;
        let variables = self.variables.data().lock().ok().context("the variables are locked")?;
        let recurrent = variables.get("rnn.weight_hh_l0").context("no weight")?;
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
