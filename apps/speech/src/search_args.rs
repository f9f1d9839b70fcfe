//! The flags of a search.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use app_kit::UsageError;
use clap::Args;
use language_model::LanguageModel as NeuralModel;
use rnn_decode::Ngram;
use rnn_decode::ctc::PrefixBeam;

use crate::alphabet::{BLANK, Units, words};
use crate::model::SpeechModel;
use crate::network::Head;
use crate::neural_scorer::NeuralScorer;
use crate::search::{LanguageModel, Search, hot_words, lexicon, spelling};

/// Prefixes that are followed where something is known beside the frames.
const BEAM: usize = 32;

/// How recordings are searched for text.
#[derive(Args, Clone, Debug, Default)]
pub struct SearchArgs {
    /// Prefixes that are followed at once; 1 takes the most probable path [default: 1, or 32 with what
    /// follows here and for models of phonemes]
    #[arg(long, value_name = "N", help_heading = "Search")]
    pub beam: Option<usize>,
    /// N-gram model in ARPA format, of words or of the network's symbols (see `speech ngram`)
    #[arg(long, value_name = "FILE", help_heading = "Search")]
    pub ngram: Option<PathBuf>,
    /// Run folder or model folder of `language-model`, of characters
    #[arg(long, value_name = "RUN", conflicts_with = "ngram", help_heading = "Search")]
    pub language_model: Option<PathBuf>,
    /// How much a language model counts: its log-probabilities so many times [default: 0.5]
    #[arg(long, value_name = "X", help_heading = "Search")]
    pub language_weight: Option<f64>,
    /// What a word (or symbol, of a model of symbols) adds to the score, in nats [default: 1 with a model
    /// of words, otherwise 0]
    #[arg(long, value_name = "X", allow_hyphen_values = true, help_heading = "Search")]
    pub insertion_bonus: Option<f64>,
    /// The words that may be said: a file with one in each line [default: for models of phonemes, those that
    /// have a pronunciation]
    #[arg(long, value_name = "FILE", help_heading = "Search")]
    pub lexicon: Option<PathBuf>,
    /// A word or phrase that is likely to be said; PHRASE:NATS says how much more (3); may be given several
    /// times
    #[arg(long, value_name = "PHRASE[:NATS]", help_heading = "Search")]
    pub hot_word: Vec<String>,
    /// In a frame, follow only symbols at least so probable [default: 0.0001]
    #[arg(long, value_name = "P", help_heading = "Search")]
    pub min_probability: Option<f64>,
}

impl SearchArgs {
    /// The search that the flags describe, for a model.
    ///
    /// # Errors
    /// [`UsageError`] for settings that do not fit the model; files that cannot be read.
    pub fn search(&self, model: &SpeechModel) -> Result<Search> {
        let alphabet = model.alphabet();
        if model.network().config().head == Head::Classification {
            return match self.is_set() {
                true => {
                    Err(UsageError::new("this model says a label for the whole: there is nothing to search")
                        .into())
                }
                false => Ok(Search::default()),
            };
        }
        let language_model = match (&self.ngram, &self.language_model) {
            (Some(path), _) => ngram(path, alphabet.symbols())?,
            (None, Some(folder)) => {
                let helper = NeuralModel::load(folder, model.device())?;
                LanguageModel::Neural(Box::new(NeuralScorer::new(helper, alphabet)?))
            }
            (None, None) => LanguageModel::None,
        };
        let lexicon = match &self.lexicon {
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .with_context(|| format!("cannot read the lexicon {}", path.display()))?;
                let of_lines = text.lines().flat_map(words).map(|word| model.config().text.apply(word));
                let allowed: Vec<String> = of_lines.collect();
                Some(lexicon(alphabet, allowed.iter().map(String::as_str))?)
            }
            None if alphabet.units() == Units::Phoneme && self.beam != Some(1) => {
                Some(lexicon(alphabet, alphabet.pronunciations().keys().map(String::as_str))?)
            }
            None => None,
        };
        let phrases =
            self.hot_word.iter().map(|given| phrase(given)).collect::<Result<Vec<_>, UsageError>>()?;
        let phrases: Vec<(String, f64)> =
            phrases.into_iter().map(|(phrase, bonus)| (model.config().text.apply(&phrase), bonus)).collect();
        let hot_words = match phrases.is_empty() {
            true => None,
            false => {
                let phrases = phrases.iter().map(|(phrase, bonus)| (phrase.as_str(), *bonus));
                Some(hot_words(alphabet, phrases)?)
            }
        };
        let helped =
            !matches!(language_model, LanguageModel::None) || lexicon.is_some() || hot_words.is_some();
        let beam = self.beam.unwrap_or(if helped { BEAM } else { 1 });
        if beam <= 1 && helped {
            let error = "a language model, a lexicon and hot words need a search: give --beam 2 or more, or leave \
                         it out";
            return Err(UsageError::new(error).into());
        }
        let bonus = if matches!(language_model, LanguageModel::Words(_)) { 1.0 } else { 0.0 };
        let beam = PrefixBeam {
            blank: BLANK,
            beam,
            nbest: 1,
            scorer_weight: self.language_weight.unwrap_or(0.5),
            insertion_bonus: self.insertion_bonus.unwrap_or(bonus),
            min_log_prob: self.min_probability.unwrap_or(1e-4).ln() as f32,
        };
        // Its settings are looked at before the first recording.
        beam.start(alphabet.len(), &rnn_decode::ctc::Guide::default())
            .map_err(|error| UsageError::new(error.to_string()))?;
        Ok(Search { beam: (beam.beam > 1).then_some(beam), language_model, hot_words, lexicon })
    }

    fn is_set(&self) -> bool {
        self.beam.is_some_and(|beam| beam > 1)
            || self.ngram.is_some()
            || self.language_model.is_some()
            || self.lexicon.is_some()
            || !self.hot_word.is_empty()
    }
}

/// An n-gram model: of symbols, if all its words are symbols of the network, otherwise of words.
fn ngram(path: &Path, symbols: &[String]) -> Result<LanguageModel> {
    let shown = path.display();
    let file = File::open(path).with_context(|| format!("cannot read the n-gram model {shown}"))?;
    let ngram =
        Ngram::read_arpa(BufReader::new(file)).with_context(|| format!("in the n-gram model {shown}"))?;
    let is_symbol =
        |word: &String| word.starts_with('<') || symbols.iter().any(|symbol| spelling(symbol) == word);
    Ok(match ngram.words().iter().all(is_symbol) {
        true => LanguageModel::Symbols(ngram),
        false => LanguageModel::Words(ngram),
    })
}

/// `PHRASE` or `PHRASE:NATS`.
fn phrase(given: &str) -> Result<(String, f64), UsageError> {
    const BONUS: f64 = 3.0;
    match given.rsplit_once(':') {
        None => Ok((given.to_owned(), BONUS)),
        Some((phrase, bonus)) => match bonus.trim().parse::<f64>() {
            Ok(bonus) if bonus.is_finite() => Ok((phrase.to_owned(), bonus)),
            _ => Err(UsageError::new(format!("{bonus:?} is no number of nats, in the hot word {given:?}"))),
        },
    }
}
