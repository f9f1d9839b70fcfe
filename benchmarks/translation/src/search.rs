//! The translation of all test sentences by beam search, by the code of the application.

use std::path::PathBuf;

use anyhow::Result;
use candle_core::{DType, Device, Tensor};
use candle_rnn::{Lengths, Mode, Parameters};
use rnn_decode::{AttentionDecoder, BeamSearch, Found, Request};
use serde::Deserialize;
use translation::network::Network;
use worker::{Check, Workload};

use crate::Model;
use crate::data::Data;

/// Sentences side by side.
const BATCH: usize = 200;

#[derive(Deserialize)]
pub struct Row {
    #[serde(flatten)]
    model: Model,
    data: PathBuf,
    beam: usize,
    length_penalty: f64,
    /// Where the translations go (JSON): for each sentence its symbols and their log-probability.
    write: PathBuf,
}

/// Translates the sentences, of which those of about the same length stand side by side.
pub struct Translation {
    write: PathBuf,
    search: BeamSearch,
    network: Network,
    sentences: Vec<Vec<u32>>,
    end: u32,
}

impl Translation {
    pub fn new(row: &Row) -> Result<Self> {
        let data = Data::load(&row.data)?;
        let network = row.model.load(data.vocab, &Parameters::new(0, DType::F32, &Device::Cpu))?;
        let (symbols, lengths) = data.sentences("test.source")?;
        let mut sentences = symbols.to_vec2::<u32>()?;
        sentences.iter_mut().zip(lengths.as_slice()).for_each(|(row, &length)| row.truncate(length));
        Ok(Self {
            write: row.write.clone(),
            search: BeamSearch {
                beam: row.beam,
                length_penalty: row.length_penalty,
                ..BeamSearch::default()
            },
            network,
            sentences,
            end: data.end,
        })
    }

    fn translate(&self) -> Result<Vec<Found>> {
        let decoder = self.network.writer()?;
        let mut order: Vec<usize> = (0..self.sentences.len()).collect();
        order.sort_by_key(|&number| self.sentences[number].len());
        let mut found = vec![None; order.len()];
        for numbers in order.chunks(BATCH) {
            let sentences: Vec<_> = numbers.iter().map(|&number| &self.sentences[number][..]).collect();
            for (&number, best) in numbers.iter().zip(self.batch(&decoder, &sentences)?) {
                found[number] = Some(best);
            }
        }
        Ok(found.into_iter().flatten().collect())
    }

    fn batch(&self, decoder: &AttentionDecoder, sentences: &[&[u32]]) -> Result<Vec<Found>> {
        let lengths: Vec<usize> = sentences.iter().map(|sentence| sentence.len()).collect();
        let time = lengths.iter().copied().max().unwrap_or(0);
        let padded = sentences
            .iter()
            .flat_map(|sentence| sentence.iter().copied().chain(std::iter::repeat(self.end)).take(time));
        let symbols = Tensor::from_vec(padded.collect::<Vec<u32>>(), (sentences.len(), time), &Device::Cpu)?;
        let request = |&length: &usize| Request {
            max_length: 2 * length + 10,
            prefix: Vec::new(),
            source_length: length,
        };
        let requests: Vec<Request> = lengths.iter().map(request).collect();
        let encoded = self.network.encode(&symbols, &Lengths::new(lengths, time)?, &mut Mode::Eval)?;
        let mut translations = decoder.begin::<anyhow::Error>(&encoded.state, &encoded.memory)?;
        let found = self.search.search(&mut translations, self.end, self.end, &requests)?;
        Ok(found.into_iter().flat_map(|mut found| found.drain(..1).next()).collect())
    }
}

impl Workload for Translation {
    fn check(&mut self) -> Result<Check> {
        let found = self.translate()?;
        let rows: Vec<_> = found.iter().map(|found| (&found.symbols, found.log_prob)).collect();
        std::fs::write(&self.write, serde_json::to_string(&rows)?)?;
        Ok(Check::from([("sentences", found.len() as f64)]))
    }

    fn iterate(&mut self) -> Result<()> {
        self.translate().map(drop)
    }
}
