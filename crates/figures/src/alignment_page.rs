//! Translated sentences to point at, as one HTML page.

use std::fmt::Write;

use crate::markup::escape;
use crate::{Error, weights};

const STYLE: &str = include_str!("alignment_page.css");
const SCRIPT: &str = include_str!("alignment_page.js");

/// A sentence, what became of it, and where each output token looked.
#[derive(Clone, Debug, PartialEq)]
pub struct AlignedSentence {
    /// The source tokens. They are shown one after the other as they are: blanks between words are
    /// part of the tokens, as in `["a", " dog"]`.
    pub source: Vec<String>,
    /// The output tokens, likewise.
    pub target: Vec<String>,
    /// Numbers from 0 to 1: `[output token, source token]`.
    pub attention: Vec<Vec<f32>>,
    /// The model's score of the output, such as its mean log-probability; shown as it is.
    pub score: Option<f64>,
}

/// A page on which a word shows its alignment when one points at it, taps it or moves to it with
/// the keyboard: an output word shades the source words by how much it attended to them, a source
/// word the output words by how much they attended to it.
///
/// ```
/// use figures::{AlignedSentence, AlignmentPage};
///
/// # fn main() -> Result<(), figures::Error> {
/// let sentence = AlignedSentence {
///     source: vec!["a".to_owned(), " dog".to_owned()],
///     target: vec!["ein".to_owned(), " hund".to_owned()],
///     attention: vec![vec![0.9, 0.1], vec![0.07, 0.93]],
///     score: Some(-0.42),
/// };
/// let page = AlignmentPage { title: "English to German".to_owned(), sentences: vec![sentence] };
/// assert!(page.html()?.contains("<span tabindex=\"-1\">hund</span>"));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct AlignmentPage {
    /// Title and heading of the page.
    pub title: String,
    /// What it shows, in this order.
    pub sentences: Vec<AlignedSentence>,
}

impl AlignmentPage {
    /// A page that needs no other file and no network. Attention is rounded to thousandths.
    ///
    /// # Errors
    /// [`Error::Sentence`] when a sentence's `attention` is not `[target, source]`, or has a number
    /// that is NaN or not between 0 and 1.
    pub fn html(&self) -> Result<String, Error> {
        let title = escape(&self.title);
        let mut html = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
             <header><h1>{title}</h1>\n\
             <p>Point at a word, tap it, or go to it with the tab and arrow keys: the words it is aligned \
             with are shaded, the stronger the more attention.</p></header>\n<main>\n"
        );
        for (number, sentence) in (1..).zip(&self.sentences) {
            weights::check(&sentence.attention, sentence.target.len(), sentence.source.len())
                .map_err(|error| Error::Sentence { number, error: Box::new(error) })?;
            // writing to a String cannot fail
            let _ = write_sentence(&mut html, number, sentence);
        }
        let _ = write!(html, "</main>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n");
        Ok(html)
    }
}

fn write_sentence(html: &mut String, number: usize, sentence: &AlignedSentence) -> std::fmt::Result {
    write!(html, "<section data-attention=\"")?;
    write_thousandths(html, &sentence.attention)?;
    write!(html, "\">\n<h2>{number}")?;
    if let Some(score) = sentence.score {
        write!(html, " · score {score:.2}")?;
    }
    writeln!(html, "</h2>")?;
    write_tokens(html, "source", &sentence.source)?;
    write_tokens(html, "output", &sentence.target)?;
    writeln!(html, "<p class=\"strongest\" role=\"status\"></p>\n</section>")
}

/// A matrix as compact JSON; it has no character that an attribute would have to escape.
fn write_thousandths(html: &mut String, matrix: &[Vec<f32>]) -> std::fmt::Result {
    html.push('[');
    for (at, row) in matrix.iter().enumerate() {
        html.push_str(if at == 0 { "[" } else { ",[" });
        for (at, value) in row.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(html, "{comma}{}", (value.clamp(0.0, 1.0) * 1000.0).round() as u16)?;
        }
        html.push(']');
    }
    html.push(']');
    Ok(())
}

/// Blanks before a word stay outside its span, so that the shade covers the word alone.
fn write_tokens(html: &mut String, side: &str, tokens: &[String]) -> std::fmt::Result {
    write!(html, "<p class=\"tokens\" dir=\"auto\" data-side=\"{side}\">")?;
    for (at, token) in tokens.iter().enumerate() {
        let word = match token.trim_start_matches(' ') {
            "" => token.as_str(),
            word => word,
        };
        let blanks = &token[..token.len() - word.len()];
        let stop = if at == 0 { 0 } else { -1 };
        write!(html, "{blanks}<span tabindex=\"{stop}\">{}</span>", escape(word))?;
    }
    writeln!(html, "</p>")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentence(source: &[&str], target: &[&str]) -> AlignedSentence {
        let owned = |tokens: &[&str]| tokens.iter().map(|&token| token.to_owned()).collect();
        AlignedSentence {
            source: owned(source),
            target: owned(target),
            attention: vec![vec![1.0 / source.len() as f32; source.len()]; target.len()],
            score: None,
        }
    }

    fn html(sentences: Vec<AlignedSentence>) -> Result<String, Error> {
        AlignmentPage { title: "a </title> & b".to_owned(), sentences }.html()
    }

    /// The text of `html` without its tags.
    fn text(html: &str) -> String {
        html.split('<').map(|part| part.split_once('>').map_or(part, |(_, text)| text)).collect()
    }

    #[test]
    fn tokens_join_to_the_sentence_with_all_its_blanks() {
        let html =
            html(vec![sentence(&["A", " big", "  dog"], &["Ein", " groß", "er", " ", "Hund"])]).unwrap();
        let line = |side: &str| {
            let line = html.lines().find(|line| line.contains(&format!("data-side=\"{side}\""))).unwrap();
            (line.matches("<span").count(), text(line))
        };
        assert_eq!(line("source"), (3, "A big  dog".to_owned()));
        assert_eq!(line("output"), (5, "Ein großer Hund".to_owned()));
        assert_eq!(html.matches("tabindex=\"0\"").count(), 2);
    }

    #[test]
    fn the_attention_goes_along_in_thousandths() {
        let mut one = sentence(&["a", "b", "c"], &["x", "y"]);
        one.attention[1] = vec![0.0, 0.9996, 0.0004];
        one.score = Some(-0.456);
        let html = html(vec![one]).unwrap();
        assert!(html.contains("data-attention=\"[[333,333,333],[0,1000,0]]\""), "{html}");
        assert!(html.contains("<h2>1 · score -0.46</h2>"));
    }

    #[test]
    fn the_page_asks_for_nothing_from_outside_and_tokens_are_not_markup() {
        let html = html(vec![sentence(&["</script><script>", "\""], &["<b>", "&amp;", "\0"])]).unwrap();
        for outside in ["http", "src=", "href=", "url(", "@import"] {
            assert!(!html.contains(outside), "{outside}");
        }
        assert_eq!((html.matches("<script").count(), html.matches("</script").count()), (1, 1));
        assert!(
            html.contains(">&lt;b&gt;</span>") && html.contains(">&amp;amp;</span>") && html.contains("␀")
        );
        assert!(html.contains("<title>a &lt;/title&gt; &amp; b</title>"));
    }

    #[test]
    fn an_attention_that_does_not_fit_is_told_with_its_sentence() {
        let mut wrong = sentence(&["a"], &["b", "c"]);
        wrong.attention.pop();
        let error = html(vec![sentence(&["a"], &["b"]), wrong]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "sentence 2: the number of rows is 1, that of output tokens 2; give one row per output token"
        );
        assert!(html(vec![sentence(&[], &[])]).is_ok());
    }
}
