//! The analysis of an incident as a whole: the symptom, the good time before it, what moved, what was
//! changed, and what the rules say.

use std::collections::BTreeSet;

use super::bins::{Bins, LoadBin};
use super::changes::changes;
use super::expected::Usual;
use super::model::{Coverage, Incident, Onset, Order, Passed, Symptom, SymptomKind, TimedFinding};
use super::movers::{self, Span, movers};
use super::shift::FEWEST;
use super::symptoms::{self, BASELINE, Episode, Track, tracks};
use crate::diagnose::{Finding, FindingRole, Interval, RuleSet, Windows, examine, stats, wording};
use crate::recording::Recording;
use crate::timeline::{Moment, Window};

/// What stands in place of a rule where a finding follows from the symptom itself.
const SYMPTOM: &str = "the symptom";

/// Bins of the bad time in which the rules look for its cause.
const FIRST: usize = 30;
/// Most parts of it, between which a limit stays the same.
const MOST_PARTS: usize = 4;
/// A load that changed by this many times is worth a word.
const OTHER_LOAD: f64 = 1.2;

/// How the series of failed requests begin.
const FAILURES: &str = "load.errors";

/// What is known of the incident before.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Asked {
    /// A moment within it.
    pub at: Option<Moment>,
    /// When it began.
    pub from: Option<Moment>,
    /// When it ended.
    pub to: Option<Moment>,
}

/// Looks for the incident in a recording, and for its cause by `rules`.
pub fn incident(recording: &Recording, rules: &RuleSet, asked: &Asked) -> Incident {
    let timeline = &recording.timeline;
    let bins = Bins::of(timeline);
    let load = bins.load(&timeline.ticks);
    let tracks = tracks(&load);
    let mut incident = nothing(&bins);
    if timeline.ticks.is_empty() {
        incident.caveats.push(
            "the recording has no load, so that nobody can say what users felt: import the \
             histogram of response times too"
                .to_owned(),
        );
        return incident;
    }
    let usual = Usual::of(timeline, &bins, &load);
    let mut passed = Vec::new();
    let Some((span, symptoms, others)) = found(&bins, &usual, &tracks, asked, &mut passed) else {
        incident.caveats.push(why_nothing(&bins, asked));
        incident.passed = passed;
        return incident;
    };
    incident.passed = passed;
    let named = symptoms::onset(&bins, span.bad, span.bad, span.bad);
    let onset = symptoms.first().map_or(named, |symptom| symptom.onset);
    if symptoms.is_empty() {
        incident.caveats.push(
            "neither failures, response times nor throughput are clearly worse in the time that \
             was named than before it"
                .to_owned(),
        );
    }
    let shifts = movers(timeline, &bins, &load, span, &onset);
    let good = bins.window(span.good, span.bad);
    let bad = bins.window(span.bad, span.end);
    // What came of it later, such as clients that gave up, is not why it began.
    // The place of its end may be a few bins late, so that the last quarter is left out.
    let length = span.end - span.bad;
    let first = (3 * length).div_ceil(4).max(FEWEST).min(length).min(FIRST);
    let first = Span { end: span.bad + first, ..span };
    let windows = Windows {
        baseline: good_parts(&bins, span, &others),
        knee: in_parts(&bins, first),
        recovery: recovery(&bins, span).into_iter().collect(),
        ..Windows::default()
    };
    let examination = examine(recording, rules, &windows, carried(&load, first));
    // In the time in which the rules are asked: what happens to a signal later, such as the end of all
    // calls, may be a larger movement.
    let moved = |name: &str| movers::moved_at(timeline, &bins, first, name);
    let findings = examination.findings.into_iter();
    incident.findings = findings.map(|finding| timed(finding, &moved, &onset)).collect();
    put_consequences_last(&mut incident.findings);
    put_failures_first(&mut incident.findings, &symptoms);
    let around = Window::new(good.begin, bad.end);
    incident.changes = changes(recording, around, &onset, load_change(&load, first));
    incident.shifts = shifts;
    incident.ruled_out = examination.ruled_out;
    incident.coverage = Coverage {
        examined: examination.covered.0,
        rules: examination.covered.1,
        open: examination.not_checked,
    };
    incident.caveats.extend(examination.caveats);
    incident.caveats.extend(short(&bins, span));
    incident.end = (span.end < bins.count).then(|| bins.begin(span.end));
    (incident.baseline, incident.bad) = (Some(good), Some(bad));
    (incident.onset, incident.symptoms) = (Some(onset), symptoms);
    incident
}

fn nothing(bins: &Bins) -> Incident {
    Incident {
        symptoms: Vec::new(),
        onset: None,
        end: None,
        baseline: None,
        bad: None,
        resolution: bins.step,
        findings: Vec::new(),
        changes: Vec::new(),
        shifts: Vec::new(),
        ruled_out: Vec::new(),
        coverage: Coverage::default(),
        passed: Vec::new(),
        caveats: Vec::new(),
    }
}

/// Begins and ends of bad times, in bins.
type Times = Vec<(usize, usize)>;

/// The good and the bad time, what users felt, the strongest first, and every bad time.
fn found(
    bins: &Bins,
    usual: &Usual,
    tracks: &[Track],
    asked: &Asked,
    passed: &mut Vec<Passed>,
) -> Option<(Span, Vec<Symptom>, Times)> {
    let mut times = Times::new();
    let mut episodes: Vec<Episode> = Vec::new();
    if let Some(from) = asked.from {
        let (span, symptoms) = named(bins, tracks, from, asked.to)?;
        return Some((span, symptoms, times));
    }
    for track in tracks {
        for episode in track.episodes(bins) {
            times.push((episode.from, episode.to));
            // Who names a moment wants to know of it, whatever explains it.
            match usual.explains(track, &episode).filter(|_| asked.at.is_none()) {
                None => episodes.push(episode),
                Some(why) => passed.push(Passed {
                    kind: episode.kind,
                    at: bins.begin(episode.from),
                    end: bins.begin(episode.to),
                    before: episode.before,
                    during: episode.during,
                    why: why.to_owned(),
                }),
            }
        }
    }
    let main = chosen(&episodes, bins, asked.at)?;
    // Other symptoms of the same time.
    // What ends just before another one begins led to it.
    let near = |a: &Episode, b: &Episode| a.from < b.to + 4 * FEWEST;
    let mut same: Vec<&Episode> =
        episodes.iter().filter(|&other| near(other, &main) && near(&main, other)).collect();
    same.sort_by(|a, b| b.weight.total_cmp(&a.weight));
    let mut symptoms: Vec<(Symptom, &Episode)> = Vec::new();
    for episode in same {
        let Some(track) = tracks.iter().find(|track| track.kind() == episode.kind) else {
            continue;
        };
        if symptoms.iter().all(|(symptom, _)| symptom.kind != episode.kind) {
            symptoms.push((track.symptom(episode, bins), episode));
        }
    }
    let first = symptoms.iter().map(|(symptom, _)| bins.at(symptom.onset.at)).min()??;
    let end = symptoms.iter().map(|(_, episode)| episode.to).max()?;
    let mut symptoms: Vec<Symptom> = symptoms.into_iter().map(|(symptom, _)| symptom).collect();
    // The incident began when the first of its symptoms did.
    if let Some(place) = symptoms.iter().position(|it| bins.at(it.onset.at) == Some(first)) {
        let first = symptoms.remove(place);
        symptoms.insert(0, first);
    }
    Some((span(bins, first, end), symptoms, times))
}

/// The worst episode, or the one that a moment lies in or near.
fn chosen(episodes: &[Episode], bins: &Bins, at: Option<Moment>) -> Option<Episode> {
    let Some(at) = at else {
        return episodes
            .iter()
            .copied()
            .max_by(|a, b| a.harm().total_cmp(&b.harm()).then_with(|| b.from.cmp(&a.from)));
    };
    let bin = bins.at(at)?;
    let distance = |episode: &Episode| match bin {
        _ if bin < episode.from => episode.from - bin,
        _ => (bin + 1).saturating_sub(episode.to),
    };
    episodes
        .iter()
        .copied()
        .min_by(|a, b| distance(a).cmp(&distance(b)).then_with(|| b.weight.total_cmp(&a.weight)))
}

/// The incident that somebody names.
fn named(
    bins: &Bins,
    tracks: &[Track],
    from: Moment,
    to: Option<Moment>,
) -> Option<(Span, Vec<Symptom>)> {
    let bad = bins.at(from)?;
    let end = to.and_then(|to| bins.at(to)).unwrap_or(bins.count).max(bad + 1);
    let symptoms = tracks.iter().filter_map(|track| track.within(bad, end, bins)).collect();
    Some((span(bins, bad, end), symptoms))
}

fn span(bins: &Bins, bad: usize, end: usize) -> Span {
    let hour = (BASELINE / bins.step).ceil() as usize;
    Span { good: bad.saturating_sub(hour), bad, end: end.max(bad + 1) }
}

/// The good time without other bad ones, whatever explains these: what is usual is not measured in
/// them. All of it where little would be left.
fn good_parts(bins: &Bins, span: Span, others: &[(usize, usize)]) -> Vec<Window> {
    let is_bad = |bin: &usize| others.iter().any(|(from, to)| (*from..*to).contains(bin));
    let is_good: Vec<usize> = (span.good..span.bad).filter(|bin| !is_bad(bin)).collect();
    if is_good.len() < 2 * FEWEST {
        return vec![bins.window(span.good, span.bad)];
    }
    let mut parts: Vec<(usize, usize)> = Vec::new();
    for bin in is_good {
        match parts.last_mut() {
            Some(last) if last.1 == bin => last.1 = bin + 1,
            _ => parts.push((bin, bin + 1)),
        }
    }
    parts.into_iter().map(|(from, to)| bins.window(from, to)).collect()
}

/// The bad time in a few parts: what stays the same from part to part, such as the time after which
/// requests are rejected, is a limit that somebody set.
fn in_parts(bins: &Bins, span: Span) -> Vec<Window> {
    // A reading at the very beginning still tells of the time before.
    let from = span.bad + usize::from(span.end > span.bad + FEWEST);
    let length = span.end - from;
    let parts = (length / FEWEST).clamp(1, MOST_PARTS);
    let at = |part: usize| from + length * part / parts;
    (0..parts).map(|part| bins.window(at(part), at(part + 1))).collect()
}

/// The time after the incident, of at most as long as the good one before.
fn recovery(bins: &Bins, span: Span) -> Option<Window> {
    let to = (span.end + (span.bad - span.good)).min(bins.count);
    (to > span.end + FEWEST).then(|| bins.window(span.end, to))
}

/// Requests per second that ended in the bad time, with the range that most of its bins lie in.
fn carried(load: &[LoadBin], span: Span) -> Interval {
    let bins = load.get(span.bad..span.end.min(load.len())).unwrap_or_default();
    let rates: Vec<f64> = bins.iter().filter_map(LoadBin::rate).collect();
    let quantile = |share: f64| stats::quantile(&rates, share).unwrap_or(0.0);
    let rate = stats::mean(&rates).unwrap_or(0.0);
    Interval { rate, low: quantile(0.1).min(rate), high: quantile(0.9).max(rate) }
}

/// That more or fewer requests ended when the bad time began than just before it, in words.
fn load_change(load: &[LoadBin], span: Span) -> Option<String> {
    let rate = |from: usize, to: usize| {
        let bins = load.get(from..to.min(load.len()))?;
        stats::median(&bins.iter().filter_map(LoadBin::rate).collect::<Vec<_>>())
    };
    let near = 4 * FEWEST;
    let before = rate(span.good.max(span.bad.saturating_sub(near)), span.bad)?;
    let after = rate(span.bad, span.end.min(span.bad + near))?;
    let what = match after {
        _ if after >= OTHER_LOAD * before => "the load rose",
        _ if OTHER_LOAD * after <= before => "fewer requests were answered",
        _ => return None,
    };
    Some(format!("{what}: {} -> {}", wording::rate(before), wording::rate(after)))
}

/// A finding with the moment at which the first of its signals moved.
fn timed(finding: Finding, moved: &dyn Fn(&str) -> Option<Onset>, symptom: &Onset) -> TimedFinding {
    let evidence = finding.evidence.iter().filter(|evidence| evidence.holds == Some(true));
    let series: BTreeSet<&str> =
        evidence.flat_map(|evidence| evidence.series.iter().map(String::as_str)).collect();
    let onsets = series.into_iter().filter_map(moved);
    let onset = onsets.min_by_key(|onset| onset.low);
    let order = onset.map_or(Order::Unknown, |onset| movers::order(&onset, symptom));
    TimedFinding { finding, onset, order }
}

/// A cause whose signals moved only after the symptom is a consequence of it.
fn put_consequences_last(findings: &mut [TimedFinding]) {
    let limits = |finding: &TimedFinding| {
        matches!(finding.finding.role, FindingRole::Cause | FindingRole::Contributing)
    };
    let mut demoted = BTreeSet::new();
    for late in findings.iter_mut().filter(|it| it.order == Order::After) {
        if limits(late) {
            late.finding.role = FindingRole::Consequence { of: SYMPTOM.to_owned() };
            demoted.insert(late.finding.rule.clone());
        }
    }
    // What was said to follow from it began before it did.
    for it in findings.iter_mut().filter(|it| it.order != Order::After) {
        if let FindingRole::Consequence { of } = &it.finding.role
            && demoted.contains(of)
        {
            it.finding.role = FindingRole::Contributing;
        }
    }
    findings.sort_by_key(|it| matches!(it.finding.role, FindingRole::Consequence { .. }));
    let has_cause = findings.iter().any(|it| it.finding.role == FindingRole::Cause);
    if !has_cause && let Some(next) = findings.iter_mut().find(|it| limits(it)) {
        next.finding.role = FindingRole::Cause;
    }
}

/// Where requests failed and were no slower, what makes them slow is not why: a cause that tells of
/// failures stands before one that does not.
fn put_failures_first(findings: &mut [TimedFinding], symptoms: &[Symptom]) {
    let errors = symptoms.iter().find(|symptom| symptom.kind == SymptomKind::Errors);
    let Some(errors) = errors else { return };
    // Those who retry, and a queue of failures, make requests slower later on.
    let is_slow = |symptom: &Symptom| {
        matches!(symptom.kind, SymptomKind::MeanTime | SymptomKind::P99)
            && !symptom.onset.is_after(&errors.onset)
    };
    if symptoms.iter().any(is_slow) {
        return;
    }
    let tells = |it: &TimedFinding| {
        let held = it.finding.evidence.iter().filter(|evidence| evidence.holds == Some(true));
        held.flat_map(|evidence| &evidence.series).any(|name| name.starts_with(FAILURES))
    };
    let place = |role: FindingRole, of: &dyn Fn(&TimedFinding) -> bool| {
        findings.iter().position(|it| it.finding.role == role && of(it))
    };
    let Some(cause) = place(FindingRole::Cause, &|it| !tells(it)) else { return };
    let Some(other) = place(FindingRole::Contributing, &tells) else { return };
    let (old, new) = (findings[cause].finding.rule.clone(), findings[other].finding.rule.clone());
    findings[cause].finding.role = FindingRole::Contributing;
    findings[other].finding.role = FindingRole::Cause;
    findings.swap(cause, other);
    for it in findings {
        if it.finding.role == (FindingRole::Consequence { of: old.clone() }) {
            it.finding.role = FindingRole::Consequence { of: new.clone() };
        }
    }
}

fn why_nothing(bins: &Bins, asked: &Asked) -> String {
    let outside = [asked.at, asked.from].into_iter().flatten().any(|at| bins.at(at).is_none());
    match outside {
        true => "the time that was named lies outside the recording".to_owned(),
        false if bins.count < 2 * FEWEST => format!(
            "the recording has {} of load, at least {} are needed: import a longer time",
            wording::plural(bins.count as u64, "interval", "intervals"),
            2 * FEWEST
        ),
        false => {
            "no lasting change for the worse: neither failures, response times nor throughput \
                  reached another level for good; name the time with `--from` and `--to` to look \
                  at it all the same"
                .to_owned()
        }
    }
}

/// That the good or the bad time is short.
fn short(bins: &Bins, span: Span) -> Option<String> {
    let (good, bad) = (span.bad - span.good, span.end - span.bad);
    let few = 4 * FEWEST;
    let which = match (good < few, bad < few) {
        (true, true) => "before and during the incident",
        (true, false) => "before the incident",
        (false, true) => "during the incident",
        (false, false) => return None,
    };
    let time = crate::diagnose::wording::duration(bins.step);
    Some(format!(
        "fewer than {few} intervals of {time} {which}: what is compared there is not sure"
    ))
}
