//! [`Hypotheses`]: what a search asks of a model, and models made of several.

/// The beginnings of sequences, side by side, that a model continues symbol by symbol. A search over
/// them does not know what they are: sentences of a language model, translations, captions.
pub trait Hypotheses {
    /// What can go wrong in the model.
    type Error;

    /// Reads the next symbol of each hypothesis. `log_probs` becomes `[hypotheses, vocab_size]`: the
    /// log-probability of every symbol to come.
    ///
    /// # Errors
    /// The model's own.
    fn read(&mut self, symbols: &[u32], log_probs: &mut Vec<f32>) -> Result<(), Self::Error>;

    /// Hypothesis `i` becomes a copy of what was hypothesis `from[i]`. What is not named is gone.
    ///
    /// # Errors
    /// The model's own.
    fn select(&mut self, from: &[usize]) -> Result<(), Self::Error>;

    /// How much the last [`read`](Hypotheses::read) of each hypothesis attended to each place of its
    /// source, `[hypotheses, source]`, zero beyond a source's end; none without attention.
    fn attention(&self) -> Option<&[f32]> {
        None
    }
}

impl<H: Hypotheses + ?Sized> Hypotheses for Box<H> {
    type Error = H::Error;

    fn read(&mut self, symbols: &[u32], log_probs: &mut Vec<f32>) -> Result<(), H::Error> {
        (**self).read(symbols, log_probs)
    }

    fn select(&mut self, from: &[usize]) -> Result<(), H::Error> {
        (**self).select(from)
    }

    fn attention(&self) -> Option<&[f32]> {
        (**self).attention()
    }
}

/// Several models of the same vocabulary; the probability of a symbol is the mean of theirs. The
/// attention is the first model's.
pub struct Ensemble<H> {
    models: Vec<H>,
    log_probs: Vec<f32>,
}

impl<H> Ensemble<H> {
    /// The ensemble of these; `None` without any. [`read`](Hypotheses::read) panics when their
    /// vocabularies are of different sizes.
    pub fn new(models: Vec<H>) -> Option<Self> {
        (!models.is_empty()).then_some(Self { models, log_probs: Vec::new() })
    }
}

impl<H: Hypotheses> Hypotheses for Ensemble<H> {
    type Error = H::Error;

    fn read(&mut self, symbols: &[u32], log_probs: &mut Vec<f32>) -> Result<(), H::Error> {
        let count = self.models.len() as f32;
        let Some((first, others)) = self.models.split_first_mut() else { return Ok(()) };
        first.read(symbols, log_probs)?;
        for other in &mut *others {
            other.read(symbols, &mut self.log_probs)?;
            assert_eq!(self.log_probs.len(), log_probs.len(), "models of the same vocabulary");
            for (sum, &next) in log_probs.iter_mut().zip(&self.log_probs) {
                *sum = log_add(*sum, next);
            }
        }
        if !others.is_empty() {
            log_probs.iter_mut().for_each(|sum| *sum -= count.ln());
        }
        Ok(())
    }

    fn select(&mut self, from: &[usize]) -> Result<(), H::Error> {
        self.models.iter_mut().try_for_each(|model| model.select(from))
    }

    fn attention(&self) -> Option<&[f32]> {
        self.models[0].attention()
    }
}

/// `ln(e^a + e^b)`
fn log_add(a: f32, b: f32) -> f32 {
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    if low == f32::NEG_INFINITY { high } else { high + (low - high).exp().ln_1p() }
}

/// A model helped by a language model of the same vocabulary (Gülçehre et al. 2015, *On using
/// monolingual corpora in neural machine translation*, shallow fusion): the search follows
/// `ln p + weight · ln p_LM`.
pub struct Fusion<H, L> {
    model: H,
    language_model: L,
    weight: f32,
    log_probs: Vec<f32>,
}

impl<H, L> Fusion<H, L> {
    /// A weight of 0 leaves the model as it is. [`read`](Hypotheses::read) panics when the
    /// vocabularies are of different sizes.
    ///
    /// # Panics
    /// When the weight is not a number from 0 on.
    pub fn new(model: H, language_model: L, weight: f32) -> Self {
        assert!(weight >= 0. && weight.is_finite(), "a weight from 0 on, not {weight}");
        Self { model, language_model, weight, log_probs: Vec::new() }
    }
}

impl<H: Hypotheses, L: Hypotheses<Error = H::Error>> Hypotheses for Fusion<H, L> {
    type Error = H::Error;

    fn read(&mut self, symbols: &[u32], log_probs: &mut Vec<f32>) -> Result<(), H::Error> {
        self.model.read(symbols, log_probs)?;
        self.language_model.read(symbols, &mut self.log_probs)?;
        assert_eq!(self.log_probs.len(), log_probs.len(), "models of the same vocabulary");
        for (sum, &next) in log_probs.iter_mut().zip(&self.log_probs) {
            // Not 0 · −∞.
            *sum += if self.weight == 0. { 0. } else { self.weight * next };
        }
        Ok(())
    }

    fn select(&mut self, from: &[usize]) -> Result<(), H::Error> {
        self.model.select(from)?;
        self.language_model.select(from)
    }

    fn attention(&self) -> Option<&[f32]> {
        self.model.attention()
    }
}
