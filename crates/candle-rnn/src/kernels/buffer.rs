//! Memory that is used again: a fresh page costs the system more time than the arithmetic on it.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

use super::factor::Pair;

/// Buffers at rest. More than this many are not kept.
const KEPT: usize = 24;

/// Where the memory of [`Buffer`]s waits for its next use.
pub struct Pool<R>(Mutex<Vec<Vec<R>>>);

impl<R> Pool<R> {
    const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    fn with<T>(&self, f: impl FnOnce(&mut Vec<Vec<R>>) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What buffers can hold.
pub trait Pooled: Copy + Default + Send + 'static {
    /// Where the memory of their buffers rests.
    fn pool() -> &'static Pool<Self>;
}

/// Each type has a pool of its own.
macro_rules! pooled {
    ($($type:ty)*) => {
        $(impl Pooled for $type {
            fn pool() -> &'static Pool<Self> {
                static POOL: Pool<$type> = Pool::new();
                &POOL
            }
        })*
    };
}

pooled!(f32 f64 Pair);

/// Numbers of unspecified value to be written over, at the start of a cache line. The memory
/// goes back to a pool when the buffer is dropped.
#[derive(Debug)]
pub struct Buffer<R: Pooled> {
    memory: Vec<R>,
    start: usize,
    len: usize,
}

/// A cache line, which is also the widest vector.
const ALIGNMENT: usize = 64;

impl<R: Pooled> Buffer<R> {
    /// `len` numbers with whatever values an earlier use has left.
    pub fn new(len: usize) -> Self {
        let needed = len + ALIGNMENT / size_of::<R>();
        // The smallest that will do, unless it would waste more than it holds.
        let mut memory = R::pool().with(|free| {
            let fitting = (0..free.len()).filter(|&i| (needed..=2 * needed).contains(&free[i].len()));
            fitting.min_by_key(|&i| free[i].len()).map(|i| free.remove(i)).unwrap_or_default()
        });
        if memory.is_empty() {
            memory = Vec::with_capacity(needed);
            ask_for_large_pages(&mut memory);
            memory.resize(needed, R::default());
        }
        let start = memory.as_ptr().align_offset(ALIGNMENT).min(needed - len);
        Self { memory, start, len }
    }
}

/// Asks the system to back memory that is still empty with pages of 2 MB: a weight that is read
/// from start to end at every time step then costs fewer translations of addresses, and the
/// processor reads ahead of itself without stopping at every 4 kB.
#[cfg(target_os = "linux")]
fn ask_for_large_pages<R>(memory: &mut Vec<R>) {
    const LARGE_PAGE: usize = 2 << 20;
    let spare = memory.spare_capacity_mut();
    let first = spare.as_mut_ptr().cast::<u8>();
    let skipped = first.align_offset(LARGE_PAGE);
    let whole_pages = size_of_val(spare).saturating_sub(skipped) / LARGE_PAGE * LARGE_PAGE;
    if whole_pages > 0 {
        // Safety: these pages lie within memory of our own; the advice does not change it. Where
        // the system does not take it, all works as before.
        unsafe { libc::madvise(first.add(skipped).cast(), whole_pages, libc::MADV_HUGEPAGE) };
    }
}

#[cfg(not(target_os = "linux"))]
fn ask_for_large_pages<R>(_: &mut Vec<R>) {}

impl<R: Pooled> Drop for Buffer<R> {
    fn drop(&mut self) {
        if self.len == 0 {
            return;
        }
        let memory = std::mem::take(&mut self.memory);
        // The oldest goes first: sizes that are no longer asked for do not stay for ever.
        let discarded = R::pool().with(|free| {
            free.push(memory);
            (free.len() > KEPT).then(|| free.remove(0))
        });
        drop(discarded);
    }
}

impl<R: Pooled> Deref for Buffer<R> {
    type Target = [R];

    fn deref(&self) -> &[R] {
        &self.memory[self.start..][..self.len]
    }
}

impl<R: Pooled> DerefMut for Buffer<R> {
    fn deref_mut(&mut self) -> &mut [R] {
        &mut self.memory[self.start..][..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_aligned_and_its_memory_comes_back() {
        // A size that no other test of this process uses.
        let len = 123_457;
        let first = Buffer::<f64>::new(len);
        assert_eq!((first.len(), first.as_ptr().align_offset(ALIGNMENT)), (len, 0));
        // Tests beside this one may have pushed it out of the pool, but not every time.
        let reused = (0..50).any(|_| {
            let address = Buffer::<f64>::new(len).as_ptr();
            Buffer::<f64>::new(len).as_ptr() == address
        });
        assert!(reused);
    }
}
