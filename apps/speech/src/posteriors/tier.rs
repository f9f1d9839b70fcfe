//! Segments with their labels in a strip of a picture.

use std::fmt::{self, Write};

use figures::labels::width;
use figures::markup::escape;

use super::axis::Axis;
use super::{FONT, GRID, INK, label};
use crate::Timed;

/// Rows of labels a tier may need where they are crowded.
const LANES: usize = 4;
/// Height of a row.
const LANE: f64 = 17.0;
/// White between two labels of a row.
const SPACE: f64 = 2.0;
/// Segments themselves.
const SEGMENT: &str = "#cfe0f5";

/// Segments and where their labels stand.
pub(super) struct Tier<'a> {
    labels: Vec<Label<'a>>,
    lanes: usize,
}

struct Label<'a> {
    segment: &'a Timed,
    text: String,
    /// Its middle.
    x: f64,
    /// Its row; none where there is no room, and the segment says its name only when pointed at.
    lane: Option<usize>,
}

impl<'a> Tier<'a> {
    /// Each label in the middle of its segment, as high as there is room beside those before.
    pub(super) fn new(segments: &'a [Timed], time: &Axis) -> Self {
        let (left, right) = (time.at(0.0), time.at(time.end));
        let mut free_from = [f64::NEG_INFINITY; LANES];
        let place = |segment: &'a Timed| {
            let text = label(&segment.text);
            let half = f64::from(width(&text)) * FONT / 2.0;
            let middle = (time.at(segment.start) + time.at(segment.end)) / 2.0;
            let x = middle.min(right - half).max(left + half);
            let lane = free_from.iter().position(|&from| from <= x - half);
            if let Some(lane) = lane {
                free_from[lane] = x + half + SPACE;
            }
            Label { segment, text, x, lane }
        };
        let labels: Vec<Label> = segments.iter().map(place).collect();
        let lanes = labels.iter().filter_map(|label| label.lane).max().map_or(1, |lane| lane + 1);
        Self { labels, lanes }
    }

    pub(super) fn height(&self) -> f64 {
        LANE * self.lanes as f64 + 4.0
    }

    pub(super) fn draw(&self, svg: &mut String, name: &str, top: f64, time: &Axis) -> fmt::Result {
        let (left, right, height) = (time.at(0.0), time.at(time.end), self.height());
        let y = top + height / 2.0 + 0.35 * FONT;
        writeln!(svg, "<text x=\"{:.2}\" y=\"{y:.2}\" text-anchor=\"end\">{name}</text>", left - 6.0)?;
        for Label { segment: Timed { text, start, end, confidence }, .. } in &self.labels {
            let [from, to] = [start, end].map(|seconds| time.at(seconds.clamp(0.0, time.end)));
            writeln!(
                svg,
                "<rect x=\"{from:.2}\" y=\"{top:.2}\" width=\"{:.2}\" height=\"{height:.2}\" \
                 fill=\"{SEGMENT}\" stroke=\"#7d9cc4\" stroke-width=\"0.75\">\
                 <title>{} {start:.3}–{end:.3} s, {confidence:.2}</title></rect>",
                (to - from).max(0.5),
                escape(text),
            )?;
        }
        for Label { text, x, lane, .. } in &self.labels {
            let Some(lane) = lane else { continue };
            let y = top + 2.0 + LANE * (*lane as f64 + 0.5) + 0.35 * FONT;
            let text = escape(text);
            writeln!(
                svg,
                "<text x=\"{x:.2}\" y=\"{y:.2}\" text-anchor=\"middle\" fill=\"{INK}\" \
                 pointer-events=\"none\">{text}</text>"
            )?;
        }
        writeln!(
            svg,
            "<path d=\"M{left:.2} {top:.2}H{right:.2}v{height:.2}H{left:.2}z\" fill=\"none\" \
             stroke=\"{GRID}\"/>"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn segments(parts: &[(f64, f64)]) -> Vec<Timed> {
        let timed = |&(start, end): &(f64, f64)| Timed { text: "SIL".into(), start, end, confidence: 1.0 };
        parts.iter().map(timed).collect()
    }

    #[test]
    fn labels_stand_side_by_side_where_there_is_room_and_below_each_other_where_not() {
        let time = Axis { origin: 60.0, scale: 160.0, end: 3.0 };
        let lanes = |parts: &[(f64, f64)]| {
            let segments = segments(parts);
            let tier = Tier::new(&segments, &time);
            tier.labels.iter().map(|label| label.lane).collect::<Vec<_>>()
        };
        assert_eq!(lanes(&[(0.2, 0.5), (0.5, 0.8), (2.0, 2.1)]), [Some(0); 3]);
        let crowded = [(1.0, 1.02), (1.02, 1.04), (1.04, 1.06), (1.06, 1.08), (1.08, 1.1), (1.5, 1.6)];
        assert_eq!(lanes(&crowded), [Some(0), Some(1), Some(2), Some(3), None, Some(0)]);
        assert_eq!(Tier::new(&[], &time).height(), LANE + 4.0);
    }

    proptest! {
        #[test]
        fn labels_of_a_row_never_touch_and_stay_in_the_picture(
            parts in prop::collection::vec((0.0..0.4f64, 0.0..0.4f64), 0..40),
        ) {
            let mut now = 0.0;
            let mut next = |&(silence, length): &(f64, f64)| {
                let start = now + silence;
                now = start + length;
                (start, now)
            };
            let parts: Vec<(f64, f64)> = parts.iter().map(&mut next).collect();
            let time = Axis { origin: 60.0, scale: 160.0, end: now.max(1.0) };
            let segments = segments(&parts);
            let tier = Tier::new(&segments, &time);
            let half = f64::from(width("SIL")) * FONT / 2.0;
            for lane in 0..LANES {
                let places: Vec<f64> =
                    tier.labels.iter().filter(|label| label.lane == Some(lane)).map(|label| label.x).collect();
                prop_assert!(places.windows(2).all(|pair| pair[1] - pair[0] >= 2.0 * half));
                prop_assert!(places
                    .iter()
                    .all(|x| x - half >= time.at(0.0) - 1e-6 && x + half <= time.at(time.end) + 1e-6));
            }
        }
    }
}
