//! Extractors and assertions: what is taken from a response, and what it must be.

use super::reader::PlanReader;
use crate::convert::draft::{ObjectiveDraft, StepDraft, is_pattern, path_of_jmes};
use crate::convert::xml::Element;

/// Bits of the kind of a Response Assertion.
const MATCH: u32 = 1;
const NOT: u32 = 4;
const EQUALS: u32 = 8;
const SUBSTRING: u32 = 16;
const OR: u32 = 32;

impl PlanReader<'_, '_> {
    pub(super) fn response(&mut self, element: &Element, step: &mut StepDraft) {
        match element.class() {
            "RegexExtractor" => self.regex(element, step),
            "JSONPostProcessor" => self.json(element, step),
            "JMESPathExtractor" => {
                let name = element.prop("JMESExtractor.referenceName");
                let path = path_of_jmes(element.prop("JMESExtractor.jmesPathExpression"));
                self.capture(element, name, "json", path, step);
            }
            "BoundaryExtractor" => {
                let mut text = |name| self.texts().fixed(element.raw_prop(name), element.line);
                let ends =
                    (text("BoundaryExtractor.lboundary"), text("BoundaryExtractor.rboundary"));
                let pattern = match ends {
                    (Some(left), Some(right)) => {
                        let (left, right) = (regex::escape(&left), regex::escape(&right));
                        Some(format!("(?s){left}(.*?){right}"))
                    }
                    _ => None,
                };
                let name = element.prop("BoundaryExtractor.refname");
                let in_body = is_body(element.prop("BoundaryExtractor.useHeaders"));
                self.capture(element, name, "regex", pattern.filter(|_| in_body), step);
            }
            "ResponseAssertion" => self.assertion(element, step),
            "DurationAssertion" => self.duration(element, step),
            "JSONPathAssertion" => self.json_assertion(element, step),
            _ => self.lost(element, "a check of the response"),
        }
    }

    /// Takes a value from the response; a note, where a plan cannot.
    fn capture(
        &mut self,
        element: &Element,
        name: &str,
        kind: &'static str,
        pattern: Option<String>,
        step: &mut StepDraft,
    ) {
        match pattern.filter(|pattern| is_pattern(kind, pattern)) {
            Some(pattern) if !name.is_empty() => {
                let name = self.values.capture(name);
                step.capture(&name, kind, &pattern);
            }
            _ => self.lost(element, "a value taken from the response"),
        }
    }

    fn regex(&mut self, element: &Element, step: &mut StepDraft) {
        let name = element.prop("RegexExtractor.refname");
        let pattern = self.texts().fixed(element.raw_prop("RegexExtractor.regex"), element.line);
        let template = element.prop("RegexExtractor.template");
        let groups = pattern.as_deref().and_then(|it| regex::bytes::Regex::new(it).ok());
        let groups = groups.map_or(0, |regex| regex.captures_len() - 1);
        let is_first = match template {
            // The whole match is what a pattern without groups gives.
            "$0$" => groups == 0,
            "$1$" | "" => true,
            _ => false,
        };
        let place = element.prop("RegexExtractor.useHeaders");
        let is_one = matches!(element.prop("RegexExtractor.match_number"), "" | "0" | "1");
        let pattern = pattern.filter(|_| is_first && is_one);
        if place == "true" {
            let header = pattern.as_deref().and_then(header_of);
            return self.capture(element, name, "header", header, step);
        }
        self.capture(element, name, "regex", pattern.filter(|_| is_body(place)), step);
    }

    fn json(&mut self, element: &Element, step: &mut StepDraft) {
        let split = |name| element.prop(name).split(';').map(str::trim).collect::<Vec<_>>();
        let names = split("JSONPostProcessor.referenceNames");
        let paths = split("JSONPostProcessor.jsonPathExprs");
        let numbers = split("JSONPostProcessor.match_numbers");
        for (index, (name, path)) in names.into_iter().zip(paths).enumerate() {
            let is_one = matches!(numbers.get(index), None | Some(&("" | "0" | "1")));
            let path = self.texts().fixed(path, element.line).filter(|_| is_one);
            self.capture(element, name, "json", path, step);
        }
    }

    fn assertion(&mut self, element: &Element, step: &mut StepDraft) {
        let number = element.prop("Assertion.test_type").parse().unwrap_or(0_u32);
        // JMeter's own spelling.
        let mut patterns = element.texts("Asserion.test_strings");
        patterns.extend(element.texts("Assertion.test_strings"));
        let fixed: Option<Vec<String>> =
            patterns.iter().map(|text| self.texts().fixed(text, element.line)).collect();
        let Some(patterns) = fixed.filter(|_| number & NOT == 0) else {
            return self.lost(element, "a check of the response");
        };
        let is_or = number & OR != 0 && patterns.len() > 1;
        match element.prop("Assertion.test_field") {
            "Assertion.response_code" => {
                let codes: Option<Vec<Vec<u16>>> =
                    patterns.iter().map(|pattern| statuses(pattern)).collect();
                match codes {
                    Some(codes) if is_or || codes.len() == 1 => {
                        step.statuses.extend(codes.into_iter().flatten());
                    }
                    _ => self.lost(element, "a check of the status"),
                }
            }
            "Assertion.response_data" | "Assertion.response_data_as_document" if !is_or => {
                for pattern in patterns {
                    let regex = match number & (MATCH | EQUALS | SUBSTRING) {
                        SUBSTRING => {
                            step.contains.push(pattern);
                            continue;
                        }
                        EQUALS => format!("^(?s:{})$", regex::escape(&pattern)),
                        MATCH => format!("^(?s:{pattern})$"),
                        _ => pattern,
                    };
                    match is_pattern("regex", &regex) {
                        true => step.matches.push(regex),
                        false => self.lost(element, "a check of the response"),
                    }
                }
            }
            _ => self.lost(element, "a check of the response"),
        }
    }

    /// A longest time: an objective of the request.
    fn duration(&mut self, element: &Element, step: &StepDraft) {
        let millis = self.texts().number(element.prop("DurationAssertion.duration"), element.line);
        let (Some(request), Some(millis)) =
            (&step.request, millis.filter(|millis| (1.0..1e9).contains(millis)))
        else {
            return;
        };
        let text = "a longest response time is an objective of the plan: it fails the run, not the request";
        self.artifact.notes.at(element.line, text);
        let condition = format!("max < {}ms", millis as u64);
        let metric = format!("http_req_duration{{{}}}", request.name);
        self.draft.objective(&metric, ObjectiveDraft { condition, abort: None });
    }

    fn json_assertion(&mut self, element: &Element, step: &mut StepDraft) {
        let path = self.texts().fixed(element.prop("JSON_PATH"), element.line);
        let expected = self.texts().fixed(element.prop("EXPECTED_VALUE"), element.line);
        let is_plain = element.is_set("JSONVALIDATION")
            && !["ISREGEX", "EXPECT_NULL", "INVERT"].iter().any(|name| element.is_set(name));
        match (path.filter(|path| is_pattern("json", path)), expected) {
            (Some(path), Some(expected)) if is_plain => {
                step.found.push((path, scalar(&expected)));
            }
            _ => self.lost(element, "a check of the response"),
        }
    }
}

/// A number, a boolean or a text.
fn scalar(text: &str) -> toml_edit::Value {
    if let Ok(number) = text.parse::<i64>() {
        return number.into();
    }
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => number.into(),
        _ => match text.parse::<bool>() {
            Ok(switch) => switch.into(),
            Err(_) => text.trim_matches('"').replace("${", "$${").into(),
        },
    }
}

/// Whether an extractor looks at the body.
fn is_body(place: &str) -> bool {
    matches!(place, "" | "false" | "unescaped")
}

/// The header that a pattern takes as a whole: `Location: (.+)`.
fn header_of(pattern: &str) -> Option<String> {
    let (name, value) = pattern.trim_start_matches('^').split_once(':')?;
    let value = value.trim().trim_start_matches("\\s*").trim_end_matches('$').trim();
    let is_whole = ["(.+)", "(.*)", "(.+?)", "(.*?)", "(\\S+)", "([^\\n]+)"].contains(&value);
    let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    (is_whole && is_name && !name.is_empty()).then(|| name.to_ascii_lowercase())
}

/// The statuses that a pattern stands for: `200`, `2..`, `2\d\d`, `20[01]`, `200|302`.
fn statuses(pattern: &str) -> Option<Vec<u16>> {
    let regex = regex::Regex::new(&format!("^(?:{})$", pattern.trim())).ok()?;
    let codes: Vec<u16> =
        (100..600).filter(|code: &u16| regex.is_match(&code.to_string())).collect();
    (!codes.is_empty()).then_some(codes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_become_statuses_headers_and_paths() {
        assert_eq!(statuses("200"), Some(vec![200]));
        assert_eq!(statuses("20[01]|302"), Some(vec![200, 201, 302]));
        assert_eq!(statuses("2..").map(|codes| codes.len()), Some(100));
        assert_eq!(statuses("OK"), None);
        assert_eq!(header_of("Location: (.+)").as_deref(), Some("location"));
        assert_eq!(header_of("Set-Cookie: sid=(.+);"), None);
        assert_eq!(path_of_jmes("items[0].id").as_deref(), Some("$.items[0].id"));
        assert_eq!(path_of_jmes("items[?a]"), None);
    }
}
