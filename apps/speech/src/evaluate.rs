//! How well a model recognises recordings whose text is known.

use std::collections::BTreeMap;

use anyhow::Result;
use audio_features::Audio;
use rayon::prelude::*;
use rnn_metrics::error_rate::Alignment;
use rnn_metrics::{ErrorRate, Metric};
use serde::Serialize;

use crate::align::align;
use crate::boundaries::{Boundaries, BoundaryReport};
use crate::corpus::Utterance;
use crate::examples::{PHONEMES, recording};
use crate::network::Head;
use crate::recognizer::Recognizer;
use crate::transcript::{Timed, Transcript};

/// Recordings that are in memory at once.
const TOGETHER: usize = 256;

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Evaluation {
    /// How many recordings there were.
    pub recordings: usize,
    /// Their length in seconds.
    pub seconds: f64,
    /// Share of the recordings whose text is right, in per cent.
    pub exact: f64,
    /// Word error rate in per cent; not of a classifier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wer: Option<f64>,
    /// Character error rate in per cent; not of a classifier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cer: Option<f64>,
    /// Of a classifier: how many recordings of each label are recognised as which.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub confusions: BTreeMap<String, BTreeMap<String, usize>>,
    /// How far the boundaries of phonemes lie from the true ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boundaries: Option<BoundaryReport>,
    /// What was said, and what was recognised, in the order of the recordings.
    #[serde(skip)]
    pub texts: Vec<(String, String)>,
}

impl Evaluation {
    /// The alignments of what was recognised with what was said.
    ///
    /// # Errors
    /// No recordings.
    pub fn alignments(&self) -> Result<Vec<Alignment>> {
        let (references, hypotheses): (Vec<&str>, Vec<&str>) =
            self.texts.iter().map(|(said, heard)| (said.as_str(), heard.as_str())).unzip();
        Ok(ErrorRate::words().align_all(&hypotheses, &references)?)
    }
}

/// Recognises all recordings and compares with their texts; with `boundaries`, also aligns their texts and
/// compares with the field `phonemes`.
///
/// # Errors
/// A recording that cannot be read; with `boundaries`, a text that cannot be aligned.
pub fn evaluate(recognizer: &Recognizer, utterances: &[Utterance], boundaries: bool) -> Result<Evaluation> {
    let model = recognizer.model();
    let mut texts = Vec::new();
    let mut found = Boundaries::default();
    let mut seconds = 0.0;
    for utterances in utterances.chunks(TOGETHER) {
        let rate = model.config().frontend.rate;
        let recordings = utterances.par_iter().map(|utterance| recording(utterance, rate));
        let recordings = recordings.collect::<Result<Vec<Audio>>>()?;
        seconds += recordings.iter().map(Audio::duration).sum::<f64>();
        let heard = recognizer.transcribe(&recordings.iter().collect::<Vec<_>>())?;
        for (utterance, Transcript { text, .. }) in utterances.iter().zip(heard) {
            texts.push((model.config().text.apply(&utterance.text), text));
        }
        if boundaries {
            for (utterance, audio) in utterances.iter().zip(&recordings) {
                add_boundaries(recognizer, utterance, audio, &mut found)?;
            }
        }
    }
    let (references, hypotheses): (Vec<&str>, Vec<&str>) =
        texts.iter().map(|(said, heard)| (said.as_str(), heard.as_str())).unzip();
    let exact = texts.iter().filter(|(said, heard)| said == heard).count();
    let (mut wer, mut cer, mut confusions) = (None, None, BTreeMap::new());
    match model.network().config().head {
        Head::Ctc => {
            wer = Some(100.0 * ErrorRate::words().corpus(&hypotheses, &[&references])?.rate());
            cer = Some(100.0 * ErrorRate::characters().corpus(&hypotheses, &[&references])?.rate());
        }
        Head::Classification => {
            for (said, heard) in &texts {
                let heard_as: &mut BTreeMap<String, usize> = confusions.entry(said.clone()).or_default();
                *heard_as.entry(heard.clone()).or_default() += 1;
            }
        }
    }
    Ok(Evaluation {
        recordings: texts.len(),
        seconds,
        exact: 100.0 * exact as f64 / texts.len().max(1) as f64,
        wer,
        cer,
        confusions,
        boundaries: found.report(),
        texts,
    })
}

fn add_boundaries(
    recognizer: &Recognizer,
    utterance: &Utterance,
    audio: &Audio,
    boundaries: &mut Boundaries,
) -> Result<()> {
    let Some(phonemes) = utterance.fields.get(PHONEMES) else { return Ok(()) };
    let reference = reference(phonemes, utterance.sound.read()?.rate);
    let spoken: Vec<&str> = reference.iter().map(|segment| segment.text.as_str()).collect();
    let model = recognizer.model();
    let target = model.alphabet().encode_as_spoken(&model.config().text.apply(&utterance.text), &spoken)?;
    let aligned = align(model, audio, &target)?;
    let is_sound = |symbol: &Timed| symbol.text != crate::alphabet::SEPARATOR;
    let found: Vec<Timed> = aligned.symbols.into_iter().filter(is_sound).collect();
    boundaries.add(&found, &reference)
}

/// The segments of a field `symbol:start:end …`, in samples, without silence.
fn reference(phonemes: &str, rate: u32) -> Vec<Timed> {
    const SILENCE: &str = "SIL";
    let seconds = |sample: Option<&str>| {
        sample.and_then(|sample| sample.parse::<f64>().ok()).map(|s| s / f64::from(rate))
    };
    let segment = |segment: &str| {
        let mut parts = segment.split(':');
        let text = parts.next()?.to_owned();
        let (start, end) = (seconds(parts.next())?, seconds(parts.next())?);
        (text != SILENCE).then_some(Timed { text, start, end, confidence: 1.0 })
    };
    crate::alphabet::words(phonemes).filter_map(segment).collect()
}
