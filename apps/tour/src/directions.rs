//! Two directions: what is missing in a sentence may be told by what comes after it.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use candle_core::{D, DType, Device, Tensor};
use candle_nn::ops::softmax;
use candle_rnn::{Cell, CrossEntropy, Embedding, Generator, Linear, Mode, Parameters, Rnn, RnnConfig};
use rnn_train::{Gradients, Optimizer, OptimizerConfig};

use crate::page::pad;
use crate::{Options, Page, verdict};

const THINGS: [&str; 8] = ["phone", "radio", "camera", "watch", "lamp", "bike", "printer", "kettle"];
const STATES: [&str; 4] = ["broken", "old", "wet", "slow"];
/// What is missing, and what is said after it.
const ENDS: [(&str, &str); 3] = [("buy", "a new one"), ("repair", "it at home"), ("sell", "it to a friend")];
/// What stands for the word that is missing.
const BLANK: &str = "___";
/// A sentence that the networks learn nothing of.
const ASKED: (&str, &str) = ("phone", "broken");

const STEPS: usize = 150;
const BATCH: usize = 24;
const LEARNING_RATE: f64 = 0.01;

/// Shares of right answers on sentences that were not learnt from.
#[derive(Clone, Copy, Debug)]
pub struct Directions {
    /// Of the network that reads from left to right.
    pub forward: f64,
    /// Of the one that reads in both directions.
    pub both: f64,
}

/// Trains both on sentences with a blank, and asks them for the word in sentences about the phone.
///
/// # Errors
/// When the page cannot be written, or the device fails.
pub fn tell(options: &Options, page: &mut Page) -> Result<Directions> {
    page.paragraph("directions-blank", &[])?;
    let sentences = sentences();
    let is_asked = |sentence: &&Sentence| (sentence.thing, sentence.state) == ASKED;
    let (asked, learnt): (Vec<&Sentence>, Vec<&Sentence>) = sentences.iter().partition(is_asked);
    let words: BTreeSet<&str> =
        sentences.iter().flat_map(|sentence| sentence.words.iter().copied()).collect();
    let words: Vec<&str> = words.into_iter().collect();
    let mut shares = [0.0; 2];
    let mut said = Vec::new();
    for (bidirectional, share) in [false, true].into_iter().zip(&mut shares) {
        let network = Filler::new(bidirectional, &words, options)?;
        network.learn(&learnt, options.seed)?;
        let answers = network.answers(&asked)?;
        let right = answers.iter().zip(&asked).filter(|((word, _), sentence)| *word == sentence.missing);
        *share = right.count() as f64 / asked.len() as f64;
        said.push(answers);
    }
    let names = [page.say("directions-forwards", &[]), page.say("directions-both", &[])];
    for (number, sentence) in asked.iter().enumerate() {
        page.line(&format!("    {}", sentence.words.join(" ")))?;
        for (name, answers) in names.iter().zip(&said) {
            let (word, probability) = answers[number];
            let (name, verdict) = (pad(name, 10), verdict(word == sentence.missing, page));
            page.line(&format!("        {name}{word:<8}{:>4.0} %  {verdict}", 100.0 * probability))?;
        }
    }
    page.line("")?;
    let [forwards, both] = shares.map(|share| format!("{:.0}", 100.0 * share));
    page.paragraph("directions-shares", &[("forwards", &forwards), ("both", &both)])?;
    Ok(Directions { forward: shares[0], both: shares[1] })
}

/// A sentence with a blank.
struct Sentence {
    thing: &'static str,
    state: &'static str,
    words: Vec<&'static str>,
    missing: &'static str,
}

fn sentences() -> Vec<Sentence> {
    let mut sentences = Vec::new();
    for thing in THINGS {
        for state in STATES {
            for (missing, end) in ENDS {
                let begin = ["my", thing, "is", state, "so", "I", "want", "to", BLANK];
                let words = begin.into_iter().chain(end.split(' ')).collect();
                sentences.push(Sentence { thing, state, words, missing });
            }
        }
    }
    sentences
}

/// A network that fills blanks.
struct Filler<'a> {
    words: &'a [&'a str],
    embedding: Embedding,
    rnn: Rnn,
    output: Linear,
    parameters: Parameters,
}

impl<'a> Filler<'a> {
    fn new(bidirectional: bool, words: &'a [&'a str], options: &Options) -> Result<Self> {
        const SIZE: usize = 16;
        let parameters = Parameters::new(options.seed, DType::F32, &options.device);
        let vb = parameters.builder();
        let units = if bidirectional { SIZE / 2 } else { SIZE };
        let config = RnnConfig { bidirectional, ..RnnConfig::new(Cell::Gru, SIZE, units) };
        Ok(Self {
            words,
            embedding: Embedding::new(words.len(), SIZE, vb.pp("embedding"))?,
            rnn: Rnn::new(&config, vb.pp("rnn"))?,
            output: Linear::new(SIZE, ENDS.len(), true, vb.pp("output"))?,
            parameters,
        })
    }

    /// The scores of the words that may be missing, `[1, words]`.
    fn scores(&self, sentence: &Sentence) -> Result<Tensor> {
        let number = |word: &str| self.words.iter().position(|other| *other == word).map(|n| n as u32);
        let ids: Vec<u32> = sentence.words.iter().filter_map(|word| number(word)).collect();
        let blank = sentence.words.iter().position(|&word| word == BLANK).context("there is no blank")?;
        let xs = self.embedding.forward(&Tensor::new(ids, self.device())?.unsqueeze(0)?)?;
        let (states, _) = self.rnn.forward(&xs, None, None, &mut Mode::Eval)?;
        Ok(self.output.forward(&states.narrow(1, blank, 1)?.squeeze(1)?.contiguous()?)?)
    }

    fn device(&self) -> &Device {
        self.parameters.device()
    }

    fn learn(&self, sentences: &[&Sentence], seed: u64) -> Result<()> {
        let variables = self.parameters.named();
        let mut optimizer = Optimizer::new(&OptimizerConfig::adam(), variables.clone())?;
        let mut generator = Generator::new(seed);
        for _ in 0..STEPS {
            let batch: Vec<&Sentence> =
                (0..BATCH).map(|_| sentences[generator.below(sentences.len())]).collect();
            let scores = batch.iter().map(|sentence| self.scores(sentence)).collect::<Result<Vec<_>>>()?;
            let missing: Vec<u32> = batch.iter().filter_map(|sentence| number(sentence.missing)).collect();
            let targets = Tensor::new(missing, self.device())?;
            let loss = CrossEntropy::default().forward(&Tensor::cat(&scores, 0)?, &targets)?;
            let loss = (loss.sum / BATCH as f64)?;
            optimizer.step(&Gradients::of(&loss, &variables)?, LEARNING_RATE)?;
        }
        Ok(())
    }

    /// The likeliest word for each blank, and its probability.
    fn answers(&self, sentences: &[&Sentence]) -> Result<Vec<(&'static str, f32)>> {
        let answer = |sentence: &&Sentence| {
            let probabilities =
                softmax(&self.scores(sentence)?, D::Minus1)?.flatten_all()?.to_vec1::<f32>()?;
            let pairs = ENDS.iter().map(|(word, _)| *word).zip(probabilities);
            pairs.max_by(|a, b| a.1.total_cmp(&b.1)).context("there is no word to say")
        };
        sentences.iter().map(answer).collect()
    }
}

fn number(missing: &str) -> Option<u32> {
    ENDS.iter().position(|(word, _)| *word == missing).map(|number| number as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_network_that_reads_both_ways_fills_the_blank() -> Result<()> {
        let found = crate::told(42, tell)?;
        // The same beginning three times has the same answer.
        assert!((found.forward - 1.0 / 3.0).abs() < 1e-9 && found.both == 1.0, "{found:?}");
        Ok(())
    }
}
