//! Tries every request before any load. Where one fails, it is asked again: a service that fails some
//! of its requests at any load can be measured, one that fails all of them cannot.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use super::problems::Problems;
use super::warning::Warning;
use crate::load::{self, LoadConfig, LoadError, ProbeReport};
use crate::timeline::ResponseClass;

/// How often a request is asked in all, if it fails the first time.
const ASKED: u32 = 10;
/// Pause before it is asked again.
const PAUSE: Duration = Duration::from_millis(50);
/// Nothing is asked again after this time.
const LIMIT: Duration = Duration::from_secs(10);

/// How a request went.
#[derive(Default)]
struct Tries {
    asked: u32,
    failed: u32,
    /// Whether it may succeed another time: a target that does not know a path never will.
    may_vary: bool,
    /// Why it failed the last time, and what to do about it.
    last: Option<Why>,
}

enum Why {
    /// It got an answer that is not as it should be: what, and what to do.
    Answer(Vec<(String, &'static str)>),
    /// It got none.
    Nothing(LoadError),
}

/// What all requests came to.
#[derive(Default)]
struct Tally {
    by_request: BTreeMap<String, Tries>,
    /// How the target described itself.
    said: Vec<String>,
}

/// Sends one request of each kind, and more of those that fail. Returns how the target described
/// itself. A request that always fails is a problem, or a warning where that is allowed.
pub(super) fn try_requests(
    load: &LoadConfig,
    allows_failing: bool,
    problems: &mut Problems,
    warnings: &mut Vec<Warning>,
) -> String {
    let begun = Instant::now();
    let mut tally = Tally::default();
    let all: Vec<&str> = load.requests.iter().map(|request| request.name.as_str()).collect();
    if let Err(errors) = tally.ask(load, &all) {
        problems.add_load_errors(errors);
        return String::new();
    }
    let failed: Vec<String> = tally.worth_another_try();
    for _ in 1..ASKED {
        if failed.is_empty() || begun.elapsed() >= LIMIT {
            break;
        }
        thread::sleep(PAUSE);
        let names: Vec<&str> = failed.iter().map(String::as_str).collect();
        if let Err(errors) = tally.ask(load, &names) {
            problems.add_load_errors(errors);
            return String::new();
        }
    }
    let said = tally.said.join(", ");
    tally.tell(allows_failing, problems, warnings);
    said
}

impl Tally {
    /// Asks the journeys with these requests once.
    fn ask(&mut self, load: &LoadConfig, requests: &[&str]) -> Result<(), Vec<LoadError>> {
        let (reports, errors) = load::probe_again(load, load.target.timeout, requests)?;
        for report in reports {
            self.answered(&report);
        }
        let mut others = Vec::new();
        for error in errors {
            match error {
                LoadError::NoResponse { ref endpoint, class, .. } => {
                    let tries = self.by_request.entry(endpoint.clone()).or_default();
                    let varies = [ResponseClass::Reset, ResponseClass::Timeout];
                    tries.may_vary |= varies.contains(&class);
                    tries.asked += 1;
                    tries.failed += 1;
                    tries.last = Some(Why::Nothing(error));
                }
                other => others.push(other),
            }
        }
        if others.is_empty() { Ok(()) } else { Err(others) }
    }

    fn answered(&mut self, report: &ProbeReport) {
        let server = report.server.as_deref().unwrap_or("no Server header");
        let line = format!("{} ({server})", report.peer);
        if !self.said.contains(&line) {
            self.said.push(line);
        }
        let name = &report.endpoint;
        let mut wrong: Vec<(String, &'static str)> = report
            .missed
            .iter()
            .map(|missed| {
                let hint = "kneepoint measures a system that works: fix the request, or what the \
                            plan expects; or load it all the same with `--allow-failing`";
                (format!("request `{name}`: {missed}"), hint)
            })
            .collect();
        if report.status >= 400 {
            let hint = "kneepoint measures a system that works: fix the path, headers or body, or \
                        remove the request; or load it all the same with `--allow-failing`";
            wrong.push((format!("request `{name}` got status {}", report.status), hint));
        }
        let tries = self.by_request.entry(name.clone()).or_default();
        tries.asked += 1;
        if !wrong.is_empty() {
            tries.failed += 1;
            tries.may_vary |= report.status >= 500 || [408, 425, 429].contains(&report.status);
            tries.last = Some(Why::Answer(wrong));
        }
    }

    /// The requests that have failed and may do better.
    fn worth_another_try(&self) -> Vec<String> {
        let failed = self.by_request.iter().filter(|(_, tries)| tries.may_vary);
        failed.map(|(name, _)| name.clone()).collect()
    }

    fn tell(self, allows_failing: bool, problems: &mut Problems, warnings: &mut Vec<Warning>) {
        let mut unanswered = Vec::new();
        for (request, Tries { asked, failed, last, .. }) in self.by_request {
            let Some(why) = last else { continue };
            if failed < asked || allows_failing {
                let why = match why {
                    Why::Answer(wrong) => wrong.first().map(|(what, _)| what.clone()),
                    Why::Nothing(error) => Some(error.to_string()),
                };
                let why = why.unwrap_or_default();
                warnings.push(Warning::SomeFail { request, failed, asked, why });
                continue;
            }
            match why {
                Why::Answer(wrong) => wrong.into_iter().for_each(|(what, hint)| {
                    problems.add(what, hint);
                }),
                Why::Nothing(error) => unanswered.push(error),
            }
        }
        problems.add_load_errors(unanswered);
    }
}
