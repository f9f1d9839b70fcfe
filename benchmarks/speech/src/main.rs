//! The worker that measures what speech recognition needs besides its network with this repository.

mod ctc;
mod features;

use anyhow::Result;
use serde::Deserialize;
use worker::{Measured, Peer, Prepared, serve};

/// What `features.py` and `ctc.py` ask for.
#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Row {
    /// The features of a long signal.
    Features(features::Row),
    /// Forward and backward pass of the CTC loss, from logits to their gradient.
    Ctc(ctc::Row),
}

impl Measured for Row {}

fn main() -> Result<()> {
    // What every binary of ours does first. Safety: so no other thread is running.
    unsafe { app_kit::process::prepare() };
    serve(&Peer { prepare, peak: None })
}

fn prepare(row: &Row) -> Result<Prepared> {
    Ok(Prepared::Ready(match row {
        Row::Features(row) => Box::new(features::Extraction::new(row)?),
        Row::Ctc(row) => Box::new(ctc::Pass::new(row)?),
    }))
}
