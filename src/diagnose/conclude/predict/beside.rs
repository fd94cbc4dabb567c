//! Resources of which more instances of the target bring no more.

use super::{Kind, Resource, Run};
use crate::diagnose::measure::level::level;
use crate::diagnose::measure::mean::MeanLevel;
use crate::diagnose::terms::operand::{bare, labelled};
use crate::diagnose::terms::span::Span;
use crate::timeline::{Unit, Window, names};

/// Modes of the machine's processor time in which its cores have work.
const BUSY_MODES: [&str; 3] = ["user", "system", "irq"];

impl Run<'_> {
    /// What the target takes of its database and of the machine.
    pub(super) fn shared(&self) -> Vec<Resource> {
        let run = self.facts.windows(Span::Run);
        let mut found = Vec::new();
        if let Some(allowed) = self.level(&names::DB_CPU_ALLOWED, &run) {
            let busy = |windows: &[Window]| level(self.facts, &bare(&names::DB_CPU_TIME), windows);
            let name = ("the database's CPU".to_owned(), Unit::Cores);
            found.extend(self.resource(Kind::DatabaseCpu, name, busy, allowed));
        }
        if let Some(admitted) = self.level(&names::DB_CONNECTIONS_LIMIT, &run) {
            let busy = |windows: &[Window]| self.busy_sessions(windows);
            let name =
                (format!("the {admitted:.0} connections that the database admits"), Unit::Count);
            let free = admitted - self.of_watchers(&run);
            found.extend(self.resource(Kind::Connections, name, busy, free));
        }
        if let Some(cores) = self.level(&names::SYSTEM_CPU_CORES, &run) {
            let name = ("the machine's CPU".to_owned(), Unit::Cores);
            found.extend(self.resource(Kind::MachineCpu, name, |it| self.machine(it), cores));
        }
        found
    }

    /// Connections that no session of a service has: those of whoever watches the database.
    fn of_watchers(&self, windows: &[Window]) -> f64 {
        let all = self.level(&names::DB_CONNECTIONS, windows);
        let of_services = self.level(&names::DB_SESSIONS, windows);
        all.zip(of_services).map_or(0.0, |(all, of_services)| (all - of_services).max(0.0))
    }

    /// What is in use of a pooler's connections by what it counts of their time, which misses nothing
    /// between two looks.
    pub(super) fn pooler(&self, windows: &[Window]) -> Option<MeanLevel> {
        let total = |metric| level(self.facts, &bare(metric), windows);
        let query = total(&names::POOLER_QUERY_TIME)?;
        let idle = total(&names::POOLER_IDLE_IN_TRANSACTION)?;
        Some(MeanLevel { value: query.value + idle.value, error: 0.0 })
    }

    /// Cores of the machine that are busy, for whomever.
    fn machine(&self, windows: &[Window]) -> Option<MeanLevel> {
        let mut sum = MeanLevel::default();
        for mode in BUSY_MODES {
            let mode = labelled(&names::SYSTEM_CPU_TIME, &[("mode", mode)]);
            sum.value += level(self.facts, &mode, windows)?.value;
        }
        Some(sum)
    }
}
