//! A language model from burn's parts, trained and writing.

use anyhow::{Context, Result};
use burn::grad_clipping::GradientClippingConfig;
use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{
    Dropout, DropoutConfig, Embedding, EmbeddingConfig, Linear, LinearConfig, Lstm, LstmConfig, LstmState,
};
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};
use rand::distr::Distribution;
use rand::distr::weighted::WeightedIndex;
use worker::{Check, Generate, OptimizerName, Train, Workload, numbers};

use crate::{values, weights};

type State = Vec<Option<LstmState<2>>>;

#[derive(Module, Debug)]
struct Network {
    embedding: Embedding,
    layers: Vec<Lstm>,
    output: Linear,
    dropout: Dropout,
}

impl Network {
    fn new(vocab: usize, size: usize, hidden: usize, layers: usize, dropout: f64, device: &Device) -> Self {
        let lstm = |number| {
            let inputs = if number == 0 { size } else { hidden };
            let mut layer = LstmConfig::new(inputs, hidden, true).init(device);
            weights::lstm(&mut layer, number, device);
            layer
        };
        let mut embedding = EmbeddingConfig::new(vocab, size).init(device);
        weights::embedding(&mut embedding, device);
        let mut output = LinearConfig::new(hidden, vocab).init(device);
        weights::output(&mut output, hidden, device);
        let layers = (0..layers).map(lstm).collect();
        Self { embedding, layers, output, dropout: DropoutConfig::new(dropout).init() }
    }

    fn zero_state(&self) -> State {
        self.layers.iter().map(|_| None).collect()
    }

    /// Scores `[batch · time, vocab]`, and the state after the last step.
    fn forward(&self, inputs: Tensor<2, Int>, state: State, drop: bool) -> (Tensor<2>, State) {
        let drop = |x: Tensor<3>| if drop { self.dropout.forward(x) } else { x };
        let mut x = drop(self.embedding.forward(inputs));
        let mut last = Vec::new();
        for (layer, state) in self.layers.iter().zip(state) {
            let (outputs, state) = layer.forward(x, state);
            x = drop(outputs);
            last.push(Some(state));
        }
        (self.output.forward(x.flatten(0, 1)), last)
    }
}

fn symbols<const D: usize>(symbols: Vec<u32>, shape: [usize; D], device: &Device) -> Tensor<D, Int> {
    let symbols = symbols.into_iter().map(i64::from).collect();
    Tensor::from_data(TensorData::new::<i64, _>(symbols, shape), device)
}

pub struct Training {
    row: Train,
    device: Device,
    /// Missing only while the optimiser has it.
    network: Option<Network>,
    optimizer: ModuleOptimizer,
    stream: Vec<u32>,
    next: usize,
    state: State,
}

impl Training {
    pub fn new(row: &Train) -> Self {
        let device = Device::flex().autodiff();
        let network = Network::new(row.vocab, row.embedding, row.hidden, row.layers, row.dropout, &device);
        // burn clips the gradient of each parameter on its own, not all together.
        let clip = Some(GradientClippingConfig::Norm(row.clip as f32));
        let optimizer = match row.optimizer {
            OptimizerName::Adam => AdamConfig::new().with_epsilon(1e-8).with_grad_clipping(clip).init(),
            OptimizerName::Sgd => SgdConfig::new().with_gradient_clipping(clip).init(),
        };
        let stream = numbers::stream(row.batch, row.time, row.vocab);
        let state = network.zero_state();
        Self { row: row.clone(), device, network: Some(network), optimizer, stream, next: 0, state }
    }

    /// Mean loss of a window, and the state after it.
    fn loss(&self, index: usize, state: State, drop: bool) -> Result<(Tensor<1>, State)> {
        let Train { batch, time, .. } = self.row;
        let (inputs, targets) = numbers::window(&self.stream, batch, time, index);
        let inputs = symbols(inputs, [batch, time], &self.device);
        let targets = symbols(targets, [batch * time], &self.device);
        let network = self.network.as_ref().context("a step before failed")?;
        let (scores, state) = network.forward(inputs, state, drop);
        Ok((CrossEntropyLossConfig::new().init(&self.device).forward(scores, targets), state))
    }

    fn first_loss(&self) -> Result<f64> {
        let state = self.network.as_ref().context("a step before failed")?.zero_state();
        Ok(f64::from(self.loss(0, state, false)?.0.into_scalar::<f32>()))
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
        let carried = std::mem::take(&mut self.state);
        let (loss, state) = self.loss(self.next, carried, self.row.dropout > 0.0)?;
        self.next += 1;
        let detach = |state: LstmState<2>| state.map_state(Tensor::detach);
        self.state = state.into_iter().map(|state| state.map(detach)).collect();
        let network = self.network.take().context("a step before failed")?;
        let gradients = GradientsParams::from_grads(loss.backward(), &network);
        self.network = Some(self.optimizer.step(self.row.rate, network, gradients));
        Ok(())
    }
}

pub struct Writing {
    row: Generate,
    device: Device,
    network: Network,
}

impl Writing {
    pub fn new(row: &Generate) -> Self {
        let device = Device::flex();
        let network = Network::new(row.vocab, row.embedding, row.hidden, row.layers, 0.0, &device);
        Self { row: row.clone(), device, network }
    }
}

impl Workload for Writing {
    fn check(&mut self) -> Result<Check> {
        let symbol = symbols(vec![0], [1, 1], &self.device);
        let (scores, _) = self.network.forward(symbol, self.network.zero_state(), false);
        Ok(Check::from([("scores", crate::root_mean_square(scores)?)]))
    }

    fn iterate(&mut self) -> Result<()> {
        let mut state = self.network.zero_state();
        let mut symbol = 0;
        for _ in 0..self.row.tokens {
            let inputs = symbols(vec![symbol], [1, 1], &self.device);
            let (scores, next) = self.network.forward(inputs, state, false);
            state = next;
            let probabilities = values(softmax(scores.div_scalar(self.row.temperature), 1))?;
            symbol = WeightedIndex::new(&probabilities)?.sample(&mut rand::rng()) as u32;
        }
        Ok(())
    }
}
