//! Long short-term memory over all steps: `i, f, o = σ(·)`, `g = tanh(·)`,
//! `c = f ⊙ c' + i ⊙ g`, `h = o ⊙ tanh(c)` or, projected, `h = W_hr (o ⊙ tanh(c))`; c' is the
//! cell state of the step before.

use super::{Gradients, History, Real, Rows, Walk, column_sums, outer_sum, square_sum};

/// `gates` holds `W_ih x_t + b_ih + b_hh` and becomes `i, f, g, o`.
pub(super) fn forward<R: Real>(
    rows: Rows,
    xs: Vec<R>,
    mut gates: Vec<R>,
    initial_h: Vec<R>,
    initial_c: Vec<R>,
    w_hh: &R::Packed,
    w_hr: Option<&R::Packed>,
) -> Walk<R> {
    let hidden = initial_c.len() / rows.len();
    let output = initial_h.len() / rows.len();
    let mut h = History::new(&rows, output, vec![initial_h]);
    let mut c = History::new(&rows, hidden, vec![initial_c]);
    let mut extra = vec![R::zero(); rows.total() * hidden];
    let mut unprojected = vec![R::zero(); rows.len() * hidden];
    for s in 0..rows.steps() {
        let (at, running) = (rows.at(s), rows.running[s]);
        let gates = &mut gates[at.start * 4 * hidden..at.end * 4 * hidden];
        let (previous, h) = h.previous_and_current(&rows, s);
        R::product_packed(gates, previous, running, w_hh);

        let (c_previous, c) = c.previous_and_current(&rows, s);
        let tanh_c = &mut extra[at.start * hidden..at.end * hidden];
        let unprojected = &mut unprojected[..running * hidden];
        let out = if w_hr.is_some() { &mut *unprojected } else { &mut *h };
        let cells = c_previous.chunks(hidden).zip(c.chunks_mut(hidden));
        let outs = tanh_c.chunks_mut(hidden).zip(out.chunks_mut(hidden));
        for ((gates, (c_previous, c)), (tanh_c, out)) in gates.chunks_mut(4 * hidden).zip(cells).zip(outs) {
            let (i_f, g_o) = gates.split_at_mut(2 * hidden);
            let (g, o) = g_o.split_at_mut(hidden);
            R::sigmoid(i_f);
            R::tanh(g);
            R::sigmoid(o);
            let (i, f) = i_f.split_at(hidden);
            for j in 0..hidden {
                c[j] = f[j] * c_previous[j] + i[j] * g[j];
            }
            tanh_c.copy_from_slice(c);
            R::tanh(tanh_c);
            for j in 0..hidden {
                out[j] = o[j] * tanh_c[j];
            }
        }
        if let Some(w_hr) = w_hr {
            R::product_packed(h, unprojected, running, w_hr);
        }
    }
    Walk { rows, xs, gates, h, c: Some(c), extra }
}

/// With `d = ∂L/∂(o ⊙ tanh c)` and `e = ∂L/∂c_t`, `δ` for the gradient before a nonlinearity:
///
/// ```text
/// e += d ⊙ o ⊙ (1 − tanh² c)        δo = d ⊙ tanh c ⊙ o (1 − o)
/// δi = e ⊙ g ⊙ i (1 − i)            δf = e ⊙ c' ⊙ f (1 − f)            δg = e ⊙ i ⊙ (1 − g²)
/// ∂L/∂c' = e ⊙ f                    ∂L/∂h' = W_hhᵀ [δi, δf, δg, δo]
/// ```
///
/// With a projection `d = W_hrᵀ ∂L/∂h_t`.
pub(super) fn backward<R: Real>(
    walk: &Walk<R>,
    mut dys: Vec<R>,
    mut dh: Vec<R>,
    mut dc: Vec<R>,
    w_hh: &R::Packed,
    w_hr: Option<&R::Packed>,
) -> Gradients<R> {
    let rows = &walk.rows;
    let output = walk.h.width;
    let hidden = walk.extra.len() / rows.total();
    let one = R::one();
    let c = walk.c.as_ref().expect("the forward pass of an LSTM keeps its cell states");
    let mut deltas = vec![R::zero(); walk.gates.len()];
    let mut unprojected = vec![R::zero(); rows.len() * hidden];
    let mut squares = vec![0.; rows.steps()];
    for s in (0..rows.steps()).rev() {
        let (at, running) = (rows.at(s), rows.running[s]);
        let wide = at.start * 4 * hidden..at.end * 4 * hidden;
        // dys becomes the whole ∂L/∂h_t: from the outputs and from the step after.
        let dh_t = &mut dys[at.start * output..at.end * output];
        dh_t.iter_mut().zip(&dh).for_each(|(d, &later)| *d += later);
        squares[s] = square_sum(dh_t);
        let d = match w_hr {
            Some(w_hr) => {
                let d = &mut unprojected[..running * hidden];
                d.fill(R::zero());
                R::product_packed(d, dh_t, running, w_hr);
                &*d
            }
            None => &*dh_t,
        };
        let gates =
            walk.gates[wide.clone()].chunks(4 * hidden).zip(deltas[wide.clone()].chunks_mut(4 * hidden));
        let cells = c.at(rows, s as isize - 1, s).chunks(hidden).zip(dc.chunks_mut(hidden));
        let outs = walk.extra[at.start * hidden..].chunks(hidden).zip(d.chunks(hidden));
        for (((gates, delta), (c_previous, dc)), (tanh_c, d)) in gates.zip(cells).zip(outs) {
            let (gi, rest) = gates.split_at(hidden);
            let (gf, rest) = rest.split_at(hidden);
            let (gg, go) = rest.split_at(hidden);
            let (di, rest) = delta.split_at_mut(hidden);
            let (df, rest) = rest.split_at_mut(hidden);
            let (dg, d_o) = rest.split_at_mut(hidden);
            for j in 0..hidden {
                let (i, f, g, o) = (gi[j], gf[j], gg[j], go[j]);
                let e = dc[j] + d[j] * o * (one - tanh_c[j] * tanh_c[j]);
                di[j] = e * g * i * (one - i);
                df[j] = e * c_previous[j] * f * (one - f);
                dg[j] = e * i * (one - g * g);
                d_o[j] = d[j] * tanh_c[j] * o * (one - o);
                dc[j] = e * f;
            }
        }
        let dh = &mut dh[..running * output];
        dh.fill(R::zero());
        R::product_packed(dh, &deltas[wide], running, w_hh);
    }

    let dw_hr = match w_hr {
        None => Vec::new(),
        Some(_) => {
            let o = walk.gates.chunks(4 * hidden).map(|gates| &gates[3 * hidden..]);
            let tanh_c = walk.extra.chunks(hidden);
            let h: Vec<R> = o.zip(tanh_c).flat_map(|(o, c)| o.iter().zip(c).map(|(&o, &c)| o * c)).collect();
            outer_sum(&dys, output, &h, hidden)
        }
    };
    let state = dh.chunks(output).zip(dc.chunks(hidden)).flat_map(|(dh, dc)| dh.iter().chain(dc).copied());
    Gradients {
        w_hh: outer_sum(&deltas, 4 * hidden, &walk.h.lagged(rows, 1), output),
        b_hh: column_sums(&deltas, 4 * hidden),
        w_hr: dw_hr,
        state: state.collect(),
        gates: deltas,
        squares,
    }
}
