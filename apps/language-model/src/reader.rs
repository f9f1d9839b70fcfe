//! Reading one symbol after another: what writing needs.

use anyhow::{Result, ensure};
use app_kit::UsageError;
use candle_core::{DType, Device, Tensor};
use candle_rnn::{Precision, PreparedLinear, State, Stepper};

use crate::network::Network;

/// A network on its way through one text.
pub struct Reader<'a> {
    network: &'a Network,
    path: Path,
    /// Of the symbol to come, `[vocab_size]`.
    scores: Vec<f32>,
}

enum Path {
    /// On the CPU, with weights made ready.
    Prepared {
        /// `[vocab_size, embedding_size]`
        embedding: Vec<f32>,
        stepper: Stepper,
        output: PreparedLinear,
    },
    /// On another device.
    Tensors { state: State, device: Device },
}

impl<'a> Reader<'a> {
    /// Begins at the state of a single row.
    ///
    /// # Errors
    /// [`UsageError`] for weights of 8 bits on another device than the CPU.
    pub fn new(network: &'a Network, state: &State, precision: Precision, device: &Device) -> Result<Self> {
        let path = match (device.is_cpu(), precision) {
            (true, _) => Path::Prepared {
                embedding: network.embedding().weight().flatten_all()?.to_dtype(DType::F32)?.to_vec1()?,
                stepper: Stepper::new(network.rnn(), state, precision)?,
                output: PreparedLinear::new(network.output(), precision)?,
            },
            (false, Precision::F32) => Path::Tensors { state: state.clone(), device: device.clone() },
            (false, Precision::Int8) => {
                let error = UsageError::new(
                    "weights of 8 bits are for the CPU: use --device cpu, or leave out --int8",
                );
                return Err(error.into());
            }
        };
        Ok(Self { network, path, scores: vec![0.; network.output().output_size()?] })
    }

    /// Goes on from another state of a single row.
    ///
    /// # Errors
    /// A state of another network.
    pub fn set_state(&mut self, state: &State) -> Result<()> {
        match &mut self.path {
            Path::Prepared { stepper, .. } => stepper.set_state(state)?,
            Path::Tensors { state: current, .. } => *current = state.clone(),
        }
        Ok(())
    }

    /// Scores of the symbol after `symbol`, `[vocab_size]`, unnormalised.
    ///
    /// # Errors
    /// A symbol outside the vocabulary, or a device that fails.
    pub fn read(&mut self, symbol: u32) -> Result<&[f32]> {
        ensure!(
            (symbol as usize) < self.scores.len(),
            "symbol {symbol} is not below the vocabulary size {}",
            self.scores.len()
        );
        match &mut self.path {
            Path::Prepared { embedding, stepper, output } => {
                let width = embedding.len() / self.scores.len();
                let hidden = stepper.step(&embedding[symbol as usize * width..][..width]);
                output.forward(hidden, &mut self.scores);
            }
            Path::Tensors { state, device } => {
                let (scores, next) = self.network.step(&Tensor::new(&[symbol], device)?, state)?;
                self.scores = scores.squeeze(0)?.to_dtype(DType::F32)?.to_vec1()?;
                *state = next;
            }
        }
        Ok(&self.scores)
    }
}
