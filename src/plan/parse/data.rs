//! The `[data.…]` tables.

use std::collections::BTreeMap;

use toml::de::DeValue;

use super::walk::{Section, Value, Walk};
use crate::plan::{
    DataOrder, DataSource, DataValues, DrawnPer, RowFormat, Secret, WhenExhausted, is_secret_name,
};

/// Days in one source of dates, at most.
const MOST_DAYS: i64 = 100_000;

pub(super) fn read(root: &mut Section<'_, '_>) -> BTreeMap<String, DataSource> {
    let walk = root.walk;
    let mut data = BTreeMap::new();
    let Some(value) = root.take("data") else { return data };
    let Some(section) = walk.section(value, "tables such as `[data.id]`") else { return data };
    for (name, _, value) in section.entries() {
        if is_secret_name(name) {
            walk.hide(value.span());
        }
        // A source with a mistake still makes its name known, so that its uses are no further
        // mistakes.
        let source = read_source(walk, name, value)
            .unwrap_or_else(|| DataSource::of(DataValues::List(Vec::new())));
        data.insert(name.to_owned(), source);
    }
    data
}

const ONE_OF: &str = "a data source needs exactly one of `range`, `list`, `csv`, `jsonl`, `uuid` and \
                      `dates`";

fn read_source<'t>(walk: &Walk<'t>, name: &str, value: &Value<'t>) -> Option<DataSource> {
    let mut section = walk.section(value, "a table such as `{ range = [1, 1000] }`")?;
    let given: Vec<(&str, &Value<'t>)> = ["range", "list", "csv", "jsonl", "uuid", "dates"]
        .into_iter()
        .filter_map(|key| section.take(key).map(|value| (key, value)))
        .collect();
    let column = section.take("column");
    let format = section.take("format");
    let order = read_order(&mut section);
    let pers = [("iteration", DrawnPer::Iteration), ("vu", DrawnPer::Vu)];
    let per =
        section.take("per").map_or(Some(DrawnPer::default()), |value| walk.choice(value, &pers));
    let ends = [("wrap", WhenExhausted::Wrap), ("stop", WhenExhausted::Stop)];
    let at_end = section.take("exhausted");
    let exhausted =
        at_end.map_or(Some(WhenExhausted::default()), |value| walk.choice(value, &ends));
    let span = section.span.clone();
    section.finish();
    let [(key, value)] = given[..] else {
        walk.wrong_with_help(
            span,
            ONE_OF,
            "write `range = [1, 1000]`, `list = [\"a\", \"b\"]` or `csv = \"ids.csv\"` with `column = \"id\"`",
        );
        return None;
    };
    for (other, given, owner) in [("column", column, "csv"), ("format", format, "dates")] {
        if let Some(given) = given.filter(|_| key != owner) {
            walk.wrong_with_help(
                given.span(),
                format!("`{other}` works only with `{owner}`"),
                format!("remove `{other}`"),
            );
        }
    }
    let values = match key {
        "range" => read_range(walk, value),
        "list" => read_list(walk, name, value),
        "csv" => read_csv(walk, value, column),
        "jsonl" => walk
            .text(value, "the path of a file of JSON lines")
            .map(|path| DataValues::Rows { path: path.value, format: RowFormat::JsonLines }),
        "uuid" => read_uuid(walk, value),
        _ => read_dates(walk, value, format),
    };
    let (order, exhausted) = (order?, exhausted?);
    if let Some(at_end) = at_end.filter(|_| order != DataOrder::Sequential) {
        walk.wrong_with_help(
            at_end.span(),
            "`exhausted` works only with `order = \"sequential\"`",
            "add `order = \"sequential\"`, or remove `exhausted`",
        );
    }
    Some(DataSource { values: values?, order, per: per?, exhausted })
}

/// `order` and `popularity`.
fn read_order(section: &mut Section<'_, '_>) -> Option<DataOrder> {
    let walk = section.walk;
    let orders = [("random", DataOrder::Random), ("sequential", DataOrder::Sequential)];
    let order =
        section.take("order").map_or(Some(DataOrder::Random), |value| walk.choice(value, &orders));
    let Some(value) = section.take("popularity") else { return order };
    if order == Some(DataOrder::Sequential) {
        walk.wrong_with_help(
            value.span(),
            "`popularity` does not work with `order = \"sequential\"`",
            "remove one of the two",
        );
    }
    let what = "`{ zipf = 1.1 }` or `{ hot = \"10%\", share = \"90%\" }`";
    let mut table = walk.section(value, what)?;
    let zipf = table.take("zipf");
    let (hot, share) = (table.take("hot"), table.take("share"));
    table.finish();
    match (zipf, hot, share) {
        (Some(exponent), None, None) => {
            let number = walk.number(exponent, "an exponent such as `1.1`")?;
            if !(0.0..=10.0).contains(&number) {
                walk.wrong(exponent.span(), "the exponent must be between 0 and 10, such as `1.1`");
            }
            Some(DataOrder::Zipf(number))
        }
        (None, Some(hot), Some(share)) => {
            Some(DataOrder::Hot { keys: walk.share(hot)?, share: walk.share(share)? })
        }
        _ => {
            walk.wrong(value.span(), format!("expected {what}"));
            None
        }
    }
}

fn read_csv<'t>(
    walk: &Walk<'t>,
    path: &Value<'t>,
    column: Option<&Value<'t>>,
) -> Option<DataValues> {
    let path = walk.text(path, "the path of a CSV file")?.value;
    match column {
        None => Some(DataValues::Rows { path, format: RowFormat::Csv }),
        Some(column) => {
            let column = walk.text(column, "the name of a column")?.value;
            Some(DataValues::Csv { path, column })
        }
    }
}

fn read_uuid<'t>(walk: &Walk<'t>, value: &Value<'t>) -> Option<DataValues> {
    if !walk.switch(value)? {
        walk.wrong_with_help(
            value.span(),
            "`uuid = false` gives no values",
            "write `uuid = true`, or use another source",
        );
    }
    Some(DataValues::Uuid)
}

fn read_dates<'t>(
    walk: &Walk<'t>,
    value: &Value<'t>,
    format: Option<&Value<'t>>,
) -> Option<DataValues> {
    const WHAT: &str = "two dates such as `[\"2026-01-01\", \"2026-12-31\"]`";
    let ends = walk.list(value, WHAT)?;
    let &[first, last] = ends.as_slice() else {
        walk.wrong(value.span(), format!("expected {WHAT}, found {} values", ends.len()));
        return None;
    };
    let day = |value: &Value<'t>| {
        walk.parsed(value, "a date such as `2026-01-31`", |text| {
            text.parse::<jiff::civil::Date>()
                .map_err(|_| format!("`{text}` is not a valid date; write `2026-01-31`"))
        })
    };
    let (first, last) = (day(first)?, day(last)?);
    let days = (last - first).get_days();
    if first > last || i64::from(days) >= MOST_DAYS {
        walk.wrong_with_help(
            value.span(),
            format!("the dates must cover 1 to {MOST_DAYS} days, the earlier date first"),
            "write `dates = [\"2026-01-01\", \"2026-12-31\"]`",
        );
    }
    let format = match format {
        None => "%Y-%m-%d".to_owned(),
        Some(value) => {
            let format = walk.text(value, "a format such as `%d.%m.%Y`")?.value;
            if jiff::fmt::strtime::format(&format, first).is_err() {
                walk.wrong_with_help(
                    value.span(),
                    format!("`{format}` is not a valid date format"),
                    "use strftime's form, such as `%Y-%m-%d`",
                );
            }
            format
        }
    };
    Some(DataValues::Dates { first, last, format })
}

fn read_range<'t>(walk: &Walk<'t>, value: &Value<'t>) -> Option<DataValues> {
    const WHAT: &str = "two whole numbers such as `[1, 1000]`";
    let ends = walk.list(value, WHAT)?;
    let &[first, last] = ends.as_slice() else {
        walk.wrong(value.span(), format!("expected {WHAT}, found {} values", ends.len()));
        return None;
    };
    let (first, last) = (walk.signed(first, WHAT)?, walk.signed(last, WHAT)?);
    if first > last {
        walk.wrong_with_help(
            value.span(),
            format!("the range is empty: {first} is above {last}"),
            format!("write `range = [{last}, {first}]`"),
        );
        return None;
    }
    Some(DataValues::Range(first, last))
}

fn read_list<'t>(walk: &Walk<'t>, name: &str, value: &Value<'t>) -> Option<DataValues> {
    let values = walk.list(value, "a list of strings such as `[\"a\", \"b\"]`")?;
    if values.is_empty() {
        walk.wrong_with_help(
            value.span(),
            "the list must have at least one value",
            "write `list = [\"a\", \"b\"]`",
        );
    }
    let mut secret = is_secret_name(name);
    let mut texts = Vec::new();
    for value in values {
        if let DeValue::Integer(_) = value.get_ref() {
            texts.extend(walk.signed(value, "a whole number").map(|number| number.to_string()));
        } else if let Some(text) = walk.text(value, "a string or a whole number") {
            secret |= text.from_environment;
            texts.push(text.value);
        }
    }
    Some(if secret {
        DataValues::Hidden(texts.into_iter().map(Secret::new).collect())
    } else {
        DataValues::List(texts)
    })
}
