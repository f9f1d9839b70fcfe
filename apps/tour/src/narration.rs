//! What the tour says: the messages of `narration/en.ftl` and `narration/zh-Hant.ftl`.

use std::fmt::Display;

use clap::ValueEnum;
use fluent_bundle::{FluentArgs, FluentBundle, FluentResource};

/// A language in which the tour is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Language {
    /// English
    #[default]
    #[value(name = "en")]
    English,
    /// Chinese in traditional characters, the language of the article
    #[value(name = "zh-Hant")]
    Chinese,
}

impl Language {
    /// Its name in HTML and on the command line.
    pub fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh-Hant",
        }
    }

    fn messages(self) -> &'static str {
        match self {
            Self::English => include_str!("../narration/en.ftl"),
            Self::Chinese => include_str!("../narration/zh-Hant.ftl"),
        }
    }
}

/// A variable of a message, and what stands for it.
pub type Value<'a> = (&'a str, &'a dyn Display);

/// All messages in one language.
pub struct Narration {
    language: Language,
    messages: FluentBundle<FluentResource>,
}

impl Narration {
    /// The messages in `language`.
    pub fn new(language: Language) -> Self {
        let resource = FluentResource::try_new(language.messages().to_owned());
        let resource = resource.unwrap_or_else(|(_, errors)| panic!("{language:?}: {errors:?}"));
        let tag = language.tag().parse().expect("the tag is that of a language");
        let mut messages = FluentBundle::new(vec![tag]);
        messages.set_use_isolating(false);
        messages.add_resource(resource).expect("a message is there once");
        Self { language, messages }
    }

    /// The language of the messages.
    pub fn language(&self) -> Language {
        self.language
    }

    /// The message `id` with `values` for its variables.
    ///
    /// # Panics
    /// When there is no such message, or it has a variable without a value: the tests tell all chapters in all
    /// languages.
    pub fn say(&self, id: &str, values: &[Value]) -> String {
        let message = self.messages.get_message(id).and_then(|message| message.value());
        let message = message.unwrap_or_else(|| panic!("there is no message {id}"));
        let mut arguments = FluentArgs::new();
        for (name, value) in values {
            arguments.set(*name, value.to_string());
        }
        let mut errors = Vec::new();
        let said = self.messages.format_pattern(message, Some(&arguments), &mut errors).into_owned();
        assert!(errors.is_empty(), "the message {id}: {errors:?}");
        said
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use fluent_syntax::ast::{Entry, Expression, InlineExpression, PatternElement};

    use super::*;

    /// The variables of each message.
    fn messages(language: Language) -> BTreeMap<String, BTreeSet<String>> {
        let resource = FluentResource::try_new(language.messages().to_owned()).expect("the file is read");
        let message = |entry: &Entry<&str>| match entry {
            Entry::Message(message) => Some((message.id.name.to_owned(), variables(entry))),
            Entry::Comment(_) | Entry::GroupComment(_) | Entry::ResourceComment(_) => None,
            other => panic!("{language:?}: {other:?} is no message"),
        };
        resource.entries().filter_map(message).collect()
    }

    fn variables(entry: &Entry<&str>) -> BTreeSet<String> {
        let Entry::Message(message) = entry else { return BTreeSet::new() };
        let pattern = message.value.as_ref().expect("a message says something");
        let variable = |element: &PatternElement<&str>| match element {
            PatternElement::TextElement { .. } => None,
            PatternElement::Placeable {
                expression: Expression::Inline(InlineExpression::VariableReference { id }),
            } => Some(id.name.to_owned()),
            PatternElement::Placeable { expression } => panic!("{expression:?} is no variable"),
        };
        pattern.elements.iter().filter_map(variable).collect()
    }

    /// The sources of the chapters, without their tests.
    fn sources() -> Vec<String> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
        let paths =
            std::fs::read_dir(folder).expect("there are sources").map(|entry| entry.expect("a file").path());
        let told = |source: String| source.split("\nmod tests {").next().unwrap_or_default().to_owned();
        paths.map(|path| told(std::fs::read_to_string(path).expect("a text"))).collect()
    }

    /// The quoted names in all calls that take the name of a message: those before the values.
    fn called() -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for source in sources() {
            for call in ["say", "paragraph", "entry", "drawing", "recording"] {
                for arguments in source.split(&format!(".{call}(")).skip(1) {
                    let before_values = arguments.split(['[', ';']).next().unwrap_or_default();
                    names.extend(before_values.split('"').skip(1).step_by(2).map(str::to_owned));
                }
            }
        }
        names
    }

    #[test]
    fn all_languages_have_the_same_messages_with_the_same_variables() {
        assert_eq!(messages(Language::English), messages(Language::Chinese));
    }

    #[test]
    fn every_message_that_is_called_is_there_and_every_message_is_called() {
        let messages: BTreeSet<String> = messages(Language::English).into_keys().collect();
        let called = called();
        assert!(called.len() > 80 && called.is_subset(&messages), "{:?}", called.difference(&messages));
        let sources = sources().concat();
        let idle = messages.iter().filter(|name| !sources.contains(&format!("\"{name}\"")));
        assert_eq!(idle.collect::<Vec<_>>(), Vec::<&String>::new());
    }

    #[test]
    fn a_message_has_its_values_and_nothing_around_them() {
        let narration = Narration::new(Language::English);
        assert_eq!(narration.say("passes", &[("count", &5.0)]), "5 passes");
        assert_eq!(Narration::new(Language::Chinese).say("passes", &[("count", &"5")]), "5 遍");
    }

    #[test]
    #[should_panic(expected = "there is no message epilogue")]
    fn a_message_that_is_missing_is_not_passed_over() {
        Narration::new(Language::English).say("epilogue", &[]);
    }

    #[test]
    #[should_panic(expected = "the message passes")]
    fn a_value_that_is_missing_is_not_passed_over() {
        Narration::new(Language::English).say("passes", &[]);
    }
}
