//! The interval of a knee and the estimate in it, held against the single stages.
//!
//! A fit looks at all stages at once. Where they scatter, or the curve beyond the knee is no straight
//! line, its interval can reach over stages that were plainly carried, and its best value can lie
//! at an end of it.

use super::live::falls_behind;
use super::signs::{Base, CurvePoint};

/// Share of the interval next to each of its ends in which no estimate lies.
const EDGE: f64 = 0.1;
/// Standard errors by which a goodput may be less than it was measured.
const SURE: f64 = 2.0;

/// A knee with its interval.
#[derive(Clone, Copy, Debug)]
pub struct Placed {
    pub rate: f64,
    pub low: f64,
    pub high: f64,
}

impl Placed {
    /// The same interval, without the part below a stage that was carried, as all below it in the
    /// interval were, and without the part above one that was not, as none above it was.
    pub fn within(self, sorted: &[CurvePoint], base: &Base) -> Placed {
        let inside = |point: &&CurvePoint| point.offered > self.low && point.offered < self.high;
        let carried = |point: &&CurvePoint| !falls_behind(point, base);
        let good = sorted.iter().filter(inside).take_while(carried).last();
        let bad = sorted.iter().rev().filter(inside).take_while(|point| !carried(point)).last();
        // What one stage carries by chance, by Poisson departures, another of its length need not.
        let error = |it: &CurvePoint| SURE * it.error.max((it.offered / it.seconds).sqrt());
        let low = good.map_or(self.low, |it| self.low.max(it.goodput.min(it.offered) - error(it)));
        let high = bad.map_or(self.high, |it| self.high.min(it.offered + error(it)));
        if low < high { Placed { low, high, ..self } } else { self }
    }

    /// The same, with this one's interval in it too.
    pub fn or(self, other: Placed) -> Placed {
        Placed { low: self.low.min(other.low), high: self.high.max(other.high), ..self }
    }

    /// The estimate where the evidence is: as it was if it lies inside the interval, else `middle`
    /// if that does, else half way between the ends.
    pub fn centred(self, middle: f64) -> Placed {
        let edge = EDGE * (self.high - self.low);
        let inside = |rate: &f64| (self.low + edge..=self.high - edge).contains(rate);
        let half = self.low.midpoint(self.high);
        let rate = [self.rate, middle].into_iter().find(inside).unwrap_or(half);
        Placed { rate, ..self }
    }
}
