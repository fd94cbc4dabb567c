//! From rulings to findings: how sure each is, which is the cause, and what merely follows.

use std::collections::BTreeSet;

use crate::diagnose::rules::order::follows;
use crate::diagnose::rules::rule::{Rule, RuleRole};
use crate::diagnose::rules::ruling::{MeasuredCondition, Ruling, RulingKind};
use crate::diagnose::terms::model::{
    Confidence, Evidence, Finding, FindingRole, Knee, NotChecked, RuledOut,
};
use crate::diagnose::terms::span::Span;
use crate::diagnose::terms::{bounds, wording};
use crate::timeline::Unit;

use super::estimate::{CAPACITY_MATCH, Prediction};
use super::lacking::{self, Sources};

/// A finding whose predicted capacity is this many times what the knee is, or that part of it, is
/// contradicted by it: at the knee the resource would be busy half of the time, or twice over
/// (utilization law, Denning & Buzen 1978).
const CONTRADICTED: f64 = 2.0;
/// Width of the knee's interval, as a share of the knee, beyond which no prediction can be told to
/// be right: it is as wide as the match itself allows.
const SHARP_KNEE: f64 = 2.0 * CAPACITY_MATCH;
/// A part of the response time's growth at least this large confirms a finding too.
const GROWTH_MATCH: f64 = bounds::EXPLAINS_MOST.value;
/// A fault that accounts for less than this of the growth did not bend the curve.
const GROWTH_OF_NOTE: f64 = 0.1;
/// But where at least this share of the growth is not seen, it may be the queue in front of it.
const UNSEEN_GROWTH: f64 = 0.5;

/// Rulings in order of what they mean.
#[derive(Default)]
pub struct Ranked {
    /// The cause first.
    pub findings: Vec<Finding>,
    /// What was measured and does not hold.
    pub ruled_out: Vec<RuledOut>,
    /// What could not be looked at.
    pub not_checked: Vec<NotChecked>,
    /// The capacity that the cause predicts.
    pub prediction: Option<Prediction>,
    /// What a reader has to know of the ranking.
    pub caveats: Vec<String>,
}

/// Ranks the rulings. Without a knee nothing can have bent the curve: only what stands apart from
/// it is told. `sources` tells what to add for what is missing.
pub fn rank(rulings: &[Ruling], knee: Option<&Knee>, sources: &Sources<'_>) -> Ranked {
    let fired = |ruling: &&Ruling| ruling.kind == RulingKind::Fires;
    let limits = |ruling: &&Ruling| ruling.may_bend();
    let mut caveats = Vec::new();
    let mut findings = Vec::new();
    if let Some(knee) = knee {
        let mut suspects: Vec<&Ruling> = rulings.iter().filter(fired).filter(limits).collect();
        if suspects.is_empty() {
            suspects = rulings
                .iter()
                .filter(|ruling| ruling.kind == RulingKind::Possible)
                .filter(limits)
                .collect();
            caveats.extend(undecided(&suspects, sources));
        }
        // A prediction that the knee contradicts speaks against a finding, unless nothing else
        // is left to name.
        if suspects.iter().any(|ruling| !is_contradicted(ruling, knee)) {
            suspects.retain(|ruling| !is_contradicted(ruling, knee));
        }
        findings = accuse(&suspects, knee);
    }
    let is_apart = |ruling: &&Ruling| {
        ruling.rule.role == RuleRole::Apart && !(knee.is_some() && ruling.may_bend())
    };
    let apart = rulings.iter().filter(fired).filter(is_apart);
    findings.extend(apart.map(|ruling| finding(ruling, FindingRole::Apart, knee)));
    let named: BTreeSet<&str> = findings.iter().map(|finding| finding.rule.as_str()).collect();
    let ruled_out = knee.map_or_else(Vec::new, |knee| ruled_out(rulings, &named, knee));
    let not_checked = not_checked(rulings, &named, sources);
    let prediction = prediction(rulings, &findings);
    Ranked { ruled_out, not_checked, findings, prediction, caveats }
}

/// What the cause among `findings` predicts, and whether it is confirmed without that.
fn prediction(rulings: &[Ruling], findings: &[Finding]) -> Option<Prediction> {
    let cause = findings.iter().find(|finding| finding.role == FindingRole::Cause)?;
    let is_cause =
        |ruling: &&Ruling| ruling.rule.id == cause.rule && ruling.subject == cause.subject;
    let ruling = rulings.iter().find(is_cause)?;
    let is_seen = unchecked(ruling) == 0 && (supports(ruling) > 0 || witnesses(ruling) > 1);
    let is_explained = ruling.explains.is_some_and(|share| share >= GROWTH_MATCH);
    let is_confirmed = ruling.kind == RulingKind::Fires && (is_seen || is_explained);
    Some(Prediction { capacity: ruling.predicted?, is_confirmed })
}

/// Refutations that could not be looked at.
fn unchecked(ruling: &Ruling) -> usize {
    let unseen = |judged: &&MeasuredCondition| judged.holds.is_none() && !judged.condition.optional;
    ruling.refute.iter().filter(unseen).count()
}

fn supports(ruling: &Ruling) -> usize {
    ruling.support.iter().filter(|judged| judged.holds == Some(true)).count()
}

fn witnesses(ruling: &Ruling) -> usize {
    ruling.require.iter().map(|judged| judged.witnesses).max().unwrap_or(0)
}

/// The finding that follows from no other and is best confirmed is the cause. What is known to
/// account for nothing is no other's cause.
fn accuse(suspects: &[&Ruling], knee: &Knee) -> Vec<Finding> {
    let sources: Vec<&Rule> = suspects
        .iter()
        .filter(|ruling| !accounts_for_nothing(ruling, knee))
        .map(|ruling| ruling.rule)
        .collect();
    let (mut roots, mut consequences) = (Vec::new(), Vec::new());
    for (order, ruling) in suspects.iter().enumerate() {
        let finding = finding(ruling, FindingRole::Contributing, Some(knee));
        let of: Vec<&str> = sources
            .iter()
            .filter(|other| follows(ruling.rule, other))
            .map(|other| other.id.as_str())
            .collect();
        if of.is_empty() {
            roots.push((order, finding));
        } else {
            consequences.push((of, finding));
        }
    }
    roots.sort_by(|(left, a), (right, b)| {
        let explains = |finding: &Finding| finding.explains_growth.unwrap_or(0.0);
        let idle = |order: &usize| accounts_for_nothing(suspects[*order], knee);
        let predicts = |order: &usize| {
            capacity_match(suspects[*order], Some(knee)).is_some_and(|(_, good)| good)
        };
        idle(left)
            .cmp(&idle(right))
            .then(b.confidence.cmp(&a.confidence))
            .then(predicts(right).cmp(&predicts(left)))
            .then(explains(b).total_cmp(&explains(a)))
            .then(left.cmp(right))
    });
    if roots.is_empty() && !consequences.is_empty() {
        // Only rules from different directories can name each other in a circle.
        roots.push((0, consequences.remove(0).1));
    }
    let mut findings: Vec<Finding> = roots.into_iter().map(|(_, finding)| finding).collect();
    if let Some(first) = findings.first_mut() {
        first.role = FindingRole::Cause;
    }
    // Of several sources the one that is most likely the cause is named.
    let ranked: Vec<String> = findings.iter().map(|finding| finding.rule.clone()).collect();
    findings.extend(consequences.into_iter().map(|(of, finding)| {
        let named = ranked.iter().find(|id| of.contains(&id.as_str()));
        let of = named.cloned().unwrap_or_else(|| of[0].to_owned());
        consequence(finding, of)
    }));
    findings
}

/// A finding that follows from another. That it holds is sure; that it limits anything is not, so
/// it never counts as confirmed.
pub fn consequence(mut finding: Finding, of: String) -> Finding {
    if finding.confidence > Confidence::Medium {
        finding.confidence = Confidence::Medium;
        finding.confidence_why += &format!("; but it follows from `{of}`");
    }
    Finding { role: FindingRole::Consequence { of }, ..finding }
}

fn finding(ruling: &Ruling, role: FindingRole, knee: Option<&Knee>) -> Finding {
    let (confidence, confidence_why) = confidence(ruling, knee);
    let rule = ruling.rule;
    let held = |judged: &&MeasuredCondition| judged.holds == Some(true);
    let evidence = ruling.require.iter().filter(|judged| judged.holds.is_some());
    let support = ruling.support.iter().filter(held);
    let advice = ruling.require.iter().chain(&ruling.support).filter(held).filter_map(|judged| {
        let of = ruling.subject.as_deref().or(judged.of.as_deref());
        judged.condition.advice.as_deref().map(|text| title(text, of))
    });
    let next = std::iter::once(title(&rule.next, ruling.subject.as_deref())).chain(advice);
    let refutations = ruling
        .refute
        .iter()
        .filter(|judged| judged.holds == Some(false))
        .flat_map(|judged| judged.evidence.clone());
    // A sharper title may name what its condition was measured for, such as the peer.
    let sharper = ruling.require.iter().chain(&ruling.support).filter(held).find_map(|judged| {
        let of = ruling.subject.as_deref().or(judged.of.as_deref());
        judged.condition.title.as_deref().map(|text| title(text, of))
    });
    Finding {
        rule: rule.id.clone(),
        title: sharper.unwrap_or_else(|| title(&rule.title, ruling.subject.as_deref())),
        subject: ruling.subject.clone(),
        endpoint: None,
        service: None,
        role,
        confidence,
        confidence_why,
        why: rule.why.clone(),
        next: next.collect::<Vec<_>>().join(" "),
        disproved_by: title(&rule.disproved_by, ruling.subject.as_deref()),
        evidence: evidence.chain(support).flat_map(|judged| judged.evidence.clone()).collect(),
        refutations: refutations.collect(),
        predicted_capacity: ruling.predicted,
        explains_growth: ruling.explains,
        code: Vec::new(),
        counterfactuals: Vec::new(),
    }
}

fn title(text: &str, subject: Option<&str>) -> String {
    text.replace("{of}", subject.unwrap_or("another service"))
}

/// The capacity that a ruling predicts, and whether the knee is there.
fn capacity_match(ruling: &Ruling, knee: Option<&Knee>) -> Option<(f64, bool)> {
    ruling.predicted.zip(knee).map(|(predicted, knee)| {
        let low = knee.low.min(knee.rate) * (1.0 - CAPACITY_MATCH);
        let high = knee.high.max(knee.rate) * (1.0 + CAPACITY_MATCH);
        (predicted, (low..=high).contains(&predicted))
    })
}

/// Whether the capacity that a fault predicts is so far from the knee that it cannot be its limit.
fn is_contradicted(ruling: &Ruling, knee: &Knee) -> bool {
    ruling.rule.role == RuleRole::Limit
        && ruling.predicted.is_some_and(|predicted| {
            predicted > CONTRADICTED * knee.high.max(knee.rate)
                || predicted < knee.low.min(knee.rate) / CONTRADICTED
        })
}

/// The prediction that the knee contradicts, as evidence.
fn contradiction(ruling: &Ruling, knee: &Knee) -> Option<Evidence> {
    let predicted = ruling.predicted.filter(|_| is_contradicted(ruling, knee))?;
    Some(Evidence {
        text: format!(
            "it predicts a knee at {}, where the curve bent at {}",
            wording::rate(predicted),
            wording::number(knee.rate)
        ),
        signal: "predicted capacity by the knee".to_owned(),
        window: Span::Knee.key().to_owned(),
        value: Some(predicted / knee.rate),
        baseline: None,
        bound: format!("under {CONTRADICTED}"),
        unit: Unit::Times,
        holds: Some(false),
        series: Vec::new(),
    })
}

/// Whether it was measured that a fault, although it is there, did not bend the curve: it
/// accounts for next to nothing of the growth, and predicts no knee where there is one.
fn accounts_for_nothing(ruling: &Ruling, knee: &Knee) -> bool {
    let predicts = capacity_match(ruling, Some(knee)).is_some_and(|(_, good)| good);
    let is_seen = ruling.unexplained < UNSEEN_GROWTH;
    !predicts && is_seen && ruling.explains.is_some_and(|share| share < GROWTH_OF_NOTE)
}

/// How sure a finding is: `rules/README.md` documents how it is counted.
fn confidence(ruling: &Ruling, knee: Option<&Knee>) -> (Confidence, String) {
    if ruling.kind == RulingKind::Possible {
        let why = "its symptom holds; what sets it apart from its rivals was not measured";
        return (Confidence::Low, why.to_owned());
    }
    let (unseen, supports, witnesses) = (unchecked(ruling), supports(ruling), witnesses(ruling));
    let capacity = capacity_match(ruling, knee);
    let growth = ruling.explains.map(|share| (share, share >= GROWTH_MATCH));
    let mut why = vec!["every required condition holds".to_owned()];
    let apart = ruling.rule.role == RuleRole::Apart;
    let checks = [
        (
            unseen == 0,
            match unseen {
                0 => "no refutation holds".to_owned(),
                1 => "one refutation could not be checked".to_owned(),
                more => format!("{more} refutations could not be checked"),
            },
        ),
        (
            supports > 0 || witnesses > 1,
            match (supports, witnesses) {
                (0, 0 | 1) => "no second sign supports it".to_owned(),
                (0, more) => format!("{more} independent signs agree"),
                (1, _) => "one more sign supports it".to_owned(),
                (more, _) => format!("{more} more signs support it"),
            },
        ),
        // A prediction that fails is not made good by the growth.
        (apart || capacity.map_or(growth.is_some_and(|it| it.1), |it| it.1), {
            let capacity = capacity.map(|(predicted, good)| {
                let but = if good { "" } else { ", which is not where it bent" };
                format!("it predicts a knee at {}{but}", wording::rate(predicted))
            });
            let growth = growth
                .map(|(share, _)| format!("it explains {} of the growth", wording::percent(share)));
            match (capacity, growth) {
                (Some(capacity), Some(growth)) => format!("{capacity}; {growth}"),
                (Some(one), None) | (None, Some(one)) => one,
                (None, None) if apart => "it is judged over the whole run".to_owned(),
                (None, None) => "it predicts nothing that could be compared".to_owned(),
            }
        }),
    ];
    let passed = checks.iter().filter(|(passed, _)| *passed).count();
    why.extend(checks.into_iter().map(|(_, text)| text));
    let blunt = knee.filter(|knee| !apart && knee.high - knee.low > SHARP_KNEE * knee.rate);
    if let Some(knee) = blunt {
        why.push(format!(
            "but the knee is only known to lie between {} and {}",
            wording::number(knee.low),
            wording::rate(knee.high)
        ));
    }
    let confidence = match passed {
        _ if knee.is_some_and(|knee| is_contradicted(ruling, knee)) => Confidence::Low,
        _ if knee.is_some_and(|knee| accounts_for_nothing(ruling, knee)) => Confidence::Low,
        3 if blunt.is_none() => Confidence::High,
        0 => Confidence::Low,
        _ => Confidence::Medium,
    };
    (confidence, why.join("; "))
}

/// One entry for each rule that was measured and does not hold for any subject, or holds and is
/// contradicted by the knee; of several subjects the one that came nearest stands for all.
fn ruled_out(rulings: &[Ruling], named: &BTreeSet<&str>, knee: &Knee) -> Vec<RuledOut> {
    let mut out: Vec<(usize, RuledOut)> = Vec::new();
    for ruling in rulings {
        let id = ruling.rule.id.as_str();
        let stands = |ruling: &Ruling| match ruling.kind {
            RulingKind::Fires => !is_contradicted(ruling, knee),
            RulingKind::Possible => true,
            RulingKind::Quiet | RulingKind::NoData => false,
        };
        let is_measured = matches!(ruling.kind, RulingKind::Quiet | RulingKind::Fires);
        if !is_measured || named.contains(id) {
            continue;
        }
        if rulings.iter().any(|other| other.rule.id == id && stands(other)) {
            continue;
        }
        let entry = RuledOut {
            rule: id.to_owned(),
            title: title(&ruling.rule.title, ruling.subject.as_deref()),
            because: ruling.because().into_iter().chain(contradiction(ruling, knee)).collect(),
        };
        match out.iter_mut().find(|(_, have)| have.rule == id) {
            Some((met, have)) if ruling.met() > *met => (*met, *have) = (ruling.met(), entry),
            Some(_) => {}
            None => out.push((ruling.met(), entry)),
        }
    }
    out.into_iter().map(|(_, entry)| entry).collect()
}

fn not_checked(
    rulings: &[Ruling],
    named: &BTreeSet<&str>,
    sources: &Sources<'_>,
) -> Vec<NotChecked> {
    let mut out: Vec<NotChecked> = Vec::new();
    for ruling in rulings {
        let missing = matches!(ruling.kind, RulingKind::NoData | RulingKind::Possible);
        let id = ruling.rule.id.as_str();
        if !missing || named.contains(id) || out.iter().any(|have| have.rule == id) {
            continue;
        }
        if rulings.iter().any(|other| other.rule.id == id && other.kind == RulingKind::Quiet) {
            continue;
        }
        out.push(NotChecked {
            rule: id.to_owned(),
            title: title(&ruling.rule.title, None),
            missing: ruling.missing(),
            add: lacking::advice(ruling, sources),
        });
    }
    out
}

/// Rivals whose decisive signal is missing, and what would decide between them.
fn undecided(suspects: &[&Ruling], sources: &Sources<'_>) -> Option<String> {
    let first = suspects.first()?;
    let ids: BTreeSet<&str> = suspects.iter().map(|ruling| ruling.rule.id.as_str()).collect();
    let names = ids.iter().map(|id| format!("`{id}`")).collect::<Vec<_>>();
    let add = lacking::advice(first, sources);
    Some(match names.as_slice() {
        [one] => format!("{one} is possible, but not confirmed: {add}"),
        [all @ .., last] => {
            format!("{} and {last} cannot be told apart here: {add}", all.join(", "))
        }
        [] => return None,
    })
}

/// The conditions of a rule that does not take part in the ranking, as evidence.
pub fn measured(rulings: &[Ruling], role: RuleRole) -> Vec<Evidence> {
    rulings
        .iter()
        .filter(|ruling| ruling.rule.role == role)
        .flat_map(Ruling::evidence)
        .filter(|evidence| evidence.holds == Some(true))
        .collect()
}
