//! The recurrent products of an LSTM layer, as its walks make them: each thread its own rows, step
//! after step, forward `gates_t += h_{t-1} W_hhᵀ` and backward `∂L/∂h_{t-1} = δ_t W_hh`.

use anyhow::Result;
use candle_rnn::MatmulPrecision::Full;
use candle_rnn::kernels::{Packed, Rows, product};
use rayon::prelude::*;
use worker::{Check, Recurrent, Workload, numbers};

pub struct Walk {
    hidden: usize,
    forward: Packed<f32>,
    backward: Packed<f32>,
    shares: Vec<Share>,
}

/// What one thread has: `h` and `gates` of every step, and the gradient on its way back.
struct Share {
    h: Vec<f32>,
    gates: Vec<f32>,
    back: Vec<f32>,
}

impl Walk {
    pub fn new(row: &Recurrent) -> Self {
        let Recurrent { batch, time, hidden } = *row;
        let weight = numbers::fill("weight_hh", 4 * hidden * hidden, numbers::scale("weight_hh", hidden));
        let weight = Rows::new(&weight, hidden);
        let count = rayon::current_num_threads();
        let rows = |thread: usize| (thread + 1) * batch / count - thread * batch / count;
        let shares = (0..count).map(|thread| Share {
            h: numbers::fill("h", time * rows(thread) * hidden, 1.0),
            gates: numbers::fill("gates", time * rows(thread) * 4 * hidden, 1.0),
            back: vec![0.0; rows(thread) * hidden],
        });
        let (forward, backward) = (Packed::columns(weight, Full), Packed::rows(weight, Full));
        Self { hidden, forward, backward, shares: shares.collect() }
    }
}

impl Workload for Walk {
    fn check(&mut self) -> Result<Check> {
        self.iterate()?;
        Ok(Check::from([("gradient", numbers::root_mean_square(&self.shares[0].back))]))
    }

    fn iterate(&mut self) -> Result<()> {
        let Self { hidden, forward, backward, shares } = self;
        shares.par_iter_mut().with_max_len(1).for_each(|Share { h, gates, back }| {
            let step = back.len();
            for (h, gates) in h.chunks_exact(step).zip(gates.chunks_exact_mut(4 * step)) {
                product(gates, Rows::new(h, *hidden), forward);
            }
            for deltas in gates.chunks_exact(4 * step).rev() {
                back.fill(0.0);
                product(back, Rows::new(deltas, 4 * *hidden), backward);
            }
        });
        Ok(())
    }
}
