//! Pictures with captions to point at, as one HTML page.

use std::fmt::Write;

use crate::markup::{escape, png_url};
use crate::{AttendedPicture, Error};

const STYLE: &str = include_str!("gallery.css");
const SCRIPT: &str = include_str!("gallery.js");

/// A picture of a [`Gallery`].
#[derive(Clone, Debug, PartialEq)]
pub struct Exhibit {
    /// What it is called.
    pub name: String,
    /// The picture and the words said about it; without attention where a decoder does not attend.
    pub picture: AttendedPicture,
    /// What else is said about it, such as by people.
    pub others: Vec<String>,
}

/// A page of pictures with captions. When one points at a word, taps it or moves to it with the keyboard,
/// the regions that were looked at for it stay light.
#[derive(Clone, Debug, PartialEq)]
pub struct Gallery {
    /// Title and heading of the page.
    pub title: String,
    /// What it shows, in this order.
    pub exhibits: Vec<Exhibit>,
}

impl Gallery {
    /// A page that needs no other file and no network. Attention is rounded to thousandths.
    ///
    /// # Errors
    /// [`Error::Sentence`] when the attention of a picture does not fit its words and regions.
    pub fn html(&self) -> Result<String, Error> {
        let title = escape(&self.title);
        let mut html = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
             <header><h1>{title}</h1>\n\
             <p>Point at a word, tap it, or go to it with the tab key: the regions that were looked at for it \
             stay light.</p></header>\n<main>\n"
        );
        for (number, exhibit) in (1..).zip(&self.exhibits) {
            exhibit.write(&mut html).map_err(|error| Error::Sentence { number, error: Box::new(error) })?;
        }
        // writing to a String cannot fail
        let _ = write!(html, "</main>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n");
        Ok(html)
    }
}

impl Exhibit {
    fn write(&self, html: &mut String) -> Result<(), Error> {
        let AttendedPicture { png, tokens, grid, attention } = &self.picture;
        let attends = !attention.is_empty();
        if attends {
            self.picture.check()?;
            let thousandths = |row: &Vec<f32>| {
                let numbers = row.iter().map(|x| ((x.clamp(0.0, 1.0) * 1000.0).round() as u16).to_string());
                format!("[{}]", numbers.collect::<Vec<_>>().join(","))
            };
            let rows = attention.iter().map(thousandths).collect::<Vec<_>>().join(",");
            let _ = writeln!(html, "<figure data-grid=\"{grid}\" data-attention=\"[{rows}]\">");
        } else {
            let _ = writeln!(html, "<figure>");
        }
        let (name, url) = (escape(&self.name), png_url(png));
        let _ = writeln!(
            html,
            "<div class=\"picture\"><img src=\"{url}\" alt=\"{name}\" loading=\"lazy\"><canvas></canvas></div>"
        );
        let stop = if attends { " tabindex=\"0\"" } else { "" };
        let word = |token: &String| {
            let word = token.trim_start_matches(' ');
            format!("{}<span{stop}>{}</span>", &token[..token.len() - word.len()], escape(word))
        };
        let words: String = tokens.iter().map(word).collect();
        let _ = writeln!(html, "<figcaption><p class=\"words\" dir=\"auto\">{words}</p>");
        for other in [&self.name].into_iter().chain(&self.others) {
            let _ = writeln!(html, "<p class=\"others\" dir=\"auto\">{}</p>", escape(other));
        }
        html.push_str("</figcaption></figure>\n");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exhibit() -> Exhibit {
        Exhibit {
            name: "a \"<b>\".png".to_owned(),
            picture: AttendedPicture {
                png: vec![1],
                tokens: vec!["red".to_owned(), " <ring>".to_owned()],
                grid: 1,
                attention: vec![vec![1.0], vec![0.5]],
            },
            others: vec!["a ring".to_owned()],
        }
    }

    #[test]
    fn a_picture_has_its_words_what_they_looked_at_and_what_others_say() {
        let html = Gallery { title: "A & B".to_owned(), exhibits: vec![exhibit()] }.html().unwrap();
        assert!(html.contains("data-attention=\"[[1000],[500]]\""));
        assert!(html.contains("<span tabindex=\"0\">red</span> <span tabindex=\"0\">&lt;ring&gt;</span>"));
        assert!(html.contains("alt=\"a &quot;&lt;b&gt;&quot;.png\"") && html.contains(">a ring</p>"));
        assert!(html.contains("<title>A &amp; B</title>") && !html.contains("http"));
    }

    #[test]
    fn a_decoder_that_does_not_attend_has_words_alone_and_what_does_not_fit_is_named() {
        let mut blind = exhibit();
        blind.picture.attention.clear();
        let html = Gallery { title: String::new(), exhibits: vec![blind] }.html().unwrap();
        assert!(html.contains("<figure>") && html.contains("<span>red</span>"));
        let mut wrong = exhibit();
        wrong.picture.attention.pop();
        let error = Gallery { title: String::new(), exhibits: vec![exhibit(), wrong] }.html().unwrap_err();
        assert!(error.to_string().starts_with("sentence 2: "), "{error}");
    }
}
