//! Feeders: files and lists of values for users.

use std::rc::Rc;

use super::chain;
use super::simulation::Simulation;
use crate::convert::draft::RowOrder;
use crate::convert::script::value::{Known, Link};
use crate::convert::table::{Columns, Table, ValueFile};
use crate::plan::is_secret_name;

impl Simulation<'_, '_> {
    /// Writes the file of a feeder next to the plan, and gives what its columns are called there.
    pub(super) fn feeder(&mut self, feeder: &Known, line: usize) -> Columns {
        let known = key_of(feeder);
        if let Some((_, columns)) = self.fed.iter().find(|(feeder, _)| *feeder == known) {
            return columns.clone();
        }
        let columns = match feeder.links() {
            [] if !feeder.items().is_empty() => self.rows(feeder.items(), RowOrder::Once, line),
            [] => {
                self.lost(line, "a feeder that this file does not define");
                Columns::new()
            }
            [first, rest @ ..] => self.kind_of_feeder(first, rest, line),
        };
        self.fed.push((known, columns.clone()));
        columns
    }

    fn kind_of_feeder(&mut self, first: &Link, rest: &[Rc<Link>], line: usize) -> Columns {
        let order = self.order(rest, line);
        let (name, arguments) = (first.name.as_str(), first.arguments.as_slice());
        let path = arguments.first().and_then(Known::fixed);
        match (name, path, arguments) {
            ("csv", Some(path), _) => self.file(&path, b',', order, line),
            ("ssv", Some(path), _) => self.file(&path, b';', order, line),
            ("tsv", Some(path), _) => self.file(&path, b'\t', order, line),
            ("separatedValues", Some(path), [_, separator, ..]) => {
                let separator = separator.fixed().and_then(|it| it.bytes().next());
                self.file(&path, separator.unwrap_or(b','), order, line)
            }
            ("jsonFile", Some(path), _) => match self.resource(&path) {
                Ok(text) => {
                    let rows = serde_json::from_str(&text).map_or(Known::Unknown, Known::of_json);
                    self.rows(rows.items(), order, line)
                }
                Err(why) => {
                    let text = format!("the feeder `{}`: {why}", path.escape_debug());
                    self.lost(line, text);
                    Columns::new()
                }
            },
            ("listFeeder" | "arrayFeeder", _, [list, ..]) => self.rows(list.items(), order, line),
            ("generated", _, [values, ..]) => {
                for (name, value) in values.entries() {
                    self.set(name, value, line);
                }
                if values.entries().is_empty() {
                    self.lost(line, "a feeder whose values the program makes");
                }
                Columns::new()
            }
            _ => {
                let name = name.escape_debug().to_string();
                self.lost(line, format!("the feeder `{name}`"));
                Columns::new()
            }
        }
    }

    /// The order in which rows are drawn: a queue, unless a strategy is named.
    fn order(&mut self, links: &[Rc<Link>], line: usize) -> RowOrder {
        let mut order = RowOrder::Once;
        for link in links {
            match (chain::order(&link.name), link.name.as_str()) {
                (Some(known), name) => {
                    order = known;
                    if name == "shuffle" {
                        self.note(line, "`shuffle`: the plan takes the rows as they come");
                    }
                }
                (None, "transform") => self.lost(line, "`transform` of a feeder"),
                // How a file is read.
                (None, _) => {}
            }
        }
        order
    }

    fn file(&mut self, path: &str, delimiter: u8, order: RowOrder, line: usize) -> Columns {
        let place = self.place(path);
        let file =
            ValueFile { path: &place, delimiter, fields: Vec::new(), has_header: true, order };
        let copied = file.copy(self.machine.artifact, &self.machine.values);
        match copied {
            Ok((data, columns)) => {
                self.machine.draft.data.push(data);
                columns
            }
            Err(why) => {
                self.lost(line, format!("the feeder {why}"));
                Columns::new()
            }
        }
    }

    /// Rows that stand in the simulation, or in a file of JSON.
    fn rows(&mut self, rows: &[Known], order: RowOrder, line: usize) -> Columns {
        let fields: Vec<String> = rows
            .first()
            .map_or(&[][..], Known::entries)
            .iter()
            .filter(|(_, value)| value.fixed().is_some())
            .map(|(name, _)| name.clone())
            .collect();
        if fields.is_empty() {
            self.lost(line, "a feeder without values that can be read");
            return Columns::new();
        }
        let cell =
            |row: &Known, field: &String| row.get(field).and_then(Known::fixed).unwrap_or_default();
        let row = |row: &Known| fields.iter().map(|field| cell(row, field)).collect::<Vec<_>>();
        let rows: Vec<Vec<String>> = rows.iter().map(row).collect();
        let is_secret = fields.iter().any(|field| is_secret_name(field));
        let table = Table { stem: "feeder", fields, order };
        match table.write(self.machine.artifact, &self.machine.values, rows.into_iter()) {
            Ok((data, columns)) => {
                if is_secret {
                    let text = format!(
                        "`{}.csv` holds secrets of the simulation, such as passwords: keep it \
                         where the simulation is kept",
                        data.0
                    );
                    self.note(line, text);
                }
                self.machine.draft.data.push(data);
                columns
            }
            Err(why) => {
                self.lost(line, format!("a feeder: {why}"));
                Columns::new()
            }
        }
    }
}

/// What tells a feeder from others: how it is written, and which list it has.
fn key_of(feeder: &Known) -> String {
    let one = |known: &Known| match known {
        Known::List(items) => format!("{:p}", Rc::as_ptr(items)),
        Known::Map(entries) => format!("{:p}", Rc::as_ptr(entries)),
        known => format!("{:?}", known.fixed()),
    };
    let link = |link: &Rc<Link>| {
        let arguments: Vec<String> = link.arguments.iter().map(one).collect();
        format!("{}({})", link.name, arguments.join(", "))
    };
    let links: Vec<String> = feeder.links().iter().map(link).collect();
    format!("{} {}", one(feeder), links.join("."))
}
