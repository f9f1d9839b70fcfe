//! The word `namaskar` and the two networks that learn it.

use candle_core::{D, DType, Device, Result, Tensor};
use candle_nn::ops::softmax;
use candle_rnn::{Cell, CrossEntropy, Linear, Mode, Parameters, Reduction, Rnn, RnnConfig};
use rnn_train::{Gradients, Optimizer, OptimizerConfig};

/// The word: seven letters are read, and after each the next one is asked.
pub const WORD: [char; 8] = ['n', 'a', 'm', 'a', 's', 'k', 'a', 'r'];

/// The distinct letters of the word; a letter's id is its place here.
pub const ALPHABET: [char; 6] = ['a', 'k', 'm', 'n', 'r', 's'];

/// Number of letters that are read, and of questions.
pub const STEPS: usize = WORD.len() - 1;

/// Units of the recurrent layer. With [`FEED_FORWARD_UNITS`] both networks have 318 parameters:
/// 12·6 + 12·12 + 12 + 12 + 6·12 + 6 = 24·6 + 24 + 6·24 + 6.
pub const RECURRENT_UNITS: usize = 12;

/// Units of the feed-forward network's hidden layer.
pub const FEED_FORWARD_UNITS: usize = 24;

/// Optimisation steps over the word.
pub const TRAINING_STEPS: usize = 300;

const LEARNING_RATE: f64 = 0.02;

/// Ids of letters of the word.
fn ids(letters: &[char]) -> Vec<u32> {
    let id = |letter| ALPHABET.iter().position(|other| other == letter).map(|id| id as u32);
    letters.iter().filter_map(id).collect()
}

/// The likeliest next letter after each that was read, and its probability, from logits `[1, letters, 6]`.
pub fn answers(logits: &Tensor) -> Result<Vec<(char, f32)>> {
    let rows = softmax(&logits.squeeze(0)?, D::Minus1)?.to_vec2::<f32>()?;
    let best = |row: &Vec<f32>| {
        let pairs = ALPHABET.into_iter().zip(row.iter().copied());
        pairs.max_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or(('?', 0.))
    };
    Ok(rows.iter().map(best).collect())
}

/// How many answers are the next letter of the word.
pub fn right(answers: &[(char, f32)]) -> usize {
    answers.iter().zip(&WORD[1..]).filter(|((letter, _), asked)| letter == *asked).count()
}

/// `letters` of the word as rows with a single 1: `[1, letters, 6]`.
pub fn one_hot(letters: &[char], device: &Device) -> Result<Tensor> {
    let ids = ids(letters);
    let size = ALPHABET.len() as u32;
    let rows: Vec<f32> = ids.iter().flat_map(|&id| (0..size).map(move |k| f32::from(k == id))).collect();
    Tensor::from_vec(rows, (1, ids.len(), ALPHABET.len()), device)
}

/// The letters that are asked, `[1, 7]` of u32: the word without its first letter.
pub fn targets(device: &Device) -> Result<Tensor> {
    Tensor::from_vec(ids(&WORD[1..]), (1, STEPS), device)
}

/// Cross entropy over the seven questions, in nats, as a sum.
pub fn loss_sum(logits: &Tensor) -> Result<Tensor> {
    Ok(CrossEntropy::default().forward(logits, &targets(logits.device())?)?.sum)
}

/// A network that sees one letter at a time and keeps nothing:
/// `y_t = W_hy tanh(W_xh x_t + b_h) + b_y`.
pub struct FeedForward {
    hidden: Linear,
    output: Linear,
    /// Its weights.
    pub parameters: Parameters,
}

impl FeedForward {
    /// With weights drawn from `seed`.
    pub fn new(seed: u64, device: &Device) -> Result<Self> {
        let parameters = Parameters::new(seed, DType::F32, device);
        let vb = parameters.builder();
        let letters = ALPHABET.len();
        Ok(Self {
            hidden: Linear::new(letters, FEED_FORWARD_UNITS, true, vb.pp("hidden"))?,
            output: Linear::new(FEED_FORWARD_UNITS, letters, true, vb.pp("output"))?,
            parameters,
        })
    }

    /// `xs [1, time, 6]` to logits `[1, time, 6]`; every step on its own.
    pub fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        self.output.forward(&self.hidden.forward(xs)?.tanh()?)
    }
}

/// The article's network: `h_t = tanh(W_hh h_{t-1} + W_xh x_t + b_h)`, `y_t = W_hy h_t + b_y`.
pub struct Recurrent {
    /// The recurrent layer.
    pub rnn: Rnn,
    /// From `h_t` to logits.
    pub output: Linear,
    /// Its weights.
    pub parameters: Parameters,
}

impl Recurrent {
    /// With weights drawn from `seed`, gradients summed over the steps.
    pub fn new(seed: u64, device: &Device) -> Result<Self> {
        Self::over(Parameters::new(seed, DType::F32, device), Reduction::Sum)
    }

    /// Over weights that exist already or are made from the parameters' seed.
    pub fn over(parameters: Parameters, reduction: Reduction) -> Result<Self> {
        let vb = parameters.builder();
        let letters = ALPHABET.len();
        let config = RnnConfig { reduction, ..RnnConfig::new(Cell::tanh(), letters, RECURRENT_UNITS) };
        Ok(Self {
            rnn: Rnn::new(&config, vb.pp("rnn"))?,
            output: Linear::new(RECURRENT_UNITS, letters, true, vb.pp("output"))?,
            parameters,
        })
    }

    /// A trained network: [`TRAINING_STEPS`] steps over the word.
    pub fn trained(seed: u64, device: &Device) -> Result<Self> {
        let network = Self::new(seed, device)?;
        train(&network.parameters, device, |xs| network.forward(xs))?;
        Ok(network)
    }

    /// The hidden states `h_1 … h_time`, `[1, time, 12]`, of `xs [1, time, 6]`.
    pub fn hidden(&self, xs: &Tensor) -> Result<Tensor> {
        Ok(self.rnn.forward(xs, None, None, &mut Mode::Eval)?.0)
    }

    /// `xs [1, time, 6]` to logits `[1, time, 6]`.
    pub fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        self.output.forward(&self.hidden(xs)?)
    }
}

/// Trains with Adam on the seven questions; the mean loss per letter before every step, in nats.
pub fn train(
    parameters: &Parameters,
    device: &Device,
    forward: impl Fn(&Tensor) -> Result<Tensor>,
) -> Result<Vec<f64>> {
    let variables = parameters.named();
    let mut optimizer = Optimizer::new(&OptimizerConfig::adam(), variables.clone())?;
    let xs = one_hot(&WORD[..STEPS], device)?;
    let mut losses = Vec::with_capacity(TRAINING_STEPS);
    for _ in 0..TRAINING_STEPS {
        let loss = (loss_sum(&forward(&xs)?)? / STEPS as f64)?;
        losses.push(f64::from(loss.to_scalar::<f32>()?));
        optimizer.step(&Gradients::of(&loss, &variables)?, LEARNING_RATE)?;
    }
    Ok(losses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_networks_have_318_parameters() -> Result<()> {
        assert_eq!(FeedForward::new(1, &Device::Cpu)?.parameters.count(), 318);
        assert_eq!(Recurrent::new(1, &Device::Cpu)?.parameters.count(), 318);
        Ok(())
    }

    #[test]
    fn every_letter_of_the_word_is_in_the_alphabet() {
        assert_eq!(ids(&WORD).len(), WORD.len());
    }
}
