//! Bounds that several rules share: one name, one value, and where the value comes from. Rule files name
//! them, and so do the constants of the diagnosis that mean the same.

/// A bound with a name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NamedBound {
    /// What a rule file writes in place of the number.
    pub name: &'static str,
    /// The number.
    pub value: f64,
    /// What lies at or beyond it.
    pub about: &'static str,
    /// Where the number comes from.
    pub source: &'static str,
}

macro_rules! bounds {
    ($(#[doc = $about:literal] $constant:ident = $name:literal, $value:literal, $source:literal;)*) => {
        $(
            #[doc = $about]
            pub const $constant: NamedBound = NamedBound {
                name: $name,
                value: $value,
                about: $about,
                source: $source,
            };
        )*

        /// Every named bound.
        pub const ALL: &[NamedBound] = &[$($constant),*];
    };
}

bounds! {
    /// Share of its cores at which a machine is full.
    FULL_MACHINE = "full_machine", 0.93,
        "Erlang C: at 0.93 of two cores a task waits for 6 times its own time";
    /// Share of its cores below which a machine has room.
    ROOMY_MACHINE = "roomy_machine", 0.8,
        "Erlang C: at 0.8 of two cores a task waits for less than twice its own time";
    /// Share of the cores that it may use at which the target is full.
    FULL_TARGET = "full_target", 0.9,
        "Erlang C: at 0.9 of two cores a task waits for 4 times its own time";
    /// Share of its cores from which the target may be short of nothing else.
    NEARLY_FULL_TARGET = "nearly_full_target", 0.85,
        "calibrated on recordings of known faults: just below `full_target`, so that the two never fire at once";
    /// Share of the cores that it may use below which the target has room.
    ROOMY_TARGET = "roomy_target", 0.6,
        "Erlang C: at 0.6 of two cores a task waits for about half of its own time";
    /// Share of its cores that the target's threads hold or wait for when they lack cores.
    WANTS_CORES = "wants_cores", 0.4,
        "calibrated on recordings of known faults on two cores";
    /// Share of the machine that a process has to use to be what fills it.
    FILLS_MACHINE = "fills_machine", 0.35,
        "the largest of target, database and generator on a full machine uses at least a third";
    /// Share of one core at which a thread is full.
    FULL_THREAD = "full_thread", 0.9,
        "M/M/1: at 0.9 of one core a task waits for 9 times its own time";
    /// Share of the work that one thread does where it cannot pass it on.
    ONE_THREAD = "one_thread", 0.8,
        "Amdahl 1967: four fifths in one thread bound the speed-up to 1.25";
    /// Share of a pool of connections or workers in use at which it is full.
    FULL_POOL = "full_pool", 0.9,
        "calibrated on recordings of known faults: one that changes hands counts as free for a moment";
    /// Share of a limit of connections or descriptors at which it is reached.
    FULL_LIMIT = "full_limit", 0.95,
        "PostgreSQL keeps superuser_reserved_connections back, 3 of 100 by default";
    /// Share that makes these sessions, requests or waits most of them.
    MOST = "most", 0.5,
        "one half: no other group can be larger";
    /// Share of the busy sessions that wait for locks at which the locks are the fault.
    WAIT_FOR_LOCKS = "wait_for_locks", 0.3,
        "calibrated on recordings of known faults";
    /// Share of the growth of the response time that supports a cause.
    EXPLAINS_SOME = "explains_some", 0.3,
        "about a third: at most two other parts can hold as much";
    /// Share of the growth of the response time from which a part can be the cause.
    EXPLAINS_MUCH = "explains_much", 0.4,
        "calibrated on recordings of known faults: between `explains_some` and `explains_most`";
    /// Share of the growth of the response time that confirms a cause.
    EXPLAINS_MOST = "explains_most", 0.5,
        "one half: no other part can hold more";
    /// Times the value at low load below which nothing has changed.
    UNCHANGED = "unchanged", 1.3,
        "calibrated on recordings of known faults: stages of one load differ by less";
    /// Times the value at low load from which something is slower, or more.
    SLOWER = "slower", 1.5,
        "calibrated on recordings of known faults: above `unchanged` by the error of a short stage";
    /// Times the value at low load from which something is much slower.
    MUCH_SLOWER = "much_slower", 2.0,
        "twice as long: as much time spent waiting as at work";
    /// Times its response time at low load from which a canary is stuck.
    STUCK_CANARY = "stuck_canary", 3.0,
        "calibrated on recordings of known faults: a few requests a second scatter more than the load";
    /// Seconds that a stuck canary takes longer than at low load.
    STUCK_CANARY_SECONDS = "stuck_canary_seconds", 0.005,
        "calibrated on recordings of known faults: a scheduler delays a quick request by less";
    /// Share of the requests or calls that fail from which failures matter.
    SOME_FAIL = "some_fail", 0.02,
        "twice the 1 % that common objectives allow";
    /// Times the response time of successes below which failures are quick.
    QUICK_FAILURE = "quick_failure", 0.8,
        "calibrated on recordings of known faults: a refusal skips the work";
    /// Spread between stages, as a share of their mean, below which a rate is steady.
    STEADY = "steady", 0.1,
        "calibrated on recordings of known faults: the counting error of a short stage comes on top of the limiter's";
    /// Different requests below which every cache on the way holds the answers to all of them.
    FEW_REQUESTS = "few_requests", 20.0,
        "calibrated: even the smallest cache, of a processor or of a page of rows, holds that many answers";
    /// Share of all CPU in use that unrelated processes take from which they are the fault.
    NEIGHBOURS = "neighbours", 0.3,
        "calibrated on recordings of known faults: the kernel's own work stays below";
    /// Share of its periods in which a quota stops the target.
    QUOTA_STOPS = "quota_stops", 0.2,
        "just below the 25 % of the alert CPUThrottlingHigh of kubernetes-mixin";
    /// Threads or sessions that stand in line, on average.
    SEVERAL = "several", 1.8,
        "two at a time, less what changes between two looks";
    /// Seconds of a request that a wait has to take to matter.
    WAIT_SECONDS = "wait_seconds", 0.002,
        "several times a round trip within a data centre, 0.5 ms";
    /// Seconds of a request for which a connection is held without being used.
    HELD_SECONDS = "held_seconds", 0.004,
        "calibrated on recordings of known faults: healthy transactions pause for less between two statements";
    /// Seconds that a statement takes even at low load from which it is slow.
    SLOW_STATEMENT_SECONDS = "slow_statement_seconds", 0.1,
        "at most ten statements a second for each connection";
}

/// The bound of this name.
pub fn find(name: &str) -> Option<NamedBound> {
    ALL.iter().find(|bound| bound.name == name).copied()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_every_bound_has_a_source() {
        let names: BTreeSet<&str> = ALL.iter().map(|bound| bound.name).collect();
        assert_eq!(names.len(), ALL.len());
        assert!(ALL.iter().all(|bound| !bound.source.is_empty() && !bound.about.is_empty()));
        assert_eq!(find("full_machine"), Some(FULL_MACHINE));
        assert_eq!(find("full_moon"), None);
    }
}
