//! Products of matrices: `out += a b`.
//!
//! The method of Goto and van de Geijn (2008, *Anatomy of high-performance matrix
//! multiplication*), for the shapes of a recurrent layer: a right-hand matrix that is used for
//! many products is packed once into panels, two vectors wide, that are read from start to end;
//! a tile of some rows by one panel is summed up in registers; the rows of the left-hand matrix
//! are read where they are, in any order.

use std::mem::MaybeUninit;
use std::ops::Range;

use rayon::prelude::*;

use super::factor::Factor;
use super::packed::{PANEL, Panels};
use super::{Buffer, Kernel, Lanes, Packed, Real, Rows};

/// Rows in a tile: 8 × 2 sums leave room in 32 registers (on AVX2, with its 16, see
/// [`tile_rows`]).
const TILE: usize = 8;
/// Steps of the inner dimension per pass over the rows: a panel of these fits the second-level
/// cache beside the rows it meets.
const DEPTH: usize = 512;
/// The same for the columns of the left-hand matrix.
const DEPTH_OF_COLUMNS: usize = 768;
/// From one tile of columns to the next: not a power of two, for those share few lines of a cache.
const TILE_STRIDE: usize = DEPTH_OF_COLUMNS * TILE + 16;
/// Rows asked for ahead of being read.
const AHEAD: usize = 16;
/// Rows that one task of a shared product takes at most.
const BLOCK: usize = 64;
/// Multiplications below which sharing among threads costs more than it saves.
const WORTH_SHARING: usize = 1 << 20;

/// `out += a b` on this thread; `out` is `[rows of a, width of b]`.
pub fn product<R: Real>(out: &mut [R], a: Rows<R>, b: &Packed<R>) {
    match b {
        Packed::Full(b) => product_of(out, a, b),
        Packed::Bf16(b) => product_of(out, a, b),
    }
}

/// `out += a b` as [`product`], whose sums for a single row have another order than those for many: here
/// the bits of a row do not depend on how many rows there are.
pub fn product_in_tiles<R: Real>(out: &mut [R], a: Rows<R>, b: &Packed<R>) {
    fn tiles<R: Real, F: Factor<R>>(out: &mut [R], a: Rows<R>, b: &Panels<F>) {
        check_shapes(out, a, b);
        if b.depth > 0 {
            F::of_rows(a, |a| F::dispatch(RowsTimesPanels { out, a, b }));
        }
    }
    match b {
        Packed::Full(b) => tiles(out, a, b),
        Packed::Bf16(b) => tiles(out, a, b),
    }
}

fn product_of<R: Real, F: Factor<R>>(out: &mut [R], a: Rows<R>, b: &Panels<F>) {
    check_shapes(out, a, b);
    F::of_rows(a, |a| match a.count() {
        _ if b.depth == 0 => {}
        1 => row_times_panels(out, a.row(0), b, 0),
        _ => F::dispatch(RowsTimesPanels { out, a, b }),
    });
}

/// What the unsafe loads rely on.
pub(super) fn check_shapes<R: Real, F: Factor<R>>(out: &[R], a: Rows<R>, b: &Panels<F>) {
    assert_eq!((out.len(), a.width()), (a.count() * b.width, b.steps), "the shapes of a product agree");
}

/// `out += row b` for as many columns as `out` has, from the first of panel `first` on.
pub(super) fn row_times_panels<R: Real, F: Factor<R>>(out: &mut [R], row: &[F], b: &Panels<F>, first: usize) {
    F::dispatch(RowTimesPanels { out, row, b, first });
}

/// `out = a b + bias` (without bias: `a b`), its rows shared among the threads. The bits do not
/// depend on their number.
pub fn affine<R: Real>(out: &mut [R], a: Rows<R>, b: &Packed<R>, bias: Option<&[R]>) {
    match b {
        Packed::Full(b) => affine_of(out, a, b, bias),
        Packed::Bf16(b) => affine_of(out, a, b, bias),
    }
}

fn affine_of<R: Real, F: Factor<R>>(out: &mut [R], a: Rows<R>, b: &Panels<F>, bias: Option<&[R]>) {
    check_shapes(out, a, b);
    if out.is_empty() {
        return;
    }
    let size = rows_of_a_block(a.count(), BLOCK);
    let block = |(i, out): (usize, &mut [R])| {
        match bias {
            Some(bias) => out.chunks_exact_mut(b.width).for_each(|row| row.copy_from_slice(bias)),
            None => out.fill(R::zero()),
        }
        let rows = out.len() / b.width;
        // Not `product`, whose sums for a single row have another order: how many rows there are
        // in a block depends on the threads.
        F::of_rows(a.slice(i * size..i * size + rows), |a| F::dispatch(RowsTimesPanels { out, a, b }));
    };
    for_each_chunk(out, size * b.width, a.width(), block);
}

/// How many rows a task takes so that all tasks have as many, at most `most`, and one thread has as many
/// tasks as the other.
pub fn rows_of_a_block(rows: usize, most: usize) -> usize {
    let blocks = rows.div_ceil(most).next_multiple_of(rayon::current_num_threads());
    rows.div_ceil(blocks.max(1)).max(1)
}

/// `f` of every chunk of a result with its number, shared among the threads where it is worth it:
/// each number of the result takes `depth` multiplications.
fn for_each_chunk<T: Send>(
    out: &mut [T],
    size: usize,
    depth: usize,
    f: impl Fn((usize, &mut [T])) + Sync + Send,
) {
    if out.len() * depth < WORTH_SHARING {
        out.chunks_mut(size).enumerate().for_each(f);
    } else {
        out.par_chunks_mut(size).enumerate().for_each(f);
    }
}

/// `aᵀ b`, its rows shared among the threads: `a [depth, m]`, `b [depth, n]` to `[m, n]`. The
/// gradient of a weight is one such product over all steps and rows of the batch.
pub fn transposed_product<R: Real>(a: Rows<R>, b: &Packed<R>) -> Vec<R> {
    // Each thread fills what it will add to with zeros, and finds it in its cache.
    fn zeros<R: Real>(out: &mut [MaybeUninit<R>]) -> &mut [R] {
        out.fill(MaybeUninit::new(R::zero()));
        // Safety: filled.
        unsafe { out.assume_init_mut() }
    }
    let len = a.width() * b.width();
    let mut product = Vec::with_capacity(len);
    let out = &mut product.spare_capacity_mut()[..len];
    match b {
        Packed::Full(b) => transposed_product_of(out, zeros, a, b),
        Packed::Bf16(b) => transposed_product_of(out, zeros, a, b),
    }
    // Safety: `transposed_product_of` has made all of it ready.
    unsafe { product.set_len(len) };
    product
}

/// `out += aᵀ b`, as [`transposed_product`].
pub fn add_transposed_product<R: Real>(out: &mut [R], a: Rows<R>, b: &Packed<R>) {
    match b {
        Packed::Full(b) => transposed_product_of(out, |out| out, a, b),
        Packed::Bf16(b) => transposed_product_of(out, |out| out, a, b),
    }
}

/// Adds to `out`, of which `ready` makes every piece ready first.
fn transposed_product_of<R: Real, F: Factor<R>, T: Send>(
    out: &mut [T],
    ready: fn(&mut [T]) -> &mut [R],
    a: Rows<R>,
    b: &Panels<F>,
) {
    assert_eq!((out.len(), a.count()), (a.width() * b.width, b.steps), "the shapes of a product agree");
    if out.is_empty() {
        return;
    }
    // Some tiles of rows at a time, their numbers side by side in a row of `a`.
    const ROWS: usize = 12 * TILE;
    let size = rows_of_a_block(a.width(), ROWS).next_multiple_of(TILE);
    let piece = |(i, out): (usize, &mut [T])| {
        F::dispatch(ColumnsTimesPanels { out: ready(out), a, first: i * size, b });
    };
    for_each_chunk(out, size * b.width, a.count(), piece);
}

/// `sums += ` the sum of the rows of `a`, the columns shared among the threads: the gradient of a
/// bias.
pub fn add_rows<R: Real>(sums: &mut [R], a: Rows<R>) {
    const COLUMNS: usize = 512;
    sums.par_chunks_mut(COLUMNS).enumerate().for_each(|(i, sums)| {
        for row in 0..a.count() {
            let numbers = &a.row(row)[i * COLUMNS..][..sums.len()];
            sums.iter_mut().zip(numbers).for_each(|(sum, &x)| *sum += x);
        }
    });
}

/// The sum of the rows of `a`.
pub fn sum_of_rows<R: Real>(a: Rows<R>) -> Vec<R> {
    let mut sums = vec![R::zero(); a.width()];
    add_rows(&mut sums, a);
    sums
}

struct RowTimesPanels<'a, R: Real, F: Factor<R>> {
    out: &'a mut [R],
    row: &'a [F],
    b: &'a Panels<F>,
    /// The panel of the first column.
    first: usize,
}

impl<R: Real, F: Factor<R>> Kernel<R> for RowTimesPanels<'_, R, F> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes<Real = R>>(self, lanes: L) {
        let Self { out, row, b, first } = self;
        b.check_for(lanes);
        let size = b.depth * b.panel;
        let matrix = &b.factors[first * size..];
        for (out, panel) in out.chunks_mut(b.panel).zip(matrix.chunks_exact(size)) {
            // Even and odd steps have sums of their own: one would have to wait for the other.
            let mut sums = [[lanes.splat(R::default()); PANEL]; 2];
            let width = lanes.width();
            let pairs = row.chunks_exact(2).zip(panel.chunks_exact(2 * b.panel));
            for (row, panel) in pairs {
                for step in 0..2 {
                    let x = row[step].splat(lanes);
                    for j in 0..PANEL {
                        let right = load(lanes, &panel[step * b.panel + j * width..][..width]);
                        sums[step][j] = F::add_product(lanes, x, right, sums[step][j]);
                    }
                }
            }
            if b.depth % 2 == 1 {
                let x = row[b.depth - 1].splat(lanes);
                for j in 0..PANEL {
                    let right = load(lanes, &panel[size - b.panel + j * width..][..width]);
                    sums[0][j] = F::add_product(lanes, x, right, sums[0][j]);
                }
            }
            for (j, piece) in lanes.pieces(out.len()).enumerate() {
                let out = &mut out[piece];
                lanes.store(lanes.load(out) + sums[0][j] + sums[1][j], out);
            }
        }
    }
}

/// The factors of a whole vector.
#[inline(always)]
fn load<L: Lanes, F: Factor<L::Real>>(lanes: L, factors: &[F]) -> F::Vector<L> {
    assert_eq!(factors.len(), lanes.width());
    // Safety: as many as there are numbers in a vector.
    unsafe { F::load(lanes, factors.as_ptr()) }
}

struct RowsTimesPanels<'a, R: Real, F: Factor<R>> {
    out: &'a mut [R],
    a: Rows<'a, F>,
    b: &'a Panels<F>,
}

impl<R: Real, F: Factor<R>> Kernel<R> for RowsTimesPanels<'_, R, F> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes<Real = R>>(self, lanes: L) {
        let Self { out, a, b } = self;
        b.check_for(lanes);
        let rows = a.count();
        for depth in blocks(0..b.depth, DEPTH) {
            for panel in 0..b.count() {
                for tile in even_blocks(rows, tile_rows(lanes)) {
                    let row = |i: usize| match i {
                        i if i < tile.len() => a.row(tile.start + i)[depth.clone()].as_ptr(),
                        _ => std::ptr::null(),
                    };
                    let left = std::array::from_fn(row);
                    // Safety: `left` points to the numbers of the rows at these depths.
                    unsafe { sum_into::<L, F, 1>(lanes, out, tile, left, b, panel, depth.clone()) };
                }
            }
        }
    }
}

struct ColumnsTimesPanels<'a, R: Real, F: Factor<R>> {
    /// Rows `first` and following of the result.
    out: &'a mut [R],
    a: Rows<'a, R>,
    first: usize,
    b: &'a Panels<F>,
}

impl<R: Real, F: Factor<R>> Kernel<R> for ColumnsTimesPanels<'_, R, F> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes<Real = R>>(self, lanes: L) {
        let Self { out, a, first, b } = self;
        b.check_for(lanes);
        let rows = out.len() / b.width;
        let height = tile_rows(lanes);
        // One half is read while the other is filled for the next part of the depth.
        let half = rows.div_ceil(height) * TILE_STRIDE;
        let mut memory = Buffer::new(2 * half);
        let (mut current, mut coming) = memory.split_at_mut(half);
        let panels = b.count();
        let tiles = panels * rows.div_ceil(height);
        let mut parts = even_blocks(b.depth, DEPTH_OF_COLUMNS).peekable();
        for i in parts.peek().cloned().unwrap_or_default() {
            copy_columns(current, i, a, i, first..first + rows, height);
        }
        while let Some(depth) = parts.next() {
            let mut next = parts.peek().cloned().unwrap_or_default().enumerate();
            let at_a_time = next.len().div_ceil(tiles);
            for panel in 0..panels {
                for (i, tile) in blocks(0..rows, height).enumerate() {
                    for (k, i) in next.by_ref().take(at_a_time) {
                        // These lie so far apart that the processor does not foresee them.
                        for row in (i + AHEAD) * F::STEPS..(i + AHEAD + 1) * F::STEPS {
                            lanes.prefetch(&a.row(row.min(a.count() - 1))[first..first + rows]);
                        }
                        copy_columns(coming, k, a, i, first..first + rows, height);
                    }
                    let packed = &current[i * TILE_STRIDE..][..depth.len() * TILE];
                    let left = std::array::from_fn(|i| packed[i..].as_ptr());
                    // Safety: `left` points to the numbers of the columns at these depths.
                    unsafe { sum_into::<L, F, TILE>(lanes, out, tile, left, b, panel, depth.clone()) };
                }
            }
            std::mem::swap(&mut current, &mut coming);
        }
    }
}

/// Puts the factors `i` of some columns of `a` where step `k` of each tile is read.
#[inline(always)]
fn copy_columns<R: Real, F: Factor<R>>(
    to: &mut [F],
    k: usize,
    a: Rows<R>,
    i: usize,
    columns: Range<usize>,
    height: usize,
) {
    let first = &a.row(i * F::STEPS)[columns.clone()];
    // The depth may end in the middle of a factor.
    let second = match i * F::STEPS + 1 {
        row if row < a.count() => &a.row(row)[columns],
        _ => &[],
    };
    for tile in 0..first.len().div_ceil(height) {
        let piece = tile * height..((tile + 1) * height).min(first.len());
        let to = &mut to[tile * TILE_STRIDE + k * TILE..][..piece.len()];
        let second =
            if second.is_empty() { &[R::default(); TILE][..piece.len()] } else { &second[piece.clone()] };
        F::across(to, &[&first[piece], second]);
    }
}

/// Rows of a tile whose sums fit the registers.
#[inline(always)]
fn tile_rows<L: Lanes>(lanes: L) -> usize {
    if lanes.width() >= 16 { TILE } else { TILE * 3 / 4 }
}

/// `range` in pieces of `size`.
fn blocks(range: Range<usize>, size: usize) -> impl Iterator<Item = Range<usize>> {
    range.clone().step_by(size).map(move |from| from..(from + size).min(range.end))
}

/// `0..n` in as few pieces of at most `size` as possible, of equal size where they can be.
fn even_blocks(n: usize, size: usize) -> impl Iterator<Item = Range<usize>> {
    let count = n.div_ceil(size);
    (0..count).map(move |i| i * n / count..(i + 1) * n / count)
}

/// Adds a tile of `a b`, over a part of the depth, to the rows `rows` of `out`.
///
/// # Safety
/// `left[i]` points to `depth.len()` numbers, `STEP` apart, for every row of the tile; there are
/// at most [`TILE`] rows.
#[inline(always)]
unsafe fn sum_into<L: Lanes, F: Factor<L::Real>, const STEP: usize>(
    lanes: L,
    out: &mut [L::Real],
    rows: Range<usize>,
    left: [*const F; TILE],
    b: &Panels<F>,
    panel: usize,
    depth: Range<usize>,
) {
    let right = &b.factors[(panel * b.depth + depth.start) * b.panel..][..depth.len() * b.panel];
    let columns = panel * b.panel..((panel + 1) * b.panel).min(b.width);
    for row in rows.clone() {
        lanes.prefetch(&out[row * b.width..][columns.clone()]);
    }
    // Safety: the caller's for `left`; `right` holds as many rows of a panel.
    macro_rules! by_rows {
        ($($n:literal)*) => {
            match rows.len() {
                $($n => {
                    let sums = unsafe { tile::<L, F, $n, STEP>(lanes, left, right, depth.len()) };
                    for (row, sums) in rows.zip(sums) {
                        let out = &mut out[row * b.width..][columns.clone()];
                        for (piece, sum) in lanes.pieces(out.len()).zip(sums) {
                            let out = &mut out[piece];
                            lanes.store(lanes.load(out) + sum, out);
                        }
                    }
                })*
                n => unreachable!("a tile of {n} rows"),
            }
        };
    }
    by_rows!(1 2 3 4 5 6 7 8);
}

/// The sums of a tile, in registers: for every step of the depth the numbers of `ROWS` rows times
/// a row of the panel.
///
/// # Safety
/// `left[..ROWS]` point to `depth` numbers, `STEP` apart; `right` holds `depth` rows of a panel.
#[inline(always)]
unsafe fn tile<L: Lanes, F: Factor<L::Real>, const ROWS: usize, const STEP: usize>(
    lanes: L,
    left: [*const F; TILE],
    right: &[F],
    depth: usize,
) -> [[L::Vector; PANEL]; ROWS] {
    let width = lanes.width();
    let right = right.as_ptr();
    let mut sums = [[lanes.splat(L::Real::default()); PANEL]; ROWS];
    // Plain loops: the compiler keeps the sums in registers only where it sees every index.
    macro_rules! step {
        ($k:expr) => {
            let k = $k;
            // Safety: `k < depth`, and the caller's.
            let right: [F::Vector<L>; PANEL] =
                std::array::from_fn(|j| unsafe { F::load(lanes, right.add((k * PANEL + j) * width)) });
            for i in 0..ROWS {
                let left = unsafe { *left[i].add(k * STEP) }.splat(lanes);
                for j in 0..PANEL {
                    sums[i][j] = F::add_product(lanes, left, right[j], sums[i][j]);
                }
            }
        };
    }
    let unrolled = depth - depth % 4;
    for k in (0..unrolled).step_by(4) {
        step!(k);
        step!(k + 1);
        step!(k + 2);
        step!(k + 3);
    }
    for k in unrolled..depth {
        step!(k);
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Generator;
    use crate::MatmulPrecision::{Bf16, Full};
    use crate::kernels::factor::Pair;
    use crate::kernels::packed::PanelWidth;
    use proptest::prelude::*;

    fn numbers(n: usize, seed: u64) -> Vec<f64> {
        let mut generator = Generator::new(seed);
        (0..n).map(|_| generator.normal()).collect()
    }

    /// `a b` as it is defined.
    fn plain(a: &[f64], b: &[f64], m: usize, k: usize, n: usize) -> Vec<f64> {
        let cell = |i: usize| (0..k).map(|l| a[i / n * k + l] * b[l * n + i % n]).sum();
        (0..m * n).map(cell).collect()
    }

    fn transposed(a: &[f64], rows: usize, columns: usize) -> Vec<f64> {
        (0..a.len()).map(|i| a[i % rows * columns + i / rows]).collect()
    }

    fn single(xs: &[f64]) -> Vec<f32> {
        xs.iter().map(|&x| x as f32).collect()
    }

    fn close(ours: &[f32], truth: &[f64], k: usize) -> bool {
        let bound = 1e-5 * (1. + k as f64).sqrt() * 3.;
        ours.len() == truth.len() && ours.iter().zip(truth).all(|(a, b)| (f64::from(*a) - b).abs() < bound)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn every_product_is_the_product(m in 1usize..40, k in 1usize..70, n in 1usize..90, deep: bool) {
            let k = if deep { k + DEPTH } else { k };
            let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
            let truth = plain(&a, &b, m, k, n);
            let packed = Packed::rows(Rows::new(&b, n), Full);
            let mut out = vec![0.; m * n];
            product(&mut out, Rows::new(&a, k), &packed);
            prop_assert!(out.iter().zip(&truth).all(|(x, y)| (x - y).abs() < 1e-10));

            let (a32, b32) = (single(&a), single(&b));
            let packed = Packed::rows(Rows::new(&b32, n), Full);
            let mut out = vec![0f32; m * n];
            product(&mut out, Rows::new(&a32, k), &packed);
            prop_assert!(close(&out, &truth, k));
            let columns = Packed::columns(Rows::new(&single(&transposed(&b, k, n)), k), Full);
            let mut same = vec![1f32; m * n];
            affine(&mut same, Rows::new(&a32, k), &columns, None);
            prop_assert!(close(&same, &truth, k));
            prop_assert!(m == 1 || same == out);
            let left = single(&transposed(&a, m, k));
            let out = transposed_product(Rows::new(&left, m), &packed);
            prop_assert!(close(&out, &truth, k));
        }
    }

    /// What a number becomes as a factor of bf16.
    fn rounded(xs: &[f32]) -> Vec<f64> {
        xs.iter().map(|&x| f64::from(half(x))).collect()
    }

    fn half(x: f32) -> f32 {
        <Pair as Factor<f32>>::along(&[x], 0).numbers().0
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_product_of_bf16_is_the_product_of_the_rounded_numbers(
            m in 1usize..40, k in 1usize..70, n in 1usize..90, deep: bool,
        ) {
            let k = if deep { k + 2 * DEPTH } else { k };
            let (a, b) = (single(&numbers(m * k, 1)), single(&numbers(k * n, 2)));
            let truth = plain(&rounded(&a), &rounded(&b), m, k, n);
            let packed = Packed::rows(Rows::new(&b, n), Bf16);
            let mut out = vec![0.; m * n];
            product(&mut out, Rows::new(&a, k), &packed);
            prop_assert!(close(&out, &truth, k));
            let across: Vec<f32> = (0..k * n).map(|i| b[i % k * n + i / k]).collect();
            let columns = Packed::columns(Rows::new(&across, k), Bf16);
            out.fill(1.);
            affine(&mut out, Rows::new(&a, k), &columns, None);
            prop_assert!(close(&out, &truth, k));
            let left: Vec<f32> = (0..m * k).map(|i| a[i % m * k + i / m]).collect();
            out.fill(0.);
            add_transposed_product(&mut out, Rows::new(&left, m), &packed);
            prop_assert!(close(&out, &truth, k));
            prop_assert!(out == transposed_product(Rows::new(&left, m), &packed));
            // f64, whose pairs are multiplied by plain code, takes the same numbers.
            let wide: Vec<f64> = b.iter().copied().map(f64::from).collect();
            let left: Vec<f64> = a.iter().copied().map(f64::from).collect();
            let mut out = vec![0.; m * n];
            product(&mut out, Rows::new(&left, k), &Packed::rows(Rows::new(&wide, n), Bf16));
            prop_assert!(out.iter().zip(&truth).all(|(x, y)| (x - y).abs() < 1e-10));
        }
    }

    #[test]
    fn numbers_round_to_the_nearest_bf16() {
        // 8 bits of precision: between 1 and 2 the step is 1/128.
        let step = 1. / 128.;
        assert_eq!(half(1. + 0.49 * step), 1.);
        assert_eq!(half(1. + 0.51 * step), 1. + step);
        assert_eq!((half(1. + 0.5 * step), half(1. + 1.5 * step)), (1., 1. + 2. * step), "to the even one");
        assert_eq!((half(-3.), half(0.), half(f32::INFINITY)), (-3., 0., f32::INFINITY));
        assert_eq!(half(f32::MAX), f32::INFINITY);
        assert!(half(f32::NAN).is_nan() && half(f32::from_bits(0x7f80_0001)).is_nan());
    }

    /// Both products on an instruction set that this machine may not prefer.
    fn on<I: rten_simd::Isa>(isa: I) {
        let lanes = crate::kernels::lanes::Simd::new(isa);
        let (m, k, n) = (115, 530, 45);
        let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
        let truth = plain(&a, &b, m, k, n);
        let (a32, b32, left) = (single(&a), single(&b), single(&transposed(&a, m, k)));
        let packed = Panels::<f32>::of_rows(Rows::new(&b32, n), PanelWidth.run(lanes));
        let (mut out, mut same) = (vec![0f32; m * n], vec![0f32; m * n]);
        RowsTimesPanels { out: &mut out, a: Rows::new(&a32, k), b: &packed }.run(lanes);
        assert!(close(&out, &truth, k));
        ColumnsTimesPanels { out: &mut same, a: Rows::new(&left, m), first: 0, b: &packed }.run(lanes);
        assert!(close(&same, &truth, k));

        let truth = plain(&rounded(&a32), &rounded(&b32), m, k, n);
        let packed = Panels::<Pair>::of_rows(Rows::new(&b32, n), PanelWidth.run(lanes));
        same.fill(0.);
        Pair::of_rows(Rows::new(&a32, k), |a| RowsTimesPanels { out: &mut same, a, b: &packed }.run(lanes));
        assert!(close(&same, &truth, k));
    }

    #[test]
    fn products_are_the_same_on_every_instruction_set() {
        on(rten_simd::isa::GenericIsa::new());
        #[cfg(target_arch = "x86_64")]
        if let Some(isa) = rten_simd::isa::Avx2Isa::new() {
            on(isa);
        }
        #[cfg(target_arch = "aarch64")]
        if let Some(isa) = rten_simd::isa::ArmNeonIsa::new() {
            on(isa);
        }
    }

    #[test]
    fn rows_are_taken_in_the_order_asked_for_and_the_bias_is_added() {
        let a = [1f32, 2., 3., 4., 5., 6.];
        let identity = Packed::rows(Rows::new(&[1f32, 0., 0., 1.], 2), Full);
        let mut out = [9f32; 6];
        affine(&mut out, Rows::in_order(&a, 2, &[2, 0, 2]), &identity, Some(&[10., 20.]));
        assert_eq!(out, [15., 26., 11., 22., 15., 26.]);
        let rows = Rows::in_order(&a, 2, &[2, 0, 1]).slice(1..3);
        assert_eq!((rows.count(), rows.row(0), rows.row(1)), (2, &a[..2], &a[2..4]));
    }

    #[test]
    fn the_bits_do_not_depend_on_the_number_of_threads() {
        let (m, k, n) = (300, 130, 70);
        let (a, b) = (single(&numbers(m * k, 1)), single(&numbers(k * n, 2)));
        let left = single(&numbers(k * m, 3));
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
            pool.install(|| {
                let packed = Packed::rows(Rows::new(&b, n), Full);
                let mut out = vec![0f32; m * n];
                affine(&mut out, Rows::new(&a, k), &packed, None);
                let transposed = transposed_product(Rows::new(&left, m), &packed);
                (out, transposed)
            })
        };
        assert!(with(1) == with(3));
    }
}
