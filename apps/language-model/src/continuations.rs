//! [`Continuations`]: many texts side by side, for a search that a language model takes part in.

use anyhow::Result;
use candle_core::{DType, Device, Tensor};
use candle_rnn::{State, log_softmax_rows};
use rnn_decode::Hypotheses;

use crate::model::LanguageModel;

/// Texts on their way, from the same beginning: nothing.
pub struct Continuations<'a> {
    model: &'a LanguageModel,
    state: State,
}

impl<'a> Continuations<'a> {
    /// As many texts as there are `rows`, none with a symbol yet.
    ///
    /// # Errors
    /// When the device fails.
    pub fn new(model: &'a LanguageModel, rows: usize) -> Result<Self> {
        Ok(Self { model, state: model.network().rnn().zero_state(rows)? })
    }
}

impl Hypotheses for Continuations<'_> {
    type Error = anyhow::Error;

    fn read(&mut self, symbols: &[u32], log_probs: &mut Vec<f32>) -> Result<()> {
        let symbols = Tensor::new(symbols, self.model.device())?;
        let (scores, state) = self.model.network().step(&symbols, &self.state)?;
        self.state = state;
        let vocab = scores.dim(1)?;
        *log_probs = scores.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?;
        log_softmax_rows(log_probs, vocab);
        Ok(())
    }

    fn select(&mut self, from: &[usize]) -> Result<()> {
        let index: Vec<u32> = from.iter().map(|&row| row as u32).collect();
        self.state = self.state.rows(&Tensor::new(index, self.model.device())?)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Network, NetworkConfig};
    use candle_rnn::Parameters;
    use rnn_text::{Tokenizer, Units};

    #[test]
    fn a_text_beside_others_has_the_log_probabilities_that_scoring_gives() -> Result<()> {
        let tokenizer = Tokenizer::train(Units::Char, "abc\n", 0)?;
        let config = NetworkConfig { hidden_size: 12, embedding_size: 6, ..NetworkConfig::default() };
        let parameters = Parameters::new(5, DType::F32, &Device::Cpu);
        Network::new(&config, tokenizer.vocab_size(), parameters.builder())?;
        let folder = tempfile::tempdir()?;
        crate::model::save(folder.path(), &config, &tokenizer, &parameters)?;
        let model = LanguageModel::load(folder.path(), &Device::Cpu)?;
        let mut texts = Continuations::new(&model, 2)?;
        let (mut sums, mut log_probs) = ([0.0; 2], Vec::new());
        let lines: Vec<Vec<u32>> =
            ["\nabca", "\nccba"].iter().map(|line| tokenizer.encode(line)).collect::<Result<_, _>>()?;
        for step in 0..4 {
            texts.read(&[lines[0][step], lines[1][step]], &mut log_probs)?;
            for row in 0..2 {
                sums[row] += f64::from(log_probs[row * 4 + lines[row][step + 1] as usize]);
            }
            // Round and round again.
            texts.select(&[1, 0])?;
            texts.select(&[1, 0])?;
        }
        for (sum, line) in sums.iter().zip(["abca", "ccba"]) {
            assert!((sum - model.score(line)?.log_probability).abs() < 1e-5);
        }
        Ok(())
    }
}
