//! What the diagnosis says of a run so far: the function that judges the whole run, on what its
//! file holds. It takes a small share of one core, whatever the run has recorded.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::hub::Hub;
use crate::diagnose::{RuleSet, diagnose};
use crate::live::{Seen, Shown, Suspects};
use crate::recording;
use crate::report::{Report, wording};
use crate::viewer::yield_to_load;

/// Shortest time between two diagnoses.
const SHORTEST: Duration = Duration::from_secs(5);
/// The next diagnosis waits this many times as long as the last one took: it uses 2 % of a core.
const REST: u32 = 50;
/// Seconds that a stage has been held for before it is judged: its first second is mixed with the
/// stage before it, and one alone is no level.
const SHORTEST_STAGE: f64 = 3.0;
const BEAT: Duration = Duration::from_millis(100);

/// Diagnoses the run until it is dropped.
pub(super) struct Preliminary {
    stop: Arc<AtomicBool>,
}

impl Preliminary {
    pub(super) fn start(path: &Path, rules: &RuleSet, hub: &Arc<Hub>) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let (path, rules, hub) = (path.to_owned(), rules.clone(), Arc::clone(hub));
        let stopped = Arc::clone(&stop);
        std::thread::Builder::new().name("kp-suspect".into()).spawn(move || {
            yield_to_load();
            repeat(&path, &rules, &hub, &stopped);
        })?;
        Ok(Self { stop })
    }
}

impl Drop for Preliminary {
    fn drop(&mut self) {
        // A diagnosis that is under way ends by itself; nobody waits for it.
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn repeat(path: &Path, rules: &RuleSet, hub: &Hub, stop: &AtomicBool) {
    let mut due = Instant::now() + 2 * SHORTEST;
    while !stop.load(Ordering::Relaxed) {
        if Instant::now() < due {
            std::thread::sleep(BEAT);
            continue;
        }
        let begun = Instant::now();
        if let Some(suspects) = suspects(path, rules) {
            hub.give(Seen::Suspects(suspects));
        }
        due = Instant::now() + SHORTEST.max(begun.elapsed() * REST);
    }
}

/// What the file says so far; `None` where it does not say anything yet.
fn suspects(path: &Path, rules: &RuleSet) -> Option<Suspects> {
    let file = File::open(path).ok()?;
    let (mut recording, _) = recording::read(BufReader::new(file)).ok()?;
    // A stage that has just begun says nothing yet.
    let stages = &mut recording.timeline.stages;
    if stages.last().is_some_and(|stage| stage.window.secs() < SHORTEST_STAGE) {
        stages.pop();
    }
    let until = recording.timeline.ticks.last()?.window.end.secs();
    let diagnosis = diagnose(&recording, rules);
    let report = Report::new(&recording, &diagnosis);
    let findings = report.findings_in_short();
    let owned =
        |(title, role, sure): (&str, &str, String)| (title.to_owned(), role.to_owned(), sure);
    Some(Suspects {
        until: Shown { value: Some(until), text: wording::duration(until.floor()) },
        headline: report.headline().to_owned(),
        findings: findings.map(owned).collect(),
    })
}
