//! A whole layer over all time steps as **one node** of the autograd graph.
//!
//! Constraint: candle's `backward()` recurses over the graph, so a network unrolled step by step
//! overflows the stack after some thousand steps, and a slice per step costs a full zero tensor
//! each in the backward pass. Solution: one custom operation per layer and direction that walks
//! the steps itself, forward and backward (Werbos 1990, *Backpropagation through time: what it
//! does and how to do it*).
//!
//! A custom operation of candle takes at most three inputs and gives one output, so the weights
//! travel as one flat tensor (`pack_weights`), and the outputs and the final state come
//! back as one flat tensor (`h_1 … h_T` of every row, then the state of every row).
//!
//! | path | for |
//! |---|---|
//! | `cpu` | f32 and f64 on the CPU: hand-written backpropagation through time |
//! | `stepwise` | other devices and types: a loop over plain tensor operations inside the node |
//! | [`mod@reference`] | the truth for the tests: every step in the graph |

use std::sync::Mutex;

use candle_core::backend::BackendStorage;
use candle_core::{
    CpuStorage, CudaStorage, CustomOp3, DType, Layout, MetalStorage, Result, Shape, Storage, Tensor,
};

use crate::Lengths;
use crate::bptt::{GradientFlow, Reduction};
use crate::cell::{Cell, CellWeights};

mod cpu;
pub mod reference;
mod stepwise;

/// One layer in one direction over a padded batch: what every path takes.
pub struct Sequence<'a> {
    /// The neuron.
    pub cell: Cell,
    /// Its weights.
    pub weights: &'a CellWeights,
    /// `[batch, time, input]`
    pub xs: &'a Tensor,
    /// Valid steps of every row; all of them without.
    pub lengths: Option<&'a Lengths>,
    /// `[batch, state_size]`
    pub state: &'a Tensor,
    /// From each row's last valid step to its first.
    pub reverse: bool,
    /// How the steps' contributions to the gradients of the weights are put together.
    pub reduction: Reduction,
    /// Where the norms ‖∂L/∂h_t‖ go, under this layer and direction.
    pub flow: Option<(GradientFlow, usize, usize)>,
}

/// The sizes of one layer.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    batch: usize,
    time: usize,
    input: usize,
    hidden: usize,
    /// Size of `h_t`: `hidden`, or the projection.
    output: usize,
    /// Width of the state.
    state: usize,
    /// Rows of `weight_ih`: gates · hidden.
    gates: usize,
    /// Memory order K.
    order: usize,
}

impl Sizes {
    fn of(sequence: &Sequence) -> Result<Self> {
        let (batch, time, input) = sequence.xs.dims3()?;
        let gates = sequence.weights.w_ih.dim(0)?;
        let hidden = gates / sequence.cell.gates();
        Ok(Self {
            batch,
            time,
            input,
            hidden,
            output: sequence.cell.output_size(hidden),
            state: sequence.cell.state_size(hidden),
            gates,
            order: sequence.cell.order(),
        })
    }

    /// Elements of the flat weights, part by part, in the order of [`pack_weights`].
    fn weight_parts(&self, cell: Cell) -> [usize; 5] {
        let projection = match cell {
            Cell::Lstm { projection: Some(size) } => size * self.hidden,
            _ => 0,
        };
        [self.gates * self.input, self.gates * self.output * self.order, self.gates, self.gates, projection]
    }
}

/// Runs a layer: outputs `[batch, time, output]`, zero on padding, and the final state
/// `[batch, state_size]`.
pub fn forward(sequence: Sequence) -> Result<(Tensor, Tensor)> {
    let sizes = Sizes::of(&sequence)?;
    let op = SequenceOp {
        cell: sequence.cell,
        sizes,
        lengths: match sequence.lengths {
            Some(lengths) => lengths.clone(),
            None => Lengths::new(vec![sizes.time; sizes.batch], sizes.time)?,
        },
        reverse: sequence.reverse,
        reduction: sequence.reduction,
        flow: sequence.flow.clone(),
        saved: Mutex::new(None),
    };
    let weights = pack_weights(sequence.weights)?;
    let xs = sequence.xs.contiguous()?;
    let state = sequence.state.contiguous()?;
    let packed = if op.on_cpu(&xs) {
        xs.apply_op3(&weights, &state, op)?
    } else {
        let result = stepwise::forward(&op, &xs.detach(), &weights.detach(), &state.detach())?;
        *op.saved.lock().expect("no panic holds the lock") = Some(Saved::Result(result));
        xs.apply_op3(&weights, &state, op)?
    };
    let outputs = sizes.batch * sizes.time * sizes.output;
    let ys = packed.narrow(0, 0, outputs)?.reshape((sizes.batch, sizes.time, sizes.output))?;
    let last = packed.narrow(0, outputs, sizes.batch * sizes.state)?;
    Ok((ys, last.reshape((sizes.batch, sizes.state))?))
}

/// `w_ih`, `w_hh` of lag 1 … K, `b_ih`, `b_hh`, `w_hr`, flat and one after the other.
fn pack_weights(weights: &CellWeights) -> Result<Tensor> {
    let mut parts = vec![weights.w_ih.flatten_all()?];
    for w_hh in &weights.w_hh {
        parts.push(w_hh.flatten_all()?);
    }
    parts.push(weights.b_ih.clone());
    parts.push(weights.b_hh.clone());
    if let Some(w_hr) = &weights.w_hr {
        parts.push(w_hr.flatten_all()?);
    }
    Tensor::cat(&parts, 0)
}

/// The node. What the forward pass saves for the backward pass lives in `saved`.
struct SequenceOp {
    cell: Cell,
    sizes: Sizes,
    lengths: Lengths,
    reverse: bool,
    reduction: Reduction,
    flow: Option<(GradientFlow, usize, usize)>,
    saved: Mutex<Option<Saved>>,
}

enum Saved {
    F32(cpu::Saved<f32>),
    F64(cpu::Saved<f64>),
    /// The forward result of the stepwise path, handed to the graph by `result`.
    Result(Tensor),
}

impl SequenceOp {
    fn on_cpu(&self, xs: &Tensor) -> bool {
        xs.device().is_cpu() && matches!(xs.dtype(), DType::F32 | DType::F64)
    }

    /// Elements of the flat result: every row's outputs, then every row's state.
    fn result_size(&self) -> usize {
        self.sizes.batch * (self.sizes.time * self.sizes.output + self.sizes.state)
    }

    /// The factor on the gradients of the weights: 1 for the sum over the steps, 1/T for the mean.
    fn weight_scale(&self) -> f64 {
        match self.reduction {
            Reduction::Sum => 1.,
            Reduction::Mean => {
                let steps = self.lengths.as_slice().iter().max().copied().unwrap_or(1);
                1. / steps as f64
            }
        }
    }

    /// Writes ‖∂L/∂h_t‖ for every step, `squares[s]` being of the s-th step walked.
    fn record_flow(&self, squares: Vec<f64>) {
        if let Some((flow, layer, direction)) = &self.flow {
            let mut norms: Vec<f64> = squares.into_iter().map(f64::sqrt).collect();
            if self.reverse {
                norms.reverse();
            }
            flow.record(*layer, *direction, norms);
        }
    }

    /// The result that the stepwise path has already computed, as storage of its device.
    fn result<S>(&self, take: impl Fn(&Storage) -> Result<S>) -> Result<(S, Shape)> {
        match &*self.saved.lock().expect("no panic holds the lock") {
            Some(Saved::Result(result)) => {
                let (storage, layout) = result.storage_and_layout();
                Ok((take(&storage)?, layout.shape().clone()))
            }
            _ => candle_core::bail!("rnn-sequence: no forward result for this device"),
        }
    }
}

impl CustomOp3 for SequenceOp {
    fn name(&self) -> &'static str {
        "rnn-sequence"
    }

    fn cpu_fwd(
        &self,
        xs: &CpuStorage,
        lx: &Layout,
        weights: &CpuStorage,
        lw: &Layout,
        state: &CpuStorage,
        ls: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (result, saved) = match (xs, weights, state) {
            (CpuStorage::F32(x), CpuStorage::F32(w), CpuStorage::F32(s)) => {
                let (y, saved) =
                    cpu::forward(self, cpu::slice(x, lx)?, cpu::slice(w, lw)?, cpu::slice(s, ls)?);
                (CpuStorage::F32(y), Saved::F32(saved))
            }
            (CpuStorage::F64(x), CpuStorage::F64(w), CpuStorage::F64(s)) => {
                let (y, saved) =
                    cpu::forward(self, cpu::slice(x, lx)?, cpu::slice(w, lw)?, cpu::slice(s, ls)?);
                (CpuStorage::F64(y), Saved::F64(saved))
            }
            _ => {
                return self.result(|storage| match storage {
                    Storage::Cpu(storage) => Ok(storage.clone()),
                    _ => candle_core::bail!("rnn-sequence: inputs on different devices"),
                });
            }
        };
        *self.saved.lock().expect("no panic holds the lock") = Some(saved);
        Ok((result, Shape::from(self.result_size())))
    }

    fn cuda_fwd(
        &self,
        _: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        self.result(|storage| match storage {
            Storage::Cuda(storage) => storage.try_clone(&Layout::contiguous(self.result_size())),
            _ => candle_core::bail!("rnn-sequence: inputs on different devices"),
        })
    }

    fn metal_fwd(
        &self,
        _: &MetalStorage,
        _: &Layout,
        _: &MetalStorage,
        _: &Layout,
        _: &MetalStorage,
        _: &Layout,
    ) -> Result<(MetalStorage, Shape)> {
        self.result(|storage| match storage {
            Storage::Metal(storage) => storage.try_clone(&Layout::contiguous(self.result_size())),
            _ => candle_core::bail!("rnn-sequence: inputs on different devices"),
        })
    }

    fn bwd(
        &self,
        xs: &Tensor,
        weights: &Tensor,
        state: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let gradient = gradient.contiguous()?;
        let (dx, dw, ds) = match &*self.saved.lock().expect("no panic holds the lock") {
            Some(Saved::F32(saved)) => cpu::backward(self, saved, weights, &gradient)?,
            Some(Saved::F64(saved)) => cpu::backward(self, saved, weights, &gradient)?,
            _ => stepwise::backward(self, &xs.detach(), &weights.detach(), &state.detach(), &gradient)?,
        };
        Ok((Some(dx), Some(dw), Some(ds)))
    }
}
