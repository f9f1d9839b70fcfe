//! What happens when the copies of the unrolled network are trained apart: each step has its own
//! `W_hh` and is updated with its own contribution alone.

use anyhow::Result;
use candle_core::{DType, Device, Tensor, Var};
use candle_rnn::{Cell, Linear, Mode, Parameters, Rnn, RnnConfig};

use crate::bptt::{WEIGHT, norm, weight};
use crate::page::pad;
use crate::word::{
    ALPHABET, RECURRENT_UNITS, Recurrent, STEPS, TRAINING_STEPS, WORD, answers, one_hot, right, train,
};
use crate::{Options, Page};

/// Seven copies trained apart beside one network that is used seven times.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The largest `‖W_hh^(s) − W_hh^(t)‖` of two copies that read a state, those of steps 2 to 7.
    pub distance: f64,
    /// The mean of `‖W_hh^(t)‖` over the same copies.
    pub norm: f64,
    /// Of the network with one `W_hh`.
    pub shared: Fit,
    /// Of the network with seven.
    pub separate: Fit,
}

/// How well a network knows the word.
#[derive(Clone, Debug)]
pub struct Fit {
    /// Mean loss per letter at the end of training, in nats.
    pub loss: f64,
    /// Right answers when the word begins at step 1, 2, … 7: of 7, 6, … 1 questions.
    pub right: Vec<usize>,
}

/// Trains both networks, and lets the word begin at each of the steps.
///
/// # Errors
/// When the page cannot be written, or the device fails.
pub fn tell(options: &Options, page: &mut Page) -> Result<Comparison> {
    let shared = Recurrent::new(options.seed, &options.device)?;
    let separate = Copies::new(options.seed, &options.device)?;
    let comparison = Comparison {
        shared: fit(&shared.parameters, |xs, _| shared.forward(xs))?,
        separate: fit(&separate.parameters, |xs, begin| separate.forward(xs, begin))?,
        distance: separate.largest_distance()?,
        norm: separate.mean_norm()?,
    };
    page.paragraph(
        "copies-apart",
        &[
            ("steps", &TRAINING_STEPS),
            ("distance", &format!("{:.2}", comparison.distance)),
            ("norm", &format!("{:.2}", comparison.norm)),
            ("shared", &format!("{:.4}", comparison.shared.loss)),
            ("separate", &format!("{:.4}", comparison.separate.loss)),
        ],
    )?;
    page.paragraph("copies-later", &[])?;
    print(&comparison, page)?;
    Ok(comparison)
}

fn print(comparison: &Comparison, page: &mut Page) -> Result<()> {
    let row = |name: String, numbers: &[usize]| {
        let numbers: String = numbers.iter().map(|number| format!("{number:>4}")).collect();
        format!("    {}{numbers}", pad(&name, 26))
    };
    let asked: Vec<usize> = (1..=STEPS).rev().collect();
    let begins: Vec<usize> = (1..=STEPS).collect();
    let (shared, separate) = (&comparison.shared.right, &comparison.separate.right);
    page.line(&row(page.say("copies-begins", &[]), &begins))?;
    page.line(&row(page.say("copies-asked", &[]), &asked))?;
    page.line(&row(page.say("copies-shared", &[]), shared))?;
    page.line(&row(page.say("copies-separate", &[]), separate))?;
    page.line("")?;
    let together = |numbers: &[usize]| numbers.iter().sum::<usize>();
    page.paragraph(
        "copies-one-network",
        &[("questions", &together(&asked)), ("shared", &together(shared)), ("separate", &together(separate))],
    )?;
    Ok(())
}

/// Trains a network on the word from step 1, and counts its right answers when the word begins later; `forward`
/// takes letters and the copy that reads the first of them.
fn fit(
    parameters: &Parameters,
    forward: impl Fn(&Tensor, usize) -> candle_core::Result<Tensor>,
) -> Result<Fit> {
    let device = parameters.device();
    let losses = train(parameters, device, |xs| forward(xs, 0))?;
    let right = |begin| {
        let read = STEPS - begin;
        Ok(right(&answers(&forward(&one_hot(&WORD[..read], device)?, begin)?)?))
    };
    let loss = losses.last().copied().unwrap_or(f64::NAN);
    Ok(Fit { loss, right: (0..STEPS).map(right).collect::<Result<_>>()? })
}

/// The network unrolled over the seven steps, each with its own `W_hh`; `W_xh`, `W_hy` and the
/// biases are shared.
struct Copies {
    layers: Vec<Rnn>,
    output: Linear,
    parameters: Parameters,
}

impl Copies {
    /// With the weights that [`Recurrent`] has at first, and its `W_hh` in every copy.
    fn new(seed: u64, device: &Device) -> Result<Self> {
        let parameters = Parameters::new(seed, DType::F32, device);
        let config = RnnConfig::new(Cell::tanh(), ALPHABET.len(), RECURRENT_UNITS);
        let layer = |step: usize| {
            let own = move |name: &str| match name {
                WEIGHT => format!("{WEIGHT}_{step}"),
                shared => shared.to_owned(),
            };
            Rnn::new(&config, parameters.builder().rename_f(own).pp("rnn"))
        };
        let layers = (1..=STEPS).map(layer).collect::<candle_core::Result<_>>()?;
        let output = Linear::new(RECURRENT_UNITS, ALPHABET.len(), true, parameters.builder().pp("output"))?;
        let copies = Self { layers, output, parameters };
        let drawn = weight(&Recurrent::new(seed, device)?)?;
        for own in copies.weights() {
            own.set(&drawn)?;
        }
        Ok(copies)
    }

    /// `xs [1, time, 6]` to logits `[1, time, 6]`; the copy with the number `begin` reads the first letter.
    fn forward(&self, xs: &Tensor, begin: usize) -> candle_core::Result<Tensor> {
        let (mut state, mut answers) = (None, Vec::new());
        for (t, layer) in self.layers[begin..].iter().take(xs.dim(1)?).enumerate() {
            let (h, after) = layer.forward(&xs.narrow(1, t, 1)?, None, state.as_ref(), &mut Mode::Eval)?;
            answers.push(self.output.forward(&h)?);
            state = Some(after);
        }
        Tensor::cat(&answers, 1)
    }

    /// The seven `W_hh`, by step.
    fn weights(&self) -> Vec<Var> {
        let named = self.parameters.named().into_iter();
        named.filter(|(name, _)| name.starts_with(WEIGHT)).map(|(_, own)| own).collect()
    }

    /// Those that were trained: the first copy reads `h_0 = 0`, and its `W_hh` has no gradient.
    fn trained(&self) -> Vec<Var> {
        self.weights().split_off(1)
    }

    fn largest_distance(&self) -> Result<f64> {
        let trained = self.trained();
        let mut largest = 0f64;
        for (s, a) in trained.iter().enumerate() {
            for b in &trained[..s] {
                largest = largest.max(norm(&(a.as_tensor() - b.as_tensor())?)?);
            }
        }
        Ok(largest)
    }

    fn mean_norm(&self) -> Result<f64> {
        let norms = self.trained().iter().map(|own| norm(own)).collect::<Result<Vec<_>>>()?;
        Ok(norms.iter().sum::<f64>() / norms.len() as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_at_first_the_recurrent_network() -> Result<()> {
        let xs = one_hot(&WORD[..STEPS], &Device::Cpu)?;
        let recurrent = Recurrent::new(7, &Device::Cpu)?.forward(&xs)?;
        let copies = Copies::new(7, &Device::Cpu)?;
        let difference = (recurrent - copies.forward(&xs, 0)?)?.abs()?.max_all()?.to_scalar::<f32>()?;
        assert!(difference < 1e-6, "{difference}");
        assert_eq!(copies.largest_distance()?, 0.0);
        Ok(())
    }

    #[test]
    fn copies_trained_apart_drift_apart_and_know_the_word_where_they_learnt_it_only() -> Result<()> {
        for seed in [1, 2, 3, 42] {
            let found = crate::told(seed, tell)?;
            assert!(found.distance > found.norm, "{found:?}");
            assert!(found.shared.loss < 0.01 && found.separate.loss < 0.01, "{found:?}");
            assert_eq!(found.shared.right, [7, 6, 5, 4, 3, 2, 1]);
            assert_eq!(found.separate.right[0], 7);
            assert!(found.separate.right[1..].iter().sum::<usize>() <= 10, "{found:?}");
        }
        Ok(())
    }
}
