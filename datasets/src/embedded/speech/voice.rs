//! Who speaks.

use candle_rnn::Generator;

use super::between;

/// The seed of all voices.
const SEED: u64 = 1952;

/// A speaker, as far as a synthesiser knows one.
#[derive(Clone, Debug, PartialEq)]
pub struct Voice {
    /// Its number among all voices.
    pub number: u32,
    /// The middle of its pitch, in Hz.
    pub pitch: f64,
    /// What F1 to F4 are multiplied by: the shorter the vocal tract, the more.
    /// 1 is the average man.
    pub formants: [f64; 4],
    /// How long everything takes, against the average.
    pub pace: f64,
    /// Breath in the voice: the amplitude of the noise against that of the
    /// voice.
    pub breathiness: f64,
    /// How dull the voice is: 0 is a bright one, and the higher frequencies go
    /// as it nears 1.
    pub tilt: f64,
    /// The part of a period of the vocal folds in which they are open.
    pub open_quotient: f64,
    /// By how much periods differ at most, relative to their length.
    pub jitter: f64,
    /// By how much the loudness of periods differs at most, relative to it.
    pub shimmer: f64,
}

impl Voice {
    /// One of as many voices as there are numbers, always the same one for a
    /// number: low (85 to 160 Hz, a long vocal tract) if it is even, high (150
    /// to 260 Hz, a short one) if it is odd.
    ///
    /// ```
    /// use datasets::embedded::speech::Voice;
    /// assert_eq!(Voice::numbered(7), Voice::numbered(7));
    /// assert!(Voice::numbered(6).pitch < 160. && Voice::numbered(7).pitch > 150.);
    /// ```
    pub fn numbered(number: u32) -> Self {
        let mut generator = Generator::at(SEED, u128::from(number) << 32);
        let mut draw = |low, high| between(&mut generator, low, high);
        let is_low = number.is_multiple_of(2);
        let pitch = if is_low { draw(85., 160.) } else { draw(150., 260.) };
        // Women's formants are 1.16 times men's on average (Peterson & Barney 1952).
        let tract = if is_low { draw(0.93, 1.08) } else { draw(1.06, 1.22) };
        Self {
            number,
            pitch,
            formants: [(); 4].map(|()| tract * draw(0.96, 1.04)),
            pace: draw(0.85, 1.2),
            breathiness: draw(0.01, if is_low { 0.06 } else { 0.12 }),
            tilt: draw(0., 0.4),
            open_quotient: draw(0.5, 0.75),
            jitter: draw(0.003, 0.015),
            shimmer: draw(0.02, 0.1),
        }
    }
}
