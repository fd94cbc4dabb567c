//! The closed set of signals that rules may name, and how each is measured.
//!
//! A *level* is what a selector comes to in a span: the mean of a gauge, the growth per second of
//! a counter, the mean count of a census. Everything else is made of levels. No data is never
//! zero; only a census whose collector looked and found nothing is.

use std::fmt;

use crate::diagnose::terms::measure::Measure;
use crate::diagnose::terms::operand::{Operand, Over, bare, unit_of};
use crate::diagnose::terms::part::PartKind;
use crate::diagnose::terms::span::Span;
use crate::diagnose::terms::stats;
use crate::timeline::{Selector, Unit, Window, names};

use super::burst::burst;
use super::facts::{Facts, Narrow};
use super::fixed::fixed;

/// What a rule may measure.
#[derive(Clone, Debug, PartialEq)]
pub enum Signal {
    /// A level.
    Value(Operand),
    /// One level divided by another.
    Ratio(Operand, Operand),
    /// A level divided by the throughput: seconds or things per request (Little's law for counts).
    PerRequest(Operand),
    /// Seconds that one call to a peer takes: calls in flight by calls sent per second (Little's
    /// law). No data where most connections are missed between two looks.
    PerCall(Operand),
    /// How many of what is counted there are at a time where each request takes as long as at baseline:
    /// throughput times that time (Little's law). Where requests wait for one of a few of something,
    /// there are at most so many of it, because the wait is no part of the time at baseline.
    AtATime(Operand),
    /// The share of a level that is left when those of others that have data are taken off.
    Rest(Operand, Vec<Selector>),
    /// The level at which a count is stuck at and beyond the knee; 0 where it is not stuck.
    Pinned(Operand),
    /// A level less that at baseline.
    Rise(Operand),
    /// Largest less smallest level of the stages in the span, divided by their mean.
    Spread(Operand),
    /// Which of a count and a rate is fixed while requests fail: the spread of the rate between the
    /// stages, less that of the count. No data where they differ too little.
    Fixed(Operand, Operand),
    /// How many requests of a burst are admitted, as a multiple of those in work under load. No data
    /// where no burst was sent, or where they do not tell what is limited.
    Burst(Operand),
    /// Share of the growth of the response time that these parts explain together.
    Share(Vec<PartKind>),
    /// The same of the time for which the target holds a request: without the queues in front of
    /// it, which only follow from that time where the target takes no more requests at once.
    HeldShare(Vec<PartKind>),
    /// How many series reach a level.
    Count(Selector, f64),
    /// How often a value was another one than at the look before.
    Changes(Selector),
    /// Seconds from the last reading to the end of the span.
    Silent(Selector),
    /// Growth per second that will not end; 0 where the series does not leak.
    Leak(Selector),
    /// A signal divided by itself at baseline.
    Growth(Box<Signal>),
    /// A signal in the typical stage of the span: the median over its stages, so that what happened
    /// once in one of them does not count.
    Typical(Box<Signal>),
}

/// What a signal came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// The value.
    pub value: f64,
    /// The first and the second level of a ratio or a remainder.
    pub levels: Option<(f64, f64)>,
    /// The label value that it was measured for, where a signal is measured one by one.
    pub of: Option<String>,
}

impl Measured {
    /// A value alone.
    pub fn plain(value: f64) -> Self {
        Self { value, levels: None, of: None }
    }
}

/// A count is stuck where its mean fills this share of the most it reaches.
const STUCK_FILL: f64 = 0.85;
/// Its most is this quantile of the looks: one look may count a connection that is just closing.
const STUCK_MOST: f64 = 0.95;
/// A large count that only fluctuates fills nearly all of its most too: a Poisson count of mean m
/// fills 1 / (1 + 1.64 / √m). One that is stuck fluctuates by less than half of that.
const STUCK_SCATTER: f64 = 0.8;
/// Stages at and beyond the knee differ by at most this share of their mean …
const STUCK_SPREAD: f64 = 0.2;
/// … and this many standard errors: a stage of few looks may meet a moment that is not like it.
const STUCK_ERRORS: f64 = 2.0;
/// Stages of fewer looks are not compared.
const FEWEST_LOOKS: usize = 4;
/// At baseline the count is at most this share of where it is stuck: a level that never moves
/// tells nothing of the load.
const STUCK_ROOM: f64 = 0.75;

/// Connections are kept where at most this many are opened for each segment sent: eight segments
/// or more for each, where a call with its TLS handshake takes about three.
const KEPT_CONNECTIONS: f64 = 0.125;
/// A call is seen, on whatever connection, where it takes this many times the time between looks.
const LONG_CALL: f64 = 2.0;
/// Fewer calls in flight than this, of all looks together, tell no time of one: the counting error
/// is their square root.
const FEWEST_CALLS_SEEN: f64 = 5.0;

impl Signal {
    /// Measures it. `None` means no data; a leak is measured by `leaks` instead.
    pub fn measure(&self, facts: &Facts, span: Span, narrow: &[Narrow]) -> Option<Measured> {
        let narrowed = |label: &str| narrow.iter().any(|narrow| narrow.label == label);
        if let Some(label) = self.by().filter(|label| !narrowed(label)) {
            let each =
                facts.label_values(&self.selectors(), label).into_iter().filter_map(|value| {
                    let one = Narrow { label: label.to_owned(), value: value.clone() };
                    let measured = self.measure(facts, span, &[narrow, &[one]].concat())?;
                    Some(Measured { of: Some(value), ..measured })
                });
            let order = |a: &Measured, b: &Measured| a.value.total_cmp(&b.value);
            let decisive = if self.is_least() { each.min_by(order) } else { each.max_by(order) };
            return decisive.or_else(|| self.measure_once(facts, span, narrow));
        }
        self.measure_once(facts, span, narrow)
    }

    fn measure_once(&self, facts: &Facts, span: Span, narrow: &[Narrow]) -> Option<Measured> {
        self.measure_in(facts, span, &facts.windows(span), narrow)
    }

    fn measure_in(
        &self,
        facts: &Facts,
        span: Span,
        windows: &[Window],
        narrow: &[Narrow],
    ) -> Option<Measured> {
        match self {
            Signal::Value(operand) => facts.level(operand, windows, narrow).map(Measured::plain),
            Signal::Ratio(above, below) => {
                let above = facts.level(above, windows, narrow)?;
                let below = facts.level(below, windows, narrow)?;
                (below > 0.0).then(|| Measured {
                    value: above / below,
                    levels: Some((above, below)),
                    of: None,
                })
            }
            Signal::PerRequest(operand) => {
                let level = facts.level(operand, windows, narrow)?;
                let throughput = facts.throughput(windows)?;
                (throughput > 0.0).then(|| Measured::plain(level / throughput))
            }
            Signal::PerCall(operand) => {
                per_call(facts, operand, windows, narrow).map(Measured::plain)
            }
            Signal::Rest(of, less) => rest(facts, of, less, windows, narrow),
            Signal::AtATime(operand) => {
                let quiet = Signal::PerRequest(operand.clone());
                let takes = quiet.measure_once(facts, Span::Baseline, narrow)?.value;
                let throughput = facts.throughput(windows)?;
                Some(Measured {
                    value: throughput * takes,
                    levels: Some((throughput, takes)),
                    of: None,
                })
            }
            Signal::Pinned(operand) => pinned(facts, operand, narrow).map(Measured::plain),
            Signal::Rise(operand) => {
                let level = facts.level(operand, windows, narrow)?;
                let base = facts.level(operand, &facts.windows(Span::Baseline), narrow)?;
                Some(Measured { value: level - base, levels: Some((level, base)), of: None })
            }
            Signal::Spread(operand) => spread(facts, operand, windows, narrow),
            Signal::Burst(operand) => burst(facts, operand).map(|(admitted, in_work)| Measured {
                value: admitted / in_work,
                levels: Some((admitted, in_work)),
                of: None,
            }),
            Signal::Fixed(count, rate) => {
                fixed(facts, count, rate, narrow).map(|(of_count, of_rate)| Measured {
                    value: of_rate - of_count,
                    levels: Some((of_count, of_rate)),
                    of: None,
                })
            }
            Signal::Share(parts) => facts.share(parts, narrow).map(Measured::plain),
            Signal::HeldShare(parts) => facts.held_share(parts, narrow).map(Measured::plain),
            Signal::Count(selector, least) => {
                let levels = facts.levels(selector, windows, narrow);
                (!levels.is_empty()).then(|| {
                    let count = levels.iter().filter(|(_, level)| level >= least).count();
                    Measured::plain(count as f64)
                })
            }
            Signal::Changes(selector) => {
                facts.changes(selector, windows, narrow).map(Measured::plain)
            }
            Signal::Silent(selector) => {
                facts.silent_secs(selector, windows, narrow).map(Measured::plain)
            }
            // `leaks` measures a leak: it takes more than a level.
            Signal::Leak(_) => None,
            Signal::Growth(inner) => {
                let at = inner.measure(facts, span, narrow)?;
                let base = inner.measure(facts, Span::Baseline, narrow)?;
                (base.value > 0.0).then(|| Measured {
                    value: at.value / base.value,
                    levels: Some((at.value, base.value)),
                    of: at.of,
                })
            }
            Signal::Typical(inner) => inner.in_the_typical(facts, span, windows, narrow),
        }
    }

    /// The median over the stages in which it can be measured.
    fn in_the_typical(
        &self,
        facts: &Facts,
        span: Span,
        windows: &[Window],
        narrow: &[Narrow],
    ) -> Option<Measured> {
        let in_one =
            |window: &Window| self.measure_in(facts, span, std::slice::from_ref(window), narrow);
        let mut all: Vec<Measured> = windows.iter().filter_map(in_one).collect();
        all.sort_by(|a, b| a.value.total_cmp(&b.value));
        let middle = all.len() / 2;
        (!all.is_empty()).then(|| all.swap_remove(middle))
    }

    /// What its values are.
    pub fn measure_unit(&self) -> Measure {
        match self {
            Signal::Value(operand) => operand.unit(),
            Signal::Ratio(above, below) => match (above.unit(), below.unit()) {
                (Measure::PerSecond(Unit::Seconds), Measure::PerSecond(Unit::Count)) => {
                    Measure::In(Unit::Seconds)
                }
                (Measure::In(above), Measure::In(below)) if above != below => {
                    Measure::In(Unit::Unknown)
                }
                _ => Measure::In(Unit::Ratio),
            },
            Signal::PerRequest(operand) => match operand.unit() {
                Measure::PerSecond(unit) => Measure::In(unit),
                _ => Measure::In(Unit::Seconds),
            },
            Signal::PerCall(_) => Measure::In(Unit::Seconds),
            Signal::Pinned(operand) | Signal::Rise(operand) => operand.unit(),
            Signal::Rest(..)
            | Signal::Spread(_)
            | Signal::Fixed(..)
            | Signal::Burst(_)
            | Signal::Share(_)
            | Signal::HeldShare(_) => Measure::In(Unit::Ratio),
            Signal::Count(..) | Signal::Changes(_) | Signal::AtATime(_) => Measure::In(Unit::Count),
            Signal::Silent(_) => Measure::In(Unit::Seconds),
            Signal::Leak(selector) => Measure::PerSecond(match unit_of(selector) {
                Measure::In(unit) | Measure::PerSecond(unit) => unit,
                Measure::Times => Unit::Count,
            }),
            Signal::Growth(_) => Measure::Times,
            Signal::Typical(inner) => inner.measure_unit(),
        }
    }

    /// What the two levels of a ratio or a growth are.
    pub fn level_units(&self) -> (Measure, Measure) {
        match self {
            Signal::Ratio(above, below) => (above.unit(), below.unit()),
            Signal::Growth(inner) => (inner.measure_unit(), inner.measure_unit()),
            Signal::Typical(inner) => inner.level_units(),
            Signal::Rest(of, _) | Signal::Burst(of) => (of.unit(), of.unit()),
            Signal::AtATime(_) => (Measure::PerSecond(Unit::Count), Measure::In(Unit::Seconds)),
            other => (other.measure_unit(), other.measure_unit()),
        }
    }

    /// Every selector inside.
    pub fn selectors(&self) -> Vec<&Selector> {
        match self {
            Signal::Value(operand)
            | Signal::PerRequest(operand)
            | Signal::PerCall(operand)
            | Signal::AtATime(operand)
            | Signal::Pinned(operand)
            | Signal::Rise(operand)
            | Signal::Burst(operand)
            | Signal::Spread(operand) => operand.selectors.iter().collect(),
            Signal::Ratio(above, below) | Signal::Fixed(above, below) => {
                above.selectors.iter().chain(&below.selectors).collect()
            }
            Signal::Rest(of, less) => of.selectors.iter().chain(less).collect(),
            Signal::Count(selector, _)
            | Signal::Changes(selector)
            | Signal::Silent(selector)
            | Signal::Leak(selector) => vec![selector],
            Signal::Share(_) | Signal::HeldShare(_) => Vec::new(),
            Signal::Growth(inner) | Signal::Typical(inner) => inner.selectors(),
        }
    }

    fn by(&self) -> Option<&str> {
        self.operand()?.by.as_deref()
    }

    /// Whether the least of the values counts where it is measured one by one.
    fn is_least(&self) -> bool {
        self.operand().is_some_and(|operand| operand.over == Over::Min)
    }

    /// What is measured, the first of it.
    fn operand(&self) -> Option<&Operand> {
        match self {
            Signal::Value(operand)
            | Signal::Ratio(operand, _)
            | Signal::PerRequest(operand)
            | Signal::PerCall(operand)
            | Signal::Rest(operand, _)
            | Signal::AtATime(operand)
            | Signal::Pinned(operand)
            | Signal::Rise(operand)
            | Signal::Spread(operand)
            | Signal::Burst(operand)
            | Signal::Fixed(operand, _) => Some(operand),
            Signal::Growth(inner) | Signal::Typical(inner) => inner.operand(),
            Signal::Share(_)
            | Signal::HeldShare(_)
            | Signal::Count(..)
            | Signal::Changes(_)
            | Signal::Silent(_)
            | Signal::Leak(_) => None,
        }
    }
}

/// What is left of a level without those of others that have data, and all of it.
fn rest(
    facts: &Facts,
    of: &Operand,
    less: &[Selector],
    windows: &[Window],
    narrow: &[Narrow],
) -> Option<Measured> {
    let all = facts.level(of, windows, narrow)?;
    let level = |selector| facts.level_of(selector, Over::Sum, windows, narrow);
    let left = (all - less.iter().filter_map(level).sum::<f64>()).max(0.0);
    (all > 0.0).then(|| Measured { value: left / all, levels: Some((left, all)), of: None })
}

/// Where a count is stuck. A count that is flat because the throughput is flat fluctuates, as the
/// number in an unbounded queueing station does; one that is at its limit hardly does. So the
/// mean has to fill nearly all of what the count ever reaches.
fn pinned(facts: &Facts, operand: &Operand, narrow: &[Narrow]) -> Option<f64> {
    let windows = facts.windows(Span::Knee);
    let mut all = Vec::new();
    let mut means = Vec::new();
    for window in &windows {
        let samples = facts.samples(operand, *window, narrow);
        if let Some(mean) = stats::mean(&samples).filter(|_| samples.len() >= FEWEST_LOOKS) {
            means.push((mean, stats::variance(&samples) / samples.len() as f64));
        }
        all.extend(samples);
    }
    let mean = stats::mean(&all)?;
    let ceiling = stats::quantile(&all, STUCK_MOST)?;
    let fill = STUCK_FILL.max(1.0 / (1.0 + STUCK_SCATTER / ceiling.max(1.0).sqrt()));
    if ceiling < 1.0 || mean < fill * ceiling {
        return Some(0.0);
    }
    let by_mean = |a: &&(f64, f64), b: &&(f64, f64)| a.0.total_cmp(&b.0);
    let extremes = means.iter().max_by(by_mean).zip(means.iter().min_by(by_mean));
    if let Some((most, least)) = extremes {
        let error = (most.1 + least.1).sqrt();
        if most.0 - least.0 > STUCK_SPREAD * mean + STUCK_ERRORS * error {
            return Some(0.0);
        }
    }
    let baseline = facts.level(operand, &facts.windows(Span::Baseline), narrow);
    if baseline.is_some_and(|baseline| baseline > STUCK_ROOM * ceiling) {
        return Some(0.0);
    }
    Some(mean)
}

/// Seconds that one call takes. What is counted as a call is a data segment, so only the ratio to
/// another window means something where a call takes several.
///
/// A connection that opens and closes between two looks is missed with its calls, while the count
/// of calls in flight stays right. The quotient would then come out as about the time between two
/// looks. So it is no data unless connections are kept, or a call takes longer than that.
fn per_call(
    facts: &Facts,
    operand: &Operand,
    windows: &[Window],
    narrow: &[Narrow],
) -> Option<f64> {
    let of = |metric| facts.level_of(&bare(metric), Over::Sum, windows, narrow);
    let calls = facts.level(operand, windows, narrow)?;
    let sent = of(&names::TCP_CALLS_SENT).filter(|sent| *sent > 0.0)?;
    let connections = of(&names::TCP_CALLS_CONNECTIONS)?;
    let looks = facts.looks(names::TCP_CALLS.name, windows) as f64;
    if calls * looks < FEWEST_CALLS_SEEN {
        return None;
    }
    let seconds = calls / sent;
    let apart = windows.iter().map(Window::secs).sum::<f64>() / looks;
    let is_counted = connections <= KEPT_CONNECTIONS * sent || seconds >= LONG_CALL * apart;
    is_counted.then_some(seconds)
}

fn spread(
    facts: &Facts,
    operand: &Operand,
    windows: &[Window],
    narrow: &[Narrow],
) -> Option<Measured> {
    let levels: Vec<f64> = windows
        .iter()
        .filter_map(|window| facts.level(operand, std::slice::from_ref(window), narrow))
        .collect();
    // One stage has no spread, and a flat line through one point proves nothing.
    if levels.len() < 2 {
        return None;
    }
    stats::relative_spread(&levels).map(Measured::plain)
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Signal::Value(operand) => write!(f, "{operand}"),
            Signal::Ratio(above, below) => write!(f, "{above} / {below}"),
            Signal::PerRequest(operand) => write!(f, "{operand} per request"),
            Signal::PerCall(operand) => write!(f, "{operand} per call"),
            Signal::Rest(of, less) => {
                write!(f, "rest of {of}")?;
                less.iter().try_for_each(|selector| write!(f, " - {selector}"))
            }
            Signal::AtATime(operand) => {
                write!(f, "{operand} if requests took as long as at low load")
            }
            Signal::Pinned(operand) => write!(f, "{operand} pinned"),
            Signal::Rise(operand) => write!(f, "rise of {operand}"),
            Signal::Spread(operand) => write!(f, "spread of {operand}"),
            Signal::Burst(operand) => write!(f, "{operand} admitted of a burst"),
            Signal::Fixed(count, rate) => write!(f, "which is fixed: {count} or {rate}"),
            Signal::Share(parts) => {
                f.write_str("share of the growth:")?;
                parts.iter().try_for_each(|part| write!(f, " {}", part.key()))
            }
            Signal::HeldShare(parts) => {
                f.write_str("share of the growth inside:")?;
                parts.iter().try_for_each(|part| write!(f, " {}", part.key()))
            }
            Signal::Count(selector, least) => write!(f, "count of {selector} at least {least}"),
            Signal::Changes(selector) => write!(f, "changes of {selector}"),
            Signal::Silent(selector) => write!(f, "silence of {selector}"),
            Signal::Leak(selector) => write!(f, "leak of {selector}"),
            Signal::Growth(inner) => write!(f, "growth of {inner}"),
            Signal::Typical(inner) => write!(f, "typical {inner}"),
        }
    }
}
