//! Whether a caption is true of a scene, and which objects its words name.

use super::grammar::{Claim, Phrase};
use super::vocabulary::{Attribute, Language, Relation};
use super::{Object, Scene};

/// What [`Scene::judge`] says of a caption.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All that it claims is so.
    True,
    /// Something that it claims is not so.
    False {
        /// What is not so, in English.
        why: String,
    },
    /// It is not a sentence of the grammar.
    Ungrammatical,
}

/// What a word of a caption names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// What the word tells of the objects.
    pub attribute: Attribute,
    /// The numbers of the objects in [`Scene::objects`], in ascending order.
    pub objects: Vec<usize>,
}

/// The objects of each phrase of a claim.
type Assignment = Vec<Vec<usize>>;

impl Scene {
    /// Whether a caption is true of the scene. It need not be one of
    /// [`Scene::captions`]: it is read with the grammar of the set.
    ///
    /// A caption is true if different objects can be found for its nouns so that
    /// everything it says holds. One of something is at least one; a greater
    /// number is exactly that many. Of two objects, the greater difference of
    /// their centres decides whether one is beside or above the other
    /// ([`Object::relation_to`]).
    ///
    /// ```
    /// use datasets::embedded::captioning::{Language, Verdict, captioning};
    /// let scene = &captioning().test[0];
    /// for caption in scene.captions(Language::English) {
    ///     assert_eq!(scene.judge(&caption, Language::English), Verdict::True);
    /// }
    /// assert_eq!(scene.judge("a the star", Language::English), Verdict::Ungrammatical);
    /// ```
    pub fn judge(&self, caption: &str, language: Language) -> Verdict {
        let Some(reading) = Claim::read(caption, language) else {
            return Verdict::Ungrammatical;
        };
        match self.assignments(&reading.claim).is_empty() {
            false => Verdict::True,
            true => Verdict::False { why: self.objection(&reading.claim) },
        }
    }

    /// What the word at position `unit` of a caption names (counted in
    /// [`Language::units`]), if it tells a size, a colour or a shape.
    ///
    /// The objects are those that its noun, with all that is said of it, can
    /// mean: in a true caption those of which the whole caption holds, in a false
    /// one those that the noun and its attributes fit, which may be none.
    pub fn named(&self, caption: &str, unit: usize, language: Language) -> Option<Named> {
        let reading = Claim::read(caption, language)?;
        let mention = reading.mentions.iter().find(|mention| mention.units.contains(&unit))?;
        let assignments = self.assignments(&reading.claim);
        let mut objects = match assignments.is_empty() {
            true => self.fitting(&reading.claim.phrases[mention.phrase]),
            false => assignments.iter().flat_map(|of| of[mention.phrase].clone()).collect(),
        };
        objects.sort_unstable();
        objects.dedup();
        Some(Named { attribute: mention.attribute, objects })
    }

    /// The numbers of the objects of which a phrase holds, whatever its count.
    fn fitting(&self, phrase: &Phrase) -> Vec<usize> {
        let fits = |object: &Object| {
            object.shape == phrase.shape
                && phrase.colour.is_none_or(|colour| object.colour == colour)
                && phrase.size.is_none_or(|size| object.size == size)
        };
        (0..self.objects.len()).filter(|index| fits(&self.objects[*index])).collect()
    }

    /// All the ways to find objects for a claim so that it holds.
    fn assignments(&self, claim: &Claim) -> Vec<Assignment> {
        let mut found = vec![vec![]];
        for phrase in &claim.phrases {
            let choices = self.choices(phrase);
            let with = |assignment: &Assignment, choice: &Vec<usize>| {
                let is_free = assignment.iter().flatten().all(|used| !choice.contains(used));
                is_free.then(|| [&assignment[..], std::slice::from_ref(choice)].concat())
            };
            found = found
                .iter()
                .flat_map(|assignment| choices.iter().filter_map(move |choice| with(assignment, choice)))
                .collect();
        }
        if let Some(relation) = claim.relation {
            found.retain(|assignment| self.are_related(&assignment[0], relation, &assignment[1]));
        }
        found
    }

    /// The objects that a phrase alone can mean: any one, or all of a number.
    fn choices(&self, phrase: &Phrase) -> Vec<Vec<usize>> {
        let fitting = self.fitting(phrase);
        match phrase.count {
            1 => fitting.into_iter().map(|index| vec![index]).collect(),
            count if count == fitting.len() => vec![fitting],
            _ => vec![],
        }
    }

    fn are_related(&self, ones: &[usize], relation: Relation, others: &[usize]) -> bool {
        let is_related =
            |one: &usize, other: &usize| self.objects[*one].relation_to(&self.objects[*other]) == relation;
        ones.iter().all(|one| others.iter().all(|other| is_related(one, other)))
    }

    /// Why a claim is false.
    fn objection(&self, claim: &Claim) -> String {
        let is_missing = |phrase: &&Phrase| self.choices(phrase).is_empty();
        if let Some(phrase) = claim.phrases.iter().find(is_missing) {
            let count = self.fitting(phrase).len();
            return format!("`{}`: the number of such objects is {count}", phrase.english());
        }
        let can_be_found = !self.assignments(&Claim { relation: None, ..claim.clone() }).is_empty();
        let why = match can_be_found {
            true => "these objects are there, but not placed like this",
            false => "there are not so many different objects",
        };
        format!("`{}`: {why}", claim.write(Language::English))
    }
}
