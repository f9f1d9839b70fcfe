//! How well a model predicts a text.

use super::{Ngram, SENTENCE_END};

/// How well a model predicts a text: sums over its words and the ends of its sentences.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Perplexity {
    /// Sum of `ln p` in nats over what has a probability above 0.
    pub log_prob: f64,
    /// Words and ends of sentences in that sum.
    pub words: usize,
    /// Words that the model does not know. If it has `<unk>`, they are in the sum as that; otherwise
    /// they are left out.
    pub unknown: usize,
}

impl Perplexity {
    /// `exp(-log_prob / words)`; NaN without a word.
    pub fn value(&self) -> f64 {
        (-self.log_prob / self.words as f64).exp()
    }
}

impl Ngram {
    /// How well the model predicts these sentences and where they end.
    pub fn perplexity<'a, S>(&self, sentences: impl IntoIterator<Item = S>) -> Perplexity
    where
        S: IntoIterator<Item = &'a str>,
    {
        let mut sum = Perplexity::default();
        for sentence in sentences {
            let mut state = self.start();
            for word in sentence.into_iter().chain([SENTENCE_END]) {
                sum.unknown += usize::from(self.word(word).is_none());
                let (log_prob, next) = self.score(&state, self.word_or_unknown(word));
                state = next;
                if log_prob > f64::NEG_INFINITY {
                    sum.log_prob += log_prob;
                    sum.words += 1;
                }
            }
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_counts_words_ends_and_what_is_unknown() {
        let arpa = "\\data\\\nngram 1=3\n\n\\1-grams:\n-99\t<s>\n-0.5\t</s>\n-1\ta\n\n\\end\\\n";
        let model = Ngram::read_arpa(arpa.as_bytes()).unwrap();
        let found = model.perplexity([vec!["a", "a", "b"], vec![]]);
        assert_eq!((found.words, found.unknown), (4, 1));
        // 10^((0.5 + 1 + 1 + 0.5) / 4)
        assert!((found.value() - 10f64.powf(0.75)).abs() < 1e-12);
    }
}
