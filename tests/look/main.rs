//! How a run is seen while it goes on, and its report afterwards: by a person at a terminal, with
//! tmux, and in a browser, with Chromium. Where a machine has neither, these tests say so and pass.
#![allow(clippy::unwrap_used, reason = "a test that cannot read its files has failed")]

mod access;
mod browser;
mod many;
mod page;
#[path = "../program/mod.rs"]
mod program;
mod report;
#[path = "../target/mod.rs"]
#[allow(dead_code, reason = "other tests use more of it")]
mod target;
mod terminal;

use std::io::{BufRead, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use program::program;

/// A run with a page, not at a terminal.
struct Run {
    child: Child,
    url: String,
    stderr: BufReader<std::process::ChildStderr>,
}

impl Run {
    fn start(arguments: &[&str], out: &Path) -> Self {
        let mut command = Command::new(program());
        command.args(arguments).arg("--out").arg(out);
        Self::of(command)
    }

    fn view(recording: &Path) -> Self {
        let mut command = Command::new(program());
        command.arg("view").arg(recording);
        Self::of(command)
    }

    fn of(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        let mut said = String::new();
        let url = loop {
            line.clear();
            assert!(stderr.read_line(&mut line).unwrap() > 0, "no address in:\n{said}");
            said.push_str(&line);
            if let Some((_, url)) = line
                .split_once("http://127.0.0.1:")
                .filter(|_| line.contains("live page") || line.contains("report is at"))
            {
                let url = url.split_whitespace().next().unwrap();
                break format!("http://127.0.0.1:{url}");
            }
        };
        Self { child, url, stderr }
    }

    /// Waits for its end; what it still said, and its exit code.
    fn end(mut self) -> (String, Option<i32>) {
        let mut said = String::new();
        self.stderr.read_to_string(&mut said).unwrap();
        (said, self.child.wait().unwrap().code())
    }

    fn interrupt(&self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    }
}

fn has(program: &str) -> bool {
    let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).output();
    let found = found.is_ok_and(|output| output.status.success());
    if !found {
        #[allow(clippy::print_stderr, reason = "whoever runs the tests is told what was left out")]
        {
            eprintln!("`{program}` is not installed: nothing is tested with it");
        }
    }
    found
}
