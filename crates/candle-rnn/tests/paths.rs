//! The sequence operation against the unrolled reference, in value and in gradient.

use candle_core::{DType, Device, Result, Tensor, Var};
use candle_rnn::{
    Activation, Cell, Generator, GradientFlow, Lengths, MatmulPrecision, Mode, Parameters, Reduction, Rnn,
    RnnConfig, State,
};

const CELLS: [Cell; 7] = [
    Cell::Elman { activation: Activation::Tanh, order: 1 },
    Cell::Elman { activation: Activation::Tanh, order: 3 },
    Cell::Elman { activation: Activation::Relu, order: 1 },
    Cell::Elman { activation: Activation::Relu, order: 2 },
    Cell::Gru,
    Cell::Lstm { projection: None },
    Cell::Lstm { projection: Some(3) },
];

fn random(shape: (usize, usize, usize), dtype: DType, generator: &mut Generator) -> Result<Tensor> {
    let values: Vec<f64> = (0..shape.0 * shape.1 * shape.2).map(|_| generator.normal()).collect();
    Tensor::from_vec(values, shape, &Device::Cpu)?.to_dtype(dtype)
}

fn largest_difference(a: &Tensor, b: &Tensor) -> Result<f64> {
    (a - b)?.abs()?.flatten_all()?.max(0)?.to_dtype(DType::F64)?.to_scalar()
}

struct Case {
    config: RnnConfig,
    parameters: Parameters,
    rnn: Rnn,
    xs: Var,
    initial: Vec<Var>,
    lengths: Option<Lengths>,
    weights: Tensor,
    state_weights: Vec<Tensor>,
}

impl Case {
    fn new(cell: Cell, bidirectional: bool, padded: bool, dtype: DType) -> Result<Self> {
        let lengths = padded.then(|| vec![4, 6, 1, 2, 6]);
        Self::sized((5, 6, 3, 4), cell, bidirectional, lengths, dtype)
    }

    /// Batch, time, input and hidden size as given.
    fn sized(
        (batch, time, input, hidden): (usize, usize, usize, usize),
        cell: Cell,
        bidirectional: bool,
        lengths: Option<Vec<usize>>,
        dtype: DType,
    ) -> Result<Self> {
        let config = RnnConfig { layers: 2, bidirectional, ..RnnConfig::new(cell, input, hidden) };
        let parameters = Parameters::new(3, dtype, &Device::Cpu);
        let rnn = Rnn::new(&config, parameters.builder())?;
        let mut generator = Generator::new(11);
        let xs = Var::from_tensor(&random((batch, time, input), dtype, &mut generator)?)?;
        let width = cell.state_size(hidden);
        let count = 2 * config.directions();
        let mut states = |_| random((1, batch, width), dtype, &mut generator)?.squeeze(0);
        let initial = (0..count).map(|i| Var::from_tensor(&states(i)?)).collect::<Result<_>>()?;
        let state_weights = (0..count).map(&mut states).collect::<Result<_>>()?;
        let weights = random((batch, time, rnn.output_size()), dtype, &mut generator)?;
        let lengths = lengths.map(|lengths| Lengths::new(lengths, time)).transpose()?;
        Ok(Self { config, parameters, rnn, xs, initial, lengths, weights, state_weights })
    }

    /// A loss in which every output and final state has a weight of its own.
    fn loss(&self, reference: bool, flow: Option<&GradientFlow>) -> Result<Tensor> {
        let initial = self.initial.iter().enumerate();
        let initial = initial.map(|(i, s)| (format!("state.{i}"), s.as_tensor().clone())).collect();
        let state = State::from_tensors(&self.config, &initial)?;
        let lengths = self.lengths.as_ref();
        let (ys, state) = match (reference, flow) {
            (true, _) => self.rnn.reference(&self.xs, lengths, Some(&state), &mut Mode::Eval)?,
            (_, Some(flow)) => {
                self.rnn.forward_recording(&self.xs, lengths, Some(&state), &mut Mode::Eval, flow)?
            }
            _ => self.rnn.forward(&self.xs, lengths, Some(&state), &mut Mode::Eval)?,
        };
        let mut loss = (ys * &self.weights)?.sum_all()?;
        for ((_, state), weights) in state.tensors().iter().zip(&self.state_weights) {
            loss = (loss + (state * weights)?.sum_all()?)?;
        }
        Ok(loss)
    }

    fn variables(&self) -> Vec<(String, Var)> {
        let mut variables = self.parameters.named();
        variables.push(("xs".into(), self.xs.clone()));
        variables.extend(self.initial.iter().enumerate().map(|(i, v)| (format!("state.{i}"), v.clone())));
        variables
    }
}

#[test]
fn forward_and_reference_agree_in_value_and_gradient() -> Result<()> {
    for cell in CELLS {
        for (bidirectional, padded) in [(false, false), (false, true), (true, false), (true, true)] {
            for (dtype, bound) in [(DType::F64, 1e-11), (DType::F32, 1e-4)] {
                let case = Case::new(cell, bidirectional, padded, dtype)?;
                let (ours, truth) = (case.loss(false, None)?, case.loss(true, None)?);
                let name = format!("{cell:?} bidirectional {bidirectional} padded {padded} {dtype:?}");
                assert!(largest_difference(&ours, &truth)? < bound, "{name}: loss {ours} {truth}");
                let (ours, truth) = (ours.backward()?, truth.backward()?);
                for (variable, var) in case.variables() {
                    let (Some(ours), Some(truth)) = (ours.get(&var), truth.get(&var)) else {
                        panic!("{name}: no gradient for {variable}");
                    };
                    let difference = largest_difference(ours, truth)?;
                    assert!(difference < bound, "{name}: gradient of {variable} differs by {difference}");
                }
            }
        }
    }
    Ok(())
}

/// Value and gradients on so many threads.
fn on_threads<T: Send>(threads: usize, f: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
    pool.install(f)
}

#[test]
fn rows_dealt_to_threads_agree_with_the_reference_and_with_themselves() -> Result<()> {
    // Large enough for each of the threads to get rows.
    for (cell, threads) in [Cell::tanh(), Cell::Gru, Cell::lstm()].into_iter().zip([[1, 2], [2, 3], [2, 1]]) {
        let lengths = Some(vec![40, 3, 40, 17, 28, 1, 39, 33, 25]);
        let case = Case::sized((9, 40, 96, 96), cell, true, lengths, DType::F32)?;
        let truth = case.loss(true, None)?;
        let truth_gradients = truth.backward()?;
        for threads in threads {
            let once =
                || on_threads(threads, || Ok((case.loss(false, None)?, case.loss(false, None)?.backward()?)));
            let ((ours, gradients), (_, again)) = (once()?, once()?);
            let name = format!("{cell:?} on {threads} threads");
            assert!(largest_difference(&ours, &truth)? < 0.05, "{name}: loss {ours} {truth}");
            for (variable, var) in case.variables() {
                let (Some(ours), Some(again), Some(truth)) =
                    (gradients.get(&var), again.get(&var), truth_gradients.get(&var))
                else {
                    panic!("{name}: no gradient for {variable}");
                };
                let size: f64 = truth.abs()?.flatten_all()?.max(0)?.to_dtype(DType::F64)?.to_scalar()?;
                let difference = largest_difference(ours, truth)?;
                assert!(
                    difference < 1e-5 * (1. + size),
                    "{name}: {variable} differs by {difference} of {size}"
                );
                assert_eq!(largest_difference(ours, again)?, 0., "{name}: {variable} is not the same twice");
            }
        }
    }
    Ok(())
}

#[test]
fn products_of_bf16_give_nearly_the_same_gradients() -> Result<()> {
    // A rounded sum may fall on the other side of a kink, so without those that have one.
    let smooth = |cell: &Cell| !matches!(cell, Cell::Elman { activation: Activation::Relu, .. });
    for cell in CELLS.into_iter().filter(smooth) {
        let sizes = (
            5,
            6,
            30,
            match cell {
                Cell::Lstm { projection: Some(_) } => 20,
                _ => 24,
            },
        );
        let mut case = Case::sized(sizes, cell, true, Some(vec![4, 6, 1, 2, 6]), DType::F32)?;
        let full = case.loss(false, None)?.backward()?;
        case.rnn = Rnn::new(
            &RnnConfig { matmul: MatmulPrecision::Bf16, ..case.config.clone() },
            case.parameters.builder(),
        )?;
        let rounded = case.loss(false, None)?.backward()?;
        for (name, var) in case.variables() {
            let (Some(full), Some(rounded)) = (full.get(&var), rounded.get(&var)) else {
                panic!("{cell:?}: no gradient of {name}")
            };
            let norm = |x: &Tensor| x.sqr()?.sum_all()?.to_scalar::<f32>().map(f32::sqrt);
            let (size, difference) = (norm(full)?, norm(&(full - rounded)?)?);
            assert!(0. < difference && difference < 0.05 * size, "{cell:?}: {name}: {difference} of {size}");
        }
    }
    Ok(())
}

#[test]
fn the_stepwise_path_agrees_with_the_cpu_path_in_another_precision() -> Result<()> {
    // f16 on the CPU takes the path of other devices.
    for cell in CELLS {
        let case = Case::new(cell, true, true, DType::F32)?;
        let half = Case::new(cell, true, true, DType::F16)?;
        for ((_, half), (_, full)) in half.variables().iter().zip(case.variables()) {
            half.set(&full.to_dtype(DType::F16)?)?;
        }
        let (a, b) = (case.loss(false, None)?, half.loss(false, None)?);
        assert!(largest_difference(&a, &b.to_dtype(DType::F32)?)? < 0.2, "{cell:?}: {a} {b}");
        let (a, b) = (a.backward()?, b.backward()?);
        for ((name, full), (_, half)) in case.variables().iter().zip(half.variables()) {
            let (Some(a), Some(b)) = (a.get(full), b.get(&half)) else { panic!("{name}: no gradient") };
            let difference = largest_difference(a, &b.to_dtype(DType::F32)?)?;
            assert!(difference < 0.1, "{cell:?}: {name} differs by {difference}");
        }
    }
    Ok(())
}

#[test]
fn the_mean_over_steps_is_the_sum_divided_by_their_number() -> Result<()> {
    let case = Case::new(Cell::Gru, false, false, DType::F64)?;
    let mean = RnnConfig { reduction: Reduction::Mean, ..case.config.clone() };
    let rnn = Rnn::new(&mean, case.parameters.builder())?;
    let weights = |ys: Tensor| (ys * &case.weights)?.sum_all()?.backward();
    let sum = weights(case.rnn.forward(&case.xs, None, None, &mut Mode::Eval)?.0)?;
    let mean = weights(rnn.forward(&case.xs, None, None, &mut Mode::Eval)?.0)?;
    for (name, var) in case.parameters.named() {
        let (Some(sum), Some(mean)) = (sum.get(&var), mean.get(&var)) else {
            panic!("no gradient of {name}")
        };
        assert!(largest_difference(&(sum / 6.)?, mean)? < 1e-12, "{name}");
    }
    Ok(())
}

#[test]
fn the_gradient_flow_is_the_norm_of_the_gradient_at_every_step() -> Result<()> {
    let case = Case::new(Cell::tanh(), false, false, DType::F64)?;
    let flow = GradientFlow::default();
    case.loss(false, Some(&flow))?.backward()?;
    let norms = flow.norms(1, 0).expect("the upper layer was recorded");
    // ∂L/∂h_t by hand: h_t as a variable, and the steps after it.
    let lower = Rnn::new(&RnnConfig { layers: 1, ..case.config.clone() }, case.parameters.builder())?;
    let first = |i: usize| case.initial[i].as_tensor().clone();
    let state =
        |config: &RnnConfig, tensor| State::from_tensors(config, &[("state.0".to_string(), tensor)].into());
    let (hidden, _) =
        lower.forward(&case.xs, None, Some(&state(lower.config(), first(0))?), &mut Mode::Eval)?;
    let weights = case.parameters.tensors();
    let upper =
        weights.iter().filter_map(|(k, v)| k.strip_suffix("_l1").map(|k| (format!("{k}_l0"), v.clone())));
    let vb = candle_nn::VarBuilder::from_tensors(upper.collect(), DType::F64, &Device::Cpu);
    let upper = Rnn::new(&RnnConfig::new(Cell::tanh(), 4, 4), vb)?;
    let (ys, _) = upper.forward(&hidden, None, Some(&state(upper.config(), first(1))?), &mut Mode::Eval)?;
    for (t, recorded) in norms.into_iter().enumerate() {
        let h_t = Var::from_tensor(&ys.get_on_dim(1, t)?)?;
        let mut loss = (h_t.as_tensor() * case.weights.get_on_dim(1, t)?)?.sum_all()?;
        let mut last = h_t.as_tensor().clone();
        if t < 5 {
            let rest = hidden.narrow(1, t + 1, 5 - t)?;
            let (ys, s) =
                upper.reference(&rest, None, Some(&state(upper.config(), last)?), &mut Mode::Eval)?;
            loss = (loss + (ys * case.weights.narrow(1, t + 1, 5 - t)?)?.sum_all()?)?;
            last = s.hidden(0, 0)?;
        }
        let loss = (loss + (last * &case.state_weights[1])?.sum_all()?)?.backward()?;
        let norm = loss.get(&h_t).expect("h_t has a gradient").sqr()?.sum_all()?.to_scalar::<f64>()?.sqrt();
        assert!((norm - recorded).abs() < 1e-10, "step {t}: {norm} against {recorded}");
    }
    Ok(())
}

#[test]
fn the_gradient_flow_belongs_to_time_steps_in_both_directions_and_on_every_path() -> Result<()> {
    let flow_of = |dtype| -> Result<Vec<Vec<f64>>> {
        let case = Case::new(Cell::Gru, true, true, dtype)?;
        let flow = GradientFlow::default();
        case.loss(false, Some(&flow))?.backward()?;
        Ok((0..2).map(|direction| flow.norms(0, direction).expect("it was recorded")).collect())
    };
    // f16 on the CPU takes the path of other devices.
    for (ours, stepwise) in flow_of(DType::F32)?.iter().flatten().zip(flow_of(DType::F16)?.iter().flatten()) {
        assert!((ours - stepwise).abs() < 0.05 * (1. + ours), "{ours} {stepwise}");
    }
    Ok(())
}

#[test]
fn the_same_seed_and_threads_give_the_same_bits() -> Result<()> {
    let once = || -> Result<Vec<Vec<f32>>> {
        let case = Case::new(Cell::lstm(), true, true, DType::F32)?;
        let gradients = case.loss(false, None)?.backward()?;
        let named = case.variables().into_iter();
        named.map(|(_, var)| gradients.get(&var).expect("a gradient").flatten_all()?.to_vec1()).collect()
    };
    assert_eq!(once()?, once()?);
    Ok(())
}
