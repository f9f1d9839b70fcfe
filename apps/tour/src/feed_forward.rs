//! Feed-forward networks: a fixed input has a fixed answer, and to ask changes nothing.

use anyhow::{Context, Result};
use candle_core::{D, Tensor};
use candle_nn::ops::softmax;

use crate::page::pad_left;
use crate::word::{ALPHABET, FeedForward, STEPS, TRAINING_STEPS, WORD, one_hot, train};
use crate::{Options, Page};

/// What was found.
#[derive(Clone, Copy, Debug)]
pub struct Fixed {
    /// How far the weights went in training: the Euclidean distance.
    pub learnt: f64,
    /// How far they went while the network was asked.
    pub asked: f64,
    /// The largest difference between answers to the same letter.
    pub answers: f32,
}

/// Trains a network that sees one letter, asks it the same in different places, and looks whether its weights
/// have moved.
///
/// # Errors
/// When the page cannot be written, or the device fails.
pub fn tell(options: &Options, page: &mut Page) -> Result<Fixed> {
    let device = &options.device;
    let network = FeedForward::new(options.seed, device)?;
    page.paragraph(
        "feed-forward-function",
        &[("weights", &network.parameters.count()), ("steps", &TRAINING_STEPS)],
    )?;
    let drawn = weights(&network)?;
    train(&network.parameters, device, |xs| network.forward(xs))?;
    let learnt = weights(&network)?;
    let answers = softmax(&network.forward(&one_hot(&WORD[..STEPS], device)?)?, D::Minus1)?;
    let answers = answers.squeeze(0)?.to_vec2::<f32>()?;
    let asked = weights(&network)?;

    page.paragraph("feed-forward-asked", &[])?;
    let header: String = ALPHABET.iter().map(|letter| format!("{letter:>9}")).collect();
    page.line(&format!("    {}  {header}", pad_left(&page.say("feed-forward-step", &[]), 4)))?;
    let places: Vec<usize> = (0..STEPS).filter(|&t| WORD[t] == 'a').collect();
    for &t in &places {
        let row: String = answers[t].iter().map(|p| format!("{:>7.2} %", 100.0 * p)).collect();
        page.line(&format!("    {:>4}  {row}", t + 1))?;
    }
    page.line("")?;
    let first = &answers[*places.first().context("there is an a")?];
    let differences = places.iter().flat_map(|&t| answers[t].iter().zip(first).map(|(p, q)| (p - q).abs()));
    let fixed = Fixed {
        learnt: distance(&drawn, &learnt)?,
        asked: distance(&learnt, &asked)?,
        answers: differences.fold(0.0, f32::max),
    };
    page.paragraph(
        "feed-forward-fixed",
        &[
            ("difference", &fixed.answers),
            ("learnt", &format!("{:.2}", fixed.learnt)),
            ("asked", &fixed.asked),
        ],
    )?;
    Ok(fixed)
}

fn weights(network: &FeedForward) -> Result<Tensor> {
    let flat = network.parameters.named().into_iter().map(|(_, variable)| variable.copy()?.flatten_all());
    Ok(Tensor::cat(&flat.collect::<candle_core::Result<Vec<_>>>()?, 0)?)
}

fn distance(a: &Tensor, b: &Tensor) -> Result<f64> {
    Ok(f64::from((a - b)?.sqr()?.sum_all()?.sqrt()?.to_scalar::<f32>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asking_moves_nothing_and_the_same_letter_has_the_same_answer() -> Result<()> {
        let fixed = crate::told(42, tell)?;
        assert!(fixed.learnt > 1.0 && fixed.asked == 0.0 && fixed.answers == 0.0, "{fixed:?}");
        Ok(())
    }
}
