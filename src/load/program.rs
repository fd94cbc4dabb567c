//! Journeys, compiled to a list of operations, so that a lane finds its next step with one lookup.

use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, RngExt};
use rand_distr::{Distribution, LogNormal, Normal};

use super::config::LoadConfig;
use super::endpoint::Names;
use super::session::Cursor;
use super::wire::ValueSource;
use crate::plan::{Action, Journey, Step, ThinkTime, ValueTest};

/// A journey as a list of operations, done in order.
#[derive(Debug)]
pub(super) struct Program {
    ops: Vec<Op>,
    /// How many loops it contains: each has a counter.
    loops: usize,
    pub(super) cookies: bool,
    pub(super) stop_on_failure: bool,
    /// Data sources that its conditions use, each once.
    pub(super) sources: Vec<usize>,
}

#[derive(Debug)]
enum Op {
    /// Sends the request of this index.
    Request(usize),
    /// Pauses.
    Think(Think),
    /// Continues at `to` unless a draw with this probability succeeds.
    Chance { probability: f64, to: usize },
    /// Continues at `to` unless every condition holds.
    When { conditions: Vec<(ValueSource, ValueTest)>, to: usize },
    /// Goes back to `to` until this operation was reached `times` times.
    Again { counter: usize, times: u32, to: usize },
}

/// How the length of a pause is drawn.
#[derive(Debug)]
enum Think {
    Fixed(Duration),
    Uniform(Duration, Duration),
    Normal(Normal<f64>),
    Lognormal(LogNormal<f64>),
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Todo {
    /// The request of this index.
    Request(usize),
    /// A pause.
    Think(Duration),
    /// Nothing: the journey is over.
    Done,
}

impl Program {
    /// The operations of a journey. `captured` has the names of the captured values, by slot.
    ///
    /// # Errors
    ///
    /// A pause that cannot be drawn, or a condition on a name without values.
    pub(super) fn compile(
        config: &LoadConfig,
        journey: &Journey,
        captured: &[String],
    ) -> Result<Self, String> {
        let (cookies, stop_on_failure) = (journey.cookies, journey.stop_on_failure);
        let mut program =
            Self { ops: Vec::new(), loops: 0, cookies, stop_on_failure, sources: Vec::new() };
        let mut names = Names::new(config, captured);
        program.add(&journey.steps, &mut names)?;
        program.sources = names.sources;
        Ok(program)
    }

    fn add(&mut self, steps: &[Step], names: &mut Names<'_>) -> Result<(), String> {
        for step in steps {
            let first = self.ops.len();
            if !step.when.is_empty() {
                let conditions = step.when.iter().map(|condition| {
                    Ok::<_, String>((names.place(&condition.name)?, condition.test.clone()))
                });
                self.ops
                    .push(Op::When { conditions: conditions.collect::<Result<_, _>>()?, to: 0 });
            }
            if step.probability < 1.0 {
                self.ops.push(Op::Chance { probability: step.probability, to: 0 });
            }
            let body = self.ops.len();
            match &step.action {
                Action::Request(request) => self.ops.push(Op::Request(*request)),
                Action::Group(steps) => self.add(steps, names)?,
            }
            if let Some(pause) = &step.think {
                self.ops.push(Op::Think(Think::of(pause)?));
            }
            if step.repeat > 1 {
                let counter = self.loops;
                self.loops += 1;
                self.ops.push(Op::Again { counter, times: step.repeat, to: body });
            }
            let end = self.ops.len();
            for op in &mut self.ops[first..body] {
                if let Op::Chance { to, .. } | Op::When { to, .. } = op {
                    *to = end;
                }
            }
        }
        Ok(())
    }

    /// Whether it is one request and nothing else.
    pub(super) fn is_single(&self) -> bool {
        matches!(self.ops[..], [Op::Request(_)])
    }

    /// Advances to the next thing to do. `holds` says whether a test holds now for the value at its
    /// source.
    pub(super) fn next(
        &self,
        cursor: &mut Cursor,
        random: &mut SmallRng,
        holds: impl Fn(ValueSource, &ValueTest) -> bool,
    ) -> Todo {
        cursor.counters.resize(self.loops, 0);
        loop {
            let Some(op) = self.ops.get(cursor.at) else { return Todo::Done };
            cursor.at += 1;
            match op {
                Op::Request(request) => return Todo::Request(*request),
                Op::Think(think) => return Todo::Think(think.draw(random)),
                Op::Chance { probability, to } if random.random::<f64>() >= *probability => {
                    cursor.at = *to;
                }
                Op::When { conditions, to }
                    if !conditions.iter().all(|(place, test)| holds(*place, test)) =>
                {
                    cursor.at = *to;
                }
                Op::Chance { .. } | Op::When { .. } => {}
                Op::Again { counter, times, to } => {
                    cursor.counters[*counter] += 1;
                    if cursor.counters[*counter] < *times {
                        cursor.at = *to;
                    } else {
                        cursor.counters[*counter] = 0;
                    }
                }
            }
        }
    }
}

impl Think {
    fn of(pause: &ThinkTime) -> Result<Self, String> {
        let cannot = |_| {
            "cannot draw a think time; check the mean and the deviation of the pause".to_owned()
        };
        Ok(match *pause {
            ThinkTime::Fixed(pause) => Think::Fixed(pause),
            ThinkTime::Uniform(low, high) => Think::Uniform(low, high),
            ThinkTime::Normal(mean, deviation) => Think::Normal(
                Normal::new(mean.as_secs_f64(), deviation.as_secs_f64()).map_err(|_| cannot(()))?,
            ),
            ThinkTime::Lognormal(mean, deviation) => {
                let mean = mean.as_secs_f64();
                Think::Lognormal(
                    LogNormal::from_mean_cv(mean, deviation.as_secs_f64() / mean)
                        .map_err(|_| cannot(()))?,
                )
            }
        })
    }

    fn draw(&self, random: &mut impl Rng) -> Duration {
        let secs = match self {
            Think::Fixed(pause) => return *pause,
            Think::Uniform(low, high) => {
                return *low + (high.saturating_sub(*low)).mul_f64(random.random::<f64>());
            }
            Think::Normal(normal) => normal.sample(random),
            Think::Lognormal(lognormal) => lognormal.sample(random),
        };
        // A draw of more than a year is a mistake in the plan, not a pause.
        Duration::from_secs_f64(secs.clamp(0.0, 3e7))
    }
}

/// Whether a condition holds for a value that may be missing.
pub(super) fn holds(test: &ValueTest, value: Option<&str>) -> bool {
    match test {
        ValueTest::Present(wanted) => value.is_some() == *wanted,
        ValueTest::Is(wanted) => value == Some(wanted.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::super::tests::config;
    use super::*;
    use crate::plan::StepCondition;

    fn step(request: usize) -> Step {
        Step::of(Action::Request(request))
    }

    fn compile(journey: &Journey) -> Program {
        let config = config(([127, 0, 0, 1], 1).into());
        Program::compile(&config, journey, &["token".to_owned()]).unwrap()
    }

    fn walk(journey: &Journey, token: Option<&str>) -> Vec<Todo> {
        let program = compile(journey);
        let (mut cursor, mut random) = (Cursor::default(), SmallRng::seed_from_u64(1));
        let mut done = Vec::new();
        loop {
            match program.next(&mut cursor, &mut random, |_, test| holds(test, token)) {
                Todo::Done => return done,
                todo => done.push(todo),
            }
        }
    }

    #[test]
    fn steps_repeat_and_groups_repeat_around_them() {
        let pause = Duration::from_secs(2);
        let inner = Step { repeat: 2, think: Some(ThinkTime::Fixed(pause)), ..step(1) };
        let group = Step { repeat: 2, ..Step::of(Action::Group(vec![inner, step(2)])) };
        let journey = Journey { steps: vec![step(0), group], ..Journey::of_one("a", 1.0, 0) };
        let (r, t) = (Todo::Request, Todo::Think(pause));
        let round = [r(1), t, r(1), t, r(2)];
        let expected: Vec<Todo> = [r(0)].into_iter().chain(round).chain(round).collect();
        assert_eq!(walk(&journey, None), expected);
    }

    #[test]
    fn what_is_left_out_is_left_out_whole() {
        let when = |test| vec![StepCondition { name: "token".to_owned(), test }];
        let with = Step { when: when(ValueTest::Present(true)), repeat: 3, ..step(1) };
        let without = Step { when: when(ValueTest::Present(false)), ..step(2) };
        let never = Step { probability: 0.0, ..step(3) };
        let journey = Journey { steps: vec![with, without, never], ..Journey::of_one("a", 1.0, 0) };
        assert_eq!(walk(&journey, Some("abc")), [Todo::Request(1); 3]);
        assert_eq!(walk(&journey, None), [Todo::Request(2)]);
    }

    #[test]
    fn pauses_have_the_mean_that_was_asked_for() {
        let secs = Duration::from_secs_f64;
        let pauses = [
            ThinkTime::Fixed(secs(2.0)),
            ThinkTime::Uniform(secs(1.0), secs(3.0)),
            ThinkTime::Normal(secs(2.0), secs(0.3)),
            ThinkTime::Lognormal(secs(2.0), secs(1.0)),
        ];
        let mut random = SmallRng::seed_from_u64(1);
        for pause in pauses {
            let think = Think::of(&pause).unwrap();
            let draws = 20_000;
            let total: f64 = (0..draws).map(|_| think.draw(&mut random).as_secs_f64()).sum();
            let mean = total / f64::from(draws);
            // Five standard errors of the widest distribution.
            assert!((mean - pause.mean().as_secs_f64()).abs() < 0.035, "{pause:?}: {mean}");
        }
    }

    #[test]
    fn half_of_the_journeys_take_a_step_of_probability_one_half() {
        let maybe = Step { probability: 0.5, ..step(0) };
        let journey = Journey { steps: vec![maybe], ..Journey::of_one("a", 1.0, 0) };
        let program = compile(&journey);
        let mut random = SmallRng::seed_from_u64(1);
        let taken = (0..10_000)
            .filter(|_| {
                let todo = program.next(&mut Cursor::default(), &mut random, |_, _| true);
                todo != Todo::Done
            })
            .count();
        // Five standard deviations.
        assert!(taken.abs_diff(5000) < 250, "{taken}");
    }
}
