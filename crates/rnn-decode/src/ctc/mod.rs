//! From the frames of a network trained with connectionist temporal classification to symbols.
//!
//! A network says for each frame how probable each symbol is, or the *blank*, which stands for nothing.
//! A path through the frames becomes a sequence of symbols when repeated ones are merged and blanks
//! removed (Graves et al. 2006, *Connectionist temporal classification*, section 3.1).
//!
//! | | what it finds |
//! |---|---|
//! | [`greedy`] | the symbols of the most probable path |
//! | [`PrefixBeam`] | the most probable symbols, over all their paths; with a [`Scorer`], [`HotWords`], a [`Lexicon`]; frame by frame if wanted |
//! | [`align`] | the most probable path that becomes given symbols: when each was said |
//!
//! Everywhere `log_probs [frames, symbols]` lies row by row and has natural logarithms
//! ([`candle_rnn::log_softmax_rows`]).

mod alignment;
mod greedy;
mod hot_words;
mod lexicon;
mod prefix_beam;
mod scorer;

use std::ops::Range;

use serde::Serialize;

pub use alignment::{Alignment, align};
pub use greedy::greedy;
pub use hot_words::HotWords;
pub use lexicon::Lexicon;
pub use prefix_beam::{CtcFound, Decoding, Guide, PrefixBeam};
pub use scorer::{NoScorer, Scored, Scorer, SymbolScorer, WordScorer};

/// A symbol and the frames in which a path says it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TimedSymbol {
    /// The symbol.
    pub symbol: u32,
    /// Its frames, at least one; the blanks around it are nobody's.
    pub frames: Range<usize>,
    /// Sum of the symbol's log-probabilities in these frames, in nats.
    pub log_prob: f64,
}

impl TimedSymbol {
    /// How sure the network is of the symbol, from 0 to 1: the geometric mean of its probabilities in
    /// its frames.
    pub fn confidence(&self) -> f64 {
        (self.log_prob / self.frames.len() as f64).exp()
    }
}

/// Why frames could not be decoded.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CtcError {
    /// A setting is outside its range.
    #[error("{name} is {value}; it must be {range}")]
    Setting {
        /// Which.
        name: &'static str,
        /// What it was.
        value: f64,
        /// What it may be.
        range: &'static str,
    },
    /// Log-probabilities that are not whole frames.
    #[error("{found} log-probabilities are not whole frames of {symbols} symbols")]
    Frames {
        /// How many there are.
        found: usize,
        /// How many each frame has.
        symbols: usize,
    },
    /// A log-probability that is NaN or +∞.
    #[error(
        "the log-probability of symbol {symbol} in frame {frame} is {value}: the model's weights are likely damaged"
    )]
    BadScore {
        /// The frame, counted from 0.
        frame: usize,
        /// The symbol.
        symbol: usize,
        /// Its log-probability.
        value: f32,
    },
    /// A symbol that the network does not know.
    #[error("{what} {symbol} is not below the number of symbols, {symbols}")]
    UnknownSymbol {
        /// What the symbol is.
        what: &'static str,
        /// The symbol.
        symbol: u32,
        /// How many the network knows.
        symbols: usize,
    },
    /// A target with a blank in it.
    #[error("symbol {place} of the target is the blank, {blank}: leave blanks out")]
    BlankInTarget {
        /// Where, counted from 0.
        place: usize,
        /// The blank.
        blank: u32,
    },
    /// No path becomes the target.
    #[error(
        "no path through {frames} frames becomes the target, which needs at least {needed}; if there are \
         enough, the network holds it for impossible"
    )]
    NoPath {
        /// How many frames there are.
        frames: usize,
        /// How many the target needs.
        needed: usize,
    },
    /// A word or phrase that cannot be used.
    #[error("word {number}: {reason}")]
    Word {
        /// Which of those given, counted from 0.
        number: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
}

/// `log_probs` are whole frames of numbers, and there is a blank among the symbols. `first` is the
/// number of the first frame.
fn check_frames(log_probs: &[f32], symbols: usize, blank: u32, first: usize) -> Result<(), CtcError> {
    if blank as usize >= symbols {
        return Err(CtcError::UnknownSymbol { what: "the blank", symbol: blank, symbols });
    }
    if !log_probs.len().is_multiple_of(symbols) {
        return Err(CtcError::Frames { found: log_probs.len(), symbols });
    }
    match log_probs.iter().position(|x| x.is_nan() || *x == f32::INFINITY) {
        Some(at) => {
            let (frame, symbol, value) = (first + at / symbols, at % symbols, log_probs[at]);
            Err(CtcError::BadScore { frame, symbol, value })
        }
        None => Ok(()),
    }
}

/// `path`'s symbols, repeated ones merged and blanks removed.
fn merged(path: &[u32], log_probs: &[f32], symbols: usize, blank: u32) -> Vec<TimedSymbol> {
    let mut timed: Vec<TimedSymbol> = Vec::new();
    let mut before = blank;
    for (frame, &symbol) in path.iter().enumerate() {
        let log_prob = f64::from(log_probs[frame * symbols + symbol as usize]);
        match timed.last_mut() {
            Some(last) if symbol == before && symbol != blank => {
                last.frames.end = frame + 1;
                last.log_prob += log_prob;
            }
            _ if symbol != blank => timed.push(TimedSymbol { symbol, frames: frame..frame + 1, log_prob }),
            _ => {}
        }
        before = symbol;
    }
    timed
}

/// `ln(e^a + e^b)`
fn log_add(a: f64, b: f64) -> f64 {
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    if low == f64::NEG_INFINITY { high } else { high + (low - high).exp().ln_1p() }
}
