//! Scores of image captions, as the evaluation of COCO captions prints them.
//!
//! Chen et al. 2015, *Microsoft COCO Captions: Data Collection and Evaluation Server*. A picture has
//! one hypothesis and one or more references, not equally many for each. The numbers are those of
//! [pycocoevalcap](https://github.com/salaniz/pycocoevalcap) 1.2.
//!
//! | | what it counts | range |
//! |---|---|---|
//! | [`CaptionBleu`] | n-grams of the hypotheses that a reference has, of all pictures together | 0 … 1 |
//! | [`rouge_l`], [`RougeL`] | the longest common subsequence with a reference | 0 … 1 |
//! | [`Cider`] | n-grams in common with the references, rare ones more | 0 … 10 |
//!
//! METEOR and SPICE, which the evaluation prints too, need databases of English words and a parser;
//! they are not here.

mod bleu;
mod cider;
mod rouge;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

pub use bleu::{CaptionBleu, CaptionBleuScore};
pub use cider::{Cider, CiderVariant};
pub use rouge::{RougeL, RougeLScore, rouge_l};

use crate::whitespace::words;
use crate::{Error, Tokenizer, ptb};

/// A way to cut captions into words, all of them without punctuation and in lower case.
///
/// ```
/// use rnn_metrics::CaptionTokenizer;
///
/// assert_eq!(CaptionTokenizer::Ptb.words("A dog's T-shirt!"), ["a", "dog", "'s", "t-shirt"]);
/// assert_eq!(CaptionTokenizer::Characters.words("狗在跑。"), ["狗", "在", "跑"]);
/// assert_eq!(CaptionTokenizer::Chinese.words("穿T恤的狗。"), ["穿", "t", "恤", "的", "狗"]);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CaptionTokenizer {
    /// That of the evaluation of COCO captions, [`ptb::tokenize`]: for English.
    #[default]
    #[serde(rename = "ptb")]
    Ptb,
    /// Every character by itself ([`Tokenizer::Characters`]): for languages written without spaces.
    #[serde(rename = "char")]
    Characters,
    /// Every Chinese character by itself, foreign words whole ([`Tokenizer::Chinese`]).
    #[serde(rename = "zh")]
    Chinese,
    /// The caption's own blanks, for captions that are cut already: their case and punctuation stay.
    #[serde(rename = "none")]
    None,
}

impl CaptionTokenizer {
    /// All tokenizers, in the order in which help texts list them.
    pub const ALL: [CaptionTokenizer; 4] = [
        CaptionTokenizer::Ptb,
        CaptionTokenizer::Characters,
        CaptionTokenizer::Chinese,
        CaptionTokenizer::None,
    ];

    /// The name in signatures and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            CaptionTokenizer::Ptb => "ptb",
            CaptionTokenizer::Characters => "char",
            CaptionTokenizer::Chinese => "zh",
            CaptionTokenizer::None => "none",
        }
    }

    /// The words of a caption.
    pub fn words(self, caption: &str) -> Vec<String> {
        match self {
            CaptionTokenizer::Ptb => ptb::tokenize(caption),
            CaptionTokenizer::Characters => without_punctuation(Tokenizer::Characters, caption),
            CaptionTokenizer::Chinese => without_punctuation(Tokenizer::Chinese, caption),
            CaptionTokenizer::None => words(caption).map(str::to_owned).collect(),
        }
    }
}

/// In lower case, without words that are nothing but punctuation (Unicode's category P).
fn without_punctuation(tokenizer: Tokenizer, caption: &str) -> Vec<String> {
    let punctuation = |c: char| c.general_category_group() == GeneralCategoryGroup::Punctuation;
    let line = tokenizer.tokenize(&caption.to_lowercase());
    words(&line).filter(|word| !word.chars().all(punctuation)).map(str::to_owned).collect()
}

impl fmt::Display for CaptionTokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for CaptionTokenizer {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        (CaptionTokenizer::ALL.into_iter())
            .find(|tokenizer| tokenizer.name() == name)
            .ok_or_else(|| Error::UnknownCaptionTokenizer(name.to_owned()))
    }
}

/// All scores of the captions of a set of pictures.
///
/// ```
/// use rnn_metrics::{CaptionScores, CaptionTokenizer};
///
/// # fn main() -> Result<(), rnn_metrics::Error> {
/// let hypotheses = ["A dog runs on the beach.", "Two children play football."];
/// let references = [
///     vec!["A dog is running along the beach.", "A brown dog runs on the sand"],
///     vec!["Two children are playing football.", "Children play soccer", "Kids with a ball"],
/// ];
/// let scores = CaptionScores::new(&hypotheses, &references, CaptionTokenizer::Ptb)?;
/// assert_eq!(
///     scores.to_string(),
///     "BLEU-1 = 0.905 BLEU-2 = 0.846 BLEU-3 = 0.600 BLEU-4 = 0.470 ROUGE-L = 0.729 CIDEr = 2.640 \
///      CIDEr-D = 2.603"
/// );
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CaptionScores {
    /// BLEU-1 to BLEU-4 ([`CaptionBleu`]).
    pub bleu: [f64; 4],
    /// The mean over the pictures of [`rouge_l`].
    pub rouge_l: f64,
    /// [`CiderVariant::Cider`].
    pub cider: f64,
    /// [`CiderVariant::CiderD`], which the evaluation prints as "CIDEr".
    pub cider_d: f64,
}

impl CaptionScores {
    /// `references`: for each picture its references. (The sets of [`Metric::corpus`] are the
    /// other way round: one line for each hypothesis.)
    ///
    /// [`Metric::corpus`]: crate::Metric::corpus
    ///
    /// # Errors
    /// No picture, not as many hypotheses as pictures, or a picture without reference.
    pub fn new<H, S, R>(
        hypotheses: &[H],
        references: &[S],
        tokenizer: CaptionTokenizer,
    ) -> Result<Self, Error>
    where
        H: AsRef<str>,
        S: AsRef<[R]>,
        R: AsRef<str>,
    {
        check_counts(hypotheses.len(), references)?;
        let hypotheses: Vec<Caption> = hypotheses.iter().map(|line| tokenizer.words(line.as_ref())).collect();
        let references = cut_all(references, tokenizer);
        let mut sums = [0.0; bleu::WIDTH];
        let mut rouge = 0.0;
        for (hypothesis, references) in hypotheses.iter().zip(&references) {
            for (sum, count) in sums.iter_mut().zip(bleu::statistics(hypothesis, references)) {
                *sum += count;
            }
            rouge += rouge_l(hypothesis, references);
        }
        let cider = Cider::of_words(&references, tokenizer);
        let mean = |variant| mean(&cider.of_captions(&hypotheses, variant));
        Ok(CaptionScores {
            bleu: bleu::score(&sums),
            rouge_l: rouge / hypotheses.len() as f64,
            cider: mean(CiderVariant::Cider),
            cider_d: mean(CiderVariant::CiderD),
        })
    }
}

impl fmt::Display for CaptionScores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, bleu) in (1..).zip(self.bleu) {
            write!(f, "BLEU-{n} = {bleu:.3} ")?;
        }
        let CaptionScores { rouge_l, cider, cider_d, .. } = self;
        write!(f, "ROUGE-L = {rouge_l:.3} CIDEr = {cider:.3} CIDEr-D = {cider_d:.3}")
    }
}

/// The words of one caption.
type Caption = Vec<String>;

fn cut_all<S: AsRef<[R]>, R: AsRef<str>>(references: &[S], tokenizer: CaptionTokenizer) -> Vec<Vec<Caption>> {
    let cut = |captions: &[R]| captions.iter().map(|line| tokenizer.words(line.as_ref())).collect();
    references.iter().map(|captions| cut(captions.as_ref())).collect()
}

fn check_counts<S: AsRef<[R]>, R>(hypotheses: usize, references: &[S]) -> Result<(), Error> {
    if hypotheses != references.len() {
        return Err(Error::Pictures { hypotheses, pictures: references.len() });
    }
    if references.is_empty() {
        return Err(Error::NoSentences);
    }
    match references.iter().position(|captions| captions.as_ref().is_empty()) {
        Some(at) => Err(Error::PictureWithoutReference { picture: at + 1 }),
        None => Ok(()),
    }
}

fn mean(scores: &[f64]) -> f64 {
    scores.iter().sum::<f64>() / scores.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scores(hypotheses: &[&str], references: &[Vec<&str>]) -> Result<CaptionScores, Error> {
        CaptionScores::new(hypotheses, references, CaptionTokenizer::Ptb)
    }

    #[test]
    fn what_cannot_be_scored_is_an_error() {
        assert_eq!(scores(&[], &[]).unwrap_err(), Error::NoSentences);
        let error = scores(&["a", "b"], &[vec!["a"]]).unwrap_err();
        assert_eq!(error, Error::Pictures { hypotheses: 2, pictures: 1 });
        let error = scores(&["a", "b"], &[vec!["a"], vec![]]).unwrap_err();
        assert_eq!(error, Error::PictureWithoutReference { picture: 2 });
        assert!(error.to_string().contains("picture 2"), "{error}");
    }

    #[test]
    fn every_tokenizer_is_parsed_from_its_own_name() {
        for tokenizer in CaptionTokenizer::ALL {
            assert_eq!(tokenizer.to_string().parse::<CaptionTokenizer>().unwrap(), tokenizer);
            assert_eq!(serde_json::to_string(&tokenizer).unwrap(), format!("\"{tokenizer}\""));
        }
        let message = "13a".parse::<CaptionTokenizer>().unwrap_err().to_string();
        assert!(message.contains("\"13a\"") && message.contains("ptb, char, zh or none"), "{message}");
    }

    #[test]
    fn characters_are_measured_without_punctuation() {
        let words = |caption| CaptionTokenizer::Characters.words(caption).join(" ");
        assert_eq!(words("猫「と」犬、2匹。"), "猫 と 犬 2 匹");
        assert_eq!(words(" A b! "), "a b");
        let same = CaptionScores::new(&["狗在跑。"], &[["狗在跑"]], CaptionTokenizer::Characters).unwrap();
        assert_eq!((same.bleu[0] * 1e6).round(), 1e6);
        assert_eq!(same.rouge_l, 1.0);
    }

    #[test]
    fn with_one_picture_no_ngram_says_anything_about_it() {
        let scores = scores(&["a dog"], &[vec!["a dog"]]).unwrap();
        assert_eq!((scores.cider, scores.cider_d), (0.0, 0.0));
    }

    #[test]
    fn scores_are_read_back_from_json() {
        let scores = scores(&["a dog", "a cat"], &[vec!["the dog"], vec!["the cat", "a kitten"]]).unwrap();
        let json = serde_json::to_string(&scores).unwrap();
        assert_eq!(serde_json::from_str::<CaptionScores>(&json).unwrap(), scores);
    }

    fn caption() -> impl Strategy<Value = String> {
        prop::collection::vec(prop::sample::select(vec!["a", "dog", "cat.", "runs", "it's", "狗"]), 0..9)
            .prop_map(|words| words.join(" "))
    }

    fn pictures() -> impl Strategy<Value = Vec<(String, Vec<String>)>> {
        prop::collection::vec((caption(), prop::collection::vec(caption(), 1..4)), 1..8)
    }

    fn all(pictures: &[(String, Vec<String>)]) -> CaptionScores {
        let (hypotheses, references): (Vec<_>, Vec<_>) = pictures.iter().cloned().unzip();
        CaptionScores::new(&hypotheses, &references, CaptionTokenizer::Ptb).unwrap()
    }

    fn numbers(scores: &CaptionScores) -> Vec<f64> {
        let CaptionScores { bleu, rouge_l, cider, cider_d } = *scores;
        bleu.into_iter().chain([rouge_l, cider, cider_d]).collect()
    }

    proptest! {
        #[test]
        fn any_text_has_scores_within_their_range(
            hypotheses in prop::collection::vec(".{0,30}", 3),
            references in prop::collection::vec(".{0,30}", 3),
        ) {
            let references: Vec<[&String; 1]> = references.iter().map(|line| [line]).collect();
            for tokenizer in CaptionTokenizer::ALL {
                let scores = CaptionScores::new(&hypotheses, &references, tokenizer).unwrap();
                for (at, score) in numbers(&scores).into_iter().enumerate() {
                    let most = if at < 5 { 1.0 } else { 10.0 };
                    prop_assert!((0.0..=most + 1e-9).contains(&score), "{}", scores);
                }
            }
        }

        #[test]
        fn a_caption_that_is_its_only_reference_is_right(captions in prop::collection::vec(caption(), 1..6)) {
            prop_assume!(captions.iter().any(|caption| !caption.is_empty()));
            let references: Vec<[&String; 1]> = captions.iter().map(|line| [line]).collect();
            let scores = CaptionScores::new(&captions, &references, CaptionTokenizer::Ptb).unwrap();
            prop_assert!((scores.bleu[0] - 1.0).abs() < 1e-6, "{}", scores);
            prop_assert!((scores.rouge_l - 1.0).abs() < 1e-12, "{}", scores);
        }

        #[test]
        fn the_order_of_the_pictures_does_not_matter(mut pictures in pictures(), by in 0usize..8) {
            let before = all(&pictures);
            let by = by % pictures.len();
            pictures.rotate_left(by);
            let after = all(&pictures);
            for (one, other) in numbers(&before).into_iter().zip(numbers(&after)) {
                prop_assert!((one - other).abs() < 1e-9, "{} {}", before, after);
            }
        }
    }
}
