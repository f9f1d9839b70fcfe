//! What was recognised, and when it was said.

use serde::Serialize;

/// A word or symbol, and when it was said.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Timed {
    /// The word or symbol.
    pub text: String,
    /// Its beginning, in seconds from the start of the recording.
    pub start: f64,
    /// Its end, in seconds.
    pub end: f64,
    /// How sure the network is of it, from 0 to 1.
    pub confidence: f64,
}

/// What was recognised in a recording.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Transcript {
    /// All that was said.
    pub text: String,
    /// Its words.
    pub words: Vec<Timed>,
    /// The symbols of the network: characters, phonemes, or words again.
    pub symbols: Vec<Timed>,
    /// `ln p`, or the score of the search it was ranked by.
    pub score: f64,
    /// Length of the recording in seconds.
    pub duration: f64,
}

impl Transcript {
    /// The transcript of `file` as an object of JSON on one line: `{"file":…,"text":…,"words":…}`.
    ///
    /// # Errors
    /// None with the types there are.
    pub fn json(&self, file: &str) -> serde_json::Result<String> {
        serde_json::to_string(&Named { file, transcript: self })
    }
}

/// A transcript and whose it is.
#[derive(Serialize)]
struct Named<'a> {
    file: &'a str,
    #[serde(flatten)]
    transcript: &'a Transcript,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_comes_first_in_json() -> serde_json::Result<()> {
        let words = vec![Timed { text: "o\"ne".into(), start: 0.25, end: 0.5, confidence: 0.75 }];
        let text = "o\"ne".to_owned();
        let transcript = Transcript { text, words, symbols: vec![], score: -1.5, duration: 1.0 };
        assert_eq!(
            transcript.json("a\nb.wav")?,
            r#"{"file":"a\nb.wav","text":"o\"ne","words":[{"text":"o\"ne","start":0.25,"end":0.5,"confidence":0.75}],"symbols":[],"score":-1.5,"duration":1.0}"#
        );
        Ok(())
    }
}
