//! Memory: how far back different neurons can look, and how much of an error reaches them there.

use anyhow::{Context, Result};
use candle_core::{D, DType, Device, Tensor};
use candle_rnn::cell::Activation;
use candle_rnn::{Cell, CrossEntropy, Generator, GradientFlow, Linear, Mode, Parameters, Rnn, RnnConfig};
use rnn_train::{Gradients, Optimizer, OptimizerConfig, clip::clip};

use crate::figures::{self, Curve};
use crate::page::pad;
use crate::{Options, Page};

/// Letters of the first step, one of which is to be remembered.
const LETTERS: usize = 4;
/// Letters that come in between and mean nothing.
const NOISE: usize = 4;
const UNITS: usize = 32;
const BATCH: usize = 32;
const STEPS: usize = 250;
const LEARNING_RATE: f64 = 5e-3;
/// Share of right answers from which on a letter counts as remembered.
pub const REMEMBERED: f64 = 0.9;
/// Sequences on which is measured what was learnt.
const MEASURED: usize = 256;

/// The neurons that are compared.
pub const CELLS: [(&str, Cell); 5] = [
    ("tanh", Cell::Elman { activation: Activation::Tanh, order: 1 }),
    ("tanh, order 2", Cell::Elman { activation: Activation::Tanh, order: 2 }),
    ("tanh, order 3", Cell::Elman { activation: Activation::Tanh, order: 3 }),
    ("GRU", Cell::Gru),
    ("LSTM", Cell::Lstm { projection: None }),
];

/// What came of it.
#[derive(Clone, Debug)]
pub struct Memory {
    /// Steps between the letter and the question.
    pub distances: Vec<usize>,
    /// Share of right answers of each of [`CELLS`] at each distance.
    pub accuracy: Vec<Vec<f64>>,
    /// `‖∂L/∂h_t‖` of each of [`CELLS`] before training, the last step first, as a part of that of the last.
    pub flow: Vec<Vec<f64>>,
}

/// Trains each neuron at each distance, prints how often it remembers, and draws that and the gradients.
///
/// # Errors
/// When the page or a figure cannot be written, or the device fails.
pub fn tell(options: &Options, page: &mut Page) -> Result<Memory> {
    let distances: Vec<usize> = if options.fast { vec![4, 32] } else { vec![4, 8, 16, 32, 64] };
    page.paragraph(
        "memory-task",
        &[
            ("letters", &LETTERS),
            ("second", &"h_t = tanh(W_1 h_{t-1} + W_2 h_{t-2} + W_x x_t + b)"),
            ("third", &"h_{t-3}"),
            ("units", &UNITS),
            ("steps", &STEPS),
            ("batch", &BATCH),
            ("measured", &MEASURED),
            ("guess", &format!("{:.0}", 100.0 / LETTERS as f64)),
        ],
    )?;
    let names = CELLS.map(|(name, cell)| narrated(name, cell, page));
    let header: String = distances.iter().map(|distance| format!("{distance:>8}")).collect();
    page.line(&format!("    {}{header}", pad(&page.say("memory-between", &[]), 16)))?;
    let mut accuracy = Vec::new();
    for (name, (_, cell)) in names.iter().zip(CELLS) {
        let of_cell = distances.iter().map(|&distance| Task::new(cell, options)?.learn(distance));
        let of_cell = of_cell.collect::<Result<Vec<f64>>>()?;
        let row: String = of_cell.iter().map(|share| format!("{:>8.0}", 100.0 * share)).collect();
        page.line(&format!("    {}{row}", pad(name, 16)))?;
        accuracy.push(of_cell);
    }
    page.line("")?;

    const SEEN: usize = 40;
    let flow = CELLS.iter().map(|&(_, cell)| Task::new(cell, options)?.flow(SEEN));
    let memory = Memory { distances, accuracy, flow: flow.collect::<Result<_>>()? };
    page.paragraph("memory-why", &[])?;
    let shown = [1, 2, 5, 10, 20, SEEN - 1];
    let header: String = shown.iter().map(|steps| format!("{steps:>9}")).collect();
    page.line(&format!("    {}{header}", pad(&page.say("memory-earlier", &[]), 16)))?;
    for (name, flow) in names.iter().zip(&memory.flow) {
        let row: String = shown.iter().map(|&steps| format!("{:>9.1e}", flow[steps])).collect();
        page.line(&format!("    {}{row}", pad(name, 16)))?;
    }
    page.line("")?;
    let reach = |shares: &[f64]| {
        let far = memory.distances.iter().zip(shares).filter(|(_, share)| **share >= REMEMBERED);
        far.map(|(distance, _)| *distance).max().unwrap_or(0)
    };
    let [first, second, third, fourth, fifth] = std::array::from_fn(|neuron| {
        let distance = reach(&memory.accuracy[neuron]);
        page.say("memory-reach", &[("neuron", &names[neuron]), ("distance", &distance)])
    });
    page.paragraph(
        "memory-reaches",
        &[
            ("share", &format!("{:.0}", 100.0 * REMEMBERED)),
            ("first", &first),
            ("second", &second),
            ("third", &third),
            ("fourth", &fourth),
            ("fifth", &fifth),
        ],
    )?;
    draw(&memory, options, page)?;
    Ok(memory)
}

/// What the narration calls a neuron.
fn narrated(name: &str, cell: Cell, page: &Page) -> String {
    match cell {
        Cell::Elman { order, .. } if order > 1 => page.say("memory-order", &[("order", &order)]),
        _ => name.to_owned(),
    }
}

/// A network that is asked for the first letter.
struct Task {
    rnn: Rnn,
    output: Linear,
    parameters: Parameters,
    generator: Generator,
}

impl Task {
    fn new(cell: Cell, options: &Options) -> Result<Self> {
        let parameters = Parameters::new(options.seed, DType::F32, &options.device);
        let vb = parameters.builder();
        let rnn = Rnn::new(&RnnConfig::new(cell, LETTERS + NOISE, UNITS), vb.pp("rnn"))?;
        let output = Linear::new(UNITS, LETTERS, true, vb.pp("output"))?;
        if matches!(cell, Cell::Gru | Cell::Lstm { .. }) {
            keep_at_first(&parameters)?;
        }
        Ok(Self { rnn, output, parameters, generator: Generator::new(options.seed) })
    }

    /// Sequences `[count, 1 + distance, letters]`, and the first letter of each.
    fn sequences(&mut self, count: usize, distance: usize, device: &Device) -> Result<(Tensor, Tensor)> {
        let width = LETTERS + NOISE;
        let mut numbers = vec![0f32; count * (1 + distance) * width];
        let mut first = Vec::with_capacity(count);
        for steps in numbers.chunks_exact_mut((1 + distance) * width) {
            let letter = self.generator.below(LETTERS);
            steps[letter] = 1.0;
            first.push(letter as u32);
            for step in steps.chunks_exact_mut(width).skip(1) {
                step[LETTERS + self.generator.below(NOISE)] = 1.0;
            }
        }
        let xs = Tensor::from_vec(numbers, (count, 1 + distance, width), device)?;
        Ok((xs, Tensor::from_vec(first, count, device)?))
    }

    /// What is answered after the last step, `[count, letters]`.
    fn answers(&self, states: &Tensor) -> Result<Tensor> {
        let last = states.narrow(1, states.dim(1)? - 1, 1)?.squeeze(1)?;
        Ok(self.output.forward(&last.contiguous()?)?)
    }

    /// Learns, and gives the share of right answers.
    fn learn(mut self, distance: usize) -> Result<f64> {
        let device = self.parameters.device().clone();
        let variables = self.parameters.named();
        let mut optimizer = Optimizer::new(&OptimizerConfig::adam(), variables.clone())?;
        for _ in 0..STEPS {
            let (xs, first) = self.sequences(BATCH, distance, &device)?;
            let (states, _) = self.rnn.forward(&xs, None, None, &mut Mode::Eval)?;
            let loss = CrossEntropy::default().forward(&self.answers(&states)?, &first)?;
            let loss = (loss.sum / BATCH as f64)?;
            let mut gradients = Gradients::of(&loss, &variables)?;
            clip(&mut gradients, None, Some(1.0))?;
            optimizer.step(&gradients, LEARNING_RATE)?;
        }
        let (xs, first) = self.sequences(MEASURED, distance, &device)?;
        let (states, _) = self.rnn.forward(&xs, None, None, &mut Mode::Eval)?;
        let right = self.answers(&states)?.argmax(D::Minus1)?.eq(&first)?.to_dtype(DType::F32)?;
        Ok(f64::from(right.mean_all()?.to_scalar::<f32>()?))
    }

    /// The norms of the gradient, the last step first, as a part of that of the last.
    fn flow(mut self, steps: usize) -> Result<Vec<f64>> {
        let device = self.parameters.device().clone();
        let (xs, first) = self.sequences(BATCH, steps - 1, &device)?;
        let flow = GradientFlow::default();
        let (states, _) = self.rnn.forward_recording(&xs, None, None, &mut Mode::Eval, &flow)?;
        CrossEntropy::default().forward(&self.answers(&states)?, &first)?.sum.backward()?;
        let norms = flow.norms(0, 0).context("the layer recorded no gradient flow")?;
        let last = norms.last().copied().context("there is no step")?;
        Ok(norms.iter().rev().map(|norm| norm / last).collect())
    }
}

/// Sets the bias of the gate that keeps the memory, the second of both GRU and LSTM, so that it is open at first
/// (Gers, Schmidhuber and Cummins 2000).
fn keep_at_first(parameters: &Parameters) -> Result<()> {
    const OPEN: f32 = 3.0;
    let bias = parameters.named().into_iter().find(|(name, _)| name == "rnn.bias_hh_l0");
    let (_, bias) = bias.context("the layer has no bias")?;
    let mut numbers = bias.to_vec1::<f32>()?;
    numbers[UNITS..2 * UNITS].fill(OPEN);
    Ok(bias.set(&Tensor::new(numbers, bias.device())?)?)
}

fn draw(memory: &Memory, options: &Options, page: &mut Page) -> Result<()> {
    let curves = CELLS.iter().zip(&memory.accuracy).map(|((name, _), shares)| Curve {
        name: (*name).to_owned(),
        points: memory.distances.iter().zip(shares).map(|(&d, share)| (d as f64, 100.0 * share)).collect(),
    });
    let path = options.folder.join("memory.svg");
    let axes = ["steps between the letter and the question", "right answers in per cent"];
    figures::curves(&path, "What is remembered", axes, &curves.collect::<Vec<_>>())?;
    page.drawing(&path, "memory-remembered-drawing", &[])?;
    let curves = CELLS.iter().zip(&memory.flow).map(|((name, _), flow)| Curve {
        name: (*name).to_owned(),
        points: flow.iter().enumerate().map(|(t, norm)| (t as f64, norm.log10())).collect(),
    });
    let path = options.folder.join("gradient-flow.svg");
    let axes = ["steps before the last", "log10 of |dL/dh_t| as a part of that at the last step"];
    figures::curves(&path, "What is left of an error", axes, &curves.collect::<Vec<_>>())?;
    page.drawing(&path, "memory-flow-drawing", &[])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longer_orders_and_gates_keep_more_of_an_error_and_remember_longer() -> Result<()> {
        let memory = crate::told(42, tell)?;
        // After 4 steps and after 32.
        let [tanh, second, _, gru, lstm] = &memory.accuracy[..] else { panic!("five neurons") };
        for of_cell in &memory.accuracy {
            assert!(of_cell[0] >= REMEMBERED, "{memory:?}");
        }
        assert!(tanh[1] < 0.5, "{memory:?}");
        for of_cell in [second, gru, lstm] {
            assert!(of_cell[1] >= REMEMBERED, "{memory:?}");
        }
        // Twenty steps back.
        let left: Vec<f64> = memory.flow.iter().map(|flow| flow[20]).collect();
        assert!(left[0] < 1e-4 && left[1..].iter().all(|&left_of| left_of > 100.0 * left[0]), "{left:?}");
        Ok(())
    }
}
