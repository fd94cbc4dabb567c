//! What is sent, compiled. Everything that can be known before the load is computed before it, so
//! that a request costs only a few copies.

use std::sync::Arc;

use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};

use super::config::LoadConfig;
use super::draws::{Exhausted, Sources, Value};
use super::endpoint::{Endpoint, Text};
use super::error::LoadError;
use super::program::{Program, Todo, holds};
use super::review::Inspection;
use super::session::Session;
use super::wire::{Rendered, ValueSource, with_cookies};

/// The compiled requests and journeys of one worker, and its position in random draws and data.
pub(super) struct Mix {
    endpoints: Vec<Endpoint>,
    programs: Vec<Program>,
    /// For each flow: its journeys.
    choices: Vec<Choice>,
    random: SmallRng,
    sources: Sources,
    /// Names of the captured values, by slot.
    captured: Vec<String>,
}

/// The journeys of one flow.
struct Choice {
    journeys: Vec<usize>,
    /// Running sum of their weights.
    weights: Vec<f64>,
    /// The strata of the next draws, in random order; see [`STRATA`].
    strata: Vec<u8>,
}

/// In so many draws, each hundredth of the sum of the weights is met once (stratified sampling,
/// Cochran 1977, chapter 5). The order stays random, but a stage does not get twice the share of a
/// costly request by chance: with independent draws, 8 % of 1,000 requests are 63 to 97.
const STRATA: u8 = 100;

/// How a response is inspected.
pub(super) struct Look {
    pub(super) inspection: Arc<Inspection>,
    pub(super) keeps_cookies: bool,
}

impl Mix {
    /// Compiles the mix for worker `worker` out of `of`.
    ///
    /// # Errors
    ///
    /// Every request that is not valid on the wire.
    pub(super) fn compile(
        config: &LoadConfig,
        worker: usize,
        of: usize,
    ) -> Result<Self, Vec<LoadError>> {
        let mut errors = Vec::new();
        let mut endpoints = Vec::new();
        let captured = captured_names(config);
        for request in &config.requests {
            match Endpoint::compile(config, request, &captured) {
                Ok(endpoint) => endpoints.push(endpoint),
                Err(reason) => {
                    errors.push(LoadError::Request { endpoint: request.name.clone(), reason });
                }
            }
        }
        let mut programs = Vec::new();
        for journey in &config.journeys {
            match Program::compile(config, journey, &captured) {
                Ok(program) => programs.push(program),
                Err(reason) => {
                    errors.push(LoadError::Request { endpoint: journey.name.clone(), reason });
                }
            }
        }
        let choices: Vec<Choice> =
            config.flows.iter().map(|flow| Choice::of(config, &flow.journeys)).collect();
        if choices.iter().any(|choice| choice.weights.last().is_none_or(|sum| *sum <= 0.0)) {
            errors.push(LoadError::NoRequests);
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Self {
            endpoints,
            programs,
            choices,
            random: SmallRng::seed_from_u64(config.seed.wrapping_add(worker as u64)),
            sources: Sources::new(config, worker, of),
            captured,
        })
    }

    /// The first row of sequential data after those that it has used.
    pub(super) fn rows_used(&self) -> u64 {
        self.sources.rows_used()
    }

    /// Begins a journey of `flow`. It is chosen by weight, unless a trace names it.
    pub(super) fn begin(
        &mut self,
        flow: usize,
        replayed: Option<(u64, usize)>,
        session: &mut Session,
    ) {
        let journey = match replayed {
            Some((_, journey)) => journey,
            None => self.choices[flow].draw(&mut self.random),
        };
        session.begin(journey, replayed.map(|(row, _)| row), |source| self.sources.is_kept(source));
    }

    /// Begins a given journey, as when each is tried once.
    pub(super) fn begin_journey(&self, journey: usize, session: &mut Session) {
        session.begin(journey, None, |source| self.sources.is_kept(source));
    }

    /// The next step of the journey. The data for its conditions were drawn before its first step.
    /// The data for the request are drawn now.
    ///
    /// # Errors
    ///
    /// When there are no values left.
    pub(super) fn next(&mut self, session: &mut Session) -> Result<Todo, Exhausted> {
        let program = &self.programs[session.journey];
        for &source in &program.sources {
            self.sources.draw(source, session, &mut self.random)?;
        }
        let sources = &self.sources;
        let mut cursor = std::mem::take(&mut session.cursor);
        let todo = program.next(&mut cursor, &mut self.random, |place, test| match place {
            ValueSource::Captured(slot) => holds(test, session.captured(slot)),
            ValueSource::Data(source, column) => {
                holds(test, Some(&sources.value(source, column, session).to_string()))
            }
        });
        session.cursor = cursor;
        if let Todo::Request(endpoint) = todo {
            self.draw(endpoint, session)?;
        }
        Ok(todo)
    }

    /// Draws the values of one endpoint that the journey has not drawn yet.
    ///
    /// # Errors
    ///
    /// When there are no values left.
    pub(super) fn draw(&mut self, endpoint: usize, session: &mut Session) -> Result<(), Exhausted> {
        for &source in &self.endpoints[endpoint].sources {
            self.sources.draw(source, session, &mut self.random)?;
        }
        Ok(())
    }

    /// Builds the request.
    pub(super) fn build(&self, endpoint: usize, session: &Session) -> Rendered {
        let endpoint = &self.endpoints[endpoint];
        let bytes = match &endpoint.text {
            Text::Fixed(bytes, head) => match session.jar.is_empty() {
                true => bytes.clone(),
                false => with_cookies(bytes, *head, session),
            },
            Text::Varying(parts) => parts.render(session, |place| match place {
                ValueSource::Data(source, column) => self.sources.value(source, column, session),
                ValueSource::Captured(slot) => {
                    Value::Text(session.captured(slot).unwrap_or_default())
                }
            }),
        };
        Rendered { bytes, is_head: endpoint.is_head, stream: endpoint.stream }
    }

    /// How the response of an endpoint within a journey is inspected.
    pub(super) fn look(&self, endpoint: usize, journey: usize) -> Look {
        Look {
            inspection: Arc::clone(&self.endpoints[endpoint].inspection),
            keeps_cookies: self.programs[journey].cookies,
        }
    }

    /// Whether it is inspected at all.
    pub(super) fn looks(&self, endpoint: usize, journey: usize) -> bool {
        !self.endpoints[endpoint].inspection.is_empty() || self.programs[journey].cookies
    }

    /// Whether a journey is one request and nothing else.
    pub(super) fn is_single(&self, journey: usize) -> bool {
        self.programs[journey].is_single()
    }

    /// Whether a request that fails ends a journey.
    pub(super) fn stops_on_failure(&self, journey: usize) -> bool {
        self.programs[journey].stop_on_failure
    }

    /// Whether anything is captured from the responses of an endpoint.
    pub(super) fn captures(&self, endpoint: usize) -> bool {
        self.endpoints[endpoint].inspection.captures()
    }

    /// Names of the captured values, by slot.
    pub(super) fn captured_names(&self) -> &[String] {
        &self.captured
    }
}

impl Choice {
    fn of(config: &LoadConfig, journeys: &[usize]) -> Self {
        let mut sum = 0.0;
        let weights = journeys.iter().map(|journey| {
            let weight = config.journeys[*journey].weight;
            sum += if weight.is_finite() { weight.max(0.0) } else { 0.0 };
            sum
        });
        Self { weights: weights.collect(), journeys: journeys.to_vec(), strata: Vec::new() }
    }

    fn draw(&mut self, random: &mut SmallRng) -> usize {
        let last = self.weights.len() - 1;
        if last == 0 {
            return self.journeys[0];
        }
        if self.strata.is_empty() {
            self.strata.extend(0..STRATA);
            self.strata.shuffle(random);
        }
        let stratum = f64::from(self.strata.pop().unwrap_or_default());
        let share = (stratum + random.random::<f64>()) / f64::from(STRATA);
        let point = share * self.weights[last];
        self.journeys[self.weights.partition_point(|sum| *sum <= point).min(last)]
    }
}

/// All names of captured values, each once.
fn captured_names(config: &LoadConfig) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for capture in config.requests.iter().flat_map(|request| &request.captures) {
        if !names.contains(&capture.name) {
            names.push(capture.name.clone());
        }
    }
    names
}
