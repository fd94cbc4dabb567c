//! The report as one page: readable without script, nothing loaded from elsewhere, light and
//! dark. The script adds a crosshair over all panels; style and script are admitted by their
//! digests, everything else is refused by the page's own policy.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};
use minijinja::{Environment, HtmlEscape, UndefinedBehavior, context};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::chart::{self, Chart, Entry, INKS, Layout, dashes};
use super::format::FormatSpec;
use super::glossary::{self, Term};
use super::model::Report;

pub(super) const SPEC: FormatSpec = FormatSpec {
    name: "html",
    summary: "one page with charts, for people; works offline and without script",
    extension: "html",
    left_by_every_run: true,
    render,
};

const TEMPLATE: &str = include_str!("../../reports/html/report.html");
const STYLE: &str = include_str!("../../reports/html/report.css");
const SCRIPT: &str = include_str!("../../reports/html/report.js");

/// One chart as the template needs it.
#[derive(Serialize)]
struct Drawing {
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

fn drawing(wide: Chart, narrow: Option<Chart>) -> Drawing {
    Drawing {
        id: wide.id,
        title: wide.title,
        legend: wide.legend.into_iter().map(LegendKey::from).collect(),
        wide: Value::from_safe_string(wide.svg),
        narrow: narrow.map(|chart| Value::from_safe_string(chart.svg)),
    }
}

/// What the script reads: for each panel the text of each line at each time.
#[derive(Serialize)]
struct Crosshair {
    /// Seconds since the start at which the axis ends.
    end: f64,
    /// Where the data begins and ends, as shares of the width of the picture.
    wide: (f64, f64),
    narrow: (f64, f64),
    /// The readout of each time.
    times: Vec<String>,
    panels: Vec<Readout>,
}

#[derive(Serialize)]
struct Readout {
    id: &'static str,
    /// Share of the axis that the run takes; the rest shows what comes after it.
    reach: f64,
    lines: Vec<Vec<String>>,
}

fn crosshair(report: &Report) -> Crosshair {
    let panels = report.time.panels.iter().map(|panel| Readout {
        id: panel.id,
        reach: panel.ahead.as_ref().map_or(1.0, |ahead| report.time.end / ahead.end),
        lines: panel.lines.iter().map(|line| line.texts(panel.quantity)).collect(),
    });
    Crosshair {
        end: report.time.end,
        wide: chart::data_ends(Layout::Wide),
        narrow: chart::data_ends(Layout::Narrow),
        times: report.time.readouts(),
        panels: panels.collect(),
    }
}

fn digest(text: &str) -> String {
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

/// The template with what it may call.
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
    environment.add_template("report.html", TEMPLATE).map_err(io::Error::other)?;
    Ok(environment)
}

fn render(report: &Report, w: &mut dyn io::Write) -> io::Result<()> {
    let environment = environment()?;
    let style = format!("{STYLE}{}", palette());
    let data = serde_json::to_string(&crosshair(report))?;
    let narrow = chart::over_time(report, Layout::Narrow).into_iter().map(Some);
    let over_time = chart::over_time(report, Layout::Wide).into_iter().zip(narrow);
    let over_load = chart::over_load(report, Layout::Wide).into_iter();
    let flame = chart::flame(report, Layout::Wide)
        .map(|wide| drawing(wide, chart::flame(report, Layout::Narrow)));
    let page = context! {
        report => Serde(report),
        missing => Serde(&report.time.missing),
        style_digest => digest(&style),
        script_digest => digest(SCRIPT),
        style => Value::from_safe_string(style),
        script => Value::from_safe_string(SCRIPT.to_owned()),
        // Inside a script element only `<` could end it; JSON has it in strings alone.
        data => Value::from_safe_string(data.replace('<', "\\u003c")),
        flame => Serde(flame),
        over_load => Serde(over_load.map(|chart| drawing(chart, None)).collect::<Vec<_>>()),
        over_time => Serde(over_time.map(|(wide, narrow)| drawing(wide, narrow)).collect::<Vec<_>>()),
    };
    let template = environment.get_template("report.html").map_err(io::Error::other)?;
    let text = template.render(page).map_err(io::Error::other)?;
    w.write_all(text.as_bytes())
}
