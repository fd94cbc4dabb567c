//! Taurus' final statistics as XML, and what they have in common with those as CSV.

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use super::SummarySpec;
use super::summary::{EndpointSummary, ResponseTimes, Summary, words};
use super::text::malformed;
use crate::import::error::ImportError;
use crate::import::table::number;

pub(super) static SPEC: SummarySpec = SummarySpec {
    name: "taurus",
    summary: "Taurus' final statistics as XML: `dump-xml` of the module final-stats",
    instead: KPI,
    looks_like: |begin| begin.trim_start().starts_with('<') && begin.contains("<FinalStatus"),
    read,
};

/// What has the times.
pub(super) const KPI: &str = "import `kpi.jtl` of the same run, or the results of the tool that \
                              Taurus drove";
/// Highest count that is taken for one: a damaged number is above it.
const MOST: f64 = 1e15;

/// The figures of one label.
#[derive(Default)]
pub(super) struct Group {
    /// Empty for the total.
    label: String,
    requests: Option<u64>,
    failures: u64,
    concurrency: u64,
    times: ResponseTimes,
    codes: Vec<(String, u64)>,
}

impl Group {
    /// The group of a label, without figures.
    pub(super) fn labelled(label: String) -> Self {
        Self { label, ..Self::default() }
    }

    /// Notes a figure; `param` says of which percentile or code.
    ///
    /// # Errors
    /// When it is not a number.
    pub(super) fn take(&mut self, key: &str, param: &str, value: &str) -> Result<(), String> {
        let seconds = |value| number(value, key).map(|it| Some(it).filter(|it| *it >= 0.0));
        match key {
            // Taurus calls the number of samples so.
            "throughput" => self.requests = Some(count(value, key)?),
            "fail" => self.failures = count(value, key)?,
            "concurrency" => self.concurrency = count(value, key)?,
            "avg_rt" => self.times.mean_s = seconds(value)?,
            "perc" => {
                let (percent, seconds) = (number(param, key)?, number(value, key)?);
                self.times.add(percent, seconds);
            }
            "rc" if !value.trim().is_empty() => {
                self.codes.push((param.to_owned(), count(value, key)?));
            }
            _ => {}
        }
        Ok(())
    }
}

fn count(text: &str, what: &str) -> Result<u64, String> {
    let count = number(text, what)?;
    match (0.0..=MOST).contains(&count) {
        true => Ok(count as u64),
        false => Err(format!("`{what}` is not a count: {count}")),
    }
}

fn read(text: &str) -> Result<Vec<Summary>, ImportError> {
    let mut reader = Reader::from_str(text);
    let (mut groups, mut duration_s, mut is_duration) = (Vec::<Group>::new(), None, false);
    loop {
        let at = reader.buffer_position();
        let wrong = |what: String| malformed(format!("byte {at}: {what}"));
        match reader.read_event().map_err(|error| wrong(error.to_string()))? {
            Event::Eof => break,
            Event::Start(element) | Event::Empty(element) => {
                let name = element.name();
                is_duration = name.as_ref() == b"TestDuration";
                take(&element, &mut groups).map_err(wrong)?;
            }
            Event::Text(text) if is_duration => {
                let text = text.decode().map_err(|error| wrong(error.to_string()))?;
                duration_s = Some(number(&text, "TestDuration").map_err(wrong)?);
                is_duration = false;
            }
            _ => {}
        }
    }
    let mut run = summary(groups)?;
    run.duration_s = duration_s.filter(|seconds| *seconds > 0.0);
    run.requests_per_s =
        run.requests.zip(run.duration_s).map(|(requests, seconds)| requests as f64 / seconds);
    Ok(vec![run])
}

/// Notes what an element says: a label, or a figure of the last one.
fn take(element: &BytesStart<'_>, groups: &mut Vec<Group>) -> Result<(), String> {
    let [mut label, mut param, mut value] = [const { None }; 3];
    for attribute in element.attributes() {
        let attribute = attribute.map_err(|error| error.to_string())?;
        let text = attribute.normalized_value(XmlVersion::Implicit1_0);
        let text = text.map_err(|error| error.to_string())?.into_owned();
        match attribute.key.as_ref() {
            b"label" => label = Some(text),
            b"param" => param = Some(text),
            b"value" => value = Some(text),
            _ => {}
        }
    }
    let name = element.name();
    if name.as_ref() == b"Group" {
        groups.push(Group::labelled(label.unwrap_or_default()));
        return Ok(());
    }
    match groups.last_mut().zip(value) {
        Some((group, value)) => {
            let key = String::from_utf8_lossy(name.as_ref()).into_owned();
            group.take(&key, &param.unwrap_or_default(), &value)
        }
        None => Ok(()),
    }
}

/// The run of these labels, of which the empty one is the total.
///
/// # Errors
/// When there is no total.
pub(super) fn summary(groups: Vec<Group>) -> Result<Summary, ImportError> {
    let mut run = Summary::default();
    for group in groups {
        let requests = group
            .requests
            .ok_or_else(|| malformed("a label without its number of samples, `throughput`"))?;
        let times = ResponseTimes { with_failures: true, ..group.times };
        if !group.label.is_empty() {
            run.endpoint(EndpointSummary {
                name: group.label,
                requests,
                failures: group.failures,
                response_times: times,
            });
            continue;
        }
        (run.requests, run.failures) = (Some(requests), Some(group.failures));
        run.response_times = times;
        run.count("concurrency", Some(group.concurrency).filter(|count| *count > 0));
        for (code, count) in group.codes.into_iter().filter(|(_, count)| *count > 0) {
            let known = run.by_status.entry(words(&code)).or_default();
            *known = known.saturating_add(count);
        }
    }
    let total =
        run.requests.ok_or_else(|| malformed("there is no total: a label that is empty"))?;
    let sum = run.endpoints.iter().map(|it| it.requests).fold(0_u64, u64::saturating_add);
    if sum != total && !run.endpoints.is_empty() {
        run.warn(format!(
            "the labels have {sum} requests together and the total has {total}: labels overlap, \
             such as a page and its parts, so their counts cannot be added up"
        ));
    }
    Ok(run)
}

#[cfg(test)]
mod tests {
    use crate::import::summaries::tests::{assert_expected, read};

    #[test]
    fn the_label_without_a_name_is_the_total() {
        assert_expected("taurus.sample.xml", "taurus-xml");
        let why =
            read("<FinalStatus><Group label=\"a\"><throughput value=\"1\"/></Group></FinalStatus>");
        assert!(why.unwrap_err().to_string().contains("no total"));
        let why = read("<FinalStatus><Group label=\"\"><fail value=\"x\"/></Group></FinalStatus>");
        assert_eq!(why.unwrap_err().to_string(), "byte 29: `fail` is not a number: `x`");
    }
}
