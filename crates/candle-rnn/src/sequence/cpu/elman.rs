//! The Elman neuron of order K over all steps:
//! `h_t = f(a_t)`, `a_t = W_xh x_t + b + Σ_{k=1..K} W_hh^(k) h_{t-k}`.

use super::{Gradients, History, Real, Rows, Walk, column_sums, outer_sum, square_sum};
use crate::cell::Activation;

/// `gates` holds `W_xh x_t + b` and is used up; `initial` is `h_{1-K} … h_0`.
pub(super) fn forward<R: Real>(
    activation: Activation,
    rows: Rows,
    xs: Vec<R>,
    gates: Vec<R>,
    initial: Vec<Vec<R>>,
    w_hh: &[R::Packed],
) -> Walk<R> {
    let width = gates.len() / rows.total();
    let mut h = History::new(&rows, width, initial);
    for s in 0..rows.steps() {
        let at = rows.at(s);
        let mut a = gates[at.start * width..at.end * width].to_vec();
        for (k, w) in w_hh.iter().enumerate() {
            let earlier = h.at(&rows, s as isize - 1 - k as isize, s);
            R::product_packed(&mut a, earlier, rows.running[s], w);
        }
        match activation {
            Activation::Tanh => R::tanh(&mut a),
            Activation::Relu => a.iter_mut().for_each(|a| {
                // A NaN must stay one: `a < 0`, not `a > 0`, decides.
                if *a < R::zero() {
                    *a = R::zero();
                }
            }),
        }
        h.previous_and_current(&rows, s).1.copy_from_slice(&a);
    }
    Walk { rows, xs, gates: Vec::new(), h, c: None, extra: Vec::new() }
}

/// `δ_t = f'(a_t) ⊙ ∂L/∂h_t`, and every `h_{t-k}` receives `W_hh^(k)ᵀ δ_t`.
///
/// `pending[j]` holds what the steps after the current one have sent to `h_{t-j}`; at first that
/// is the gradient of the final state.
pub(super) fn backward<R: Real>(
    activation: Activation,
    walk: &Walk<R>,
    dys: Vec<R>,
    mut pending: Vec<Vec<R>>,
    w_hh: &[R::Packed],
) -> Gradients<R> {
    let rows = &walk.rows;
    let width = walk.h.width;
    let mut deltas = dys;
    let mut squares = vec![0.; rows.steps()];
    for s in (0..rows.steps()).rev() {
        let at = rows.at(s);
        let delta = &mut deltas[at.start * width..at.end * width];
        delta.iter_mut().zip(&pending[0]).for_each(|(d, &p)| *d += p);
        squares[s] = square_sum(delta);
        let h = walk.h.at(rows, s as isize, s);
        for (d, &h) in delta.iter_mut().zip(h) {
            match activation {
                Activation::Tanh => *d *= R::one() - h * h,
                Activation::Relu if h > R::zero() => {}
                Activation::Relu => *d = R::zero(),
            }
        }
        let n = delta.len();
        for (k, w) in w_hh.iter().enumerate() {
            let mut earlier = match pending.get(k + 1) {
                Some(next) => next[..n].to_vec(),
                None => vec![R::zero(); n],
            };
            R::product_packed(&mut earlier, delta, rows.running[s], w);
            pending[k][..n].copy_from_slice(&earlier);
        }
    }
    let w_hh = (1..=w_hh.len()).map(|lag| outer_sum(&deltas, width, &walk.h.lagged(rows, lag), width));
    let state = (0..rows.len())
        .flat_map(|i| pending.iter().flat_map(move |p| p[i * width..][..width].iter().copied()))
        .collect();
    Gradients {
        w_hh: w_hh.collect::<Vec<_>>().concat(),
        b_hh: column_sums(&deltas, width),
        w_hr: Vec::new(),
        gates: deltas,
        state,
        squares,
    }
}
