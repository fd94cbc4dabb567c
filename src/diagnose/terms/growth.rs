//! How much of the growth of the response time each part explains.

use super::account::PartGrowth;
use super::part::PartKind;

/// By how much the response time grew from baseline to the knee.
#[derive(Clone, Debug, PartialEq)]
pub struct Growth {
    /// Growth in seconds, without the wait for kneepoint's own connections.
    pub total: f64,
    /// By how much each part grew.
    pub parts: Vec<Gain>,
}

/// By how much one part of the response time grew.
#[derive(Clone, Debug, PartialEq)]
pub struct Gain {
    /// The part.
    pub kind: PartKind,
    /// The service that is waited for, if the part is a wait for a service.
    pub peer: Option<String>,
    /// Seconds per request at baseline.
    pub baseline: f64,
    /// Seconds per request at the knee.
    pub knee: f64,
}

impl Growth {
    /// Share of the growth that `parts` explain together, for one peer if one is named; `None` if
    /// none of them has data.
    pub fn share(&self, parts: &[PartKind], peer: Option<&str>) -> Option<f64> {
        self.gain(parts, peer)
            .filter(|_| self.total > 0.0)
            .map(|gain| (gain / self.total).clamp(0.0, 1.0))
    }

    /// The same share of the growth of the time for which the target holds a request. The queues
    /// in front of it are left out: where the target takes no more requests at once, they are as
    /// long as that time makes them (Little 1961: what it carries is the requests that it holds,
    /// divided by the time for which it holds each). `None` where that time did not grow.
    pub fn held_share(&self, parts: &[PartKind], peer: Option<&str>) -> Option<f64> {
        let in_front = |gain: &&Gain| PartKind::IN_FRONT.contains(&gain.kind);
        let gained = |gains: Vec<&Gain>| gains.iter().map(|it| it.knee - it.baseline).sum::<f64>();
        let (front, inside): (Vec<&Gain>, Vec<&Gain>) = self.parts.iter().partition(in_front);
        // While a queue grows, more requests stand in it than have passed it. The rest of the
        // response time can then be shorter than the parts that were measured inside.
        let held = (self.total - gained(front)).max(gained(inside));
        self.gain(parts, peer).filter(|_| held > 0.0).map(|gain| (gain / held).clamp(0.0, 1.0))
    }

    /// Seconds by which `parts` grew; `None` if none of them has data.
    fn gain(&self, parts: &[PartKind], peer: Option<&str>) -> Option<f64> {
        let gains: Vec<f64> = self
            .parts
            .iter()
            .filter(|gain| parts.iter().any(|part| part.covers(gain.kind)))
            .filter(|gain| peer.is_none() || gain.peer.is_none() || gain.peer.as_deref() == peer)
            .map(|gain| gain.knee - gain.baseline)
            .collect();
        (!gains.is_empty()).then(|| gains.iter().sum())
    }

    /// Share of the growth that no part explains, whether it lies inside the target or not.
    pub fn unexplained(&self) -> f64 {
        self.share(&[PartKind::Unexplained], None).unwrap_or(1.0)
    }

    /// What each part adds, largest first.
    pub fn by_share(&self) -> Vec<PartGrowth> {
        let share = |gain: &Gain| match self.total > 0.0 {
            true => ((gain.knee - gain.baseline) / self.total).clamp(0.0, 1.0),
            false => 0.0,
        };
        let told = |gain: &Gain| PartGrowth {
            name: gain.kind.name(gain.peer.as_deref()),
            baseline: gain.baseline,
            knee: gain.knee,
            share: share(gain),
        };
        let mut gains: Vec<PartGrowth> = self.parts.iter().map(told).collect();
        gains.sort_by(|a, b| b.share.total_cmp(&a.share));
        gains
    }

    /// Share of the growth that lies inside the target, at an unknown place.
    pub fn in_target(&self) -> f64 {
        self.share(&[PartKind::InTarget], None).unwrap_or(0.0)
    }
}
