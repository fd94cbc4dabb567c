//! How many different requests a plan can make: few of them stay in every cache.

use std::collections::{BTreeMap, BTreeSet};

use super::{DataSource, DataValues, Header, Plan, Request, Segment, Template};

impl Plan {
    /// How many requests that differ in path, headers or body the plan can make; `None` where it
    /// is not known before a file is read. Values that stand for each other count apart.
    pub fn variety(&self) -> Option<f64> {
        self.requests.iter().map(|request| of_request(request, &self.data)).sum()
    }
}

fn of_request(request: &Request, data: &BTreeMap<String, DataSource>) -> Option<f64> {
    let headers = request.headers.iter().filter_map(|(_, header)| match header {
        Header::Plain(template) => Some(template),
        Header::Secret(_) => None,
    });
    let templates = std::iter::once(&request.path)
        .chain(headers)
        .chain(request.body.iter().map(|body| &body.template));
    let names: BTreeSet<&str> = templates.flat_map(names_in).collect();
    names.into_iter().map(|name| data.get(name).and_then(of_source)).product()
}

fn names_in(template: &Template) -> impl Iterator<Item = &str> {
    template.0.iter().filter_map(|segment| match segment {
        Segment::Value(name) => Some(name.as_str()),
        Segment::Text(_) | Segment::Hidden(_) => None,
    })
}

fn of_source(source: &DataSource) -> Option<f64> {
    match &source.values {
        DataValues::Range(first, last) => Some((last - first) as f64 + 1.0),
        DataValues::List(texts) => Some(texts.len() as f64),
        DataValues::Hidden(secrets) => Some(secrets.len() as f64),
        DataValues::Csv { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Body, DataOrder};

    fn request(path: &[&str], body: Option<&str>) -> Request {
        let value = |name: &&str| Segment::Value((*name).to_owned());
        Request {
            name: "it".to_owned(),
            weight: 1.0,
            method: "GET".to_owned(),
            path: Template(path.iter().map(value).collect()),
            headers: Vec::new(),
            stream: None,
            body: body.map(|name| Body { template: Template(vec![value(&name)]) }),
        }
    }

    #[test]
    fn values_of_one_name_are_drawn_once_a_request() {
        let source = |values| DataSource { values, order: DataOrder::Random };
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
    }
}
