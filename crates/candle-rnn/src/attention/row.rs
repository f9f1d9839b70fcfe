//! One query and its memory on the CPU, forward and backward: what every fused path is made of.

use crate::kernels::dot::{dot, total};
use crate::kernels::softmax::Softmax;
use crate::kernels::{Kernel, Lanes, Real, Vector};

/// What a query attends to: `keys [places, key]` and `values [places, value]`, without padding.
#[derive(Clone, Copy)]
pub(crate) struct Places<'a, R> {
    pub keys: &'a [R],
    pub values: &'a [R],
}

/// How a query q and a key k are compared.
#[derive(Clone, Copy)]
pub(crate) enum Comparison<'a, R> {
    /// `v · tanh(q + k)`
    Additive(&'a [R]),
    /// `q · k`
    Multiplicative,
}

/// `α = softmax(e)` with `e_j` the comparison of the query and key j, and `c = Σ_j α_j value_j`.
pub(crate) struct Attend<'a, R> {
    pub comparison: Comparison<'a, R>,
    pub places: Places<'a, R>,
    /// `[key]`
    pub query: &'a [R],
    /// α, `[places]`, to be written.
    pub weights: &'a mut [R],
    /// c, `[value]`, to be written.
    pub context: &'a mut [R],
}

impl<R: Real> Kernel<R> for Attend<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes<Real = R>>(self, l: L) {
        let Self { comparison, places, query, weights, context } = self;
        let keys = places.keys.chunks_exact(query.len());
        match comparison {
            Comparison::Multiplicative => {
                for (weight, key) in weights.iter_mut().zip(keys) {
                    *weight = dot(l, query, key);
                }
            }
            Comparison::Additive(v) => {
                for (weight, key) in weights.iter_mut().zip(keys) {
                    let mut sum = l.splat(R::zero());
                    for j in l.pieces(query.len()) {
                        let t = (l.load(&query[j.clone()]) + l.load(&key[j.clone()])).tanh();
                        sum = t.mul_add(l.load(&v[j]), sum);
                    }
                    *weight = total(l, sum);
                }
            }
        }
        Softmax(weights).run(l);
        for j in l.pieces(context.len()) {
            let mut sum = l.splat(R::zero());
            for (&weight, value) in weights.iter().zip(places.values.chunks_exact(context.len())) {
                sum = l.splat(weight).mul_add(l.load(&value[j.clone()]), sum);
            }
            l.store(sum, &mut context[j]);
        }
    }
}

/// With `d = ∂L/∂c`, and `w_j` what else `∂L/∂α_j` is made of:
///
/// ```text
/// ∂L/∂value_j += α_j d        a_j = d · value_j + w_j  ∂L/∂e_j = α_j (a_j − Σ_i α_i a_i) = ε_j
/// multiplicative:  ∂L/∂q = Σ_j ε_j k_j      ∂L/∂k_j += ε_j q
/// additive, with t_j = tanh(q + k_j) and g_j = ε_j v ⊙ (1 − t_j²):
///                  ∂L/∂q = Σ_j g_j          ∂L/∂k_j += g_j          ∂L/∂v += Σ_j ε_j t_j
/// ```
pub(crate) struct AttendBack<'a, R> {
    pub comparison: Comparison<'a, R>,
    pub places: Places<'a, R>,
    pub query: &'a [R],
    pub weights: &'a [R],
    /// d
    pub context: &'a [R],
    /// w; empty where there is nothing.
    pub d_weights: &'a [R],
    /// ε, to be written.
    pub scores: &'a mut [R],
    /// `∂L/∂q`, to be written.
    pub d_query: &'a mut [R],
    pub d_keys: &'a mut [R],
    pub d_values: &'a mut [R],
    /// `∂L/∂v`; not touched by the multiplicative form.
    pub d_v: &'a mut [R],
}

impl<R: Real> Kernel<R> for AttendBack<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes<Real = R>>(self, l: L) {
        let Self { comparison, places, query, weights, context, d_weights, .. } = self;
        let Self { scores, d_query, d_keys, d_values, d_v, .. } = self;
        let (key, value) = (query.len(), context.len());
        let values = places.values.chunks_exact(value).zip(d_values.chunks_exact_mut(value));
        let mut mean = R::zero();
        let others = d_weights.iter().copied().chain(std::iter::repeat(R::zero()));
        for (((score, &weight), (value, d_value)), other) in
            scores.iter_mut().zip(weights).zip(values).zip(others)
        {
            *score = dot(l, context, value) + other;
            mean += weight * *score;
            add_scaled(l, d_value, weight, context);
        }
        for (score, &weight) in scores.iter_mut().zip(weights) {
            *score = weight * (*score - mean);
        }
        let keys = places.keys;
        match comparison {
            Comparison::Multiplicative => {
                d_query.fill(R::zero());
                let keys = keys.chunks_exact(key).zip(d_keys.chunks_exact_mut(key));
                for (&score, (key, d_key)) in scores.iter().zip(keys) {
                    add_scaled(l, d_query, score, key);
                    add_scaled(l, d_key, score, query);
                }
            }
            Comparison::Additive(v) => {
                let one = l.splat(R::one());
                for j in l.pieces(key) {
                    let (q, v) = (l.load(&query[j.clone()]), l.load(&v[j.clone()]));
                    let (mut dq, mut dv) = (l.splat(R::zero()), l.load(&d_v[j.clone()]));
                    let keys = keys.chunks_exact(key).zip(d_keys.chunks_exact_mut(key));
                    for (&score, (key, d_key)) in scores.iter().zip(keys) {
                        let t = (q + l.load(&key[j.clone()])).tanh();
                        let score = l.splat(score);
                        let g = score * v * (one - t * t);
                        dq = dq + g;
                        dv = score.mul_add(t, dv);
                        let d_key = &mut d_key[j.clone()];
                        l.store(l.load(d_key) + g, d_key);
                    }
                    l.store(dq, &mut d_query[j.clone()]);
                    l.store(dv, &mut d_v[j]);
                }
            }
        }
    }
}

/// `sum += factor · x`
#[inline(always)]
fn add_scaled<L: Lanes>(l: L, sum: &mut [L::Real], factor: L::Real, x: &[L::Real]) {
    let factor = l.splat(factor);
    for j in l.pieces(x.len()) {
        let added = factor.mul_add(l.load(&x[j.clone()]), l.load(&sum[j.clone()]));
        l.store(added, &mut sum[j]);
    }
}
