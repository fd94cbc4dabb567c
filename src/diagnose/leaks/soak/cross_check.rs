//! Whether a second series of the same resource tells the same.

use crate::diagnose::leaks::leak::Pace;
use crate::diagnose::leaks::soak::gates;
use crate::diagnose::terms::soak::TrendStep;
use crate::timeline::Unit;

/// A second series contradicts where its growth stays below this share of what the first claims,
/// at the upper bound of the one and the lower of the other. Two readings of one thing at other
/// moments differ by less.
const CONTRADICTS: f64 = 0.5;

/// What the second series of a resource says of a claimed growth.
#[derive(Clone, Debug, PartialEq)]
pub enum CrossCheck {
    /// It grows with certainty.
    Agrees {
        /// The series.
        series: String,
        /// Its growth per second.
        slope: f64,
    },
    /// It would have shown the growth, and does not.
    Disagrees {
        /// The series.
        series: String,
        /// Most growth per second that it has.
        at_most: f64,
    },
    /// There is none, or none that is certain enough.
    Unavailable,
}

/// What the first of `others` that says anything says of `claimed`: each a series with its own
/// growth, `None` where that cannot be told.
pub fn ask(claimed: Pace, others: impl Iterator<Item = (String, Option<Pace>)>) -> CrossCheck {
    let says = |(series, pace): (String, Option<Pace>)| {
        let pace = pace?;
        if pace.high < CONTRADICTS * claimed.low {
            Some(CrossCheck::Disagrees { series, at_most: pace.high.max(0.0) })
        } else {
            (pace.low > 0.0).then_some(CrossCheck::Agrees { series, slope: pace.slope })
        }
    };
    others.filter_map(says).next().unwrap_or(CrossCheck::Unavailable)
}

impl CrossCheck {
    /// It as a step of the judgement.
    pub fn told(&self, unit: Unit) -> TrendStep {
        match self {
            CrossCheck::Agrees { series, slope } => TrendStep {
                text: format!(
                    "a second series agrees: {series} grows by {}",
                    gates::pace(*slope, unit)
                ),
                holds: Some(true),
            },
            CrossCheck::Disagrees { series, at_most } => TrendStep {
                text: format!(
                    "a second series disagrees: {series} grows by at most {}",
                    gates::pace(*at_most, unit)
                ),
                holds: Some(false),
            },
            CrossCheck::Unavailable => TrendStep {
                text: "no second series was recorded to compare with".to_owned(),
                holds: None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(low: f64, slope: f64, high: f64) -> Option<Pace> {
        Some(Pace { slope, low, high })
    }

    #[test]
    fn only_what_would_have_shown_the_growth_contradicts_it() {
        let claimed = Pace { slope: 10.0, low: 9.0, high: 11.0 };
        let says = |other| ask(claimed, std::iter::once(("other".to_owned(), other)));
        assert!(matches!(says(pace(8.0, 9.0, 10.0)), CrossCheck::Agrees { .. }));
        assert!(matches!(says(pace(-1.0, 0.0, 1.0)), CrossCheck::Disagrees { .. }));
        assert!(matches!(says(pace(-9.0, -8.0, -7.0)), CrossCheck::Disagrees { at_most: 0.0, .. }));
        assert_eq!(
            says(pace(-20.0, 0.0, 20.0)),
            CrossCheck::Unavailable,
            "it could not have seen it"
        );
        assert_eq!(says(None), CrossCheck::Unavailable);
        assert_eq!(ask(claimed, std::iter::empty()), CrossCheck::Unavailable);
    }
}
