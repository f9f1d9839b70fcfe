//! [`Monophones`]: hidden Markov models of the phonemes, which find where each begins and ends.
//!
//! A network trained with connectionist temporal classification knows what was said better than when: it is
//! free to say a phoneme at any moment after which, having read the recording from both ends, it knows it,
//! and it says it once. How long it lasted is nowhere in its loss. A model that must explain every frame has
//! no such freedom: each phoneme is three states that are passed through in order, each with one Gaussian of
//! the cepstra in a frame, silence is one state that may be left out, and boundaries lie where the
//! recording's most probable path goes from a phoneme to the next (Rabiner 1989, *A tutorial on hidden Markov
//! models*, section III.B).
//!
//! The models are trained on the same recordings before the network, from a flat start: each recording is
//! first divided evenly among its phonemes; then, by turns, the Gaussians are those of the frames that each
//! state has, and each frame goes to the state that the most probable path gives it (the segmental k-means of
//! Rabiner, section VI.C; Young et al. 2006, *The HTK book*, section 8.3).

use std::collections::HashMap;
use std::ops::Range;

use anyhow::{Context, Result, ensure};
use audio_features::{Audio, Config, Extractor, Features, Moments, with_deltas};
use candle_core::{Device, Tensor};
use rayon::prelude::*;

/// States of a phoneme; silence has one.
const STATES: usize = 3;
/// Cepstral coefficients of a frame; with their first and second differences, three times as many numbers.
const COEFFICIENTS: usize = 13;
const NUMBERS: usize = 3 * COEFFICIENTS;
/// Length of a frame in milliseconds.
const FRAME_LENGTH: f64 = 10.0;
/// From a frame to the next, in milliseconds.
const HOP: f64 = 5.0;
/// Rounds of training.
const ROUNDS: usize = 12;
/// A variance is at least so much of that of all frames.
const LEAST_VARIANCE: f32 = 0.02;
/// Frames that a state must have to be estimated from them alone.
const LEAST_FRAMES: f32 = 10.0;
/// Frames of training at most: an hour of speech is more than enough.
const MOST_FRAMES: usize = 720_000;

/// A hidden Markov model of each phoneme.
#[derive(Clone, Debug)]
pub struct Monophones {
    extractor: Extractor,
    silence: u32,
    /// `[symbols · STATES, NUMBERS]`
    means: Vec<f32>,
    /// One over the variances, `[symbols · STATES, NUMBERS]`.
    precisions: Vec<f32>,
    /// What does not depend on the frame of each state's log-density, without `2π`.
    constants: Vec<f32>,
}

/// A state on the way through a recording: the number of its Gaussian, and of the phoneme of the target.
#[derive(Clone, Copy, Debug)]
struct Place {
    gaussian: usize,
    phoneme: usize,
    /// Whether a path may pass it by.
    is_optional: bool,
}

impl Monophones {
    /// Models of `symbols` phonemes, one of which is the `silence` between words, from recordings and what is
    /// said in them (with silence before, between and after the words).
    ///
    /// # Errors
    /// Recordings that are all too short for what is said in them.
    pub fn train(examples: &[(&Audio, &[u32])], symbols: usize, silence: u32, rate: u32) -> Result<Self> {
        let extractor = extractor(rate)?;
        let features =
            examples.par_iter().map(|(audio, _)| cepstra(&extractor, audio)).collect::<Result<Vec<_>>>()?;
        let mut left = MOST_FRAMES;
        let mut used: Vec<(&Features, &[u32])> = Vec::new();
        for (features, (_, target)) in features.iter().zip(examples) {
            if features.frames() >= STATES * target.len() && features.frames() <= left {
                left -= features.frames();
                used.push((features, target));
            }
        }
        ensure!(!used.is_empty(), "no recording is long enough for the phonemes that are said in it");
        let gaussians = symbols * STATES;
        let blank = Self {
            extractor,
            silence,
            means: vec![0.0; gaussians * NUMBERS],
            precisions: vec![1.0; gaussians * NUMBERS],
            constants: vec![0.0; gaussians],
        };
        let flat = |(features, target): &(&Features, &[u32])| blank.evenly(features.frames(), target);
        let mut paths: Vec<Vec<usize>> = used.iter().map(flat).collect();
        let mut models = blank.clone();
        for _ in 0..ROUNDS {
            models.estimate(&used, &paths);
            let path = |(features, target): &(&Features, &[u32])| {
                models.path(features, target).map(|(path, _)| path)
            };
            let found: Vec<Option<Vec<usize>>> = used.par_iter().map(path).collect();
            for (path, found) in paths.iter_mut().zip(found) {
                *path = found.unwrap_or_else(|| std::mem::take(path));
            }
        }
        models.estimate(&used, &paths);
        Ok(models)
    }

    /// When each symbol of `target` is said, in seconds; silence that is not there has no length.
    ///
    /// # Errors
    /// A recording too short for the target.
    pub fn align(&self, audio: &Audio, target: &[u32]) -> Result<Vec<Range<f64>>> {
        let features = cepstra(&self.extractor, audio)?;
        let (_, frames) = self.path(&features, target).with_context(|| {
            format!("a recording of {} frames is too short for {} phonemes", features.frames(), target.len())
        })?;
        let Config { hop, frame_length, rate, .. } = *self.extractor.config();
        let last = features.frames();
        // Between the middles of two frames; the first and the last reach to the ends.
        let time = |frame: usize| match frame {
            0 => 0.0,
            frame if frame == last => audio.duration(),
            frame => {
                (frame * hop) as f64 / f64::from(rate) + (frame_length - hop) as f64 / 2.0 / f64::from(rate)
            }
        };
        Ok(frames.into_iter().map(|frames| time(frames.start)..time(frames.end)).collect())
    }

    fn places(&self, target: &[u32]) -> Vec<Place> {
        let mut places = Vec::with_capacity(STATES * target.len());
        for (phoneme, &symbol) in target.iter().enumerate() {
            let is_optional = symbol == self.silence;
            let states = if is_optional { 1 } else { STATES };
            let first = symbol as usize * STATES;
            places.extend((first..first + states).map(|gaussian| Place { gaussian, phoneme, is_optional }));
        }
        places
    }

    /// The Gaussian of each frame where all places last equally long.
    fn evenly(&self, frames: usize, target: &[u32]) -> Vec<usize> {
        let places = self.places(target);
        (0..frames).map(|frame| places[frame * places.len() / frames].gaussian).collect()
    }

    /// Mean and variance of the frames that each state has.
    fn estimate(&mut self, used: &[(&Features, &[u32])], paths: &[Vec<usize>]) {
        let gaussians = self.constants.len();
        let (mut counts, mut sums) = (vec![0.0f64; gaussians], vec![0.0f64; gaussians * NUMBERS]);
        let mut squares = vec![0.0f64; gaussians * NUMBERS];
        for ((features, _), path) in used.iter().zip(paths) {
            for (row, &gaussian) in features.rows().zip(path) {
                counts[gaussian] += 1.0;
                let of = gaussian * NUMBERS..(gaussian + 1) * NUMBERS;
                for ((sum, square), &x) in sums[of.clone()].iter_mut().zip(&mut squares[of]).zip(row) {
                    *sum += f64::from(x);
                    *square += f64::from(x) * f64::from(x);
                }
            }
        }
        let total = counts.iter().sum::<f64>().max(1.0);
        let over_all =
            |values: &[f64], number: usize| values.iter().skip(number).step_by(NUMBERS).sum::<f64>() / total;
        let global: Vec<(f64, f64)> = (0..NUMBERS)
            .map(|number| {
                let mean = over_all(&sums, number);
                (mean, (over_all(&squares, number) - mean * mean).max(1e-6))
            })
            .collect();
        for (gaussian, &count) in counts.iter().enumerate() {
            let mut constant = 0.0;
            for (number, &(mean_of_all, variance_of_all)) in global.iter().enumerate() {
                let at = gaussian * NUMBERS + number;
                let is_known = count >= f64::from(LEAST_FRAMES);
                let mean = if count > 0.0 { sums[at] / count } else { mean_of_all };
                let variance = if is_known { squares[at] / count - mean * mean } else { variance_of_all };
                let variance = variance.max(f64::from(LEAST_VARIANCE) * variance_of_all);
                self.means[at] = mean as f32;
                self.precisions[at] = (1.0 / variance) as f32;
                constant += variance.ln();
            }
            self.constants[gaussian] = (-0.5 * constant) as f32;
        }
    }

    /// The Gaussian of each frame on the most probable path through the places of a target, and the frames of
    /// each of its symbols; none when there are fewer frames than places that must be passed.
    fn path(&self, features: &Features, target: &[u32]) -> Option<(Vec<usize>, Vec<Range<usize>>)> {
        const NEVER: f32 = f32::NEG_INFINITY;
        let places = self.places(target);
        let count = places.len();
        let may_begin = |place: usize| place == 0 || (place == 1 && places[0].is_optional);
        let mut best = vec![NEVER; count];
        // By how many places each was reached from the frame before.
        let mut steps = vec![0u8; features.frames() * count];
        for (frame, row) in features.rows().enumerate() {
            let steps = &mut steps[frame * count..(frame + 1) * count];
            // From the last to the first: those before are still the frame before's.
            for place in (0..count).rev() {
                let mut from = (best[place], 0);
                if frame == 0 {
                    from = (if may_begin(place) { 0.0 } else { NEVER }, 0);
                } else {
                    if place >= 1 && best[place - 1] > from.0 {
                        from = (best[place - 1], 1);
                    }
                    if place >= 2 && places[place - 1].is_optional && best[place - 2] > from.0 {
                        from = (best[place - 2], 2);
                    }
                }
                best[place] =
                    if from.0 > NEVER { from.0 + self.density(places[place].gaussian, row) } else { NEVER };
                steps[place] = from.1;
            }
        }
        let mut place = count.checked_sub(1)?;
        if count >= 2 && places[place].is_optional && best[place - 1] > best[place] {
            place -= 1;
        }
        if best.get(place).is_none_or(|best| *best == NEVER) || features.is_empty() {
            return None;
        }
        let mut path = vec![0; features.frames()];
        for (frame, at) in path.iter_mut().enumerate().rev() {
            *at = place;
            place -= usize::from(steps[frame * count + place]);
        }
        let mut symbols: Vec<Range<usize>> = Vec::with_capacity(target.len());
        let mut frame = 0;
        for phoneme in 0..target.len() {
            let start = frame;
            while path.get(frame).is_some_and(|&place| places[place].phoneme == phoneme) {
                frame += 1;
            }
            symbols.push(start..frame);
        }
        path.iter_mut().for_each(|at| *at = places[*at].gaussian);
        Some((path, symbols))
    }

    /// The log-density of a frame, less a constant that is the same for all states.
    fn density(&self, gaussian: usize, row: &[f32]) -> f32 {
        let of = gaussian * NUMBERS..(gaussian + 1) * NUMBERS;
        let parts = row.iter().zip(&self.means[of.clone()]).zip(&self.precisions[of]);
        let distance: f32 = parts.map(|((x, mean), precision)| (x - mean) * (x - mean) * precision).sum();
        self.constants[gaussian] - 0.5 * distance
    }

    /// The tensors that [`Monophones::from_tensors`] reads.
    ///
    /// # Errors
    /// Never, unless memory runs out.
    pub fn tensors(&self) -> Result<HashMap<String, Tensor>> {
        let tensor =
            |values: &[f32]| Tensor::from_slice(values, (self.constants.len(), NUMBERS), &Device::Cpu);
        Ok([("means".to_owned(), tensor(&self.means)?), ("precisions".to_owned(), tensor(&self.precisions)?)]
            .into())
    }

    /// Models that were trained before, of as many symbols, for recordings of the same rate.
    ///
    /// # Errors
    /// A tensor that is missing or has another shape.
    pub fn from_tensors(
        tensors: &HashMap<String, Tensor>,
        symbols: usize,
        silence: u32,
        rate: u32,
    ) -> Result<Self> {
        let values = |name: &str| -> Result<Vec<f32>> {
            let tensor = tensors.get(name).with_context(|| format!("the tensor {name} is missing"))?;
            ensure!(tensor.dims() == [symbols * STATES, NUMBERS], "{name} has the shape {:?}", tensor.dims());
            Ok(tensor.flatten_all()?.to_vec1()?)
        };
        let (means, precisions) = (values("means")?, values("precisions")?);
        ensure!(precisions.iter().all(|precision| *precision > 0.0), "a variance is not above 0");
        let constant = |of: &[f32]| 0.5 * of.iter().map(|precision| precision.ln()).sum::<f32>();
        let constants = precisions.chunks_exact(NUMBERS).map(constant).collect();
        let extractor = extractor(rate)?;
        Ok(Self { extractor, silence, means, precisions, constants })
    }
}

/// Shorter frames than a network reads, and more of them: what is to be found is when, not what.
fn extractor(rate: u32) -> Result<Extractor> {
    let samples = |milliseconds: f64| (f64::from(rate) * milliseconds / 1000.0).round() as usize;
    let frame_length = samples(FRAME_LENGTH);
    let preset = Config::kaldi_mfcc(rate, COEFFICIENTS);
    let fft_length = frame_length.next_power_of_two().max(preset.fft_length);
    Ok(Extractor::new(Config { frame_length, hop: samples(HOP), fft_length, ..preset })?)
}

/// Cepstra with their differences, normalised by the recording.
fn cepstra(extractor: &Extractor, audio: &Audio) -> Result<Features> {
    let mut features = extractor.extract(audio)?;
    if features.is_empty() {
        return Ok(Features::new(Vec::new(), NUMBERS)?);
    }
    Moments::of(&features).normalize(&mut features)?;
    Ok(with_deltas(&features, 2, 2)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stretches of noise and tones, and when each begins and ends in seconds.
    fn recording(order: &[u32], number: usize) -> (Audio, Vec<Range<f64>>) {
        let (mut samples, mut times) = (Vec::new(), Vec::new());
        for (place, &symbol) in order.iter().enumerate() {
            let length = if symbol == 1 { 1200 } else { 800 + 160 * ((number + 3 * place) % 4) };
            let start = samples.len();
            for i in 0..length {
                let wave = |hertz: f32| (i as f32 * hertz * std::f32::consts::TAU / 8000.0).sin();
                let hiss = ((start + i) as f32 * 12.9898).sin() * 43_758.547;
                let hiss = hiss - hiss.floor() - 0.5;
                samples.push(match symbol {
                    1 => 0.001 * hiss,
                    2 => 0.3 * wave(300.0) + 0.01 * hiss,
                    3 => 0.3 * wave(1200.0) + 0.01 * hiss,
                    _ => 0.2 * hiss,
                });
            }
            times.push(start as f64 / 8000.0..samples.len() as f64 / 8000.0);
        }
        (Audio { samples, rate: 8000 }, times)
    }

    #[test]
    fn boundaries_between_different_sounds_are_found_from_a_flat_start() {
        let orders = [[1, 2, 3, 1], [1, 3, 4, 1], [1, 4, 2, 1], [1, 3, 2, 1]];
        let recordings: Vec<_> = (0..24).map(|number| recording(&orders[number % 4], number)).collect();
        let examples: Vec<(&Audio, &[u32])> = recordings
            .iter()
            .enumerate()
            .map(|(number, (audio, _))| (audio, &orders[number % 4][..]))
            .collect();
        let models = Monophones::train(&examples, 5, 1, 8000).unwrap();
        let saved = Monophones::from_tensors(&models.tensors().unwrap(), 5, 1, 8000).unwrap();
        for (number, (audio, times)) in recordings.iter().enumerate() {
            let found = models.align(audio, &orders[number % 4]).unwrap();
            for (found, time) in found.iter().zip(times) {
                assert!(
                    (found.start - time.start).abs() < 0.03 && (found.end - time.end).abs() < 0.03,
                    "{found:?} {time:?}"
                );
            }
            assert_eq!(saved.align(audio, &orders[number % 4]).unwrap(), found);
        }
        // Silence that is not there has no length.
        let (audio, _) = recording(&[2, 3], 0);
        let found = models.align(&audio, &[1, 2, 1, 3, 1]).unwrap();
        assert!(found[0].end - found[0].start < 0.03 && found[2].end - found[2].start < 0.03, "{found:?}");
        assert!(models.align(&Audio { samples: vec![0.0; 250], rate: 8000 }, &orders[0]).is_err());
    }
}
