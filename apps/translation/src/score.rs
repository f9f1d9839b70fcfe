//! How probable a model finds given translations.

use anyhow::{Result, bail};
use candle_core::{D, DType};
use candle_nn::ops::log_softmax;
use candle_rnn::Mode;
use serde::Serialize;

use crate::batches::{Example, Padded};
use crate::corpus::Pair;
use crate::model::TranslationModel;

/// The log-probability of a translation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PairScore {
    /// `ln p(target | source)`, its end included, in nats.
    pub log_probability: f64,
    /// Each symbol as text, the end as a line break, and its `ln p` given the source and those before.
    pub tokens: Vec<(String, f64)>,
}

impl TranslationModel {
    /// Scores a pair.
    ///
    /// # Errors
    /// A source that is empty or whose characters are all unknown, a target with an unknown character.
    pub fn score(&self, pair: &Pair) -> Result<PairScore> {
        let vocabularies = self.vocabularies();
        let lower = |sentence: &str| match self.config().lowercase {
            true => sentence.to_lowercase(),
            false => sentence.to_owned(),
        };
        let pair = Pair { source: lower(&pair.source), target: lower(&pair.target) };
        let unknown: String = vocabularies.encode_target(&pair.target)?.unknown.into_iter().collect();
        if !unknown.is_empty() {
            bail!("the model cannot write the characters {unknown:?}: the translation is impossible for it");
        }
        let example: Example = vocabularies.example(&pair)?;
        if example.source.len() < 2 {
            bail!("there is nothing to translate");
        }
        let batch = Padded::new(&[&example], vocabularies.end(), self.device())?;
        let network = self.network();
        let encoded = network.encode(&batch.sources, &batch.source_lengths, &mut Mode::Eval)?;
        let vectors = network.decode(&encoded, &batch.inputs, &batch.target_lengths, &mut Mode::Eval)?;
        let scores = network.output().forward(&vectors)?.squeeze(0)?.to_dtype(DType::F32)?;
        let scores = log_softmax(&scores, D::Minus1)?.to_vec2::<f32>()?;
        let token = |(&symbol, scores): (&u32, &Vec<f32>)| {
            (vocabularies.target().token(symbol), f64::from(scores[symbol as usize]))
        };
        let tokens: Vec<(String, f64)> = example.target.iter().zip(&scores).map(token).collect();
        Ok(PairScore { log_probability: tokens.iter().map(|(_, p)| p).sum(), tokens })
    }
}
