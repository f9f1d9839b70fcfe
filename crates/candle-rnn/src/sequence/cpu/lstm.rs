//! Long short-term memory over all steps: `i, f, o = σ(·)`, `g = tanh(·)`,
//! `c = f ⊙ c' + i ⊙ g`, `h = o ⊙ tanh(c)` or, projected, `h = W_hr (o ⊙ tanh(c))`; c' is the
//! cell state of the step before.

use super::{BackwardWalk, Carried, ForwardWalk, add_squares};
use crate::kernels::{Buffer, Kernel, Lanes, Packed, Real, Rows, Team, Vector};

/// `gates` holds `W_ih x_t + b_ih + b_hh` and becomes `i, f, g, o`; `extra` becomes `tanh(c)`.
pub(super) fn forward<R: Real>(
    mut pass: ForwardWalk<R>,
    team: &Team,
    w_hh: &Packed<R>,
    w_hr: Option<&Packed<R>>,
) {
    let (walk, hidden, output) = (pass.walk, pass.c.width, pass.h.width);
    let mut unprojected = Buffer::new(w_hr.map_or(0, |_| walk.len() * hidden));
    for s in 0..walk.steps() {
        pass.feed(team, s);
        let gates = &mut pass.gates[walk.at(s, 4 * hidden)];
        let (h_previous, h) = pass.h.earlier_and_current(s, 1);
        team.product(gates, Rows::new(h_previous, output), w_hh);
        let (c_previous, c) = pass.c.earlier_and_current(s, 1);
        let tanh_c = &mut pass.extra[walk.at(s, hidden)];
        match w_hr {
            None => R::dispatch(Step { hidden, gates, c_previous, c, tanh_c, h }),
            Some(w_hr) => {
                let unprojected = &mut unprojected[..walk.running[s] * hidden];
                R::dispatch(Step { hidden, gates, c_previous, c, tanh_c, h: unprojected });
                h.fill(R::zero());
                team.product(h, Rows::new(unprojected, hidden), w_hr);
            }
        }
        pass.attend(team, s);
    }
}

/// One time step of the running rows.
pub(crate) struct Step<'a, R> {
    pub hidden: usize,
    pub gates: &'a mut [R],
    pub c_previous: &'a [R],
    pub c: &'a mut [R],
    pub tanh_c: &'a mut [R],
    pub h: &'a mut [R],
}

impl<R: Real> Kernel<R> for Step<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes<Real = R>>(self, l: L) {
        let n = self.hidden;
        for (row, gates) in self.gates.chunks_exact_mut(4 * n).enumerate() {
            let row = row * n..(row + 1) * n;
            let (gi, gates) = gates.split_at_mut(n);
            let (gf, gates) = gates.split_at_mut(n);
            let (gg, go) = gates.split_at_mut(n);
            let c_previous = &self.c_previous[row.clone()];
            let (c_row, tanh_row) = (&mut self.c[row.clone()], &mut self.tanh_c[row.clone()]);
            let h_row = &mut self.h[row];
            for j in l.pieces(n) {
                let i = l.load(&gi[j.clone()]).sigmoid();
                let f = l.load(&gf[j.clone()]).sigmoid();
                let g = l.load(&gg[j.clone()]).tanh();
                let o = l.load(&go[j.clone()]).sigmoid();
                let c = f * l.load(&c_previous[j.clone()]) + i * g;
                let tanh_c = c.tanh();
                l.store(i, &mut gi[j.clone()]);
                l.store(f, &mut gf[j.clone()]);
                l.store(g, &mut gg[j.clone()]);
                l.store(o, &mut go[j.clone()]);
                l.store(c, &mut c_row[j.clone()]);
                l.store(tanh_c, &mut tanh_row[j.clone()]);
                l.store(o * tanh_c, &mut h_row[j]);
            }
        }
    }
}

/// With `d = ∂L/∂(o ⊙ tanh c)` and `e = ∂L/∂c_t`, `δ` for the gradient before a nonlinearity:
///
/// ```text
/// e += d ⊙ o ⊙ (1 − tanh² c)        δo = d ⊙ tanh c ⊙ o (1 − o)
/// δi = e ⊙ g ⊙ i (1 − i)            δf = e ⊙ c' ⊙ f (1 − f)            δg = e ⊙ i ⊙ (1 − g²)
/// ∂L/∂c' = e ⊙ f                    ∂L/∂h' = W_hhᵀ [δi, δf, δg, δo]
/// ```
///
/// With a projection `d = W_hrᵀ ∂L/∂h_t`, and `projected` keeps `∂L/∂h_t` of every step.
pub(super) fn backward<R: Real>(
    mut pass: BackwardWalk<R>,
    team: &Team,
    w_hh: &Packed<R>,
    w_hr: Option<&Packed<R>>,
    projected: &mut [R],
) -> Carried<R> {
    let (walk, hidden, output) = (pass.walk, pass.c.width, pass.h.width);
    let (mut dh, mut dc) = (pass.last(0, output), pass.last(output, hidden));
    let mut carried = Carried::new(&pass, 4 * hidden);
    let mut unprojected = Buffer::new(w_hr.map_or(0, |_| walk.len() * hidden));
    for s in (0..walk.steps()).rev() {
        let dh = &mut dh[..walk.running[s] * output];
        pass.add_outputs(team, dh, s);
        add_squares(dh, &pass, s, &mut carried.squares);
        let d = match w_hr {
            None => &*dh,
            Some(w_hr) => {
                projected[walk.at(s, output)].copy_from_slice(dh);
                let d = &mut unprojected[..walk.running[s] * hidden];
                d.fill(R::zero());
                team.product(d, Rows::new(dh, output), w_hr);
                &*d
            }
        };
        let deltas = &mut pass.deltas[walk.at(s, 4 * hidden)];
        R::dispatch(StepBack {
            hidden,
            gates: &pass.gates[walk.at(s, 4 * hidden)],
            tanh_c: &pass.extra[walk.at(s, hidden)],
            c_previous: pass.c.at(s as isize - 1, s),
            d,
            deltas,
            dc: &mut dc,
            bias: &mut carried.bias,
        });
        dh.fill(R::zero());
        team.product(dh, Rows::new(deltas, 4 * hidden), w_hh);
        pass.feed(team, s);
    }
    carried.finish(pass, vec![dh, dc])
}

struct StepBack<'a, R> {
    hidden: usize,
    gates: &'a [R],
    tanh_c: &'a [R],
    c_previous: &'a [R],
    d: &'a [R],
    deltas: &'a mut [R],
    dc: &'a mut [R],
    /// The sum of the deltas.
    bias: &'a mut [R],
}

impl<R: Real> Kernel<R> for StepBack<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes<Real = R>>(self, l: L) {
        let n = self.hidden;
        let one = l.splat(R::one());
        let gates = self.gates.chunks_exact(4 * n);
        for (row, (gates, deltas)) in gates.zip(self.deltas.chunks_exact_mut(4 * n)).enumerate() {
            let row = row * n..(row + 1) * n;
            let (tanh_row, c_previous) = (&self.tanh_c[row.clone()], &self.c_previous[row.clone()]);
            let (d_row, dc_row) = (&self.d[row.clone()], &mut self.dc[row]);
            for j in l.pieces(n) {
                let (i, f) = (l.load(&gates[j.clone()]), l.load(&gates[n..][j.clone()]));
                let (g, o) = (l.load(&gates[2 * n..][j.clone()]), l.load(&gates[3 * n..][j.clone()]));
                let (d, tanh_c) = (l.load(&d_row[j.clone()]), l.load(&tanh_row[j.clone()]));
                let e = l.load(&dc_row[j.clone()]) + d * o * (one - tanh_c * tanh_c);
                let di = e * g * i * (one - i);
                let df = e * l.load(&c_previous[j.clone()]) * f * (one - f);
                let dg = e * i * (one - g * g);
                let d_o = d * tanh_c * o * (one - o);
                for (k, delta) in [di, df, dg, d_o].into_iter().enumerate() {
                    l.store(delta, &mut deltas[k * n..][j.clone()]);
                    let bias = &mut self.bias[k * n..][j.clone()];
                    l.store(l.load(bias) + delta, bias);
                }
                l.store(e * f, &mut dc_row[j]);
            }
        }
    }
}
