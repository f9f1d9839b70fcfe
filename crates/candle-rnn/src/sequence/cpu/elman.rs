//! The Elman neuron of order K over all steps:
//! `h_t = f(a_t)`, `a_t = W_xh x_t + b + Σ_{k=1..K} W_hh^(k) h_{t-k}`.

use super::{BackwardWalk, Carried, ForwardWalk, add_squares};
use crate::cell::Activation;
use crate::kernels::{Kernel, Lanes, Packed, Real, Rows, Team, Vector};

/// `gates` holds `W_xh x_t + b` and is used up.
pub(super) fn forward<R: Real>(
    mut pass: ForwardWalk<R>,
    team: &Team,
    activation: Activation,
    w_hh: &[Packed<R>],
) {
    let (walk, width) = (pass.walk, pass.h.width);
    for s in 0..walk.steps() {
        pass.feed(team, s);
        let a = &mut pass.gates[walk.at(s, width)];
        for (w, lag) in w_hh.iter().zip(1..) {
            team.product(a, Rows::new(pass.h.earlier_and_current(s, lag).0, width), w);
        }
        R::dispatch(Step { activation, a, h: pass.h.earlier_and_current(s, 1).1 });
        pass.attend(team, s);
    }
}

/// One time step of the running rows.
pub(crate) struct Step<'a, R> {
    pub activation: Activation,
    pub a: &'a [R],
    pub h: &'a mut [R],
}

impl<R: Real> Kernel<R> for Step<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes<Real = R>>(self, l: L) {
        for j in l.pieces(self.h.len()) {
            let a = l.load(&self.a[j.clone()]);
            let h = match self.activation {
                Activation::Tanh => a.tanh(),
                Activation::Relu => a.relu(),
            };
            l.store(h, &mut self.h[j]);
        }
    }
}

/// `δ_t = f'(a_t) ⊙ ∂L/∂h_t`, and every `h_{t-k}` receives `W_hh^(k)ᵀ δ_t`.
pub(super) fn backward<R: Real>(
    mut pass: BackwardWalk<R>,
    team: &Team,
    activation: Activation,
    w_hh: &[Packed<R>],
) -> Carried<R> {
    let (walk, width) = (pass.walk, pass.h.width);
    // pending[j] is what the steps after the current one have sent to h_{t-j}; at first that is
    // the gradient of the final state.
    let mut pending: Vec<_> = (0..w_hh.len()).map(|k| pass.last(k * width, width)).collect();
    let mut carried = Carried::new(&pass, width);
    for s in (0..walk.steps()).rev() {
        let n = walk.running[s] * width;
        pass.add_outputs(team, &mut pending[0][..n], s);
        add_squares(&pending[0][..n], &pass, s, &mut carried.squares);
        let deltas = &mut pass.deltas[walk.at(s, width)];
        let h = pass.h.at(s as isize, s);
        R::dispatch(StepBack { activation, width, h, dh: &pending[0][..n], deltas, bias: &mut carried.bias });
        // One step back: h_{t-k} is now the (k − 1)th before.
        for (k, w) in w_hh.iter().enumerate() {
            let (sent, later) = pending.split_at_mut(k + 1);
            let sent = &mut sent[k][..n];
            match later.first() {
                Some(later) => sent.copy_from_slice(&later[..n]),
                None => sent.fill(R::zero()),
            }
            team.product(sent, Rows::new(deltas, width), w);
        }
        pass.feed(team, s);
    }
    carried.finish(pass, pending)
}

struct StepBack<'a, R> {
    activation: Activation,
    width: usize,
    h: &'a [R],
    dh: &'a [R],
    deltas: &'a mut [R],
    bias: &'a mut [R],
}

impl<R: Real> Kernel<R> for StepBack<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes<Real = R>>(self, l: L) {
        let one = l.splat(R::one());
        let rows = self.h.chunks_exact(self.width).zip(self.dh.chunks_exact(self.width));
        for ((h, dh), deltas) in rows.zip(self.deltas.chunks_exact_mut(self.width)) {
            for j in l.pieces(self.width) {
                let (h, d) = (l.load(&h[j.clone()]), l.load(&dh[j.clone()]));
                let delta = match self.activation {
                    Activation::Tanh => d * (one - h * h),
                    Activation::Relu => d.where_positive(h),
                };
                l.store(delta, &mut deltas[j.clone()]);
                let bias = &mut self.bias[j];
                l.store(l.load(bias) + delta, bias);
            }
        }
    }
}
