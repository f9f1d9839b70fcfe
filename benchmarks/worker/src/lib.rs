//! What the Rust workers of the benchmark share.
//!
//! A worker is a process that measures one library. It reads requests from its standard input and
//! writes replies to its standard output, one JSON object a line; in between it sleeps. The rows of
//! the benchmark come from `compare.py`, which also says what each of them means.

mod memory;
pub mod numbers;
mod row;
mod serve;

pub use row::{Cell, Generate, Layer, OptimizerName, Recurrent, Row, Train};
pub use serve::{Check, Measured, Peak, Peer, Prepared, Workload, serve};
