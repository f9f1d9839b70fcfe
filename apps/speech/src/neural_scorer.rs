//! [`NeuralScorer`]: a model of `language-model` as what says how likely a text is.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use anyhow::{Context, Result};
use app_kit::UsageError;
use candle_core::{DType, Device, Tensor};
use candle_rnn::{State, log_softmax_rows};
use language_model::LanguageModel;
use rnn_decode::ctc::{Scored, Scorer};

use crate::alphabet::{Alphabet, Units};

/// What a symbol is worth that the language model does not know, in nats.
const UNKNOWN: f64 = -15.0;

/// A recurrent language model of characters. It reads a line of text, as its training text had lines.
///
/// A hypothesis' distribution is computed when its first continuation is asked for: of the many that a
/// search considers, only those that it follows.
pub struct NeuralScorer {
    model: LanguageModel,
    /// The model's number of each symbol of the network.
    numbers: Vec<Option<u32>>,
    line_end: u32,
    failure: Mutex<Option<anyhow::Error>>,
}

impl fmt::Debug for NeuralScorer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NeuralScorer").field("numbers", &self.numbers).finish_non_exhaustive()
    }
}

/// A text so far.
pub struct Text {
    before: Option<Arc<Text>>,
    symbol: u32,
    read: OnceLock<Read>,
}

/// What the model makes of it.
struct Read {
    state: State,
    log_probs: Vec<f32>,
}

impl NeuralScorer {
    /// # Errors
    /// [`UsageError`] for a model of other units than characters, or without an end of line.
    pub fn new(model: LanguageModel, alphabet: &Alphabet) -> Result<Self> {
        if alphabet.units() != Units::Char || model.tokenizer().units() != rnn_text::Units::Char {
            let error = format!(
                "a recurrent language model helps where both models have the units `char`; this one has `{}`, the \
                 speech model `{}`: use an n-gram model (--ngram)",
                model.tokenizer().units(),
                alphabet.units()
            );
            return Err(UsageError::new(error).into());
        }
        let number = |symbol: &str| match model.tokenizer().encode(symbol) {
            Ok(numbers) if numbers.len() == 1 => Some(numbers[0]),
            _ => None,
        };
        let line_end = number("\n").ok_or_else(|| {
            UsageError::new(
                "the language model was trained on a text without lines: give it one sentence a line",
            )
        })?;
        let numbers = alphabet.symbols().iter().map(|symbol| number(symbol)).collect();
        Ok(Self { model, numbers, line_end, failure: Mutex::new(None) })
    }

    /// What went wrong since the last call; what was scored then is of no use.
    ///
    /// # Errors
    /// A device that failed.
    pub fn check(&self) -> Result<()> {
        match self.failure.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(error) => Err(error).context("the language model cannot be asked"),
            None => Ok(()),
        }
    }

    fn read<'a>(&self, text: &'a Text) -> Option<&'a Read> {
        if text.read.get().is_none() {
            match self.step(text) {
                Ok(read) => drop(text.read.set(read)),
                Err(error) => {
                    *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                    return None;
                }
            }
        }
        text.read.get()
    }

    fn step(&self, text: &Text) -> Result<Read> {
        let network = self.model.network();
        let before = text.before.as_ref().and_then(|before| self.read(before));
        let state = match before {
            Some(read) => read.state.clone(),
            None => network.rnn().zero_state(1)?,
        };
        let symbol = Tensor::new(&[text.symbol], self.model.device())?;
        let (scores, state) = network.step(&symbol, &state)?;
        let mut log_probs: Vec<f32> =
            scores.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?;
        let symbols = log_probs.len();
        log_softmax_rows(&mut log_probs, symbols);
        Ok(Read { state, log_probs })
    }

    fn log_prob(&self, text: &Text, symbol: u32) -> f64 {
        self.read(text).map_or(UNKNOWN, |read| f64::from(read.log_probs[symbol as usize]))
    }
}

impl Scorer for NeuralScorer {
    type State = Arc<Text>;

    fn start(&self) -> Arc<Text> {
        Arc::new(Text { before: None, symbol: self.line_end, read: OnceLock::new() })
    }

    fn score(&self, text: &Arc<Text>, symbol: u32) -> Scored<Arc<Text>> {
        match self.numbers.get(symbol as usize).copied().flatten() {
            None => Scored { log_prob: UNKNOWN, units: 1, state: Arc::clone(text) },
            Some(symbol) => {
                let state = Text { before: Some(Arc::clone(text)), symbol, read: OnceLock::new() };
                Scored { log_prob: self.log_prob(text, symbol), units: 1, state: Arc::new(state) }
            }
        }
    }

    fn end(&self, text: &Arc<Text>) -> Scored<Arc<Text>> {
        Scored { log_prob: self.log_prob(text, self.line_end), units: 0, state: Arc::clone(text) }
    }
}
