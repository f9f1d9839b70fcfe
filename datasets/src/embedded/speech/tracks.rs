//! How a score moves: every parameter of the synthesiser, frame by frame.

use super::Voice;
use super::phonemes::Phase;
use super::score::Score;

/// Frames over which the mouth gets from one target to the next: 90 ms. It has
/// not arrived in what is shorter (Lindblom, Spectrographic Study of Vowel
/// Reduction, JASA 35, 1963).
const MOUTH: usize = 44;
/// Frames over which a noise comes and goes: 10 ms.
const NOISE: usize = 4;
/// Frames over which the voice comes and goes: 25 ms.
const VOICE: usize = 12;
/// Frames over which the pitch moves: 120 ms.
const PITCH: usize = 60;
/// Where a nose that is closed has both its resonance and its zero, in Hz.
pub(super) const NOSE: f64 = 270.;
/// F1 to F4 of a mouth at rest, in Hz: a tube of 17.5 cm.
const AT_REST: [f64; 4] = [500., 1500., 2500., 3500.];

/// The parameters in one frame.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Frame {
    /// In Hz.
    pub pitch: f64,
    /// In Hz.
    pub formants: [f64; 4],
    /// In Hz.
    pub bandwidths: [f64; 4],
    /// In Hz; [`NOSE`] where the nose is closed.
    pub nasal_zero: f64,
    /// Amplitudes, 1 for the voice of a vowel.
    pub voicing: f64,
    pub aspiration: f64,
    pub frication: f64,
    /// Centre and bandwidth, in Hz.
    pub noise: [f64; 2],
}

/// The frames of a score in a voice.
pub(super) fn frames(score: &Score, voice: &Voice) -> Vec<Frame> {
    let phases = with_formants(&score.phases);
    let of_phases = |value: &dyn Fn(&Phase) -> f64| {
        let mut track = Vec::with_capacity(score.frames());
        phases.iter().for_each(|(phase, end)| track.resize(*end, value(phase)));
        track
    };
    let moved = |value: &dyn Fn(&Phase) -> f64| smoothed(&of_phases(value), MOUTH);
    let formants: [_; 4] =
        std::array::from_fn(|n| moved(&|phase| voice.formants[n] * phase.formants.unwrap_or(AT_REST)[n]));
    let bandwidths: [_; 4] = std::array::from_fn(|n| moved(&|phase| phase.bandwidths[n]));
    let nasal_zero = moved(&|phase| phase.nasal_zero.unwrap_or(NOSE));
    let level = |of: &dyn Fn(&Phase) -> Option<f64>, width: usize| {
        let amplitude = |phase: &Phase| of(phase).map_or(0., |db| 10f64.powf(db / 20.));
        smoothed(&of_phases(&amplitude), width)
    };
    let voicing = level(&|phase| phase.voicing, VOICE);
    let aspiration = level(&|phase| phase.aspiration, NOISE);
    let frication = level(&|phase| phase.frication, NOISE);
    let noise = [0, 1].map(|n| of_noise(&phases, n));
    let pitch = pitch(score, voice);
    let frame = |at: usize| Frame {
        pitch: pitch[at],
        formants: [0, 1, 2, 3].map(|n| formants[n][at]),
        bandwidths: [0, 1, 2, 3].map(|n| bandwidths[n][at]),
        nasal_zero: nasal_zero[at],
        voicing: voicing[at],
        aspiration: aspiration[at],
        frication: frication[at],
        noise: [noise[0][at], noise[1][at]],
    };
    (0..score.frames()).map(frame).collect()
}

/// Phases without formants get those of the next phase that has some, or, at
/// the end, those of the last.
fn with_formants(phases: &[(Phase, usize)]) -> Vec<(Phase, usize)> {
    let mut phases = phases.to_vec();
    let mut next = phases.iter().rev().find_map(|(phase, _)| phase.formants);
    for (phase, _) in phases.iter_mut().rev() {
        phase.formants = phase.formants.or(next);
        next = phase.formants;
    }
    phases
}

/// The noise's centre (0) or bandwidth (1). Its band does not glide: the place
/// of the constriction is that of the phase, or of the last that had one.
fn of_noise(phases: &[(Phase, usize)], n: usize) -> Vec<f64> {
    let mut band = [3000., 2000.];
    let mut track = vec![];
    for (phase, end) in phases {
        band = phase.noise.unwrap_or(band);
        track.resize(*end, band[n]);
    }
    track
}

/// The pitch falls over the utterance and rises in each vowel.
fn pitch(score: &Score, voice: &Voice) -> Vec<f64> {
    let frames = score.frames();
    let fall = |at: usize| 1.12 - 0.26 * at as f64 / frames as f64;
    let mut track: Vec<_> = (0..frames).map(fall).collect();
    for (vowel, accent) in &score.accents {
        track[vowel.start..vowel.end].iter_mut().for_each(|pitch| *pitch *= 1. + accent);
    }
    track.iter_mut().for_each(|pitch| *pitch *= voice.pitch);
    smoothed(&track, PITCH)
}

/// The mean over half of `width` frames around each, twice: a step becomes a
/// slope of `width` frames without corners, half before the step and half after
/// it. The ends stand still.
fn smoothed(track: &[f64], width: usize) -> Vec<f64> {
    let half = width / 4;
    let once = |track: &[f64]| {
        let at = |frame: usize| track[frame.saturating_sub(half).min(track.len() - 1)];
        let mut sum: f64 = (0..=2 * half).map(at).sum();
        let mean = |frame: usize| {
            let mean = sum / (2 * half + 1) as f64;
            sum += at(frame + 2 * half + 1) - at(frame);
            mean
        };
        (0..track.len()).map(mean).collect::<Vec<_>>()
    };
    once(&once(track))
}

#[cfg(test)]
mod tests {
    use candle_rnn::Generator;

    use super::*;

    #[test]
    fn a_step_becomes_a_slope_around_its_place() {
        let step: Vec<_> = (0..100).map(|frame| if frame < 50 { 1. } else { 3. }).collect();
        let slope = smoothed(&step, MOUTH);
        assert_eq!(slope.len(), 100);
        assert!(slope[..27].iter().all(|value| (value - 1.).abs() < 1e-9));
        assert!(slope[73..].iter().all(|value| (value - 3.).abs() < 1e-9));
        assert!((slope[49] + slope[50] - 4.).abs() < 1e-9);
        assert!(slope.windows(2).all(|pair| pair[1] - pair[0] > -1e-9 && pair[1] - pair[0] < 0.2));
    }

    #[test]
    fn a_diphthong_glides_from_its_first_target_to_its_second() {
        let voice = Voice { formants: [1.; 4], ..Voice::numbered(0) };
        let score = Score::drawn(&[5], &voice, &mut Generator::new(1));
        let frames = frames(&score, &voice);
        let vowel = score.phonemes.iter().find(|span| span.name == "AY").unwrap();
        let second: Vec<_> = frames[vowel.start + 22..vowel.end - 22].iter().map(|f| f.formants[1]).collect();
        assert!(second[0] < 1300. && second[second.len() - 1] > 1650., "{second:?}");
        assert!(second.is_sorted());
        assert!(frames[vowel.start + 10..vowel.end - 10].iter().all(|f| f.voicing > 0.6));
    }
}
