//! Reads the Prometheus text format and OpenMetrics, and reports the lines that it cannot parse.
//!
//! The crate prometheus-parse reads the lines that nearly every service writes. It silently drops
//! or garbles others: label values with `}`, `=` or `,`, escapes, names with `:`, quoted names,
//! exemplars. [`is_simple`] detects the lines that the crate can read; this module parses the
//! others itself. It also keeps the types, because the crate loses those of sums, counts and
//! OpenMetrics counters. Timestamps and exemplars are ignored: a sample counts for the moment of
//! its scrape.

use std::collections::HashMap;

use prometheus_parse::{Scrape, Value};

use crate::timeline::{Kind, Unit};

/// The content of one scrape.
#[derive(Debug, Default)]
pub(super) struct Exposition {
    /// The samples, in the order of their lines.
    pub samples: Vec<Sample>,
    /// Number of lines that could not be parsed.
    pub unread: usize,
    /// The line number of the first of them, from 1, and what is wrong with it.
    pub first_unread: Option<(usize, &'static str)>,
    types: HashMap<String, Type>,
}

/// One value of one series.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sample {
    /// Name of the metric.
    pub name: String,
    /// Labels, ordered by name.
    pub labels: Vec<(String, String)>,
    /// The value; may be NaN or infinite.
    pub value: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Counter,
    /// Histogram or summary: its sum, count and buckets only grow.
    Distribution,
    Level,
}

/// The parts of a line.
#[derive(Debug, PartialEq)]
struct Tokens<'a> {
    name: String,
    labels: Vec<(String, String)>,
    value: &'a str,
}

/// Parses a whole scrape.
pub(super) fn parse(text: &str) -> Exposition {
    let mut exposition = Exposition::default();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        if let Some(comment) = line.strip_prefix('#') {
            exposition.note_type(comment);
            continue;
        }
        let by_crate = if is_simple(line) { read_simple(line) } else { None };
        match by_crate.map_or_else(|| read(line), Ok) {
            Ok(sample) => exposition.samples.push(sample),
            Err(why) => {
                exposition.unread += 1;
                exposition.first_unread.get_or_insert((index + 1, why));
            }
        }
    }
    exposition
}

impl Exposition {
    /// How the values of the metric `name` behave: by its declared type, or else by its name.
    pub(super) fn kind(&self, name: &str) -> Kind {
        if let Some(declared) = self.types.get(name) {
            return if *declared == Type::Counter { Kind::Counter } else { Kind::Gauge };
        }
        for suffix in ["_total", "_sum", "_count", "_bucket", "_created"] {
            let Some(declared) = name.strip_suffix(suffix).and_then(|base| self.types.get(base))
            else {
                continue;
            };
            return match (declared, suffix) {
                (Type::Level, _) | (_, "_created") => Kind::Gauge,
                _ => Kind::Counter,
            };
        }
        let grows = name.ends_with("_total") || name.ends_with("_bucket");
        if grows { Kind::Counter } else { Kind::Gauge }
    }

    /// Records a `TYPE` comment; `comment` is the text after the `#`.
    fn note_type(&mut self, comment: &str) {
        let Some(rest) = comment.trim_start().strip_prefix("TYPE") else {
            return;
        };
        let Some((name, word)) = rest.trim().rsplit_once(char::is_whitespace) else {
            return;
        };
        self.declare(name.trim().trim_matches('"'), word);
    }

    /// Records the type of the metric `name`, in the words of the text format.
    pub(super) fn declare(&mut self, name: &str, word: &str) {
        let declared = match word {
            "counter" => Type::Counter,
            "histogram" | "summary" => Type::Distribution,
            // Without a type the name decides.
            "untyped" | "unknown" => return,
            _ => Type::Level,
        };
        self.types.insert(name.to_owned(), declared);
    }
}

/// The unit that a metric's name ends in.
pub(super) fn unit(name: &str) -> Unit {
    if name.ends_with("_count") || name.ends_with("_bucket") {
        return Unit::Count;
    }
    let base = name.strip_suffix("_sum").unwrap_or(name);
    let counted = base.strip_suffix("_total");
    match counted.unwrap_or(base).rsplit('_').next() {
        Some("seconds") => Unit::Seconds,
        Some("bytes") => Unit::Bytes,
        Some("ratio") => Unit::Ratio,
        _ if counted.is_some() => Unit::Count,
        _ => Unit::Unknown,
    }
}

/// Whether the crate reads a line correctly: `name{label="value",…} value [timestamp]`, with plain
/// names and with values that contain no character that the crate treats as a terminator.
fn is_simple(line: &str) -> bool {
    let is_name = |name: &str| !name.is_empty() && name.chars().all(is_word);
    let is_label = |label: &str| {
        let Some((name, value)) = label.split_once('=') else { return false };
        let inside = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
        is_name(name) && inside.is_some_and(|inside| !inside.contains(['"', '=', '\\']))
    };
    let (name, rest) = match line.split_once('{') {
        Some((name, rest)) => match rest.split_once('}') {
            Some((labels, rest)) if labels.split(',').all(is_label) => (name, rest),
            _ => return false,
        },
        None => line.split_at(line.find(char::is_whitespace).unwrap_or(line.len())),
    };
    let mut words = rest.split_whitespace().skip(1);
    is_name(name)
        && rest.starts_with(char::is_whitespace)
        && words.next().is_none_or(|time| time.parse::<f64>().is_ok())
        && words.next().is_none()
}

/// Parses a line with the crate; `None` if it finds no sample or loses a label.
fn read_simple(line: &str) -> Option<Sample> {
    let mut scrape = Scrape::parse(std::iter::once(Ok(line.to_owned()))).ok()?;
    let sample = scrape.samples.pop()?;
    let (Value::Untyped(value) | Value::Counter(value) | Value::Gauge(value)) = sample.value else {
        return None;
    };
    let mut labels: Vec<(String, String)> =
        sample.labels.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    labels.sort();
    let is_whole = labels.len() == line.matches('=').count();
    is_whole.then_some(Sample { name: sample.metric, labels, value })
}

/// Parses any line.
fn read(line: &str) -> Result<Sample, &'static str> {
    let Tokens { name, mut labels, value } = tokenise(line)?;
    let value = value.parse().map_err(|_| "its value is not a number")?;
    labels.sort();
    if labels.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return Err("a label is named twice");
    }
    Ok(Sample { name, labels, value })
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Splits a sample line: `name{label="value",…} value [timestamp] [# exemplar]`, or the form with
/// the name in quotes inside the braces.
fn tokenise(line: &str) -> Result<Tokens<'_>, &'static str> {
    let end = line.find(|c: char| c == '{' || c.is_whitespace()).unwrap_or(line.len());
    let (bare, rest) = line.split_at(end);
    if !bare.chars().all(|c| c.is_alphanumeric() || "_:.-".contains(c)) {
        return Err("its name has a character that is not allowed");
    }
    let mut tokens = Tokens { name: bare.to_owned(), labels: Vec::new(), value: "" };
    let mut rest = rest.trim_start();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = read_labels(inside, &mut tokens)?;
    }
    if tokens.name.is_empty() {
        return Err("it has no name");
    }
    let (value, rest) = split_word(rest);
    if value.is_empty() {
        return Err("it has no value");
    }
    tokens.value = value;
    let (timestamp, exemplar) = if rest.starts_with('#') { ("", rest) } else { split_word(rest) };
    let is_time = timestamp.is_empty() || timestamp.parse::<f64>().is_ok();
    if !is_time || !(exemplar.is_empty() || exemplar.starts_with('#')) {
        return Err("there is more after its value than a time");
    }
    Ok(tokens)
}

/// Splits off the first word; both parts are trimmed.
fn split_word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    let (word, rest) = text.split_at(text.find(char::is_whitespace).unwrap_or(text.len()));
    (word, rest.trim())
}

/// Parses the labels inside the braces; returns the text after them.
fn read_labels<'a>(mut rest: &'a str, tokens: &mut Tokens<'_>) -> Result<&'a str, &'static str> {
    const OPEN: &str = "its braces are not closed";
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix('}') {
            return Ok(after);
        }
        let is_quoted = rest.starts_with('"');
        let (name, after) = if is_quoted {
            read_quoted(rest)?
        } else {
            let end = rest.find(|c: char| !is_word(c)).ok_or(OPEN)?;
            (rest[..end].to_owned(), &rest[end..])
        };
        rest = after.trim_start();
        if let Some(value) = rest.strip_prefix('=') {
            if name.is_empty() {
                return Err("a label has no name");
            }
            let (value, after) = read_quoted(value.trim_start())?;
            tokens.labels.push((name, value));
            rest = after.trim_start();
        } else if is_quoted && tokens.name.is_empty() {
            tokens.name = name;
        } else {
            return Err("a label is not `name=\"value\"`");
        }
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None if rest.starts_with('}') => {}
            None => return Err(OPEN),
        }
    }
}

/// Parses a quoted string with its escapes; returns the text after it.
fn read_quoted(text: &str) -> Result<(String, &str), &'static str> {
    let inside = text.strip_prefix('"').ok_or("a label's value is not in quotes")?;
    let mut value = String::new();
    let mut is_escaped = false;
    for (at, c) in inside.char_indices() {
        match c {
            '"' if !is_escaped => return Ok((value, &inside[at + 1..])),
            '\\' if !is_escaped => {
                is_escaped = true;
                continue;
            }
            'n' if is_escaped => value.push('\n'),
            '"' | '\\' => value.push(c),
            // Not a valid escape: Prometheus keeps both characters.
            c => value.extend(is_escaped.then_some('\\').into_iter().chain([c])),
        }
        is_escaped = false;
    }
    Err("a quote is not closed")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(line: &str) -> Sample {
        let exposition = parse(line);
        assert_eq!(exposition.unread, 0, "{line}: {:?}", exposition.first_unread);
        exposition.samples.into_iter().next().unwrap()
    }

    fn sample(name: &str, labels: &[(&str, &str)], value: f64) -> Sample {
        let labels = labels.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        Sample { name: name.to_owned(), labels, value }
    }

    type Case<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], f64);

    #[test]
    fn what_the_crate_alone_loses_is_read() {
        let cases: &[Case] = &[
            (r#"a{path="/{id}"} 1"#, "a", &[("path", "/{id}")], 1.0),
            (r#"a{q="x=1"} 1"#, "a", &[("q", "x=1")], 1.0),
            (r#"a{q="b,c",r="d"} 1"#, "a", &[("q", "b,c"), ("r", "d")], 1.0),
            (r#"a{q="\"x\""} 1"#, "a", &[("q", "\"x\"")], 1.0),
            (r#"a{q="C:\\dir\nend\\"} 1"#, "a", &[("q", "C:\\dir\nend\\")], 1.0),
            (r#"a{q="\d"} 1"#, "a", &[("q", "\\d")], 1.0),
            ("a{} 1", "a", &[], 1.0),
            (r#"a { p = "x" } 1"#, "a", &[("p", "x")], 1.0),
            ("job:req:rate5m 1", "job:req:rate5m", &[], 1.0),
            (r#"{"utf8.name"} 1"#, "utf8.name", &[], 1.0),
            (r#"{"utf8.näme","a.b"="c"} 1"#, "utf8.näme", &[("a.b", "c")], 1.0),
            (r#"a{p="x",} 1"#, "a", &[("p", "x")], 1.0),
            ("a{p=\"\",q=\"\u{A66E} ü\"} 1", "a", &[("p", ""), ("q", "\u{A66E} ü")], 1.0),
            ("a\t1", "a", &[], 1.0),
            ("a 1 1700000000", "a", &[], 1.0),
            ("a 1 1700000000.123", "a", &[], 1.0),
            (r##"a_total 17 # {trace_id="}x"} 0.5 1.7e9"##, "a_total", &[], 17.0),
            (r##"a_bucket{le="+Inf"} 17 1.7e9 # {} 0.5"##, "a_bucket", &[("le", "+Inf")], 17.0),
            ("a 18446744073709551615", "a", &[], 18_446_744_073_709_551_615.0),
            ("a -1.5e-3", "a", &[], -0.0015),
            ("a +Inf", "a", &[], f64::INFINITY),
            ("a -Inf", "a", &[], f64::NEG_INFINITY),
        ];
        for (line, name, labels, value) in cases {
            assert_eq!(one(line), sample(name, labels, *value), "{line}");
        }
        assert!(one("a NaN").value.is_nan());
    }

    #[test]
    fn the_crate_and_this_file_read_a_simple_line_alike() {
        let lines = [
            "a 1",
            "a\t1.5e3 1700000000",
            "a{p=\"\"} 1",
            "a_total{method=\"GET\",path=\"/a b/ü\",code=\"200\"} 17",
            "a_bucket{le=\"+Inf\"} 17 1700000000.5",
            "a -Inf",
        ];
        for line in lines {
            assert!(is_simple(line), "{line}");
            assert_eq!(read_simple(line), read(line).ok(), "{line}");
        }
        let others =
            ["a{q=\"b,c\"} 1", "a{q=\"\\d\"} 1", "a{q=\"}\"} 1", "a:b 1", "a 1 soon", "a{} 1"];
        for line in others {
            assert!(!is_simple(line), "{line}");
        }
    }

    #[test]
    fn lines_that_cannot_be_read_are_counted_with_the_first_ones_number() {
        let cases = [
            ("a", "no value"),
            ("a{b=\"c\" 1", "braces"),
            ("a{b=\"c} 1", "quote"),
            ("a{b=c} 1", "quotes"),
            ("a{b} 1", "name="),
            ("a{=\"x\"} 1", "no name"),
            ("a{b=\"1\",b=\"2\"} 1", "twice"),
            ("a one", "not a number"),
            ("a=2", "character"),
            ("a 1 soon", "after its value"),
            ("a 1 2 3", "after its value"),
            ("{b=\"c\"} 1", "no name"),
        ];
        for (line, why) in cases {
            let exposition = parse(&format!("# HELP a\r\n\r\nok 1\r\n{line}\r\nok 2\r\n{line}"));
            assert_eq!(exposition.samples.len(), 2, "{line}");
            assert_eq!(exposition.unread, 2, "{line}");
            let (number, reason) = exposition.first_unread.unwrap();
            assert_eq!(number, 4, "{line}");
            assert!(reason.contains(why), "{line}: {reason}");
        }
    }

    #[test]
    fn kinds_follow_types_wherever_they_stand() {
        let text = "\
late_total 1
# TYPE late_total counter
# TYPE om counter
om_total 1
om_created 1.7e9
# TYPE h histogram
h_bucket{le=\"1\"} 1
h_sum 1
h_count 1
# TYPE s summary
s{quantile=\"0.5\"} NaN
s_sum 1
# TYPE requests_total gauge
requests_total 1
# TYPE g gaugehistogram
g_bucket{le=\"1\"} 1
# TYPE cache_count gauge
cache_count 1
# TYPE old untyped
old_total 1
plain 1
# EOF";
        let exposition = parse(text);
        assert_eq!((exposition.samples.len(), exposition.unread), (13, 0));
        let growing =
            ["late_total", "om_total", "h_bucket", "h_sum", "h_count", "s_sum", "old_total"];
        for name in growing {
            assert_eq!(exposition.kind(name), Kind::Counter, "{name}");
        }
        for name in ["om_created", "s", "requests_total", "g_bucket", "cache_count", "plain"] {
            assert_eq!(exposition.kind(name), Kind::Gauge, "{name}");
        }
    }

    #[test]
    fn units_come_from_the_end_of_the_name() {
        let cases = [
            ("a_seconds", Unit::Seconds),
            ("a_seconds_total", Unit::Seconds),
            ("a_seconds_sum", Unit::Seconds),
            ("a_seconds_count", Unit::Count),
            ("a_seconds_bucket", Unit::Count),
            ("a_bytes", Unit::Bytes),
            ("a_ratio", Unit::Ratio),
            ("a_total", Unit::Count),
            ("a", Unit::Unknown),
        ];
        for (name, expected) in cases {
            assert_eq!(unit(name), expected, "{name}");
        }
    }
}
