//! What was said as subtitles: SubRip (`.srt`) and WebVTT (`.vtt`).

use std::fmt::Write;
use std::time::Duration;

use app_kit::UsageError;

use crate::Transcript;

/// How words become cues, the pieces of text that are shown one after the other.
///
/// ```
/// use speech::subtitles::{SubtitleConfig, srt};
/// use speech::{Timed, Transcript};
///
/// # fn main() -> anyhow::Result<()> {
/// let word = |text: &str, start, end| Timed { text: text.into(), start, end, confidence: 1.0 };
/// let words = vec![word("three", 0.2, 0.6), word("one", 0.6, 0.9), word("four", 4.0, 4.5)];
/// let said = Transcript { text: "three one four".into(), words, symbols: vec![], score: -1.0, duration: 5.0 };
/// let cues = SubtitleConfig::default().cues(&said)?;
/// assert_eq!(
///     srt(&cues),
///     "1\n00:00:00,200 --> 00:00:01,200\nthree one\n\n2\n00:00:04,000 --> 00:00:05,000\nfour\n\n"
/// );
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct SubtitleConfig {
    /// Characters of a cue at most, two lines of 42 on a screen; a longer word has one to itself.
    pub characters: usize,
    /// How long a cue is shown at most, in seconds.
    pub longest: f64,
    /// How long it is shown at least, in seconds, where the next one leaves it the time.
    pub shortest: f64,
    /// A silence that is worth a new cue although the words would have room in one, in seconds.
    pub pause: f64,
}

impl Default for SubtitleConfig {
    fn default() -> Self {
        Self { characters: 84, longest: 7.0, shortest: 1.0, pause: 1.0 }
    }
}

/// A piece of text and when it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cue {
    /// Its words, with blanks between.
    pub text: String,
    /// When it appears, in whole milliseconds from the start of the recording.
    pub start: Duration,
    /// When it goes, later than `start` and not later than the next one appears.
    pub end: Duration,
}

impl SubtitleConfig {
    /// The words of `transcript` as cues in the order of time; none if there are none.
    ///
    /// Of all ways to break the words within `characters` and `longest`, it is the one in which the
    /// least time is lacking to `shortest`; of those, the one with the fewest breaks and the longest
    /// silences at them, a break counting as much as a silence of `pause`; of those, the one with the
    /// most even cues. A cue that would be gone too early stays until there is the next, and, if that
    /// is not enough, appears before its first word.
    ///
    /// # Errors
    /// [`UsageError`] when there is no room for a character or a time is not above 0, or `shortest` is
    /// above `longest`.
    pub fn cues(&self, transcript: &Transcript) -> Result<Vec<Cue>, UsageError> {
        let limits = self.limits()?;
        let words = spoken(transcript);
        let end = milliseconds(transcript.duration).max(words.last().map_or(0, |word| word.end));
        let mut cues: Vec<Cue> = Vec::new();
        let mut free_from = 0;
        for (first, after) in limits.pieces(&words, end) {
            let piece = &words[first..after];
            let next = words.get(after).map_or(end, |word| word.start);
            let start = piece[0].start;
            let said = piece[piece.len() - 1].end.min(start + limits.longest);
            let end = said.max(start + limits.shortest).min(next);
            let start = start.min(end.saturating_sub(limits.shortest)).max(free_from);
            free_from = end;
            let text = piece.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ");
            cues.push(Cue { text, start: Duration::from_millis(start), end: Duration::from_millis(end) });
        }
        Ok(cues)
    }

    fn limits(&self) -> Result<Limits, UsageError> {
        let times = [("longest", self.longest), ("shortest", self.shortest), ("pause", self.pause)];
        for (name, seconds) in times {
            // written so that NaN fails
            if !(0.001..=86_400.0).contains(&seconds) {
                return Err(UsageError::new(format!(
                    "{name} of subtitles is {seconds} s; it must be from 0.001 s to a day"
                )));
            }
        }
        if self.shortest > self.longest || self.characters == 0 {
            return Err(UsageError::new(format!(
                "subtitles of {} characters that last {} to {} s cannot be; give a character at least, and \
                 the shorter time first",
                self.characters, self.shortest, self.longest
            )));
        }
        Ok(Limits {
            characters: self.characters,
            longest: milliseconds(self.longest),
            shortest: milliseconds(self.shortest),
            pause: milliseconds(self.pause),
        })
    }
}

/// [`SubtitleConfig`] in milliseconds.
struct Limits {
    characters: usize,
    longest: u64,
    shortest: u64,
    pause: u64,
}

/// A word as it is shown, in milliseconds.
struct Word {
    text: String,
    characters: usize,
    start: u64,
    end: u64,
}

/// What is bad about a way to break the words: milliseconds too short, breaks less the silences at them in
/// milliseconds, squares of the cues' characters.
type Cost = (u64, i64, u64);

impl Limits {
    /// The first word of each cue and the one after its last.
    fn pieces(&self, words: &[Word], end: u64) -> Vec<(usize, usize)> {
        // the cheapest way to break the words before each, and where its last cue begins
        let mut best: Vec<(Cost, usize)> = vec![((0, 0, 0), 0)];
        for after in 1..=words.len() {
            let next = words.get(after).map_or(end, |word| word.start);
            let silence = next - words[after - 1].end;
            let mut characters = 0;
            let mut cheapest: Option<(Cost, usize)> = None;
            for first in (0..after).rev() {
                characters += words[first].characters + usize::from(first + 1 < after);
                let time = words[after - 1].end - words[first].start;
                let alone = first + 1 == after;
                if !alone && (characters > self.characters || time > self.longest) {
                    break;
                }
                let lacking = self.shortest.saturating_sub(next - words[first].start);
                let (before, _) = best[first];
                let cost = (
                    before.0 + lacking,
                    before.1 + self.pause as i64 - silence as i64,
                    before.2 + (characters as u64).pow(2),
                );
                if cheapest.is_none_or(|(least, _)| cost < least) {
                    cheapest = Some((cost, first));
                }
            }
            best.extend(cheapest);
        }
        let mut pieces = Vec::new();
        let mut after = words.len();
        while after > 0 {
            let (_, first) = best[after];
            pieces.push((first, after));
            after = first;
        }
        pieces.reverse();
        pieces
    }
}

/// The words that have letters, in whole milliseconds, none without length and none before the end of the
/// one before.
fn spoken(transcript: &Transcript) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let mut free_from = 0;
    for word in &transcript.words {
        // a line break would end the cue
        let text = word.text.split_whitespace().collect::<Vec<_>>().join(" ");
        if text.is_empty() {
            continue;
        }
        let start = milliseconds(word.start).max(free_from);
        let end = milliseconds(word.end).max(start + 1);
        free_from = end;
        words.push(Word { characters: text.chars().count(), text, start, end });
    }
    words
}

/// Whole milliseconds; 0 for what is negative or no number, and a thousand hours at most.
fn milliseconds(seconds: f64) -> u64 {
    const MOST: u64 = 3_600_000_000;
    ((seconds * 1000.0).round() as u64).min(MOST)
}

/// The cues as a SubRip file; an empty one without any.
pub fn srt(cues: &[Cue]) -> String {
    let mut file = String::new();
    for (number, Cue { text, start, end }) in (1..).zip(cues) {
        // writing to a String cannot fail
        let _ = writeln!(file, "{number}\n{} --> {}\n{text}\n", clock(*start, ','), clock(*end, ','));
    }
    file
}

/// The cues as a WebVTT file (<https://www.w3.org/TR/webvtt1/>); without any it has its first line only,
/// as a file without that one is not WebVTT.
pub fn vtt(cues: &[Cue]) -> String {
    let mut file = "WEBVTT\n".to_owned();
    for Cue { text, start, end } in cues {
        let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let _ = write!(file, "\n{} --> {}\n{text}\n", clock(*start, '.'), clock(*end, '.'));
    }
    file
}

/// `01:02:03.456`.
fn clock(time: Duration, point: char) -> String {
    let seconds = time.as_secs();
    let [hours, minutes, seconds] = [seconds / 3600, seconds / 60 % 60, seconds % 60];
    format!("{hours:02}:{minutes:02}:{seconds:02}{point}{:03}", time.subsec_millis())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timed;
    use proptest::prelude::*;

    fn said(words: &[(&str, f64, f64)], duration: f64) -> Transcript {
        let word = |&(text, start, end): &(&str, f64, f64)| Timed {
            text: text.to_owned(),
            start,
            end,
            confidence: 0.9,
        };
        let words: Vec<Timed> = words.iter().map(word).collect();
        Transcript { text: String::new(), words, symbols: vec![], score: -1.0, duration }
    }

    fn texts(cues: &[Cue]) -> Vec<&str> {
        cues.iter().map(|cue| cue.text.as_str()).collect()
    }

    #[test]
    fn both_formats_are_written_to_the_letter() {
        let cues = [
            Cue {
                text: "a <b> & c".into(),
                start: Duration::from_millis(70),
                end: Duration::from_millis(61_005),
            },
            Cue {
                text: "d".into(),
                start: Duration::from_millis(3_661_001),
                end: Duration::from_secs(363_600),
            },
        ];
        assert_eq!(
            srt(&cues),
            "1\n00:00:00,070 --> 00:01:01,005\na <b> & c\n\n2\n01:01:01,001 --> 101:00:00,000\nd\n\n"
        );
        assert_eq!(
            vtt(&cues),
            "WEBVTT\n\n00:00:00.070 --> 00:01:01.005\na &lt;b&gt; &amp; c\n\n\
             01:01:01.001 --> 101:00:00.000\nd\n"
        );
    }

    #[test]
    fn nothing_said_is_an_empty_file() -> Result<(), UsageError> {
        let cues = SubtitleConfig::default().cues(&said(&[(" ", 0.0, 1.0)], 3.0))?;
        assert_eq!((srt(&cues).as_str(), vtt(&cues).as_str()), ("", "WEBVTT\n"));
        Ok(())
    }

    #[test]
    fn words_are_broken_at_the_longest_silences_that_the_limits_allow() -> Result<(), UsageError> {
        // 12 characters: two words of five and a blank; the silence after "cccc" is the longest
        let words = [
            ("aaaaa", 0.0, 1.0),
            ("bbb", 1.1, 2.0),
            ("cc", 2.1, 3.0),
            ("dddd", 3.6, 4.0),
            ("ee", 4.0, 5.0),
            ("ff", 5.1, 6.0),
        ];
        let config = SubtitleConfig { characters: 12, ..SubtitleConfig::default() };
        assert_eq!(texts(&config.cues(&said(&words, 6.0))?), ["aaaaa bbb cc", "dddd ee ff"]);
        // a silence longer than `pause` is a break although all would fit
        let whole = SubtitleConfig::default();
        assert_eq!(whole.cues(&said(&words, 6.0))?.len(), 1);
        let pause = SubtitleConfig { pause: 0.5, ..whole };
        assert_eq!(texts(&pause.cues(&said(&words, 6.0))?), ["aaaaa bbb cc", "dddd ee ff"]);
        // without silences the cues are even
        let even: Vec<(&str, f64, f64)> = (0..5).map(|i| ("xx", i as f64, i as f64 + 1.0)).collect();
        let three = SubtitleConfig { characters: 11, ..SubtitleConfig::default() };
        let cues = three.cues(&said(&even, 5.0))?;
        assert!(cues.len() == 2 && cues.iter().all(|cue| cue.text.len() >= 5), "{cues:?}");
        Ok(())
    }

    #[test]
    fn a_short_cue_stays_until_the_next_and_else_comes_earlier() -> Result<(), UsageError> {
        let times = |config: &SubtitleConfig, words: &[(&str, f64, f64)], duration| {
            let cues = config.cues(&said(words, duration))?;
            Ok::<_, UsageError>(
                cues.iter().map(|cue| (cue.start.as_millis(), cue.end.as_millis())).collect::<Vec<_>>(),
            )
        };
        let config = SubtitleConfig::default();
        assert_eq!(times(&config, &[("a", 2.0, 2.1)], 9.0)?, [(2000, 3000)]);
        assert_eq!(times(&config, &[("a", 2.0, 2.1)], 2.4)?, [(1400, 2400)]);
        assert_eq!(times(&config, &[("a", 0.1, 0.2)], 0.4)?, [(0, 400)]);
        // the silence before "b" is worth a break, but it would be gone after 0.2 s
        let words = [("a", 0.0, 1.0), ("b", 1.5, 1.6), ("ccc", 1.7, 3.0)];
        let narrow = SubtitleConfig { characters: 3, pause: 0.3, ..config };
        assert_eq!(texts(&narrow.cues(&said(&words, 3.0))?), ["a b", "ccc"]);
        let hasty = SubtitleConfig { shortest: 0.1, ..narrow };
        assert_eq!(texts(&hasty.cues(&said(&words, 3.0))?), ["a", "b", "ccc"]);
        Ok(())
    }

    #[test]
    fn a_word_beyond_the_limits_stands_alone() -> Result<(), UsageError> {
        let config = SubtitleConfig { characters: 4, longest: 2.0, ..SubtitleConfig::default() };
        let cues = config.cues(&said(&[("a", 0.0, 1.0), ("endless", 1.0, 9.0), ("b", 9.0, 10.0)], 10.0))?;
        assert_eq!(texts(&cues), ["a", "endless", "b"]);
        assert_eq!(cues[1].end, Duration::from_secs(3));
        Ok(())
    }

    #[test]
    fn impossible_limits_are_refused() {
        let config = SubtitleConfig::default();
        for config in [
            SubtitleConfig { characters: 0, ..config },
            SubtitleConfig { shortest: 8.0, ..config },
            SubtitleConfig { longest: f64::NAN, ..config },
            SubtitleConfig { pause: -1.0, ..config },
        ] {
            assert!(config.cues(&said(&[], 1.0)).is_err(), "{config:?}");
        }
    }

    proptest! {
        #[test]
        fn all_words_are_shown_once_in_order_within_the_limits(
            words in prop::collection::vec(("[a-z<]{0,9}", -1.0..30.0f64, -0.5..3.0f64), 0..40),
            (characters, longest, pause) in (1usize..40, 1.0..8.0f64, 0.01..2.0f64),
        ) {
            let config = SubtitleConfig { characters, longest, pause, shortest: 1.0 };
            let words: Vec<(&str, f64, f64)> =
                words.iter().map(|(text, start, length)| (text.as_str(), *start, start + length)).collect();
            let cues = config.cues(&said(&words, 20.0)).unwrap();
            let shown: Vec<&str> = cues.iter().flat_map(|cue| cue.text.split(' ')).collect();
            let expected: Vec<&str> =
                words.iter().map(|(text, ..)| *text).filter(|text| !text.is_empty()).collect();
            prop_assert_eq!(shown, expected);
            for cue in &cues {
                prop_assert!(cue.start < cue.end, "{:?}", cue);
                prop_assert!((cue.end - cue.start).as_secs_f64() <= longest + 0.0011, "{:?}", cue);
                prop_assert!(cue.text.len() <= characters || !cue.text.contains(' '), "{:?}", cue);
            }
            for pair in cues.windows(2) {
                prop_assert!(pair[0].end <= pair[1].start, "{:?}", pair);
                // too short only where there is no room for more
                let short = pair[0].end - pair[0].start < Duration::from_millis(999);
                prop_assert!(!short || pair[0].end == pair[1].start, "{:?}", pair);
            }
        }
    }
}
