//! Tables of recordings.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use app_kit::UsageError;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Sound, Utterance};

/// The columns of a table, or the keys of JSON objects. All others become fields of the utterances.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Columns {
    /// The column of the paths of the recordings; without it `path`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The column of what is said; without it `text`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

impl Columns {
    fn path(&self) -> &str {
        self.path.as_deref().unwrap_or("path")
    }

    fn text(&self) -> &str {
        self.text.as_deref().unwrap_or("text")
    }

    /// The error that a column is not there.
    fn missing(name: &str, found: &[&str]) -> UsageError {
        const SHOWN: usize = 20;
        let shown = found.iter().take(SHOWN).map(|name| format!("{:.40}", format!("{name:?}")));
        let shown = shown.collect::<Vec<_>>().join(", ");
        let more = if found.len() > SHOWN { ", …" } else { "" };
        UsageError::new(format!(
            "there is no column {name:?} in the first line, which has {shown}{more}; name the columns of \
             the recordings and of what is said in them with --path-column and --text-column"
        ))
    }
}

/// What the name of a manifest may end in.
pub(super) const ENDINGS: [&str; 4] = [".tsv", ".csv", ".jsonl", ".ndjson"];

/// Whether a name ends as that of a manifest does.
pub(super) fn has_ending(path: &Path) -> bool {
    let name = path.to_string_lossy().to_lowercase();
    ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// A row of a manifest.
struct Row {
    line: usize,
    path: String,
    text: String,
    fields: BTreeMap<String, String>,
}

/// The utterances of a manifest, in its order. A text loses the blanks at its ends.
///
/// # Errors
/// A file that cannot be read, is not UTF-8 or empty; by line: what is no row, lacks a column, or names
/// a file that is not there or was named before.
pub(super) fn read(path: &Path, columns: &Columns) -> Result<Vec<Utterance>> {
    let shown = path.display();
    let bytes = fs::read(path).with_context(|| format!("cannot read {shown}"))?;
    let text = app_kit::text::utf8(bytes, path)?;
    ensure!(!text.trim().is_empty(), "{shown} is empty");
    let name = path.to_string_lossy().to_lowercase();
    let rows = if name.ends_with(".tsv") {
        table(&text, b'\t', false, columns)
    } else if name.ends_with(".csv") {
        table(&text, b',', true, columns)
    } else {
        objects(&text, columns)
    };
    let folder = path.parent().unwrap_or(Path::new(""));
    rows.and_then(|rows| utterances(rows, folder))
        .with_context(|| format!("cannot read recordings from {shown}"))
}

fn utterances(rows: Vec<Row>, folder: &Path) -> Result<Vec<Utterance>> {
    let mut lines: HashMap<PathBuf, usize> = HashMap::new();
    let utterance = |Row { line, path, text, fields }: Row| {
        ensure!(!path.is_empty(), "line {line} names no recording");
        let file = folder.join(&path);
        ensure!(
            file.is_file(),
            "line {line} names {path:.200}, which is no file; paths are relative to {}",
            folder.display()
        );
        if let Some(before) = lines.insert(file.clone(), line) {
            anyhow::bail!("line {line} names {path} again, after line {before}");
        }
        Ok(Utterance { name: path, text: text.trim().to_owned(), fields, sound: Sound::File(file) })
    };
    rows.into_iter().map(utterance).collect()
}

/// The rows of a table under a line with the names of the columns.
fn table(text: &str, delimiter: u8, quoting: bool, columns: &Columns) -> Result<Vec<Row>> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .quoting(quoting)
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes());
    let mut records = reader.records();
    let header = records.next().context("there are no columns")??;
    let names: Vec<&str> = header.iter().map(str::trim).collect();
    let place = |name: &str| {
        let place = names.iter().position(|column| *column == name);
        place.ok_or_else(|| Columns::missing(name, &names))
    };
    let (path, said) = (place(columns.path())?, place(columns.text())?);
    let mut before = BTreeSet::new();
    if let Some(name) = names.iter().find(|name| !before.insert(**name)) {
        anyhow::bail!("the first line has two columns {name:?}: rename one of them");
    }
    let mut lines = Lines { text: text.as_bytes(), at: 0, line: 1 };
    let row = |record: csv::Result<csv::StringRecord>| {
        let record = record?;
        let line = lines.of(record.position().map_or(0, |position| position.byte() as usize));
        ensure!(
            record.len() == names.len(),
            "line {line} has {} columns, the first line {}",
            record.len(),
            names.len()
        );
        let others = names.iter().zip(&record).enumerate().filter(|(at, _)| ![path, said].contains(at));
        Ok(Row {
            line,
            path: record[path].to_owned(),
            text: record[said].to_owned(),
            fields: others.map(|(_, (name, value))| ((*name).to_owned(), value.to_owned())).collect(),
        })
    };
    records.map(row).collect()
}

/// The lines on which the bytes of a text stand.
struct Lines<'a> {
    text: &'a [u8],
    at: usize,
    line: usize,
}

impl Lines<'_> {
    /// The line of the first byte from `place` on that ends no line: the reader of tables counts the
    /// empty lines before a row to the row. Places must not become smaller.
    fn of(&mut self, place: usize) -> usize {
        while let Some(byte) = self.text.get(self.at)
            && (self.at < place || b"\r\n".contains(byte))
        {
            self.line += usize::from(*byte == b'\n');
            self.at += 1;
        }
        self.line
    }
}

/// A JSON object in each line.
fn objects(text: &str, columns: &Columns) -> Result<Vec<Row>> {
    let row = |(line, text): (usize, &str)| -> Result<Row> {
        let mut object: serde_json::Map<String, Value> =
            serde_json::from_str(text).with_context(|| format!("line {line} is no JSON object"))?;
        let mut take = |key: &str| {
            object.remove(key).and_then(string).ok_or_else(|| {
                UsageError::new(format!(
                    "line {line} has no text under {key:?}; name the keys of the recordings and of what is \
                     said in them with --path-column and --text-column"
                ))
            })
        };
        let (path, text) = (take(columns.path())?, take(columns.text())?);
        let fields = object.into_iter().filter_map(|(key, value)| Some((key, string(value)?))).collect();
        Ok(Row { line, path, text, fields })
    };
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    lines.map(row).collect()
}

/// A value as a field has it; none for `null`.
fn string(value: Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read from a manifest beside the recordings `a.wav`, `b.wav` and `c/d.wav`.
    fn from(name: &str, manifest: impl AsRef<[u8]>, columns: &Columns) -> Result<Vec<Utterance>> {
        let folder = tempfile::tempdir()?;
        fs::create_dir(folder.path().join("c"))?;
        ["a.wav", "b.wav", "c/d.wav"].iter().try_for_each(|name| fs::write(folder.path().join(name), b""))?;
        fs::write(folder.path().join(name), manifest)?;
        read(&folder.path().join(name), columns)
    }

    fn message(name: &str, manifest: impl AsRef<[u8]>) -> String {
        format!("{:#}", from(name, manifest, &Columns::default()).unwrap_err())
    }

    #[test]
    fn each_row_is_a_recording_a_text_and_fields() -> Result<()> {
        let manifests = [
            ("m.tsv", "\u{feff}text\tpath\tspeaker\n say \"it  \tc/d.wav\ttheo, jr\r\n\nno\ta.wav\t\n"),
            ("m.csv", "path,text,speaker\nc/d.wav,\"say \"\"it \",\"theo, jr\"\na.wav,no,\n"),
            (
                "m.jsonl",
                "{\"path\":\"c/d.wav\",\"text\":\"say \\\"it\",\"speaker\":\"theo, jr\"}\n\n\
                 {\"speaker\":\"\",\"text\":\"no\",\"path\":\"a.wav\"}",
            ),
        ];
        for (name, manifest) in manifests {
            let utterances = from(name, manifest, &Columns::default())?;
            let [first, second] = &utterances[..] else { panic!("{utterances:?}") };
            assert_eq!((first.name.as_str(), first.text.as_str()), ("c/d.wav", "say \"it"), "{name}");
            assert_eq!(first.fields, BTreeMap::from([("speaker".into(), "theo, jr".into())]));
            assert!(
                matches!(&first.sound, Sound::File(path) if path.is_absolute() && path.ends_with("c/d.wav"))
            );
            assert_eq!((second.text.as_str(), second.fields["speaker"].as_str()), ("no", ""));
        }
        Ok(())
    }

    #[test]
    fn columns_may_have_other_names_and_values_other_types() -> Result<()> {
        let columns = Columns { path: Some("audio_filepath".into()), text: Some("digit".into()) };
        let manifest = r#"{"audio_filepath":"a.wav","digit":7,"duration":1.5,"text":"x","note":null}"#;
        let utterances = from("m.ndjson", manifest, &columns)?;
        assert_eq!(utterances[0].text, "7");
        let fields: Vec<_> =
            utterances[0].fields.iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(fields, ["duration=1.5", "text=x"]);
        Ok(())
    }

    #[test]
    fn what_is_wrong_is_told_by_line() {
        for (manifest, wrong) in [
            ("path\ttext\na.wav\tx\n\n\nb.wav\n", "line 5 has 1 columns, the first line 2"),
            ("path\ttext\na.wav\tx\n\nnone.wav\tx\n", "line 4 names none.wav, which is no file"),
            ("path\ttext\nc\tx\n", "line 2 names c, which is no file"),
            ("path\ttext\n\tx\n", "line 2 names no recording"),
            ("path\ttext\na.wav\tx\nb.wav\ty\n./a.wav\tz\n", "line 4 names ./a.wav again, after line 2"),
            ("path\ttext\tpath\na.wav\tx\tb.wav\n", "two columns \"path\""),
            (
                "file\tsentence\na.wav\tx\n",
                "no column \"path\" in the first line, which has \"file\", \"sentence\"",
            ),
            (" \n\n", "m.tsv is empty"),
        ] {
            let message = message("m.tsv", manifest);
            assert!(message.contains(wrong) && message.contains("m.tsv"), "{message}");
        }
        assert!(message("m.tsv", b"path\ttext\na.wav\t\xf6\n").contains("line 2 of"));
        assert!(message("m.csv", "path,text\na.wav,\"x\ny\"\nb.wav\n").contains("line 4 has 1 columns"));
        assert!(
            message("m.jsonl", "{\"path\":\"a.wav\",\"text\":\"x\"}\n[]")
                .contains("line 2 is no JSON object")
        );
        assert!(message("m.jsonl", "{\"path\":\"a.wav\"}").contains("line 1 has no text under \"text\""));
        let missing = from("m.tsv", "a\tb\n", &Columns::default()).unwrap_err();
        assert!(missing.chain().any(|cause| cause.is::<UsageError>()));
    }

    #[test]
    fn a_line_of_many_megabytes_is_a_line() {
        let text = "word ".repeat(1_000_000);
        let utterances = from("m.tsv", format!("path\ttext\na.wav\t{text}\n"), &Columns::default()).unwrap();
        assert_eq!(utterances[0].text.len(), text.len() - 1);
        assert!(message("m.tsv", "word\t".repeat(100_000)).len() < 2000);
        assert!(message("m.tsv", format!("path\ttext\n{text}\t\n")).len() < 2000);
        let columns: String = (0..100_000).map(|column| format!("\t{column}")).collect();
        assert!(message("m.tsv", format!("path\ttext{columns}\t7\n")).contains("two columns \"7\""));
    }
}
