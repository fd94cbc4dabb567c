//! How fast the machine was in each run, told by kneepoint's own processor time for a request.
//!
//! kneepoint does the same work for a request in every run. Where its processor time differs, so did
//! the clock of the cores, what a hypervisor took, or what shared their caches; the target's differs
//! with it. What that explains is taken off (analysis of covariance; Cochran 1957, Biometrics
//! 13:261). On one machine it made the noise of the target's processor time a third.
//!
//! A build that gives kneepoint other work, such as longer responses, would be corrected for what it
//! did itself. So nothing is taken off where kneepoint's own time differs between the builds by more
//! than chance. How long kneepoint waited for a core tells how busy the machine was, and is no such
//! yardstick for response times: a build that fills the machine itself makes it wait.

use super::disturbed::{self, Residual};
use super::estimate::{Estimate, RunValue, TAIL};
use super::student;
use crate::diagnose::stats;

/// Fewest runs of each build whose slope is known well enough.
const FEWEST_RUNS: usize = 4;

/// Logarithms of kneepoint's own processor time for a request, of each run of both builds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Yardstick {
    pub base: Vec<f64>,
    pub candidate: Vec<f64>,
}

/// Sums of squares and products within the builds.
struct Within {
    xx: f64,
    xy: f64,
    yy: f64,
}

impl Yardstick {
    /// The difference at equal speed of the machine; `None` where it cannot be told, or where the
    /// yardstick itself differs between the builds.
    pub fn estimate(&self, base: &[RunValue], candidate: &[RunValue]) -> Option<Estimate> {
        let (n, m) = (base.len(), candidate.len());
        let fits = n == self.base.len() && m == self.candidate.len() && n.min(m) >= FEWEST_RUNS;
        if !fits {
            return None;
        }
        let logs = |runs: &[RunValue]| runs.iter().map(|run| run.ln).collect::<Vec<f64>>();
        let (first, second) = (logs(base), logs(candidate));
        let Within { xx, xy, yy } =
            Within::of(&[(&self.base, &first), (&self.candidate, &second)])?;
        let count = 1.0 / n as f64 + 1.0 / m as f64;
        let apart = stats::mean(&self.candidate)? - stats::mean(&self.base)?;
        let plain = (n + m) as f64 - 2.0;
        let chance = student::quantile(TAIL, plain) * (xx / plain * count).sqrt();
        // A machine that is faster makes nothing slower.
        if xy <= 0.0 || apart.abs() > chance {
            return None;
        }
        let slope = xy / xx;
        let degrees = plain - 1.0;
        let rest = ((yy - slope * xy) / degrees).max(0.0);
        Some(Estimate {
            change: stats::mean(&second)? - stats::mean(&first)? - slope * apart,
            error: (rest * (count + apart * apart / xx)).sqrt(),
            degrees,
        })
    }

    /// What the runs depart from what their builds and the speed of the machine explain, those of the
    /// base first; `None` where nothing is taken off.
    pub fn residuals(&self, base: &[RunValue], candidate: &[RunValue]) -> Option<Vec<Residual>> {
        self.estimate(base, candidate)?;
        let logs = |runs: &[RunValue]| runs.iter().map(|run| run.ln).collect::<Vec<f64>>();
        let (first, second) = (logs(base), logs(candidate));
        let Within { xx, xy, .. } =
            Within::of(&[(&self.base, &first), (&self.candidate, &second)])?;
        let of = |speed: &[f64], values: &[f64]| -> Vec<Residual> {
            let own = disturbed::from_mean(speed);
            let rests = disturbed::from_mean(values).into_iter().zip(own);
            let rest = |(rest, speed): (Residual, Residual)| Residual {
                value: rest.value - xy / xx * speed.value,
                leverage: rest.leverage + speed.value * speed.value / xx,
            };
            rests.map(rest).collect()
        };
        Some([of(&self.base, &first), of(&self.candidate, &second)].concat())
    }

    /// The same without the run of this index, those of the base first.
    pub fn without(&self, run: usize) -> Self {
        let mut rest = self.clone();
        match run.checked_sub(self.base.len()) {
            Some(run) if run < rest.candidate.len() => drop(rest.candidate.remove(run)),
            None => drop(rest.base.remove(run)),
            Some(_) => {}
        }
        rest
    }
}

impl Within {
    fn of(builds: &[(&Vec<f64>, &Vec<f64>)]) -> Option<Self> {
        let mut sums = Self { xx: 0.0, xy: 0.0, yy: 0.0 };
        for (x, y) in builds {
            let (middle, level) = (stats::mean(x)?, stats::mean(y)?);
            for (x, y) in x.iter().zip(y.iter()) {
                sums.xx += (x - middle).powi(2);
                sums.xy += (x - middle) * (y - level);
                sums.yy += (y - level).powi(2);
            }
        }
        (sums.xx > 0.0).then_some(sums)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::stats::Random;

    /// Runs on a machine whose speed varies by 15 %, where the target varies by another 3 %: the
    /// yardstick and the values.
    fn runs(random: &mut Random, count: usize, work: f64, own: f64) -> (Vec<f64>, Vec<RunValue>) {
        (0..count)
            .map(|_| {
                let speed = 0.15 * random.normal();
                let ln = work.ln() + speed + 0.03 * random.normal();
                let own = own.ln() + speed + 0.03 * random.normal();
                (own, RunValue { ln, error: None, degrees: 0.0 })
            })
            .unzip()
    }

    fn estimate(random: &mut Random, work: f64, own: f64) -> Option<Estimate> {
        let (base, first) = runs(random, 5, 1.0, 1.0);
        let (candidate, second) = runs(random, 5, work, own);
        Yardstick { base, candidate }.estimate(&first, &second)
    }

    #[test]
    fn what_the_machine_did_is_no_change_and_a_fifth_more_work_is_one() {
        let mut random = Random::new(17);
        let (mut told, mut alarms, mut found) = (0, 0, 0);
        for _ in 0..400 {
            if let Some(alike) = estimate(&mut random, 1.0, 1.0) {
                let tested = alike.tested(0.0, 1.0);
                told += 1;
                alarms += u32::from(tested.low > 0.0 || tested.high < 0.0);
            }
            let more = estimate(&mut random, 1.2, 1.0);
            found +=
                u32::from(more.is_some_and(|it| it.tested(1.1f64.ln(), 1.0).low > 1.1f64.ln()));
        }
        assert!(told > 360, "{told} of 400");
        assert!(f64::from(alarms) <= 0.075 * f64::from(told), "{alarms} of {told} at 5 %");
        assert!(found >= 280, "{found} of 400");
    }

    #[test]
    fn a_build_that_gives_kneepoint_more_work_is_not_corrected_for_it() {
        let mut random = Random::new(3);
        for _ in 0..50 {
            assert_eq!(estimate(&mut random, 1.5, 1.8), None);
        }
        let (base, few) = runs(&mut random, 3, 1.0, 1.0);
        assert_eq!(Yardstick { base: base.clone(), candidate: base }.estimate(&few, &few), None);
    }
}
