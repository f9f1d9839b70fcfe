//! Products of matrices: `out += a b`.
//!
//! The method of Goto and van de Geijn (2008, *Anatomy of high-performance matrix
//! multiplication*), for the shapes of a recurrent layer: a right-hand matrix that is used for
//! many products is packed once into panels, two vectors wide, that are read from start to end;
//! a tile of some rows by one panel is summed up in registers; the rows of the left-hand matrix
//! are read where they are, in any order.

use std::ops::Range;

use rayon::prelude::*;

use super::{Buffer, Kernel, Lanes, Real, Vector};

/// Rows in a tile: 8 × 2 sums leave room in 32 registers (on AVX2, with its 16, see
/// [`tile_rows`]).
const TILE: usize = 8;
/// Vectors side by side in a panel.
const PANEL: usize = 2;
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

/// Rows of equal width in a slice, in the order of an index or as they stand.
#[derive(Clone, Copy)]
pub struct Rows<'a, R> {
    data: &'a [R],
    width: usize,
    order: Option<&'a [usize]>,
}

impl<'a, R> Rows<'a, R> {
    /// As they stand.
    pub fn new(data: &'a [R], width: usize) -> Self {
        Self { data, width, order: None }
    }

    /// Row `order[0]`, `order[1]`, … of `data`.
    pub fn in_order(data: &'a [R], width: usize, order: &'a [usize]) -> Self {
        Self { data, width, order: Some(order) }
    }

    /// Number of rows.
    pub fn count(&self) -> usize {
        match self.order {
            Some(order) => order.len(),
            None => self.data.len() / self.width,
        }
    }

    /// Numbers in a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Row `i`.
    #[inline(always)]
    pub fn row(&self, i: usize) -> &'a [R] {
        let i = match self.order {
            Some(order) => order[i],
            None => i,
        };
        &self.data[i * self.width..][..self.width]
    }

    /// Some of the rows.
    pub fn slice(&self, range: Range<usize>) -> Self {
        match self.order {
            Some(order) => Self { order: Some(&order[range]), ..*self },
            None => Self { data: &self.data[range.start * self.width..range.end * self.width], ..*self },
        }
    }
}

/// A right-hand matrix, `depth × width`, ready for many products.
///
/// Panel `p` holds columns `p · w … (p + 1) · w − 1`, row after row; beyond the last column are
/// zeros.
pub struct Packed<R: Real> {
    panels: Buffer<R>,
    depth: usize,
    width: usize,
    /// Columns of a panel.
    panel: usize,
}

impl<R: Real> Packed<R> {
    /// The matrix with these rows.
    pub fn rows(rows: Rows<R>) -> Self {
        Self::rows_in_panels(rows, R::dispatch(PanelWidth))
    }

    fn rows_in_panels(rows: Rows<R>, panel: usize) -> Self {
        Self::fill(rows.count(), rows.width(), panel, |panel, width, columns| {
            for (to, i) in panel.chunks_exact_mut(width).zip(0..) {
                let (to, padding) = to.split_at_mut(columns.len());
                to.copy_from_slice(&rows.row(i)[columns.clone()]);
                padding.fill(R::zero());
            }
        })
    }

    /// The matrix whose columns are these rows: the transpose.
    pub fn columns(rows: Rows<R>) -> Self {
        // Some columns at a time, each read from start to end: what they write lies side by side.
        const COLUMNS: usize = 8;
        Self::fill(rows.width(), rows.count(), R::dispatch(PanelWidth), |panel, width, columns| {
            if columns.len() < width {
                panel.fill(R::zero());
            }
            for first in (0..columns.len()).step_by(COLUMNS) {
                let last = (first + COLUMNS).min(columns.len());
                let numbers: [&[R]; COLUMNS] =
                    std::array::from_fn(|j| rows.row(columns.start + (first + j).min(last - 1)));
                for (k, to) in panel.chunks_exact_mut(width).enumerate() {
                    for (to, numbers) in to[first..last].iter_mut().zip(&numbers) {
                        *to = numbers[k];
                    }
                }
            }
        })
    }

    /// `fill` writes a panel, given its number of columns and which of the matrix they are.
    fn fill(
        depth: usize,
        width: usize,
        panel: usize,
        fill: impl Fn(&mut [R], usize, Range<usize>) + Sync,
    ) -> Self {
        let count = width.div_ceil(panel);
        let mut panels = Buffer::new(count * panel * depth);
        let columns = |p: usize| p * panel..((p + 1) * panel).min(width);
        if depth > 0 {
            let least = (WORTH_SHARING / 32 / (panel * depth)).max(1);
            let panels = panels.par_chunks_exact_mut(panel * depth).with_min_len(least).enumerate();
            panels.for_each(|(p, data)| fill(data, panel, columns(p)));
        }
        Self { panels, depth, width, panel }
    }

    /// Rows of the matrix.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Columns of the matrix.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The loads in a kernel rely on it.
    #[inline(always)]
    fn check_for<L: Lanes>(&self, lanes: L) {
        assert_eq!(self.panel, PANEL * lanes.width(), "packed for the instruction set that reads it");
    }

    /// Number of panels.
    pub(super) fn panels(&self) -> usize {
        self.width.div_ceil(self.panel)
    }

    /// Columns of a panel.
    pub(super) fn panel_width(&self) -> usize {
        self.panel
    }
}

struct PanelWidth;

impl<R> Kernel<R> for PanelWidth {
    type Output = usize;

    #[inline(always)]
    fn run<L: Lanes<Real = R>>(self, lanes: L) -> usize {
        PANEL * lanes.width()
    }
}

/// `out += a b` on this thread; `out` is `[rows of a, width of b]`.
pub fn product<R: Real>(out: &mut [R], a: Rows<R>, b: &Packed<R>) {
    assert_eq!((out.len(), a.width()), (a.count() * b.width(), b.depth()), "the shapes of a product agree");
    match a.count() {
        _ if b.depth() == 0 => {}
        1 => row_times_panels(out, a.row(0), b, 0),
        _ => R::dispatch(RowsTimesPacked { out, a, b }),
    }
}

/// `out += row b` for as many columns as `out` has, from the first of panel `first` on.
pub(super) fn row_times_panels<R: Real>(out: &mut [R], row: &[R], b: &Packed<R>, first: usize) {
    R::dispatch(RowTimesPanels { out, row, b, first });
}

/// `out = a b + bias` (without bias: `a b`), its rows shared among the threads. The bits do not
/// depend on their number.
pub fn affine<R: Real>(out: &mut [R], a: Rows<R>, b: &Packed<R>, bias: Option<&[R]>) {
    let width = b.width();
    assert_eq!((out.len(), a.width()), (a.count() * width, b.depth()), "the shapes of a product agree");
    if out.is_empty() {
        return;
    }
    // Blocks of equal size, as many for one thread as for the other.
    let threads = rayon::current_num_threads();
    let size = a.count().div_ceil(a.count().div_ceil(BLOCK).next_multiple_of(threads));
    let block = |(i, out): (usize, &mut [R])| {
        match bias {
            Some(bias) => out.chunks_exact_mut(width).for_each(|row| row.copy_from_slice(bias)),
            None => out.fill(R::zero()),
        }
        let rows = out.len() / width;
        // Not `product`, whose sums for a single row have another order: how many rows there are
        // in a block depends on the threads.
        R::dispatch(RowsTimesPacked { out, a: a.slice(i * size..i * size + rows), b });
    };
    if out.len() * b.depth() < WORTH_SHARING {
        out.chunks_mut(size * width).enumerate().for_each(block);
    } else {
        out.par_chunks_mut(size * width).enumerate().for_each(block);
    }
}

/// `out += aᵀ b`, its rows shared among the threads: `a [depth, m]`, `b [depth, n]` to `[m, n]`.
/// The gradient of a weight is one such product over all steps and rows of the batch.
pub fn transposed_product<R: Real>(out: &mut [R], a: Rows<R>, b: &Packed<R>) {
    assert_eq!((out.len(), a.count()), (a.width() * b.width(), b.depth()), "the shapes of a product agree");
    if out.is_empty() {
        return;
    }
    // Some tiles of rows at a time, their numbers side by side in a row of `a`; as many pieces for
    // one thread as for the other.
    const ROWS: usize = 12 * TILE;
    let pieces = a.width().div_ceil(ROWS).next_multiple_of(rayon::current_num_threads());
    let size = a.width().div_ceil(pieces).next_multiple_of(TILE);
    let piece = |(i, out): (usize, &mut [R])| {
        R::dispatch(ColumnsTimesPacked { out, a, first: i * size, b });
    };
    if out.len() * b.depth() < WORTH_SHARING {
        out.chunks_mut(size * b.width()).enumerate().for_each(piece);
    } else {
        out.par_chunks_mut(size * b.width()).enumerate().for_each(piece);
    }
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

struct RowTimesPanels<'a, R: Real> {
    out: &'a mut [R],
    row: &'a [R],
    b: &'a Packed<R>,
    /// The panel of the first column.
    first: usize,
}

impl<R: Real> Kernel<R> for RowTimesPanels<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes<Real = R>>(self, lanes: L) {
        let Self { out, row, b, first } = self;
        b.check_for(lanes);
        let size = b.depth * b.panel;
        let matrix = &b.panels[first * size..];
        for (out, panel) in out.chunks_mut(b.panel).zip(matrix.chunks_exact(size)) {
            // Even and odd steps have sums of their own: one would have to wait for the other.
            let mut sums = [[lanes.splat(R::default()); PANEL]; 2];
            let width = lanes.width();
            let pairs = row.chunks_exact(2).zip(panel.chunks_exact(2 * b.panel));
            for (row, panel) in pairs {
                for step in 0..2 {
                    let x = lanes.splat(row[step]);
                    for j in 0..PANEL {
                        let right = lanes.load(&panel[step * b.panel + j * width..][..width]);
                        sums[step][j] = x.mul_add(right, sums[step][j]);
                    }
                }
            }
            if b.depth % 2 == 1 {
                let x = lanes.splat(row[b.depth - 1]);
                for j in 0..PANEL {
                    let right = lanes.load(&panel[size - b.panel + j * width..][..width]);
                    sums[0][j] = x.mul_add(right, sums[0][j]);
                }
            }
            for (j, piece) in lanes.pieces(out.len()).enumerate() {
                let out = &mut out[piece];
                lanes.store(lanes.load(out) + sums[0][j] + sums[1][j], out);
            }
        }
    }
}

struct RowsTimesPacked<'a, R: Real> {
    out: &'a mut [R],
    a: Rows<'a, R>,
    b: &'a Packed<R>,
}

impl<R: Real> Kernel<R> for RowsTimesPacked<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes<Real = R>>(self, lanes: L) {
        let Self { out, a, b } = self;
        b.check_for(lanes);
        let rows = a.count();
        for depth in blocks(0..b.depth, DEPTH) {
            for panel in 0..b.panels() {
                for tile in even_blocks(rows, tile_rows(lanes)) {
                    let row = |i: usize| match i {
                        i if i < tile.len() => a.row(tile.start + i)[depth.clone()].as_ptr(),
                        _ => std::ptr::null(),
                    };
                    let left = std::array::from_fn(row);
                    // Safety: `left` points to the numbers of the rows at these depths.
                    unsafe { sum_into::<L, 1>(lanes, out, tile, left, b, panel, depth.clone()) };
                }
            }
        }
    }
}

struct ColumnsTimesPacked<'a, R: Real> {
    /// Rows `first` and following of the result.
    out: &'a mut [R],
    a: Rows<'a, R>,
    first: usize,
    b: &'a Packed<R>,
}

impl<R: Real> Kernel<R> for ColumnsTimesPacked<'_, R> {
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
        let panels = b.panels();
        let tiles = panels * rows.div_ceil(height);
        let mut parts = even_blocks(b.depth, DEPTH_OF_COLUMNS).peekable();
        for i in parts.peek().cloned().unwrap_or_default() {
            copy_columns(current, i, &a.row(i)[first..first + rows], height);
        }
        while let Some(depth) = parts.next() {
            let mut next = parts.peek().cloned().unwrap_or_default().enumerate();
            let at_a_time = next.len().div_ceil(tiles);
            for panel in 0..panels {
                for (i, tile) in blocks(0..rows, height).enumerate() {
                    for (k, i) in next.by_ref().take(at_a_time) {
                        // These lie so far apart that the processor does not foresee them.
                        lanes.prefetch(&a.row((i + AHEAD).min(b.depth - 1))[first..first + rows]);
                        copy_columns(coming, k, &a.row(i)[first..first + rows], height);
                    }
                    let packed = &current[i * TILE_STRIDE..][..depth.len() * TILE];
                    let left = std::array::from_fn(|i| packed[i..].as_ptr());
                    // Safety: `left` points to the numbers of the columns at these depths.
                    unsafe { sum_into::<L, TILE>(lanes, out, tile, left, b, panel, depth.clone()) };
                }
            }
            std::mem::swap(&mut current, &mut coming);
        }
    }
}

/// Puts `numbers`, a row of the matrix whose columns are wanted, where step `k` of each tile is
/// read.
#[inline(always)]
fn copy_columns<R: Real>(to: &mut [R], k: usize, numbers: &[R], height: usize) {
    for (tile, numbers) in numbers.chunks(height).enumerate() {
        let to = &mut to[tile * TILE_STRIDE + k * TILE..];
        match (to.first_chunk_mut::<TILE>(), numbers.as_array()) {
            (Some(to), Some(numbers)) => *to = *numbers,
            _ => to[..numbers.len()].copy_from_slice(numbers),
        }
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
unsafe fn sum_into<L: Lanes, const STEP: usize>(
    lanes: L,
    out: &mut [L::Real],
    rows: Range<usize>,
    left: [*const L::Real; TILE],
    b: &Packed<L::Real>,
    panel: usize,
    depth: Range<usize>,
) {
    let right = &b.panels[(panel * b.depth + depth.start) * b.panel..][..depth.len() * b.panel];
    let columns = panel * b.panel..((panel + 1) * b.panel).min(b.width);
    for row in rows.clone() {
        lanes.prefetch(&out[row * b.width..][columns.clone()]);
    }
    // Safety: the caller's for `left`; `right` holds as many rows of a panel.
    macro_rules! by_rows {
        ($($n:literal)*) => {
            match rows.len() {
                $($n => {
                    let sums = unsafe { tile::<L, $n, STEP>(lanes, left, right, depth.len()) };
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
unsafe fn tile<L: Lanes, const ROWS: usize, const STEP: usize>(
    lanes: L,
    left: [*const L::Real; TILE],
    right: &[L::Real],
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
            let right: [L::Vector; PANEL] =
                std::array::from_fn(|j| unsafe { lanes.load_at(right.add((k * PANEL + j) * width)) });
            for i in 0..ROWS {
                let left = lanes.splat(unsafe { *left[i].add(k * STEP) });
                for j in 0..PANEL {
                    sums[i][j] = left.mul_add(right[j], sums[i][j]);
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
            let packed = Packed::rows(Rows::new(&b, n));
            let mut out = vec![0.; m * n];
            product(&mut out, Rows::new(&a, k), &packed);
            prop_assert!(out.iter().zip(&truth).all(|(x, y)| (x - y).abs() < 1e-10));

            let (a32, b32) = (single(&a), single(&b));
            let packed = Packed::rows(Rows::new(&b32, n));
            let mut out = vec![0f32; m * n];
            product(&mut out, Rows::new(&a32, k), &packed);
            prop_assert!(close(&out, &truth, k));
            let columns = Packed::columns(Rows::new(&single(&transposed(&b, k, n)), k));
            let mut same = vec![1f32; m * n];
            affine(&mut same, Rows::new(&a32, k), &columns, None);
            prop_assert!(close(&same, &truth, k));
            prop_assert!(m == 1 || same == out);
            let left = single(&transposed(&a, m, k));
            let mut out = vec![0f32; m * n];
            transposed_product(&mut out, Rows::new(&left, m), &packed);
            prop_assert!(close(&out, &truth, k));
        }
    }

    /// Both products on an instruction set that this machine may not prefer.
    fn on<I: rten_simd::Isa>(isa: I) {
        let lanes = crate::kernels::lanes::Simd(isa);
        let (m, k, n) = (115, 530, 45);
        let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
        let truth = plain(&a, &b, m, k, n);
        let (a32, b32, left) = (single(&a), single(&b), single(&transposed(&a, m, k)));
        let packed = Packed::rows_in_panels(Rows::new(&b32, n), PanelWidth.run(lanes));
        let (mut out, mut same) = (vec![0f32; m * n], vec![0f32; m * n]);
        RowsTimesPacked { out: &mut out, a: Rows::new(&a32, k), b: &packed }.run(lanes);
        assert!(close(&out, &truth, k));
        ColumnsTimesPacked { out: &mut same, a: Rows::new(&left, m), first: 0, b: &packed }.run(lanes);
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
        let identity = Packed::rows(Rows::new(&[1f32, 0., 0., 1.], 2));
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
                let packed = Packed::rows(Rows::new(&b, n));
                let mut out = vec![0f32; m * n];
                affine(&mut out, Rows::new(&a, k), &packed, None);
                let mut transposed = out.clone();
                transposed_product(&mut transposed, Rows::new(&left, m), &packed);
                (out, transposed)
            })
        };
        assert!(with(1) == with(3));
    }
}
