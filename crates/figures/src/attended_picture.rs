//! A picture, what is said about it, and where was looked at for each word.

use std::fmt::Write;

use crate::labels::{cut, labels};
use crate::markup::{escape, png_url};
use crate::{Error, weights};

/// Units of a side of a tile.
const SIDE: f32 = 150.0;
/// Units between tiles, and around them.
const GAP: f32 = 8.0;
/// Units of the line with the word.
const LINE: f32 = 22.0;
/// How dark a region becomes that is not looked at.
const DARK: f32 = 0.8;

/// A picture and the words that are said about it.
#[derive(Clone, Debug, PartialEq)]
pub struct AttendedPicture {
    /// The bytes of a PNG file; it is stretched to a square, as the network sees it.
    pub png: Vec<u8>,
    /// The words, or pieces of words.
    pub tokens: Vec<String>,
    /// Regions along a side of the picture.
    pub grid: usize,
    /// Numbers from 0 to 1: `[token, region]`, the regions row by row.
    pub attention: Vec<Vec<f32>>,
}

impl AttendedPicture {
    /// Whether there are as many numbers as tokens and regions, all from 0 to 1.
    pub(crate) fn check(&self) -> Result<(), Error> {
        weights::check(&self.attention, self.tokens.len(), self.grid * self.grid)
    }

    /// One tile for each word after one with the whole picture, `columns` side by side: in a word's tile the
    /// regions are the lighter the more they were looked at, and the one that was looked at most is as light
    /// as in the picture.
    ///
    /// # Errors
    /// When `attention` is not `[tokens, grid²]`, or has a number that is NaN or not between 0 and 1.
    pub fn svg(&self, columns: usize) -> Result<String, Error> {
        self.check()?;
        let tiles = 1 + self.tokens.len();
        let columns = columns.clamp(1, tiles);
        let (across, down) = (SIDE + GAP, SIDE + LINE + GAP);
        let width = GAP + columns as f32 * across;
        let height = GAP + tiles.div_ceil(columns) as f32 * down;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 \
             {width} {height}\" font-family=\"Noto Sans, sans-serif\" font-size=\"14\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
        );
        let url = png_url(&self.png);
        let words = labels(&self.tokens);
        for tile in 0..tiles {
            let (x, y) = (GAP + (tile % columns) as f32 * across, GAP + (tile / columns) as f32 * down);
            let word = tile.checked_sub(1).map(|word| (cut(&words[word]), &self.attention[word]));
            // writing to a String cannot fail
            let _ = writeln!(
                svg,
                "<image x=\"{x}\" y=\"{y}\" width=\"{SIDE}\" height=\"{SIDE}\" \
                 preserveAspectRatio=\"none\" href=\"{url}\"/>"
            );
            if let Some((word, weights)) = word {
                svg.push_str(&shades(weights, self.grid, [x, y]));
                let (x, y) = (x + SIDE / 2.0, y + SIDE + 16.0);
                let _ = writeln!(
                    svg,
                    "<text x=\"{x}\" y=\"{y}\" text-anchor=\"middle\" fill=\"#222\">{}</text>",
                    escape(&word)
                );
            }
        }
        svg.push_str("</svg>\n");
        Ok(svg)
    }
}

/// A dark square over each region, the more transparent the more it was looked at.
fn shades(weights: &[f32], grid: usize, [x, y]: [f32; 2]) -> String {
    let most = weights.iter().fold(f32::MIN_POSITIVE, |most, &weight| most.max(weight));
    let side = SIDE / grid as f32;
    let mut shades = String::new();
    for (region, &weight) in weights.iter().enumerate() {
        let opacity = DARK * (1.0 - (weight / most).clamp(0.0, 1.0));
        if opacity > 0.005 {
            let (x, y) = (x + (region % grid) as f32 * side, y + (region / grid) as f32 * side);
            let _ = writeln!(
                shades,
                "<rect x=\"{x:.2}\" y=\"{y:.2}\" width=\"{side:.2}\" height=\"{side:.2}\" \
                 fill-opacity=\"{opacity:.2}\" shape-rendering=\"crispEdges\"/>"
            );
        }
    }
    shades
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture() -> AttendedPicture {
        AttendedPicture {
            png: vec![1, 2, 3],
            tokens: vec!["a".to_owned(), " <red>".to_owned()],
            grid: 2,
            attention: vec![vec![0.25; 4], vec![0.0, 0.1, 0.8, 0.1]],
        }
    }

    #[test]
    fn every_word_has_a_tile_and_what_was_looked_at_most_stays_light() {
        let svg = picture().svg(2).unwrap();
        assert_eq!(svg.matches("<image").count(), 3);
        assert!(svg.contains("&lt;red&gt;") && !svg.contains("<red>"));
        // Of the first word all regions are equally light; of the second, one is.
        assert_eq!(svg.matches("fill-opacity").count(), 3);
        // Two columns, two rows.
        assert!(svg.contains(&format!("width=\"{}\"", GAP + 2.0 * (SIDE + GAP))));
    }

    #[test]
    fn attention_that_does_not_fit_is_an_error() {
        let wrong = AttendedPicture { grid: 3, ..picture() };
        assert!(matches!(wrong.svg(4), Err(Error::Columns { row: 1, found: 4, expected: 9 })));
        assert!(AttendedPicture { tokens: vec![], attention: vec![], ..picture() }.svg(0).is_ok());
    }
}
