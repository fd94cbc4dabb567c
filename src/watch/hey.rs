//! hey, asked for its requests in place of its summary.

use super::load::Results;
use super::{ToolSpec, file_in};

pub(super) static SPEC: ToolSpec = ToolSpec {
    name: "hey",
    summary: "hey: adds `-o csv` and keeps what it prints; each request, in place of its summary",
    programs: &["hey"],
    ask: |arguments, folder| {
        if arguments.values(&["-o"]).is_empty() {
            arguments.insert_first(["-o", "csv"]);
        }
        let file = file_in(folder, "hey.csv");
        arguments.print_into(file.clone());
        Some(Results::of(file))
    },
};
