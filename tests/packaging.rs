//! What surrounds the program: its licences, and the action that runs a plan in a workflow.
#![expect(clippy::unwrap_used, reason = "a test that cannot read its files has failed")]

#[path = "target/mod.rs"]
#[allow(dead_code, reason = "other tests use more of it")]
mod target;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use target::{KNEEPOINT, Server, write_plan};

fn at(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// What the action's script wrote, by the file that a workflow hands to it.
struct Ended {
    output: Output,
    summary: String,
    outputs: String,
}

/// A call of the action's script on a plan, as a workflow makes it.
fn call(directory: &Path, plan: &Path, fail: bool) -> Command {
    let programs = Path::new(KNEEPOINT).parent().unwrap().to_str().unwrap();
    let path = format!("{programs}:{}", std::env::var("PATH").unwrap());
    let mut command = Command::new(at("action/run"));
    command
        .env("PATH", path)
        .env("KNEEPOINT_PLAN", plan)
        .env("KNEEPOINT_OUT", directory.join("out"))
        .env("KNEEPOINT_FAIL", fail.to_string())
        .env("GITHUB_STEP_SUMMARY", directory.join("summary"))
        .env("GITHUB_OUTPUT", directory.join("outputs"));
    command
}

/// Runs the script of the action on a plan.
fn action(directory: &Path, plan: &Path, fail: bool) -> Ended {
    let output = call(directory, plan, fail).output().unwrap();
    let read = |name: &str| fs::read_to_string(directory.join(name)).unwrap_or_default();
    Ended { output, summary: read("summary"), outputs: read("outputs") }
}

#[test]
fn the_licences_that_the_package_names_are_there() {
    let manifest: toml::Table = fs::read_to_string(at("Cargo.toml")).unwrap().parse().unwrap();
    let named = manifest["package"]["license"].as_str().unwrap();
    for licence in named.split(" OR ") {
        let file = format!("LICENSE-{}", licence.split('-').next().unwrap().to_uppercase());
        assert!(at(&file).exists(), "`{licence}` has no {file}");
    }
}

#[test]
fn the_action_annotates_the_plan_with_the_verdict() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start();
    let plan = format!(
        "[target]\nurl = \"{}\"\n[[request]]\npath = \"/\"\n[load]\n\
         executor = \"constant-arrival-rate\"\nrate = \"50/s\"\nduration = \"4s\"\n",
        server.url()
    );
    let plan = write_plan(directory.path(), &plan);
    let ended = action(directory.path(), &plan, false);
    let printed = String::from_utf8(ended.output.stdout).unwrap();
    assert!(ended.output.status.success(), "{printed}");
    let annotation = printed.lines().find(|line| line.starts_with("::")).unwrap_or_default();
    let (command, verdict) = annotation[2..].split_once("::").unwrap();
    assert!(command.contains(" file=") && command.ends_with("title=kneepoint"), "{command}");
    assert!(!verdict.is_empty(), "{printed}");
    assert!(ended.summary.contains(verdict), "{}", ended.summary);
    assert!(ended.outputs.contains(&format!("verdict={verdict}\n")), "{}", ended.outputs);
    assert!(ended.outputs.starts_with("exit-code="), "{}", ended.outputs);
}

#[test]
fn the_action_fails_where_the_plan_is_wrong() {
    let directory = tempfile::tempdir().unwrap();
    let plan = write_plan(directory.path(), "[target]\nurl = 5\n");
    let ended = action(directory.path(), &plan, true);
    assert_eq!(ended.output.status.code(), Some(104));
    let printed = String::from_utf8(ended.output.stdout).unwrap();
    assert!(printed.starts_with("::error file="), "{printed}");
    assert!(ended.outputs.contains("exit-code=104\n"), "{}", ended.outputs);
}

#[test]
fn the_action_gates_a_build_and_keeps_its_first_baseline() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start();
    let plan = format!(
        "[target]\nurl = \"{}\"\n[[request]]\npath = \"/\"\n[load]\n\
         executor = \"constant-arrival-rate\"\nrate = \"50/s\"\nduration = \"4s\"\n\
         [gate]\nduration = \"2s\"\nruns = 1\n",
        server.url()
    );
    let plan = write_plan(directory.path(), &plan);
    let store = directory.path().join("a store");
    let arguments = format!("--add --branch main --store '{}'", store.display());
    let gate = |command: &str| {
        let mut call = call(directory.path(), &plan, true);
        call.env("KNEEPOINT_COMMAND", command).env("KNEEPOINT_ARGUMENTS", &arguments);
        call.output().unwrap()
    };
    let first = gate("gate");
    assert!(first.status.success(), "{}", String::from_utf8_lossy(&first.stderr));
    assert!(store.is_dir(), "quoted arguments stay whole");
    assert_eq!(gate("gat").status.code(), Some(104));
}
