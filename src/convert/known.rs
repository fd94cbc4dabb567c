//! What a plan may refer to where: data anywhere, what a step captures only after it.

use std::collections::BTreeSet;

use super::draft::{Data, Draft, StepDraft};
use super::http::Names;
use super::notes::Notes;
use super::template::Template;

/// How a plan draws values in a loop.
const ROUNDS: &str = "repeated step uses a random value or a counter: the plan draws one for each \
                      journey, not one for each round";

/// Gives each value that is not known where it is used data of its own: a plan with unknown names
/// is refused.
pub(super) fn settle(draft: &mut Draft, notes: &mut Notes) {
    let mut known = Known::of(draft);
    let journeys = draft.journeys.iter().flat_map(|journey| &journey.steps);
    if journeys.into_iter().any(|step| known.draws_in_rounds(step, false)) {
        notes.add(format!("a {ROUNDS}"));
        draft.comments.push(format!("A {ROUNDS}."));
    }
    // What the steps of the setup capture is known in every journey, and at the end.
    let mut always = BTreeSet::new();
    known.steps(&mut draft.setup, &mut always);
    for request in &mut draft.requests {
        known.templates(&mut request.path, &mut request.headers, &mut request.body, &always);
    }
    for journey in &mut draft.journeys {
        known.steps(&mut journey.steps, &mut always.clone());
    }
    known.steps(&mut draft.teardown, &mut always.clone());
    for (name, data) in known.missing {
        notes.add(format!(
            "`{name}` is used where no earlier step has captured it: replace the value in \
             `[data.{data}]`"
        ));
        draft.data.push((data, Data::List(vec!["replace-me".to_owned()])));
    }
}

struct Known {
    data: BTreeSet<String>,
    with_columns: BTreeSet<String>,
    /// Those that no round draws anew in other tools either: rows of a file, and one value only.
    constant: BTreeSet<String>,
    names: Names,
    /// A name that is not known, and the data that stand in for it.
    missing: Vec<(String, String)>,
}

impl Known {
    fn of(draft: &Draft) -> Self {
        let mut known = Self {
            data: BTreeSet::new(),
            with_columns: BTreeSet::new(),
            constant: BTreeSet::new(),
            names: Names::default(),
            missing: Vec::new(),
        };
        for (name, data) in &draft.data {
            let has_columns = matches!(data, Data::Csv { column: None, .. });
            let names = if has_columns { &mut known.with_columns } else { &mut known.data };
            names.insert(name.clone());
            let is_one = match data {
                Data::List(texts) => texts.len() < 2,
                Data::Csv { .. } | Data::Variable(_) => true,
                Data::Range(..) | Data::Sequence(..) | Data::Uuid => false,
            };
            if is_one {
                known.constant.insert(name.clone());
            }
            known.names.data(name);
        }
        let steps = draft.setup.iter().chain(&draft.teardown);
        steps.for_each(|step| known.take_names(step));
        let steps = draft.journeys.iter().flat_map(|journey| &journey.steps);
        steps.for_each(|step| known.take_names(step));
        known
    }

    /// No data may have the name of a capture.
    fn take_names(&mut self, step: &StepDraft) {
        for (name, _, _) in &step.captures {
            self.names.data(name);
        }
        step.steps.iter().for_each(|step| self.take_names(step));
    }

    /// Whether a step that is repeated uses data that are drawn.
    fn draws_in_rounds(&self, step: &StepDraft, is_repeated: bool) -> bool {
        let is_repeated = is_repeated || step.repeat.is_some_and(|repeat| repeat > 1);
        let is_drawn = |name: &str| self.data.contains(name) && !self.constant.contains(name);
        let uses = step.request.as_ref().is_some_and(|request| {
            let headers = request.headers.iter().map(|(_, text)| text);
            let texts = [&request.path].into_iter().chain(headers).chain(&request.body);
            texts.flat_map(Template::values).any(is_drawn)
        });
        (is_repeated && uses)
            || step.steps.iter().any(|inner| self.draws_in_rounds(inner, is_repeated))
    }

    fn steps(&mut self, steps: &mut [StepDraft], captured: &mut BTreeSet<String>) {
        for step in steps {
            if let Some((name, _)) = &mut step.when
                && !self.is_known(name, captured)
            {
                *name = self.stand_in(name);
            }
            if let Some(request) = &mut step.request {
                self.templates(
                    &mut request.path,
                    &mut request.headers,
                    &mut request.body,
                    captured,
                );
            }
            captured.extend(step.captures.iter().map(|(name, _, _)| name.clone()));
            self.steps(&mut step.steps, captured);
        }
    }

    fn templates(
        &mut self,
        path: &mut Template,
        headers: &mut [(String, Template)],
        body: &mut Option<Template>,
        captured: &BTreeSet<String>,
    ) {
        let headers = headers.iter_mut().map(|(_, text)| text);
        for template in [path].into_iter().chain(headers).chain(body) {
            template.rename_values(|name| {
                (!self.is_known(name, captured)).then(|| self.stand_in(name))
            });
        }
    }

    fn is_known(&self, name: &str, captured: &BTreeSet<String>) -> bool {
        let source = name.split_once('.').map(|(source, _)| source);
        captured.contains(name)
            || self.data.contains(name)
            || source.is_some_and(|source| self.with_columns.contains(source))
    }

    fn stand_in(&mut self, name: &str) -> String {
        if let Some((_, data)) = self.missing.iter().find(|(known, _)| known == name) {
            return data.clone();
        }
        let data = self.names.data(name);
        self.missing.push((name.to_owned(), data.clone()));
        data
    }
}
