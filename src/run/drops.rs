//! Records when kneepoint dropped connections of the load, as the plan asks: what follows is the
//! effect of that, not a fault of the target.

use std::time::Duration;

use crate::plan::{Disconnect, Target};

/// The reconnect storm of a plan, and which of its drops were reported.
#[derive(Debug)]
pub struct ConnectionDrops {
    drop: Option<Disconnect>,
    /// Time of the last reported drop, since the first stage began.
    told: Duration,
}

impl ConnectionDrops {
    /// The drops that the plan of this target asks for.
    pub fn of(target: &Target) -> Self {
        Self { drop: target.storm.map(|storm| storm.drop), told: Duration::ZERO }
    }

    /// The next drop that happened within `elapsed` of the first stage and was not reported yet:
    /// when, and in words for the report.
    pub fn look(&mut self, elapsed: Duration) -> Option<(Duration, String)> {
        let drop = self.drop?;
        let at = drop.next(self.told).filter(|at| *at <= elapsed)?;
        self.told = at;
        let percent = 100.0 * drop.share;
        Some((at, format!("kneepoint dropped {percent:.0} % of its connections, as the plan asks")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Backoff, ReconnectStorm, parse_target_url};

    #[test]
    fn each_storm_is_told_once_and_at_its_time() {
        let secs = Duration::from_secs;
        let mut target = Target::usual(parse_target_url("http://127.0.0.1:80").unwrap());
        assert_eq!(ConnectionDrops::of(&target).look(secs(99)), None);
        let drop = Disconnect { share: 0.25, at: secs(10), every: Some(secs(30)) };
        target.storm = Some(ReconnectStorm { drop, backoff: Backoff::usual() });
        let mut storms = ConnectionDrops::of(&target);
        assert_eq!(storms.look(secs(9)), None);
        let (at, text) = storms.look(secs(11)).unwrap();
        assert!(at == secs(10) && text.contains("dropped 25 %"), "{at:?}: {text}");
        assert_eq!(storms.look(secs(39)), None);
        assert_eq!(storms.look(secs(45)).map(|(at, _)| at), Some(secs(40)));
    }
}
