//! How features change from frame to frame.

use crate::{Error, Features};

/// The slope of each feature over `2 · reach + 1` frames, by least squares:
/// `d_t = Σ_n n (c_{t+n} - c_{t-n}) / (2 Σ_n n²)`, `n` from 1 to `reach` (HTK's deltas). Before the
/// first frame and after the last stand copies of them.
///
/// Equal to `torchaudio.functional.compute_deltas(…, win_length=2 * reach + 1)`.
///
/// # Errors
/// When `reach` is 0 or above 1000.
pub fn deltas(features: &Features, reach: usize) -> Result<Features, Error> {
    if !(1..=1000).contains(&reach) {
        return Err(Error::setting("the reach of the deltas", reach as f64, "from 1 to 1000 frames"));
    }
    let (values, dimension) = (features.values(), features.dimension());
    let last = features.frames().saturating_sub(1);
    let norm = 1.0 / (2 * (1..=reach).map(|n| n * n).sum::<usize>()) as f32;
    let mut slopes = Features::none(dimension);
    slopes.extend(features.frames());
    for (frame, out) in slopes.rows_mut().enumerate() {
        for n in 1..=reach {
            let weight = n as f32 * norm;
            let [after, before] = [(frame + n).min(last), frame.saturating_sub(n)]
                .map(|at| &values[at * dimension..][..dimension]);
            for ((out, after), before) in out.iter_mut().zip(after).zip(before) {
                *out += weight * (after - before);
            }
        }
    }
    Ok(slopes)
}

/// Features, their deltas, the deltas of these and so on, `order` times, side by side:
/// `(order + 1) · dimension` numbers a frame. `order` 2 is customary.
///
/// # Errors
/// As [`deltas`], and when `order` is above 8.
pub fn with_deltas(features: &Features, reach: usize, order: usize) -> Result<Features, Error> {
    if order > 8 {
        return Err(Error::setting("the order of the deltas", order as f64, "from 0 to 8"));
    }
    let mut orders = vec![features.clone()];
    for _ in 0..order {
        orders.push(deltas(&orders[orders.len() - 1], reach)?);
    }
    let mut values = Vec::with_capacity(features.values().len() * orders.len());
    for frame in 0..features.frames() {
        for order in &orders {
            values.extend_from_slice(&order.values()[frame * order.dimension()..][..order.dimension()]);
        }
    }
    Features::new(values, features.dimension() * orders.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delta_of_a_straight_line_is_its_slope_and_of_that_zero() {
        let line = Features::new((0..20).flat_map(|t| [3.0 * t as f32, -t as f32]).collect(), 2).unwrap();
        let all = with_deltas(&line, 2, 2).unwrap();
        assert_eq!(all.dimension(), 6);
        for frame in 4..16 {
            let expected = [3.0 * frame as f32, -(frame as f32), 3.0, -1.0, 0.0, 0.0];
            for (value, expected) in all.row(frame).unwrap().iter().zip(expected) {
                assert!((value - expected).abs() < 1e-5, "{value} for {expected}");
            }
        }
    }

    #[test]
    fn the_outermost_frames_stand_for_those_beyond() {
        let step = Features::new(vec![0.0, 1.0], 1).unwrap();
        // n = 1 and 2 each see the step once on either side: (1 + 2) / (2 · 5)
        assert_eq!(deltas(&step, 2).unwrap().values(), [0.3, 0.3]);
        assert_eq!(deltas(&Features::new(vec![7.0], 1).unwrap(), 2).unwrap().values(), [0.0]);
        assert!(deltas(&Features::new(vec![], 3).unwrap(), 2).unwrap().is_empty());
    }

    #[test]
    fn impossible_reaches_and_orders_are_refused() {
        let features = Features::new(vec![1.0], 1).unwrap();
        assert!(deltas(&features, 0).is_err() && deltas(&features, 1001).is_err());
        assert!(with_deltas(&features, 2, 9).is_err());
    }
}
