//! How many fused multiply-adds the machine can do: the limit of every matrix product.

use std::hint::black_box;
use std::time::Instant;

use rten_simd::ops::{BitOps, NumOps};
use rten_simd::{Isa, Simd, SimdOp};
use worker::Peak;

/// Steps of a measurement: tens of milliseconds, so that the system spreads the threads over the cores.
const STEPS: usize = 1 << 22;
/// Measurements; the best counts, since everything that disturbs makes them slower.
const TRIES: usize = 12;

/// The best rate of one thread, and of all of rayon's together.
pub fn measure() -> Peak {
    let rate = |threads: usize| {
        let tries = (0..TRIES).map(|_| {
            let start = Instant::now();
            let operations: usize = match threads {
                1 => multiply_add(),
                _ => rayon::broadcast(|_| multiply_add()).iter().sum(),
            };
            operations as f64 / start.elapsed().as_secs_f64() / 1e9
        });
        tries.fold(0.0, f64::max)
    };
    Peak { one_thread: rate(1), all_threads: rate(rayon::current_num_threads()) }
}

/// Returns the number of operations done.
fn multiply_add() -> usize {
    MultiplyAdd { factor: black_box(0.5) }.dispatch()
}

/// `x ← x · factor + factor` on vectors that do not depend on each other.
struct MultiplyAdd {
    factor: f32,
}

/// Enough to fill two pipelines of latency 4 or 5, with one vector more for the factor, and no more
/// than the 16 registers of AVX2.
const VECTORS: usize = 15;

impl SimdOp for MultiplyAdd {
    type Output = usize;

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) -> usize {
        let ops = isa.f32();
        let factor = ops.splat(self.factor);
        let mut values = [factor; VECTORS];
        for _ in 0..STEPS {
            for value in &mut values {
                *value = ops.mul_add(*value, factor, factor);
            }
        }
        for value in values {
            // Somebody might want the result, so the compiler may not leave the loop out.
            black_box(value.to_array());
        }
        2 * ops.len() * VECTORS * STEPS
    }
}
