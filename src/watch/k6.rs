//! k6: `k6 run`, asked for its requests as CSV.

use super::ToolSpec;
use super::arguments::pair;
use super::load::Results;

pub(super) static SPEC: ToolSpec = ToolSpec {
    name: "k6",
    summary: "k6 run: adds `--out csv=FILE`, unless a CSV or JSON output is asked for; each request",
    programs: &["k6"],
    ask: |arguments, folder| {
        if !arguments.has("run") {
            return None;
        }
        let outputs = arguments.values(&["--out", "-o"]);
        let file = |output: &String| {
            output.strip_prefix("csv=").or_else(|| output.strip_prefix("json=")).map(Into::into)
        };
        if let Some(file) = outputs.iter().find_map(file) {
            return Some(Results::of(file));
        }
        let file = folder.join("k6.csv");
        arguments.insert_after("run", ["--out".into(), pair("csv=", &file)]);
        // Its default is whole seconds (k6 documentation, "CSV").
        arguments.set("K6_CSV_TIME_FORMAT", "unix_micro");
        Some(Results::of(file))
    },
};
