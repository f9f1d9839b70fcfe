//! From a score to samples.

use candle_rnn::Generator;

use super::glottis::Glottis;
use super::noise::white;
use super::phonemes::{DIGITS, SILENCE};
use super::resonator::{Antiresonator, NoiseBand, Resonator};
use super::score::{FRAMES_PER_SECOND, Score, Span};
use super::tracks::{self, Frame, NOSE};
use super::{Recording, Segment, Utterance, Voice};

/// The sampling rates there are, in Hz.
const RATES: std::ops::RangeInclusive<u32> = 8_000..=48_000;
/// What makes a neutral vowel at 120 Hz as loud as noise of power 1.
const VOICE_GAIN: f64 = 12.;
/// The bandwidth of a nose's resonance and zero, in Hz.
const NOSE_BANDWIDTH: f64 = 100.;

/// Something that cannot be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpeechError {
    /// No sampling rate for speech.
    #[error("cannot speak at {0} samples per second; choose a rate from 8000 to 48000")]
    Rate(u32),
    /// No digit.
    #[error("cannot say {0} as a digit; digits are 0 to 9")]
    Digit(u8),
    /// Nothing at all.
    #[error("there is no digit to say; give at least one")]
    Nothing,
}

/// A formant synthesiser that says digits (after Klatt, Software for a
/// cascade/parallel formant synthesizer, JASA 67, 1980).
///
/// The flow of the vocal folds and the breath go through the resonances of nose
/// and mouth, one after the other; the noise of a constriction has a band of its
/// own beside them. What targets there are and how they are reached is a matter
/// of the score.
///
/// ```
/// use candle_rnn::Generator;
/// use datasets::embedded::speech::{Recording, Synthesizer, Voice};
/// let synthesizer = Synthesizer::new(8000)?;
/// let said = synthesizer.say(&[3, 1], &Voice::numbered(0), &Recording::clean(), &mut Generator::new(1))?;
/// assert_eq!(said.text, "three one");
/// assert_eq!(said.words.len(), 2);
/// # Ok::<(), datasets::embedded::speech::SpeechError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Synthesizer {
    rate: u32,
}

impl Synthesizer {
    /// A synthesiser with this many samples per second.
    ///
    /// # Errors
    /// [`SpeechError::Rate`] below 8,000 and above 48,000.
    pub fn new(rate: u32) -> Result<Self, SpeechError> {
        if RATES.contains(&rate) { Ok(Self { rate }) } else { Err(SpeechError::Rate(rate)) }
    }

    /// Says digits. What varies from time to time comes from the generator, first
    /// what is said when, then the sound of it.
    ///
    /// # Errors
    /// [`SpeechError::Digit`] or [`SpeechError::Nothing`].
    pub fn say(
        &self,
        digits: &[u8],
        voice: &Voice,
        recording: &Recording,
        generator: &mut Generator,
    ) -> Result<Utterance, SpeechError> {
        if digits.is_empty() {
            return Err(SpeechError::Nothing);
        }
        match digits.iter().find(|digit| **digit > 9) {
            Some(digit) => Err(SpeechError::Digit(*digit)),
            None => Ok(self.speak(digits, voice, recording, generator)),
        }
    }

    /// [`Synthesizer::say`] for what is known to be one or more digits.
    pub(super) fn speak(
        &self,
        digits: &[u8],
        voice: &Voice,
        recording: &Recording,
        generator: &mut Generator,
    ) -> Utterance {
        let score = Score::drawn(digits, voice, generator);
        let spoken = self.sound(&score, voice, generator);
        let mut utterance = self.labelled(&score, digits, voice);
        let mut is_speech = vec![false; spoken.len()];
        let loud = utterance.phonemes.iter().filter(|segment| segment.symbol != SILENCE);
        loud.for_each(|segment| is_speech[segment.start..segment.end].fill(true));
        let recorded = recording.of(spoken, self.rate, |at| is_speech[at], generator);
        utterance.samples = recorded.into_iter().map(in_sixteen_bits).collect();
        utterance
    }

    /// What [`Synthesizer::speak`] gives with the same arguments, without samples.
    pub(super) fn labels(&self, digits: &[u8], voice: &Voice, generator: &mut Generator) -> Utterance {
        self.labelled(&Score::drawn(digits, voice, generator), digits, voice)
    }

    fn labelled(&self, score: &Score, digits: &[u8], voice: &Voice) -> Utterance {
        let frame = self.samples_per_frame();
        let segment =
            |span: &Span| Segment { symbol: span.name, start: span.start * frame, end: span.end * frame };
        let words: Vec<_> = digits.iter().map(|digit| DIGITS[usize::from(*digit)]).collect();
        Utterance {
            samples: vec![],
            rate: self.rate,
            digits: digits.to_vec(),
            text: words.join(" "),
            words: score.words.iter().map(segment).collect(),
            phonemes: score.phonemes.iter().map(segment).collect(),
            voice: voice.number,
        }
    }

    fn samples_per_frame(&self) -> usize {
        (self.rate / FRAMES_PER_SECOND) as usize
    }

    /// The sound in a room without walls.
    pub(super) fn sound(&self, score: &Score, voice: &Voice, generator: &mut Generator) -> Vec<f64> {
        let mut tract = Tract::of(voice, self.rate);
        let length = self.samples_per_frame();
        let mut samples = Vec::with_capacity(score.frames() * length);
        let mut last = Frame::default();
        for frame in tracks::frames(score, voice) {
            tract.speak(&last, &frame, length, &mut samples, generator);
            last = frame;
        }
        samples
    }
}

/// The nearest number of sixteen bits, from −1 to 1.
fn in_sixteen_bits(sample: f64) -> f32 {
    let scale = f64::from(1 << 15);
    ((sample * scale).round().clamp(-scale, scale - 1.) / scale) as f32
}

/// Vocal folds, mouth and nose of a voice, with the air that is in them.
struct Tract {
    rate: f64,
    glottis: Glottis,
    breathiness: f64,
    tilt: f64,
    /// The flow with the tilt.
    flow: f64,
    nasal_zero: Antiresonator,
    nose: Resonator,
    mouth: Vec<Resonator>,
    constriction: NoiseBand,
    /// What came out of the mouth last.
    out: f64,
}

impl Tract {
    fn of(voice: &Voice, rate: u32) -> Self {
        let rate = f64::from(rate);
        // Above F4 a tube of 17.5 cm has a resonance every 1,000 Hz.
        let neutral = |n: usize| (500. + 1000. * n as f64) * voice.formants[n.min(3)];
        let count = (0..).take_while(|n| neutral(*n) < 0.44 * rate).count();
        let mut mouth = vec![Resonator::default(); count];
        for (n, resonator) in mouth.iter_mut().enumerate().skip(4) {
            resonator.tune(neutral(n) / rate, 0.08 * neutral(n) / rate);
        }
        let mut nose = Resonator::default();
        nose.tune(NOSE / rate, NOSE_BANDWIDTH / rate);
        Self {
            rate,
            glottis: Glottis::of(voice),
            breathiness: voice.breathiness,
            tilt: voice.tilt,
            flow: 0.,
            nasal_zero: Antiresonator::default(),
            nose,
            mouth,
            constriction: NoiseBand::default(),
            out: 0.,
        }
    }

    /// Takes the positions of a frame.
    fn shape(&mut self, frame: &Frame) {
        let rate = self.rate;
        for (n, resonator) in self.mouth.iter_mut().enumerate().take(4) {
            let formant = frame.formants[n];
            // Near half the sampling rate a resonance meets its own mirror image and gets too loud.
            let wider = 2. * (formant - 0.4 * rate).max(0.);
            resonator.tune(formant.min(0.45 * rate) / rate, (frame.bandwidths[n] + wider) / rate);
        }
        self.nasal_zero.tune(frame.nasal_zero / rate, NOSE_BANDWIDTH / rate);
        let [centre, bandwidth] = frame.noise;
        self.constriction.tune(centre.min(0.45 * rate) / rate, bandwidth / rate);
    }

    /// Appends `count` samples, on the way from the levels of `last` to those of
    /// `frame`.
    fn speak(
        &mut self,
        last: &Frame,
        frame: &Frame,
        count: usize,
        samples: &mut Vec<f64>,
        generator: &mut Generator,
    ) {
        self.shape(frame);
        let pitch = frame.pitch / self.rate;
        for n in 0..count {
            let way = n as f64 / count as f64;
            let between = |from: f64, to: f64| from + way * (to - from);
            let voicing = between(last.voicing, frame.voicing);
            let open = self.glottis.flow_after(pitch, generator);
            self.flow = (1. - self.tilt) * open + self.tilt * self.flow;
            // Air is noisy where it is fast: more so while the folds are open.
            let aspiration =
                between(last.aspiration, frame.aspiration) + voicing * self.breathiness * (0.3 + open);
            let source = voicing * VOICE_GAIN * self.flow + aspiration * white(generator);
            let through_nose = self.nose.step(self.nasal_zero.step(source));
            let out = self.mouth.iter_mut().fold(through_nose, |x, resonator| resonator.step(x));
            let frication =
                between(last.frication, frame.frication) * (1. - 0.6 * voicing.min(1.) * (1. - open));
            let noise = self.constriction.step(white(generator));
            // What radiates from the lips is the change of the flow.
            samples.push(out - self.out + frication * noise);
            self.out = out;
        }
    }
}
