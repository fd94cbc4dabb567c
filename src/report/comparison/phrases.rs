//! How the parts of a comparison read.

use super::super::wording::{
    NOTHING, clean, list, number, percent, plural, rate, sentence, short_rate, value,
};
use crate::compare::{Answer, Change, Comparison, LimitChange, Measure, Method, Quantity, Subject};

/// What a quantity is, as in a table: p99 of `order`.
pub fn name(quantity: &Quantity) -> String {
    quantity_name(&quantity.subject, &quantity.measure)
}

/// The same of its parts.
pub fn quantity_name(subject: &Subject, measure: &Measure) -> String {
    let what = match measure {
        Measure::P50 => "p50".to_owned(),
        Measure::P95 => "p95".to_owned(),
        Measure::P99 => "p99".to_owned(),
        Measure::ErrorRatio => "errors".to_owned(),
        Measure::Throughput => "throughput".to_owned(),
        Measure::Knee => "knee".to_owned(),
        Measure::Capacity => "capacity".to_owned(),
        Measure::CpuPerRequest => "CPU time per request".to_owned(),
        Measure::DatabasePerRequest => "database time per request".to_owned(),
        Measure::StatementsPerRequest => "statements per request".to_owned(),
        Measure::RowsPerRequest => "rows read per request".to_owned(),
        Measure::CallsPerRequest(service) => format!("calls to {} per request", clean(service)),
        Measure::BytesPerRequest => "bytes the machine sends per request".to_owned(),
        Measure::MemoryFloor => "memory floor".to_owned(),
        Measure::Restarts => "restarts per run".to_owned(),
    };
    match subject {
        Subject::All => what,
        Subject::Request(name) => format!("{what} of `{}`", clean(name)),
        Subject::Tag(tag) => format!("{what} of tag `{}`", clean(tag)),
    }
}

/// What quantities are about, as a heading.
pub fn subject(subject: &Subject) -> String {
    match subject {
        Subject::All => "all requests".to_owned(),
        Subject::Request(name) => format!("request {}", clean(name)),
        Subject::Tag(tag) => format!("tag {}", clean(tag)),
    }
}

/// A value of a quantity; `is_least` where it is a lower bound.
pub fn amount(quantity: &Quantity, measured: Option<f64>, is_least: bool) -> String {
    let Some(measured) = measured else { return NOTHING.to_owned() };
    let text = match quantity.measure.is_rate() {
        true => short_rate(measured),
        false => value(measured, quantity.measure.unit()),
    };
    if is_least { format!("above {text}") } else { text }
}

/// The value of the base. A fall without a lower end is one from a knee that was not reached.
pub fn base(quantity: &Quantity) -> String {
    let is_open = quantity.change.is_some_and(|change| change.low.is_none());
    amount(quantity, quantity.base, is_open)
}

/// The value of the candidate.
pub fn candidate(quantity: &Quantity) -> String {
    let is_open = quantity.change.is_some_and(|change| change.high.is_none());
    amount(quantity, quantity.candidate, is_open)
}

/// The size of a change: `38 %`, and from a doubling on without decimals.
fn size(change: f64) -> String {
    match change.abs() {
        change if change >= 1.0 => format!("{} %", number(change * 100.0)),
        change => percent(change),
    }
}

/// A change with its sign: `+38 %`. Differences of shares are in percentage points.
pub fn signed(change: f64, is_difference: bool) -> String {
    let points = if is_difference { "points" } else { "%" };
    let size = size(change);
    let size = size.trim_end_matches(" %");
    match change {
        _ if size == "0" => format!("0 {points}"),
        change if change < 0.0 => format!("-{size} {points}"),
        _ => format!("+{size} {points}"),
    }
}

/// The change alone.
pub fn change(change: Option<Change>) -> String {
    let Some(change) = change else { return NOTHING.to_owned() };
    signed(change.estimate, change.is_difference)
}

/// The 95 % interval of a change.
pub fn interval(change: Option<Change>) -> String {
    let Some(Change { low, high, is_difference, .. }) = change else { return NOTHING.to_owned() };
    let end = |end| signed(end, is_difference);
    match (low, high) {
        (Some(low), Some(high)) => format!("{} to {}", end(low), end(high)),
        (Some(low), None) => format!("at least {}", end(low)),
        (None, Some(high)) => format!("{} or lower", end(high)),
        (None, None) => NOTHING.to_owned(),
    }
}

/// What a quantity did, as a sentence without its end: `the p99 of all requests rose by 38 %`.
pub fn did(quantity: &Quantity) -> String {
    let name = match (&quantity.subject, quantity.measure.quantile()) {
        (Subject::All, Some(_)) => format!("{} of all requests", self::name(quantity)),
        _ => self::name(quantity),
    };
    let values = format!("from {} to {}", base(quantity), candidate(quantity));
    let Some(change) = quantity.change else { return format!("{name} went {values}") };
    let verb = if change.estimate < 0.0 { "fell" } else { "rose" };
    if change.is_difference {
        return format!("{name} {verb} {values}");
    }
    let size = size(change.estimate);
    if size == "0 %" {
        return format!(
            "{name} did not change: {} (95 % interval {})",
            candidate(quantity),
            interval(Some(change))
        );
    }
    let least = if change.low.is_none() || change.high.is_none() { "at least " } else { "" };
    format!("{name} {verb} by {least}{size} {values} (95 % interval {})", interval(Some(change)))
}

/// How the intervals were made, in one sentence.
pub fn method(method: Method) -> &'static str {
    match method {
        Method::OneRunEach => {
            "One run of each build does not show how much runs differ, so only knees and \
             capacities are judged. Record five runs of each, or measure the noise with `kneepoint \
             calibrate`"
        }
        Method::KnownNoise => {
            "Intervals: blocks of time are drawn again within each run, and the noise from run to \
             run that was known before is added"
        }
        Method::Runs => "Intervals: Welch's t test on the logarithm of each run's value",
        Method::Pairs => {
            "Intervals: the runs alternated, so a paired t test on the logarithm of each ratio"
        }
    }
}

/// Where the noise from run to run is known from, and what it raises.
pub fn noise(comparison: &Comparison) -> Option<String> {
    let from = comparison.noise.as_ref()?;
    let is_raised = |quantity: &&Quantity| {
        quantity.subject == Subject::All
            && quantity.measure.quantile().is_some()
            && quantity.is_raised_by_noise
    };
    let raised: Vec<String> = comparison
        .quantities
        .iter()
        .filter(is_raised)
        .map(|quantity| format!("{} of {}", percent(quantity.allowed), name(quantity)))
        .collect();
    let effect = match &raised[..] {
        [] => "It does not raise what is allowed for response times".to_owned(),
        raised => format!("So much is allowed, because less would be chance: {}", list(raised)),
    };
    Some(format!("The noise from run to run is known: {}. {effect}.", clean(from)))
}

/// A limit that differs, and whether these runs can show what that costs.
pub fn limit(limit: &LimitChange, comparison: &Comparison) -> String {
    let LimitChange { base, candidate, most_in_candidate: most, .. } = *limit;
    let (places, pool) = (clean(&limit.places), clean(&limit.pool));
    let verb = if candidate < base { "fell" } else { "rose" };
    let told = format!(
        "The limit of the pool `{pool}` {verb} from {} to {} {places}",
        number(base),
        number(candidate)
    );
    let is_searched = comparison.candidate.iter().any(|run| run.knee.is_some());
    match () {
        () if candidate > base => format!("{told}."),
        () if most >= candidate => format!("{told}, and at times all of them were in use."),
        () if is_searched => format!("{told}; at most {} were in use.", number(most)),
        () => format!(
            "{told}; at most {} were in use, so nothing waited for it at this load. Runs with \
             `--full` or a higher `rate` in `[gate]` show from which load on it matters.",
            number(most)
        ),
    }
}

/// What the change of the processor time means.
pub const EQUAL_SPEED: &str = "The change of the CPU time is that at equal speed of the machine, \
                               which kneepoint's own CPU time for a request tells.";

/// The loads that were compared.
pub fn loads(loads: &[crate::compare::MatchedLoad]) -> String {
    let seconds: f64 = loads.iter().map(|load| load.seconds).sum();
    let seconds = super::super::wording::duration(seconds);
    match loads {
        [] => "at no common load".to_owned(),
        [one] => format!("at {}, {seconds} of each run", rate(one.offered)),
        [first, .., last] => format!(
            "at {} loads from {} to {}, {seconds} of each run",
            loads.len(),
            number(first.offered),
            rate(last.offered)
        ),
    }
}

/// That the runs of one sitting count as one.
pub fn sittings((base, candidate): (u64, u64)) -> String {
    let base = plural(base, "sitting", "sittings");
    format!(
        "Runs of one sitting share what the machine was like and count as one: {base} of the base, \
         {candidate} of the candidate."
    )
}

/// So many runs of each build.
pub fn runs(base: usize, candidate: usize) -> String {
    let say = |count: usize| plural(count as u64, "run", "runs");
    match base == candidate {
        true => format!("{} of each build", say(base)),
        false => format!("{} of the base and {} of the candidate", say(base), say(candidate)),
    }
}

/// Names of quantities in a sentence, at most `most`.
pub fn names(names: &[String], most: usize) -> String {
    let shown: Vec<String> = names.iter().take(most).cloned().collect();
    match names.len().saturating_sub(most) {
        0 => list(&shown),
        rest => format!("{} and {rest} more", shown.join(", ")),
    }
}

/// What is allowed, as in a sentence: `10 %`, `+0.1 points`.
pub fn allowed(quantity: &Quantity) -> String {
    match quantity.is_error_ratio() {
        true => signed(quantity.allowed, true),
        false => percent(quantity.allowed),
    }
}

/// Why a quantity is not decided, and what would decide it; without a full stop.
pub fn reason(why: &str, further_runs: Option<u64>) -> String {
    match further_runs {
        Some(further) => format!(
            "{why}. {} of each build would decide",
            plural(further, "further run", "further runs")
        ),
        None => why.to_owned(),
    }
}

/// The answer for one quantity in one or two sentences: what it did, and what is allowed or why it
/// is not decided.
pub fn message(quantity: &Quantity) -> String {
    let did = match (quantity.base.is_some() && quantity.candidate.is_some(), quantity.change) {
        (false, _) => name(quantity),
        (true, Some(change)) if change.is_difference => {
            format!("{} (95 % interval {})", did(quantity), interval(quantity.change))
        }
        (true, _) => did(quantity),
    };
    let allowed = allowed(quantity);
    match &quantity.answer {
        Answer::Worse => format!("Worse: {did}; {allowed} is allowed."),
        Answer::Better => format!("Better: {did}."),
        Answer::Same => format!("Same: {did}; {allowed} is allowed."),
        Answer::CannotTell { why, further_runs, .. } => {
            format!("Cannot tell: {did}: {}", sentence(&reason(why, *further_runs)))
        }
    }
}
