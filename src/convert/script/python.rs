//! Python, by tree-sitter's grammar.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use tree_sitter::Node;

use super::grammar::{self, DEEPEST, at, escaped, line, named};
use super::sources::{Language, beside, stated, with_end};
use super::syntax::{
    Call, Class, Expr, ExprKind, Function, Import, Operator, Program, Rounds, Statement,
    StatementKind,
};
use crate::convert::error::ConvertError;

/// Modules of Python. Which are the program's own and which a library's, only the files tell.
pub(in crate::convert) static LANGUAGE: Language = Language {
    read,
    imports: stated,
    paths,
    // A name that is imported may be a module; that it is none is no loss.
    is_missed: |import| {
        let module = import.from.trim_start_matches('.');
        import.whole.is_none() && import.from.starts_with('.') && !module.is_empty()
    },
};

/// The files of a module: `tasks.browse` stands in the directory of the program, `.browse` in that of
/// the file which imports it.
fn paths(import: &Import, within: &Path) -> Vec<PathBuf> {
    let module = import.from.trim_start_matches('.');
    if module.is_empty() {
        return Vec::new();
    }
    let path = module.replace('.', "/");
    let path = match import.from.len() - module.len() {
        0 => PathBuf::from(path),
        dots => beside(within, &format!("{}{path}", "../".repeat(dots - 1))),
    };
    ["", "/__init__"].iter().map(|end| with_end(&path, &format!("{end}.py"))).collect()
}

fn read(text: &str, part: Range<usize>) -> Result<Program, ConvertError> {
    let language = tree_sitter_python::LANGUAGE.into();
    grammar::parse((text, part), &language, "Python", |root| {
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

    fn block(&self, node: Node<'_>, depth: usize) -> Vec<Statement> {
        if depth > DEEPEST {
            return Vec::new();
        }
        let mut statements = Vec::new();
        for child in named(node) {
            match child.kind() {
                "import_statement" | "import_from_statement" => {
                    let imports = self.imports(child).into_iter().map(|import| {
                        let kind = StatementKind::Import(Box::new(import));
                        Statement { line: line(child), kind }
                    });
                    statements.extend(imports);
                }
                _ => statements.push(self.statement(child, depth + 1)),
            }
        }
        statements
    }

    /// `import a.b as c`, and `from a import b as c`, where `b` may be a module too.
    fn imports(&self, node: Node<'_>) -> Vec<Import> {
        let names: Vec<(String, String)> = node
            .children_by_field_name("name", &mut node.walk())
            .map(|name| match name.kind() {
                "aliased_import" => {
                    let text = |field| name.child_by_field_name(field).map(|it| self.slice(it));
                    (text("name").unwrap_or_default(), text("alias").unwrap_or_default())
                }
                _ => (self.slice(name), self.slice(name)),
            })
            .map(|(there, here)| (there.to_owned(), here.to_owned()))
            .collect();
        let whole = |from: String, here: String| Import {
            line: line(node),
            from,
            names: Vec::new(),
            whole: Some(here),
        };
        let Some(module) = node.child_by_field_name("module_name") else {
            return names.into_iter().map(|(there, here)| whole(there, here)).collect();
        };
        let from = self.slice(module).to_owned();
        let dot = if from.ends_with('.') { "" } else { "." };
        let modules: Vec<Import> = names
            .iter()
            .map(|(there, here)| whole(format!("{from}{dot}{there}"), here.clone()))
            .collect();
        let module = Import { line: line(node), from, names, whole: None };
        std::iter::once(module).chain(modules).collect()
    }

    /// The block in a field of a statement.
    fn block_of(&self, node: Node<'_>, field: &str, depth: usize) -> Vec<Statement> {
        node.child_by_field_name(field).map_or_else(Vec::new, |block| self.block(block, depth))
    }

    fn statement(&self, node: Node<'_>, depth: usize) -> Statement {
        let line = line(node);
        let kind = match node.kind() {
            "expression_statement" => self.expression_statement(node, depth),
            "assert_statement" => {
                let test = named(node).first().map(|test| self.expr(*test, depth));
                StatementKind::Expr(self.assertion(node, test))
            }
            "return_statement" => {
                StatementKind::Return(named(node).first().map(|value| self.expr(*value, depth)))
            }
            "if_statement" => self.choice(node, depth),
            "for_statement" => self.rounds(node, depth),
            "while_statement" => {
                let body = self.block_of(node, "body", depth);
                StatementKind::For(String::new(), Rounds::Unknown, body)
            }
            "try_statement" => StatementKind::Block(self.block_of(node, "body", depth)),
            "with_statement" => self.with(node, depth),
            "function_definition" => {
                StatementKind::Function(Rc::new(self.function(node, Vec::new(), depth)))
            }
            "class_definition" => {
                StatementKind::Class(Rc::new(self.class(node, Vec::new(), depth)))
            }
            "decorated_definition" => self.decorated(node, depth),
            "match_statement" => StatementKind::Other("a `match` statement"),
            _ => StatementKind::Nothing,
        };
        Statement { line, kind }
    }

    fn expression_statement(&self, node: Node<'_>, depth: usize) -> StatementKind {
        let Some(inner) = named(node).first().copied() else { return StatementKind::Nothing };
        if inner.kind() != "assignment" {
            return match inner.kind() {
                "augmented_assignment" => StatementKind::Nothing,
                _ => StatementKind::Expr(self.expr(inner, depth)),
            };
        }
        let left = inner.child_by_field_name("left").map(|it| self.expr(it, depth));
        let right = inner.child_by_field_name("right").map(|it| self.expr(it, depth));
        match (left, right) {
            (Some(left), Some(right)) => StatementKind::Assign(left, right),
            _ => StatementKind::Nothing,
        }
    }

    /// `assert test` as a call of `assert`.
    fn assertion(&self, node: Node<'_>, test: Option<Expr>) -> Expr {
        let name = ExprKind::Name("assert".to_owned());
        let callee = at(node, name);
        let arguments = test.into_iter().collect();
        at(node, ExprKind::Call(Box::new(Call { callee, arguments, named: Vec::new() })))
    }

    /// `if`, with each `elif` in the `else` of the one before.
    fn choice(&self, node: Node<'_>, depth: usize) -> StatementKind {
        let test = |node: Node<'_>| match node.child_by_field_name("condition") {
            Some(test) => self.expr(test, depth),
            None => at(node, ExprKind::Other),
        };
        let alternatives: Vec<Node<'_>> =
            node.children_by_field_name("alternative", &mut node.walk()).collect();
        let mut otherwise = Vec::new();
        for alternative in alternatives.into_iter().rev() {
            if alternative.kind() == "else_clause" {
                otherwise = self.block_of(alternative, "body", depth);
            } else {
                let yes = self.block_of(alternative, "consequence", depth);
                let kind = StatementKind::If(test(alternative), yes, otherwise);
                otherwise = vec![Statement { line: line(alternative), kind }];
            }
        }
        StatementKind::If(test(node), self.block_of(node, "consequence", depth), otherwise)
    }

    fn rounds(&self, node: Node<'_>, depth: usize) -> StatementKind {
        let name = node.child_by_field_name("left").map_or("", |left| self.slice(left)).to_owned();
        let over = node.child_by_field_name("right").map(|right| self.expr(right, depth));
        let zero = at(node, ExprKind::Number(0.0));
        let rounds = match over {
            Some(Expr { kind: ExprKind::Call(call), .. }) if call.callee.path() == ["range"] => {
                let mut ends = call.arguments.into_iter();
                match (ends.next(), ends.next(), ends.next()) {
                    (Some(last), None, None) => Rounds::Numbers(zero, last),
                    (Some(first), Some(last), None) => Rounds::Numbers(first, last),
                    _ => Rounds::Unknown,
                }
            }
            Some(over) => Rounds::Of(over),
            None => Rounds::Unknown,
        };
        StatementKind::For(name, rounds, self.block_of(node, "body", depth))
    }

    fn with(&self, node: Node<'_>, depth: usize) -> StatementKind {
        let mut opened = Vec::new();
        let clause = named(node).into_iter().find(|child| child.kind() == "with_clause");
        for item in clause.into_iter().flat_map(named) {
            let Some(value) = item.child_by_field_name("value") else { continue };
            let parts = named(value);
            match (value.kind(), parts.as_slice()) {
                ("as_pattern", [inner, name]) => {
                    opened.push((self.expr(*inner, depth), Some(self.slice(*name).to_owned())));
                }
                _ => opened.push((self.expr(value, depth), None)),
            }
        }
        StatementKind::With(opened, self.block_of(node, "body", depth))
    }

    fn decorated(&self, node: Node<'_>, depth: usize) -> StatementKind {
        let decorators = named(node).into_iter().filter(|child| child.kind() == "decorator");
        let decorators =
            decorators.filter_map(|it| named(it).first().map(|it| self.expr(*it, depth)));
        let decorators = decorators.collect();
        match node.child_by_field_name("definition") {
            Some(inner) if inner.kind() == "class_definition" => {
                StatementKind::Class(Rc::new(self.class(inner, decorators, depth)))
            }
            Some(inner) => {
                StatementKind::Function(Rc::new(self.function(inner, decorators, depth)))
            }
            None => StatementKind::Nothing,
        }
    }

    fn name_of(&self, node: Node<'_>) -> String {
        node.child_by_field_name("name").map_or("", |name| self.slice(name)).to_owned()
    }

    fn function(&self, node: Node<'_>, decorators: Vec<Expr>, depth: usize) -> Function {
        let parameters = node.child_by_field_name("parameters");
        Function {
            name: self.name_of(node),
            line: line(node),
            parameters: parameters.map_or_else(Vec::new, |it| self.parameters(it)),
            decorators,
            body: self.block_of(node, "body", depth + 1),
        }
    }

    fn parameters(&self, node: Node<'_>) -> Vec<String> {
        let name = |parameter: Node<'_>| match parameter.kind() {
            "identifier" => self.slice(parameter).to_owned(),
            "typed_parameter" => {
                named(parameter).first().map_or("", |name| self.slice(*name)).to_owned()
            }
            _ => self.name_of(parameter),
        };
        named(node).into_iter().map(name).collect()
    }

    fn class(&self, node: Node<'_>, decorators: Vec<Expr>, depth: usize) -> Class {
        let bases = node.child_by_field_name("superclasses");
        let bases = bases.into_iter().flat_map(named);
        Class {
            name: self.name_of(node),
            line: line(node),
            bases: bases.map(|base| self.expr(base, depth)).collect(),
            decorators,
            body: self.block_of(node, "body", depth + 1),
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
            "identifier" | "as_pattern_target" => ExprKind::Name(self.slice(node).to_owned()),
            "true" => ExprKind::Switch(true),
            "false" => ExprKind::Switch(false),
            "none" => ExprKind::Nothing,
            "integer" | "float" => number(self.slice(node)),
            "string" => ExprKind::Joined(self.string(node, depth)).plain(),
            "concatenated_string" => {
                let parts = named(node).into_iter();
                ExprKind::Joined(parts.flat_map(|part| self.string(part, depth)).collect()).plain()
            }
            "parenthesized_expression" | "await" | "as_pattern" => match named(node).first() {
                Some(inner) => return self.expr(*inner, depth),
                None => ExprKind::Other,
            },
            "attribute" => {
                let name = node.child_by_field_name("attribute");
                let name = name.map_or("", |name| self.slice(name)).to_owned();
                ExprKind::Member(self.field(node, "object", depth), name)
            }
            "subscript" => self.subscript(node, depth),
            "call" => self.call(node, depth),
            "list" | "tuple" | "set" | "expression_list" | "pattern_list" | "tuple_pattern" => {
                ExprKind::List(named(node).into_iter().map(|it| self.expr(it, depth)).collect())
            }
            "dictionary" => self.dictionary(node, depth),
            "not_operator" => ExprKind::Not(self.field(node, "argument", depth)),
            "unary_operator" => self.unary(node, depth),
            "binary_operator" | "boolean_operator" => self.binary(node, depth),
            "comparison_operator" => self.comparison(node, depth),
            "lambda" => self.lambda(node, depth),
            // `a if test else b`.
            "conditional_expression" => match named(node).as_slice() {
                [yes, test, no] => ExprKind::Choice(Box::new([
                    self.expr(*test, depth),
                    self.expr(*yes, depth),
                    self.expr(*no, depth),
                ])),
                _ => ExprKind::Other,
            },
            _ => ExprKind::Other,
        };
        at(node, kind)
    }

    fn call(&self, node: Node<'_>, depth: usize) -> ExprKind {
        let (mut arguments, mut by_name) = (Vec::new(), Vec::new());
        let list = node.child_by_field_name("arguments");
        for argument in list.into_iter().flat_map(named) {
            match argument.kind() {
                "keyword_argument" => {
                    let value = self.field(argument, "value", depth);
                    by_name.push((self.name_of(argument), *value));
                }
                "list_splat" | "dictionary_splat" => {}
                _ => arguments.push(self.expr(argument, depth)),
            }
        }
        let callee = *self.field(node, "function", depth);
        ExprKind::Call(Box::new(Call { callee, arguments, named: by_name }))
    }

    fn subscript(&self, node: Node<'_>, depth: usize) -> ExprKind {
        let value = self.field(node, "value", depth);
        let index = self.field(node, "subscript", depth);
        match index.kind {
            ExprKind::Text(name) => ExprKind::Member(value, name),
            _ => ExprKind::Index(value, index),
        }
    }

    fn dictionary(&self, node: Node<'_>, depth: usize) -> ExprKind {
        let entry = |entry: Node<'_>| match entry.kind() {
            "pair" => Some((*self.field(entry, "key", depth), *self.field(entry, "value", depth))),
            // `**other`.
            "dictionary_splat" => {
                let value = self.expr(named(entry).first().copied()?, depth);
                Some((at(entry, ExprKind::Other), value))
            }
            _ => None,
        };
        ExprKind::Map(named(node).into_iter().filter_map(entry).collect())
    }

    fn unary(&self, node: Node<'_>, depth: usize) -> ExprKind {
        let inner = self.field(node, "argument", depth);
        match (self.slice(node).starts_with('-'), inner.kind) {
            (true, ExprKind::Number(number)) => ExprKind::Number(-number),
            _ => ExprKind::Other,
        }
    }

    fn binary(&self, node: Node<'_>, depth: usize) -> ExprKind {
        let operator = node.child_by_field_name("operator").map_or("", |it| self.slice(it));
        let (left, right) = (self.field(node, "left", depth), self.field(node, "right", depth));
        let operator = match operator {
            "+" => Operator::Add,
            "-" => Operator::Subtract,
            "*" => Operator::Multiply,
            "/" | "//" => Operator::Divide,
            // `"/item/%s" % id`.
            "%" => match (left.kind, right) {
                (ExprKind::Text(text), right) => return percent(&text, *right),
                (kind, right) => {
                    let left = Box::new(at(node, kind));
                    return ExprKind::Binary(Operator::Remainder, left, right);
                }
            },
            "and" => Operator::And,
            "or" => Operator::Or,
            _ => return ExprKind::Other,
        };
        ExprKind::Binary(operator, left, right)
    }

    /// One comparison, or a chain such as `200 <= status < 300`.
    fn comparison(&self, node: Node<'_>, depth: usize) -> ExprKind {
        let mut cursor = node.walk();
        let operators = node.children_by_field_name("operators", &mut cursor);
        let operators: Vec<&str> = operators.map(|it| self.slice(it)).collect();
        let operands: Vec<Expr> = named(node)
            .into_iter()
            .filter(|it| it.is_named())
            .map(|it| self.expr(it, depth))
            .collect();
        let mut whole: Option<ExprKind> = None;
        for (pair, operator) in operands.windows(2).zip(operators) {
            let [left, right] = pair else { continue };
            let (left, right) = (Box::new(left.clone()), Box::new(right.clone()));
            let one = match operator {
                "==" | "is" => ExprKind::Binary(Operator::Equal, left, right),
                "!=" | "is not" | "<>" => ExprKind::Binary(Operator::Unequal, left, right),
                "<" => ExprKind::Binary(Operator::Less, left, right),
                "<=" => ExprKind::Binary(Operator::LessOrEqual, left, right),
                ">" => ExprKind::Binary(Operator::Greater, left, right),
                ">=" => ExprKind::Binary(Operator::GreaterOrEqual, left, right),
                "in" => ExprKind::Binary(Operator::In, left, right),
                "not in" => {
                    let inside = at(node, ExprKind::Binary(Operator::In, left, right));
                    ExprKind::Not(Box::new(inside))
                }
                _ => return ExprKind::Other,
            };
            whole = Some(match whole {
                None => one,
                Some(before) => ExprKind::Binary(
                    Operator::And,
                    Box::new(at(node, before)),
                    Box::new(at(node, one)),
                ),
            });
        }
        whole.unwrap_or(ExprKind::Other)
    }

    fn lambda(&self, node: Node<'_>, depth: usize) -> ExprKind {
        let parameters = node.child_by_field_name("parameters");
        let line = line(node);
        let value = *self.field(node, "body", depth);
        let returned = Statement { line, kind: StatementKind::Return(Some(value)) };
        ExprKind::Function(Rc::new(Function {
            name: String::new(),
            line,
            parameters: parameters.map_or_else(Vec::new, |it| self.parameters(it)),
            decorators: Vec::new(),
            body: vec![returned],
        }))
    }

    /// The parts of a string: texts, and the expressions of an f-string.
    fn string(&self, node: Node<'_>, depth: usize) -> Vec<Expr> {
        let mut parts = Vec::new();
        let start = named(node).first().map_or("", |start| self.slice(*start)).to_lowercase();
        let is_raw = start.contains('r');
        for part in named(node) {
            match part.kind() {
                "string_content" => {
                    let text = self.content(part, is_raw, start.contains('f'));
                    parts.push(at(part, ExprKind::Text(text)));
                }
                "interpolation" => parts.push(*self.field(part, "expression", depth)),
                _ => {}
            }
        }
        parts
    }

    /// The text of a string, whose escapes are nodes of their own.
    fn content(&self, node: Node<'_>, is_raw: bool, is_format: bool) -> String {
        let (mut text, mut at) = (String::new(), node.start_byte());
        for escape in named(node) {
            text.push_str(self.text.get(at..escape.start_byte()).unwrap_or_default());
            let own = self.slice(escape);
            match escape.kind() {
                "escape_sequence" if !is_raw => text.push_str(&escaped(own)),
                _ => text.push_str(own),
            }
            at = escape.end_byte();
        }
        text.push_str(self.text.get(at..node.end_byte()).unwrap_or_default());
        match is_format {
            true => text.replace("{{", "{").replace("}}", "}"),
            false => text,
        }
    }
}

fn number(text: &str) -> ExprKind {
    let text = text.replace('_', "");
    let number = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => i64::from_str_radix(hex, 16).ok().map(|number| number as f64),
        None => text.parse::<f64>().ok(),
    };
    number.filter(|number| number.is_finite()).map_or(ExprKind::Other, ExprKind::Number)
}

/// `"/item/%s/%d" % (a, b)`.
fn percent(text: &str, right: Expr) -> ExprKind {
    let mut values = match right.kind {
        ExprKind::List(values) => values,
        kind => vec![Expr { kind, line: right.line, span: right.span.clone() }],
    }
    .into_iter();
    let (line, span) = (right.line, right.span);
    let plain = |text: String| Expr { line, span: span.clone(), kind: ExprKind::Text(text) };
    let mut parts = Vec::new();
    let mut own = String::new();
    let mut letters = text.chars().peekable();
    while let Some(c) = letters.next() {
        match (c, letters.peek()) {
            ('%', Some('%')) => {
                letters.next();
                own.push('%');
            }
            ('%', Some('s' | 'd' | 'i' | 'r')) => {
                letters.next();
                parts.push(plain(std::mem::take(&mut own)));
                match values.next() {
                    Some(value) => parts.push(value),
                    None => return ExprKind::Other,
                }
            }
            ('%', _) => return ExprKind::Other,
            (c, _) => own.push(c),
        }
    }
    parts.push(plain(own));
    ExprKind::Joined(parts).plain()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> ExprKind {
        let program = LANGUAGE.whole(&format!("x = {text}\n")).unwrap();
        match program.statements.into_iter().next().map(|it| it.kind) {
            Some(StatementKind::Assign(_, value)) => value.kind,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn texts_are_read_with_their_escapes() {
        for (source, text) in [
            (r#""a\n\"b\"\x41""#, "a\n\"b\"A"),
            (r#"r"a\n""#, r"a\n"),
            ("'a' \"b\"", "ab"),
            ("f'{{a}}'", "{a}"),
            ("'50%% of %s' % 'it'", "50% of it"),
        ] {
            match value(source) {
                ExprKind::Text(read) => assert_eq!(read, text, "{source}"),
                other => panic!("{source}: {other:?}"),
            }
        }
        assert!(matches!(value("f'/a/{b}'"), ExprKind::Joined(parts) if parts.len() == 2));
    }

    #[test]
    fn a_mistake_has_its_place() {
        let why = LANGUAGE.whole("a = 1\ndef b(:\n    pass\n").map(|_| ()).unwrap_err().to_string();
        assert!(why.starts_with("line 2, column "), "{why}");
    }

    #[test]
    fn depth_is_bounded() {
        for text in ["(".repeat(20_000) + "1" + &")".repeat(20_000), "not ".repeat(20_000) + "1"] {
            assert!(LANGUAGE.whole(&format!("x = {text}\n")).is_ok());
        }
    }
}
