//! The catalogue loses its index on the category.

use super::{BEFORE, Change, DatabaseTraits, HEALTHY_DATABASE, Named, Shows, System};

/// Each search, two of ten requests, reads the whole catalogue.
pub(super) static SPEC: Change =
    Named { name: "lost-index", summary: "a search reads the whole catalogue" }.of_system(
        System { database: DatabaseTraits { category_index: false, ..HEALTHY_DATABASE }, ..BEFORE },
        BEFORE,
        Shows::Measures(&["rows_per_request", "database_per_request"]),
    );
