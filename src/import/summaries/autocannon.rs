//! autocannon's result as JSON.

use super::summary::Summary;
use super::{NOTHING_WITH_TIMES, SummarySpec, json};
use crate::import::error::ImportError;

pub(super) static SPEC: SummarySpec = SummarySpec {
    name: "autocannon",
    summary: "autocannon's result as JSON: autocannon --json http://…",
    instead: NOTHING_WITH_TIMES,
    looks_like: |begin| json::begins_with(begin, &["\"p97_5\"", "\"latency\"", "\"requests\""]),
    read,
};

fn read(text: &str) -> Result<Vec<Summary>, ImportError> {
    let document = json::parse(text)?;
    let field = |name: &str| json::count(&document[name]);
    let (requests, latency) = (&document["requests"], &document["latency"]);
    let total = json::need(requests, "total")?;
    let (errors, bad) = (json::need(&document, "errors")?, json::need(&document, "non2xx")?);
    let mut run = Summary {
        started: document["start"].as_str().and_then(|start| start.parse().ok()),
        duration_s: json::number(&document["duration"]),
        requests: Some(total),
        failures: Some(errors.saturating_add(bad)),
        unanswered: Some(errors),
        requests_per_s: json::number(&requests["average"]),
        ..Summary::default()
    };
    run.target(document["url"].as_str().unwrap_or_default());
    for (status, stats) in document["statusCodeStats"].as_object().into_iter().flatten() {
        if let Some(count) = json::count(&stats["count"]) {
            run.by_status.insert(status.clone(), count);
        }
    }
    if run.by_status.is_empty() {
        for class in ["1xx", "2xx", "3xx", "4xx", "5xx"] {
            if let Some(count) = field(class).filter(|count| *count > 0) {
                run.by_status.insert(class.to_owned(), count);
            }
        }
    }
    let times = &mut run.response_times;
    let millis = |name: &str| json::number(&latency[name]).map(|millis| millis / 1e3);
    if total > 0 {
        (times.mean_s, times.min_s, times.max_s) =
            (millis("average"), millis("min"), millis("max"));
        times.with_failures = true;
        for (name, value) in latency.as_object().into_iter().flatten() {
            let percent = name.strip_prefix('p').map(|percent| percent.replace('_', "."));
            let percent = percent.and_then(|percent| percent.parse().ok());
            if let Some((percent, millis)) = percent.zip(json::number(value)) {
                times.add(percent, millis / 1e3);
            }
        }
    }
    run.count("connections", field("connections"));
    run.count("requests in flight per connection", field("pipelining").filter(|it| *it > 1));
    run.count("timeouts", field("timeouts"));
    run.count("resets", field("resets").filter(|it| *it > 0));
    let sent = json::count(&requests["sent"]);
    run.count("requests sent", sent);
    let open = sent.and_then(|sent| sent.checked_sub(total.saturating_add(errors)));
    run.count("unfinished at the end", open.filter(|open| *open > 0));
    run.warn(
        "autocannon does not say whether it ran with a rate (`-R`). Without one, the load is a \
         closed loop: each connection waits for its answer, the rate is what the target allowed, \
         and a slow target hides its own queue",
    );
    Ok(vec![run])
}

#[cfg(test)]
mod tests {
    use crate::import::summaries::tests::assert_expected;

    #[test]
    fn counts_may_be_texts_and_a_limiter_is_named() {
        let runs = assert_expected("autocannon.sample.json", "autocannon");
        let has = |words: &str| runs[0].warnings.iter().any(|it| it.contains(words));
        assert!(has("3900 of 10000 answers have status 429") && has("closed loop"), "{runs:?}");
        assert_eq!(runs[0].counts["unfinished at the end"], 50);
    }
}
