//! How frames become symbols: the best path, or prefix beam search with what else is known.

use std::fmt;

use anyhow::Result;
use app_kit::UsageError;
use rnn_decode::Ngram;
use rnn_decode::ctc::{
    self, Guide, HotWords, Lexicon, NoScorer, PrefixBeam, Scored, Scorer, SymbolScorer, TimedSymbol,
    WordScorer,
};

use crate::alphabet::{Alphabet, BLANK, Units};
use crate::model::Emissions;
use crate::neural_scorer::NeuralScorer;

/// How frames become symbols.
#[derive(Debug, Default)]
pub struct Search {
    /// Prefixes that are followed; none: the most probable path, without anything below.
    pub beam: Option<PrefixBeam>,
    /// What says how likely a text is.
    pub language_model: LanguageModel,
    /// Phrases that are worth more, or less.
    pub hot_words: Option<HotWords>,
    /// The words that may be said.
    pub lexicon: Option<Lexicon>,
}

/// What says how likely a text is.
#[derive(Debug, Default)]
pub enum LanguageModel {
    /// Nothing.
    #[default]
    None,
    /// An n-gram model of words.
    Words(Ngram),
    /// An n-gram model of the network's symbols.
    Symbols(Ngram),
    /// A recurrent language model.
    Neural(Box<NeuralScorer>),
}

impl Search {
    /// The symbols of a recording, and their score; `guide` is that of the search.
    ///
    /// # Errors
    /// Settings out of range; weights that are damaged.
    pub fn decode(
        &self,
        guide: &Guide<AnyScorer<'_>>,
        emissions: &Emissions,
    ) -> Result<(Vec<TimedSymbol>, f64)> {
        let Emissions { log_probs, symbols, .. } = emissions;
        let Some(beam) = &self.beam else {
            let found = ctc::greedy(log_probs, *symbols, BLANK)?;
            let score = best_path_log_prob(log_probs, *symbols);
            return Ok((found, score));
        };
        let best = beam.decode(log_probs, *symbols, guide)?.into_iter().next();
        self.check()?;
        Ok(best.map_or((Vec::new(), f64::NEG_INFINITY), |found| (found.symbols, found.score)))
    }

    /// Whether all that the language model was asked since the last call is of use.
    ///
    /// # Errors
    /// A device that failed.
    pub fn check(&self) -> Result<()> {
        match &self.language_model {
            LanguageModel::Neural(scorer) => scorer.check(),
            _ => Ok(()),
        }
    }

    /// What the search knows beside the frames: make it once for many recordings, for a lexicon may be large.
    pub fn guide(&self, alphabet: &Alphabet) -> Guide<AnyScorer<'_>> {
        let scorer = match (&self.language_model, alphabet.separator()) {
            (LanguageModel::None, _) => AnyScorer::None(NoScorer),
            (LanguageModel::Words(ngram), Some(separator)) => {
                let scorer = WordScorer::new(ngram, alphabet.symbols().iter().cloned(), separator);
                AnyScorer::Words(scorer.with_words(alphabet.words_by_phonemes().clone()))
            }
            (LanguageModel::Words(ngram) | LanguageModel::Symbols(ngram), _) => {
                AnyScorer::Symbols(SymbolScorer::new(ngram, alphabet.symbols().iter().map(spelling)))
            }
            (LanguageModel::Neural(scorer), _) => AnyScorer::Neural(scorer),
        };
        Guide { scorer, hot_words: self.hot_words.clone(), lexicon: self.lexicon.clone() }
    }
}

/// What an n-gram model of symbols calls them: the blank between words is no word of a text.
pub fn spelling(symbol: &String) -> &str {
    if symbol == crate::alphabet::SEPARATOR { "|" } else { symbol }
}

fn best_path_log_prob(log_probs: &[f32], symbols: usize) -> f64 {
    let best = |frame: &[f32]| f64::from(frame.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    log_probs.chunks_exact(symbols).map(best).sum()
}

/// The words that may be said, as the network spells them.
///
/// # Errors
/// [`UsageError`] for a network of words, which says no others; a word that cannot be spelled.
pub fn lexicon<'a>(alphabet: &Alphabet, words: impl IntoIterator<Item = &'a str>) -> Result<Lexicon> {
    let Some(separator) = alphabet.separator() else {
        let error = "a lexicon is for models of characters or phonemes that were trained on more than one word \
                     at a time; this one says whole words";
        return Err(UsageError::new(error).into());
    };
    let mut spellings = Vec::new();
    for word in words {
        spellings.extend(alphabet.spellings(word)?);
    }
    Ok(Lexicon::new(spellings, separator)?)
}

/// The hot words, each with its bonus in nats, as the network spells them.
///
/// # Errors
/// A phrase that cannot be spelled.
pub fn hot_words<'a>(
    alphabet: &Alphabet,
    phrases: impl IntoIterator<Item = (&'a str, f64)>,
) -> Result<HotWords> {
    let mut spelled = Vec::new();
    for (phrase, bonus) in phrases {
        let spellings = match alphabet.units() {
            Units::Phoneme if !phrase.contains(' ') => alphabet.spellings(phrase)?,
            _ => vec![alphabet.encode(phrase)?],
        };
        spelled.extend(spellings.into_iter().map(|spelling| (spelling, bonus)));
    }
    Ok(HotWords::new(spelled, alphabet.separator())?)
}

/// Any of the language models.
pub enum AnyScorer<'a> {
    /// None.
    None(NoScorer),
    /// Of words.
    Words(WordScorer<'a>),
    /// Of symbols.
    Symbols(SymbolScorer<'a>),
    /// Recurrent.
    Neural(&'a NeuralScorer),
}

/// The state of any of them.
#[derive(Clone)]
pub enum AnyState<'a> {
    /// Of none.
    None,
    /// Of words.
    Words(<WordScorer<'a> as Scorer>::State),
    /// Of symbols.
    Symbols(<SymbolScorer<'a> as Scorer>::State),
    /// Recurrent.
    Neural(<NeuralScorer as Scorer>::State),
}

impl fmt::Debug for AnyScorer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None(_) => "None",
            Self::Words(_) => "Words",
            Self::Symbols(_) => "Symbols",
            Self::Neural(_) => "Neural",
        })
    }
}

/// The same, with another state.
fn with_state<S, T>(scored: Scored<S>, state: impl FnOnce(S) -> T) -> Scored<T> {
    Scored { log_prob: scored.log_prob, units: scored.units, state: state(scored.state) }
}

impl<'a> Scorer for AnyScorer<'a> {
    type State = AnyState<'a>;

    fn start(&self) -> AnyState<'a> {
        match self {
            Self::None(_) => AnyState::None,
            Self::Words(scorer) => AnyState::Words(scorer.start()),
            Self::Symbols(scorer) => AnyState::Symbols(scorer.start()),
            Self::Neural(scorer) => AnyState::Neural(scorer.start()),
        }
    }

    fn score(&self, state: &AnyState<'a>, symbol: u32) -> Scored<AnyState<'a>> {
        match (self, state) {
            (Self::Words(scorer), AnyState::Words(state)) => {
                with_state(scorer.score(state, symbol), AnyState::Words)
            }
            (Self::Symbols(scorer), AnyState::Symbols(state)) => {
                with_state(scorer.score(state, symbol), AnyState::Symbols)
            }
            (Self::Neural(scorer), AnyState::Neural(state)) => {
                with_state(scorer.score(state, symbol), AnyState::Neural)
            }
            _ => with_state(NoScorer.score(&(), symbol), |()| AnyState::None),
        }
    }

    fn end(&self, state: &AnyState<'a>) -> Scored<AnyState<'a>> {
        match (self, state) {
            (Self::Words(scorer), AnyState::Words(state)) => with_state(scorer.end(state), AnyState::Words),
            (Self::Symbols(scorer), AnyState::Symbols(state)) => {
                with_state(scorer.end(state), AnyState::Symbols)
            }
            (Self::Neural(scorer), AnyState::Neural(state)) => {
                with_state(scorer.end(state), AnyState::Neural)
            }
            _ => with_state(NoScorer.end(&()), |()| AnyState::None),
        }
    }
}
