//! Taurus, told where to leave the results of the tool that it runs.

use std::ffi::OsString;

use super::ToolSpec;
use super::arguments::pair;
use super::load::Results;

pub(super) static SPEC: ToolSpec = ToolSpec {
    name: "taurus",
    summary: "bzt: adds `-o settings.artifacts-dir=DIR`; each sample of JMeter, as `kpi.jtl`",
    programs: &["bzt"],
    ask: |arguments, folder| {
        let artifacts = folder.join("taurus");
        arguments.push([OsString::from("-o"), pair("settings.artifacts-dir=", &artifacts)]);
        Some(Results::of(artifacts.join("kpi.jtl")))
    },
};
