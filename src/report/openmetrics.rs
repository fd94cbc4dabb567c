//! The run as OpenMetrics with times (OpenMetrics 1.0, text format), to be loaded into Prometheus
//! with `promtool tsdb create-blocks-from openmetrics`.

use std::io::{self, Write};

use super::format::FormatSpec;
use super::model::{BOUNDS, EndpointTotal, Report, Seconds};

pub(super) static SPEC: FormatSpec = FormatSpec {
    name: "openmetrics",
    summary: "series with times for Prometheus: promtool tsdb create-blocks-from openmetrics",
    extension: "om",
    left_by_every_run: false,
    needs_seconds: true,
    render,
};

fn render(report: &Report, w: &mut dyn Write) -> io::Result<()> {
    if let Some(seconds) = &report.seconds {
        response_times(report, seconds, w)?;
        gauges(report, seconds, w)?;
    }
    writeln!(w, "# EOF")
}

/// A metric family must stand together, and each of its series in order of time.
fn response_times(report: &Report, seconds: &Seconds, w: &mut dyn Write) -> io::Result<()> {
    const NAME: &str = "kneepoint_response_time_seconds";
    writeln!(w, "# TYPE {NAME} histogram")?;
    writeln!(w, "# UNIT {NAME} seconds")?;
    writeln!(w, "# HELP {NAME} Response times of all requests, by endpoint and status.")?;
    let Some(last) = seconds.totals.last() else { return Ok(()) };
    for one in &last.endpoints {
        let labels = format!(
            "plan=\"{}\",endpoint=\"{}\",status=\"{}\"",
            escaped(&report.title),
            escaped(&one.endpoint),
            escaped(&one.class)
        );
        for place in &seconds.totals {
            let at = format!("{:.3}", seconds.started_unix + place.at);
            let is_same =
                |it: &&EndpointTotal| (&it.endpoint, &it.class) == (&one.endpoint, &one.class);
            let Some(total) = place.endpoints.iter().find(is_same) else { continue };
            for (bound, within) in BOUNDS.iter().zip(&total.within) {
                writeln!(w, "{NAME}_bucket{{{labels},le=\"{bound:?}\"}} {within} {at}")?;
            }
            writeln!(w, "{NAME}_bucket{{{labels},le=\"+Inf\"}} {} {at}", total.count)?;
            writeln!(w, "{NAME}_count{{{labels}}} {} {at}", total.count)?;
            writeln!(w, "{NAME}_sum{{{labels}}} {:.6} {at}", total.sum)?;
        }
    }
    Ok(())
}

fn gauges(report: &Report, seconds: &Seconds, w: &mut dyn Write) -> io::Result<()> {
    let plan = escaped(&report.title);
    let mut family = |name: &str, help: &str, values: Vec<Option<f64>>| -> io::Result<()> {
        if values.iter().all(Option::is_none) {
            return Ok(());
        }
        writeln!(w, "# TYPE {name} gauge")?;
        writeln!(w, "# HELP {name} {help}")?;
        for (row, value) in seconds.rows.iter().zip(values) {
            let at = seconds.started_unix + row.begin + row.seconds;
            if let Some(value) = value {
                writeln!(w, "{name}{{plan=\"{plan}\"}} {value:.6} {at:.3}")?;
            }
        }
        Ok(())
    };
    let rows = || seconds.rows.iter();
    family(
        "kneepoint_offered_rate",
        "Requests per second that were due.",
        rows().map(|row| Some(row.offered as f64 / row.seconds)).collect(),
    )?;
    family(
        "kneepoint_in_flight",
        "Mean number of requests in flight.",
        rows().map(|row| Some(row.in_flight)).collect(),
    )?;
    family("kneepoint_users", "Virtual users.", rows().map(|row| row.users).collect())
}

/// A label's value (OpenMetrics 1.0, "Escaping").
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    #[test]
    fn histograms_rise_with_time_and_bound_and_end_at_the_count() {
        let (recording, report) = fixture::with_seconds();
        let mut bytes = Vec::new();
        render(&report, &mut bytes).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.ends_with("# EOF\n"));
        let seconds = report.seconds.as_ref().unwrap();
        for pair in seconds.totals.windows(2) {
            assert!(pair[0].at < pair[1].at);
            let [before, after] = [&pair[0], &pair[1]]
                .map(|totals| totals.endpoints.iter().map(|it| it.count).sum::<u64>());
            assert!(before <= after);
        }
        for total in seconds.totals.iter().flat_map(|totals| &totals.endpoints) {
            assert!(total.within.is_sorted() && total.within.last() <= Some(&total.count));
        }
        let all: u64 = recording.timeline.ticks.iter().map(|tick| tick.completed()).sum();
        let told: u64 = seconds.totals.last().unwrap().endpoints.iter().map(|it| it.count).sum();
        assert_eq!(told, all);
        let is_sample = |line: &&str| !line.starts_with('#');
        for line in text.lines().filter(is_sample) {
            let mut words = line.rsplit(' ');
            let (at, value) = (words.next().unwrap(), words.next().unwrap());
            assert!(at.parse::<f64>().is_ok() && value.parse::<f64>().is_ok(), "{line}");
        }
    }

    #[test]
    fn names_cannot_leave_their_label() {
        assert_eq!(escaped("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
    }
}
