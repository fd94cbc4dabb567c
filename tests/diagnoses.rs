//! The demo end to end: a real shop with a real fault, and the cause that the diagnosis names.
//!
//! By default one fault is shown, so that the tests stay short. `KNEEPOINT_DEMO` names others,
//! or `all`; `KNEEPOINT_BIN` is the program to run, such as a release build.
#![expect(clippy::print_stderr, reason = "the table is for whoever runs the tests by hand")]

use std::path::Path;
use std::process::Command;

use kneepoint::demo::{FAULTS, Fault, find_postgres};
use serde_json::Value;

fn program() -> String {
    std::env::var("KNEEPOINT_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_kneepoint").to_owned())
}

fn chosen() -> Vec<&'static Fault> {
    let wanted = std::env::var("KNEEPOINT_DEMO").unwrap_or_else(|_| "single-thread".to_owned());
    if wanted == "all" {
        return FAULTS.to_vec();
    }
    wanted
        .split_whitespace()
        .map(|name| {
            FAULTS.iter().copied().find(|fault| fault.name == name).expect("a fault of the demo")
        })
        .collect()
}

/// Runs the demo with `fault`; the JSON that it printed.
fn demo(fault: &Fault, out: &Path) -> Value {
    let output = Command::new(program())
        .args(["demo", fault.name, "--format", "json", "--out"])
        .arg(out)
        .output()
        .expect("the program starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{}: stdout is no JSON: {error}\n{stderr}", fault.name))
}

// One test for all: two demos at once would be each other's noisy neighbour.
#[test]
fn each_chosen_fault_is_named_first_and_a_healthy_shop_is_not_accused() {
    let mut wrong = Vec::new();
    for fault in chosen() {
        if fault.needs_postgres && find_postgres().is_none() {
            eprintln!("{}: left out, PostgreSQL is not installed", fault.name);
            continue;
        }
        let out = tempfile::tempdir().expect("a temporary directory");
        let report = demo(fault, out.path());
        let diagnosis = &report["diagnosis"];
        let first = diagnosis["findings"][0]["rule"].as_str();
        eprintln!(
            "{:<17} {:<12} knee {:>8.1}/s  {} ({})",
            fault.name,
            diagnosis["outcome"]["kind"].as_str().unwrap_or("?"),
            diagnosis["knee"]["rate"].as_f64().unwrap_or(f64::NAN),
            first.unwrap_or("no finding"),
            diagnosis["findings"][0]["confidence"].as_str().unwrap_or("-"),
        );
        if first != fault.expected_rule {
            let findings = serde_json::to_string_pretty(&diagnosis["findings"]).unwrap_or_default();
            wrong.push(format!(
                "{}: {first:?}, not {:?}\n{findings}",
                fault.name, fault.expected_rule
            ));
        }
        for file in ["recording.jsonl.zst", "report.html", "report.json", "charts"] {
            assert!(out.path().join(file).exists(), "{}: no {file}", fault.name);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
