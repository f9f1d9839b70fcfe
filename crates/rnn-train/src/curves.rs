//! `curves.svg`: training and validation loss, and metrics of quality, over the steps.

use std::io::Write;
use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;

use crate::files::write_atomically;
use crate::metrics_log::Entry;

/// Points of a curve; a longer one is averaged down to so many.
const POINTS: usize = 800;

/// Draws the losses in `entries` to `path`, and under them a panel for each of the validation metrics
/// named in `metrics`. Nothing is drawn before there are two points.
///
/// # Errors
/// When the file cannot be written.
pub fn draw(path: &Path, entries: &[Entry], metrics: &[&str]) -> Result<()> {
    let (mut training, mut validation) = (Vec::new(), Vec::new());
    let mut measured = vec![Vec::new(); metrics.len()];
    for entry in entries {
        match entry {
            Entry::Train { step, loss, .. } => training.push((*step as f64, *loss)),
            Entry::Validation { step, loss, metrics: values, .. } => {
                validation.push((*step as f64, *loss));
                for (points, name) in measured.iter_mut().zip(metrics) {
                    points.extend(values.get(*name).map(|&value| (*step as f64, value)));
                }
            }
        }
    }
    if training.len() + validation.len() < 2 {
        return Ok(());
    }
    let losses = [
        Curve { name: "training", points: thinned(&training), colour: BLUE, width: 1, dots: false },
        Curve::of_validation("validation", &validation, ORANGE),
    ];
    let mut panels = vec![Panel { title: "loss per item", height: 500, curves: losses.into() }];
    for (name, points) in metrics.iter().zip(&measured).filter(|(_, points)| !points.is_empty()) {
        let curve = Curve::of_validation(name, points, GREEN);
        panels.push(Panel { title: name, height: 260, curves: vec![curve] });
    }
    let svg = render(&panels).map_err(|error| anyhow!("cannot draw {}: {error}", path.display()))?;
    write_atomically(path, |file| Ok(file.write_all(svg.as_bytes())?))
}

const BLUE: RGBColor = RGBColor(31, 119, 180);
const ORANGE: RGBColor = RGBColor(214, 90, 20);
const GREEN: RGBColor = RGBColor(44, 130, 60);
const WIDTH: u32 = 900;

/// Curves with a vertical axis in common. The horizontal one, the steps, all panels share.
struct Panel<'a> {
    title: &'a str,
    /// In pixels, as are all sizes here.
    height: u32,
    curves: Vec<Curve<'a>>,
}

struct Curve<'a> {
    name: &'a str,
    points: Vec<(f64, f64)>,
    colour: RGBColor,
    width: u32,
    dots: bool,
}

type Points = [(f64, f64)];

fn render(panels: &[Panel]) -> Result<String, Box<dyn std::error::Error>> {
    let points = panels.iter().flat_map(Panel::points);
    let last = points.map(|p| p.0).fold(1.0, f64::max);
    let height = panels.iter().map(|panel| panel.height).sum();
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        area.fill(&WHITE)?;
        let mut rest = area.clone();
        for (i, panel) in panels.iter().enumerate() {
            let (upper, lower) = rest.split_vertically(panel.height);
            panel.draw(&upper, last, i + 1 == panels.len())?;
            rest = lower;
        }
        area.present()?;
    }
    Ok(svg)
}

impl Panel<'_> {
    fn points(&self) -> impl Iterator<Item = &(f64, f64)> {
        self.curves.iter().flat_map(|curve| &curve.points)
    }

    /// Draws the steps up to `last`; the `lowest` panel says that they are steps.
    fn draw(
        &self,
        area: &DrawingArea<SVGBackend, Shift>,
        last: f64,
        lowest: bool,
    ) -> Result<(), Box<dyn std::error::Error>> {
        let low = self.points().map(|p| p.1).fold(f64::INFINITY, f64::min);
        let high = self.points().map(|p| p.1).fold(f64::NEG_INFINITY, f64::max);
        let margin = ((high - low) * 0.05).max(1e-6 + low.abs() * 1e-3);
        let mut chart = ChartBuilder::on(area)
            .margin(16)
            .x_label_area_size(if lowest { 40 } else { 20 })
            .y_label_area_size(64)
            .build_cartesian_2d(0.0..last, low - margin..high + margin)?;
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .x_desc(if lowest { "step" } else { "" })
            .y_desc(self.title)
            .x_label_formatter(&|step| format!("{step:.0}"))
            .draw()?;
        for curve in self.curves.iter().filter(|curve| !curve.points.is_empty()) {
            let style = curve.colour.stroke_width(curve.width);
            chart
                .draw_series(LineSeries::new(curve.points.iter().copied(), style))?
                .label(curve.name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
        }
        for curve in self.curves.iter().filter(|curve| curve.dots) {
            let dots = curve.points.iter().map(|&point| Circle::new(point, 3, curve.colour.filled()));
            chart.draw_series(dots)?;
        }
        if self.curves.len() > 1 {
            chart
                .configure_series_labels()
                .position(SeriesLabelPosition::UpperRight)
                .background_style(WHITE)
                .border_style(RGBColor(200, 200, 200))
                .draw()?;
        }
        Ok(())
    }
}

impl<'a> Curve<'a> {
    /// Few points, a long way from each other.
    fn of_validation(name: &'a str, points: &Points, colour: RGBColor) -> Self {
        Self { name, points: thinned(points), colour, width: 2, dots: true }
    }
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
        draw(&path, &[validation(10)], &[])?;
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
        draw(&path, &entries, &[])?;
        let svg = std::fs::read_to_string(&path)?;
        for part in ["<svg", "training", "validation", "step", "loss per item", "<polyline"] {
            assert!(svg.contains(part), "no {part}");
        }
        assert!(svg.len() < 60_000, "{} bytes", svg.len());
        Ok(())
    }

    #[test]
    fn a_metric_has_a_panel_under_the_losses_as_soon_as_it_was_measured() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("curves.svg");
        let validation = |step: usize, bleu: Option<f64>| Entry::Validation {
            step,
            loss: 2.0,
            metrics: bleu.map(|bleu| ("bleu".to_owned(), bleu)).into_iter().collect(),
            seconds: 0.0,
        };
        let drawn = |entries: &[Entry]| -> Result<String> {
            draw(&path, entries, &["bleu", "chrf"])?;
            Ok(std::fs::read_to_string(&path)?)
        };
        let without = drawn(&[validation(1, None), validation(2, None)])?;
        assert!(without.contains("height=\"500\"") && !without.contains("bleu"));
        let with = drawn(&[validation(1, None), validation(2, Some(0.0)), validation(3, Some(30.0))])?;
        assert!(with.contains("height=\"760\"") && with.contains("bleu") && !with.contains("chrf"));
        assert_eq!(with.matches("\nstep\n").count(), 1, "the panels share one axis");
        Ok(())
    }
}
