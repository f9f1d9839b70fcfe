//! Alignments to read, the worst sentences first.

use std::fmt::Write;

use unicode_width::UnicodeWidthStr;

use crate::ErrorRate;
use crate::error_rate::{Alignment, Edit, ErrorCounts, Unit};
use crate::metric::Metric;

/// A report of what is wrong with a system's lines.
///
/// ```
/// use rnn_metrics::{ErrorRate, report::Report};
///
/// # fn main() -> Result<(), rnn_metrics::Error> {
/// let hypotheses = ["stop it", "please turn on light"];
/// let references = ["stop it", "please turn off the light"];
/// let alignments = ErrorRate::words().align_all(&hypotheses, &references)?;
/// let text = Report::new(&alignments).text();
/// assert_eq!(
///     text,
///     "\
/// WER = 28.57 (S = 1 D = 1 I = 0 C = 5), 1 of 2 sentences wrong
///
/// Sentence 2: WER = 40.00 (S = 1 D = 1 I = 0 C = 3)
/// REF: please turn off the light
/// HYP: please turn on  *** light
///                  S   D
/// "
/// );
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// The sentences, in the order of the test set.
    pub alignments: &'a [Alignment],
    /// How many of the wrong ones are shown.
    pub worst: usize,
    /// How many columns a line of text may have; a word that is longer has a line of its own.
    pub columns: usize,
}

impl<'a> Report<'a> {
    /// All wrong sentences, in lines of 100 columns.
    pub fn new(alignments: &'a [Alignment]) -> Self {
        Report { alignments, worst: usize::MAX, columns: 100 }
    }

    /// The wrong sentences, by rate, then by number of errors, then in order: the number of each,
    /// from 1 on, and its alignment.
    fn wrong(&self) -> Vec<(usize, &'a Alignment, ErrorCounts)> {
        let sentences = self.alignments.iter().enumerate();
        let mut wrong: Vec<_> = (sentences.map(|(at, alignment)| (at + 1, alignment, alignment.counts())))
            .filter(|(.., counts)| counts.errors() > 0)
            .collect();
        wrong.sort_by(|(.., a), (.., b)| {
            b.rate().total_cmp(&a.rate()).then_with(|| b.errors().cmp(&a.errors()))
        });
        wrong
    }

    fn summary(&self, wrong: usize) -> String {
        let unit = self.alignments.first().map_or(Unit::Word, |alignment| alignment.unit);
        let metric = ErrorRate { unit, lowercase: false };
        let mut sums = [0.0; 4];
        for counts in self.alignments.iter().map(Alignment::counts) {
            let ErrorCounts { substitutions, deletions, insertions, correct, .. } = counts;
            for (sum, count) in sums.iter_mut().zip([substitutions, deletions, insertions, correct]) {
                *sum += count as f64;
            }
        }
        format!("{}, {wrong} of {} sentences wrong", metric.score(&sums), self.alignments.len())
    }

    /// For a terminal: three lines for each piece of a sentence, with what is missing shown as
    /// stars and with S, D or I under each error.
    pub fn text(&self) -> String {
        let wrong = self.wrong();
        let mut text = self.summary(wrong.len()) + "\n";
        for (number, alignment, counts) in wrong.iter().take(self.worst) {
            let _ = writeln!(text, "\nSentence {number}: {counts}");
            for piece in pieces(alignment, self.columns) {
                text += &piece;
            }
        }
        text
    }

    /// For a browser: a page that needs no other file.
    pub fn html(&self) -> String {
        let wrong = self.wrong();
        let summary = self.summary(wrong.len());
        let mut html = format!("{HEAD}<h1>{}</h1>\n", escape(&summary));
        for (number, alignment, counts) in wrong.iter().take(self.worst) {
            let class = match alignment.unit {
                Unit::Word => "words",
                Unit::Character => "characters",
            };
            let _ = writeln!(html, "<h2>Sentence {number}: {}</h2>", escape(&counts.to_string()));
            let _ = write!(
                html,
                "<p class=\"{class}\"><span class=\"names\"><b>reference</b><i>hypothesis</i></span>"
            );
            for edit in &alignment.edits {
                let (reference, hypothesis, mark) = sides(edit);
                let (kind, title) = match mark {
                    "S" => ("substituted", " title=\"substituted\""),
                    "D" => ("deleted", " title=\"deleted\""),
                    "I" => ("inserted", " title=\"inserted\""),
                    _ => ("correct", ""),
                };
                let [reference, hypothesis] =
                    [reference, hypothesis].map(|side| escape(&visible(side, alignment.unit)));
                let _ = write!(
                    html,
                    "<span class=\"{kind}\"{title}><b>{reference}</b><i>{hypothesis}</i></span>"
                );
            }
            html += "</p>\n";
        }
        html + "</body>\n</html>\n"
    }
}

const HEAD: &str = "<!doctype html>
<html lang=\"en\">
<head>
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width\">
<title>Alignment report</title>
<style>
body { font-family: sans-serif; margin: 2em; color: #222; background: #fff; }
h1 { font-size: 1.3em; }
h2 { font-size: 1em; margin-top: 2em; }
p { display: flex; flex-wrap: wrap; row-gap: 0.8em; }
p.words { column-gap: 0.5em; }
span { display: flex; flex-direction: column; white-space: pre; }
span b, span i { font-weight: normal; font-style: normal; min-height: 1.4em; padding: 0 0.1em; }
.names { color: #777; margin-right: 1em; }
.substituted b, .deleted b { background: #cfe3ff; }
.substituted i, .inserted i { background: #ffd9c7; }
.deleted b, .inserted i { text-decoration: underline; }
</style>
</head>
<body>
";

/// What stands on each side, and the error's letter.
fn sides(edit: &Edit) -> (&str, &str, &'static str) {
    match edit {
        Edit::Correct(both) => (both, both, ""),
        Edit::Substituted { reference, hypothesis } => (reference, hypothesis, "S"),
        Edit::Deleted(reference) => (reference, "", "D"),
        Edit::Inserted(hypothesis) => ("", hypothesis, "I"),
    }
}

/// A blank that is a character of its own must be seen.
fn visible(side: &str, unit: Unit) -> String {
    match unit {
        Unit::Character if side.chars().all(char::is_whitespace) && !side.is_empty() => "␣".to_owned(),
        _ => side.to_owned(),
    }
}

/// The alignment in pieces of three lines, each at most `columns` wide.
fn pieces(alignment: &Alignment, columns: usize) -> Vec<String> {
    const NAMES: [&str; 3] = ["REF: ", "HYP: ", "     "];
    let gap = usize::from(alignment.unit == Unit::Word);
    let mut pieces = Vec::new();
    let mut lines = NAMES.map(str::to_owned);
    let mut width = NAMES[0].len();
    let finish = |lines: [String; 3]| lines.map(|line| line.trim_end().to_owned() + "\n").concat();
    for edit in &alignment.edits {
        let (reference, hypothesis, mark) = sides(edit);
        let mut cells = [reference, hypothesis].map(|side| visible(side, alignment.unit));
        let wide = cells.iter().map(|cell| cell.width()).max().unwrap_or(0).max(1);
        for cell in cells.iter_mut().filter(|cell| cell.is_empty()) {
            *cell = "*".repeat(wide);
        }
        if width + wide > columns && width > NAMES[0].len() {
            pieces.push(finish(std::mem::replace(&mut lines, NAMES.map(str::to_owned))));
            width = NAMES[0].len();
        }
        let [reference, hypothesis] = cells;
        for (line, cell) in lines.iter_mut().zip([&reference, &hypothesis, mark]) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', wide.saturating_sub(cell.width()) + gap));
        }
        width += wide + gap;
    }
    pieces.push(finish(lines));
    pieces
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_sentence_comes_first_and_the_correct_ones_not_at_all() {
        let hypotheses = ["a b c x", "a b", "x y", "a x c d"];
        let references = ["a b c d", "a b", "a b", "a b c d"];
        let alignments = ErrorRate::words().align_all(&hypotheses, &references).unwrap();
        let report = Report::new(&alignments);
        let numbers: Vec<usize> = report.wrong().iter().map(|(number, ..)| *number).collect();
        assert_eq!(numbers, [3, 1, 4]);
        let text = Report { worst: 1, ..report }.text();
        assert!(text.contains("Sentence 3") && !text.contains("Sentence 1"), "{text}");
        assert!(text.starts_with("WER = 33.33 (S = 4 D = 0 I = 0 C = 8), 3 of 4 sentences wrong"), "{text}");
    }

    #[test]
    fn wide_characters_take_two_columns_and_blanks_are_seen() {
        let alignments = ErrorRate::characters().align_all(&["你们 okay"], &["你好okay!"]).unwrap();
        let text = Report::new(&alignments).text();
        let lines: Vec<&str> = text.lines().skip(3).collect();
        assert_eq!(lines, ["REF: 你**好okay!", "HYP: 你们␣ okay*", "       I S     D"]);
    }

    #[test]
    fn long_sentences_are_broken_at_the_width() {
        let alignments = ErrorRate::words().align_all(&["aaa bbb ccc x"], &["aaa bbb ccc ddd"]).unwrap();
        let text = Report { columns: 12, ..Report::new(&alignments) }.text();
        let lines: Vec<&str> = text.lines().skip(3).collect();
        assert_eq!(lines, ["REF: aaa bbb", "HYP: aaa bbb", "", "REF: ccc ddd", "HYP: ccc x", "         S"]);
    }

    #[test]
    fn html_shows_every_kind_of_error_and_no_markup_of_the_lines() {
        let alignments =
            ErrorRate::words().align_all(&["<b> x c & e f g h"], &["<b> b c & d e f g"]).unwrap();
        let html = Report::new(&alignments).html();
        assert!(html.contains("<span class=\"correct\"><b>&lt;b&gt;</b><i>&lt;b&gt;</i></span>"), "{html}");
        assert!(html.contains("title=\"substituted\"><b>b</b><i>x</i></span>"), "{html}");
        assert!(html.contains("title=\"deleted\"><b>d</b><i></i></span>"), "{html}");
        assert!(html.contains("title=\"inserted\"><b></b><i>h</i></span>"), "{html}");
        assert!(html.starts_with("<!doctype html>") && html.ends_with("</html>\n"));
    }

    #[test]
    fn nothing_to_report_is_a_report_too() {
        assert_eq!(Report::new(&[]).text(), "WER = 0.00 (S = 0 D = 0 I = 0 C = 0), 0 of 0 sentences wrong\n");
    }
}
