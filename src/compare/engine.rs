//! The comparison as a whole.

use super::curves;
use super::design::Design;
use super::differences;
use super::levels::Levels;
use super::model::Comparison;
use super::objectives;
use super::options::Options;
use super::parts;
use super::quantities::Quantities;
use super::sample::{Runs, Sample};
use super::verdict;

/// Seed of the bootstrap: the same runs always give the same intervals.
const SEED: u64 = 0x6b6e_6565_706f_696e;

/// Compares the runs of two builds.
pub fn compare(base: &[Sample], candidate: &[Sample], options: &Options) -> Comparison {
    of_design(&Design::of(Runs { base, candidate }, options))
}

/// The same with a design that is already made.
pub fn of_design(design: &Design<'_>) -> Comparison {
    let runs = design.runs;
    let mut levels = Levels::of(runs);
    let mut differences = std::mem::take(&mut levels.differences);
    differences.extend(differences::between(runs));
    let mut drafts = Quantities::new(design, &levels, SEED).drafts();
    verdict::answers(&mut drafts, design.fewest_runs());
    differences.extend(differences::disturbed(runs, &drafts));
    Comparison {
        verdict: verdict::overall(&drafts),
        budget: design.options.budget,
        method: design.method,
        noise: design.options.noise.from(),
        base: runs.base.iter().map(Sample::facts).collect(),
        candidate: runs.candidate.iter().map(Sample::facts).collect(),
        sittings: design.sittings(),
        loads: levels.facts(runs),
        differences,
        quantities: drafts.into_iter().map(|draft| draft.quantity).collect(),
        why: parts::why(runs, &levels),
        curves: curves::of(runs),
        objectives: objectives::of(runs, &levels),
    }
}
