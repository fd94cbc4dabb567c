//! What `capacity` says of a lab recording of which only the part below 60 % of the limit is known, against
//! the limit that the whole recording shows.
//!
//! `KNEEPOINT_LAB_KEEP` names the directory in which the lab keeps its recordings; without it there is
//! nothing to look at.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use kneepoint::demo::FAULTS;
use kneepoint::diagnose::{Headroom, RuleSet, diagnose, headroom};
use kneepoint::recording::{self, Recording};
use kneepoint::timeline::Moment;

/// The part of the limit that is known.
const KNOWN: f64 = 0.6;
/// Systems whose limit is a resource that is measured with its size, from the first request on: of a
/// lock, or of a peer's own limit, nothing shows before it is reached.
const MEASURED: [&str; 10] = [
    "compute",
    "single-thread",
    "cpu-quota",
    "shedding",
    "pool-small",
    "unnamed-pool",
    "pooler-small",
    "held-connections",
    "behind-proxy-pool",
    "two-limits",
];
/// How many of ten must lie inside. The half minute that the lab spends below 60 % of a limit gives some
/// of them too few readings.
const RIGHT_OF_TEN: usize = 8;

fn read(directory: &Path) -> Option<Recording> {
    let file = File::open(directory.join("recording.jsonl.zst")).ok()?;
    Some(recording::read(BufReader::new(file)).ok()?.0)
}

/// The recording as it was before the first stage with more than `rate`.
fn until(recording: &Recording, rate: f64) -> Recording {
    let timeline = &recording.timeline;
    let over = timeline.stages.iter().find(|stage| stage.rate_from.max(stage.rate_to) > rate);
    let end = over.map_or(timeline.end(), |stage| stage.window.begin);
    let mut cut = recording.clone();
    let before = |at: &Moment| *at <= end;
    cut.timeline.stages.retain(|stage| before(&stage.window.end));
    cut.timeline.ticks.retain(|tick| before(&tick.window.end));
    for series in cut.timeline.series.values_mut() {
        series.points.retain(|point| before(&point.at));
    }
    for looks in cut.timeline.readings.values_mut() {
        looks.retain(before);
    }
    cut
}

/// The first limit with its interval, as text, and whether the knee lies in it.
fn told(room: &Headroom, knee: f64) -> (String, bool) {
    let Some(first) = room.resources.first() else {
        return (room.caveats.first().cloned().unwrap_or_default(), false);
    };
    let carries = first.carries;
    let is_in = (carries.low..=carries.high).contains(&knee);
    let text =
        format!("{:.0} [{:.0}, {:.0}] by {}", carries.rate, carries.low, carries.high, first.name);
    (text, is_in)
}

#[test]
fn a_limit_is_predicted_from_below_sixty_percent_of_it() {
    let Some(keep) = std::env::var_os("KNEEPOINT_LAB_KEEP") else { return };
    let (mut right, mut seen) = (0, 0);
    for fault in FAULTS {
        let directory = Path::new(&keep).join(format!("{}-broken-1", fault.name));
        let Some(whole) = read(&directory) else { continue };
        let Some(knee) = diagnose(&whole, RuleSet::builtin()).knee else { continue };
        let cut = until(&whole, KNOWN * knee.rate);
        let (text, is_in) = told(&headroom(&cut, RuleSet::builtin(), None), knee.rate);
        let is_counted = MEASURED.contains(&fault.name);
        eprintln!(
            "{:<26} limit {:>4.0}, predicted {text}{}{}",
            fault.name,
            knee.rate,
            if is_in { ": inside" } else { "" },
            if is_counted { "" } else { " (not counted)" }
        );
        if is_counted {
            (right, seen) = (right + usize::from(is_in), seen + 1);
        }
    }
    let wanted = (seen * RIGHT_OF_TEN).div_ceil(MEASURED.len());
    assert!(right >= wanted, "{right} of {seen} limits lie in their interval");
}
