//! The first requests of a load, as they would be sent. Nothing is sent.

use super::config::LoadConfig;
use super::data::{ResolvedData, ResolvedValues};
use super::error::LoadError;
use super::mix::Mix;
use super::program::Todo;
use super::session::Session;
use crate::plan::{Header, Request, Segment, Template, is_secret_name};

/// The replacement for a secret.
const HIDDEN: &str = "***";
/// At most this many requests of one journey: repeated steps need not be shown.
const MOST_OF_ONE: usize = 20;

/// One request that would be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    /// The journey it belongs to.
    pub journey: String,
    /// Name of the request.
    pub request: String,
    /// Its head and body. Secrets are hidden, and captured values are empty.
    pub text: String,
}

/// The first `count` requests of each flow, in the order of one worker. Nothing is sent, so
/// captured values are not known.
///
/// # Errors
///
/// Every request that is not valid on the wire.
pub fn preview(config: &LoadConfig, count: usize) -> Result<Vec<Preview>, Vec<LoadError>> {
    let config = without_shown_secrets(config);
    let mut mix = Mix::compile(&config, 0, 1)?;
    let mut previews = Vec::new();
    for flow in 0..config.flows.len() {
        let from = previews.len();
        // Some journeys may do nothing.
        for _ in 0..count {
            let mut session = Session::default();
            mix.begin(flow, None, &mut session);
            let first = previews.len();
            while let Ok(todo) = mix.next(&mut session) {
                match todo {
                    Todo::Done => break,
                    Todo::Think(_) => {}
                    Todo::Request(endpoint) => previews.push(Preview {
                        journey: config.journeys[session.journey].name.clone(),
                        request: config.requests[endpoint].name.clone(),
                        text: String::from_utf8_lossy(&mix.build(endpoint, &session).bytes)
                            .into_owned(),
                    }),
                }
                if previews.len() - first >= MOST_OF_ONE {
                    break;
                }
            }
            if previews.len() - from >= count {
                break;
            }
        }
        previews.truncate(from + count);
    }
    Ok(previews)
}

/// The same load with every secret hidden.
pub(super) fn without_shown_secrets(config: &LoadConfig) -> LoadConfig {
    LoadConfig {
        requests: config.requests.iter().map(redacted).collect(),
        data: config.data.iter().map(without_secrets).collect(),
        ..config.clone()
    }
}

/// The same request with every secret hidden.
fn redacted(request: &Request) -> Request {
    let header = |header: &Header| match header {
        Header::Plain(template) => Header::Plain(hide(template)),
        Header::Secret(_) => Header::Plain(Template(vec![Segment::Text(HIDDEN.to_owned())])),
    };
    let mut request = request.clone();
    request.path = hide(&request.path);
    for (_, value) in &mut request.headers {
        *value = header(value);
    }
    if let Some(body) = &mut request.body {
        body.template = hide(&body.template);
    }
    request
}

/// Data, with the values hidden whose name says that they are secret.
fn without_secrets((name, data): (&String, &ResolvedData)) -> (String, ResolvedData) {
    let mut data = data.clone();
    if let ResolvedValues::Rows { columns, cells } = &data.values {
        let width = columns.len().max(1);
        let is_secret = |at: usize| is_secret_name(&columns[at % width]);
        let cell = |(at, cell): (usize, &String)| match is_secret(at) {
            true => HIDDEN.to_owned(),
            false => cell.clone(),
        };
        let cells = cells.iter().enumerate().map(cell).collect();
        data.values = ResolvedValues::Rows { columns: columns.clone(), cells };
    } else if is_secret_name(name) {
        data.values = ResolvedValues::List([HIDDEN.to_owned()].into());
    }
    (name.clone(), data)
}

fn hide(template: &Template) -> Template {
    let segment = |segment: &Segment| match segment {
        Segment::Hidden(_) => Segment::Text(HIDDEN.to_owned()),
        other => other.clone(),
    };
    Template(template.0.iter().map(segment).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Secret;

    #[test]
    fn secrets_are_hidden_wherever_they_stand() {
        let text = |text: &str| Segment::Text(text.to_owned());
        let path = Template(vec![text("/a?token="), Segment::Hidden(Secret::new("hunter2"))]);
        let headers =
            vec![("authorization".to_owned(), Header::Secret(Secret::new("Bearer hunter2")))];
        let request = Request { headers, ..Request::get("a", path) };
        assert!(format!("{:?}", redacted(&request)).contains("***"));
        let config =
            super::super::tests::config(([127, 0, 0, 1], 1).into()).with_mix(vec![(request, 1.0)]);
        let previews = preview(&config, 2).unwrap();
        assert_eq!(previews.len(), 2);
        assert!(previews[0].text.starts_with("GET /a?token=*** HTTP/1.1\r\n"));
        assert!(previews[0].text.contains("authorization: ***\r\n"));
        assert!(!previews[0].text.contains("hunter2"));

        let path = Template(vec![text("/"), Segment::Value("user.password".to_owned())]);
        let mut config = config.with_mix(vec![(Request::get("a", path), 1.0)]);
        let columns = ["name", "password"].map(str::to_owned);
        let cells = ["ada", "hunter2"].map(str::to_owned);
        let rows = ResolvedValues::Rows { columns: columns.into(), cells: cells.into() };
        config.data.insert("user".to_owned(), ResolvedData::of(rows));
        assert!(preview(&config, 1).unwrap()[0].text.starts_with("GET /*** "));
    }
}
