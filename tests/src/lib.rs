//! What the end-to-end tests share: the kinds of cells, random tensors, and the checks that more
//! than one test makes.

use candle_core::{DType, Device, Result, Tensor};
use candle_rnn::batch_norm::is_remembered;
use candle_rnn::{Activation, Cell, Generator, Parameters, State};

pub mod fuzz;

/// The README's example, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;

/// Every kind of cell, with an LSTM projection of 2 and Elman memories of 1, 2 and 3 steps.
pub fn every_cell() -> Vec<Cell> {
    let elman = |activation, order| Cell::Elman { activation, order };
    vec![
        elman(Activation::Tanh, 1),
        elman(Activation::Tanh, 2),
        elman(Activation::Tanh, 3),
        elman(Activation::Relu, 1),
        elman(Activation::Relu, 3),
        Cell::Gru,
        Cell::lstm(),
        Cell::Lstm { projection: Some(2) },
    ]
}

/// Standard normal numbers of the given shape, on the CPU.
///
/// # Errors
/// When `dtype` is not a floating-point type.
pub fn normal(generator: &mut Generator, shape: &[usize], dtype: DType) -> Result<Tensor> {
    let count = shape.iter().product();
    let values: Vec<f64> = (0..count).map(|_| generator.normal()).collect();
    Tensor::from_vec(values, shape, &Device::Cpu)?.to_dtype(dtype)
}

/// All tensors of a state side by side, `[batch, …]`.
///
/// # Errors
/// When the state's tensors do not fit each other.
pub fn flat_state(state: &State) -> Result<Tensor> {
    let tensors: Vec<Tensor> = state.tensors().into_iter().map(|(_, tensor)| tensor).collect();
    Tensor::cat(&tensors, 1)
}

/// The largest absolute difference between two tensors of the same shape; NaN if either has one.
///
/// # Errors
/// When the shapes differ.
pub fn largest_difference(a: &Tensor, b: &Tensor) -> Result<f64> {
    let difference = (a.to_dtype(DType::F64)? - b.to_dtype(DType::F64)?)?.abs()?;
    let values = difference.flatten_all()?.to_vec1::<f64>()?;
    Ok(values.into_iter().fold(0., |max: f64, value| if max.is_nan() || value <= max { max } else { value }))
}

/// Checks that the gradient of `loss` reaches every variable: there, finite, and not all zero.
///
/// Some operations of candle cut the gradient without an error; every model calls this on a loss
/// of its own.
///
/// # Errors
/// When the backward pass fails.
///
/// # Panics
/// When a variable does not learn; the message names it.
pub fn assert_every_variable_learns(parameters: &Parameters, loss: &Tensor) -> Result<()> {
    let gradients = loss.backward()?;
    let mut variables = parameters.named();
    variables.retain(|(name, _)| !is_remembered(name));
    assert!(!variables.is_empty(), "there is no variable that could learn");
    for (name, variable) in variables {
        let Some(gradient) = gradients.get(&variable) else {
            panic!("no gradient reaches {name}");
        };
        let values = gradient.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>()?;
        assert!(values.iter().all(|v| v.is_finite()), "the gradient of {name} is not finite");
        assert!(values.iter().any(|&v| v != 0.), "the gradient of {name} is zero everywhere");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_rnn::Linear;

    fn heads() -> Result<(Parameters, Linear, Linear, Tensor)> {
        let parameters = Parameters::new(1, DType::F32, &Device::Cpu);
        let used = Linear::new(3, 2, true, parameters.builder().pp("used"))?;
        let other = Linear::new(3, 2, true, parameters.builder().pp("other"))?;
        let xs = Tensor::ones((4, 3), DType::F32, &Device::Cpu)?;
        Ok((parameters, used, other, xs))
    }

    #[test]
    fn a_loss_of_every_variable_passes() -> Result<()> {
        let (parameters, used, other, xs) = heads()?;
        let loss = (used.forward(&xs)?.sqr()? + other.forward(&xs)?.sqr()?)?.sum_all()?;
        assert_every_variable_learns(&parameters, &loss)
    }

    #[test]
    #[should_panic(expected = "no gradient reaches other.bias")]
    fn a_variable_that_the_loss_does_not_see_is_named() {
        let (parameters, used, _, xs) = heads().unwrap();
        let loss = used.forward(&xs).unwrap().sqr().unwrap().sum_all().unwrap();
        assert_every_variable_learns(&parameters, &loss).unwrap();
    }

    #[test]
    #[should_panic(expected = "the gradient of other.bias is zero everywhere")]
    fn a_variable_that_makes_no_difference_is_named() {
        let (parameters, used, other, xs) = heads().unwrap();
        let other = other.forward(&xs).unwrap();
        let nothing = (&other * other.zeros_like().unwrap()).unwrap();
        let loss = (used.forward(&xs).unwrap() + nothing).unwrap().sum_all().unwrap();
        assert_every_variable_learns(&parameters, &loss).unwrap();
    }

    #[test]
    fn a_nan_is_the_largest_difference() -> Result<()> {
        let tensor = |values: [f32; 3]| Tensor::new(&values, &Device::Cpu);
        let zeros = tensor([0.; 3])?;
        assert_eq!(largest_difference(&zeros, &tensor([1., -2., 0.5])?)?, 2.);
        assert!(largest_difference(&zeros, &tensor([0., f32::NAN, 3.])?)?.is_nan());
        Ok(())
    }
}
