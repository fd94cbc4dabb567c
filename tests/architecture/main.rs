//! Holds the rooms to their walls: who may use whom, and who may touch what. It reads the text of
//! the sources, so that a wrong edge is told by file and line.

#![allow(clippy::unwrap_used, reason = "a test that cannot read its sources has failed")]

mod imports;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use imports::House;

/// Each room, the rooms that it may use, and the words that must not stand in it.
const ROOMS: &[Room] = &[
    Room { name: "timeline", uses: &[], never: &[OUTSIDE, CLOCK] },
    Room { name: "plan", uses: &["timeline"], never: &[OUTSIDE, CLOCK] },
    Room { name: "recording", uses: &["timeline", "plan"], never: &[OUTSIDE, CLOCK] },
    Room { name: "load", uses: &["timeline", "plan"], never: &[] },
    Room { name: "collect", uses: &["timeline", "plan"], never: &[] },
    Room { name: "access_log", uses: &[], never: &[OUTSIDE, CLOCK] },
    Room { name: "import", uses: &["timeline", "plan", "recording", "access_log"], never: &[] },
    Room {
        name: "history",
        uses: &["timeline", "plan", "recording", "collect", "import"],
        never: &[CLOCK],
    },
    Room { name: "convert", uses: &["timeline", "plan", "access_log"], never: &[OUTSIDE, CLOCK] },
    Room {
        name: "realism",
        uses: &["timeline", "plan", "collect", "access_log"],
        never: &[OUTSIDE, CLOCK],
    },
    Room {
        name: "diagnose",
        uses: &["timeline", "plan", "recording"],
        never: &[OUTSIDE, CLOCK, UNORDERED],
    },
    Room {
        name: "compare",
        uses: &["timeline", "plan", "recording", "diagnose"],
        never: &[OUTSIDE, CLOCK, UNORDERED],
    },
    Room {
        name: "baseline",
        uses: &["timeline", "plan", "recording", "diagnose", "compare"],
        never: &[CLOCK, UNORDERED],
    },
    Room {
        name: "incident",
        uses: &["timeline", "plan", "recording", "diagnose", "compare"],
        never: &[OUTSIDE, CLOCK, UNORDERED],
    },
    Room {
        name: "report",
        uses: &["timeline", "plan", "recording", "diagnose", "compare", "baseline", "incident"],
        never: &[OUTSIDE, CLOCK, UNORDERED],
    },
    Room { name: "remote", uses: &["timeline", "plan", "recording", "collect"], never: &[] },
    Room {
        name: "live",
        uses: &["timeline", "diagnose", "report"],
        never: &[OUTSIDE, CLOCK, UNORDERED],
    },
    Room { name: "viewer", uses: &["live", "report"], never: &[] },
    Room {
        name: "prepare",
        uses: &["timeline", "plan", "recording", "load", "collect", "remote"],
        never: &[],
    },
    Room {
        name: "run",
        uses: &[
            "timeline",
            "plan",
            "recording",
            "load",
            "collect",
            "remote",
            "prepare",
            "diagnose",
        ],
        never: &[],
    },
    Room {
        name: "watch",
        uses: &["timeline", "plan", "recording", "collect", "remote", "import", "run"],
        never: &[],
    },
    Room { name: "gate", uses: &["timeline", "plan"], never: &[] },
    Room { name: "survey", uses: &["timeline", "plan", "collect"], never: &[] },
    Room { name: "demo", uses: &["plan"], never: &[] },
    Room {
        name: "cli",
        uses: &[
            "timeline",
            "plan",
            "recording",
            "load",
            "collect",
            "access_log",
            "import",
            "history",
            "convert",
            "realism",
            "diagnose",
            "compare",
            "baseline",
            "incident",
            "report",
            "remote",
            "live",
            "viewer",
            "prepare",
            "run",
            "watch",
            "gate",
            "survey",
            "demo",
        ],
        never: &[],
    },
];

/// The storeys of a room from the top down: each uses only those below it.
const STOREYS: &[(&str, &[&str])] =
    &[("diagnose", &["conclude", "curve", "rules", "leaks", "measure", "terms"])];

struct Room {
    name: &'static str,
    uses: &'static [&'static str],
    never: &'static [&'static [&'static str]],
}

/// Files, network, environment, processes.
const OUTSIDE: &[&str] =
    &["std::fs", "std::net", "std::env::", "std::process", "tokio::", "reqwest::"];
const CLOCK: &[&str] = &["Instant::now", "SystemTime::now", "Timestamp::now"];
/// What differs from run to run.
const UNORDERED: &[&str] = &["HashMap", "HashSet", "rand::rng", "thread_rng"];

/// Names that say nothing of what is in a room or file.
const NAMELESS: &[&str] =
    &["util", "utils", "common", "shared", "helpers", "types", "core", "misc"];

/// Lines of a file without its tests. The largest file is where the next split belongs.
const MAX_LINES: usize = 600;

/// One source file, without its tests and comments.
struct Source {
    path: PathBuf,
    /// The room, or the file at the top of `src`.
    room: String,
    /// Line numbers and lines.
    lines: Vec<(usize, String)>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

fn files_below(directory: &Path, extension: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

/// The files of modules that are declared as `#[cfg(test)] mod name;`.
fn test_files(files: &[PathBuf]) -> BTreeSet<PathBuf> {
    let mut tests = BTreeSet::new();
    for path in files {
        let directory = match path.file_stem().unwrap().to_str().unwrap() {
            "mod" | "lib" | "main" => path.parent().unwrap().to_owned(),
            _ => path.with_extension(""),
        };
        let text = read(path);
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        for pair in lines.windows(2).filter(|pair| pair[0].starts_with("#[cfg(test)]")) {
            if let Some((_, name)) =
                pair[1].strip_suffix(';').and_then(|line| line.split_once("mod "))
            {
                tests.insert(directory.join(format!("{name}.rs")));
                tests.insert(directory.join(name).join("mod.rs"));
            }
        }
    }
    tests
}

fn sources() -> Vec<Source> {
    let src = root().join("src");
    let files = files_below(&src, "rs");
    let tests = test_files(&files);
    let in_tests = |path: &Path| {
        tests.contains(path) || tests.iter().any(|test| path.starts_with(test.with_extension("")))
    };
    files
        .iter()
        .filter(|path| !in_tests(path))
        .map(|path| {
            let inside = path.strip_prefix(&src).unwrap();
            let room = inside.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs");
            let text = read(path);
            // Inline tests stand at the end of a file.
            let end = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
            let lines = text[..end]
                .lines()
                .enumerate()
                .map(|(index, line)| (index + 1, line.to_owned()))
                .collect();
            Source {
                path: path.strip_prefix(root()).unwrap().to_owned(),
                room: room.to_owned(),
                lines,
            }
        })
        .collect()
}

impl Source {
    /// Lines that are no comments.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.lines
            .iter()
            .map(|(number, line)| (*number, line.as_str()))
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
    }

    /// The same, with a list `crate::{…}` of several lines in one.
    fn statements(&self) -> Vec<(usize, String)> {
        let mut statements: Vec<(usize, String)> = Vec::new();
        for (number, line) in self.code() {
            match statements.last_mut() {
                Some((_, open)) if open.contains("crate::{") && !open.contains("};") => {
                    open.push_str(line);
                }
                _ => statements.push((number, line.to_owned())),
            }
        }
        statements
    }

    fn place(&self, line: usize) -> String {
        format!("{}:{line}", self.path.display())
    }
}

/// The rooms that a line of code names behind `crate::`, also in a list: `crate::{a::B, c}`.
fn named_rooms(line: &str) -> Vec<String> {
    let word = |text: &str| -> String {
        text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    let mut rooms = Vec::new();
    for (at, prefix) in line.match_indices("crate::").chain(line.match_indices("kneepoint::")) {
        let rest = &line[at + prefix.len()..];
        match rest.strip_prefix('{') {
            None => rooms.push(word(rest)),
            Some(list) => rooms.extend(list.split(',').map(|item| word(item.trim_start()))),
        }
    }
    rooms
}

fn assert_none(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn rooms_use_only_rooms_above_them() {
    let mut wrong = Vec::new();
    for source in sources() {
        if matches!(source.room.as_str(), "lib" | "main" | "registry") {
            continue;
        }
        let Some(room) = ROOMS.iter().find(|room| room.name == source.room) else {
            wrong.push(format!("{}: room `{}` is not in the table", source.place(1), source.room));
            continue;
        };
        for (number, statement) in source.statements() {
            for used in named_rooms(&statement) {
                let is_room = ROOMS.iter().any(|room| room.name == used);
                if is_room && used != room.name && !room.uses.contains(&used.as_str()) {
                    let place = source.place(number);
                    wrong.push(format!("{place}: `{}` may not use `{used}`", room.name));
                }
            }
        }
    }
    assert_none(&wrong);
}

#[test]
fn the_table_is_the_list_of_rooms() {
    let lib = read(&root().join("src/lib.rs"));
    // A room may be of use only inside. The registry is a macro and not a room.
    let modules = lib.lines().filter_map(|line| {
        line.strip_prefix("pub ").unwrap_or(line).strip_prefix("mod ")?.strip_suffix(';')
    });
    let declared: Vec<&str> = modules.filter(|name| *name != "registry").collect();
    let listed: Vec<&str> = ROOMS.iter().map(|room| room.name).collect();
    assert_eq!(declared, listed, "src/lib.rs and the table differ");
}

#[test]
fn rooms_do_not_touch_what_is_not_theirs() {
    let mut wrong = Vec::new();
    for source in sources() {
        let Some(room) = ROOMS.iter().find(|room| room.name == source.room) else { continue };
        for (number, line) in source.code() {
            for word in room.never.iter().flat_map(|words| words.iter()) {
                if line.contains(word) {
                    let place = source.place(number);
                    wrong.push(format!("{place}: `{word}` must not stand in `{}`", room.name));
                }
            }
        }
    }
    assert_none(&wrong);
}

#[test]
fn only_cli_prints() {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| !matches!(source.room.as_str(), "cli" | "main"))
    {
        for (number, line) in source.code() {
            if ["println!(", "print!(", "dbg!("].iter().any(|word| line.contains(word)) {
                wrong.push(format!("{}: only `cli` prints", source.place(number)));
            }
        }
    }
    assert_none(&wrong);
}

#[test]
fn files_are_short_and_have_names() {
    let mut wrong = Vec::new();
    for source in sources() {
        if source.lines.len() > MAX_LINES {
            let (path, lines) = (source.path.display(), source.lines.len());
            wrong.push(format!("{path}: {lines} lines, more than {MAX_LINES}"));
        }
        for part in source.path.with_extension("").iter().filter_map(|part| part.to_str()) {
            if NAMELESS.contains(&part) {
                wrong.push(format!("{}: `{part}` says nothing", source.path.display()));
            }
        }
        let begin = source.lines.first().map_or("", |(_, line)| line.as_str());
        if !begin.starts_with("//!") {
            wrong.push(format!("{}: does not say what it is for", source.place(1)));
        }
    }
    assert_none(&wrong);
}

#[test]
fn every_rule_file_is_built_in() {
    let list = read(&root().join("src/diagnose/rules/builtin.rs"));
    let list = list.split("\nrules![").nth(1).expect("the list `rules![…]`");
    let list = list.split("];").next().unwrap();
    let listed: BTreeSet<String> =
        list.split('"').skip(1).step_by(2).map(|id| format!("{id}.toml")).collect();
    let files: BTreeSet<String> = files_below(&root().join("rules"), "toml")
        .iter()
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(files, listed, "rules/ and src/diagnose/rules/builtin.rs differ");
}

#[test]
fn what_is_registered_is_named_after_its_file() {
    let mut wrong = Vec::new();
    let mut entries = 0;
    for source in sources().iter().filter(|source| source.room != "registry") {
        let text: Vec<&str> = source.code().map(|(_, line)| line).collect();
        let text = text.join("\n");
        let Some((_, list)) = text.split_once("registry! {") else { continue };
        let list = list.split_once("= [").expect("the list of a registry").1;
        let list = list.split_once(']').expect("the end of a registry's list").0;
        let directory = match source.path.file_stem().unwrap().to_str() {
            Some("mod") => root().join(source.path.parent().unwrap()),
            _ => root().join(source.path.with_extension("")),
        };
        for module in list.split(',').map(str::trim).filter(|module| !module.is_empty()) {
            entries += 1;
            let module = module.rsplit(char::is_whitespace).next().unwrap();
            let file = [format!("{module}.rs"), format!("{module}/mod.rs")]
                .map(|path| directory.join(path))
                .into_iter()
                .find(|path| path.exists())
                .unwrap_or_else(|| panic!("no file for `{module}`"));
            let spec = read(&file);
            let spec =
                spec.split_once("SPEC: ").unwrap_or_else(|| panic!("no SPEC in `{module}`")).1;
            let name = spec.split_once("name: \"").and_then(|(_, rest)| rest.split('"').next());
            if name.map(|name| name.replace('-', "_")).as_deref() != Some(module) {
                wrong.push(format!("{}: its name is {name:?}", file.display()));
            }
        }
    }
    assert_none(&wrong);
    assert!(entries > 4, "the registries were not found");
}

/// The sources as they stand, parsed.
fn house() -> House {
    let files = files_below(&root().join("src"), "rs");
    let sources: Vec<(String, String)> = files
        .iter()
        .map(|path| (path.strip_prefix(root()).unwrap().display().to_string(), read(path)))
        .collect();
    House::of(&sources)
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    assert_none(&house().circles());
}

/// Edges from a storey to one above it, in words.
fn upward(house: &House, room: &str, storeys: &[&str]) -> Vec<String> {
    let storey = |file: usize| {
        let module = &house.files[file].module;
        let [first, second, ..] = module.as_slice() else { return None };
        (first == room).then(|| storeys.iter().position(|storey| storey == second)).flatten()
    };
    let upward =
        |from: usize, to: usize| storey(from).zip(storey(to)).is_some_and(|(from, to)| to < from);
    let edges = house.edges.iter().filter(|edge| upward(edge.from, edge.to));
    edges.map(|edge| format!("upward: {}", house.tell(edge))).collect()
}

#[test]
fn storeys_use_only_storeys_below_them() {
    let house = house();
    let mut wrong = Vec::new();
    for (room, storeys) in STOREYS {
        wrong.extend(upward(&house, room, storeys));
        let inside = house
            .files
            .iter()
            .filter(|file| file.module[..].first().is_some_and(|first| first == room));
        for file in inside.filter(|file| file.module.len() > 1) {
            if !storeys.contains(&file.module[1].as_str()) {
                wrong.push(format!("{}: in no storey of `{room}`", file.path));
            }
        }
    }
    assert_none(&wrong);
}

/// The cells of each row of the first table below this heading of ARCHITECTURE.md.
fn table_of_the_page(heading: &str) -> Vec<Vec<String>> {
    let page = read(&root().join("ARCHITECTURE.md"));
    let below = page.lines().skip_while(|line| *line != heading);
    let table = below.skip_while(|line| !line.starts_with('|'));
    table
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            line.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect()
        })
        .collect()
}

#[test]
fn the_page_and_the_tests_have_the_same_tables() {
    let page: Vec<(String, String)> = table_of_the_page("## Rooms")
        .into_iter()
        .map(|row| (row[0].clone(), row[2].clone()))
        .collect();
    let tested: Vec<(String, String)> = ROOMS
        .iter()
        .map(|room| {
            let uses = match room.uses {
                [] => "–".to_owned(),
                uses if uses.len() + 1 == ROOMS.len() => "all".to_owned(),
                uses => uses.join(", "),
            };
            (room.name.to_owned(), uses)
        })
        .collect();
    assert_eq!(page, tested, "the table of the rooms in ARCHITECTURE.md, and `ROOMS`");
    for (room, storeys) in STOREYS {
        let page = table_of_the_page(&format!("## The storeys of `{room}`"));
        let page: Vec<&str> = page.iter().map(|row| row[0].as_str()).collect();
        assert_eq!(&page, storeys, "the storeys of `{room}` in ARCHITECTURE.md, and `STOREYS`");
    }
}

#[test]
fn a_planted_upward_edge_is_seen() {
    let sources = [
        ("src/diagnose/mod.rs", "mod terms; mod rules;"),
        ("src/diagnose/terms/mod.rs", "mod part;"),
        ("src/diagnose/terms/part.rs", "fn up() -> crate::diagnose::rules::Rule { todo() }"),
        ("src/diagnose/rules/mod.rs", "use super::terms; pub struct Rule;"),
    ];
    let house = House::of(&sources.map(|(path, text)| (path.to_owned(), text.to_owned())));
    let wrong = upward(&house, STOREYS[0].0, STOREYS[0].1);
    assert_eq!(
        wrong,
        ["upward: src/diagnose/terms/part.rs -> src/diagnose/rules/mod.rs: Rule (line 1)"]
    );
}

/// The tests above can fail.
#[test]
fn edges_are_seen() {
    assert_eq!(named_rooms("use crate::report::Report;"), ["report"]);
    assert_eq!(named_rooms("use crate::{plan, load::Mix};"), ["plan", "load"]);
    assert_eq!(named_rooms("    let x = crate::run::go(crate::plan::y);"), ["run", "plan"]);
    assert_eq!(named_rooms("use self::report::Report;"), Vec::<String>::new());
}
