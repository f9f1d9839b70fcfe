//! Pairs of sentences: where they come from, and which are left out.

use std::fmt;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use app_kit::UsageError;
use app_kit::path::absolute;
use flate2::read::MultiGzDecoder;
use serde::{Deserialize, Serialize};

/// A sentence and its translation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pair {
    /// The sentence.
    pub source: String,
    /// Its translation.
    pub target: String,
}

/// Where pairs come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// Two files of lines, plain or gzip: line n of one is the translation of line n of the other.
    Lines(PathBuf, PathBuf),
    /// A table of tab-separated columns, or one JSON object in each line, plain or gzip.
    Table(PathBuf),
    /// A part of the built-in set of English and Traditional Chinese.
    Embedded(Part),
}

/// A part of the built-in set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// 6,000 pairs to learn from.
    Train,
    /// 300 pairs to choose a model by.
    Validation,
    /// 500 pairs to measure it by.
    Test,
    /// The half of the test pairs that combine words which never stand together in training.
    Unseen,
}

/// The name of the built-in set on the command line.
pub const EMBEDDED: &str = "embedded";
/// The name of its [`Part::Unseen`].
const UNSEEN: &str = "embedded-unseen";

impl Source {
    /// What `--data` and its kin name: one file, two files of lines, or `embedded`.
    ///
    /// # Errors
    /// [`UsageError`] for none or more than two files.
    pub fn named(names: &[String], embedded: Part) -> Result<Self, UsageError> {
        match names {
            [name] if name == EMBEDDED => Ok(Self::Embedded(embedded)),
            [name] if name == UNSEEN => Ok(Self::Embedded(Part::Unseen)),
            [table] => Ok(Self::Table(absolute(table))),
            [source, target] => Ok(Self::Lines(absolute(source), absolute(target))),
            _ => Err(UsageError::new(format!(
                "{} files are too many or too few: give two files of lines, SOURCE TARGET, or one .tsv or \
                 .jsonl with both languages, or `{EMBEDDED}`",
                names.len()
            ))),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lines(source, target) => write!(f, "{} and {}", source.display(), target.display()),
            Self::Table(path) => path.display().fmt(f),
            Self::Embedded(part) => write!(f, "the built-in set ({part:?})"),
        }
    }
}

/// The two languages: columns of a table, keys of JSON objects, `en` and `zh_TW` of the built-in set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Languages {
    /// The column of the sources; without it the first, or the key `source`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The column of the targets; without it the second, or the key `target`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

/// Reads all pairs, with blanks at their ends removed.
///
/// # Errors
/// A file that is missing, empty or not text, files of different numbers of lines (both numbers are
/// named), and lines of a table that lack a column, by file and line.
pub fn read(source: &Source, languages: &Languages) -> Result<Vec<Pair>> {
    let pairs = match source {
        Source::Lines(source, target) => {
            let (sources, targets) = (text(source)?, text(target)?);
            let (sources, targets) = (lines(&sources), lines(&targets));
            ensure!(
                sources.len() == targets.len(),
                "the files do not belong together line by line: {} has {} lines, {} has {}",
                source.display(),
                sources.len(),
                target.display(),
                targets.len()
            );
            sources.into_iter().zip(targets).map(|(source, target)| pair(source, target)).collect()
        }
        Source::Table(path) => {
            let text = text(path)?;
            let name = path.to_string_lossy();
            let name = name.strip_suffix(".gz").unwrap_or(&name);
            if name.ends_with(".jsonl") || name.ends_with(".ndjson") {
                objects(&text, languages)
            } else {
                columns(&text, languages)
            }
            .with_context(|| format!("cannot read pairs from {}", path.display()))?
        }
        Source::Embedded(part) => embedded(*part, languages)?,
    };
    ensure!(!pairs.is_empty(), "{source}: there is not one pair of sentences");
    Ok(pairs)
}

fn pair(source: &str, target: &str) -> Pair {
    Pair { source: source.trim().to_owned(), target: target.trim().to_owned() }
}

/// A file as text, unpacked if it is gzip.
fn text(path: &Path) -> Result<String> {
    let shown = path.display();
    let mut bytes = fs::read(path).with_context(|| format!("cannot read {shown}"))?;
    const GZIP: [u8; 2] = [0x1f, 0x8b];
    if bytes.starts_with(&GZIP) {
        let mut unpacked = Vec::new();
        MultiGzDecoder::new(&bytes[..])
            .read_to_end(&mut unpacked)
            .with_context(|| format!("{shown} is damaged: it cannot be unpacked"))?;
        bytes = unpacked;
    }
    let text = app_kit::text::utf8(bytes, path)?;
    ensure!(!text.trim().is_empty(), "{shown} is empty");
    Ok(text)
}

/// Lines, which nothing but a line feed ends.
fn lines(text: &str) -> Vec<&str> {
    text.strip_suffix('\n').unwrap_or(text).split('\n').collect()
}

/// A table: a first line with the names of the columns, if the languages are named there.
fn columns(text: &str, languages: &Languages) -> Result<Vec<Pair>> {
    let mut rows = lines(text).into_iter().zip(1..).peekable();
    let header: Vec<&str> = rows.peek().map_or(Vec::new(), |(line, _)| line.trim_end().split('\t').collect());
    let place = |language: &Option<String>, otherwise: usize| match language {
        None => Ok((otherwise, false)),
        Some(name) => match header.iter().position(|column| column == name) {
            Some(at) => Ok((at, true)),
            None => Err(UsageError::new(format!(
                "there is no column {name:?} in the first line; it has {}",
                header.iter().map(|column| format!("{column:?}")).collect::<Vec<_>>().join(", ")
            ))),
        },
    };
    let ((source, named), (target, named_too)) = (place(&languages.source, 0)?, place(&languages.target, 1)?);
    if named || named_too {
        rows.next();
    }
    let row = |(line, number): (&str, usize)| {
        let columns: Vec<&str> = line.split('\t').collect();
        match (columns.get(source), columns.get(target)) {
            (Some(source), Some(target)) => Ok(pair(source, target)),
            _ => bail!(
                "line {number} has {} columns separated by tabs; {} are needed",
                columns.len(),
                1 + source.max(target)
            ),
        }
    };
    rows.map(row).collect()
}

/// A JSON object in each line; the sentences may lie in an object `translation`.
fn objects(text: &str, languages: &Languages) -> Result<Vec<Pair>> {
    let source = languages.source.as_deref().unwrap_or("source");
    let target = languages.target.as_deref().unwrap_or("target");
    let row = |(number, line): (usize, &str)| -> Result<Pair> {
        let object: serde_json::Value =
            serde_json::from_str(line).with_context(|| format!("line {number} is no JSON object"))?;
        let sentence = |key: &str| {
            let found = object.get(key).or_else(|| object.get("translation")?.get(key));
            found.and_then(serde_json::Value::as_str).with_context(|| {
                format!("line {number} has no text under {key:?}: name the keys with --source-lang and --target-lang")
            })
        };
        Ok(pair(sentence(source)?, sentence(target)?))
    };
    let rows = (1..).zip(lines(text)).filter(|(_, line)| !line.trim().is_empty());
    rows.map(row).collect()
}

fn embedded(part: Part, languages: &Languages) -> Result<Vec<Pair>> {
    const LANGUAGES: [&str; 2] = ["en", "zh_TW"];
    let set = datasets::embedded::translation();
    let pairs = match part {
        Part::Train => &set.train,
        Part::Validation => &set.validation,
        Part::Test | Part::Unseen => &set.test,
    };
    let pairs = pairs.iter().filter(|pair| part != Part::Unseen || pair.novel);
    let source = languages.source.as_deref().unwrap_or(LANGUAGES[0]);
    let target =
        languages.target.as_deref().unwrap_or(if source == "en" { LANGUAGES[1] } else { LANGUAGES[0] });
    let other = |language: &str| LANGUAGES.contains(&language);
    if !other(source) || !other(target) || source == target {
        return Err(UsageError::new(format!(
            "the built-in set has the languages en and zh_TW, not {source} and {target}"
        ))
        .into());
    }
    let sides = |english: &str, chinese: &str| match source {
        "en" => pair(english, chinese),
        _ => pair(chinese, english),
    };
    Ok(pairs.map(|pair| sides(&pair.english, &pair.chinese)).collect())
}

/// Puts every sentence into lower case.
pub fn lowercase(pairs: &mut [Pair]) {
    for Pair { source, target } in pairs {
        *source = source.to_lowercase();
        *target = target.to_lowercase();
    }
}

/// CRC-32C of all pairs, by which a resumed run knows them again.
pub fn fingerprint(pairs: &[Pair]) -> u32 {
    rnn_train::fingerprint(pairs.iter().map(|pair| (&pair.source[..], &pair.target[..])))
}

/// Which pairs are not learnt from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Filter {
    /// Symbols of a side at most.
    pub max_length: usize,
    /// How many times as long as the other a side may be, if it is longer than ten symbols.
    pub max_ratio: f64,
}

impl Default for Filter {
    /// At most 100 symbols, at most four times as long.
    fn default() -> Self {
        Self { max_length: 100, max_ratio: 4.0 }
    }
}

/// How many pairs were left out, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// All pairs there were.
    pub of: usize,
    /// A side was empty.
    pub empty: usize,
    /// A side was too long.
    pub too_long: usize,
    /// A side was too long for the other.
    pub ratio: usize,
}

impl Filter {
    /// Whether a pair of so many symbols is kept; if not, it is counted.
    pub fn keeps(&self, source: usize, target: usize, dropped: &mut Dropped) -> bool {
        const SHORT: usize = 10;
        dropped.of += 1;
        let (short, long) = (source.min(target), source.max(target));
        let reason = if short == 0 {
            &mut dropped.empty
        } else if long > self.max_length {
            &mut dropped.too_long
        } else if long > SHORT && long as f64 > self.max_ratio * short as f64 {
            &mut dropped.ratio
        } else {
            return true;
        };
        *reason += 1;
        false
    }
}

impl Dropped {
    /// How many.
    pub fn count(&self) -> usize {
        self.empty + self.too_long + self.ratio
    }
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of {} pairs left out: {} with an empty side, {} too long, {} of too unequal lengths",
            self.count(),
            self.of,
            self.empty,
            self.too_long,
            self.ratio
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn file(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(name);
        fs::write(&path, bytes).expect("a file");
        (folder, path)
    }

    fn read_table(name: &str, bytes: &[u8], languages: &Languages) -> Result<Vec<Pair>> {
        let (_folder, path) = file(name, bytes);
        read(&Source::Table(path), languages)
    }

    fn languages(source: &str, target: &str) -> Languages {
        Languages { source: Some(source.into()), target: Some(target.into()) }
    }

    fn message<T: fmt::Debug>(result: Result<T>) -> String {
        format!("{:#}", result.expect_err("refused"))
    }

    #[test]
    fn lines_are_read_plain_or_packed_and_only_line_feeds_end_them() -> Result<()> {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all("ein Hund\u{2028}läuft\r\n\nzwei \n".as_bytes())?;
        let (_a, source) = file("a.de", &packed.finish()?);
        let (_b, target) = file("a.en", "\u{feff}a dog runs\nnothing\ntwo".as_bytes());
        let pairs = read(&Source::Lines(source, target), &Languages::default())?;
        assert_eq!(
            pairs,
            [pair("ein Hund\u{2028}läuft", "a dog runs"), pair("", "nothing"), pair("zwei", "two")]
        );
        Ok(())
    }

    #[test]
    fn files_of_different_lengths_are_refused_with_both_lengths() {
        let ((_a, source), (_b, target)) = (file("a.de", b"1\n2\n3\n"), file("a.en", b"1\n2\n"));
        let message = message(read(&Source::Lines(source, target), &Languages::default()));
        for part in ["a.de has 3 lines", "a.en has 2"] {
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn what_is_no_text_is_refused_by_file_and_line() {
        let (_a, missing) = file("there", b"x");
        let refused = |path: PathBuf| message(read(&Source::Table(path), &Languages::default()));
        assert!(refused(missing.with_file_name("missing.tsv")).contains("missing.tsv"));
        let (_b, path) = file("latin.tsv", b"gut\tgood\nsch\xf6n\tnice\n");
        assert!(refused(path).contains("line 2 of"));
        let (_c, path) = file("empty.tsv", b"\n \n");
        assert!(refused(path).contains("is empty"));
        let (_d, path) = file("cut.tsv.gz", &[0x1f, 0x8b, 8, 0]);
        assert!(refused(path).contains("cannot be unpacked"));
    }

    #[test]
    fn columns_are_found_by_name_or_by_place() -> Result<()> {
        let table = b"id\ten\tde\n7\tdog\tHund\n".as_slice();
        assert_eq!(read_table("a.tsv", table, &languages("de", "en"))?, [pair("Hund", "dog")]);
        assert_eq!(read_table("a.tsv", b"Hund\tdog\n", &Languages::default())?, [pair("Hund", "dog")]);
        let refused = |table: &[u8], of: &Languages| message(read_table("a.tsv", table, of));
        assert!(refused(table, &languages("fr", "en")).contains("no column \"fr\""));
        assert!(refused(b"a\tb\nc\n", &Languages::default()).contains("line 2 has 1 columns"));
        Ok(())
    }

    #[test]
    fn objects_may_hold_the_sentences_or_a_translation() -> Result<()> {
        let text = b"{\"source\":\"Hund\",\"target\":\"dog\"}\n\n".as_slice();
        assert_eq!(read_table("a.jsonl", text, &Languages::default())?, [pair("Hund", "dog")]);
        let text = b"{\"translation\":{\"de\":\"Hund\",\"en\":\"dog\"}}".as_slice();
        assert_eq!(read_table("a.jsonl", text, &languages("de", "en"))?, [pair("Hund", "dog")]);
        let refused = |text: &[u8]| message(read_table("a.jsonl", text, &Languages::default()));
        assert!(
            refused(b"{\"source\":\"a\",\"target\":\"b\"}\n{\"source\":1}").contains("line 2 has no text")
        );
        assert!(refused(b"[1").contains("line 1 is no JSON object"));
        Ok(())
    }

    #[test]
    fn the_built_in_set_is_read_in_either_direction() -> Result<()> {
        let there = read(&Source::Embedded(Part::Test), &Languages::default())?;
        let back = read(&Source::Embedded(Part::Test), &languages("zh_TW", "en"))?;
        assert_eq!((there.len(), &there[0].source), (500, &back[0].target));
        let unseen = read(&Source::Embedded(Part::Unseen), &Languages::default())?;
        assert!(unseen.len() == 250 && unseen.iter().all(|pair| there.contains(pair)));
        assert!(read(&Source::Embedded(Part::Test), &languages("en", "de")).is_err());
        Ok(())
    }

    #[test]
    fn what_is_left_out_is_counted_by_reason() {
        let filter = Filter { max_length: 20, max_ratio: 3.0 };
        let mut dropped = Dropped::default();
        let kept: Vec<bool> = [(5, 5), (0, 5), (5, 21), (2, 10), (3, 12)]
            .into_iter()
            .map(|(source, target)| filter.keeps(source, target, &mut dropped))
            .collect();
        assert_eq!(kept, [true, false, false, true, false]);
        assert_eq!(dropped, Dropped { of: 5, empty: 1, too_long: 1, ratio: 1 });
        assert!(dropped.to_string().starts_with("3 of 5 pairs left out: 1 with an empty side"));
    }

    #[test]
    fn a_fingerprint_tells_pairs_apart() {
        let pairs = [pair("a", "b"), pair("c", "d")];
        assert_eq!(fingerprint(&pairs), fingerprint(&pairs.clone()));
        assert_ne!(fingerprint(&pairs), fingerprint(&[pair("ab", ""), pair("c", "d")]));
        assert_ne!(fingerprint(&pairs), fingerprint(&pairs[..1]));
    }
}
