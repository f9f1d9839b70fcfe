//! The language model as something to train: truncated backpropagation through time over one long
//! stream.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use app_kit::{UsageError, check_matmul};
use candle_core::{DType, Device, Tensor};
use candle_rnn::{CrossEntropy, Generator, LossSum, Mode, Parameters, State, Windows};
use rnn_train::{Evaluation, Position, Task};
use serde_json::json;

use crate::data::Data;
use crate::evaluate::evaluate;
use crate::model;
use crate::network::{Network, NetworkConfig};

/// A network, the text it learns from, and where it stands in that text.
pub struct LanguageModelTask {
    config: NetworkConfig,
    parameters: Parameters,
    network: Network,
    data: Data,
    windows: Windows,
    /// Index of the next window.
    next: usize,
    /// The state at the beginning of the next window, without history.
    state: Option<State>,
}

impl LanguageModelTask {
    /// A new network with weights from `seed`, at the beginning of the text.
    ///
    /// # Errors
    /// [`UsageError`] for settings that do not fit each other or the device, or a text too short for one batch.
    pub fn new(
        config: &NetworkConfig,
        data: Data,
        windows: Windows,
        seed: u64,
        device: &Device,
    ) -> Result<Self> {
        let Windows { batch, window, overlap } = windows;
        if batch == 0 || overlap >= window {
            return Err(UsageError::new(format!(
                "the batch ({batch}) must be at least 1 and the overlap ({overlap}) below the window ({window})"
            ))
            .into());
        }
        if windows.count(data.train.len()) == 0 {
            return Err(UsageError::new(format!(
                "the text has {} training symbols; {batch} rows of {window} steps need {}: use a smaller \
                 --batch or --window, or more text",
                data.train.len(),
                batch.saturating_mul(window).saturating_add(1)
            ))
            .into());
        }
        check_matmul(config.matmul, device)?;
        let parameters = Parameters::new(seed, DType::F32, device);
        let network = Network::new(config, data.tokenizer.vocab_size(), parameters.builder())?;
        Ok(Self { config: config.clone(), parameters, network, data, windows, next: 0, state: None })
    }

    /// The text.
    pub fn data(&self) -> &Data {
        &self.data
    }

    /// Outputs over a window and the state where the next window begins: before the last `overlap`
    /// steps, which it reads again.
    fn read(&self, inputs: &Tensor, state: Option<&State>, mode: &mut Mode) -> Result<(Tensor, State)> {
        let Windows { overlap, .. } = self.windows;
        if overlap == 0 {
            return Ok(self.network.hidden(inputs, state, mode)?);
        }
        let stride = self.windows.stride();
        let first = inputs.narrow(1, 0, stride)?.contiguous()?;
        let (first, carried) = self.network.hidden(&first, state, mode)?;
        let rest = inputs.narrow(1, stride, overlap)?.contiguous()?;
        let (rest, _) = self.network.hidden(&rest, Some(&carried), mode)?;
        Ok((Tensor::cat(&[first, rest], 1)?, carried))
    }
}

impl Task for LanguageModelTask {
    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn steps_per_epoch(&self) -> usize {
        self.windows.count(self.data.train.len())
    }

    fn loss(&mut self, generator: &mut Generator) -> Result<LossSum> {
        let window = self.windows.window(&self.data.train, self.next, self.parameters.device())?;
        let state = self.state.as_ref().filter(|_| !window.first);
        let mut mode = Mode::Train(generator);
        let (hidden, carried) = self.read(&window.inputs, state, &mut mode)?;
        let counted = self.windows.window - window.warmup;
        let (hidden, targets) = match window.warmup {
            0 => (hidden, window.targets),
            warmup => (
                hidden.narrow(1, warmup, counted)?.contiguous()?,
                window.targets.narrow(1, warmup, counted)?.contiguous()?,
            ),
        };
        let loss = self.network.loss(CrossEntropy::default(), &hidden, &targets, &mut mode)?;
        self.state = Some(carried.detach());
        self.next = (self.next + 1) % self.steps_per_epoch();
        Ok(loss)
    }

    fn evaluate(&mut self) -> Result<Evaluation> {
        let score = evaluate(&self.network, &self.data.validation, self.parameters.device())?;
        let metrics = [("bits_per_character", score.bits_per_character), ("perplexity", score.perplexity)];
        let metrics: BTreeMap<_, _> = metrics.map(|(name, value)| (name.to_owned(), value)).into();
        Ok(Evaluation { loss: score.loss, metrics })
    }

    fn position(&self) -> Result<Position> {
        let tensors = self.state.iter().flat_map(State::tensors).collect();
        Ok(Position { tensors, meta: json!({ "window": self.next }) })
    }

    fn seek(&mut self, position: &Position) -> Result<()> {
        let next = position.meta.get("window").and_then(serde_json::Value::as_u64);
        let next = next.context("the position does not name its window")? as usize;
        anyhow::ensure!(
            next < self.steps_per_epoch(),
            "the position is at window {next}, but the text has {}",
            self.steps_per_epoch()
        );
        let device = self.parameters.device();
        let moved =
            position.tensors.iter().map(|(name, tensor)| Ok((name.clone(), tensor.to_device(device)?)));
        let tensors = moved.collect::<Result<_>>()?;
        self.state = match position.tensors.is_empty() {
            true => None,
            false => Some(State::from_tensors(self.network.rnn().config(), &tensors)?),
        };
        self.next = next;
        Ok(())
    }

    fn save_model(&self, folder: &Path) -> Result<()> {
        model::save(folder, &self.config, &self.data.tokenizer, &self.parameters)
    }

    fn unit(&self) -> &'static str {
        self.data.tokenizer.units().plural()
    }
}
