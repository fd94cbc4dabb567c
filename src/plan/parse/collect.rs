//! The `[collect.…]` tables.

use toml::de::DeValue;

use super::walk::{Section, Value, Walk};
use crate::plan::{CollectorConfig, CollectorShape, OptionKind, OptionValue, Secret, nearest};

pub(super) fn read(root: &mut Section<'_, '_>, shapes: &[CollectorShape]) -> Vec<CollectorConfig> {
    let walk = root.walk;
    let mut collectors: Vec<CollectorConfig> = Vec::new();
    let section = root
        .take("collect")
        .and_then(|value| walk.section(value, "tables such as `[collect.process]`"));
    for (name, span, value) in section.iter().flat_map(Section::entries) {
        let Some(shape) = shapes.iter().find(|shape| shape.name == name) else {
            walk.hide(value.span());
            let names = shapes.iter().map(|shape| shape.name);
            let help = nearest(name, names.clone()).unwrap_or_else(|| {
                format!("write one of `{}`", names.collect::<Vec<_>>().join("`, `"))
            });
            walk.wrong_with_help(span, format!("there is no collector `{name}`"), help);
            continue;
        };
        let tables: Vec<&Value<'_>> = match value.get_ref() {
            DeValue::Array(list) => list.iter().collect(),
            _ => vec![value],
        };
        collectors.extend(walk.named(
            tables,
            |value| read_one(walk, value, shape),
            |collector| &collector.instance,
            ("another collector is already", "give this one another name with `as = \"a-name\"`"),
        ));
    }
    collectors
}

fn read_one<'t>(
    walk: &Walk<'t>,
    value: &Value<'t>,
    shape: &CollectorShape,
) -> Option<CollectorConfig> {
    let mut section = walk.section(value, &format!("a table `[collect.{}]`", shape.name))?;
    let mut collector = CollectorConfig::new(shape.name);
    if let Some(name) = section.take("as").and_then(|value| walk.name(value)) {
        collector.instance = name;
    }
    collector.interval = section.take("interval").and_then(|value| walk.duration(value));
    for option in shape.options {
        let value = section.take(option.name);
        if value.is_none() && option.required {
            section.missing(option.name, option.about);
        }
        let read = value.and_then(|value| read_option(walk, value, option.kind, option.about));
        if let Some(value) = read {
            collector.options.insert(option.name.to_owned(), value);
        }
    }
    section.finish();
    Some(collector)
}

fn read_option<'t>(
    walk: &Walk<'t>,
    value: &Value<'t>,
    kind: OptionKind,
    about: &str,
) -> Option<OptionValue> {
    if kind == OptionKind::Secret {
        walk.hide(value.span());
    }
    match kind {
        OptionKind::Secret => {
            walk.text(value, "a string").map(|text| OptionValue::Secret(Secret::new(text.value)))
        }
        // Every value from the environment is secret.
        OptionKind::Text => walk.text(value, "a string").map(|text| {
            if text.from_environment {
                OptionValue::Secret(Secret::new(text.value))
            } else {
                OptionValue::Text(text.value)
            }
        }),
        OptionKind::Integer => {
            walk.integer(value, &format!("a whole number ({about})")).map(OptionValue::Integer)
        }
        OptionKind::Switch => walk.switch(value).map(OptionValue::Switch),
        OptionKind::Texts => {
            let list = walk.list(value, "a list of strings")?;
            let texts = list.into_iter().filter_map(|value| walk.text(value, "a string"));
            Some(OptionValue::Texts(texts.map(|text| text.value).collect()))
        }
    }
}
