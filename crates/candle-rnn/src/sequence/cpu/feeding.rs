//! Input feeding within a walk: what is added to the gates before a step, and the attention after
//! it (see [`crate::sequence::feeding`] for the formulas).

use candle_core::{Result, Tensor};

use super::history::History;
use super::plan::{Plan, Walk};
use super::{AddRows, Layer, tensor};
use crate::attention::row::{Attend, AttendBack, Comparison, Places};
use crate::kernels::{Buffer, Kernel, Lanes, Packed, Real, Rows, Tanh, Team};
use crate::kernels::{add_rows, transposed_product, with_numbers};
use crate::sequence::feeding::Feeding;

/// How wide everything is.
#[derive(Clone, Copy)]
pub(super) struct Sizes {
    /// The cell's output.
    h: usize,
    /// The attentional vector.
    fed: usize,
    places: usize,
    key: usize,
    value: usize,
    /// The query of the additive form; 0 in the multiplicative form, whose query is h.
    query: usize,
}

impl Sizes {
    pub fn of(feeding: &Feeding, h: usize) -> Result<Self> {
        let (_, places, key) = feeding.memory.keys().dims3()?;
        let query = feeding.attention.additive().map_or(0, |_| key);
        Ok(Self { h, fed: feeding.size()?, places, key, value: feeding.memory.values().dim(2)?, query })
    }

    fn joined(&self) -> usize {
        self.h + self.value
    }
}

/// The memory and the weights as a pass reads them.
pub(super) struct Ready<'a, R: Real> {
    pub sizes: Sizes,
    keys: &'a [R],
    values: &'a [R],
    lengths: &'a [usize],
    v: Option<&'a [R]>,
    bias: &'a [R],
    feed: Packed<R>,
    combine: Packed<R>,
    query: Option<Packed<R>>,
}

impl<'a, R: Real> Ready<'a, R> {
    fn comparison(&self) -> Comparison<'a, R> {
        match self.v {
            Some(v) => Comparison::Additive(v),
            None => Comparison::Multiplicative,
        }
    }

    /// The valid places of a row of the batch.
    fn places(&self, row: usize) -> Places<'a, R> {
        let Sizes { places, key, value, .. } = self.sizes;
        let length = self.lengths[row];
        Places {
            keys: &self.keys[row * places * key..][..length * key],
            values: &self.values[row * places * value..][..length * value],
        }
    }
}

/// `f` of what a forward pass (`forward`) or a backward pass needs.
pub(super) fn with_ready<R: Real, T>(
    layer: &Layer,
    feeding: &Feeding,
    forward: bool,
    f: impl FnOnce(Ready<R>) -> Result<T>,
) -> Result<T> {
    let sizes = Sizes::of(feeding, layer.sizes.output)?;
    let pack = |w: &Tensor, width: usize| {
        let pack = if forward { Packed::columns } else { Packed::rows };
        with_numbers(w, |w| pack(Rows::new(w, width), layer.matmul))
    };
    let feed = pack(&feeding.feed, sizes.fed)?;
    let combine = pack(feeding.combine.weight(), sizes.joined())?;
    let additive = feeding.attention.additive();
    let query = additive.map(|[w_q, _]| pack(w_q, sizes.h)).transpose()?;
    let v = additive.map(|[_, v]| with_numbers(v, <[R]>::to_vec)).transpose()?;
    let bias = match feeding.combine.bias() {
        Some(bias) => with_numbers(bias, <[R]>::to_vec)?,
        None => vec![R::zero(); sizes.fed],
    };
    let lengths = feeding.memory.lengths().as_slice();
    with_numbers(feeding.memory.keys(), |keys| {
        with_numbers(feeding.memory.values(), |values| {
            f(Ready { sizes, keys, values, lengths, v: v.as_deref(), bias: &bias, feed, combine, query })
        })
    })??
}

/// What the forward pass keeps.
pub(super) struct Saved<R: Real> {
    sizes: Sizes,
    /// The attentional vectors, zeros in front.
    fed: Buffer<R>,
    /// `[h; c]`, `[total, h + value]`
    joined: Buffer<R>,
    /// α, `[total, places]`
    weights: Buffer<R>,
    /// `[total, query]`
    queries: Buffer<R>,
}

impl<R: Real> Saved<R> {
    pub fn new(plan: &Plan, sizes: Sizes) -> Self {
        let total = plan.total();
        let history: usize = plan.walks.iter().map(|walk| walk.history(1)).sum();
        Self {
            sizes,
            fed: Buffer::new(history * sizes.fed),
            joined: Buffer::new(total * sizes.joined()),
            weights: Buffer::new(total * sizes.places),
            queries: Buffer::new(total * sizes.query),
        }
    }

    /// The attentional vectors, which are the outputs of the layer: how many steps are in front, and
    /// how wide they are.
    pub fn outputs(&self) -> (&[R], usize, usize) {
        (&self.fed, 1, self.sizes.fed)
    }

    /// Each walk's share, to be written.
    pub fn forward<'a>(&'a mut self, plan: &'a Plan, ready: &'a Ready<'a, R>) -> Vec<Forward<'a, R>> {
        let sizes = ready.sizes;
        let fed = plan.split_history(&mut self.fed, sizes.fed, 1);
        let joined = plan.split(&mut self.joined, sizes.joined());
        let weights = plan.split(&mut self.weights, sizes.places);
        let queries = plan.split(&mut self.queries, sizes.query);
        let pieces = plan.walks.iter().zip(fed).zip(joined).zip(weights).zip(queries);
        pieces
            .map(|((((walk, data), joined), weights), queries)| {
                let mut fed = History { walk, data, width: sizes.fed, lead: 1 };
                let nothing = vec![R::zero(); sizes.fed];
                (0..walk.len()).for_each(|row| fed.set_initial(0, row, &nothing));
                Forward { ready, walk, fed, joined, weights, queries }
            })
            .collect()
    }
}

/// A walk's share of the forward pass.
pub(super) struct Forward<'a, R: Real> {
    ready: &'a Ready<'a, R>,
    walk: &'a Walk,
    fed: History<'a, &'a mut [R]>,
    joined: &'a mut [R],
    weights: &'a mut [R],
    queries: &'a mut [R],
}

impl<R: Real> Forward<'_, R> {
    /// Adds `W_f a_{s-1}` to the gates of step `s`.
    pub fn feed(&mut self, team: &Team, s: usize, gates: &mut [R]) {
        let (fed, _) = self.fed.earlier_and_current(s, 1);
        team.product(gates, Rows::new(fed, self.ready.sizes.fed), &self.ready.feed);
    }

    /// Computes `a_s` from `h_s`.
    pub fn attend(&mut self, team: &Team, s: usize, h: &[R]) {
        let Self { ready, walk, .. } = *self;
        let sizes = ready.sizes;
        let joined = &mut self.joined[walk.at(s, sizes.joined())];
        let weights = self.weights[walk.at(s, sizes.places)].chunks_exact_mut(sizes.places);
        let queries = match &ready.query {
            None => h,
            Some(w_q) => {
                let queries = &mut self.queries[walk.at(s, sizes.query)];
                queries.fill(R::zero());
                team.product(queries, Rows::new(h, sizes.h), w_q);
                &*queries
            }
        };
        let rows = queries.chunks_exact(sizes.key).zip(h.chunks_exact(sizes.h)).zip(&walk.rows);
        let rows = rows.zip(joined.chunks_exact_mut(sizes.joined()).zip(weights));
        for (((query, h), &(row, _)), (joined, weights)) in rows {
            let (h_again, context) = joined.split_at_mut(sizes.h);
            h_again.copy_from_slice(h);
            let (comparison, places) = (ready.comparison(), ready.places(row));
            let weights = &mut weights[..ready.lengths[row]];
            R::dispatch(Attend { comparison, places, query, weights, context });
        }
        let (_, fed) = self.fed.earlier_and_current(s, 1);
        fed.chunks_exact_mut(sizes.fed).for_each(|row| row.copy_from_slice(ready.bias));
        team.product(fed, Rows::new(joined, sizes.joined()), &ready.combine);
        R::dispatch(Tanh(fed));
    }
}

/// `δ = d ⊙ (1 − a²)`
struct TanhBack<'a, R> {
    a: &'a [R],
    d: &'a [R],
    delta: &'a mut [R],
}

impl<R: Real> Kernel<R> for TanhBack<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes<Real = R>>(self, l: L) {
        let one = l.splat(R::one());
        for j in l.pieces(self.a.len()) {
            let (a, d) = (l.load(&self.a[j.clone()]), l.load(&self.d[j.clone()]));
            l.store(d * (one - a * a), &mut self.delta[j]);
        }
    }
}

/// What a backward pass gathers of all steps.
pub(super) struct Deltas<R: Real> {
    /// `∂L/∂(W_c [h; c] + b_c)`, `[total, fed]`
    combine: Buffer<R>,
    /// `∂L/∂q`, `[total, query]`
    queries: Buffer<R>,
}

impl<R: Real> Deltas<R> {
    pub fn new(plan: &Plan, sizes: Sizes) -> Self {
        let total = plan.total();
        Self { combine: Buffer::new(total * sizes.fed), queries: Buffer::new(total * sizes.query) }
    }

    /// Each walk's share.
    pub fn backward<'a>(
        &'a mut self,
        plan: &'a Plan,
        ready: &'a Ready<'a, R>,
        saved: &'a Saved<R>,
    ) -> Vec<Backward<'a, R>> {
        let sizes = ready.sizes;
        let combine = plan.split(&mut self.combine, sizes.fed);
        let queries = plan.split(&mut self.queries, sizes.query);
        let mut fed = &saved.fed[..];
        let walks = plan.walks.iter().zip(combine).zip(queries);
        walks
            .map(|((walk, combine), queries)| {
                let data = fed.split_off(..walk.history(1) * sizes.fed).expect("the history is of this plan");
                let zeros = |n: usize| vec![R::zero(); n];
                Backward {
                    ready,
                    walk,
                    fed: History { walk, data, width: sizes.fed, lead: 1 },
                    joined: &saved.joined[walk.within(sizes.joined())],
                    weights: &saved.weights[walk.within(sizes.places)],
                    saved_queries: &saved.queries[walk.within(sizes.query)],
                    combine,
                    queries,
                    carry: zeros(walk.len() * sizes.fed),
                    d_joined: Buffer::new(walk.len() * sizes.joined()),
                    scores: zeros(sizes.places),
                    d_query: zeros(sizes.key),
                    memory: MemoryGradient {
                        keys: zeros(walk.len() * sizes.places * sizes.key),
                        values: zeros(walk.len() * sizes.places * sizes.value),
                        v: zeros(sizes.query),
                    },
                }
            })
            .collect()
    }
}

/// A walk's share of the backward pass.
pub(super) struct Backward<'a, R: Real> {
    ready: &'a Ready<'a, R>,
    walk: &'a Walk,
    fed: History<'a, &'a [R]>,
    joined: &'a [R],
    weights: &'a [R],
    saved_queries: &'a [R],
    combine: &'a mut [R],
    queries: &'a mut [R],
    /// `∂L/∂a` from the step after, `[rows, fed]`
    carry: Vec<R>,
    d_joined: Buffer<R>,
    scores: Vec<R>,
    d_query: Vec<R>,
    memory: MemoryGradient<R>,
}

/// `∂L/∂` of the keys and the values, `[rows of the walk, places, …]`, and of `v`.
pub(super) struct MemoryGradient<R> {
    keys: Vec<R>,
    values: Vec<R>,
    v: Vec<R>,
}

impl<R: Real> Backward<'_, R> {
    /// Adds to `∂L/∂h_s` what comes through `a_s`, whose own gradient is that of the outputs (a row
    /// for each running row) and of the step after.
    pub fn attend(&mut self, team: &Team, s: usize, outputs: Rows<R>, dh: &mut [R]) {
        let Self { ready, walk, .. } = *self;
        let sizes = ready.sizes;
        let running = walk.running[s];
        let d = &mut self.carry[..running * sizes.fed];
        R::dispatch(AddRows { sum: d, rows: outputs });
        let delta = &mut self.combine[walk.at(s, sizes.fed)];
        R::dispatch(TanhBack { a: self.fed.at(s as isize, s), d, delta });
        let d_joined = &mut self.d_joined[..running * sizes.joined()];
        d_joined.fill(R::zero());
        team.product(d_joined, Rows::new(delta, sizes.fed), &ready.combine);
        let joined = &self.joined[walk.at(s, sizes.joined())];
        let weights = &self.weights[walk.at(s, sizes.places)];
        let saved_queries = &self.saved_queries[walk.at(s, sizes.query)];
        let queries = &mut self.queries[walk.at(s, sizes.query)];
        for i in 0..running {
            let row = walk.rows[i].0;
            let (d_h, context) = d_joined[i * sizes.joined()..][..sizes.joined()].split_at(sizes.h);
            let length = ready.lengths[row];
            let additive = ready.query.is_some();
            let query = match additive {
                true => &saved_queries[i * sizes.key..][..sizes.key],
                false => &joined[i * sizes.joined()..][..sizes.h],
            };
            R::dispatch(AttendBack {
                comparison: ready.comparison(),
                places: ready.places(row),
                query,
                weights: &weights[i * sizes.places..][..length],
                context,
                d_weights: &[],
                scores: &mut self.scores[..length],
                d_query: &mut self.d_query,
                d_keys: &mut self.memory.keys[i * sizes.places * sizes.key..][..length * sizes.key],
                d_values: &mut self.memory.values[i * sizes.places * sizes.value..][..length * sizes.value],
                d_v: &mut self.memory.v,
            });
            let dh = &mut dh[i * sizes.h..][..sizes.h];
            R::dispatch(AddRows { sum: dh, rows: Rows::new(d_h, sizes.h) });
            match additive {
                true => queries[i * sizes.key..][..sizes.key].copy_from_slice(&self.d_query),
                false => R::dispatch(AddRows { sum: dh, rows: Rows::new(&self.d_query, sizes.h) }),
            }
        }
        if let Some(w_q) = &ready.query {
            team.product(dh, Rows::new(queries, sizes.query), w_q);
        }
    }

    /// `∂L/∂a_{s-1}` through the gates of step `s`.
    pub fn feed(&mut self, team: &Team, s: usize, deltas: &[R]) {
        let fed = self.ready.sizes.fed;
        let running = self.walk.running[s];
        let carry = &mut self.carry[..running * fed];
        carry.fill(R::zero());
        team.product(carry, Rows::new(deltas, deltas.len() / running), &self.ready.feed);
    }

    /// What the walk has gathered.
    pub fn finish(self) -> MemoryGradient<R> {
        self.memory
    }
}

/// Gradients in the order of [`Feeding::tensors`].
pub(super) fn gradients<R: Real>(
    layer: &Layer,
    feeding: &Feeding,
    plan: &Plan,
    saved: &Saved<R>,
    (gates, deltas): (&[R], &Deltas<R>),
    walks: Vec<MemoryGradient<R>>,
) -> Result<Vec<Tensor>> {
    let sizes = Sizes::of(feeding, layer.sizes.output)?;
    let batch = layer.sizes.batch;
    let pack = |rows: Rows<R>| Packed::rows(rows, layer.matmul);
    let earlier = pack(Rows::in_order(&saved.fed, sizes.fed, &plan.lagged(1, 1)));
    let feed = transposed_product(Rows::new(gates, layer.sizes.gates), &earlier);
    let combine_deltas = Rows::new(&deltas.combine, sizes.fed);
    let combine = transposed_product(combine_deltas, &pack(Rows::new(&saved.joined, sizes.joined())));

    let (mut keys, mut values) = (
        vec![R::zero(); batch * sizes.places * sizes.key],
        vec![R::zero(); batch * sizes.places * sizes.value],
    );
    let mut v = vec![R::zero(); sizes.query];
    for (walk, gradient) in plan.walks.iter().zip(walks) {
        for (all, part, width) in
            [(&mut keys, &gradient.keys, sizes.key), (&mut values, &gradient.values, sizes.value)]
        {
            let width = sizes.places * width;
            for (part, &(row, _)) in part.chunks_exact(width).zip(&walk.rows) {
                all[row * width..][..width].copy_from_slice(part);
            }
        }
        v.iter_mut().zip(gradient.v).for_each(|(sum, x)| *sum += x);
    }

    let like = |numbers: Vec<R>, like: &Tensor| tensor(numbers, like.shape().clone());
    let mut tensors = vec![like(feed, &feeding.feed)?, like(combine, feeding.combine.weight())?];
    if let Some(bias) = feeding.combine.bias() {
        let mut sums = vec![R::zero(); sizes.fed];
        add_rows(&mut sums, combine_deltas);
        tensors.push(like(sums, bias)?);
    }
    tensors.push(like(values, feeding.memory.values())?);
    tensors.push(like(keys, feeding.memory.keys())?);
    if let Some([w_q, v_tensor]) = feeding.attention.additive() {
        // h is the first part of what was joined.
        let mut h = Buffer::new(plan.total() * sizes.h);
        for (h, joined) in h.chunks_exact_mut(sizes.h).zip(saved.joined.chunks_exact(sizes.joined())) {
            h.copy_from_slice(&joined[..sizes.h]);
        }
        let h = pack(Rows::new(&h, sizes.h));
        tensors.push(like(transposed_product(Rows::new(&deltas.queries, sizes.query), &h), w_q)?);
        tensors.push(like(v, v_tensor)?);
    }
    Ok(tensors)
}
