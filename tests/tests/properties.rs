//! What holds for any network, any batch and any lengths.

use candle_core::{DType, Device, Result, Tensor, Var};
use candle_rnn::{Cell, Generator, Lengths, Mode, Parameters, Rnn, RnnConfig};
use end_to_end::{every_cell, flat_state, largest_difference, normal};
use proptest::prelude::*;

const INPUT: usize = 3;

/// A network and the lengths of a batch for it.
#[derive(Clone, Debug)]
struct Example {
    config: RnnConfig,
    lengths: Vec<usize>,
    seed: u64,
}

impl Example {
    fn time(&self) -> usize {
        self.lengths.iter().max().copied().unwrap_or(1) + 1
    }

    fn rnn(&self) -> Result<(Parameters, Rnn)> {
        let parameters = Parameters::new(self.seed, DType::F32, &Device::Cpu);
        let rnn = Rnn::new(&self.config, parameters.builder())?;
        Ok((parameters, rnn))
    }

    fn lengths(&self) -> Result<Lengths> {
        Lengths::new(self.lengths.clone(), self.time())
    }

    fn inputs(&self) -> Result<Tensor> {
        normal(&mut Generator::new(self.seed), &[self.lengths.len(), self.time(), INPUT], DType::F32)
    }
}

fn examples() -> impl Strategy<Value = Example> {
    let cell = proptest::sample::select(every_cell());
    let lengths = proptest::collection::vec(1usize..7, 1..6);
    (cell, 1usize..6, 1usize..4, any::<bool>(), lengths, any::<u64>()).prop_map(
        |(cell, hidden, layers, bidirectional, lengths, seed)| Example {
            config: RnnConfig { layers, bidirectional, ..RnnConfig::new(cell, INPUT, hidden) },
            lengths,
            seed,
        },
    )
}

/// The difference between `step` repeated and `forward`, in outputs and in the last state.
fn stepping_differs_by(example: &Example) -> Result<f64> {
    let (_, rnn) = example.rnn()?;
    let xs = example.inputs()?;
    let (outputs, last) = rnn.forward(&xs, None, None, &mut Mode::Eval)?;
    let mut state = rnn.zero_state(example.lengths.len())?;
    let mut stepped = Vec::new();
    for t in 0..example.time() {
        let (output, next) = rnn.step(&xs.narrow(1, t, 1)?.squeeze(1)?.contiguous()?, &state)?;
        stepped.push(output);
        state = next;
    }
    let outputs = largest_difference(&outputs, &Tensor::stack(&stepped, 1)?)?;
    Ok(outputs.max(largest_difference(&flat_state(&last)?, &flat_state(&state)?)?))
}

/// Outputs, last state and all gradients, of the input first, for a batch whose padding is
/// filled with `padding`.
fn with_padding(example: &Example, padding: f32) -> Result<Vec<Tensor>> {
    let (parameters, rnn) = example.rnn()?;
    let lengths = example.lengths()?;
    let mask = lengths.mask(DType::F32, &Device::Cpu)?.unsqueeze(2)?;
    let xs = example.inputs()?;
    let filled = (Tensor::ones_like(&xs)? * f64::from(padding))?;
    let xs = Var::from_tensor(&mask.ne(0f32)?.broadcast_as(xs.shape())?.where_cond(&xs, &filled)?)?;
    let (outputs, last) = rnn.forward(&xs, Some(&lengths), None, &mut Mode::Eval)?;
    let last = flat_state(&last)?;
    // An upstream gradient on the padding too: it must go nowhere.
    let loss = ((&outputs + 1.)?.sqr()?.sum_all()? + last.sqr()?.sum_all()?)?;
    let gradients = loss.backward()?;
    let variables = std::iter::once(xs).chain(parameters.named().into_iter().map(|(_, var)| var));
    let gradients = variables.filter_map(|var| gradients.get(&var).cloned());
    Ok([outputs, last].into_iter().chain(gradients).collect())
}

/// The difference that reordering the rows makes, beyond reordering the results.
fn reordering_differs_by(example: &Example) -> Result<f64> {
    let (_, rnn) = example.rnn()?;
    let mut order: Vec<u32> = (0..example.lengths.len() as u32).collect();
    Generator::new(example.seed).shuffle(&mut order);
    let index = Tensor::new(order.as_slice(), &Device::Cpu)?;
    let reordered = Example {
        lengths: order.iter().map(|&row| example.lengths[row as usize]).collect(),
        ..example.clone()
    };
    let xs = example.inputs()?;
    let run = |xs: &Tensor, lengths: &Lengths| rnn.forward(xs, Some(lengths), None, &mut Mode::Eval);
    let (outputs, last) = run(&xs, &example.lengths()?)?;
    let (moved, moved_last) = run(&xs.index_select(&index, 0)?, &reordered.lengths()?)?;
    let outputs = largest_difference(&outputs.index_select(&index, 0)?, &moved)?;
    Ok(outputs.max(largest_difference(&flat_state(&last.rows(&index)?)?, &flat_state(&moved_last)?)?))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn step_repeated_gives_what_forward_gives(mut example in examples()) {
        example.config.bidirectional = false;
        let difference = stepping_differs_by(&example).unwrap();
        prop_assert!(difference <= 1e-5, "differs by {difference:.1e}");
    }

    #[test]
    fn what_stands_in_the_padding_changes_no_output_state_or_gradient(example in examples()) {
        let zeros = with_padding(&example, 0.).unwrap();
        prop_assert_eq!(zeros.len(), 3 + example.rnn().unwrap().0.named().len());
        for padding in [1e6, f32::INFINITY, f32::NAN] {
            let others = with_padding(&example, padding).unwrap();
            for (i, (zero, other)) in zeros.iter().zip(&others).enumerate() {
                let difference = largest_difference(zero, other).unwrap();
                prop_assert!(difference == 0., "padding {padding} changes result {i} by {difference:.1e}");
            }
        }
    }

    #[test]
    fn outputs_and_input_gradients_are_zero_on_padding(example in examples()) {
        let mask = example.lengths().unwrap().mask(DType::F32, &Device::Cpu).unwrap();
        let padding = (1. - mask).unwrap().unsqueeze(2).unwrap();
        let results = with_padding(&example, 7.).unwrap();
        for (name, index) in [("output", 0), ("input gradient", 2)] {
            let leaked = results[index].broadcast_mul(&padding).unwrap().abs().unwrap().sum_all().unwrap();
            prop_assert_eq!(leaked.to_scalar::<f32>().unwrap(), 0., "{}", name);
        }
    }

    #[test]
    fn reordering_the_rows_reorders_the_results(example in examples()) {
        let difference = reordering_differs_by(&example).unwrap();
        prop_assert!(difference <= 1e-6, "differs by {difference:.1e}");
    }

    #[test]
    fn a_row_gives_the_same_alone_and_unpadded_as_in_a_padded_batch(example in examples()) {
        let (_, rnn) = example.rnn().unwrap();
        let xs = example.inputs().unwrap();
        let (outputs, last) = rnn.forward(&xs, Some(&example.lengths().unwrap()), None, &mut Mode::Eval).unwrap();
        let last = flat_state(&last).unwrap();
        for (row, &length) in example.lengths.iter().enumerate() {
            let cut = |t: &Tensor| t.narrow(0, row, 1)?.narrow(1, 0, length);
            let (alone, alone_last) = rnn.forward(&cut(&xs).unwrap(), None, None, &mut Mode::Eval).unwrap();
            let difference = largest_difference(&alone, &cut(&outputs).unwrap()).unwrap();
            prop_assert!(difference <= 1e-6, "row {row} differs by {difference:.1e}");
            let alone_last = flat_state(&alone_last).unwrap();
            let difference = largest_difference(&alone_last, &last.narrow(0, row, 1).unwrap()).unwrap();
            prop_assert!(difference <= 1e-6, "the state of row {row} differs by {difference:.1e}");
        }
    }
}

#[test]
fn a_bidirectional_network_refuses_to_step() -> Result<()> {
    let parameters = Parameters::new(1, DType::F32, &Device::Cpu);
    let config = RnnConfig { bidirectional: true, ..RnnConfig::new(Cell::Gru, INPUT, 2) };
    let rnn = Rnn::new(&config, parameters.builder())?;
    let x = Tensor::zeros((1, INPUT), DType::F32, &Device::Cpu)?;
    let error = rnn.step(&x, &rnn.zero_state(1)?).unwrap_err().to_string();
    assert!(error.contains("needs the whole sequence"), "{error}");
    Ok(())
}
