//! The search for the knee: a geometric rise to the first sign, descents that enclose the knee
//! between two neighbouring stages, stages beyond it, a recovery, and bursts where requests were
//! refused.
//!
//! A coarse rise shows a sign late: the stage below the sign may already lie above the knee. So a
//! descent asks afterwards which of its stages were carried. Where the highest of them and the
//! lowest that was not are still far apart, or the interval of the knee is still wide, the search
//! goes down again and holds stages between the two.

use std::collections::VecDeque;
use std::time::Duration;

use crate::diagnose::knee::{self, Bracket, KneeVerdict, LiveSign};
use crate::diagnose::stages::{still_fails, summarize_timeline};
use crate::plan::Breakpoint;
use crate::recording::{PlanSummary, StopReason};
use crate::run::bursts;
use crate::timeline::{Moment, Stage, StageRole, Timeline};

use super::decision::{Decision, LONGEST_DRAIN, Pilot, PlannedStage};

/// How often a search continues above the stages around a sign that did not locate a knee. Such a
/// sign came early by chance, and the knee is higher.
const FURTHER: u32 = 2;

/// The stages beyond a sign, as multiples of its rate.
const PAST: [f64; 3] = [1.0, 1.15, 1.35];

/// How often the search goes down, the first time included. Each time divides the distance between
/// a good and a bad stage by five: more than three would measure only noise.
const DESCENTS: u32 = 3;

/// Stages of one descent.
const FINE: u32 = 4;

/// For how many stages the system rests, at half of the lowest rate of a descent, where it does not
/// carry any more what it carried before the overload.
const REST: u32 = 4;

/// How many times lower than the lowest rate of a descent its drain is, a drain after one that did
/// not help, and a search below a rate under which nothing was good.
const LOWER: f64 = 4.0;

/// How often in a row a search drains again, at a lower rate, before it goes on all the same. Retries
/// can keep a backlog alive at a load that the system had carried before.
const QUIETER: u32 = 2;

/// A bad stage is the neighbour of a good one up to this multiple of its rate, and a knee is
/// located where its interval is at most this share of it wide: 8 % to either side.
const NEIGHBOUR: f64 = 1.0 + SHARP;
const SHARP: f64 = 0.16;

/// Searches for the knee.
pub(super) struct BreakpointPilot {
    plan: Breakpoint,
    phase: SearchPhase,
    /// Highest rate that was held without a sign, and the rate of the sign that ended the rise.
    last_good: f64,
    sign: f64,
    /// How often it can still continue above the stages around a sign.
    further: u32,
    /// How often it can still go down, and whether the system may still rest before.
    descents: u32,
    may_rest: bool,
    /// How often it can still drain again.
    quieter: u32,
    /// When the run ends, whatever the search has found.
    end: Moment,
}

/// Stages that follow, and how to judge what was held once they are over.
enum SearchPhase {
    /// The baseline or a stage of the rise.
    Rising(VecDeque<PlannedStage>),
    /// Fine stages below a sign.
    Descending(VecDeque<PlannedStage>),
    /// Stages beyond a sign, or a descent into the interval of a knee.
    Placing(VecDeque<PlannedStage>),
    /// Nothing more but the recovery.
    Measured(StopReason),
    /// The recovery was held.
    Over(StopReason),
    /// Bursts after the recovery.
    Probing(VecDeque<PlannedStage>, StopReason),
}

impl BreakpointPilot {
    /// A search that never exceeds `max_rate`, in a run that ends after `longest`.
    pub(super) fn new(mut plan: Breakpoint, max_rate: f64, longest: Duration) -> Self {
        plan.max_rate = plan.max_rate.min(max_rate);
        plan.start_rate = plan.start_rate.min(plan.max_rate);
        // Twice as long: the lowest rate makes few requests, and every later stage is compared
        // with them.
        let baseline = PlannedStage::constant(StageRole::Baseline, plan.start_rate, plan.hold * 2);
        Self {
            plan,
            phase: SearchPhase::Rising(VecDeque::from([baseline])),
            last_good: 0.0,
            sign: 0.0,
            further: FURTHER,
            descents: DESCENTS,
            may_rest: true,
            quieter: QUIETER,
            end: Moment::START + longest,
        }
    }

    /// The next stage of the rise, or what ends it.
    fn after_rise(&mut self, timeline: &Timeline, plan: &PlanSummary) -> SearchPhase {
        let held = timeline.stages.last().map_or(self.plan.start_rate, Stage::rate);
        match knee::live(timeline, plan) {
            LiveSign::GeneratorLimited { .. } => {
                SearchPhase::Measured(StopReason::GeneratorLimited)
            }
            LiveSign::Sign { .. } => {
                self.sign = held;
                SearchPhase::Descending(self.descent_to_sign())
            }
            LiveSign::None => self.rise_from(held, timeline, plan),
        }
    }

    /// What follows a descent that has found no interval yet: another one where the knee is not
    /// enclosed, else the stages beyond it.
    fn after_descent(&mut self, timeline: &Timeline, plan: &PlanSummary) -> SearchPhase {
        if let LiveSign::GeneratorLimited { .. } = knee::live(timeline, plan) {
            return SearchPhase::Measured(StopReason::GeneratorLimited);
        }
        let rest = self.plan.hold * REST;
        if self.may_rest
            && self.may_descend(timeline, PAST.len() + REST as usize)
            && knee::is_tired(timeline, plan)
        {
            self.may_rest = false;
            let mut again = self.descent_to_sign();
            let rate = again.front().map_or(0.0, |drain| drain.rate_from);
            again.insert(1, PlannedStage::constant(StageRole::Refine, 2.0 * rate, rest));
            return SearchPhase::Descending(again);
        }
        let highest = measured(timeline).fold(0.0, f64::max);
        let Some(bracket) = knee::bracket(timeline, plan) else {
            return SearchPhase::Placing(self.past(highest, &PAST));
        };
        if bracket.bad > NEIGHBOUR * bracket.good && self.may_descend(timeline, PAST.len()) {
            return SearchPhase::Descending(self.between(bracket));
        }
        SearchPhase::Placing(self.past(bracket.bad, &PAST))
    }

    /// The end of the search if the stages locate the knee; else a descent into its interval, or
    /// further stages beyond.
    fn after_placing(&mut self, timeline: &Timeline, plan: &PlanSummary) -> SearchPhase {
        let highest = measured(timeline).fold(0.0, f64::max);
        match knee::live(timeline, plan) {
            LiveSign::GeneratorLimited { .. } => {
                return SearchPhase::Measured(StopReason::GeneratorLimited);
            }
            // A false sign. The rise continues beyond it, so there cannot be many.
            LiveSign::None => return self.rise_from(highest, timeline, plan),
            LiveSign::Sign { .. } => {}
        }
        if let Some(descent) = self.descent_in_interval(timeline, plan) {
            return SearchPhase::Placing(descent);
        }
        let found = knee::find(&summarize_timeline(timeline, plan), timeline);
        let is_placed = matches!(found, KneeVerdict::Found(_));
        if is_placed || self.further == 0 || highest >= self.plan.max_rate {
            return SearchPhase::Measured(StopReason::KneeFound);
        }
        self.further -= 1;
        SearchPhase::Placing(self.past(highest, &PAST[1..]))
    }

    /// Stages inside the interval of a knee that was found and whose interval is wide; `None` where
    /// there is nothing to gain.
    fn descent_in_interval(
        &mut self,
        timeline: &Timeline,
        plan: &PlanSummary,
    ) -> Option<VecDeque<PlannedStage>> {
        let stages = summarize_timeline(timeline, plan);
        let found = knee::find(&stages, timeline);
        let KneeVerdict::Found(found) = found else { return None };
        if found.high - found.low <= SHARP * found.rate || !self.may_descend(timeline, 0) {
            return None;
        }
        let offered = || stages.iter().filter(|stage| stage.counts()).map(|stage| stage.offered);
        let good = offered().filter(|rate| *rate <= found.low).fold(0.0, f64::max);
        let bad = offered().filter(|rate| *rate >= found.high).fold(f64::INFINITY, f64::min);
        // Where stages enclose the knee more closely than its interval does, they say where to look.
        let bracket = knee::bracket(timeline, plan)
            .filter(|it| it.bad > NEIGHBOUR * it.good)
            .unwrap_or(Bracket { good, bad });
        bracket.bad.is_finite().then(|| self.between(bracket))
    }

    /// Stages where the highest stages of the rise begin to bend, too few to be sure.
    fn descent_in_bend(
        &mut self,
        timeline: &Timeline,
        plan: &PlanSummary,
    ) -> Option<VecDeque<PlannedStage>> {
        let bracket = knee::begins_to_bend(&summarize_timeline(timeline, plan), timeline)?;
        self.may_descend(timeline, 0).then(|| self.between(bracket))
    }

    /// Whether another descent is allowed, and can end before the run does, with `more` stages and
    /// the recovery after it.
    fn may_descend(&self, timeline: &Timeline, more: usize) -> bool {
        let stages = self.plan.hold * (FINE + more as u32);
        let ends = timeline.end() + self.longest_drain() + stages + self.plan.recovery;
        self.descents > 0 && ends <= self.end
    }

    /// The rise goes on above `held`, unless that was its highest rate.
    fn rise_from(&mut self, held: f64, timeline: &Timeline, plan: &PlanSummary) -> SearchPhase {
        self.last_good = self.last_good.max(held);
        if held >= self.plan.max_rate {
            // What bends without stopping the rise, such as a tail, is located as well.
            let descent = self.descent_in_interval(timeline, plan);
            return match descent.or_else(|| self.descent_in_bend(timeline, plan)) {
                Some(descent) => SearchPhase::Placing(descent),
                None => SearchPhase::Measured(StopReason::MaxRate),
            };
        }
        let rate = (held * self.plan.factor).min(self.plan.max_rate);
        let next = PlannedStage::constant(StageRole::Ramp, rate, self.plan.hold);
        SearchPhase::Rising(VecDeque::from([next]))
    }

    /// Stages from the highest good rate of the rise to below its sign. The good one is held again:
    /// it may have been good by chance, or as long as no queue had time to grow.
    fn descent_to_sign(&mut self) -> VecDeque<PlannedStage> {
        let sign = self.sign;
        let good = if self.last_good > 0.0 { self.last_good.min(sign) } else { sign / LOWER };
        let step = (sign - good) / f64::from(FINE);
        self.descent((0..FINE).map(|index| good + step * f64::from(index)))
    }

    /// Stages between a good and a bad one that are held already.
    fn between(&mut self, bracket: Bracket) -> VecDeque<PlannedStage> {
        let good = if bracket.good > 0.0 { bracket.good } else { bracket.bad / LOWER };
        let step = (bracket.bad - good) / f64::from(FINE + 1);
        self.descent((1..=FINE).map(|index| good + step * f64::from(index)))
    }

    /// A drain, then stages at these rates. They rise, so that no queue of one is left for the next
    /// as long as both are carried.
    fn descent(&mut self, rates: impl Iterator<Item = f64>) -> VecDeque<PlannedStage> {
        self.descents = self.descents.saturating_sub(1);
        let hold = self.plan.hold;
        let mut stages: VecDeque<PlannedStage> =
            rates.map(|rate| PlannedStage::constant(StageRole::Refine, rate, hold)).collect();
        let lowest = stages.front().map_or(0.0, |stage| stage.rate_from);
        let longest = self.longest_drain();
        stages.push_front(PlannedStage::constant(StageRole::Drain, lowest / LOWER, longest));
        stages
    }

    /// Bursts that tell what a limit counts. Without a recovery they would meet what is left of the
    /// load.
    fn bursts(&self, timeline: &Timeline) -> VecDeque<PlannedStage> {
        if !self.plan.probe || self.plan.recovery.is_zero() {
            return VecDeque::new();
        }
        let probe = |burst: bursts::Burst| {
            PlannedStage::constant(StageRole::Probe, burst.rate, burst.duration)
        };
        bursts::after(timeline, self.plan.max_rate).into_iter().map(probe).collect()
    }

    fn longest_drain(&self) -> Duration {
        LONGEST_DRAIN.max(self.plan.hold * 2)
    }

    /// Another drain, where most requests still failed at the end of the last stage and that was a
    /// drain. What is held before the system is back says nothing of the load.
    fn quieter(&mut self, timeline: &Timeline) -> Option<PlannedStage> {
        let [.., before, last] = timeline.stages.as_slice() else { return None };
        if last.role != StageRole::Drain {
            return None;
        }
        if !still_fails(timeline, last.window) {
            self.quieter = QUIETER;
            return None;
        }
        let longest = self.longest_drain();
        if self.quieter == 0 || timeline.end() + longest + self.plan.recovery > self.end {
            return None;
        }
        self.quieter -= 1;
        let lower = if before.role == StageRole::Drain { 1.0 } else { LOWER };
        Some(PlannedStage::constant(StageRole::Drain, last.rate() / lower, longest))
    }

    /// Stages beyond a rate: a broken-line fit needs points on both sides of the knee.
    fn past(&self, rate: f64, shares: &[f64]) -> VecDeque<PlannedStage> {
        let (most, hold) = (self.plan.max_rate, self.plan.hold);
        let level =
            |share: &f64| PlannedStage::constant(StageRole::Beyond, (rate * share).min(most), hold);
        shares.iter().map(level).collect()
    }
}

impl Pilot for BreakpointPilot {
    fn next(&mut self, timeline: &Timeline, plan: &PlanSummary) -> Decision {
        if let Some(drain) = self.quieter(timeline) {
            return Decision::Hold(drain);
        }
        loop {
            let next = match &mut self.phase {
                SearchPhase::Rising(stages)
                | SearchPhase::Descending(stages)
                | SearchPhase::Placing(stages)
                | SearchPhase::Probing(stages, _) => stages.pop_front(),
                SearchPhase::Measured(_) | SearchPhase::Over(_) => None,
            };
            if let Some(stage) = next {
                return Decision::Hold(stage);
            }
            self.phase = match &self.phase {
                SearchPhase::Rising(_) => self.after_rise(timeline, plan),
                SearchPhase::Descending(_) => self.after_descent(timeline, plan),
                SearchPhase::Placing(_) => self.after_placing(timeline, plan),
                SearchPhase::Over(reason) => {
                    SearchPhase::Probing(self.bursts(timeline), reason.clone())
                }
                SearchPhase::Probing(_, reason) => return Decision::Done(reason.clone()),
                SearchPhase::Measured(reason) => {
                    let (recovery, reason) = (self.plan.recovery, reason.clone());
                    self.phase = SearchPhase::Over(reason);
                    if recovery.is_zero() {
                        continue;
                    }
                    let rest = PlannedStage::constant(StageRole::Recovery, 0.0, recovery);
                    return Decision::Hold(rest);
                }
            };
        }
    }
}

/// The rates that were held to measure the target.
fn measured(timeline: &Timeline) -> impl Iterator<Item = f64> {
    timeline.stages.iter().filter(|stage| stage.role.is_measured()).map(Stage::rate)
}

#[cfg(test)]
mod tests;
