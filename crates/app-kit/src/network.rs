//! What the networks of all applications are asked for: a neuron, and how exact products are.

use candle_core::Device;
use candle_rnn::{Cell, MatmulPrecision, bf16_instructions};
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use crate::exit::UsageError;

/// The recurrent neuron, by its name on the command line and in files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum CellName {
    /// The article's neuron, `tanh(W_xh x_t + W_hh h_{t-1} + b)`
    Tanh,
    /// Gated recurrent unit
    Gru,
    /// Long short-term memory
    Lstm,
}

impl From<CellName> for Cell {
    fn from(name: CellName) -> Self {
        match name {
            CellName::Tanh => Cell::tanh(),
            CellName::Gru => Cell::Gru,
            CellName::Lstm => Cell::lstm(),
        }
    }
}

/// `--bf16`; `#[command(flatten)]` it.
#[derive(Args, Clone, Debug, Default)]
pub struct MatmulArgs {
    /// Round the factors of matrix products to bf16: much faster on processors with AVX512-BF16, no
    /// faster on others
    #[arg(long, help_heading = "Network")]
    pub bf16: bool,
}

impl MatmulArgs {
    /// Puts the flag, if it was given, over `setting`.
    pub fn apply(&self, setting: &mut MatmulPrecision) {
        if self.bf16 {
            *setting = MatmulPrecision::Bf16;
        }
    }
}

/// Checks that a network can multiply so on `device`; warns where it gains nothing by it.
///
/// # Errors
/// [`UsageError`] when it can only be done on the CPU, and the device is another.
pub fn check_matmul(precision: MatmulPrecision, device: &Device) -> Result<(), UsageError> {
    if precision != MatmulPrecision::Bf16 {
        return Ok(());
    }
    if !device.is_cpu() {
        return Err(UsageError::new(
            "products of bf16 are for the CPU: use --device cpu, or leave out --bf16",
        ));
    }
    if !bf16_instructions() {
        tracing::warn!("this processor has no instructions for bf16: --bf16 makes nothing faster here");
    }
    Ok(())
}
