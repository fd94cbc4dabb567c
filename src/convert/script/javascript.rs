//! JavaScript, by tree-sitter's grammar.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use tree_sitter::Node;

use super::grammar::{self, DEEPEST, LONGEST_CHAIN, at, escaped, line, named};
use super::sources::{Language, beside, stated, with_end};
use super::syntax::{
    Call, Expr, ExprKind, Function, Import, Operator, Program, Rounds, Statement, StatementKind,
};
use crate::convert::error::ConvertError;

/// Modules of JavaScript.
pub(in crate::convert) static LANGUAGE: Language = Language {
    read: |text, part| read_as(text, part, false),
    imports: stated,
    paths,
    is_missed: |import| is_file(&import.from),
};

/// The same for programs that are made of long chains of calls. Each call has the line of its name.
pub(in crate::convert) static CHAINED: Language =
    Language { read: |text, part| read_as(text, part, true), ..LANGUAGE };

/// What may be left out at the end of a module's path.
const ENDS: [&str; 5] = ["", ".js", ".mjs", ".ts", "/index.js"];

fn is_file(from: &str) -> bool {
    from.starts_with("./") || from.starts_with("../")
}

fn paths(import: &Import, within: &Path) -> Vec<PathBuf> {
    if !is_file(&import.from) {
        return Vec::new();
    }
    let path = beside(within, &import.from);
    ENDS.iter().map(|end| with_end(&path, end)).collect()
}

fn read_as(text: &str, part: Range<usize>, is_chained: bool) -> Result<Program, ConvertError> {
    let language = tree_sitter_javascript::LANGUAGE.into();
    grammar::parse((text, part), &language, "JavaScript", |root| {
        let reader = Reader { text, is_chained };
        Program { statements: reader.block(root, 0) }
    })
}

struct Reader<'t> {
    text: &'t str,
    /// Whether chains of calls may be longer than expressions are deep.
    is_chained: bool,
}

impl Reader<'_> {
    fn slice(&self, node: Node<'_>) -> &str {
        self.text.get(node.byte_range()).unwrap_or_default()
    }

    fn block(&self, node: Node<'_>, depth: usize) -> Vec<Statement> {
        if depth > DEEPEST {
            return Vec::new();
        }
        let mut statements = Vec::new();
        for child in named(node) {
            self.statement(child, depth + 1, &mut statements);
        }
        statements
    }

    /// The statements in a field: a block, or one statement without braces.
    fn block_of(&self, node: Node<'_>, field: &str, depth: usize) -> Vec<Statement> {
        let Some(inner) = node.child_by_field_name(field) else { return Vec::new() };
        match inner.kind() {
            "statement_block" | "else_clause" => self.block(inner, depth),
            _ => {
                let mut statements = Vec::new();
                self.statement(inner, depth + 1, &mut statements);
                statements
            }
        }
    }

    fn statement(&self, node: Node<'_>, depth: usize, statements: &mut Vec<Statement>) {
        if depth > DEEPEST {
            return;
        }
        let kind = match node.kind() {
            "lexical_declaration" | "variable_declaration" => {
                let declared = named(node).into_iter();
                let declared = declared.filter_map(|it| self.declarator(it, depth));
                return statements.extend(declared);
            }
            "import_statement" => self.import(node),
            "export_statement" => return self.export(node, depth, statements),
            "expression_statement" => self.expression_statement(node, depth),
            "function_declaration" | "generator_function_declaration" => {
                StatementKind::Function(Rc::new(self.function(node, depth)))
            }
            "if_statement" => {
                let test = *self.field(node, "condition", depth);
                let yes = self.block_of(node, "consequence", depth + 1);
                StatementKind::If(test, yes, self.block_of(node, "alternative", depth + 1))
            }
            "for_statement" => {
                let (name, rounds) = self.counted(node, depth);
                StatementKind::For(name, rounds, self.block_of(node, "body", depth))
            }
            "for_in_statement" => self.for_in(node, depth),
            "while_statement" | "do_statement" => {
                let body = self.block_of(node, "body", depth);
                StatementKind::For(String::new(), Rounds::Unknown, body)
            }
            "try_statement" => StatementKind::Block(self.block_of(node, "body", depth)),
            "statement_block" => StatementKind::Block(self.block(node, depth)),
            "return_statement" => {
                StatementKind::Return(named(node).first().map(|value| self.expr(*value, depth)))
            }
            "switch_statement" => StatementKind::Other("a `switch` statement"),
            "class_declaration" => StatementKind::Other("a class"),
            _ => StatementKind::Nothing,
        };
        statements.push(Statement { line: line(node), kind });
    }

    fn declarator(&self, node: Node<'_>, depth: usize) -> Option<Statement> {
        let name = self.expr(node.child_by_field_name("name")?, depth);
        let value = match node.child_by_field_name("value") {
            Some(value) => self.expr(value, depth),
            None => at(node, ExprKind::Nothing),
        };
        Some(Statement { line: line(node), kind: StatementKind::Assign(name, value) })
    }

    fn export(&self, node: Node<'_>, depth: usize, statements: &mut Vec<Statement>) {
        let is_default = node.children(&mut node.walk()).any(|child| child.kind() == "default");
        let declaration = node.child_by_field_name("declaration");
        let value = declaration.or_else(|| node.child_by_field_name("value"));
        match value {
            Some(value) if is_default => {
                let expr = match value.kind() {
                    "function_declaration" | "generator_function_declaration" => {
                        at(value, ExprKind::Function(Rc::new(self.function(value, depth))))
                    }
                    _ => self.expr(value, depth),
                };
                statements.push(Statement { line: line(node), kind: StatementKind::Default(expr) });
            }
            Some(value) => self.statement(value, depth + 1, statements),
            None => statements.push(Statement { line: line(node), kind: self.import(node) }),
        }
    }

    /// `import a, { b as c }, * as d from "…"`, and `export { b as c } from "…"`.
    fn import(&self, node: Node<'_>) -> StatementKind {
        let Some(from) = node.child_by_field_name("source") else { return StatementKind::Nothing };
        let from = self.slice(from).trim_matches(['"', '\'']).to_owned();
        let mut import = Import { line: line(node), from, ..Import::default() };
        let clauses = named(node).into_iter().flat_map(|clause| match clause.kind() {
            "import_clause" => named(clause),
            _ => vec![clause],
        });
        for clause in clauses {
            match clause.kind() {
                "identifier" => {
                    import.names.push(("default".to_owned(), self.slice(clause).to_owned()));
                }
                "namespace_import" => {
                    import.whole = named(clause).first().map(|name| self.slice(*name).to_owned());
                }
                "named_imports" | "export_clause" => {
                    let names = named(clause).into_iter().filter_map(|it| self.renamed(it));
                    import.names.extend(names);
                }
                _ => {}
            }
        }
        StatementKind::Import(Box::new(import))
    }

    /// A name in another module, and the name that it gets here.
    fn renamed(&self, node: Node<'_>) -> Option<(String, String)> {
        let there = self.slice(node.child_by_field_name("name")?);
        let here = node.child_by_field_name("alias").map_or(there, |alias| self.slice(alias));
        Some((there.to_owned(), here.to_owned()))
    }

    fn expression_statement(&self, node: Node<'_>, depth: usize) -> StatementKind {
        let Some(inner) = named(node).first().copied() else { return StatementKind::Nothing };
        match inner.kind() {
            "assignment_expression" => {
                let left = *self.field(inner, "left", depth);
                StatementKind::Assign(left, *self.field(inner, "right", depth))
            }
            "augmented_assignment_expression" | "update_expression" => StatementKind::Nothing,
            _ => StatementKind::Expr(self.expr(inner, depth)),
        }
    }

    /// `for (let i = 0; i < 3; i++)`.
    fn counted(&self, node: Node<'_>, depth: usize) -> (String, Rounds) {
        let unknown = (String::new(), Rounds::Unknown);
        let first =
            node.child_by_field_name("initializer").and_then(|it| named(it).first().copied());
        let Some(first) = first.and_then(|it| self.declarator(it, depth)) else { return unknown };
        let StatementKind::Assign(name, first) = first.kind else { return unknown };
        let ExprKind::Name(name) = name.kind else { return unknown };
        let test = node.child_by_field_name("condition").map(|test| match test.kind() {
            "expression_statement" => named(test)
                .first()
                .map_or_else(|| at(test, ExprKind::Other), |test| self.expr(*test, depth)),
            _ => self.expr(test, depth),
        });
        let step = node.child_by_field_name("increment").map_or("", |step| self.slice(step));
        let rounds = test.map_or(Rounds::Unknown, |it| Rounds::counted(&name, first, it, step));
        (name, rounds)
    }

    fn for_in(&self, node: Node<'_>, depth: usize) -> StatementKind {
        let name = node.child_by_field_name("left").map_or("", |left| self.slice(left)).to_owned();
        let is_of = node.child_by_field_name("operator").is_some_and(|it| self.slice(it) == "of");
        let rounds = match is_of {
            true => Rounds::Of(*self.field(node, "right", depth)),
            false => Rounds::Unknown,
        };
        StatementKind::For(name, rounds, self.block_of(node, "body", depth))
    }

    fn function(&self, node: Node<'_>, depth: usize) -> Function {
        let name = node.child_by_field_name("name").map_or("", |name| self.slice(name)).to_owned();
        let one = node.child_by_field_name("parameter").map(|name| self.slice(name).to_owned());
        let several = node.child_by_field_name("parameters").into_iter().flat_map(named);
        let parameter = |parameter: Node<'_>| match parameter.kind() {
            "assignment_pattern" => {
                parameter.child_by_field_name("left").map_or("", |left| self.slice(left)).to_owned()
            }
            _ => self.slice(parameter).to_owned(),
        };
        let body = match node.child_by_field_name("body") {
            Some(body) if body.kind() == "statement_block" => self.block(body, depth + 1),
            Some(body) => {
                let value = self.expr(body, depth);
                vec![Statement { line: line(body), kind: StatementKind::Return(Some(value)) }]
            }
            None => Vec::new(),
        };
        Function {
            name,
            line: line(node),
            parameters: one.into_iter().chain(several.map(parameter)).collect(),
            decorators: Vec::new(),
            body,
        }
    }

    fn field(&self, node: Node<'_>, name: &str, depth: usize) -> Box<Expr> {
        Box::new(match node.child_by_field_name(name) {
            Some(child) => self.expr(child, depth),
            None => at(node, ExprKind::Other),
        })
    }

    fn expr(&self, node: Node<'_>, depth: usize) -> Expr {
        if depth > DEEPEST {
            return at(node, ExprKind::Other);
        }
        let depth = depth + 1;
        let kind = match node.kind() {
            "identifier" | "shorthand_property_identifier" => {
                ExprKind::Name(self.slice(node).to_owned())
            }
            "true" => ExprKind::Switch(true),
            "false" => ExprKind::Switch(false),
            "null" | "undefined" => ExprKind::Nothing,
            "number" => number(self.slice(node)),
            "string" | "template_string" => ExprKind::Joined(self.string(node, depth)).plain(),
            "parenthesized_expression" | "await_expression" => match named(node).first() {
                Some(inner) => return self.expr(*inner, depth),
                None => ExprKind::Other,
            },
            "member_expression" => {
                let name = node.child_by_field_name("property");
                let name = name.map_or("", |name| self.slice(name)).to_owned();
                ExprKind::Member(self.field(node, "object", depth), name)
            }
            "subscript_expression" => {
                let of = self.field(node, "object", depth);
                let index = self.field(node, "index", depth);
                match index.kind {
                    ExprKind::Text(name) => ExprKind::Member(of, name),
                    _ => ExprKind::Index(of, index),
                }
            }
            "call_expression" if self.is_chained => return self.chain(node, depth),
            "call_expression" => self.call(node, "function", depth),
            "spread_element" if self.is_chained => match named(node).first() {
                Some(inner) => return self.expr(*inner, depth),
                None => ExprKind::Other,
            },
            "new_expression" => self.call(node, "constructor", depth),
            "array" | "array_pattern" => {
                ExprKind::List(named(node).into_iter().map(|it| self.expr(it, depth)).collect())
            }
            "object" | "object_pattern" => self.object(node, depth),
            "arrow_function" | "function_expression" | "function" => {
                ExprKind::Function(Rc::new(self.function(node, depth)))
            }
            "unary_expression" => self.unary(node, depth),
            "binary_expression" => self.binary(node, depth),
            "ternary_expression" => ExprKind::Choice(Box::new([
                *self.field(node, "condition", depth),
                *self.field(node, "consequence", depth),
                *self.field(node, "alternative", depth),
            ])),
            _ => ExprKind::Other,
        };
        at(node, kind)
    }

    fn call(&self, node: Node<'_>, callee: &str, depth: usize) -> ExprKind {
        let arguments = self.arguments(node, depth);
        let callee = *self.field(node, callee, depth);
        ExprKind::Call(Box::new(Call { callee, arguments, named: Vec::new() }))
    }

    fn arguments(&self, node: Node<'_>, depth: usize) -> Vec<Expr> {
        match node.child_by_field_name("arguments") {
            // http.url`…`.
            Some(text) if text.kind() == "template_string" => vec![self.expr(text, depth)],
            list => list.into_iter().flat_map(named).map(|it| self.expr(it, depth)).collect(),
        }
    }

    /// `a.b().c()`, from its end to its beginning.
    fn chain(&self, node: Node<'_>, depth: usize) -> Expr {
        let mut links = Vec::new();
        let mut first = node;
        while first.kind() == "call_expression" && links.len() < LONGEST_CHAIN {
            let member = first.child_by_field_name("function");
            let Some(member) = member.filter(|it| it.kind() == "member_expression") else { break };
            let of = member.child_by_field_name("object");
            let Some((of, name)) = of.zip(member.child_by_field_name("property")) else { break };
            links.push((first, name));
            first = of;
        }
        let mut expr = match first.kind() {
            "call_expression" if links.len() == LONGEST_CHAIN => at(first, ExprKind::Other),
            "call_expression" => at(first, self.call(first, "function", depth)),
            _ => self.expr(first, depth),
        };
        for (link, name) in links.into_iter().rev() {
            let place = |kind| Expr { line: line(name), span: link.byte_range(), kind };
            let callee = ExprKind::Member(Box::new(expr), self.slice(name).to_owned());
            let arguments = self.arguments(link, depth);
            let call = Call { callee: place(callee), arguments, named: Vec::new() };
            expr = place(ExprKind::Call(Box::new(call)));
        }
        expr
    }

    fn object(&self, node: Node<'_>, depth: usize) -> ExprKind {
        let key = |key: Node<'_>| match key.kind() {
            "property_identifier" | "number" => at(key, ExprKind::Text(self.slice(key).to_owned())),
            "computed_property_name" => match named(key).first() {
                Some(inner) => self.expr(*inner, depth),
                None => at(key, ExprKind::Other),
            },
            _ => self.expr(key, depth),
        };
        let entry = |entry: Node<'_>| match entry.kind() {
            "pair" | "pair_pattern" => {
                let name = key(entry.child_by_field_name("key")?);
                Some((name, *self.field(entry, "value", depth)))
            }
            "shorthand_property_identifier" | "shorthand_property_identifier_pattern" => {
                let name = self.slice(entry).to_owned();
                let value = at(entry, ExprKind::Name(name.clone()));
                Some((at(entry, ExprKind::Text(name)), value))
            }
            "method_definition" => {
                let name = key(entry.child_by_field_name("name")?);
                let function = ExprKind::Function(Rc::new(self.function(entry, depth)));
                Some((name, at(entry, function)))
            }
            // `...other`.
            "spread_element" => {
                let value = self.expr(named(entry).first().copied()?, depth);
                Some((at(entry, ExprKind::Other), value))
            }
            _ => None,
        };
        ExprKind::Map(named(node).into_iter().filter_map(entry).collect())
    }

    fn unary(&self, node: Node<'_>, depth: usize) -> ExprKind {
        let operator = node.child_by_field_name("operator").map_or("", |it| self.slice(it));
        ExprKind::unary(operator, self.field(node, "argument", depth))
    }

    fn binary(&self, node: Node<'_>, depth: usize) -> ExprKind {
        let sign = match node.child_by_field_name("operator").map_or("", |it| self.slice(it)) {
            "===" => "==",
            "!==" => "!=",
            "??" => "||",
            sign => sign,
        };
        let Some(operator) = Operator::of(sign) else { return ExprKind::Other };
        let (left, right) = (self.field(node, "left", depth), self.field(node, "right", depth));
        ExprKind::Binary(operator, left, right)
    }

    /// The parts of a text: fragments, escapes and substitutions. What the grammar has no node for,
    /// such as line breaks of a template, stands between them.
    fn string(&self, node: Node<'_>, depth: usize) -> Vec<Expr> {
        let mut parts = Vec::new();
        let mut place = node.start_byte() + 1;
        let end = node.end_byte().saturating_sub(1);
        let mut own = String::new();
        for part in named(node) {
            own.push_str(self.text.get(place..part.start_byte()).unwrap_or_default());
            place = part.end_byte();
            match part.kind() {
                "escape_sequence" => own.push_str(&escaped(self.slice(part))),
                "template_substitution" => {
                    parts.push(at(node, ExprKind::Text(std::mem::take(&mut own))));
                    parts.extend(named(part).first().map(|inner| self.expr(*inner, depth)));
                }
                _ => own.push_str(self.slice(part)),
            }
        }
        own.push_str(self.text.get(place..end).unwrap_or_default());
        parts.push(at(node, ExprKind::Text(own)));
        parts
    }
}

fn number(text: &str) -> ExprKind {
    let text = text.replace('_', "").to_lowercase();
    let number = match text.strip_prefix("0x") {
        Some(hex) => i64::from_str_radix(hex, 16).ok().map(|number| number as f64),
        None => text.parse::<f64>().ok(),
    };
    number.filter(|number| number.is_finite()).map_or(ExprKind::Other, ExprKind::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> ExprKind {
        let program = LANGUAGE.whole(&format!("const x = {text};\n")).unwrap();
        match program.statements.into_iter().next().map(|it| it.kind) {
            Some(StatementKind::Assign(_, value)) => value.kind,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn texts_are_read_with_their_escapes() {
        for (source, text) in
            [(r#"'a\n\'b\x41\u{42}'"#, "a\n'bAB"), ("`a\nb \\` c`", "a\nb ` c"), ("\"é\"", "é")]
        {
            match value(source) {
                ExprKind::Text(read) => assert_eq!(read, text, "{source}"),
                other => panic!("{source}: {other:?}"),
            }
        }
        assert!(matches!(value("`/a/${b}?c`"), ExprKind::Joined(parts) if parts.len() == 3));
    }

    #[test]
    fn a_mistake_has_its_place() {
        let why =
            LANGUAGE.whole("const a = 1;\nconst b = {;\n").map(|_| ()).unwrap_err().to_string();
        assert!(why.starts_with("line 2, column "), "{why}");
    }

    #[test]
    fn depth_is_bounded() {
        for text in ["(".repeat(20_000) + "1" + &")".repeat(20_000), "!".repeat(20_000) + "1"] {
            assert!(LANGUAGE.whole(&format!("const x = {text};\n")).is_ok());
        }
    }
}
