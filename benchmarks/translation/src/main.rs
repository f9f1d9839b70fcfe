//! The worker that measures translation with this repository, and what makes its data.

mod data;
mod search;
mod training;

use std::path::PathBuf;

use anyhow::{Context, Result};
use candle_core::{DType, Device};
use candle_rnn::Parameters;
use clap::{Parser, Subcommand};
use serde::Deserialize;
use translation::network::{Network, NetworkConfig};
use worker::{Measured, Peer, Prepared, serve};

#[derive(Parser)]
#[command(about = "Measures translation, as benchmarks/translation.py asks on the standard input")]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Writes symbols of line-aligned texts, for all peers to read
    Data(data::Texts),
    /// Writes weights as they are before any training
    Weights {
        /// Settings of the network (JSON)
        #[arg(long)]
        network: String,
        /// Symbols of the vocabulary
        #[arg(long)]
        vocab: usize,
        #[arg(long, default_value_t = 0)]
        seed: u64,
        /// The file to write
        #[arg(long)]
        out: PathBuf,
    },
}

/// What `translation.py` asks for.
#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Row {
    /// Training steps over all batches of the data.
    Train(training::Row),
    /// The translation of all test sentences.
    Translate(search::Row),
}

impl Measured for Row {}

/// The network that all peers have.
#[derive(Deserialize)]
struct Model {
    network: NetworkConfig,
    weights: PathBuf,
}

impl Model {
    /// Reads the weights into `parameters`.
    fn load(&self, vocab: usize, parameters: &Parameters) -> Result<Network> {
        let network = Network::new(&self.network, vocab, vocab, parameters.builder())?;
        let weights = candle_core::safetensors::load(&self.weights, &Device::Cpu);
        let weights = weights.with_context(|| format!("cannot read {}", self.weights.display()))?;
        parameters.assign(&weights)?;
        Ok(network)
    }
}

fn main() -> Result<()> {
    // What every binary of ours does first. Safety: so no other thread is running.
    unsafe { app_kit::process::prepare() };
    match Arguments::parse().command {
        None => serve(&Peer { prepare, peak: None }),
        Some(Command::Data(texts)) => texts.write(),
        Some(Command::Weights { network, vocab, seed, out }) => {
            let parameters = Parameters::new(seed, DType::F32, &Device::Cpu);
            let network: NetworkConfig = serde_json::from_str(&network).context("--network")?;
            Network::new(&network, vocab, vocab, parameters.builder())?;
            Ok(candle_core::safetensors::save(&parameters.tensors(), out)?)
        }
    }
}

fn prepare(row: &Row) -> Result<Prepared> {
    Ok(Prepared::Ready(match row {
        Row::Train(row) => Box::new(training::Training::new(row)?),
        Row::Translate(row) => Box::new(search::Translation::new(row)?),
    }))
}
