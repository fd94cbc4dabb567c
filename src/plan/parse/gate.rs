//! The `[gate]` table.

use super::walk::Section;
use crate::plan::{Gate, Limits};

pub(super) fn read(root: &mut Section<'_, '_>, limits: &Limits) -> Gate {
    let walk = root.walk;
    let mut gate = Gate::default();
    let section = root.take("gate").and_then(|value| walk.section(value, "a table `[gate]`"));
    let Some(mut section) = section else { return gate };
    if let Some(value) = section.take("rate") {
        gate.rate = walk.rate(value);
        if gate.rate.is_some_and(|rate| rate <= 0.0 || rate > limits.max_rate) {
            walk.wrong_with_help(
                value.span(),
                "the rate of the gate must be above zero and within `max_rate`",
                format!("`max_rate` in `[limits]` is {}/s", limits.max_rate),
            );
        }
    }
    if let Some(duration) = section.take("duration").and_then(|value| walk.duration(value)) {
        gate.duration = duration;
    }
    if let Some(value) = section.take("runs") {
        let runs = walk.integer(value, "a whole number of runs of each build");
        match runs.and_then(|runs| usize::try_from(runs).ok()) {
            Some(runs) if (1..=Gate::MOST_RUNS).contains(&runs) => gate.runs = runs,
            Some(_) => {
                walk.wrong(value.span(), format!("`runs` must be 1 to {}", Gate::MOST_RUNS));
            }
            None => {}
        }
    }
    if let Some(value) = section.take("max_worse") {
        match walk.share(value) {
            Some(share) if share > 0.0 => gate.max_worse = share,
            Some(_) => walk.wrong(value.span(), "`max_worse` must be above zero, such as `10%`"),
            None => {}
        }
    }
    section.finish();
    gate
}
