//! The hyperbolic tangent and the logistic function of many numbers.

use super::{Kernel, Lanes, Real, Vector};

/// Every number becomes its hyperbolic tangent.
pub struct Tanh<'a, R>(pub &'a mut [R]);

impl<R: Real> Kernel<R> for Tanh<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes<Real = R>>(self, l: L) {
        for j in l.pieces(self.0.len()) {
            l.store(l.load(&self.0[j.clone()]).tanh(), &mut self.0[j]);
        }
    }
}

/// Every number becomes its logistic function, `1 / (1 + e^{−x})`.
pub struct Sigmoid<'a, R>(pub &'a mut [R]);

impl<R: Real> Kernel<R> for Sigmoid<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes<Real = R>>(self, l: L) {
        for j in l.pieces(self.0.len()) {
            l.store(l.load(&self.0[j.clone()]).sigmoid(), &mut self.0[j]);
        }
    }
}
