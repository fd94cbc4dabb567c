//! The tests that a rule file carries: a few series in a compact notation, and what the rule has
//! to say of them. [`super::trial`] runs them.

use crate::timeline::Selector;

/// One test of a rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// The situation, in words.
    pub name: String,
    /// What the rule has to say.
    pub expect: Expect,
    /// Number of the stage, from 1, in which the curve bends.
    pub knee: usize,
    /// Series with a value for each stage; `None` where nothing was read.
    pub series: Vec<(Selector, Vec<Option<f64>>)>,
}

/// What a rule has to say in a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// It holds.
    Fires,
    /// It was looked at and does not hold.
    Quiet,
    /// It could not be looked at.
    NoData,
}

impl Expect {
    const ALL: [(Expect, &'static str); 3] =
        [(Expect::Fires, "fires"), (Expect::Quiet, "quiet"), (Expect::NoData, "no-data")];

    /// The one of this name in rule files.
    pub fn find(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, name)| *name == text).map(|(expect, _)| expect)
    }

    /// The name in rule files.
    pub fn key(self) -> &'static str {
        match self {
            Expect::Fires => "fires",
            Expect::Quiet => "quiet",
            Expect::NoData => "no-data",
        }
    }
}

/// Reads promtool's notation: `0.5x3` is a value and three more of it, `1+2x3` is 1 3 5 7,
/// `1-2x3` falls, `_` is nothing and `_x3` nothing three times.
pub(super) fn parse_series(text: &str) -> Result<Vec<Option<f64>>, String> {
    let mut values = Vec::new();
    for item in text.split_whitespace() {
        let fail = || format!("`{item}` is no series; write `0.5`, `0.5x3`, `1+2x3`, `_` or `_x3`");
        let (value, times) = match item.split_once('x') {
            Some((value, times)) => (value, Some(times.parse::<usize>().map_err(|_| fail())?)),
            None => (item, None),
        };
        if value == "_" {
            values.extend(std::iter::repeat_n(None, times.unwrap_or(1)));
            continue;
        }
        let (start, step) = split_step(value).ok_or_else(fail)?;
        values.extend((0..=times.unwrap_or(0)).map(|index| Some(start + step * index as f64)));
    }
    if values.len() > 1000 {
        return Err(format!("{} values are more than a case can need", values.len()));
    }
    Ok(values)
}

/// `1+2` is a start and a step, `1` has the step 0.
fn split_step(text: &str) -> Option<(f64, f64)> {
    if let Ok(value) = text.parse::<f64>() {
        return value.is_finite().then_some((value, 0.0));
    }
    let at = text.char_indices().skip(1).find(|(_, c)| matches!(c, '+' | '-')).map(|(at, _)| at)?;
    let (start, step) = text.split_at(at);
    let step = step.strip_prefix('+').unwrap_or(step);
    Some((start.parse().ok()?, step.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_notation_is_promtools() {
        let parse = |text: &str| parse_series(text).unwrap();
        assert_eq!(parse("1+2x3"), [1.0, 3.0, 5.0, 7.0].map(Some).to_vec());
        assert_eq!(parse("4-1.5x1 _ 2"), vec![Some(4.0), Some(2.5), None, Some(2.0)]);
        assert_eq!(parse("-1x1 _x2"), vec![Some(-1.0), Some(-1.0), None, None]);
        assert_eq!(parse("1e-3"), vec![Some(0.001)]);
        for bad in ["a", "1x", "1+x2", "1xx2", "nan", "0x5000"] {
            assert!(parse_series(bad).is_err(), "{bad}");
        }
    }
}
