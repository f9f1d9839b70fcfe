//! The worker that measures candle-nn's own recurrent layers.

mod layer;
mod model;

use anyhow::{Context, Result, anyhow};
use candle_core::Tensor;
use candle_nn::VarMap;
use worker::{Cell, Peer, Prepared, Row, numbers, serve};

/// candle's backward pass calls itself once for each operation: a thousand steps of an LSTM overflow
/// the stack of an ordinary thread. Only what is used of this takes memory.
const STACK: usize = 1 << 30;

fn main() -> Result<()> {
    let worker = std::thread::Builder::new().stack_size(STACK);
    let worker =
        worker.spawn(|| serve(&Peer { prepare, peak: None })).context("no thread with a large stack")?;
    worker.join().map_err(|_| anyhow!("the worker panicked"))?
}

fn prepare(row: &Row) -> Result<Prepared> {
    Ok(match row {
        Row::Layer(layer) if layer.lengths.is_some() => Prepared::Unsupported("knows no lengths"),
        Row::Layer(layer) if layer.bidirectional => Prepared::Unsupported("has one direction"),
        Row::Layer(layer) if layer.cell == Cell::Tanh => Prepared::Unsupported("has no Elman layer"),
        Row::Layer(layer) => Prepared::Ready(Box::new(layer::Pass::new(layer)?)),
        Row::Recurrent(_) => Prepared::Unsupported("gives no access to these products alone"),
        Row::Train(train) if train.bf16 => Prepared::Unsupported("has no autocast"),
        Row::Train(train) => Prepared::Ready(Box::new(model::Training::new(train)?)),
        Row::Generate(generate) => Prepared::Ready(Box::new(model::Writing::new(generate)?)),
    })
}

/// Gives every variable the numbers that it has in all workers.
fn set_weights(variables: &VarMap, hidden: usize) -> Result<()> {
    let variables = variables.data().lock().map_err(|_| anyhow!("the variables are locked"))?;
    for (name, variable) in variables.iter() {
        let values = numbers::fill(name, variable.elem_count(), numbers::scale(name, hidden));
        variable.set(&Tensor::from_vec(values, variable.shape(), variable.device())?)?;
    }
    Ok(())
}

fn root_mean_square(tensor: &Tensor) -> Result<f64> {
    Ok(numbers::root_mean_square(&tensor.flatten_all()?.to_vec1()?))
}
