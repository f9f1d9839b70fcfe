//! The protocol: requests in, replies out, one JSON object a line.

use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::memory;
use crate::row::Row;

/// Before the first measurement a workload runs at least so long, and once.
const WARM_UP: Duration = Duration::from_millis(300);

/// Values by name that all workers must agree on.
pub type Check = BTreeMap<&'static str, f64>;

/// What is measured.
pub trait Workload {
    /// Computes something that shows whether this workload is the same as the other workers'. Called
    /// at most once, before the first iteration.
    fn check(&mut self) -> Result<Check>;

    /// What is timed.
    fn iterate(&mut self) -> Result<()>;
}

/// Whether a row can be measured.
pub enum Prepared {
    Ready(Box<dyn Workload>),
    /// The library has no such thing; why.
    Unsupported(&'static str),
}

/// The rate of fused multiply-adds in GFLOP/s (two for each number).
pub struct Peak {
    pub one_thread: f64,
    pub all_threads: f64,
}

/// What is to be measured.
pub trait Measured: DeserializeOwned {
    /// What an iteration's time is divided by.
    fn per_iteration(&self) -> usize {
        1
    }
}

/// A library under measurement; the rows are those of `compare.py` or of another benchmark.
pub struct Peer<R = Row> {
    pub prepare: fn(&R) -> Result<Prepared>,
    /// Measures the machine; one worker is enough for that.
    pub peak: Option<fn() -> Peak>,
}

#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "lowercase")]
enum Request<R> {
    /// Makes a row ready: check, then warm-up.
    Prepare { row: R },
    /// Repeats the row for about so long.
    Measure { seconds: f64 },
    /// Iterations of a row in a process that has done nothing else, and the memory it took.
    Memory { row: R, iterations: usize },
    /// See [`Peak`].
    Peak,
}

/// The row that is ready.
struct Current {
    workload: Box<dyn Workload>,
    per_iteration: usize,
}

/// Answers requests until the standard input ends.
pub fn serve<R: Measured>(peer: &Peer<R>) -> Result<()> {
    let mut current = None;
    for line in std::io::stdin().lock().lines() {
        let answered = catch_unwind(AssertUnwindSafe(|| answer(peer, &line?, &mut current)));
        let answered = answered.unwrap_or_else(|_| Err(anyhow!("the library panicked; see above")));
        let reply = answered.unwrap_or_else(|error| json!({ "error": format!("{error:#}") }));
        let mut out = std::io::stdout().lock();
        writeln!(out, "{reply}")?;
        out.flush()?;
    }
    Ok(())
}

fn answer<R: Measured>(peer: &Peer<R>, line: &str, current: &mut Option<Current>) -> Result<Value> {
    match serde_json::from_str(line).context("the request makes no sense")? {
        Request::Prepare { row } => {
            // The row before goes first: it may be large.
            *current = None;
            let mut workload = match (peer.prepare)(&row)? {
                Prepared::Ready(workload) => workload,
                Prepared::Unsupported(reason) => return Ok(json!({ "unsupported": reason })),
            };
            let check = workload.check()?;
            warm_up(&mut *workload)?;
            *current = Some(Current { workload, per_iteration: row.per_iteration() });
            Ok(json!({ "check": check }))
        }
        Request::Measure { seconds } => {
            let current = current.as_mut().context("no row is prepared")?;
            Ok(json!({ "milliseconds": measure(current, seconds)? }))
        }
        Request::Memory { row, iterations } => {
            let before = memory::peak();
            let mut workload = match (peer.prepare)(&row)? {
                Prepared::Ready(workload) => workload,
                Prepared::Unsupported(reason) => return Ok(json!({ "unsupported": reason })),
            };
            for _ in 0..iterations {
                workload.iterate()?;
            }
            Ok(json!({ "before": before, "peak": memory::peak() }))
        }
        Request::Peak => {
            let peak = peer.peak.context("this worker does not measure the machine")?();
            Ok(json!({ "one_thread": peak.one_thread, "all_threads": peak.all_threads }))
        }
    }
}

fn warm_up(workload: &mut dyn Workload) -> Result<()> {
    let start = Instant::now();
    workload.iterate()?;
    while start.elapsed() < WARM_UP {
        workload.iterate()?;
    }
    Ok(())
}

/// The times of iterations that together take about `seconds`; at least one.
fn measure(current: &mut Current, seconds: f64) -> Result<Vec<f64>> {
    let mut times = Vec::new();
    let start = Instant::now();
    while times.is_empty() || start.elapsed().as_secs_f64() < seconds {
        let before = Instant::now();
        current.workload.iterate()?;
        times.push(before.elapsed().as_secs_f64() * 1e3 / current.per_iteration as f64);
    }
    Ok(times)
}
