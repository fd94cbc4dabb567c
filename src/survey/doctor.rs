//! What this machine lets kneepoint see, what is missing costs the diagnosis, and the one command
//! that adds it.

mod checked;
mod generator;
mod rights;
mod tools;

pub use checked::{Checked, Patient, State};

/// Looks at everything, which takes a second.
pub fn examine(patient: &Patient) -> Vec<Checked> {
    let mut all = rights::rights(patient);
    all.extend(generator::generator());
    all.extend(tools::tools());
    all
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::collect::Network;

    #[test]
    fn this_machine_can_be_examined_and_what_is_missing_has_a_way_out() {
        let own = Patient { pids: vec![std::process::id()], network: Network::OWN };
        for patient in [Patient::default(), own] {
            let all = examine(&patient);
            let ids: BTreeSet<&str> = all.iter().map(|one| one.id).collect();
            assert_eq!(ids.len(), all.len(), "an id stands twice");
            for one in &all {
                let is_missing = one.state == State::Missing;
                assert!(!one.seen.is_empty(), "{one:?}");
                assert_eq!(one.costs.is_empty(), !is_missing, "{one:?}");
                assert_eq!(one.add.is_empty(), !is_missing, "{one:?}");
            }
            assert!(all.len() > 12, "{}", all.len());
        }
        assert!(Patient::of_pid(u32::MAX / 2).is_err());
    }
}
