//! What a search asks of a decoder that attends: sequences on their way, side by side.

use std::marker::PhantomData;

use candle_core::{DType, Device, Tensor};
use candle_rnn::attention::{AttentionStepper, Feed, PreparedAttentionRnn};
use candle_rnn::{AttentionRnn, Embedding, Linear, Memory, SoftmaxLayer, log_softmax_rows};

use crate::Hypotheses;

/// The parts of a decoder, made ready to write: vectors of symbols, a recurrent layer that attends, and the
/// layer that scores the symbols to come.
pub struct AttentionDecoder {
    embedding: Embedding,
    layer: AttentionRnn,
    output: Linear,
    /// On the CPU.
    prepared: Option<Prepared>,
}

struct Prepared {
    /// What each symbol adds to the gates, `[vocab, gates]`.
    shares: Vec<f32>,
    layer: PreparedAttentionRnn,
    output: SoftmaxLayer,
}

impl AttentionDecoder {
    /// The layers as they are now; training on is not seen.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn new(embedding: &Embedding, layer: &AttentionRnn, output: &Linear) -> candle_core::Result<Self> {
        let weight = embedding.weight();
        let prepared = match weight.device() {
            Device::Cpu => {
                let layer = PreparedAttentionRnn::new(layer)?;
                let vectors: Vec<f32> = weight.flatten_all()?.to_dtype(DType::F32)?.to_vec1()?;
                let shares = layer.input_shares(&vectors);
                Some(Prepared { shares, layer, output: SoftmaxLayer::new(output)? })
            }
            _ => None,
        };
        let (embedding, layer, output) = (embedding.clone(), layer.clone(), output.clone());
        Ok(Self { embedding, layer, output, prepared })
    }

    /// Begins a sequence for each memory, the cell in `state [rows, state_size]`. `E` is the error of the
    /// search.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn begin<E>(&self, state: &Tensor, memory: &Memory) -> candle_core::Result<Attending<'_, E>> {
        let path = match &self.prepared {
            Some(prepared) => {
                Path::Prepared { prepared, stepper: AttentionStepper::new(&prepared.layer, state, memory)? }
            }
            None => Path::Tensors {
                feed: Feed::first(&self.layer, state)?,
                memory: memory.clone(),
                attended: Vec::new(),
            },
        };
        Ok(Attending { decoder: self, path, error: PhantomData })
    }
}

/// Sequences on their way.
pub struct Attending<'a, E> {
    decoder: &'a AttentionDecoder,
    path: Path<'a>,
    error: PhantomData<fn() -> E>,
}

enum Path<'a> {
    /// On the CPU.
    Prepared { prepared: &'a Prepared, stepper: AttentionStepper<'a> },
    /// On another device.
    Tensors { feed: Feed, memory: Memory, attended: Vec<f32> },
}

impl<E: From<candle_core::Error>> Hypotheses for Attending<'_, E> {
    type Error = E;

    fn read(&mut self, symbols: &[u32], log_probs: &mut Vec<f32>) -> Result<(), E> {
        let AttentionDecoder { embedding, layer, output, .. } = self.decoder;
        let vocab = output.output_size()?;
        match &mut self.path {
            Path::Prepared { prepared, stepper } => {
                let gates = prepared.shares.len() / vocab;
                let share = |&symbol: &u32| &prepared.shares[symbol as usize * gates..][..gates];
                let vectors = stepper.step(&symbols.iter().map(share).collect::<Vec<_>>());
                log_probs.resize(symbols.len() * vocab, 0.0);
                prepared.output.log_probs(vectors, log_probs);
            }
            Path::Tensors { feed, memory, attended } => {
                let symbols = Tensor::new(symbols, memory.values().device())?;
                let (next, weights) = layer.step(&embedding.forward(&symbols)?, feed, memory)?;
                let scores = output.forward(&next.vector)?;
                *log_probs = scores.flatten_all()?.to_dtype(DType::F32)?.to_vec1()?;
                *attended = weights.flatten_all()?.to_dtype(DType::F32)?.to_vec1()?;
                *feed = next;
                log_softmax_rows(log_probs, vocab);
            }
        }
        Ok(())
    }

    fn select(&mut self, from: &[usize]) -> Result<(), E> {
        match &mut self.path {
            Path::Prepared { stepper, .. } => stepper.select(from),
            Path::Tensors { feed, memory, attended } => {
                let index: Vec<u32> = from.iter().map(|&row| row as u32).collect();
                *feed = feed.rows(&Tensor::new(index, memory.values().device())?)?;
                *memory = memory.rows(from)?;
                attended.clear();
            }
        }
        Ok(())
    }

    fn attention(&self) -> Option<&[f32]> {
        match &self.path {
            Path::Prepared { stepper, .. } => Some(stepper.attended()),
            Path::Tensors { attended, .. } => Some(attended),
        }
    }
}
