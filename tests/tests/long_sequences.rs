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
        let time = |xs: &Tensor, times: u32| -> Result<f64> {
            let start = Instant::now();
            for _ in 0..times {
                loss(&rnn, xs)?.backward()?;
            }
            Ok(start.elapsed().as_secs_f64() / f64::from(times))
        };
        // Longer than both, so that neither is the first to ask the system for its memory: fresh
        // pages cost as much as these small steps do.
        let warmup = normal(&mut Generator::new(2), &[1, 20_000, 4], DType::F32)?;
        time(&warmup, 3)?;
        // Other work on the machine only ever makes a run slower: the shortest of several
        // counts. Ten short passes in a row stand as long as one long pass to be disturbed.
        let (mut short_time, mut long_time) = (f64::INFINITY, f64::INFINITY);
        let begun = Instant::now();
        for run in 0.. {
            short_time = short_time.min(time(&short, 10)?);
            long_time = long_time.min(time(&long, 1)?);
            if run >= 3 && (long_time <= 11. * short_time || begun.elapsed() > Duration::from_secs(20)) {
                break;
            }
        }
        let ratio = long_time / short_time;
        assert!(ratio <= 11., "{cell:?}: ten times the steps take {ratio:.1} times as long");
    }
    Ok(())
}
