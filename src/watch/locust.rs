//! Locust, asked for the history of its statistics.

use std::ffi::OsString;
use std::path::PathBuf;

use super::ToolSpec;
use super::load::Results;

pub(super) static SPEC: ToolSpec = ToolSpec {
    name: "locust",
    summary: "locust: adds `--csv PREFIX` and `--csv-full-history`; counts of each second",
    programs: &["locust"],
    ask: |arguments, folder| {
        const HISTORY: &str = "--csv-full-history";
        let prefix = arguments.file(&["--csv"]);
        if prefix.is_none() {
            arguments.push([OsString::from("--csv"), folder.join("locust").into()]);
        }
        if !arguments.has(HISTORY) {
            arguments.push([HISTORY]);
        }
        let mut file: OsString = prefix.unwrap_or_else(|| folder.join("locust")).into();
        file.push("_stats_history.csv");
        Some(Results::of(PathBuf::from(file)))
    },
};
