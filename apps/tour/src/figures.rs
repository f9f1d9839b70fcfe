//! The figures of the tour, as SVG. Each file appears whole or not at all.

use std::io::Write;
use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

const INK: RGBColor = RGBColor(40, 40, 40);
const GREY: RGBColor = RGBColor(150, 150, 150);

/// Colours that can be told apart without seeing red and green (Okabe and Ito).
const COLOURS: [RGBColor; 5] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
];

/// A named line of a chart.
#[derive(Clone, Debug)]
pub struct Curve {
    /// What the legend calls it.
    pub name: String,
    /// Its points, from left to right.
    pub points: Vec<(f64, f64)>,
}

/// Line chart of `curves`, zero being on both axes; `axes` names them.
///
/// # Errors
/// When the file cannot be written.
pub fn curves(path: &Path, title: &str, axes: [&str; 2], curves: &[Curve]) -> Result<()> {
    let points = || curves.iter().flat_map(|curve| &curve.points).filter(|(_, y)| y.is_finite());
    let right = points().map(|&(x, _)| x).fold(1., f64::max);
    let top = points().map(|&(_, y)| y).fold(0., f64::max) * 1.05;
    let bottom = points().map(|&(_, y)| y).fold(0., f64::min) * 1.05;
    let top = if top > bottom { top } else { 1. };
    // Beside the curves that end high, the legend is below.
    let ends = curves.iter().filter_map(|curve| curve.points.last().map(|&(_, y)| y));
    let legend = match ends.fold(bottom, f64::max) > bottom + 0.7 * (top - bottom) {
        true => SeriesLabelPosition::LowerLeft,
        false => SeriesLabelPosition::UpperRight,
    };
    draw(path, (720, 440), |area| {
        let mut chart = ChartBuilder::on(area)
            .caption(title, ("sans-serif", 20))
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(56)
            .build_cartesian_2d(0f64..right, bottom..top)
            .map_err(failed)?;
        chart
            .configure_mesh()
            .x_desc(axes[0])
            .y_desc(axes[1])
            .light_line_style(TRANSPARENT)
            .x_label_formatter(&|x| format!("{x:.0}"))
            .draw()
            .map_err(failed)?;
        for (curve, colour) in curves.iter().zip(COLOURS.into_iter().cycle()) {
            let finite = curve.points.iter().copied().filter(|(_, y)| y.is_finite());
            chart
                .draw_series(LineSeries::new(finite, colour.stroke_width(2)))
                .map_err(failed)?
                .label(&curve.name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
        }
        chart
            .configure_series_labels()
            .position(legend)
            .border_style(GREY)
            .background_style(WHITE)
            .draw()
            .map_err(failed)
    })
}

/// Heat map of one column per label: `columns[label][row]`, blue below zero and red above, the
/// numbers in the cells.
///
/// # Errors
/// When the file cannot be written.
pub fn heat_map(path: &Path, title: &str, labels: &[String], columns: &[Vec<f32>]) -> Result<()> {
    const CELL: (i32, i32) = (56, 28);
    let rows = columns.first().map_or(0, Vec::len) as i32;
    let size = (80 + CELL.0 * columns.len() as i32, 110 + CELL.1 * rows);
    let most = largest(columns.iter().flatten());
    draw(path, size, |area| {
        text(area, title, (size.0 / 2, 24), 18, HPos::Center)?;
        for (x, (label, column)) in labels.iter().zip(columns).enumerate() {
            let left = 60 + CELL.0 * x as i32;
            text(area, label, (left + CELL.0 / 2, 60), 18, HPos::Center)?;
            for (y, &value) in column.iter().enumerate() {
                let top = 76 + CELL.1 * y as i32;
                cell(area, (left, top), CELL, colour_of(value, most))?;
                let middle = (left + CELL.0 / 2, top + CELL.1 / 2);
                text(area, &format!("{value:.2}"), middle, 12, HPos::Center)?;
            }
        }
        for unit in 0..rows {
            let middle = (50, 76 + CELL.1 * unit + CELL.1 / 2);
            text(area, &(unit + 1).to_string(), middle, 13, HPos::Right)?;
        }
        text(area, "unit", (50, 60), 13, HPos::Right)
    })
}

/// Small heat maps side by side, three to a row, with one scale each: blue below zero, red above.
///
/// # Errors
/// When the file cannot be written.
pub fn matrices(path: &Path, title: &str, matrices: &[(String, Vec<Vec<f32>>)]) -> Result<()> {
    const CELL: i32 = 14;
    const ACROSS: usize = 3;
    let side = matrices.iter().map(|(_, rows)| rows.len()).max().unwrap_or(0) as i32 * CELL;
    let (step_x, step_y) = (side + 36, side + 56);
    let down = matrices.len().div_ceil(ACROSS) as i32;
    let size = (36 + step_x * ACROSS as i32, 48 + step_y * down);
    draw(path, size, |area| {
        text(area, title, (size.0 / 2, 24), 18, HPos::Center)?;
        for (index, (label, rows)) in matrices.iter().enumerate() {
            let most = largest(rows.iter().flatten());
            let left = 36 + step_x * (index % ACROSS) as i32;
            let top = 76 + step_y * (index / ACROSS) as i32;
            let label = format!("{label}   (largest {most:.3})");
            text(area, &label, (left, top - 14), 13, HPos::Left)?;
            for (y, row) in rows.iter().enumerate() {
                for (x, &value) in row.iter().enumerate() {
                    let corner = (left + CELL * x as i32, top + CELL * y as i32);
                    cell(area, corner, (CELL, CELL), colour_of(value, most))?;
                }
            }
        }
        Ok(())
    })
}

/// Grouped bars: for every label one bar of each named series, all on one scale from zero.
///
/// # Errors
/// When the file cannot be written.
pub fn bars(path: &Path, title: &str, labels: &[String], series: &[(&str, Vec<f64>)]) -> Result<()> {
    const BAR: i32 = 22;
    const HEIGHT: i32 = 260;
    let group = BAR * series.len() as i32 + 20;
    let size = (80 + group * labels.len() as i32, HEIGHT + 140);
    let base = HEIGHT + 90;
    let values = series.iter().flat_map(|(_, values)| values).copied();
    let most = values.fold(f64::MIN_POSITIVE, f64::max);
    draw(path, size, |area| {
        text(area, title, (size.0 / 2, 24), 18, HPos::Center)?;
        for (k, (name, values)) in series.iter().enumerate() {
            let colour = COLOURS[k % COLOURS.len()];
            let legend = 60 + k as i32 * 180;
            cell(area, (legend, 46), (12, 12), colour)?;
            text(area, name, (legend + 20, 52), 13, HPos::Left)?;
            for (x, &value) in values.iter().enumerate() {
                let height = (value / most * f64::from(HEIGHT)).round() as i32;
                let left = 60 + group * x as i32 + BAR * k as i32;
                cell(area, (left, base - height), (BAR - 3, height), colour)?;
                text(area, &format!("{value:.2}"), (left + BAR / 2 - 1, base - height - 8), 9, HPos::Center)?;
            }
        }
        for (x, label) in labels.iter().enumerate() {
            let middle = 60 + group * x as i32 + BAR * series.len() as i32 / 2;
            text(area, label, (middle, base + 18), 14, HPos::Center)?;
        }
        line(area, (50, base), (size.0 - 20, base))
    })
}

/// The recurrent network unrolled over `letters`: one copy per letter, all with the same
/// `W_xh`, `W_hh` and `W_hy`; all but the last are asked for the next letter.
///
/// # Errors
/// When the file cannot be written.
pub fn unrolled(path: &Path, letters: &[char]) -> Result<()> {
    const STEP: i32 = 118;
    const BOX: (i32, i32) = (64, 44);
    let size = (130 + STEP * letters.len() as i32, 340);
    let middle = 170;
    draw(path, size, |area| {
        text(
            area,
            "The network unrolled: one step per letter, one set of weights",
            (size.0 / 2, 24),
            18,
            HPos::Center,
        )?;
        text(area, "h_0 = 0", (44, middle), 14, HPos::Center)?;
        for (t, letter) in letters.iter().enumerate() {
            let x = 150 + STEP * t as i32;
            let (left, top, bottom) = (x - BOX.0 / 2, middle - BOX.1 / 2, middle + BOX.1 / 2);
            let from = if t == 0 { 74 } else { x - STEP + BOX.0 / 2 };
            arrow(area, (from, middle), (left, middle))?;
            text(area, "W_hh", ((from + left) / 2, middle - 12), 12, HPos::Center)?;
            arrow(area, (x, bottom + 58), (x, bottom))?;
            text(area, "W_xh", (x + 8, bottom + 30), 12, HPos::Left)?;
            text(area, &letter.to_string(), (x, bottom + 76), 22, HPos::Center)?;
            cell(area, (left, top), BOX, RGBColor(222, 235, 247))?;
            text(area, &format!("h_{}", t + 1), (x, middle), 16, HPos::Center)?;
            if let Some(asked) = letters.get(t + 1) {
                arrow(area, (x, top), (x, top - 58))?;
                text(area, "W_hy", (x + 8, top - 28), 12, HPos::Left)?;
                text(area, &asked.to_string(), (x, top - 76), 22, HPos::Center)?;
            }
        }
        let formula = "h_t = tanh(W_hh h_{t-1} + W_xh x_t + b_h),   y_t = W_hy h_t + b_y";
        text(area, formula, (size.0 / 2, size.1 - 24), 15, HPos::Center)
    })
}

fn draw(path: &Path, size: (i32, i32), paint: impl FnOnce(&Area) -> Result<()>) -> Result<()> {
    let mut svg = String::new();
    {
        let size = (size.0.unsigned_abs(), size.1.unsigned_abs());
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        area.fill(&WHITE).map_err(failed)?;
        paint(&area)?;
        area.present().map_err(failed)?;
    }
    rnn_train::files::write_atomically(path, |file| Ok(file.write_all(svg.as_bytes())?))
}

fn failed(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("cannot draw the figure: {error}")
}

fn text(area: &Area, text: &str, at: (i32, i32), size: u32, across: HPos) -> Result<()> {
    let style = ("sans-serif", size).into_font().color(&INK).pos(Pos::new(across, VPos::Center));
    area.draw(&Text::new(text.to_owned(), at, style)).map_err(failed)
}

fn cell(area: &Area, at: (i32, i32), size: (i32, i32), colour: RGBColor) -> Result<()> {
    let corners = [at, (at.0 + size.0, at.1 + size.1)];
    area.draw(&Rectangle::new(corners, colour.filled())).map_err(failed)?;
    area.draw(&Rectangle::new(corners, GREY.mix(0.4))).map_err(failed)
}

fn line(area: &Area, from: (i32, i32), to: (i32, i32)) -> Result<()> {
    area.draw(&PathElement::new([from, to], INK)).map_err(failed)
}

/// A horizontal or vertical arrow.
fn arrow(area: &Area, from: (i32, i32), to: (i32, i32)) -> Result<()> {
    const HEAD: i32 = 7;
    line(area, from, to)?;
    let (dx, dy) = ((to.0 - from.0).signum(), (to.1 - from.1).signum());
    let back = (to.0 - dx * HEAD, to.1 - dy * HEAD);
    let head = [
        to,
        (back.0 + dy * HEAD / 2, back.1 + dx * HEAD / 2),
        (back.0 - dy * HEAD / 2, back.1 - dx * HEAD / 2),
    ];
    area.draw(&Polygon::new(head, INK.filled())).map_err(failed)
}

fn largest<'a>(values: impl Iterator<Item = &'a f32>) -> f32 {
    values.fold(0f32, |most, value| most.max(value.abs()))
}

/// White at zero, blue at `-most`, red at `most`.
fn colour_of(value: f32, most: f32) -> RGBColor {
    let share = if most > 0. { (value / most).clamp(-1., 1.) } else { 0. };
    let end = if share < 0. { (70, 130, 200) } else { (215, 80, 60) };
    let mix = |to: u8| (255. + (f32::from(to) - 255.) * share.abs()).round() as u8;
    RGBColor(mix(end.0), mix(end.1), mix(end.2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_white_and_the_signs_differ() {
        assert_eq!(colour_of(0., 1.), WHITE);
        assert!(colour_of(-1., 1.).2 > colour_of(-1., 1.).0);
        assert!(colour_of(1., 1.).0 > colour_of(1., 1.).2);
        assert_eq!(colour_of(0., 0.), WHITE);
    }

    #[test]
    fn the_unrolled_network_has_one_copy_per_letter() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("deep/unrolled.svg");
        unrolled(&path, &crate::word::WORD)?;
        let svg = std::fs::read_to_string(&path)?;
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        assert_eq!(svg.matches("W_xh\n").count(), 8);
        assert_eq!(svg.matches("W_hy\n").count(), 7);
        Ok(())
    }
}
