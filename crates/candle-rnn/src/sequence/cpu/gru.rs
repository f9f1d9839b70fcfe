//! The gated recurrent unit over all steps:
//! `r, z = σ(·)`, `n = tanh(W_in x + b_in + r ⊙ m)` with `m = W_hn h' + b_hn`, and
//! `h = (1 − z) ⊙ n + z ⊙ h'`, h' being the hidden state of the step before.

use super::{BackwardWalk, Carried, ForwardWalk, add_squares};
use crate::kernels::{Buffer, Kernel, Lanes, Packed, Real, Rows, Team, Vector};

/// `gates` holds `W_ih x_t + b_ih` and becomes `r, z, n`; `extra` becomes `m`.
pub(super) fn forward<R: Real>(mut pass: ForwardWalk<R>, team: &Team, b_hh: &[R], w_hh: &Packed<R>) {
    let (walk, hidden) = (pass.walk, pass.h.width);
    let mut recurrent = Buffer::new(walk.len() * 3 * hidden);
    for s in 0..walk.steps() {
        pass.feed(team, s);
        let recurrent = &mut recurrent[..walk.running[s] * 3 * hidden];
        recurrent.chunks_exact_mut(3 * hidden).for_each(|row| row.copy_from_slice(b_hh));
        let (h_previous, h) = pass.h.earlier_and_current(s, 1);
        team.product(recurrent, Rows::new(h_previous, hidden), w_hh);
        let gates = &mut pass.gates[walk.at(s, 3 * hidden)];
        let m = &mut pass.extra[walk.at(s, hidden)];
        R::dispatch(Step { hidden, gates, recurrent, h_previous, m, h });
        pass.attend(team, s);
    }
}

/// One time step of the running rows.
pub(crate) struct Step<'a, R> {
    pub hidden: usize,
    pub gates: &'a mut [R],
    /// `W_hh h' + b_hh`
    pub recurrent: &'a [R],
    pub h_previous: &'a [R],
    pub m: &'a mut [R],
    pub h: &'a mut [R],
}

impl<R: Real> Kernel<R> for Step<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes<Real = R>>(self, l: L) {
        let size = self.hidden;
        let one = l.splat(R::one());
        let gates = self.gates.chunks_exact_mut(3 * size).zip(self.recurrent.chunks_exact(3 * size));
        for (row, (gates, recurrent)) in gates.enumerate() {
            let row = row * size..(row + 1) * size;
            let (gr, gates) = gates.split_at_mut(size);
            let (gz, gn) = gates.split_at_mut(size);
            let previous = &self.h_previous[row.clone()];
            let (m_row, h_row) = (&mut self.m[row.clone()], &mut self.h[row]);
            for j in l.pieces(size) {
                let r = (l.load(&gr[j.clone()]) + l.load(&recurrent[j.clone()])).sigmoid();
                let z = (l.load(&gz[j.clone()]) + l.load(&recurrent[size..][j.clone()])).sigmoid();
                let m = l.load(&recurrent[2 * size..][j.clone()]);
                let n = (l.load(&gn[j.clone()]) + r * m).tanh();
                l.store(r, &mut gr[j.clone()]);
                l.store(z, &mut gz[j.clone()]);
                l.store(n, &mut gn[j.clone()]);
                l.store(m, &mut m_row[j.clone()]);
                l.store((one - z) * n + z * l.load(&previous[j.clone()]), &mut h_row[j]);
            }
        }
    }
}

/// With `d = ∂L/∂h_t`, and `δ` for the gradient before a nonlinearity:
///
/// ```text
/// δn = d ⊙ (1 − z) ⊙ (1 − n²)      δz = d ⊙ (h' − n) ⊙ z (1 − z)      δr = δn ⊙ m ⊙ r (1 − r)
/// ∂L/∂h' = d ⊙ z + W_hhᵀ [δr, δz, δn ⊙ r]
/// ```
///
/// `deltas` become `δr, δz, δn` (of the input product) and `recurrent` `δr, δz, δn ⊙ r`; the sums
/// for the biases are those of `δr, δz, δn, δn ⊙ r`.
pub(super) fn backward<R: Real>(
    mut pass: BackwardWalk<R>,
    team: &Team,
    w_hh: &Packed<R>,
    recurrent: &mut [R],
) -> Carried<R> {
    let (walk, hidden) = (pass.walk, pass.h.width);
    let mut dh = pass.last(0, hidden);
    let mut carried = Carried::new(&pass, 4 * hidden);
    for s in (0..walk.steps()).rev() {
        let dh = &mut dh[..walk.running[s] * hidden];
        pass.add_outputs(team, dh, s);
        add_squares(dh, &pass, s, &mut carried.squares);
        let recurrent = &mut recurrent[walk.at(s, 3 * hidden)];
        R::dispatch(StepBack {
            hidden,
            gates: &pass.gates[walk.at(s, 3 * hidden)],
            m: &pass.extra[walk.at(s, hidden)],
            h_previous: pass.h.at(s as isize - 1, s),
            deltas: &mut pass.deltas[walk.at(s, 3 * hidden)],
            recurrent,
            dh,
            bias: &mut carried.bias,
        });
        team.product(dh, Rows::new(recurrent, 3 * hidden), w_hh);
        pass.feed(team, s);
    }
    carried.finish(pass, vec![dh])
}

struct StepBack<'a, R> {
    hidden: usize,
    gates: &'a [R],
    m: &'a [R],
    h_previous: &'a [R],
    deltas: &'a mut [R],
    recurrent: &'a mut [R],
    /// `d` becomes `d ⊙ z`.
    dh: &'a mut [R],
    bias: &'a mut [R],
}

impl<R: Real> Kernel<R> for StepBack<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes<Real = R>>(self, l: L) {
        let size = self.hidden;
        let one = l.splat(R::one());
        let deltas = self.deltas.chunks_exact_mut(3 * size).zip(self.recurrent.chunks_exact_mut(3 * size));
        for (row, (gates, (deltas, recurrent))) in self.gates.chunks_exact(3 * size).zip(deltas).enumerate() {
            let row = row * size..(row + 1) * size;
            let (m_row, previous) = (&self.m[row.clone()], &self.h_previous[row.clone()]);
            let dh_row = &mut self.dh[row];
            for j in l.pieces(size) {
                let (r, z) = (l.load(&gates[j.clone()]), l.load(&gates[size..][j.clone()]));
                let n = l.load(&gates[2 * size..][j.clone()]);
                let d = l.load(&dh_row[j.clone()]);
                let dn = d * (one - z) * (one - n * n);
                let dz = d * (l.load(&previous[j.clone()]) - n) * z * (one - z);
                let dr = dn * l.load(&m_row[j.clone()]) * r * (one - r);
                let dm = dn * r;
                for (k, delta) in [dr, dz, dn].into_iter().enumerate() {
                    l.store(delta, &mut deltas[k * size..][j.clone()]);
                }
                for (k, delta) in [dr, dz, dm].into_iter().enumerate() {
                    l.store(delta, &mut recurrent[k * size..][j.clone()]);
                }
                for (k, delta) in [dr, dz, dn, dm].into_iter().enumerate() {
                    let bias = &mut self.bias[k * size..][j.clone()];
                    l.store(l.load(bias) + delta, bias);
                }
                l.store(d * z, &mut dh_row[j]);
            }
        }
    }
}
