//! How far the boundaries of two segmentations lie apart.

use anyhow::{Result, ensure};
use app_kit::UsageError;
use serde::Serialize;

use crate::Timed;

/// Distances between boundaries that were found and the true ones, gathered over recordings.
///
/// ```
/// use speech::Timed;
/// use speech::boundaries::Boundaries;
///
/// # fn main() -> anyhow::Result<()> {
/// let segment = |text: &str, start, end| Timed { text: text.into(), start, end, confidence: 1.0 };
/// let mut boundaries = Boundaries::default();
/// boundaries.add(&[segment("W", 0.10, 0.19)], &[segment("W", 0.10, 0.15)])?;
/// let report = boundaries.report().expect("there is a segment");
/// assert_eq!((report.boundaries, report.mean_ms.round()), (2, 20.0));
/// assert_eq!((report.within_20_ms, report.within_50_ms), (0.5, 1.0));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Boundaries {
    /// Absolute distances in milliseconds.
    distances: Vec<f64>,
}

/// How large the distances are.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BoundaryReport {
    /// How many boundaries were compared.
    pub boundaries: usize,
    /// Mean of the absolute distances in milliseconds.
    pub mean_ms: f64,
    /// Their median.
    pub median_ms: f64,
    /// What nine in ten of them do not exceed. Between two distances it lies on the straight line, as
    /// the default of `numpy.percentile`.
    pub percentile_90_ms: f64,
    /// The share of distances of 10 ms at most, from 0 to 1.
    pub within_10_ms: f64,
    /// The share of 20 ms at most, what alignments are mostly compared by.
    pub within_20_ms: f64,
    /// The share of 25 ms at most.
    pub within_25_ms: f64,
    /// The share of 50 ms at most.
    pub within_50_ms: f64,
}

impl Boundaries {
    /// Takes in the segments of a recording: of each the distance of its start and that of its end. Where
    /// segments touch, their common boundary counts for both. Leave silences out of both sides.
    ///
    /// # Errors
    /// [`UsageError`] when the two have not the same symbols in the same order. A time that is no number.
    /// Nothing is taken in then.
    pub fn add(&mut self, found: &[Timed], reference: &[Timed]) -> Result<()> {
        for (place, (found, reference)) in (1..).zip(found.iter().zip(reference)) {
            if found.text != reference.text {
                let (found, reference) = (&found.text, &reference.text);
                return Err(UsageError::new(format!(
                    "segment {place} is {found:?}, in the reference {reference:?}; only segmentations of the same \
                     symbols have boundaries to compare: align the symbols of the reference"
                ))
                .into());
            }
            let times = [found.start, found.end, reference.start, reference.end];
            ensure!(
                times.iter().all(|time| time.is_finite()),
                "segment {place}, {:?}, begins or ends at a time that is not a number: {times:?}",
                found.text
            );
        }
        if found.len() != reference.len() {
            return Err(UsageError::new(format!(
                "there are {} segments, in the reference {}; only segmentations of the same symbols have \
                 boundaries to compare: align the symbols of the reference",
                found.len(),
                reference.len()
            ))
            .into());
        }
        let distances = found.iter().zip(reference).flat_map(|(found, reference)| {
            [found.start - reference.start, found.end - reference.end].map(|seconds| seconds.abs() * 1000.0)
        });
        self.distances.extend(distances);
        Ok(())
    }

    /// How large the distances are that were taken in; none if there are none.
    pub fn report(&self) -> Option<BoundaryReport> {
        let mut sorted = self.distances.clone();
        sorted.sort_by(f64::total_cmp);
        let count = sorted.len();
        let last = count.checked_sub(1)?;
        let quantile = |share: f64| {
            let place = share * last as f64;
            let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
            below + (above - below) * place.fract()
        };
        // 20 ms apart are often a hair more in floating point
        let within =
            |most: f64| sorted.partition_point(|&distance| distance <= most + ROUNDING) as f64 / count as f64;
        Some(BoundaryReport {
            boundaries: count,
            mean_ms: sorted.iter().sum::<f64>() / count as f64,
            median_ms: quantile(0.5),
            percentile_90_ms: quantile(0.9),
            within_10_ms: within(10.0),
            within_20_ms: within(20.0),
            within_25_ms: within(25.0),
            within_50_ms: within(50.0),
        })
    }
}

/// What the difference of two times may be off by, in milliseconds.
const ROUNDING: f64 = 1e-6;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn segments(segments: &[(&str, f64, f64)]) -> Vec<Timed> {
        let timed = |&(text, start, end): &(&str, f64, f64)| Timed {
            text: text.to_owned(),
            start,
            end,
            confidence: 1.0,
        };
        segments.iter().map(timed).collect()
    }

    #[test]
    fn the_numbers_are_numpys() -> Result<()> {
        // numpy: np.mean, np.median, np.percentile(…, 90) of [0, 5, 20, 30, 60, 10]
        let found = segments(&[("a", 0.1, 0.205), ("b", 0.5, 0.77), ("a", 1.06, 1.51)]);
        let reference = segments(&[("a", 0.1, 0.2), ("b", 0.52, 0.8), ("a", 1.0, 1.5)]);
        let mut boundaries = Boundaries::default();
        boundaries.add(&found, &reference)?;
        let report = boundaries.report().unwrap();
        let close = |a: f64, b: f64| (a - b).abs() < 1e-6;
        assert!(close(report.mean_ms, 125.0 / 6.0) && close(report.median_ms, 15.0), "{report:?}");
        assert!(close(report.percentile_90_ms, 45.0), "{report:?}");
        assert_eq!((report.boundaries, report.within_10_ms, report.within_20_ms), (6, 0.5, 4.0 / 6.0));
        assert_eq!((report.within_25_ms, report.within_50_ms), (4.0 / 6.0, 5.0 / 6.0));
        Ok(())
    }

    #[test]
    fn other_symbols_are_an_error_that_names_the_first() {
        let reference = segments(&[("W", 0.0, 0.1), ("AH", 0.1, 0.2)]);
        let mut boundaries = Boundaries::default();
        for (found, says) in [
            (segments(&[("W", 0.0, 0.1), ("EH", 0.1, 0.2)]), "segment 2 is \"EH\", in the reference \"AH\""),
            (segments(&[("W", 0.0, 0.1)]), "there are 1 segments, in the reference 2"),
        ] {
            let error = boundaries.add(&found, &reference).unwrap_err();
            assert!(error.is::<UsageError>() && error.to_string().starts_with(says), "{error}");
        }
        let error = boundaries.add(&segments(&[("W", f64::NAN, 0.1), ("AH", 0.1, 0.2)]), &reference);
        assert!(error.unwrap_err().to_string().contains("segment 1"));
        assert_eq!(boundaries.report(), None);
    }

    proptest! {
        #[test]
        fn a_shift_of_all_boundaries_is_every_measure(
            lengths in prop::collection::vec(0.01..1.0f64, 1..30),
            shift in -0.2..0.2f64,
        ) {
            let mut start = 0.3;
            let reference: Vec<Timed> = lengths
                .iter()
                .map(|length| {
                    let segment = Timed { text: "x".into(), start, end: start + length, confidence: 1.0 };
                    start += length;
                    segment
                })
                .collect();
            let shifted = |segment: &Timed| Timed {
                start: segment.start + shift,
                end: segment.end + shift,
                ..segment.clone()
            };
            let found: Vec<Timed> = reference.iter().map(shifted).collect();
            let mut boundaries = Boundaries::default();
            boundaries.add(&found, &reference).unwrap();
            boundaries.add(&reference, &reference).unwrap();
            let report = boundaries.report().unwrap();
            prop_assert_eq!(report.boundaries, 4 * lengths.len());
            prop_assert!((report.mean_ms - 500.0 * shift.abs()).abs() < 1e-6);
            prop_assert!((report.percentile_90_ms - 1000.0 * shift.abs()).abs() < 1e-6);
            let shares =
                [report.within_10_ms, report.within_20_ms, report.within_25_ms, report.within_50_ms];
            for (share, most) in shares.into_iter().zip([10.0, 20.0, 25.0, 50.0]) {
                prop_assert_eq!(share, if 1000.0 * shift.abs() <= most { 1.0 } else { 0.5 });
            }
        }
    }
}
