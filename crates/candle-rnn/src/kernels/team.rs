//! Threads that share one small product after another.
//!
//! Constraint: the steps of a single row depend on each other, and each is a product of a vector
//! with a matrix that one core alone reads too slowly; to wake a thread for each would take
//! longer than the product. Solution: helpers, jobs of the pool, that wait in a loop for the next
//! product while a walk goes on, and take pieces of it. The leader takes pieces too and never waits
//! for a helper to begin a product. It waits for one that has lost its core in the middle of a piece,
//! and at the end of the walk until the pool, if it is busy with other work, has been through the
//! jobs that were never begun.

use std::cell::{Cell, UnsafeCell};
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::{self, ThreadId};

use super::factor::Factor;
use super::packed::Panels;
use super::product::{check_shapes, product, row_times_panels};
use super::{Packed, Real, Rows};

/// Multiplications of a walk from which on helpers are worth waking.
const WORTH_HELP: usize = 1 << 20;
/// Pieces of a product for each thread.
const PIECES: usize = 2;
/// A row of so few panels is read faster by one core than by two.
const FEWEST_PANELS: usize = 8;
/// More cores than this do not read a matrix any faster.
const MOST_THREADS: usize = 8;

/// The thread of a walk and its helpers, if it has any.
pub struct Team<'a> {
    exchange: Option<&'a Exchange>,
    /// Only one thread may lead: a team is not `Sync`.
    _leader: PhantomData<Cell<()>>,
}

impl Team<'_> {
    /// `out += a b`, as [`product`], of which a single row is shared if it is long enough.
    pub fn product<R: Real>(&self, out: &mut [R], a: Rows<R>, b: &Packed<R>) {
        match b {
            _ if a.count() != 1 => product(out, a, b),
            Packed::Full(b) => self.row_times_panels(out, a, b),
            Packed::Bf16(b) => self.row_times_panels(out, a, b),
        }
    }

    fn row_times_panels<R: Real, F: Factor<R>>(&self, out: &mut [R], a: Rows<R>, b: &Panels<F>) {
        check_shapes(out, a, b);
        F::of_rows(a, |a| match b.count() {
            panels if panels < FEWEST_PANELS => row_times_panels(out, a.row(0), b, 0),
            _ => self.share(out, b.panel, &|first, out| row_times_panels(out, a.row(0), b, first)),
        });
    }

    /// `compute(i, piece)` for pieces of `out`, of which piece begins at number `i · unit`. Where a
    /// piece ends depends on the number of threads, so what is computed must not.
    pub fn share<T: Send>(&self, out: &mut [T], unit: usize, compute: &(impl Fn(usize, &mut [T]) + Sync)) {
        let Some(exchange) = self.exchange else { return compute(0, out) };
        let units = out.len().div_ceil(unit);
        let pieces = exchange.pieces.min(units);
        let (start, len) = (Shared(out.as_mut_ptr()), out.len());
        exchange.share(pieces, &|piece| {
            let (first, end) = (piece * units / pieces, (piece + 1) * units / pieces);
            let range = first * unit..(end * unit).min(len);
            // Safety: the pieces lie side by side within `out`, which is borrowed until all are done,
            // and each is taken once.
            let piece = unsafe { std::slice::from_raw_parts_mut(start.at(range.start), range.len()) };
            compute(first, piece);
        });
    }
}

/// The start of memory whose parts go to different threads.
struct Shared<T>(*mut T);

// Safety: every part goes to one thread only, and `T` may be sent there.
unsafe impl<T: Send> Sync for Shared<T> {}

impl<T> Shared<T> {
    /// # Safety
    /// Number `i` lies in the same memory.
    unsafe fn at(&self, i: usize) -> *mut T {
        // Safety: the caller's.
        unsafe { self.0.add(i) }
    }
}

/// Runs `walk`, which multiplies `multiplications` numbers in products of `rows` rows, with
/// helpers if they are worth it. The walk itself shares no other work among the pool's threads, which
/// are taken.
pub fn with_team<T>(rows: usize, multiplications: usize, walk: impl FnOnce(&Team) -> T) -> T {
    let threads = rayon::current_num_threads().min(MOST_THREADS);
    if rows > 1 || threads == 1 || multiplications < WORTH_HELP {
        return walk(&Team { exchange: None, _leader: PhantomData });
    }
    let exchange = Exchange::new(threads);
    rayon::in_place_scope(|scope| {
        // Dropped at the end, also after a panic, and then the helpers go home.
        let _closing = Closing(&exchange);
        for _ in 1..threads {
            scope.spawn(|_| exchange.help());
        }
        walk(&Team { exchange: Some(&exchange), _leader: PhantomData })
    })
}

/// Where the leader lays out a product and all take pieces of it: the leader from the front, the
/// helpers from the back, so that with one helper each reads the same part of the matrix at every
/// step as long as neither is late.
struct Exchange {
    /// What to do for a piece.
    job: UnsafeCell<*const (dyn Fn(usize) + Sync)>,
    /// Which product this is (upper 32 bits), and the first and the end of the pieces not taken
    /// (16 bits each).
    state: AtomicU64,
    /// Pieces of this product that are done.
    done: AtomicUsize,
    /// Pieces of a product at most.
    pieces: usize,
    leader: ThreadId,
}

/// The state after the last product.
const CLOSED: u64 = u64::MAX;

// Safety: `job` is written only while no piece of a product is open or unfinished (`share`), and
// read only by a thread that has taken a piece of it.
unsafe impl Sync for Exchange {}

impl Exchange {
    fn new(threads: usize) -> Self {
        let nothing: &(dyn Fn(usize) + Sync) = &|_| ();
        let (state, done) = (AtomicU64::new(0), AtomicUsize::new(0));
        let leader = thread::current().id();
        Self { job: UnsafeCell::new(nothing), state, done, pieces: PIECES * threads, leader }
    }

    /// Runs `job` for every piece, once.
    fn share(&self, pieces: usize, job: &(dyn Fn(usize) + Sync)) {
        // Safety: nobody reads the job of the last product, which is finished, or `share` would not
        // have returned; and as this one does not return before, its job outlives those who run it.
        unsafe {
            type Job<'a> = *const (dyn Fn(usize) + Sync + 'a);
            *self.job.get() = std::mem::transmute::<Job<'_>, Job<'static>>(job);
        }
        self.done.store(0, Ordering::Relaxed);
        let product = (self.state.load(Ordering::Relaxed) >> 32).wrapping_add(1) & 0x7fff_ffff;
        self.state.store(product << 32 | pieces as u64, Ordering::Release);
        while let Some(piece) = self.take(|first, end| (first + 1, end, first)) {
            self.compute(piece);
        }
        let mut turns = 0;
        while self.done.load(Ordering::Acquire) < pieces {
            turns += 1;
            wait(turns);
        }
    }

    fn help(&self) {
        // A leader of the pool may come upon its own helpers, for whom it would wait for ever.
        if thread::current().id() == self.leader {
            return;
        }
        let mut turns = 0;
        while self.state.load(Ordering::Relaxed) != CLOSED {
            match self.take(|first, end| (first, end - 1, end - 1)) {
                Some(piece) => {
                    self.compute(piece);
                    turns = 0;
                }
                None => {
                    turns += 1;
                    wait(turns);
                }
            }
        }
    }

    /// Takes a piece, if one is left: `choose` says what is left afterwards, and which it is.
    fn take(&self, choose: impl Fn(u64, u64) -> (u64, u64, u64)) -> Option<usize> {
        let mut state = self.state.load(Ordering::Acquire);
        loop {
            let (first, end) = (state >> 16 & 0xffff, state & 0xffff);
            if state == CLOSED || first >= end {
                return None;
            }
            let (first, end, piece) = choose(first, end);
            let left = state >> 32 << 32 | first << 16 | end;
            match self.state.compare_exchange_weak(state, left, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Some(piece as usize),
                Err(now) => state = now,
            }
        }
    }

    /// Runs the job for a piece that this thread has taken.
    fn compute(&self, piece: usize) {
        let _whole = NotByHalf;
        // Safety: the piece is not done, so that the leader is still in `share`: the job stands.
        unsafe { (**self.job.get())(piece) };
        self.done.fetch_add(1, Ordering::Release);
    }
}

/// A piece that a panic leaves undone would be waited for for ever, and what it points to would go
/// while others write to it: better to stop.
struct NotByHalf;

impl Drop for NotByHalf {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::process::abort();
        }
    }
}

/// One turn of waiting: at first awake, then letting others have the core.
fn wait(turns: usize) {
    if turns < 2000 {
        std::hint::spin_loop();
    } else {
        std::thread::yield_now();
    }
}

struct Closing<'a>(&'a Exchange);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.state.store(CLOSED, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MatmulPrecision;

    #[test]
    fn a_team_of_any_size_gives_the_bits_of_one_thread() {
        let (depth, width) = (70, 700);
        let matrix: Vec<f32> = (0..depth * width).map(|i| (i % 23) as f32 - 11.).collect();
        let packed = Packed::rows(Rows::new(&matrix, width), MatmulPrecision::Full);
        let row: Vec<f32> = (0..depth).map(|i| (i % 7) as f32 / 3. - 1.).collect();
        let mut alone = vec![0.5f32; width];
        product(&mut alone, Rows::new(&row, depth), &packed);
        for threads in [1, 2, 3, 5] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
            pool.install(|| {
                with_team(1, WORTH_HELP, |team| {
                    for step in 0..2000 {
                        let mut out = vec![0.5f32; width];
                        team.product(&mut out, Rows::new(&row, depth), &packed);
                        assert!(out == alone, "{threads} threads, step {step}");
                    }
                });
            });
        }
    }

    #[test]
    fn helpers_go_home_after_a_panic() {
        let walk = || with_team::<()>(1, WORTH_HELP, |_| panic!("in the walk"));
        assert!(std::panic::catch_unwind(walk).is_err());
    }
}
