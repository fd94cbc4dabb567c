//! Lines of servers whose logs have another form, written again in the combined format: Caddy and
//! Traefik (JSON), HAProxy, AWS' Application Load Balancer, CloudFront and IIS.

use std::sync::LazyLock;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use regex::Regex;
use serde_json::Value;

use super::combined::{method_and_target, time};
use super::fields::fields;
use super::target::path;

/// The columns of an extended log (W3C), as its last `#Fields` named them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rewriter {
    columns: Vec<String>,
}

/// A request in a line.
#[derive(Default)]
struct Found {
    /// Who asked: the address without a port, and the browser. Empty where the line does not say.
    client: String,
    browser: String,
    second: i64,
    method: String,
    target: String,
    status: u16,
}

/// HAProxy's `option httplog`, as syslog writes it or without its prefix.
static HAPROXY: LazyLock<Regex> = LazyLock::new(|| {
    let form = r#"^(?:.* )?(?<client>\S+) \[(?<time>[0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}:[0-9:]{8}\.[0-9]{3})\] \S+ [^ /]+/\S+ [-0-9/+]+ (?<status>-?[0-9]{1,3}) \+?[0-9]+ .*? "(?<request>[^"]*)"?$"#;
    // Checked by every test of this file.
    Regex::new(form).unwrap_or_else(|why| unreachable!("{why}"))
});
/// Places of the fields of a load balancer's line.
const ALB_TIME: usize = 1;
const ALB_CLIENT: usize = 3;
const ALB_STATUS: usize = 8;
const ALB_REQUEST: usize = 12;
const ALB_BROWSER: usize = 13;

impl Rewriter {
    /// The line in the combined format; `None` where it holds no request of these servers.
    pub(crate) fn line(&mut self, text: &str) -> Option<String> {
        let text = text.trim_end();
        if let Some(names) = text.strip_prefix("#Fields:") {
            self.columns = names.split_whitespace().map(str::to_owned).collect();
            return None;
        }
        let found = match () {
            () if text.contains('{') && text.ends_with('}') => of_json(text),
            () if !self.columns.is_empty() => self.of_columns(text),
            () => of_balancer(text).or_else(|| of_haproxy(text)),
        };
        found?.line()
    }

    fn of_columns(&self, text: &str) -> Option<Found> {
        let delimiter = if text.contains('\t') { '\t' } else { ' ' };
        let cells: Vec<&str> = text.split(delimiter).collect();
        if cells.len() != self.columns.len() {
            return None;
        }
        let cell = |name: &str| {
            let place = self.columns.iter().position(|column| column == name)?;
            cells.get(place).copied()
        };
        let at: Timestamp = format!("{}T{}Z", cell("date")?, cell("time")?).parse().ok()?;
        let query = cell("cs-uri-query").filter(|query| !matches!(*query, "-" | ""));
        let stem = cell("cs-uri-stem")?;
        Some(Found {
            client: cell("c-ip").unwrap_or_default().to_owned(),
            browser: cell("cs(User-Agent)").unwrap_or_default().to_owned(),
            second: at.as_second(),
            method: cell("cs-method")?.to_owned(),
            target: query.map_or_else(|| stem.to_owned(), |query| format!("{stem}?{query}")),
            status: cell("sc-status")?.parse().ok()?,
        })
    }
}

/// One object, of Caddy or of Traefik; before Caddy's may stand the time.
fn of_json(text: &str) -> Option<Found> {
    let at = text.find('{')?;
    let entry: Value = serde_json::from_str(&text[at..]).ok()?;
    let word = |value: &Value| value.as_str().map(str::to_owned);
    let status = |value: &Value| u16::try_from(value.as_u64()?).ok();
    if let Some(asked) = entry.get("request") {
        let second = match entry.get("ts") {
            Some(Value::Number(number)) => number.as_f64()?.floor() as i64,
            Some(Value::String(text)) => time(text)?.as_second(),
            _ => console_second(&text[..at])?,
        };
        let address = ["client_ip", "remote_ip", "remote_addr"];
        let browser = asked.get("headers").and_then(|headers| headers.get("User-Agent")?.get(0));
        return Some(Found {
            client: first_word(asked, &address),
            browser: browser.and_then(word).unwrap_or_default(),
            second,
            method: word(asked.get("method")?)?,
            target: word(asked.get("uri")?)?,
            status: status(entry.get("status")?)?,
        });
    }
    let start = entry.get("StartUTC").or_else(|| entry.get("StartLocal"))?;
    let start: Timestamp = start.as_str()?.parse().ok()?;
    Some(Found {
        client: first_word(&entry, &["ClientHost"]),
        browser: first_word(&entry, &["request_User-Agent"]),
        second: start.as_second(),
        method: word(entry.get("RequestMethod")?)?,
        target: word(entry.get("RequestPath")?)?,
        status: status(entry.get("DownstreamStatus")?)?,
    })
}

/// The first of these entries that is a text.
fn first_word(of: &Value, names: &[&str]) -> String {
    names.iter().find_map(|name| of.get(name)?.as_str()).unwrap_or_default().to_owned()
}

/// An address without its port.
fn without_port(address: &str) -> String {
    address.rsplit_once(':').map_or(address, |(address, _)| address).to_owned()
}

/// `2026/05/04 09:20:01.630`, without a zone.
fn console_second(begin: &str) -> Option<i64> {
    let mut words = begin.split_whitespace();
    let text = format!("{} {}", words.next()?, words.next()?);
    let local = DateTime::strptime("%Y/%m/%d %H:%M:%S%.f", text).ok()?;
    Some(local.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second())
}

fn of_balancer(text: &str) -> Option<Found> {
    let fields = fields(text);
    let at: Timestamp = fields.get(ALB_TIME)?.parse().ok()?;
    let (method, target) = method_and_target(fields.get(ALB_REQUEST)?)?;
    Some(Found {
        client: without_port(fields.get(ALB_CLIENT).map_or("", |it| it)),
        browser: fields.get(ALB_BROWSER).map_or("", |it| it).to_owned(),
        second: at.as_second(),
        method: method.to_owned(),
        target: target.to_owned(),
        status: fields.get(ALB_STATUS)?.parse().ok()?,
    })
}

fn of_haproxy(text: &str) -> Option<Found> {
    let found = HAPROXY.captures(text)?;
    let local = DateTime::strptime("%d/%b/%Y:%H:%M:%S%.f", &found["time"]).ok()?;
    let (method, target) = method_and_target(&found["request"])?;
    Some(Found {
        client: without_port(&found["client"]),
        second: local.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second(),
        method: method.to_owned(),
        target: target.to_owned(),
        status: found["status"].parse().ok()?,
        ..Found::default()
    })
}

impl Found {
    /// `10.0.0.7 - - [04/May/2026:09:20:00 +0000] "GET /books HTTP/1.1" 200 - "-" "curl/8.5.0"`.
    fn line(&self) -> Option<String> {
        let at = Timestamp::from_second(self.second).ok()?.strftime("%d/%b/%Y:%H:%M:%S +0000");
        let target: String = path(&self.target)?.chars().map(octets).collect();
        let (method, status) = (&self.method, self.status);
        let is_status = (100..1000).contains(&status);
        let [client, browser] = [&self.client, &self.browser].map(|text| {
            let text: String = text.chars().map(octets).collect();
            if text.is_empty() { "-".to_owned() } else { text }
        });
        is_status.then(|| {
            format!(
                "{client} - - [{at}] \"{method} {target} HTTP/1.1\" {status} - \"-\" \"{browser}\""
            )
        })
    }
}

/// What would end a request in the common format, as octets of an address.
fn octets(char: char) -> String {
    match char {
        '"' | '\\' | ' ' => format!("%{:02X}", char as u32),
        char if char.is_control() => format!("%{:02X}", char as u32 & 0xff),
        char => char.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use super::*;

    /// How often each request with an answer stands in a sample.
    fn requests(sample: &str) -> Vec<(String, usize)> {
        let mut rewriter = Rewriter::default();
        let mut counts = std::collections::BTreeMap::new();
        for line in sample.lines().filter_map(|line| rewriter.line(line)) {
            let line = read(&line).unwrap_or_else(|| panic!("not a common line: {line}"));
            // All samples are of the same minute, but for those that were made in another.
            assert_eq!(line.second / 3600, 1_777_886_400 / 3600);
            let (method, target) = line.request.expect("a request");
            *counts.entry(format!("{method} {target}")).or_insert(0) += 1;
        }
        counts.into_iter().collect()
    }

    #[test]
    fn the_logs_of_all_servers_hold_the_same_requests() {
        macro_rules! sample {
            ($name:literal) => {
                include_str!(concat!("../../tests/data/formats/accesslog-", $name, ".sample.log"))
            };
        }
        for (name, sample) in [
            ("caddy", sample!("caddy")),
            ("traefik", sample!("traefik-json")),
            ("haproxy", sample!("haproxy")),
            ("alb", sample!("alb")),
            ("cloudfront", sample!("cloudfront")),
            ("iis", sample!("iis")),
        ] {
            let requests = requests(sample);
            let of = |name: &str| requests.iter().find(|it| it.0 == name).map_or(0, |it| it.1);
            let all: usize = requests.iter().map(|it| it.1).sum();
            assert!((17..=20).contains(&all), "{name}: {requests:?}");
            for request in ["GET /books", "GET /books/17?ref=a%20b", "GET /books/18", "POST /cart"]
            {
                assert!((3..=5).contains(&of(request)), "{name}, {request}: {requests:?}");
            }
        }
    }

    #[test]
    fn what_is_no_request_stays_none() {
        let mut rewriter = Rewriter::default();
        for line in ["", "{}", "{\"request\": {}}", "hello world", "#Version: 1.0", "h2 now"] {
            assert_eq!(rewriter.line(line), None, "{line}");
        }
        let quote =
            r#"{"request":{"method":"GET","uri":"/a\"b c"},"status":200,"ts":1777886400.5}"#;
        let line = rewriter.line(quote);
        let expected =
            "- - - [04/May/2026:09:20:00 +0000] \"GET /a%22b%20c HTTP/1.1\" 200 - \"-\" \"-\"";
        assert_eq!(line.as_deref(), Some(expected));
    }
}
