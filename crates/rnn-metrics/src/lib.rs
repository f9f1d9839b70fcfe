//! Scores of texts against references: how good a translation, a transcript or a caption is.
//!
//! ```
//! use rnn_metrics::{Bleu, Metric, Score};
//!
//! # fn main() -> Result<(), rnn_metrics::Error> {
//! let hypotheses = ["The dog sleeps on the red sofa.", "It rains."];
//! let references = ["The dog is sleeping on the red sofa.", "It is raining."];
//! let bleu = Bleu::default();
//! let score = bleu.corpus(&hypotheses, &[references])?;
//! assert_eq!(
//!     score.line(&bleu.signature(1)),
//!     "BLEU|nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:candle-rnn-0.1.0 = 44.05 \
//!      81.8/55.6/42.9/40.0 (BP = 0.834 ratio = 0.846 hyp_len = 11 ref_len = 13)"
//! );
//! # Ok(()) }
//! ```
//!
//! | module | what is in it |
//! |---|---|
//! | [`bleu`] | [`Bleu`]: precision of word n-grams |
//! | [`chrf`] | [`Chrf`]: F-score of character n-grams, chrF and chrF++ |
//! | [`ter`] | [`Ter`]: edits with shifts of phrases |
//! | [`error_rate`] | [`ErrorRate`]: word and character error rates, and the alignments |
//! | [`caption`] | [`CaptionScores`]: BLEU, ROUGE-L and [`Cider`] of image captions |
//! | [`bootstrap`] | [`Bootstrap`]: confidence, and is one system better than another? |
//! | [`report`] | alignments to read, the worst sentences first, as text and HTML |
//! | [`tokenize`] | [`Tokenizer`]: how BLEU cuts a line into words |
//! | [`ptb`] | how the evaluation of COCO captions cuts a caption into words |
//! | [`metric`] | [`Metric`] and [`Score`]: what they have in common |
//!
//! BLEU, chrF and TER are those of [sacreBLEU](https://github.com/mjpost/sacrebleu) 2.6 (Post
//! 2018, *A Call for Clarity in Reporting BLEU Scores*), the error rates those of
//! [jiwer](https://github.com/jitsi/jiwer) 4.0, those of captions those of
//! [pycocoevalcap](https://github.com/salaniz/pycocoevalcap) 1.2: same defaults, same numbers. Tests
//! compare with all three. The hypotheses are one line for each sentence, and so is each set of
//! references; pictures have as many references as they have.

pub mod bleu;
pub mod bootstrap;
pub mod caption;
pub mod chrf;
pub mod error_rate;
mod levenshtein;
pub mod metric;
mod ngrams;
mod numbering;
pub mod ptb;
pub mod report;
pub mod ter;
pub mod tokenize;
mod whitespace;

pub use bleu::{Bleu, BleuScore, Smoothing};
pub use bootstrap::{Bootstrap, Comparison, Estimate};
pub use caption::{CaptionBleu, CaptionScores, CaptionTokenizer, Cider, CiderVariant, RougeL};
pub use chrf::{Chrf, ChrfScore};
pub use error_rate::{Alignment, ErrorCounts, ErrorRate, Unit};
pub use metric::{Metric, Score, Statistics};
pub use ter::{Ter, TerScore};
pub use tokenize::Tokenizer;

/// Why there is no score.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// A set of references has not one line for each hypothesis.
    #[error(
        "there are {hypotheses} hypotheses and {references} references in set {set}: \
         one line is needed for each sentence"
    )]
    Misaligned {
        /// How many hypotheses there are.
        hypotheses: usize,
        /// How many lines the set of references has.
        references: usize,
        /// Which set it is, from 1 on.
        set: usize,
    },
    /// No set of references at all.
    #[error("there are no references to compare with")]
    NoReferences,
    /// Not one sentence.
    #[error("there are no sentences to score")]
    NoSentences,
    /// There is not one hypothesis for each picture.
    #[error("there are {hypotheses} hypotheses for {pictures} pictures: one is needed for each")]
    Pictures {
        /// How many hypotheses there are.
        hypotheses: usize,
        /// For how many pictures there are references.
        pictures: usize,
    },
    /// A picture has not one reference.
    #[error("picture {picture} has no references to compare with")]
    PictureWithoutReference {
        /// Which picture it is, from 1 on.
        picture: usize,
    },
    /// A setting is outside its range.
    #[error("{name} is {value}; it must be {range}")]
    Setting {
        /// The field of the metric.
        name: &'static str,
        /// What it was.
        value: f64,
        /// What it may be.
        range: &'static str,
    },
    /// A name that is no [`Tokenizer`].
    #[error("unknown tokenizer {0:?}: choose none, 13a, intl, zh or char")]
    UnknownTokenizer(String),
    /// A name that is no [`CaptionTokenizer`].
    #[error("unknown tokenizer of captions {0:?}: choose ptb, char, zh or none")]
    UnknownCaptionTokenizer(String),
    /// A name that is no [`Smoothing`].
    #[error(
        "unknown smoothing {0:?}: choose none, floor, add-k or exp; floor[0.1] and add-k[1] give the value"
    )]
    UnknownSmoothing(String),
}
