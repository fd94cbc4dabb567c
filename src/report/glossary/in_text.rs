//! Where a report's own sentences use a word that a newcomer may not know.

use std::collections::BTreeSet;
use std::ops::Range;

use super::term::Term;
use super::terms::TERMS;

/// Words as a report writes them, with the id of the term. What a newcomer needs most comes first.
const WRITTEN: &[(&str, &str)] = &[
    ("knee", "knee"),
    ("goodput", "goodput"),
    ("offered load", "offered-load"),
    ("utilization law", "utilization-law"),
    ("Erlang C", "erlang-c"),
    ("virtual users", "closed-model"),
    ("VUs", "closed-model"),
    ("canaries", "canary"),
    ("canary", "canary"),
    ("floors", "floor"),
    ("idle in transaction", "idle-in-transaction"),
    ("idle in a transaction", "idle-in-transaction"),
    ("pooled connection", "pool"),
    ("accept queue", "accept-queue"),
    ("in flight", "in-flight"),
    ("unexplained", "unexplained"),
    ("low load", "baseline"),
    ("95 % interval", "confidence-interval"),
    ("p99", "percentile"),
    ("objective", "objective"),
    ("capacity", "capacity"),
    ("confidence", "confidence"),
    ("throughput", "throughput"),
    ("response time", "response-time"),
];

/// The terms that `text` uses, what a newcomer needs most first.
pub(in crate::report) fn used_in(text: &str) -> Vec<&'static Term> {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut terms: Vec<&'static Term> = Vec::new();
    for (word, term) in written() {
        if place(&words, word).is_some() && !terms.contains(&term) {
            terms.push(term);
        }
    }
    terms
}

/// The first place of each term in `text` that is not in `told` yet, in order of place; adds them
/// to `told`.
pub(in crate::report) fn first_uses(
    text: &str,
    told: &mut BTreeSet<&'static str>,
) -> Vec<(Range<usize>, &'static Term)> {
    let mut uses: Vec<(Range<usize>, &'static Term)> = Vec::new();
    for (word, term) in written() {
        if told.contains(term.id) {
            continue;
        }
        let Some(place) = place(text, word) else { continue };
        // A word inside another one stays for the next sentence.
        if uses.iter().all(|(other, _)| place.end <= other.start || other.end <= place.start) {
            told.insert(term.id);
            uses.push((place, term));
        }
    }
    uses.sort_by_key(|(place, _)| place.start);
    uses
}

fn written() -> impl Iterator<Item = (&'static str, &'static Term)> {
    WRITTEN.iter().filter_map(|(word, id)| Some((*word, TERMS.iter().find(|term| term.id == *id)?)))
}

/// The first place of `word` as a whole word, in upper or lower case.
fn place(text: &str, word: &str) -> Option<Range<usize>> {
    // A name such as `generator-limited` or `db.pool` is one word.
    let joins = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '`');
    let at = |start: usize| {
        let end = start + word.len();
        let is_word = text.get(start..end).is_some_and(|found| found.eq_ignore_ascii_case(word));
        let before = text[..start].chars().next_back();
        let is_alone = || {
            let after = text[end..].chars().next();
            !before.is_some_and(joins) && !after.is_some_and(joins)
        };
        (is_word && is_alone()).then_some(start..end)
    };
    text.char_indices().find_map(|(start, _)| at(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_written_word_belongs_to_a_term() {
        assert_eq!(written().count(), WRITTEN.len());
    }

    #[test]
    fn words_are_found_whole_and_in_any_case() {
        let ids = |text: &str| used_in(text).iter().map(|term| term.id).collect::<Vec<_>>();
        assert_eq!(ids("Goodput falls beyond the\n  knee."), ["knee", "goodput"]);
        assert_eq!(ids("kneepoint has a `knee` and a knee-high"), [""; 0]);
        assert_eq!(ids("the offered\nload"), ["offered-load"]);
        assert_eq!(ids("\u{e9}\u{1f98a} knee\u{e9}"), [""; 0]);
    }

    #[test]
    fn a_term_is_explained_where_it_stands_first() {
        let mut told = BTreeSet::new();
        let places = |text: &str, told: &mut _| {
            first_uses(text, told).into_iter().map(|(at, term)| (at, term.id)).collect::<Vec<_>>()
        };
        let text = "Offered load at the knee, and the knee again";
        assert_eq!(places(text, &mut told), [(0..12, "offered-load"), (20..24, "knee")]);
        assert_eq!(places("beyond the knee", &mut told), []);
    }
}
