//! From paths to patterns: which parts of a path are values.

use crate::access_log::{self, unescaped, varies};
use crate::convert::http::sendable;
use crate::plan::is_secret_name;

/// Names of the values of a path and of its query, in the order of a row. Three parts of a path
/// may be values; where there are more, the third one is all that follows it.
pub(super) const COLUMNS: [&str; 4] = ["id", "id2", "id3", "query"];
/// Index of the query in [`COLUMNS`].
pub(super) const QUERY: usize = 3;

/// A request with what varies in it apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    pub(super) method: String,
    /// What the request has in common with others of its kind.
    pub(super) pieces: Vec<Piece>,
    /// What it has not, by [`COLUMNS`]; empty where the pattern has no such piece.
    pub(super) values: [String; COLUMNS.len()],
}

/// A piece of a path with its query.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Piece {
    /// The same in each request.
    Text(String),
    /// A value: its index in [`COLUMNS`].
    Value(usize),
}

/// The pattern of a request, and whether a secret was taken out of it; `None` where the target is
/// no path, such as that of `OPTIONS *`.
pub(super) fn of(method: &str, target: &str) -> Option<(Pattern, bool)> {
    let target = &unescaped(target);
    let path = access_log::path(target)?;
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let mut values: [String; COLUMNS.len()] = Default::default();
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut found = 0;
    let segments: Vec<&str> = path[1..].split('/').collect();
    let varying = segments.iter().filter(|segment| varies(segment)).count();
    for (index, segment) in segments.iter().enumerate() {
        text.push('/');
        if !varies(segment) {
            text.push_str(&sendable(segment));
            continue;
        }
        pieces.push(Piece::Text(std::mem::take(&mut text)));
        pieces.push(Piece::Value(found));
        if found + 1 == QUERY && varying > QUERY {
            values[found] = sendable(&segments[index..].join("/"));
            break;
        }
        values[found] = sendable(segment);
        found += 1;
    }
    let (query, secret) = without_secrets(query);
    if !query.is_empty() {
        text.push('?');
        pieces.push(Piece::Text(std::mem::take(&mut text)));
        pieces.push(Piece::Value(QUERY));
        values[QUERY] = query;
    }
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
    Some((Pattern { method: method.to_owned(), pieces, values }, secret))
}

/// A query without the parameters that are secret by their names.
fn without_secrets(query: &str) -> (String, bool) {
    let pairs: Vec<&str> = query.split('&').filter(|pair| !pair.is_empty()).collect();
    let secret = |pair: &&&str| is_secret_name(pair.split('=').next().unwrap_or_default());
    let found = pairs.iter().any(|pair| secret(&pair));
    let kept: Vec<&str> = pairs.iter().filter(|pair| !secret(pair)).copied().collect();
    (sendable(&kept.join("&")), found)
}

impl Pattern {
    /// The pattern in the manner of routers: `GET /item/:id`.
    pub(super) fn name(&self) -> String {
        let mut name = format!("{} ", self.method);
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => name.push_str(text.trim_end_matches('?')),
                Piece::Value(QUERY) => name.push('?'),
                Piece::Value(index) => name.push_str(&format!(":{}", COLUMNS[*index])),
            }
        }
        name
    }

    /// The whole path with its query.
    fn path(&self) -> String {
        let part = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Value(index) => self.values[*index].clone(),
        };
        self.pieces.iter().map(part).collect()
    }

    /// The first part of the path, unless it is a value.
    pub(super) fn begin(&self) -> Option<String> {
        let Some(Piece::Text(text)) = self.pieces.first() else { return None };
        let first = text.trim_start_matches('/').split(['/', '?']).next().unwrap_or_default();
        // Without a `/` behind it, it is the whole path and has nothing below it.
        (!first.is_empty() && text.len() > first.len() + 1).then(|| first.to_owned())
    }

    /// The same request in a pattern that holds everything, or everything below its first part.
    pub(super) fn widened(&self, below: Option<&str>) -> Pattern {
        let begin = below.map_or_else(|| "/".to_owned(), |below| format!("/{below}/"));
        let path = self.path();
        let mut values: [String; COLUMNS.len()] = Default::default();
        path.strip_prefix(&begin).unwrap_or_default().clone_into(&mut values[0]);
        let pieces = vec![Piece::Text(begin), Piece::Value(0)];
        Pattern { method: self.method.clone(), pieces, values }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(target: &str) -> String {
        of("GET", target).unwrap().0.name()
    }

    #[test]
    fn values_are_told_from_names() {
        for (target, pattern) in [
            ("/", "GET /"),
            ("/item/17", "GET /item/:id"),
            ("/item/17/", "GET /item/:id/"),
            ("/v1/cart", "GET /v1/cart"),
            ("/img/4711.jpg", "GET /img/:id"),
            ("/o/6f1c1a52-1f5e-4f0e-9d0b-0c7f7a0f3b11/pay", "GET /o/:id/pay"),
            ("/static/deadbee0", "GET /static/:id"),
            ("/u/7/o/9/l/3", "GET /u/:id/o/:id2/l/:id3"),
            ("/u/7/o/9/l/3/x/4/y", "GET /u/:id/o/:id2/l/:id3"),
            ("/s?q=a&page=2", "GET /s?"),
            ("/day/2026-03-01", "GET /day/:id"),
            ("http://shop:80/item/3", "GET /item/:id"),
            ("/facade/about-us", "GET /facade/about-us"),
        ] {
            assert_eq!(name(target), pattern, "{target}");
            let pattern = of("GET", target).unwrap().0;
            assert!(target.ends_with(&pattern.path()), "{target}");
        }
        assert_eq!(of("OPTIONS", "*"), None);
        assert_eq!(name(r"/caf\xC3\xA9"), "GET /caf%C3%A9");
    }

    #[test]
    fn secrets_of_queries_are_left_out() {
        let (pattern, secret) = of("GET", "/s?q=a&token=hush&b=1").unwrap();
        assert!(secret);
        assert_eq!(pattern.values[QUERY], "q=a&b=1");
    }
}
