//! A feed-forward network, which sees one letter, against a recurrent network, which
//! has a memory, with as many parameters.

use anyhow::Result;
use candle_core::{D, Tensor};
use candle_nn::ops::softmax;

use crate::figures::{self, Curve};
use crate::word::{ALPHABET, FeedForward, Recurrent, STEPS, TRAINING_STEPS, WORD, one_hot, train};
use crate::{Options, Page};

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
        let rows = softmax(&logits.squeeze(0)?, D::Minus1)?.to_vec2::<f32>()?;
        let best = |row: &Vec<f32>| {
            let pairs = ALPHABET.into_iter().zip(row.iter().copied());
            pairs.max_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or(('?', 0.))
        };
        Ok(Self { letters: rows.iter().map(best).collect(), losses })
    }

    /// How many of the seven answers are the next letter of the word.
    pub fn right(&self) -> usize {
        self.letters.iter().zip(&WORD[1..]).filter(|((letter, _), asked)| letter == *asked).count()
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
    page.paragraph(
        "Two networks learn the word namaskar. They read its first seven letters one by one; after \
         each they are asked for the next, so the last question is the eighth letter. The \
         feed-forward network sees the present letter and nothing else. The recurrent network \
         also sees its own previous hidden state:",
    )?;
    page.line("  feed-forward   h_t = tanh(W_xh x_t + b_h)                 y_t = W_hy h_t + b_y")?;
    page.line("  recurrent      h_t = tanh(W_hh h_{t-1} + W_xh x_t + b_h)  y_t = W_hy h_t + b_y")?;
    page.line("")?;

    let feed_forward = FeedForward::new(options.seed, device)?;
    let recurrent = Recurrent::new(options.seed, device)?;
    page.paragraph(&format!(
        "They have {} and {} parameters, and each is trained for {TRAINING_STEPS} steps of Adam.",
        feed_forward.parameters.count(),
        recurrent.parameters.count(),
    ))?;
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
    page.drawing(&figure, "Loss per letter: a network that sees one letter, and one that remembers")?;
    Ok(comparison)
}

fn print(comparison: &Comparison, page: &mut Page) -> Result<()> {
    page.line("    read so far   asked   feed-forward       recurrent")?;
    let answers = comparison.feed_forward.letters.iter().zip(&comparison.recurrent.letters);
    for (t, (feed_forward, recurrent)) in answers.enumerate() {
        let asked = WORD[t + 1];
        let cell = |&(letter, p): &(char, f32)| {
            let verdict = if letter == asked { "right" } else { "wrong" };
            format!("{letter} {:>3.0} %  {verdict}", 100. * p)
        };
        let read: String = WORD[..=t].iter().collect();
        page.line(&format!("    {read:<13} {asked}       {:<18} {}", cell(feed_forward), cell(recurrent)))?;
    }
    let last = |answers: &Answers| answers.losses.last().copied().unwrap_or(f64::NAN);
    page.line(&format!(
        "    right                 {} of {STEPS}             {} of {STEPS}",
        comparison.feed_forward.right(),
        comparison.recurrent.right()
    ))?;
    page.line(&format!(
        "    loss in nats          {:<18.3} {:.3}",
        last(&comparison.feed_forward),
        last(&comparison.recurrent)
    ))?;
    page.line("")?;
    page.paragraph(&format!(
        "After the letter a comes m, then s, then r. The three questions look the same to a network \
         that sees only the a: the best it can do is a third for each, so its loss cannot fall \
         below 3/7 ln 3 = {:.3}. The recurrent network has read a different beginning each time.",
        3. / STEPS as f64 * 3f64.ln()
    ))?;
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
