//! `Comparison` → bytes. Every sentence is made once, in `view`; a format only lays them out.

mod causes;
mod charts;
#[cfg(test)]
mod fixture;
mod format;
mod objectives;
mod overlays;
mod phrases;
mod rows;
mod terminal;
#[cfg(test)]
mod tests;
mod view;

pub use self::charts::charts;
pub use self::format::ComparisonFormat;
pub(super) use self::phrases::quantity_name;
pub use self::terminal::render as render_terminal;
pub use self::view::ComparisonReport;
use crate::registry::registry;

registry! {
    /// Every format of a comparison but the terminal's, in the order in which `--help` shows them.
    pub static FORMATS: [ComparisonFormat] = [
        json,
        markdown,
        html,
        junit,
        github,
        gitlab,
    ]
}

/// The format called `name`.
pub fn find(name: &str) -> Option<&'static ComparisonFormat> {
    FORMATS.iter().copied().find(|format| format.name == name)
}
