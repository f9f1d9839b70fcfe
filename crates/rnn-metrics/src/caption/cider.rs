use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::{Caption, CaptionTokenizer, check_counts, cut_all, mean};
use crate::Error;
use crate::whitespace::words;

/// N, the longest n-gram.
const ORDER: usize = 4;

/// Words by number, from 1 on; 0 where the n-gram is shorter.
type Ngram = [u32; ORDER];

/// The n-grams of a caption, sorted, and how often each occurs.
type Counts = Vec<(Ngram, usize)>;

/// Which of the two measures of the paper.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CiderVariant {
    /// CIDEr, equations 2 and 3, times 10.
    Cider,
    /// CIDEr-D, equation 4: a word that is repeated, or a caption of another length, is worth less.
    /// pycocoevalcap and papers call it "CIDEr".
    #[default]
    CiderD,
}

/// CIDEr: how much a caption has in common with all references of its picture.
///
/// Vedantam et al. 2015, *CIDEr: Consensus-based Image Description Evaluation*. A caption is, for n = 1
/// … 4, a vector of its n-grams with weights (tf-idf):
///
/// ```text
/// g(ω)       = count of ω in the caption · (ln pictures − ln max(1, pictures with ω in a reference))
/// CIDEr_n    = 10 · mean over the references r of  Σ g_h g_r / (|g_h| |g_r|)
/// CIDEr-D_n  = 10 · mean over the references r of  Σ min(g_h, g_r) g_r / (|g_h| |g_r|)
///                                                  · exp(−(l_h − l_r)² / 2σ²)          σ = 6
/// ```
///
/// The score is the mean over n, from 0 to 10. The lengths l are, as in pycocoevalcap, in bigrams.
/// Unlike in the paper, words are not stemmed, and counts are not divided by the caption's length,
/// which changes nothing but the clipping. The score depends on all references: it is not comparable
/// between sets of pictures.
///
/// ```
/// use rnn_metrics::{CaptionTokenizer, Cider, CiderVariant};
///
/// # fn main() -> Result<(), rnn_metrics::Error> {
/// let references = [vec!["a dog runs", "a brown dog"], vec!["a cat sleeps"]];
/// let cider = Cider::new(&references, CaptionTokenizer::Ptb)?;
/// let scores = cider.pictures(&["a dog", "a cat sleeps"], CiderVariant::CiderD)?;
/// assert_eq!(scores.iter().map(|score| format!("{score:.2}")).collect::<Vec<_>>(), ["2.62", "7.50"]);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Cider {
    tokenizer: CaptionTokenizer,
    numbers: HashMap<String, u32>,
    /// In how many pictures' references an n-gram occurs.
    document_frequencies: HashMap<Ngram, u32>,
    references: Vec<Vec<Vector>>,
}

/// A caption's n-grams and their weights, in the order of the n-grams.
#[derive(Clone, Debug)]
struct Vector {
    weights: Vec<(Ngram, f64)>,
    norms: [f64; ORDER],
    /// In bigrams.
    length: usize,
}

impl Cider {
    /// Counts the n-grams of the references, which are given for each picture.
    ///
    /// # Errors
    /// No picture, or a picture without reference.
    pub fn new<S: AsRef<[R]>, R: AsRef<str>>(
        references: &[S],
        tokenizer: CaptionTokenizer,
    ) -> Result<Self, Error> {
        check_counts(references.len(), references)?;
        Ok(Cider::of_words(&cut_all(references, tokenizer), tokenizer))
    }

    pub(super) fn of_words(references: &[Vec<Caption>], tokenizer: CaptionTokenizer) -> Self {
        let mut numbers = HashMap::new();
        let counts: Vec<Vec<Counts>> = (references.iter())
            .map(|captions| captions.iter().map(|words| count(&number(words, &mut numbers))).collect())
            .collect();
        let mut cider =
            Cider { tokenizer, numbers, document_frequencies: HashMap::new(), references: Vec::new() };
        for captions in &counts {
            let mut ngrams: Vec<Ngram> = captions.iter().flatten().map(|(ngram, _)| *ngram).collect();
            ngrams.sort_unstable();
            ngrams.dedup();
            for ngram in ngrams {
                *cider.document_frequencies.entry(ngram).or_insert(0) += 1;
            }
        }
        let pictures = counts.len();
        let vectors =
            |captions: &Vec<Counts>| captions.iter().map(|counts| cider.vector(counts, pictures)).collect();
        cider.references = counts.iter().map(vectors).collect();
        cider
    }

    /// The score of each picture. `hypotheses`: one for each picture.
    ///
    /// # Errors
    /// Not as many hypotheses as pictures.
    pub fn pictures<H: AsRef<str>>(
        &self,
        hypotheses: &[H],
        variant: CiderVariant,
    ) -> Result<Vec<f64>, Error> {
        let pictures = self.references.len();
        if hypotheses.len() != pictures {
            return Err(Error::Pictures { hypotheses: hypotheses.len(), pictures });
        }
        let captions: Vec<Caption> =
            hypotheses.iter().map(|line| self.tokenizer.words(line.as_ref())).collect();
        Ok(self.of_captions(&captions, variant))
    }

    /// The mean over the pictures. Arguments and errors are those of [`pictures`](Self::pictures).
    pub fn corpus<H: AsRef<str>>(&self, hypotheses: &[H], variant: CiderVariant) -> Result<f64, Error> {
        Ok(mean(&self.pictures(hypotheses, variant)?))
    }

    pub(super) fn of_captions(&self, hypotheses: &[Caption], variant: CiderVariant) -> Vec<f64> {
        let mut numbers = self.numbers.clone();
        let score = |(hypothesis, references): (&Caption, &Vec<Vector>)| {
            let hypothesis = self.vector(&count(&number(hypothesis, &mut numbers)), self.references.len());
            let sum: f64 =
                references.iter().map(|reference| similarity(&hypothesis, reference, variant)).sum();
            10.0 * sum / (ORDER * references.len()) as f64
        };
        hypotheses.iter().zip(&self.references).map(score).collect()
    }

    fn vector(&self, counts: &Counts, pictures: usize) -> Vector {
        let mut vector = Vector { weights: Vec::with_capacity(counts.len()), norms: [0.0; ORDER], length: 0 };
        for &(ngram, count) in counts {
            let pictures_with = self.document_frequencies.get(&ngram).copied().unwrap_or(1);
            let weight = count as f64 * ((pictures as f64).ln() - f64::from(pictures_with).ln());
            vector.weights.push((ngram, weight));
            vector.norms[order(&ngram) - 1] += weight * weight;
            vector.length += if order(&ngram) == 2 { count } else { 0 };
        }
        vector.norms = vector.norms.map(f64::sqrt);
        vector
    }
}

/// The sum over n of the similarity of the vectors.
fn similarity(hypothesis: &Vector, reference: &Vector, variant: CiderVariant) -> f64 {
    const SIGMA: f64 = 6.0;
    let mut products = [0.0; ORDER];
    let mut rest = reference.weights.iter().peekable();
    for (ngram, weight) in &hypothesis.weights {
        while rest.next_if(|(other, _)| other < ngram).is_some() {}
        if let Some((_, other)) = rest.next_if(|(other, _)| other == ngram) {
            let weight = match variant {
                CiderVariant::Cider => *weight,
                CiderVariant::CiderD => weight.min(*other),
            };
            products[order(ngram) - 1] += weight * other;
        }
    }
    let norms = hypothesis.norms.iter().zip(&reference.norms).map(|(one, other)| one * other);
    let cosines =
        products.iter().zip(norms).map(|(product, norm)| if norm > 0.0 { product / norm } else { 0.0 });
    let difference = hypothesis.length as f64 - reference.length as f64;
    let penalty = match variant {
        CiderVariant::Cider => 1.0,
        CiderVariant::CiderD => (-difference * difference / (2.0 * SIGMA * SIGMA)).exp(),
    };
    penalty * cosines.sum::<f64>()
}

/// The words as numbers; a word that has none gets the next.
fn number(caption: &Caption, numbers: &mut HashMap<String, u32>) -> Vec<u32> {
    let mut numbered = Vec::with_capacity(caption.len());
    // A fraction is one token and two words.
    for word in caption.iter().flat_map(|token| words(token)) {
        let next = numbers.len() as u32 + 1;
        let number = numbers.get(word).copied();
        numbered.push(number.unwrap_or_else(|| *numbers.entry(word.to_owned()).or_insert(next)));
    }
    numbered
}

/// The n-grams for n = 1 … 4.
fn count(words: &[u32]) -> Counts {
    let mut ngrams = Vec::with_capacity(ORDER * words.len());
    for order in 1..=ORDER {
        for window in words.windows(order) {
            let mut ngram = [0; ORDER];
            ngram[..order].copy_from_slice(window);
            ngrams.push(ngram);
        }
    }
    ngrams.sort_unstable();
    ngrams.chunk_by(|one, other| one == other).map(|equal| (equal[0], equal.len())).collect()
}

fn order(ngram: &Ngram) -> usize {
    ngram.iter().take_while(|word| **word > 0).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(hypotheses: &[&str], references: &[Vec<&str>], variant: CiderVariant) -> Vec<f64> {
        Cider::new(references, CaptionTokenizer::Ptb).unwrap().pictures(hypotheses, variant).unwrap()
    }

    fn close(one: f64, other: f64) {
        assert!((one - other).abs() < 1e-12, "{one} {other}");
    }

    #[test]
    fn ngrams_are_counted_in_order() {
        let counts = count(&[2, 1, 2, 1]);
        let ngrams: Vec<(&[u32], usize)> = counts.iter().map(|(n, count)| (&n[..order(n)], *count)).collect();
        let expected: [(&[u32], usize); 7] = [
            (&[1], 2),
            (&[1, 2], 1),
            (&[1, 2, 1], 1),
            (&[2], 2),
            (&[2, 1], 2),
            (&[2, 1, 2], 1),
            (&[2, 1, 2, 1], 1),
        ];
        assert_eq!(ngrams, expected);
    }

    #[test]
    fn a_caption_that_is_its_reference_has_ten() {
        let captions = ["a dog runs on grass", "two cats sleep all day"];
        let references = captions.map(|caption| vec![caption]);
        for variant in [CiderVariant::Cider, CiderVariant::CiderD] {
            for score in scores(&captions, &references, variant) {
                close(score, 10.0);
            }
        }
    }

    #[test]
    fn what_all_pictures_have_counts_nothing() {
        let references = [vec!["a dog"], vec!["a cat"]];
        close(scores(&["a", "a"], &references, CiderVariant::Cider)[0], 0.0);
        // "dog" and "a dog" are right; there are no n-grams for n = 3 and 4.
        close(scores(&["a dog", "a"], &references, CiderVariant::Cider)[0], 5.0);
    }

    #[test]
    fn repetition_and_length_cost_something_in_cider_d_only() {
        let references = [vec!["dog"], vec!["cat"]];
        let hypotheses = ["dog dog dog dog", "cat"];
        // The word has a cosine of 1. Clipped, it has 1/4; the lengths differ by three bigrams.
        close(scores(&hypotheses, &references, CiderVariant::Cider)[0], 2.5);
        let penalty = (-9.0f64 / 72.0).exp();
        close(scores(&hypotheses, &references, CiderVariant::CiderD)[0], 2.5 / 4.0 * penalty);
    }

    #[test]
    fn there_is_one_hypothesis_for_each_picture() {
        let cider = Cider::new(&[["a"], ["b"]], CaptionTokenizer::Ptb).unwrap();
        let error = cider.corpus(&["a"], CiderVariant::CiderD).unwrap_err();
        assert_eq!(error, Error::Pictures { hypotheses: 1, pictures: 2 });
        assert_eq!(Cider::new::<[&str; 1], _>(&[], CaptionTokenizer::Ptb).unwrap_err(), Error::NoSentences);
    }
}
