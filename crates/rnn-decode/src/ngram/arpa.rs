//! Models as text, in the ARPA format: base-10 logarithms of probabilities and of back-off weights.
//!
//! ```text
//! \data\
//! ngram 1=4
//! ngram 2=1
//!
//! \1-grams:
//! -99    <s>    -0.3
//! -0.5    </s>
//! -0.3    cat    -0.2
//! -1.2    <unk>
//!
//! \2-grams:
//! -0.1    <s> cat
//!
//! \end\
//! ```

use std::collections::HashMap;
use std::io::{self, BufRead, Write};

use super::{Entry, Ngram, NgramError, Vocabulary};

impl Ngram {
    /// Reads a model as SRILM, KenLM and others write it. What stands before `\data\` is skipped.
    ///
    /// # Errors
    /// [`NgramError::Line`] names the line that is not as it should be.
    pub fn read_arpa(mut reader: impl BufRead) -> Result<Self, NgramError> {
        let mut parser = Parser::default();
        let mut text = String::new();
        let mut line = 0;
        while parser.place != Place::End {
            text.clear();
            line += 1;
            let wrong = |reason| NgramError::Line { line, reason };
            if reader.read_line(&mut text)? == 0 {
                return Err(wrong("the file ends before \\end\\".into()));
            }
            parser.read(text.trim_ascii()).map_err(wrong)?;
        }
        let Vocabulary { words, ids } = parser.vocabulary;
        Ok(Self { words, ids, entries: parser.entries })
    }

    /// Writes the model. Reading it gives the same model.
    ///
    /// # Errors
    /// The writer's.
    pub fn write_arpa(&self, writer: &mut impl Write) -> io::Result<()> {
        writeln!(writer, "\\data\\")?;
        for (length, count) in (1..).zip(self.counts()) {
            writeln!(writer, "ngram {length}={count}")?;
        }
        for (length, entries) in (1..).zip(&self.entries) {
            writeln!(writer, "\n\\{length}-grams:")?;
            let mut entries: Vec<(&Box<[u32]>, &Entry)> = entries.iter().collect();
            entries.sort_unstable_by_key(|(words, _)| *words);
            for (words, entry) in entries {
                let words: Vec<&str> = words.iter().map(|&word| self.words[word as usize].as_str()).collect();
                write!(writer, "{}\t{}", entry.log_prob, words.join(" "))?;
                match entry.back_off {
                    0. => writeln!(writer)?,
                    back_off => writeln!(writer, "\t{back_off}")?,
                }
            }
        }
        writeln!(writer, "\n\\end\\")
    }
}

/// What the next line belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Place {
    #[default]
    Preface,
    Counts,
    /// The entries of this length.
    Entries(usize),
    End,
}

#[derive(Default)]
struct Parser {
    place: Place,
    /// How many entries of each length there are to be.
    counts: Vec<usize>,
    vocabulary: Vocabulary,
    entries: Vec<HashMap<Box<[u32]>, Entry>>,
}

impl Parser {
    fn read(&mut self, line: &str) -> Result<(), String> {
        match self.place {
            Place::Preface if line == "\\data\\" => self.place = Place::Counts,
            Place::Preface | Place::End => {}
            _ if line.is_empty() => {}
            _ if line == "\\end\\" || line.starts_with('\\') && line.ends_with("-grams:") => {
                self.enter_section(line)?;
            }
            Place::Counts => self.read_count(line)?,
            Place::Entries(length) => self.read_entry(line, length)?,
        }
        Ok(())
    }

    fn enter_section(&mut self, line: &str) -> Result<(), String> {
        let done = self.entries.len();
        if done > 0 && self.entries[done - 1].len() != self.counts[done - 1] {
            let (found, expected) = (self.entries[done - 1].len(), self.counts[done - 1]);
            return Err(format!("{found} entries of length {done}, where {expected} were announced"));
        }
        let expected = match done == self.counts.len() && done > 0 {
            true => "\\end\\".to_string(),
            false => format!("\\{}-grams:", done + 1),
        };
        if line != expected || self.counts.is_empty() {
            return Err(format!("expected {expected} and the counts before it, found {line}"));
        }
        self.place = match line {
            "\\end\\" => Place::End,
            _ => {
                self.entries.push(HashMap::new());
                Place::Entries(done + 1)
            }
        };
        Ok(())
    }

    fn read_count(&mut self, line: &str) -> Result<(), String> {
        let next = self.counts.len() + 1;
        let count = line.strip_prefix("ngram").and_then(|rest| {
            let (length, count) = rest.split_once('=')?;
            let length: usize = length.trim().parse().ok()?;
            count.trim().parse().ok().filter(|_| length == next)
        });
        match count {
            Some(count) => self.counts.push(count),
            None => return Err(format!("expected `ngram {next}=` and a count, found `{line}`")),
        }
        Ok(())
    }

    fn read_entry(&mut self, line: &str, length: usize) -> Result<(), String> {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let longest = length == self.counts.len();
        if fields.len() != length + 1 && (longest || fields.len() != length + 2) {
            let back_off = if longest { "" } else { " and perhaps a back-off weight" };
            return Err(format!("expected a log-probability, {length} words{back_off}, found `{line}`"));
        }
        let number = |field: &str| match field.parse::<f64>() {
            Ok(number) if !number.is_nan() && number < f64::INFINITY => Ok(number),
            _ => Err(format!("`{field}` is not a logarithm")),
        };
        let log_prob = number(fields[0])?;
        if log_prob > 0. {
            return Err(format!("the log-probability {log_prob} is above 0"));
        }
        let back_off = fields.get(length + 1).map_or(Ok(0.), |field| number(field))?;
        let mut words = Vec::with_capacity(length);
        for word in &fields[1..=length] {
            words.push(match length {
                1 => self.vocabulary.add(word),
                _ => *self
                    .vocabulary
                    .ids
                    .get(*word)
                    .ok_or_else(|| format!("the word `{word}` is not among the entries of length 1"))?,
            });
        }
        if length > 1 && !self.entries[length - 2].contains_key(&words[..length - 1]) {
            return Err(format!("there is no entry of length {} for `{line}` to begin with", length - 1));
        }
        match self.entries[length - 1].insert(words.into(), Entry { log_prob, back_off }) {
            Some(_) => Err(format!("a second entry for `{line}`")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ngram::KneserNey;
    use proptest::prelude::*;

    #[test]
    fn a_line_that_is_not_as_it_should_be_is_named() {
        let good = "a remark\n\\data\\\nngram 1=2\nngram 2=1\n\n\\1-grams:\n-1\ta\t-0.5\n-2\tb\n\n\
                    \\2-grams:\n-0.25\ta b\n\n\\end\\\n";
        Ngram::read_arpa(good.as_bytes()).unwrap();
        for (from, to, line, part) in [
            ("ngram 1=2", "ngram 1=two", 3, "expected `ngram 1=`"),
            ("ngram 2=1", "ngram 3=1", 4, "expected `ngram 2=`"),
            ("ngram 1=2", "ngram 1=3", 10, "2 entries of length 1, where 3"),
            ("\\1-grams:", "\\2-grams:", 6, "expected \\1-grams:"),
            ("-2\tb", "two\tb", 8, "`two` is not a logarithm"),
            ("-2\tb", "NaN\tb", 8, "`NaN` is not a logarithm"),
            ("-2\tb", "2\tb", 8, "above 0"),
            ("-2\tb", "-2", 8, "expected a log-probability, 1 words"),
            ("-2\tb", "-2\ta", 8, "a second entry"),
            ("-0.25\ta b", "-0.25\ta c", 11, "the word `c` is not among"),
            ("-0.25\ta b", "-0.25\ta b\t-1", 11, "expected a log-probability, 2 words,"),
            ("\\end\\", "", 14, "ends before"),
        ] {
            let error = Ngram::read_arpa(good.replace(from, to).as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with(&format!("line {line}: ")) && error.contains(part), "{error}");
        }
    }

    #[test]
    fn a_file_without_counts_or_with_longer_entries_than_beginnings_is_refused() {
        assert!(Ngram::read_arpa(&b"\\data\\\n\\end\\\n"[..]).is_err());
        assert!(Ngram::read_arpa(&b""[..]).is_err());
        let hanging = "\\data\\\nngram 1=2\nngram 2=0\nngram 3=1\n\\1-grams:\n-1\ta\n-1\tb\n\\2-grams:\n\
                       \\3-grams:\n-1\ta b a\n\\end\\\n";
        let error = Ngram::read_arpa(hanging.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("no entry of length 2"), "{error}");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_as_the_same_model(
            texts in prop::collection::vec(prop::collection::vec("[a-dÄ猫]", 0..6), 1..8), order in 1usize..5,
        ) {
            let sentences = texts.iter().map(|text| text.iter().map(String::as_str));
            let model = KneserNey { order }.estimate(sentences).unwrap();
            let mut arpa = Vec::new();
            model.write_arpa(&mut arpa).unwrap();
            prop_assert_eq!(Ngram::read_arpa(&arpa[..]).unwrap(), model);
        }
    }
}
