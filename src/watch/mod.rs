//! Watches a target while another tool, or somebody else, makes the load: runs the tool's command,
//! collects as a run does, and records the load from the best source there is, on the same clock.
//!
//! The recording is written as it comes. The load is added once the command has ended: most tools
//! buffer what they write. If kneepoint is killed before that, the results of the tool lie beside
//! the recording, and `kneepoint import --into` joins them.

mod arguments;
mod command;
mod load;
mod session;
mod sockets;

use std::ffi::OsString;
use std::path::Path;

pub use self::arguments::Arguments;
pub use self::command::{Command, Ended};
pub use self::load::{LoadError, Results, join};
pub use self::session::{Session, WatchError, Watched, watch};
use crate::registry::registry;

/// A load tool whose results can be had without a change of its script.
pub struct ToolSpec {
    /// Its name.
    pub name: &'static str,
    /// One line for `kneepoint list tools`: what is added to its arguments, and what that gives.
    pub summary: &'static str,
    /// File names of its program.
    programs: &'static [&'static str],
    /// Adds the arguments that make it write its requests into the directory, unless it does so
    /// already; `None` if this use of the tool makes no load.
    ask: fn(&mut Arguments, &Path) -> Option<Results>,
}

registry! {
    /// Every tool, in the order lists show them.
    pub static TOOLS: [ToolSpec] = [
        k6,
        locust,
        jmeter,
        taurus,
        vegeta,
        artillery,
        hey,
        ab,
    ]
}

/// A command, as it is to be run.
pub struct Adapted {
    /// The tool that was recognised.
    pub tool: Option<&'static ToolSpec>,
    /// The command with what was added; without one, somebody else makes the load.
    pub command: Option<Command>,
    /// Where its results will be.
    pub results: Option<Results>,
}

/// Recognises the tool that `words` run, and asks it for its requests. Files go into `folder`.
pub fn adapt(words: &[OsString], folder: &Path) -> Adapted {
    for tool in TOOLS.iter().copied() {
        let Some(mut arguments) = Arguments::of(words, tool.programs) else { continue };
        if let Some(results) = (tool.ask)(&mut arguments, folder) {
            let command = arguments.into_command();
            return Adapted { tool: Some(tool), command: Some(command), results: Some(results) };
        }
    }
    let command = (!words.is_empty()).then(|| Command::new(words.to_vec()));
    Adapted { tool: None, command, results: None }
}

/// The first URL among the words of a command, such as that of `wrk -c 50 http://127.0.0.1:8080/`.
pub fn url_in(words: &[OsString]) -> Option<String> {
    let of_word = |word: &OsString| {
        let text = word.to_str()?;
        let at = text.find("http://").or_else(|| text.find("https://"))?;
        let url = url::Url::parse(text[at..].split_whitespace().next()?).ok()?;
        url.has_host().then(|| url.to_string())
    };
    words.iter().find_map(of_word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    /// The line that is run, and the files that are read.
    fn adapted(line: &str) -> (String, Vec<String>) {
        let adapted = adapt(&words(line), Path::new("/out"));
        let files = adapted.results.map(|results| results.files).unwrap_or_default();
        let files = files.iter().map(|file| file.display().to_string()).collect();
        (adapted.command.unwrap().to_string(), files)
    }

    #[test]
    fn tools_are_asked_for_their_requests_and_nothing_else_changes() {
        for (line, expected, files) in [
            ("k6 run a.js", "k6 run --out csv=/out/k6.csv a.js", "/out/k6.csv"),
            ("k6 --quiet run a.js", "k6 --quiet run --out csv=/out/k6.csv a.js", "/out/k6.csv"),
            ("k6 run -o json=my.json a.js", "k6 run -o json=my.json a.js", "my.json"),
            (
                "k6 run --out=influxdb=http://x a.js",
                "k6 run --out csv=/out/k6.csv --out=influxdb=http://x a.js",
                "/out/k6.csv",
            ),
            (
                "locust -f a.py --headless",
                "locust -f a.py --headless --csv /out/locust --csv-full-history",
                "/out/locust_stats_history.csv",
            ),
            (
                "python3 -m locust --csv=mine --headless",
                "python3 -m locust --csv=mine --headless --csv-full-history",
                "mine_stats_history.csv",
            ),
            (
                "env A=1 timeout 60 nice -n 5 locust",
                "env A=1 timeout 60 nice -n 5 locust --csv /out/locust --csv-full-history",
                "/out/locust_stats_history.csv",
            ),
            (
                "./bin/jmeter -n -t a.jmx",
                "./bin/jmeter -n -t a.jmx -l /out/jmeter.jtl",
                "/out/jmeter.jtl",
            ),
            ("jmeter -n -t a.jmx -l b.csv", "jmeter -n -t a.jmx -l b.csv", "b.csv"),
            (
                "vegeta attack -rate 50 -targets t",
                "vegeta attack -output=/out/vegeta.bin -rate 50 -targets t",
                "/out/vegeta.bin",
            ),
            ("vegeta attack -output r.bin", "vegeta attack -output r.bin", "r.bin"),
            (
                "npx artillery@2.0.21 run a.yml",
                "npx artillery@2.0.21 run --output /out/artillery.json a.yml",
                "/out/artillery.json",
            ),
            ("hey -z 10s http://127.0.0.1/", "hey -o csv -z 10s http://127.0.0.1/", "/out/hey.csv"),
            (
                "ab -n 100 http://127.0.0.1/",
                "ab -g /out/ab.tsv -n 100 http://127.0.0.1/",
                "/out/ab.tsv",
            ),
        ] {
            let (run, read) = adapted(line);
            assert_eq!((run.as_str(), read.join(" ").as_str()), (expected, files), "{line}");
        }
    }

    #[test]
    fn other_commands_stay_as_they_are() {
        for line in [
            "k6 version",
            "wrk -c 10 http://127.0.0.1/",
            "vegeta report r.bin",
            "sh -c k6",
            // A script whose argument is the name of a tool.
            "bash levels.sh hey http://127.0.0.1/",
            "python3 load.py ab",
            "timeout 60 ./run.sh locust",
        ] {
            let (run, read) = adapted(line);
            assert_eq!((run.as_str(), read.len()), (line, 0));
        }
    }

    #[test]
    fn the_url_of_a_command_is_its_target() {
        assert_eq!(
            url_in(&words("wrk -c 5 http://10.0.0.1:80/a?b=c")).as_deref(),
            Some("http://10.0.0.1/a?b=c")
        );
        assert_eq!(
            url_in(&words("locust --host=http://shop:8080")).as_deref(),
            Some("http://shop:8080/")
        );
        assert_eq!(url_in(&words("k6 run a.js")), None);
    }
}
