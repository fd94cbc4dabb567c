//! From values to pixels, and where the ticks stand.

use super::super::model::Quantity;

/// A linear or logarithmic axis.
#[derive(Clone, Debug)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
    log: bool,
    /// Values of the ticks, inside the axis.
    pub ticks: Vec<f64>,
}

impl Scale {
    /// From zero to a round value of at least `most`, with about `count` ticks.
    pub fn linear(most: f64, pixels: (f64, f64), quantity: Quantity, count: usize) -> Self {
        let most = if most > 0.0 && most.is_finite() { most } else { 1.0 };
        let step = match quantity {
            Quantity::Bytes => binary_step(most / count as f64),
            _ => round_step(most / count as f64),
        };
        let steps = (most / step - 1e-9).ceil().max(1.0);
        let ticks = (0..=steps as usize).map(|index| index as f64 * step).collect();
        let high = steps * step;
        Self { low: 0.0, high, from: pixels.0, to: pixels.1, log: false, ticks }
    }

    /// From `low` to `high` exactly, ticks at round values between.
    pub fn exact(low: f64, high: f64, pixels: (f64, f64), step: f64) -> Self {
        let high = if high > low { high } else { low + 1.0 };
        let first = (low / step - 1e-9).ceil() as i64;
        let last = (high / step + 1e-9).floor() as i64;
        let ticks = (first..=last).map(|index| index as f64 * step).collect();
        Self { low, high, from: pixels.0, to: pixels.1, log: false, ticks }
    }

    /// From a round value below `least` to one above `most`, both above zero.
    pub fn log(least: f64, most: f64, pixels: (f64, f64)) -> Self {
        let marks = |exponent: i32| [1.0, 2.0, 5.0].map(|digit| digit * 10f64.powi(exponent));
        let exponents = (least.log10().floor() as i32 - 1)..=(most.log10().ceil() as i32);
        let all: Vec<f64> = exponents.flat_map(marks).collect();
        let near = 1.0 + 1e-9;
        let low = all.iter().copied().filter(|mark| *mark <= least * near).fold(least, |_, m| m);
        let high = all.iter().copied().find(|mark| *mark * near >= most).unwrap_or(most);
        let decades = (high / low).log10();
        let is_shown = |mark: &f64| {
            let digit = mark / 10f64.powf((mark.log10() + 1e-9).floor());
            *mark * near >= low && *mark <= high * near && (decades < 1.7 || digit < 1.5)
        };
        let ticks = all.into_iter().filter(is_shown).collect();
        Self { low, high, from: pixels.0, to: pixels.1, log: true, ticks }
    }

    /// The pixel of a value, kept inside the axis.
    pub fn at(&self, value: f64) -> f64 {
        let share = match self.log {
            true => (value.max(self.low) / self.low).ln() / (self.high / self.low).ln(),
            false => (value - self.low) / (self.high - self.low),
        };
        self.from + (self.to - self.from) * share.clamp(0.0, 1.0)
    }

    /// Whether a value lies on the axis.
    pub fn has(&self, value: f64) -> bool {
        self.low <= value && value <= self.high * (1.0 + 1e-9)
    }
}

/// The smallest of 1, 2, 5 times a power of ten that is at least `raw`.
pub(super) fn round_step(raw: f64) -> f64 {
    let power = 10f64.powf(raw.log10().floor());
    let digit = [1.0, 2.0, 5.0, 10.0].into_iter().find(|digit| digit * power >= raw * 0.999);
    digit.unwrap_or(10.0) * power
}

/// The smallest power of two that is at least `raw`, so that bytes get round labels; between
/// 512 and 1024 of a unit the larger.
fn binary_step(raw: f64) -> f64 {
    2f64.powf(raw.max(1.0).log2().ceil())
}

/// Seconds between two ticks of a time axis.
pub(super) fn time_step(length: f64, count: usize) -> f64 {
    let steps =
        [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200];
    let raw = length / count as f64;
    steps.into_iter().map(f64::from).find(|step| *step >= raw).unwrap_or(86_400.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_cover_the_data() {
        let scale = Scale::linear(337.0, (100.0, 0.0), Quantity::Rate, 4);
        assert_eq!(scale.ticks, [0.0, 100.0, 200.0, 300.0, 400.0]);
        assert_eq!((scale.at(0.0), scale.at(400.0)), (100.0, 0.0));
        let mib = 1024.0 * 1024.0;
        let scale = Scale::linear(170.0 * mib, (100.0, 0.0), Quantity::Bytes, 4);
        assert_eq!(scale.ticks, [0.0, 64.0 * mib, 128.0 * mib, 192.0 * mib]);
    }

    #[test]
    fn logarithmic_axes_cover_the_data_at_any_range() {
        for (least, most) in [(0.004, 2.3), (0.001, 0.03), (1e-6, 60.0), (0.1, 0.1)] {
            let scale = Scale::log(least, most, (100.0, 0.0));
            assert!(scale.has(least) && scale.has(most), "{least} to {most}: {scale:?}");
            assert!(scale.ticks.len() >= 2 || least == most, "{least} to {most}: {scale:?}");
            assert!(scale.ticks.len() <= 9, "{least} to {most}: {scale:?}");
        }
    }

    #[test]
    fn nothing_makes_an_axis_fail() {
        for most in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e-300, 1e300] {
            let scale = Scale::linear(most, (10.0, 0.0), Quantity::Count, 4);
            assert!(scale.at(most.abs().min(1e301)).is_finite() || most.is_nan(), "{most}");
        }
    }
}
