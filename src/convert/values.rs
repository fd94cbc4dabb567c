//! What the names of an input stand for: values of the plan, texts, and what only a program knows.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::draft::{Data, Draft};
use super::http::Names;
use super::notes::Notes;
use super::template::{Template, identifier};

/// What names stand for.
#[derive(Default)]
pub(super) struct Values {
    /// By the input's name; what a scenario captures is known in that scenario only.
    defined: BTreeMap<String, Template>,
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

impl Values {
    /// `name` stands for the value `value` of the plan.
    pub(super) fn define(&mut self, name: &str, value: &str) {
        let mut template = Template::default();
        template.value(value);
        self.stand_for(name, template);
    }

    /// `name` stands for a text, which may hold values.
    pub(super) fn stand_for(&mut self, name: &str, text: Template) {
        self.defined.insert(name.to_owned(), text);
    }

    /// What `name` stands for.
    pub(super) fn get(&self, name: &str) -> Option<&Template> {
        self.defined.get(name)
    }

    /// From here on `name` is what was captured; gives its name in the plan.
    pub(super) fn capture(&mut self, name: &str) -> String {
        let value = match self.captured.get(name) {
            Some(value) => value.clone(),
            None => self.data_name(&identifier(name)),
        };
        self.captured.insert(name.to_owned(), value.clone());
        self.define(name, &value);
        value
    }

    /// What is defined now, to come back to with [`Values::forget_to`].
    pub(super) fn scope(&self) -> BTreeMap<String, Template> {
        self.defined.clone()
    }

    /// Forgets what was captured since.
    pub(super) fn forget_to(&mut self, scope: BTreeMap<String, Template>) {
        self.defined = scope;
    }

    /// A name for data that no other data have.
    pub(super) fn data_name(&self, wanted: &str) -> String {
        self.asked.borrow_mut().names.data(wanted)
    }

    /// The name of data for a function that the input calls as `call`.
    pub(super) fn made(&self, call: &str, wanted: &str, data: Data) -> String {
        self.ask(call, wanted, data, None)
    }

    /// The name of data for what nothing defines, called `wanted` if nothing else is: it gets a
    /// value to be replaced, as a plan with unknown names is refused.
    pub(super) fn unknown(&self, call: &str, wanted: &str, line: usize) -> String {
        let data = Data::List(vec!["replace-me".to_owned()]);
        self.ask(call, wanted, data, Some(line))
    }

    fn ask(&self, call: &str, wanted: &str, data: Data, line: Option<usize>) -> String {
        if let Some((name, _, _)) = self.asked.borrow().made.get(call) {
            return name.clone();
        }
        let name = self.data_name(&identifier(wanted));
        self.asked.borrow_mut().made.insert(call.to_owned(), (name.clone(), data, line));
        name
    }

    /// Adds the data that texts asked for and that the draft uses. `shown` writes a name as the input does.
    pub(super) fn finish(
        self,
        draft: &mut Draft,
        notes: &mut Notes,
        shown: impl Fn(&str) -> String,
    ) {
        let used = draft.used_values();
        for (call, (name, data, line)) in self.asked.into_inner().made {
            if !used.contains(&name) {
                continue;
            }
            if let Some(line) = line {
                let shown = shown(&call.escape_debug().to_string());
                notes.at(
                    line,
                    format!(
                        "nothing in the script defines `{shown}`: replace the value in \
                         `[data.{name}]`"
                    ),
                );
            }
            draft.data.push((name, data));
        }
    }
}

/// Reads a text in which `open` and `close` stand around what `value` reads.
pub(super) fn read_between(
    text: &str,
    (open, close): (&str, &str),
    mut value: impl FnMut(&str, &mut Template),
) -> Template {
    let mut template = Template::default();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once(open) {
        let Some((inside, behind)) = behind.split_once(close) else { break };
        template.text(before);
        value(inside.trim(), &mut template);
        rest = behind;
    }
    template.text(rest);
    template
}
