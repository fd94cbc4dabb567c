use super::*;
use crate::diagnose::rules::case::Expect;
use crate::diagnose::rules::mistake::RuleErrors;

#[test]
fn every_mistake_is_told_with_its_place() {
    let text = r#"id = "other"
title = "t"
what = "w"
why = "w"
next = "n"
disproved_by = "d"
add = "a"
resource = "pol"
layer = "datbase"
explain = ["app_cpu"]

[[require]]
says = "{much}"
signal = { value = "process.cpu.tim" }
over = 1

[[require]]
says = "no bound"
signal = { share = ["lunch"] }
window = "knee"
"#;
    let mistakes = parse("rules/mine.toml", text).unwrap_err();
    let told: Vec<String> = RuleErrors(mistakes).to_string().lines().map(str::to_owned).collect();
    let wanted = [
        ("rules/mine.toml:1:", "`other` differs from the file's name"),
        ("rules/mine.toml:8:12:", "did you mean `pool`? Or `resource = { own = \"pol\" }`"),
        ("rules/mine.toml:9:9:", "did you mean `database`?"),
        ("rules/mine.toml:10:1:", "did you mean `explains`?"),
        ("rules/mine.toml:13:8:", "`{much}` is not a known placeholder"),
        ("rules/mine.toml:14:20:", "did you mean `process.cpu.time`?"),
        ("rules/mine.toml:17:1:", "needs a bound"),
        ("rules/mine.toml:19:21:", "`lunch` is not a part"),
    ];
    assert_eq!(told.len(), wanted.len(), "{told:#?}");
    for ((place, message), line) in wanted.iter().zip(&told) {
        assert!(line.starts_with(place) && line.contains(message), "{line}");
    }
}

#[test]
fn the_readme_names_all_that_a_rule_file_may_say() {
    let readme = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/rules/README.md"));
    let names = SIGNALS
        .into_iter()
        .chain(Span::ALL.map(Span::key))
        .chain(PartKind::ALL.map(PartKind::key))
        .chain(Resource::names())
        .chain(Layer::ALL.map(Layer::key))
        .chain(Expect::ALL.map(|(_, name)| name));
    for name in names {
        let is_named =
            readme.contains(&format!("`{name}`")) || readme.contains(&format!("`{name} = "));
        assert!(is_named, "rules/README.md does not name `{name}`");
    }
    for bound in bounds::ALL {
        let row = format!("| `{}` | {} |", bound.name, bound.value);
        assert!(readme.contains(&row), "rules/README.md lacks the row {row}");
    }
}

/// What every rule has, up to its conditions.
const HEAD: &str = r#"id = "mine"
title = "t"
what = "w"
why = "w"
next = "n"
disproved_by = "d"
add = "a"
resource = { own = "render slots" }
layer = "workers"

"#;

#[test]
fn a_bound_without_a_known_name_and_a_case_without_a_reason_are_mistakes() {
    let text = HEAD.to_owned()
        + r#"[[require]]
says = "s"
signal = { value = "process.cpu.time" }
at_least = "ful_machine"

[[case]]
name = "one core"
expect = "fires"
knee = 2
cores = [3]
series = { "process.cpu.time" = "50%x3" }
"#;
    let told = RuleErrors(parse("mine.toml", &text).unwrap_err()).to_string();
    for wanted in [
        "mine.toml:14:12: `ful_machine` is not a named bound; did you mean `full_machine`?",
        "mine.toml:20:9: say in `cores_why`",
        "mine.toml:20:10: `cores` holds some of 1, 2, 8, 64",
    ] {
        assert!(told.contains(wanted), "{told}");
    }
}

#[test]
fn what_is_served_at_a_time_is_throughput_times_the_time_at_low_load() {
    let text = HEAD.to_owned()
        + r#"[[require]]
says = "{a} of {b} are {value} at a time"
signal = { at_a_time = "load.in_flight" }
at_least = 3.9
under = 4.1

[[case]]
name = "20 a second take 40 ms each, and later 100 a second wait"
expect = "fires"
knee = 3
series = { "load.throughput" = "20 60 100x1", "load.in_flight" = "0.8 2.4 160 400" }
"#;
    let rule = parse("mine.toml", &text).unwrap();
    let outcome = rule.cases[0].run(&rule);
    assert!(outcome.passed(), "{outcome:?}");
    assert!(outcome.measured[0].starts_with("100/s of 40 ms are 4 at a time"), "{outcome:?}");
}
