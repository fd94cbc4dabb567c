//! Where the classes are that a program of Java or Scala names: most often in a file of their own name.
//!
//! A program need not import a class of its own package, so every name that is not defined in a file
//! and begins as classes do may be one. That one is a library's is seen from there being no file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;

use super::sources::{beside, with_end};
use super::syntax::Import;

/// The classes that a file names and does not define, in the order of their first use. Those that it
/// imports are named with their packages.
pub(super) fn named(text: &str) -> Vec<Import> {
    #[expect(clippy::unwrap_used, reason = "a test compiles it")]
    static NAME: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#""(?:[^"\\\n]|\\.)*"|//[^\n]*|(?:\b(class|object|trait|interface|enum|record)\s+)?\b([A-Z]\w*)"#)
            .unwrap()
    });
    let packages = packages(text);
    let (mut uses, mut own) = (Vec::<Import>::new(), Vec::new());
    for (index, line) in text.lines().enumerate() {
        for found in NAME.captures_iter(line) {
            let Some(name) = found.get(2).map(|name| name.as_str()) else { continue };
            if found.get(1).is_some() {
                own.push(name.to_owned());
            } else if !uses.iter().any(|it| it.from.rsplit('.').next() == Some(name)) {
                let from = packages.get(name).map_or_else(|| name.to_owned(), Clone::clone);
                uses.push(Import { line: index + 1, from, ..Import::default() });
            }
        }
    }
    uses.retain(|import| !own.contains(&import.from));
    uses
}

/// Imported classes by their names: `import a.b.C;`, `import static a.b.C.d;`, `import a.b.{C, D}`.
fn packages(text: &str) -> BTreeMap<String, String> {
    let mut packages = BTreeMap::new();
    let is_class = |name: &&str| name.starts_with(|c: char| c.is_ascii_uppercase());
    for line in text.lines() {
        let Some(rest) = line.trim_start().strip_prefix("import ") else { continue };
        let rest = rest.trim().trim_start_matches("static ").trim_end_matches(';');
        let (path, several) = rest.split_once('{').unwrap_or((rest, ""));
        let mut parts = path.split('.').map(str::trim).filter(|part| !part.is_empty());
        let package: Vec<_> = parts.by_ref().take_while(|part| !is_class(part)).collect();
        let one = path.split('.').map(str::trim).find(is_class);
        let listed = several
            .trim_end_matches('}')
            .split(',')
            .map(|name| name.split("=>").next().unwrap_or_default().trim());
        for name in one.into_iter().chain(listed.filter(is_class)) {
            packages.insert(name.to_owned(), format!("{}.{name}", package.join(".")));
        }
    }
    packages
}

/// Deepest package whose directories are looked through.
const DEEPEST_PACKAGE: usize = 12;

/// The files that a class may be in: beside the file that names it, or where its package is. Which
/// directory the packages begin in is not told, so that each above is one.
pub(super) fn paths(import: &Import, within: &Path, end: &str) -> Vec<PathBuf> {
    let path = import.from.replace('.', "/");
    let name = import.from.rsplit('.').next().unwrap_or_default();
    let mut paths = vec![with_end(&beside(within, name), end)];
    if path != name {
        let above = (0..DEEPEST_PACKAGE).map(|depth| "../".repeat(depth));
        paths.extend(above.map(|up| with_end(&beside(within, &format!("{up}{path}")), end)));
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_of_other_files_are_those_that_are_not_defined_here() {
        let text = "package com.shop.load\n\nimport com.shop.{Env, Login}\nimport static com.shop.Words.page;\n\
                    class Buy extends Base {\n  val a = Env.host + Cart.id // Comment\n  val b = \"Text\" + Buy.c\n}\n";
        let names: Vec<_> = named(text).into_iter().map(|import| import.from).collect();
        let right = ["com.shop.Env", "com.shop.Login", "com.shop.Words", "Base", "Cart"];
        assert_eq!(names, right);
    }

    #[test]
    fn a_package_is_looked_for_from_every_directory_above() {
        let import = Import { from: "com.shop.Env".to_owned(), ..Import::default() };
        let paths = paths(&import, Path::new(""), ".scala");
        assert_eq!(paths[0], Path::new("Env.scala"));
        assert!(paths.contains(&PathBuf::from("../../com/shop/Env.scala")), "{paths:?}");
    }
}
