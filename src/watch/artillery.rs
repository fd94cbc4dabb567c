//! Artillery: `artillery run`, asked for its report.

use std::ffi::OsString;

use super::load::Results;
use super::{ToolSpec, file_in};

pub(super) static SPEC: ToolSpec = ToolSpec {
    name: "artillery",
    summary: "artillery run: adds `--output FILE`; counts of each ten seconds",
    programs: &["artillery"],
    ask: |arguments, folder| {
        let run = ["run", "quick"].into_iter().find(|word| arguments.has(word))?;
        if let Some(file) = arguments.file(&["--output", "-o"]) {
            return Some(Results::of(file));
        }
        let file = file_in(folder, "artillery.json");
        arguments.insert_after(run, [OsString::from("--output"), file.clone().into()]);
        Some(Results::of(file))
    },
};
