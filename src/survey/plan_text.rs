//! What was found → the text of a plan with comments. The text has names of variables and never
//! their values.

use super::found::{Runtime, Survey};
use crate::collect::with_defaults;

/// Columns of a comment.
const WIDTH: usize = 100;

/// The plan. `is_set` tells whether a variable is in kneepoint's own environment: a plan that uses
/// another one would be refused, so such a table stands as a comment.
pub fn plan_text(found: &Survey, is_set: impl Fn(&str) -> bool) -> String {
    let mut text = String::new();
    let mut put = |line: &str| {
        text.push_str(line);
        text.push('\n');
    };
    head(found, &mut put);
    put("[target]");
    put(&format!("url = {}", quoted(&found.url)));
    put("");
    requests(found, &mut put);
    load(&mut put);
    canaries(found, &mut put);
    collectors(found, &is_set, &mut put);
    text
}

fn head(found: &Survey, put: &mut impl FnMut(&str)) {
    put(
        "# Made by `kneepoint init` from what the running service showed. Read it before you run it:",
    );
    put("# `kneepoint check` checks it, and `kneepoint run --dry-run` shows what it would send.");
    put("#");
    put("# Found:");
    found.seen().iter().for_each(|line| put(&comment(&format!("- {line}"))));
    if !found.missing.is_empty() {
        put("# Not found:");
        found.missing.iter().for_each(|line| put(&comment(&format!("- {line}"))));
    }
    put("");
}

fn requests(found: &Survey, put: &mut impl FnMut(&str)) {
    put("# What is sent. `weight` is the share of a request: take it from your access log.");
    if found.operations.is_empty() {
        request(&found.path, false, put);
    }
    for operation in &found.operations {
        request(&operation.path, operation.is_secured, put);
    }
    if found.left_out > 0 {
        let path = found.description.as_deref().unwrap_or_default();
        put(&comment(&format!(
            "{} operations are left out. To have them too, with values made up: curl -s {}{path} | \
             kneepoint convert - --out kneepoint-plan",
            found.left_out, found.url
        )));
        put("");
    }
}

fn request(path: &str, is_secured: bool, put: &mut impl FnMut(&str)) {
    put("[[request]]");
    // A brace in a path of a plan begins a value.
    put(&format!("path = {}", quoted(&path.replace('{', "{{").replace('}', "}}"))));
    put("weight = 1");
    if is_secured {
        put("# The description asks for a login:");
        put("# headers = { authorization = \"Bearer ${TOKEN}\" }");
    }
    put("");
}

fn load(put: &mut impl FnMut(&str)) {
    put("# Raises the rate until something breaks, then takes finer steps there.");
    put("[load]");
    put("executor = \"breakpoint\"");
    put("start = \"10/s\"");
    put("max = \"500/s\"");
    put("");
    put("# What users must get. Set it to your own goal.");
    put("[objectives]");
    put("http_req_duration = \"p(95) < 500ms\"");
    put("http_req_failed = \"rate < 1%\"");
    put("");
}

fn canaries(found: &Survey, put: &mut impl FnMut(&str)) {
    if found.health.is_empty() {
        put("# A cheap route that needs no database, probed twice a second beside the load:");
        put("# [[canary]]");
        put("# path = \"/health\"");
        put("");
        return;
    }
    put("# Probed twice a second beside the load. It tells most where it needs no database.");
    for path in &found.health {
        put("[[canary]]");
        put(&format!("path = {}", quoted(path)));
        put("");
    }
}

fn collectors(found: &Survey, is_set: &impl Fn(&str) -> bool, put: &mut impl FnMut(&str)) {
    let names: Vec<String> = with_defaults(Vec::new(), true)
        .into_iter()
        .map(|collector| format!("`{}`", collector.name))
        .collect();
    put(&comment(&format!(
        "What is watched. These open by themselves where the target runs on this machine: {}. \
         `kneepoint coverage` says, for this plan, which causes could be named and what one line \
         would add.",
        names.join(", ")
    )));
    put("");
    for metrics in &found.metrics {
        put("[[collect.prometheus]]");
        put(&format!("url = {}", quoted(&metrics.url)));
        put("");
    }
    postgres(found, is_set, put);
    if !found.logs.is_empty() {
        let files: Vec<String> =
            found.logs.iter().map(|path| quoted(&path.to_string_lossy())).collect();
        put("[collect.logs]");
        put(&format!("files = [{}]", files.join(", ")));
        put("");
    }
    if found.runtimes.contains(&Runtime::Go) {
        put("# A Go program shows its goroutines where it imports net/http/pprof:");
        put("# [collect.stacks]");
        put("# go = \"http://127.0.0.1:6060/debug/pprof\"");
        put("");
    }
}

/// The table of the database. A password is never written: a variable stands for it.
fn postgres(found: &Survey, is_set: &impl Fn(&str) -> bool, put: &mut impl FnMut(&str)) {
    let variable = found.variables.iter().find(|variable| variable.is_postgres_url);
    if found.databases.is_empty() && variable.is_none() {
        return;
    }
    let name = variable.map_or("DATABASE_URL", |variable| variable.name.as_str());
    let url = quoted(&format!("${{{name}}}"));
    put("# The database, best with a role in pg_monitor.");
    if is_set(name) {
        put("[collect.postgres]");
        put(&format!("url = {url}"));
    } else {
        put(&comment(&format!(
            "Set {name} where kneepoint runs, as `postgres://USER:PASSWORD@{}/DATABASE`, then remove the \
             two signs below.",
            found.databases.first().map_or_else(|| "HOST:5432".to_owned(), ToString::to_string)
        )));
        put("# [collect.postgres]");
        put(&format!("# url = {url}"));
    }
    put("");
}

/// A text as TOML has it in quotes.
fn quoted(text: &str) -> String {
    toml_edit::Value::from(text).to_string()
}

/// A comment, in lines that an editor shows whole. What comes from outside may hold line breaks.
fn comment(text: &str) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let indent = if text.starts_with("- ") { "#   " } else { "# " };
    let mut lines = vec!["#".to_owned()];
    for word in clean.split_whitespace() {
        let fits = |line: &&mut String| line.chars().count() + 1 + word.chars().count() <= WIDTH;
        match lines.last_mut().filter(fits) {
            Some(line) => *line = format!("{line} {word}"),
            None => lines.push(format!("{indent}{word}")),
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::super::found::{Metrics, Operation, Variable};
    use super::*;

    fn everything() -> Survey {
        Survey {
            url: "http://127.0.0.1:8080".to_owned(),
            path: "/".to_owned(),
            processes: Some("pid 42 (shop)".to_owned()),
            runtimes: vec![Runtime::Go],
            variables: vec![Variable { name: "DATABASE_URL".to_owned(), is_postgres_url: true }],
            logs: vec!["/var/log/a \"b\"\n[x].log".into()],
            databases: vec!["127.0.0.1:5432".parse().unwrap()],
            peers: [("10.0.0.7:6379".parse().unwrap(), 3)].into(),
            metrics: vec![Metrics {
                url: "http://127.0.0.1:8080/metrics".to_owned(),
                has: "12 series".to_owned(),
            }],
            health: vec!["/healthz".to_owned()],
            description: Some("/openapi.json".to_owned()),
            operations: vec![Operation { path: "/a{b}".to_owned(), is_secured: true }],
            left_out: 2,
            missing: vec!["what\nis missing".to_owned()],
        }
    }

    /// The collectors of the plan are checked where the whole program is: tests/survey.rs.
    #[test]
    fn the_text_is_toml_and_holds_what_was_found() {
        let text = plan_text(&everything(), |_| true);
        let plan: toml::Table = toml::from_str(&text).unwrap();
        assert_eq!(plan["request"][0]["path"].as_str(), Some("/a{{b}}"));
        assert_eq!(plan["collect"]["postgres"]["url"].as_str(), Some("${DATABASE_URL}"));
        assert_eq!(plan["canary"][0]["path"].as_str(), Some("/healthz"));
        let log = plan["collect"]["logs"]["files"][0].as_str();
        assert_eq!(log, Some("/var/log/a \"b\"\n[x].log"));
        assert!(text.contains("# - what is missing\n"), "{text}");
    }

    #[test]
    fn a_variable_that_is_not_set_stands_in_a_comment() {
        let text = plan_text(&everything(), |_| false);
        let plan: toml::Table = toml::from_str(&text).unwrap();
        assert!(plan["collect"].get("postgres").is_none(), "{text}");
        assert!(text.contains("# url = \"${DATABASE_URL}\""), "{text}");
        let nothing =
            Survey { url: "http://a".to_owned(), path: "/x".to_owned(), ..Survey::default() };
        let plan: toml::Table = toml::from_str(&plan_text(&nothing, |_| true)).unwrap();
        assert_eq!(plan["request"][0]["path"].as_str(), Some("/x"));
        assert!(plan.get("collect").is_none());
    }
}
