//! What the shop sells: the tables of its database, and how much is in them.

/// Rows of the catalogue.
pub(super) const PRODUCTS: u32 = 200_000;

/// Categories of the catalogue, of 100 products each.
pub(super) const CATEGORIES: u32 = 2_000;

/// The tables; `{products}` and `{categories}` stand for how many of each there are.
const SCHEMA: &str = include_str!("schema.sql");

/// The index without which each search reads the whole catalogue.
pub(super) const CATEGORY_INDEX: &str =
    "CREATE INDEX product_category ON product (category, price_cents)";

/// The statements that make and fill the tables.
pub(super) fn tables() -> String {
    SCHEMA
        .replace("{products}", &PRODUCTS.to_string())
        .replace("{categories}", &CATEGORIES.to_string())
}
