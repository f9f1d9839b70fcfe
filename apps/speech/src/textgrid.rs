//! Segments as [Praat](https://www.praat.org) reads and writes them: a TextGrid.

use std::fmt;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use crate::{Timed, Transcript};

/// Tiers of intervals on one axis of time. It [displays](fmt::Display) as a text file in Praat's long
/// format.
///
/// ```
/// use speech::Timed;
/// use speech::textgrid::TextGrid;
///
/// # fn main() -> anyhow::Result<()> {
/// let word = Timed { text: "one".into(), start: 0.2, end: 0.5, confidence: 1.0 };
/// let grid = TextGrid::new(1.0)?.with_tier("words", &[word]);
/// assert_eq!(grid.tiers[0].intervals.len(), 3); // a silence before and one after
/// assert_eq!(TextGrid::parse(&grid.to_string())?, grid);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct TextGrid {
    /// Its end, in seconds from the start of the recording.
    pub duration: f64,
    /// The tiers from top to bottom.
    pub tiers: Vec<Tier>,
}

/// Intervals one after the other.
#[derive(Clone, Debug, PartialEq)]
pub struct Tier {
    /// What it is called.
    pub name: String,
    /// Its intervals in the order of time, each beginning where the one before ends.
    pub intervals: Vec<Interval>,
}

/// A part of a tier.
#[derive(Clone, Debug, PartialEq)]
pub struct Interval {
    /// What is said in it; nothing in silence.
    pub text: String,
    /// Its beginning in seconds.
    pub start: f64,
    /// Its end in seconds, after the beginning.
    pub end: f64,
}

impl TextGrid {
    /// A grid of `duration` seconds, which become whole microseconds, without tiers.
    ///
    /// # Errors
    /// When the duration is not a number above 0: Praat knows no empty grid.
    pub fn new(duration: f64) -> Result<Self> {
        let rounded = microseconds(duration);
        ensure!(
            rounded > 0.0 && rounded.is_finite(),
            "a recording of {duration} s has no TextGrid; its length must be above 0"
        );
        Ok(Self { duration: rounded, tiers: Vec::new() })
    }

    /// The words and the symbols of a transcript, in tiers of these names.
    ///
    /// # Errors
    /// When the recording has no length.
    pub fn of(transcript: &Transcript) -> Result<Self> {
        let grid = Self::new(transcript.duration)?;
        Ok(grid.with_tier("words", &transcript.words).with_tier("symbols", &transcript.symbols))
    }

    /// Puts a tier below the others: `segments` in the order of their starts, and empty intervals where
    /// there are none.
    ///
    /// Intervals cannot overlap. A segment ends where the next one starts if not before; those that start
    /// together share, in their order, the time from there to the next start, or to where the last of them
    /// ends. Times become whole microseconds. What has no length within the grid then, or a time that is
    /// no number, is left out.
    #[must_use]
    pub fn with_tier(mut self, name: &str, segments: &[Timed]) -> Self {
        let mut intervals = Vec::new();
        let mut filled = 0.0;
        for interval in apart(segments, self.duration) {
            if interval.start > filled {
                intervals.push(Interval { text: String::new(), start: filled, end: interval.start });
            }
            filled = interval.end;
            intervals.push(interval);
        }
        if filled < self.duration {
            intervals.push(Interval { text: String::new(), start: filled, end: self.duration });
        }
        self.tiers.push(Tier { name: name.to_owned(), intervals });
        self
    }

    /// The first tier of that name.
    pub fn tier(&self, name: &str) -> Option<&Tier> {
        self.tiers.iter().find(|tier| tier.name == name)
    }

    /// Reads a text file, long or short, in UTF-8 or, as Praat also writes, in UTF-16. Tiers of points are
    /// passed over.
    ///
    /// # Errors
    /// A file that cannot be read, or is none of these; what is wrong with it and where.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        decoded(&bytes)
            .and_then(|text| Self::parse(&text))
            .with_context(|| format!("{} is not a TextGrid that can be read", path.display()))
    }

    /// What a text file says: [`TextGrid::read`].
    ///
    /// # Errors
    /// A text that is no TextGrid.
    pub fn parse(text: &str) -> Result<Self> {
        let mut values = Values { rest: text, line: 1 };
        let (file, class) = (values.string("the file type")?, values.string("the object class")?);
        ensure!(
            file.starts_with("ooTextFile") && class == "TextGrid",
            "the file type is {file:?} and the object class {class:?}; save a TextGrid as a text file"
        );
        let (start, duration) = (values.number("the start")?, values.number("the end")?);
        ensure!(start <= duration, "line {}: the grid ends at {duration} s before it starts", values.line);
        let flag = values.next("whether there are tiers")?;
        let mut grid = Self { duration, tiers: Vec::new() };
        match flag {
            Value::Flag("exists") => (),
            Value::Flag("absent") => return Ok(grid),
            other => bail!("line {}: {other:?} stands in the place of <exists>", values.line),
        }
        for _ in 0..values.count("the number of tiers")? {
            let class = values.string("the class of a tier")?;
            let name = values.string("the name of a tier")?;
            values.number("the start of a tier")?;
            values.number("the end of a tier")?;
            let count = values.count("the number of intervals")?;
            match class.as_str() {
                "IntervalTier" => {
                    grid.tiers.push(Tier { name, intervals: values.intervals(count)? });
                }
                "TextTier" => {
                    for _ in 0..count {
                        values.number("the time of a point")?;
                        values.string("the mark of a point")?;
                    }
                }
                _ => bail!("line {}: a tier is an IntervalTier or a TextTier, not {class:?}", values.line),
            }
        }
        Ok(grid)
    }
}

impl Tier {
    /// The intervals in which something is said, as sure as can be.
    pub fn segments(&self) -> Vec<Timed> {
        let spoken = self.intervals.iter().filter(|interval| !interval.text.trim().is_empty());
        let timed = |Interval { text, start, end }: &Interval| Timed {
            text: text.clone(),
            start: *start,
            end: *end,
            confidence: 1.0,
        };
        spoken.map(timed).collect()
    }
}

impl fmt::Display for TextGrid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (duration, size) = (self.duration, self.tiers.len());
        writeln!(f, "File type = \"ooTextFile\"\nObject class = \"TextGrid\"\n")?;
        writeln!(f, "xmin = 0\nxmax = {duration}\ntiers? <exists>\nsize = {size}\nitem []:")?;
        for (number, Tier { name, intervals }) in (1..).zip(&self.tiers) {
            writeln!(f, "    item [{number}]:\n        class = \"IntervalTier\"")?;
            writeln!(f, "        name = {}", Quoted(name))?;
            writeln!(f, "        xmin = 0\n        xmax = {duration}")?;
            writeln!(f, "        intervals: size = {}", intervals.len())?;
            for (number, Interval { text, start, end }) in (1..).zip(intervals) {
                writeln!(f, "        intervals [{number}]:")?;
                writeln!(f, "            xmin = {start}\n            xmax = {end}")?;
                writeln!(f, "            text = {}", Quoted(text))?;
            }
        }
        Ok(())
    }
}

/// A text between quotes, those within it doubled.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.replace('"', "\"\""))
    }
}

/// `seconds` to the next millionth, so that times that differ by rounding are one.
fn microseconds(seconds: f64) -> f64 {
    (seconds * 1e6).round() / 1e6
}

/// The segments within 0 to `duration` in the order of time, none over another.
fn apart(segments: &[Timed], duration: f64) -> Vec<Interval> {
    let within = |segment: &Timed| {
        let [start, end] = [segment.start, segment.end].map(|time| microseconds(time.clamp(0.0, duration)));
        // written so that NaN fails
        (end > start).then(|| Interval { text: segment.text.clone(), start, end })
    };
    let mut intervals: Vec<Interval> = segments.iter().filter_map(within).collect();
    intervals.sort_by(|a, b| a.start.total_cmp(&b.start));
    let next_starts: Vec<f64> = intervals
        .chunk_by(|a, b| a.start == b.start)
        .map(|together| together[0].start)
        .skip(1)
        .chain([duration])
        .collect();
    let groups = intervals.chunk_by_mut(|a, b| a.start == b.start);
    for (together, next) in groups.zip(next_starts) {
        let start = together[0].start;
        let end = together.iter().fold(start, |end, interval| end.max(interval.end)).min(next);
        let part = (end - start) / together.len() as f64;
        let cut = |count: usize| microseconds(start + part * count as f64);
        for (place, interval) in together.iter_mut().enumerate() {
            (interval.start, interval.end) = (cut(place), cut(place + 1));
        }
    }
    intervals.retain(|interval| interval.end > interval.start);
    intervals
}

/// The characters of a file: UTF-16 if its first two bytes say so.
fn decoded(bytes: &[u8]) -> Result<String> {
    let pairs = |unit: fn([u8; 2]) -> u16| -> Result<String> {
        let units: Vec<u16> = bytes[2..].chunks_exact(2).map(|pair| unit([pair[0], pair[1]])).collect();
        String::from_utf16(&units).context("its UTF-16 is damaged")
    };
    match bytes {
        [0xfe, 0xff, ..] => pairs(u16::from_be_bytes),
        [0xff, 0xfe, ..] => pairs(u16::from_le_bytes),
        _ => {
            let text =
                std::str::from_utf8(bytes).context("it is neither UTF-8 nor UTF-16: save it as UTF-8")?;
            Ok(text.trim_start_matches('\u{feff}').to_owned())
        }
    }
}

/// What a text file says, without what it is called there.
#[derive(Debug, PartialEq)]
enum Value<'a> {
    Number(f64),
    String(String),
    Flag(&'a str),
}

/// A file as Praat reads it: of value what stands between quotes, numbers and `<flags>` that stand
/// free between blanks; all else is for people, as in the long format, or left out, as in the short one.
struct Values<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Values<'a> {
    fn next(&mut self, what: &str) -> Result<Value<'a>> {
        loop {
            self.take(self.rest.len() - self.rest.trim_start().len());
            if self.rest.is_empty() {
                bail!("line {}: the file ends where {what} should stand", self.line);
            }
            if self.rest.starts_with('"') {
                return self.quoted(what).map(Value::String);
            }
            let end = |stops: fn(char) -> bool| self.rest.find(stops).unwrap_or(self.rest.len());
            if self.rest.starts_with('!') {
                self.take(end(|character| character == '\n'));
                continue;
            }
            let word = self.take(end(char::is_whitespace));
            if let Some(flag) = word.strip_prefix('<').and_then(|word| word.strip_suffix('>')) {
                return Ok(Value::Flag(flag));
            }
            // "nan" and "inf" are words
            if let Some(number) = word.parse().ok().filter(|number: &f64| number.is_finite()) {
                return Ok(Value::Number(number));
            }
        }
    }

    /// Goes on by so many bytes, and what they are.
    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.line += taken.matches('\n').count();
        self.rest = rest;
        taken
    }

    /// The text between quotes that begins here.
    fn quoted(&mut self, what: &str) -> Result<String> {
        let line = self.line;
        let mut text = String::new();
        self.take(1);
        loop {
            let Some(quote) = self.rest.find('"') else {
                bail!("line {line}: {what} has no quote at its end");
            };
            text += self.take(quote);
            self.take(1);
            if !self.rest.starts_with('"') {
                return Ok(text);
            }
            text += self.take(1);
        }
    }

    fn string(&mut self, what: &str) -> Result<String> {
        match self.next(what)? {
            Value::String(text) => Ok(text),
            other => bail!("line {}: {what} should be a text between quotes, not {other:?}", self.line),
        }
    }

    fn number(&mut self, what: &str) -> Result<f64> {
        match self.next(what)? {
            Value::Number(number) => Ok(number),
            other => bail!("line {}: {what} should be a number, not {other:?}", self.line),
        }
    }

    fn count(&mut self, what: &str) -> Result<usize> {
        let number = self.number(what)?;
        // more than there are bytes would only be found at the end of the file
        ensure!(
            number >= 0.0 && number.fract() == 0.0 && number <= self.rest.len() as f64,
            "line {}: {what} cannot be {number}",
            self.line
        );
        Ok(number as usize)
    }

    fn intervals(&mut self, count: usize) -> Result<Vec<Interval>> {
        let mut intervals: Vec<Interval> = Vec::new();
        for _ in 0..count {
            let start = self.number("the start of an interval")?;
            let end = self.number("the end of an interval")?;
            let text = self.string("the text of an interval")?;
            let before = intervals.last().map_or(start, |interval| interval.end);
            ensure!(
                before <= start && start <= end,
                "line {}: the interval {text:?} from {start} to {end} s does not follow one that ends at {before} s",
                self.line
            );
            intervals.push(Interval { text, start, end });
        }
        Ok(intervals)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn timed(segments: &[(&str, f64, f64)]) -> Vec<Timed> {
        let timed = |&(text, start, end): &(&str, f64, f64)| Timed {
            text: text.to_owned(),
            start,
            end,
            confidence: 0.5,
        };
        segments.iter().map(timed).collect()
    }

    fn intervals(segments: &[(&str, f64, f64)], duration: f64) -> Vec<(String, f64, f64)> {
        let grid = TextGrid::new(duration).unwrap().with_tier("x", &timed(segments));
        grid.tiers[0]
            .intervals
            .iter()
            .map(|Interval { text, start, end }| (text.clone(), *start, *end))
            .collect()
    }

    #[test]
    fn a_transcript_is_two_tiers_written_to_the_letter() -> Result<()> {
        let transcript = Transcript {
            text: "one".into(),
            words: timed(&[("o\"ne\"", 0.1 + 0.2, 0.75)]),
            symbols: vec![],
            score: -1.0,
            duration: 1.25,
        };
        let expected = r#"File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 1.25
tiers? <exists>
size = 2
item []:
    item [1]:
        class = "IntervalTier"
        name = "words"
        xmin = 0
        xmax = 1.25
        intervals: size = 3
        intervals [1]:
            xmin = 0
            xmax = 0.3
            text = ""
        intervals [2]:
            xmin = 0.3
            xmax = 0.75
            text = "o""ne"""
        intervals [3]:
            xmin = 0.75
            xmax = 1.25
            text = ""
    item [2]:
        class = "IntervalTier"
        name = "symbols"
        xmin = 0
        xmax = 1.25
        intervals: size = 1
        intervals [1]:
            xmin = 0
            xmax = 1.25
            text = ""
"#;
        assert_eq!(TextGrid::of(&transcript)?.to_string(), expected);
        Ok(())
    }

    #[test]
    fn overlapping_segments_are_cut_and_those_that_start_together_share() {
        let list = |of: &[(&str, f64, f64)]| {
            of.iter().map(|&(text, start, end)| (text.to_owned(), start, end)).collect::<Vec<_>>()
        };
        // the later start wins, also over one that lasts longer
        assert_eq!(
            intervals(&[("b", 2.0, 3.0), ("a", 0.0, 4.0)], 4.0),
            list(&[("a", 0.0, 2.0), ("b", 2.0, 3.0), ("", 3.0, 4.0)])
        );
        assert_eq!(
            intervals(&[("a", 0.0, 3.0), ("b", 0.0, 1.0), ("c", 2.0, 9.0)], 4.0),
            list(&[("a", 0.0, 1.0), ("b", 1.0, 2.0), ("c", 2.0, 4.0)])
        );
        // nothing is left of what has no length or lies outside
        let nothing = [("a", 1.0, 1.0), ("b", -2.0, 0.0), ("c", 5.0, 6.0), ("d", f64::NAN, 1.0)];
        assert_eq!(intervals(&nothing, 4.0), list(&[("", 0.0, 4.0)]));
    }

    #[test]
    fn what_praat_writes_is_read() -> Result<()> {
        // the short format, with a tier of points and a comment, in UTF-16
        let short = "File type = \"ooTextFile\"\nObject class = \"TextGrid\"\n\n0\n1.5\n<exists>\n2 ! tiers\n\
            \"TextTier\"\n\"bursts\"\n0\n1.5\n1\n0.7\n\"t [1] = 3\"\n\
            \"IntervalTier\"\n\"phones\"\n0\n1.5\n3\n0\n0.5\n\"\"\n0.5\n1.1\n\"ə\"\n1.1\n1.5\n\" \"\n";
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("a.TextGrid");
        let units: Vec<u16> = std::iter::once(0xfeff).chain(short.encode_utf16()).collect();
        for bytes in [
            units.iter().flat_map(|unit| unit.to_be_bytes()).collect::<Vec<u8>>(),
            units.iter().flat_map(|unit| unit.to_le_bytes()).collect(),
            short.replace('\n', "\r\n").into_bytes(),
            format!("\u{feff}{short}").into_bytes(),
        ] {
            std::fs::write(&path, bytes)?;
            let grid = TextGrid::read(&path)?;
            assert_eq!((grid.duration, grid.tiers.len()), (1.5, 1));
            let segments = grid.tier("phones").context("a tier")?.segments();
            assert_eq!(segments, [Timed { text: "ə".into(), start: 0.5, end: 1.1, confidence: 1.0 }]);
        }
        let long = "File type = \"ooTextFile\"\nObject class = \"TextGrid\"\n\nxmin = 0 \nxmax = 1 \n\
            tiers? <exists> \nsize = 1 \nitem []: \n    item [1]:\n        class = \"IntervalTier\" \n\
            \x20       name = \"a\" \n        xmin = 0 \n        xmax = 1 \n        intervals: size = 1 \n\
            \x20       intervals [1]:\n            xmin = 0 \n            xmax = 1 \n            text = \"b\" \n";
        assert_eq!(TextGrid::parse(long)?.tier("a").context("a tier")?.segments().len(), 1);
        let empty = "\"ooTextFile\" \"TextGrid\" 0 2 <absent>";
        assert_eq!(TextGrid::parse(empty)?, TextGrid::new(2.0)?);
        Ok(())
    }

    #[test]
    fn what_is_wrong_with_a_file_is_named_with_its_line() -> Result<()> {
        let grid = TextGrid::new(1.0)?.with_tier("a", &timed(&[("b", 0.0, 0.5)])).to_string();
        for (from, to, says) in [
            ("TextGrid", "Sound", "the object class \"Sound\""),
            ("size = 1", "size = 1e9", "line 7: the number of tiers cannot be 1000000000"),
            ("size = 1", "size = 2", "line 23: the file ends where the class of a tier should stand"),
            ("IntervalTier", "Tier", "line 14: a tier is an IntervalTier or a TextTier, not \"Tier\""),
            ("xmax = 0.5", "xmax = -1", "line 18: the interval \"b\" from 0 to -1 s does not follow"),
            ("xmin = 0.5", "xmin = 0.4", "line 22: the interval \"\" from 0.4 to 1 s does not follow"),
            ("text = \"b\"", "text = b", "line 20: the text of an interval should be a text between quotes"),
            ("text = \"\"", "text = \"", "line 22: the text of an interval has no quote at its end"),
        ] {
            assert!(grid.contains(from), "{from}");
            let error = TextGrid::parse(&grid.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(error.contains(says), "{from} → {to}: {error}");
        }
        let missing = TextGrid::read(Path::new("missing.TextGrid")).unwrap_err();
        assert!(missing.to_string().contains("cannot read missing.TextGrid"), "{missing}");
        assert!(TextGrid::new(0.0).is_err() && TextGrid::new(f64::NAN).is_err());
        Ok(())
    }

    proptest! {
        #[test]
        fn any_segments_fill_their_tier_and_come_back(
            segments in prop::collection::vec(("\\PC*|[\"\n 0-9!<>]*", -1.0..12.0f64, -1.0..4.0f64), 0..30),
            name in "\\PC*|\"\n",
            duration in 0.001..10.0f64,
        ) {
            let segments: Vec<Timed> = segments
                .into_iter()
                .map(|(text, start, length)| Timed { text, start, end: start + length, confidence: 0.5 })
                .collect();
            let grid = TextGrid::new(duration).unwrap().with_tier(&name, &segments).with_tier("", &[]);
            prop_assert_eq!(&TextGrid::parse(&grid.to_string()).unwrap(), &grid);
            let intervals = &grid.tiers[0].intervals;
            prop_assert_eq!(intervals[0].start, 0.0);
            prop_assert_eq!(intervals[intervals.len() - 1].end, grid.duration);
            prop_assert!(intervals.iter().all(|interval| interval.start < interval.end));
            prop_assert!(intervals.windows(2).all(|pair| pair[0].end == pair[1].start));
        }

        #[test]
        fn segments_that_do_not_overlap_stay_as_they_are(
            parts in prop::collection::vec((0u32..500, 1u32..500), 0..30),
        ) {
            let mut time = 0;
            let mut segments = Vec::new();
            for (number, (silence, length)) in parts.into_iter().enumerate() {
                let start = time + silence;
                time = start + length;
                let [start, end] = [start, time].map(|time| f64::from(time) / 1000.0);
                segments.push(Timed { text: format!("s{number}"), start, end, confidence: 1.0 });
            }
            let duration = f64::from(time) / 1000.0 + 0.5;
            let grid = TextGrid::new(duration).unwrap().with_tier("x", &segments);
            prop_assert_eq!(grid.tiers[0].segments(), segments);
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "(\"|ooTextFile|TextGrid|[0-9.\n <>!]|exists|\\PC)*") {
            let _ = TextGrid::parse(&text);
        }
    }
}
