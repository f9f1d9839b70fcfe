//! The worker that measures this repository, and the machine's peak.

mod layer;
mod model;
mod peak;
mod recurrent;

use anyhow::Result;
use candle_core::Tensor;
use candle_rnn::Parameters;
use worker::{Peer, Prepared, Row, numbers, serve};

fn main() -> Result<()> {
    // What every binary of ours does first. Safety: so no other thread is running.
    unsafe { app_kit::process::prepare() };
    serve(&Peer { prepare, peak: Some(peak::measure) })
}

fn prepare(row: &Row) -> Result<Prepared> {
    Ok(match row {
        Row::Layer(layer) => Prepared::Ready(Box::new(layer::Pass::new(layer)?)),
        Row::Recurrent(row) => Prepared::Ready(Box::new(recurrent::Walk::new(row))),
        Row::Train(train) if train.bf16 && !candle_rnn::bf16_instructions() => {
            Prepared::Unsupported("this processor has no instructions for bf16")
        }
        Row::Train(train) => Prepared::Ready(Box::new(model::Training::new(train)?)),
        Row::Generate(generate) => Prepared::Ready(Box::new(model::Writing::new(generate)?)),
    })
}

/// Gives every variable the numbers that it has in all workers.
fn set_weights(parameters: &Parameters, hidden: usize) -> Result<()> {
    for (name, variable) in parameters.named() {
        let values = numbers::fill(&name, variable.elem_count(), numbers::scale(&name, hidden));
        variable.set(&Tensor::from_vec(values, variable.shape(), parameters.device())?)?;
    }
    Ok(())
}

fn root_mean_square(tensor: &Tensor) -> Result<f64> {
    Ok(numbers::root_mean_square(&tensor.flatten_all()?.to_vec1()?))
}
