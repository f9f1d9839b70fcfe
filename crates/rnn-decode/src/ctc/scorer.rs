//! What a search asks of a language model.

use std::collections::HashMap;

use crate::ngram::{Ngram, NgramState};

/// A language model that says, symbol by symbol, how probable a hypothesis is. A state is what it knows
/// of a hypothesis' symbols so far; hypotheses with the same beginning share its copies.
pub trait Scorer {
    /// What it knows of the symbols so far.
    type State: Clone;

    /// Before the first symbol.
    fn start(&self) -> Self::State;

    /// The symbol after those of the state.
    fn score(&self, state: &Self::State, symbol: u32) -> Scored<Self::State>;

    /// The end after the symbols of the state. Its state is not used.
    fn end(&self, state: &Self::State) -> Scored<Self::State>;
}

/// What a [`Scorer`] says of a symbol.
#[derive(Clone, Debug, PartialEq)]
pub struct Scored<S> {
    /// Log-probability of what the symbol completes, in nats; 0 while nothing is completed, −∞ to rule
    /// the hypothesis out.
    pub log_prob: f64,
    /// How many of its units (words, or symbols) the symbol completes.
    pub units: u32,
    /// After the symbol.
    pub state: S,
}

impl<T: Scorer + ?Sized> Scorer for &T {
    type State = T::State;

    fn start(&self) -> T::State {
        (**self).start()
    }

    fn score(&self, state: &T::State, symbol: u32) -> Scored<T::State> {
        (**self).score(state, symbol)
    }

    fn end(&self, state: &T::State) -> Scored<T::State> {
        (**self).end(state)
    }
}

/// No language model: everything is as probable. A unit is a symbol.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoScorer;

impl Scorer for NoScorer {
    type State = ();

    fn start(&self) {}

    fn score(&self, (): &(), _: u32) -> Scored<()> {
        Scored { log_prob: 0., units: 1, state: () }
    }

    fn end(&self, (): &()) -> Scored<()> {
        Scored { log_prob: 0., units: 0, state: () }
    }
}

/// An n-gram model whose words are the symbols.
#[derive(Clone, Debug)]
pub struct SymbolScorer<'a> {
    model: &'a Ngram,
    /// The model's word for each symbol.
    words: Vec<Option<u32>>,
}

impl<'a> SymbolScorer<'a> {
    /// `symbols` has the model's word for each symbol of the network, the blank's being of no account.
    pub fn new<S: AsRef<str>>(model: &'a Ngram, symbols: impl IntoIterator<Item = S>) -> Self {
        let words = symbols.into_iter().map(|symbol| model.word_or_unknown(symbol.as_ref()));
        Self { model, words: words.collect() }
    }
}

impl Scorer for SymbolScorer<'_> {
    type State = NgramState;

    fn start(&self) -> NgramState {
        self.model.start()
    }

    fn score(&self, state: &NgramState, symbol: u32) -> Scored<NgramState> {
        let word = self.words.get(symbol as usize).copied().flatten();
        let (log_prob, state) = self.model.score(state, word);
        Scored { log_prob, units: 1, state }
    }

    fn end(&self, state: &NgramState) -> Scored<NgramState> {
        let (log_prob, state) = self.model.score(state, self.model.end());
        Scored { log_prob, units: 0, state }
    }
}

/// An n-gram model of words that are spelled in symbols. A word is scored when the separator or the end
/// follows it.
#[derive(Clone, Debug)]
pub struct WordScorer<'a> {
    model: &'a Ngram,
    spelling: Vec<String>,
    separator: u32,
    /// The model's words of spellings that are not words themselves.
    words: HashMap<String, String>,
}

impl<'a> WordScorer<'a> {
    /// `spelling` has the text of each symbol of the network, the blank's and the separator's being of no
    /// account.
    pub fn new<S: Into<String>>(
        model: &'a Ngram,
        spelling: impl IntoIterator<Item = S>,
        separator: u32,
    ) -> Self {
        Self {
            model,
            spelling: spelling.into_iter().map(Into::into).collect(),
            separator,
            words: HashMap::new(),
        }
    }

    /// The same, where some words are spelled otherwise than the model has them: in phonemes. `words` has
    /// the model's word for each such spelling, the symbols' texts one after another.
    #[must_use]
    pub fn with_words(self, words: HashMap<String, String>) -> Self {
        Self { words, ..self }
    }

    /// The word that is under way ends, if there is one.
    fn complete(&self, state: &WordState) -> (f64, u32, NgramState) {
        if state.word.is_empty() {
            return (0., 0, state.history.clone());
        }
        let word = self.words.get(&state.word).unwrap_or(&state.word);
        let (log_prob, history) = self.model.score(&state.history, self.model.word_or_unknown(word));
        (log_prob, 1, history)
    }
}

/// The words so far, and the beginning of the next.
#[derive(Clone, Debug)]
pub struct WordState {
    history: NgramState,
    word: String,
}

impl Scorer for WordScorer<'_> {
    type State = WordState;

    fn start(&self) -> WordState {
        WordState { history: self.model.start(), word: String::new() }
    }

    fn score(&self, state: &WordState, symbol: u32) -> Scored<WordState> {
        if symbol == self.separator {
            let (log_prob, units, history) = self.complete(state);
            return Scored { log_prob, units, state: WordState { history, word: String::new() } };
        }
        let mut state = state.clone();
        state.word.push_str(self.spelling.get(symbol as usize).map_or("", String::as_str));
        Scored { log_prob: 0., units: 0, state }
    }

    fn end(&self, state: &WordState) -> Scored<WordState> {
        let (of_word, units, history) = self.complete(state);
        let (of_end, history) = self.model.score(&history, self.model.end());
        Scored { log_prob: of_word + of_end, units, state: WordState { history, word: String::new() } }
    }
}
