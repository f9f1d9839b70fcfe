//! Attention and the recurrent layer that attends: the fused paths against plain tensor operations, in
//! value and in gradient, and against finite differences.

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Result, Tensor, Var};
use candle_rnn::attention::{AttentionStepper, Feed, PreparedAttentionRnn};
use candle_rnn::{
    Activation, AttentionRnn, AttentionRnnConfig, AttentionScore, Cell, Generator, Lengths, MatmulPrecision,
    Parameters,
};

const CELLS: [Cell; 5] = [
    Cell::Elman { activation: Activation::Tanh, order: 1 },
    Cell::Elman { activation: Activation::Relu, order: 2 },
    Cell::Gru,
    Cell::Lstm { projection: None },
    Cell::Lstm { projection: Some(3) },
];
const SCORES: [AttentionScore; 2] = [AttentionScore::Additive(5), AttentionScore::Multiplicative];

/// What stands between attention and recurrence.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Between {
    Nothing,
    Gate,
    Feeding,
}

const BETWEEN: [Between; 3] = [Between::Nothing, Between::Gate, Between::Feeding];

struct Case {
    what: String,
    parameters: Parameters,
    layer: AttentionRnn,
    xs: Var,
    state: Var,
    memory: Var,
    lengths: Lengths,
    places: Lengths,
    upstream: Tensor,
}

fn normal(shape: &[usize], dtype: DType, generator: &mut Generator) -> Result<Tensor> {
    let numbers: Vec<f64> = (0..shape.iter().product()).map(|_| generator.normal()).collect();
    Tensor::from_vec(numbers, shape, &Device::Cpu)?.to_dtype(dtype)
}

impl Case {
    fn new(cell: Cell, score: AttentionScore, between: Between, dtype: DType) -> Result<Self> {
        Self::sized([4, 5, 3, 4, 6], cell, score, between, dtype)
    }

    /// Batch, time, input, hidden and places as given.
    fn sized(
        [batch, time, input, hidden, places]: [usize; 5],
        cell: Cell,
        score: AttentionScore,
        between: Between,
        dtype: DType,
    ) -> Result<Self> {
        let config = AttentionRnnConfig {
            cell,
            input_size: input,
            hidden_size: hidden,
            memory_size: 3,
            output_size: 7,
            score,
            input_feeding: between == Between::Feeding,
            gate: between == Between::Gate,
            matmul: MatmulPrecision::Full,
        };
        let parameters = Parameters::new(3, dtype, &Device::Cpu);
        let layer = AttentionRnn::new(&config, parameters.builder())?;
        let mut generator = Generator::new(5);
        let mut draw = |shape: &[usize]| normal(shape, dtype, &mut generator);
        let xs = Var::from_tensor(&draw(&[batch, time, input])?)?;
        let state = Var::from_tensor(&draw(&[batch, cell.state_size(hidden)])?)?;
        let memory = Var::from_tensor(&draw(&[batch, places, 3])?)?;
        let upstream = draw(&[batch, time, 7])?;
        let lengths =
            |most: usize| Lengths::new((0..batch).map(|row| 1 + (row * 3 + most) % most).collect(), most);
        let (lengths, places) = (lengths(time)?, lengths(places)?);
        let what = format!("{cell:?}, {score:?}, {between:?}, {dtype:?}");
        Ok(Self { what, parameters, layer, xs, state, memory, lengths, places, upstream })
    }

    fn all(dtype: DType) -> Result<Vec<Self>> {
        let mut cases = Vec::new();
        for cell in CELLS {
            for score in SCORES {
                for between in BETWEEN {
                    cases.push(Self::new(cell, score, between, dtype)?);
                }
            }
        }
        Ok(cases)
    }

    fn variables(&self) -> Vec<(String, Var)> {
        let inputs = [("input", &self.xs), ("state", &self.state), ("memory", &self.memory)];
        let inputs = inputs.map(|(name, variable)| (name.to_owned(), variable.clone()));
        inputs.into_iter().chain(self.parameters.named()).collect()
    }

    fn run(&self, reference: bool) -> Result<Tensor> {
        let memory = self.layer.memory(&self.memory, &self.places)?;
        let lengths = Some(&self.lengths);
        match reference {
            true => self.layer.reference(&self.xs, lengths, &self.state, &memory),
            false => self.layer.forward(&self.xs, lengths, &self.state, &memory),
        }
    }

    fn loss(&self, reference: bool) -> Result<Tensor> {
        (self.run(reference)? * &self.upstream)?.sum_all()
    }
}

fn largest_difference(a: &Tensor, b: &Tensor) -> Result<f64> {
    (a - b)?.abs()?.flatten_all()?.max(0)?.to_dtype(DType::F64)?.to_scalar()
}

fn gradient(gradients: &GradStore, name: &str, variable: &Var, what: &str) -> Tensor {
    gradients.get(variable).unwrap_or_else(|| panic!("{what}: no gradient of {name}")).clone()
}

#[test]
fn the_fused_path_gives_the_outputs_and_gradients_of_plain_operations() -> Result<()> {
    for (dtype, tolerance) in [(DType::F64, 1e-10), (DType::F32, 2e-5)] {
        for case in Case::all(dtype)? {
            let (ours, truth) = (case.run(false)?, case.run(true)?);
            let difference = largest_difference(&ours, &truth)?;
            assert!(difference < tolerance, "{}: outputs differ by {difference}", case.what);
            let (ours, truth) = (case.loss(false)?.backward()?, case.loss(true)?.backward()?);
            for (name, variable) in case.variables() {
                let ours = gradient(&ours, &name, &variable, &case.what);
                let truth = gradient(&truth, &name, &variable, &case.what);
                let difference = largest_difference(&ours, &truth)?;
                assert!(difference < tolerance, "{}: gradients of {name} differ by {difference}", case.what);
            }
        }
    }
    Ok(())
}

#[test]
fn gradients_agree_with_finite_differences() -> Result<()> {
    const STEP: f64 = 1e-5;
    for score in SCORES {
        for between in BETWEEN {
            let case = Case::new(Cell::Gru, score, between, DType::F64)?;
            let gradients = case.loss(false)?.backward()?;
            for (name, variable) in case.variables() {
                let analytic =
                    gradient(&gradients, &name, &variable, &case.what).flatten_all()?.to_vec1::<f64>()?;
                let values = variable.flatten_all()?.to_vec1::<f64>()?;
                for (i, analytic) in analytic.into_iter().enumerate() {
                    let at = |step: f64| -> Result<f64> {
                        let mut moved = values.clone();
                        moved[i] += step;
                        variable.set(&Tensor::from_vec(moved, variable.shape(), &Device::Cpu)?)?;
                        case.loss(false)?.to_scalar()
                    };
                    let numeric = (at(STEP)? - at(-STEP)?) / (2. * STEP);
                    at(0.)?;
                    let tolerance = 1e-7 * (1. + numeric.abs());
                    assert!(
                        (analytic - numeric).abs() < tolerance,
                        "{}: {name} {i}: {analytic} against {numeric}",
                        case.what
                    );
                }
            }
        }
    }
    Ok(())
}

#[test]
fn several_threads_give_what_one_gives() -> Result<()> {
    // Large enough for walks on several threads.
    let sizes = [9, 14, 40, 96, 11];
    for score in [AttentionScore::Additive(33), AttentionScore::Multiplicative] {
        for between in BETWEEN {
            let case = Case::sized(sizes, Cell::lstm(), score, between, DType::F32)?;
            let on = |threads: usize| -> Result<Vec<Tensor>> {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
                pool.install(|| {
                    let gradients = case.loss(false)?.backward()?;
                    let of =
                        |(name, variable): &(String, Var)| gradient(&gradients, name, variable, &case.what);
                    Ok([case.run(false)?].into_iter().chain(case.variables().iter().map(of)).collect())
                })
            };
            let (one, three, again) = (on(1)?, on(3)?, on(3)?);
            for ((one, three), again) in one.iter().zip(&three).zip(&again) {
                let size = one.abs()?.flatten_all()?.max(0)?.to_scalar::<f32>()?;
                let difference = largest_difference(one, three)?;
                assert!(difference < 1e-5 * (1. + f64::from(size)), "{}: {difference}", case.what);
                assert_eq!(largest_difference(three, again)?, 0., "{}: not the same bits", case.what);
            }
        }
    }
    Ok(())
}

#[test]
fn what_stands_on_padding_changes_nothing() -> Result<()> {
    for score in SCORES {
        for between in BETWEEN {
            let case = Case::new(Cell::Gru, score, between, DType::F32)?;
            let clean = case.run(false)?;
            let mut memory = case.memory.to_vec3::<f32>()?;
            let mut xs = case.xs.to_vec3::<f32>()?;
            for (row, &length) in case.places.as_slice().iter().enumerate() {
                memory[row][length..].iter_mut().flatten().for_each(|x| *x = f32::NAN);
            }
            for (row, &length) in case.lengths.as_slice().iter().enumerate() {
                xs[row][length..].iter_mut().flatten().for_each(|x| *x = f32::INFINITY);
            }
            case.memory.set(&Tensor::new(memory, &Device::Cpu)?)?;
            case.xs.set(&Tensor::new(xs, &Device::Cpu)?)?;
            assert_eq!(largest_difference(&case.run(false)?, &clean)?, 0., "{}", case.what);
        }
    }
    Ok(())
}

#[test]
fn step_by_step_gives_what_the_whole_sequence_gives() -> Result<()> {
    for between in BETWEEN {
        for cell in CELLS {
            for score in SCORES {
                let case = Case::new(cell, score, between, DType::F32)?;
                let memory = case.layer.memory(&case.memory, &case.places)?;
                let truth = case.layer.forward(&case.xs, None, &case.state, &memory)?;
                let prepared = PreparedAttentionRnn::new(&case.layer)?;
                let mut stepper = AttentionStepper::new(&prepared, &case.state, &memory)?;
                // Rows are turned round after every step.
                let backwards: Vec<usize> = (0..stepper.rows()).rev().collect();
                let mut feed = Feed::first(&case.layer, &case.state)?;
                for t in 0..truth.dim(1)? {
                    let of_step = |xs: &Tensor| -> Result<Tensor> {
                        let xs = xs.narrow(1, t, 1)?.squeeze(1)?.contiguous()?;
                        match t % 2 {
                            0 => Ok(xs),
                            _ => xs.index_select(&Tensor::new(&[3u32, 2, 1, 0], &Device::Cpu)?, 0),
                        }
                    };
                    let x = of_step(&case.xs)?;
                    let shares = prepared.input_shares(&x.flatten_all()?.to_vec1::<f32>()?);
                    let shares: Vec<&[f32]> = shares.chunks_exact(shares.len() / 4).collect();
                    let ours = stepper.step(&shares);
                    let ours = Tensor::from_slice(ours, (4, 7), &Device::Cpu)?;
                    let difference = largest_difference(&ours, &of_step(&truth)?)?;
                    assert!(difference < 1e-5, "{}, step {t}: {difference}", case.what);
                    let memory = if t % 2 == 0 { memory.clone() } else { memory.rows(&backwards)? };
                    let attended;
                    (feed, attended) = case.layer.step(&x, &feed, &memory)?;
                    let ours = Tensor::from_slice(stepper.attended(), (4, 6), &Device::Cpu)?;
                    assert!(largest_difference(&ours, &attended)? < 1e-5, "{}, step {t}", case.what);
                    assert!(largest_difference(&feed.vector, &of_step(&truth)?)? < 1e-5);
                    stepper.select(&backwards);
                    feed = feed.rows(&Tensor::new(&[3u32, 2, 1, 0], &Device::Cpu)?)?;
                }
            }
        }
    }
    Ok(())
}

#[test]
fn a_loss_of_where_is_looked_has_the_gradients_of_plain_operations() -> Result<()> {
    for score in SCORES {
        for between in [Between::Nothing, Between::Gate] {
            let case = Case::new(Cell::Gru, score, between, DType::F64)?;
            let memory = case.layer.memory(&case.memory, &case.places)?;
            let attend =
                || case.layer.forward_with_weights(&case.xs, Some(&case.lengths), &case.state, &memory);
            let (vectors, weights) = attend()?;
            assert_eq!(largest_difference(&vectors, &case.run(false)?)?, 0.);
            // Rows of the memory's padding are not looked at.
            let sums = weights.sum(2)?;
            assert!(largest_difference(&sums, &sums.ones_like()?)? < 1e-12);

            // The plain path's queries are the states, which only the cell's own layer gives.
            let attention =
                candle_rnn::Attention::new(score, 4, 3, case.parameters.builder().pp("attention"))?;
            let queries = Var::from_tensor(&case.upstream.narrow(2, 0, 4)?.contiguous()?)?;
            let places = attention.memory(&case.memory, &case.places)?;
            let factors = case.upstream.narrow(2, 1, 6)?;
            let loss = |(contexts, weights): (Tensor, Tensor)| {
                (weights.sqr()? * &factors)?.sum_all()? + contexts.sqr()?.sum_all()?
            };
            let ours = loss(attention.forward_with_weights(&queries, &places)?)?.backward()?;
            let truth = loss(attention.reference(&queries, &places)?)?.backward()?;
            let named = case.parameters.named().into_iter().filter(|(name, _)| name.starts_with("attention"));
            let inputs =
                [("memory".to_owned(), case.memory.clone()), ("queries".to_owned(), queries.clone())];
            for (name, variable) in named.chain(inputs) {
                let ours = gradient(&ours, &name, &variable, &case.what);
                let truth = gradient(&truth, &name, &variable, &case.what);
                assert!(largest_difference(&ours, &truth)? < 1e-10, "{}: {name}", case.what);
            }
        }
        let feeding = Case::new(Cell::Gru, score, Between::Feeding, DType::F64)?;
        let memory = feeding.layer.memory(&feeding.memory, &feeding.places)?;
        assert!(feeding.layer.forward_with_weights(&feeding.xs, None, &feeding.state, &memory).is_err());
    }
    Ok(())
}
