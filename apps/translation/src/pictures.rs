//! Attention to look at: a heat map of one translation, a page of many.

use std::path::Path;

use anyhow::{Context, Result, bail};
use app_kit::UsageError;
use figures::{AlignedSentence, AlignmentPage, HeatMap};
use rnn_text::{Tokenizer, Units};
use rnn_train::files::write_atomically;
use std::io::Write;

use crate::translator::Translation;
use crate::vocabulary::Vocabularies;

/// The pictures that a file's name asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Picture {
    /// A heat map for each sentence.
    Svg,
    /// A heat map for each sentence.
    Png,
    /// One page for all sentences.
    Html,
}

impl Picture {
    /// By the ending of the name.
    ///
    /// # Errors
    /// [`UsageError`] for another ending.
    pub fn of(path: &Path) -> Result<Self, UsageError> {
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("svg") => Ok(Self::Svg),
            Some("png") => Ok(Self::Png),
            Some("html") => Ok(Self::Html),
            _ => Err(UsageError::new(format!(
                "attention is drawn as .svg, .png or .html, not as {}",
                path.display()
            ))),
        }
    }
}

/// Writes what the best translation of each sentence attended to: heat maps into `path`, or, for more
/// than one sentence, `path-1`, `path-2`, … with the same ending; a page into `path`.
///
/// # Errors
/// Nothing to draw, or a file that cannot be written.
pub fn write(path: &Path, translations: &[Translation], vocabularies: &Vocabularies) -> Result<()> {
    let drawn: Vec<&Translation> = translations
        .iter()
        .filter(|translation| translation.hypotheses.first().is_some_and(|best| !best.attention.is_empty()))
        .collect();
    if drawn.is_empty() {
        bail!("there is no translation whose attention could be drawn");
    }
    match Picture::of(path)? {
        Picture::Html => {
            let sentences = drawn.iter().map(|translation| aligned(translation, vocabularies)).collect();
            let page = AlignmentPage { title: "What each word attended to".to_owned(), sentences };
            put(path, page.html()?.as_bytes())
        }
        kind => {
            for (number, translation) in (1..).zip(&drawn) {
                let svg = heat_map(translation)?;
                let to = if drawn.len() == 1 { path.to_owned() } else { numbered(path, number) };
                match kind {
                    Picture::Png => put(&to, &figures::png(&svg, 2.0)?)?,
                    _ => put(&to, svg.as_bytes())?,
                }
            }
            Ok(())
        }
    }
}

fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    write_atomically(path, |file| Ok(file.write_all(bytes)?))
        .with_context(|| format!("cannot write {}", path.display()))
}

fn numbered(path: &Path, number: usize) -> std::path::PathBuf {
    let part = |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
    path.with_file_name(format!("{}-{number}.{}", part(path.file_stem()), part(path.extension())))
}

/// A heat map of the best translation, as SVG.
fn heat_map(translation: &Translation) -> Result<String> {
    let best = translation.hypotheses.first().context("there is no translation to draw")?;
    let end = |tokens: &[String], count: usize| -> Vec<String> {
        let mut labels: Vec<String> = tokens.to_vec();
        labels.resize(count, END.to_owned());
        labels
    };
    let read = translation.source_tokens.len();
    let map = HeatMap {
        title: None,
        rows: end(&best.tokens, best.attention.len()),
        columns: end(&translation.source_tokens[..read - 1], read),
        values: best.attention.clone(),
    };
    Ok(map.svg()?)
}

/// What stands for the end of a sentence.
const END: &str = "⏎";

/// The best translation for the page, without the ends.
fn aligned(translation: &Translation, vocabularies: &Vocabularies) -> AlignedSentence {
    let best = &translation.hypotheses[0];
    let read = translation.source_tokens.len() - 1;
    AlignedSentence {
        source: spaced(&translation.source_tokens[..read], vocabularies.source()),
        target: spaced(&best.tokens, vocabularies.target()),
        attention: best.attention[..best.tokens.len()].iter().map(|step| step[..read].to_vec()).collect(),
        score: Some(best.log_probability),
    }
}

/// Tokens that can be put together as they are: words get the blanks between them.
fn spaced(tokens: &[String], tokenizer: &Tokenizer) -> Vec<String> {
    if tokenizer.units() != Units::Word {
        return tokens.to_vec();
    }
    let before = |count: usize| tokenizer.join(&tokens[..count]).len();
    let whole = tokenizer.join(tokens);
    (0..tokens.len()).map(|i| whole[before(i)..before(i + 1)].to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::Pair;
    use crate::translator::Hypothesis;
    use crate::vocabulary::VocabularyConfig;

    fn example() -> (Translation, Vocabularies) {
        let pair = Pair { source: "der Hund schläft.".into(), target: "the dog sleeps.".into() };
        let units = Units::Word;
        let config = VocabularyConfig { source_units: units, target_units: units, size: 100, joint: false };
        let vocabularies = Vocabularies::train(&[pair], &config).expect("vocabularies");
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<String>>();
        let hypothesis = Hypothesis {
            text: "the dog sleeps.".into(),
            log_probability: -1.0,
            score: -1.0,
            ended: true,
            tokens: words("the dog sleeps ."),
            attention: vec![vec![0.2; 5]; 5],
        };
        let translation = Translation {
            source: "der Hund schläft.".into(),
            source_tokens: words("der Hund schläft . \n"),
            hypotheses: vec![hypothesis],
        };
        (translation, vocabularies)
    }

    #[test]
    fn one_sentence_is_one_picture_and_several_are_numbered() -> Result<()> {
        let (translation, vocabularies) = example();
        let folder = tempfile::tempdir()?;
        let path = |name: &str| folder.path().join(name);
        write(&path("a.svg"), std::slice::from_ref(&translation), &vocabularies)?;
        let svg = std::fs::read_to_string(path("a.svg"))?;
        assert!(svg.contains("schläft") && svg.contains("sleeps") && svg.contains(END));
        write(&path("b.png"), &[translation.clone(), translation.clone()], &vocabularies)?;
        assert!(path("b-1.png").exists() && path("b-2.png").exists() && !path("b.png").exists());
        write(&path("c.html"), &[translation.clone(), translation.clone()], &vocabularies)?;
        assert!(std::fs::read_to_string(path("c.html"))?.contains("schläft"));
        assert!(write(&path("d.jpg"), &[translation], &vocabularies).is_err());
        assert!(write(&path("e.svg"), &[], &vocabularies).is_err());
        Ok(())
    }

    #[test]
    fn words_get_the_blanks_that_stood_between_them() {
        let (translation, vocabularies) = example();
        let aligned = aligned(&translation, &vocabularies);
        assert_eq!(aligned.target, ["the", " dog", " sleeps", "."]);
        assert_eq!(aligned.source.concat(), "der Hund schläft.");
    }
}
