//! `curves.svg`: training and validation loss over the steps.

use std::io::Write;
use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use crate::files::write_atomically;
use crate::metrics_log::Entry;

/// Points of a curve; a longer one is averaged down to so many.
const POINTS: usize = 800;

/// Draws the losses in `entries` to `path`. Nothing is drawn before there are two points.
///
/// # Errors
/// When the file cannot be written.
pub fn draw(path: &Path, entries: &[Entry]) -> Result<()> {
    let (mut training, mut validation) = (Vec::new(), Vec::new());
    for entry in entries {
        match *entry {
            Entry::Train { step, loss, .. } => training.push((step as f64, loss)),
            Entry::Validation { step, loss, .. } => validation.push((step as f64, loss)),
        }
    }
    if training.len() + validation.len() < 2 {
        return Ok(());
    }
    let svg = render(&thinned(&training), &thinned(&validation))
        .map_err(|error| anyhow!("cannot draw {}: {error}", path.display()))?;
    write_atomically(path, |file| Ok(file.write_all(svg.as_bytes())?))
}

type Points = [(f64, f64)];

fn render(training: &Points, validation: &Points) -> Result<String, Box<dyn std::error::Error>> {
    let points = || training.iter().chain(validation);
    let last = points().map(|p| p.0).fold(1.0, f64::max);
    let low = points().map(|p| p.1).fold(f64::INFINITY, f64::min);
    let high = points().map(|p| p.1).fold(f64::NEG_INFINITY, f64::max);
    let margin = ((high - low) * 0.05).max(1e-6 + low.abs() * 1e-3);
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (900, 500)).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .margin(16)
            .x_label_area_size(40)
            .y_label_area_size(64)
            .build_cartesian_2d(0.0..last, low - margin..high + margin)?;
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .x_desc("step")
            .y_desc("loss per item")
            .x_label_formatter(&|step| format!("{step:.0}"))
            .draw()?;
        let blue = RGBColor(31, 119, 180);
        let orange = RGBColor(214, 90, 20);
        for (name, points, colour, width) in
            [("training", training, blue, 1), ("validation", validation, orange, 2)]
        {
            if points.is_empty() {
                continue;
            }
            let style = colour.stroke_width(width);
            chart
                .draw_series(LineSeries::new(points.iter().copied(), style))?
                .label(name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
        }
        let dots = validation.iter().map(|&point| Circle::new(point, 3, orange.filled()));
        chart.draw_series(dots)?;
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .background_style(WHITE)
            .border_style(RGBColor(200, 200, 200))
            .draw()?;
        area.present()?;
    }
    Ok(svg)
}

/// Averages neighbours until there are at most [`POINTS`] points.
fn thinned(points: &Points) -> Vec<(f64, f64)> {
    let size = points.len().div_ceil(POINTS).max(1);
    let mean = |chunk: &Points| {
        let count = chunk.len() as f64;
        let (x, y) = chunk.iter().fold((0.0, 0.0), |sum, p| (sum.0 + p.0, sum.1 + p.1));
        (x / count, y / count)
    };
    points.chunks(size).map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn both_curves_and_their_names_are_drawn_and_one_point_alone_is_not() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("curves.svg");
        let validation = |step| Entry::Validation { step, loss: 2.0, metrics: BTreeMap::new(), seconds: 0.0 };
        draw(&path, &[validation(10)])?;
        assert!(!path.exists());
        let mut entries: Vec<_> = (1..5000)
            .map(|step| Entry::Train {
                step,
                loss: 1.0 + 3.0 / step as f64,
                learning_rate: 0.1,
                gradient_norm: 1.0,
                items: 1,
                seconds: 0.0,
            })
            .collect();
        entries.extend([validation(2500), validation(5000)]);
        draw(&path, &entries)?;
        let svg = std::fs::read_to_string(&path)?;
        for part in ["<svg", "training", "validation", "step", "loss per item", "<polyline"] {
            assert!(svg.contains(part), "no {part}");
        }
        assert!(svg.len() < 60_000, "{} bytes", svg.len());
        Ok(())
    }
}
