//! Changes of the sample shop that a comparison of two builds has to see, one per file, and what a
//! right comparison says of each.
//!
//! A change is a [`Fault`] whose healthy twin is the build before it: both get the same load, and
//! that is one that both carry. So a diagnosis of either has nothing to find, and what tells them
//! apart is the comparison.

use std::time::Duration;

use super::faults::{
    self, Fault, HEALTHY, HEALTHY_DATABASE, HEALTHY_KEEPS, HEALTHY_SHOP, MIXED, Truth,
};
use super::system::{DatabaseTraits, Keeps, Load, Pause, ProductRead, Shape, ShopTraits, System};
use crate::registry::registry;

registry! {
    /// Every change, in the order of `kneepoint demo --list`.
    pub static CHANGES: [Change] = [
        same_build,
        added_query,
        lost_index,
        added_wait,
        smaller_pool,
        new_lock,
        more_cpu,
        new_leak,
    ]
}

/// A change of the sample shop.
pub struct Change {
    /// The shop with the change; its healthy twin is the shop before it.
    pub shop: Fault,
    /// What a right comparison says.
    pub shows: Shows,
}

/// What tells the builds apart. One of them is enough where there are several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shows {
    /// Nothing: they are the same.
    Nothing,
    /// One of these measures is worse.
    Measures(&'static [&'static str]),
    /// The response time is worse, and one of these parts of it grew most.
    Part(&'static [&'static str]),
    /// The response time is worse, and a pool is named: the wait for it grew most, or its limit fell
    /// and it was used up.
    Pool,
}

impl Shows {
    /// Whether there is anything to see.
    pub fn anything(self) -> bool {
        self != Shows::Nothing
    }
}

/// The change with this name.
pub fn find(name: &str) -> Option<&'static Change> {
    CHANGES.iter().copied().find(|change| change.shop.name == name)
}

/// The fault with this name, or the shop with the change of this name.
pub fn find_shop(name: &str) -> Option<&'static Fault> {
    faults::find(name).or_else(|| find(name).map(|change| &change.shop))
}

/// Rounds of hashing that each product page takes before any change: half a millisecond and more, so
/// that most of the shop's CPU time is this work, whatever the machine and the build. The rest is the
/// kernel's and the server's.
const ROUNDS: u32 = 10_000;

/// The shop before the changes.
const BEFORE_SHOP: ShopTraits = ShopTraits { rounds: ROUNDS, ..HEALTHY_SHOP };

/// The system before the changes.
const BEFORE: System = System { shop: BEFORE_SHOP, load: LOAD, ..HEALTHY };

/// Requests of an ordinary day. At the rate of the gate the shop is far below its knee, even beside
/// other systems on two cores; a search for the knee goes on from there.
const LOAD: Load = Load { requests: MIXED, shape: Shape::Gate { rate: 150, max_rate: 400 } };

/// How a change is called.
struct Named {
    name: &'static str,
    summary: &'static str,
}

impl Named {
    /// A change of the shop alone.
    const fn of_shop(self, shop: ShopTraits, shows: Shows) -> Change {
        self.of_system(System { shop, ..BEFORE }, BEFORE, shows)
    }

    const fn of_system(self, after: System, before: System, shows: Shows) -> Change {
        let shop = Fault {
            name: self.name,
            summary: self.summary,
            needs_postgres: true,
            truth: Truth::HEALTHY,
            broken: after,
            healthy: Some(before),
        };
        Change { shop, shows }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::faults;

    #[test]
    fn names_are_unique_and_found() {
        for change in CHANGES {
            let name = change.shop.name;
            let found = find(name).expect("listed");
            assert!(std::ptr::eq(found, *change), "{name}: the name is used twice");
            assert!(faults::find(name).is_none(), "{name}: a fault has this name too");
            let file = format!("src/demo/changes/{}.rs", name.replace('-', "_"));
            let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(&file);
            assert!(path.exists(), "{name}: no {file}");
            assert!(change.shop.has_twin(), "{name}: nothing came before it");
        }
    }
}
