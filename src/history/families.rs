//! Which stored metrics would tell what, for whoever looks for what is missing.

use std::collections::BTreeSet;

use super::role_families::{ROLE_FAMILIES, told};
use crate::collect;
use crate::timeline::names;

/// A stored metric that would become one of kneepoint's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Family {
    /// Its name at the server.
    pub name: &'static str,
    /// What has it.
    pub exporter: &'static str,
    /// The option that selects its series.
    pub option: &'static str,
}

/// The stored metrics that become `metric`, the best first; none where only kneepoint itself, beside
/// the service, can measure it.
pub fn families_of(metric: &str) -> Vec<Family> {
    // Both follow from the processor times of a machine.
    let of_times = [names::SYSTEM_CPU_UTILIZATION.name, names::SYSTEM_CPU_CORES.name];
    let metric = match metric {
        _ if of_times.contains(&metric) => names::SYSTEM_CPU_TIME.name,
        _ if metric == names::PROCESS_CPU_BUSIEST.name => names::PROCESS_CPU_TIME.name,
        _ => metric,
    };
    let exported = ROLE_FAMILIES.iter().filter(|family| family.metric.name == metric);
    let exported = exported.map(|family| {
        let (option, exporter) = told(family.role);
        Family { name: family.name, exporter, option }
    });
    let of_libraries = collect::families_of(metric);
    exported
        .chain(of_libraries.map(|(exporter, name)| Family { name, exporter, option: "--match" }))
        .collect()
}

/// What would add the metrics of these names or signals to what a server stores, as one line.
pub fn addition<'m>(missing: impl IntoIterator<Item = &'m str>) -> String {
    /// Stored metrics that are named as examples.
    const EXAMPLES: usize = 2;
    let mut parts: BTreeSet<String> = BTreeSet::new();
    for metric in missing.into_iter().flat_map(metrics_of) {
        let families = families_of(metric);
        let named = |family: &Family| format!("`{}` ({})", family.name, family.exporter);
        match families.first() {
            Some(first) if first.option == "--match" => {
                let some: Vec<String> = families.iter().take(EXAMPLES).map(named).collect();
                parts.insert(format!("export {}", some.join(" or ")));
            }
            Some(first) => {
                parts.insert(format!(
                    "{} with `{}`, selected by `{} SELECTOR`",
                    first.exporter, first.name, first.option
                ));
            }
            None if metric.starts_with("load.") => {
                parts.insert(
                    "a histogram of requests such as `http_server_request_duration_seconds`, with \
                     the status"
                        .to_owned(),
                );
            }
            None => {}
        }
    }
    match parts.is_empty() {
        true => "kneepoint beside the service (`kneepoint watch` or `run`): no exporter has this"
            .to_owned(),
        false => parts.into_iter().collect::<Vec<_>>().join("; or "),
    }
}

/// The names of the metrics in a signal such as `growth of client.calls / load.offered`.
fn metrics_of(signal: &str) -> impl Iterator<Item = &str> {
    let words = signal.split([' ', '(', ')', ',']);
    let names = words.map(|word| word.split('{').next().unwrap_or_default());
    names.filter(|name| name.contains('.') && !name.contains('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_told_as_what_exports_it() {
        let sessions = addition(["growth of db.sessions{state=active} / load.offered"]);
        assert!(sessions.contains("postgres_exporter with `pg_stat_activity_count`"), "{sessions}");
        assert!(sessions.contains("`--database SELECTOR`"), "{sessions}");
        let sockets = addition(["tcp.calls pinned"]);
        assert!(sockets.contains("no exporter has this"), "{sockets}");
    }
}
