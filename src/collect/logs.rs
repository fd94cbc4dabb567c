//! `logs`: what the target, its database and the kernel write into their logs.
//!
//! It follows files (through rotation, truncation and recreation), the output of `journalctl -f`
//! and `docker logs -f`, and the kernel's own log. It starts at the end of each: what was written
//! before the run does not count. It counts lines by level, by template (the line without numbers,
//! ids, times, addresses and quoted parts) and by well-known sentence, and quotes the first line of
//! each template, without secrets.
//!
//! Its cost is bounded. Where lines come faster than its share of a core can parse, it parses every
//! second, third, … line, which stands for the others, and says so. The number of templates is
//! bounded too: what does not fit is counted together.
//!
//! What it cannot see: lines that a program keeps in its own buffer, a file that is truncated and
//! grows beyond its former size between two looks, and more than a line in a line of 16 KiB.

use std::time::{Duration, Instant};

use super::proc::thread_cpu_seconds;
use super::{Collector, CollectorSpec, OpenError, OpenResult, Opens, SampleError, TargetHint};
use crate::plan::{CollectorConfig, OptionKind, OptionSpec};
use crate::timeline::{BatchBuilder, SeriesKey, names};

mod budget;
mod command;
mod file;
mod kernel;
mod level;
mod split;
pub(super) mod stored;
mod templates;

use budget::Budget;
use command::FollowedCommand;
use file::FollowedFile;
use kernel::KernelLog;
use level::ReadLine;
use split::Lines;
use templates::Templates;

pub(super) static SPEC: CollectorSpec = CollectorSpec {
    name: "logs",
    summary: "what the target, its database and the kernel write into their logs: lines by level, \
              by template and by well-known sentence; needs the right to read them",
    hint: "[collect.logs] with `files = [\"/path/to/the/target.log\"]`, `journal`, `docker` or \
           `kernel`",
    opens: Opens::WhenAsked,
    options: &[
        OptionSpec {
            name: "files",
            kind: OptionKind::Texts,
            required: false,
            about: "paths of log files to follow, PostgreSQL's own log included",
        },
        OptionSpec {
            name: "journal",
            kind: OptionKind::Text,
            required: false,
            about: "a unit of systemd, followed with `journalctl -f`",
        },
        OptionSpec {
            name: "docker",
            kind: OptionKind::Text,
            required: false,
            about: "a container, followed with `docker logs -f`",
        },
        OptionSpec {
            name: "kernel",
            kind: OptionKind::Switch,
            required: false,
            about: "the kernel's log: out-of-memory kills, full tables, floods of connections",
        },
    ],
    metrics: &[names::LOG_LINES, names::LOG_TEMPLATE_LINES, names::WORDS_SEEN],
    interval: Duration::from_secs(1),
    open,
};

fn open(config: &CollectorConfig, _: &TargetHint) -> OpenResult {
    let mut sources: Vec<Followed> = Vec::new();
    for path in config.texts("files") {
        sources.push(Followed::new(path, Source::File(FollowedFile::open(path)?)));
    }
    if let Some(unit) = config.text("journal") {
        let command = FollowedCommand::journal(unit)?;
        sources.push(Followed::new(&format!("journal of {unit}"), Source::Command(command)));
    }
    if let Some(container) = config.text("docker") {
        let command = FollowedCommand::docker(container)?;
        sources
            .push(Followed::new(&format!("docker logs of {container}"), Source::Command(command)));
    }
    if config.switch("kernel") {
        sources.push(Followed::new("kernel", Source::Kernel(KernelLog::open()?)));
    }
    if sources.is_empty() {
        return Err(OpenError::new(
            "`[collect.logs]` names no log",
            "add `files = [\"/path/to/the/target.log\"]`, `journal = \"unit\"`, \
             `docker = \"container\"` or `kernel = true`",
        ));
    }
    let names = sources.iter().map(|source| source.name.clone()).collect();
    Ok(Box::new(Logs {
        sources,
        templates: Templates::new(names),
        budget: Budget::new(),
        looked: Instant::now(),
        events: Vec::new(),
    }))
}

/// One log.
enum Source {
    File(FollowedFile),
    Command(FollowedCommand),
    Kernel(KernelLog),
}

/// One log, and the state that goes from line to line.
struct Followed {
    name: String,
    source: Source,
    /// Whether the last line belongs to a private key that has not ended.
    in_key: bool,
}

impl Followed {
    fn new(name: &str, source: Source) -> Self {
        Self { name: name.to_owned(), source, in_key: false }
    }
}

struct Logs {
    sources: Vec<Followed>,
    templates: Templates,
    budget: Budget,
    looked: Instant,
    events: Vec<String>,
}

impl Collector for Logs {
    fn watches(&self) -> String {
        let names: Vec<&str> = self.sources.iter().map(|source| source.name.as_str()).collect();
        names.join(", ")
    }

    fn sample(&mut self, batch: &mut BatchBuilder) -> Result<(), SampleError> {
        let since = self.looked.elapsed();
        self.looked = Instant::now();
        self.budget.begin(since, thread_cpu_seconds());
        let Self { sources, templates, budget, events, .. } = self;
        for (index, followed) in sources.iter_mut().enumerate() {
            let Followed { name, source, in_key } = followed;
            let mut take = Lines::new(|line: &[u8]| {
                if !budget.wants(thread_cpu_seconds) {
                    templates.count_only(index);
                    return;
                }
                let text = String::from_utf8_lossy(line);
                let read = ReadLine::of(text.trim_end_matches('\r'), in_key);
                templates.count(index, &read, budget.weight());
            });
            let news = match source {
                Source::File(file) => file.read(&mut take),
                Source::Command(command) => command.read(&mut take),
                Source::Kernel(kernel) => kernel.read(&mut take),
            };
            if let Some(news) = news {
                events.push(format!("{name}: {news}"));
            }
        }
        if let Some(news) = budget.end(thread_cpu_seconds()) {
            events.push(news);
        }
        templates.push(batch, since.as_secs_f64());
        Ok(())
    }

    fn events(&mut self) -> Vec<String> {
        std::mem::take(&mut self.events)
    }

    fn quotes(&mut self) -> Vec<(SeriesKey, String)> {
        self.templates.take_quotes()
    }

    fn costs_by_look(&self) -> bool {
        // The lines cost, not the looks: looking less often makes each look longer.
        false
    }
}

#[cfg(test)]
mod tests;
