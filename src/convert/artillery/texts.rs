//! Texts with `{{ name }}` in them.

use crate::convert::draft::Data;
use crate::convert::template::Template;
use crate::convert::values::{Values, read_between};

/// Reads a text of the script.
pub(super) fn read(values: &Values, text: &str, line: usize) -> Template {
    read_between(text, ("{{", "}}"), |inside, template| value(values, inside, line, template))
}

fn value(values: &Values, inside: &str, line: usize, template: &mut Template) {
    let environments = ["$processEnvironment.", "$env.", "$environment."];
    if let Some(name) = environments.iter().find_map(|begin| inside.strip_prefix(begin)) {
        template.variable(name);
    } else if let Some(value) = values.get(inside) {
        template.append(value.clone());
    } else {
        template.value(&made(values, inside, line));
    }
}

/// The name of data for a function, or for a name that nothing defines.
fn made(values: &Values, inside: &str, line: usize) -> String {
    if let Some((first, last)) = random_number(inside) {
        let wanted = format!("random_{first}_{last}");
        values.made(inside, &wanted, Data::Range(first, last))
    } else if matches!(inside, "$uuid" | "$randomUUID") {
        values.made(inside, "uuid", Data::Uuid)
    } else {
        values.unknown(inside, inside.trim_start_matches('$'), line)
    }
}

/// `$randomNumber(1, 100)` is a range.
fn random_number(inside: &str) -> Option<(i64, i64)> {
    let ends = inside.strip_prefix("$randomNumber(")?.strip_suffix(')')?;
    let (first, last) = ends.split_once(',')?;
    let (first, last): (i64, i64) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    Some((first.min(last), first.max(last)))
}
