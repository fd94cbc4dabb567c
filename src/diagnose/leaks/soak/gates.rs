//! The steps of an analysis in words, each with its number.

use crate::diagnose::leaks::leak::{Gate, GateKind, LeakAnalysis};
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
    format!("{}/h", wording::value(slope * 3600.0, unit))
}

fn text(gate: &Gate, unit: Unit, is_limited: bool) -> Option<String> {
    let value = gate.value.unwrap_or(0.0);
    let percent = wording::percent;
    let held = gate.passed == Some(true);
    Some(match gate.kind {
        GateKind::Life => {
            format!("watched for {} without a restart", wording::duration(value.round()))
        }
        GateKind::Lives => format!(
            "{value:.0} lives of the process in a row are laid over each other, from their starts"
        ),
        GateKind::StartUp => {
            format!("the first {} are left out as start-up", wording::duration(value.round()))
        }
        GateKind::Load if value > 0.0 => {
            let each = wording::value(value, unit);
            format!("{each} for each request per second are subtracted, as they follow the load")
        }
        GateKind::Load => return None,
        GateKind::Floors => format!("its lower edge is taken from {value:.0} minima"),
        GateKind::Resets if value > 0.0 => format!("it dropped sharply {value:.0} times"),
        GateKind::Resets => return None,
        GateKind::Certain if held => {
            format!("its minima rise by at least {} (99.5 % certain)", pace(value, unit))
        }
        GateKind::Certain => "it is not certain that its minima rise (99.5 %)".to_owned(),
        GateKind::Matters if is_limited => {
            let verb = if held { "it reaches" } else { "it would reach" };
            format!("at that pace {verb} its limit in {}", wording::duration(value.round()))
        }
        GateKind::Matters => {
            format!("it grew by {} of its level while it was watched", percent(value))
        }
        GateKind::Spread => format!("its largest single step is {} of the rise", percent(value)),
        GateKind::Small => {
            format!("what was read allows a growth of at most {} (95 % certain)", pace(value, unit))
        }
        GateKind::GoesOn if held => "it still rises in the last quarter".to_owned(),
        GateKind::GoesOn => {
            format!(
                "it has stopped: in the last quarter its pace is at most {} of the whole",
                percent(value)
            )
        }
        GateKind::Persists if held => {
            format!("in the last part it rises by at least {} (95 % certain)", pace(value, unit))
        }
        GateKind::Persists => "in the last part its rise is not certain (95 %)".to_owned(),
        GateKind::Unbounded if held => {
            "no curve that flattens out fits the rise as well as a line".to_owned()
        }
        GateKind::Unbounded => "a curve that flattens out fits the rise as well".to_owned(),
        GateKind::Collected => {
            "its runtime did not collect its whole heap while it was watched".to_owned()
        }
    })
}
