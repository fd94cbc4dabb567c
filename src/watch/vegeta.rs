//! vegeta: `vegeta attack`, asked to write its results into a file.

use super::ToolSpec;
use super::arguments::pair;
use super::load::Results;

pub(super) static SPEC: ToolSpec = ToolSpec {
    name: "vegeta",
    summary: "vegeta attack: adds `-output=FILE`; each request",
    programs: &["vegeta"],
    ask: |arguments, folder| {
        const ATTACK: &str = "attack";
        if !arguments.has(ATTACK) {
            return None;
        }
        let named = arguments.file(&["-output", "--output"]);
        if let Some(file) = named.filter(|file| file.as_os_str() != "stdout") {
            return Some(Results::of(file));
        }
        let file = folder.join("vegeta.bin");
        arguments.insert_after(ATTACK, [pair("-output=", &file)]);
        Some(Results::of(file))
    },
};
