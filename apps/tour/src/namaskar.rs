//! A feed-forward network, which sees one letter, against a recurrent network, which
//! has a memory, with as many parameters.

use anyhow::Result;
use candle_core::Tensor;

use crate::figures::{self, Curve};
use crate::page::pad;
use crate::word::{FeedForward, Recurrent, STEPS, TRAINING_STEPS, WORD, answers, one_hot, right, train};
use crate::{Options, Page, verdict};

/// What a trained network answers to the seven questions.
#[derive(Clone, Debug)]
pub struct Answers {
    /// The likeliest next letter after each of the seven, and its probability.
    pub letters: Vec<(char, f32)>,
    /// Mean loss per letter before every training step, in nats.
    pub losses: Vec<f64>,
}

impl Answers {
    fn new(logits: &Tensor, losses: Vec<f64>) -> Result<Self> {
        Ok(Self { letters: answers(logits)?, losses })
    }

    /// How many of the seven answers are the next letter of the word.
    pub fn right(&self) -> usize {
        right(&self.letters)
    }
}

/// The answers of the two networks.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// Of the network that sees one letter.
    pub feed_forward: Answers,
    /// Of the network that remembers.
    pub recurrent: Answers,
}

/// Trains both networks on the word, prints their answers side by side and draws their losses.
///
/// # Errors
/// When the page or the figure cannot be written, or the device fails.
pub fn tell(options: &Options, page: &mut Page) -> Result<Comparison> {
    let device = &options.device;
    page.paragraph("namaskar-question", &[])?;
    let (forward, recurrent) = (page.say("namaskar-feed-forward", &[]), page.say("namaskar-recurrent", &[]));
    let formulas = ["h_t = tanh(W_xh x_t + b_h)", "h_t = tanh(W_hh h_{t-1} + W_xh x_t + b_h)"];
    for (name, formula) in [forward, recurrent].iter().zip(formulas) {
        page.line(&format!("  {}{formula:<43}y_t = W_hy h_t + b_y", pad(name, 15)))?;
    }
    page.line("")?;

    let feed_forward = FeedForward::new(options.seed, device)?;
    let recurrent = Recurrent::new(options.seed, device)?;
    page.paragraph(
        "namaskar-parameters",
        &[
            ("feed-forward", &feed_forward.parameters.count()),
            ("recurrent", &recurrent.parameters.count()),
            ("steps", &TRAINING_STEPS),
        ],
    )?;
    let feed_forward_losses = train(&feed_forward.parameters, device, |xs| feed_forward.forward(xs))?;
    let recurrent_losses = train(&recurrent.parameters, device, |xs| recurrent.forward(xs))?;
    let xs = one_hot(&WORD[..STEPS], device)?;
    let comparison = Comparison {
        feed_forward: Answers::new(&feed_forward.forward(&xs)?, feed_forward_losses)?,
        recurrent: Answers::new(&recurrent.forward(&xs)?, recurrent_losses)?,
    };
    print(&comparison, page)?;
    let figure = options.folder.join("namaskar-loss.svg");
    let curve = |name: &str, answers: &Answers| Curve {
        name: name.to_owned(),
        points: answers.losses.iter().enumerate().map(|(step, &loss)| (step as f64, loss)).collect(),
    };
    figures::curves(
        &figure,
        "namaskar: loss per letter",
        ["training step", "nats"],
        &[curve("feed-forward", &comparison.feed_forward), curve("recurrent", &comparison.recurrent)],
    )?;
    page.drawing(&figure, "namaskar-drawing", &[])?;
    Ok(comparison)
}

fn print(comparison: &Comparison, page: &mut Page) -> Result<()> {
    let row = |first: &str, asked: &str, forward: &str, recurrent: &str| {
        format!("    {}{}{}{recurrent}", pad(first, 14), pad(asked, 8), pad(forward, 19))
    };
    page.line(&row(
        &page.say("namaskar-read", &[]),
        &page.say("namaskar-asked", &[]),
        &page.say("namaskar-feed-forward", &[]),
        &page.say("namaskar-recurrent", &[]),
    ))?;
    let answers = comparison.feed_forward.letters.iter().zip(&comparison.recurrent.letters);
    for (t, (feed_forward, recurrent)) in answers.enumerate() {
        let asked = WORD[t + 1];
        let cell = |&(letter, p): &(char, f32)| {
            format!("{letter} {:>3.0} %  {}", 100. * p, verdict(letter == asked, page))
        };
        let read: String = WORD[..=t].iter().collect();
        page.line(&row(&read, &asked.to_string(), &cell(feed_forward), &cell(recurrent)))?;
    }
    let last = |answers: &Answers| answers.losses.last().copied().unwrap_or(f64::NAN);
    let score =
        |answers: &Answers| page.say("namaskar-score", &[("right", &answers.right()), ("questions", &STEPS)]);
    let both = (&comparison.feed_forward, &comparison.recurrent);
    let right = row(&page.say("namaskar-right", &[]), "", &score(both.0), &score(both.1));
    let loss = |answers: &Answers| format!("{:.3}", last(answers));
    let loss = row(&page.say("namaskar-loss", &[]), "", &loss(both.0), &loss(both.1));
    page.line(&right)?;
    page.line(&loss)?;
    page.line("")?;
    let bound = 3. / STEPS as f64 * 3f64.ln();
    page.paragraph("namaskar-bound", &[("bound", &format!("{bound:.3}"))])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recurrent_network_answers_all_seven_and_the_feed_forward_cannot() -> Result<()> {
        for seed in [1, 2, 3] {
            let comparison = crate::told(seed, tell)?;
            assert_eq!(comparison.recurrent.right(), 7, "{comparison:?}");
            assert_eq!(comparison.feed_forward.right(), 5, "{comparison:?}");
            let bound = 3. / 7. * 3f64.ln();
            let last = comparison.feed_forward.losses[TRAINING_STEPS - 1];
            assert!(last > bound - 1e-4 && last < bound + 0.05, "{last} against {bound}");
            assert!(comparison.recurrent.losses[TRAINING_STEPS - 1] < 0.1);
        }
        Ok(())
    }
}
