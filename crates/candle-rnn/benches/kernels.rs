//! The kernels alone, by the shapes of the rows in `benchmarks/`: `cargo bench -p candle-rnn`.
//!
//! A product's *item* is one floating-point operation, so that `Gitem/s` reads as GFLOP/s.

use candle_rnn::MatmulPrecision;
use candle_rnn::kernels::{Packed, Rows, affine, product, transposed_product};
use divan::Bencher;
use divan::counter::ItemsCount;

fn main() {
    divan::main();
}

/// Rows, depth, width.
type Shape = (usize, usize, usize);

/// A time step: the rows of one thread times a recurrent weight, forward and backward.
const STEPS: [Shape; 9] = [
    (10, 650, 2600),
    (10, 2600, 650),
    (16, 256, 1024),
    (16, 1024, 256),
    (25, 512, 2048),
    (32, 512, 2048),
    (32, 2048, 512),
    (1, 256, 1024),
    (1, 1024, 256),
];

/// All steps at once: the input's share of the gates, and its gradient.
const LAYERS: [Shape; 4] = [(2500, 512, 2048), (2500, 2048, 512), (700, 650, 2600), (6400, 256, 1024)];

/// Full precision, and factors rounded to bf16.
const BF16: [bool; 2] = [false, true];

fn precision(bf16: bool) -> MatmulPrecision {
    if bf16 { MatmulPrecision::Bf16 } else { MatmulPrecision::Full }
}

fn numbers(n: usize) -> Vec<f32> {
    (0..n).map(|i| (i % 17) as f32 / 16. - 0.5).collect()
}

fn operations((m, k, n): Shape) -> ItemsCount {
    ItemsCount::new(2 * m * k * n)
}

/// One product on one thread, with a packed matrix.
#[divan::bench(consts = BF16, args = STEPS)]
fn recurrent_product<const BF16: bool>(bencher: Bencher, shape: Shape) {
    let (m, k, n) = shape;
    let (a, b) = (numbers(m * k), numbers(k * n));
    let packed = Packed::rows(Rows::new(&b, n), precision(BF16));
    let mut out = vec![0f32; m * n];
    bencher.counter(operations(shape)).bench_local(|| product(&mut out, Rows::new(&a, k), &packed));
}

/// The same on every thread at once: what they take from each other.
#[divan::bench(consts = BF16, args = STEPS)]
fn recurrent_product_on_all_threads<const BF16: bool>(bencher: Bencher, shape: Shape) {
    let (m, k, n) = shape;
    let (a, b) = (numbers(m * k), numbers(k * n));
    let packed = Packed::rows(Rows::new(&b, n), precision(BF16));
    let threads = rayon::current_num_threads();
    // So often that starting the threads does not count.
    let times = (1 << 28) / (m * k * n);
    let count = ItemsCount::new(2 * m * k * n * threads * times);
    bencher.counter(count).bench_local(|| {
        rayon::broadcast(|_| {
            let mut out = vec![0f32; m * n];
            (0..times).for_each(|_| product(&mut out, Rows::new(&a, k), &packed));
        });
    });
}

/// All steps at once, on all threads.
#[divan::bench(consts = BF16, args = LAYERS)]
fn input_product<const BF16: bool>(bencher: Bencher, shape: Shape) {
    let (m, k, n) = shape;
    let (a, b) = (numbers(m * k), numbers(k * n));
    let packed = Packed::rows(Rows::new(&b, n), precision(BF16));
    let mut out = vec![0f32; m * n];
    bencher.counter(operations(shape)).bench_local(|| affine(&mut out, Rows::new(&a, k), &packed, None));
}

/// The gradient of a weight, on all threads: the rows are the depth.
#[divan::bench(consts = BF16, args = LAYERS)]
fn weight_gradient<const BF16: bool>(bencher: Bencher, shape: Shape) {
    let (steps, input, gates) = shape;
    let (deltas, xs) = (numbers(steps * gates), numbers(steps * input));
    let packed = Packed::rows(Rows::new(&xs, input), precision(BF16));
    bencher.counter(operations(shape)).bench_local(|| transposed_product(Rows::new(&deltas, gates), &packed));
}

/// Packing a weight as it is and transposed; an item is a number.
#[divan::bench(consts = BF16, args = [(512, 2048), (650, 2600)])]
fn pack<const BF16: bool>(bencher: Bencher, (depth, width): (usize, usize)) {
    let weight = numbers(depth * width);
    let rows = Rows::new(&weight, width);
    bencher.counter(ItemsCount::new(depth * width)).bench_local(|| Packed::rows(rows, precision(BF16)));
}

/// In a training step a weight has long left the caches when it is packed again.
#[divan::bench(consts = BF16, args = [(512, 2048), (650, 2600)])]
fn pack_transposed<const BF16: bool>(bencher: Bencher, (depth, width): (usize, usize)) {
    let weights: Vec<_> = (0..12).map(|_| numbers(depth * width)).collect();
    let mut next = weights.iter().cycle();
    bencher.counter(ItemsCount::new(depth * width)).bench_local(|| {
        Packed::columns(Rows::new(next.next().expect("a cycle"), depth), precision(BF16));
    });
}
