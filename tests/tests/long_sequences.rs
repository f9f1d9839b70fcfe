//! A layer is one node of the graph: long sequences neither overflow the stack nor cost more
//! than their length.

use std::time::{Duration, Instant};

use candle_core::{DType, Device, Result, Tensor, Var};
use candle_rnn::{Cell, Generator, Mode, Parameters, Rnn, RnnConfig};
use end_to_end::{assert_every_variable_learns, normal};

fn network(cell: Cell) -> Result<(Parameters, Rnn)> {
    let parameters = Parameters::new(1, DType::F32, &Device::Cpu);
    let rnn = Rnn::new(&RnnConfig::new(cell, 4, 16), parameters.builder())?;
    Ok((parameters, rnn))
}

fn loss(rnn: &Rnn, xs: &Tensor) -> Result<Tensor> {
    let (output, _) = rnn.forward(xs, None, None, &mut Mode::Eval)?;
    output.sqr()?.mean_all()
}

#[test]
fn a_backward_pass_over_20_000_steps_fits_an_ordinary_test_thread() -> Result<()> {
    for cell in [Cell::tanh(), Cell::Gru, Cell::lstm()] {
        let (parameters, rnn) = network(cell)?;
        let xs = Var::from_tensor(&normal(&mut Generator::new(2), &[1, 20_000, 4], DType::F32)?)?;
        let loss = loss(&rnn, &xs)?;
        assert_every_variable_learns(&parameters, &loss)?;
        let gradients = loss.backward()?;
        let first = gradients.get(&xs).expect("the input is a variable").narrow(1, 0, 1)?;
        assert!(first.abs()?.sum_all()?.to_scalar::<f32>()? > 0., "{cell:?}: the first step has no gradient");
    }
    Ok(())
}

#[test]
fn time_grows_linearly_with_the_length() -> Result<()> {
    for cell in [Cell::tanh(), Cell::Gru, Cell::lstm()] {
        let (_, rnn) = network(cell)?;
        let short = normal(&mut Generator::new(2), &[1, 1_000, 4], DType::F32)?;
        let long = normal(&mut Generator::new(2), &[1, 10_000, 4], DType::F32)?;
        let time = |xs: &Tensor| -> Result<Duration> {
            let start = Instant::now();
            loss(&rnn, xs)?.backward()?;
            Ok(start.elapsed())
        };
        // Other work on the machine only ever makes a run slower: the shortest of several counts.
        let (mut shortest, mut ratio) = ((Duration::MAX, Duration::MAX), f64::INFINITY);
        for run in 0..40 {
            shortest = (shortest.0.min(time(&short)?), shortest.1.min(time(&long)?));
            ratio = shortest.1.as_secs_f64() / shortest.0.as_secs_f64();
            if run >= 3 && ratio <= 11. {
                break;
            }
        }
        assert!(ratio <= 11., "{cell:?}: ten times the steps take {ratio:.1} times as long ({shortest:?})");
    }
    Ok(())
}
