//! What a caption claims, written in both languages and read again.

use std::ops::Range;

use super::vocabulary::{Attribute, Colour, Language, Relation, Shape, Size, vocabulary};

/// What a caption says: that some objects are there, and in a relation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    /// At least one.
    pub phrases: Vec<Phrase>,
    /// Of the first phrase to the second; then there are two.
    pub relation: Option<Relation>,
}

/// A noun with what stands before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Phrase {
    /// From one on.
    pub count: usize,
    pub size: Option<Size>,
    pub colour: Option<Colour>,
    pub shape: Shape,
}

/// A claim with the places of its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    pub claim: Claim,
    pub mentions: Vec<Mention>,
}

/// A word that tells an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mention {
    /// The number of the phrase it stands in.
    pub phrase: usize,
    pub attribute: Attribute,
    /// Its place in the caption, in [`Language::units`].
    pub units: Range<usize>,
}

impl Claim {
    pub fn write(&self, language: Language) -> String {
        match language {
            Language::English => self.english(),
            Language::Chinese => self.chinese(),
        }
    }

    fn english(&self) -> String {
        let words = vocabulary();
        let phrases: Vec<_> = self.phrases.iter().map(Phrase::english).collect();
        let link = match self.relation {
            Some(relation) => words.relation(relation, Language::English),
            None => words.and(Language::English),
        };
        phrases.join(&format!(" {link} "))
    }

    /// In a relation, one object needs no number.
    fn chinese(&self) -> String {
        let words = vocabulary();
        let is_bare = |phrase: &Phrase| self.relation.is_some() && phrase.count == 1;
        let phrases: Vec<_> = self.phrases.iter().map(|phrase| phrase.chinese(is_bare(phrase))).collect();
        match self.relation {
            Some(relation) => phrases.join(&words.at) + words.relation(relation, Language::Chinese),
            None => phrases.join(words.and(Language::Chinese)),
        }
    }

    /// What a caption claims; none if it is not a sentence of the grammar.
    pub fn read(caption: &str, language: Language) -> Option<Reading> {
        let mut reader = Reader { language, units: language.units(caption), at: 0, mentions: vec![] };
        let claim = reader.claim()?;
        // Articles and plurals are right if they are what we would write.
        let is_right = language == Language::Chinese || claim.english() == reader.units.join(" ");
        is_right.then_some(Reading { claim, mentions: reader.mentions })
    }
}

impl Phrase {
    pub fn english(&self) -> String {
        let words = vocabulary();
        let noun = words.english(self.shape, self.count > 1);
        let size = self.size.map(|size| words.size(size, Language::English));
        let colour = self.colour.map(|colour| words.colour(colour, Language::English));
        let rest = [size, colour, Some(noun)].into_iter().flatten().collect::<Vec<_>>().join(" ");
        let number = words.number(self.count, Language::English).expect("counts have words");
        let n = if self.count == 1 && rest.starts_with(['a', 'e', 'i', 'o', 'u']) { "n" } else { "" };
        format!("{number}{n} {rest}")
    }

    fn chinese(&self, is_bare: bool) -> String {
        let words = vocabulary();
        let number = words.number(self.count, Language::Chinese).expect("counts have words");
        let number = if is_bare { String::new() } else { number.to_owned() + words.measure(self.shape) };
        let size = self.size.map_or("", |size| words.size(size, Language::Chinese));
        let colour = self.colour.map_or("", |colour| words.colour(colour, Language::Chinese));
        let of = if self.colour.is_some() && self.size.is_none() { &words.of } else { "" };
        format!("{number}{size}{colour}{of}{}", words.chinese(self.shape))
    }
}

/// Reads a caption from the left to the right.
struct Reader<'a> {
    language: Language,
    units: Vec<&'a str>,
    /// The next unit.
    at: usize,
    mentions: Vec<Mention>,
}

impl Reader<'_> {
    /// The whole caption.
    fn claim(&mut self) -> Option<Claim> {
        let words = vocabulary();
        let mut phrases = vec![self.phrase(0)?];
        let is_chinese = self.language == Language::Chinese;
        // The relation stands between the phrases, or after both.
        let mut relation = if is_chinese { None } else { self.relation() };
        if relation.is_some() || is_chinese && self.take(&words.at) {
            phrases.push(self.phrase(1)?);
            relation = Some(relation.or_else(|| self.relation())?);
        }
        while relation.is_none() && self.take(words.and(self.language)) {
            phrases.push(self.phrase(phrases.len())?);
        }
        (self.at == self.units.len()).then_some(Claim { phrases, relation })
    }

    fn phrase(&mut self, number: usize) -> Option<Phrase> {
        match self.language {
            Language::English => self.english(number),
            Language::Chinese => self.chinese(number),
        }
    }

    fn english(&mut self, number: usize) -> Option<Phrase> {
        let words = vocabulary();
        let count = if self.take("an") { 1 } else { self.count()? };
        let size = self.size(number);
        let colour = self.colour(number);
        let noun = |reader: &mut Self, shape| {
            reader.take(words.english(shape, false)) || reader.take(words.english(shape, true))
        };
        let shape = self.mention(number, Attribute::Shape, &Shape::ALL, noun)?;
        Some(Phrase { count, size, colour, shape })
    }

    /// One object may be without a number, and a colour without what follows it.
    fn chinese(&mut self, number: usize) -> Option<Phrase> {
        let words = vocabulary();
        let counted = self.measured();
        let size = self.size(number);
        let colour = self.colour(number);
        if colour.is_some() {
            self.take(&words.of);
        }
        let noun = |reader: &mut Self, shape| reader.take(words.chinese(shape));
        let shape = self.mention(number, Attribute::Shape, &Shape::ALL, noun)?;
        let (count, measure) = counted.unwrap_or((1, words.measure(shape)));
        (measure == words.measure(shape)).then_some(Phrase { count, size, colour, shape })
    }

    /// A number with a measure word. What begins like a number may be a noun: the
    /// Chinese triangle is a *three-cornered* shape.
    fn measured(&mut self) -> Option<(usize, &'static str)> {
        let start = self.at;
        let measure = |reader: &mut Self| {
            let count = reader.count()?;
            let words = Shape::ALL.map(|shape| vocabulary().measure(shape));
            Some((count, words.into_iter().find(|word| reader.take(word))?))
        };
        let found = measure(self);
        if found.is_none() {
            self.at = start;
        }
        found
    }

    fn count(&mut self) -> Option<usize> {
        let words = vocabulary();
        (1..=words.greatest())
            .find(|count| words.number(*count, self.language).is_some_and(|word| self.take(word)))
    }

    fn size(&mut self, phrase: usize) -> Option<Size> {
        self.mention(phrase, Attribute::Size, &Size::ALL, |reader, size| {
            reader.take(vocabulary().size(size, reader.language))
        })
    }

    fn colour(&mut self, phrase: usize) -> Option<Colour> {
        self.mention(phrase, Attribute::Colour, &Colour::ALL, |reader, colour| {
            reader.take(vocabulary().colour(colour, reader.language))
        })
    }

    fn relation(&mut self) -> Option<Relation> {
        let language = self.language;
        Relation::ALL.into_iter().find(|relation| self.take(vocabulary().relation(*relation, language)))
    }

    /// The value that comes next, if one does, and a note of where it stands.
    fn mention<T: Copy>(
        &mut self,
        phrase: usize,
        attribute: Attribute,
        values: &[T],
        mut comes: impl FnMut(&mut Self, T) -> bool,
    ) -> Option<T> {
        let start = self.at;
        let value = *values.iter().find(|value| comes(self, **value))?;
        self.mentions.push(Mention { phrase, attribute, units: start..self.at });
        Some(value)
    }

    /// Goes over these words if they come next.
    fn take(&mut self, words: &str) -> bool {
        let expected = self.language.units(words);
        let comes = self.units[self.at..].starts_with(&expected);
        if comes {
            self.at += expected.len();
        }
        comes
    }
}
