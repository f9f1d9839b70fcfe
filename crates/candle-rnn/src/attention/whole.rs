//! Attention of all queries of a batch as one node of the autograd graph.

use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{CpuStorage, CustomOp2, DType, Device, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::Memory;
use super::row::{Attend, AttendBack, Comparison, Places};
use crate::Lengths;
use crate::kernels::{Real, numbers, with_numbers};
use crate::sequence::Exchange;

/// Contexts `[batch, time, value]` and weights `[batch, time, places]` of `queries
/// [batch, time, key]`; with `v [key]` the comparison is the additive one. The weights have no gradient.
pub(super) fn forward(queries: &Tensor, memory: &Memory, v: Option<&Tensor>) -> Result<(Tensor, Tensor)> {
    apply(queries, memory, v, false)
}

/// The same with weights that have a gradient.
pub(super) fn forward_with_weights(
    queries: &Tensor,
    memory: &Memory,
    v: Option<&Tensor>,
) -> Result<(Tensor, Tensor)> {
    let value = memory.values.dim(2)?;
    let (both, weights) = apply(queries, memory, v, true)?;
    Ok((both.narrow(2, 0, value)?.contiguous()?, both.narrow(2, value, weights.dim(2)?)?))
}

/// `with_weights`: the node's output is contexts and weights side by side.
fn apply(
    queries: &Tensor,
    memory: &Memory,
    v: Option<&Tensor>,
    with_weights: bool,
) -> Result<(Tensor, Tensor)> {
    let (batch, time, key) = queries.dims3()?;
    let (_, places, value) = memory.values.dims3()?;
    if memory.values.dim(0)? != batch || memory.keys.dims() != [batch, places, key] {
        bail!("queries of shape {:?} for keys of shape {:?}", queries.dims(), memory.keys.dims());
    }
    let exchange = Arc::new(Exchange::default());
    let inputs: Vec<&Tensor> = [&memory.values, &memory.keys].into_iter().chain(v).collect();
    let ticket = exchange.ticket(&inputs, queries)?;
    let weights = Arc::default();
    let op = Whole {
        sizes: Sizes { batch, time, places, key, value },
        with_weights,
        lengths: memory.lengths.clone(),
        values: memory.values.detach(),
        keys: memory.keys.detach(),
        v: v.map(Tensor::detach),
        weights: Arc::clone(&weights),
        exchange,
    };
    let contexts = queries.contiguous()?.apply_op2(&ticket, op)?;
    let weights = weights.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match weights {
        Some(weights) => Ok((contexts, weights)),
        None => bail!("attention: no forward result for this device"),
    }
}

#[derive(Clone, Copy)]
struct Sizes {
    batch: usize,
    time: usize,
    places: usize,
    key: usize,
    value: usize,
}

struct Whole {
    sizes: Sizes,
    with_weights: bool,
    lengths: Lengths,
    values: Tensor,
    keys: Tensor,
    v: Option<Tensor>,
    /// `[batch, time, places]`, after the forward pass.
    weights: Arc<Mutex<Option<Tensor>>>,
    exchange: Arc<Exchange>,
}

/// The gradients of queries, values, keys and v.
struct Gradients<R> {
    queries: Vec<R>,
    values: Vec<R>,
    keys: Vec<R>,
    v: Vec<R>,
}

impl Whole {
    /// `f` of the values, the keys and v (which may be empty).
    fn with_memory<R: Real, T>(&self, f: impl FnOnce(&[R], &[R], &[R]) -> T) -> Result<T> {
        with_numbers(&self.values, |values| {
            with_numbers(&self.keys, |keys| match &self.v {
                Some(v) => with_numbers(v, |v| f(values, keys, v)),
                None => Ok(f(values, keys, &[])),
            })
        })??
    }

    /// Numbers of the output for each query.
    fn width(&self) -> usize {
        let Sizes { places, value, .. } = self.sizes;
        if self.with_weights { value + places } else { value }
    }

    fn comparison<'a, R>(&self, v: &'a [R]) -> Comparison<'a, R> {
        match self.v {
            Some(_) => Comparison::Additive(v),
            None => Comparison::Multiplicative,
        }
    }

    fn forward<R: Real>(&self, queries: &[R]) -> Result<(CpuStorage, Shape)> {
        let Sizes { batch, time, places, key, value } = self.sizes;
        let mut weights = vec![R::zero(); batch * time * places];
        let width = self.width();
        let mut outputs = vec![R::zero(); batch * time * width];
        self.with_memory(|values: &[R], keys, v| {
            let comparison = self.comparison(v);
            let rows = weights.par_chunks_mut(time * places).zip(outputs.par_chunks_mut(time * width));
            let rows = rows.zip(queries.par_chunks(time * key)).zip(self.lengths.as_slice()).enumerate();
            rows.for_each(|(row, (((weights, outputs), queries), &length))| {
                let places_of_row = Places {
                    keys: &keys[row * places * key..][..length * key],
                    values: &values[row * places * value..][..length * value],
                };
                let steps = weights.chunks_exact_mut(places).zip(outputs.chunks_exact_mut(width));
                for ((weights, output), query) in steps.zip(queries.chunks_exact(key)) {
                    let (context, again) = output.split_at_mut(value);
                    let attended = &mut weights[..length];
                    let places = places_of_row;
                    R::dispatch(Attend { comparison, places, query, weights: attended, context });
                    again.copy_from_slice(&weights[..again.len()]);
                }
            });
        })?;
        let weights = Tensor::from_vec(weights, (batch, time, places), &Device::Cpu)?;
        *self.weights.lock().unwrap_or_else(PoisonError::into_inner) = Some(weights);
        Ok((R::to_cpu_storage_owned(outputs), (batch, time, width).into()))
    }

    fn backward<R: Real>(&self, queries: &Tensor, outputs: &Tensor) -> Result<Option<Tensor>> {
        let Sizes { batch, time, places, key, value } = self.sizes;
        let weights = self.weights.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(weights) = weights else { bail!("attention: a backward pass before the forward pass") };
        let mut gradients = Gradients {
            queries: vec![R::zero(); batch * time * key],
            values: vec![R::zero(); batch * places * value],
            keys: vec![R::zero(); batch * places * key],
            v: vec![R::zero(); self.v.as_ref().map_or(0, Tensor::elem_count)],
        };
        let width = self.width();
        let mut pass = |queries: &[R], weights: &[R], outputs: &[R]| {
            self.with_memory(|values: &[R], keys, v| {
                let comparison = self.comparison(v);
                let Gradients { queries: d_queries, values: d_values, keys: d_keys, v: d_v } = &mut gradients;
                let rows = d_queries.par_chunks_mut(time * key);
                let rows = rows.zip(d_values.par_chunks_mut(places * value));
                let rows = rows.zip(d_keys.par_chunks_mut(places * key)).zip(self.lengths.as_slice());
                let of_rows: Vec<Vec<R>> = rows
                    .enumerate()
                    .map(|(row, (((d_queries, d_values), d_keys), &length))| {
                        let places_of_row = Places {
                            keys: &keys[row * places * key..][..length * key],
                            values: &values[row * places * value..][..length * value],
                        };
                        let mut d_v = vec![R::zero(); v.len()];
                        let mut scores = vec![R::zero(); length];
                        for (step, d_query) in d_queries.chunks_exact_mut(key).enumerate() {
                            let at = row * time + step;
                            let (context, d_weights) = outputs[at * width..][..width].split_at(value);
                            R::dispatch(AttendBack {
                                comparison,
                                places: places_of_row,
                                query: &queries[at * key..][..key],
                                weights: &weights[at * places..][..length],
                                context,
                                d_weights: &d_weights[..length.min(d_weights.len())],
                                scores: &mut scores,
                                d_query,
                                d_keys: &mut d_keys[..length * key],
                                d_values: &mut d_values[..length * value],
                                d_v: &mut d_v,
                            });
                        }
                        d_v
                    })
                    .collect();
                for row in of_rows {
                    d_v.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
                }
            })
        };
        with_numbers(queries, |queries| {
            with_numbers(&weights, |weights| with_numbers(outputs, |outputs| pass(queries, weights, outputs)))
        })????;
        let Gradients { queries: d_queries, values, keys, v } = gradients;
        let tensor = |numbers, like: &Tensor| Tensor::from_vec(numbers, like.shape(), &Device::Cpu);
        let v = self.v.as_ref().map(|like| tensor(v, like)).transpose()?;
        let memory = [tensor(values, &self.values)?, tensor(keys, &self.keys)?];
        self.exchange.leave(memory.into_iter().chain(v));
        tensor(d_queries, queries).map(Some)
    }
}

impl CustomOp2 for Whole {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(
        &self,
        queries: &CpuStorage,
        layout: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        match queries {
            CpuStorage::F32(_) => self.forward::<f32>(numbers(queries, layout)?),
            _ => self.forward::<f64>(numbers(queries, layout)?),
        }
    }

    fn bwd(
        &self,
        queries: &Tensor,
        ticket: &Tensor,
        _: &Tensor,
        outputs: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let d_queries = match queries.dtype() {
            DType::F32 => self.backward::<f32>(queries, outputs)?,
            _ => self.backward::<f64>(queries, outputs)?,
        };
        Ok((d_queries, Some(ticket.zeros_like()?)))
    }
}
