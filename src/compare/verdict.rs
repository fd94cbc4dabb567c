//! Worse, better, same, or cannot tell.

use super::estimate::{TAIL, Tested};
use super::model::{Answer, Quantity, Subject, Verdict};
use crate::diagnose::wording;
use crate::plan::Gate;

/// The sum of the normal quantiles of a two-sided test at 5 % and a power of 80 %.
const DETECTS: f64 = 1.96 + 0.84;
/// Runs of each build from which on a t test stands on its own: with fewer, its degrees of freedom
/// leave only very large differences. So many runs a gate makes unless the plan says otherwise.
pub const RUNS_OF_A_GATE: usize = Gate::USUAL_RUNS;
/// More further runs than this decide nothing that anybody would wait for.
const MOST_FURTHER: u64 = 100;

/// A quantity before its answer.
pub struct Draft {
    /// Everything but the answer.
    pub quantity: Quantity,
    pub state: State,
    /// The runs that were disturbed and are left out, those of the base first.
    pub left_out: Vec<usize>,
}

/// What is known of a quantity.
pub enum State {
    /// It cannot be judged, whatever it came to.
    Untold { why: String, further_runs: Option<u64> },
    /// It was measured.
    Measured(Judged),
}

/// What was measured.
#[derive(Clone, Copy)]
pub struct Judged {
    pub tested: Tested,
    /// It is the same where its whole interval lies within this.
    pub same_within: f64,
    /// Whether runs of one build may differ by more than the interval says.
    pub is_noise_unknown: bool,
    /// Whether any result of the same size of sample would count as worse. Those that cannot do not
    /// add to the number of tests (Tarone 1990, Biometrics 46:515).
    pub can_reject: bool,
    /// Standard deviation from run to run on the scale of the test; `None` where it is told from
    /// the width of the interval.
    pub sigma: Option<f64>,
}

/// The answer of each quantity, which was measured in `runs` of each build at least.
pub fn answers(drafts: &mut [Draft], runs: usize) {
    let worse = holm(drafts, |tested| tested.p_worse);
    let better = holm(drafts, |tested| tested.p_better);
    let tests = drafts.iter().filter(|draft| draft.takes_part()).count() as u64;
    for (index, draft) in drafts.iter_mut().enumerate() {
        draft.quantity.answer = match &draft.state {
            State::Untold { why, further_runs } => Answer::CannotTell {
                why: why.clone(),
                further_runs: *further_runs,
                exceeds_noise: false,
            },
            State::Measured(judged) => answer(
                judged,
                draft.quantity.change_allowed(),
                (worse[index], better[index]),
                runs,
                tests,
            ),
        };
    }
}

/// The answer for the whole: worse where anything is, and otherwise what the response times and
/// errors of all requests say. What was refused, such as a p99 of few requests, has no say.
pub fn overall(drafts: &[Draft]) -> Verdict {
    let answer = |draft: &Draft| draft.quantity.answer.verdict();
    if drafts.iter().any(|draft| answer(draft) == Verdict::Worse) {
        return Verdict::Worse;
    }
    let speaks = |draft: &&Draft| {
        let quantity = &draft.quantity;
        quantity.subject == Subject::All
            && matches!(draft.state, State::Measured(_))
            && (quantity.measure.quantile().is_some() || quantity.is_error_ratio())
    };
    let key: Vec<Verdict> = drafts.iter().filter(speaks).map(answer).collect();
    let has_times = drafts.iter().filter(speaks).any(|draft| !draft.quantity.is_error_ratio());
    match () {
        // Errors alone say nothing of how long a response takes.
        () if !has_times || key.contains(&Verdict::CannotTell) => Verdict::CannotTell,
        () if key.contains(&Verdict::Better) => Verdict::Better,
        () => Verdict::Same,
    }
}

impl Draft {
    /// Of all runs.
    pub fn new(quantity: Quantity, state: State) -> Self {
        Self { quantity, state, left_out: Vec::new() }
    }

    fn takes_part(&self) -> bool {
        match &self.state {
            State::Measured(judged) => judged.can_reject && !judged.is_noise_unknown,
            State::Untold { .. } => false,
        }
    }
}

fn answer(
    judged: &Judged,
    allowed: f64,
    (worse, better): (bool, bool),
    runs: usize,
    tests: u64,
) -> Answer {
    let Judged { tested, same_within, .. } = *judged;
    let exceeds_noise = tested.p_worse <= TAIL || tested.p_better <= TAIL;
    let cannot_tell = |why: String, further_runs: Option<u64>| Answer::CannotTell {
        why,
        further_runs,
        exceeds_noise,
    };
    if judged.is_noise_unknown {
        let why = match exceeds_noise {
            true => {
                "the difference exceeds the noise within the runs; the noise from run to run is \
                 unknown"
            }
            false => "the noise from run to run is unknown",
        };
        return cannot_tell(why.to_owned(), Some((RUNS_OF_A_GATE - 1) as u64));
    }
    if worse {
        return Answer::Worse;
    }
    if better {
        return Answer::Better;
    }
    if exceeds_noise {
        let why = format!(
            "{} were compared, and among so many one looks like this by chance too often",
            wording::plural(tests, "quantity", "quantities")
        );
        return Answer::CannotTell {
            why,
            further_runs: further_runs(judged, allowed, runs),
            exceeds_noise: false,
        };
    }
    if tested.low >= -same_within && tested.high <= same_within {
        return Answer::Same;
    }
    match (tested.low.is_finite(), tested.high.is_finite()) {
        (true, true) => {
            let why = "its interval reaches from what is allowed to what is not";
            cannot_tell(why.to_owned(), further_runs(judged, allowed, runs))
        }
        (false, false) => cannot_tell("so few events can be chance".to_owned(), None),
        _ => cannot_tell("only one of the builds reached it; offer more load".to_owned(), None),
    }
}

/// How many more runs of each build would decide, as far as the noise so far tells:
/// n = 2 (z_.975 + z_.8)^2 sigma^2 / d^2 (Cohen 1988), with the allowed difference as d, or the
/// distance to it where that many runs are there already.
fn further_runs(judged: &Judged, allowed: f64, runs: usize) -> Option<u64> {
    let Tested { low, high, .. } = judged.tested;
    let middle = (low + high) / 2.0;
    let needed = |distance: f64| match judged.sigma {
        Some(sigma) => 2.0 * (DETECTS * sigma / distance).powi(2),
        // Without a failure, the interval shrinks with the number of requests, not with its root.
        None if !judged.can_reject => runs as f64 * (high - low) / 2.0 / distance,
        None => runs as f64 * ((high - low) / 2.0 / distance).powi(2),
    };
    let have = runs as f64;
    let at_first = needed(allowed).ceil();
    let needed = if at_first > have { at_first } else { needed((middle.abs() - allowed).abs()) };
    let further = (needed.max(RUNS_OF_A_GATE as f64) - have).ceil().max(1.0);
    (further.is_finite() && further <= MOST_FURTHER as f64).then_some(further as u64)
}

/// Which tests hold at 2.5 % on this side after Holm's step-down correction (1979, Scand. J.
/// Statist. 6:65).
fn holm(drafts: &[Draft], p: impl Fn(&Tested) -> f64) -> Vec<bool> {
    let mut ranked: Vec<(f64, usize)> = Vec::new();
    for (index, draft) in drafts.iter().enumerate().filter(|(_, draft)| draft.takes_part()) {
        if let State::Measured(judged) = &draft.state {
            ranked.push((p(&judged.tested), index));
        }
    }
    ranked.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mut holds = vec![false; drafts.len()];
    let count = ranked.len();
    for (rank, (p, index)) in ranked.into_iter().enumerate() {
        if p > TAIL / (count - rank) as f64 {
            break;
        }
        holds[index] = true;
    }
    holds
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::estimate::{self, RunValue};
    use crate::compare::model::Measure;
    use crate::diagnose::stats::Random;

    fn draft(p_worse: f64, low: f64, high: f64, sigma: Option<f64>) -> Draft {
        let judged = Judged {
            tested: Tested { low, high, p_worse, p_better: 1.0 },
            same_within: 0.0953,
            is_noise_unknown: false,
            can_reject: true,
            sigma,
        };
        Draft::new(Quantity::new(Subject::All, Measure::P99, 0.1), State::Measured(judged))
    }

    fn verdicts(mut drafts: Vec<Draft>) -> Vec<Verdict> {
        answers(&mut drafts, 5);
        drafts.iter().map(|draft| draft.quantity.answer.verdict()).collect()
    }

    #[test]
    fn one_of_many_has_to_be_clearer() {
        let clear = || draft(0.01, 0.1, 0.3, Some(0.03));
        assert_eq!(verdicts(vec![clear()]), [Verdict::Worse]);
        let calm = || draft(1.0, -0.02, 0.02, Some(0.03));
        assert_eq!(
            verdicts(vec![clear(), calm(), calm()]),
            [Verdict::CannotTell, Verdict::Same, Verdict::Same]
        );
        let mut impossible = draft(1.0, -0.0002, 0.0002, None);
        if let State::Measured(judged) = &mut impossible.state {
            judged.can_reject = false;
        }
        let mut drafts = vec![clear(), impossible];
        answers(&mut drafts, 5);
        assert_eq!(drafts[0].quantity.answer, Answer::Worse, "what cannot be worse is no test");
        assert_eq!(overall(&drafts), Verdict::Worse);
    }

    /// How often anything of so many quantities is called worse, where some lie just on the bound and
    /// the others far below it, and their noise is shared to this share.
    fn alarms(on_the_bound: usize, calm: usize, shared: f64) -> f64 {
        const TIMES: usize = 1000;
        let mut random = Random::new(29);
        let mut alarms = 0;
        for _ in 0..TIMES {
            let mut builds = vec![vec![Vec::new(); on_the_bound + calm]; 2];
            for (side, quantities) in builds.iter_mut().enumerate() {
                for _ in 0..RUNS_OF_A_GATE {
                    let all = shared.sqrt() * random.normal();
                    for (index, runs) in quantities.iter_mut().enumerate() {
                        let middle = if side == 1 && index < on_the_bound { 3.0 } else { 0.0 };
                        let own = (1.0 - shared).sqrt() * random.normal();
                        let ln = middle + all + own;
                        runs.push(RunValue { ln, error: None, degrees: 0.0 });
                    }
                }
            }
            let mut drafts: Vec<Draft> = builds[0]
                .iter()
                .zip(&builds[1])
                .map(|(base, candidate)| {
                    let tested = estimate::of_runs(base, candidate).unwrap().tested(3.0, 1.0);
                    let judged = Judged {
                        tested,
                        same_within: 3.0,
                        is_noise_unknown: false,
                        can_reject: true,
                        sigma: None,
                    };
                    let quantity = Quantity::new(Subject::All, Measure::P99, 3.0f64.exp_m1());
                    Draft::new(quantity, State::Measured(judged))
                })
                .collect();
            answers(&mut drafts, RUNS_OF_A_GATE);
            alarms += usize::from(overall(&drafts) == Verdict::Worse);
        }
        alarms as f64 / TIMES as f64
    }

    /// 2.5 % is what is allowed; of 1,000 comparisons, 4 % are three standard errors more.
    #[test]
    fn however_many_quantities_there_are_few_false_alarms_come() {
        for (on_the_bound, calm) in [(1, 0), (20, 0), (3, 17)] {
            for shared in [0.0, 0.5, 0.9] {
                let share = alarms(on_the_bound, calm, shared);
                assert!(share <= 0.04, "{on_the_bound} and {calm}, shared {shared}: {share}");
            }
        }
    }

    #[test]
    fn what_cannot_be_told_says_how_many_runs_would_decide() {
        let further = |mut draft: Draft, runs: usize| {
            answers(std::slice::from_mut(&mut draft), runs);
            match draft.quantity.answer {
                Answer::CannotTell { further_runs, .. } => further_runs,
                other => panic!("{other:?}"),
            }
        };
        // 2 * (2.8 * 0.08 / 0.0953)^2 = 11.05.
        assert_eq!(further(draft(0.5, -0.08, 0.16, Some(0.08)), 5), Some(7));
        assert_eq!(further(draft(0.5, -0.08, 0.16, Some(0.001)), 1), Some(4), "five at least");
        assert_eq!(further(draft(0.5, -0.9, 0.9, Some(0.9)), 5), None, "not worth telling");
    }
}
