//! How good a model is: the loss of given pairs, and its translations against theirs.

use anyhow::{Context, Result};
use candle_core::{DType, Device};
use candle_rnn::{CrossEntropy, Mode};
use rnn_metrics::{Bleu, Chrf, Metric, Score, Ter, Tokenizer};
use rnn_train::batches::IGNORED;
use serde::{Deserialize, Serialize};

use crate::batches::{Example, Padded};
use crate::corpus::Pair;
use crate::network::Network;
use crate::translator::{TranslateConfig, Translation, Translator};
use crate::vocabulary::Vocabularies;

/// Pairs whose loss is computed at once.
const ROWS: usize = 64;

/// Pairs as symbols; those with an empty side are left out.
///
/// # Errors
/// What the tokenizers report.
pub fn examples(vocabularies: &Vocabularies, pairs: &[Pair]) -> Result<Vec<Example>> {
    let examples = pairs.iter().map(|pair| vocabularies.example(pair));
    let is_whole = |example: &Result<Example>| {
        example.as_ref().map_or(true, |example| example.source.len() > 1 && example.target.len() > 1)
    };
    examples.filter(is_whole).collect()
}

/// Mean of `-ln p` over the symbols of the targets, their ends among them, in nats.
///
/// # Errors
/// No example, or a device that fails.
pub fn loss(network: &Network, examples: &[Example], begin: u32, device: &Device) -> Result<f64> {
    let mut sorted: Vec<&Example> = examples.iter().collect();
    sorted.sort_by_key(|example| (example.target.len(), example.source.len()));
    let loss = CrossEntropy { ignore: Some(IGNORED), ..CrossEntropy::default() };
    let (mut sum, mut count) = (0.0, 0);
    for rows in sorted.chunks(ROWS) {
        let batch = Padded::new(rows, begin, device)?;
        let mode = &mut Mode::Eval;
        let encoded = network.encode(&batch.sources, &batch.source_lengths, mode)?;
        let vectors = network.decode(&encoded, &batch.inputs, &batch.target_lengths, mode)?;
        let part = network.loss(loss, &vectors.detach(), &batch.targets, mode)?;
        sum += part.sum.to_device(&Device::Cpu)?.to_dtype(DType::F64)?.to_scalar::<f64>()?;
        count += part.count;
    }
    anyhow::ensure!(count > 0, "there is not one pair to evaluate on");
    Ok(sum / count as f64)
}

/// Translates the sources of `pairs`; a sentence that cannot be read has no translation. Gives how many
/// those are, too.
///
/// # Errors
/// Those of [`Translator::translate`].
pub fn translate(
    translator: &Translator,
    pairs: &[Pair],
    config: &TranslateConfig,
) -> Result<(Vec<String>, usize)> {
    let sources: Vec<String> = pairs.iter().map(|pair| pair.source.clone()).collect();
    let mut failed = 0;
    let text = |translation: Result<Translation>| match translation {
        Ok(translation) => translation.text().to_owned(),
        Err(error) => {
            tracing::warn!("a sentence is not translated: {error:#}");
            failed += 1;
            String::new()
        }
    };
    let translations = translator.translate(&sources, config)?.into_iter().map(text).collect();
    Ok((translations, failed))
}

/// How translations are compared with references.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Measures {
    /// How BLEU cuts a line into words.
    pub tokenize: Tokenizer,
    /// Whether case does not count.
    pub lowercase: bool,
}

/// Scores of a set of translations.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Scores {
    /// BLEU, from 0 to 100.
    pub bleu: f64,
    /// chrF2, from 0 to 100.
    pub chrf: f64,
    /// TER in percent; lower is better.
    pub ter: f64,
    /// Percentage of translations that equal their reference.
    pub exact: f64,
    /// The lines of sacreBLEU: each score with its signature.
    pub lines: Vec<String>,
}

impl Measures {
    /// BLEU as it is measured here.
    pub fn bleu(&self) -> Bleu {
        Bleu { tokenizer: self.tokenize, lowercase: self.lowercase, ..Bleu::default() }
    }

    /// Compares translations with the targets of `pairs`.
    ///
    /// # Errors
    /// When there are not as many, or none.
    pub fn scores(&self, translations: &[String], pairs: &[Pair]) -> Result<Scores> {
        let references: Vec<&str> = pairs.iter().map(|pair| pair.target.as_str()).collect();
        let references = [&references[..]];
        let (bleu, chrf) = (self.bleu(), Chrf { lowercase: self.lowercase, ..Chrf::default() });
        let ter = Ter { case_sensitive: !self.lowercase, ..Ter::default() };
        let of_bleu = bleu.corpus(translations, &references).context("cannot compute BLEU")?;
        let of_chrf = chrf.corpus(translations, &references)?;
        let of_ter = ter.corpus(translations, &references)?;
        let same = |(translation, pair): (&String, &Pair)| match self.lowercase {
            true => translation.to_lowercase() == pair.target.to_lowercase(),
            false => *translation == pair.target,
        };
        let exact = translations.iter().zip(pairs).filter(|&both| same(both)).count();
        Ok(Scores {
            bleu: of_bleu.value(),
            chrf: of_chrf.value(),
            ter: of_ter.value(),
            exact: 100.0 * exact as f64 / pairs.len() as f64,
            lines: vec![
                of_bleu.line(&bleu.signature(1)),
                of_chrf.line(&chrf.signature(1)),
                of_ter.line(&ter.signature(1)),
            ],
        })
    }
}
