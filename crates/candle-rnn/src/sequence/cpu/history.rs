//! What a recurrence remembers: vectors of all steps of a walk, those from before the first step
//! in front.

use std::ops::Range;

use super::plan::Walk;

/// `h_{1-K} … h_0, h_1, …, h_T` of the rows of a walk; `data` is a slice of it.
pub(super) struct History<'a, D> {
    pub walk: &'a Walk,
    pub data: D,
    pub width: usize,
    /// K, the number of steps in front.
    pub lead: usize,
}

impl<D> History<'_, D> {
    /// Where the vectors of walked step `s` are (−1, −2, … are those in front), for the rows that
    /// run at step `until`.
    fn range(&self, s: isize, until: usize) -> Range<usize> {
        self.walk.in_history(s, until, self.width, self.lead)
    }

    /// Where the vector of row `i` of the walk is.
    fn of_row(&self, s: isize, i: usize) -> Range<usize> {
        let first = self.walk.in_history(s, 0, self.width, self.lead).start + i * self.width;
        first..first + self.width
    }
}

impl<R> History<'_, &mut [R]> {
    /// The vectors of step `s − lag`, to read, and those of step `s`, to write.
    pub fn earlier_and_current(&mut self, s: usize, lag: usize) -> (&[R], &mut [R]) {
        let (earlier, current) = (self.range(s as isize - lag as isize, s), self.range(s as isize, s));
        let (before, after) = self.data.split_at_mut(current.start);
        (&before[earlier], &mut after[..current.end - current.start])
    }

    /// Writes the vectors of before the first step, `step` 0 being the last of them.
    pub fn set_initial(&mut self, step: usize, row: usize, values: &[R])
    where
        R: Copy,
    {
        let range = self.of_row(-1 - step as isize, row);
        self.data[range].copy_from_slice(values);
    }
}

impl<'a, R> History<'a, &'a [R]> {
    /// The vectors of step `s`, for the rows that run at step `until`.
    pub fn at(&self, s: isize, until: usize) -> &'a [R] {
        &self.data[self.range(s, until)]
    }

    /// The vector of row `i` of the walk at step `s`.
    pub fn vector(&self, s: isize, i: usize) -> &'a [R] {
        &self.data[self.of_row(s, i)]
    }
}
