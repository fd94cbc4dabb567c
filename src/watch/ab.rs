//! ApacheBench, asked for a table of its requests.

use std::ffi::OsString;

use super::ToolSpec;
use super::load::Results;

pub(super) static SPEC: ToolSpec = ToolSpec {
    name: "ab",
    summary: "ab: adds `-g FILE`; each request, by whole seconds",
    programs: &["ab"],
    ask: |arguments, folder| {
        if let Some(file) = arguments.file(&["-g"]) {
            return Some(Results::of(file));
        }
        let file = folder.join("ab.tsv");
        arguments.insert_first([OsString::from("-g"), file.clone().into()]);
        Some(Results::of(file))
    },
};
