//! The files of a stored history: the options of `import prometheus`, and what the columns of a CSV
//! file mean.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use toml::de::DeTable;

use super::mistake::PlanErrors;
use super::walk::{Section, StringValue, Value, Walk};
use crate::plan::csv_map::{CsvMap, CsvSeries, TimeForm};
use crate::plan::history_file::HistoryFile;
use crate::plan::{Secret, nearest};
use crate::timeline::{Kind, Unit, names};

/// Reads a TOML text with `read`, and reports every mistake at once.
fn parsed<T>(
    text: &str,
    origin: &str,
    environment: &dyn Fn(&str) -> Option<String>,
    read: impl for<'t> Fn(&mut Section<'_, 't>) -> Option<T>,
) -> Result<T, PlanErrors> {
    let (tree, errors) = DeTable::parse_recoverable(text);
    let walk = Walk::new(text, environment);
    let is_broken = !errors.is_empty();
    for error in errors {
        walk.wrong(error.span().unwrap_or(0..0), error.message());
    }
    let silent = Walk::new(text, environment);
    let found = {
        // What follows from broken syntax would hide the cause; secrets must be found all the same.
        let walk = if is_broken { &silent } else { &walk };
        let mut root = walk.table(tree.get_ref(), 0..0);
        let found = read(&mut root);
        root.finish();
        found
    };
    silent.secrets().into_iter().for_each(|span| walk.hide(span));
    match (walk.errors(origin), found) {
        (None, Some(found)) => Ok(found),
        (Some(errors), _) => Err(errors),
        (None, None) => Err(PlanErrors::unexplained(origin)),
    }
}

/// Parses the options of a stored history.
///
/// # Errors
/// Every mistake with its place, in order of the text.
pub fn parse_history_file(
    text: &str,
    origin: &str,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<HistoryFile, PlanErrors> {
    parsed(text, origin, environment, |root| Some(options(root)))
}

fn options(root: &mut Section<'_, '_>) -> HistoryFile {
    let url = root.take("url").map(|value| (value, root.walk));
    let url = url.and_then(|(value, walk)| {
        let url = walk.text(value, "a URL such as `http://prometheus:9090`")?;
        // It may hold a password.
        if url.value.contains('@') {
            walk.hide(url.span.clone());
        }
        Some(Secret::new(url.value))
    });
    HistoryFile {
        url,
        target: texts(root, "match"),
        host: texts(root, "host"),
        database: texts(root, "database"),
        downstream: texts(root, "downstream"),
        from: text(root, "from", "a time such as `18:03` or `-6h`"),
        to: text(root, "to", "a time such as `18:03` or `now`"),
        headers: headers(root),
        bearer: secret(root, "bearer"),
        ca_file: text(root, "ca_file", "a path"),
        cert_file: text(root, "cert_file", "a path"),
        key_file: text(root, "key_file", "a path"),
        access_log: texts(root, "access_log"),
        log: texts(root, "log"),
        csv: texts(root, "csv"),
        map: text(root, "map", "a path"),
        log_zone: text(root, "log_zone", "a zone such as `Europe/Berlin` or `+02:00`"),
        out: text(root, "out", "a directory"),
    }
}

fn string(root: &mut Section<'_, '_>, key: &'static str, what: &str) -> Option<StringValue> {
    let walk = root.walk;
    root.take(key).and_then(|value| walk.text(value, what))
}

fn text(root: &mut Section<'_, '_>, key: &'static str, what: &str) -> Option<String> {
    string(root, key, what).map(|text| text.value)
}

fn secret(root: &mut Section<'_, '_>, key: &'static str) -> Option<Secret> {
    let walk = root.walk;
    let text = string(root, key, "a text such as `\"${TOKEN}\"`")?;
    walk.hide(text.span);
    Some(Secret::new(text.value))
}

/// A text, or a list of them.
fn texts(root: &mut Section<'_, '_>, key: &'static str) -> Vec<String> {
    let walk = root.walk;
    let Some(value) = root.take(key) else { return Vec::new() };
    let what = "a text or a list of texts";
    let values: Vec<&Value<'_>> = match value.get_ref() {
        toml::de::DeValue::Array(array) => array.iter().collect(),
        _ => vec![value],
    };
    values.into_iter().filter_map(|value| walk.text(value, what)).map(|text| text.value).collect()
}

fn headers(root: &mut Section<'_, '_>) -> Vec<(String, Secret)> {
    let walk = root.walk;
    let Some(table) = root.take("headers").and_then(|value| walk.section(value, "a table")) else {
        return Vec::new();
    };
    let mut headers = Vec::new();
    for (name, _, value) in table.entries() {
        if let Some(text) = walk.text(value, "a text such as `\"team-a\"`") {
            walk.hide(text.span);
            headers.push((name.to_owned(), Secret::new(text.value)));
        }
    }
    headers
}

/// Parses what the columns of CSV files mean; `columns` are those that the files have.
///
/// # Errors
/// Every mistake with its place, in order of the text.
pub fn parse_csv_map(text: &str, origin: &str, columns: &[String]) -> Result<CsvMap, PlanErrors> {
    parsed(text, origin, &|_| None, |root| csv_map(root, columns))
}

fn csv_map(root: &mut Section<'_, '_>, columns: &[String]) -> Option<CsvMap> {
    let walk = root.walk;
    let time = root.require("time", "[time]\ncolumn = \"timestamp\"");
    let mut time = time.and_then(|value| walk.section(value, "a table `[time]`"));
    let (mut time_column, mut form, mut zone) = (None, TimeForm::Rfc3339, None);
    if let Some(time) = &mut time {
        let value = time.require("column", "column = \"timestamp\"");
        time_column = value.and_then(|value| column(walk, value, columns));
        form = time.take("format").and_then(|value| time_form(walk, value)).unwrap_or(form);
        if let Some(value) = time.take("zone") {
            let name = walk.text(value, "a zone such as `Europe/Berlin` or `+02:00`");
            zone = name.map(|name| name.value);
            if zone.as_deref().is_some_and(|zone| time_zone(zone).is_none()) {
                walk.wrong_with_help(
                    value.span(),
                    format!("`{}` is not a time zone", zone.as_deref().unwrap_or_default()),
                    "write `UTC`, `Europe/Berlin` or `+02:00`",
                );
            }
        }
    }
    if let Some(time) = time {
        time.finish();
    }
    let tables = root.tables("series").unwrap_or_default();
    if tables.is_empty() {
        root.missing("series", "add a table `[[series]]` with `column` and `metric`");
    }
    let read = tables.iter().map(|value| series(walk, value, columns)).collect::<Vec<_>>();
    let series: Option<Vec<CsvSeries>> = read.into_iter().collect();
    Some(CsvMap { time_column: time_column?, time_form: form, zone, series: series? })
}

/// A zone by its name or its offset.
pub fn time_zone(name: &str) -> Option<TimeZone> {
    if let Ok(zone) = TimeZone::get(name) {
        return Some(zone);
    }
    // jiff reads an offset as a part of a time.
    let at = format!("2000-01-01T00:00:00{name}[{name}]");
    at.parse::<jiff::Zoned>().ok().map(|at| at.time_zone().clone())
}

fn time_form(walk: &Walk<'_>, value: &Value<'_>) -> Option<TimeForm> {
    let form =
        walk.text(value, "`rfc3339`, `unix`, `unix-ms` or a pattern such as `%Y-%m-%d %H:%M`")?;
    Some(match form.value.as_str() {
        "rfc3339" => TimeForm::Rfc3339,
        "unix" => TimeForm::Unix,
        "unix-ms" => TimeForm::UnixMillis,
        pattern if pattern.contains('%') => TimeForm::Pattern(pattern.to_owned()),
        other => {
            let known = ["rfc3339", "unix", "unix-ms"];
            let help = nearest(other, known).unwrap_or_else(|| {
                "write `rfc3339`, `unix`, `unix-ms` or `%Y-%m-%d %H:%M:%S`".to_owned()
            });
            walk.wrong_with_help(form.span, format!("`{other}` is not a form of times"), help);
            return None;
        }
    })
}

/// The name of a column that the files have.
fn column(walk: &Walk<'_>, value: &Value<'_>, columns: &[String]) -> Option<String> {
    let name = walk.text(value, "the name of a column")?;
    if columns.contains(&name.value) {
        return Some(name.value);
    }
    let help = nearest(&name.value, columns.iter().map(String::as_str))
        .unwrap_or_else(|| format!("there are `{}`", columns.join("`, `")));
    walk.wrong_with_help(name.span, format!("no file has a column `{}`", name.value), help);
    None
}

/// Units of columns: the word, the unit that is recorded, and the factor to it.
const UNITS: &[(&str, (Unit, f64))] = &[
    ("seconds", (Unit::Seconds, 1.0)),
    ("milliseconds", (Unit::Seconds, 1e-3)),
    ("microseconds", (Unit::Seconds, 1e-6)),
    ("bytes", (Unit::Bytes, 1.0)),
    ("kilobytes", (Unit::Bytes, 1e3)),
    ("megabytes", (Unit::Bytes, 1e6)),
    ("KiB", (Unit::Bytes, 1024.0)),
    ("MiB", (Unit::Bytes, 1_048_576.0)),
    ("GiB", (Unit::Bytes, 1_073_741_824.0)),
    ("ratio", (Unit::Ratio, 1.0)),
    ("percent", (Unit::Ratio, 1e-2)),
    ("cores", (Unit::Cores, 1.0)),
    ("millicores", (Unit::Cores, 1e-3)),
    ("count", (Unit::Count, 1.0)),
];

fn series<'t>(walk: &Walk<'t>, value: &Value<'t>, columns: &[String]) -> Option<CsvSeries> {
    let mut table = walk.section(value, "a table `[[series]]`")?;
    let of = table.require("column", "column = \"cpu\"");
    let of = of.and_then(|value| column(walk, value, columns));
    let metric = table.require("metric", "metric = \"system.cpu.utilization\"");
    let metric = metric.and_then(|value| metric_name(walk, value));
    let known = metric.as_ref().and_then(|name| names::ALL.iter().find(|it| it.name == *name));
    let asked = table.take("unit").map(|value| (value, walk.choice(value, UNITS)));
    let (unit, scale) = match (asked, known) {
        (Some((value, Some((unit, scale)))), Some(known)) => {
            if unit != known.unit && known.unit != Unit::Times {
                let of_it: Vec<&str> = UNITS
                    .iter()
                    .filter(|(_, (unit, _))| *unit == known.unit)
                    .map(|(name, _)| *name)
                    .collect();
                walk.wrong_with_help(
                    value.span(),
                    format!("`{}` is not measured in this unit", known.name),
                    format!("write `{}`", of_it.join("` or `")),
                );
            }
            (known.unit, scale)
        }
        (Some((_, Some(asked))), None) => asked,
        (_, Some(known)) => (known.unit, 1.0),
        (_, None) => (Unit::Unknown, 1.0),
    };
    let kinds = [("gauge", Kind::Gauge), ("counter", Kind::Counter)];
    let asked = table.take("kind").and_then(|value| walk.choice(value, &kinds));
    let kind = asked.or(known.map(|known| known.kind)).unwrap_or(Kind::Gauge);
    let mut labels = texts_of(walk, table.take("labels"));
    let mut labels_from = BTreeMap::new();
    if let Some(from) = table.take("labels_from").and_then(|value| walk.section(value, "a table")) {
        for (name, _, value) in from.entries() {
            if let Some(column) = column(walk, value, columns) {
                labels_from.insert(name.to_owned(), column);
            }
        }
    }
    let roles = ["target", "host", "database", "downstream"].map(|role| (role, role));
    if let Some(role) = table.take("role").and_then(|value| walk.choice(value, &roles))
        // What a shared metric is of follows from its name.
        && known.is_none()
    {
        labels.insert("role".to_owned(), role.to_owned());
    }
    table.finish();
    Some(CsvSeries { column: of?, metric: metric?, unit, scale, kind, labels, labels_from })
}

fn texts_of(walk: &Walk<'_>, value: Option<&Value<'_>>) -> BTreeMap<String, String> {
    let Some(table) = value.and_then(|value| walk.section(value, "a table of texts")) else {
        return BTreeMap::new();
    };
    let entries = table.entries().into_iter();
    entries
        .filter_map(|(name, _, value)| Some((name.to_owned(), walk.text(value, "a text")?.value)))
        .collect()
}

/// A metric of kneepoint's, or a name of the system's own, which has no dot.
fn metric_name(walk: &Walk<'_>, value: &Value<'_>) -> Option<String> {
    let name = walk.text(value, "the name of a metric")?;
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':');
    let is_known = names::ALL.iter().any(|metric| metric.name == name.value);
    if is_known
        || (!name.value.is_empty() && name.value.chars().all(is_word) && !name.value.contains('.'))
    {
        return Some(name.value);
    }
    let help = nearest(&name.value, names::ALL.iter().map(|metric| metric.name)).unwrap_or_else(|| {
        "write one of kneepoint's metrics (`kneepoint list metrics`), or a name of letters, digits \
         and `_`"
            .to_owned()
    });
    walk.wrong_with_help(name.span, format!("`{}` is not a known metric", name.value), help);
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns() -> Vec<String> {
        ["timestamp", "cpu", "pool"].map(str::to_owned).to_vec()
    }

    #[test]
    fn a_map_says_what_columns_mean() {
        let text = "[time]\ncolumn = \"timestamp\"\nformat = \"unix\"\nzone = \"+02:00\"\n\
                    [[series]]\ncolumn = \"cpu\"\nmetric = \"system.cpu.utilization\"\nunit = \"percent\"\n\
                    [[series]]\ncolumn = \"pool\"\nmetric = \"pool_used\"\nrole = \"database\"\nkind = \"counter\"\n";
        let map = parse_csv_map(text, "map.toml", &columns()).unwrap();
        assert_eq!((map.time_column.as_str(), map.time_form), ("timestamp", TimeForm::Unix));
        assert_eq!((map.series[0].unit, map.series[0].scale), (Unit::Ratio, 0.01));
        assert_eq!(map.series[1].labels["role"], "database");
        assert_eq!(map.series[1].kind, Kind::Counter);
    }

    #[test]
    fn every_mistake_of_a_map_is_told_with_its_place_and_the_nearest_name() {
        let text = "[time]\ncolumn = \"timestmp\"\nformat = \"unixx\"\nzone = \"Mars\"\n\
                    [[series]]\ncolumn = \"cpus\"\nmetric = \"system.cpu.utilisation\"\nunit = \"percents\"\n\
                    knd = \"gauge\"\n";
        let errors = parse_csv_map(text, "map.toml", &columns()).unwrap_err();
        let told: Vec<(usize, usize, &str)> = errors
            .iter()
            .map(|it| (it.line, it.column, it.help.as_deref().unwrap_or_default()))
            .collect();
        let expected = [
            (2, 10, "`timestamp`"),
            (3, 10, "`unix`"),
            (4, 8, "Europe/Berlin"),
            (6, 10, "`cpu`"),
            (7, 10, "`system.cpu.utilization`"),
            (8, 8, "`percent`"),
            (9, 1, "`kind`"),
        ];
        assert_eq!(told.len(), expected.len(), "{errors}");
        for ((line, column, help), (at, place, part)) in told.into_iter().zip(expected) {
            assert_eq!((line, column), (at, place), "{errors}");
            assert!(help.contains(part), "{help} lacks {part}");
        }
    }

    #[test]
    fn the_options_are_read_and_their_secrets_are_not_told() {
        let text = "url = \"http://me:hunter2@prometheus:9090\"\nmatch = \"{job=\\\"shop\\\"}\"\n\
                    bearer = \"${TOKEN}\"\nform = \"-6h\"\n[headers]\nX-Scope-OrgID = \"hunter2\"\n";
        let environment = |name: &str| (name == "TOKEN").then(|| "hunter2".to_owned());
        let errors = parse_history_file(text, "night.toml", &environment).unwrap_err();
        let shown = errors.to_string();
        assert!(shown.contains("night.toml:4:1") && shown.contains("`from`"), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
        let right = text.replace("form =", "from =");
        let file = parse_history_file(&right, "night.toml", &environment).unwrap();
        assert_eq!(file.target, ["{job=\"shop\"}"]);
        assert_eq!(file.bearer.unwrap().reveal(), "hunter2");
        assert_eq!(file.headers.len(), 1);
    }
}
