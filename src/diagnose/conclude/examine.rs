//! The rules on two times that nobody chose for a test: one that was good, and one that was not.
//!
//! The good one takes the place of low load, the other one that of the knee. What was carried while
//! it was bad takes the place of the knee's rate: a limit predicts what it lets through.

use std::collections::BTreeSet;

use crate::diagnose::measure::facts::Facts;
use crate::diagnose::measure::services::Services;
use crate::diagnose::measure::{pools, split};
use crate::diagnose::rules::layer::Resource;
use crate::diagnose::rules::rule::RuleRole;
use crate::diagnose::rules::ruleset::RuleSet;
use crate::diagnose::rules::ruling::{self, Ruling, RulingKind};
use crate::diagnose::terms::model::{
    Finding, FindingRole, Knee, KneeKind, NotChecked, RuledOut, Windows,
};
use crate::diagnose::terms::room::Interval;
use crate::recording::Recording;

use super::engine::{shaped_pools, watched};
use super::lacking::Sources;
use super::rank;

/// What stands in place of a rule where a finding follows from something that nothing shows.
const UNSEEN: &str = "a limit that is not seen";

/// What the rules say of a bad time.
#[derive(Clone, Debug, PartialEq)]
pub struct Examination {
    /// What holds, the most likely cause first.
    pub findings: Vec<Finding>,
    /// What was measured and does not hold.
    pub ruled_out: Vec<RuledOut>,
    /// What has no data, with what to add.
    pub not_checked: Vec<NotChecked>,
    /// Rules that had data, and all rules.
    pub covered: (usize, usize),
    /// What a reader has to know.
    pub caveats: Vec<String>,
}

/// Asks every rule whether it holds in `windows`. `carried` are the requests per second that ended
/// in the bad time, with the range that they stayed in.
pub fn examine(
    recording: &Recording,
    rules: &RuleSet,
    windows: &Windows,
    carried: Interval,
) -> Examination {
    let services = Services::of(recording);
    let timeline = services.target.as_ref().unwrap_or(&recording.timeline);
    let facts =
        split::with_growth(pools::with_pools(Facts::of_target(recording, timeline, windows)));
    let rulings: Vec<Ruling> = rules
        .rules()
        .iter()
        .filter(|rule| rule.role != RuleRole::Gate)
        .flat_map(|rule| ruling::rule_on(rule, &facts))
        .collect();
    let uncounted = facts.uncounted_peers().into_iter().map(str::to_owned).collect();
    let sources = Sources { known: rules.sources(), ran: watched(recording), uncounted };
    let ranked = rank::rank(&rulings, Some(&in_place_of_a_knee(carried)), &sources);
    let is_seen =
        |ruling: &&Ruling| !matches!(ruling.kind, RulingKind::NoData | RulingKind::Possible);
    let ids = |rulings: &mut dyn Iterator<Item = &Ruling>| -> usize {
        rulings.map(|ruling| ruling.rule.id.as_str()).collect::<BTreeSet<_>>().len()
    };
    let covered = (ids(&mut rulings.iter().filter(is_seen)), ids(&mut rulings.iter()));
    let mut caveats = ranked.caveats;
    caveats.extend(shaped_pools(&facts, &ranked.findings));
    let mut findings = ranked.findings;
    caveats.extend(put_signs_last(&mut findings, rules));
    Examination {
        findings,
        ruled_out: ranked.ruled_out,
        not_checked: ranked.not_checked,
        covered,
        caveats,
    }
}

/// What only shows that something is full is not why, and no cause stands behind it where the stored
/// metrics do not show what is full.
fn put_signs_last(findings: &mut [Finding], rules: &RuleSet) -> Option<String> {
    let is_sign = |finding: &Finding| {
        let rule = rules.rules().iter().find(|rule| rule.id == finding.rule);
        rule.is_some_and(|rule| rule.role == RuleRole::Limit && rule.resource == Resource::Nothing)
    };
    let limits = |it: &Finding| matches!(it.role, FindingRole::Cause | FindingRole::Contributing);
    let mut signs = Vec::new();
    for sign in findings.iter_mut().filter(|it| limits(it) && is_sign(it)) {
        sign.role = FindingRole::Consequence { of: UNSEEN.to_owned() };
        signs.push(sign.title.clone());
    }
    findings.sort_by_key(|it| matches!(it.role, FindingRole::Consequence { .. }));
    let is_open = !findings.iter().any(|it| it.role == FindingRole::Cause);
    if is_open && let Some(next) = findings.iter_mut().find(|it| limits(it)) {
        next.role = FindingRole::Cause;
    }
    let is_alone = !findings.iter().any(limits);
    (is_alone && !signs.is_empty()).then(|| {
        format!(
            "{}: that follows from a limit, and the stored metrics do not show which one",
            signs.join("; ")
        )
    })
}

fn in_place_of_a_knee(carried: Interval) -> Knee {
    Knee {
        rate: carried.rate,
        low: carried.low,
        high: carried.high,
        kind: KneeKind::Throughput,
        throughput: Some(carried.rate),
        latency: None,
        errors: None,
        peak_goodput: carried.rate,
        retrograde: false,
        tail: None,
        by_curve: None,
    }
}
