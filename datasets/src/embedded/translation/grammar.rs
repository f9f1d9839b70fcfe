//! Drawing a sentence: a rule from `rules.toml`, filled with words from
//! `words.toml`, in both languages at once.

use std::collections::BTreeMap;

use candle_rnn::Generator;
use serde::Deserialize;

use super::words::{Adjective, Agreement, Noun, Pronoun, Words};

/// How often a kind of sentence is drawn, in parts of the sum.
const WEIGHTS: &[(&str, usize)] = &[
    ("action", 36),
    ("chase", 5),
    ("event", 9),
    ("state", 12),
    ("know", 2),
    ("own", 5),
    ("give", 10),
    ("intransitive", 15),
    ("skill", 1),
    ("animal", 3),
    ("go", 9),
    ("adjective", 7),
    ("passing", 2),
    ("comparison", 9),
    ("profession", 2),
    ("where", 8),
    ("whereabouts", 5),
];

/// The rules: pairs of patterns with names in braces.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rules {
    /// By kind of sentence.
    sentences: BTreeMap<String, Vec<(String, String)>>,
    /// By kind of noun phrase.
    phrases: BTreeMap<String, Vec<(String, String, Agreement)>>,
}

impl Rules {
    pub fn read() -> Self {
        toml::from_str(include_str!("rules.toml")).expect("the embedded rules are well formed")
    }
}

/// A sentence in both languages.
#[derive(Debug)]
pub(super) struct Sentence {
    pub english: String,
    pub chinese: String,
    /// Verbs with their objects and adjectives with their nouns.
    pub combinations: Vec<(String, String)>,
}

/// What a name in a pattern stands for.
#[derive(Clone, Debug)]
struct Filling {
    english: String,
    chinese: String,
}

impl Filling {
    fn new(english: impl Into<String>, chinese: impl Into<String>) -> Self {
        Self { english: english.into(), chinese: chinese.into() }
    }
}

/// The head of a sentence: the word that decides what else can stand in it.
struct Head<'a> {
    word: &'a str,
    /// Groups of nouns, or nouns, that go with it.
    nouns: &'a [String],
}

/// Draws one sentence, or nothing where a draw leads nowhere (an object that
/// would be its own subject).
pub(super) fn draw(words: &Words, rules: &Rules, generator: &mut Generator) -> Option<Sentence> {
    let mut ticket = generator.below(WEIGHTS.iter().map(|(_, weight)| weight).sum());
    let (kind, _) = WEIGHTS.iter().find(|(_, weight)| {
        let found = ticket < *weight;
        ticket = ticket.wrapping_sub(*weight);
        found
    })?;
    let (english, chinese) = one_of(&rules.sentences[*kind], generator);
    let mut draft = Draft {
        words,
        rules,
        generator,
        fillings: BTreeMap::new(),
        agreement: Agreement::Is,
        used: vec![],
        combinations: vec![],
    };
    draft.fill(kind, english, chinese)?;
    let fillings = &draft.fillings;
    let english = filled(english, |name| &fillings[name].english);
    let chinese = filled(chinese, |name| &fillings[name].chinese);
    let combinations = draft.combinations;
    Some(Sentence { english: with_articles_and_capital(&english), chinese, combinations })
}

fn one_of<'a, T>(items: &'a [T], generator: &mut Generator) -> &'a T {
    &items[generator.below(items.len())]
}

/// The names in braces, in order.
fn names(pattern: &str) -> impl Iterator<Item = &str> {
    pattern.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0))
}

/// The pattern with every name in braces replaced.
fn filled<'a>(pattern: &str, filling: impl Fn(&str) -> &'a String) -> String {
    names(pattern)
        .fold(pattern.to_owned(), |text, name| text.replacen(&format!("{{{name}}}"), filling(name), 1))
}

/// *A* before a vowel is *an*; a sentence begins with a capital.
fn with_articles_and_capital(text: &str) -> String {
    let mut words: Vec<_> = text.split(' ').collect();
    for at in 1..words.len() {
        if words[at - 1] == "a" && words[at].starts_with(['a', 'e', 'i', 'o', 'u']) {
            words[at - 1] = "an";
        }
    }
    let text = words.join(" ");
    text[..1].to_uppercase() + &text[1..]
}

/// A sentence on the way.
struct Draft<'a> {
    words: &'a Words,
    rules: &'a Rules,
    generator: &'a mut Generator,
    fillings: BTreeMap<&'a str, Filling>,
    /// What the verb agrees with.
    agreement: Agreement,
    /// Nouns, relatives and pronouns that stand in the sentence already.
    used: Vec<&'a str>,
    combinations: Vec<(String, String)>,
}

impl<'a> Draft<'a> {
    /// Fills every name of the two patterns.
    fn fill(&mut self, kind: &str, english: &'a str, chinese: &'a str) -> Option<()> {
        if english.starts_with("please") {
            self.use_once("you")?;
        }
        let head = self.head(kind);
        let all: Vec<_> = names(english).chain(names(chinese)).collect();
        // The subject comes first, since verbs agree with it, wherever they stand.
        let subjects = ["subject", "beast", "topic"];
        let is_first = |name: &&&str| match english.starts_with("there {is}") {
            true => **name == "indefinite",
            false => subjects.contains(*name),
        };
        let (first, rest): (Vec<_>, Vec<_>) = all.iter().partition(is_first);
        for name in first.into_iter().chain(rest) {
            if !self.fillings.contains_key(name) {
                let filling = self.filling(name, kind, &head)?;
                self.fillings.insert(name, filling);
            }
        }
        Some(())
    }

    /// Chooses the verb or adjective, whose forms are fillings.
    fn head(&mut self, kind: &str) -> Head<'a> {
        let words = self.words;
        if let Some(verbs) = words.verbs.get(kind) {
            let verb = self.one_of(verbs);
            let [base, third, past, ing, chinese] = &verb.forms;
            self.verb(base, third, past, ing, chinese, chinese);
            return Head { word: base, nouns: &verb.objects };
        }
        let intransitive: Vec<_> = match kind {
            "intransitive" => words.intransitive.values().flatten().collect(),
            _ => words.intransitive.get(kind).into_iter().flatten().collect(),
        };
        if !intransitive.is_empty() {
            let verb = *self.one_of(&intransitive);
            self.verb(&verb.0, &verb.1, &verb.2, &verb.3, &verb.4, &verb.5);
            return Head { word: &verb.0, nouns: &[] };
        }
        let fits = |adjective: &&Adjective| match kind {
            "adjective" => !adjective.forms[2].is_empty(),
            "passing" => adjective.state,
            "comparison" => !adjective.forms[1].is_empty() && !adjective.forms[2].is_empty(),
            _ => false,
        };
        let adjectives: Vec<_> = words.adjectives.iter().filter(fits).collect();
        if !adjectives.is_empty() {
            let adjective = *self.one_of(&adjectives);
            let [english, comparative, chinese, _] = &adjective.forms;
            self.fillings.insert("adjective", Filling::new(english, chinese));
            self.fillings.insert("comparative", Filling::new(comparative, ""));
            return Head { word: english, nouns: &adjective.nouns };
        }
        Head { word: "", nouns: &[] }
    }

    fn verb(&mut self, base: &str, third: &str, past: &str, ing: &str, chinese: &str, past_chinese: &str) {
        self.fillings.insert("base", Filling::new(base, ""));
        self.fillings.insert("s", Filling::new(third, ""));
        self.fillings.insert("past", Filling::new(past, ""));
        self.fillings.insert("ing", Filling::new(ing, ""));
        self.fillings.insert("verb", Filling::new("", chinese));
        self.fillings.insert("verb-past", Filling::new("", past_chinese));
    }

    fn filling(&mut self, name: &str, kind: &str, head: &Head<'a>) -> Option<Filling> {
        let words = self.words;
        let agreement = self.agreement;
        let agreeing = |third: &str, other: &str| {
            Some(Filling::new(if agreement == Agreement::Is { third } else { other }, ""))
        };
        let plain = |[english, chinese]: &[String; 2]| Some(Filling::new(english, chinese));
        match name {
            "subject" => self.subject(),
            "beast" => {
                let noun = self.noun(&["animal"])?;
                self.phrase("definite", noun, None, true)
            }
            "topic" | "other" => self.topic(kind, head, name == "topic"),
            "object" => {
                let phrase = if self.generator.below(3) == 0 { "definite" } else { "indefinite" };
                self.object(phrase, kind, head)
            }
            "definite" | "indefinite" | "kind" | "bare" => self.object(name, kind, head),
            "recipient" => self.person(true),
            "friend" => self.person(false),
            "profession" => {
                let noun = self.noun(&words.professions)?;
                let english = match agreement {
                    Agreement::Are if !self.used.contains(&"you") => noun.plural.clone(),
                    _ => format!("a {}", noun.singular),
                };
                Some(Filling::new(english, &noun.chinese))
            }
            "present" => agreeing(&self.fillings["s"].english, &self.fillings["base"].english),
            "do" => agreeing("does", "do"),
            "want" => agreeing("wants", "want"),
            "go" => agreeing("goes", "go"),
            "is" => Some(Filling::new(["am", "is", "are"][agreement as usize], "")),
            "was" => Some(Filling::new(["was", "was", "were"][agreement as usize], "")),
            "then" => plain(self.one_of(&words.times["past"])),
            "soon" => plain(self.one_of(&words.times["future"])),
            "habit" | "often" => plain(self.one_of(&words.times[name])),
            "vehicle" => plain(self.one_of(&words.vehicles)),
            "place" | "whither" => {
                let place = self.one_of(&words.places);
                self.fillings.insert("place", Filling::new(&place.0, &place.2));
                Some(Filling::new(if name == "place" { &place.0 } else { &place.1 }, &place.2))
            }
            "relation" => {
                let relation = self.one_of(&words.relations);
                let noun = self.noun(&relation.nouns)?;
                let [english, chinese] = &relation.forms;
                Some(Filling::new(
                    format!("{english} the {}", noun.singular),
                    format!("{}{chinese}", noun.chinese),
                ))
            }
            _ => panic!("rules.toml names {{{name}}}, which nothing fills"),
        }
    }

    /// Who does it: a pronoun, a relative or another person.
    fn subject(&mut self) -> Option<Filling> {
        match self.generator.below(10) {
            0..=6 => self.pronoun_or_relative(true),
            _ => {
                let noun = self.noun(&["person"])?;
                self.phrase("definite", noun, None, true)
            }
        }
    }

    fn pronoun_or_relative(&mut self, is_subject: bool) -> Option<Filling> {
        if self.generator.below(7) >= 5 {
            if is_subject {
                self.agreement = Agreement::Is;
            }
            return self.relative();
        }
        let pronoun = self.pronoun()?;
        if is_subject {
            self.agreement = pronoun.4;
        }
        Some(Filling::new(if is_subject { &pronoun.0 } else { &pronoun.1 }, &pronoun.3))
    }

    /// Somebody in the objective case.
    fn person(&mut self, pronouns: bool) -> Option<Filling> {
        match self.generator.below(10) {
            0..=6 if pronouns => self.pronoun_or_relative(false),
            0..=6 => self.relative(),
            _ => {
                let noun = self.noun(&["person"])?;
                self.phrase("definite", noun, None, false)
            }
        }
    }

    /// What an adjective says something about, or where something is.
    fn topic(&mut self, kind: &str, head: &Head<'a>, agrees: bool) -> Option<Filling> {
        if kind == "where" {
            let noun = self.noun(&["animal", "reading", "device", "thing"])?;
            return self.phrase("definite", noun, None, agrees);
        }
        let of_person = head.nouns.iter().any(|name| name == "person");
        if of_person && self.generator.below(2) == 0 {
            return self.pronoun_or_relative(agrees);
        }
        let groups: Vec<_> = match self.fillings.get("topic") {
            None => head.nouns.iter().map(String::as_str).collect(),
            // Like is compared with like.
            Some(_) => self.used_groups(),
        };
        let fitting = self.words.nouns_of(head.nouns);
        let mut nouns = self.words.nouns_of(&groups);
        nouns.retain(|noun| fitting.contains(noun));
        let noun = self.unused(nouns)?;
        self.phrase("definite", noun, Some(head.word), agrees)
    }

    /// The groups of the nouns that stand in the sentence already.
    fn used_groups(&self) -> Vec<&'a str> {
        let is_used = |noun: &Noun| self.used.contains(&noun.singular.as_str());
        let groups = self.words.nouns.iter().filter(|(_, nouns)| nouns.iter().any(is_used));
        groups.map(|(name, _)| name.as_str()).collect()
    }

    /// What something is done to.
    fn object(&mut self, phrase: &str, kind: &str, head: &Head<'a>) -> Option<Filling> {
        let groups: Vec<&str> = match kind {
            "where" => vec!["animal", "reading", "device", "thing"],
            "whereabouts" => vec!["person", "animal"],
            _ => head.nouns.iter().map(String::as_str).collect(),
        };
        let persons = phrase == "definite" && groups.contains(&"person");
        if persons && self.generator.below(5) < 2 {
            return self.pronoun_or_relative(false);
        }
        let noun = self.noun(&groups)?;
        if !head.word.is_empty() {
            self.combinations.push((head.word.to_owned(), noun.singular.clone()));
        }
        self.phrase(phrase, noun, None, kind.starts_with("where"))
    }

    /// A noun phrase. `said` is the adjective that the sentence says of it,
    /// which then has no other; `agrees`: it is the subject.
    fn phrase(&mut self, kind: &str, noun: &'a Noun, said: Option<&str>, agrees: bool) -> Option<Filling> {
        let contained = format!("contained_{kind}");
        let rules = match self.rules.phrases.get(&contained) {
            Some(rules) if noun.is_contained() => rules,
            _ => &self.rules.phrases[kind],
        };
        let (english, chinese, agreement) = self.one_of(rules);
        let mut parts = BTreeMap::from([
            ("noun", Filling::new(&noun.singular, &noun.chinese)),
            ("nouns", Filling::new(&noun.plural, "")),
            ("bare", Filling::new(&noun.bare, "")),
            ("measure", Filling::new("", &noun.measure)),
            ("a", Filling::new("a", "")),
        ]);
        if english.contains("{adjective}") {
            let fits = |adjective: &&Adjective| {
                !adjective.forms[3].is_empty() && self.words.nouns_of(&adjective.nouns).contains(&noun)
            };
            let fitting: Vec<_> = self.words.adjectives.iter().filter(fits).collect();
            if fitting.is_empty() || said.is_some() {
                return None;
            }
            let [word, _, _, before] = &self.one_of(&fitting).forms;
            parts.insert("adjective", Filling::new(word, before));
            self.combinations.push((word.clone(), noun.singular.clone()));
        }
        if let Some(said) = said {
            self.combinations.push((said.to_owned(), noun.singular.clone()));
        }
        if english.contains("{whose}") {
            if !self.words.can_be_owned(noun) {
                return None;
            }
            let whose = self.whose()?;
            parts.insert("whose", whose);
        }
        if agrees {
            self.agreement = *agreement;
        }
        Some(Filling::new(
            filled(english, |name| &parts[name].english),
            filled(chinese, |name| &parts[name].chinese),
        ))
    }

    /// *My*, or *my mother's*.
    fn whose(&mut self) -> Option<Filling> {
        if self.generator.below(6) == 0 {
            let Filling { english, chinese } = self.relative()?;
            return Some(Filling::new(format!("{english}'s"), chinese));
        }
        let pronoun = self.one_of(&self.words.pronouns);
        Some(Filling::new(&pronoun.2, &pronoun.3))
    }

    fn relative(&mut self) -> Option<Filling> {
        let pronoun = self.one_of(&self.words.pronouns);
        let [english, chinese] = self.one_of(&self.words.relatives);
        self.use_once(english)?;
        Some(Filling::new(format!("{} {english}", pronoun.2), format!("{}{chinese}", pronoun.3)))
    }

    fn pronoun(&mut self) -> Option<&'a Pronoun> {
        let pronoun = self.one_of(&self.words.pronouns);
        // Neither *I see me* nor *I see us*.
        self.use_once(if pronoun.0 == "we" { "I" } else { &pronoun.0 })?;
        Some(pronoun)
    }

    fn noun<S: AsRef<str>>(&mut self, names: &[S]) -> Option<&'a Noun> {
        self.unused(self.words.nouns_of(names))
    }

    fn unused(&mut self, nouns: Vec<&'a Noun>) -> Option<&'a Noun> {
        if nouns.is_empty() {
            return None;
        }
        let noun = *self.one_of(&nouns);
        self.use_once(&noun.singular)?;
        Some(noun)
    }

    fn use_once(&mut self, word: &'a str) -> Option<()> {
        let is_new = !self.used.contains(&word);
        self.used.push(word);
        is_new.then_some(())
    }

    fn one_of<'b, T>(&mut self, items: &'b [T]) -> &'b T {
        one_of(items, self.generator)
    }
}
