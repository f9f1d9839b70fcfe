//! Matrices as products read them.

use std::ops::Range;

use rayon::prelude::*;

use super::buffer::Pooled;
use super::factor::{Factor, Pair};
use super::{Buffer, Kernel, Lanes, MatmulPrecision, Real};

/// Vectors side by side in a panel.
pub(super) const PANEL: usize = 2;
/// Numbers below which packing is not shared among threads.
const WORTH_SHARING: usize = 1 << 15;

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
pub enum Packed<R: Real> {
    /// Its numbers as they are.
    Full(Panels<R>),
    /// Its numbers rounded, two steps of the depth in a pair.
    Bf16(Panels<Pair>),
}

/// Panel `p` holds columns `p · w … (p + 1) · w − 1`, row after row; beyond the last column are
/// zeros.
pub struct Panels<F: Pooled> {
    pub(super) factors: Buffer<F>,
    /// Numbers in a column.
    pub(super) steps: usize,
    /// Factors in a column.
    pub(super) depth: usize,
    /// Columns of the matrix.
    pub(super) width: usize,
    /// Columns of a panel.
    pub(super) panel: usize,
}

impl<R: Real> Packed<R> {
    /// The matrix with these rows.
    pub fn rows(rows: Rows<R>, precision: MatmulPrecision) -> Self {
        match precision {
            MatmulPrecision::Full => Self::Full(Panels::of_rows(rows, R::dispatch(PanelWidth))),
            MatmulPrecision::Bf16 => Self::Bf16(Panels::of_rows(rows, R::dispatch_pairs(PanelWidth))),
        }
    }

    /// The matrix whose columns are these rows: the transpose.
    pub fn columns(rows: Rows<R>, precision: MatmulPrecision) -> Self {
        match precision {
            MatmulPrecision::Full => Self::Full(Panels::of_columns(rows, R::dispatch(PanelWidth))),
            MatmulPrecision::Bf16 => Self::Bf16(Panels::of_columns(rows, R::dispatch_pairs(PanelWidth))),
        }
    }

    /// Columns of the matrix.
    pub fn width(&self) -> usize {
        match self {
            Self::Full(panels) => panels.width,
            Self::Bf16(panels) => panels.width,
        }
    }
}

impl<F: Pooled> Panels<F> {
    pub(super) fn of_rows<R: Real>(rows: Rows<R>, panel: usize) -> Self
    where
        F: Factor<R>,
    {
        // The depth may end in the middle of a factor.
        let missing = vec![R::zero(); rows.width()];
        Self::fill::<R>(rows.count(), rows.width(), panel, |panel, width, columns| {
            for (to, i) in panel.chunks_exact_mut(width).zip((0..).step_by(F::STEPS)) {
                let (to, padding) = to.split_at_mut(columns.len());
                let row = |i: usize| if i < rows.count() { rows.row(i) } else { &missing };
                F::across(to, &[&row(i)[columns.clone()], &row(i + 1)[columns.clone()]]);
                padding.fill(F::default());
            }
        })
    }

    pub(super) fn of_columns<R: Real>(rows: Rows<R>, panel: usize) -> Self
    where
        F: Factor<R>,
    {
        // Some columns at a time, each read from start to end: what they write lies side by side.
        const COLUMNS: usize = 8;
        Self::fill::<R>(rows.width(), rows.count(), panel, |panel, width, columns| {
            if columns.len() < width {
                panel.fill(F::default());
            }
            for first in (0..columns.len()).step_by(COLUMNS) {
                let last = (first + COLUMNS).min(columns.len());
                let numbers: [&[R]; COLUMNS] =
                    std::array::from_fn(|j| rows.row(columns.start + (first + j).min(last - 1)));
                for (k, to) in panel.chunks_exact_mut(width).enumerate() {
                    for (to, numbers) in to[first..last].iter_mut().zip(&numbers) {
                        *to = F::along(numbers, k);
                    }
                }
            }
        })
    }

    /// `fill` writes a panel, given its number of columns and which of the matrix they are.
    fn fill<R: Real>(
        steps: usize,
        width: usize,
        panel: usize,
        fill: impl Fn(&mut [F], usize, Range<usize>) + Sync,
    ) -> Self
    where
        F: Factor<R>,
    {
        let depth = steps.div_ceil(F::STEPS);
        let count = width.div_ceil(panel);
        let mut factors = Buffer::new(count * panel * depth);
        let columns = |p: usize| p * panel..((p + 1) * panel).min(width);
        if depth > 0 {
            let least = (WORTH_SHARING / (panel * depth)).max(1);
            let panels = factors.par_chunks_exact_mut(panel * depth).with_min_len(least).enumerate();
            panels.for_each(|(p, data)| fill(data, panel, columns(p)));
        }
        Self { factors, steps, depth, width, panel }
    }

    /// The loads in a kernel rely on it.
    #[inline(always)]
    pub(super) fn check_for<L: Lanes>(&self, lanes: L) {
        assert_eq!(self.panel, PANEL * lanes.width(), "packed for the instruction set that reads it");
    }

    /// Number of panels.
    pub(super) fn count(&self) -> usize {
        self.width.div_ceil(self.panel)
    }
}

/// Columns of a panel.
pub(super) struct PanelWidth;

impl<R> Kernel<R> for PanelWidth {
    type Output = usize;

    #[inline(always)]
    fn run<L: Lanes<Real = R>>(self, lanes: L) -> usize {
        PANEL * lanes.width()
    }
}
