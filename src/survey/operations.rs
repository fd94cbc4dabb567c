//! The operations of an OpenAPI description that need no values: `GET` without required parameters.

use serde_json::{Map, Value};

use super::found::Operation;

/// Operations that a plan begins with. More would be a plan that nobody reads.
const MOST_OPERATIONS: usize = 50;

/// The operations of a description.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Operations {
    /// Those that can be sent as they are.
    pub(super) simple: Vec<Operation>,
    /// How many others there are.
    pub(super) left_out: usize,
}

/// The methods that a description may have for a path (OpenAPI 3.1, Path Item Object).
const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// Reads a description; `None` where the bytes are not one of OpenAPI 3 or Swagger 2 in JSON.
pub(super) fn operations(bytes: &[u8]) -> Option<Operations> {
    let root: Value = serde_json::from_slice(bytes).ok()?;
    root.get("openapi").or_else(|| root.get("swagger"))?;
    let (base, secured) = (base(&root), asks_for_login(&root));
    let mut found = Operations::default();
    for (path, item) in root.get("paths")?.as_object()? {
        let Some(item) = item.as_object() else { continue };
        for method in METHODS {
            let Some(operation) = item.get(method) else { continue };
            let is_simple = method == "get"
                && !needs_values(&root, path, item, operation)
                && found.simple.len() < MOST_OPERATIONS;
            match is_simple {
                true => found.simple.push(Operation {
                    path: format!("{base}{path}"),
                    is_secured: asks_for_login_of(operation).unwrap_or(secured),
                }),
                false => found.left_out += 1,
            }
        }
    }
    Some(found)
}

/// The path in front of all others: of the first server (OpenAPI 3), or `basePath` (Swagger 2).
fn base(root: &Value) -> String {
    let server = root.pointer("/servers/0/url").and_then(Value::as_str);
    let base = match server {
        Some(url) => match url.split_once("://") {
            Some((_, rest)) => rest.find('/').map_or("", |at| &rest[at..]),
            None => url,
        },
        None => root.get("basePath").and_then(Value::as_str).unwrap_or_default(),
    };
    // A server with variables, such as `/{version}`, has no path that is known.
    let is_path = base.starts_with('/') && !base.contains('{');
    if is_path { base.trim_end_matches('/').to_owned() } else { String::new() }
}

fn asks_for_login(root: &Value) -> bool {
    asks_for_login_of(root).unwrap_or(false)
}

/// Whether `security` names a scheme; `None` where there is no such field. An empty requirement
/// means that a login is not needed.
fn asks_for_login_of(node: &Value) -> Option<bool> {
    let all = node.get("security")?.as_array()?;
    let is_empty = |one: &Value| one.as_object().is_none_or(Map::is_empty);
    Some(!all.is_empty() && !all.iter().any(is_empty))
}

fn needs_values(root: &Value, path: &str, item: &Map<String, Value>, operation: &Value) -> bool {
    let own = operation.get("parameters").and_then(Value::as_array);
    let shared = item.get("parameters").and_then(Value::as_array);
    let mut all = own.into_iter().chain(shared).flatten();
    let is_required = |parameter: &Value| {
        let reference = parameter.get("$ref").and_then(Value::as_str);
        let parameter = match reference {
            Some(reference) => reference.strip_prefix('#').and_then(|it| root.pointer(it)),
            None => Some(parameter),
        };
        // What cannot be found may be required.
        parameter.is_none_or(|it| it.get("required").and_then(Value::as_bool).unwrap_or(false))
    };
    path.contains('{') || !path.starts_with('/') || all.any(is_required)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_reads_without_values_are_taken() {
        let text = br##"{"openapi":"3.1.0","servers":[{"url":"https://shop.example/api/v3/"}],
            "security":[{"key":[]}],
            "components":{"parameters":{"tenant":{"in":"header","name":"t","required":true}}},
            "paths":{
              "/products":{"get":{"parameters":[{"in":"query","name":"page"}]},"post":{}},
              "/open":{"get":{"security":[]}},
              "/products/{id}":{"get":{}},
              "/search":{"get":{"parameters":[{"in":"query","name":"q","required":true}]}},
              "/mine":{"parameters":[{"$ref":"#/components/parameters/tenant"}],"get":{}},
              "/lost":{"get":{"parameters":[{"$ref":"other.json#/x"}]}}}}"##;
        let found = operations(text).unwrap();
        let of = |path: &str, is_secured| Operation { path: path.to_owned(), is_secured };
        // Object keys come in their order of the alphabet or of the text; either is fine.
        let mut simple = found.simple.clone();
        simple.sort_by(|one, other| one.path.cmp(&other.path));
        assert_eq!(simple, [of("/api/v3/open", false), of("/api/v3/products", true)]);
        assert_eq!(found.left_out, 5);
        let old = br#"{"swagger":"2.0","basePath":"/v2","paths":{"/pets":{"get":{}}}}"#;
        assert_eq!(operations(old).unwrap().simple, [of("/v2/pets", false)]);
    }

    #[test]
    fn what_is_not_a_description_is_not_read() {
        for text in ["", "{}", "[1]", "<html>", r#"{"paths":{}}"#, r#"{"openapi":"3.0.0"}"#] {
            assert_eq!(operations(text.as_bytes()), None, "{text}");
        }
        let odd = r#"{"openapi":1,"paths":{"x":{"get":1},"/y":2,"/z":{"get":null}}}"#;
        assert_eq!(operations(odd.as_bytes()).unwrap().simple.len(), 1);
    }
}
