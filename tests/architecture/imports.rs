//! Which file uses which: parses the sources, resolves their paths to the files that define the
//! names, and finds the circles among them.
//!
//! A file that only declares modules and hands on their names is a face: whoever takes a name from
//! it uses the file that defines the name. The list of a `registry!` names its entries without
//! using them. Tests are left out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use syn::spanned::Spanned;
use syn::visit::{self, Visit};

/// The path of a module below the crate: `["load", "lane"]`; the crate itself is empty.
pub type Module = Vec<String>;

/// One file of the crate.
pub struct File {
    /// Its path from the root of the project.
    pub path: String,
    /// Its module.
    pub module: Module,
    text: Text,
}

/// What was read of a file.
#[derive(Default)]
struct Text {
    /// Names that it defines.
    defines: BTreeSet<String>,
    /// Modules that it declares.
    declares: BTreeSet<String>,
    /// Those of them that are tests.
    tests: BTreeSet<String>,
    /// What its `use` lines bring in: the name here, and the path it stands for.
    uses: Vec<(String, Vec<String>)>,
    /// Modules of which it takes every name.
    globs: Vec<Vec<String>>,
    /// Every path of two segments or more, `use` lines included, with its line.
    paths: Vec<(Vec<String>, usize)>,
}

/// One file uses another, through these names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Index of the file that uses.
    pub from: usize,
    /// Index of the file that is used.
    pub to: usize,
    /// The names, with the line of each.
    pub names: BTreeMap<String, usize>,
}

/// The files of a crate and which uses which.
pub struct House {
    /// Every file that is no test.
    pub files: Vec<File>,
    /// In the order of the files.
    pub edges: Vec<Edge>,
}

impl House {
    /// Reads sources: the path below `src` and the text of each.
    pub fn of(sources: &[(String, String)]) -> Self {
        let mut files: Vec<File> = sources
            .iter()
            .map(|(path, text)| File {
                path: path.clone(),
                module: module_of(path),
                text: Text::read(path, text),
            })
            .collect();
        let tests: Vec<Module> = files
            .iter()
            .flat_map(|file| file.text.tests.iter().map(|name| child(&file.module, name)))
            .collect();
        files.retain(|file| !tests.iter().any(|test| file.module.starts_with(test)));
        let index: BTreeMap<Module, usize> =
            files.iter().enumerate().map(|(at, file)| (file.module.clone(), at)).collect();
        let edges = edges(&files, &index);
        Self { files, edges }
    }

    /// Each circle of files, as its edges in words.
    pub fn circles(&self) -> Vec<String> {
        let mut circles = Vec::new();
        for members in self.components().into_iter().filter(|members| members.len() > 1) {
            let inside = |edge: &&Edge| members.contains(&edge.from) && members.contains(&edge.to);
            let lines: Vec<String> = self
                .edges
                .iter()
                .filter(inside)
                .map(|edge| format!("  {}", self.tell(edge)))
                .collect();
            circles.push(format!("a circle of {} files:\n{}", members.len(), lines.join("\n")));
        }
        circles
    }

    /// An edge in words: who uses whom, and by which names.
    pub fn tell(&self, edge: &Edge) -> String {
        let names: Vec<String> =
            edge.names.iter().map(|(name, line)| format!("{name} (line {line})")).collect();
        format!(
            "{} -> {}: {}",
            self.files[edge.from].path,
            self.files[edge.to].path,
            names.join(", ")
        )
    }

    /// The strongly connected components: files that reach each other.
    fn components(&self) -> Vec<Vec<usize>> {
        let reach: Vec<BTreeSet<usize>> = (0..self.files.len()).map(|at| self.reach(at)).collect();
        let mut seen = BTreeSet::new();
        let mut components = Vec::new();
        for at in 0..self.files.len() {
            if seen.contains(&at) {
                continue;
            }
            let mut members = vec![at];
            members.extend(reach[at].iter().filter(|to| **to != at && reach[**to].contains(&at)));
            seen.extend(members.iter().copied());
            components.push(members);
        }
        components
    }

    /// The files that a file uses, straight or through others.
    fn reach(&self, from: usize) -> BTreeSet<usize> {
        let mut reached = BTreeSet::new();
        let mut open = vec![from];
        while let Some(at) = open.pop() {
            for edge in self.edges.iter().filter(|edge| edge.from == at) {
                if reached.insert(edge.to) {
                    open.push(edge.to);
                }
            }
        }
        reached
    }
}

fn child(module: &[String], name: &str) -> Module {
    [module, &[name.to_owned()]].concat()
}

/// `src/load/lane.rs` and `src/load/lane/mod.rs` hold the module `load::lane`.
fn module_of(path: &str) -> Module {
    let inside = path.trim_start_matches("src/").trim_end_matches(".rs");
    let mut parts: Module = inside.split('/').map(str::to_owned).collect();
    if matches!(parts.last().map(String::as_str), Some("mod" | "lib" | "main")) {
        parts.pop();
    }
    parts
}

fn edges(files: &[File], index: &BTreeMap<Module, usize>) -> Vec<Edge> {
    let mut all: BTreeMap<(usize, usize), BTreeMap<String, usize>> = BTreeMap::new();
    for (from, file) in files.iter().enumerate() {
        for (path, line) in &file.text.paths {
            let found = Resolver { files, index }.find(&file.module, path, 0);
            for (to, name) in found.into_iter().filter(|(to, _)| *to != from) {
                all.entry((from, to)).or_default().entry(name).or_insert(*line);
            }
        }
    }
    all.into_iter().map(|((from, to), names)| Edge { from, to, names }).collect()
}

/// Finds the file that defines what a path names.
struct Resolver<'a> {
    files: &'a [File],
    index: &'a BTreeMap<Module, usize>,
}

/// So many files hand a name on from one to the next; more are a loop of re-exports.
const MOST_FACES: usize = 8;

impl Resolver<'_> {
    /// The file that defines the name at which `path` arrives from `module`, and that name.
    fn find(&self, module: &[String], path: &[String], faces: usize) -> Option<(usize, String)> {
        if faces > MOST_FACES {
            return None;
        }
        let (mut at, mut rest) = match path.first()?.as_str() {
            "crate" | "kneepoint" => (Module::new(), &path[1..]),
            "self" => (module.to_vec(), &path[1..]),
            "super" => (module.split_last()?.1.to_vec(), &path[1..]),
            first => {
                let here = &self.files[*self.index.get(module)?].text;
                if here.declares.contains(first) {
                    (module.to_vec(), path)
                } else {
                    // A name that a `use` line brought in: a module, or a type with its members.
                    let (_, whole) = here.uses.iter().find(|(name, _)| name == first)?;
                    if whole.first().is_some_and(|word| word == first) {
                        return None; // a crate of others
                    }
                    return self.find(module, &[whole, &path[1..]].concat(), faces + 1);
                }
            }
        };
        while let Some(first) = rest.first() {
            if first == "super" {
                at.pop();
            } else if self.index.contains_key(&child(&at, first)) {
                at.push(first.clone());
            } else {
                break;
            }
            rest = &rest[1..];
        }
        let name = rest.first()?;
        let file = *self.index.get(&at)?;
        let text = &self.files[file].text;
        if text.defines.contains(name) {
            return Some((file, name.clone()));
        }
        if let Some((_, whole)) = text.uses.iter().find(|(here, _)| here == name) {
            return self.find(&at, whole, faces + 1);
        }
        text.globs.iter().find_map(|glob| {
            self.find(&at, &[glob.as_slice(), std::slice::from_ref(name)].concat(), faces + 1)
        })
    }
}

impl Text {
    fn read(path: &str, text: &str) -> Self {
        let parsed = syn::parse_file(text).unwrap_or_else(|why| panic!("{path}: {why}"));
        let mut read = Self::default();
        read.visit_file(&parsed);
        read
    }

    fn define(&mut self, name: &impl fmt::Display) {
        self.defines.insert(name.to_string());
    }

    /// Takes the branches of a `use` line apart.
    fn take(&mut self, tree: &syn::UseTree, before: &[String], line: usize) {
        match tree {
            syn::UseTree::Path(path) => {
                self.take(&path.tree, &child(before, &path.ident.to_string()), line);
            }
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.take(tree, before, line);
                }
            }
            syn::UseTree::Name(name) if name.ident == "self" => {
                let name = before.last().cloned().unwrap_or_default();
                self.uses.push((name, before.to_vec()));
            }
            syn::UseTree::Name(name) => {
                self.bring(name.ident.to_string(), child(before, &name.ident.to_string()), line);
            }
            syn::UseTree::Rename(name) => {
                self.bring(name.rename.to_string(), child(before, &name.ident.to_string()), line);
            }
            syn::UseTree::Glob(_) => self.globs.push(before.to_vec()),
        }
    }

    fn bring(&mut self, name: String, path: Vec<String>, line: usize) {
        self.paths.push((path.clone(), line));
        self.uses.push((name, path));
    }
}

/// Whether an item is a test.
fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("test"))
    })
}

impl<'ast> Visit<'ast> for Text {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        match item {
            syn::Item::Mod(module) if module.content.is_none() => {
                let name = module.ident.to_string();
                if is_test(&module.attrs) {
                    self.tests.insert(name);
                } else {
                    self.declares.insert(name);
                }
            }
            syn::Item::Mod(module) if is_test(&module.attrs) => {}
            syn::Item::Fn(item) if is_test(&item.attrs) => {}
            syn::Item::Impl(item) if is_test(&item.attrs) => {}
            syn::Item::Use(item) if is_test(&item.attrs) => {}
            syn::Item::Use(item) => {
                let line = item.span().start().line;
                // What a face hands on, it does not use itself.
                let paths = self.paths.len();
                self.take(&item.tree, &[], line);
                if !matches!(item.vis, syn::Visibility::Inherited) {
                    self.paths.truncate(paths);
                }
            }
            _ => {
                match item {
                    syn::Item::Fn(item) => self.define(&item.sig.ident),
                    syn::Item::Struct(item) => self.define(&item.ident),
                    syn::Item::Enum(item) => self.define(&item.ident),
                    syn::Item::Union(item) => self.define(&item.ident),
                    syn::Item::Trait(item) => self.define(&item.ident),
                    syn::Item::TraitAlias(item) => self.define(&item.ident),
                    syn::Item::Type(item) => self.define(&item.ident),
                    syn::Item::Const(item) => self.define(&item.ident),
                    syn::Item::Static(item) => self.define(&item.ident),
                    syn::Item::Macro(item) => self.read_macro(item),
                    _ => {}
                }
                visit::visit_item(self, item);
            }
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if !is_test(&item.attrs) {
            visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> =
            path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if segments.len() > 1 {
            self.paths.push((segments, path.span().start().line));
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        if item.path.is_ident("registry") {
            return;
        }
        self.read_tokens(item.tokens.clone());
        visit::visit_macro(self, item);
    }
}

impl Text {
    /// What a macro at the top of a file defines or declares.
    fn read_macro(&mut self, item: &syn::ItemMacro) {
        if let Some(name) = &item.ident {
            self.define(name);
        }
        if !item.mac.path.is_ident("registry") {
            return;
        }
        let text = item.mac.tokens.to_string();
        let (head, list) = text.split_once("= [").expect("the list of a registry");
        let name = head.rsplit("static ").next().and_then(|rest| rest.split(':').next());
        self.define(&name.expect("the name of a registry").trim());
        let list = list.rsplit_once(']').expect("the end of a registry's list").0;
        for entry in list.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            let name = entry.rsplit(char::is_whitespace).next().unwrap_or(entry);
            self.declares.insert(name.to_owned());
        }
    }

    /// The paths among the tokens of a macro call, such as the arguments of `format!`.
    fn read_tokens(&mut self, tokens: proc_macro2::TokenStream) {
        use proc_macro2::TokenTree;
        let mut path: Vec<String> = Vec::new();
        let mut line = 0;
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons < 2 {
                        self.end_path(&mut path, line);
                        line = ident.span().start().line;
                    }
                    colons = 0;
                    path.push(ident.to_string());
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                other => {
                    colons = 0;
                    self.end_path(&mut path, line);
                    if let TokenTree::Group(group) = other {
                        self.read_tokens(group.stream());
                    }
                }
            }
        }
        self.end_path(&mut path, line);
    }

    fn end_path(&mut self, path: &mut Vec<String>, line: usize) {
        let path = std::mem::take(path);
        if path.len() > 1 {
            self.paths.push((path, line));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn house(sources: &[(&str, &str)]) -> House {
        let owned: Vec<(String, String)> =
            sources.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
        House::of(&owned)
    }

    /// Who uses whom, as `a -> b: names`.
    fn told(house: &House) -> Vec<String> {
        house.edges.iter().map(|edge| house.tell(edge)).collect()
    }

    #[test]
    fn a_planted_circle_is_told_with_its_names() {
        let house = house(&[
            ("src/load/mod.rs", "mod a; mod b; pub use a::A;"),
            ("src/load/a.rs", "use super::b::B;\npub struct A(B);"),
            ("src/load/b.rs", "pub struct B;\nfn back(a: &super::A) {}"),
        ]);
        let circles = house.circles();
        assert_eq!(circles.len(), 1, "{circles:?}");
        assert!(circles[0].contains("src/load/a.rs -> src/load/b.rs: B (line 1)"), "{circles:?}");
        assert!(circles[0].contains("src/load/b.rs -> src/load/a.rs: A (line 2)"), "{circles:?}");
    }

    #[test]
    fn a_circle_through_a_third_file_and_a_macro_is_found() {
        let house = house(&[
            ("src/x/mod.rs", "mod a; mod b; mod c;"),
            ("src/x/a.rs", "use super::b; pub fn go() { b::go() }"),
            ("src/x/b.rs", "pub fn go() { println!(\"{}\", super::c::go()) }"),
            ("src/x/c.rs", "use crate::x::{a::{self}}; pub fn go() -> u8 { a::go(); 1 }"),
        ]);
        assert_eq!(house.circles().len(), 1, "{:?}", told(&house));
    }

    #[test]
    fn a_parent_with_code_that_its_child_uses_is_part_of_a_circle() {
        let house = house(&[
            ("src/x.rs", "mod a; pub struct X; pub fn go() { a::go(&X) }"),
            ("src/x/a.rs", "use super::X; pub fn go(_: &X) {}"),
        ]);
        assert_eq!(house.circles().len(), 1, "{:?}", told(&house));
    }

    #[test]
    fn faces_registries_and_tests_tie_nothing() {
        let house = house(&[
            (
                "src/x/mod.rs",
                "mod b; pub use b::B; pub struct Spec; \
                 registry! { /// All.\n pub static ALL: [Spec] = [a, /// Kept.\n c,] }",
            ),
            ("src/x/a.rs", "use super::{B, Spec}; pub static SPEC: Spec = Spec; fn b(_: B) {}"),
            ("src/x/b.rs", "pub struct B; #[cfg(test)] mod tests { use super::super::a::SPEC; }"),
            ("src/x/c.rs", "#[cfg(test)] mod tests; pub static SPEC: super::Spec = super::Spec;"),
            ("src/x/c/tests.rs", "use crate::x::ALL;"),
        ]);
        assert_eq!(house.circles(), Vec::<String>::new());
        assert_eq!(house.files.len(), 4, "the file of tests is left out");
        assert_eq!(
            told(&house),
            [
                "src/x/a.rs -> src/x/mod.rs: Spec (line 1)",
                "src/x/a.rs -> src/x/b.rs: B (line 1)",
                "src/x/c.rs -> src/x/mod.rs: Spec (line 1)",
            ]
        );
    }
}
