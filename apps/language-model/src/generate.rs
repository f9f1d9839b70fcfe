//! Writing: drawing one symbol after another and reading it back in.

use anyhow::Result;
use app_kit::UsageError;
use candle_core::DType;
use candle_rnn::{Generator, Precision};
use rnn_decode::{Sampler, Sampling};
use rnn_text::Stream;

use crate::model::LanguageModel;
use crate::reader::Reader;

/// How to write.
#[derive(Clone, Debug, PartialEq)]
pub struct GenerateConfig {
    /// How the next symbol is drawn.
    pub sampling: Sampling,
    /// How many of the latest symbols the repetition penalty looks back at.
    pub repetition_window: usize,
    /// Symbols to write at most.
    pub length: usize,
    /// Texts that end the writing; they are not written themselves.
    pub stop: Vec<String>,
    /// In what the weights are held.
    pub precision: Precision,
}

impl Default for GenerateConfig {
    /// 500 symbols drawn from the model's own distribution.
    fn default() -> Self {
        Self {
            sampling: Sampling::default(),
            repetition_window: 64,
            length: 500,
            stop: Vec::new(),
            precision: Precision::F32,
        }
    }
}

impl LanguageModel {
    /// Continues `prompt`, which is read as the beginning of a line: an iterator over pieces of text,
    /// each of whole characters. The same generator gives the same text.
    ///
    /// # Errors
    /// [`UsageError`] for a prompt with unknown characters and for settings out of range; the
    /// iterator's items are errors when the network fails or gives scores that are no numbers.
    pub fn generate(
        &self,
        prompt: &str,
        config: &GenerateConfig,
        mut generator: Generator,
    ) -> Result<Generation<'_>> {
        let sampler = Sampler::new(config.sampling).map_err(|error| UsageError::new(error.to_string()))?;
        if config.stop.iter().any(String::is_empty) {
            return Err(UsageError::new("an empty stop text would end before the beginning").into());
        }
        let encoded = self.tokenizer().encode(prompt);
        let prompt = encoded.map_err(|error| UsageError::new(format!("in the prompt, {error}")))?;
        let mut stream = Stream::new(self.tokenizer());
        for &symbol in &prompt {
            stream.push(symbol);
        }
        // A prompt begins a line. Out of nothing at all, which training shows a network but once,
        // some find no way back to text.
        let mut read = self.beginning();
        read.extend(&prompt);
        if read.is_empty() {
            read.push(generator.below(self.tokenizer().vocab_size()) as u32);
        }
        let (scores, state) = self.read(&read)?;
        let scores = scores.get(read.len() - 1)?.to_dtype(DType::F32)?.to_vec1()?;
        Ok(Generation {
            reader: self.reader(&state, config.precision)?,
            latest: None,
            sampler,
            generator,
            stream: Some(stream),
            scores,
            history: prompt,
            repetition_window: config.repetition_window,
            left: config.length,
            stop: config.stop.clone(),
            held: String::new(),
        })
    }
}

/// A text while it is being written; see [`LanguageModel::generate`].
pub struct Generation<'a> {
    reader: Reader<'a>,
    /// What was drawn and not read yet.
    latest: Option<u32>,
    sampler: Sampler,
    generator: Generator,
    /// Gone when the text has ended.
    stream: Option<Stream<'a>>,
    /// Scores of the first symbol, `[vocab_size]`.
    scores: Vec<f32>,
    history: Vec<u32>,
    repetition_window: usize,
    left: usize,
    stop: Vec<String>,
    /// Text that may turn out to be the beginning of a stop text.
    held: String,
}

impl Generation<'_> {
    /// Reads the symbol drawn last, draws the next and returns the characters it completes.
    fn advance(&mut self) -> Result<String> {
        let scores = match self.latest {
            Some(symbol) => self.reader.read(symbol)?,
            None => &self.scores,
        };
        let recent = self.history.len().saturating_sub(self.repetition_window);
        let symbol = self.sampler.sample(scores, &self.history[recent..], &mut self.generator)? as u32;
        self.latest = Some(symbol);
        self.history.push(symbol);
        self.left -= 1;
        Ok(self.stream.as_mut().map(|stream| stream.push(symbol)).unwrap_or_default())
    }

    /// Takes from the held text what can be shown: all before a stop text, which ends the writing,
    /// or all that cannot be the beginning of one.
    fn release(&mut self) -> String {
        if let Some(at) = self.stop.iter().filter_map(|stop| self.held.find(stop.as_str())).min() {
            self.held.truncate(at);
            self.stream = None;
            return std::mem::take(&mut self.held);
        }
        let may_stop = |tail: &str| self.stop.iter().any(|stop| stop.starts_with(tail));
        let from = self.held.char_indices().map(|(at, _)| at).find(|&at| may_stop(&self.held[at..]));
        let rest = self.held.split_off(from.unwrap_or(self.held.len()));
        std::mem::replace(&mut self.held, rest)
    }
}

impl Iterator for Generation<'_> {
    type Item = Result<String>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.stream.is_some() {
            if self.left == 0 {
                let end = self.stream.take()?.finish();
                self.held.push_str(&end);
                let rest = self.release() + &std::mem::take(&mut self.held);
                return (!rest.is_empty()).then_some(Ok(rest));
            }
            match self.advance() {
                Ok(text) => self.held.push_str(&text),
                Err(error) => {
                    self.stream = None;
                    return Some(Err(error));
                }
            }
            let piece = self.release();
            if !piece.is_empty() {
                return Some(Ok(piece));
            }
        }
        None
    }
}
