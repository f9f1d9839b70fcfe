//! What one symbol of a sequence is.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Error;

/// The unit a text is cut into.
///
/// Written and parsed as `char`, `byte`, `bpe` or `word`, on the command line and in files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Units {
    /// Unicode scalar values; the vocabulary is those that occur in the training text.
    #[default]
    Char,
    /// The 256 bytes; every file can be encoded, text or not.
    Byte,
    /// Byte-level byte-pair encoding (Sennrich et al. 2016; bytes as in GPT-2, Radford et al.
    /// 2019), learnt from the training text; every text can be encoded.
    Bpe,
    /// Words and punctuation marks; rare words become `<unk>` and blanks are not kept.
    Word,
}

impl Units {
    /// All units, in the order in which help texts list them.
    pub const ALL: [Units; 4] = [Units::Char, Units::Byte, Units::Bpe, Units::Word];

    /// The name on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            Units::Char => "char",
            Units::Byte => "byte",
            Units::Bpe => "bpe",
            Units::Word => "word",
        }
    }

    /// What to call many of them in a report, for example in "12,000 characters/s".
    pub fn plural(self) -> &'static str {
        match self {
            Units::Char => "characters",
            Units::Byte => "bytes",
            Units::Bpe => "tokens",
            Units::Word => "words",
        }
    }
}

impl fmt::Display for Units {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Units {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Units::ALL
            .into_iter()
            .find(|units| units.name() == name)
            .ok_or_else(|| Error::UnknownUnits(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_parsed_from_its_own_name() {
        for units in Units::ALL {
            assert_eq!(units.to_string().parse::<Units>().unwrap(), units);
            let json = serde_json::to_string(&units).unwrap();
            assert_eq!(json, format!("\"{units}\""));
        }
    }

    #[test]
    fn an_unknown_unit_is_refused_with_the_choices() {
        let message = "syllable".parse::<Units>().unwrap_err().to_string();
        assert!(message.contains("syllable") && message.contains("char, byte, bpe or word"));
    }
}
