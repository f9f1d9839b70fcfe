//! In which order the valid steps of a batch are walked and stored.
//!
//! The rows of the batch are dealt to threads, and each thread walks all time steps of its rows
//! alone. Within a walk the rows are sorted from the longest to the shortest, so that the rows
//! still running at a step are always the first ones, and only valid steps are stored, one step
//! after the other (the layout of PyTorch's `PackedSequence`). Padding therefore costs nothing,
//! and a backward direction is nothing but another order of reading: walked step `s` of a row of
//! length `n` is time step `n − 1 − s`.

use std::ops::Range;

use crate::sequence::{Layer, Sizes};

/// All walks over a batch. A *position* is a place among the stored steps of all walks.
pub(super) struct Plan {
    pub walks: Vec<Walk>,
    /// For each position the row of `[batch · time]` it is from.
    pub sources: Vec<usize>,
    /// For each row of `[batch · time]` its position; none on padding.
    pub positions: Vec<Option<usize>>,
    /// Multiplications in all the recurrent products of a pass.
    pub multiplications: usize,
}

/// The rows of one thread.
pub(super) struct Walk {
    /// Rows of the batch, longest first, with their lengths.
    pub rows: Vec<(usize, usize)>,
    /// How many rows run at each walked step; never grows.
    pub running: Vec<usize>,
    /// Where the rows of each step are stored, counted from the start of the walk; the last entry
    /// is the total.
    offsets: Vec<usize>,
    /// Position of the first step.
    pub start: usize,
}

impl Plan {
    pub fn new(layer: &Layer) -> Self {
        let Sizes { batch, time, gates, output, order: memory, .. } = layer.sizes;
        let lengths = layer.lengths.as_slice();
        let mut order: Vec<usize> = (0..batch).collect();
        order.sort_by_key(|&row| std::cmp::Reverse(lengths[row]));
        let multiplications = layer.lengths.total() * gates * output * memory;
        // A walk of less than some million multiplications is not worth a thread.
        const WORTH_A_THREAD: usize = 1 << 21;
        let count = rayon::current_num_threads().min(multiplications / WORTH_A_THREAD).clamp(1, batch);
        let positions = vec![None; batch * time];
        let mut plan = Self { walks: Vec::new(), sources: Vec::new(), positions, multiplications };
        for first in 0..count {
            let rows = order.iter().skip(first).step_by(count).map(|&row| (row, lengths[row]));
            let walk = Walk::new(rows.collect(), plan.sources.len());
            for (s, &running) in walk.running.iter().enumerate() {
                for &(row, length) in &walk.rows[..running] {
                    let source = row * time + if layer.reverse { length - 1 - s } else { s };
                    plan.positions[source] = Some(plan.sources.len());
                    plan.sources.push(source);
                }
            }
            plan.walks.push(walk);
        }
        plan
    }

    /// Valid steps of all rows together.
    pub fn total(&self) -> usize {
        self.sources.len()
    }

    /// The piece of each walk of a buffer that has `width` numbers per position.
    pub fn split<'a, R>(&self, mut buffer: &'a mut [R], width: usize) -> Vec<&'a mut [R]> {
        self.pieces(&mut buffer, |walk| walk.total() * width)
    }

    /// The piece of each walk of a buffer that has `lead` earlier steps in front of each walk.
    pub fn split_history<'a, R>(
        &self,
        mut buffer: &'a mut [R],
        width: usize,
        lead: usize,
    ) -> Vec<&'a mut [R]> {
        self.pieces(&mut buffer, |walk| walk.history(lead) * width)
    }

    fn pieces<'a, R>(&self, buffer: &mut &'a mut [R], size: impl Fn(&Walk) -> usize) -> Vec<&'a mut [R]> {
        let piece = |walk: &Walk| buffer.split_off_mut(..size(walk)).expect("the buffer is for this plan");
        self.walks.iter().map(piece).collect()
    }

    /// For each position the row of the history, with `lead` earlier steps, of the step `lag`
    /// steps before.
    pub fn lagged(&self, lead: usize, lag: usize) -> Vec<usize> {
        let mut rows = Vec::with_capacity(self.total());
        let mut start = 0;
        for walk in &self.walks {
            for s in 0..walk.steps() {
                let first = start + walk.row(s as isize - lag as isize, lead);
                rows.extend(first..first + walk.running[s]);
            }
            start += walk.history(lead);
        }
        rows
    }
}

impl Walk {
    fn new(rows: Vec<(usize, usize)>, start: usize) -> Self {
        let steps = 0..rows[0].1;
        let running: Vec<usize> = steps.map(|s| rows.partition_point(|&(_, length)| length > s)).collect();
        let mut offsets = vec![0];
        for running in &running {
            offsets.push(offsets[offsets.len() - 1] + running);
        }
        Self { rows, running, offsets, start }
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn steps(&self) -> usize {
        self.running.len()
    }

    /// Valid steps of its rows together.
    pub fn total(&self) -> usize {
        self.offsets[self.steps()]
    }

    /// Where step `s` lies in a piece of `width` numbers per position.
    pub fn at(&self, s: usize, width: usize) -> Range<usize> {
        self.offsets[s] * width..self.offsets[s + 1] * width
    }

    /// Where the walk lies in a buffer of `width` numbers per position.
    pub fn within(&self, width: usize) -> Range<usize> {
        self.start * width..(self.start + self.total()) * width
    }

    /// The positions of step `s`.
    pub fn positions(&self, s: usize) -> Range<usize> {
        self.start + self.offsets[s]..self.start + self.offsets[s + 1]
    }

    /// Vectors in a history with `lead` earlier steps, `h_{1-K} … h_0`, in front.
    pub fn history(&self, lead: usize) -> usize {
        lead * self.len() + self.total()
    }

    /// Where walked step `s` begins in such a history; the earlier steps are −1, −2, ….
    fn row(&self, s: isize, lead: usize) -> usize {
        match s {
            s if s < 0 => (lead as isize + s) as usize * self.len(),
            s => lead * self.len() + self.offsets[s as usize],
        }
    }

    /// The vectors of step `s` in a history, for the rows that run at step `until`.
    pub fn in_history(&self, s: isize, until: usize, width: usize, lead: usize) -> Range<usize> {
        let first = self.row(s, lead);
        first * width..(first + self.running[until]) * width
    }
}
