//! An incident for people at a terminal, and for programs.

use std::io;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::wording::{self, clean, sentence};
use crate::diagnose::{Confidence, Finding, FindingRole};
use crate::incident::{Change, Incident, Onset, Order, Shift, Symptom, SymptomKind, TimedFinding};
use crate::recording::Recording;
use crate::timeline::{Moment, Unit};

/// Grows by one when a field changes its meaning or goes away; new fields leave it as it is.
const SCHEMA: u32 = 1;
/// Most series, changes and open causes that a terminal shows; the JSON has all.
const SHOWN: usize = 12;

/// An incident, and what is needed to tell its times.
pub struct IncidentReport<'a> {
    /// What happened.
    pub incident: &'a Incident,
    /// The recording that tells it.
    pub recording: &'a Recording,
    /// The zone in which times are told.
    pub zone: TimeZone,
}

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    target: &'a str,
    /// Seconds since 1970 of moment zero.
    started_unix: f64,
    summary: String,
    incident: &'a Incident,
}

impl IncidentReport<'_> {
    /// Writes the whole incident as JSON.
    ///
    /// # Errors
    /// When the writer fails.
    pub fn json(&self, w: &mut dyn io::Write) -> io::Result<()> {
        let document = Document {
            schema: SCHEMA,
            target: &self.recording.environment.target,
            started_unix: self.recording.environment.started_unix,
            summary: self.summary(),
            incident: self.incident,
        };
        serde_json::to_writer_pretty(&mut *w, &document)?;
        writeln!(w)
    }

    /// Writes the incident as text: what users saw, what was changed, why, what moved, what was ruled
    /// out, and what could not be seen.
    ///
    /// # Errors
    /// When the writer fails.
    pub fn text(&self, w: &mut dyn io::Write) -> io::Result<()> {
        writeln!(w, "{}", self.summary())?;
        for section in self.sections() {
            writeln!(w, "\n{}", section.heading)?;
            for Line { text, below } in section.shown() {
                writeln!(w, "  {text}")?;
                for text in below {
                    writeln!(w, "    {text}")?;
                }
            }
            if let Some(more) = section.more() {
                writeln!(w, "  {more}")?;
            }
        }
        Ok(())
    }

    /// Writes the same as Markdown, as the beginning of a report on the outage.
    ///
    /// # Errors
    /// When the writer fails.
    pub fn markdown(&self, w: &mut dyn io::Write) -> io::Result<()> {
        writeln!(w, "# What happened\n\n{}", self.summary())?;
        for section in self.sections() {
            writeln!(w, "\n## {}\n", section.heading)?;
            for Line { text, below } in section.shown() {
                writeln!(w, "- {text}")?;
                for text in below {
                    writeln!(w, "  - {text}")?;
                }
            }
            if let Some(more) = section.more() {
                writeln!(w, "- {more}")?;
            }
        }
        Ok(())
    }

    fn sections(&self) -> Vec<Section> {
        let incident = self.incident;
        let mut sections = Vec::new();
        if incident.onset.is_some() {
            let seen = incident.symptoms.iter().map(|it| Line::of(self.symptom(it)));
            sections.push(Section::of("What users saw", seen));
            let changes = incident.changes.iter().map(|change| Line::of(self.change(change)));
            sections.push(Section::of("What changed", changes));
            sections.push(Section::of("Why", incident.findings.iter().map(|it| self.cause(it))));
            let shifts = incident.shifts.iter().map(|shift| Line::of(self.shift(shift)));
            sections.push(Section::of("What moved, apart from what the load explains", shifts));
            let out = incident.ruled_out.iter().map(|out| {
                let because = out.because.first().map(|evidence| clean(&evidence.text));
                Line::of(format!("{}: {}", clean(&out.title), because.unwrap_or_default()))
            });
            sections.push(Section::of("Ruled out", out));
            sections.push(self.coverage());
        }
        let passed = incident.passed.iter().map(|it| {
            let what = self.values(it.kind, it.before, it.during);
            let times = format!("{} to {}", self.at(it.at), self.time(it.end, "%H:%M:%S"));
            Line::of(format!("{times}: {} {what}; {}", it.kind.name(), clean(&it.why)))
        });
        sections.push(Section::of("Worse for a while, and explained", passed));
        let notes = incident.caveats.iter().map(|caveat| Line::of(sentence(caveat)));
        sections.push(Section::of("Note", notes));
        sections.retain(|section| !section.lines.is_empty());
        sections
    }

    /// One or two sentences: since when, what, and why.
    fn summary(&self) -> String {
        let incident = self.incident;
        let Some(onset) = &incident.onset else {
            return "No incident found.".to_owned();
        };
        let what = incident.symptoms.first().map_or_else(
            || "Nothing got worse in the time that was named, which begins".to_owned(),
            |symptom| {
                let values = self.values(symptom.kind, symptom.before, symptom.during);
                format!("{} got worse ({values})", capital(symptom.kind.name()))
            },
        );
        let until = match incident.end {
            Some(end) => format!(" until {}", self.at(end)),
            None => ", and still was at the end of the recording".to_owned(),
        };
        let cause = incident.findings.iter().find(|it| it.finding.role == FindingRole::Cause);
        let why = match cause {
            Some(cause) => format!(
                "{} cause: {}{}.",
                likely(cause.finding.confidence),
                clean(&cause.finding.title),
                self.other_than(&cause.finding)
            ),
            None => "Cause unknown: the measurements do not single one out.".to_owned(),
        };
        format!("{what} at {} ({}){until}. {why}", self.at(onset.at), self.between(onset))
    }

    /// What is as likely as the cause, and nothing tells them apart.
    fn other_than(&self, cause: &Finding) -> String {
        let findings = self.incident.findings.iter().map(|it| &it.finding);
        let other = findings
            .filter(|it| it.role == FindingRole::Contributing && it.rule != cause.rule)
            .find(|it| it.confidence == cause.confidence && it.confidence != Confidence::High);
        other.map_or_else(String::new, |other| {
            format!("; as likely: {} (nothing measured tells which)", clean(&other.title))
        })
    }

    fn symptom(&self, symptom: &Symptom) -> String {
        format!(
            "{}: {}, since {} ({})",
            symptom.kind.name(),
            self.values(symptom.kind, symptom.before, symptom.during),
            self.at(symptom.onset.at),
            self.between(&symptom.onset)
        )
    }

    fn values(&self, kind: SymptomKind, before: f64, during: f64) -> String {
        let value = |value: f64| match kind {
            SymptomKind::Errors => wording::percent(value),
            SymptomKind::Throughput => wording::rate(value),
            SymptomKind::MeanTime | SymptomKind::P99 => wording::duration(value),
        };
        format!("{} -> {}", value(before), value(during))
    }

    fn cause(&self, timed: &TimedFinding) -> Line {
        let finding = &timed.finding;
        let role = match &finding.role {
            FindingRole::Cause => "cause".to_owned(),
            FindingRole::Contributing => "also holds".to_owned(),
            FindingRole::Consequence { of } => format!("follows from {of}"),
            FindingRole::Apart => "apart from it".to_owned(),
        };
        let confidence = match finding.confidence {
            Confidence::High => "confirmed",
            Confidence::Medium => "likely",
            Confidence::Low => "possible",
        };
        let title = clean(&finding.title);
        let text = format!("{title} [{}] ({role}, {confidence})", finding.rule);
        let mut below: Vec<String> =
            finding.evidence.iter().map(|evidence| sentence(&evidence.text)).collect();
        below.extend(timed.onset.map(|onset| {
            let when = match timed.order {
                Order::Before => format!("{} before the symptom", self.apart(&onset)),
                Order::Together => "together with the symptom".to_owned(),
                Order::After | Order::Unknown => {
                    format!("{} after the symptom", self.apart(&onset))
                }
            };
            format!("Its signals moved {when}.")
        }));
        below.push(format!("Next: {}", sentence(&finding.next)));
        Line { text, below }
    }

    fn change(&self, change: &Change) -> String {
        let when = self.incident.onset.map_or_else(String::new, |onset| {
            let seconds = change.at.secs() - onset.at.secs();
            match change.order {
                Order::Together => " (together with the symptom)".to_owned(),
                _ if seconds < 0.0 => format!(" ({} before)", wording::duration(-seconds)),
                _ => format!(" ({} after)", wording::duration(seconds)),
            }
        });
        format!("{}{when}: {}", self.at(change.at), clean(&change.what))
    }

    fn shift(&self, shift: &Shift) -> String {
        let value = |value: f64| match (shift.per_second, shift.unit) {
            (false, unit) => wording::value(value, unit),
            (true, Unit::Seconds | Unit::Cores) => wording::cores(value),
            (true, Unit::Bytes) => format!("{}/s", wording::bytes(value)),
            (true, _) => wording::short_rate(value),
        };
        let order = match shift.order {
            Order::Before => "before the symptom",
            Order::Together => "with the symptom",
            Order::After | Order::Unknown => "after the symptom",
        };
        format!(
            "{} {}: {} -> {} ({order})",
            self.at(shift.onset.at),
            clean(&shift.series),
            value(shift.before),
            value(shift.during),
        )
    }

    /// What could not be seen, by what would show it.
    fn coverage(&self) -> Section {
        let coverage = &self.incident.coverage;
        let mut additions: Vec<(&str, Vec<&str>)> = Vec::new();
        for open in &coverage.open {
            match additions.iter_mut().find(|(add, _)| *add == open.add) {
                Some((_, titles)) => titles.push(&open.title),
                None => additions.push((&open.add, vec![&open.title])),
            }
        }
        additions.sort_by_key(|(_, titles)| std::cmp::Reverse(titles.len()));
        let lines = additions.into_iter().map(|(add, titles)| {
            let titles: Vec<String> = titles.into_iter().map(clean).collect();
            Line::of(format!("{}: {}", titles.join("; "), clean(add)))
        });
        let heading = format!(
            "Coverage: {} of {} causes could be examined; the others, and what would show them",
            coverage.examined, coverage.rules
        );
        let section = Section::of(&heading, lines);
        match section.lines.is_empty() {
            true => Section::of("Coverage", [Line::of("every cause could be examined".to_owned())]),
            false => section,
        }
    }

    /// Seconds between the begin of the symptom and another moment.
    fn apart(&self, onset: &Onset) -> String {
        let symptom = self.incident.onset.map_or(0.0, |onset| onset.at.secs());
        wording::duration((onset.at.secs() - symptom).abs())
    }

    fn at(&self, moment: Moment) -> String {
        self.time(moment, "%Y-%m-%d %H:%M:%S")
    }

    fn between(&self, onset: &Onset) -> String {
        let of_day = |moment| self.time(moment, "%H:%M:%S");
        format!("between {} and {}", of_day(onset.low), of_day(onset.high))
    }

    fn time(&self, moment: Moment, format: &str) -> String {
        let seconds = self.recording.environment.started_unix + moment.secs();
        let at = Timestamp::from_millisecond((seconds * 1e3).round() as i64).unwrap_or_default();
        at.to_zoned(self.zone.clone()).strftime(format).to_string()
    }
}

/// A part of the report.
struct Section {
    heading: String,
    lines: Vec<Line>,
}

/// One line, with what belongs to it.
struct Line {
    text: String,
    below: Vec<String>,
}

impl Section {
    fn of(heading: &str, lines: impl IntoIterator<Item = Line>) -> Self {
        Self { heading: heading.to_owned(), lines: lines.into_iter().collect() }
    }

    fn shown(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter().take(SHOWN)
    }

    /// That not all lines are shown.
    fn more(&self) -> Option<String> {
        let left = self.lines.len().saturating_sub(SHOWN);
        (left > 0).then(|| format!("and {left} more (`--format json` has all)"))
    }
}

impl Line {
    fn of(text: String) -> Self {
        Self { text, below: Vec::new() }
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().collect::<String>())
        + chars.as_str()
}

fn likely(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::High => "Confirmed",
        Confidence::Medium => "Likely",
        Confidence::Low => "Possible",
    }
}
