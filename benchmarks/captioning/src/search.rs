//! Captions of pictures by beam search, by the code of the application.

use std::path::PathBuf;

use anyhow::{Context, Result};
use candle_core::{DType, Device, Tensor};
use candle_rnn::{Mode, Parameters};
use captioning::encoder::Seen;
use captioning::evaluate::ROWS;
use captioning::network::Network;
use rnn_decode::{BeamSearch, Found, Request};
use serde::Deserialize;
use worker::{Check, Workload};

use crate::{Model, noise, read, sizes};

#[derive(Deserialize)]
pub struct Row {
    #[serde(flatten)]
    model: Model,
    /// What has been seen of the pictures, as the application keeps it; noise without it.
    features: Option<PathBuf>,
    pictures: usize,
    end: u32,
    beam: usize,
    length_penalty: f64,
    longest: usize,
    /// Where the captions go (JSON, with the ending `.ours`): for each picture its symbols and their
    /// log-probability.
    write: PathBuf,
}

/// Captions all pictures, some at a time.
pub struct Captions {
    write: PathBuf,
    search: BeamSearch,
    longest: usize,
    end: u32,
    network: Network,
    seen: Seen,
}

impl Captions {
    pub fn new(row: &Row) -> Result<Self> {
        let seen = match &row.features {
            Some(path) => {
                let mut kept = read(path)?;
                let mut take = |name: &str| -> Result<_> {
                    let kept = kept.remove(name).with_context(|| format!("no {name} are kept"))?;
                    Ok(kept.narrow(0, 0, row.pictures)?.to_dtype(DType::F32)?)
                };
                Seen { regions: take("regions")?, global: take("global")? }
            }
            None => noise(row.pictures)?,
        };
        Ok(Self {
            write: row.write.with_extension("ours"),
            search: BeamSearch {
                beam: row.beam,
                length_penalty: row.length_penalty,
                ..BeamSearch::default()
            },
            longest: row.longest,
            end: row.end,
            network: row.model.load(&Parameters::new(0, DType::F32, &Device::Cpu))?,
            seen,
        })
    }

    fn captions(&self) -> Result<Vec<Found>> {
        let writer = self.network.writer()?.context("a decoder that attends")?;
        let pictures = self.seen.global.dim(0)?;
        let mut captions = Vec::with_capacity(pictures);
        for first in (0..pictures).step_by(ROWS) {
            let rows = ROWS.min(pictures - first);
            let part = |xs: &Tensor| xs.narrow(0, first, rows);
            let seen = Seen { regions: part(&self.seen.regions)?, global: part(&self.seen.global)? };
            let picture = self.network.look(&seen, &mut Mode::Eval)?;
            let memory = picture.memory.context("a decoder that attends")?;
            let mut hypotheses = writer.begin::<anyhow::Error>(&picture.state, &memory)?;
            let request =
                Request { max_length: self.longest, prefix: Vec::new(), source_length: sizes().places() };
            let found = self.search.search(&mut hypotheses, self.end, self.end, &vec![request; rows])?;
            captions.extend(found.into_iter().filter_map(|found| found.into_iter().next()));
        }
        Ok(captions)
    }
}

impl Workload for Captions {
    fn check(&mut self) -> Result<Check> {
        let found = self.captions()?;
        let rows: Vec<_> = found.iter().map(|found| (&found.symbols, found.log_prob)).collect();
        std::fs::write(&self.write, serde_json::to_string(&rows)?)?;
        Ok(Check::from([("pictures", found.len() as f64)]))
    }

    fn iterate(&mut self) -> Result<()> {
        self.captions().map(drop)
    }
}
