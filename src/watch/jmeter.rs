//! JMeter without its window, asked for a log of its samples (JTL).

use std::ffi::OsString;

use super::ToolSpec;
use super::load::Results;

pub(super) static SPEC: ToolSpec = ToolSpec {
    name: "jmeter",
    summary: "jmeter -n: adds `-l FILE`; each sample",
    programs: &["jmeter", "jmeter.sh"],
    ask: |arguments, folder| {
        if !arguments.has("-n") && !arguments.has("--nongui") {
            return None;
        }
        if let Some(file) = arguments.file(&["-l", "--logfile"]) {
            return Some(Results::of(file));
        }
        let file = folder.join("jmeter.jtl");
        arguments.push([OsString::from("-l"), file.clone().into()]);
        Some(Results::of(file))
    },
};
