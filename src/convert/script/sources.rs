//! The files of a program: the one that is converted, and those of its own that it imports.
//!
//! Their texts stand one behind the other in one text, so that every place in it is of one file. An
//! import that is not a file beside the program is a library's, and is not looked for.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Component, Path, PathBuf};

use super::syntax::{Expr, ExprKind, Import, Program, Statement, StatementKind};
use crate::convert::artifact::Artifact;
use crate::convert::error::ConvertError;

/// Most files of one program.
const MOST_FILES: usize = 50;
/// Most imports of one file that are looked for.
const MOST_IMPORTS: usize = 200;

/// How a language is read, and how its programs are spread over files.
pub(in crate::convert) struct Language {
    /// Reads one file: the part of a text that it is.
    pub(in crate::convert) read: fn(&str, Range<usize>) -> Result<Program, ConvertError>,
    /// What a file imports, by its statements and its text.
    pub(in crate::convert) imports: fn(&Program, &str) -> Vec<Import>,
    /// The paths at which an import of the file at a path may be, the most likely first; empty where
    /// it is a library's.
    pub(in crate::convert) paths: fn(&Import, &Path) -> Vec<PathBuf>,
    /// Whether an import that is not found is a part of the program that is missing.
    pub(in crate::convert) is_missed: fn(&Import) -> bool,
}

impl Language {
    /// Reads a program of one file.
    pub(super) fn whole(&self, text: &str) -> Result<Program, ConvertError> {
        (self.read)(text, 0..text.len())
    }
}

/// A whole program.
pub(in crate::convert) struct Sources {
    /// The texts of its files.
    pub(in crate::convert) text: String,
    /// What they hold, what is imported before what imports it.
    pub(in crate::convert) program: Program,
}

/// Reads the text of a conversion's input, and the files that it imports.
///
/// # Errors
/// When the text cannot be read. A file that it imports and that cannot be read is noted.
pub(in crate::convert) fn read(
    artifact: &mut Artifact<'_>,
    text: String,
    language: &Language,
) -> Result<Sources, ConvertError> {
    let root = language.whole(&text)?;
    let mut gathering =
        Gathering { artifact, language, text, statements: Vec::new(), known: BTreeMap::new() };
    gathering.follow(root, Path::new(""), 0);
    let Gathering { text, statements, .. } = gathering;
    Ok(Sources { text, program: Program { statements } })
}

/// Files while they are read.
struct Gathering<'g, 'a> {
    artifact: &'g mut Artifact<'a>,
    language: &'g Language,
    text: String,
    statements: Vec<Statement>,
    /// What each imported file defines. A file that imports itself in a circle defines nothing yet.
    known: BTreeMap<PathBuf, Vec<String>>,
}

impl Gathering<'_, '_> {
    /// Adds what a file imports, and then what it holds.
    fn follow(&mut self, program: Program, path: &Path, begin: usize) {
        let own = self.text.get(begin..).unwrap_or_default();
        let mut imports = (self.language.imports)(&program, own);
        imports.truncate(MOST_IMPORTS);
        for import in imports {
            self.import(&import, path);
        }
        self.statements.extend(program.statements);
    }

    fn import(&mut self, import: &Import, within: &Path) {
        let paths: Vec<PathBuf> = (self.language.paths)(import, within);
        let known = paths.iter().find(|path| self.known.contains_key(*path)).cloned();
        let Some(path) = known.or_else(|| paths.into_iter().find_map(|path| self.open(path)))
        else {
            if (self.language.is_missed)(import) {
                let from = import.from.escape_debug();
                let text =
                    format!("`{from}`: there is no such file; put it where the script expects it");
                self.artifact.notes.lost_at(import.line, text);
            }
            return;
        };
        let defined = self.known.get(&path).cloned().unwrap_or_default();
        self.bind(import, &path, &defined);
    }

    /// Adds a file, if there is one at this path.
    fn open(&mut self, path: PathBuf) -> Option<PathBuf> {
        if self.known.len() >= MOST_FILES {
            return None;
        }
        let text = self.artifact.body_file(path.to_str()?).ok()?;
        if !self.text.ends_with('\n') {
            self.text.push('\n');
        }
        let begin = self.text.len();
        let first_line = self.text.bytes().filter(|byte| *byte == b'\n').count() + 1;
        self.text.push_str(text.trim_start_matches('\u{feff}'));
        self.artifact.notes.file_from(first_line, path.display().to_string());
        self.known.insert(path.clone(), Vec::new());
        match (self.language.read)(&self.text, begin..self.text.len()) {
            Ok(mut program) => {
                name_default(&mut program, &path);
                let defined = defined(&program);
                self.follow(program, &path, begin);
                self.known.insert(path.clone(), defined);
            }
            Err(why) => self.artifact.notes.lost_at(first_line, format!("this file: {why}")),
        }
        Some(path)
    }

    /// Gives what a file defines the names that the import gives it.
    fn bind(&mut self, import: &Import, path: &Path, defined: &[String]) {
        let at = |kind| Expr { line: import.line, span: 0..0, kind };
        let mut assign = |to: ExprKind, from: &str| {
            let kind = StatementKind::Assign(at(to), at(ExprKind::Name(from.to_owned())));
            self.statements.push(Statement { line: import.line, kind });
        };
        for (there, here) in import.names.iter().filter(|(there, here)| there != here) {
            match there.as_str() {
                "default" => assign(ExprKind::Name(here.clone()), &default_of(path)),
                _ => assign(ExprKind::Name(here.clone()), there),
            }
        }
        if let Some(whole) = &import.whole {
            for name in defined {
                let of = at(ExprKind::Name(whole.clone()));
                assign(ExprKind::Member(Box::new(of), name.clone()), name);
            }
        }
    }
}

/// What `export default` of a file is called. No program can have this name.
fn default_of(path: &Path) -> String {
    format!("default of {}", path.display())
}

/// Names what an imported file exports as its default, so that it is not the program's.
fn name_default(program: &mut Program, path: &Path) {
    for statement in &mut program.statements {
        let line = statement.line;
        if let StatementKind::Default(value) = &statement.kind {
            let name = Expr { line, span: 0..0, kind: ExprKind::Name(default_of(path)) };
            statement.kind = StatementKind::Assign(name, value.clone());
        }
    }
}

/// The names that a file defines.
fn defined(program: &Program) -> Vec<String> {
    let of = |statement: &Statement| match &statement.kind {
        StatementKind::Function(function) => Some(function.name.clone()),
        StatementKind::Assign(target, _) => match target.path().as_slice() {
            [name] => Some((*name).to_owned()),
            _ => None,
        },
        _ => None,
    };
    program.statements.iter().filter_map(of).collect()
}

/// What a program imports by its statements.
pub(in crate::convert) fn stated(program: &Program, _text: &str) -> Vec<Import> {
    let import = |statement: &Statement| match &statement.kind {
        StatementKind::Import(import) => Some(import.as_ref().clone()),
        _ => None,
    };
    program.statements.iter().filter_map(import).collect()
}

/// The path of a file that is named from another one, without `.` and `a/..`.
pub(super) fn beside(within: &Path, path: &str) -> PathBuf {
    let mut plain = PathBuf::new();
    let directory = within.parent().unwrap_or(Path::new(""));
    for part in directory.join(path).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if plain.file_name().is_some() => drop(plain.pop()),
            part => plain.push(part),
        }
    }
    plain
}

/// A path with another text behind it: `./lib` and `.js`.
pub(super) fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut text = path.as_os_str().to_owned();
    text.push(end);
    PathBuf::from(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::tests::{converted_beside, options};

    /// The plan of a program with files beside it, and its notes with their places.
    #[track_caller]
    fn plan_of(text: &str, files: &[(&str, &str)]) -> (String, String) {
        let (converted, _) = converted_beside(text, &options("it"), files).unwrap();
        let place = |note: &crate::convert::Note| {
            let file = note.file.as_deref().unwrap_or("it");
            format!("{file}:{}: {note}\n", note.line.unwrap_or(0))
        };
        (converted.plan, converted.notes.iter().map(place).collect())
    }

    #[track_caller]
    fn assert_has(text: &str, parts: &[&str]) {
        for part in parts {
            assert!(text.contains(part), "`{part}` is missing in\n{text}");
        }
    }

    #[test]
    fn modules_of_a_script_are_followed() {
        let script = "import http from 'k6/http';\n\
                      import checkout, { BASE as base } from './lib/shop.js';\n\
                      import * as words from './lib/words';\n\
                      import { gone } from './gone.js';\n\
                      export default function () {\n\
                      http.get(`${base}/search?q=${words.FIRST}`);\ncheckout();\n}\n";
        let shop = "import http from 'k6/http';\nimport { BASE } from '../base.js';\n\
                    export { BASE } from '../base.js';\n\
                    export default function () {\n  http.post(`${BASE}/order`, 'a');\n  switch (1) {}\n}\n";
        let files = [
            ("lib/shop.js", shop),
            ("lib/words.js", "export const FIRST = 'tea';\n"),
            ("base.js", "export const BASE = 'http://127.0.0.1:8080';\n"),
        ];
        let (plan, notes) = plan_of(script, &files);
        assert_has(&plan, &["/search?q=tea", "\"/order\"", "http://127.0.0.1:8080"]);
        assert_has(
            &notes,
            &["it:4: not converted: `./gone.js`", "lib/shop.js:6: not converted: a `switch`"],
        );
        assert_has(&plan, &["lib/shop.js, line 6"]);
    }

    #[test]
    fn modules_of_a_locustfile_are_followed() {
        let file = "from locust import task, between\nfrom common.base import Base\n\
                    from tasks import browse\n\
                    class Buyer(Base):\n    @task\n    def buy(self):\n        browse.front(self)\n\
                    \x20       self.client.post('/order')\n";
        let files = [
            (
                "common/base.py",
                "from locust import HttpUser, between\nclass Base(HttpUser):\n    abstract = True\n    \
                 host = 'http://127.0.0.1:8080'\n    wait_time = between(1, 2)\n",
            ),
            ("tasks/browse.py", "def front(user):\n    user.client.get('/front')\n"),
        ];
        let (plan, _) = plan_of(file, &files);
        assert_has(&plan, &["http://127.0.0.1:8080", "\"/order\"", "think = "]);
    }

    #[test]
    fn classes_of_a_simulation_are_followed() {
        let simulation = "package shop.load;\nimport io.gatling.javaapi.core.*;\n\
                          import shop.Words;\n\
                          import static io.gatling.javaapi.core.CoreDsl.*;\n\
                          import static io.gatling.javaapi.http.HttpDsl.*;\n\
                          public class Buy extends Simulation {\n{\n\
                          setUp(scenario(\"buy\").exec(Cart.open, Cart.pay(\"card\"))\n\
                          .injectOpen(constantUsersPerSec(Words.RATE).during(60))).protocols(Api.HTTP);\n}\n}\n";
        let java = "import static io.gatling.javaapi.core.CoreDsl.*;\n\
                    import static io.gatling.javaapi.http.HttpDsl.*;\n";
        let cart = format!(
            "{java}class Cart {{\n  static ChainBuilder open = exec(http(\"open\").get(\"/cart\"));\n\
             static ChainBuilder pay(String with) {{\n\
             return exec(http(\"pay\").post(\"/pay/\" + with));\n}}\n}}\n"
        );
        let api = format!(
            "{java}class Api {{ static HttpProtocolBuilder HTTP = http.baseUrl(\"http://127.0.0.1:8080\"); }}\n"
        );
        let files = [
            ("Cart.java", cart.as_str()),
            ("Api.java", api.as_str()),
            ("../../shop/Words.java", "package shop;\nclass Words { static int RATE = 7; }\n"),
        ];
        let (plan, notes) = plan_of(simulation, &files);
        assert_has(
            &plan,
            &["\"/cart\"", "\"/pay/card\"", "http://127.0.0.1:8080", "rate = \"7/s\""],
        );
        assert_eq!(notes, "");
    }

    #[test]
    fn a_file_that_cannot_be_read_is_told_and_the_rest_is_followed() {
        let script = "import http from 'k6/http';\nimport { login } from './bad.js';\n\
                      export default function () {\n  http.get('http://127.0.0.1:8080/');\n}\n";
        let (_, notes) = plan_of(script, &[("bad.js", "import './bad.js';\nexport const = ;\n")]);
        assert_has(&notes, &["bad.js:1: not converted: this file", "not valid JavaScript"]);
    }

    #[test]
    fn paths_are_those_of_the_file_that_imports() {
        assert_eq!(beside(Path::new(""), "./lib/http.js"), Path::new("lib/http.js"));
        assert_eq!(beside(Path::new("lib/http.js"), "../data.js"), Path::new("data.js"));
        assert_eq!(beside(Path::new("lib/http.js"), "../../up.js"), Path::new("../up.js"));
    }
}
