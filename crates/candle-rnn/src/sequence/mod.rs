//! A whole layer over all time steps as **one node** of the autograd graph.
//!
//! Constraint: candle's `backward()` recurses over the graph, so a network unrolled step by step
//! overflows the stack after some thousand steps, and a slice per step costs a full zero tensor
//! each in the backward pass. Solution: one custom operation per layer and direction that walks
//! the steps itself, forward and backward (Werbos 1990, *Backpropagation through time: what it
//! does and how to do it*).
//!
//! | path | for |
//! |---|---|
//! | `cpu` | f32 and f64 on the CPU: hand-written backpropagation through time |
//! | `stepwise` | other devices and types: a loop over plain tensor operations inside the node |
//! | [`mod@reference`] | the truth for the tests: every step in the graph |
//!
//! A custom operation of candle takes at most three inputs and gives one output, and a layer has
//! more of both. Two small companions of the node close the gap without copying weights:
//!
//! ```text
//! weight ─ weight ─ … ─▶ ticket ─┐
//! input ─────────────────────────┼─▶ sequence ─▶ outputs ─▶ final state
//! initial state ─────────────────┘
//! ```
//!
//! A *ticket* is a tensor of a single zero that depends on a weight (and on the ticket before
//! it), so that the autograd graph knows of the weight; the sequence reads the weights themselves
//! from its own copy of [`CellWeights`], and its backward pass leaves their gradients in a shared
//! place, where the tickets, whose turn comes later, find them. The final state is an operation
//! on the outputs that hands out what the forward pass has left there and takes its gradient
//! back.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candle_core::backend::BackendStorage;
use candle_core::{
    CpuStorage, CudaStorage, CustomOp1, CustomOp2, CustomOp3, Layout, MetalStorage, Result, Shape, Storage,
    Tensor, bail,
};

use crate::bptt::{GradientFlow, Reduction};
use crate::cell::{Cell, CellWeights};
use crate::kernels::{self, numbers};
use crate::{Lengths, MatmulPrecision};
use feeding::{Feeding, PlainStep};

pub(crate) mod cpu;
pub(crate) mod feeding;
pub mod reference;
mod stepwise;

/// One layer in one direction over a padded batch: what every path takes.
pub struct Sequence<'a> {
    /// The neuron.
    pub cell: Cell,
    /// Its weights.
    pub weights: &'a CellWeights,
    /// Attention that feeds back, if the layer has it.
    pub feeding: Option<&'a Feeding>,
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
    /// How exactly the factors of matrix products are held, on the CPU.
    pub matmul: MatmulPrecision,
    /// Where the norms ‖∂L/∂h_t‖ go, under this layer and direction.
    pub flow: Option<(GradientFlow, usize, usize)>,
}

/// Runs a layer: outputs `[batch, time, output]` (with input feeding, the attentional vectors), zero on
/// padding, and the final state `[batch, state_size]` of the cell.
pub fn forward(sequence: Sequence) -> Result<(Tensor, Tensor)> {
    let sizes = Sizes::of(&sequence)?;
    let layer = Layer {
        cell: sequence.cell,
        sizes,
        lengths: match sequence.lengths {
            Some(lengths) => lengths.clone(),
            None => Lengths::new(vec![sizes.time; sizes.batch], sizes.time)?,
        },
        reverse: sequence.reverse,
        reduction: sequence.reduction,
        matmul: sequence.matmul,
        flow: sequence.flow.clone(),
    };
    let exchange = Arc::new(Exchange::default());
    let weights = Weights { cell: sequence.weights.clone(), feeding: sequence.feeding.cloned() };
    let ticket = exchange.ticket(&weights.tensors(), sequence.xs)?;
    let (xs, state) = (sequence.xs.contiguous()?, sequence.state.contiguous()?);
    let weights = weights.try_map(|weight| Ok(weight.detach()))?;
    if !kernels::take(&xs) {
        let (ys, last) = stepwise::forward(&layer, &weights, &xs.detach(), &state.detach())?;
        exchange.lock().result = Some(ys);
        exchange.lock().last = Some(last);
    }
    let node = SequenceOp { layer, weights, exchange: exchange.clone(), saved: Mutex::new(None) };
    let ys = xs.apply_op3(&ticket, &state, node)?;
    let last = ys.apply_op1(FinalState(exchange))?;
    Ok((ys, last))
}

/// All tensors of a layer but its input and initial state.
#[derive(Clone)]
struct Weights {
    cell: CellWeights,
    feeding: Option<Feeding>,
}

impl Weights {
    /// Those of the cell, in the order of [`CellWeights::tensors`], then those of the feeding.
    fn tensors(&self) -> Vec<&Tensor> {
        let feeding = self.feeding.iter().flat_map(Feeding::tensors);
        self.cell.tensors().into_iter().chain(feeding).collect()
    }

    /// `f` of each.
    fn try_map(&self, f: impl Fn(&Tensor) -> Result<Tensor>) -> Result<Self> {
        let feeding = self.feeding.as_ref().map(|feeding| feeding.try_map(&f)).transpose()?;
        Ok(Self { cell: self.cell.try_map(&f)?, feeding })
    }

    fn plain_step(&self, cell: Cell) -> PlainStep<'_> {
        PlainStep { cell, weights: &self.cell, feeding: self.feeding.as_ref() }
    }
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
}

/// What a path has to know beside the tensors.
struct Layer {
    cell: Cell,
    sizes: Sizes,
    lengths: Lengths,
    reverse: bool,
    reduction: Reduction,
    matmul: MatmulPrecision,
    flow: Option<(GradientFlow, usize, usize)>,
}

impl Layer {
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

    /// Writes ‖∂L/∂h_t‖ for every time step from the squares of parts of the batch.
    fn record_flow<'a>(&self, parts: impl Iterator<Item = &'a [f64]>) {
        if let Some((flow, layer, direction)) = &self.flow {
            let mut norms = vec![0.; self.sizes.time];
            for squares in parts {
                norms.iter_mut().zip(squares).for_each(|(sum, square)| *sum += square);
            }
            norms.iter_mut().for_each(|norm| *norm = norm.sqrt());
            flow.record(*layer, *direction, norms);
        }
    }
}

/// Which gradients the graph asks for.
#[derive(Clone, Copy)]
struct Wanted {
    xs: bool,
    weights: bool,
    state: bool,
}

/// What a backward pass gives; what was not wanted may be missing.
struct Gradients {
    xs: Option<Tensor>,
    /// In the order of [`Weights::tensors`].
    weights: Vec<Tensor>,
    state: Option<Tensor>,
}

/// What a node and its companions leave for each other.
#[derive(Default)]
pub(crate) struct Exchange(Mutex<Left>);

#[derive(Default)]
struct Left {
    /// Outputs, where they were computed before the node was made.
    result: Option<Tensor>,
    /// Final state.
    last: Option<Tensor>,
    /// `∂L/∂(final state)`
    last_gradient: Option<Tensor>,
    /// Of the inputs of a ticket.
    gradients: Vec<Option<Tensor>>,
}

impl Exchange {
    /// A tensor that depends on all `inputs`, of the type of `like`: their gradients are those that
    /// the node which takes it will [`leave`](Self::leave).
    pub fn ticket(self: &Arc<Self>, inputs: &[&Tensor], like: &Tensor) -> Result<Tensor> {
        let nothing = Tensor::zeros(1, like.dtype(), like.device())?;
        inputs.iter().enumerate().try_fold(nothing, |ticket, (index, input)| {
            ticket.apply_op2(input, Ticket { index, exchange: self.clone() })
        })
    }

    /// Hands the gradients of a ticket's inputs, in their order, to the graph.
    pub fn leave(&self, gradients: impl IntoIterator<Item = Tensor>) {
        self.lock().gradients = gradients.into_iter().map(Some).collect();
    }

    fn lock(&self) -> MutexGuard<'_, Left> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A copy of a contiguous tensor as storage of its device.
fn copied<S>(tensor: Option<Tensor>, take: impl Fn(&Storage, &Layout) -> Result<S>) -> Result<(S, Shape)> {
    let Some(tensor) = tensor else { bail!("rnn-sequence: no forward result for this device") };
    let (storage, layout) = tensor.storage_and_layout();
    Ok((take(&storage, layout)?, layout.shape().clone()))
}

fn cpu_copy(storage: &Storage, layout: &Layout) -> Result<CpuStorage> {
    match storage {
        Storage::Cpu(storage) => storage.try_clone(layout),
        _ => bail!("rnn-sequence: inputs on different devices"),
    }
}

fn cuda_copy(storage: &Storage, layout: &Layout) -> Result<CudaStorage> {
    match storage {
        Storage::Cuda(storage) => storage.try_clone(layout),
        _ => bail!("rnn-sequence: inputs on different devices"),
    }
}

fn metal_copy(storage: &Storage, layout: &Layout) -> Result<MetalStorage> {
    match storage {
        Storage::Metal(storage) => storage.try_clone(layout),
        _ => bail!("rnn-sequence: inputs on different devices"),
    }
}

/// Makes an input known to the autograd graph.
struct Ticket {
    index: usize,
    exchange: Arc<Exchange>,
}

impl CustomOp2 for Ticket {
    fn name(&self) -> &'static str {
        "rnn-ticket"
    }

    fn cpu_fwd(
        &self,
        ticket: &CpuStorage,
        layout: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        Ok((ticket.try_clone(layout)?, layout.shape().clone()))
    }

    fn cuda_fwd(
        &self,
        ticket: &CudaStorage,
        layout: &Layout,
        _: &CudaStorage,
        _: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        Ok((ticket.try_clone(layout)?, layout.shape().clone()))
    }

    fn metal_fwd(
        &self,
        ticket: &MetalStorage,
        layout: &Layout,
        _: &MetalStorage,
        _: &Layout,
    ) -> Result<(MetalStorage, Shape)> {
        Ok((ticket.try_clone(layout)?, layout.shape().clone()))
    }

    fn bwd(
        &self,
        _: &Tensor,
        _: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let weight = self.exchange.lock().gradients.get_mut(self.index).and_then(Option::take);
        Ok((Some(gradient.clone()), weight))
    }
}

/// The state after the last step, out of the outputs' node.
struct FinalState(Arc<Exchange>);

impl CustomOp1 for FinalState {
    fn name(&self) -> &'static str {
        "rnn-final-state"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        copied(self.0.lock().last.take(), cpu_copy)
    }

    fn cuda_fwd(&self, _: &CudaStorage, _: &Layout) -> Result<(CudaStorage, Shape)> {
        copied(self.0.lock().last.take(), cuda_copy)
    }

    fn metal_fwd(&self, _: &MetalStorage, _: &Layout) -> Result<(MetalStorage, Shape)> {
        copied(self.0.lock().last.take(), metal_copy)
    }

    fn bwd(&self, outputs: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        self.0.lock().last_gradient = Some(gradient.clone());
        // The node's turn comes only if its outputs have a gradient.
        outputs.zeros_like().map(Some)
    }
}

/// The node.
struct SequenceOp {
    layer: Layer,
    weights: Weights,
    exchange: Arc<Exchange>,
    /// What the forward pass keeps for the backward pass.
    saved: Mutex<Option<Saved>>,
}

enum Saved {
    F32(cpu::Saved<f32>),
    F64(cpu::Saved<f64>),
}

impl SequenceOp {
    fn saved(&self) -> MutexGuard<'_, Option<Saved>> {
        self.saved.lock().unwrap_or_else(PoisonError::into_inner)
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
        _: &CpuStorage,
        _: &Layout,
        state: &CpuStorage,
        ls: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let Sizes { batch, time, .. } = self.layer.sizes;
        let (ys, last, saved) = match (xs, state) {
            (CpuStorage::F32(_), CpuStorage::F32(_)) => {
                let (xs, state) = (numbers(xs, lx)?, numbers(state, ls)?);
                let (ys, last, saved) = cpu::forward(&self.layer, &self.weights, xs, state)?;
                (CpuStorage::F32(ys), last, Saved::F32(saved))
            }
            (CpuStorage::F64(_), CpuStorage::F64(_)) => {
                let (xs, state) = (numbers(xs, lx)?, numbers(state, ls)?);
                let (ys, last, saved) = cpu::forward(&self.layer, &self.weights, xs, state)?;
                (CpuStorage::F64(ys), last, Saved::F64(saved))
            }
            _ => return copied(self.exchange.lock().result.take(), cpu_copy),
        };
        self.exchange.lock().last = Some(last);
        *self.saved() = Some(saved);
        let output = self.weights.plain_step(self.layer.cell).output()?.1;
        Ok((ys, (batch, time, output).into()))
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
        copied(self.exchange.lock().result.take(), cuda_copy)
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
        copied(self.exchange.lock().result.take(), metal_copy)
    }

    fn bwd(
        &self,
        xs: &Tensor,
        ticket: &Tensor,
        state: &Tensor,
        _: &Tensor,
        outputs: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (layer, weights) = (&self.layer, &self.weights);
        let wanted = Wanted { xs: xs.track_op(), weights: ticket.track_op(), state: state.track_op() };
        let last = match self.exchange.lock().last_gradient.take() {
            Some(gradient) => gradient,
            None => state.zeros_like()?,
        };
        let gradients = match &*self.saved() {
            Some(Saved::F32(saved)) => cpu::backward(layer, weights, saved, xs, outputs, &last, wanted)?,
            Some(Saved::F64(saved)) => cpu::backward(layer, weights, saved, xs, outputs, &last, wanted)?,
            None => stepwise::backward(layer, weights, &xs.detach(), &state.detach(), outputs, &last)?,
        };
        self.exchange.leave(gradients.weights);
        Ok((gradients.xs, Some(ticket.zeros_like()?), gradients.state))
    }
}
