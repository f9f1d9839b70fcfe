//! The forward–backward recursions over the alignments of one sequence.
//!
//! In the letters of Graves et al. (2006), section 4.1: the target `l` with a blank before, between and
//! after its symbols is `l'`, of length `2|l| + 1`; a path through `l'` may stay where it is, go one
//! place on, or leap over a blank that does not part two equal symbols. A probability over thousands of
//! frames is below the smallest f64, so each has an exponent of its own ([`Scaled`]).

use super::scaled::{Rows, Scaled, factor};
use crate::kernels::softmax::{LogSumExp, Softmax};
use crate::kernels::{Kernel, Lanes, Real};

/// Frames after which mantissas are brought back to their size.
const NORMALIZED: usize = 100;

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
        let Some(lattice) = Lattice::new(self, &denominators) else { return f64::NAN };
        -f32::dispatch(Forward(&lattice)).1.ln()
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
        let Some(lattice) = Lattice::new(self, &denominators) else {
            gradient.fill(R::from_f64(f64::NAN));
            return f64::NAN;
        };
        let (alpha, p) = f32::dispatch(Forward(&lattice));
        let log_p = p.ln();
        if log_p == f64::NEG_INFINITY {
            gradient.fill(R::from_f64(f64::NAN));
        } else {
            let (lattice, symbols) = (&lattice, self.symbols);
            f32::dispatch(SubtractOccupancy { lattice, alpha: &alpha, p, symbols, gradient });
        }
        -log_p
    }

    /// Whether there are frames enough: one for each symbol and one for the blank between two equal ones.
    fn fits(&self) -> bool {
        let repeats = self.target.windows(2).filter(|pair| pair[0] == pair[1]).count();
        self.target.len() + repeats <= self.logits.len() / self.symbols
    }
}

/// The places of `l'` and the probabilities of their symbols.
struct Lattice {
    frames: usize,
    /// `|l'|`
    places: usize,
    /// The symbols of `l'`, each once.
    alphabet: Vec<u32>,
    /// Which of them stands at each place.
    symbol_of: Vec<usize>,
    /// Whether a path may come to this place over the one before (a [`factor`]): that one is a blank
    /// between two symbols that differ. Paths come to the places 0 and 1 from one that lies before them,
    /// and go from the last two to one behind, so it may be leapt to place 1 and to place `|l'|`.
    may_leap_to: Vec<f64>,
    /// The softmax: for each frame a row of the alphabet's probabilities.
    y: Rows,
}

impl Lattice {
    /// `None` when the logits of a frame have no softmax.
    fn new<R: Real>(sequence: &Sequence<R>, denominators: &[f64]) -> Option<Self> {
        if denominators.iter().any(|denominator| denominator.is_nan()) {
            return None;
        }
        let places = 2 * sequence.target.len() + 1;
        let symbol = |place: usize| match place % 2 {
            0 => sequence.blank,
            _ => sequence.target[place / 2],
        };
        let mut alphabet: Vec<u32> = sequence.target.to_vec();
        alphabet.push(sequence.blank);
        alphabet.sort_unstable();
        alphabet.dedup();
        let symbol_of = (0..places).map(|place| alphabet.partition_point(|&other| other < symbol(place)));
        let may_leap_to = (0..places + 2).map(|place| match place {
            1 => true,
            _ if place >= places => place == places,
            _ => place % 2 == 1 && symbol(place) != symbol(place - 2),
        });
        let mut y = Rows::new(denominators.len(), alphabet.len());
        let logits = sequence.logits.chunks_exact(sequence.symbols);
        for (frame, (logits, denominator)) in logits.zip(denominators).enumerate() {
            let mut y = y.row_mut(frame);
            for (i, &symbol) in alphabet.iter().enumerate() {
                y.set(i, Scaled::exp(logits[symbol as usize].to_f64() - denominator));
            }
        }
        let (symbol_of, may_leap_to) = (symbol_of.collect(), may_leap_to.map(factor).collect());
        Some(Self { frames: denominators.len(), places, alphabet, symbol_of, may_leap_to, y })
    }
}

/// `α_t(s)` for every frame and place (equations 5 to 7), and `p(l | x)` (equation 8):
///
/// ```text
/// α_1(1) = y_1(blank)      α_1(2) = y_1(l_1)
/// α_t(s) = y_t(l'_s) · (α_{t-1}(s) + α_{t-1}(s-1) + α_{t-1}(s-2) where s may be leapt to)
/// p(l | x) = α_T(|l'|) + α_T(|l'| - 1)
/// ```
///
/// Row `t + 1` is of frame `t`, and has two zeros before the places. In row 0 all paths stand before the
/// first place, which is where the second of these zeros is.
struct Forward<'a>(&'a Lattice);

// Of f32, but the vectors are the compiler's: it makes them as wide as the processor of this kernel has them.
impl Kernel<f32> for Forward<'_> {
    type Output = (Rows, Scaled);

    #[inline(always)]
    fn run<L: Lanes<Real = f32>>(self, _: L) -> (Rows, Scaled) {
        let &Lattice { frames, places, ref symbol_of, ref may_leap_to, ref y, .. } = self.0;
        let mut alpha = Rows::new(frames + 1, places + 2);
        let mut first = alpha.row_mut(0);
        first.fill(Scaled::ZERO);
        first.set(1, Scaled::ONE);
        let mut y_of_places = Rows::new(1, places);
        for frame in 0..frames {
            y.row(frame).gather(symbol_of, y_of_places.row_mut(0));
            let (before, mut now) = alpha.before_and_row(frame + 1);
            now.set(0, Scaled::ZERO);
            now.set(1, Scaled::ZERO);
            let mut now = now.part(2, places);
            let [stay, step, leap] = [2, 1, 0].map(|from| before.part(from, places));
            now.set_sums([stay, step, leap], may_leap_to);
            now.multiply(y_of_places.row(0));
            if frame % NORMALIZED == 0 {
                now.normalize();
            }
        }
        // The zeros are added, for a target of no symbols has one place only.
        let last = alpha.row(frames);
        let mut p = Rows::new(1, 1);
        let ends = [places + 1, places, 0].map(|place| last.part(place, 1));
        p.row_mut(0).set_sums(ends, &[factor(false)]);
        p.row_mut(0).normalize();
        let p = p.row(0).get(0);
        (alpha, p)
    }
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
struct SubtractOccupancy<'a, R> {
    lattice: &'a Lattice,
    alpha: &'a Rows,
    p: Scaled,
    symbols: usize,
    gradient: &'a mut [R],
}

impl<R: Real> Kernel<f32> for SubtractOccupancy<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes<Real = f32>>(self, _: L) {
        let &Lattice { frames, places, ref alphabet, ref symbol_of, ref may_leap_to, ref y } = self.lattice;
        // `β` of this frame, and `β y` of the one after; behind the places are two zeros. After the last
        // frame all paths end behind the last place, which is where the first of these zeros is.
        let (mut beta, mut after) = (Rows::new(1, places + 2), Rows::new(1, places + 2));
        after.row_mut(0).fill(Scaled::ZERO);
        after.row_mut(0).set(places, Scaled::ONE);
        let mut y_of_places = Rows::new(1, places);
        let mut shares = vec![0.; places];
        let mut occupancy = vec![0.; alphabet.len()];
        for frame in (0..frames).rev() {
            let [stay, step, leap] = [0, 1, 2].map(|to| after.row(0).part(to, places));
            let mut now = beta.row_mut(0).part(0, places);
            now.set_sums([stay, step, leap], &may_leap_to[2..]);
            if frame % NORMALIZED == 0 {
                now.normalize();
            }
            self.alpha.row(frame + 1).part(2, places).shares(beta.row(0), self.p, &mut shares);
            for (share, &symbol) in shares.iter().zip(symbol_of) {
                occupancy[symbol] += share;
            }
            let gradient = &mut self.gradient[frame * self.symbols..][..self.symbols];
            for (occupancy, &symbol) in occupancy.iter_mut().zip(alphabet) {
                gradient[symbol as usize] -= R::from_f64(std::mem::take(occupancy));
            }
            y.row(frame).gather(symbol_of, y_of_places.row_mut(0));
            beta.row_mut(0).part(0, places).multiply(y_of_places.row(0));
            beta.row_mut(0).set(places, Scaled::ZERO);
            beta.row_mut(0).set(places + 1, Scaled::ZERO);
            std::mem::swap(&mut beta, &mut after);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Generator;
    use proptest::prelude::*;

    fn log_add(terms: &[f64]) -> f64 {
        let max = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if max == f64::NEG_INFINITY {
            max
        } else {
            max + terms.iter().map(|x| (x - max).exp()).sum::<f64>().ln()
        }
    }

    /// `ln α`, frame by frame, of `ln y` of every place.
    fn log_alpha(log_y: &[Vec<f64>], symbols: &[u32], blank: u32) -> Vec<Vec<f64>> {
        let mut before: Vec<f64> = Vec::new();
        let frames = log_y.iter().enumerate().map(|(frame, log_y)| {
            let from = |place: usize, back: usize| match place.checked_sub(back) {
                Some(place) if frame > 0 => before[place],
                _ => f64::NEG_INFINITY,
            };
            let now = (0..symbols.len()).map(|place| {
                let leaps = place > 2 && symbols[place] != blank && symbols[place] != symbols[place - 2];
                let leap = if leaps { from(place, 2) } else { f64::NEG_INFINITY };
                let begin = if frame == 0 && place < 2 { 0. } else { f64::NEG_INFINITY };
                log_add(&[from(place, 0), from(place, 1), leap, begin]) + log_y[place]
            });
            let now: Vec<f64> = now.collect();
            before.clone_from(&now);
            now
        });
        frames.collect()
    }

    /// Loss and gradient by logarithms; `β` is the `α` of all that is read backwards.
    fn by_logarithms(sequence: &Sequence<f64>) -> (f64, Vec<f64>) {
        let mut symbols = vec![sequence.blank];
        sequence.target.iter().for_each(|&symbol| symbols.extend([symbol, sequence.blank]));
        let frames = sequence.logits.chunks_exact(sequence.symbols);
        let log_softmax: Vec<Vec<f64>> =
            frames.map(|x| x.iter().map(|logit| logit - log_add(x)).collect()).collect();
        let mut log_y: Vec<Vec<f64>> = log_softmax
            .iter()
            .map(|frame| symbols.iter().map(|&symbol| frame[symbol as usize]).collect())
            .collect();
        let alpha = log_alpha(&log_y, &symbols, sequence.blank);
        let last = &alpha[alpha.len() - 1];
        let log_p = log_add(&last[last.len().saturating_sub(2)..]);
        let mut gradient: Vec<f64> = log_softmax.iter().flatten().map(|x| x.exp()).collect();
        let reversed: Vec<u32> = symbols.iter().copied().rev().collect();
        log_y.reverse();
        log_y.iter_mut().for_each(|frame| frame.reverse());
        let mut beta = log_alpha(&log_y, &reversed, sequence.blank);
        beta.reverse();
        for (frame, (alpha, beta)) in alpha.iter().zip(&beta).enumerate() {
            for (place, (alpha, beta)) in alpha.iter().zip(beta.iter().rev()).enumerate() {
                // Both have the frame's own `y`.
                let log_y = log_softmax[frame][symbols[place] as usize];
                if log_y > f64::NEG_INFINITY {
                    let share = (alpha + beta - log_y - log_p).exp();
                    gradient[frame * sequence.symbols + symbols[place] as usize] -= share;
                }
            }
        }
        (-log_p, gradient)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn loss_and_gradient_are_those_of_logarithms_however_small_the_probabilities(
            frames in 1usize..400,
            symbols in 2usize..6,
            share in 0f64..0.7,
            scale in prop::sample::select(&[1., 30., 500.]),
            masked in prop::sample::select(&[0., 0.02]),
            seed in 0u64..1000,
        ) {
            let mut generator = Generator::new(seed);
            let logits: Vec<f64> = (0..frames * symbols)
                .map(|_| if generator.uniform() < masked { f64::NEG_INFINITY } else { scale * generator.normal() })
                .collect();
            // A frame needs a symbol.
            prop_assume!(logits.chunks(symbols).all(|x| x.iter().any(|&x| x > f64::NEG_INFINITY)));
            let target: Vec<u32> = (0..(share * frames as f64) as usize)
                .map(|_| 1 + generator.below(symbols - 1) as u32)
                .collect();
            let sequence = Sequence { logits: &logits, symbols, target: &target, blank: 0 };
            let (truth, exact) = by_logarithms(&sequence);
            let mut gradient = vec![0.; logits.len()];
            let loss = sequence.loss_and_gradient(&mut gradient);
            prop_assert!(loss == truth || (loss - truth).abs() <= 1e-11 * truth.abs().max(1.), "{loss} {truth}");
            prop_assert_eq!(sequence.loss(), loss);
            for (found, exact) in gradient.iter().zip(&exact) {
                let both_nan = loss == f64::INFINITY && found.is_nan();
                prop_assert!(both_nan || (found - exact).abs() < 1e-7, "{found} {exact}");
            }
        }
    }
}
