//! Recordings and what is said in them.

mod folder;
mod librispeech;
mod manifest;
mod names;
mod selection;
mod source;
mod text;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Result, ensure};
use audio_features::{Audio, Channels};

pub use datasets::embedded::speech::Part;
pub use manifest::Columns;
pub use names::NamePattern;
pub use selection::{Matcher, Selection};
pub use source::{EMBEDDED, Layout, Source};
pub use text::TextConfig;

/// A recording and what is said in it.
#[derive(Clone, Debug)]
pub struct Utterance {
    /// Its path or number, for messages and tables.
    pub name: String,
    /// What is said, or the label of the whole.
    pub text: String,
    /// What else is known of it, such as `speaker` and `index`.
    pub fields: BTreeMap<String, String>,
    /// The recording.
    pub sound: Sound,
}

/// Where a recording is.
#[derive(Clone, Debug)]
pub enum Sound {
    /// In a file.
    File(PathBuf),
    /// In memory.
    Memory(Arc<Audio>),
}

impl Sound {
    /// The recording at its own rate, the channels of a file averaged.
    ///
    /// # Errors
    /// A file that cannot be read or is no sound.
    pub fn read(&self) -> Result<Audio> {
        match self {
            Self::File(path) => Ok(Audio::read(path, Channels::Mean)?),
            Self::Memory(audio) => Ok(audio.as_ref().clone()),
        }
    }
}

/// Finds all recordings of `source`, and what is said in them. Those of a manifest are in its order,
/// those of a folder are sorted by name. No sound is read yet.
///
/// # Errors
/// What cannot be read, by file and line; recordings that are missing or named twice; names of files
/// that do not fit; not one recording.
pub fn read(source: &Source, layout: &Layout) -> Result<Vec<Utterance>> {
    let utterances = match source {
        Source::Embedded(part) => embedded(*part),
        Source::EmbeddedDigits => embedded_digits(),
        Source::Manifest(path) => manifest::read(path, &layout.columns)?,
        Source::Folder(path) => folder::read(path, layout.names.as_ref())?,
    };
    ensure!(!utterances.is_empty(), "there is not one recording in {source}");
    Ok(utterances)
}

/// The recordings of `source` that are selected, or all.
///
/// # Errors
/// Those of [`read`] and [`Selection::partition`].
pub fn read_selected(source: &Source, layout: &Layout, only: Option<&Selection>) -> Result<Vec<Utterance>> {
    let utterances = read(source, layout)?;
    match only {
        Some(only) => Ok(only.partition(utterances)?.0),
        None => Ok(utterances),
    }
}

/// The utterances of the built-in set, with the fields `voice` and `phonemes`: `symbol:start:end` in
/// samples, with blanks between.
fn embedded(part: Part) -> Vec<Utterance> {
    let set = datasets::embedded::speech();
    let utterances = match part {
        Part::Train => &set.train,
        Part::Validation => &set.validation,
        Part::Test => &set.test,
    };
    let utterance = |(index, said): (usize, &datasets::embedded::Utterance)| Utterance {
        name: format!("{}-{index:04}", part.name()),
        text: said.text.clone(),
        fields: BTreeMap::from([
            ("phonemes".to_owned(), said.phoneme_line()),
            ("voice".to_owned(), said.voice.to_string()),
        ]),
        sound: Sound::Memory(Arc::new(Audio { samples: said.samples.clone(), rate: said.rate })),
    };
    utterances.iter().enumerate().map(utterance).collect()
}

/// The voices of the built-in single digits.
const DIGIT_VOICES: Range<u32> = 100..200;
/// Silence that is left before and after such a digit, in samples: 20 ms.
const DIGIT_MARGIN: usize = 160;

/// The single digits of the built-in voices, with the field `voice`.
fn embedded_digits() -> Vec<Utterance> {
    let utterance = |said: datasets::embedded::Utterance| {
        let (digit, word) = (said.digits[0], said.words[0]);
        let end = (word.end + DIGIT_MARGIN).min(said.samples.len());
        let samples = said.samples[word.start.saturating_sub(DIGIT_MARGIN)..end].to_vec();
        Utterance {
            name: format!("voice-{}-{digit}", said.voice),
            text: digit.to_string(),
            fields: BTreeMap::from([("voice".to_owned(), said.voice.to_string())]),
            sound: Sound::Memory(Arc::new(Audio { samples, rate: said.rate })),
        }
    };
    datasets::embedded::speech::single_digits(DIGIT_VOICES).into_iter().map(utterance).collect()
}

/// CRC-32C of all names and texts, by which a resumed run knows its data again.
pub fn fingerprint(utterances: &[Utterance]) -> u32 {
    rnn_train::fingerprint(utterances.iter().map(|utterance| (&utterance.name[..], &utterance.text[..])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_set_is_in_memory_with_its_voices_and_the_boundaries_of_its_phonemes() -> Result<()> {
        let utterances = read(&Source::Embedded(Part::Test), &Layout::default())?;
        assert_eq!(utterances.len(), 200);
        let Utterance { name, text, fields, sound } = &utterances[3];
        let said = &datasets::embedded::speech().test[3];
        assert_eq!((name.as_str(), text), ("test-0003", &said.text));
        assert_eq!(fields["voice"], said.voice.to_string());
        assert!(fields["phonemes"].starts_with("SIL:0:"));
        assert!(fields["phonemes"].ends_with(&format!(":{}", said.samples.len())));
        assert_eq!(sound.read()?, Audio { samples: said.samples.clone(), rate: 8000 });
        Ok(())
    }

    #[test]
    fn the_built_in_digits_are_single_words_of_voices_that_the_set_has_not() -> Result<()> {
        let utterances = read(&Source::EmbeddedDigits, &Layout::default())?;
        assert_eq!(utterances.len(), 1000);
        for (number, Utterance { text, fields, sound, .. }) in utterances.iter().enumerate() {
            assert_eq!(*text, (number % 10).to_string());
            assert_eq!(fields["voice"], (100 + number / 10).to_string());
            assert!(Part::ALL.iter().all(|part| !part.voices().contains(&(100 + number as u32 / 10))));
            assert!((0.15..1.0).contains(&sound.read()?.duration()));
        }
        Ok(())
    }

    #[test]
    fn a_fingerprint_tells_names_texts_and_their_order_apart() {
        let utterance = |name: &str, text: &str| Utterance {
            name: name.into(),
            text: text.into(),
            fields: BTreeMap::new(),
            sound: Sound::File(name.into()),
        };
        let [a, b] = [utterance("a", "one"), utterance("b", "two")];
        let whole = fingerprint(&[a.clone(), b.clone()]);
        assert_eq!(whole, fingerprint(&[a.clone(), b.clone()]));
        let others = [
            vec![b.clone(), a.clone()],
            vec![a.clone()],
            vec![utterance("a", "on"), b.clone()],
            vec![utterance("c", "one"), b],
            vec![utterance("aone", ""), a],
        ];
        assert!(others.iter().all(|other| fingerprint(other) != whole));
    }
}
