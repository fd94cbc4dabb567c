//! The shop's catalogue: the tables of its database, and how many rows they have.

/// Rows of the catalogue.
pub(super) const PRODUCTS: u32 = 200_000;

/// Categories of the catalogue, with 100 products each.
pub(super) const CATEGORIES: u32 = 2_000;

/// The tables; `{products}` and `{categories}` are placeholders for the two row counts.
const SCHEMA: &str = include_str!("schema.sql");

/// Without this index, each search reads the whole catalogue.
pub(super) const CATEGORY_INDEX: &str =
    "CREATE INDEX product_category ON product (category, price_cents)";

/// The statements that create and fill the tables.
pub(super) fn tables() -> String {
    SCHEMA
        .replace("{products}", &PRODUCTS.to_string())
        .replace("{categories}", &CATEGORIES.to_string())
}
