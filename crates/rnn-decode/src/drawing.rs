//! Sequences drawn at random, many at once: what beam search is to the likeliest sequence, this is to
//! the model's own distribution.

use candle_rnn::Generator;

use crate::{BeamError, Found, Hypotheses, Request, Sampler, Sampling};

/// Draws a continuation of each hypothesis of `model` after the symbol `start`, until the symbol `end`.
/// There are as many requests and generators as hypotheses; what a generator draws does not depend on
/// the sequences beside its own.
///
/// # Errors
/// Settings out of range, scores that are no numbers, and the model's errors.
///
/// # Panics
/// When there are not as many generators as requests.
pub fn draw<H: Hypotheses>(
    model: &mut H,
    (start, end): (u32, u32),
    requests: &[Request],
    sampling: Sampling,
    generators: &mut [Generator],
) -> Result<Vec<Found>, BeamError<H::Error>> {
    assert_eq!(requests.len(), generators.len(), "a generator for each sequence");
    for (number, request) in requests.iter().enumerate() {
        request.validate(end).map_err(|reason| BeamError::Request { number, reason })?;
    }
    let mut sampler = Sampler::new(sampling).map_err(BeamError::Sampling)?;
    let nothing =
        Found { symbols: Vec::new(), log_prob: 0.0, score: 0.0, ended: false, attention: Vec::new() };
    let mut found = vec![nothing; requests.len()];
    let mut live: Vec<usize> = (0..requests.len()).collect();
    let mut symbols = vec![start; requests.len()];
    let mut log_probs = Vec::new();
    while !live.is_empty() {
        model.read(&symbols, &mut log_probs).map_err(BeamError::Model)?;
        let vocab = log_probs.len() / live.len();
        let source = model.attention().map_or(0, |attention| attention.len() / live.len());
        symbols.clear();
        let (mut from, mut next) = (Vec::new(), Vec::new());
        for (row, &sequence) in live.iter().enumerate() {
            let (request, found) = (&requests[sequence], &mut found[sequence]);
            let log_probs = &log_probs[row * vocab..(row + 1) * vocab];
            let symbol = match request.prefix.get(found.symbols.len()) {
                Some(&symbol) if (symbol as usize) < vocab => symbol,
                Some(&symbol) => return Err(BeamError::UnknownSymbol { symbol, vocab_size: vocab }),
                None => sampler
                    .sample(log_probs, &found.symbols, &mut generators[sequence])
                    .map_err(BeamError::Sampling)? as u32,
            };
            found.log_prob += f64::from(log_probs[symbol as usize]);
            if let Some(attention) = model.attention() {
                found.attention.push(attention[row * source..(row + 1) * source].to_vec());
            }
            found.ended = symbol == end;
            if !found.ended {
                found.symbols.push(symbol);
            }
            if !found.ended && found.symbols.len() < request.max_length {
                from.push(row);
                next.push(sequence);
                symbols.push(symbol);
            }
        }
        if !next.is_empty() && next.len() < live.len() {
            model.select(&from).map_err(BeamError::Model)?;
        }
        live = next;
    }
    for found in &mut found {
        found.score = found.log_prob;
    }
    Ok(found)
}
