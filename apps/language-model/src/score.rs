//! How probable a model finds a text.

use anyhow::Result;
use candle_core::{D, DType};
use candle_nn::ops::log_softmax;
use serde::Serialize;

use crate::model::LanguageModel;

/// The log-probability of a text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TextScore {
    /// `ln p` of the whole text, in nats: the sum over its symbols.
    pub log_probability: f64,
    /// Each symbol as text, and its `ln p` given those before it.
    pub tokens: Vec<(String, f64)>,
}

impl LanguageModel {
    /// Scores `text` as the line after a line break. A model that knows no line break has nothing to
    /// predict the first symbol from, and leaves it out.
    ///
    /// # Errors
    /// Characters outside the vocabulary.
    pub fn score(&self, text: &str) -> Result<TextScore> {
        let mut symbols = self.beginning();
        symbols.extend(self.tokenizer().encode(text)?);
        let first = self.beginning().len().max(1);
        if symbols.len() <= first {
            return Ok(TextScore { log_probability: 0.0, tokens: Vec::new() });
        }
        let (scores, _) = self.read(&symbols[..symbols.len() - 1])?;
        let scores = log_softmax(&scores.to_dtype(DType::F32)?, D::Minus1)?.to_vec2::<f32>()?;
        let tokens: Vec<(String, f64)> = symbols[first..]
            .iter()
            .zip(&scores[first - 1..])
            .map(|(&symbol, scores)| (self.tokenizer().token(symbol), f64::from(scores[symbol as usize])))
            .collect();
        Ok(TextScore { log_probability: tokens.iter().map(|(_, p)| p).sum(), tokens })
    }
}
