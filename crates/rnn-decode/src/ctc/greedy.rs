//! The most probable path.

use super::{CtcError, TimedSymbol, check_frames, merged};

/// The symbols of the most probable path through `log_probs [frames, symbols]`, "best path decoding"
/// (Graves et al. 2006, section 3.2); of symbols that are equally probable, the first.
///
/// They need not be the most probable symbols, which may have many paths: see
/// [`PrefixBeam`](super::PrefixBeam).
///
/// ```
/// # fn main() -> Result<(), rnn_decode::CtcError> {
/// // a blank and two symbols, in four frames
/// let p = [[0.1f32, 0.8, 0.1], [0.2, 0.7, 0.1], [0.9, 0.0, 0.1], [0.0, 0.6, 0.4]];
/// let log_probs: Vec<f32> = p.as_flattened().iter().map(|p| p.ln()).collect();
/// let said = rnn_decode::ctc::greedy(&log_probs, 3, 0)?;
/// assert_eq!((said[0].symbol, said[0].frames.clone()), (1, 0..2));
/// assert_eq!((said[1].symbol, said[1].frames.clone()), (1, 3..4));
/// # Ok(()) }
/// ```
///
/// # Errors
/// When there are no whole frames, a log-probability is NaN or +∞, or the blank is not a symbol.
pub fn greedy(log_probs: &[f32], symbols: usize, blank: u32) -> Result<Vec<TimedSymbol>, CtcError> {
    check_frames(log_probs, symbols, blank, 0)?;
    let best = |frame: &[f32]| {
        let best = (0..symbols).reduce(|best, next| if frame[next] > frame[best] { next } else { best });
        best.unwrap_or_default() as u32
    };
    let path: Vec<u32> = log_probs.chunks_exact(symbols).map(best).collect();
    Ok(merged(&path, log_probs, symbols, blank))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_are_merged_unless_a_blank_parts_them() {
        let path = [0usize, 1, 1, 0, 1, 2, 2, 2, 0, 0];
        let log_probs: Vec<f32> =
            path.iter().flat_map(|&best| (0..3).map(move |k| if k == best { -0.1 } else { -3. })).collect();
        let said = greedy(&log_probs, 3, 0).unwrap();
        let what: Vec<(u32, usize, usize)> =
            said.iter().map(|timed| (timed.symbol, timed.frames.start, timed.frames.end)).collect();
        assert_eq!(what, [(1, 1, 3), (1, 4, 5), (2, 5, 8)]);
        for timed in said {
            assert!((timed.confidence() - (-0.1f64).exp()).abs() < 1e-6);
        }
        assert!(greedy(&[], 3, 0).unwrap().is_empty());
    }

    #[test]
    fn frames_that_are_none_are_errors_that_say_where() {
        let error = greedy(&[0.; 7], 3, 0).unwrap_err();
        assert_eq!(error, CtcError::Frames { found: 7, symbols: 3 });
        let error = greedy(&[0., 0., 0., 0., f32::NAN, 0.], 3, 0).unwrap_err();
        assert!(error.to_string().contains("symbol 1 in frame 1 is NaN"), "{error}");
        assert!(matches!(greedy(&[], 3, 3), Err(CtcError::UnknownSymbol { symbol: 3, .. })));
        assert!(greedy(&[], 0, 0).is_err());
    }
}
