//! What is known of one word.

/// One word and what it means.
#[derive(Debug, PartialEq, Eq)]
pub struct Term {
    /// Name on a command line and in a link: lower case, words joined by `-`.
    pub id: &'static str,
    /// The word as a sentence has it.
    pub name: &'static str,
    /// Other spellings, and other words for the same thing.
    pub aliases: &'static [&'static str],
    /// Half a sentence that follows `knee: `, without a full stop.
    pub short: &'static str,
    /// A paragraph.
    pub text: &'static str,
    /// Where it comes from, if it is not kneepoint's own.
    pub source: Option<&'static str>,
    /// Ids of the terms to read next.
    pub see: &'static [&'static str],
}

impl Term {
    /// Its name and its aliases.
    pub fn words(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }
}
