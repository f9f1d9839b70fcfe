//! The worker that measures burn on its CPU backend, burn-flex.

mod layer;
mod model;
mod weights;

use anyhow::Result;
use burn::tensor::Tensor;
use worker::{Peer, Prepared, Row, numbers, serve};

fn main() -> Result<()> {
    serve(&Peer { prepare, peak: None })
}

fn prepare(row: &Row) -> Result<Prepared> {
    Ok(match row {
        Row::Layer(layer) if layer.lengths.is_some() => Prepared::Unsupported("knows no lengths"),
        Row::Layer(layer) if layer.bidirectional => {
            Prepared::Unsupported("has BiLstm, which this worker does not measure")
        }
        Row::Layer(layer) => Prepared::Ready(Box::new(layer::Pass::new(layer))),
        Row::Recurrent(_) => Prepared::Unsupported("gives no access to these products alone"),
        Row::Train(train) if train.bf16 => Prepared::Unsupported("has no autocast"),
        Row::Train(train) => Prepared::Ready(Box::new(model::Training::new(train))),
        Row::Generate(generate) => Prepared::Ready(Box::new(model::Writing::new(generate))),
    })
}

fn values<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>> {
    tensor.into_data().try_into_vec().map_err(|error| anyhow::anyhow!("{error:?}"))
}

fn root_mean_square<const D: usize>(tensor: Tensor<D>) -> Result<f64> {
    Ok(numbers::root_mean_square(&values(tensor)?))
}
