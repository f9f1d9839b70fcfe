//! [`Captioner`]: a model, ready to say what is on pictures.

use std::path::Path;

use anyhow::Result;
use app_kit::UsageError;
use candle_core::{DType, Device, Tensor};
use candle_rnn::{Mode, log_softmax_rows};
use image_features::Picture;
use rayon::prelude::*;
use rnn_decode::{AttentionDecoder, BeamError, BeamSearch, Found, Hypotheses, Request};
use serde::Serialize;

use crate::encoder::Seen;
use crate::features::BATCH;
use crate::model::CaptionModel;
use crate::network::{self, Network};

/// How captions are searched.
#[derive(Clone, Debug, PartialEq)]
pub struct SearchConfig {
    /// How to search.
    pub search: BeamSearch,
    /// Symbols of a caption at most.
    pub max_length: usize,
    /// How every caption begins.
    pub prefix: String,
}

impl Default for SearchConfig {
    /// The likeliest symbol every time, at most 50.
    fn default() -> Self {
        Self { search: BeamSearch::default(), max_length: 50, prefix: String::new() }
    }
}

/// What may be said about a picture.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Caption {
    /// The caption.
    pub text: String,
    /// `ln p` of it.
    pub log_probability: f64,
    /// What it was ranked by.
    pub score: f64,
    /// Whether it came to its end; otherwise it was cut off.
    pub ended: bool,
    /// Its symbols as text.
    pub tokens: Vec<String>,
    /// How much each symbol, and the end, attended to each region, row by row; empty for a decoder that does
    /// not attend.
    pub attention: Vec<Vec<f32>>,
}

/// A model, ready to say what is on pictures.
pub struct Captioner {
    model: CaptionModel,
    writer: Option<AttentionDecoder>,
}

impl Captioner {
    /// The model as it is now.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn new(model: CaptionModel) -> Result<Self> {
        let writer = model.network().writer()?;
        Ok(Self { model, writer })
    }

    /// Reads a model folder, or the best model of a run folder.
    ///
    /// # Errors
    /// Those of [`CaptionModel::load`].
    pub fn load(folder: &Path, device: &Device) -> Result<Self> {
        Self::new(CaptionModel::load(folder, device)?)
    }

    /// The model.
    pub fn model(&self) -> &CaptionModel {
        &self.model
    }

    /// The captions of pictures, of each the best first.
    ///
    /// # Errors
    /// [`UsageError`] for settings out of range; what a device or a damaged model reports.
    pub fn caption(&self, pictures: &[Picture], config: &SearchConfig) -> Result<Vec<Vec<Caption>>> {
        let preprocessing = self.model.config().encoder.preprocessing;
        let mut captions = Vec::with_capacity(pictures.len());
        for pictures in pictures.chunks(BATCH) {
            let pixels = pictures.par_iter().map(|picture| preprocessing.pixels(picture));
            let pixels = pixels.collect::<Result<Vec<_>, _>>()?;
            let pixels = image_features::batch(&pixels, preprocessing.size, self.model.device())?;
            let seen = self.model.encoder().forward(&pixels, &Mode::Eval)?;
            captions.extend(self.caption_seen(&seen, config)?);
        }
        Ok(captions)
    }

    /// The captions of what an encoder has seen.
    ///
    /// # Errors
    /// Those of [`caption`](Self::caption).
    pub fn caption_seen(&self, seen: &Seen, config: &SearchConfig) -> Result<Vec<Vec<Caption>>> {
        let vocabulary = self.model.vocabulary();
        let mut prefix = match config.prefix.is_empty() {
            true => Vec::new(),
            false => vocabulary.encode(&config.prefix)?,
        };
        // Its end is not the caption's.
        prefix.pop();
        let picture = self.model.network().look(seen, &mut Mode::Eval)?;
        let mut hypotheses: Box<dyn Hypotheses<Error = anyhow::Error> + '_> =
            match (&self.writer, &picture.memory) {
                (Some(writer), Some(memory)) => Box::new(writer.begin(&picture.state, memory)?),
                _ => Box::new(Telling::new(self.model.network(), &picture)),
            };
        let request = Request {
            max_length: config.max_length.max(prefix.len()).max(1),
            prefix,
            source_length: self.model.config().encoder.sizes().places(),
        };
        let requests = vec![request; picture.state.dim(0)?];
        let end = vocabulary.end();
        let found =
            config.search.search(&mut hypotheses, end, end, &requests).map_err(|error| match error {
                BeamError::Model(error) => error,
                bad @ BeamError::BadScore { .. } => anyhow::anyhow!("{bad}"),
                other => UsageError::new(other.to_string()).into(),
            })?;
        Ok(found.into_iter().map(|found| found.into_iter().map(|each| self.tell(each)).collect()).collect())
    }

    fn tell(&self, found: Found) -> Caption {
        let Found { symbols, log_prob, score, ended, attention } = found;
        let tokenizer = self.model.vocabulary().tokenizer();
        Caption {
            text: tokenizer.decode(&symbols).trim().to_owned(),
            log_probability: log_prob,
            score,
            ended,
            tokens: symbols.iter().map(|&symbol| tokenizer.token(symbol)).collect(),
            attention,
        }
    }
}

/// Captions on their way, of a decoder that does not attend.
struct Telling<'a> {
    network: &'a Network,
    state: Tensor,
}

impl<'a> Telling<'a> {
    fn new(network: &'a Network, picture: &network::Picture) -> Self {
        Self { network, state: picture.state.clone() }
    }
}

impl Hypotheses for Telling<'_> {
    type Error = anyhow::Error;

    fn read(&mut self, symbols: &[u32], log_probs: &mut Vec<f32>) -> Result<()> {
        let symbols = Tensor::new(symbols, self.state.device())?;
        let (scores, state) = self.network.step(&symbols, &self.state)?;
        self.state = state;
        let vocab = scores.dim(1)?;
        *log_probs = scores.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?;
        log_softmax_rows(log_probs, vocab);
        Ok(())
    }

    fn select(&mut self, from: &[usize]) -> Result<()> {
        let index: Vec<u32> = from.iter().map(|&row| row as u32).collect();
        self.state = self.state.index_select(&Tensor::new(index, self.state.device())?, 0)?;
        Ok(())
    }
}
