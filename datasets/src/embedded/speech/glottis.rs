//! The voice at its source: the air that the vocal folds let through.

use candle_rnn::Generator;

use super::{Voice, between};

/// Vocal folds that open and close.
///
/// The pulse is Rosenberg's type B (Effect of Glottal Pulse Shape on the Quality
/// of Natural Vowels, JASA 49, 1971): while they open, `3t² − 2t³` over the time
/// of opening, while they close, `1 − t²` over that of closing; then they are
/// shut.
#[derive(Debug)]
pub(super) struct Glottis {
    open_quotient: f64,
    jitter: f64,
    shimmer: f64,
    /// Where in its period it is, from 0 to 1.
    position: f64,
    /// How fast this period is, and how loud, against the average.
    speed: f64,
    strength: f64,
}

/// The part of the open time in which they open rather than close.
const OPENING: f64 = 0.7;

impl Glottis {
    pub fn of(voice: &Voice) -> Self {
        let &Voice { open_quotient, jitter, shimmer, .. } = voice;
        Self { open_quotient, jitter, shimmer, position: 0., speed: 1., strength: 1. }
    }

    /// The flow after `periods` more of a period, from 0 to about 1.
    pub fn flow_after(&mut self, periods: f64, generator: &mut Generator) -> f64 {
        self.position += periods * self.speed;
        if self.position >= 1. {
            self.position -= 1.;
            self.speed = 1. + between(generator, -self.jitter, self.jitter);
            self.strength = 1. + between(generator, -self.shimmer, self.shimmer);
        }
        self.strength * pulse(self.position / self.open_quotient)
    }
}

/// The flow at a time of which 1 is the closure.
fn pulse(time: f64) -> f64 {
    if time < OPENING {
        let t = time / OPENING;
        t * t * (3. - 2. * t)
    } else if time < 1. {
        let t = (time - OPENING) / (1. - OPENING);
        1. - t * t
    } else {
        0.
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flow_rises_slowly_falls_fast_and_is_continuous() {
        assert_eq!([0., OPENING, 1., 1.3].map(pulse), [0., 1., 0., 0.]);
        let steepest = |from: f64, to: f64| {
            let times: Vec<_> = (0..=100).map(|i| from + (to - from) * f64::from(i) / 100.).collect();
            let slopes = times.windows(2).map(|t| ((pulse(t[1]) - pulse(t[0])) / (t[1] - t[0])).abs());
            slopes.fold(0., f64::max)
        };
        assert!(steepest(OPENING, 1.) > 2. * steepest(0., OPENING));
        assert!(steepest(0., 1.2) < 10.);
    }

    #[test]
    fn the_folds_open_as_often_as_the_pitch_says() {
        let mut glottis = Glottis::of(&Voice::numbered(0));
        let mut generator = Generator::new(1);
        let flow: Vec<_> = (0..8000).map(|_| glottis.flow_after(100. / 8000., &mut generator)).collect();
        let openings = flow.windows(2).filter(|pair| pair[0] == 0. && pair[1] > 0.).count();
        assert!((98..=102).contains(&openings), "{openings}");
    }
}
