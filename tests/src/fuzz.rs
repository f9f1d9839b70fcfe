//! Files changed at random: whatever comes of them is read or refused with a reason, and nothing panics.
//!
//! Every test goes on for `FUZZ_SECONDS`, a fraction of a second without it; `FUZZ_SEED` makes the
//! changes others.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use candle_rnn::Generator;

/// A number from the environment.
fn setting(name: &str, otherwise: f64) -> f64 {
    std::env::var(name).map_or(otherwise, |value| value.parse().expect("a number"))
}

/// Calls `test` with changed copies of `inputs` until the time is up; `pieces` are what else may be put in. Of a
/// panic it prints the input.
///
/// # Panics
/// When `test` does; without inputs or pieces.
pub fn fuzz(inputs: &[Vec<u8>], pieces: &[&[u8]], test: impl Fn(&[u8])) {
    let end = Instant::now() + Duration::from_secs_f64(setting("FUZZ_SECONDS", 0.4));
    let mut generator = Generator::new(setting("FUZZ_SEED", 0.0) as u64);
    let mut count = 0;
    while count == 0 || Instant::now() < end {
        let input = changed(inputs, pieces, &mut generator);
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| test(&input))) {
            eprintln!("input {count}: b\"{}\"", input.escape_ascii());
            std::panic::resume_unwind(panic);
        }
        count += 1;
    }
    println!("{count} inputs");
}

/// One of the inputs, with one to eight changes.
fn changed(inputs: &[Vec<u8>], pieces: &[&[u8]], generator: &mut Generator) -> Vec<u8> {
    let mut bytes = inputs[generator.below(inputs.len())].clone();
    for _ in 0..=generator.below(8) {
        // half of all changes lie in the first bytes, where headers are
        let reach = if generator.below(2) == 0 { bytes.len().min(64) } else { bytes.len() };
        let at = generator.below(reach + 1);
        let end = (at + generator.below(16)).min(bytes.len());
        match generator.below(7) {
            0 if at < bytes.len() => bytes[at] = generator.below(256) as u8,
            1 if at < bytes.len() => bytes[at] ^= 1 << generator.below(8),
            2 => {
                const EDGES: [u32; 9] =
                    [0, 1, 2, 0x7f, 0xffff, 0x7fff_f000, 0x7fff_ffff, 0xffff_fff0, u32::MAX];
                let number = EDGES[generator.below(EDGES.len())].to_le_bytes();
                let end = (at + [1, 2, 4][generator.below(3)]).min(bytes.len());
                bytes[at..end].copy_from_slice(&number[..end - at]);
            }
            3 => _ = bytes.drain(at..end),
            4 => {
                let copy = bytes[at..end].to_vec();
                bytes.splice(at..at, copy);
            }
            5 => {
                let other = &inputs[generator.below(inputs.len())];
                let from = generator.below(other.len() + 1);
                bytes.truncate(at);
                bytes.extend(&other[from..]);
            }
            _ => {
                let piece = pieces[generator.below(pieces.len())];
                bytes.splice(at..end, piece.iter().copied());
            }
        }
    }
    bytes
}
