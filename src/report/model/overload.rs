//! How the system bore the highest load, in a sentence or two.

use super::super::wording::{duration, number, rate};
use super::tone::Tone;
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
            format!("At {at} it still serves them all{}.", half)
        }
        OverloadKind::Refuses => format!(
            "Under overload it rejects the surplus quickly: at {at} it serves {goodput} (peak \
             {peak}){half}, and rejects half of the others within {failing}."
        ),
        OverloadKind::FailsLate => format!(
            "Under overload it rejects the surplus too late: at {at} it serves {goodput} (peak \
             {peak}), and half of the failures take more than {failing}."
        ),
        OverloadKind::Queues => format!(
            "Under overload it queues requests instead of rejecting them: at {at} it serves \
             {goodput} (peak {peak}){half}, and the queue grows by {} requests each second.",
            number(overload.queue_growth.max(0.0))
        ),
        OverloadKind::Loses => format!(
            "Under overload it serves less than it can: {goodput} at {at}, at its peak {peak}."
        ),
        OverloadKind::Collapses => {
            format!("Under overload it collapses: at {at} it serves {goodput}, at its peak {peak}.")
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
        Some(seconds) if seconds < 1.0 => format!("Back at {at} it recovers at once."),
        Some(seconds) => {
            format!("Back at {at} it recovers after {}.", duration(seconds.round()))
        }
        None => format!(
            "Back at {at} it does not recover by itself: after {} it is still slow or failing.",
            duration(back.watched_seconds.round())
        ),
    }
}
