//! Texts with `{{ name }}` in them.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::convert::draft::{Data, Draft};
use crate::convert::http::Names;
use crate::convert::notes::Notes;
use crate::convert::template::{Template, identifier};

/// What names stand for.
#[derive(Default)]
pub(super) struct Texts {
    /// From the script's name to that of the plan's value; what a scenario captures is known in
    /// that scenario only.
    defined: BTreeMap<String, String>,
    /// The names of captures: no data may have them.
    captured: BTreeMap<String, String>,
    asked: RefCell<Asked>,
}

/// What the texts themselves ask for.
#[derive(Default)]
struct Asked {
    /// Of data and captures together.
    names: Names,
    /// Data by how the text has it: `$randomNumber(1, 100)`, or a name that nothing defines, with
    /// the name in the plan and the line.
    made: BTreeMap<String, (String, Data, Option<usize>)>,
}

impl Texts {
    /// `{{ name }}` is the value `value` of the plan.
    pub(super) fn define(&mut self, name: &str, value: &str) {
        self.defined.insert(name.to_owned(), value.to_owned());
    }

    /// From here on `{{ name }}` is what was captured; gives its name in the plan.
    pub(super) fn capture(&mut self, name: &str) -> String {
        let value = match self.captured.get(name) {
            Some(value) => value.clone(),
            None => self.data_name(&identifier(name)),
        };
        self.captured.insert(name.to_owned(), value.clone());
        self.define(name, &value);
        value
    }

    /// What is defined now, to come back to with [`Texts::forget_to`].
    pub(super) fn scope(&self) -> BTreeMap<String, String> {
        self.defined.clone()
    }

    /// Forgets what was captured since.
    pub(super) fn forget_to(&mut self, scope: BTreeMap<String, String>) {
        self.defined = scope;
    }

    /// A name for data that no other data have.
    pub(super) fn data_name(&self, wanted: &str) -> String {
        self.asked.borrow_mut().names.data(wanted)
    }

    /// Reads a text of the script.
    pub(super) fn read(&self, text: &str, line: usize) -> Template {
        let mut template = Template::default();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once("{{") {
            let Some((inside, behind)) = behind.split_once("}}") else { break };
            template.text(before);
            self.value(inside.trim(), line, &mut template);
            rest = behind;
        }
        template.text(rest);
        template
    }

    fn value(&self, inside: &str, line: usize, template: &mut Template) {
        let environments = ["$processEnvironment.", "$env.", "$environment."];
        if let Some(name) = environments.iter().find_map(|begin| inside.strip_prefix(begin)) {
            template.variable(name);
        } else if let Some(value) = self.defined.get(inside) {
            template.value(value);
        } else {
            template.value(&self.ask(inside, line));
        }
    }

    /// Data for a function, or for a name that nothing defines: it gets a value to be replaced, as
    /// a plan with unknown names is refused.
    fn ask(&self, inside: &str, line: usize) -> String {
        if let Some((name, _, _)) = self.asked.borrow().made.get(inside) {
            return name.clone();
        }
        let (wanted, data, line) = match random_number(inside) {
            Some((first, last)) => {
                (format!("random_{first}_{last}"), Data::Range(first, last), None)
            }
            None if matches!(inside, "$uuid" | "$randomUUID") => {
                ("uuid".to_owned(), Data::Uuid, None)
            }
            None => {
                let data = Data::List(vec!["replace-me".to_owned()]);
                (inside.trim_start_matches('$').to_owned(), data, Some(line))
            }
        };
        let name = self.data_name(&identifier(&wanted));
        self.asked.borrow_mut().made.insert(inside.to_owned(), (name.clone(), data, line));
        name
    }

    /// Adds the data that texts asked for.
    pub(super) fn finish(self, draft: &mut Draft, notes: &mut Notes) {
        for (inside, (name, data, line)) in self.asked.into_inner().made {
            if let Some(line) = line {
                let inside = inside.escape_debug();
                notes.at(
                    line,
                    format!(
                        "nothing in the script defines `{{{{ {inside} }}}}`: replace the value in \
                         `[data.{name}]`"
                    ),
                );
            }
            draft.data.push((name, data));
        }
    }
}

/// `$randomNumber(1, 100)` is a range.
fn random_number(inside: &str) -> Option<(i64, i64)> {
    let ends = inside.strip_prefix("$randomNumber(")?.strip_suffix(')')?;
    let (first, last) = ends.split_once(',')?;
    let (first, last): (i64, i64) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    Some((first.min(last), first.max(last)))
}
