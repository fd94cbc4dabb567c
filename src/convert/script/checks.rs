//! Conditions on a response as checks of a plan.

use super::machine::Machine;
use super::syntax::{Expr, ExprKind, Operator, Statement, StatementKind};
use super::value::{Known, Part};
use crate::convert::draft::is_pattern;

/// What a response must be.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::convert) enum Test {
    Status(Vec<u16>),
    Contains(String),
    Header(String, String),
    Json(String, Wanted),
}

/// A text, number or boolean that must be at a JSONPath.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::convert) enum Wanted {
    Text(String),
    Number(f64),
    Switch(bool),
}

/// Most statuses that a check lists one by one.
const MOST_LISTED: usize = 30;

/// Tests, and the request whose response they are of.
pub(in crate::convert) type Tests = (String, Vec<Test>);

impl Machine<'_, '_> {
    /// The tests that a condition consists of; `None` where a plan has nothing like it.
    pub(in crate::convert) fn tests(&mut self, expr: &Expr, negated: bool) -> Option<Tests> {
        match &expr.kind {
            ExprKind::Not(inner) => self.tests(inner, !negated),
            ExprKind::Binary(Operator::And | Operator::Or, left, right) => {
                let is_and = matches!(expr.kind, ExprKind::Binary(Operator::And, ..));
                let (request, mut first) = self.tests(left, negated)?;
                let (other, mut second) = self.tests(right, negated)?;
                if request != other {
                    return None;
                }
                // Not (a or b) is not a and not b.
                if is_and != negated {
                    first.append(&mut second);
                    return Some((request, merged(first)));
                }
                match (first.as_slice(), second.as_slice()) {
                    ([Test::Status(a)], [Test::Status(b)]) => {
                        let codes = (100..600).filter(|code| a.contains(code) || b.contains(code));
                        Some((request, vec![Test::Status(codes.collect())]))
                    }
                    _ => None,
                }
            }
            ExprKind::Binary(operator, left, right) => {
                let (left, right) = (self.eval(left), self.eval(right));
                one_test(*operator, left, right, negated)
            }
            // `[200, 201].includes(r.status)`, `r.body.includes("…")`.
            ExprKind::Call(call) => {
                let ExprKind::Member(of, name) = &call.callee.kind else { return None };
                if !matches!(name.as_str(), "includes" | "contains") {
                    return None;
                }
                let (of, what) = (self.eval(of), self.eval(call.arguments.first()?));
                one_test(Operator::In, what, of, negated)
            }
            _ => None,
        }
    }

    /// Adds tests to the step of their request.
    pub(in crate::convert) fn check(&mut self, (request, tests): Tests) {
        let Some(step) = self.step_of(&request) else { return };
        for test in tests {
            match test {
                Test::Status(codes) if step.statuses.is_empty() => step.statuses = codes,
                Test::Status(codes) => step.statuses.retain(|code| codes.contains(code)),
                Test::Contains(text) => {
                    if !step.contains.contains(&text) {
                        step.contains.push(text);
                    }
                }
                Test::Header(name, text) => step.expected.push((name, text)),
                Test::Json(path, wanted) => {
                    let wanted = match wanted {
                        Wanted::Text(text) => text.replace("${", "$${").into(),
                        Wanted::Number(number) if number.fract() == 0.0 && number.abs() < 1e15 => {
                            (number as i64).into()
                        }
                        Wanted::Number(number) => number.into(),
                        Wanted::Switch(switch) => switch.into(),
                    };
                    step.found.push((path, wanted));
                }
            }
        }
    }

    /// `if response.status_code != 200: response.failure("…")` is a check; false for anything else.
    pub(super) fn failure_test(&mut self, test: &Expr, yes: &[Statement]) -> bool {
        let is_failure = |statement: &Statement| match &statement.kind {
            StatementKind::Expr(Expr { kind: ExprKind::Call(call), .. }) => {
                matches!(&call.callee.kind, ExprKind::Member(_, name) if name == "failure")
            }
            StatementKind::Return(None) => true,
            _ => false,
        };
        let calls = yes.iter().any(|it| matches!(it.kind, StatementKind::Expr(_)));
        if !calls || !yes.iter().all(is_failure) {
            return false;
        }
        match self.tests(test, true) {
            Some(tests) => self.check(tests),
            None => {
                let shown = self.shown(test);
                self.lost(test.line, format!("the check `{shown}`"));
            }
        }
        true
    }
}

/// Several conditions on the status are one.
fn merged(tests: Vec<Test>) -> Vec<Test> {
    let mut merged: Vec<Test> = Vec::new();
    for test in tests {
        let known = merged.iter_mut().find_map(|known| match known {
            Test::Status(codes) => Some(codes),
            _ => None,
        });
        match (test, known) {
            (Test::Status(more), Some(codes)) => codes.retain(|code| more.contains(code)),
            (test, _) => merged.push(test),
        }
    }
    merged
}

/// Statuses that a plan can list: whole hundreds, and few others.
pub(in crate::convert) fn listable(codes: Vec<u16>) -> Option<Vec<u16>> {
    let of_class = |class: u16| codes.iter().filter(move |code| **code / 100 == class).count();
    let single: usize = (1..=5).map(of_class).filter(|count| *count < 100).sum();
    (!codes.is_empty() && single <= MOST_LISTED).then_some(codes)
}

fn one_test(operator: Operator, left: Known, right: Known, negated: bool) -> Option<Tests> {
    use Operator::{Equal, Greater, GreaterOrEqual, In, Less, LessOrEqual, Unequal};
    // The response stands on the left, except where something is in its body.
    let (operator, left, right) = match (&left, &right) {
        (Known::Part(..), _) | (_, Known::Part(_, Part::Body | Part::Header(_))) => {
            (operator, left, right)
        }
        _ => {
            let turned = match operator {
                Less => Greater,
                LessOrEqual => GreaterOrEqual,
                Greater => Less,
                GreaterOrEqual => LessOrEqual,
                other => other,
            };
            (turned, right, left)
        }
    };
    match (left, operator, right) {
        (Known::Part(request, Part::Status), In, Known::List(list)) => {
            let wanted: Vec<f64> = list.iter().filter_map(Known::number).collect();
            let codes = (100..600).filter(|code| wanted.contains(&f64::from(*code)) != negated);
            Some((request, vec![Test::Status(listable(codes.collect())?)]))
        }
        (Known::Part(request, Part::Status), operator, right) => {
            let bound = right.number()?;
            let holds = |code: f64| match operator {
                Equal => Some(code == bound),
                Unequal => Some(code != bound),
                Less => Some(code < bound),
                LessOrEqual => Some(code <= bound),
                Greater => Some(code > bound),
                GreaterOrEqual => Some(code >= bound),
                _ => None,
            };
            holds(200.0)?;
            let codes: Vec<u16> =
                (100..600).filter(|code| holds(f64::from(*code)) == Some(!negated)).collect();
            Some((request, vec![Test::Status(listable(codes)?)]))
        }
        (text, In, Known::Part(request, Part::Body)) if !negated => {
            Some((request, vec![Test::Contains(text.fixed().filter(|it| !it.is_empty())?)]))
        }
        (text, In, Known::Part(request, Part::Header(name))) if !negated => {
            Some((request, vec![Test::Header(name, text.fixed()?)]))
        }
        (Known::Part(request, Part::Header(name)), Equal, text) if !negated => {
            Some((request, vec![Test::Header(name, text.fixed()?)]))
        }
        (Known::Part(request, Part::Json(path)), equal, wanted)
            if (equal == Equal) != negated && matches!(equal, Equal | Unequal) =>
        {
            let wanted = match wanted {
                Known::Number(number) => Wanted::Number(number),
                Known::Switch(switch) => Wanted::Switch(switch),
                other => Wanted::Text(other.fixed()?),
            };
            is_pattern("json", &path).then(|| (request, vec![Test::Json(path, wanted)]))
        }
        _ => None,
    }
}
