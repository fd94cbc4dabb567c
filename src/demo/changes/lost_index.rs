//! The catalogue loses its index on the category.

use super::{BEFORE, Change, DatabaseTraits, HEALTHY_DATABASE, Shows, System, of};

/// Each search, two of ten requests, reads the whole catalogue.
pub(super) static SPEC: Change = Change {
    shop: of(
        "lost-index",
        "a search reads the whole catalogue",
        System { database: DatabaseTraits { category_index: false, ..HEALTHY_DATABASE }, ..BEFORE },
        BEFORE,
    ),
    shows: Shows::Measures(&["rows_per_request", "database_per_request"]),
};
