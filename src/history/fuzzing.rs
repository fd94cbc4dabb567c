//! Feeds bytes to the parsers of a server's answers, and of selectors: for `fuzz/` and
//! tests/damaged.rs.

use super::answer::{self, LabelSet, Matrix, Refusal};
use super::load_families;
use super::selector::Matcher;

/// As an answer of the server, and as a selector.
pub fn prometheus(bytes: &[u8]) {
    for status in [200, 422, 500] {
        match answer::data::<Matrix>(status, bytes) {
            Ok(matrix) => {
                for series in &matrix.result {
                    drop(series.samples().collect::<Vec<_>>());
                    drop(load_families::class(&series.metric).map(|class| class.to_string()));
                }
            }
            Err(
                Refusal::TooMuch(why)
                | Refusal::Refused(why)
                | Refusal::Failed(why)
                | Refusal::Foreign(why),
            ) => drop(why),
        }
        answer::data::<Vec<LabelSet>>(status, bytes).ok();
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match Matcher::parse(text) {
        Ok(matcher) => drop((matcher.wanted(), matcher.of_metrics(&["up", "a\"b"]))),
        Err(why) => drop(why.to_string()),
    }
}
