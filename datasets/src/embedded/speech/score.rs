//! What is to be said, and when: the phases of every phoneme in frames.
//!
//! Nothing here depends on a function that differs among machines, such as a
//! sine, so that the boundaries are the same everywhere.

use candle_rnn::Generator;

use super::phonemes::{DIGITS, Phase, Phoneme, SILENCE, inventory};
use super::{Voice, between};

/// Frames per second. A frame is short enough for the burst of a stop.
pub(super) const FRAMES_PER_SECOND: u32 = 500;

/// The plan of an utterance.
#[derive(Debug)]
pub(super) struct Score {
    /// Every phase with the frame after its last.
    pub phases: Vec<(Phase, usize)>,
    /// Every phoneme and silence, from the first frame to the last.
    pub phonemes: Vec<Span>,
    /// Every word.
    pub words: Vec<Span>,
    /// The vowels, with how much the voice rises in each.
    pub accents: Vec<(Span, f64)>,
}

/// A stretch of frames with a name.
#[derive(Clone, Debug)]
pub(super) struct Span {
    pub name: &'static str,
    pub start: usize,
    pub end: usize,
}

impl Score {
    /// Draws pronunciations, durations, pauses and targets.
    ///
    /// # Panics
    /// When a digit is above 9.
    pub fn drawn(digits: &[u8], voice: &Voice, generator: &mut Generator) -> Self {
        let mut score = Self { phases: vec![], phonemes: vec![], words: vec![], accents: vec![] };
        let pace = voice.pace * between(generator, 0.9, 1.1);
        score.be_silent(between(generator, 60., 200.));
        for (index, digit) in digits.iter().enumerate() {
            let is_last = index + 1 == digits.len();
            let pause = if !is_last && generator.below(5) < 2 { 0. } else { between(generator, 40., 280.) };
            score.say(DIGITS[usize::from(*digit)], pace, is_last || pause > 150., generator);
            if !is_last {
                score.be_silent(pause);
            }
        }
        score.be_silent(between(generator, 100., 250.));
        score
    }

    /// How many frames there are.
    pub fn frames(&self) -> usize {
        self.phonemes.last().map_or(0, |span| span.end)
    }

    fn be_silent(&mut self, milliseconds: f64) {
        let start = self.frames();
        let end = start + frames(milliseconds);
        if end > start {
            self.phases.push((Phase::silence(), end));
            self.phonemes.push(Span { name: SILENCE, start, end });
        }
    }

    fn say(&mut self, word: &'static str, pace: f64, is_final: bool, generator: &mut Generator) {
        let pronunciations = &inventory().words[word];
        let pronunciation = &pronunciations[generator.below(pronunciations.len())];
        let accent = between(generator, 0., 0.12);
        let louder = between(generator, -3., 3.);
        let start = self.frames();
        let mut is_rime = false;
        for symbol in pronunciation {
            let phoneme = &inventory().phonemes[symbol];
            is_rime |= phoneme.vowel;
            // Before a pause a word ends slowly.
            let lengthening = if is_final && is_rime { 1.2 } else { 1. };
            let [shortest, longest] = phoneme.duration;
            let milliseconds = pace * lengthening * between(generator, shortest, longest);
            let start = self.frames();
            self.pronounce(phoneme, frames(milliseconds), louder, generator);
            let span = Span { name: symbol, start, end: start + frames(milliseconds) };
            if phoneme.vowel {
                self.accents.push((span.clone(), accent));
            }
            self.phonemes.push(span);
        }
        self.words.push(Span { name: word, start, end: self.frames() });
    }

    fn pronounce(&mut self, phoneme: &Phoneme, frames: usize, louder: f64, generator: &mut Generator) {
        let start = self.frames();
        let whole: f64 = phoneme.phases.iter().map(|phase| phase.share).sum();
        let mut past = 0.;
        for phase in &phoneme.phases {
            past += phase.share;
            let end = start + (past / whole * frames as f64).round() as usize;
            let mut phase = phase.clone();
            // Nobody hits a target twice.
            let aims = phase.formants.iter_mut().flatten();
            aims.for_each(|formant| *formant *= between(generator, 0.96, 1.04));
            let levels = [&mut phase.voicing, &mut phase.aspiration, &mut phase.frication];
            levels.into_iter().flatten().for_each(|level| *level += louder);
            self.phases.push((phase, end));
        }
    }
}

fn frames(milliseconds: f64) -> usize {
    (milliseconds / 1000. * f64::from(FRAMES_PER_SECOND)).round() as usize
}
