//! The steps of a analysis in words, each with its number.

use crate::diagnose::leaks::leak::{Gate, GateKind, LeakAnalysis};
use crate::diagnose::terms::measure::Measure;
use crate::diagnose::terms::soak::TrendStep;
use crate::diagnose::terms::wording;
use crate::timeline::Unit;

/// Each step that says something, in order.
pub fn told(analysis: &LeakAnalysis, unit: Unit, is_limited: bool) -> Vec<TrendStep> {
    let step = |gate: &Gate| {
        text(gate, unit, is_limited).map(|text| TrendStep { text, holds: gate.passed })
    };
    analysis.gates.iter().filter_map(step).collect()
}

/// A growth per second, told per hour: per second it is too small to read.
pub fn pace(slope: f64, unit: Unit) -> String {
    format!("{}/h", wording::number(slope * 3600.0, Measure::In(unit)))
}

fn text(gate: &Gate, unit: Unit, is_limited: bool) -> Option<String> {
    let value = gate.value.unwrap_or(0.0);
    let percent = |share: f64| format!("{:.0} %", share * 100.0);
    let held = gate.passed == Some(true);
    Some(match gate.kind {
        GateKind::Life => {
            format!("watched for {} in one life of the process", wording::span(value))
        }
        GateKind::StartUp => {
            format!("the first {} are left out as its start", wording::span(value))
        }
        GateKind::Load if value > 0.0 => {
            let each = wording::number(value, Measure::In(unit));
            format!("{each} for each request per second of load are taken off")
        }
        GateKind::Load => return None,
        GateKind::Floors => format!("its lower edge is {value:.0} floors"),
        GateKind::Resets if value > 0.0 => format!("it fell back sharply {value:.0} times"),
        GateKind::Resets => return None,
        GateKind::Certain if held => {
            format!("its floors rise by at least {} (99.5 %)", pace(value, unit))
        }
        GateKind::Certain => "that its floors rise is not certain (99.5 %)".to_owned(),
        GateKind::Matters if is_limited => {
            let verb = if held { "it takes" } else { "it would take" };
            format!("at that pace {verb} {} to its limit", wording::span(value))
        }
        GateKind::Matters => {
            format!("that is {} of its level while it was watched", percent(value))
        }
        GateKind::Spread => format!("its largest single step is {} of the rise", percent(value)),
        GateKind::GoesOn if held => "it goes on rising in the last quarter".to_owned(),
        GateKind::GoesOn => {
            format!("it has stopped: in the last quarter at most {} of the pace", percent(value))
        }
        GateKind::Persists if held => {
            format!("in its last part it rises by at least {} (95 %)", pace(value, unit))
        }
        GateKind::Persists => "in its last part the rise is not certain (95 %)".to_owned(),
        GateKind::Unbounded if held => {
            "no curve that flattens out fits the rise as well as a line".to_owned()
        }
        GateKind::Unbounded => "a curve that flattens out fits the rise as well".to_owned(),
        GateKind::Collected => "its runtime was not seen to collect all of its heap".to_owned(),
    })
}
