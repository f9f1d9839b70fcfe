//! The gated recurrent unit over all steps:
//! `r, z = σ(·)`, `n = tanh(W_in x + b_in + r ⊙ m)` with `m = W_hn h' + b_hn`, and
//! `h = (1 − z) ⊙ n + z ⊙ h'`, h' being the hidden state of the step before.

use super::{Gradients, History, Real, Rows, Walk, column_sums, outer_sum, square_sum};

/// `gates` holds `W_ih x_t + b_ih` and becomes `r, z, n`.
pub(super) fn forward<R: Real>(
    rows: Rows,
    xs: Vec<R>,
    mut gates: Vec<R>,
    initial: Vec<R>,
    b_hh: &[R],
    w_hh: &R::Packed,
) -> Walk<R> {
    let hidden = b_hh.len() / 3;
    let mut h = History::new(&rows, hidden, vec![initial]);
    let mut extra = vec![R::zero(); rows.total() * hidden];
    let mut recurrent = vec![R::zero(); rows.len() * 3 * hidden];
    for s in 0..rows.steps() {
        let (at, n) = (rows.at(s), rows.running[s]);
        let recurrent = &mut recurrent[..n * 3 * hidden];
        recurrent.chunks_mut(3 * hidden).for_each(|row| row.copy_from_slice(b_hh));
        let (previous, current) = h.previous_and_current(&rows, s);
        R::product_packed(recurrent, previous, n, w_hh);

        let gates = gates[at.start * 3 * hidden..at.end * 3 * hidden].chunks_mut(3 * hidden);
        let extra = extra[at.start * hidden..at.end * hidden].chunks_mut(hidden);
        let states = previous.chunks(hidden).zip(current.chunks_mut(hidden));
        for (((gates, extra), w), (previous, current)) in
            gates.zip(extra).zip(recurrent.chunks(3 * hidden)).zip(states)
        {
            let (rz, n) = gates.split_at_mut(2 * hidden);
            rz.iter_mut().zip(w).for_each(|(g, &w)| *g += w);
            R::sigmoid(rz);
            let (r, z) = rz.split_at(hidden);
            extra.copy_from_slice(&w[2 * hidden..]);
            for ((n, &r), &m) in n.iter_mut().zip(r).zip(&*extra) {
                *n += r * m;
            }
            R::tanh(n);
            for (((h, &n), &z), &p) in current.iter_mut().zip(&*n).zip(z).zip(previous) {
                *h = n + z * (p - n);
            }
        }
    }
    Walk { rows, xs, gates, h, c: None, extra }
}

/// With `d = ∂L/∂h_t`, and `δ` for the gradient before a nonlinearity:
///
/// ```text
/// δn = d ⊙ (1 − z) ⊙ (1 − n²)      δz = d ⊙ (h' − n) ⊙ z (1 − z)      δr = δn ⊙ m ⊙ r (1 − r)
/// ∂L/∂h' = d ⊙ z + W_hhᵀ [δr, δz, δn ⊙ r]
/// ```
pub(super) fn backward<R: Real>(
    walk: &Walk<R>,
    dys: Vec<R>,
    mut dh: Vec<R>,
    w_hh: &R::Packed,
) -> Gradients<R> {
    let rows = &walk.rows;
    let hidden = walk.h.width;
    let one = R::one();
    let mut dinput = vec![R::zero(); walk.gates.len()];
    let mut drecurrent = vec![R::zero(); walk.gates.len()];
    let mut squares = vec![0.; rows.steps()];
    for s in (0..rows.steps()).rev() {
        let at = rows.at(s);
        let wide = at.start * 3 * hidden..at.end * 3 * hidden;
        let narrow = at.start * hidden..at.end * hidden;
        let dh = &mut dh[..narrow.len()];
        dh.iter_mut().zip(&dys[narrow.clone()]).for_each(|(d, &dy)| *d += dy);
        squares[s] = square_sum(dh);

        let gates = walk.gates[wide.clone()].chunks(3 * hidden);
        let extra = walk.extra[narrow].chunks(hidden);
        let previous = walk.h.at(rows, s as isize - 1, s).chunks(hidden);
        let out =
            dinput[wide.clone()].chunks_mut(3 * hidden).zip(drecurrent[wide.clone()].chunks_mut(3 * hidden));
        for ((((gates, m), previous), dh), (di, dr)) in
            gates.zip(extra).zip(previous).zip(dh.chunks_mut(hidden)).zip(out)
        {
            for j in 0..hidden {
                let (r, z, n) = (gates[j], gates[hidden + j], gates[2 * hidden + j]);
                let d = dh[j];
                let dn = d * (one - z) * (one - n * n);
                let dz = d * (previous[j] - n) * z * (one - z);
                let dreset = dn * m[j] * r * (one - r);
                di[j] = dreset;
                di[hidden + j] = dz;
                di[2 * hidden + j] = dn;
                dr[j] = dreset;
                dr[hidden + j] = dz;
                dr[2 * hidden + j] = dn * r;
                dh[j] = d * z;
            }
        }
        R::product_packed(dh, &drecurrent[wide], rows.running[s], w_hh);
    }
    Gradients {
        w_hh: outer_sum(&drecurrent, 3 * hidden, &walk.h.lagged(rows, 1), hidden),
        b_hh: column_sums(&drecurrent, 3 * hidden),
        w_hr: Vec::new(),
        gates: dinput,
        state: dh,
        squares,
    }
}
