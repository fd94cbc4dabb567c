//! What failed requests got in place of a good response, in the words of who answered.

use std::collections::BTreeMap;

use serde::Serialize;

use super::super::wording::{clean, number, short_rate};
use super::stages::counting;
use crate::diagnose::Diagnosis;
use crate::recording::Recording;
use crate::timeline::{FailureKind, Moment, ResponseClass};

/// At most this many kinds of failures are listed.
const MOST: usize = 60;

/// One kind of failure.
#[derive(Clone, Debug, Serialize)]
pub(in crate::report) struct FailureRow {
    /// In numbers, for programs.
    pub numbers: FailureNumbers,
    /// Status or error, and how often it came, such as `503, 1,204 times`.
    pub how_often: String,
    /// What it said: the original line. Empty where the response had no body.
    pub text: String,
    /// What is known about it: the request, its meaning, its headers, where it began.
    pub notes: String,
}

/// One kind of failure, in numbers.
#[derive(Clone, Debug, Serialize)]
pub(in crate::report) struct FailureNumbers {
    /// Name of the request.
    pub request: String,
    /// The status, or the kind of failure, such as `timeout`.
    pub class: String,
    /// How many requests of the whole run ended this way.
    pub count: u64,
    /// What the first of them said, without secrets.
    pub example: String,
    /// Headers of the first of them.
    pub headers: BTreeMap<String, String>,
    /// The kind of well-known sentence in it.
    pub sentence: Option<&'static str>,
    /// Whether it stands for all kinds beyond the first distinct ones.
    pub is_rest: bool,
    /// Lowest offered load of a stage in which it came.
    pub lowest_offered: Option<f64>,
    /// Seconds from the start of the run to the first and to the last of them.
    pub first_seconds: f64,
    pub last_seconds: f64,
}

struct Seen {
    count: u64,
    first: Moment,
    last: Moment,
}

/// Every kind of failure, the most frequent first.
pub(super) fn failures(recording: &Recording, diagnosis: &Diagnosis) -> Vec<FailureRow> {
    let mut kinds: BTreeMap<&FailureKind, Seen> = BTreeMap::new();
    for tick in &recording.timeline.ticks {
        for failure in &tick.failures {
            let (first, last) = (tick.window.begin, tick.window.end);
            let seen = kinds.entry(&failure.kind).or_insert(Seen { count: 0, first, last });
            seen.count += failure.count;
            seen.last = last;
        }
    }
    let mut lowest: BTreeMap<&FailureKind, f64> = BTreeMap::new();
    for stage in counting(diagnosis) {
        for tick in recording.timeline.ticks_within(stage.window) {
            for failure in &tick.failures {
                let rate = lowest.entry(&failure.kind).or_insert(stage.offered);
                *rate = rate.min(stage.offered);
            }
        }
    }
    let mut kinds: Vec<(&FailureKind, Seen)> = kinds.into_iter().collect();
    kinds.sort_by(|a, b| b.1.count.cmp(&a.1.count).then_with(|| a.0.cmp(b.0)));
    let several = recording.plan.requests.len() > 1;
    kinds
        .iter()
        .take(MOST)
        .map(|(kind, seen)| row(kind, seen, lowest.get(kind).copied(), several))
        .collect()
}

fn row(kind: &FailureKind, seen: &Seen, lowest: Option<f64>, several: bool) -> FailureRow {
    let request = clean(&kind.endpoint);
    let class = match kind.class {
        ResponseClass::Connect => "no connection".to_owned(),
        ResponseClass::Reset => "connection closed".to_owned(),
        ResponseClass::Check => "failed check".to_owned(),
        other => other.to_string(),
    };
    let mut notes = Vec::new();
    if several {
        notes.push(request.clone());
    }
    let sentence = kind.sentence();
    notes.extend(sentence.map(|sentence| sentence.meaning().to_owned()));
    notes.extend(kind.headers.iter().map(|(name, value)| clean(&format!("{name}: {value}"))));
    notes.extend(lowest.map(|rate| format!("from {} on", short_rate(rate))));
    let text = match kind.is_rest {
        true => "other responses, too many different ones to list".to_owned(),
        false => clean(&kind.example),
    };
    FailureRow {
        how_often: match seen.count {
            1 => format!("{class}, once"),
            many => format!("{class}, {} times", number(many as f64)),
        },
        text,
        notes: notes.join("; "),
        numbers: FailureNumbers {
            request,
            class: kind.class.to_string(),
            count: seen.count,
            example: clean(&kind.example),
            headers: kind.headers.iter().map(|(name, value)| (clean(name), clean(value))).collect(),
            sentence: sentence.map(|sentence| sentence.name()),
            is_rest: kind.is_rest,
            lowest_offered: lowest,
            first_seconds: seen.first.secs(),
            last_seconds: seen.last.secs(),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::super::fixture;
    use super::*;
    use crate::timeline::FailureCount;

    #[test]
    fn failures_are_told_in_their_own_words() {
        let mut recording = fixture::recording();
        let kind = |example: &str| {
            Arc::new(FailureKind {
                endpoint: "page".to_owned(),
                class: ResponseClass::Status(503),
                template: example.to_owned(),
                example: example.to_owned(),
                headers: vec![("retry-after".to_owned(), "1".to_owned())],
                is_rest: false,
            })
        };
        let (full, gone) = (kind("too many concurrent requests\u{1b}!"), kind("gone"));
        for tick in &mut recording.timeline.ticks {
            tick.failures = vec![FailureCount { kind: Arc::clone(&full), count: 2 }];
        }
        recording.timeline.ticks[3].failures.push(FailureCount { kind: gone, count: 1 });
        let diagnosis = fixture::diagnosis(&recording);
        let rows = failures(&recording, &diagnosis);
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0].text, "too many concurrent requests !");
        assert_eq!(rows[0].numbers.count, 2 * recording.timeline.ticks.len() as u64);
        assert_eq!(rows[0].numbers.sentence, Some("concurrency_limit"));
        assert!(rows[0].notes.contains("retry-after: 1"), "{}", rows[0].notes);
        assert_eq!(rows[1].how_often, "503, once");
    }
}
