//! `coverage`: which causes could be named today, and what one line would add. It asks the rules
//! what they require.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::args::{CoverageArgs, PageFormat};
use super::console::{LiveLine, print, say, width, wrapped};
use super::error::{CliError, CommandResult};
use super::exit::ExitStatus;
use super::guide::guide;
use super::history::{asked, merged, read_file, secret};
use super::{inspect, moment, results};
use crate::collect::{self, Observation, Opened, Sampler};
use crate::diagnose::{Diagnosable, LoadSeen, Measurable, RuleSet, diagnosable};
use crate::history;
use crate::plan::HistoryFile;
use crate::prepare;
use crate::recording;
use crate::report::wording;
use crate::timeline::{Epoch, Kind, Source};

/// How much of the past a Prometheus server is asked for: enough for counters that grow rarely, and
/// for a scrape interval of a minute.
const ASKED: Duration = Duration::from_secs(600);
/// How long the collectors of a plan are read: the slowest looks every five seconds.
const READ: Duration = Duration::from_secs(6);
/// Observations that wait to be counted.
const WAITING: usize = 1024;
/// Collectors whose series only appear with the first call, request or lock.
const UNDER_LOAD: [&str; 2] = ["tcp", "file_locks"];
/// The collector of what a service exports.
const PROMETHEUS: &str = "prometheus";
/// Stored metrics that are named as examples.
const EXAMPLES: usize = 3;

/// Where the metrics come from, which decides what a person can add.
enum Origin {
    /// A plan or a recording of kneepoint's: the collectors that ran.
    Collectors(BTreeSet<String>),
    /// A Prometheus server.
    Stored,
}

/// The causes that one addition makes known.
type Additions = BTreeMap<String, Vec<Diagnosable>>;

pub(super) fn main(args: &CoverageArgs) -> CommandResult {
    let rules = results::load_rules(args.rules.as_deref())?;
    if args.guide {
        return print(guide(&rules, width()).as_bytes());
    }
    let (measured, origin) = match (&args.prometheus, &args.what) {
        (Some(url), _) => (of_prometheus(args, url, &rules)?, Origin::Stored),
        (None, Some(path)) if path.extension().is_some_and(|end| end == "toml") => {
            let measured = of_plan(path)?;
            let ran = measured.ran.clone();
            (measured, Origin::Collectors(ran))
        }
        (None, Some(path)) => of_recording(path, &rules)?,
        (None, None) => return Err(CliError::usage("name a plan, a recording or --prometheus")),
    };
    let (known, unknown): (Vec<_>, Vec<_>) =
        diagnosable(&rules, &measured).into_iter().partition(|one| one.missing.is_empty());
    let mut additions = Additions::new();
    for one in unknown {
        additions.entry(addition(&one, &origin, &rules)).or_default().push(one);
    }
    let text = match args.format {
        PageFormat::Terminal => page(&known, &additions, width()),
        PageFormat::Json => document(&known, &additions)?,
    };
    print(text.as_bytes())
}

fn of_recording(path: &Path, rules: &RuleSet) -> Result<(Measurable, Origin), CliError> {
    let recording = results::read(&inspect::recording_path(path))?;
    let measured = Measurable::of_recording(&recording, rules.sources());
    let is_stored = !measured.ran.contains("generator") && measured.load != LoadSeen::Own;
    let origin = match is_stored {
        true => Origin::Stored,
        false => Origin::Collectors(measured.ran.clone()),
    };
    Ok((measured, origin))
}

/// Reads the last minutes as an import would, and forgets them.
fn of_prometheus(args: &CoverageArgs, url: &str, rules: &RuleSet) -> Result<Measurable, CliError> {
    let to = moment::now().timestamp().as_millisecond() as f64 / 1e3;
    let file = match url.ends_with(".toml") {
        true => read_file(Path::new(url))?,
        false => HistoryFile { url: Some(secret("--prometheus", url)?), ..HistoryFile::default() },
    };
    let options = merged(&args.stored, file)?;
    let question = asked(&options, to - ASKED.as_secs_f64(), to)?;
    let mut bytes = Vec::new();
    let summary = history::record(&question, "coverage", &mut bytes, &mut |_| {})
        .map_err(|error| CliError::from(&error))?;
    for note in &summary.notes {
        say(format_args!("kneepoint: note: {note}"));
    }
    let (recording, _) = recording::read(Cursor::new(bytes)).map_err(CliError::failed)?;
    Ok(Measurable::of_recording(&recording, rules.sources()))
}

/// Opens the collectors of a plan and reads them for a few seconds. No load is sent.
fn of_plan(path: &Path) -> Result<Measurable, CliError> {
    let plan = prepare::read_plan(path)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let observed = prepare::observe(&plan, folder, true)
        .map_err(|problems| CliError::problems(ExitStatus::Preflight, &problems))?;
    for warning in &observed.warnings {
        say(format_args!("kneepoint: {warning}"));
    }
    let mut ran: BTreeSet<String> =
        observed.collectors.iter().map(|one| one.spec.name.to_owned()).collect();
    let mut metrics: BTreeSet<String> = read_for_a_while(observed.collectors);
    for source in ran.iter().filter_map(|name| collect::find(name)) {
        // A count of nothing has no series; and calls begin with the load.
        let will_be = source.metrics.iter().filter(|metric| {
            UNDER_LOAD.contains(&source.name)
                || (metric.kind == Kind::Census && source.name != PROMETHEUS)
        });
        metrics.extend(will_be.map(|metric| metric.name.to_owned()));
    }
    for (name, is_there) in
        [("canary", !plan.canaries.is_empty()), ("websocket", !plan.websockets.is_empty())]
    {
        ran.extend(is_there.then(|| name.to_owned()));
    }
    Ok(Measurable { metrics, ran, load: LoadSeen::Own })
}

/// The metrics that the collectors report within a few seconds.
fn read_for_a_while(collectors: Vec<Opened>) -> BTreeSet<String> {
    let line = LiveLine::new(false);
    line.replace("  reading the collectors for 6 s, without load");
    let (sink, observations) = mpsc::sync_channel(WAITING);
    let reader = thread::spawn(move || {
        let mut metrics = BTreeSet::new();
        for observation in observations {
            if let Observation::Batch(batch) = observation {
                metrics.extend(batch.readings.into_iter().map(|reading| reading.key.metric));
            }
        }
        metrics
    });
    let sampler = Sampler::start(collectors, Epoch::new(Instant::now()), sink);
    thread::sleep(READ);
    sampler.stop();
    line.clear();
    reader.join().unwrap_or_default()
}

/// What would add the metrics that a cause lacks, as one line.
fn addition(one: &Diagnosable, origin: &Origin, rules: &RuleSet) -> String {
    match origin {
        Origin::Collectors(ran) => of_collectors(one, ran, rules),
        Origin::Stored => of_exporters(one),
    }
}

fn of_collectors(one: &Diagnosable, ran: &BTreeSet<String>, rules: &RuleSet) -> String {
    let of = |metric: &String| rules.sources().iter().find(|source: &&Source| source.emits(metric));
    let sources: Vec<Option<&Source>> = one.missing.iter().map(of).collect();
    let absent: BTreeSet<&str> = sources
        .iter()
        .flatten()
        .filter(|source| !ran.contains(source.name))
        .map(|source| source.hint)
        .collect();
    if !absent.is_empty() {
        return absent.into_iter().collect::<Vec<_>>().join(", and ");
    }
    let silent: BTreeSet<&str> = sources.iter().flatten().map(|source| source.name).collect();
    let rule = rules.find(&one.rule);
    let is_exported = |metric: &String| !history::families_of(metric).is_empty();
    if silent.contains(PROMETHEUS) && one.missing.iter().any(is_exported) {
        return format!("let the service export {}", examples(&one.missing));
    }
    if silent.is_empty() {
        return "load made by kneepoint itself: `kneepoint run`".to_owned();
    }
    let said = rule.and_then(|rule| rule.lacking.clone());
    said.or_else(|| rule.filter(|_| silent.contains(PROMETHEUS)).map(|rule| rule.add.clone()))
        .unwrap_or_else(|| {
            let names: Vec<String> = silent.iter().map(|name| format!("`{name}`")).collect();
            let metrics: Vec<&str> = one.missing.iter().map(String::as_str).collect();
            format!(
                "{} runs and reports no {}: the target has none, or kneepoint may not read it \
                 (`kneepoint doctor` says which)",
                names.join(" and "),
                metrics.join(", ")
            )
        })
}

/// Stored metrics of which any becomes the missing ones.
fn examples(missing: &BTreeSet<String>) -> String {
    let each = missing.iter().map(|metric| {
        let families: Vec<String> = history::families_of(metric)
            .into_iter()
            .take(EXAMPLES)
            .map(|family| format!("`{}` ({})", family.name, family.exporter))
            .collect();
        match families.is_empty() {
            true => format!("`{metric}`"),
            false => families.join(" or "),
        }
    });
    each.collect::<Vec<_>>().join(", and ")
}

fn of_exporters(one: &Diagnosable) -> String {
    history::addition(one.missing.iter().map(String::as_str))
}

/// The additions, those first that make most causes known.
fn in_order(additions: &Additions) -> Vec<(&String, &Vec<Diagnosable>)> {
    let mut order: Vec<_> = additions.iter().collect();
    order.sort_by_key(|(_, causes)| std::cmp::Reverse(causes.len()));
    order
}

fn page(known: &[Diagnosable], additions: &Additions, width: usize) -> String {
    let lacking: usize = additions.values().map(Vec::len).sum();
    let all = known.len() + lacking;
    let mut text = format!("{} of {} could be diagnosed now\n", known.len(), causes(all));
    let names = known.iter().map(|one| one.rule.len()).max().unwrap_or(0);
    for one in known {
        text.push_str(&format!("  {:names$}  {}\n", one.rule, one.title));
    }
    if lacking == 0 {
        return text;
    }
    text.push_str(&format!("\n{} could not; what would add them\n", causes(lacking)));
    for (addition, causes) in in_order(additions) {
        let line = wrapped(addition, width.saturating_sub(4).max(40)).replace('\n', "\n    ");
        text.push_str(&format!("  + {line}\n"));
        for one in causes {
            text.push_str(&format!("      {}: {}\n", one.rule, one.title));
        }
    }
    text
}

fn causes(count: usize) -> String {
    wording::plural(count as u64, "cause", "causes")
}

fn document(known: &[Diagnosable], additions: &Additions) -> Result<String, CliError> {
    let rule = |one: &Diagnosable| serde_json::json!({ "rule": one.rule, "title": one.title });
    let open = in_order(additions).into_iter().map(|(addition, causes)| {
        let causes = causes.iter().map(|one| {
            serde_json::json!({ "rule": one.rule, "title": one.title, "missing": one.missing })
        });
        serde_json::json!({ "add": addition, "causes": causes.collect::<Vec<_>>() })
    });
    let document = serde_json::json!({
        "diagnosable": known.iter().map(rule).collect::<Vec<_>>(),
        "open": open.collect::<Vec<_>>(),
    });
    Ok(serde_json::to_string_pretty(&document).map_err(CliError::failed)? + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(rule: &str, missing: &[&str]) -> Diagnosable {
        Diagnosable {
            rule: rule.to_owned(),
            title: "t".to_owned(),
            missing: missing.iter().map(|it| (*it).to_owned()).collect(),
        }
    }

    #[test]
    fn what_is_missing_has_the_line_that_adds_it() {
        let rules = crate::run::rules();
        let ran =
            |names: &[&str]| Origin::Collectors(names.iter().map(|it| (*it).to_owned()).collect());
        let lock = one("db-lock-wait", &["db.sessions"]);
        let said = addition(&lock, &ran(&["tcp"]), &rules);
        assert!(said.starts_with("[collect.postgres]"), "{said}");
        let said = addition(&lock, &Origin::Stored, &rules);
        assert_eq!(
            said,
            "postgres_exporter with `pg_stat_activity_count`, selected by `--database SELECTOR`"
        );
        let pool = one("db-pool-too-small", &["pool.limit"]);
        let said = addition(&pool, &ran(&["prometheus"]), &rules);
        assert!(said.contains("`hikaricp_connections_max` (HikariCP)"), "{said}");
        let said = addition(&one("pool-exhausted", &["slots.used"]), &ran(&["prometheus"]), &rules);
        assert!(said.contains("how many places of its pools"), "{said}");
        let said =
            addition(&one("cpu-throttled", &["cgroup.cpu.quota"]), &ran(&["process"]), &rules);
        assert!(said.contains("the target has none"), "{said}");
        let said = addition(&one("tls-handshakes", &["tcp.accept_queue"]), &Origin::Stored, &rules);
        assert!(said.starts_with("kneepoint beside the service"), "{said}");
        let said = addition(&one("x", &["load.errors"]), &Origin::Stored, &rules);
        assert!(said.contains("histogram of requests"), "{said}");
    }

    #[test]
    fn the_addition_that_tells_most_stands_first() {
        let additions = Additions::from([
            ("a".to_owned(), vec![one("x", &["m"])]),
            ("b".to_owned(), vec![one("y", &["m"]), one("z", &["m"])]),
        ]);
        let text = page(&[one("k", &[])], &additions, 80);
        assert!(text.starts_with("1 of 4 causes could be diagnosed now\n  k  t\n"), "{text}");
        assert!(text.find("+ b").unwrap() < text.find("+ a").unwrap(), "{text}");
    }
}
