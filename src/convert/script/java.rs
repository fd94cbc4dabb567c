//! Java, by tree-sitter's grammar.

use std::ops::Range;
use std::rc::Rc;

use tree_sitter::Node;

use super::classes;
use super::grammar::{self, DEEPEST, LONGEST_CHAIN, at, line, named, number_of_jvm, unescaped};
use super::sources::Language;
use super::syntax::{
    Call, Class, Expr, ExprKind, Function, Operator, Program, Rounds, Statement, StatementKind,
};
use crate::convert::error::ConvertError;

/// Classes of Java. Each call of a chain has the line of its name.
pub(in crate::convert) static LANGUAGE: Language = Language {
    read,
    imports: |_, text| classes::named(text),
    paths: |import, within| classes::paths(import, within, ".java"),
    is_missed: |_| false,
};

fn read(text: &str, part: Range<usize>) -> Result<Program, ConvertError> {
    let language = tree_sitter_java::LANGUAGE.into();
    grammar::parse((text, part), &language, "Java", |root| {
        let reader = Reader { text };
        Program { statements: reader.block(root, 0) }
    })
}

struct Reader<'t> {
    text: &'t str,
}

impl Reader<'_> {
    fn slice(&self, node: Node<'_>) -> &str {
        self.text.get(node.byte_range()).unwrap_or_default()
    }

    fn name(&self, node: Node<'_>) -> String {
        node.child_by_field_name("name").map_or("", |name| self.slice(name)).to_owned()
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
        if inner.kind() == "block" {
            return self.block(inner, depth);
        }
        let mut statements = Vec::new();
        self.statement(inner, depth + 1, &mut statements);
        statements
    }

    fn statement(&self, node: Node<'_>, depth: usize, statements: &mut Vec<Statement>) {
        if depth > DEEPEST {
            return;
        }
        let kind = match node.kind() {
            "class_declaration"
            | "interface_declaration"
            | "record_declaration"
            | "enum_declaration" => StatementKind::Class(Rc::new(self.class(node, depth))),
            "field_declaration" | "local_variable_declaration" | "constant_declaration" => {
                let declared = named(node).into_iter();
                let declared = declared.filter(|it| it.kind() == "variable_declarator");
                return statements.extend(declared.filter_map(|it| self.declarator(it, depth)));
            }
            "method_declaration" => StatementKind::Function(Rc::new(self.function(node, depth))),
            "constructor_declaration" => StatementKind::Block(self.block_of_body(node, depth)),
            "static_initializer" | "block" | "labeled_statement" => {
                StatementKind::Block(self.block(node, depth))
            }
            "expression_statement" => self.expression_statement(node, depth),
            "if_statement" => {
                let test = *self.field(node, "condition", depth);
                let yes = self.block_of(node, "consequence", depth + 1);
                StatementKind::If(test, yes, self.block_of(node, "alternative", depth + 1))
            }
            "for_statement" => {
                let (name, rounds) = self.counted(node, depth);
                StatementKind::For(name, rounds, self.block_of(node, "body", depth))
            }
            "enhanced_for_statement" => {
                let rounds = Rounds::Of(*self.field(node, "value", depth));
                StatementKind::For(self.name(node), rounds, self.block_of(node, "body", depth))
            }
            "while_statement" | "do_statement" => {
                let body = self.block_of(node, "body", depth);
                StatementKind::For(String::new(), Rounds::Unknown, body)
            }
            "try_statement" | "try_with_resources_statement" => {
                StatementKind::Block(self.block_of(node, "body", depth))
            }
            "return_statement" => {
                StatementKind::Return(named(node).first().map(|value| self.expr(*value, depth)))
            }
            "switch_expression" => StatementKind::Other("a `switch` statement"),
            _ => StatementKind::Nothing,
        };
        statements.push(Statement { line: line(node), kind });
    }

    fn class(&self, node: Node<'_>, depth: usize) -> Class {
        let bases = node.child_by_field_name("superclass").into_iter().flat_map(named);
        // `a.b.Simulation` and `Base<T>` by their last plain name.
        let base = |base: Node<'_>| {
            let text = self.slice(base).split('<').next().unwrap_or_default();
            let name = text.rsplit('.').next().unwrap_or_default().trim();
            at(base, ExprKind::Name(name.to_owned()))
        };
        Class {
            name: self.name(node),
            line: line(node),
            bases: bases.map(base).collect(),
            decorators: Vec::new(),
            body: self.block_of_body(node, depth + 1),
        }
    }

    /// What stands in the braces of a class, a constructor or a method.
    fn block_of_body(&self, node: Node<'_>, depth: usize) -> Vec<Statement> {
        node.child_by_field_name("body").map_or_else(Vec::new, |body| self.block(body, depth))
    }

    fn declarator(&self, node: Node<'_>, depth: usize) -> Option<Statement> {
        let name = node.child_by_field_name("name")?;
        let value = self.expr(node.child_by_field_name("value")?, depth);
        let name = at(name, ExprKind::Name(self.slice(name).to_owned()));
        Some(Statement { line: line(node), kind: StatementKind::Assign(name, value) })
    }

    fn expression_statement(&self, node: Node<'_>, depth: usize) -> StatementKind {
        let Some(inner) = named(node).first().copied() else { return StatementKind::Nothing };
        match inner.kind() {
            "assignment_expression" => {
                let operator = inner.child_by_field_name("operator").map(|it| self.slice(it));
                if operator != Some("=") {
                    return StatementKind::Nothing;
                }
                let left = *self.field(inner, "left", depth);
                StatementKind::Assign(left, *self.field(inner, "right", depth))
            }
            "update_expression" => StatementKind::Nothing,
            _ => StatementKind::Expr(self.expr(inner, depth)),
        }
    }

    /// `for (int i = 0; i < 3; i++)`.
    fn counted(&self, node: Node<'_>, depth: usize) -> (String, Rounds) {
        let unknown = (String::new(), Rounds::Unknown);
        let first = node.child_by_field_name("init").into_iter().flat_map(named);
        let first = first.into_iter().find(|it| it.kind() == "variable_declarator");
        let Some(first) = first.and_then(|it| self.declarator(it, depth)) else { return unknown };
        let StatementKind::Assign(name, first) = first.kind else { return unknown };
        let ExprKind::Name(name) = name.kind else { return unknown };
        let step = node.child_by_field_name("update").map_or("", |step| self.slice(step));
        let test = *self.field(node, "condition", depth);
        let rounds = Rounds::counted(&name, first, test, step);
        (name, rounds)
    }

    /// A method, or a lambda.
    fn function(&self, node: Node<'_>, depth: usize) -> Function {
        let parameters = node.child_by_field_name("parameters");
        let parameters = match parameters {
            Some(only) if only.kind() == "identifier" => vec![self.slice(only).to_owned()],
            Some(list) => named(list).into_iter().map(|it| self.parameter(it)).collect(),
            None => Vec::new(),
        };
        let body = match node.child_by_field_name("body") {
            Some(body) if body.kind() == "block" => self.block(body, depth + 1),
            Some(body) => {
                let value = self.expr(body, depth);
                vec![Statement { line: line(body), kind: StatementKind::Return(Some(value)) }]
            }
            None => Vec::new(),
        };
        let name = self.name(node);
        Function { name, line: line(node), parameters, decorators: Vec::new(), body }
    }

    fn parameter(&self, node: Node<'_>) -> String {
        match node.kind() {
            "identifier" => self.slice(node).to_owned(),
            "spread_parameter" => {
                let name = named(node).into_iter().find(|it| it.kind() == "variable_declarator");
                name.map_or_else(String::new, |name| self.name(name))
            }
            _ => self.name(node),
        }
    }

    fn field(&self, node: Node<'_>, name: &str, depth: usize) -> Box<Expr> {
        Box::new(match node.child_by_field_name(name) {
            Some(child) => self.expr(child, depth),
            None => at(node, ExprKind::Other),
        })
    }

    /// An expression that stands in another one: in parentheses, or as another type.
    fn first(&self, node: Node<'_>, depth: usize) -> Expr {
        match named(node).last() {
            Some(inner) => self.expr(*inner, depth),
            None => at(node, ExprKind::Other),
        }
    }

    fn expr(&self, node: Node<'_>, depth: usize) -> Expr {
        if depth > DEEPEST {
            return at(node, ExprKind::Other);
        }
        let depth = depth + 1;
        let list = |node: Node<'_>| {
            ExprKind::List(named(node).into_iter().map(|it| self.expr(it, depth)).collect())
        };
        let kind = match node.kind() {
            "identifier" | "this" => ExprKind::Name(self.slice(node).to_owned()),
            "true" => ExprKind::Switch(true),
            "false" => ExprKind::Switch(false),
            "null_literal" => ExprKind::Nothing,
            "string_literal" => ExprKind::Text(string(self.slice(node))),
            "character_literal" => ExprKind::Text(unescaped(self.slice(node).trim_matches('\''))),
            "decimal_integer_literal"
            | "hex_integer_literal"
            | "decimal_floating_point_literal"
            | "octal_integer_literal" => number_of_jvm(self.slice(node)),
            "parenthesized_expression" | "cast_expression" => return self.first(node, depth),
            "field_access" => self.member(node, depth),
            "array_access" => {
                ExprKind::Index(self.field(node, "array", depth), self.field(node, "index", depth))
            }
            "method_invocation" => return self.chain(node, depth),
            "object_creation_expression" => {
                let name = node.child_by_field_name("type").map_or("", |it| self.slice(it));
                let name = name.split('<').next().unwrap_or_default();
                let name = name.rsplit('.').next().unwrap_or_default().trim().to_owned();
                let callee = at(node, ExprKind::Name(name));
                let arguments = self.arguments(node, depth);
                ExprKind::Call(Box::new(Call { callee, arguments, named: Vec::new() }))
            }
            "array_creation_expression" => match node.child_by_field_name("value") {
                Some(value) => list(value),
                None => ExprKind::Other,
            },
            "array_initializer" => list(node),
            "lambda_expression" => ExprKind::Function(Rc::new(self.function(node, depth))),
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

    /// `a.b`; what belongs to `this` is called as it is declared.
    fn member(&self, node: Node<'_>, depth: usize) -> ExprKind {
        let name = node.child_by_field_name("field").map_or("", |it| self.slice(it)).to_owned();
        let of = self.field(node, "object", depth);
        if matches!(&of.kind, ExprKind::Name(this) if this == "this") {
            return ExprKind::Name(name);
        }
        ExprKind::Member(of, name)
    }

    fn arguments(&self, node: Node<'_>, depth: usize) -> Vec<Expr> {
        let list = node.child_by_field_name("arguments");
        list.into_iter().flat_map(named).map(|it| self.expr(it, depth)).collect()
    }

    /// `a.b().c()`, from its end to its beginning.
    fn chain(&self, node: Node<'_>, depth: usize) -> Expr {
        let (mut links, mut first) = (Vec::new(), node);
        while first.kind() == "method_invocation" && links.len() < LONGEST_CHAIN {
            links.push(first);
            match first.child_by_field_name("object") {
                Some(of) => first = of,
                None => break,
            }
        }
        let is_cut = first.kind() == "method_invocation" && links.len() == LONGEST_CHAIN;
        // The first call of all has no object; `super` is one that nothing here knows.
        let mut of = match first.kind() {
            "method_invocation" if !is_cut => None,
            "this" | "super" => None,
            "method_invocation" => Some(at(first, ExprKind::Other)),
            _ => Some(self.expr(first, depth)),
        };
        for link in links.into_iter().rev() {
            let place = |kind| Expr {
                line: link.child_by_field_name("name").map_or_else(|| line(link), line),
                span: link.byte_range(),
                kind,
            };
            let name = self.name(link);
            let callee = place(match of {
                Some(of) => ExprKind::Member(Box::new(of), name),
                None => ExprKind::Name(name),
            });
            let call = Call { callee, arguments: self.arguments(link, depth), named: Vec::new() };
            of = Some(place(ExprKind::Call(Box::new(call))));
        }
        of.unwrap_or_else(|| at(node, ExprKind::Other))
    }

    fn unary(&self, node: Node<'_>, depth: usize) -> ExprKind {
        let operator = node.child_by_field_name("operator").map_or("", |it| self.slice(it));
        ExprKind::unary(operator, self.field(node, "operand", depth))
    }

    fn binary(&self, node: Node<'_>, depth: usize) -> ExprKind {
        let operator = node.child_by_field_name("operator").map_or("", |it| self.slice(it));
        let Some(operator) = Operator::of(operator) else { return ExprKind::Other };
        let (left, right) = (self.field(node, "left", depth), self.field(node, "right", depth));
        ExprKind::Binary(operator, left, right)
    }
}

/// What stands between the quotes of a text, or of a block of text without its indentation.
fn string(source: &str) -> String {
    let Some(block) = source.strip_prefix("\"\"\"").and_then(|it| it.strip_suffix("\"\"\"")) else {
        let inside = source.strip_prefix('"').unwrap_or(source);
        return unescaped(inside.strip_suffix('"').unwrap_or(inside));
    };
    let Some((_, block)) = block.split_once('\n') else { return unescaped(block) };
    // The line of the closing quotes counts too.
    let last = block.rsplit('\n').next().unwrap_or_default();
    let lines = block.lines().filter(|line| !line.trim().is_empty());
    let ends = last.trim().is_empty().then_some(last.len());
    let indent = |line: &str| line.len() - line.trim_start().len();
    let common = lines.map(indent).chain(ends).min().unwrap_or(0);
    let lines = block.split('\n').map(|line| line.get(common..).unwrap_or("").trim_end());
    unescaped(&lines.collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> ExprKind {
        let program = LANGUAGE.whole(&format!("class A {{ Object x = {text}; }}\n")).unwrap();
        let class = match program.statements.into_iter().next().map(|it| it.kind) {
            Some(StatementKind::Class(class)) => class,
            other => panic!("{other:?}"),
        };
        match class.body.first().map(|it| it.kind.clone()) {
            Some(StatementKind::Assign(_, value)) => value.kind,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn texts_are_read_with_their_escapes() {
        for (source, text) in [
            (r#""a\n\"b\u0041""#, "a\n\"bA"),
            ("\"\"\"\n    {\n      \"a\": 1\n    }\"\"\"", "{\n  \"a\": 1\n}"),
            ("\"é\"", "é"),
        ] {
            match value(source) {
                ExprKind::Text(read) => assert_eq!(read, text, "{source}"),
                other => panic!("{source}: {other:?}"),
            }
        }
        assert!(matches!(value("1_000L"), ExprKind::Number(number) if number == 1000.0));
    }

    #[test]
    fn a_long_chain_is_read_whole_and_a_deep_expression_in_part() {
        let chain = "a()".to_owned() + &"\n.b(1)".repeat(400);
        let ExprKind::Call(call) = value(&chain) else { panic!("no call") };
        assert_eq!((call.callee.line, call.arguments.len()), (401, 1));
        value(&("a()".to_owned() + &".b()".repeat(5000)));
        value(&("(".repeat(5000) + "1" + &")".repeat(5000)));
        value(&("f(".repeat(2000) + "1" + &")".repeat(2000)));
    }

    #[test]
    fn a_mistake_has_its_place() {
        let why =
            LANGUAGE.whole("class A {\n  int x = ;\n}\n").map(|_| ()).unwrap_err().to_string();
        assert!(why.starts_with("line 2, column "), "{why}");
    }
}
