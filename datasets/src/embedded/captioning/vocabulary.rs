//! What objects can be like, and what that is called.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

/// The language of a caption.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// Lower-case words with a space between two, without a full stop.
    English,
    /// Traditional Chinese, without spaces and without a full stop.
    Chinese,
}

/// The shape of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Shape {
    /// A disc.
    Circle,
    /// Four equal sides.
    Square,
    /// Three equal sides.
    Triangle,
    /// Five points.
    Star,
    /// Four arms of equal length, upright like a plus sign.
    Cross,
    /// A disc with a hole in the middle.
    Ring,
}

/// The colour of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Colour {
    Red,
    Orange,
    Yellow,
    Green,
    Blue,
    Purple,
    White,
}

/// The size of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Size {
    Small,
    Large,
}

/// Where an object is, seen from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Relation {
    LeftOf,
    RightOf,
    Above,
    Below,
}

/// A property of an object that a word of a caption can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Attribute {
    Size,
    Colour,
    Shape,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::English, Self::Chinese];

    /// The parts of a caption that [`Scene::named`](super::Scene::named) counts:
    /// words in English, characters in Chinese.
    pub fn units(self, caption: &str) -> Vec<&str> {
        match self {
            Self::English => caption.split_whitespace().collect(),
            Self::Chinese => caption.split("").filter(|character| !character.is_empty()).collect(),
        }
    }
}

impl Shape {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Circle, Self::Square, Self::Triangle, Self::Star, Self::Cross, Self::Ring];
}

impl Colour {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Red, Self::Orange, Self::Yellow, Self::Green, Self::Blue, Self::Purple, Self::White];
}

impl Size {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Small, Self::Large];
}

impl Relation {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::LeftOf, Self::RightOf, Self::Above, Self::Below];

    /// The relation of the second object to the first, if this is the relation
    /// of the first to the second.
    pub fn converse(self) -> Self {
        match self {
            Self::LeftOf => Self::RightOf,
            Self::RightOf => Self::LeftOf,
            Self::Above => Self::Below,
            Self::Below => Self::Above,
        }
    }
}

/// The words of `words.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Vocabulary {
    shapes: [[String; 4]; 6],
    colours: [[String; 2]; 7],
    sizes: [[String; 2]; 2],
    relations: [[String; 2]; 4],
    numbers: Vec<[String; 2]>,
    and: [String; 2],
    /// Chinese: before the second object of a relation.
    pub at: String,
    /// Chinese: after an attribute.
    pub of: String,
}

/// The words of the captions.
pub(super) fn vocabulary() -> &'static Vocabulary {
    static VOCABULARY: LazyLock<Vocabulary> = LazyLock::new(|| {
        toml::from_str(include_str!("words.toml")).expect("the embedded words are well formed")
    });
    &VOCABULARY
}

impl Vocabulary {
    /// The noun in English.
    pub fn english(&self, shape: Shape, is_plural: bool) -> &str {
        &self.shapes[shape as usize][usize::from(is_plural)]
    }

    /// The noun in Chinese.
    pub fn chinese(&self, shape: Shape) -> &str {
        &self.shapes[shape as usize][2]
    }

    /// The measure word of the noun in Chinese.
    pub fn measure(&self, shape: Shape) -> &str {
        &self.shapes[shape as usize][3]
    }

    pub fn colour(&self, colour: Colour, language: Language) -> &str {
        &self.colours[colour as usize][language as usize]
    }

    pub fn size(&self, size: Size, language: Language) -> &str {
        &self.sizes[size as usize][language as usize]
    }

    pub fn relation(&self, relation: Relation, language: Language) -> &str {
        &self.relations[relation as usize][language as usize]
    }

    /// How many there are, none if there is no word for it.
    pub fn number(&self, count: usize, language: Language) -> Option<&str> {
        let words = self.numbers.get(count.checked_sub(1)?)?;
        Some(&words[language as usize])
    }

    /// The greatest number that there is a word for.
    pub fn greatest(&self) -> usize {
        self.numbers.len()
    }

    pub fn and(&self, language: Language) -> &str {
        &self.and[language as usize]
    }
}
