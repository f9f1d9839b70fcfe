use super::phonemes::{DIGITS, Phase, SILENCE, inventory};
use super::score::{FRAMES_PER_SECOND, Score, Span};
use super::spectrum::{envelope_peaks, periodicity, power, share};
use super::*;
use crate::sha256;

const RATE: u32 = 8000;

/// An average man with a steady voice of 100 Hz.
fn average() -> Voice {
    let voice = Voice::numbered(0);
    Voice { pitch: 100., formants: [1.; 4], breathiness: 0.01, tilt: 0., jitter: 0., shimmer: 0., ..voice }
}

/// The first phase of a phoneme.
fn phase(symbol: &str) -> &'static Phase {
    &inventory().phonemes[symbol].phases[0]
}

/// A phoneme held for half a second in its first phase, without the ends.
fn held(symbol: &str, rate: u32) -> Vec<f64> {
    sound(phase(symbol).clone(), rate)
}

fn sound(phase: Phase, rate: u32) -> Vec<f64> {
    let frames = FRAMES_PER_SECOND as usize / 2;
    let span = Span { name: "held", start: 0, end: frames };
    let score = Score { phases: vec![(phase, frames)], phonemes: vec![span], words: vec![], accents: vec![] };
    let sound = Synthesizer::new(rate).unwrap().sound(&score, &average(), &mut Generator::new(1));
    sound[sound.len() / 4..sound.len() * 3 / 4].to_vec()
}

fn level(samples: &[f64]) -> f64 {
    10. * (samples.iter().map(|x| x * x).sum::<f64>() / samples.len() as f64).log10()
}

fn every_label() -> impl Iterator<Item = Utterance> {
    let synthesizer = Synthesizer::new(RATE).unwrap();
    Part::ALL
        .into_iter()
        .flat_map(move |part| (0..part.size()).map(move |index| part.draw(SEED, index).labels(&synthesizer)))
}

#[test]
fn the_envelope_of_a_vowel_peaks_at_its_formants() {
    for symbol in ["IY", "IH", "EH", "AH", "UW", "EY", "AY", "OW"] {
        let formants = phase(symbol).formants.unwrap();
        // The pulses of the voice have a spectrum of their own, a whisper's noise has none.
        let whispered = Phase { voicing: None, aspiration: Some(0.), ..phase(symbol).clone() };
        for (sound, tolerance) in [(sound(whispered, RATE), 0.05), (held(symbol, RATE), 0.1)] {
            let peaks = envelope_peaks(&sound, RATE, 12);
            for formant in &formants[..3] {
                let nearest = peaks.iter().map(|peak| (peak - formant).abs()).fold(f64::MAX, f64::min);
                assert!(nearest < 50. + tolerance * formant, "{symbol}: {formants:?}, found {peaks:?}");
            }
        }
    }
}

#[test]
fn what_is_voiced_is_periodic_and_what_is_not_is_not() {
    // The pitch falls; half way it is the voice's.
    let best = |symbol| {
        let sound = held(symbol, RATE);
        let middle = &sound[sound.len() / 2 - 160..sound.len() / 2 + 160];
        let alike = (40..160).map(|lag| (periodicity(middle, lag), lag));
        alike.max_by(|a, b| a.0.total_cmp(&b.0)).unwrap()
    };
    for symbol in ["IY", "AH", "AO", "W", "R", "N", "V"] {
        let (periodicity, lag) = best(symbol);
        assert!(periodicity > 0.9 && (77..=84).contains(&lag), "{symbol}: {periodicity} at {lag}");
    }
    for symbol in ["S", "F", "TH"] {
        let (periodicity, _) = best(symbol);
        assert!(periodicity < 0.6, "{symbol}: {periodicity}");
    }
}

#[test]
fn a_vowel_is_as_loud_as_the_levels_are_measured_by() {
    let levels = ["IY", "IH", "EH", "AH", "AO", "UW"].map(|symbol| level(&held(symbol, RATE)));
    assert!(levels.iter().all(|level| (-9. ..6.).contains(level)), "{levels:?}");
    let mean = levels.iter().sum::<f64>() / levels.len() as f64;
    assert!(mean.abs() < 2., "{levels:?}");
}

#[test]
fn the_noise_of_a_fricative_is_in_its_band() {
    let at = |symbol, rate, low, high| share(&held(symbol, rate)[..rate as usize / 10], rate, low, high);
    assert!(at("S", 8000, 2500., 4000.) > 0.75);
    assert!(at("S", 16000, 3500., 6500.) > 0.8);
    // A voiced one has both: the voice below, the noise above.
    assert!(at("Z", 8000, 0., 600.) > 0.3 && at("Z", 8000, 2500., 4000.) > 0.1);
    // Those of the lips and teeth are flat and weak.
    assert!(at("F", 8000, 0., 2000.) > 0.3 && at("F", 8000, 2000., 4000.) > 0.3);
    let levels = ["S", "F", "TH"].map(|symbol| level(&held(symbol, RATE)));
    assert!(levels[0] > levels[1] + 8. && levels[0] > levels[2] + 8., "{levels:?}");
}

#[test]
fn a_nasal_is_strong_below_and_weak_above() {
    let sound = held("N", RATE);
    assert!(share(&sound[..RATE as usize / 10], RATE, 0., 420.) > 0.8);
}

#[test]
fn a_stop_is_silent_and_then_bursts() {
    let synthesizer = Synthesizer::new(RATE).unwrap();
    let said = synthesizer.say(&[2], &average(), &Recording::clean(), &mut Generator::new(3)).unwrap();
    let stop = said.phonemes.iter().find(|segment| segment.symbol == "T").unwrap();
    let samples: Vec<_> = said.samples[stop.start..stop.end].iter().map(|x| f64::from(*x)).collect();
    let (closure, burst) = samples.split_at(samples.len() / 2);
    assert!(level(&burst[..burst.len() / 2]) > level(&closure[..closure.len() / 2]) + 20.);
}

#[test]
fn the_segments_tile_the_utterance_and_the_words_lie_on_their_phonemes() {
    for utterance in every_label() {
        let Utterance { phonemes, words, digits, text, .. } = &utterance;
        assert!(phonemes[0].start == 0 && phonemes.iter().all(|segment| segment.start < segment.end));
        assert!(phonemes.windows(2).all(|pair| pair[0].end == pair[1].start));
        assert!(words.iter().map(|word| word.symbol).eq(text.split(' ')));
        assert_eq!(words.len(), digits.len());
        for (word, digit) in words.iter().zip(digits) {
            assert_eq!(word.symbol, DIGITS[usize::from(*digit)]);
            let within = phonemes.iter().filter(|one| word.start <= one.start && one.end <= word.end);
            let symbols: Vec<_> = within.map(|segment| segment.symbol).collect();
            assert!(inventory().words[word.symbol].iter().any(|spoken| *spoken == symbols), "{symbols:?}");
        }
        let spoken: usize = words.iter().map(|word| word.end - word.start).sum();
        let sounding = phonemes.iter().filter(|segment| segment.symbol != SILENCE);
        assert_eq!(spoken, sounding.map(|segment| segment.end - segment.start).sum::<usize>());
    }
}

#[test]
fn the_parts_have_their_sizes_and_share_no_voice() {
    let lengths: Vec<_> = every_label().map(|utterance| utterance.digits.len()).collect();
    assert_eq!(lengths.len(), 1550);
    let single = lengths.iter().filter(|length| **length == 1).count();
    assert!((500..750).contains(&single) && lengths.iter().all(|length| (1..=5).contains(length)));
    let [train, validation, test] = Part::ALL.map(Part::voices);
    assert!(train.end <= validation.start && validation.end <= test.start);
    let voices: std::collections::BTreeSet<_> = every_label().map(|utterance| utterance.voice).collect();
    assert!(voices.into_iter().eq(0..70));
}

#[test]
fn every_digit_is_about_as_frequent_as_the_others() {
    let mut counts = [0; 10];
    every_label().flat_map(|utterance| utterance.digits).for_each(|digit| counts[usize::from(digit)] += 1);
    let mean = counts.iter().sum::<i32>() / 10;
    assert!(counts.iter().all(|count| (count - mean).abs() < mean / 5), "{counts:?}");
}

#[test]
fn the_boundaries_are_the_same_everywhere() {
    let lines = every_label().map(|utterance| format!("{} {:?}\n", utterance.text, utterance.phonemes));
    let sum = sha256::of_bytes(lines.collect::<String>().as_bytes());
    assert_eq!(sum, "e55ce7c377d9fedd70d40e4207f5fb96badc26a0e2d15332a3f4e25f4907ac9b");
}

/// A few samples, on either side of which machines may differ by two steps.
#[test]
fn the_sound_is_the_same_everywhere() {
    let synthesizer = Synthesizer::new(RATE).unwrap();
    for (part, index, expected) in [
        (Part::Train, 0, [120, -2023, -460, -3734, -2225, -2390, 3511, -188]),
        (Part::Test, 7, [-2677, -2811, 6132, 66, -4658, 4689, 2954, -5079]),
    ] {
        let utterance = part.utterance(SEED, index, &synthesizer).unwrap();
        let vowel = utterance.words[0].start.midpoint(utterance.words[0].end);
        let steps: Vec<_> = (0..8).map(|n| (utterance.samples[vowel + 20 * n] * 32768.) as i32).collect();
        assert!(steps.iter().zip(expected).all(|(found, pinned)| (found - pinned).abs() <= 2), "{steps:?}");
    }
}

#[test]
fn an_utterance_is_the_same_alone_and_its_labels_need_no_sound() {
    let synthesizer = Synthesizer::new(RATE).unwrap();
    let alone = Part::Validation.utterance(SEED, 3, &synthesizer).unwrap();
    assert_eq!(alone, Part::Validation.utterance(SEED, 3, &synthesizer).unwrap());
    assert_ne!(alone.samples, Part::Validation.utterance(SEED + 1, 3, &synthesizer).unwrap().samples);
    let labels = Part::Validation.draw(SEED, 3).labels(&synthesizer);
    assert_eq!(labels.phonemes, alone.phonemes);
    assert_eq!(alone.samples.len(), alone.phonemes.last().unwrap().end);
    assert!(alone.samples.iter().all(|x| (x * 32768.).fract() == 0. && x.abs() <= 1.));
}

#[test]
fn what_cannot_be_said_is_an_error_that_says_what_can() {
    assert_eq!(Synthesizer::new(4000), Err(SpeechError::Rate(4000)));
    let synthesizer = Synthesizer::new(16_000).unwrap();
    let say = |digits: &[u8]| {
        let (voice, recording) = (Voice::numbered(1), Recording::clean());
        synthesizer.say(digits, &voice, &recording, &mut Generator::new(1)).map(|said| said.text)
    };
    assert_eq!(say(&[]), Err(SpeechError::Nothing));
    assert_eq!(say(&[1, 10]), Err(SpeechError::Digit(10)));
    assert_eq!(say(&[4, 0]), Ok("four zero".to_owned()));
}

/// The logarithm of the energy in bands of about equal width to the ear, every
/// 10 ms of a word, against its mean over the word.
fn bands(utterance: &Utterance) -> Vec<Vec<f64>> {
    let word = utterance.words[0];
    let samples: Vec<_> = utterance.samples[word.start..word.end].iter().map(|x| f64::from(*x)).collect();
    let mel = |hertz: f64| 1127. * (1. + hertz / 700.).ln();
    let band = |hertz: f64| (mel(hertz) / mel(4000.) * 18.) as usize;
    let frames = samples.windows(200).step_by(80).map(|frame| {
        let mut energies = [1e-7; 18];
        let power = power(frame);
        power.iter().enumerate().for_each(|(k, p)| energies[band(k as f64 * 40.).min(17)] += p);
        energies.iter().map(|energy| energy.ln()).collect::<Vec<_>>()
    });
    let mut frames: Vec<_> = frames.collect();
    for band in 0..18 {
        let mean = frames.iter().map(|frame| frame[band]).sum::<f64>() / frames.len() as f64;
        frames.iter_mut().for_each(|frame| frame[band] -= mean);
    }
    frames
}

/// How different two words are where time may be stretched (Sakoe & Chiba,
/// Dynamic Programming Algorithm Optimization for Spoken Word Recognition, 1978).
fn warped_distance(a: &[Vec<f64>], b: &[Vec<f64>]) -> f64 {
    let distance = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f64>();
    let mut row = vec![f64::INFINITY; b.len() + 1];
    row[0] = 0.;
    for x in a {
        let mut diagonal = std::mem::replace(&mut row[0], f64::INFINITY);
        for (n, y) in b.iter().enumerate() {
            let here = distance(x, y);
            let best = (diagonal + 2. * here).min(row[n] + here).min(row[n + 1] + here);
            diagonal = std::mem::replace(&mut row[n + 1], best);
        }
    }
    row[b.len()] / (a.len() + b.len()) as f64
}

/// The single digits of a part, at most so many.
fn single_digits(part: Part, count: usize) -> Vec<(u8, Vec<Vec<f64>>)> {
    let synthesizer = Synthesizer::new(RATE).unwrap();
    (0..part.size())
        .filter(|index| part.draw(SEED, *index).labels(&synthesizer).digits.len() == 1)
        .take(count)
        .map(|index| part.utterance(SEED, index, &synthesizer).unwrap())
        .map(|utterance| (utterance.digits[0], bands(&utterance)))
        .collect()
}

#[test]
fn digits_of_voices_never_heard_are_told_apart_by_their_nearest_template() {
    let templates = single_digits(Part::Train, 150);
    let heard = single_digits(Part::Test, 80);
    let is_right = |(digit, word): &&(u8, Vec<Vec<f64>>)| {
        let distance = |template: &&(u8, Vec<Vec<f64>>)| warped_distance(word, &template.1);
        let nearest = templates.iter().min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap();
        nearest.0 == *digit
    };
    let right = heard.iter().filter(is_right).count();
    assert!(right * 10 > heard.len() * 9, "{right} of {}", heard.len());
}
