//! The numbers that every worker computes with: all have the same weights, inputs and symbols, so
//! that `compare.py` can see that they compute the same thing. `pytorch.py` has the same formulas.

/// Training windows in a stream of symbols before it begins anew.
pub const WINDOWS: usize = 8;

/// `count` numbers spread evenly over `±scale`, the same for the same name.
pub fn fill(name: &str, count: usize, scale: f64) -> Vec<f32> {
    let seed = seed(name);
    let unit = |index| (hash(index ^ seed) >> 8) as f32 / (1 << 23) as f32 - 1.0;
    (0..count as u32).map(|index| unit(index) * scale as f32).collect()
}

/// `count` symbols below `vocab`, the same for the same name.
pub fn symbols(name: &str, count: usize, vocab: usize) -> Vec<u32> {
    let seed = seed(name);
    (0..count as u32).map(|index| hash(index ^ seed) % vocab as u32).collect()
}

/// PyTorch's range for a weight of this name, `±1/√hidden`; ±1 for an embedding.
pub fn scale(name: &str, hidden: usize) -> f64 {
    if name.starts_with("embedding") { 1.0 } else { 1.0 / (hidden as f64).sqrt() }
}

/// The symbols that a language model is trained on: `batch` tracks of [`WINDOWS`] windows side by
/// side, and one symbol more for the last target.
pub fn stream(batch: usize, time: usize, vocab: usize) -> Vec<u32> {
    symbols("stream", batch * time * WINDOWS + 1, vocab)
}

/// Inputs and targets (the symbols one ahead) of window `index` of a [`stream`], row by row.
pub fn window(stream: &[u32], batch: usize, time: usize, index: usize) -> (Vec<u32>, Vec<u32>) {
    let gather = |offset| {
        let rows = (0..batch).map(|row| (row * WINDOWS + index % WINDOWS) * time + offset);
        rows.flat_map(|from| &stream[from..from + time]).copied().collect()
    };
    (gather(0), gather(1))
}

/// √(mean x²): a check without the cancellation of a plain sum.
pub fn root_mean_square(values: &[f32]) -> f64 {
    let squares: f64 = values.iter().map(|&value| f64::from(value).powi(2)).sum();
    (squares / values.len().max(1) as f64).sqrt()
}

/// FNV-1a.
fn seed(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// A mixing of all 32 bits (Ellis, *Prospecting for hash functions*, 2018: lowbias32).
fn hash(value: u32) -> u32 {
    let value = (value ^ (value >> 16)).wrapping_mul(0x7feb_352d);
    let value = (value ^ (value >> 15)).wrapping_mul(0x846c_a68b);
    value ^ (value >> 16)
}
