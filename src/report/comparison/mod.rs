//! `Comparison` → bytes. Every sentence is made once, in `view`; a format only lays them out.

mod format;
mod json;
mod markdown;
mod phrases;
mod rows;
mod terminal;
mod view;

pub use self::format::ComparisonFormat;
pub(super) use self::phrases::quantity_name;
pub use self::terminal::render as render_terminal;
pub use self::view::ComparisonReport;

/// The formats that a comparison leaves as files.
pub static FORMATS: [ComparisonFormat; 2] = [json::FORMAT, markdown::FORMAT];

/// The format called `name`, of those that are files.
pub fn find(name: &str) -> Option<&'static ComparisonFormat> {
    FORMATS.iter().find(|format| format.name == name)
}
