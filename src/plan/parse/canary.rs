//! The `[[canary]]` tables.

use super::names::KnownNames;
use super::request::{read_headers, read_method, read_name, read_path};
use super::walk::{Section, Value, Walk};
use crate::plan::{Canary, Limits, Request};

pub(super) fn read(
    root: &mut Section<'_, '_>,
    names: &KnownNames<'_>,
    limits: &Limits,
) -> Vec<Canary> {
    let walk = root.walk;
    let tables = root.tables("canary").unwrap_or_default();
    if let Some(surplus) = tables.get(Canary::MOST) {
        walk.wrong_with_help(
            surplus.span(),
            format!("a plan has at most {} canaries", Canary::MOST),
            "keep one cheap route for each part that requests pass through",
        );
    }
    walk.named(
        tables,
        |value| read_one(walk, value, names, limits),
        |canary| &canary.request.name,
        (
            "another canary is already",
            "give each canary its own `name`: results are reported under it",
        ),
    )
}

fn read_one<'t>(
    walk: &Walk<'t>,
    value: &Value<'t>,
    names: &KnownNames<'_>,
    limits: &Limits,
) -> Option<Canary> {
    let mut section = walk.section(value, "a table `[[canary]]`")?;
    let name = section.take("name").and_then(|value| read_name(walk, value));
    let path = section
        .require("path", "path = \"/health\"")
        .and_then(|value| read_path(walk, value, names));
    let usual_rate = Canary::USUAL_RATE.min(limits.max_rate);
    let rate =
        section.take("rate").map_or(Some(usual_rate), |value| read_rate(walk, value, limits));
    let method = section
        .take("method")
        .map_or_else(|| Some("GET".to_owned()), |value| read_method(walk, value));
    let headers = read_headers(&mut section, names);
    section.finish();
    let path = path?;
    let name = name.unwrap_or_else(|| String::from(path.clone()));
    let request = Request { method: method?, headers, ..Request::get(name, path) };
    Some(Canary { request, rate: rate? })
}

/// A rate low enough that the canary is not load.
fn read_rate<'t>(walk: &Walk<'t>, value: &Value<'t>, limits: &Limits) -> Option<f64> {
    let rate = walk.rate(value)?;
    let most = Canary::MAX_RATE.min(limits.max_rate);
    if rate > most {
        walk.wrong_with_help(
            value.span(),
            format!("{rate}/s is above the limit of {most}/s for a canary"),
            format!("write `rate = \"{most}/s\"` or less; load belongs in `[[request]]`"),
        );
    }
    Some(rate)
}
