//! `statistics.json`, which JMeter writes beside its HTML report.

use serde_json::Value;

use super::jmeter_aggregate::{RECORD, conclude};
use super::summary::{EndpointSummary, ResponseTimes, Summary};
use super::text::malformed;
use super::{SummarySpec, json};
use crate::import::error::ImportError;
use crate::import::table::shown;

pub(super) static SPEC: SummarySpec = SummarySpec {
    name: "jmeter-statistics",
    summary: "JMeter's statistics.json, beside its HTML report",
    instead: RECORD,
    looks_like: |begin| json::begins_with(begin, &["\"sampleCount\"", "\"pct1ResTime\""]),
    read,
};

/// Name of all labels together.
const TOTAL: &str = "Total";
/// Percentiles and what they are unless the report was set otherwise
/// (`jmeter.reportgenerator` and `aggregate_rpt_pct1` to `3`).
const PERCENTILES: [(&str, f64); 4] =
    [("medianResTime", 50.0), ("pct1ResTime", 90.0), ("pct2ResTime", 95.0), ("pct3ResTime", 99.0)];

fn read(text: &str) -> Result<Vec<Summary>, ImportError> {
    let document = json::parse(text)?;
    let labels = document.as_object().filter(|labels| !labels.is_empty());
    let labels = labels.ok_or_else(|| malformed("expected an object with labels"))?;
    let mut run = Summary::default();
    for (name, figures) in labels {
        let endpoint = endpoint(name, figures)?;
        if name != TOTAL {
            run.endpoint(endpoint);
            continue;
        }
        (run.requests, run.failures) = (Some(endpoint.requests), Some(endpoint.failures));
        run.response_times = endpoint.response_times;
        run.requests_per_s = json::number(&figures["throughput"]);
    }
    conclude(&mut run);
    run.warn(
        "the file does not name its percentiles: they are 90, 95 and 99 % unless JMeter was set \
         otherwise",
    );
    Ok(vec![run])
}

fn endpoint(name: &str, figures: &Value) -> Result<EndpointSummary, ImportError> {
    let count = |field: &str| {
        json::count(&figures[field])
            .ok_or_else(|| malformed(format!("`{}` has no count `{field}`", shown(name))))
    };
    let seconds = |field: &str| {
        Ok::<_, ImportError>(json::number(&figures[field]).map(|millis| millis / 1e3))
    };
    let names = ["meanResTime", "minResTime", "maxResTime"];
    let times = ResponseTimes::of_all(names, &PERCENTILES, seconds)?;
    Ok(EndpointSummary {
        name: name.to_owned(),
        requests: count("sampleCount")?,
        failures: count("errorCount")?,
        response_times: times,
    })
}

#[cfg(test)]
mod tests {
    use crate::import::summaries::tests::assert_expected;

    #[test]
    fn the_total_may_stand_anywhere() {
        assert_expected("jmeter-aggregate-statistics.sample.json", "jmeter-aggregate-statistics");
    }
}
