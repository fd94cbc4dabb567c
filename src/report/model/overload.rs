//! How the system bore the highest load, in a sentence or two.

use super::super::wording::{duration, number, rate};
use super::verdict::Tone;
use crate::diagnose::{Overload, OverloadKind, Return};

/// Whether the run held a load, more, and the same again, which asks for nothing else.
pub(super) fn is_asked(overload: &Overload) -> bool {
    overload.back.as_ref().is_some_and(|back| back.same_load)
}

pub(super) fn tone(overload: &Overload) -> Tone {
    let is_borne = matches!(overload.kind, OverloadKind::Carried | OverloadKind::Refuses);
    let stays_away = overload.back.as_ref().is_some_and(|back| back.after_seconds.is_none());
    if is_borne && !stays_away { Tone::Good } else { Tone::Bad }
}

/// What the system did under the highest load, and whether it came back.
pub(super) fn sentence(overload: &Overload) -> String {
    let at = rate(overload.offered);
    let (goodput, peak) = (number(overload.goodput), number(overload.peak_goodput));
    let half = overload
        .response_p50
        .map_or(String::new(), |half| format!(", half of them within {}", duration(half)));
    let failing = overload.failure_p50.map_or(String::new(), duration);
    let bears = match overload.kind {
        OverloadKind::Carried => {
            format!("It carries {at} too{}.", half.replace("of them ", "of the responses "))
        }
        OverloadKind::Refuses => format!(
            "It degrades gracefully: at {at} it serves {goodput} (at most {peak}){half}, and \
             half of what it refuses is told within {failing}."
        ),
        OverloadKind::FailsLate => format!(
            "It refuses overload too late: at {at} it serves {goodput} (at most {peak}), but \
             half of what fails takes more than {failing} to."
        ),
        OverloadKind::Queues => format!(
            "It lets overload wait rather than refuse it: at {at} it serves {goodput} (at most \
             {peak}){half}, and every second {} more requests wait.",
            number(overload.queue_growth.max(0.0))
        ),
        OverloadKind::Loses => format!(
            "It loses throughput under overload: at {at} it serves {goodput}, of {peak} at most."
        ),
        OverloadKind::Collapses => {
            format!("It collapses under overload: at {at} it serves {goodput}, of {peak} at most.")
        }
    };
    match &overload.back {
        Some(back) => format!("{bears} {}", returned(back)),
        None => bears,
    }
}

fn returned(back: &Return) -> String {
    let at = rate(back.offered);
    match back.after_seconds {
        Some(seconds) if seconds < 1.0 => format!("Back at {at} it answers as before at once."),
        Some(seconds) => {
            format!("Back at {at} it answers as before after {}.", duration(seconds.round()))
        }
        None => format!(
            "Back at {at} it did not answer as before within {}: it has not recovered by itself.",
            duration(back.watched_seconds.round())
        ),
    }
}
