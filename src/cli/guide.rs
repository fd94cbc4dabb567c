//! `coverage --guide`: what to export and to log before the next incident. The metrics come from the
//! tables by which kneepoint reads them, and the causes from the rules.

use std::collections::{BTreeMap, BTreeSet};

use super::console::wrapped;
use crate::diagnose::{Diagnosable, LoadSeen, Measurable, RuleSet, diagnosable};
use crate::history;

/// Metrics that are named of one exporter and one cause.
const NAMED: usize = 2;

const REQUESTS: &str = "\
1. Requests, from the service or its proxy
  A histogram of response times by route and status, with buckets from 5 ms to 10 s:
  `http_server_request_duration_seconds` (OpenTelemetry), `http_server_requests_seconds` (Micrometer),
  `http_request_duration_seconds` (most client libraries). Without it nothing tells how much load there
  was, and no cause can be named. Scrape every 15 s or more often: an incident of a minute has four
  points then.
";

const LOGS: &str = "\
3. Fields of access logs
  nginx   log_format timed '$remote_addr - $remote_user [$time_local] \"$request\" $status \
$body_bytes_sent \"$http_referer\" \"$http_user_agent\" rt=$request_time urt=$upstream_response_time';
  Apache  LogFormat \"%h %l %u %t \\\"%r\\\" %>s %b \\\"%{Referer}i\\\" \\\"%{User-Agent}i\\\" %D\" timed
  Also: the client's own address behind a proxy (nginx: real_ip module), a request id, and in the
  service's log the same id, the level and the time with its zone. PostgreSQL: log_lock_waits = on,
  log_min_duration_statement = 1s, log_checkpoints = on, log_temp_files = 0, and
  shared_preload_libraries = 'pg_stat_statements'.
";

const BESIDE: &str = "\
4. What no exporter has
  Queues of connections, calls by peer, locks and stacks of threads are only seen beside the service:
  keep kneepoint installed on its machines, check once with `kneepoint doctor PORT`, and run
  `kneepoint watch` while it happens.
";

/// What one exporter has.
#[derive(Default)]
struct Exported {
    metrics: BTreeSet<&'static str>,
    causes: BTreeSet<String>,
}

pub(super) fn guide(rules: &RuleSet, width: usize) -> String {
    let nothing =
        Measurable { metrics: BTreeSet::new(), ran: BTreeSet::new(), load: LoadSeen::Counted };
    let all = diagnosable(rules, &nothing);
    let mut text = String::from("What to have before the next incident\n\n");
    text.push_str(REQUESTS);
    text.push_str("\n2. Exporters, and the causes that need them\n");
    for ((exporter, option), exported) in exporters(&all) {
        let metrics: Vec<&str> = exported.metrics.into_iter().collect();
        let causes: Vec<String> = exported.causes.into_iter().collect();
        let line = format!(
            "{exporter}, selected by `{option}`: {}. For {}",
            metrics.join(", "),
            causes.join(", ")
        );
        let line = wrapped(&line, width.saturating_sub(6).max(40)).replace('\n', "\n    ");
        text.push_str(&format!("  - {line}\n"));
    }
    text.push_str(
        "  Of pools, servers and runtimes only those that the service uses: HikariCP stands for any \
         pool of\n  database connections, JVM for any runtime with garbage collection.\n\n",
    );
    text.push_str(LOGS);
    text.push('\n');
    text.push_str(BESIDE);
    text
}

/// Exporters with the option that selects their series.
fn exporters(all: &[Diagnosable]) -> BTreeMap<(&'static str, &'static str), Exported> {
    let mut found: BTreeMap<(&str, &str), Exported> = BTreeMap::new();
    for one in all {
        for metric in &one.missing {
            for family in history::families_of(metric).into_iter().take(NAMED) {
                let exported = found.entry((family.exporter, family.option)).or_default();
                exported.metrics.insert(family.name);
                exported.causes.insert(one.rule.clone());
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guide_names_exporters_with_the_causes_that_need_them() {
        let text = guide(&crate::run::rules(), 100);
        for words in [
            "postgres_exporter, selected by `--database`",
            "pg_stat_activity_count",
            "db-lock-wait",
            "node_exporter",
            "$request_time",
            "kneepoint doctor",
        ] {
            assert!(text.contains(words), "{words}\n{text}");
        }
    }
}
