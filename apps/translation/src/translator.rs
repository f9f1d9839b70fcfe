//! [`Translator`]: one model or several, ready to translate.

use std::path::Path;

use anyhow::{Context, Result, bail};
use app_kit::UsageError;
use candle_core::Device;
use candle_rnn::{Generator, Mode};
use language_model::{Continuations, LanguageModel};
use rnn_decode::{
    AttentionDecoder, BeamSearch, Ensemble, Found, Fusion, Hypotheses, Request, Sampling, draw,
};
use rnn_train::batches::padded;
use serde::Serialize;

use crate::model::TranslationModel;
use crate::vocabulary::{Encoded, Vocabularies};

/// How to translate.
#[derive(Clone, Debug, PartialEq)]
pub struct TranslateConfig {
    /// How to search.
    pub search: BeamSearch,
    /// Draw every symbol at random instead of searching for the likeliest sentence, from this seed.
    pub sampling: Option<(Sampling, u64)>,
    /// Symbols of a translation at most; without it, ten more than twice those of the source.
    pub max_length: Option<usize>,
    /// Symbols of a source at most; a longer one is refused.
    pub max_source: usize,
    /// How every translation begins.
    pub prefix: String,
    /// Put the source's word that was attended to most in the place of an unknown word.
    pub replace_unknown: bool,
    /// Sentences that are searched at once.
    pub batch: usize,
}

impl Default for TranslateConfig {
    /// Greedy search of 64 sentences at once; sources of up to 1,000 symbols.
    fn default() -> Self {
        Self {
            search: BeamSearch::default(),
            sampling: None,
            max_length: None,
            max_source: 1000,
            prefix: String::new(),
            replace_unknown: false,
            batch: 64,
        }
    }
}

/// A sentence and its translations, the best first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Translation {
    /// The sentence as it was given.
    pub source: String,
    /// The symbols that were read, the end among them.
    pub source_tokens: Vec<String>,
    /// At least one, but for an empty source.
    pub hypotheses: Vec<Hypothesis>,
}

/// A translation of a sentence.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Hypothesis {
    /// As text.
    pub text: String,
    /// `ln p(text | source)`, in nats.
    pub log_probability: f64,
    /// What it was ranked by.
    pub score: f64,
    /// Whether it came to an end; otherwise it was cut off.
    pub ended: bool,
    /// Its symbols, without the end.
    pub tokens: Vec<String>,
    /// How much each symbol, and the end, attended to each of the source's, `[tokens (+ 1), source
    /// tokens]`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attention: Vec<Vec<f32>>,
}

impl Translation {
    /// The best translation; empty for an empty source.
    pub fn text(&self) -> &str {
        self.hypotheses.first().map_or("", |best| &best.text)
    }
}

/// One model, or several whose probabilities are averaged, and perhaps a language model that helps.
pub struct Translator {
    models: Vec<(TranslationModel, AttentionDecoder)>,
    language_model: Option<(LanguageModel, f32)>,
}

impl Translator {
    /// A single model.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn new(model: TranslationModel) -> Result<Self> {
        let decoder = model.network().writer()?;
        Ok(Self { models: vec![(model, decoder)], language_model: None })
    }

    /// Reads one model folder (or run folder) or several, which then translate together.
    ///
    /// # Errors
    /// Those of [`TranslationModel::load`]; [`UsageError`] for models of different vocabularies.
    pub fn load<P: AsRef<Path>>(folders: &[P], device: &Device) -> Result<Self> {
        let models = folders.iter().map(|folder| TranslationModel::load(folder.as_ref(), device));
        let models: Vec<TranslationModel> = models.collect::<Result<_>>()?;
        let first = models.first().context("there is no model to translate with")?;
        for (folder, other) in folders.iter().zip(&models) {
            if !other.vocabularies().same_as(first.vocabularies()) {
                return Err(UsageError::new(format!(
                    "{} has another vocabulary than {}: models that translate together must have been \
                     trained with the same",
                    folder.as_ref().display(),
                    folders[0].as_ref().display()
                ))
                .into());
            }
        }
        let models = models.into_iter().map(|model| {
            let decoder = model.network().writer()?;
            Ok((model, decoder))
        });
        Ok(Self { models: models.collect::<Result<_>>()?, language_model: None })
    }

    /// Lets a language model of the target's lines help: the search follows
    /// `ln p + weight · ln p_LM` (Gülçehre et al. 2015, shallow fusion).
    ///
    /// # Errors
    /// [`UsageError`] for another vocabulary or a weight below 0.
    pub fn with_language_model(self, model: LanguageModel, weight: f32) -> Result<Self> {
        if !(weight >= 0.0 && weight.is_finite()) {
            let error = format!("the weight of the language model must be a number from 0 on, not {weight}");
            return Err(UsageError::new(error).into());
        }
        if !model.tokenizer().same_as(self.vocabularies().target()) {
            return Err(UsageError::new(
                "the language model has another vocabulary than the translations: train it with \
                 `language-model train --tokenizer FILE`, FILE being the tokenizer of the target in the \
                 translation model's folder",
            )
            .into());
        }
        Ok(Self { language_model: Some((model, weight)), ..self })
    }

    /// The vocabularies of both languages.
    pub fn vocabularies(&self) -> &Vocabularies {
        self.models[0].0.vocabularies()
    }

    /// The first model.
    pub fn model(&self) -> &TranslationModel {
        &self.models[0].0
    }

    /// Translates sentences, each as if it were alone. An error is that of one sentence: the others
    /// are translated all the same.
    ///
    /// # Errors
    /// [`UsageError`] for settings out of range; what a device or a damaged model reports.
    pub fn translate(
        &self,
        sentences: &[String],
        config: &TranslateConfig,
    ) -> Result<Vec<Result<Translation>>> {
        let prefix = self.vocabularies().encode_target(&config.prefix)?.symbols;
        let mut translations: Vec<Option<Result<Translation>>> = sentences.iter().map(|_| None).collect();
        let mut sources = Vec::new();
        for (number, sentence) in sentences.iter().enumerate() {
            match self.read(sentence, config) {
                Ok(Some(source)) => sources.push((number, source)),
                Ok(None) => {
                    let nothing =
                        Translation { source: sentence.clone(), source_tokens: vec![], hypotheses: vec![] };
                    translations[number] = Some(Ok(nothing));
                }
                Err(error) => translations[number] = Some(Err(error)),
            }
        }
        // Sentences of about the same length side by side: the search goes on until the longest ends.
        sources.sort_by_key(|(_, source)| source.symbols.len());
        for sources in sources.chunks(config.batch.max(1)) {
            let symbols: Vec<&[u32]> = sources.iter().map(|(_, source)| &source.symbols[..]).collect();
            let numbers: Vec<usize> = sources.iter().map(|(number, _)| *number).collect();
            let found = self.search(&symbols, &numbers, &prefix, config)?;
            for ((number, source), found) in sources.iter().zip(found) {
                let hypotheses = found.into_iter().map(|found| self.tell(found, source, config)).collect();
                translations[*number] = Some(Ok(Translation {
                    source: sentences[*number].clone(),
                    source_tokens: source.symbols.iter().map(|&s| self.source_token(s)).collect(),
                    hypotheses,
                }));
            }
        }
        translations.into_iter().map(|each| each.context("a sentence was left out")).collect()
    }

    /// The symbols of a sentence; none for an empty one.
    fn read(&self, sentence: &str, config: &TranslateConfig) -> Result<Option<Source>> {
        let text = sentence.trim();
        let text = if self.model().config().lowercase { text.to_lowercase() } else { text.to_owned() };
        if text.is_empty() {
            return Ok(None);
        }
        let Encoded { symbols, places, unknown } = self.vocabularies().encode_source(&text)?;
        if symbols.len() > config.max_source {
            bail!(
                "it has {} symbols, and {} are the most that are read: cut it into sentences, or raise \
                 --max-source",
                symbols.len(),
                config.max_source
            );
        }
        if !unknown.is_empty() {
            let unknown: String = unknown.into_iter().collect();
            tracing::warn!("the model has never seen the characters {unknown:?}: they are left out");
        }
        // A sentence of nothing but unknown characters.
        Ok((symbols.len() > 1).then_some(Source { text, symbols, places }))
    }

    fn search(
        &self,
        sources: &[&[u32]],
        numbers: &[usize],
        prefix: &[u32],
        config: &TranslateConfig,
    ) -> Result<Vec<Vec<Found>>> {
        let device = self.model().device();
        let (symbols, lengths) = padded(sources, 0, device)?;
        let mut translations = Vec::with_capacity(self.models.len());
        for (model, decoder) in &self.models {
            let encoded = model.network().encode(&symbols, &lengths, &mut Mode::Eval)?;
            translations.push(decoder.begin(&encoded.state, &encoded.memory)?);
        }
        let ensemble = Ensemble::new(translations).context("there is no model to translate with")?;
        let mut hypotheses: Box<dyn Hypotheses<Error = anyhow::Error> + '_> = Box::new(ensemble);
        if let Some((model, weight)) = &self.language_model {
            let continuations = Continuations::new(model, sources.len())?;
            let continuations: Box<dyn Hypotheses<Error = anyhow::Error> + '_> = Box::new(continuations);
            hypotheses = Box::new(Fusion::new(hypotheses, continuations, *weight));
        }
        let request = |source: &&[u32]| Request {
            max_length: config.max_length.unwrap_or(2 * source.len() + 10).max(prefix.len()).max(1),
            prefix: prefix.to_vec(),
            source_length: source.len(),
        };
        let requests: Vec<Request> = sources.iter().map(request).collect();
        let end = self.vocabularies().end();
        let usage = |error: rnn_decode::BeamError<anyhow::Error>| match error {
            rnn_decode::BeamError::Model(error) => error,
            bad @ rnn_decode::BeamError::BadScore { .. } => anyhow::anyhow!("{bad}"),
            other => UsageError::new(other.to_string()).into(),
        };
        match config.sampling {
            None => config.search.search(&mut hypotheses, end, end, &requests).map_err(usage),
            Some((sampling, seed)) => {
                let generator = |&number: &usize| Generator::new(seed.wrapping_add(number as u64));
                let mut generators: Vec<Generator> = numbers.iter().map(generator).collect();
                let found = draw(&mut hypotheses, (end, end), &requests, sampling, &mut generators);
                Ok(found.map_err(usage)?.into_iter().map(|found| vec![found]).collect())
            }
        }
    }

    fn tell(&self, found: Found, source: &Source, config: &TranslateConfig) -> Hypothesis {
        let Found { symbols, log_prob, score, ended, mut attention } = found;
        // Of a batch, whose longest source may be longer.
        attention.iter_mut().for_each(|step| step.truncate(source.symbols.len()));
        let target = self.vocabularies().target();
        let mut tokens: Vec<String> = symbols.iter().map(|&symbol| target.token(symbol)).collect();
        let mut text = self.vocabularies().decode_target(&symbols);
        let unknown = |symbol: &u32| Some(*symbol) == target.unknown();
        if config.replace_unknown && symbols.iter().any(unknown) {
            for (at, _) in symbols.iter().enumerate().filter(|(_, symbol)| unknown(symbol)) {
                if let Some(word) = source.most_attended(attention.get(at).map_or(&[], Vec::as_slice)) {
                    tokens[at] = word.to_owned();
                }
            }
            text = target.join(&tokens);
        }
        Hypothesis { text, log_probability: log_prob, score, ended, tokens, attention }
    }

    fn source_token(&self, symbol: u32) -> String {
        self.vocabularies().source().token(symbol)
    }
}

/// A sentence that has been read.
struct Source {
    text: String,
    symbols: Vec<u32>,
    places: Vec<std::ops::Range<usize>>,
}

impl Source {
    /// The word that was attended to most: what an unknown word of the translation most likely stands for
    /// (Luong et al. 2015, *Addressing the rare word problem*, with the attention as alignment).
    fn most_attended(&self, attention: &[f32]) -> Option<&str> {
        // Not the end, which is no word.
        let words = attention.iter().zip(&self.places).filter(|(_, place)| !place.is_empty());
        let (_, place) = words.max_by(|(a, _), (b, _)| a.total_cmp(b))?;
        self.text.get(place.clone())
    }
}
