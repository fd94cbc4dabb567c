//! An incident for people at a terminal, and for programs.

use std::io;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::wording::{self, clean, sentence};
use crate::diagnose::{Confidence, FindingRole};
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

    /// Writes the incident as text: what users saw, since when, what changed before, why, what was
    /// ruled out, and what could not be seen.
    ///
    /// # Errors
    /// When the writer fails.
    pub fn text(&self, w: &mut dyn io::Write) -> io::Result<()> {
        let incident = self.incident;
        writeln!(w, "{}", self.summary())?;
        if incident.onset.is_some() {
            self.list(w, "What users saw", incident.symptoms.iter().map(|it| self.symptom(it)))?;
            self.causes(w)?;
            let changes = incident.changes.iter().map(|change| self.change(change));
            self.list(w, "What changed", changes)?;
            let shifts = incident.shifts.iter().map(|shift| self.shift(shift));
            self.list(w, "What moved, apart from what the load explains", shifts)?;
            let out = incident.ruled_out.iter().map(|out| {
                let because = out.because.first().map(|evidence| clean(&evidence.text));
                format!("{}: {}", clean(&out.title), because.unwrap_or_default())
            });
            self.list(w, "Ruled out", out)?;
            self.coverage(w)?;
        }
        self.list(w, "Note", incident.caveats.iter().map(|caveat| sentence(caveat)))
    }

    fn list(
        &self,
        w: &mut dyn io::Write,
        heading: &str,
        lines: impl Iterator<Item = String>,
    ) -> io::Result<()> {
        let lines: Vec<String> = lines.collect();
        if lines.is_empty() {
            return Ok(());
        }
        writeln!(w, "\n{heading}")?;
        for line in lines.iter().take(SHOWN) {
            writeln!(w, "  {line}")?;
        }
        if lines.len() > SHOWN {
            writeln!(w, "  and {} more (`--format json` has all)", lines.len() - SHOWN)?;
        }
        Ok(())
    }

    /// One or two sentences: since when, what, and why.
    fn summary(&self) -> String {
        let incident = self.incident;
        let Some(onset) = &incident.onset else {
            return "No incident found.".to_owned();
        };
        let what = incident.symptoms.first().map_or_else(
            || "The time that was named".to_owned(),
            |symptom| format!("{} got worse", capital(symptom.kind.name())),
        );
        let until = match incident.end {
            Some(end) => format!(" until {}", self.at(end)),
            None => ", and still was at the end of the recording".to_owned(),
        };
        let cause = incident.findings.iter().find(|it| it.finding.role == FindingRole::Cause);
        let why = match cause {
            Some(cause) => format!(
                "{} cause: {}.",
                likely(cause.finding.confidence),
                clean(&cause.finding.title)
            ),
            None => "Cause unknown: the measurements do not single one out.".to_owned(),
        };
        format!("{what} at {} ({}){until}. {why}", self.at(onset.at), self.between(onset))
    }

    fn symptom(&self, symptom: &Symptom) -> String {
        let value = |value: f64| match symptom.kind {
            SymptomKind::Errors => wording::percent(value),
            SymptomKind::Throughput => wording::rate(value),
            SymptomKind::MeanTime | SymptomKind::P99 => wording::duration(value),
        };
        format!(
            "{}: {} -> {}, since {} ({})",
            symptom.kind.name(),
            value(symptom.before),
            value(symptom.during),
            self.at(symptom.onset.at),
            self.between(&symptom.onset)
        )
    }

    fn causes(&self, w: &mut dyn io::Write) -> io::Result<()> {
        if self.incident.findings.is_empty() {
            return Ok(());
        }
        writeln!(w, "\nWhy")?;
        for timed in self.incident.findings.iter().take(SHOWN) {
            self.cause(w, timed)?;
        }
        Ok(())
    }

    fn cause(&self, w: &mut dyn io::Write, timed: &TimedFinding) -> io::Result<()> {
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
        writeln!(w, "  {title} [{}] ({role}, {confidence})", finding.rule)?;
        for evidence in &finding.evidence {
            writeln!(w, "    {}", sentence(&evidence.text))?;
        }
        let when = timed.onset.map(|onset| match timed.order {
            Order::Before => format!("moved {} before the symptom", self.apart(&onset)),
            Order::Together => "moved together with the symptom".to_owned(),
            Order::After | Order::Unknown => {
                format!("moved {} after the symptom", self.apart(&onset))
            }
        });
        if let Some(when) = when {
            writeln!(w, "    Its signals {when}.")?;
        }
        writeln!(w, "    Next: {}", sentence(&finding.next))
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
            Order::Before => "before",
            Order::Together => "together",
            Order::After | Order::Unknown => "after",
        };
        format!(
            "{} {}: {} -> {} (z {:+.0}, {order})",
            self.at(shift.onset.at),
            clean(&shift.series),
            value(shift.before),
            value(shift.during),
            shift.z,
        )
    }

    fn coverage(&self, w: &mut dyn io::Write) -> io::Result<()> {
        let coverage = &self.incident.coverage;
        writeln!(
            w,
            "\nCoverage: {} of {} causes could be examined",
            coverage.examined, coverage.rules
        )?;
        let mut told: Vec<&str> = Vec::new();
        for open in &coverage.open {
            if told.len() < SHOWN && !told.contains(&open.add.as_str()) {
                told.push(&open.add);
                writeln!(w, "  {}: {}", clean(&open.title), clean(&open.add))?;
            }
        }
        Ok(())
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
