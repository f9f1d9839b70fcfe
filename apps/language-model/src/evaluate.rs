//! How well a model predicts a text.

use std::f64::consts::LN_2;

use anyhow::Result;
use candle_core::{DType, Device, Tensor};
use candle_rnn::{CrossEntropy, Mode, Precision, State};
use serde::Serialize;

use crate::data::Held;
use crate::network::Network;
use crate::reader::Reader;

/// Rows that a long text is read in side by side. Each starts with an empty memory, so a row is at
/// least [`SHORTEST_ROW`] symbols long for that not to matter.
const ROWS: usize = 32;
const SHORTEST_ROW: usize = 1000;
/// Steps per call of the network; the state is carried, so the result does not depend on it.
const STEPS: usize = 250;

/// The quality of a model on a text.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Score {
    /// Mean of `-ln p` over the symbols, in nats.
    pub loss: f64,
    /// `-log2 p` of the text per character.
    pub bits_per_character: f64,
    /// `exp(loss)`.
    pub perplexity: f64,
    /// Number of symbols predicted: all but the first of each row are predicted from what precedes.
    pub symbols: usize,
}

/// Reads the whole text with carried state; every symbol but the first is predicted exactly once.
///
/// # Errors
/// Symbols outside the vocabulary.
pub fn evaluate(network: &Network, held: &Held, device: &Device) -> Result<Score> {
    let stream = &held.symbols;
    let (rows, track) = tracks(held);
    let targets = stream.len() - 1;
    // The last rows may end early: their padding is ignored, and nothing comes after it.
    let padding = u32::MAX;
    let loss = CrossEntropy { ignore: Some(padding), ..CrossEntropy::default() };
    let (mut sum, mut count) = (0.0, 0);
    let mut state: Option<State> = None;
    for from in (0..track).step_by(STEPS) {
        let steps = STEPS.min(track - from);
        let gather = |offset: usize, otherwise: u32| {
            let at = |row: usize, step: usize| row * track + from + step;
            let symbols: Vec<u32> = (0..rows)
                .flat_map(|row| (0..steps).map(move |step| at(row, step)))
                .map(|at| if at < targets { stream[at + offset] } else { otherwise })
                .collect();
            Tensor::from_vec(symbols, (rows, steps), device)
        };
        let (hidden, next) = network.hidden(&gather(0, 0)?, state.as_ref(), &mut Mode::Eval)?;
        let part = network.loss(loss, &hidden.detach(), &gather(1, padding)?, &mut Mode::Eval)?;
        sum += part.sum.to_device(&Device::Cpu)?.to_dtype(DType::F64)?.to_scalar::<f64>()?;
        count += part.count;
        state = Some(next.detach());
    }
    Ok(Score::new(sum, count, held))
}

/// [`evaluate`], but as a [`Reader`] reads: symbol by symbol, with weights of this precision.
///
/// # Errors
/// Those of [`Reader::new`] and [`Reader::read`].
pub fn evaluate_step_by_step(
    network: &Network,
    held: &Held,
    precision: Precision,
    device: &Device,
) -> Result<Score> {
    let (_, track) = tracks(held);
    let (mut sum, mut count) = (0.0, 0);
    let beginning = network.rnn().zero_state(1)?;
    let mut reader = Reader::new(network, &beginning, precision, device)?;
    for from in (0..held.symbols.len() - 1).step_by(track.max(1)) {
        reader.set_state(&beginning)?;
        let row = &held.symbols[from..held.symbols.len().min(from + track + 1)];
        for pair in row.windows(2) {
            sum -= log_probability(reader.read(pair[0])?, pair[1] as usize);
            count += 1;
        }
    }
    Ok(Score::new(sum, count, held))
}

/// `ln softmax(scores)` of one symbol.
fn log_probability(scores: &[f32], symbol: usize) -> f64 {
    let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = scores.iter().map(|score| f64::from(score - most).exp()).sum();
    f64::from(scores[symbol] - most) - sum.ln()
}

/// In how many rows a text is read, and how many symbols each row predicts.
fn tracks(held: &Held) -> (usize, usize) {
    let targets = held.symbols.len() - 1;
    let rows = (targets / SHORTEST_ROW).clamp(1, ROWS);
    (rows, targets.div_ceil(rows))
}

impl Score {
    fn new(sum: f64, count: usize, held: &Held) -> Self {
        let loss = sum / count.max(1) as f64;
        let symbols_per_character = held.symbols.len() as f64 / held.characters.max(1) as f64;
        Self {
            loss,
            bits_per_character: loss / LN_2 * symbols_per_character,
            perplexity: loss.exp(),
            symbols: count,
        }
    }
}
