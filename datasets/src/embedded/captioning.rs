//! Pictures of a few coloured shapes, painted by our own code, and what is said
//! of them in English and Traditional Chinese.
//!
//! A [`Scene`] is drawn at random. What it claims of its objects is written in
//! both languages from the words of `words.toml`, and any other caption can be
//! read with the same grammar and judged: so it can be measured whether a
//! caption is true, not only whether it is like another.

mod draw;
pub(crate) mod files;
mod grammar;
mod judge;
mod object;
mod picture;
mod vocabulary;

use std::sync::LazyLock;

use candle_rnn::Generator;

use grammar::Claim;

pub use draw::HeldOut;
pub use judge::{Named, Verdict};
pub use object::Object;
pub use picture::{Background, Pattern};
pub use vocabulary::{Attribute, Colour, Language, Relation, Shape, Size};

/// The width and height of a picture in pixels.
pub const SIZE: usize = 64;

/// The seed of [`captioning`].
const SEED: u64 = 42;
const TRAIN: usize = 4000;
const VALIDATION: usize = 300;
const TEST: usize = 500;

/// What is in a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Scene {
    /// One to three objects that differ in colour or shape, or two to four of the
    /// same colour, shape and size. A later one lies over an earlier one.
    pub objects: Vec<Object>,
    /// What is behind them.
    pub background: Background,
    /// Whether it combines properties ([`HeldOut`]) that are never combined in
    /// the training part.
    pub novel: bool,
    /// What its captions say.
    claims: Vec<Claim>,
}

/// The three parts of the set.
#[derive(Clone, Debug, PartialEq)]
pub struct Captioning {
    /// 4,000 scenes.
    pub train: Vec<Scene>,
    /// 300 scenes, half of them [`novel`](Scene::novel).
    pub validation: Vec<Scene>,
    /// 500 scenes, half of them [`novel`](Scene::novel).
    pub test: Vec<Scene>,
    /// The combinations that the training part lacks.
    pub held_out: HeldOut,
}

/// The embedded set: the same pictures and captions on every machine.
///
/// ```
/// use datasets::embedded::captioning::{Language, SIZE, captioning};
/// let set = captioning();
/// assert_eq!(set.train.len(), 4000);
/// let scene = &set.train[0];
/// assert_eq!(scene.picture().len(), 3 * SIZE * SIZE);
/// println!("{}", scene.captions(Language::English).join("\n"));
/// ```
pub fn captioning() -> &'static Captioning {
    static SET: LazyLock<Captioning> = LazyLock::new(|| Captioning::drawn_from(SEED));
    &SET
}

impl Captioning {
    /// Other scenes, with other combinations held out.
    pub fn drawn_from(seed: u64) -> Self {
        let mut generator = Generator::new(seed);
        let held_out = HeldOut::drawn(&mut generator);
        let train = (0..TRAIN).map(|_| Scene::drawn(&mut generator, &held_out, false)).collect();
        let mut part = |size: usize| {
            let scene = |index: usize| Scene::drawn(&mut generator, &held_out, index.is_multiple_of(2));
            (0..size).map(scene).collect()
        };
        let validation = part(VALIDATION);
        let test = part(TEST);
        Self { train, validation, test, held_out }
    }
}

impl Scene {
    /// Four different captions, all true; not every one tells of every object and
    /// every attribute. Those of one language are the translations of those of
    /// the other, in the same order.
    pub fn captions(&self, language: Language) -> Vec<String> {
        self.claims.iter().map(|claim| claim.write(language)).collect()
    }
}

#[cfg(test)]
mod tests;
