//! The text of the tour: plain lines of at most 80 columns on a terminal, and the same as a page for a browser.

use std::io::{Result, Write};
use std::path::Path;

use crate::report::Report;

/// Columns of the page.
pub const WIDTH: usize = 80;

/// Where the tour is told. Each piece is flushed, so that a reader sees it at once.
pub struct Page<'a> {
    out: &'a mut dyn Write,
    bold: bool,
    column: usize,
    report: Report,
}

impl<'a> Page<'a> {
    /// A page on `out`; with `bold`, headings carry terminal escapes.
    pub fn new(out: &'a mut dyn Write, bold: bool) -> Self {
        Self { out, bold, column: 0, report: Report::default() }
    }

    /// All that has been told, for a browser.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// The title of all.
    pub fn title(&mut self, title: &str) -> Result<()> {
        self.put(title)
    }

    /// The heading of a chapter, with a rule under it; the module `source` tells it.
    pub fn heading(&mut self, title: &str, source: &'static str) -> Result<()> {
        self.report.heading(title, source);
        let rule = "=".repeat(title.chars().count());
        match self.bold {
            true => writeln!(self.out, "\n\x1b[1m{title}\x1b[0m\n{rule}\n")?,
            false => writeln!(self.out, "\n{title}\n{rule}\n")?,
        }
        self.out.flush()
    }

    /// Sentences, wrapped at [`WIDTH`], and an empty line.
    pub fn paragraph(&mut self, text: &str) -> Result<()> {
        self.report.paragraph(text);
        for line in wrap(text, WIDTH) {
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

    /// Something by its name, wrapped at [`WIDTH`] beside it.
    pub fn entry(&mut self, name: &str, text: &str) -> Result<()> {
        const COLUMN: usize = 14;
        let mut name = format!("    {name}");
        for line in wrap(text, WIDTH - COLUMN) {
            self.line(format!("{name:COLUMN$}{line}").trim_end())?;
            name.clear();
        }
        Ok(())
    }

    /// A drawing that lies at `path`, as SVG.
    pub fn drawing(&mut self, path: &Path, caption: &str) -> Result<()> {
        self.report.picture(&std::fs::read_to_string(path)?, caption);
        self.put(&format!("Drawn: {}", path.display()))
    }

    /// A recording that lies at `path`, as WAV.
    pub fn recording(&mut self, path: &Path, caption: &str) -> Result<()> {
        self.report.sound(&std::fs::read(path)?, caption);
        self.put(&format!("Heard: {}", path.display()))
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
            if c == '\n' || self.column == WIDTH {
                writeln!(self.out)?;
                self.column = 0;
            }
            if c != '\n' {
                if self.column == 0 {
                    write!(self.out, "{:INDENT$}", "")?;
                    self.column = INDENT;
                }
                write!(self.out, "{c}")?;
                self.column += 1;
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

fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is always a line");
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
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
    fn an_entry_stands_beside_its_name() -> Result<()> {
        let mut out = Vec::new();
        Page::new(&mut out, false).entry("told", &"word ".repeat(14))?;
        let indent = " ".repeat(14);
        let expected = format!("    told      {}\n{indent}word\n", ["word"; 13].join(" "));
        assert_eq!(String::from_utf8_lossy(&out), expected);
        Ok(())
    }

    #[test]
    fn a_page_without_bold_has_no_escapes() -> Result<()> {
        let mut out = Vec::new();
        Page::new(&mut out, false).heading("1. Memory", "memory")?;
        assert_eq!(String::from_utf8_lossy(&out), "\n1. Memory\n=========\n\n");
        Ok(())
    }

    #[test]
    fn a_quotation_is_indented_and_broken_however_it_is_cut_into_pieces() -> Result<()> {
        let mut out = Vec::new();
        let mut page = Page::new(&mut out, false);
        for piece in ["ab", "c\x1b\nd", &"e".repeat(80)] {
            page.quote(piece)?;
        }
        page.line("")?;
        let (full, rest) = ("e".repeat(75), "e".repeat(5));
        assert_eq!(String::from_utf8_lossy(&out), format!("    abc\n    d{full}\n    {rest}\n"));
        Ok(())
    }
}
