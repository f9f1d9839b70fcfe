//! Where and how an utterance is recorded: the room, the loudness, the noise.

use candle_rnn::Generator;

use super::between;
use super::noise::{Pink, white};

/// What a microphone hears beside the speaker, and how loud he is.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// The mean level of the speech in dB, where a square wave of full scale has
    /// 0. It is less where peaks would not fit.
    pub level: f64,
    /// How dull the microphone is: the part of the sample before that it adds
    /// to each. It is bright below 0.
    pub dullness: f64,
    /// What else is heard, if anything.
    pub noise: Option<Noise>,
    /// The walls, if any are near.
    pub room: Option<Room>,
}

/// A steady noise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Noise {
    /// Which frequencies it has.
    pub colour: Colour,
    /// By how many dB the speech is louder.
    pub signal_to_noise: f64,
}

/// How the power of a noise is spread over frequencies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// The same at every frequency, as of a sensor.
    White,
    /// The same in every octave, as of a street.
    Pink,
}

/// Walls that throw the sound back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Room {
    /// Seconds until an echo is 60 dB weaker.
    pub decay: f64,
    /// By how many dB what comes straight is louder than all echoes together.
    pub direct_to_reverberant: f64,
}

/// Echoes of a [`Room`].
const ECHOES: usize = 40;
/// The echo that is last comes after so much of the decay: at −30 dB.
const HEARD: f64 = 0.5;

impl Recording {
    /// In front of the microphone, at −20 dB, with nothing else to be heard.
    pub fn clean() -> Self {
        Self { level: -20., dullness: 0., noise: None, room: None }
    }

    /// Draws a level from −32 to −16 dB, a microphone, a noise 15 to 45 dB below
    /// the speech, and, for one in two, a room that decays in 0.15 to 0.5 s.
    pub fn drawn(generator: &mut Generator) -> Self {
        let level = between(generator, -32., -16.);
        let dullness = between(generator, -0.3, 0.5);
        let colour = [Colour::White, Colour::Pink][generator.below(2)];
        let noise = Some(Noise { colour, signal_to_noise: between(generator, 15., 45.) });
        let room = (generator.below(2) == 0).then(|| Room {
            decay: between(generator, 0.15, 0.5),
            direct_to_reverberant: between(generator, 3., 15.),
        });
        Self { level, dullness, noise, room }
    }

    /// What the microphone hears. `is_speech` says which samples the level is
    /// taken from.
    pub(super) fn of(
        &self,
        mut samples: Vec<f64>,
        rate: u32,
        is_speech: impl Fn(usize) -> bool,
        generator: &mut Generator,
    ) -> Vec<f64> {
        if let Some(room) = &self.room {
            samples = room.echoes(rate, generator).of(&samples);
        }
        let mut before = 0.;
        for sample in &mut samples {
            before = std::mem::replace(sample, *sample + self.dullness * before);
        }
        let speech = samples.iter().enumerate().filter(|(at, _)| is_speech(*at)).map(|(_, sample)| *sample);
        let wanted = amplitude(self.level);
        let scale = wanted / root_mean_square(speech).max(f64::MIN_POSITIVE);
        samples.iter_mut().for_each(|sample| *sample *= scale);
        if let Some(noise) = &self.noise {
            noise.add_to(&mut samples, wanted, rate, generator);
        }
        let peak = samples.iter().fold(0., |peak: f64, sample| peak.max(sample.abs()));
        if peak > 0.99 {
            samples.iter_mut().for_each(|sample| *sample *= 0.99 / peak);
        }
        samples
    }
}

impl Noise {
    fn add_to(&self, samples: &mut [f64], speech: f64, rate: u32, generator: &mut Generator) {
        let mut pink = Pink::new(rate);
        let mut next = || match self.colour {
            Colour::White => white(generator),
            Colour::Pink => pink.next(generator),
        };
        let noise: Vec<_> = samples.iter().map(|_| next()).collect();
        let scale = speech * amplitude(-self.signal_to_noise) / root_mean_square(noise.iter().copied());
        samples.iter_mut().zip(noise).for_each(|(sample, noise)| *sample += scale * noise);
    }
}

impl Room {
    /// Echoes at random times, the later the weaker, as sparse as the ear allows
    /// (velvet noise: Järvinen & Välimäki, Reverberation Modeling Using Velvet
    /// Noise, AES 30th Conference, 2007).
    fn echoes(&self, rate: u32, generator: &mut Generator) -> Echoes {
        let longest = HEARD * self.decay;
        let mut echoes: Vec<_> = (0..ECHOES)
            .map(|_| {
                let seconds = 0.002 + longest * generator.uniform();
                let sign = if generator.below(2) == 0 { 1. } else { -1. };
                let delay = (seconds * f64::from(rate)).round() as usize;
                (delay, sign * amplitude(-60. * seconds / self.decay))
            })
            .collect();
        let power: f64 = echoes.iter().map(|(_, gain)| gain * gain).sum();
        let scale = amplitude(-self.direct_to_reverberant) / power.sqrt();
        echoes.iter_mut().for_each(|(_, gain)| *gain *= scale);
        Echoes(echoes)
    }
}

/// Delays in samples, with gains.
struct Echoes(Vec<(usize, f64)>);

impl Echoes {
    fn of(&self, samples: &[f64]) -> Vec<f64> {
        let mut heard = samples.to_vec();
        for (delay, gain) in self.0.iter().filter(|(delay, _)| *delay < samples.len()) {
            let late = &mut heard[*delay..];
            late.iter_mut().zip(samples).for_each(|(heard, sample)| *heard += gain * sample);
        }
        heard
    }
}

fn amplitude(db: f64) -> f64 {
    10f64.powf(db / 20.)
}

fn root_mean_square(samples: impl Iterator<Item = f64>) -> f64 {
    let (power, count) = samples.fold((0., 0), |(power, count), sample| (power + sample * sample, count + 1));
    (power / f64::from(count.max(1))).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone() -> Vec<f64> {
        (0..8000).map(|n| (f64::from(n) * 0.3).sin()).collect()
    }

    #[test]
    fn speech_has_its_level_and_noise_lies_below_it() {
        for colour in [Colour::White, Colour::Pink] {
            let noise = Some(Noise { colour, signal_to_noise: 20. });
            let clean = Recording { level: -26., ..Recording::clean() };
            let noisy = Recording { noise, ..clean.clone() };
            let record = |recording: &Recording| recording.of(tone(), 8000, |_| true, &mut Generator::new(1));
            let (clean, noisy) = (record(&clean), record(&noisy));
            let level = |samples: Vec<f64>| 20. * root_mean_square(samples.into_iter()).log10();
            assert!((level(clean.clone()) + 26.).abs() < 0.01);
            let difference = noisy.iter().zip(&clean).map(|(noisy, clean)| noisy - clean).collect();
            assert!((level(difference) + 46.).abs() < 0.01);
        }
    }

    #[test]
    fn a_room_is_heard_after_the_sound_and_fades() {
        let room = Room { decay: 0.4, direct_to_reverberant: 6. };
        let echoes = room.echoes(8000, &mut Generator::new(1));
        let mut click = vec![0.; 8000];
        click[0] = 1.;
        let heard = echoes.of(&click);
        let power =
            |from: usize, to: usize| heard[from..to].iter().map(|sample| sample * sample).sum::<f64>();
        assert_eq!(heard[0], 1.);
        assert!((10. * power(1, 8000).log10() + 6.).abs() < 1.);
        assert!(power(1, 800) > 4. * power(800, 1600));
        assert_eq!(power(1700, 8000), 0.);
    }

    #[test]
    fn what_is_too_loud_is_made_to_fit() {
        let loud = Recording { level: 3., ..Recording::clean() };
        let samples = loud.of(tone(), 8000, |_| true, &mut Generator::new(1));
        assert!(samples.iter().all(|sample| sample.abs() < 1.));
    }
}
