//! [`Recognizer`]: recordings to text, by the best path or by prefix beam search with a language model.

use std::ops::Range;

use anyhow::{Context, Result};
use app_kit::UsageError;
use audio_features::Audio;
use rnn_decode::ctc::{self, Guide, TimedSymbol};

use crate::alphabet::{Alphabet, BLANK, SEPARATOR, Units};
use crate::model::{Clock, Emissions, SpeechModel};
use crate::network::Head;
use crate::search::{AnyScorer, Search};
use crate::segments::segments;
use crate::transcript::{Timed, Transcript};

/// Recognises recordings.
#[derive(Debug)]
pub struct Recognizer {
    model: SpeechModel,
    others: Vec<SpeechModel>,
    search: Search,
}

impl Recognizer {
    /// A recogniser that goes about it as `search` says.
    pub fn new(model: SpeechModel, search: Search) -> Self {
        Self { model, others: Vec::new(), search }
    }

    /// The same, recognising together with other models: what they say is averaged. Their names are for the
    /// error.
    ///
    /// # Errors
    /// [`UsageError`] for a model of other symbols, or of frames at other times.
    pub fn together_with(self, others: Vec<(String, SpeechModel)>) -> Result<Self> {
        for (name, other) in &others {
            let [mine, others] = [&self.model, other].map(|model| {
                (model.config().frontend.rate, model.network().config().head, model.alphabet(), model.clock())
            });
            let differs = [
                (mine.0 != others.0, "reads another sampling rate"),
                (mine.1 != others.1, "has another head"),
                (mine.2 != others.2, "says other symbols"),
                (mine.3 != others.3, "gives out its frames at other times"),
            ];
            if let Some((_, how)) = differs.into_iter().find(|(differs, _)| *differs) {
                return Err(UsageError::new(format!(
                    "{name} {how}: models that recognise together must agree in it"
                ))
                .into());
            }
        }
        Ok(Self { others: others.into_iter().map(|(_, model)| model).collect(), ..self })
    }

    /// Whether it recognises with one model only.
    pub fn is_alone(&self) -> bool {
        self.others.is_empty()
    }

    /// What it recognises with.
    pub fn model(&self) -> &SpeechModel {
        &self.model
    }

    /// How it goes about it.
    pub fn search(&self) -> &Search {
        &self.search
    }

    /// What the models say of each recording.
    ///
    /// # Errors
    /// Those of [`SpeechModel::emissions`].
    pub fn emissions(&self, recordings: &[&Audio]) -> Result<Vec<Emissions>> {
        if self.is_alone() {
            return self.model.emissions(recordings);
        }
        let models = std::iter::once(&self.model).chain(&self.others);
        let of_models = models.map(|model| model.emissions(recordings)).collect::<Result<Vec<_>>>()?;
        let mean = |number: usize| {
            let several: Vec<&Emissions> = of_models.iter().map(|of| &of[number]).collect();
            Emissions::mean(&several).context("the models see a recording in different frames")
        };
        (0..recordings.len()).map(mean).collect()
    }

    /// What is said in each recording; recordings of like length are computed together.
    ///
    /// # Errors
    /// Samples that are not finite, a device that fails, weights that are damaged.
    pub fn transcribe(&self, recordings: &[&Audio]) -> Result<Vec<Transcript>> {
        let emissions = self.emissions(recordings)?;
        let guide = self.search.guide(self.model.alphabet());
        let transcript = |(audio, emissions): (&&Audio, _)| self.transcript_by(&guide, audio, emissions);
        recordings.iter().zip(&emissions).map(transcript).collect()
    }

    /// What the frames of a recording say.
    ///
    /// # Errors
    /// Weights that are damaged.
    pub fn transcript(&self, audio: &Audio, emissions: &Emissions) -> Result<Transcript> {
        self.transcript_by(&self.search.guide(self.model.alphabet()), audio, emissions)
    }

    fn transcript_by(
        &self,
        guide: &Guide<AnyScorer<'_>>,
        audio: &Audio,
        emissions: &Emissions,
    ) -> Result<Transcript> {
        let alphabet = self.model.alphabet();
        if self.model.network().config().head == Head::Classification {
            return Ok(label(alphabet, emissions, audio.duration()));
        }
        let (symbols, score) = self.search.decode(guide, emissions)?;
        Ok(located(&self.model, audio, emissions, &symbols, score))
    }
}

/// What the most probable path through the frames says.
///
/// # Errors
/// Weights that are damaged.
pub fn best_path(model: &SpeechModel, emissions: &Emissions) -> Result<String> {
    if model.network().config().head == Head::Classification {
        return Ok(label(model.alphabet(), emissions, 0.0).text);
    }
    let symbols = ctc::greedy(&emissions.log_probs, emissions.symbols, BLANK)?;
    Ok(transcript(model.alphabet(), &symbols, 0.0, emissions.clock, 0.0).text)
}

/// The most probable label of a recording.
fn label(alphabet: &Alphabet, emissions: &Emissions, duration: f64) -> Transcript {
    let mut best = (0, f32::NEG_INFINITY);
    for (label, &log_prob) in emissions.log_probs.iter().enumerate() {
        if log_prob > best.1 {
            best = (label, log_prob);
        }
    }
    let text = alphabet.symbols()[best.0].clone();
    let score = f64::from(best.1);
    let word = Timed { text: text.clone(), start: 0.0, end: duration, confidence: score.exp() };
    Transcript { text, words: vec![word.clone()], symbols: vec![word], score, duration }
}

/// Symbols and their frames as text, words and seconds.
pub fn transcript(
    alphabet: &Alphabet,
    symbols: &[TimedSymbol],
    score: f64,
    clock: Clock,
    duration: f64,
) -> Transcript {
    let times = symbols.iter().map(|TimedSymbol { frames, .. }| {
        clock.time(frames.start, duration)..clock.time(frames.end, duration)
    });
    let times: Vec<Range<f64>> = times.collect();
    at_times(alphabet, symbols, &times, score, duration)
}

/// Symbols as text.
pub fn text(alphabet: &Alphabet, symbols: &[u32]) -> String {
    let timed = |&symbol: &u32| TimedSymbol { symbol, frames: 0..1, log_prob: 0.0 };
    let symbols: Vec<TimedSymbol> = symbols.iter().map(timed).collect();
    transcript(alphabet, &symbols, 0.0, Clock { first: 0.0, frame: 0.0 }, 0.0).text
}

/// Symbols of a recording as text, words and seconds: by the models of phonemes, if there are some, otherwise by
/// the network alone.
pub fn located(
    model: &SpeechModel,
    audio: &Audio,
    emissions: &Emissions,
    symbols: &[TimedSymbol],
    score: f64,
) -> Transcript {
    let (alphabet, duration) = (model.alphabet(), audio.duration());
    let silence = alphabet.separator();
    let numbers: Vec<u32> = symbols.iter().map(|symbol| symbol.symbol).collect();
    // What a search found may be more than the recording has room for.
    if let Some(times) = model.monophones().and_then(|monophones| monophones.align(audio, &numbers).ok()) {
        return at_times(alphabet, symbols, &times, score, duration);
    }
    let spread = segments(emissions, symbols, silence);
    transcript(alphabet, &spread, score, emissions.clock, duration)
}

fn at_times(
    alphabet: &Alphabet,
    symbols: &[TimedSymbol],
    times: &[Range<f64>],
    score: f64,
    duration: f64,
) -> Transcript {
    let timed = |(symbol, time): (&TimedSymbol, &Range<f64>)| Timed {
        text: alphabet.symbols()[symbol.symbol as usize].clone(),
        start: time.start,
        end: time.end,
        confidence: symbol.confidence(),
    };
    let symbols: Vec<Timed> = symbols.iter().zip(times).map(timed).collect();
    let words = words(alphabet, &symbols);
    let texts: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
    Transcript { text: texts.join(" "), words, symbols, score, duration }
}

/// The words that symbols spell.
fn words(alphabet: &Alphabet, symbols: &[Timed]) -> Vec<Timed> {
    if alphabet.units() == Units::Word {
        return symbols.to_vec();
    }
    let by_phonemes = alphabet.words_by_phonemes();
    let spelled = symbols.split(|symbol| symbol.text == SEPARATOR).filter_map(|symbols| {
        let (first, last) = (symbols.first()?, symbols.last()?);
        let spelling: String = symbols.iter().map(|symbol| symbol.text.as_str()).collect();
        let confidences = symbols.iter().map(|symbol| symbol.confidence.ln()).sum::<f64>();
        Some(Timed {
            text: by_phonemes.get(&spelling).cloned().unwrap_or(spelling),
            start: first.start,
            end: last.end,
            confidence: (confidences / symbols.len() as f64).exp(),
        })
    });
    spelled.collect()
}
