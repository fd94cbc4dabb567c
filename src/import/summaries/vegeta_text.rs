//! vegeta's text report: `vegeta report results.bin`.

use super::SummarySpec;
use super::summary::Summary;
use super::text::{after, count, each_line, has_line, number, seconds};
use crate::import::error::ImportError;

pub(super) static SPEC: SummarySpec = SummarySpec {
    name: "vegeta-text",
    summary: "vegeta's text report: vegeta report results.bin",
    instead: "run `vegeta encode --to json results.bin` and import what it prints",
    looks_like: |begin| {
        let has = |label| {
            let rest = begin.lines().find_map(|line| after(line, label));
            rest.is_some_and(|rest| rest.starts_with('['))
        };
        has("Requests") && (has("Latencies") || has_line(begin, "Status Codes"))
    },
    read,
};

/// Statuses that vegeta calls a success.
const SUCCESSES: std::ops::Range<u64> = 200..400;

fn read(text: &str) -> Result<Vec<Summary>, ImportError> {
    let (mut runs, mut is_error) = (Vec::new(), false);
    each_line(text, |line| {
        if let Some(table) = after(line, "Requests").and_then(Table::of) {
            let requests = count(table.value("total").unwrap_or_default())?;
            let rate = table.value("rate").map(number).transpose()?;
            runs.push(Summary {
                requests: Some(requests),
                requests_per_s: rate,
                ..Summary::default()
            });
            is_error = false;
            return Ok(());
        }
        let Some(run) = runs.last_mut() else { return Ok(()) };
        is_error &= !line.is_empty();
        if is_error {
            run.error(line, None);
        } else if let Some(first) = after(line, "Error Set:") {
            is_error = true;
            if !first.is_empty() {
                run.error(first, None);
            }
        } else if let Some(table) = after(line, "Duration").and_then(Table::of) {
            run.duration_s = table.value("total").map(seconds).transpose()?;
        } else if let Some(table) = after(line, "Latencies").and_then(Table::of) {
            latencies(&table, run)?;
        } else if let Some(table) = after(line, "Status Codes").and_then(Table::of) {
            for pair in table.values.split_whitespace() {
                let (code, hits) = pair
                    .split_once(':')
                    .ok_or_else(|| format!("expected code:count, found `{pair}`"))?;
                run.by_status.insert(code.to_owned(), count(hits)?);
            }
            run.failures = Some(run.answers_of(|code| !SUCCESSES.contains(&code)));
        }
        Ok(())
    })?;
    runs.iter_mut().for_each(warn);
    Ok(runs)
}

/// A row with the names of its values: `[total, attack, wait]  13.99s, 9.987s, 4.003s`.
struct Table<'l> {
    names: &'l str,
    values: &'l str,
}

impl<'l> Table<'l> {
    fn of(rest: &'l str) -> Option<Self> {
        let (names, values) = rest.strip_prefix('[')?.split_once(']')?;
        Some(Self { names, values: values.trim() })
    }

    fn each(&self) -> impl Iterator<Item = (&'l str, &'l str)> {
        let values = self.values.split(',').map(str::trim);
        self.names.split(',').map(str::trim).zip(values)
    }

    fn value(&self, name: &str) -> Option<&'l str> {
        self.each().find(|(known, _)| *known == name).map(|(_, value)| value)
    }
}

fn latencies(table: &Table<'_>, run: &mut Summary) -> Result<(), String> {
    let times = &mut run.response_times;
    times.with_failures = true;
    for (name, value) in table.each() {
        let took = seconds(value)?;
        match name {
            "min" => times.min_s = Some(took),
            "mean" => times.mean_s = Some(took),
            "max" => times.max_s = Some(took),
            percent => times.add(number(percent)?, took),
        }
    }
    Ok(())
}

fn warn(run: &mut Summary) {
    let none = run.by_status.get("0").copied().unwrap_or(0);
    if none > 0 {
        run.warn(format!(
            "{none} requests got no answer (code 0) and are among the response times: a refusal is \
             quick, a timeout is as long as the timeout"
        ));
    }
}

#[cfg(test)]
mod tests {
    use crate::import::summaries::tests::{assert_expected, read};

    #[test]
    fn attacks_are_apart_and_each_duration_has_its_unit() {
        let runs = assert_expected("vegeta-text.sample.txt", "vegeta-text");
        assert_eq!(runs[0].requests_per_s, Some(20.1));
        assert!(runs[1].errors[1].text.starts_with("503"), "{:?}", runs[1].errors);
        assert!(runs[1].warnings.iter().any(|it| it.contains("2 runs")), "{runs:?}");
    }

    #[test]
    fn the_first_error_may_stand_beside_its_heading() {
        let text = "Requests      [total, rate, throughput]  330001, 10999.62, 10955.16\n\
                    Status Codes  [code:count]               0:1316  200:328685\n\
                    Error Set: Get \"http://a.test/\": dial tcp: socket: too many open files\n";
        let runs = read(text).unwrap();
        assert!(runs[0].warnings.iter().any(|it| it.contains("its own limit")), "{runs:?}");
    }

    #[test]
    fn reports_of_old_versions_lack_columns() {
        let text = "Requests\t[total, rate]\t1200, 120.00\nLatencies\t[mean, 50, 95, 99, max]\t\
                    1ms, 2ms, 3ms, 4ms, 5ms\n";
        let runs = read(text).unwrap();
        assert_eq!((runs[0].requests, runs[0].response_times.quantiles.len()), (Some(1200), 3));
    }
}
