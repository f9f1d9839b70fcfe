//! Forced alignment: when were these symbols said?

use serde::Serialize;

use super::{CtcError, TimedSymbol, check_frames, merged};

/// The most probable path that becomes a given target.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Alignment {
    /// The target's symbols and their frames.
    pub symbols: Vec<TimedSymbol>,
    /// The symbol of each frame, blanks included.
    pub path: Vec<u32>,
    /// The path's log-probability, in nats.
    pub log_prob: f64,
}

/// The most probable path through `log_probs [frames, symbols]` that becomes `target` (without blanks):
/// the forward recursion of Graves et al. (2006), equations 6 and 7, with a maximum for the sum
/// (Viterbi).
///
/// # Errors
/// When there are no whole frames, a log-probability is NaN or +∞, a symbol of the target is not one or
/// is the blank, or no path with a probability above 0 becomes the target.
pub fn align(log_probs: &[f32], symbols: usize, target: &[u32], blank: u32) -> Result<Alignment, CtcError> {
    check_frames(log_probs, symbols, blank, 0)?;
    for (place, &symbol) in target.iter().enumerate() {
        if symbol == blank {
            return Err(CtcError::BlankInTarget { place, blank });
        }
        if symbol as usize >= symbols {
            return Err(CtcError::UnknownSymbol { what: "the target's", symbol, symbols });
        }
    }
    let frames = log_probs.len() / symbols;
    let repeats = target.windows(2).filter(|pair| pair[0] == pair[1]).count();
    let needed = target.len() + repeats;
    let no_path = CtcError::NoPath { frames, needed };
    if needed > frames {
        return Err(no_path);
    }
    // The target with a blank before, between and after its symbols.
    let mut places = vec![blank];
    places.extend(target.iter().flat_map(|&symbol| [symbol, blank]));
    let may_leap_to =
        |place: usize| place >= 2 && places[place] != blank && places[place] != places[place - 2];

    // The best path to each place, and for each frame by how many places it came there.
    // Before the first frame, to be at the first blank is as good as to be before it.
    let mut best = vec![f64::NEG_INFINITY; places.len()];
    best[0] = 0.;
    let mut steps = vec![0u8; frames * places.len()];
    for (log_probs, steps) in log_probs.chunks_exact(symbols).zip(steps.chunks_exact_mut(places.len())) {
        // From the last place to the first: those before are still the frame before's.
        for place in (0..places.len()).rev() {
            let mut from = (best[place], 0u8);
            if place >= 1 && best[place - 1] > from.0 {
                from = (best[place - 1], 1);
            }
            if may_leap_to(place) && best[place - 2] > from.0 {
                from = (best[place - 2], 2);
            }
            best[place] = from.0 + f64::from(log_probs[places[place] as usize]);
            steps[place] = from.1;
        }
    }
    let end = places.len() - 1;
    let mut place = if end >= 1 && best[end - 1] > best[end] { end - 1 } else { end };
    let log_prob = best[place];
    if log_prob == f64::NEG_INFINITY {
        return Err(no_path);
    }
    let mut path = vec![blank; frames];
    for (symbol, steps) in path.iter_mut().zip(steps.chunks_exact(places.len())).rev() {
        *symbol = places[place];
        place -= usize::from(steps[place]);
    }
    Ok(Alignment { symbols: merged(&path, log_probs, symbols, blank), path, log_prob })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn become_target(path: &[u32], target: &[u32]) -> bool {
        let mut merged = path.to_vec();
        merged.dedup();
        merged.retain(|&symbol| symbol != 0);
        merged == target
    }

    proptest! {
        #[test]
        fn no_path_that_becomes_the_target_is_more_probable(
            log_probs in prop::collection::vec(-3f32..0., 3..=18),
            target in prop::collection::vec(1u32..3, 0..4),
        ) {
            let frames = log_probs.len() / 3;
            let log_probs = &log_probs[..frames * 3];
            let mut best = f64::NEG_INFINITY;
            for number in 0..3usize.pow(frames as u32) {
                let path: Vec<u32> =
                    (0..frames as u32).map(|t| (number / 3usize.pow(t) % 3) as u32).collect();
                if become_target(&path, &target) {
                    let of = |(frame, &symbol): (usize, &u32)| f64::from(log_probs[frame * 3 + symbol as usize]);
                    best = best.max(path.iter().enumerate().map(of).sum());
                }
            }
            match align(log_probs, 3, &target, 0) {
                Ok(found) => {
                    prop_assert!((found.log_prob - best).abs() < 1e-9, "{} {best}", found.log_prob);
                    prop_assert!(become_target(&found.path, &target));
                    let symbols: Vec<u32> = found.symbols.iter().map(|timed| timed.symbol).collect();
                    prop_assert_eq!(symbols, target);
                    for timed in &found.symbols {
                        let frames = &found.path[timed.frames.clone()];
                        prop_assert!(frames.iter().all(|&symbol| symbol == timed.symbol));
                    }
                }
                Err(error) => prop_assert!(best == f64::NEG_INFINITY, "{error}"),
            }
        }
    }

    #[test]
    fn a_target_that_no_path_becomes_is_an_error() {
        let uniform = [-1f32; 9];
        assert_eq!(align(&uniform, 3, &[1, 1, 2], 0), Err(CtcError::NoPath { frames: 3, needed: 4 }));
        assert_eq!(align(&uniform, 3, &[1, 0], 0), Err(CtcError::BlankInTarget { place: 1, blank: 0 }));
        assert!(matches!(align(&uniform, 3, &[3], 0), Err(CtcError::UnknownSymbol { symbol: 3, .. })));
        let never = [-1., f32::NEG_INFINITY, -1.];
        assert_eq!(align(&never, 3, &[1], 0), Err(CtcError::NoPath { frames: 1, needed: 1 }));
        assert!(align(&[], 3, &[], 0).unwrap().path.is_empty());
    }
}
