//! What a search asks of a model: translations on their way, side by side.

use anyhow::Result;
use candle_core::{DType, Device, Tensor};
use candle_rnn::attention::{AttentionStepper, Feed, PreparedAttentionRnn};
use candle_rnn::{Memory, PackedLinear, log_softmax_rows};
use rnn_decode::Hypotheses;

use crate::network::{Encoded, Network};

/// A network made ready to translate.
pub struct Decoder {
    network: Network,
    /// On the CPU.
    prepared: Option<Prepared>,
}

struct Prepared {
    /// What each symbol adds to the gates, `[vocab, gates]`.
    shares: Vec<f32>,
    layer: PreparedAttentionRnn,
    output: PackedLinear,
}

impl Decoder {
    /// The network as it is now; training on is not seen.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn new(network: &Network) -> Result<Self> {
        let weight = network.target().weight();
        let prepared = match weight.device() {
            Device::Cpu => {
                let layer = PreparedAttentionRnn::new(network.decoder())?;
                let vectors: Vec<f32> = weight.flatten_all()?.to_dtype(DType::F32)?.to_vec1()?;
                let shares = layer.input_shares(&vectors);
                Some(Prepared { shares, layer, output: PackedLinear::new(network.output())? })
            }
            _ => None,
        };
        Ok(Self { network: network.clone(), prepared })
    }

    /// Begins a translation of each source.
    ///
    /// # Errors
    /// When the device fails.
    pub fn begin(&self, encoded: &Encoded) -> Result<Translations<'_>> {
        let path = match &self.prepared {
            Some(prepared) => Path::Prepared {
                prepared,
                stepper: AttentionStepper::new(&prepared.layer, &encoded.state, &encoded.memory)?,
            },
            None => Path::Tensors {
                feed: Feed::first(self.network.decoder(), &encoded.state)?,
                memory: encoded.memory.clone(),
                attended: Vec::new(),
            },
        };
        Ok(Translations { network: &self.network, path })
    }
}

/// Translations on their way.
pub struct Translations<'a> {
    network: &'a Network,
    path: Path<'a>,
}

enum Path<'a> {
    /// On the CPU.
    Prepared { prepared: &'a Prepared, stepper: AttentionStepper<'a> },
    /// On another device.
    Tensors { feed: Feed, memory: Memory, attended: Vec<f32> },
}

impl Hypotheses for Translations<'_> {
    type Error = anyhow::Error;

    fn read(&mut self, symbols: &[u32], log_probs: &mut Vec<f32>) -> Result<()> {
        let vocab = self.network.output().output_size()?;
        match &mut self.path {
            Path::Prepared { prepared, stepper } => {
                let gates = prepared.shares.len() / vocab;
                let share = |&symbol: &u32| &prepared.shares[symbol as usize * gates..][..gates];
                let vectors = stepper.step(&symbols.iter().map(share).collect::<Vec<_>>());
                log_probs.resize(symbols.len() * vocab, 0.0);
                prepared.output.log_softmax(vectors, log_probs);
            }
            Path::Tensors { feed, memory, attended } => {
                let symbols = Tensor::new(symbols, memory.values().device())?;
                let inputs = self.network.target().forward(&symbols)?;
                let (next, weights) = self.network.decoder().step(&inputs, feed, memory)?;
                let scores = self.network.output().forward(&next.vector)?;
                *log_probs = scores.flatten_all()?.to_dtype(DType::F32)?.to_vec1()?;
                *attended = weights.flatten_all()?.to_dtype(DType::F32)?.to_vec1()?;
                *feed = next;
                log_softmax_rows(log_probs, vocab);
            }
        }
        Ok(())
    }

    fn select(&mut self, from: &[usize]) -> Result<()> {
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
