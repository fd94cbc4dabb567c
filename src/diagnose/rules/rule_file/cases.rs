//! Reads the test cases of a rule file.

use crate::diagnose::rules::case::{Case, Expect, parse_series};
use crate::timeline::{Selector, names};

use super::{Fields, Reader, Value, items_of};

impl<'t> Reader<'t> {
    pub(super) fn cases(&mut self, fields: &mut Fields<'t>) -> Vec<Case> {
        let values = self.items(fields, "case");
        values.into_iter().filter_map(|value| self.case(value)).collect()
    }

    fn case(&mut self, value: Value<'t>) -> Option<Case> {
        let mut fields = self.table(value)?;
        let name = self.text(&mut fields, "name");
        let text = self.text(&mut fields, "expect");
        let expect = Expect::find(&text);
        if expect.is_none() {
            let all = Expect::ALL.map(|(_, name)| format!("`{name}`")).join(", ");
            self.at(&mut fields, "expect", format!("`expect` is one of {all}"));
        }
        let knee = fields.take("knee").and_then(|value| self.number(value, "knee"));
        let cores = self.cores(&mut fields);
        let mut series = Vec::new();
        if let Some(value) = fields.take("series") {
            let table = self.table(value)?;
            for (key, value) in table.table {
                let Some(text) = self.as_text(value, "the series") else { continue };
                match (key.get_ref().parse::<Selector>(), parse_series(text)) {
                    (Err(error), _) => self.mistake(key.span(), error.to_string()),
                    (_, Err(why)) => self.mistake(value.span(), why),
                    (Ok(selector), _) if names::find(&selector.metric).is_none() => {
                        let message = format!("no collector emits `{}`", selector.metric);
                        self.mistake(key.span(), message);
                    }
                    (Ok(selector), Ok(values)) => series.push((selector, values)),
                }
            }
        }
        let stages = series.iter().map(|(_, values)| values.len()).max().unwrap_or(0);
        if series.iter().any(|(_, values)| values.len() != stages) {
            let message =
                "the series of a case differ in length; give each one value per stage".to_owned();
            self.mistake(fields.span.clone(), message);
        }
        let knee = knee.map_or(0, |knee| knee as usize);
        if knee < 2 || knee > stages {
            let message = format!("`knee` must be the number of a stage, from 2 to {stages}");
            self.at(&mut fields, "knee", message);
        }
        self.finish(&fields);
        Some(Case { name, expect: expect?, knee, cores, series })
    }

    /// The numbers of cores of a case: all of them, or those that it names with the reason.
    fn cores(&mut self, fields: &mut Fields<'t>) -> Vec<u32> {
        let why = self.optional_text(fields, "cores_why");
        let Some(value) = fields.take("cores") else {
            if why.is_some() {
                let message = "`cores_why` is the reason for `cores`; add it, or take this out";
                self.at(fields, "cores_why", message.to_owned());
            }
            return Case::CORES.to_vec();
        };
        if why.is_none() {
            let message = "say in `cores_why` why the case is not tried on other machines";
            self.mistake(value.span(), message.to_owned());
        }
        let mut cores = Vec::new();
        for item in items_of(value) {
            let Some(number) = self.number(item, "cores") else { continue };
            match Case::CORES.into_iter().find(|count| f64::from(*count) == number) {
                Some(count) => cores.push(count),
                None => {
                    let all = Case::CORES.map(|count| count.to_string()).join(", ");
                    self.mistake(item.span(), format!("`cores` holds some of {all}"));
                }
            }
        }
        if cores.is_empty() { Case::CORES.to_vec() } else { cores }
    }
}
