//! Feeds bytes to the parsers of data files: for `fuzz/` and tests/damaged.rs.

use super::table::Table;

/// As each kind of file of data that a plan may name.
pub fn data(bytes: &[u8]) {
    let table = || Table { shown: "it".to_owned(), input: bytes };
    table().rows().ok();
    table().column("id").ok();
    table().json_lines().ok();
    table().trace(2.0, &["list", "product"]).ok();
}
