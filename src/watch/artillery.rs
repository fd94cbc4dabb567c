//! Artillery: `artillery run`, asked for its report.

use std::ffi::OsString;

use super::ToolSpec;
use super::load::Results;

pub(super) static SPEC: ToolSpec = ToolSpec {
    name: "artillery",
    summary: "artillery run: adds `--output FILE`; counts of each ten seconds",
    programs: &["artillery"],
    ask: |arguments, folder| {
        let run = ["run", "quick"].into_iter().find(|word| arguments.has(word))?;
        if let Some(file) = arguments.file(&["--output", "-o"]) {
            return Some(Results::of(file));
        }
        let file = folder.join("artillery.json");
        arguments.insert_after(run, [OsString::from("--output"), file.clone().into()]);
        Some(Results::of(file))
    },
};
