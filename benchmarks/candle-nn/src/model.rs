//! A language model from candle-nn's parts, trained and writing.

use anyhow::{Context, Result};
use candle_core::backprop::GradStore;
use candle_core::{D, DType, Device, Tensor};
use candle_nn::rnn::{LSTM, LSTMConfig, LSTMState, RNN};
use candle_nn::{
    AdamW, Embedding, Linear, Module, Optimizer, ParamsAdamW, SGD, VarBuilder, VarMap, embedding, linear,
    loss, ops,
};
use rand::distr::Distribution;
use rand::distr::weighted::WeightedIndex;
use worker::{Check, Generate, OptimizerName, Train, Workload, numbers};

struct Network {
    embedding: Embedding,
    layers: Vec<LSTM>,
    output: Linear,
}

impl Network {
    fn new(vocab: usize, size: usize, hidden: usize, layers: usize, vb: VarBuilder) -> Result<Self> {
        let lstm = |layer_idx| {
            let config = LSTMConfig { layer_idx, ..LSTMConfig::default() };
            LSTM::new(if layer_idx == 0 { size } else { hidden }, hidden, config, vb.pp("rnn"))
        };
        Ok(Self {
            embedding: embedding(vocab, size, vb.pp("embedding"))?,
            layers: (0..layers).map(lstm).collect::<candle_core::Result<_>>()?,
            output: linear(hidden, vocab, vb.pp("output"))?,
        })
    }

    fn zero_state(&self, batch: usize) -> Result<Vec<LSTMState>> {
        Ok(self.layers.iter().map(|layer| layer.zero_state(batch)).collect::<candle_core::Result<_>>()?)
    }

    /// Scores `[batch · time, vocab]`, and the state after the last step.
    fn forward(
        &self,
        inputs: &Tensor,
        state: &[LSTMState],
        dropout: f64,
    ) -> Result<(Tensor, Vec<LSTMState>)> {
        let drop = |x: Tensor| if dropout > 0.0 { ops::dropout(&x, dropout as f32) } else { Ok(x) };
        let mut x = drop(self.embedding.forward(inputs)?)?;
        let mut last = Vec::new();
        for (layer, state) in self.layers.iter().zip(state) {
            let states = layer.seq_init(&x, state)?;
            x = drop(layer.states_to_tensor(&states)?)?;
            last.push(states.last().context("no steps")?.clone());
        }
        Ok((self.output.forward(&x.flatten_to(1)?)?, last))
    }

    /// Scores `[1, vocab]` after one symbol.
    fn step(&self, symbol: u32, state: &mut [LSTMState]) -> Result<Tensor> {
        let mut x = self.embedding.forward(&Tensor::new(&[symbol], &Device::Cpu)?)?;
        for (layer, state) in self.layers.iter().zip(state) {
            *state = layer.step(&x, state)?;
            x = state.h.clone();
        }
        Ok(self.output.forward(&x)?)
    }
}

enum Update {
    /// AdamW without weight decay is Adam.
    Adam(AdamW),
    Sgd(SGD),
}

pub struct Training {
    row: Train,
    variables: VarMap,
    network: Network,
    update: Update,
    stream: Vec<u32>,
    next: usize,
    state: Vec<LSTMState>,
}

impl Training {
    pub fn new(row: &Train) -> Result<Self> {
        let variables = VarMap::new();
        let vb = VarBuilder::from_varmap(&variables, DType::F32, &Device::Cpu);
        let network = Network::new(row.vocab, row.embedding, row.hidden, row.layers, vb)?;
        crate::set_weights(&variables, row.hidden)?;
        let update = match row.optimizer {
            OptimizerName::Adam => {
                let config = ParamsAdamW { lr: row.rate, weight_decay: 0.0, ..ParamsAdamW::default() };
                Update::Adam(AdamW::new(variables.all_vars(), config)?)
            }
            OptimizerName::Sgd => Update::Sgd(SGD::new(variables.all_vars(), row.rate)?),
        };
        let state = network.zero_state(row.batch)?;
        let stream = numbers::stream(row.batch, row.time, row.vocab);
        Ok(Self { row: row.clone(), variables, network, update, stream, next: 0, state })
    }

    /// Mean loss of a window, and the state after it.
    fn loss(&self, index: usize, state: &[LSTMState], dropout: f64) -> Result<(Tensor, Vec<LSTMState>)> {
        let Train { batch, time, .. } = self.row;
        let (inputs, targets) = numbers::window(&self.stream, batch, time, index);
        let inputs = Tensor::from_vec(inputs, (batch, time), &Device::Cpu)?;
        let targets = Tensor::from_vec(targets, batch * time, &Device::Cpu)?;
        let (scores, state) = self.network.forward(&inputs, state, dropout)?;
        Ok((loss::cross_entropy(&scores, &targets)?, state))
    }

    fn first_loss(&self) -> Result<f64> {
        let (loss, _) = self.loss(0, &self.network.zero_state(self.row.batch)?, 0.0)?;
        Ok(f64::from(loss.to_scalar::<f32>()?))
    }

    /// Clips the norm of all gradients together, for which candle-nn has no function.
    fn clip(&self, gradients: &mut GradStore) -> Result<()> {
        let variables = self.variables.all_vars();
        let mut squares = 0.0;
        for gradient in variables.iter().filter_map(|variable| gradients.get(variable)) {
            squares += f64::from(gradient.sqr()?.sum_all()?.to_scalar::<f32>()?);
        }
        let factor = self.row.clip / (squares.sqrt() + 1e-6);
        if factor < 1.0 {
            for variable in &variables {
                if let Some(gradient) = gradients.remove(variable) {
                    gradients.insert(variable, (gradient * factor)?);
                }
            }
        }
        Ok(())
    }
}

impl Workload for Training {
    fn check(&mut self) -> Result<Check> {
        let mut check = Check::from([("loss", self.first_loss()?)]);
        if self.row.dropout == 0.0 {
            self.iterate()?;
            check.insert("loss after a step", self.first_loss()?);
        }
        Ok(check)
    }

    fn iterate(&mut self) -> Result<()> {
        let (loss, state) = self.loss(self.next, &self.state, self.row.dropout)?;
        self.next += 1;
        let detached = state.iter().map(|state| LSTMState::new(state.h.detach(), state.c.detach()));
        self.state = detached.collect();
        let mut gradients = loss.backward()?;
        self.clip(&mut gradients)?;
        match &mut self.update {
            Update::Adam(adam) => adam.step(&gradients)?,
            Update::Sgd(sgd) => sgd.step(&gradients)?,
        }
        Ok(())
    }
}

pub struct Writing {
    row: Generate,
    network: Network,
}

impl Writing {
    pub fn new(row: &Generate) -> Result<Self> {
        let variables = VarMap::new();
        let vb = VarBuilder::from_varmap(&variables, DType::F32, &Device::Cpu);
        Network::new(row.vocab, row.embedding, row.hidden, row.layers, vb)?;
        crate::set_weights(&variables, row.hidden)?;
        // Tensors, not variables: with those, candle would note every operation for a backward pass.
        let variables = variables.data().lock().ok().context("the variables are locked")?;
        let weights = variables.iter().map(|(name, variable)| (name.clone(), variable.as_detached_tensor()));
        let vb = VarBuilder::from_tensors(weights.collect(), DType::F32, &Device::Cpu);
        let network = Network::new(row.vocab, row.embedding, row.hidden, row.layers, vb)?;
        Ok(Self { row: row.clone(), network })
    }
}

impl Workload for Writing {
    fn check(&mut self) -> Result<Check> {
        let scores = self.network.step(0, &mut self.network.zero_state(1)?)?;
        Ok(Check::from([("scores", crate::root_mean_square(&scores)?)]))
    }

    fn iterate(&mut self) -> Result<()> {
        let mut state = self.network.zero_state(1)?;
        let mut symbol = 0;
        for _ in 0..self.row.tokens {
            let scores = (self.network.step(symbol, &mut state)? / self.row.temperature)?;
            let probabilities = ops::softmax(&scores, D::Minus1)?.flatten_all()?.to_vec1::<f32>()?;
            symbol = WeightedIndex::new(&probabilities)?.sample(&mut rand::rng()) as u32;
        }
        Ok(())
    }
}
