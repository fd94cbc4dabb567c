//! What holds for every format.

use super::fixture::{bare, diagnosis, empty, outcomes, recording};
use super::*;

fn rendered(format: &FormatSpec, report: &Report) -> String {
    let mut bytes = Vec::new();
    (format.render)(report, &mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

fn sample() -> Report {
    super::fixture::with_seconds().1
}

/// Writes every format of the sample where `KNEEPOINT_SAMPLES` says, to be looked at.
#[test]
fn samples_to_look_at() {
    let Some(dir) = std::env::var_os("KNEEPOINT_SAMPLES") else { return };
    let dir = std::path::PathBuf::from(dir);
    for format in FORMATS {
        let file = dir.join(format!("report.{}", format.extension));
        std::fs::write(file, rendered(format, &sample())).unwrap();
    }
}

#[test]
fn every_format_renders_every_outcome_twice_alike() {
    let recording = recording();
    for outcome in outcomes() {
        for recording in [&recording, &empty()] {
            let full = crate::diagnose::Diagnosis {
                outcome: outcome.clone(),
                ..diagnosis(&super::fixture::recording())
            };
            for diagnosis in [bare(outcome.clone()), full] {
                let report = Report::new(recording, &diagnosis);
                for format in FORMATS {
                    let text = rendered(format, &report);
                    assert!(!text.trim().is_empty(), "{}: {outcome:?}", format.name);
                    assert_eq!(text, rendered(format, &report), "{}", format.name);
                }
                charts(&report);
            }
        }
    }
}

#[test]
fn the_time_to_resolve_a_name_is_told_where_there_was_any() {
    let told = |dns: Option<f64>| {
        let mut recording = recording();
        for tick in &mut recording.timeline.ticks {
            let secs = std::time::Duration::from_secs_f64;
            tick.phases.wait.record(secs(0.020));
            dns.into_iter().for_each(|dns| tick.phases.dns.record(secs(dns)));
        }
        let report = Report::new(&recording, &diagnosis(&recording));
        rendered(find("json").unwrap(), &report)
    };
    assert!(told(Some(0.007)).contains("DNS 7"), "{}", told(Some(0.007)));
    assert!(told(None).contains("wait 20") && !told(None).contains("DNS "));
}

#[test]
fn formats_have_names_of_their_own_and_summaries_in_form() {
    let mut names: Vec<_> = FORMATS.iter().map(|format| format.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), FORMATS.len(), "a name is used twice");
    for format in FORMATS {
        assert!(find(format.name).is_some_and(|found| std::ptr::eq(found, *format)));
        assert!(!format.summary.is_empty() && !format.summary.ends_with('.'), "{}", format.name);
        assert!(!format.extension.contains('.'), "{}", format.name);
    }
}

/// Allows no field that the schema does not name, so that a new one is published with it.
fn tighten(schema: &mut serde_json::Value) {
    match schema {
        serde_json::Value::Object(map) => {
            if map.contains_key("properties") {
                map.insert("additionalProperties".into(), false.into());
            }
            map.values_mut().for_each(tighten);
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(tighten),
        _ => {}
    }
}

#[test]
fn json_is_what_the_published_schema_says() {
    let text = include_str!("../../reports/schema/report.v1.schema.json");
    let json = find("json").unwrap();
    let mut reports = vec![sample()];
    reports.extend(outcomes().into_iter().map(|outcome| Report::new(&empty(), &bare(outcome))));
    assert_fits(text, reports.iter().map(|report| rendered(json, report)));
}

/// That documents are what a schema says, with no field that it does not name.
pub(super) fn assert_fits(schema: &str, documents: impl IntoIterator<Item = String>) {
    let mut schema: serde_json::Value = serde_json::from_str(schema).unwrap();
    tighten(&mut schema);
    let validator = jsonschema::validator_for(&schema).unwrap();
    for document in documents {
        let document = serde_json::from_str(&document).unwrap();
        let errors: Vec<_> = validator
            .iter_errors(&document)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert_eq!(errors, [""; 0]);
    }
}

/// A sample in which everything that comes from outside is hostile.
fn hostile() -> Report {
    const EVIL: &str = "</script><script>alert(1)</script>\u{1b}[31m\"'&";
    let mut recording = recording();
    recording.plan.name = EVIL.into();
    recording.plan.target = EVIL.into();
    recording.plan.requests = vec![(EVIL.into(), 1.0)];
    recording.environment.target = EVIL.into();
    recording.events[0].text = EVIL.into();
    let mut diagnosis = diagnosis(&recording);
    diagnosis.findings[0].subject = Some(EVIL.into());
    diagnosis.findings[0].evidence[0].text = EVIL.into();
    diagnosis.stages[0].invalid = Some(EVIL.to_owned().into());
    diagnosis.stages[1].errors = vec![(EVIL.into(), 1)];
    diagnosis.not_checked[0].add = EVIL.into();
    diagnosis.overhead[0].reason = Some(EVIL.into());
    diagnosis.caveats = vec![EVIL.into()];
    for part in diagnosis.attribution.iter_mut().flat_map(|a| &mut a.stages) {
        part.parts[0].name = EVIL.into();
    }
    Report::new(&recording, &diagnosis).with_seconds(&recording)
}

#[test]
fn texts_from_outside_are_no_markup_and_no_escape_sequence() {
    let report = hostile();
    let page = rendered(find("html").unwrap(), &report);
    assert_eq!(page.matches("<script").count(), 2, "the data and the crosshair, no more");
    assert!(page.contains("&lt;script&gt;alert(1)"), "the text itself is shown");
    assert!(!rendered(find("svg").unwrap(), &report).contains("<script"));
    assert!(!rendered(find("markdown").unwrap(), &report).contains("<script"));
    for format in FORMATS {
        assert!(!rendered(format, &report).contains('\u{1b}'), "{}", format.name);
    }
}

#[test]
fn the_page_loads_nothing_and_admits_its_own_script_alone() {
    let page = rendered(find("html").unwrap(), &sample());
    for loads in [" src=", " href=\"http", "url(", "@import", " style=", " onclick", "srcset"] {
        assert!(!page.contains(loads), "{loads}");
    }
    assert!(page.contains("default-src &#x27;none&#x27;") || page.contains("default-src 'none'"));
    let hash = |text: &str| {
        use base64::Engine as _;
        use sha2::Digest as _;
        let digest = sha2::Sha256::digest(text.as_bytes());
        base64::engine::general_purpose::STANDARD.encode(digest)
    };
    let between = |open: &str, close: &str| {
        let (_, rest) = page.split_once(open).unwrap();
        rest.split_once(close).unwrap().0.to_owned()
    };
    // Digests are of the very text between the tags, as a browser takes them.
    let policy = between("Content-Security-Policy\" content=\"", "\">").replace("&#x2f;", "/");
    for text in [between("<style>", "</style>"), between("<script>", "</script>")] {
        assert!(policy.contains(&hash(&text)), "{policy}");
    }
}

#[test]
fn a_reader_without_script_gets_everything() {
    let recording = recording();
    let diagnosis = diagnosis(&recording);
    let page = rendered(find("html").unwrap(), &Report::new(&recording, &diagnosis));
    let page = page.split("<script").next().unwrap();
    for finding in &diagnosis.findings {
        assert!(page.contains(&finding.rule), "{}", finding.rule);
        for evidence in finding.evidence.iter().chain(&finding.refutations) {
            let text = evidence.text.replace('\'', "&#x27;").replace('/', "&#x2f;");
            assert!(page.contains(&text), "{text}");
        }
    }
    for rule in diagnosis.ruled_out.iter().map(|r| &r.rule) {
        assert!(page.contains(rule), "{rule}");
    }
    for rule in diagnosis.not_checked.iter().map(|r| &r.rule) {
        assert!(page.contains(rule), "{rule}");
    }
    assert_eq!(page.matches("<figure").count(), 4 + 7 + 4 + 2, "every chart is there as a picture");
}

#[test]
fn the_terminal_keeps_to_its_width_and_colours_only_when_asked() {
    for width in [60, 80, 120] {
        let mut bytes = Vec::new();
        let files = ["kneepoint-out/report.html".to_owned()];
        let style = TerminalStyle { colour: false, width, files: &files };
        render_terminal(&sample(), &style, &mut bytes).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.is_ascii(), "pipes and pagers");
        assert!(text.contains("report.html"));
        let most = if width < 80 { 130 } else { 100 };
        assert!(text.lines().count() < most, "a screen or two");
        for line in text.lines().filter(|_| width >= 80) {
            assert!(line.len() <= width, "{width}: {line}");
        }
    }
    let mut bytes = Vec::new();
    let style = TerminalStyle { colour: true, width: 80, files: &[] };
    render_terminal(&sample(), &style, &mut bytes).unwrap();
    assert!(String::from_utf8(bytes).unwrap().starts_with("\u{1b}[1;31mBreaks at 212 requests/s"));
}

#[test]
fn a_page_explains_each_word_that_it_links_to_and_links_to_each_once() {
    let page = rendered(find("html").unwrap(), &sample());
    let ids: Vec<_> = glossary::all().iter().map(|term| term.id).collect();
    let count = |id: &str, before: &str| page.matches(&format!("{before}word-{id}\"")).count();
    for id in &ids {
        assert!(count(id, "href=\"#") <= 1, "{id}");
        assert_eq!(count(id, "href=\"#"), count(id, " id=\""), "{id}");
    }
    for id in ["knee", "goodput", "utilization-law", "offered-load"] {
        assert_eq!(count(id, "href=\"#"), 1, "{id}");
    }
    let text = rendered(find("terminal").unwrap(), &sample());
    let (_, words) = text.split_once("\nWords (").unwrap();
    assert!(words.contains("knee: ") && words.lines().count() < 6, "{words}");
}

#[test]
fn verdicts_read_as_sentences() {
    let said: Vec<_> = outcomes()
        .into_iter()
        .map(|outcome| Report::new(&empty(), &bare(outcome)).answer.headline)
        .collect();
    let expected = [
        "Breaks, but it is not known at which load. Cause unknown: the measurements do not single \
         one out.",
        "No limit found up to 300 requests/s: throughput follows the load all the way.",
        "The load generator was the limit from 900 requests/s on: this run says nothing about the \
         target.",
        "Not enough data: one stage only; add at least three (1 more reason below).",
        "Fails for good after about 1,900 requests, at any rate: connections of the pool are \
             taken and never given back.",
        "The run ended before anything could be measured: the target refused every connection.",
    ];
    assert_eq!(said, expected);
    assert_eq!(
        sample().answer.headline,
        "Breaks at 212 requests/s (95 % interval 205 to 219): the pool of 4 database connections \
         is too small (confidence: high)."
    );
}

/// Every share in a text, in percent.
fn shares(text: &str) -> Vec<f64> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let is_share = |pair: &&[&str]| pair[1].starts_with('%');
    let number = |pair: &[&str]| pair[0].trim_start_matches(['(', '+', '*']).parse().ok();
    words.windows(2).filter(is_share).filter_map(number).collect()
}

/// Systems of which more is counted than there can be: idle connections of pools that look like
/// calls, work that belongs to no request, sessions beyond a limit, threads beyond a quota.
#[test]
fn no_part_is_told_as_more_than_its_whole() {
    use crate::diagnose::simulated::{Picture, record};
    use crate::diagnose::stats::Random;
    const LEVELS: [(&str, f64); 16] = [
        ("tcp.calls{peer=10.0.3.7:8443}", 9.0),
        ("tcp.calls{peer=127.0.0.1:54321}", 9.0),
        ("tcp.connecting{peer=10.0.3.7:8443}", 3.0),
        ("tcp.requests{port=8080}", 20.0),
        ("tcp.accept_queue{port=8080}", 6.0),
        ("tcp.accept_queue.limit{port=8080}", 5.0),
        ("process.cpu.time{process=target}", 3.0),
        ("process.cpu.allowed{process=target}", 2.0),
        ("process.thread.busiest{process=target}", 1.1),
        ("process.run_queue.time{process=target}", 3.0),
        ("system.cpu.cores", 2.0),
        ("db.sessions{app=shop,state=active,wait_event=none,wait_type=none}", 9.0),
        (
            "db.sessions{app=shop,state=idle in transaction,wait_event=ClientRead,wait_type=Client}",
            9.0,
        ),
        ("db.connections.limit", 4.0),
        ("pool.connections{pool=main,state=used}", 6.0),
        ("pool.limit{pool=main}", 5.0),
    ];
    for seed in 0..24 {
        let mut random = Random::new(seed);
        let levels: Vec<(&'static str, f64, f64)> = LEVELS
            .iter()
            .map(|(name, most)| (*name, most * random.uniform(), random.uniform()))
            .collect();
        let capacity = 60.0 + 400.0 * random.uniform();
        let recording = record(&[20.0, 40.0, 80.0, 120.0, 160.0, 200.0, 240.0, 300.0], &|rate| {
            let load = (rate / capacity).min(1.0);
            // Some follow the load, some are there whatever the load.
            let at = |(name, most, follows): &(&'static str, f64, f64)| {
                (*name, most * if *follows > 0.5 { load } else { 1.0 })
            };
            let levels = levels.iter().map(at).collect();
            let failures = Vec::new();
            Picture { goodput: rate.min(capacity), failures, response: 0.000_9, levels }
        });
        let diagnosis = crate::diagnose::diagnose(&recording, crate::diagnose::RuleSet::builtin());
        for stage in diagnosis.attribution.iter().flat_map(|it| &it.stages) {
            let longest = stage.parts.iter().map(|part| part.seconds).fold(0.0, f64::max);
            assert!(longest <= stage.response * (1.0 + 1e-9), "{seed}: {stage:#?}");
        }
        for evidence in diagnosis.findings.iter().flat_map(|it| &it.evidence) {
            assert!(shares(&evidence.text).iter().all(|it| *it <= 100.0), "{}", evidence.text);
        }
        let report = Report::new(&recording, &diagnosis);
        for format in ["terminal", "markdown"] {
            let text = rendered(find(format).unwrap(), &report);
            let most = shares(&text).into_iter().fold(0.0, f64::max);
            assert!(most <= 100.0, "{seed}: {most} %\n{text}");
        }
    }
}
