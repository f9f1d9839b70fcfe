//! The article *A brief introduction to recurrent neural networks*, running: every chapter
//! trains its networks when it is told, prints what came out and draws it.
//!
//! | chapter | module | figures |
//! |---|---|---|
//! | feed-forward networks | [`feed_forward`] | |
//! | one letter against a memory | [`namaskar`] | `namaskar-loss.svg` |
//! | one neuron, by hand | [`neuron`] | |
//! | unrolled | [`unrolling`] | `hidden-states.svg`, `unrolled.svg` |
//! | backpropagation through time | [`bptt`], [`copies`] | `bptt-gradients.svg`, `bptt-matrices.svg` |
//! | memory | [`memory`] | `memory.svg`, `gradient-flow.svg` |
//! | two directions | [`directions`] | |
//! | a language model that writes | [`language_model`] | `language-model/curves.svg` |
//! | translation with attention | [`translation`] | `translation-attention.svg` |
//! | speech, from waves to words | [`speech`] | `phonemes.svg`, `digits.wav`, `digits-right-1.wav`, `digits-right-2.wav`, `digits-wrong-1.wav`, `digits-wrong-2.wav` |
//! | pictures and what is said about them | [`captioning`] | `caption-true.svg`, `caption-false.svg` |
//!
//! [`report`] makes one page of all of them, `index.html`. What is told stands in the files of `narration`, one for
//! each language ([`narration`]); the words within figures are English, and examples stay as they are in their data.

use std::io::Write;
use std::path::PathBuf;

use candle_core::Device;
use clap::ValueEnum;
use rnn_train::files::write_atomically;
use rnn_train::{Outcome, Report};

pub mod bptt;
pub mod captioning;
pub mod copies;
pub mod directions;
pub mod feed_forward;
pub mod figures;
pub mod language_model;
pub mod memory;
pub mod namaskar;
pub mod narration;
pub mod neuron;
pub mod page;
pub mod report;
pub mod speech;
pub mod translation;
pub mod unrolling;
pub mod word;

pub use narration::Language;
pub use page::Page;

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
    /// A fixed input has a fixed answer, and weights stand still when asked
    FeedForward,
    /// A feed-forward network against a recurrent one on the word namaskar
    Namaskar,
    /// One recurrent neuron, with numbers to check on paper
    Neuron,
    /// The hidden states, letter by letter, and the unrolled network
    Unrolling,
    /// Backpropagation through time: the gradient of every step
    Bptt,
    /// How far back neurons of different kinds remember
    Memory,
    /// A word is missing, and what comes after it tells which
    Directions,
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
    pub const ALL: [Self; 11] = [
        Self::FeedForward,
        Self::Namaskar,
        Self::Neuron,
        Self::Unrolling,
        Self::Bptt,
        Self::Memory,
        Self::Directions,
        Self::LanguageModel,
        Self::Translation,
        Self::Speech,
        Self::Captioning,
    ];

    /// Its name on the command line, which is also that of the message that is its title.
    fn name(self) -> &'static str {
        match self {
            Self::FeedForward => "feed-forward",
            Self::Namaskar => "namaskar",
            Self::Neuron => "neuron",
            Self::Unrolling => "unrolling",
            Self::Bptt => "bptt",
            Self::Memory => "memory",
            Self::Directions => "directions",
            Self::LanguageModel => "language-model",
            Self::Translation => "translation",
            Self::Speech => "speech",
            Self::Captioning => "captioning",
        }
    }

    /// The module that tells it.
    fn source(self) -> String {
        self.name().replace('-', "_")
    }
}

/// Tells the chapters one after another onto `page`, and writes the report.
///
/// # Errors
/// When a figure, the page or the report cannot be written, or the device fails.
pub fn run(chapters: &[Chapter], options: &Options, page: &mut Page) -> anyhow::Result<()> {
    for &chapter in chapters {
        let number = 1 + chapter as usize;
        page.heading(&format!("{number}. {}", page.say(chapter.name(), &[])), &chapter.source())?;
        match chapter {
            Chapter::FeedForward => feed_forward::tell(options, page).map(drop)?,
            Chapter::Namaskar => namaskar::tell(options, page).map(drop)?,
            Chapter::Neuron => neuron::tell(options, page).map(drop)?,
            Chapter::Unrolling => unrolling::tell(options, page)?,
            Chapter::Bptt => bptt::tell(options, page).map(drop)?,
            Chapter::Memory => memory::tell(options, page).map(drop)?,
            Chapter::Directions => directions::tell(options, page).map(drop)?,
            Chapter::LanguageModel => language_model::tell(options, page)?,
            Chapter::Translation => translation::tell(options, page).map(drop)?,
            Chapter::Speech => speech::tell(options, page).map(drop)?,
            Chapter::Captioning => captioning::tell(options, page).map(drop)?,
        }
        if app_kit::interrupt::requested() {
            page.line("")?;
            page.paragraph("interrupted-chapters", &[])?;
            break;
        }
    }
    let html = page.html();
    write_atomically(&options.folder.join("index.html"), |file| Ok(file.write_all(html.as_bytes())?))
}

/// Says so where a training was interrupted.
fn tell_outcome(report: &Report, page: &mut Page) -> std::io::Result<()> {
    match report.outcome {
        Outcome::Interrupted => page.paragraph("interrupted-training", &[]),
        _ => Ok(()),
    }
}

/// So many passes over the data, in words.
fn passes(epochs: f64, page: &Page) -> String {
    if epochs == 1.0 { page.say("one-pass", &[]) } else { page.say("passes", &[("count", &epochs)]) }
}

/// Whether an answer is right, in a word.
fn verdict(is_right: bool, page: &Page) -> String {
    page.say(if is_right { "is-right" } else { "is-wrong" }, &[])
}

/// Shows two right examples and two wrong ones, as far as there are so many: by their numbers, and by the names
/// `right-1`, `right-2`, `wrong-1`, `wrong-2`, for files that belong to them.
fn examples(
    page: &mut Page,
    right: &[usize],
    wrong: &[usize],
    show: impl Fn(usize, &str, &mut Page) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    for (numbers, title) in [(right, "right"), (wrong, "wrong")] {
        if numbers.is_empty() {
            continue;
        }
        page.line(&page.say(title, &[]))?;
        for (place, &number) in (1..=2).zip(numbers) {
            show(number, &format!("{title}-{place}"), page)?;
            page.line("")?;
        }
    }
    Ok(())
}

/// What a chapter finds, told to nobody, in the short form.
#[cfg(test)]
fn told<T>(seed: u64, tell: fn(&Options, &mut Page) -> anyhow::Result<T>) -> anyhow::Result<T> {
    let folder = tempfile::tempdir()?;
    let options = Options { device: Device::Cpu, seed, fast: true, folder: folder.path().to_owned() };
    tell(&options, &mut Page::new(&mut std::io::sink(), false, Language::English))
}
