//! A rule as a value: what a rule file says, checked. [`super::rule_file`] reads the text.

use std::fmt;

use crate::diagnose::measure::signal::Signal;
use crate::diagnose::terms::operand::Operand;
use crate::diagnose::terms::part::PartKind;
use crate::diagnose::terms::span::Span;

use super::case::Case;
use super::layer::{Layer, Resource};

/// One hypothesis about what limits a system, and how to tell that it holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Names the fault, never the cure; equals the file stem.
    pub id: String,
    /// The fault as a sentence fragment.
    pub title: String,
    /// What the rule checks.
    pub what: String,
    /// Why this limits throughput.
    pub why: String,
    /// What to do now.
    pub next: String,
    /// What would disprove it.
    pub disproved_by: String,
    /// Where more is written about it.
    pub references: Vec<String>,
    /// The one thing to add to the plan where its signals are missing.
    pub add: String,
    /// What to do where the collectors of its signals ran and gave nothing all the same.
    pub lacking: Option<String>,
    /// What it may be accused of.
    pub role: RuleRole,
    /// Label by whose values the rule is judged one by one, such as `peer`.
    pub subject_by: Option<String>,
    /// Parts of the response time that this fault accounts for.
    pub explains: Vec<PartKind>,
    /// What the fault exhausts.
    pub resource: Resource,
    /// Where on the way of a request it lies.
    pub layer: Layer,
    /// Rules from which this one follows where both fire, beside those that the layers tell.
    pub consequence_of: Vec<String>,
    /// All must hold.
    pub require: Vec<Condition>,
    /// Each that holds adds evidence.
    pub support: Vec<Condition>,
    /// One that holds rules the fault out.
    pub refute: Vec<Condition>,
    /// Of a fault apart: where all of them hold too, it bends the curve.
    pub bends: Vec<Condition>,
    /// Its tests.
    pub cases: Vec<Case>,
}

/// What a fired rule may be accused of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleRole {
    /// Of bending the curve.
    Limit,
    /// Of a fault that has nothing to do with the knee.
    Apart,
    /// Of spoiling the measurement.
    Gate,
}

/// One condition with what follows from it.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// What is tested.
    pub check: Check,
    /// Alone, it makes the fault possible although the rest has no data.
    pub symptom: bool,
    /// Without data it does not count, instead of leaving the rule without a verdict.
    pub optional: bool,
    /// Added to the rule's `next` where it holds.
    pub advice: Option<String>,
    /// Takes the place of the rule's `title` where it holds.
    pub title: Option<String>,
    /// The capacity that follows where it holds.
    pub predict: Option<Predict>,
}

/// What a condition tests.
#[derive(Clone, Debug, PartialEq)]
pub enum Check {
    /// One signal against its bounds.
    Test(Test),
    /// At least one holds; those without data are passed over.
    Any(Vec<Condition>),
    /// Every one holds.
    All(Vec<Condition>),
}

/// One signal against its bounds.
#[derive(Clone, Debug, PartialEq)]
pub struct Test {
    /// The sentence of evidence with places for the numbers.
    pub says: String,
    /// What is measured.
    pub signal: Signal,
    /// In which span.
    pub span: Span,
    /// What it is held against.
    pub bounds: Vec<Bound>,
}

/// What a value is held against.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// More than this.
    Over(Threshold),
    /// This or more.
    AtLeast(Threshold),
    /// Less than this.
    Under(Threshold),
}

/// The number of a bound, with its name where rules share it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Threshold {
    /// The number.
    pub value: f64,
    /// Its name in the table of bounds.
    pub name: Option<&'static str>,
}

impl Bound {
    /// Whether `value` keeps to it.
    pub fn holds(self, value: f64) -> bool {
        match self {
            Bound::Over(bound) => value > bound.value,
            Bound::AtLeast(bound) => value >= bound.value,
            Bound::Under(bound) => value < bound.value,
        }
    }

    /// The bound with its name, as the page of a rule shows it.
    pub fn with_name(self) -> String {
        let (Bound::Over(threshold) | Bound::AtLeast(threshold) | Bound::Under(threshold)) = self;
        match threshold.name {
            Some(name) => format!("{self} ({name})"),
            None => self.to_string(),
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bound::Over(bound) => write!(f, "over {}", bound.value),
            Bound::AtLeast(bound) => write!(f, "at least {}", bound.value),
            Bound::Under(bound) => write!(f, "under {}", bound.value),
        }
    }
}

/// How a capacity follows from a condition: by the utilization law, the limit divided by what
/// one request keeps busy below the knee (Denning and Buzen 1978).
#[derive(Clone, Debug, PartialEq)]
pub struct Predict {
    /// What is busy.
    pub busy: Operand,
    /// How much of it there is.
    pub limit: PredictLimit,
}

/// How much there is of what is busy.
#[derive(Clone, Debug, PartialEq)]
pub enum PredictLimit {
    /// As measured.
    Measured(Operand),
    /// A number, such as one core for one thread.
    Fixed(f64),
    /// The level at which it is pinned.
    Pinned,
}

/// What a condition is to its rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConditionRole {
    /// It must hold.
    Require,
    /// It adds evidence.
    Support,
    /// It rules the fault out.
    Refute,
    /// It makes a fault apart one that bends the curve.
    Bends,
}

impl Rule {
    /// Whether it accuses something of growing without end: a leak is among what it requires.
    pub fn is_leak(&self) -> bool {
        let mut found = false;
        for condition in &self.require {
            condition.each_test(&mut |test| found |= matches!(test.signal, Signal::Leak(_)));
        }
        found
    }

    /// Every single test with its role, in the order of the file.
    pub fn tests(&self) -> Vec<(ConditionRole, &Test)> {
        let mut tests = Vec::new();
        let groups = [
            (ConditionRole::Require, &self.require),
            (ConditionRole::Support, &self.support),
            (ConditionRole::Refute, &self.refute),
            (ConditionRole::Bends, &self.bends),
        ];
        for (role, conditions) in groups {
            for condition in conditions {
                condition.each_test(&mut |test| tests.push((role, test)));
            }
        }
        tests
    }
}

impl Rule {
    /// How a capacity follows from what is required or supports, in the order of the file.
    pub fn predictions(&self) -> impl Iterator<Item = &Predict> {
        let mut found = Vec::new();
        for condition in self.require.iter().chain(&self.support) {
            condition.each_prediction(&mut found);
        }
        found.into_iter()
    }
}

impl Condition {
    fn each_prediction<'a>(&'a self, found: &mut Vec<&'a Predict>) {
        found.extend(&self.predict);
        if let Check::Any(inner) | Check::All(inner) = &self.check {
            inner.iter().for_each(|condition| condition.each_prediction(found));
        }
    }

    /// Calls `found` for every single test inside.
    pub fn each_test<'a>(&'a self, found: &mut dyn FnMut(&'a Test)) {
        match &self.check {
            Check::Test(test) => found(test),
            Check::Any(inner) | Check::All(inner) => {
                for condition in inner {
                    condition.each_test(found);
                }
            }
        }
    }
}
