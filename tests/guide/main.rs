//! The guide in `docs/` can be followed: every command in it runs, every plan is a plan, what it shows
//! is what kneepoint prints, and every link leads somewhere.
//!
//! `shell` says what becomes of which block. `cargo test --test guide plans` follows one page.

mod links;
mod page;
mod shell;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use kneepoint::collect::COLLECTORS;
use page::Page;

/// Pages outside of the book whose links and commands are looked at too.
const OTHERS: [&str; 6] = [
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "rules/README.md",
    "reports/gallery/README.md",
];
/// The largest picture, in bytes: who clones the repository gets all of them.
const LARGEST_PICTURE: u64 = 300_000;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn source() -> PathBuf {
    root().join("docs/src")
}

/// A test for each page, so that they run side by side and one that fails is named.
macro_rules! pages {
    ($($test:ident: $file:literal,)*) => {
        const PAGES: &[&str] = &[$($file),*];
        $(
            #[test]
            fn $test() {
                follow($file);
            }
        )*
    };
}

pages! {
    the_introduction_can_be_followed: "introduction.md",
    the_first_ten_minutes_can_be_followed: "first-ten-minutes.md",
    reading_a_verdict_can_be_followed: "reading-a-verdict.md",
    plans_can_be_followed: "plans.md",
    converting_can_be_followed: "converting.md",
    collectors_can_be_followed: "collectors.md",
    containers_and_hosts_can_be_followed: "containers-and-hosts.md",
    your_own_tool_can_be_followed: "your-own-tool.md",
    last_night_can_be_followed: "last-night.md",
    the_gate_can_be_followed: "gate.md",
    the_soak_can_be_followed: "soak.md",
    writing_a_rule_can_be_followed: "writing-a-rule.md",
    the_methods_can_be_followed: "methods.md",
    the_limits_can_be_followed: "limits.md",
    the_comparison_can_be_followed: "comparison.md",
}

fn follow(file: &str) {
    let page = Page::read(&source().join(file));
    let mistakes = shell::follow(&page).expect("a directory");
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n\n"));
}

#[test]
fn the_summary_lists_every_page_once() {
    let summary = Page::read(&source().join("SUMMARY.md"));
    let listed: Vec<_> = summary.links.iter().map(|link| link.text.as_str()).collect();
    assert_eq!(listed, PAGES, "SUMMARY.md and the tests list the same pages in the same order");
    let files = fs::read_dir(source()).expect("the book").flatten();
    let names = files.filter_map(|file| file.file_name().into_string().ok());
    let pages: BTreeSet<_> =
        names.filter(|name| name.ends_with(".md") && name != "SUMMARY.md").collect();
    let known: BTreeSet<_> = PAGES.iter().map(|&name| name.to_owned()).collect();
    assert_eq!(pages, known);
}

#[test]
fn every_link_leads_somewhere() {
    let pages = PAGES.iter().chain(&["SUMMARY.md"]).map(|name| (source().join(name), source()));
    let others = OTHERS.iter().map(|name| (root().join(name), root().to_path_buf()));
    let mistakes: Vec<_> = pages
        .chain(others)
        .flat_map(|(path, inside)| {
            let inside = inside.canonicalize().expect("a directory of the repository");
            links::mistakes(&Page::read(&path), &inside)
        })
        .collect();
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
}

#[test]
fn every_call_of_kneepoint_can_be_parsed() {
    let pages = PAGES.iter().map(|name| source().join(name));
    let others = OTHERS.iter().map(|name| root().join(name));
    let parse = |path: PathBuf| shell::parse_all(&Page::read(&path)).expect("a directory");
    let mistakes: Vec<_> = pages.chain(others).flat_map(parse).collect();
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
}

#[test]
fn every_collector_has_its_place() {
    let page = fs::read_to_string(source().join("collectors.md")).expect("the page");
    let names = COLLECTORS.iter().map(|collector| collector.name);
    let missing: Vec<_> = names.filter(|name| !page.contains(&format!("`{name}`"))).collect();
    assert_eq!(missing, [""; 0], "collectors.md says what each collector tells and needs");
}

#[test]
fn pictures_are_small_and_all_of_them_are_shown() {
    let pages = PAGES.iter().map(|name| Page::read(&source().join(name)));
    let shown: BTreeSet<_> = pages
        .flat_map(|page| page.links)
        .filter_map(|link| link.text.strip_prefix("images/").map(str::to_owned))
        .collect();
    let files = fs::read_dir(source().join("images")).expect("the pictures").flatten();
    let mut kept = BTreeSet::new();
    for file in files {
        let size = file.metadata().expect("readable").len();
        assert!(size <= LARGEST_PICTURE, "{:?} has {size} bytes", file.path());
        kept.extend(file.file_name().into_string());
    }
    assert_eq!(shown, kept);
}
