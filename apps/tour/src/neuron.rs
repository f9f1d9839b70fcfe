//! One neuron by hand: numbers small enough to check on paper, and the layer's own beside them.

use std::collections::HashMap;

use anyhow::Result;
use candle_core::{DType, Tensor};
use candle_nn::VarBuilder;
use candle_rnn::{Cell, Mode, Rnn, RnnConfig};

use crate::page::{pad, pad_left};
use crate::{Options, Page};

/// The letters; the place of one here is where its one-hot vector has a 1.
const LETTERS: [char; 3] = ['n', 'a', 'm'];
/// What is read.
const READ: [char; 4] = ['n', 'a', 'm', 'a'];
const W_XH: [f64; 3] = [0.5, -1.0, 1.0];
const W_HH: f64 = 2.0;
const W_HY: [f64; 3] = [-1.0, 0.5, 1.0];

/// What one step computes.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// `W_xh x_t`
    pub input: f64,
    /// `W_hh h_{t-1}`
    pub memory: f64,
    /// `h_t`
    pub state: f64,
}

/// The steps by hand, and how far the layer's states are from them at most.
#[derive(Clone, Debug)]
pub struct ByHand {
    /// One for each letter that is read.
    pub steps: Vec<Step>,
    /// The largest difference.
    pub difference: f64,
}

/// Prints every number of a network of one neuron, and compares with the layer.
///
/// # Errors
/// When the page cannot be written, or the device fails.
pub fn tell(options: &Options, page: &mut Page) -> Result<ByHand> {
    page.paragraph("neuron-reads", &[])?;
    page.line("    h_t = tanh(W_xh x_t + W_hh h_{t-1})        y_t = W_hy h_t")?;
    page.line("")?;
    page.line("    x(n) = [1 0 0]    x(a) = [0 1 0]    x(m) = [0 0 1]")?;
    let row = |numbers: [f64; 3]| numbers.map(|number| format!("{number:>4}")).join(" ");
    page.line(&format!("    W_xh = [{}]    W_hh = {W_HH}    W_hy = [{}]^T", row(W_XH), row(W_HY)))?;
    page.line("")?;
    let (letter, sum) = (page.say("neuron-letter", &[]), page.say("neuron-sum", &[]));
    let (letter, sum) = (pad(&letter, 5), pad_left(&sum, 8));
    page.line(&format!("    t  {letter}  W_xh x_t  W_hh h_{{t-1}}{sum}     h_t   y_t(n)  y_t(a)  y_t(m)"))?;
    let steps = by_hand();
    for (t, (step, letter)) in steps.iter().zip(READ).enumerate() {
        let Step { input, memory, state } = *step;
        let ys: String = W_HY.map(|w| format!("{:>8.3}", w * state)).concat();
        page.line(&format!(
            "    {}    {letter}    {input:>8.3}  {memory:>12.3}{:>8.3}{state:>8.3} {ys}",
            t + 1,
            input + memory
        ))?;
    }
    page.line("")?;
    let states = by_layer(options)?;
    let difference = steps.iter().zip(&states).map(|(step, state)| (step.state - state).abs());
    let difference = difference.fold(0.0, f64::max);
    let (second, fourth) = (steps[1].state, steps[3].state);
    page.paragraph(
        "neuron-remembers",
        &[
            ("input", &W_XH[1]),
            ("second", &format!("{second:.3}")),
            ("fourth", &format!("{fourth:.3}")),
            ("difference", &format!("{difference:.1e}")),
        ],
    )?;
    Ok(ByHand { steps, difference })
}

fn place(letter: char) -> usize {
    LETTERS.iter().position(|&other| other == letter).unwrap_or(0)
}

fn by_hand() -> Vec<Step> {
    let mut state = 0.0;
    let mut steps = Vec::new();
    for letter in READ {
        let (input, memory) = (W_XH[place(letter)], W_HH * state);
        state = f64::tanh(input + memory);
        steps.push(Step { input, memory, state });
    }
    steps
}

/// The states of the crate's layer.
fn by_layer(options: &Options) -> Result<Vec<f64>> {
    let device = &options.device;
    let tensor =
        |numbers: &[f64], shape: &[usize]| Tensor::from_slice(numbers, shape, device)?.to_dtype(DType::F32);
    let weights = HashMap::from([
        ("weight_ih_l0".to_owned(), tensor(&W_XH, &[1, LETTERS.len()])?),
        ("weight_hh_l0".to_owned(), tensor(&[W_HH], &[1, 1])?),
        ("bias_ih_l0".to_owned(), tensor(&[0.0], &[1])?),
        ("bias_hh_l0".to_owned(), tensor(&[0.0], &[1])?),
    ]);
    let vb = VarBuilder::from_tensors(weights, DType::F32, device);
    let rnn = Rnn::new(&RnnConfig::new(Cell::tanh(), LETTERS.len(), 1), vb)?;
    let one_hot: Vec<f64> = READ
        .iter()
        .flat_map(|&letter| (0..LETTERS.len()).map(move |k| f64::from(k == place(letter))))
        .collect();
    let xs = tensor(&one_hot, &[1, READ.len(), LETTERS.len()])?;
    let (states, _) = rnn.forward(&xs, None, None, &mut Mode::Eval)?;
    Ok(states.flatten_all()?.to_vec1::<f32>()?.into_iter().map(f64::from).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_two_steps_are_what_paper_says() {
        let steps = by_hand();
        assert_eq!((steps[0].input, steps[0].memory), (0.5, 0.0));
        assert!((steps[0].state - 0.462_117).abs() < 1e-6, "tanh 0.5");
        assert!((steps[1].state - (-0.075_621)).abs() < 1e-5, "tanh(-1 + 2 · 0.462117)");
    }

    #[test]
    fn the_layer_computes_what_paper_says() -> Result<()> {
        assert!(crate::told(42, tell)?.difference < 1e-6);
        Ok(())
    }
}
