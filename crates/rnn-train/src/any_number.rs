//! Numbers by name in JSON, which has none for NaN and the infinities: these are text, `"NaN"`,
//! `"inf"`, `"-inf"`, as Python's `float` reads it too.

use std::collections::BTreeMap;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Number {
    Finite(f64),
    Text(String),
    /// What was written for all of them before there was text.
    Null,
}

pub fn serialize<S: Serializer>(numbers: &BTreeMap<String, f64>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(numbers.iter().map(|(name, &number)| {
        let written =
            if number.is_finite() { Number::Finite(number) } else { Number::Text(number.to_string()) };
        (name, written)
    }))
}

pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, f64>, D::Error> {
    let read = |(name, number)| {
        let number = match number {
            Number::Finite(number) => number,
            Number::Text(text) => text.parse().map_err(D::Error::custom)?,
            Number::Null => f64::NAN,
        };
        Ok((name, number))
    };
    BTreeMap::<String, Number>::deserialize(deserializer)?.into_iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Serialize, Deserialize)]
    struct Metrics(#[serde(with = "super")] BTreeMap<String, f64>);

    fn read(text: &str) -> Result<f64, serde_json::Error> {
        Ok(serde_json::from_str::<Metrics>(text)?.0["x"])
    }

    proptest! {
        #[test]
        fn every_number_comes_back(number in prop_oneof![
            any::<f64>(), Just(f64::NAN), Just(f64::INFINITY), Just(f64::NEG_INFINITY),
        ]) {
            let text = serde_json::to_string(&Metrics(BTreeMap::from([("x".to_owned(), number)])))?;
            let back = read(&text)?;
            prop_assert!(back.to_bits() == number.to_bits() || back.is_nan() && number.is_nan(), "{}", text);
        }
    }

    #[test]
    fn integers_and_what_older_versions_wrote_are_read_and_other_text_is_refused() {
        assert_eq!(read(r#"{ "x": 3 }"#).unwrap(), 3.0);
        assert!(read(r#"{ "x": null }"#).unwrap().is_nan());
        assert!(read(r#"{ "x": "many" }"#).is_err());
    }
}
