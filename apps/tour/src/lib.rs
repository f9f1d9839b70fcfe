//! The article *A brief introduction to recurrent neural networks*, running: every chapter
//! trains its networks when it is told, prints what came out and draws it.
//!
//! | chapter | module | figures |
//! |---|---|---|
//! | one letter against a memory | [`namaskar`] | `namaskar-loss.svg` |
//! | what the memory holds | [`hidden`] | `hidden-states.svg`, `unrolled.svg` |
//! | backpropagation through time | [`bptt`] | `bptt-gradients.svg`, `bptt-matrices.svg` |
//! | a character language model that writes | [`language_model`] | `language-model/curves.svg` |
//! | translation with attention | [`translation`] | `translation-attention.svg` |
//! | speech, from waves to words | [`speech`] | `phonemes.svg`, `digits.wav` |
//! | pictures and what is said about them | [`captioning`] | `caption-true.svg`, `caption-false.svg` |
//!
//! [`report`] makes one page of all of them, `index.html`.

use std::io::Write;
use std::path::PathBuf;

use candle_core::Device;
use clap::ValueEnum;
use rnn_train::files::write_atomically;

pub mod bptt;
pub mod captioning;
pub mod figures;
pub mod hidden;
pub mod language_model;
pub mod namaskar;
pub mod page;
pub mod report;
pub mod speech;
pub mod translation;
pub mod word;

pub use page::Page;

/// Title of the tour.
pub const TITLE: &str = "A brief introduction to recurrent neural networks";

/// What every chapter is told with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where tensors live.
    pub device: Device,
    /// Seed of every random number of the tour.
    pub seed: u64,
    /// Train the applications for seconds, on a part of their data.
    pub fast: bool,
    /// Folder that receives the figures; made when it is missing.
    pub folder: PathBuf,
}

/// A chapter of the tour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Chapter {
    /// A feed-forward network against a recurrent one on the word namaskar
    #[value(alias = "feedforward")]
    Namaskar,
    /// The hidden states, letter by letter, and the unrolled network
    Hidden,
    /// Backpropagation through time: the gradient of every step
    Bptt,
    /// A character model learns from a text and writes
    LanguageModel,
    /// Sentences are read in one language and written in another
    Translation,
    /// Digits are heard and written
    Speech,
    /// Pictures are described
    Captioning,
}

impl Chapter {
    /// All chapters, in the order of the article.
    pub const ALL: [Self; 7] = [
        Self::Namaskar,
        Self::Hidden,
        Self::Bptt,
        Self::LanguageModel,
        Self::Translation,
        Self::Speech,
        Self::Captioning,
    ];

    fn title(self) -> &'static str {
        match self {
            Self::Namaskar => "One letter against a memory",
            Self::Hidden => "What the memory holds",
            Self::Bptt => "Backpropagation through time",
            Self::LanguageModel => "A language model that writes",
            Self::Translation => "Translation, and where it looks",
            Self::Speech => "Speech, from waves to words",
            Self::Captioning => "Pictures, and what is said about them",
        }
    }

    /// The module that tells it.
    fn source(self) -> &'static str {
        match self {
            Self::Namaskar => "namaskar",
            Self::Hidden => "hidden",
            Self::Bptt => "bptt",
            Self::LanguageModel => "language_model",
            Self::Translation => "translation",
            Self::Speech => "speech",
            Self::Captioning => "captioning",
        }
    }
}

/// Tells the chapters one after another onto `page`, and writes the report.
///
/// # Errors
/// When a figure, the page or the report cannot be written, or the device fails.
pub fn run(chapters: &[Chapter], options: &Options, page: &mut Page) -> anyhow::Result<()> {
    for &chapter in chapters {
        let number = 1 + chapter as usize;
        page.heading(&format!("{number}. {}", chapter.title()), chapter.source())?;
        match chapter {
            Chapter::Namaskar => namaskar::tell(options, page).map(drop)?,
            Chapter::Hidden => hidden::tell(options, page)?,
            Chapter::Bptt => bptt::tell(options, page).map(drop)?,
            Chapter::LanguageModel => language_model::tell(options, page)?,
            Chapter::Translation => translation::tell(options, page).map(drop)?,
            Chapter::Speech => speech::tell(options, page).map(drop)?,
            Chapter::Captioning => captioning::tell(options, page).map(drop)?,
        }
    }
    let html = page.report().html(TITLE);
    write_atomically(&options.folder.join("index.html"), |file| Ok(file.write_all(html.as_bytes())?))
}

/// So many passes over the data, in words.
fn passes(epochs: f64) -> String {
    if epochs == 1.0 { "one pass".to_owned() } else { format!("{epochs} passes") }
}

/// Shows two right examples and two wrong ones, as far as there are so many.
fn examples(
    page: &mut Page,
    right: &[usize],
    wrong: &[usize],
    show: impl Fn(usize, &mut Page) -> std::io::Result<()>,
) -> anyhow::Result<()> {
    for (numbers, title) in [(right, "Right:"), (wrong, "Wrong:")] {
        if numbers.is_empty() {
            continue;
        }
        page.line(title)?;
        for &number in numbers.iter().take(2) {
            show(number, page)?;
            page.line("")?;
        }
    }
    Ok(())
}
