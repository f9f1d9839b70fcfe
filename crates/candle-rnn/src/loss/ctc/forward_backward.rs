//! The forward–backward recursions over the alignments of one sequence.
//!
//! In the letters of Graves et al. (2006), section 4.1: the target `l` with a blank before, between and
//! after its symbols is `l'`, of length `2|l| + 1`; a path through `l'` may stay where it is, go one
//! place on, or leap over a blank that does not part two equal symbols. Everything is a logarithm, in
//! f64: a probability over thousands of frames is below the smallest number there is.

use crate::kernels::Real;
use crate::kernels::softmax::{LogSumExp, Softmax};

/// Scores of the symbols in every frame `[frames, symbols]`, and what they are to be aligned with.
pub(super) struct Sequence<'a, R> {
    pub logits: &'a [R],
    pub symbols: usize,
    pub target: &'a [u32],
    pub blank: u32,
}

impl<R: Real> Sequence<'_, R> {
    /// `-ln p(l | x)`; +∞ when no path has a probability above zero.
    pub fn loss(&self) -> f64 {
        if !self.fits() {
            return f64::INFINITY;
        }
        let denominators: Vec<f64> =
            self.logits.chunks_exact(self.symbols).map(|logits| R::dispatch(LogSumExp(logits))).collect();
        let (_, log_p) = self.forward(&denominators);
        -log_p
    }

    /// The loss, and in `gradient [frames, symbols]` its derivatives by the logits: where a path
    /// exists, equation 16 in its simpler form,
    ///
    /// ```text
    /// ∂(-ln p(l | x)) / ∂x_tk = y_tk - Σ_{s: l'_s = k} p(path at s in frame t | l, x)
    /// ```
    ///
    /// with `y` the softmax; NaN where none exists.
    pub fn loss_and_gradient(&self, gradient: &mut [R]) -> f64 {
        if !self.fits() {
            gradient.fill(R::from_f64(f64::NAN));
            return f64::INFINITY;
        }
        gradient.copy_from_slice(self.logits);
        let denominators: Vec<f64> =
            gradient.chunks_exact_mut(self.symbols).map(|logits| R::dispatch(Softmax(logits))).collect();
        let (alpha, log_p) = self.forward(&denominators);
        if !log_p.is_finite() {
            gradient.fill(R::from_f64(f64::NAN));
            return -log_p;
        }
        self.subtract_occupancy(&denominators, &alpha, log_p, gradient);
        -log_p
    }

    /// Whether there are frames enough: one for each symbol and one for the blank between two equal ones.
    fn fits(&self) -> bool {
        let repeats = self.target.windows(2).filter(|pair| pair[0] == pair[1]).count();
        self.target.len() + repeats <= self.frames()
    }

    fn frames(&self) -> usize {
        self.logits.len() / self.symbols
    }

    fn places(&self) -> usize {
        2 * self.target.len() + 1
    }

    /// `l'_s`
    fn symbol(&self, place: usize) -> u32 {
        if place.is_multiple_of(2) { self.blank } else { self.target[place / 2] }
    }

    /// Whether a path may come to this place over the one before: that one is a blank, between two
    /// symbols that differ.
    fn may_leap_to(&self, place: usize) -> bool {
        place >= 3 && self.symbol(place) != self.blank && self.symbol(place) != self.symbol(place - 2)
    }

    /// `ln y` of the symbol at this place.
    fn log_y(&self, frame: usize, place: usize, denominators: &[f64]) -> f64 {
        self.logits[frame * self.symbols + self.symbol(place) as usize].to_f64() - denominators[frame]
    }

    /// `ln α_t(s)` for every frame and place (equations 5 to 7), and `ln p(l | x)` (equation 8):
    ///
    /// ```text
    /// α_1(1) = y_1(blank)      α_1(2) = y_1(l_1)
    /// α_t(s) = y_t(l'_s) · (α_{t-1}(s) + α_{t-1}(s-1) + α_{t-1}(s-2) where s may be leapt to)
    /// p(l | x) = α_T(|l'|) + α_T(|l'| - 1)
    /// ```
    fn forward(&self, denominators: &[f64]) -> (Vec<f64>, f64) {
        let (frames, places) = (self.frames(), self.places());
        let mut alpha = vec![f64::NEG_INFINITY; frames * places];
        for (place, alpha) in alpha.iter_mut().enumerate().take(places.min(2)) {
            *alpha = self.log_y(0, place, denominators);
        }
        for frame in 1..frames {
            let (before, now) = alpha[(frame - 1) * places..].split_at_mut(places);
            for place in self.reachable(frame) {
                let stay = before[place];
                let step = if place > 0 { before[place - 1] } else { f64::NEG_INFINITY };
                let leap = if self.may_leap_to(place) { before[place - 2] } else { f64::NEG_INFINITY };
                now[place] = log_add(stay, step, leap) + self.log_y(frame, place, denominators);
            }
        }
        let last = &alpha[(frames - 1) * places..];
        let before_last = if places > 1 { last[places - 2] } else { f64::NEG_INFINITY };
        let log_p = log_add(last[places - 1], before_last, f64::NEG_INFINITY);
        (alpha, log_p)
    }

    /// The places from which the end can still be reached and which can be reached from the beginning.
    fn reachable(&self, frame: usize) -> std::ops::Range<usize> {
        let (frames, places) = (self.frames(), self.places());
        places.saturating_sub(2 * (frames - frame))..places.min(2 * frame + 2)
    }

    /// The backward recursion, and what it is for: the share of all paths that is at each place in each
    /// frame leaves the gradient of the place's symbol. `β` leaves out its own frame's `y`, as in Graves
    /// (2012), *Supervised sequence labelling with recurrent neural networks*, section 7.3.1, so that
    /// nothing is divided by a probability that may be zero:
    ///
    /// ```text
    /// β_T(|l'|) = β_T(|l'| - 1) = 1
    /// β_t(s) = Σ β_{t+1}(s') y_{t+1}(l'_s')   over the places s' that may follow s
    /// p(path at s in frame t | l, x) = α_t(s) β_t(s) / p(l | x)
    /// ```
    fn subtract_occupancy(&self, denominators: &[f64], alpha: &[f64], log_p: f64, gradient: &mut [R]) {
        let (frames, places) = (self.frames(), self.places());
        // `ln (β y)` of the frame after, and `ln β` of this one
        let mut after = vec![f64::NEG_INFINITY; places];
        let mut beta = vec![f64::NEG_INFINITY; places];
        beta[places.saturating_sub(2)..].fill(0.);
        let mut occupancy = vec![0.; self.symbols];
        for frame in (0..frames).rev() {
            let alpha = &alpha[frame * places..][..places];
            let reachable = self.reachable(frame);
            for place in reachable.clone() {
                if frame + 1 < frames {
                    let step = if place + 1 < places { after[place + 1] } else { f64::NEG_INFINITY };
                    let leaps = place + 2 < places && self.may_leap_to(place + 2);
                    let leap = if leaps { after[place + 2] } else { f64::NEG_INFINITY };
                    beta[place] = log_add(after[place], step, leap);
                }
                occupancy[self.symbol(place) as usize] += (alpha[place] + beta[place] - log_p).exp();
            }
            let gradient = &mut gradient[frame * self.symbols..][..self.symbols];
            after.fill(f64::NEG_INFINITY);
            for place in reachable {
                after[place] = beta[place] + self.log_y(frame, place, denominators);
                let symbol = self.symbol(place) as usize;
                gradient[symbol] -= R::from_f64(std::mem::take(&mut occupancy[symbol]));
            }
        }
    }
}

/// `ln(e^a + e^b + e^c)`; a NaN stays one.
fn log_add(a: f64, b: f64, c: f64) -> f64 {
    let max = a.max(b).max(c);
    if max == f64::NEG_INFINITY {
        return a + b + c;
    }
    max + ((a - max).exp() + (b - max).exp() + (c - max).exp()).ln()
}
