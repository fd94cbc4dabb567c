//! How many different requests a plan can make. If there are few, every cache keeps them.

use std::collections::{BTreeMap, BTreeSet};

use super::{DataOrder, DataSource, DataValues, Header, Plan, Request, Segment, Template};

/// Methods that only read (RFC 9110, safe methods).
const READS: [&str; 3] = ["GET", "HEAD", "OPTIONS"];

impl Plan {
    /// How many requests the plan can make that differ in path, headers or body; `None` if that
    /// depends on a file. Equal values of one source count separately.
    pub fn variety(&self) -> Option<f64> {
        let sent = self.shares().into_iter().filter_map(|(index, _)| self.requests.get(index));
        sent.map(|request| of_request(request, &self.data)).sum()
    }

    /// Share (0 to 1) of the requests that only read, by their method.
    pub fn read_share(&self) -> f64 {
        let reads = self.shares().into_iter().filter(|(index, _)| self.is_read(*index));
        reads.map(|(_, share)| share).sum()
    }

    /// How many different reads the plan can make; `None` if that depends on a file or on what the
    /// target answers.
    pub fn read_variety(&self) -> Option<f64> {
        let sent = self.shares().into_iter().filter(|(index, _)| self.is_read(*index));
        let requests = sent.filter_map(|(index, _)| self.requests.get(index));
        requests.map(|request| of_read(request, &self.data)).sum()
    }

    fn is_read(&self, index: usize) -> bool {
        self.requests.get(index).is_some_and(|request| READS.contains(&request.method.as_str()))
    }
}

/// The same, where a value that is captured from a response may be another each time.
fn of_read(request: &Request, data: &BTreeMap<String, DataSource>) -> Option<f64> {
    let is_known = names_of(request).into_iter().all(|name| data.contains_key(source_of(name)));
    if is_known { of_request(request, data) } else { None }
}

fn of_request(request: &Request, data: &BTreeMap<String, DataSource>) -> Option<f64> {
    // Captured values come from the target, and do not count.
    let sources: BTreeSet<&str> = names_of(request).into_iter().map(source_of).collect();
    sources.into_iter().filter_map(|name| data.get(name)).map(of_source).product()
}

/// The names of the values in what a request sends.
fn names_of(request: &Request) -> BTreeSet<&str> {
    let headers = request.headers.iter().filter_map(|(_, header)| match header {
        Header::Plain(template) => Some(template),
        Header::Secret(_) => None,
    });
    let templates = std::iter::once(&request.path)
        .chain(headers)
        .chain(request.body.iter().map(|body| &body.template));
    templates.flat_map(names_in).collect()
}

/// The source in the name of one of its columns.
fn source_of(name: &str) -> &str {
    name.split_once('.').map_or(name, |(source, _)| source)
}

fn names_in(template: &Template) -> impl Iterator<Item = &str> {
    template.0.iter().filter_map(|segment| match segment {
        Segment::Value(name) => Some(name.as_str()),
        Segment::Text(_) | Segment::Hidden(_) => None,
    })
}

/// How many values there are. If some are more popular, the number of equally popular values with
/// the same diversity: the exponential of the entropy (Hill number of order 1; Hill 1973).
fn of_source(source: &DataSource) -> Option<f64> {
    let count = match &source.values {
        DataValues::Range(first, last) => (last - first) as f64 + 1.0,
        DataValues::List(texts) => texts.len() as f64,
        DataValues::Hidden(secrets) => secrets.len() as f64,
        DataValues::Uuid => f64::from(u32::MAX),
        DataValues::Dates { first, last, .. } => f64::from((*last - *first).get_days()) + 1.0,
        DataValues::Csv { .. } | DataValues::Rows { .. } => return None,
    };
    Some(match source.order {
        DataOrder::Random | DataOrder::Sequential => count,
        DataOrder::Zipf(exponent) => zipf_diversity(count, exponent),
        DataOrder::Hot { keys, share } => {
            let hot = (count * keys).max(1.0);
            let part = |share: f64, keys: f64| match share > 0.0 && keys > 0.0 {
                true => share * (keys / share).ln(),
                false => 0.0,
            };
            (part(share, hot) + part(1.0 - share, count - hot)).exp()
        }
    })
}

/// The exponential of the entropy of Zipf's law over `count` values.
fn zipf_diversity(count: f64, exponent: f64) -> f64 {
    // More ranks hardly change the sums, and would take time whenever a plan is read.
    const SUMMED: f64 = 1e6;
    let ranks = || (1..=count.min(SUMMED) as u64).map(|rank| rank as f64);
    let total: f64 = ranks().map(|rank| rank.powf(-exponent)).sum();
    let entropy: f64 =
        ranks().map(|rank| rank.powf(-exponent) / total).map(|share| -share * share.ln()).sum();
    entropy.exp()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Body;

    fn request(path: &[&str], body: Option<&str>) -> Request {
        let value = |name: &&str| Segment::Value((*name).to_owned());
        let path = Template(path.iter().map(value).collect());
        let body = body.map(|name| Body { template: Template(vec![value(&name)]) });
        Request { body, ..Request::get("it", path) }
    }

    #[test]
    fn values_of_one_name_are_drawn_once_a_request() {
        let source = DataSource::of;
        let list = DataValues::List(vec!["a".to_owned(), "b".to_owned()]);
        let csv = DataValues::Csv { path: "a.csv".to_owned(), column: "id".to_owned() };
        let data = BTreeMap::from([
            ("id".to_owned(), source(DataValues::Range(1, 100))),
            ("kind".to_owned(), source(list)),
            ("user".to_owned(), source(csv)),
        ]);
        assert_eq!(of_request(&request(&[], None), &data), Some(1.0));
        assert_eq!(of_request(&request(&["id", "id"], Some("id")), &data), Some(100.0));
        assert_eq!(of_request(&request(&["id"], Some("kind")), &data), Some(200.0));
        assert_eq!(of_request(&request(&["user"], None), &data), None);
        assert_eq!(of_request(&request(&["captured"], None), &data), Some(1.0));
        assert_eq!(of_read(&request(&["captured"], None), &data), None, "another each time");
        assert_eq!(of_read(&request(&["id", "kind.name"], None), &data), Some(200.0));
    }

    #[test]
    fn popular_values_make_a_mix_less_diverse() {
        let of = |order| {
            let range = DataSource::of(DataValues::Range(1, 1000));
            of_source(&DataSource { order, ..range }).unwrap()
        };
        assert_eq!(of(DataOrder::Sequential), 1000.0);
        assert!((of(DataOrder::Zipf(0.0)) - 1000.0).abs() < 1e-6, "equally popular");
        let zipf = of(DataOrder::Zipf(1.0));
        assert!((100.0..300.0).contains(&zipf), "{zipf}");
        // All draws go to the ten hot ones.
        assert!((of(DataOrder::Hot { keys: 0.01, share: 1.0 }) - 10.0).abs() < 1e-9);
        assert!((of(DataOrder::Hot { keys: 0.5, share: 0.5 }) - 1000.0).abs() < 1e-6);
    }
}
