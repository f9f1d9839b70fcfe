//! The hand-written backpropagation through time against finite differences (f64) and against
//! autograd on the unrolled network (f32), and that everything learns.

use candle_core::{DType, Device, Result, Tensor, Var};
use candle_rnn::{Cell, Ctc, Generator, Lengths, Linear, Mode, Parameters, Rnn, RnnConfig, State};
use end_to_end::{assert_every_variable_learns, every_cell, flat_state, largest_difference, normal};

const BATCH: usize = 3;
const TIME: usize = 5;
const INPUT: usize = 2;
const HIDDEN: usize = 3;

/// Two layers with random variables for input and initial state, and random upstream gradients.
struct Network {
    what: String,
    parameters: Parameters,
    rnn: Rnn,
    lengths: Option<Lengths>,
    xs: Var,
    initial: Vec<Var>,
    up_output: Tensor,
    up_state: Tensor,
}

impl Network {
    fn new(cell: Cell, bidirectional: bool, padded: bool, dtype: DType) -> Result<Self> {
        let config = RnnConfig { layers: 2, bidirectional, ..RnnConfig::new(cell, INPUT, HIDDEN) };
        let parameters = Parameters::new(3, dtype, &Device::Cpu);
        let rnn = Rnn::new(&config, parameters.builder())?;
        let mut generator = Generator::new(4);
        let mut draw = |shape: &[usize]| normal(&mut generator, shape, dtype);
        let (places, width) = (2 * config.directions(), cell.state_size(HIDDEN));
        Ok(Self {
            what: format!("{cell:?}, bidirectional {bidirectional}, padded {padded}"),
            lengths: if padded { Some(Lengths::new(vec![2, 5, 1], TIME)?) } else { None },
            xs: Var::from_tensor(&draw(&[BATCH, TIME, INPUT])?)?,
            initial: (0..places).map(|_| Var::from_tensor(&draw(&[BATCH, width])?)).collect::<Result<_>>()?,
            up_output: draw(&[BATCH, TIME, rnn.output_size()])?,
            up_state: draw(&[BATCH, places * width])?,
            parameters,
            rnn,
        })
    }

    /// Every combination of cell, directions and padding.
    fn all(dtype: DType) -> Result<Vec<Self>> {
        let mut networks = Vec::new();
        for cell in every_cell() {
            for bidirectional in [false, true] {
                for padded in [false, true] {
                    networks.push(Self::new(cell, bidirectional, padded, dtype)?);
                }
            }
        }
        Ok(networks)
    }

    fn variables(&self) -> Vec<(String, Var)> {
        let initial =
            self.initial.iter().enumerate().map(|(i, var)| (format!("initial state {i}"), var.clone()));
        let inputs = std::iter::once(("input".to_string(), self.xs.clone())).chain(initial);
        inputs.chain(self.parameters.named()).collect()
    }

    fn run(&self, reference: bool) -> Result<(Tensor, Tensor)> {
        let initial = self.initial.iter().enumerate();
        let initial = initial.map(|(i, var)| (format!("state.{i}"), var.as_tensor().clone())).collect();
        let state = State::from_tensors(self.rnn.config(), &initial)?;
        let (lengths, mode) = (self.lengths.as_ref(), &mut Mode::Eval);
        let (output, last) = match reference {
            true => self.rnn.reference(&self.xs, lengths, Some(&state), mode)?,
            false => self.rnn.forward(&self.xs, lengths, Some(&state), mode)?,
        };
        Ok((output, flat_state(&last)?))
    }

    fn loss(&self, reference: bool) -> Result<Tensor> {
        let (output, state) = self.run(reference)?;
        (output * &self.up_output)?.sum_all()? + (state * &self.up_state)?.sum_all()?
    }
}

#[test]
fn gradients_agree_with_finite_differences_in_f64() -> Result<()> {
    const STEP: f64 = 1e-5;
    for network in Network::all(DType::F64)? {
        let gradients = network.loss(false)?.backward()?;
        for (name, variable) in network.variables() {
            let Some(analytic) = gradients.get(&variable) else {
                panic!("{}: no gradient of {name}", network.what);
            };
            let analytic = analytic.flatten_all()?.to_vec1::<f64>()?;
            let values = variable.copy()?.flatten_all()?.to_vec1::<f64>()?;
            let loss_with = |i: usize, delta: f64| {
                let mut moved = values.clone();
                moved[i] += delta;
                variable.set(&Tensor::from_vec(moved, variable.shape(), &Device::Cpu)?)?;
                network.loss(false)?.to_scalar::<f64>()
            };
            for (i, &analytic) in analytic.iter().enumerate() {
                let numeric = (loss_with(i, STEP)? - loss_with(i, -STEP)?) / (2. * STEP);
                let difference = (analytic - numeric).abs();
                assert!(difference <= 1e-6, "{}: {name}[{i}]: {analytic} but {numeric}", network.what);
            }
            loss_with(0, 0.)?; // puts the variable back
        }
    }
    Ok(())
}

#[test]
fn outputs_states_and_gradients_agree_with_the_unrolled_network_in_f32() -> Result<()> {
    for network in Network::all(DType::F32)? {
        let ((output, state), (true_output, true_state)) = (network.run(false)?, network.run(true)?);
        assert!(largest_difference(&output, &true_output)? <= 1e-5, "{}: output", network.what);
        assert!(largest_difference(&state, &true_state)? <= 1e-5, "{}: state", network.what);
        let (ours, truth) = (network.loss(false)?.backward()?, network.loss(true)?.backward()?);
        for (name, variable) in network.variables() {
            let (Some(ours), Some(truth)) = (ours.get(&variable), truth.get(&variable)) else {
                panic!("{}: no gradient of {name}", network.what);
            };
            let difference = largest_difference(ours, truth)?;
            assert!(difference <= 2e-5, "{}: {name} differs by {difference:.1e}", network.what);
        }
    }
    Ok(())
}

/// Half precision takes the path of the devices without a kernel: plain tensor operations inside
/// the node.
#[test]
fn the_stepwise_path_agrees_with_the_kernels() -> Result<()> {
    for (network, half) in Network::all(DType::F32)?.into_iter().zip(Network::all(DType::F16)?) {
        let ((output, state), (half_output, half_state)) = (network.run(false)?, half.run(false)?);
        assert!(largest_difference(&output, &half_output)? <= 0.01, "{}: output", network.what);
        assert!(largest_difference(&state, &half_state)? <= 0.01, "{}: state", network.what);
        let (gradients, half_gradients) = (network.loss(false)?.backward()?, half.loss(false)?.backward()?);
        for ((name, variable), (_, half_variable)) in network.variables().into_iter().zip(half.variables()) {
            let (Some(kernel), Some(stepwise)) =
                (gradients.get(&variable), half_gradients.get(&half_variable))
            else {
                panic!("{}: no gradient of {name}", network.what);
            };
            let difference = largest_difference(kernel, stepwise)?;
            assert!(difference <= 0.05, "{}: {name} differs by {difference:.1e}", network.what);
        }
    }
    Ok(())
}

#[test]
fn every_variable_of_every_network_learns() -> Result<()> {
    for network in Network::all(DType::F32)? {
        assert_every_variable_learns(&network.parameters, &network.loss(false)?)?;
    }
    Ok(())
}

#[test]
fn every_variable_learns_from_sequences_without_an_alignment() -> Result<()> {
    let network = Network::new(Cell::lstm(), true, true, DType::F32)?;
    let to_symbols = Linear::new(network.rnn.output_size(), 4, true, network.parameters.builder().pp("out"))?;
    let (ys, _) = network.rnn.forward(&network.xs, network.lengths.as_ref(), None, &mut Mode::Eval)?;
    let lengths = network.lengths.as_ref().expect("a padded batch");
    let loss = Ctc::default().forward(&to_symbols.forward(&ys)?, lengths, &[1, 3, 2, 2, 3], &[1, 3, 1])?;
    assert!(loss.impossible.is_empty());
    assert_every_variable_learns(&network.parameters, &loss.sum)
}
