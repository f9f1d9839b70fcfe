//! What the names of files say.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use app_kit::UsageError;
use serde::{Deserialize, Serialize};

/// How the names of files are composed, such as `{label}_{speaker}_{index}`: the fields in braces,
/// between them what stands in every name. The field `label` is what is said.
///
/// It is compared with a name without its ending, and with as many folders before it as the pattern
/// has: `{speaker}/{label}_{index}`. A field is at least one character long, and ends where what
/// follows it in the pattern is found first.
///
/// ```
/// let pattern: speech::corpus::NamePattern = "{label}_{speaker}_{index}".parse()?;
/// let fields = pattern.fields("recordings/7_theo_12.wav").expect("the name fits");
/// assert_eq!(fields["label"], "7");
/// assert_eq!(fields["speaker"], "theo");
/// # Ok::<(), app_kit::UsageError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NamePattern {
    /// What stands before the first field.
    before: String,
    /// Each field, and what stands between it and the next; never nothing.
    fields: Vec<(String, String)>,
}

/// The field that is what is said.
pub(super) const LABEL: &str = "label";

impl NamePattern {
    /// The fields in the name of a file; none if it does not fit.
    pub fn fields(&self, name: &str) -> Option<BTreeMap<String, String>> {
        let folders = self.to_string().matches('/').count();
        let stem = stem(name);
        let start = stem.rmatch_indices('/').nth(folders).map_or(0, |(at, _)| at + 1);
        let mut rest = stem[start..].strip_prefix(&self.before)?;
        let mut found = BTreeMap::new();
        for (place, (field, after)) in self.fields.iter().enumerate() {
            let end = if place + 1 == self.fields.len() {
                rest.strip_suffix(after.as_str())?.len()
            } else {
                let first = rest.chars().next()?.len_utf8();
                first + rest[first..].find(after)?
            };
            if end == 0 {
                return None;
            }
            found.insert(field.clone(), rest[..end].to_owned());
            rest = &rest[end + after.len()..];
        }
        Some(found)
    }
}

/// The name of a file without its ending.
pub(super) fn stem(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((stem, ending)) if !ending.contains('/') => stem,
        _ => name,
    }
}

impl FromStr for NamePattern {
    type Err = UsageError;

    fn from_str(text: &str) -> Result<Self, UsageError> {
        let refused = |why: &str| {
            Err(UsageError::new(format!(
                "{text:?} is no pattern for the names of files: {why}; write it like \
                 {{label}}_{{speaker}}_{{index}}"
            )))
        };
        let mut pieces = text.split('{');
        let before = pieces.next().unwrap_or_default().to_owned();
        let mut fields: Vec<(String, String)> = Vec::new();
        for piece in pieces {
            let Some((field, after)) = piece.split_once('}') else {
                return refused("a brace is not closed");
            };
            if field.is_empty() || !field.chars().all(|c| c.is_alphanumeric() || "_-".contains(c)) {
                return refused("a field is named by letters, digits, _ and -");
            }
            if fields.iter().any(|(other, _)| other == field) {
                return refused("a field stands in it twice");
            }
            if fields.last().is_some_and(|(_, between)| between.is_empty()) {
                return refused("there is nothing between two fields");
            }
            fields.push((field.to_owned(), after.to_owned()));
        }
        if fields.is_empty() {
            return refused("there is no field in it");
        }
        if before.contains('}') || fields.iter().any(|(_, after)| after.contains('}')) {
            return refused("a brace is not opened");
        }
        Ok(Self { before, fields })
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.before)?;
        self.fields.iter().try_for_each(|(field, after)| write!(f, "{{{field}}}{after}"))
    }
}

impl TryFrom<String> for NamePattern {
    type Error = UsageError;

    fn try_from(text: String) -> Result<Self, UsageError> {
        text.parse()
    }
}

impl From<NamePattern> for String {
    fn from(pattern: NamePattern) -> Self {
        pattern.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(pattern: &str, name: &str) -> Option<String> {
        let fields = pattern.parse::<NamePattern>().unwrap().fields(name)?;
        Some(fields.into_iter().map(|(field, value)| format!("{field}={value} ")).collect())
    }

    #[test]
    fn fields_lie_between_what_the_names_have_in_common() {
        assert_eq!(found("{label}_{who}", "7_theo.wav").unwrap(), "label=7 who=theo ");
        assert_eq!(found("{label}_{rest}", "a/b/x_y_z.w.wav").unwrap(), "label=x rest=y_z.w ");
        assert_eq!(found("{who}_nohash_{index}", "on/3f_a_nohash_0.wav").unwrap(), "index=0 who=3f_a ");
        assert_eq!(found("{who}/{label}", "all/theo/seven.wav").unwrap(), "label=seven who=theo ");
        assert_eq!(found("say-{label}!", "say-é!!.wav").unwrap(), "label=é! ");
    }

    #[test]
    fn names_without_one_of_the_fields_do_not_fit() {
        for name in ["7.wav", "_7.wav", "7_.wav", "7", ""] {
            assert_eq!(found("{label}_{who}", name), None, "{name}");
        }
        assert_eq!(found("{who}/{label}", "seven.wav"), None);
        assert_eq!(found("a{label}b", "ab.wav"), None);
    }

    #[test]
    fn what_is_no_pattern_says_why() {
        for (text, why) in [
            ("label", "no field"),
            ("{label", "not closed"),
            ("{a}_}{b}", "not opened"),
            ("{}_{a}", "named by"),
            ("{a}{b}", "nothing between"),
            ("{a}_{a}", "twice"),
        ] {
            let message = text.parse::<NamePattern>().unwrap_err().to_string();
            assert!(message.contains(why), "{message}");
        }
    }

    proptest! {
        #[test]
        fn what_is_put_into_a_pattern_is_found_again(
            label in "[a-z0-9é]{1,5}", who in "[a-z]{1,4}", index in "[0-9_]{1,4}", folder in "[a-z/._]{0,6}",
        ) {
            let fields: NamePattern = "{label}_{who}-{index}".parse().unwrap();
            let fields = fields.fields(&format!("{folder}/{label}_{who}-{index}.flac")).unwrap();
            prop_assert_eq!(fields.into_values().collect::<Vec<_>>(), vec![index, label, who]);
        }

        #[test]
        fn no_text_makes_parser_or_search_panic(text in "[{}/_a-cé.]{0,12}", name in "[/_a-cé.]{0,12}") {
            if let Ok(pattern) = text.parse::<NamePattern>() {
                prop_assert_eq!(&pattern.to_string(), &text);
                if let Some(fields) = pattern.fields(&name) {
                    prop_assert!(fields.values().all(|value| !value.is_empty() && name.contains(value)));
                }
            }
        }
    }
}
