//! Selectors as PromQL has them: `name{label="value",…}`.

use super::error::HistoryError;

/// A selector of series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Matcher {
    /// As it was given.
    pub(super) text: String,
    /// The metric that it names itself.
    name: Option<String>,
    /// What stands inside its braces.
    inside: String,
}

const HINT: &str =
    "write it as PromQL does, such as `{job=\"shop\"}` or `{namespace=\"shop\",pod=~\"shop-.*\"}`";

impl Matcher {
    /// Reads a selector.
    pub(super) fn parse(text: &str) -> Result<Self, HistoryError> {
        let text = text.trim();
        let wrong = |why: &str| HistoryError::Selector {
            what: format!("`{text}` is not a valid selector: {why}"),
            hint: HINT.to_owned(),
        };
        let (name, rest) = text.split_at(text.find('{').unwrap_or(text.len()));
        let name = name.trim();
        if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':') {
            return Err(wrong("its name has a character that is not allowed"));
        }
        let inside = match rest.strip_prefix('{') {
            None => "",
            Some(rest) => rest.strip_suffix('}').ok_or_else(|| wrong("it does not end in `}`"))?,
        };
        let inside = inside.trim().trim_end_matches(',').trim();
        if name.is_empty() && inside.is_empty() {
            return Err(wrong("it matches every series"));
        }
        let pairs = labels(inside).ok_or_else(|| wrong("a label is not `name=\"value\"`"))?;
        let name = pairs
            .iter()
            .find(|(name, sign, _)| name == "__name__" && *sign == "=")
            .map(|(_, _, value)| value.clone())
            .or_else(|| (!name.is_empty()).then(|| name.to_owned()));
        Ok(Self { text: text.to_owned(), name, inside: inside.to_owned() })
    }

    /// The labels that must have one value, or one of a form: names, signs and values. The metric that
    /// it names is a label too.
    pub(super) fn wanted(&self) -> Vec<(String, &'static str, String)> {
        let named = self.name.iter().map(|name| ("__name__".to_owned(), "=", name.clone()));
        let pairs = labels(&self.inside).unwrap_or_default().into_iter();
        let pairs = pairs.filter(|(name, sign, _)| {
            matches!(*sign, "=" | "=~") && !(self.name.is_some() && name == "__name__")
        });
        pairs.chain(named).collect()
    }

    /// The same selector for these metrics only.
    pub(super) fn of_metrics(&self, names: &[&str]) -> String {
        if self.name.is_some() {
            return self.text.clone();
        }
        let matcher = match names {
            [one] => format!("__name__=\"{}\"", escaped(one)),
            names => {
                let any: Vec<String> = names.iter().map(|name| regex::escape(name)).collect();
                format!("__name__=~\"{}\"", escaped(&any.join("|")))
            }
        };
        format!("{{{matcher},{}}}", self.inside)
    }
}

/// A text inside the quotes of a PromQL string.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// The matchers of a list: name, sign, and value without its quotes.
fn labels(mut rest: &str) -> Option<Vec<(String, &'static str, String)>> {
    let mut labels = Vec::new();
    while !rest.trim().is_empty() {
        rest = rest.trim_start();
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')?;
        let (name, after) = rest.split_at(end);
        let after = after.trim_start();
        let sign = ["=~", "!~", "!=", "="].into_iter().find(|sign| after.starts_with(sign))?;
        let after = after.get(sign.len()..)?.trim_start();
        let quote = after.chars().next().filter(|c| matches!(c, '"' | '\'' | '`'))?;
        let (value, after) = quoted(after.get(1..)?, quote)?;
        if name.is_empty() {
            return None;
        }
        labels.push((name.to_owned(), sign, value));
        rest = after.trim_start();
        if rest.is_empty() {
            break;
        }
        rest = rest.strip_prefix(',')?;
    }
    Some(labels)
}

/// The text up to the closing quote, and what follows it.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            c if c == quote => return Some((value, text.get(at + c.len_utf8()..)?)),
            '\\' if quote != '`' => value.push(chars.next()?.1),
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_is_narrowed_to_metrics() {
        let cases = [
            (r#"{job="shop"}"#, r#"{__name__=~"a|b\\.c",job="shop"}"#),
            (r#" {job=~"s.*", env!="x",} "#, r#"{__name__=~"a|b\\.c",job=~"s.*", env!="x"}"#),
            (r#"up{job="shop"}"#, r#"up{job="shop"}"#),
            (r#"{__name__="up"}"#, r#"{__name__="up"}"#),
        ];
        for (given, narrowed) in cases {
            assert_eq!(Matcher::parse(given).unwrap().of_metrics(&["a", "b.c"]), narrowed);
        }
    }

    #[test]
    fn what_must_be_equal_is_known() {
        let matcher = Matcher::parse(r#"up{job="a,\"b\"}",x!="1",y='2',z=~"c.*"}"#).unwrap();
        let wanted = [
            ("job", "=", "a,\"b\"}"),
            ("y", "=", "2"),
            ("z", "=~", "c.*"),
            ("__name__", "=", "up"),
        ];
        assert_eq!(matcher.wanted(), wanted.map(|(n, s, v)| (n.to_owned(), s, v.to_owned())));
    }

    #[test]
    fn what_is_not_a_selector_is_refused_with_an_example() {
        for bad in
            ["", "{}", "{job=shop}", "job=\"shop\"", "{job=\"shop\"", "{=\"x\"}", "{a=\"b\" c}"]
        {
            let error = Matcher::parse(bad).unwrap_err();
            assert!(error.to_string().contains("is not a valid selector"), "{bad}: {error}");
            assert!(error.hint().is_some_and(|hint| hint.contains("{job=\"shop\"}")));
        }
    }
}
