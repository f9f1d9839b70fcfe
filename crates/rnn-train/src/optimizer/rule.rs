//! One update of one variable: its formula, as tensor operations and as one pass over the numbers.

use std::cell::RefCell;

use candle_core::{CpuStorage, InplaceOp2, Layout, Result, Tensor, Var, bail};
use rayon::prelude::*;

use super::muon;

/// Numbers updated by one task. Every number is updated on its own, so the result does not depend
/// on the number of threads.
pub const CHUNK: usize = 1 << 15;

/// One update: the constants of the formula at this step. Muon's is of a whole matrix.
#[derive(Clone, Copy)]
pub enum Rule {
    Sgd { decay: f64, momentum: f64, nesterov: bool, rate: f64 },
    Adam { decay: f64, keep: f64, beta1: f64, beta2: f64, epsilon: f64, correction: f64, rate: f64 },
    RmsProp { decay: f64, alpha: f64, epsilon: f64, momentum: f64, rate: f64 },
    Muon { keep: f64, momentum: f64, rate: f64 },
}

impl Rule {
    /// The new weights, as tensor operations; `moments` are replaced.
    pub fn tensors(self, w: &Tensor, g: Tensor, moments: &mut [Tensor]) -> Result<Tensor> {
        let penalised = |decay: f64| match decay {
            0.0 => Ok(g.clone()),
            _ => &g + (w * decay)?,
        };
        match (self, moments) {
            (Rule::Sgd { decay, rate, .. }, []) => w - (penalised(decay)? * rate)?,
            (Rule::Sgd { decay, momentum, nesterov, rate }, [buffer]) => {
                let g = penalised(decay)?;
                *buffer = ((&*buffer * momentum)? + &g)?;
                let direction = match nesterov {
                    true => (g + (&*buffer * momentum)?)?,
                    false => buffer.clone(),
                };
                w - (direction * rate)?
            }
            (Rule::Adam { decay, keep, beta1, beta2, epsilon, correction, rate }, [mean, square]) => {
                let g = penalised(decay)?;
                *mean = (&*mean + ((&g - &*mean)? * (1.0 - beta1))?)?;
                *square = ((&*square * beta2)? + (g.sqr()? * (1.0 - beta2))?)?;
                let scale = ((square.sqrt()? / correction)? + epsilon)?;
                (w * keep)? - ((&*mean / scale)? * rate)?
            }
            (Rule::RmsProp { decay, alpha, epsilon, momentum, rate }, [square, buffer @ ..]) => {
                let g = penalised(decay)?;
                *square = ((&*square * alpha)? + (g.sqr()? * (1.0 - alpha))?)?;
                let direction = (g / (square.sqrt()? + epsilon)?)?;
                let direction = match buffer {
                    [buffer, ..] => {
                        *buffer = ((&*buffer * momentum)? + direction)?;
                        buffer.clone()
                    }
                    [] => direction,
                };
                w - (direction * rate)?
            }
            (Rule::Muon { keep, momentum, rate }, [buffer]) => {
                let g = (g * (1.0 - momentum))?;
                *buffer = ((&*buffer * momentum)? + &g)?;
                let direction = muon::direction(&(g + (&*buffer * momentum)?)?)?;
                (w * keep)? - (direction * rate)?
            }
            _ => bail!("the optimiser's state does not belong to it"),
        }
    }

    /// One pass over a piece of a variable: `w` and the moments change in place.
    fn slices<T: Real>(self, factor: f64, w: &mut [T], g: &[T], moments: &mut [&mut [T]]) -> Result<()> {
        let c = T::from_f64;
        let factor = c(factor);
        let penalised = |decay: T, w: T, g: T| {
            let g = g * factor;
            if decay == T::zero() { g } else { g + decay * w }
        };
        match (self, moments) {
            (Rule::Sgd { decay, rate, .. }, []) => {
                let (decay, rate) = (c(decay), c(rate));
                for (w, &g) in w.iter_mut().zip(g) {
                    *w -= rate * penalised(decay, *w, g);
                }
            }
            (Rule::Sgd { decay, momentum, nesterov, rate }, [buffer]) => {
                let (decay, momentum, rate) = (c(decay), c(momentum), c(rate));
                for ((w, &g), b) in w.iter_mut().zip(g).zip(&mut **buffer) {
                    let g = penalised(decay, *w, g);
                    *b = *b * momentum + g;
                    *w -= rate * if nesterov { g + *b * momentum } else { *b };
                }
            }
            (Rule::Adam { decay, keep, beta1, beta2, epsilon, correction, rate }, [mean, square]) => {
                let (new1, new2) = (c(1.0 - beta1), c(1.0 - beta2));
                let (decay, keep, beta2) = (c(decay), c(keep), c(beta2));
                let (epsilon, correction, rate) = (c(epsilon), c(correction), c(rate));
                let moments = mean.iter_mut().zip(&mut **square);
                for ((w, &g), (m, v)) in w.iter_mut().zip(g).zip(moments) {
                    let g = penalised(decay, *w, g);
                    *m += (g - *m) * new1;
                    *v = *v * beta2 + g * g * new2;
                    *w = *w * keep - *m / (v.sqrt() / correction + epsilon) * rate;
                }
            }
            (Rule::RmsProp { decay, alpha, epsilon, rate, momentum }, [square, buffer @ ..]) => {
                let (decay, epsilon, rate, momentum) = (c(decay), c(epsilon), c(rate), c(momentum));
                let (alpha, new) = (c(alpha), c(1.0 - alpha));
                let direction = |w: T, g: T, v: &mut T| {
                    let g = penalised(decay, w, g);
                    *v = *v * alpha + g * g * new;
                    g / (v.sqrt() + epsilon)
                };
                let pairs = w.iter_mut().zip(g).zip(&mut **square);
                match buffer {
                    [buffer, ..] => {
                        for (((w, &g), v), b) in pairs.zip(&mut **buffer) {
                            *b = *b * momentum + direction(*w, g, v);
                            *w -= rate * *b;
                        }
                    }
                    [] => {
                        for ((w, &g), v) in pairs {
                            *w -= rate * direction(*w, g, v);
                        }
                    }
                }
            }
            _ => bail!("the optimiser's state does not belong to it"),
        }
        Ok(())
    }
}

/// The types of the fused path.
pub trait Real: candle_rnn::kernels::Real {
    fn sqrt(self) -> Self;
    fn slice_mut(storage: &mut CpuStorage) -> Result<&mut [Self]>;
}

macro_rules! real {
    ($type:ty, $variant:ident) => {
        impl Real for $type {
            fn sqrt(self) -> Self {
                <$type>::sqrt(self)
            }

            fn slice_mut(storage: &mut CpuStorage) -> Result<&mut [Self]> {
                match storage {
                    CpuStorage::$variant(values) => Ok(values),
                    _ => bail!("a variable's type has changed"),
                }
            }
        }
    };
}
real!(f32, F32);
real!(f64, F64);

/// The update of one variable as an in-place operation on its storage.
pub struct Fused<'a, T> {
    rule: Rule,
    factor: f64,
    moments: RefCell<&'a mut [Vec<T>]>,
}

impl<'a, T: Real> Fused<'a, T> {
    pub fn run(
        rule: Rule,
        factor: f64,
        variable: &Var,
        gradient: &Tensor,
        moments: &'a mut [Vec<T>],
    ) -> Result<()> {
        let moments = RefCell::new(moments);
        let update = Fused { rule, factor, moments };
        variable.inplace_op2(&gradient.contiguous()?, &update)
    }
}

impl<T: Real> InplaceOp2 for Fused<'_, T> {
    fn name(&self) -> &'static str {
        "optimizer-step"
    }

    fn cpu_fwd(
        &self,
        weights: &mut CpuStorage,
        weights_at: &Layout,
        gradient: &CpuStorage,
        gradient_at: &Layout,
    ) -> Result<()> {
        let part = |at: &Layout| at.start_offset()..at.start_offset() + at.shape().elem_count();
        let w = &mut T::slice_mut(weights)?[part(weights_at)];
        let g = &gradient.as_slice::<T>()?[part(gradient_at)];
        let mut moments = self.moments.borrow_mut();
        let mut moments: Vec<&mut [T]> = moments.iter_mut().map(|m| &mut m[..]).collect();
        if let Rule::Muon { keep, momentum, rate } = self.rule {
            let constants = [keep, momentum, rate, self.factor].map(T::from_f64);
            return whole_matrix(constants, w, g, &mut moments, weights_at.dims()[0]);
        }
        if w.len() <= CHUNK {
            return self.rule.slices(self.factor, w, g, &mut moments);
        }
        let mut pieces: Vec<_> = w
            .chunks_mut(CHUNK)
            .zip(g.chunks(CHUNK))
            .map(|(w, g)| (w, g, Vec::with_capacity(moments.len())))
            .collect();
        for moment in moments {
            for (piece, part) in pieces.iter_mut().zip(moment.chunks_mut(CHUNK)) {
                piece.2.push(part);
            }
        }
        let (rule, factor) = (self.rule, self.factor);
        pieces.into_par_iter().try_for_each(|(w, g, mut moments)| rule.slices(factor, w, g, &mut moments))
    }
}

/// [`Rule::Muon`] of a matrix of so many rows: its numbers depend on each other.
fn whole_matrix<T: Real>(
    [keep, momentum, rate, factor]: [T; 4],
    w: &mut [T],
    g: &[T],
    moments: &mut [&mut [T]],
    rows: usize,
) -> Result<()> {
    let [buffer] = moments else { bail!("the optimiser's state does not belong to it") };
    let new = (T::one() - momentum) * factor;
    let mut direction: Vec<T> = Vec::with_capacity(g.len());
    for (b, &g) in buffer.iter_mut().zip(g) {
        *b = *b * momentum + g * new;
        direction.push(g * new + *b * momentum);
    }
    muon::direct(&mut direction, rows);
    w.iter_mut().zip(direction).for_each(|(w, d)| *w = *w * keep - d * rate);
    Ok(())
}
