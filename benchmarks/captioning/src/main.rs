//! The worker that measures captioning with this repository.

mod looking;
mod search;
mod training;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use candle_core::{DType, Device, Tensor};
use candle_rnn::Parameters;
use captioning::encoder::{EncoderConfig, EncoderName, Seen, Sizes};
use captioning::network::{Network, NetworkConfig};
use clap::{Parser, Subcommand};
use serde::Deserialize;
use worker::numbers::fill;
use worker::{Measured, Peer, Prepared, serve};

#[derive(Parser)]
#[command(about = "Measures captioning, as benchmarks/captioning.py asks on the standard input")]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Writes the decoder's weights as they are before any training
    Weights {
        /// Settings of the network (JSON)
        #[arg(long)]
        network: String,
        /// Symbols of the vocabulary
        #[arg(long)]
        vocab: usize,
        /// The file to write
        #[arg(long)]
        out: PathBuf,
    },
}

/// What `captioning.py` asks for.
#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Row {
    /// What EfficientNet-Lite0 sees of a batch of pictures.
    Looking(looking::Row),
    /// Training steps of the decoder.
    Training(training::Row),
    /// Captions of pictures that have been seen.
    Captions(search::Row),
}

impl Measured for Row {}

/// The decoder that all peers have.
#[derive(Deserialize)]
struct Model {
    network: NetworkConfig,
    vocab: usize,
    weights: PathBuf,
}

impl Model {
    /// Reads the weights into `parameters`.
    fn load(&self, parameters: &Parameters) -> Result<Network> {
        let network = Network::new(&self.network, sizes(), self.vocab, parameters.builder())?;
        let mut weights = read(&self.weights)?;
        // Those of the encoder may be beside them.
        let names = parameters.tensors();
        weights.retain(|name, _| names.contains_key(name));
        parameters.assign(&weights)?;
        Ok(network)
    }
}

/// What EfficientNet-Lite0 sees of a picture of its size.
fn sizes() -> Sizes {
    EncoderConfig::named(EncoderName::EfficientnetLite0).sizes()
}

/// So many pictures of noise, as they would be seen.
fn noise(pictures: usize) -> Result<Seen> {
    let Sizes { region, global, .. } = sizes();
    let tensor = |name: &str, shape: &[usize]| {
        Tensor::from_vec(fill(name, shape.iter().product(), 1.0), shape, &Device::Cpu)
    };
    Ok(Seen {
        regions: tensor("regions", &[pictures, sizes().places(), region])?,
        global: tensor("global", &[pictures, global])?,
    })
}

fn read(path: &Path) -> Result<HashMap<String, Tensor>> {
    candle_core::safetensors::load(path, &Device::Cpu)
        .with_context(|| format!("cannot read {}", path.display()))
}

fn main() -> Result<()> {
    // What every binary of ours does first. Safety: so no other thread is running.
    unsafe { app_kit::process::prepare() };
    match Arguments::parse().command {
        None => serve(&Peer { prepare, peak: None }),
        Some(Command::Weights { network, vocab, out }) => {
            let parameters = Parameters::new(0, DType::F32, &Device::Cpu);
            let network: NetworkConfig = serde_json::from_str(&network).context("--network")?;
            Network::new(&network, sizes(), vocab, parameters.builder())?;
            Ok(candle_core::safetensors::save(&parameters.tensors(), out)?)
        }
    }
}

fn prepare(row: &Row) -> Result<Prepared> {
    Ok(Prepared::Ready(match row {
        Row::Looking(row) => Box::new(looking::Looking::new(row)?),
        Row::Training(row) => Box::new(training::Training::new(row)?),
        Row::Captions(row) => Box::new(search::Captions::new(row)?),
    }))
}
