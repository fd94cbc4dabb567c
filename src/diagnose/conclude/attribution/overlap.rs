//! Where parts overlap, so that they rank and do not add up, and which ones can.

use crate::diagnose::measure::split::{PartTime, Split};
use crate::diagnose::terms::account::Overlap;
use crate::diagnose::terms::part::PartKind;
use crate::diagnose::terms::wording;

/// Parts may exceed the whole by this share of it before that is called an overlap.
const TOLERATED: f64 = 0.05;
/// … and by this many standard errors of what was counted in looks.
const ERRORS: f64 = 2.0;

/// Parts that can be counted for the same time of the same request, and how that comes.
const PAIRS: [(PartKind, PartKind, &str); 9] = [
    (PartKind::DbHeld, PartKind::Downstream, "a transaction may stay open during a call"),
    (PartKind::DbLockWait, PartKind::DbHeld, "the session that holds a lock may be idle"),
    (PartKind::DbHeld, PartKind::AppCpu, "a transaction may stay open while the target computes"),
    (PartKind::PoolWait, PartKind::InTarget, "both count requests that the target has read"),
    (
        PartKind::PoolWait,
        PartKind::WorkerWait,
        "a request that waits for a connection may hold a worker",
    ),
    (PartKind::Downstream, PartKind::RunQueue, "a response may have arrived and not been read yet"),
    (PartKind::DbExecuting, PartKind::Downstream, "both may serve one request at the same time"),
    (PartKind::Downstream, PartKind::Downstream, "one request may make several calls at once"),
    (PartKind::AppCpu, PartKind::RunQueue, "several threads may work for one request"),
];

/// Seconds by which the parts exceed the whole, beyond what chance and rounding allow.
pub(super) fn seconds(split: &Split) -> f64 {
    let sum: f64 = split.parts.iter().map(|part| part.seconds).sum();
    let error = split.parts.iter().map(|part| part.error.powi(2)).sum::<f64>().sqrt();
    let excess = sum - split.response;
    let is_one = excess > TOLERATED * split.response && excess > ERRORS * error;
    if is_one { excess } else { 0.0 }
}

/// The worst overlap of each pair of parts, in order of size.
pub(super) fn overlaps(splits: &[(f64, Split)]) -> Vec<Overlap> {
    let mut found: Vec<Overlap> = Vec::new();
    for (offered, split) in splits {
        let seconds = seconds(split);
        if seconds <= 0.0 {
            continue;
        }
        let overlap = describe(*offered, split, seconds);
        match found.iter_mut().find(|have| have.parts == overlap.parts) {
            Some(have) if have.seconds < overlap.seconds => *have = overlap,
            Some(_) => {}
            None => found.push(overlap),
        }
    }
    found.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    found
}

fn describe(offered: f64, split: &Split, seconds: f64) -> Overlap {
    // The pair that could account for most of it.
    let room = |a: &PartTime, b: &PartTime| a.seconds.min(b.seconds);
    let pairs = PAIRS.iter().flat_map(|(left, right, why)| {
        let of = |kind: PartKind| split.parts.iter().filter(move |part| part.kind == kind);
        of(*left)
            .flat_map(move |a| of(*right).map(move |b| (a, b)))
            .filter(|(a, b)| !std::ptr::eq(*a, *b))
            .map(move |(a, b)| (a, b, *why))
    });
    let likely = pairs
        .filter(|(a, b, _)| room(a, b) >= 0.5 * seconds)
        .max_by(|x, y| room(x.0, x.1).total_cmp(&room(y.0, y.1)));
    let number = |seconds| wording::duration(seconds);
    let rate = wording::number(offered);
    let whole = 1.0 + seconds / split.response;
    let by = format!(
        "parts overlap by {} at {rate}/s: they add up to {} the response time",
        number(seconds),
        wording::times(whole)
    );
    let (parts, why) = match likely {
        Some((a, b, why)) => (
            vec![a.name(), b.name()],
            format!(
                "{by}, most likely for `{}` and `{}`, as {why}; compare them, but do not add them up",
                a.name(),
                b.name()
            ),
        ),
        None => (Vec::new(), format!("{by}; compare them, but do not add them up")),
    };
    Overlap { offered, seconds, parts, text: why }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(response: f64, parts: &[(PartKind, Option<&str>, f64, f64)]) -> Split {
        let part = |(kind, peer, seconds, error): &(PartKind, Option<&str>, f64, f64)| PartTime {
            kind: *kind,
            peer: peer.map(str::to_owned),
            seconds: *seconds,
            counted: *seconds,
            error: *error,
        };
        let parts = parts.iter().map(part).collect();
        Split { arrivals: 100.0, completions: 100.0, response, parts }
    }

    #[test]
    fn an_overlap_names_the_two_parts_that_can_share_the_time() {
        let held = (PartKind::DbHeld, None, 0.030, 0.0005);
        let call = (PartKind::Downstream, Some("10.0.3.7:8443"), 0.028, 0.0005);
        let cpu = (PartKind::AppCpu, None, 0.002, 0.0);
        let got = overlaps(&[(150.0, split(0.034, &[held, call, cpu]))]);
        assert_eq!(got.len(), 1);
        assert_eq!(got[0].parts, ["connection idle in a transaction", "waiting for 10.0.3.7:8443"]);
        assert!(
            got[0].text.contains("26 ms at 150/s") && got[0].text.contains("1.8 times"),
            "{got:?}"
        );
    }

    #[test]
    fn chance_and_rounding_are_no_overlap() {
        let noisy = (PartKind::DbExecuting, None, 0.0012, 0.0003);
        let cpu = (PartKind::AppCpu, None, 0.0003, 0.0);
        assert_eq!(seconds(&split(0.001, &[noisy, cpu])), 0.0);
        let sure = (PartKind::DbExecuting, None, 0.0012, 0.0001);
        assert!(seconds(&split(0.001, &[sure, cpu])) > 0.0);
        assert_eq!(seconds(&split(0.00148, &[sure, cpu])), 0.0);
    }
}
