//! [`Listener`]: recognition while a recording comes.

use anyhow::Result;
use candle_rnn::log_softmax_rows;
use rnn_decode::ctc::{self, Decoding, Guide};

use crate::alphabet::BLANK;
use crate::frontend::FrontendStream;
use crate::model::SpeechModel;
use crate::network::NetworkStream;
use crate::recognizer::{text, transcript};
use crate::search::{AnyScorer, Search};
use crate::transcript::Transcript;

/// Recognises a recording while it comes. In what pieces it comes changes nothing but the last bits of the
/// network's numbers.
pub struct Listener<'a> {
    model: &'a SpeechModel,
    search: &'a Search,
    frontend: FrontendStream,
    network: NetworkStream,
    decoding: Progress<'a>,
    samples: usize,
    frames: usize,
}

/// How far the search has come.
enum Progress<'a> {
    /// All frames, to take the best path of.
    BestPath(Vec<f32>),
    /// Prefixes that are followed.
    Beam(Decoding<'a, AnyScorer<'a>>),
}

impl<'a> Listener<'a> {
    /// Listens from the beginning; `guide` is that of the search.
    ///
    /// # Errors
    /// [`UsageError`](app_kit::UsageError) for a model that needs whole recordings.
    pub fn new(model: &'a SpeechModel, search: &'a Search, guide: &'a Guide<AnyScorer<'a>>) -> Result<Self> {
        let decoding = match &search.beam {
            Some(beam) => Progress::Beam(beam.start(model.alphabet().len(), guide)?),
            None => Progress::BestPath(Vec::new()),
        };
        Ok(Self {
            model,
            search,
            frontend: model.frontend().stream()?,
            network: model.network().stream(model.config().frontend.dimension())?,
            decoding,
            samples: 0,
            frames: 0,
        })
    }

    /// Takes the next samples, from -1 to 1, at the rate of the model.
    ///
    /// # Errors
    /// A sample that is not finite, weights that are damaged.
    pub fn push(&mut self, samples: &[f32]) -> Result<()> {
        self.samples += samples.len();
        let features = self.frontend.push(samples)?;
        let scores = self.network.push(features.values())?;
        self.decode(scores)
    }

    fn decode(&mut self, mut scores: Vec<f32>) -> Result<()> {
        let symbols = self.model.alphabet().len();
        log_softmax_rows(&mut scores, symbols);
        self.frames += scores.len() / symbols;
        match &mut self.decoding {
            Progress::BestPath(frames) => frames.append(&mut scores),
            Progress::Beam(decoding) => {
                decoding.push(&scores)?;
                self.search.check()?;
            }
        }
        Ok(())
    }

    /// Seconds that were heard.
    pub fn heard(&self) -> f64 {
        self.samples as f64 / f64::from(self.model.config().frontend.rate)
    }

    /// Seconds that [`partial`](Self::partial) is about: the rest of what was heard waits for frames to be
    /// complete.
    pub fn recognized(&self) -> f64 {
        self.model.clock().time(self.frames, self.heard())
    }

    /// What was said so far; its last word may be unfinished.
    ///
    /// # Errors
    /// Weights that are damaged.
    pub fn partial(&self) -> Result<String> {
        let symbols = match &self.decoding {
            Progress::BestPath(frames) => self.best_path(frames)?.iter().map(|timed| timed.symbol).collect(),
            Progress::Beam(decoding) => decoding.partial_symbols(),
        };
        Ok(text(self.model.alphabet(), &symbols))
    }

    /// Ends the recording: what was said.
    ///
    /// # Errors
    /// Weights that are damaged.
    pub fn finish(mut self) -> Result<Transcript> {
        let scores = self.network.finish()?;
        self.decode(scores)?;
        let (symbols, score) = match &self.decoding {
            Progress::BestPath(frames) => (self.best_path(frames)?, 0.0),
            Progress::Beam(decoding) => {
                let best = decoding.finish().into_iter().next();
                self.search.check()?;
                best.map_or((Vec::new(), f64::NEG_INFINITY), |found| (found.symbols, found.score))
            }
        };
        Ok(self.transcript(&symbols, score))
    }

    fn best_path(&self, frames: &[f32]) -> Result<Vec<ctc::TimedSymbol>> {
        Ok(ctc::greedy(frames, self.model.alphabet().len(), BLANK)?)
    }

    fn transcript(&self, symbols: &[ctc::TimedSymbol], score: f64) -> Transcript {
        transcript(self.model.alphabet(), symbols, score, self.model.clock(), self.heard())
    }
}
