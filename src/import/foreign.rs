//! Files that people have beside those that can be read, and what to give in their place.

/// What a file is that begins like this, and what to give in its place.
pub(super) fn known(begin: &str) -> Option<(&'static str, &'static str)> {
    KNOWN.iter().find(|(looks, _, _)| looks(begin)).map(|(_, what, instead)| (*what, *instead))
}

/// How it looks, what it is, what to give in its place.
type Known = (fn(&str) -> bool, &'static str, &'static str);

const KNOWN: &[Known] = &[
    (
        |begin| begin.starts_with('\0'),
        "a binary file that no known tool writes",
        "expected Gatling's simulation.log or vegeta's results",
    ),
    (
        |begin| begin.trim_start().starts_with('{') && begin.contains("\"metrics\""),
        "a summary, which has no times",
        "for k6, run `k6 run --out json=FILE script.js`",
    ),
    (
        |begin| {
            let words =
                ["Requests/sec", "Requests per second", "Latencies ", "Latency Distribution"];
            words.iter().any(|it| begin.contains(it))
        },
        "a summary, which has no times",
        "for hey, run `hey -o csv`; for vegeta, `vegeta encode --to json results.bin`",
    ),
];
