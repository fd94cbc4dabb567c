//! The words that reports and plans use, each with what it means. A report explains the words it
//! uses, and `kneepoint explain WORD` prints one of them.

mod in_text;
mod term;
mod terms;

pub(super) use self::in_text::{first_uses, used_in};
pub use self::term::Term;
use self::terms::TERMS;

/// Every term, in the order of the alphabet.
pub fn all() -> &'static [Term] {
    TERMS
}

/// The term called `word`: by its id, its name or an alias. Case, blanks, `-` and `_` do not matter.
pub fn find(word: &str) -> Option<&'static Term> {
    let wanted = key(word);
    TERMS.iter().find(|term| key(term.id) == wanted || term.words().any(|word| key(word) == wanted))
}

/// Letters and digits of a word, in lower case.
fn key(word: &str) -> String {
    word.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_term_is_found_by_each_of_its_words_and_by_no_other() {
        for term in all() {
            for word in term.words().chain([term.id]) {
                let found = find(word).unwrap_or_else(|| panic!("{word} is not found"));
                assert_eq!(found.id, term.id, "{word} belongs to two terms");
            }
        }
        assert_eq!(find("Open Model").map(|term| term.id), Some("open-model"));
        assert_eq!(find("in_flight").map(|term| term.id), Some("in-flight"));
        assert_eq!(find("littles law").map(|term| term.id), Some("littles-law"));
        assert_eq!(find("no such word"), None);
        assert_eq!(find(""), None);
    }

    #[test]
    fn terms_are_in_form_and_in_order() {
        assert!(all().is_sorted_by(|a, b| a.id < b.id), "in the order of the alphabet");
        for Term { id, name, short, text, see, .. } in all() {
            let is_id = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            assert!(id.chars().all(is_id), "{id}");
            assert!(!name.is_empty(), "{id}");
            assert!(!short.is_empty() && !short.ends_with('.'), "{id}: {short}");
            assert!(short.len() <= 90, "{id}: half a sentence fits a line: {short}");
            assert!(text.ends_with('.') && text.len() <= 900, "{id}: {}", text.len());
            assert!(text.is_ascii() && short.is_ascii(), "{id}: a pipe and a pager show it");
            for other in *see {
                assert!(other != id && all().iter().any(|term| term.id == *other), "{id}: {other}");
            }
        }
    }
}
