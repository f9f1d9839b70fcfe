//! From the few frames in which a network says a symbol to the stretch of time in which it was said.
//!
//! A network trained with connectionist temporal classification says each symbol in a frame or two and the
//! blank in between (Graves et al. 2006, figure 1). Where one symbol ends and the next begins is then not
//! in its path. It still says, in every frame, which of the two is the more probable, however improbable
//! both are beside the blank: the boundary is where the frames before it are best explained by the first and
//! those after it by the second.

use rnn_decode::ctc::TimedSymbol;

use crate::model::Emissions;

/// The same symbols, each with all frames up to the next one's: boundaries between the frames in which two
/// neighbours are said maximise `Σ ln p(first) + Σ ln p(second)` of the frames before and after. The first
/// symbol begins and the last ends as they are said, unless they are the `silence` that parts words, which
/// reaches to the ends of the recording.
pub fn segments(emissions: &Emissions, symbols: &[TimedSymbol], silence: Option<u32>) -> Vec<TimedSymbol> {
    let mut spread = symbols.to_vec();
    for next in 1..spread.len() {
        let (before, after) = (&spread[next - 1], &spread[next]);
        let between = before.frames.end..after.frames.start.max(before.frames.end);
        let log_prob = |frame: usize, symbol: u32| {
            f64::from(emissions.log_probs[frame * emissions.symbols + symbol as usize])
        };
        // All frames to the second symbol, then one after another to the first.
        let mut score = 0.0;
        let mut best = (0.0, between.start);
        for frame in between {
            score += log_prob(frame, before.symbol) - log_prob(frame, after.symbol);
            if score > best.0 {
                best = (score, frame + 1);
            }
        }
        spread[next - 1].frames.end = best.1;
        spread[next].frames.start = best.1;
    }
    if let Some(first) = spread.first_mut()
        && Some(first.symbol) == silence
    {
        first.frames.start = 0;
    }
    if let Some(last) = spread.last_mut()
        && Some(last.symbol) == silence
    {
        last.frames.end = emissions.frames();
    }
    spread
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Clock;

    #[test]
    fn a_boundary_lies_where_the_second_symbol_becomes_the_more_probable() {
        // Symbols: blank, a, b; a in frame 1, b in frame 5.
        let rows = [
            [0.9, 0.05, 0.05],
            [0.1, 0.8, 0.1],
            [0.97, 0.02, 0.01],
            [0.97, 0.01, 0.02],
            [0.97, 0.01, 0.02],
            [0.1, 0.1, 0.8],
        ];
        let log_probs = rows.iter().flatten().map(|p: &f32| p.ln()).collect();
        let emissions = Emissions { log_probs, symbols: 3, clock: Clock { first: 0.0, frame: 0.01 } };
        let said = |symbol, frame| TimedSymbol { symbol, frames: frame..frame + 1, log_prob: -0.2 };
        let found = segments(&emissions, &[said(1, 1), said(2, 5)], None);
        assert_eq!((found[0].frames.clone(), found[1].frames.clone()), (1..3, 3..6));
        let found = segments(&emissions, &[said(1, 1), said(2, 5)], Some(1));
        assert_eq!(found[0].frames, 0..3);
        assert!(segments(&emissions, &[], None).is_empty());
    }
}
