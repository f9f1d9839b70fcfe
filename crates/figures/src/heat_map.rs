//! A matrix of weights between two sequences, as SVG.

use std::fmt::Write;

use crate::colour_scale::shade;
use crate::labels::{cut, labels, width};
use crate::markup::escape;
use crate::{Error, weights};

/// White around the picture.
const MARGIN: f32 = 12.0;
/// Between labels and grid.
const GAP: f32 = 6.0;
/// Height of the legend with the white above it.
const LEGEND: f32 = 44.0;
const TITLE_FONT: f32 = 16.0;
const INK: &str = "#222";
const GREY: &str = "#666";

/// Which source token each output token attended to, as a picture: source tokens above, output
/// tokens at the left, a cell the darker the larger its value. Tokens are drawn without the blanks
/// around them, and a long one is cut.
///
/// ```
/// use figures::HeatMap;
///
/// # fn main() -> Result<(), figures::Error> {
/// let heat_map = HeatMap {
///     title: None,
///     rows: vec!["ein".to_owned(), " hund".to_owned()],
///     columns: vec!["a".to_owned(), " dog".to_owned()],
///     values: vec![vec![0.9, 0.1], vec![0.07, 0.93]],
/// };
/// let svg = heat_map.svg()?;
/// assert!(svg.contains("<title>hund ← dog 0.93</title>"));
/// let bytes = figures::png(&svg, 2.0)?;
/// # assert!(bytes.starts_with(b"\x89PNG"));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct HeatMap {
    /// What stands above the picture.
    pub title: Option<String>,
    /// The output tokens, from top to bottom.
    pub rows: Vec<String>,
    /// The source tokens, from left to right.
    pub columns: Vec<String>,
    /// Numbers from 0 to 1: `[output token, source token]`.
    pub values: Vec<Vec<f32>>,
}

impl HeatMap {
    /// A picture that needs no other file, dark on white. Each cell has its numbers as a tooltip.
    ///
    /// # Errors
    /// When `values` is not `[rows, columns]`, or one of them is NaN or not between 0 and 1.
    pub fn svg(&self) -> Result<String, Error> {
        weights::check(&self.values, self.rows.len(), self.columns.len())?;
        let (rows, columns) = (labels(&self.rows), labels(&self.columns));
        let layout = Layout::of(self.title.as_deref(), &rows, &columns);
        let mut svg = String::new();
        // writing to a String cannot fail
        let _ = layout.draw(&mut svg, self, &rows, &columns);
        Ok(svg)
    }
}

/// Where everything is, in pixels.
struct Layout {
    /// Side of a cell.
    cell: f32,
    /// Size of the labels' font.
    font: f32,
    /// Degrees by which the columns' labels rise.
    slant: f32,
    /// Upper left corner of the grid.
    left: f32,
    top: f32,
    /// Lower right corner of the grid.
    right: f32,
    bottom: f32,
    /// Size of the picture.
    width: f32,
    height: f32,
}

impl Layout {
    fn of(title: Option<&str>, rows: &[String], columns: &[String]) -> Layout {
        let most = rows.len().max(columns.len()).max(1) as f32;
        let cell = (720.0 / most).floor().clamp(14.0, 30.0);
        let font = (cell * 0.6).clamp(11.0, 14.0);
        // Slanted labels are easier to read, but closer to each other by the sine of their angle.
        let slant = if cell >= 20.0 { 45.0 } else { 90.0f32 };
        let (sine, cosine) = slant.to_radians().sin_cos();
        let length = |label: &String| width(&cut(label)) * font;

        let title_width = title.map_or(0.0, |title| width(title) * TITLE_FONT);
        let title_height = if title.is_some() { TITLE_FONT + 14.0 } else { 0.0 };
        let left = (MARGIN + rows.iter().map(length).fold(0.0, f32::max) + GAP).ceil();
        let rise = columns.iter().map(length).fold(0.0, f32::max) * sine + font * cosine;
        let top = (MARGIN + title_height + rise + GAP).ceil();
        let right = left + cell * columns.len() as f32;
        let bottom = top + cell * rows.len() as f32;
        let reach = (0..)
            .zip(columns)
            .map(|(at, label)| left + cell * (at as f32 + 0.5) + length(label) * cosine + font);
        let width = reach.fold(right.max(left + 150.0).max(MARGIN + title_width), f32::max) + MARGIN;
        Layout {
            cell,
            font,
            slant,
            left,
            top,
            right,
            bottom,
            width: width.ceil(),
            height: bottom + LEGEND + MARGIN,
        }
    }

    fn draw(&self, svg: &mut String, map: &HeatMap, rows: &[String], columns: &[String]) -> std::fmt::Result {
        let &Layout { cell, font, slant, left, top, width, height, .. } = self;
        writeln!(
            svg,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" font-family=\"Noto Sans, Helvetica, Arial, sans-serif\" \
             font-size=\"{font}\" fill=\"{INK}\">"
        )?;
        writeln!(svg, "<rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>")?;
        if let Some(title) = &map.title {
            let y = MARGIN + TITLE_FONT;
            writeln!(
                svg,
                "<text x=\"{MARGIN}\" y=\"{y}\" font-size=\"{TITLE_FONT}\">{}</text>",
                escape(title)
            )?;
        }
        for (at, label) in (0..).zip(columns) {
            // A slanted label starts at its column's middle; an upright one is centred on it.
            let x = left + cell * (at as f32 + 0.5) + if slant == 90.0 { font * 0.35 } else { 0.0 };
            let (y, label) = (top - GAP, escape(&cut(label)));
            writeln!(svg, "<text transform=\"translate({x} {y}) rotate(-{slant})\">{label}</text>")?;
        }
        for (at, label) in (0..).zip(rows) {
            let (x, y) = (left - GAP, top + cell * (at as f32 + 0.5) + font * 0.35);
            writeln!(svg, "<text x=\"{x}\" y=\"{y}\" text-anchor=\"end\">{}</text>", escape(&cut(label)))?;
        }
        self.draw_cells(svg, map, rows, columns)?;
        self.draw_grid(svg, rows.len(), columns.len())?;
        self.draw_legend(svg)?;
        writeln!(svg, "</svg>")
    }

    fn draw_cells(
        &self,
        svg: &mut String,
        map: &HeatMap,
        rows: &[String],
        columns: &[String],
    ) -> std::fmt::Result {
        let &Layout { cell, left, top, .. } = self;
        let columns: Vec<String> = columns.iter().map(|label| escape(label)).collect();
        for ((at, row), values) in (0..).zip(rows).zip(&map.values) {
            let (row, y) = (escape(row), top + cell * at as f32);
            writeln!(svg, "<g transform=\"translate({left} {y})\">")?;
            for ((at, column), &value) in (0..).zip(&columns).zip(values) {
                let (x, value) = (cell * at as f32, value.clamp(0.0, 1.0));
                writeln!(
                    svg,
                    "<rect x=\"{x}\" width=\"{cell}\" height=\"{cell}\" fill=\"{}\">\
                     <title>{row} ← {column} {value:.2}</title></rect>",
                    shade(value)
                )?;
            }
            writeln!(svg, "</g>")?;
        }
        Ok(())
    }

    /// Over the cells; it does not take the pointer from them.
    fn draw_grid(&self, svg: &mut String, rows: usize, columns: usize) -> std::fmt::Result {
        let &Layout { cell, left, top, right, bottom, .. } = self;
        write!(
            svg,
            "<path fill=\"none\" stroke=\"#c4cad2\" stroke-width=\"0.5\" pointer-events=\"none\" d=\""
        )?;
        for at in 0..=rows {
            write!(svg, "M{left} {}H{right}", top + cell * at as f32)?;
        }
        for at in 0..=columns {
            write!(svg, "M{} {top}V{bottom}", left + cell * at as f32)?;
        }
        writeln!(svg, "\"/>")
    }

    fn draw_legend(&self, svg: &mut String) -> std::fmt::Result {
        const STEPS: usize = 24;
        const STEP: f32 = 5.0;
        let &Layout { left, bottom, .. } = self;
        let (top, length) = (bottom + 18.0, STEP * STEPS as f32);
        writeln!(svg, "<g transform=\"translate({left} {top})\" font-size=\"11\" fill=\"{GREY}\">")?;
        for step in 0..STEPS {
            let (x, colour) = (STEP * step as f32, shade(step as f32 / (STEPS - 1) as f32));
            writeln!(svg, "<path d=\"M{x} 0h{STEP}v10h-{STEP}z\" fill=\"{colour}\"/>")?;
        }
        writeln!(
            svg,
            "<path d=\"M0 0h{length}v10h-{length}z\" fill=\"none\" stroke=\"#c4cad2\" stroke-width=\"0.5\"/>"
        )?;
        for (share, name) in [(0.0, "0"), (0.5, "0.5"), (1.0, "1")] {
            writeln!(svg, "<text x=\"{}\" y=\"23\" text-anchor=\"middle\">{name}</text>", length * share)?;
        }
        writeln!(svg, "</g>")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use resvg::usvg::roxmltree::Document;

    fn heat_map(rows: &[&str], columns: &[&str]) -> HeatMap {
        let owned = |tokens: &[&str]| tokens.iter().map(|&token| token.to_owned()).collect();
        let values = vec![vec![0.5; columns.len()]; rows.len()];
        HeatMap { title: None, rows: owned(rows), columns: owned(columns), values }
    }

    #[test]
    fn there_is_one_cell_with_its_numbers_for_each_pair_of_tokens() {
        let mut map = heat_map(&["ein", " hund", "."], &["a", " dog"]);
        map.values[1] = vec![0.07, 0.93];
        let svg = map.svg().unwrap();
        let document = Document::parse(&svg).unwrap();
        let titles: Vec<&str> = document
            .descendants()
            .filter(|node| node.has_tag_name("title"))
            .filter_map(|node| node.text())
            .collect();
        assert_eq!(titles.len(), 6);
        assert_eq!(titles[2..4], ["hund ← a 0.07", "hund ← dog 0.93"]);
        let darker = |value| svg.contains(&format!("fill=\"{}\"><title>hund", shade(value)));
        assert!(darker(0.93) && darker(0.07));
    }

    #[test]
    fn tokens_of_any_characters_make_well_formed_xml() {
        let mut map = heat_map(&["<eos>", "\0\n", "狗"], &["a&b", "\"'", "\u{fffd}", ""]);
        map.title = Some("<title> & \u{1b}".to_owned());
        let svg = map.svg().unwrap();
        let document = Document::parse(&svg).unwrap();
        let texts: Vec<&str> = document
            .descendants()
            .filter(|node| node.has_tag_name("text"))
            .filter_map(|node| node.text())
            .collect();
        assert_eq!(texts[..5], ["<title> & ␛", "a&b", "\"'", "\u{fffd}", "␠"]);
        assert!(texts.contains(&"<eos>") && texts.contains(&"␀␊"));
    }

    #[test]
    fn a_picture_of_100_by_100_has_room_for_all_its_labels() {
        let words = vec!["Rechtsschutz"; 100];
        let map = heat_map(&words, &words);
        let svg = map.svg().unwrap();
        let document = Document::parse(&svg).unwrap();
        let [width, height] = ["width", "height"]
            .map(|name| document.root_element().attribute(name).unwrap().parse::<f32>().unwrap());
        assert!(
            (1400.0..1700.0).contains(&width) && (1400.0..1700.0).contains(&height),
            "{width} × {height}"
        );
        assert_eq!(svg.matches("<title>").count(), 10_000);
    }

    #[test]
    fn the_picture_is_wide_enough_for_a_long_last_column_and_a_long_title() {
        let width = |map: &HeatMap| Layout::of(map.title.as_deref(), &map.rows, &map.columns).width;
        let short = heat_map(&["a"], &["a", "b", "c", "d", "e", "f", "g", "h"]);
        let long = heat_map(&["a"], &["a", "b", "c", "d", "e", "f", "g", "Donaudampfschifffahrt"]);
        assert!(width(&long) > width(&short) + 60.0);
        let titled = HeatMap { title: Some("a title ".repeat(10)), ..short.clone() };
        assert!(width(&titled) > 600.0);
    }

    #[test]
    fn values_that_do_not_fit_are_an_error_and_no_values_are_not() {
        let mut map = heat_map(&["a", "b"], &["c"]);
        map.values[1][0] = f32::NAN;
        assert!(matches!(map.svg(), Err(Error::Value { row: 2, column: 1, .. })));
        map.values.pop();
        assert_eq!(map.svg(), Err(Error::Rows { found: 1, expected: 2 }));
        let empty = heat_map(&[], &[]).svg().unwrap();
        assert!(Document::parse(&empty).is_ok());
    }
}
