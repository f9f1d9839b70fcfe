//! The article *A brief introduction to recurrent neural networks*, running: every chapter
//! trains its networks when it is told, prints what came out and draws it.
//!
//! | chapter | module | figures |
//! |---|---|---|
//! | one letter against a memory | [`namaskar`] | `namaskar-loss.svg` |
//! | what the memory holds | [`hidden`] | `hidden-states.svg`, `unrolled.svg` |
//! | backpropagation through time | [`bptt`] | `bptt-gradients.svg`, `bptt-matrices.svg` |
//! | a character language model that writes | [`language_model`] | `language-model/curves.svg` |

use std::path::PathBuf;

use candle_core::Device;
use clap::ValueEnum;

pub mod bptt;
pub mod figures;
pub mod hidden;
pub mod language_model;
pub mod namaskar;
pub mod page;
pub mod word;

pub use page::Page;

/// What every chapter is told with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where tensors live.
    pub device: Device,
    /// Seed of every random number of the tour.
    pub seed: u64,
    /// Train the language model for seconds rather than for half a minute.
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
}

impl Chapter {
    /// All chapters, in the order of the article.
    pub const ALL: [Self; 4] = [Self::Namaskar, Self::Hidden, Self::Bptt, Self::LanguageModel];

    fn title(self) -> &'static str {
        match self {
            Self::Namaskar => "One letter against a memory",
            Self::Hidden => "What the memory holds",
            Self::Bptt => "Backpropagation through time",
            Self::LanguageModel => "A language model that writes",
        }
    }
}

/// Tells the chapters one after another onto `page`.
///
/// # Errors
/// When a figure or the page cannot be written, or the device fails.
pub fn run(chapters: &[Chapter], options: &Options, page: &mut Page) -> anyhow::Result<()> {
    for &chapter in chapters {
        let number = 1 + chapter as usize;
        page.heading(&format!("{number}. {}", chapter.title()))?;
        match chapter {
            Chapter::Namaskar => namaskar::tell(options, page).map(drop)?,
            Chapter::Hidden => hidden::tell(options, page)?,
            Chapter::Bptt => bptt::tell(options, page).map(drop)?,
            Chapter::LanguageModel => language_model::tell(options, page)?,
        }
    }
    Ok(())
}
