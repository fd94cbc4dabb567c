//! Which series the selectors match, and which of them are read.

use std::collections::{BTreeMap, BTreeSet};

use super::answer::{LabelSet, Metadata};
use super::error::HistoryError;
use super::load_families;
use super::role_families::{ROLE_FAMILIES, Role};
use super::selector::Matcher;
use super::server::{AskError, Server};
use crate::collect::is_recognised;
use crate::plan::nearest;
use crate::timeline::is_secret_name;

/// Most series that are read for one role: a week of more would not fit into a diagnosis.
const MOST_SERIES: usize = 20_000;
/// Most series that one query asks for.
const SERIES_OF_QUERY: usize = 1000;

/// One stored series.
#[derive(Debug)]
pub(super) struct StoredSeries {
    /// Name of its metric.
    pub(super) name: String,
    /// Its other labels, as the server has them.
    pub(super) labels: LabelSet,
    /// The endpoint that it was scraped from.
    pub(super) instance: String,
    /// Its labels without those that the server added.
    pub(super) own: Vec<(String, String)>,
}

/// The series of one role.
#[derive(Debug)]
pub(super) struct Catalogue {
    pub(super) role: Role,
    matcher: Matcher,
    pub(super) series: Vec<StoredSeries>,
    /// Places in `series`, by all labels and the name.
    places: BTreeMap<LabelSet, usize>,
}

/// A question for the samples of some metrics.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    /// Place of the catalogue.
    pub(super) catalogue: usize,
    pub(super) selector: String,
}

/// Finds the series that a selector matches between two moments in seconds since 1970.
pub(super) fn find(
    server: &Server,
    role: Role,
    selector: &str,
    (from, to): (f64, f64),
    notes: &mut Vec<String>,
) -> Result<Catalogue, HistoryError> {
    let matcher = Matcher::parse(selector)?;
    let (from, to) = (format!("{from:.3}"), format!("{to:.3}"));
    let ask = |parameters: &[(&str, &str)]| match server.ask::<Vec<LabelSet>>("series", parameters)
    {
        Ok(found) => Ok(found),
        Err(AskError::Refused(error)) => Err(HistoryError::Selector {
            what: format!("`{}`: {error}", matcher.text),
            hint: "check the selector; quote it for the shell: `--match '{job=\"shop\"}'`".into(),
        }),
        Err(error) => Err(error.into()),
    };
    let found = ask(&[("match[]", &matcher.text), ("start", &from), ("end", &to)])?;
    if found.is_empty() {
        let ever = ask(&[("match[]", &matcher.text)])?;
        return Err(nothing(server, &matcher, !ever.is_empty()));
    }
    let mut catalogue = Catalogue { role, matcher, series: Vec::new(), places: BTreeMap::new() };
    catalogue.take(&found, notes);
    Ok(catalogue)
}

/// That a selector matches nothing, with the right name of the label or the value where one is near.
fn nothing(server: &Server, matcher: &Matcher, is_known: bool) -> HistoryError {
    if is_known {
        return HistoryError::Selector {
            what: format!(
                "`{}` matches series of this server, but none has samples between `--from` and \
                 `--to`",
                matcher.text
            ),
            hint: "check the times and their time zone; the server deletes samples after its \
                   retention (`--storage.tsdb.retention.time`, 15 days by default)"
                .to_owned(),
        };
    }
    let what = format!("`{}` matches no series of `{}`", matcher.text, server.shown());
    let labels = server.ask::<Vec<String>>("labels", &[]).unwrap_or_default();
    for (name, sign, value) in matcher.wanted() {
        if !labels.is_empty() && !labels.contains(&name) {
            let near = nearest(&name, labels.iter().map(String::as_str));
            let hint = near.unwrap_or_else(|| format!("it has {}", some(&labels)));
            return HistoryError::Selector {
                what: format!("{what}: it has no label `{name}`"),
                hint,
            };
        }
        let path = format!("label/{name}/values");
        let values = server.ask::<Vec<String>>(&path, &[]).unwrap_or_default();
        let form = regex::Regex::new(&format!("^(?:{value})$")).ok().filter(|_| sign == "=~");
        let is_wanted = |known: &String| match &form {
            Some(form) => form.is_match(known),
            // A form that this program cannot read may match.
            None => sign == "=~" || *known == value,
        };
        if !values.is_empty() && !values.iter().any(is_wanted) {
            let plain = value.trim_end_matches(['.', '*', '+', '$']).trim_start_matches('^');
            let near = nearest(plain, values.iter().map(String::as_str));
            let is_metric = name == "__name__";
            let label = if is_metric { "metric" } else { name.as_str() };
            let hint = near.unwrap_or_else(|| format!("`{name}` is one of {}", some(&values)));
            let verb = if sign == "=~" { "matches" } else { "is" };
            return HistoryError::Selector {
                what: format!("{what}: no `{label}` {verb} `{value}`"),
                hint,
            };
        }
    }
    let hint = match labels.is_empty() {
        true => "the server has no series at all: is it the right one?",
        false => "each label exists, but not together: leave one out",
    };
    HistoryError::Selector { what, hint: hint.to_owned() }
}

/// The first few names of a list.
fn some(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    let more = if names.len() > SHOWN { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}

/// Labels that the server adds to what a service exports: where it was scraped, and by whom.
const ADDED: &[&str] = &["__name__", "job", "instance", "prometheus", "prometheus_replica"];

impl Catalogue {
    fn take(&mut self, found: &[LabelSet], notes: &mut Vec<String>) {
        let names: BTreeSet<&str> =
            found.iter().filter_map(|labels| labels.get("__name__")).map(String::as_str).collect();
        let is_useful = |labels: &LabelSet, name: &str| {
            is_recognised(name)
                || load_families::part_of(name).is_some()
                || load_families::native_of(name, labels).is_some()
                || load_families::STATUS_COUNTERS.contains(&name)
                || ROLE_FAMILIES.iter().any(|family| family.name == name)
                || name.ends_with("_build_info")
        };
        // The means of other histograms stay: they are sums and counts.
        let is_bucket = |name: &str| {
            let Some(base) = name.strip_suffix("_bucket") else { return false };
            names.contains(format!("{base}_count").as_str())
                && load_families::part_of(name).is_none()
        };
        let exporters = exporters(found);
        let is_own = |name: &str, labels: &LabelSet| {
            is_of_runtime(name) && exporters.contains(instance(labels).as_str())
        };
        let mut kept: Vec<&LabelSet> = found
            .iter()
            .filter(|labels| {
                labels.get("__name__").is_some_and(|name| !is_bucket(name) && !is_own(name, labels))
            })
            .collect();
        if kept.len() > MOST_SERIES {
            let is_useful =
                |labels: &LabelSet| labels.get("__name__").is_some_and(|it| is_useful(labels, it));
            kept.sort_by_key(|labels| !is_useful(labels));
            notes.push(format!(
                "`{}` matches {} series, at most {MOST_SERIES} are read: known ones first; narrow \
                 the selector to read the others",
                self.matcher.text,
                kept.len()
            ));
            kept.truncate(MOST_SERIES);
        }
        for labels in kept {
            let Some(name) = labels.get("__name__") else { continue };
            let own = labels.iter().filter(|(name, _)| !ADDED.contains(&name.as_str()));
            self.places.insert(labels.clone(), self.series.len());
            self.series.push(StoredSeries {
                name: name.clone(),
                instance: instance(labels),
                own: own.map(|(name, value)| (name.clone(), shown(name, value))).collect(),
                labels: labels.clone(),
            });
        }
    }

    /// The place of the series with these labels, its name among them.
    pub(super) fn place(&self, labels: &LabelSet) -> Option<usize> {
        self.places.get(labels).copied()
    }

    /// The questions that read every series.
    pub(super) fn batches(&self, catalogue: usize) -> Vec<Batch> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for series in &self.series {
            *counts.entry(&series.name).or_default() += 1;
        }
        let mut batches: Vec<String> = Vec::new();
        let (mut names, mut size) = (Vec::new(), 0);
        for (name, count) in counts {
            if size + count > SERIES_OF_QUERY && !names.is_empty() {
                batches.push(self.matcher.of_metrics(&names));
                (names, size) = (Vec::new(), 0);
            }
            names.push(name);
            size += count;
        }
        batches.push(self.matcher.of_metrics(&names));
        batches.dedup();
        batches.into_iter().map(|selector| Batch { catalogue, selector }).collect()
    }

    /// The selector as it was given.
    pub(super) fn matcher_text(&self) -> &str {
        &self.matcher.text
    }

    /// The endpoints, in order.
    pub(super) fn instances(&self) -> BTreeSet<&str> {
        self.series.iter().map(|series| series.instance.as_str()).collect()
    }
}

/// The endpoints at which an exporter speaks for somebody else. Its own CPU, memory and collections
/// say nothing of those.
fn exporters(found: &[LabelSet]) -> BTreeSet<String> {
    let is_exporters = |labels: &&LabelSet| {
        labels.get("__name__").is_some_and(|name| {
            // The one of JMX runs inside the service.
            name.ends_with("_exporter_build_info") && !name.starts_with("jmx_")
                || name == "nginxexporter_build_info"
                || name == "pg_exporter_last_scrape_duration_seconds"
                || name == "node_scrape_collector_success"
        })
    };
    found.iter().filter(is_exporters).map(instance).collect()
}

/// Whether a metric is about the process that exports it, as client libraries add it.
fn is_of_runtime(name: &str) -> bool {
    let starts =
        ["go_", "process_", "promhttp_", "python_", "scrape_", "pg_exporter_", "node_scrape_"];
    starts.into_iter().any(|start| name.starts_with(start))
}

/// The endpoint of a series: where it was scraped, or by which job where nothing else is known.
fn instance(labels: &LabelSet) -> String {
    let known = ["instance", "pod", "job"].into_iter().filter_map(|name| labels.get(name));
    known.map(String::as_str).find(|it| !it.is_empty()).unwrap_or("prometheus").to_owned()
}

/// The value of a label without what must not be recorded.
fn shown(name: &str, value: &str) -> String {
    match is_secret_name(name) {
        true => "***".to_owned(),
        // The query of a URL or of a path may hold a secret.
        false => match value.split_once('?') {
            Some((path, _)) if path.contains('/') => path.to_owned(),
            _ => value.to_owned(),
        },
    }
}

/// The types of all metrics, in the words of the text format: what the server knows, and what follows
/// from the names. A pair of `x_sum` and `x_count` is a distribution.
pub(super) fn types(server: &Server, catalogues: &[Catalogue]) -> BTreeMap<String, String> {
    let mut types = BTreeMap::new();
    let names: BTreeSet<&str> = catalogues
        .iter()
        .flat_map(|catalogue| &catalogue.series)
        .map(|series| series.name.as_str())
        .collect();
    for base in names.iter().filter_map(|name| name.strip_suffix("_count")) {
        if names.contains(format!("{base}_sum").as_str()) {
            types.insert(base.to_owned(), "histogram".to_owned());
        }
    }
    // Some servers do not have it, and it only makes sure what the names say.
    let known = server.ask::<BTreeMap<String, Vec<Metadata>>>("metadata", &[]).unwrap_or_default();
    for (name, metadata) in known {
        if let Some(first) = metadata.into_iter().next()
            && first.kind != "unknown"
        {
            types.insert(name, first.kind);
        }
    }
    types
}
