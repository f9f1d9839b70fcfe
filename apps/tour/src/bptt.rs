//! Backpropagation through time. The gradient of the shared `W_hh` is made of one
//! contribution per step; they are computed here with plain tensors, in the article's letters,
//! and compared with what the layer itself returns.

use anyhow::{Context, Result};
use candle_core::{D, Tensor};
use candle_nn::ops::softmax;
use candle_rnn::{GradientFlow, Mode, Reduction};

use crate::page::{bar, pad};
use crate::word::{Recurrent, STEPS, WORD, loss_sum, one_hot, targets};
use crate::{Options, Page, copies, figures};

/// The name of `W_hh`.
pub(crate) const WEIGHT: &str = "rnn.weight_hh_l0";

/// How far the sum and the mean of the contributions are from the layer's own gradients, as the
/// largest absolute difference of an element.
#[derive(Clone, Copy, Debug)]
pub struct Agreement {
    /// Against a layer with [`Reduction::Sum`].
    pub sum: f32,
    /// Against a layer with [`Reduction::Mean`].
    pub mean: f32,
    /// Between the norms `‖∂L/∂h_t‖` found here and those the layer recorded, relative.
    pub flow: f64,
}

/// Prints and draws the gradient of `W_hh` step by step, checks it against the layer's, and tells what becomes of
/// copies that are trained apart.
///
/// # Errors
/// When the page or a figure cannot be written, or the device fails.
pub fn tell(options: &Options, page: &mut Page) -> Result<Agreement> {
    page.paragraph("bptt-chain-rule", &[])?;
    page.line("    dL/dh_t = W_hy^T (p_t - q_t) + W_hh^T delta_{t+1}")?;
    let by_element = page.say("bptt-by-element", &[]);
    page.line(&format!("    delta_t = dL/da_t = (1 - h_t^2) * dL/dh_t        {by_element}"))?;
    page.line(&format!("    {}", page.say("bptt-adds", &[("contribution", &"delta_t h_{t-1}^T")])))?;
    page.line("")?;

    let network = Recurrent::new(options.seed, &options.device)?;
    let steps = backward(&network)?;
    let norms = steps.iter().map(|step| Ok((norm(&step.dh)?, norm(&step.contribution)?)));
    let norms = norms.collect::<Result<Vec<_>>>()?;
    let last_only = last_question_flow(&network)?;
    let recorded = recorded_flow(&network)?;

    page.paragraph("bptt-untrained", &[])?;
    let (reads, asked) = (page.say("bptt-reads", &[]), page.say("bptt-asked", &[]));
    let (reads, asked) = (pad(&reads, 5), pad(&asked, 5));
    page.line(&format!("     t  {reads}  {asked}  |dL/dh_t|  |dL_7/dh_t|  |delta_t h_{{t-1}}^T|"))?;
    let most = norms.iter().map(|&(_, contribution)| contribution).fold(0., f64::max);
    for (t, &(dh, contribution)) in norms.iter().enumerate() {
        let row = format!(
            "    {:>2}    {}      {}     {dh:>8.4}     {:>8.4}   {contribution:>8.4}  {}",
            t + 1,
            WORD[t],
            WORD[t + 1],
            last_only[t],
            bar(contribution, most, 22)
        );
        page.line(row.trim_end())?;
    }
    page.line("")?;
    let left = 100. * last_only[0] / last_only[STEPS - 1].max(f64::MIN_POSITIVE);
    page.paragraph("bptt-left", &[("left", &format!("{left:.1}"))])?;

    let contributions: Vec<&Tensor> = steps.iter().map(|step| &step.contribution).collect();
    let sum = Tensor::stack(&contributions, 0)?.sum(0)?;
    let mean = (&sum / STEPS as f64)?;
    let agreement = Agreement {
        sum: largest_difference(&sum, &layer_gradient(&network, Reduction::Sum)?)?,
        mean: largest_difference(&mean, &layer_gradient(&network, Reduction::Mean)?)?,
        flow: norms
            .iter()
            .zip(&recorded)
            .map(|(&(ours, _), theirs)| (ours - theirs).abs() / ours.max(f64::MIN_POSITIVE))
            .fold(0., f64::max),
    };
    page.paragraph("bptt-together", &[])?;
    let row = |name: &str, gradient: &str, difference: &str| {
        format!("    {}{}{difference}", pad(name, 12), pad(gradient, 21))
    };
    let heading = (page.say("bptt-reduction", &[]), page.say("bptt-gradient", &[]));
    page.line(&row(&heading.0, &heading.1, &page.say("bptt-difference", &[])))?;
    let numbers = |gradient: &Tensor, difference: f32| -> Result<[String; 2]> {
        Ok([format!("{:>10.5}", norm(gradient)?), format!("{difference:.1e}")])
    };
    let [gradient, difference] = numbers(&sum, agreement.sum)?;
    page.line(&row(&page.say("bptt-sum", &[]), &gradient, &difference))?;
    let [gradient, difference] = numbers(&mean, agreement.mean)?;
    page.line(&row(&page.say("bptt-mean", &[]), &gradient, &difference))?;
    page.line("")?;
    page.paragraph("bptt-recorded", &[("difference", &format!("{:.1e}", agreement.flow))])?;

    copies::tell(options, page)?;
    draw(options, page, &norms, &last_only, &contributions, &sum, &mean)?;
    Ok(agreement)
}

/// The gradients of one step.
struct Step {
    /// `∂L/∂h_t`, `[1, hidden]`.
    dh: Tensor,
    /// `δ_t h_{t-1}ᵀ`, `[hidden, hidden]`.
    contribution: Tensor,
}

/// Backpropagation through time in plain tensor operations; `L` is the sum over the questions.
fn backward(network: &Recurrent) -> Result<Vec<Step>> {
    let device = network.parameters.device();
    let xs = one_hot(&WORD[..STEPS], device)?;
    let states = network.hidden(&xs)?.squeeze(0)?.detach();
    let logits = network.output.forward(&states)?;
    let asked = one_hot(&WORD[1..], device)?.squeeze(0)?;
    let errors = (softmax(&logits, D::Minus1)? - asked)?.detach();
    let w_hy = network.output.weight().detach();
    let w_hh = weight(network)?.detach();

    let hidden = states.dim(1)?;
    let mut from_later = states.narrow(0, 0, 1)?.zeros_like()?;
    let mut steps = Vec::with_capacity(STEPS);
    for t in (0..STEPS).rev() {
        let h = states.narrow(0, t, 1)?;
        let earlier = match t {
            0 => h.zeros_like()?,
            _ => states.narrow(0, t - 1, 1)?,
        };
        let dh = (errors.narrow(0, t, 1)?.matmul(&w_hy)? + from_later)?;
        let delta = (&dh * h.sqr()?.affine(-1., 1.)?)?;
        from_later = delta.matmul(&w_hh)?;
        let contribution = delta.reshape((hidden, 1))?.matmul(&earlier)?;
        steps.push(Step { dh, contribution });
    }
    steps.reverse();
    Ok(steps)
}

/// The gradient of `W_hh` that the layer's own backward pass returns.
fn layer_gradient(network: &Recurrent, reduction: Reduction) -> Result<Tensor> {
    let network = Recurrent::over(network.parameters.clone(), reduction)?;
    let xs = one_hot(&WORD[..STEPS], network.parameters.device())?;
    let gradients = loss_sum(&network.forward(&xs)?)?.backward()?;
    gradients.get(&weight(&network)?).cloned().context("the layer gave W_hh no gradient")
}

/// `‖∂L/∂h_t‖` of every step as the layer records it.
fn recorded_flow(network: &Recurrent) -> Result<Vec<f64>> {
    record(network, |logits| Ok(loss_sum(logits)?))
}

/// `‖∂L_7/∂h_t‖` of every step: only the last question counts.
fn last_question_flow(network: &Recurrent) -> Result<Vec<f64>> {
    record(network, |logits| {
        let last = logits.narrow(1, STEPS - 1, 1)?.contiguous()?;
        let asked = targets(logits.device())?.narrow(1, STEPS - 1, 1)?.contiguous()?;
        Ok(candle_rnn::CrossEntropy::default().forward(&last, &asked)?.sum)
    })
}

fn record(network: &Recurrent, loss: impl Fn(&Tensor) -> Result<Tensor>) -> Result<Vec<f64>> {
    let flow = GradientFlow::default();
    let xs = one_hot(&WORD[..STEPS], network.parameters.device())?;
    let (states, _) = network.rnn.forward_recording(&xs, None, None, &mut Mode::Eval, &flow)?;
    loss(&network.output.forward(&states)?)?.backward()?;
    flow.norms(0, 0).context("the layer recorded no gradient flow")
}

/// `W_hh`.
pub(crate) fn weight(network: &Recurrent) -> Result<Tensor> {
    let named = network.parameters.named();
    let found = named.into_iter().find(|(name, _)| name == WEIGHT);
    Ok(found.context("the network has no W_hh")?.1.as_tensor().clone())
}

/// The Euclidean norm.
pub(crate) fn norm(tensor: &Tensor) -> Result<f64> {
    Ok(f64::from(tensor.sqr()?.sum_all()?.sqrt()?.to_scalar::<f32>()?))
}

fn largest_difference(a: &Tensor, b: &Tensor) -> Result<f32> {
    Ok((a - b)?.abs()?.flatten_all()?.max(0)?.to_scalar::<f32>()?)
}

fn draw(
    options: &Options,
    page: &mut Page,
    norms: &[(f64, f64)],
    last_only: &[f64],
    contributions: &[&Tensor],
    sum: &Tensor,
    mean: &Tensor,
) -> Result<()> {
    let labels: Vec<String> = (0..STEPS).map(|t| format!("{} {}", t + 1, WORD[t])).collect();
    let series = [
        ("|dL/dh_t|", norms.iter().map(|&(dh, _)| dh).collect()),
        ("|dL_7/dh_t|", last_only.to_vec()),
        ("|delta_t h_{t-1}^T|", norms.iter().map(|&(_, contribution)| contribution).collect()),
    ];
    let bars = options.folder.join("bptt-gradients.svg");
    figures::bars(&bars, "namaskar: gradient norms step by step", &labels, &series)?;

    let matrix = |tensor: &Tensor| tensor.to_vec2::<f32>();
    let mut matrices = Vec::new();
    for (label, contribution) in labels.iter().zip(contributions) {
        matrices.push((format!("step {label}"), matrix(contribution)?));
    }
    matrices.push(("sum".to_owned(), matrix(sum)?));
    matrices.push(("mean".to_owned(), matrix(mean)?));
    let small = options.folder.join("bptt-matrices.svg");
    figures::matrices(&small, "namaskar: each step's part in the gradient of W_hh", &matrices)?;
    page.drawing(&bars, "bptt-norms-drawing", &[])?;
    page.drawing(&small, "bptt-matrices-drawing", &[])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn the_steps_add_up_to_the_layers_gradient() -> Result<()> {
        let agreement = crate::told(5, tell)?;
        assert!(agreement.sum < 1e-5 && agreement.mean < 1e-5, "{agreement:?}");
        assert!(agreement.flow < 1e-4, "{agreement:?}");
        Ok(())
    }

    #[test]
    fn the_first_step_contributes_nothing_and_the_others_something() -> Result<()> {
        let steps = backward(&Recurrent::new(5, &Device::Cpu)?)?;
        assert_eq!(norm(&steps[0].contribution)?, 0.);
        for step in &steps[1..] {
            assert!(norm(&step.contribution)? > 1e-3);
        }
        Ok(())
    }
}
