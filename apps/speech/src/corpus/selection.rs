//! Which recordings are meant.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result};
use app_kit::UsageError;
use app_kit::path::absolute;
use serde::{Deserialize, Serialize};

use super::Utterance;

/// Which recordings are meant, by their fields or by a list. It is written, on the command line and in
/// files, as
///
/// - `FIELD=VALUE[,VALUE…]`: the field has one of these values; `0-4` are also all whole numbers from 0
///   to 4. Fields that are always there are `name` and `text`.
/// - `FIELD!=VALUE[,VALUE…]`: it has none of them.
/// - `list=FILE`, `list!=FILE`: the name stands, or does not stand, in a line of a file, as the official
///   parts of Speech Commands are given.
///
/// ```
/// # use speech::corpus::{Layout, Part, Selection, Source, read};
/// # fn main() -> anyhow::Result<()> {
/// let utterances = read(&Source::Embedded(Part::Validation), &Layout::default())?;
/// let voices: Selection = "voice=40-42,49".parse()?;
/// let (held_out, rest) = voices.partition(utterances)?;
/// assert_eq!((held_out.len(), rest.len()), (60, 90));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Selection {
    condition: Condition,
    /// Whether it is the others that are meant.
    negated: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Condition {
    /// The value of a field is one of these.
    Field(String, Vec<Value>),
    /// The name stands in this file.
    List(PathBuf),
}

/// What a value is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Value {
    text: String,
    /// The numbers that are meant too, if it can be read as a range.
    range: Option<RangeInclusive<u64>>,
}

impl Value {
    fn new(text: &str) -> Self {
        let range = text.split_once('-').and_then(|(from, to)| Some(number(from)?..=number(to)?));
        Self { text: text.to_owned(), range }
    }

    fn is_met_by(&self, value: &str) -> bool {
        let is_in = |range: &RangeInclusive<u64>| number(value).is_some_and(|value| range.contains(&value));
        self.text == value || self.range.as_ref().is_some_and(is_in)
    }
}

/// A whole number, without a sign.
fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

const LIST: &str = "list";

/// The field of an utterance; its name and its text are fields too, unless others are called so.
fn value<'a>(utterance: &'a Utterance, field: &str) -> Option<&'a str> {
    let own = match field {
        "name" => Some(&utterance.name),
        "text" => Some(&utterance.text),
        _ => None,
    };
    utterance.fields.get(field).or(own).map(String::as_str)
}

impl Selection {
    /// What decides on each of `utterances`.
    ///
    /// # Errors
    /// [`UsageError`] for a field that none of them has, and a list that names none of them; a list that
    /// cannot be read.
    pub fn matcher(&self, utterances: &[Utterance]) -> Result<Matcher<'_>> {
        let listed = match &self.condition {
            Condition::List(path) => listed(path, utterances)?,
            Condition::Field(field, _) => {
                if !utterances.iter().any(|utterance| value(utterance, field).is_some()) {
                    return Err(no_field(field, utterances).into());
                }
                BTreeSet::new()
            }
        };
        Ok(Matcher { selection: self, listed })
    }

    /// The utterances that are meant, and the others.
    ///
    /// # Errors
    /// [`UsageError`] when none is meant, and as [`Selection::matcher`].
    pub fn partition(&self, utterances: Vec<Utterance>) -> Result<(Vec<Utterance>, Vec<Utterance>)> {
        let matcher = self.matcher(&utterances)?;
        if !utterances.iter().any(|utterance| matcher.matches(utterance)) {
            return Err(self.no_utterance(&utterances).into());
        }
        Ok(utterances.into_iter().partition(|utterance| matcher.matches(utterance)))
    }

    fn no_utterance(&self, utterances: &[Utterance]) -> UsageError {
        let values = match &self.condition {
            Condition::Field(field, _) => {
                let values: BTreeSet<_> =
                    utterances.iter().filter_map(|utterance| value(utterance, field)).collect();
                format!(": {field} is {}", some_of(values))
            }
            Condition::List(_) => String::new(),
        };
        UsageError::new(format!("not one of {} recordings has {self}{values}", utterances.len()))
    }
}

/// The first of some names or values, for an error.
fn some_of(values: BTreeSet<&str>) -> String {
    const SHOWN: usize = 12;
    let mut shown: Vec<_> = values.iter().take(SHOWN).map(|value| format!("{value:.40}")).collect();
    if values.len() > SHOWN {
        shown.push(format!("… ({} in all)", values.len()));
    }
    shown.join(", ")
}

fn no_field(field: &str, utterances: &[Utterance]) -> UsageError {
    let fields = utterances.iter().flat_map(|utterance| utterance.fields.keys().map(String::as_str));
    let fields: BTreeSet<_> = fields.chain(["name", "text"]).collect();
    UsageError::new(format!(
        "no recording has a field {field:?}; there are {}. Fields are the columns of a manifest, and the \
         parts of the names of files that --names names",
        some_of(fields)
    ))
}

/// The names in a list, one in each line, of which at least one is that of an utterance.
fn listed(path: &Path, utterances: &[Utterance]) -> Result<BTreeSet<String>> {
    let shown = path.display();
    let bytes = fs::read(path).with_context(|| format!("cannot read the list {shown}"))?;
    let text = app_kit::text::utf8(bytes, path)?;
    let names = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let names: BTreeSet<String> =
        names.map(|name| name.strip_prefix("./").unwrap_or(name).to_owned()).collect();
    let found = utterances.iter().filter(|utterance| names.contains(&utterance.name)).count();
    if found == 0 {
        let example = utterances.first().map_or("", |utterance| &utterance.name);
        return Err(UsageError::new(format!(
            "the list {shown} names none of {} recordings; a line must be a name such as {example}",
            utterances.len()
        ))
        .into());
    }
    if found < names.len() {
        tracing::warn!("{found} of {} names in {shown} are those of recordings", names.len());
    }
    Ok(names)
}

/// A [`Selection`] whose field or list is there.
#[derive(Clone, Debug)]
pub struct Matcher<'a> {
    selection: &'a Selection,
    listed: BTreeSet<String>,
}

impl Matcher<'_> {
    /// Whether an utterance is meant. One without the field has none of the values.
    pub fn matches(&self, utterance: &Utterance) -> bool {
        let is_met = match &self.selection.condition {
            Condition::Field(field, values) => value(utterance, field)
                .is_some_and(|found| values.iter().any(|wanted| wanted.is_met_by(found))),
            Condition::List(_) => self.listed.contains(&utterance.name),
        };
        is_met != self.selection.negated
    }
}

impl FromStr for Selection {
    type Err = UsageError;

    fn from_str(text: &str) -> Result<Self, UsageError> {
        let refused = |why: String| {
            Err(UsageError::new(format!(
                "{text:?} selects no recordings: {why}; write FIELD=VALUE,VALUE, FIELD=0-4, FIELD!=VALUE or \
                 {LIST}=FILE"
            )))
        };
        let Some((field, values)) = text.split_once('=') else {
            return refused("there is no = in it".into());
        };
        let (field, negated) = match field.trim().strip_suffix('!') {
            Some(field) => (field.trim(), true),
            None => (field.trim(), false),
        };
        if field.is_empty() || values.trim().is_empty() {
            return refused("a field or its value is missing".into());
        }
        if field == LIST {
            let path = absolute(values.trim());
            return Ok(Self { condition: Condition::List(path), negated });
        }
        let values: Vec<Value> = values.split(',').map(|value| Value::new(value.trim())).collect();
        if values.iter().any(|value| value.text.is_empty()) {
            return refused("between two commas is nothing".into());
        }
        let reversed = values.iter().find(|value| value.range.as_ref().is_some_and(RangeInclusive::is_empty));
        if let Some(value) = reversed {
            return refused(format!("no number lies in {}", value.text));
        }
        Ok(Self { condition: Condition::Field(field.to_owned(), values), negated })
    }
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.negated { "!=" } else { "=" };
        match &self.condition {
            Condition::Field(field, values) => {
                let values: Vec<_> = values.iter().map(|value| value.text.as_str()).collect();
                write!(f, "{field}{sign}{}", values.join(","))
            }
            Condition::List(path) => write!(f, "{LIST}{sign}{}", path.display()),
        }
    }
}

impl TryFrom<String> for Selection {
    type Error = UsageError;

    fn try_from(text: String) -> Result<Self, UsageError> {
        text.parse()
    }
}

impl From<Selection> for String {
    fn from(selection: Selection) -> Self {
        selection.to_string()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::super::Sound;
    use super::*;

    fn utterances() -> Vec<Utterance> {
        let named = |(speaker, index): (&str, &str)| Utterance {
            name: format!("7_{speaker}_{index}.wav"),
            text: "seven".into(),
            fields: BTreeMap::from([("speaker".into(), speaker.into()), ("index".into(), index.into())]),
            sound: Sound::File(PathBuf::new()),
        };
        [("theo", "0"), ("theo", "05"), ("jackson", "4"), ("george", "11"), ("george", "0-4")]
            .map(named)
            .into()
    }

    /// The speakers and indices that are meant.
    fn chosen(selection: &str) -> String {
        let selection: Selection = selection.parse().unwrap();
        let (chosen, _) = selection.partition(utterances()).unwrap();
        let shown =
            chosen.iter().map(|said| format!("{}{} ", &said.fields["speaker"][..1], said.fields["index"]));
        shown.collect()
    }

    fn message(selection: &str) -> String {
        match selection.parse::<Selection>() {
            Ok(selection) => {
                let error = selection.partition(utterances()).unwrap_err();
                assert!(error.is::<UsageError>(), "{error}");
                error.to_string()
            }
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_field_has_one_of_several_values_or_a_number_in_a_range() {
        assert_eq!(chosen("speaker=theo"), "t0 t05 ");
        assert_eq!(chosen("speaker = theo, jackson"), "t0 t05 j4 ");
        assert_eq!(chosen("speaker!=theo,jackson"), "g11 g0-4 ");
        assert_eq!(chosen("index=0-4"), "t0 j4 g0-4 ");
        assert_eq!(chosen("index!=0-4,11"), "t05 ");
        assert_eq!(chosen("index=5-10"), "t05 ");
        assert_eq!(chosen("name=7_jackson_4.wav"), "j4 ");
        assert_eq!(chosen("text=seven"), "t0 t05 j4 g11 g0-4 ");
    }

    #[test]
    fn a_list_names_what_is_meant() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("testing_list.txt");
        fs::write(&path, "7_george_11.wav\r\n./7_theo_0.wav\n\n8_theo_0.wav\n").unwrap();
        assert_eq!(chosen(&format!("list={}", path.display())), "t0 g11 ");
        assert_eq!(chosen(&format!("list!={}", path.display())), "t05 j4 g0-4 ");
        fs::write(&path, "yes/a.wav\n").unwrap();
        let message = message(&format!("list={}", path.display()));
        assert!(message.contains("names none of 5") && message.contains("7_theo_0.wav"), "{message}");
        let missing: Selection = "list=none.txt".parse().unwrap();
        assert!(missing.partition(utterances()).unwrap_err().to_string().contains("none.txt"));
    }

    #[test]
    fn fields_and_values_that_are_not_there_are_told_with_those_that_are() {
        assert!(message("voice=1").contains("there are index, name, speaker, text."));
        assert!(message("speaker=yweweler").contains("speaker is george, jackson, theo"));
        assert!(message("speaker!=george,jackson,theo").contains("not one of 5 recordings"));
    }

    #[test]
    fn what_selects_nothing_says_why() {
        for (selection, why) in [
            ("speaker", "no ="),
            ("=theo", "missing"),
            ("!=theo", "missing"),
            ("speaker=", "missing"),
            ("speaker=a,,b", "nothing"),
            ("index=4-0", "no number lies in 4-0"),
        ] {
            assert!(message(selection).contains(why), "{}", message(selection));
        }
    }

    #[test]
    fn a_selection_is_a_string_in_a_file() {
        let selection: Selection = "index!=0-4, 9".parse().unwrap();
        let json = serde_json::to_string(&selection).unwrap();
        assert_eq!(json, "\"index!=0-4,9\"");
        assert_eq!(serde_json::from_str::<Selection>(&json).unwrap(), selection);
        assert!(serde_json::from_str::<Selection>("\"index\"").is_err());
    }

    proptest! {
        #[test]
        fn what_is_parsed_is_shown_and_parsed_again(text in "[a-z!=,0-9é -]{0,12}") {
            if let Ok(selection) = text.parse::<Selection>() {
                prop_assert_eq!(selection.to_string().parse::<Selection>().unwrap(), selection);
            }
        }

        #[test]
        fn a_selection_and_its_negation_part_all_utterances(
            field in prop::sample::select(&["speaker", "index", "name", "text"]), values in "[a-z0-9-]{1,8}",
        ) {
            let all = utterances();
            let [is, is_not] = ["=", "!="].map(|sign| format!("{field}{sign}{values}").parse::<Selection>());
            let (Ok(is), Ok(is_not)) = (is, is_not) else { return Ok(()) };
            let (is, is_not) = (is.matcher(&all).unwrap(), is_not.matcher(&all).unwrap());
            prop_assert!(all.iter().all(|utterance| is.matches(utterance) != is_not.matches(utterance)));
        }
    }
}
