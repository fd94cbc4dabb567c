//! Access logs of nginx and Apache, in the common and the combined format, also with the time of
//! the request at the end of the line, and of Caddy, Traefik, HAProxy, AWS' load balancer, CloudFront
//! and IIS: either a weighted mix in which values are as popular as they were, or every request at
//! its own time.
//!
//! A log may be larger than the memory: lines are read one by one, and what is kept of them is
//! bounded (see [`groups`] and [`trace`]).

mod groups;
mod pattern;
mod rate;
mod trace;

use std::collections::BTreeMap;

use self::groups::Groups;
use self::pattern::Pattern;
use self::rate::RequestRate;
use self::trace::Trace;
use super::artifact::Artifact;
use super::draft::{Draft, LoadDraft};
use super::notes::{MOST_PROBLEMS, Problem};
use super::{ConvertError, ConverterSpec};
use crate::access_log::{Line, Rewriter, asked};
use crate::plan::METHODS;

pub(super) static SPEC: ConverterSpec = ConverterSpec {
    name: "access-log",
    summary: "access logs of nginx, Apache, Caddy, Traefik, HAProxy, ALB, CloudFront or IIS: a weighted \
              mix, or with --timed an exact replay",
    options: &["--timed", "--speed"],
    looks,
    convert,
};

/// Bad lines before the first good one after which the file is not of this format.
const MOST_BAD_AT_FIRST: u64 = 1000;
/// The search for the knee begins at the mean rate and ends at this many times the peak.
const SEARCH_TO: f64 = 10.0;

fn looks(begin: &str) -> bool {
    let mut rewriter = Rewriter::default();
    let mut is_rewritten =
        |line: &str| rewriter.line(line).is_some_and(|line| asked(&line).is_some());
    begin.lines().take(20).any(|line| asked(line).is_some() || is_rewritten(line))
}

/// What was counted along the way.
#[derive(Default)]
struct Count {
    lines: u64,
    bad: u64,
    /// The first bad lines.
    examples: Vec<Problem>,
    taken: u64,
    /// Requests by the first digit of their status.
    classes: BTreeMap<u16, u64>,
    /// Requests of methods that a plan does not know.
    methods: u64,
    /// Requests that were answered with 4xx and are not in the mix.
    refused: u64,
    with_body: u64,
    secrets: u64,
}

fn convert(artifact: &mut Artifact<'_>) -> Result<Draft, ConvertError> {
    let timed = artifact.options.timed;
    let (mut count, mut rate) = (Count::default(), RequestRate::default());
    let mut groups = Groups::default();
    let mut trace = if timed { Some(Trace::begin(artifact)?) } else { None };
    let (mut text, mut rewriter) = (String::new(), Rewriter::default());
    while artifact.next_line(&mut text)? {
        count.lines += 1;
        if text.trim().is_empty() {
            continue;
        }
        let rewritten = match asked(&text) {
            Some(_) => None,
            None => rewriter.line(&text),
        };
        let Some((line, method, target)) = asked(rewritten.as_deref().unwrap_or(&text)) else {
            if text.starts_with('#') {
                continue;
            }
            count.bad(&text);
            if count.taken == 0 && count.bad >= MOST_BAD_AT_FIRST {
                break;
            }
            continue;
        };
        rate.count(line.second);
        *count.classes.entry(line.status / 100).or_default() += 1;
        let Some(pattern) = count.wanted(&line, (method, target), timed) else { continue };
        let group = groups.group(&pattern);
        match &mut trace {
            Some(trace) => trace.add(&line, groups.name(group), groups.row(group, &pattern))?,
            None => groups.keep(group, &pattern),
        }
        groups.count(group);
        count.taken += 1;
    }
    if count.taken == 0 {
        return Err(count.nothing());
    }
    count.tell(artifact, timed);
    rate.tell(artifact);
    groups.tell(artifact);
    let late = trace.map(Trace::finish).transpose()?;
    if let Some(late) = late.filter(|late| *late > 0) {
        artifact.notes.add(format!(
            "{late} lines are far out of order: the replay keeps the order of the log there"
        ));
    }
    draft(artifact, groups, &count, &rate)
}

impl Count {
    fn bad(&mut self, text: &str) {
        self.bad += 1;
        if self.examples.len() < MOST_PROBLEMS {
            let problem = "expected the common or the combined format, `host - user \
                           [10/Oct/2026:13:55:36 +0000] \"GET / HTTP/1.1\" 200 12`, or a log of Caddy, \
                           Traefik, HAProxy, ALB, CloudFront or IIS";
            // The line itself may hold a secret, its length does not.
            let text = format!("no request in this line of {} bytes; {problem}", text.len());
            let line = usize::try_from(self.lines).unwrap_or(usize::MAX);
            self.examples.push(Problem { line: Some(line), column: None, text });
        }
    }

    /// The pattern of a request that is to be sent.
    fn wanted(
        &mut self,
        line: &Line<'_>,
        (method, target): (&str, &str),
        timed: bool,
    ) -> Option<Pattern> {
        if !METHODS.contains(&method) {
            self.methods += 1;
            return None;
        }
        // Scanners ask for pages that do not exist: the mix would be full of 404s. A replay is exact.
        if !timed && (400..500).contains(&line.status) {
            self.refused += 1;
            return None;
        }
        let (pattern, secrets) = pattern::of(method, target)?;
        self.secrets += u64::from(secrets);
        self.with_body += u64::from(matches!(method, "POST" | "PUT" | "PATCH"));
        Some(pattern)
    }

    fn nothing(self) -> ConvertError {
        if self.bad > 0 && self.classes.is_empty() {
            return ConvertError::Malformed(self.examples);
        }
        let refused = match self.refused {
            0 => String::new(),
            refused => format!(": {refused} were answered with 4xx; `--timed` keeps those"),
        };
        ConvertError::Empty(format!("the log holds no request to send again{refused}"))
    }

    fn share(&self, part: u64) -> String {
        let whole: u64 = self.classes.values().sum();
        format!("{:.1} %", part as f64 / whole.max(1) as f64 * 100.0)
    }

    fn tell(&self, artifact: &mut Artifact<'_>, timed: bool) {
        let requests: u64 = self.classes.values().sum();
        let of = |class: u16| self.classes.get(&class).copied().unwrap_or(0);
        artifact.seen.push(format!(
            "{requests} requests: {} failed at the server (5xx), {} were rejected (4xx)",
            self.share(of(5)),
            self.share(of(4))
        ));
        let notes = &mut artifact.notes;
        if self.bad > 0 {
            let line = self.examples.first().and_then(|problem| problem.line).unwrap_or(0);
            notes.at(
                line,
                format!(
                    "left out {} of {} lines that are not requests; this is the first",
                    self.bad, self.lines
                ),
            );
        }
        if self.methods > 0 {
            notes.add(format!(
                "left out {} requests with a method that plans do not support",
                self.methods
            ));
        }
        if self.refused > 0 {
            notes.add(format!(
                "left out {} requests that were answered with 4xx ({}): scanners ask for pages that do \
                 not exist, and a log has no credentials; `--timed` keeps them",
                self.refused,
                self.share(self.refused)
            ));
        }
        if timed && of(4) > 0 {
            notes.add("the replay includes requests that were answered with 4xx");
        }
        if self.secrets > 0 {
            notes.add(format!(
                "left out parameters with secret-looking names from {} requests",
                self.secrets
            ));
        }
        if self.with_body > 0 {
            notes.add(format!(
                "a log has no bodies and no headers: {} POST, PUT or PATCH requests have no body in \
                 the plan; add it there",
                self.with_body
            ));
        }
    }
}

fn draft(
    artifact: &mut Artifact<'_>,
    groups: Groups,
    count: &Count,
    rate: &RequestRate,
) -> Result<Draft, ConvertError> {
    let timed = artifact.options.timed;
    let speed = artifact.options.speed.unwrap_or(1.0);
    let mut draft = Draft::default();
    draft.comments.push("A log has no headers: add those that the service needs.".to_owned());
    if count.with_body > 0 {
        draft.comments.push(
            "POST, PUT and PATCH requests have no body, because a log has none: add them."
                .to_owned(),
        );
    }
    draft.load = if timed {
        LoadDraft::Replay { trace: trace::FILE.to_owned(), speed }
    } else {
        let (mean, peak) = (rate.mean(), rate.peak());
        let comment = format!(
            "The log has {mean:.1} requests/s on average and {peak} in its busiest second. To hold \
             one rate instead: executor = \"constant-arrival-rate\", rate = \"{peak}/s\", duration = \
             \"5m\"."
        );
        let start = mean.max(1.0);
        LoadDraft::Search { start, max: (peak as f64 * SEARCH_TO).max(100.0).max(start), comment }
    };
    groups.into_draft(artifact, timed, &mut draft)?;
    Ok(draft)
}
