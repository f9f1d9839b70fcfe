//! From seconds and Hertz to places in a picture.

/// A straight line from numbers to places.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Axis {
    /// Where 0 is.
    pub(super) origin: f64,
    /// Units of the picture for 1; negative where the axis goes up.
    pub(super) scale: f64,
    /// The last number.
    pub(super) end: f64,
}

impl Axis {
    /// Where a number is.
    pub(super) fn at(&self, value: f64) -> f64 {
        self.origin + self.scale * value
    }

    /// Numbers with 1, 2 or 5 as their only digit or multiples of them, at least `apart` units of the
    /// picture from each other, and what to write at them.
    pub(super) fn ticks(&self, apart: f64) -> Vec<(f64, String)> {
        let least = apart / self.scale.abs();
        let power = least.log10().floor();
        let steps = [1.0, 2.0, 5.0, 10.0].map(|digit| digit * 10f64.powf(power));
        let step = steps.into_iter().find(|&step| step >= least * (1.0 - 1e-9)).unwrap_or(steps[3]);
        let decimals = (-(step.log10() + 1e-9).floor()).max(0.0) as usize;
        let last = (self.end / step + 1e-9).floor() as usize;
        (0..=last)
            .map(|number| number as f64 * step)
            .map(|value| (self.at(value), format!("{value:.decimals$}")))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_numbers_with_room_between() {
        let texts = |scale, end, apart| -> Vec<String> {
            let axis = Axis { origin: 50.0, scale, end };
            let ticks = axis.ticks(apart);
            assert!(ticks.windows(2).all(|pair| (pair[1].0 - pair[0].0).abs() >= apart - 1e-6));
            ticks.into_iter().map(|(_, text)| text).collect()
        };
        assert_eq!(texts(160.0, 1.6, 60.0), ["0.0", "0.5", "1.0", "1.5"]);
        assert_eq!(texts(-22.5, 8.0, 28.0), ["0", "2", "4", "6", "8"]);
        assert_eq!(texts(1000.0, 0.3, 100.0), ["0.0", "0.1", "0.2", "0.3"]);
        assert_eq!(texts(10.0, 30.0, 100.0), ["0", "10", "20", "30"]);
    }
}
