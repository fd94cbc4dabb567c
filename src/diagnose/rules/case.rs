//! The tests that a rule file carries: a few series in a compact notation, and what the rule has
//! to say of them. [`super::trial`] runs them.

use crate::timeline::Selector;

/// Most values that one series of a case may have.
const MOST_VALUES: usize = 1000;

/// One test of a rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// The situation, in words.
    pub name: String,
    /// What the rule has to say.
    pub expect: Expect,
    /// Number of the stage, from 1, in which the curve bends.
    pub knee: usize,
    /// Numbers of cores on which it is tried.
    pub cores: Vec<u32>,
    /// Series with a value for each stage; `None` where nothing was read.
    pub series: Vec<(Selector, Vec<Option<Amount>>)>,
}

impl Case {
    /// The numbers of cores on which a case is tried that names none itself.
    pub const CORES: [u32; 4] = [1, 2, 8, 64];
}

/// One value of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Amount {
    /// As it stands.
    Plain(f64),
    /// A share of the cores of the trial.
    OfCores(f64),
}

impl Amount {
    /// The value on a machine of so many cores.
    pub fn on(self, cores: u32) -> f64 {
        match self {
            Amount::Plain(value) => value,
            Amount::OfCores(share) => share * f64::from(cores),
        }
    }
}

/// What a rule has to say in a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// It holds.
    Fires,
    /// It holds apart from a knee, and has bent the curve too.
    Bends,
    /// Its symptom holds, and what would tell it from its rivals has no data.
    Possible,
    /// It was looked at and does not hold.
    Quiet,
    /// It could not be looked at.
    NoData,
}

impl Expect {
    /// Each with its name in rule files.
    pub const ALL: [(Expect, &'static str); 5] = [
        (Expect::Fires, "fires"),
        (Expect::Bends, "bends"),
        (Expect::Possible, "possible"),
        (Expect::Quiet, "quiet"),
        (Expect::NoData, "no-data"),
    ];

    /// The one of this name in rule files.
    pub fn find(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, name)| *name == text).map(|(expect, _)| expect)
    }

    /// The name in rule files.
    pub fn key(self) -> &'static str {
        match self {
            Expect::Fires => "fires",
            Expect::Bends => "bends",
            Expect::Possible => "possible",
            Expect::Quiet => "quiet",
            Expect::NoData => "no-data",
        }
    }
}

/// Reads promtool's notation: `0.5x3` is a value and three more of it, `1+2x3` is 1 3 5 7,
/// `1-2x3` falls, `_` is nothing and `_x3` nothing three times. `95%` is a share of the cores.
pub(super) fn parse_series(text: &str) -> Result<Vec<Option<Amount>>, String> {
    let mut values = Vec::new();
    for item in text.split_whitespace() {
        let fail = || {
            format!(
                "`{item}` is not a valid series; write `0.5`, `0.5x3`, `1+2x3`, `_` or `_x3`, or `95%` \
                 for a share of the cores"
            )
        };
        let (value, times) = match item.split_once('x') {
            Some((value, times)) => (value, Some(times.parse::<usize>().map_err(|_| fail())?)),
            None => (item, None),
        };
        if times.unwrap_or(0) > MOST_VALUES || values.len() > MOST_VALUES {
            return Err(format!("a series has at most {MOST_VALUES} values; write fewer stages"));
        }
        if value == "_" {
            values.extend(std::iter::repeat_n(None, times.unwrap_or(1)));
            continue;
        }
        let (start, step) = split_step(value).ok_or_else(fail)?;
        let amounts = (0..=times.unwrap_or(0)).map(|index| match (start, step) {
            (Amount::Plain(start), Amount::Plain(step)) => {
                Some(Amount::Plain(start + step * index as f64))
            }
            (Amount::OfCores(start), Amount::OfCores(step)) => {
                Some(Amount::OfCores(start + step * index as f64))
            }
            _ => None,
        });
        values.extend(amounts);
    }
    Ok(values)
}

/// `1+2` is a start and a step, `1` has the step 0; both are shares of the cores, or neither is.
fn split_step(text: &str) -> Option<(Amount, Amount)> {
    if let Some(amount) = amount(text) {
        let none = match amount {
            Amount::Plain(_) => Amount::Plain(0.0),
            Amount::OfCores(_) => Amount::OfCores(0.0),
        };
        return Some((amount, none));
    }
    let at = text.char_indices().skip(1).find(|(_, c)| matches!(c, '+' | '-')).map(|(at, _)| at)?;
    let (start, step) = text.split_at(at);
    let (start, step) = (amount(start)?, amount(step.strip_prefix('+').unwrap_or(step))?);
    let alike = matches!(start, Amount::Plain(_)) == matches!(step, Amount::Plain(_));
    alike.then_some((start, step))
}

fn amount(text: &str) -> Option<Amount> {
    let (number, percent) = match text.strip_suffix('%') {
        Some(number) => (number, true),
        None => (text, false),
    };
    let number = number.parse::<f64>().ok().filter(|number| number.is_finite())?;
    Some(if percent { Amount::OfCores(number / 100.0) } else { Amount::Plain(number) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_notation_is_promtools() {
        let parse = |text: &str| -> Vec<Option<f64>> {
            let values = parse_series(text).unwrap();
            values.into_iter().map(|value| value.map(|amount| amount.on(8))).collect()
        };
        assert_eq!(parse("1+2x3"), [1.0, 3.0, 5.0, 7.0].map(Some).to_vec());
        assert_eq!(parse("4-1.5x1 _ 2"), vec![Some(4.0), Some(2.5), None, Some(2.0)]);
        assert_eq!(parse("-1x1 _x2"), vec![Some(-1.0), Some(-1.0), None, None]);
        assert_eq!(parse("1e-3"), vec![Some(0.001)]);
        assert_eq!(parse("25%+25%x1 100%"), [2.0, 4.0, 8.0].map(Some).to_vec());
        for bad in ["a", "1x", "1+x2", "1xx2", "nan", "0x5000", "1+50%x2", "%"] {
            assert!(parse_series(bad).is_err(), "{bad}");
        }
    }
}
