//! hey, asked for its requests in place of its summary.

use super::ToolSpec;
use super::load::Results;

pub(super) static SPEC: ToolSpec = ToolSpec {
    name: "hey",
    summary: "hey: adds `-o csv` and keeps what it prints; each request, in place of its summary",
    programs: &["hey"],
    ask: |arguments, folder| {
        if arguments.values(&["-o"]).is_empty() {
            arguments.insert_first(["-o", "csv"]);
        }
        let file = folder.join("hey.csv");
        arguments.print_into(file.clone());
        Some(Results::of(file))
    },
};
