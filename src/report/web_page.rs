//! What the pages of a run and of a comparison share: style, charts with their legends, links to the
//! glossary, and a template engine that escapes whatever is not marked as safe.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Value;
use minijinja::{Environment, HtmlEscape, UndefinedBehavior, context};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::chart::{Chart, Entry, INKS, dashes};
use super::glossary::{self, Term};

const STYLE: &str = include_str!("../../reports/html/report.css");
/// The legend of a chart, which every page imports.
const LEGEND: &str = include_str!("../../reports/html/legend.html");

/// One chart as the template needs it.
#[derive(Serialize)]
pub(super) struct Drawing {
    id: &'static str,
    title: &'static str,
    legend: Vec<LegendKey>,
    /// Already escaped SVG, for a desk and for a phone; the same string where one serves both.
    wide: Value,
    narrow: Option<Value>,
}

#[derive(Serialize)]
struct LegendKey {
    name: String,
    ink: u8,
    dashes: Option<&'static str>,
    filled: bool,
    hatched: bool,
}

impl From<Entry> for LegendKey {
    fn from(entry: Entry) -> Self {
        let dashes = dashes(entry.style);
        LegendKey {
            name: entry.name,
            ink: entry.ink,
            dashes,
            filled: entry.filled,
            hatched: entry.hatched,
        }
    }
}

/// A chart, with the picture for a phone if it is another one.
pub(super) fn drawing(wide: Chart, narrow: Option<Chart>) -> Drawing {
    Drawing {
        id: wide.id,
        title: wide.title,
        legend: wide.legend.into_iter().map(LegendKey::from).collect(),
        wide: Value::from_safe_string(wide.svg),
        narrow: narrow.map(|chart| Value::from_safe_string(chart.svg)),
    }
}

/// What a page's policy names a style or script by.
pub(crate) fn digest(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(text.as_bytes())))
}

/// Colours of the palette as rules, for both themes.
fn palette() -> String {
    let rules = |pick: fn(&(u8, &'static str, &'static str)) -> &'static str| {
        let each = INKS.iter().map(|ink| format!("--i{}:{};", ink.0, pick(ink)));
        each.collect::<String>()
    };
    let classes = INKS
        .iter()
        .map(|(ink, ..)| format!(".s{ink}{{stroke:var(--i{ink})}}.f{ink}{{fill:var(--i{ink})}}"));
    format!(
        ":root{{{}}}@media screen and (prefers-color-scheme:dark){{:root{{{}}}}}{}",
        rules(|ink| ink.1),
        rules(|ink| ink.2),
        classes.collect::<String>()
    )
}

/// The terms that a page has explained so far, by id.
type Told = Arc<Mutex<BTreeSet<&'static str>>>;

/// A text with a link to the glossary where a term stands first in the page.
fn explained(text: &str, told: &Told) -> Value {
    let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
    let (mut html, mut from) = (String::new(), 0);
    let mut push = |piece: std::fmt::Arguments<'_>| {
        let written = html.write_fmt(piece);
        debug_assert!(written.is_ok(), "a string takes everything");
    };
    for (place, Term { id, short, .. }) in glossary::first_uses(text, &mut told) {
        let (before, word) = (&text[from..place.start], &text[place.clone()]);
        push(format_args!("{}", HtmlEscape(before)));
        push(format_args!(
            "<a class=\"word\" href=\"#word-{id}\" title=\"{}\">",
            HtmlEscape(short)
        ));
        push(format_args!("{}</a>", HtmlEscape(word)));
        from = place.end;
    }
    push(format_args!("{}", HtmlEscape(&text[from..])));
    Value::from_safe_string(html)
}

/// The terms that the page has linked to, in the order of the alphabet.
fn words(told: &Told) -> Value {
    let told = told.lock().unwrap_or_else(PoisonError::into_inner);
    let terms = glossary::all().iter().filter(|term| told.contains(term.id));
    let word = |term: &Term| context! { id => term.id, name => term.name, text => term.text };
    terms.map(word).collect()
}

/// What every template may call.
fn environment() -> io::Result<Environment<'static>> {
    let mut environment = Environment::new();
    // Templates named .html escape whatever is not marked as safe; a misspelt name is an error.
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.map_err(io::Error::other)?);
    let told = Told::default();
    let of_filter = Arc::clone(&told);
    environment.add_filter("explained", move |text: &str| explained(text, &of_filter));
    environment.add_function("words", move || words(&told));
    environment.add_template("legend.html", LEGEND).map_err(io::Error::other)?;
    Ok(environment)
}

/// The style sheet with the colours of the charts.
pub(crate) fn style() -> String {
    format!("{STYLE}{}", palette())
}

/// Writes the page that a template makes of its values.
pub(super) fn write(
    name: &'static str,
    template: &'static str,
    values: Value,
    w: &mut dyn io::Write,
) -> io::Result<()> {
    let mut environment = environment()?;
    environment.add_template(name, template).map_err(io::Error::other)?;
    let template = environment.get_template(name).map_err(io::Error::other)?;
    let text = template.render(values).map_err(io::Error::other)?;
    w.write_all(text.as_bytes())
}
