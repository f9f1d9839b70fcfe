//! [`Stepper`]: a network that reads one sequence, one step after another, without gradients.

use candle_core::{DType, Device, Result, Tensor, bail};

use crate::cell::{Cell, CellWeights};
use crate::kernels::{Kernel, Real, Team, with_team};
use crate::prepared::{Matrix, Precision, vector};
use crate::sequence::cpu::{elman, gru, lstm};
use crate::{Rnn, RnnConfig, State};

/// An [`Rnn`] made ready to go step by step on the CPU, for writing text and for streams: its
/// weights are packed once, and a step asks for no memory but to wake the other threads.
///
/// ```
/// use candle_core::{DType, Device};
/// use candle_rnn::{Cell, Parameters, Precision, Rnn, RnnConfig, Stepper};
///
/// # fn main() -> candle_core::Result<()> {
/// let parameters = Parameters::new(1, DType::F32, &Device::Cpu);
/// let rnn = Rnn::new(&RnnConfig::new(Cell::Gru, 3, 5), parameters.builder())?;
/// let mut stepper = Stepper::new(&rnn, &rnn.zero_state(1)?, Precision::F32)?;
/// assert_eq!(stepper.step(&[0.1, 0.2, 0.3]).len(), 5);
/// # Ok(()) }
/// ```
pub struct Stepper {
    config: RnnConfig,
    layers: Vec<Layer>,
    multiplications: usize,
}

/// One layer, and where its numbers of a step lie.
struct Layer {
    weights: Weights,
    /// As in [`State`]: `[state_size]`.
    state: Vec<f32>,
    /// The state to be: GRU and LSTM read the old one while they write it.
    next: Vec<f32>,
    /// `[gates · hidden]`
    gates: Vec<f32>,
    /// GRU: `W_hh h + b_hh`, `[3 · hidden]`
    recurrent: Vec<f32>,
    /// What the layer's kernel keeps for a backward pass, which there is not, `[hidden]`.
    kept: Vec<f32>,
    /// LSTM with a projection: `o ⊙ tanh(c)`, `[hidden]`
    unprojected: Vec<f32>,
}

struct Weights {
    w_ih: Matrix,
    w_hh: Vec<Matrix>,
    w_hr: Option<Matrix>,
    /// `b_ih`, and where nothing stands between them `b_ih + b_hh`.
    bias: Vec<f32>,
    b_hh: Vec<f32>,
}

impl Stepper {
    /// The network as it is now, at the state of a single row; later changes of its variables are
    /// not seen.
    ///
    /// # Errors
    /// For a bidirectional network, which needs the whole sequence, and for a state of another network
    /// or of more rows than one.
    pub fn new(rnn: &Rnn, state: &State, precision: Precision) -> Result<Self> {
        let config = rnn.config().clone();
        if config.bidirectional {
            bail!("a bidirectional network cannot go step by step: it needs the whole sequence");
        }
        let mut multiplications = 0;
        let mut layers = Vec::with_capacity(config.layers);
        for (layer, weights) in rnn.weights().iter().enumerate() {
            let state = state.get(layer, 0);
            check(&config, state)?;
            multiplications += weights.tensors().iter().map(|w| w.elem_count()).sum::<usize>();
            layers.push(Layer::new(config.cell, config.hidden_size, weights, state, precision)?);
        }
        Ok(Self { config, layers, multiplications })
    }

    /// Reads `x` (`[input]`) and gives the last layer's output, `[output]`.
    ///
    /// # Panics
    /// When `x` has another length than the network's input.
    pub fn step(&mut self, x: &[f32]) -> &[f32] {
        assert_eq!(x.len(), self.config.input_size, "the length of the input");
        let (cell, output) = (self.config.cell, self.config.cell.output_size(self.config.hidden_size));
        let layers = &mut self.layers;
        with_team(1, self.multiplications, |team| {
            for i in 0..layers.len() {
                let (below, layers) = layers.split_at_mut(i);
                let x = below.last().map_or(x, |layer| &layer.state[..output]);
                layers[0].step(cell, team, x);
            }
        });
        self.layers.last().map_or(&[], |layer| &layer.state[..output])
    }

    /// Goes on from another state.
    ///
    /// # Errors
    /// When it is of another network or of more rows than one.
    pub fn set_state(&mut self, state: &State) -> Result<()> {
        for (i, layer) in self.layers.iter_mut().enumerate() {
            check(&self.config, state.get(i, 0))?;
            layer.state = vector(&state.get(i, 0).flatten_all()?)?;
        }
        Ok(())
    }

    /// The state after the steps so far, of one row.
    ///
    /// # Errors
    /// Never, unless memory runs out.
    pub fn state(&self) -> Result<State> {
        let tensor = |layer: &Layer| Tensor::from_slice(&layer.state, (1, layer.state.len()), &Device::Cpu);
        Ok(State::new(&self.config, self.layers.iter().map(tensor).collect::<Result<_>>()?))
    }
}

/// A state of a single row, as wide as the network's.
fn check(config: &RnnConfig, state: &Tensor) -> Result<()> {
    match state.dims() {
        [1, width] if *width == config.cell.state_size(config.hidden_size) => Ok(()),
        dims => bail!("a stepper reads one sequence; this state has the shape {dims:?}"),
    }
}

impl Layer {
    fn new(
        cell: Cell,
        hidden: usize,
        weights: &CellWeights,
        state: &Tensor,
        precision: Precision,
    ) -> Result<Self> {
        let (mut bias, b_hh) = (vector(&weights.b_ih)?, vector(&weights.b_hh)?);
        if cell != Cell::Gru {
            bias.iter_mut().zip(&b_hh).for_each(|(b, b_hh)| *b += b_hh);
        }
        let matrix = |w: &Tensor| Matrix::new(w, precision);
        let weights = Weights {
            w_ih: matrix(&weights.w_ih)?,
            w_hh: weights.w_hh.iter().map(matrix).collect::<Result<_>>()?,
            w_hr: weights.w_hr.as_ref().map(matrix).transpose()?,
            bias,
            b_hh,
        };
        let state = state.to_dtype(DType::F32)?.flatten_all()?;
        let zeros = |n| vec![0.; n];
        Ok(Self {
            state: vector(&state)?,
            next: zeros(state.elem_count()),
            gates: zeros(cell.gates() * hidden),
            recurrent: zeros(if cell == Cell::Gru { 3 * hidden } else { 0 }),
            kept: zeros(hidden),
            unprojected: zeros(weights.w_hr.as_ref().map_or(0, |_| hidden)),
            weights,
        })
    }

    fn step(&mut self, cell: Cell, team: &Team, x: &[f32]) {
        let Self { weights, state, next, gates, recurrent, kept, unprojected } = self;
        let hidden = kept.len();
        gates.copy_from_slice(&weights.bias);
        weights.w_ih.add_product(team, x, gates);
        match cell {
            Cell::Elman { activation, order } => {
                for (w, h) in weights.w_hh.iter_mut().zip(state.chunks_exact(hidden)) {
                    w.add_product(team, h, gates);
                }
                state.copy_within(..(order - 1) * hidden, hidden);
                run(elman::Step { activation, a: gates, h: &mut state[..hidden] });
            }
            Cell::Gru => {
                recurrent.copy_from_slice(&weights.b_hh);
                weights.w_hh[0].add_product(team, state, recurrent);
                run(gru::Step { hidden, gates, recurrent, h_previous: state, m: kept, h: next });
                std::mem::swap(state, next);
            }
            Cell::Lstm { .. } => {
                let (h_previous, c_previous) = state.split_at(state.len() - hidden);
                weights.w_hh[0].add_product(team, h_previous, gates);
                let (h, c) = next.split_at_mut(h_previous.len());
                match &mut weights.w_hr {
                    None => run(lstm::Step { hidden, gates, c_previous, c, tanh_c: kept, h }),
                    Some(w_hr) => {
                        run(lstm::Step { hidden, gates, c_previous, c, tanh_c: kept, h: unprojected });
                        h.fill(0.);
                        w_hr.add_product(team, unprojected, h);
                    }
                }
                std::mem::swap(state, next);
            }
        }
    }
}

fn run(kernel: impl Kernel<f32, Output = ()>) {
    f32::dispatch(kernel);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Activation, Generator, Mode, Parameters};

    const CELLS: [Cell; 5] = [
        Cell::Elman { activation: Activation::Tanh, order: 1 },
        Cell::Elman { activation: Activation::Relu, order: 3 },
        Cell::Gru,
        Cell::Lstm { projection: None },
        Cell::Lstm { projection: Some(20) },
    ];

    /// The largest difference between the outputs of a stepper and those of the whole sequence.
    fn difference(cell: Cell, precision: Precision) -> Result<f32> {
        let parameters = Parameters::new(3, DType::F32, &Device::Cpu);
        let config = RnnConfig { layers: 2, ..RnnConfig::new(cell, 19, 40) };
        let rnn = Rnn::new(&config, parameters.builder())?;
        let mut generator = Generator::new(9);
        let xs: Vec<f32> = (0..12 * 19).map(|_| generator.normal() as f32).collect();
        let all = Tensor::from_slice(&xs, (1, 12, 19), &Device::Cpu)?;
        let (_, state) = rnn.forward(&all.narrow(1, 0, 4)?, None, None, &mut Mode::Eval)?;
        let (truth, last) = rnn.forward(&all, None, None, &mut Mode::Eval)?;
        let mut stepper = Stepper::new(&rnn, &state, precision)?;
        let mut most = 0f32;
        for (t, x) in xs.chunks_exact(19).enumerate().skip(4) {
            let ours = Tensor::from_slice(stepper.step(x), rnn.output_size(), &Device::Cpu)?;
            most = most.max((ours - truth.get(0)?.get(t)?)?.abs()?.max_all()?.to_scalar()?);
        }
        for layer in 0..2 {
            let off = (stepper.state()?.get(layer, 0) - last.get(layer, 0))?.abs()?.max_all()?.to_scalar()?;
            most = most.max(off);
        }
        Ok(most)
    }

    #[test]
    fn step_by_step_gives_what_the_whole_sequence_gives() -> Result<()> {
        for cell in CELLS {
            let difference = difference(cell, Precision::F32)?;
            assert!(difference < 1e-5, "{cell:?}: {difference}");
        }
        Ok(())
    }

    #[test]
    fn eight_bits_stay_near() -> Result<()> {
        for cell in CELLS {
            let difference = difference(cell, Precision::Int8)?;
            assert!(0. < difference && difference < 0.1, "{cell:?}: {difference}");
        }
        Ok(())
    }

    #[test]
    fn what_it_cannot_read_is_refused() -> Result<()> {
        let parameters = Parameters::new(3, DType::F32, &Device::Cpu);
        let config = RnnConfig { bidirectional: true, ..RnnConfig::new(Cell::Gru, 2, 3) };
        let both = Rnn::new(&config, parameters.builder())?;
        assert!(Stepper::new(&both, &both.zero_state(1)?, Precision::F32).is_err());
        let forward = Rnn::new(&RnnConfig::new(Cell::Gru, 2, 3), parameters.builder().pp("forward"))?;
        assert!(Stepper::new(&forward, &forward.zero_state(2)?, Precision::F32).is_err());
        let wider = Rnn::new(&RnnConfig::new(Cell::lstm(), 2, 3), parameters.builder().pp("wider"))?;
        assert!(Stepper::new(&forward, &wider.zero_state(1)?, Precision::F32).is_err());
        Ok(())
    }
}
