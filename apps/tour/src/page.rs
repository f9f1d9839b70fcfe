//! The text of the tour: plain lines of at most 80 columns on a terminal, and the same as a page for a browser.

use std::io::{Result, Write};
use std::path::Path;

use textwrap::core::Word;
use textwrap::{Options, WordSeparator, WordSplitter, WrapAlgorithm};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::narration::{Language, Narration, Value};
use crate::report::Report;

/// Columns of the page.
pub const WIDTH: usize = 80;

/// Where the tour is told. Each piece is flushed, so that a reader sees it at once.
pub struct Page<'a> {
    out: &'a mut dyn Write,
    bold: bool,
    column: usize,
    narration: Narration,
    report: Report,
}

impl<'a> Page<'a> {
    /// A page on `out` in `language`; with `bold`, headings carry terminal escapes.
    pub fn new(out: &'a mut dyn Write, bold: bool, language: Language) -> Self {
        Self { out, bold, column: 0, narration: Narration::new(language), report: Report::default() }
    }

    /// The language that it is told in.
    pub fn language(&self) -> Language {
        self.narration.language()
    }

    /// All that has been told, for a browser.
    pub fn html(&self) -> String {
        self.report.html(&self.say("title", &[]), self.language().tag())
    }

    /// The message `id` of the narration with `values` for its variables.
    pub fn say(&self, id: &str, values: &[Value]) -> String {
        self.narration.say(id, values)
    }

    /// The title of all.
    pub fn title(&mut self) -> Result<()> {
        self.put(&self.say("title", &[]))
    }

    /// The heading of a chapter, with a rule under it; the module `source` tells it.
    pub fn heading(&mut self, title: &str, source: &str) -> Result<()> {
        self.report.heading(title, source);
        let rule = "=".repeat(title.width());
        match self.bold {
            true => writeln!(self.out, "\n\x1b[1m{title}\x1b[0m\n{rule}\n")?,
            false => writeln!(self.out, "\n{title}\n{rule}\n")?,
        }
        self.out.flush()
    }

    /// The sentences of a message, wrapped at [`WIDTH`], and an empty line.
    pub fn paragraph(&mut self, id: &str, values: &[Value]) -> Result<()> {
        let text = self.say(id, values);
        self.report.paragraph(&text);
        for line in wrap(&text, WIDTH) {
            writeln!(self.out, "{line}")?;
        }
        writeln!(self.out)?;
        self.out.flush()
    }

    /// One line as it is.
    pub fn line(&mut self, line: &str) -> Result<()> {
        self.report.line(line);
        self.put(line)
    }

    /// A text, wrapped at [`WIDTH`] beside its name, which is the message `id`.
    pub fn entry(&mut self, id: &str, text: &str) -> Result<()> {
        const COLUMN: usize = 14;
        let mut name = format!("    {}", self.say(id, &[]));
        for line in wrap(text, WIDTH - COLUMN) {
            self.line(format!("{}{line}", pad(&name, COLUMN)).trim_end())?;
            name.clear();
        }
        Ok(())
    }

    /// A drawing that lies at `path`, as SVG; the message `id` is its caption.
    pub fn drawing(&mut self, path: &Path, id: &str, values: &[Value]) -> Result<()> {
        self.report.picture(&std::fs::read_to_string(path)?, &self.say(id, values));
        self.put(&self.say("drawn", &[("path", &path.display())]))
    }

    /// A recording that lies at `path`, as WAV; the message `id` is its caption.
    pub fn recording(&mut self, path: &Path, id: &str, values: &[Value]) -> Result<()> {
        self.report.sound(&std::fs::read(path)?, &self.say(id, values));
        self.put(&self.say("heard", &[("path", &path.display())]))
    }

    fn put(&mut self, line: &str) -> Result<()> {
        self.column = 0;
        writeln!(self.out, "{line}")?;
        self.out.flush()
    }

    /// More of a quoted text, indented by four columns and broken at [`WIDTH`]; control
    /// characters but the line end are left out. End the quotation with [`Page::line`].
    pub fn quote(&mut self, text: &str) -> Result<()> {
        const INDENT: usize = 4;
        self.report.quote(text);
        for c in text.chars().filter(|&c| c == '\n' || !c.is_control()) {
            let columns = c.width().unwrap_or(0);
            if c == '\n' || self.column + columns > WIDTH {
                writeln!(self.out)?;
                self.column = 0;
            }
            if c != '\n' {
                if self.column == 0 {
                    write!(self.out, "{:INDENT$}", "")?;
                    self.column = INDENT;
                }
                write!(self.out, "{c}")?;
                self.column += columns;
            }
        }
        self.out.flush()
    }
}

/// A bar of `#` for a value between 0 and `most`, at most `width` columns long.
pub fn bar(value: f64, most: f64, width: usize) -> String {
    let share = if most > 0. { (value / most).clamp(0., 1.) } else { 0. };
    "#".repeat((share * width as f64).round() as usize)
}

/// `text` with spaces after it until it is `width` columns wide.
pub fn pad(text: &str, width: usize) -> String {
    format!("{text}{:1$}", "", width.saturating_sub(text.width()))
}

/// `text` with spaces before it until it is `width` columns wide.
pub fn pad_left(text: &str, width: usize) -> String {
    format!("{:1$}{text}", "", width.saturating_sub(text.width()))
}

fn wrap(text: &str, width: usize) -> Vec<String> {
    let options = Options::new(width)
        .word_separator(WordSeparator::Custom(words))
        .word_splitter(WordSplitter::NoHyphenation)
        .wrap_algorithm(WrapAlgorithm::FirstFit);
    textwrap::wrap(text, options).into_iter().map(String::from).collect()
}

/// Between the words, a line may break: at spaces, and beside Chinese characters, but not within a formula.
fn words(line: &str) -> Box<dyn Iterator<Item = Word<'_>> + '_> {
    let (mut begin, mut end) = (0, 0);
    let mut words = Vec::new();
    for word in WordSeparator::UnicodeBreakProperties.find_words(line) {
        let before = line[..end].chars().next_back();
        let in_formula =
            before.is_some_and(|c| c.is_ascii_graphic()) && word.starts_with(|c: char| c.is_ascii());
        if !in_formula {
            words.push(Word::from(&line[begin..end]));
            begin = end;
        }
        end += word.word.len() + word.whitespace.len();
    }
    words.push(Word::from(&line[begin..end]));
    Box::new(words.into_iter().filter(|word| !word.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrapped_lines_keep_every_word_and_the_width() {
        let text = "the hidden state of a step is a function of the letter and of the step before";
        let lines = wrap(text, 20);
        assert!(lines.iter().all(|line| line.chars().count() <= 20), "{lines:?}");
        assert_eq!(lines.join(" "), text);
    }

    #[test]
    fn chinese_is_wrapped_where_its_columns_end_and_no_line_begins_with_a_full_stop() {
        let text = "讀過 n 之後，隱藏狀態是 |h_2 - h_4|。字母與之前的一步，共同決定每一步的狀態。";
        let lines = wrap(text, 20);
        assert!(lines.iter().all(|line| line.width() <= 20), "{lines:?}");
        assert!(lines.iter().all(|line| !line.starts_with(['，', '。'])), "{lines:?}");
        assert!(lines.iter().any(|line| line.contains("|h_2 - h_4|")), "{lines:?}");
        assert_eq!(lines.concat().replace(' ', ""), text.replace(' ', ""));
    }

    #[test]
    fn a_chinese_word_is_two_columns_wide() {
        assert_eq!((pad("步", 4), pad_left("步驟", 6)), ("步  ".to_owned(), "  步驟".to_owned()));
    }

    #[test]
    fn an_entry_stands_beside_its_name() -> Result<()> {
        let mut out = Vec::new();
        Page::new(&mut out, false, Language::English).entry("captioning-told", &"word ".repeat(14))?;
        let indent = " ".repeat(14);
        let expected = format!("    told      {}\n{indent}word\n", ["word"; 13].join(" "));
        assert_eq!(String::from_utf8_lossy(&out), expected);
        let mut out = Vec::new();
        Page::new(&mut out, false, Language::Chinese).entry("captioning-told", "a star")?;
        assert_eq!(String::from_utf8_lossy(&out), "    描述      a star\n");
        Ok(())
    }

    #[test]
    fn a_page_without_bold_has_no_escapes() -> Result<()> {
        let mut out = Vec::new();
        Page::new(&mut out, false, Language::English).heading("1. Memory", "memory")?;
        assert_eq!(String::from_utf8_lossy(&out), "\n1. Memory\n=========\n\n");
        let mut out = Vec::new();
        Page::new(&mut out, false, Language::Chinese).heading("1. 記憶", "memory")?;
        assert_eq!(String::from_utf8_lossy(&out), "\n1. 記憶\n=======\n\n");
        Ok(())
    }

    #[test]
    fn a_quotation_is_indented_and_broken_however_it_is_cut_into_pieces() -> Result<()> {
        let mut out = Vec::new();
        let mut page = Page::new(&mut out, false, Language::English);
        for piece in ["ab", "c\x1b\nd", &"e".repeat(80)] {
            page.quote(piece)?;
        }
        page.line("")?;
        let (full, rest) = ("e".repeat(75), "e".repeat(5));
        assert_eq!(String::from_utf8_lossy(&out), format!("    abc\n    d{full}\n    {rest}\n"));
        let mut out = Vec::new();
        Page::new(&mut out, false, Language::English).quote(&"字".repeat(39))?;
        assert_eq!(String::from_utf8_lossy(&out), format!("    {}\n    字", "字".repeat(38)));
        Ok(())
    }
}
