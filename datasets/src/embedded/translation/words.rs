//! The vocabulary, read from `words.toml`.

use std::collections::BTreeMap;

use serde::Deserialize;

/// All words, with what a rule needs to know about each.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Words {
    pub pronouns: Vec<Pronoun>,
    pub relatives: Vec<[String; 2]>,
    pub professions: Vec<String>,
    pub acquaintances: Vec<String>,
    pub adjectives: Vec<Adjective>,
    pub places: Vec<Place>,
    pub vehicles: Vec<[String; 2]>,
    pub relations: Vec<Relation>,
    pub nouns: BTreeMap<String, Vec<Noun>>,
    pub verbs: BTreeMap<String, Vec<Verb>>,
    pub intransitive: BTreeMap<String, Vec<Intransitive>>,
    pub times: BTreeMap<String, Vec<[String; 2]>>,
}

/// Subject, object, possessive, Chinese, agreement of the verb.
#[derive(Debug, Deserialize)]
pub(super) struct Pronoun(pub String, pub String, pub String, pub String, pub Agreement);

/// The form of *to be* after a subject; it decides those of all other verbs.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Agreement {
    Am,
    Is,
    Are,
}

/// Where, whither, Chinese.
#[derive(Debug, Deserialize)]
pub(super) struct Place(pub String, pub String, pub String);

/// Base, with *he* and *she*, past, -ing, Chinese, Chinese when it is past.
#[derive(Debug, Deserialize)]
pub(super) struct Intransitive(pub String, pub String, pub String, pub String, pub String, pub String);

/// Something that is counted.
#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(from = "Vec<String>")]
pub(super) struct Noun {
    pub singular: String,
    pub plural: String,
    pub chinese: String,
    pub measure: String,
    /// The plural, or the name of what is counted by a container: *tea*.
    pub bare: String,
}

impl From<Vec<String>> for Noun {
    fn from(columns: Vec<String>) -> Self {
        let [singular, plural, chinese, measure] = [0, 1, 2, 3].map(|column| columns[column].clone());
        let bare = columns.get(4).unwrap_or(&plural).clone();
        Self { singular, plural, chinese, measure, bare }
    }
}

impl Noun {
    /// Whether it is counted by a container or in pairs.
    pub fn is_contained(&self) -> bool {
        self.bare != self.plural
    }
}

/// A verb with an object.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Verb {
    /// Base, with *he* and *she*, past, -ing, Chinese.
    pub forms: [String; 5],
    /// Names of groups of nouns, or of single nouns.
    pub objects: Vec<String>,
}

/// What something is like.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Adjective {
    /// English, comparative, Chinese, Chinese before a noun.
    pub forms: [String; 4],
    /// Names of groups of nouns, or of single nouns.
    pub nouns: Vec<String>,
    /// Whether it passes: *busy*.
    #[serde(default)]
    pub state: bool,
}

/// Where something is beside something else.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Relation {
    /// English and Chinese.
    pub forms: [String; 2],
    /// Names of groups of nouns, or of single nouns.
    pub nouns: Vec<String>,
}

impl Words {
    pub fn read() -> Self {
        toml::from_str(include_str!("words.toml")).expect("the embedded vocabulary is well formed")
    }

    /// The nouns of these groups and these single nouns.
    pub fn nouns_of<S: AsRef<str>>(&self, names: &[S]) -> Vec<&Noun> {
        let named = |name: &str| match self.nouns.get(name) {
            Some(group) => group.iter().collect(),
            None => vec![self.noun(name)],
        };
        names.iter().flat_map(|name| named(name.as_ref())).collect()
    }

    /// The noun with this singular.
    pub fn noun(&self, singular: &str) -> &Noun {
        let mut nouns = self.nouns.values().flatten();
        let found = nouns.find(|noun| noun.singular == singular);
        found.unwrap_or_else(|| panic!("words.toml names `{singular}`, which is no noun of it"))
    }

    /// Whether it can be somebody's: everything can but some persons.
    pub fn can_be_owned(&self, noun: &Noun) -> bool {
        !self.nouns["person"].contains(noun) || self.acquaintances.contains(&noun.singular)
    }

    /// Every pair of a verb and an object, and of an adjective and a noun.
    pub fn combinations(&self) -> Vec<(String, String)> {
        let verbs = self.verbs.values().flatten().map(|verb| (&verb.forms[0], &verb.objects));
        let adjectives = self.adjectives.iter().map(|adjective| (&adjective.forms[0], &adjective.nouns));
        verbs
            .chain(adjectives)
            .flat_map(|(word, names)| {
                let nouns = self.nouns_of(names).into_iter();
                nouns.map(|noun| (word.clone(), noun.singular.clone()))
            })
            .collect()
    }
}
