//! The agents: where each ran, how well its clock was known, and what it cost its host.

use super::super::wording::{bytes, clean, duration, percent, plural};
use crate::recording::{AgentNote, Recording};
use crate::timeline::{MetricSpec, Series, Timeline, names};

/// What a run measured of one agent.
struct Measured {
    /// Largest error of its clock in seconds.
    clock_error: Option<f64>,
    /// Cores that it used on average.
    cores: Option<f64>,
    /// Most memory that it took in bytes.
    memory: Option<f64>,
}

fn measure(timeline: &Timeline, agent: &str) -> Measured {
    let series = |metric: &MetricSpec| -> Option<&Series> {
        let mut all = timeline.series_of(metric.name);
        all.find(|(key, _)| key.labels.get("agent") == Some(agent)).map(|(_, series)| series)
    };
    let highest = |metric| series(metric)?.points.iter().map(|point| point.value).reduce(f64::max);
    let cores = series(&names::AGENT_CPU_TIME).and_then(|series| {
        // It may have been started again: each life begins at zero.
        let pairs = series.points.windows(2).filter(|pair| pair[1].value >= pair[0].value);
        let (used, passed) = pairs.fold((0.0, 0.0), |(used, passed), pair| {
            let secs = pair[1].at.since(pair[0].at).as_secs_f64();
            (used + pair[1].value - pair[0].value, passed + secs)
        });
        (passed > 0.0).then(|| used / passed)
    });
    Measured {
        clock_error: highest(&names::AGENT_CLOCK_ERROR),
        cores,
        memory: highest(&names::AGENT_MEMORY),
    }
}

/// What an agent cost and how well its clock was known, one sentence each.
pub(super) fn sentences(recording: &Recording) -> Vec<String> {
    let sentence = |note: &AgentNote| {
        let measured = measure(&recording.timeline, &note.name);
        let mut parts = Vec::new();
        if let Some(error) = measured.clock_error {
            parts.push(format!("its clock was known to within {}", duration(error)));
        }
        if let Some(cores) = measured.cores {
            parts.push(format!("it used {} of one core", percent(cores)));
        }
        parts.extend(measured.memory.map(|memory| format!("{} of memory", bytes(memory))));
        let (name, host) = (clean(&note.name), clean(&note.host));
        match parts.is_empty() {
            true => format!("Agent `{name}` on {host} sent nothing."),
            false => format!("Agent `{name}` on {host}: {}.", parts.join(", ")),
        }
    };
    recording.environment.agents.iter().map(sentence).collect()
}

/// The agents by name, with the machine of each.
pub(super) fn machines(recording: &Recording) -> impl Iterator<Item = (String, String)> {
    recording.environment.agents.iter().map(|note| {
        let mut parts = vec![clean(&note.host), clean(&note.kernel)];
        if note.cores > 0 {
            parts.push(plural(note.cores.into(), "core", "cores"));
        }
        if note.memory_bytes > 0 {
            parts.push(bytes(note.memory_bytes as f64));
        }
        parts.push(format!("kneepoint {}", clean(&note.kneepoint)));
        if note.is_target {
            parts.push("the target runs there".to_owned());
        }
        if note.is_same_machine {
            parts.push("the machine that makes the load".to_owned());
        }
        parts.retain(|part| !part.is_empty());
        (format!("Agent `{}`", clean(&note.name)), parts.join(", "))
    })
}
