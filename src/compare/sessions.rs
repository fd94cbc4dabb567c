//! Runs that were made in one sitting share what the machine and its neighbours were like that day.
//! Where runs of several sittings are compared, each sitting counts as one run: five runs of tonight
//! against twenty nights do not tell the build from the night.

use std::collections::BTreeMap;

use super::estimate::RunValue;
use super::sample::{Runs, Sample};

/// Which runs of each build belong together, by index; one group for each run where all were made
/// in one sitting, or nobody says when.
#[derive(Clone, Debug, PartialEq)]
pub struct Sessions {
    pub base: Vec<Vec<usize>>,
    pub candidate: Vec<Vec<usize>>,
}

impl Sessions {
    pub fn of(runs: Runs<'_>) -> Self {
        let first = runs.all().next().and_then(|sample| sample.session.as_ref());
        let is_one_sitting = runs.all().all(|sample| sample.session.as_ref() == first);
        let groups = |samples: &[Sample]| match is_one_sitting {
            true => (0..samples.len()).map(|run| vec![run]).collect(),
            false => by_session(samples.iter().map(|sample| sample.session.as_deref())),
        };
        Self { base: groups(runs.base), candidate: groups(runs.candidate) }
    }

    /// Whether some runs count as one.
    pub fn are_grouped(&self) -> bool {
        self.base.iter().chain(&self.candidate).any(|group| group.len() > 1)
    }
}

/// The runs of each sitting by index, in the order of their first; a run of which nobody says the
/// sitting stands alone.
pub fn by_session<'s>(sessions: impl Iterator<Item = Option<&'s str>>) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut known: BTreeMap<&str, usize> = BTreeMap::new();
    for (run, session) in sessions.enumerate() {
        let group = session.map(|session| {
            *known.entry(session).or_insert_with(|| {
                groups.push(Vec::new());
                groups.len() - 1
            })
        });
        match group {
            Some(group) => groups[group].push(run),
            None => groups.push(vec![run]),
        }
    }
    groups
}

/// One value for each group: the mean of its runs in logs.
pub fn together(runs: &[RunValue], groups: &[Vec<usize>]) -> Vec<RunValue> {
    let of = |group: &Vec<usize>| {
        let members: Vec<&RunValue> = group.iter().filter_map(|run| runs.get(*run)).collect();
        let count = members.len() as f64;
        let errors: Option<Vec<f64>> = members.iter().map(|run| run.error).collect();
        RunValue {
            ln: members.iter().map(|run| run.ln).sum::<f64>() / count,
            error: errors.map(|errors| errors.iter().map(|it| it * it).sum::<f64>().sqrt() / count),
            degrees: members.iter().map(|run| run.degrees).fold(f64::INFINITY, f64::min),
        }
    };
    groups.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(ln: f64) -> RunValue {
        RunValue { ln, error: Some(0.1), degrees: 9.0 }
    }

    #[test]
    fn a_sitting_counts_as_one_run() {
        let values: Vec<RunValue> = [1.0, 3.0, 7.0].map(value).to_vec();
        let nights = together(&values, &[vec![0, 1], vec![2]]);
        assert_eq!(nights.len(), 2);
        assert_eq!((nights[0].ln, nights[1].ln), (2.0, 7.0));
        assert!((nights[0].error.unwrap() - 0.02f64.sqrt() / 2.0).abs() < 1e-12);
    }
}
