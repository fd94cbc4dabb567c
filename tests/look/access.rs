//! Whether everybody can read the pages: an audit by axe-core, which npm fetches. Where there is no
//! npm, or it cannot fetch, these tests say so and pass.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::Run;
use super::browser::Browser;
use super::target::{KNEEPOINT, Server};

/// What is fetched, from whatever registry npm is set up for.
const AXE: &str = "axe-core@4.14.1";

/// axe-core's script.
fn axe() -> Option<String> {
    if !super::has("npm") {
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let run = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        let output = command.args(arguments).current_dir(folder.path()).output();
        output.is_ok_and(|output| output.status.success())
    };
    let script = run("npm", &["install", "--silent", "--no-audit", "--no-fund", AXE])
        .then(|| std::fs::read_to_string(folder.path().join("node_modules/axe-core/axe.min.js")));
    match script {
        Some(Ok(script)) => Some(script),
        Some(Err(_)) | None => {
            #[allow(
                clippy::print_stderr,
                reason = "whoever runs the tests is told what was left out"
            )]
            {
                eprintln!("npm cannot fetch `{AXE}`: the pages are not audited");
            }
            None
        }
    }
}

/// Runs the audit on the page as it is; what it found that hinders somebody seriously.
fn serious(browser: &mut Browser, axe: &str) -> Vec<String> {
    browser.eval(&format!("{axe};0"));
    let found = browser.eval(
        "axe.run({ resultTypes: ['violations'] }).then(function (found) { return {\
         passes: found.passes.length,\
         violations: found.violations.map(function (it) { return { impact: it.impact, text: it.id + ', ' +\
         it.nodes.length + ' times: ' + it.help + ': ' + it.nodes[0].html.slice(0, 200) }; }) }; })",
    );
    // A page on which nothing was checked would have no violation either.
    assert!(found["passes"].as_u64() > Some(15), "{found}");
    let is_serious = |it: &&Value| it["impact"] == "serious" || it["impact"] == "critical";
    let all = found["violations"].as_array().unwrap().iter().filter(is_serious);
    all.map(|it| it["text"].as_str().unwrap().to_owned()).collect()
}

/// On a desk and on a phone, in both themes.
fn audit(browser: &mut Browser, axe: &str, name: &str) {
    for width in [1280, 320] {
        browser.size(width, 900);
        for theme in ["light", "dark"] {
            browser.media(theme, false);
            let found = serious(browser, axe);
            assert!(found.is_empty(), "{name}, {width} px, {theme}: {found:#?}");
        }
    }
    browser.size(1280, 900);
    browser.media("light", false);
}

fn recording(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/recordings/{name}.jsonl.zst"))
}

fn written(arguments: &[&str], file: &Path) -> String {
    let output = Command::new(KNEEPOINT).args(arguments).output().unwrap();
    assert!(!output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::write(file, output.stdout).unwrap();
    format!("file://{}", file.display())
}

#[test]
fn everybody_can_read_reports_and_comparisons() {
    let Some(axe) = axe() else { return };
    let Some(mut browser) = Browser::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (pool, leak) = (recording("pool-small"), recording("leak"));
    let (pool, leak) = (pool.to_str().unwrap(), leak.to_str().unwrap());
    let none = recording("none");

    let page = written(
        &["compare", none.to_str().unwrap(), pool, "--format", "html"],
        &folder.path().join("comparison.html"),
    );
    browser.open(&page);
    audit(&mut browser, &axe, "comparison");

    let page = written(&["report", leak, "--format", "html=-"], &folder.path().join("soak.html"));
    browser.open(&page);
    audit(&mut browser, &axe, "report of a soak");

    let run = Run::view(Path::new(pool));
    browser.open(&run.url);
    browser.wait("!document.getElementById('hint').hidden");
    audit(&mut browser, &axe, "viewer");
    browser.eval("document.querySelector('tr[data-window] button').click()");
    browser.eval("document.querySelector('#time-load .legend button').click()");
    audit(&mut browser, &axe, "viewer with evidence and a legend chosen");
    // The audit sees what it is there to see.
    browser.eval("document.querySelector('main').append(document.createElement('button'))");
    let found = serious(&mut browser, &axe);
    assert!(found.iter().any(|it| it.starts_with("button-name")), "{found:?}");
    run.interrupt();
    run.end();
}

#[test]
fn everybody_can_read_the_live_page() {
    let Some(axe) = axe() else { return };
    let Some(mut browser) = Browser::start() else { return };
    let server = Server::start();
    let out = tempfile::tempdir().unwrap();
    let url = format!("{}/missing", server.url());
    let arguments = [
        "run",
        &url,
        "--live",
        "--control",
        "--allow-failing",
        "--start",
        "20/s",
        "--max",
        "400/s",
        "--hold",
        "9s",
    ];
    let run = Run::start(&arguments, out.path());
    browser.open(&run.url);
    browser.wait("document.querySelectorAll('#numbers li').length > 5");
    browser.wait("document.querySelectorAll('#errors tr').length > 0");
    audit(&mut browser, &axe, "live page");
    run.interrupt();
    run.end();
}
