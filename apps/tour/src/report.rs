//! The tour as one HTML page that needs no other file and no network.

use std::fmt::Write;

use ::figures::markup::{data_url, escape};

const STYLE: &str = include_str!("report.css");

/// Where the sources of the chapters are, from `tour-report` in the root of the repository.
const SOURCES: &str = "../apps/tour/src";

/// What has been told so far.
#[derive(Clone, Debug, Default)]
pub struct Report {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug)]
enum Piece {
    /// A chapter begins; the file that makes it.
    Heading(String, String),
    Paragraph(String),
    /// Lines as they stand on a terminal.
    Lines(Vec<String>),
    Quotation(String),
    Picture(String, String),
    Sound(String, String),
}

impl Report {
    /// A chapter begins, which the module `source` tells.
    pub fn heading(&mut self, title: &str, source: &str) {
        self.pieces.push(Piece::Heading(title.to_owned(), source.to_owned()));
    }

    /// Sentences.
    pub fn paragraph(&mut self, text: &str) {
        self.pieces.push(Piece::Paragraph(text.to_owned()));
    }

    /// A line whose columns stand under those of the line before.
    pub fn line(&mut self, line: &str) {
        match self.pieces.last_mut() {
            Some(Piece::Lines(lines)) => lines.push(line.to_owned()),
            _ if line.is_empty() => {}
            _ => self.pieces.push(Piece::Lines(vec![line.to_owned()])),
        }
    }

    /// More of a text that is quoted.
    pub fn quote(&mut self, text: &str) {
        match self.pieces.last_mut() {
            Some(Piece::Quotation(so_far)) => so_far.push_str(text),
            _ => self.pieces.push(Piece::Quotation(text.to_owned())),
        }
    }

    /// A picture, as SVG.
    pub fn picture(&mut self, svg: &str, caption: &str) {
        let url = data_url("image/svg+xml", svg.as_bytes());
        self.pieces.push(Piece::Picture(url, caption.to_owned()));
    }

    /// A recording, as the bytes of a WAV file.
    pub fn sound(&mut self, wav: &[u8], caption: &str) {
        self.pieces.push(Piece::Sound(data_url("audio/wav", wav), caption.to_owned()));
    }

    /// The page; `language` is that of its sentences.
    pub fn html(&self, title: &str, language: &str) -> String {
        let title = escape(title);
        let mut html = format!(
            "<!doctype html>\n<html lang=\"{language}\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <link rel=\"icon\" href=\"data:,\">\n\
             <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n<nav><ol>\n"
        );
        let headings = || {
            self.pieces.iter().filter_map(|piece| match piece {
                Piece::Heading(title, source) => Some((title, source)),
                _ => None,
            })
        };
        // Writing to a String cannot fail.
        for (title, source) in headings() {
            let _ = writeln!(html, "<li><a href=\"#{source}\">{}</a></li>", escape(title));
        }
        html.push_str("</ol></nav>\n<main>\n");
        for piece in &self.pieces {
            let _ = piece.write(&mut html);
        }
        html.push_str("</main>\n</body>\n</html>\n");
        html
    }
}

impl Piece {
    fn write(&self, html: &mut String) -> std::fmt::Result {
        match self {
            Self::Heading(title, source) => writeln!(
                html,
                "<h2 id=\"{source}\">{} <a class=\"source\" href=\"{SOURCES}/{source}.rs\">{source}.rs</a></h2>",
                escape(title)
            ),
            Self::Paragraph(text) => writeln!(html, "<p>{}</p>", escape(text)),
            Self::Lines(lines) => {
                let told = || lines.iter().filter(|line| !line.is_empty());
                let indent = told().map(|line| line.len() - line.trim_start().len()).min().unwrap_or(0);
                let lines: Vec<String> =
                    lines.iter().map(|line| escape(line.get(indent..).unwrap_or(""))).collect();
                writeln!(html, "<pre tabindex=\"0\">{}</pre>", lines.join("\n").trim_end())
            }
            Self::Quotation(text) => {
                let lines: Vec<String> = text.lines().map(escape).collect();
                writeln!(html, "<blockquote><pre tabindex=\"0\">{}</pre></blockquote>", lines.join("\n"))
            }
            Self::Picture(url, caption) => {
                let caption = escape(caption);
                writeln!(
                    html,
                    "<figure><img src=\"{url}\" alt=\"{caption}\"><figcaption>{caption}</figcaption></figure>"
                )
            }
            Self::Sound(url, caption) => {
                let caption = escape(caption);
                writeln!(
                    html,
                    "<figure><audio controls src=\"{url}\" aria-label=\"{caption}\"></audio>\
                     <figcaption>{caption}</figcaption></figure>"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_stand_together_and_what_is_told_is_text() {
        let mut report = Report::default();
        report.heading("1. <Memory>", "memory");
        report.line("");
        report.line("    a & b");
        report.line("");
        report.line("      c");
        report.quote("x\n");
        report.quote("<y>");
        report.picture("<svg/>", "a \"figure\"");
        report.sound(b"RIFF", "one");
        let html = report.html("Tour", "zh-Hant");
        assert!(html.contains("<html lang=\"zh-Hant\">"));
        assert!(html.contains("<a href=\"#memory\">1. &lt;Memory&gt;</a>"));
        assert!(html.contains("<pre tabindex=\"0\">a &amp; b\n\n  c</pre>"));
        assert!(html.contains("<pre tabindex=\"0\">x\n&lt;y&gt;</pre></blockquote>"));
        assert!(html.contains("alt=\"a &quot;figure&quot;\"") && html.contains("data:audio/wav;base64,"));
    }
}
