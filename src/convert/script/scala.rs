//! Scala, by tree-sitter's grammar.

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

/// Objects and classes of Scala. Each call of a chain has the line of its name.
pub(in crate::convert) static LANGUAGE: Language = Language {
    read,
    imports: |_, text| classes::named(text),
    paths: |import, within| classes::paths(import, within, ".scala"),
    is_missed: |_| false,
};

fn read(text: &str, part: Range<usize>) -> Result<Program, ConvertError> {
    let language = tree_sitter_scala::LANGUAGE.into();
    grammar::parse((text, part), &language, "Scala", |root| {
        let reader = Reader { text };
        Program { statements: reader.block(root, 0) }
    })
}

struct Reader<'t> {
    text: &'t str,
}

/// One part of a chain: `.name(…)`, `.name`, or a second list of arguments.
struct ChainPart<'t> {
    whole: Node<'t>,
    name: Option<Node<'t>>,
    arguments: Option<Node<'t>>,
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
        named(node).into_iter().flat_map(|child| self.statement(child, depth + 1)).collect()
    }

    /// The statements in a field: a block, or one expression.
    fn block_of(&self, node: Node<'_>, field: &str, depth: usize) -> Vec<Statement> {
        let Some(inner) = node.child_by_field_name(field) else { return Vec::new() };
        match inner.kind() {
            "block" | "indented_block" | "template_body" => self.block(inner, depth),
            _ => self.statement(inner, depth + 1),
        }
    }

    fn statement(&self, node: Node<'_>, depth: usize) -> Vec<Statement> {
        if depth > DEEPEST {
            return Vec::new();
        }
        let kind = match node.kind() {
            "class_definition" | "object_definition" | "trait_definition" | "package_object" => {
                StatementKind::Class(Rc::new(self.class(node, depth)))
            }
            "package_clause" => return self.block_of(node, "body", depth),
            "val_definition" | "var_definition" => {
                let pattern = node.child_by_field_name("pattern");
                match pattern.zip(node.child_by_field_name("value")) {
                    Some((name, value)) if name.kind() == "identifier" => {
                        let name = at(name, ExprKind::Name(self.slice(name).to_owned()));
                        StatementKind::Assign(name, self.expr(value, depth))
                    }
                    _ => StatementKind::Nothing,
                }
            }
            "function_definition" => StatementKind::Function(Rc::new(self.function(node, depth))),
            "assignment_expression" => {
                let left = *self.field(node, "left", depth);
                StatementKind::Assign(left, *self.field(node, "right", depth))
            }
            "if_expression" => {
                let test = *self.field(node, "condition", depth);
                let yes = self.block_of(node, "consequence", depth + 1);
                StatementKind::If(test, yes, self.block_of(node, "alternative", depth + 1))
            }
            "for_expression" => {
                let (name, rounds) = self.rounds(node, depth);
                StatementKind::For(name, rounds, self.block_of(node, "body", depth))
            }
            "while_expression" | "do_while_expression" => {
                let body = self.block_of(node, "body", depth);
                StatementKind::For(String::new(), Rounds::Unknown, body)
            }
            "try_expression" => StatementKind::Block(self.block_of(node, "body", depth)),
            "block" | "indented_block" => StatementKind::Block(self.block(node, depth)),
            "return_expression" => {
                StatementKind::Return(named(node).first().map(|value| self.expr(*value, depth)))
            }
            "match_expression" => StatementKind::Other("a `match` expression"),
            "import_declaration" | "package_identifier" | "self_type" | "val_declaration" => {
                StatementKind::Nothing
            }
            kind if kind.ends_with("_definition") || kind.ends_with("_declaration") => {
                StatementKind::Nothing
            }
            _ => StatementKind::Expr(self.expr(node, depth)),
        };
        vec![Statement { line: line(node), kind }]
    }

    fn class(&self, node: Node<'_>, depth: usize) -> Class {
        let extends = node.child_by_field_name("extend").into_iter().flat_map(named);
        let extends = extends.filter(|it| it.kind() != "arguments");
        // `a.b.Simulation` and `Base[T]` by their last plain name.
        let base = |base: Node<'_>| {
            let text = self.slice(base).split(['[', '(']).next().unwrap_or_default();
            let name = text.split(" with ").next().unwrap_or_default();
            let name = name.rsplit('.').next().unwrap_or_default().trim();
            at(base, ExprKind::Name(name.to_owned()))
        };
        Class {
            name: self.name(node),
            line: line(node),
            bases: extends.map(base).collect(),
            decorators: Vec::new(),
            body: self.block_of(node, "body", depth + 1),
        }
    }

    /// `for (i <- 1 to 5)` and `for (path <- paths)`.
    fn rounds(&self, node: Node<'_>, depth: usize) -> (String, Rounds) {
        let lists: Vec<Node<'_>> = node
            .children_by_field_name("enumerators", &mut node.walk())
            .filter(|it| it.kind() == "enumerators")
            .collect();
        let enumerators: Vec<Node<'_>> = lists.into_iter().flat_map(named).collect();
        let [only] = enumerators.as_slice() else { return (String::new(), Rounds::Unknown) };
        match named(*only).as_slice() {
            [name, of] if name.kind() == "identifier" => {
                (self.slice(*name).to_owned(), Rounds::Of(self.expr(*of, depth)))
            }
            _ => (String::new(), Rounds::Unknown),
        }
    }

    fn function(&self, node: Node<'_>, depth: usize) -> Function {
        let lists: Vec<Node<'_>> = node
            .children_by_field_name("parameters", &mut node.walk())
            .filter(|it| it.kind() == "parameters")
            .collect();
        let parameters = lists.into_iter().flat_map(named);
        let parameters = parameters.filter(|it| it.kind() == "parameter");
        Function {
            name: self.name(node),
            line: line(node),
            parameters: parameters.map(|it| self.name(it)).collect(),
            decorators: Vec::new(),
            body: returning(self.block_of(node, "body", depth + 1)),
        }
    }

    /// `session => …`.
    fn lambda(&self, node: Node<'_>, depth: usize) -> Function {
        let parameters = node.child_by_field_name("parameters");
        let body = named(node).into_iter().filter(|it| Some(*it) != parameters);
        let body: Vec<Node<'_>> = body.filter(|it| it.kind() != "type_parameters").collect();
        let statements = match body.as_slice() {
            [block] if matches!(block.kind(), "block" | "indented_block") => {
                self.block(*block, depth)
            }
            several => several.iter().flat_map(|it| self.statement(*it, depth)).collect(),
        };
        let parameters = match parameters {
            Some(list) if list.kind() == "bindings" => {
                named(list).into_iter().map(|it| self.name(it)).collect()
            }
            Some(only) => vec![self.slice(only).to_owned()],
            None => Vec::new(),
        };
        Function {
            name: String::new(),
            line: line(node),
            parameters,
            decorators: Vec::new(),
            body: returning(statements),
        }
    }

    fn field(&self, node: Node<'_>, name: &str, depth: usize) -> Box<Expr> {
        Box::new(match node.child_by_field_name(name) {
            Some(child) => self.expr(child, depth),
            None => at(node, ExprKind::Other),
        })
    }

    fn first(&self, node: Node<'_>, depth: usize) -> Expr {
        match named(node).first() {
            Some(inner) => self.expr(*inner, depth),
            None => at(node, ExprKind::Other),
        }
    }

    fn expr(&self, node: Node<'_>, depth: usize) -> Expr {
        if depth > DEEPEST {
            return at(node, ExprKind::Other);
        }
        let depth = depth + 1;
        let kind = match node.kind() {
            "identifier" | "type_identifier" => ExprKind::Name(self.slice(node).to_owned()),
            "boolean_literal" => ExprKind::Switch(self.slice(node) == "true"),
            "null_literal" | "unit" => ExprKind::Nothing,
            "integer_literal" | "floating_point_literal" => number_of_jvm(self.slice(node)),
            "string" => ExprKind::Text(string(self.slice(node))),
            "character_literal" => ExprKind::Text(unescaped(self.slice(node).trim_matches('\''))),
            "interpolated_string_expression" => {
                ExprKind::Joined(self.interpolated(node, depth)).plain()
            }
            "parenthesized_expression" | "ascription_expression" | "vararg" => {
                return self.first(node, depth);
            }
            "block" | "indented_block" => return self.block_value(node, depth),
            // A named argument.
            "assignment_expression" => return *self.field(node, "right", depth),
            "tuple_expression" => {
                ExprKind::List(named(node).into_iter().map(|it| self.expr(it, depth)).collect())
            }
            "field_expression" | "call_expression" | "generic_function" | "postfix_expression" => {
                return self.chain(node, depth);
            }
            "infix_expression" => return self.infix(node, depth),
            "instance_expression" => self.instance(node, depth),
            "lambda_expression" => ExprKind::Function(Rc::new(self.lambda(node, depth))),
            "prefix_expression" => self.prefix(node, depth),
            "if_expression" => ExprKind::Choice(Box::new([
                *self.field(node, "condition", depth),
                *self.field(node, "consequence", depth),
                *self.field(node, "alternative", depth),
            ])),
            _ => ExprKind::Other,
        };
        at(node, kind)
    }

    /// What a block comes to: its only expression, or what its statements return.
    fn block_value(&self, node: Node<'_>, depth: usize) -> Expr {
        let inner = named(node);
        match inner.as_slice() {
            [] => at(node, ExprKind::Nothing),
            [only] if !only.kind().ends_with("_definition") => self.expr(*only, depth),
            _ => {
                let body = returning(self.block(node, depth));
                let function = Function {
                    name: String::new(),
                    line: line(node),
                    parameters: Vec::new(),
                    decorators: Vec::new(),
                    body,
                };
                let callee = at(node, ExprKind::Function(Rc::new(function)));
                let call = Call { callee, arguments: Vec::new(), named: Vec::new() };
                at(node, ExprKind::Call(Box::new(call)))
            }
        }
    }

    fn arguments(&self, node: Node<'_>, depth: usize) -> Vec<Expr> {
        match node.kind() {
            "arguments" => named(node).into_iter().map(|it| self.expr(it, depth)).collect(),
            "colon_argument" => {
                let start = node.child_by_field_name("lambda_start");
                let body = named(node).into_iter().filter(|it| Some(*it) != start);
                body.map(|it| self.expr(it, depth)).collect()
            }
            _ => vec![self.expr(node, depth)],
        }
    }

    /// `a.b(c) d e`, from its end to its beginning.
    fn chain(&self, node: Node<'_>, depth: usize) -> Expr {
        let mut parts: Vec<ChainPart<'_>> = Vec::new();
        let mut first = node;
        while parts.len() < LONGEST_CHAIN {
            let Some((part, of)) = self.last_part(first) else { break };
            parts.extend(part);
            first = of;
        }
        let is_cut = parts.len() == LONGEST_CHAIN && self.last_part(first).is_some();
        let mut expr = match first.kind() {
            _ if is_cut => at(first, ExprKind::Other),
            // The first call of all, such as `exec(…)`.
            "call_expression" => {
                let arguments = first.child_by_field_name("arguments");
                let arguments = arguments.map_or_else(Vec::new, |it| self.arguments(it, depth));
                let callee = *self.field(first, "function", depth);
                let call = Call { callee, arguments, named: Vec::new() };
                at(first, ExprKind::Call(Box::new(call)))
            }
            "field_expression" | "generic_function" | "postfix_expression" => {
                at(first, ExprKind::Other)
            }
            _ => self.expr(first, depth),
        };
        let count = parts.len();
        for (index, part) in parts.into_iter().rev().enumerate() {
            let place = |kind| Expr {
                line: line(part.name.unwrap_or(part.whole)),
                span: part.whole.byte_range(),
                kind,
            };
            if let Some(name) = part.name {
                expr = place(ExprKind::Member(Box::new(expr), self.slice(name).to_owned()));
            }
            // `a.b` in `a.b.c(…)` is a name; at the end, and of a value, it is a call without
            // parentheses.
            let is_name = part.arguments.is_none() && index + 1 < count && !expr.path().is_empty();
            if !is_name {
                let arguments = part.arguments;
                let arguments = arguments.map_or_else(Vec::new, |it| self.arguments(it, depth));
                let call = Call { callee: expr, arguments, named: Vec::new() };
                expr = place(ExprKind::Call(Box::new(call)));
            }
        }
        expr
    }

    /// The last part of a chain, and what it is of; `None` at its beginning.
    fn last_part<'t>(&self, node: Node<'t>) -> Option<(Option<ChainPart<'t>>, Node<'t>)> {
        let field = |of: Node<'t>, name| of.child_by_field_name(name);
        match node.kind() {
            "call_expression" => {
                let arguments = field(node, "arguments");
                let mut function = field(node, "function")?;
                if function.kind() == "generic_function" {
                    function = field(function, "function")?;
                }
                match function.kind() {
                    "field_expression" => {
                        let (of, name) = (field(function, "value")?, field(function, "field"));
                        Some((Some(ChainPart { whole: node, name, arguments }), of))
                    }
                    // `repeat(4) { … }`.
                    "call_expression" => {
                        let part = ChainPart { whole: node, name: None, arguments };
                        Some((Some(part), function))
                    }
                    _ => None,
                }
            }
            "field_expression" => {
                let (of, name) = (field(node, "value")?, field(node, "field"));
                Some((Some(ChainPart { whole: node, name, arguments: None }), of))
            }
            "generic_function" => Some((None, field(node, "function")?)),
            // `10 seconds`.
            "postfix_expression" => match named(node).as_slice() {
                [of, name] => {
                    Some((Some(ChainPart { whole: node, name: Some(*name), arguments: None }), *of))
                }
                _ => None,
            },
            // `rampUsers(10) during 20`.
            "infix_expression" => {
                let name = field(node, "operator").filter(|it| self.is_word(*it))?;
                let part = ChainPart {
                    whole: node,
                    name: Some(name),
                    arguments: Some(field(node, "right")?),
                };
                Some((Some(part), field(node, "left")?))
            }
            _ => None,
        }
    }

    /// Whether an operator is the name of a method.
    fn is_word(&self, node: Node<'_>) -> bool {
        self.slice(node).starts_with(|c: char| c.is_alphabetic())
    }

    fn infix(&self, node: Node<'_>, depth: usize) -> Expr {
        let operator = node.child_by_field_name("operator");
        if operator.is_some_and(|it| self.is_word(it)) {
            return self.chain(node, depth);
        }
        let text = operator.map_or("", |it| self.slice(it));
        let (left, right) = (self.field(node, "left", depth), self.field(node, "right", depth));
        let kind = match Operator::of(text) {
            Some(operator) => ExprKind::Binary(operator, left, right),
            None if text == "->" => ExprKind::List(vec![*left, *right]),
            None => ExprKind::Other,
        };
        at(node, kind)
    }

    /// `new Name(…)`.
    fn instance(&self, node: Node<'_>, depth: usize) -> ExprKind {
        let arguments = node.child_by_field_name("arguments");
        let of = named(node).into_iter().find(|it| Some(*it) != arguments);
        let name = of.map_or("", |it| self.slice(it)).split('[').next().unwrap_or_default();
        let name = name.rsplit('.').next().unwrap_or_default().trim().to_owned();
        let callee = at(node, ExprKind::Name(name));
        let arguments = arguments.map_or_else(Vec::new, |it| self.arguments(it, depth));
        ExprKind::Call(Box::new(Call { callee, arguments, named: Vec::new() }))
    }

    fn prefix(&self, node: Node<'_>, depth: usize) -> ExprKind {
        let inner = Box::new(match named(node).last() {
            Some(inner) => self.expr(*inner, depth),
            None => at(node, ExprKind::Other),
        });
        ExprKind::unary(self.slice(node).get(..1).unwrap_or_default(), inner)
    }

    /// The parts of `s"…$name…${expression}…"`.
    fn interpolated(&self, node: Node<'_>, depth: usize) -> Vec<Expr> {
        let text = named(node).into_iter().find(|it| it.kind() == "interpolated_string");
        let Some(text) = text else { return Vec::new() };
        let whole = self.slice(text);
        let open = whole.find('"').unwrap_or(0);
        let is_block = whole.get(open..).is_some_and(|it| it.starts_with("\"\"\""));
        let quotes = if is_block { 3 } else { 1 };
        let mut place = text.start_byte() + open + quotes;
        let end = text.end_byte().saturating_sub(quotes);
        let (mut parts, mut own) = (Vec::new(), String::new());
        for part in named(text) {
            own.push_str(self.text.get(place..part.start_byte()).unwrap_or_default());
            place = part.end_byte();
            match part.kind() {
                "interpolation" => {
                    parts.push(at(text, ExprKind::Text(std::mem::take(&mut own))));
                    parts.push(self.first(part, depth));
                }
                _ => {
                    let escape = self.slice(part);
                    match escape.strip_prefix('$') {
                        Some(plain) => own.push_str(plain),
                        None => own.push_str(&unescaped(escape)),
                    }
                }
            }
        }
        own.push_str(self.text.get(place..end).unwrap_or_default());
        parts.push(at(text, ExprKind::Text(own)));
        parts
    }
}

/// The same statements with the last one as what they come to.
fn returning(mut statements: Vec<Statement>) -> Vec<Statement> {
    if let Some(last) = statements.last_mut()
        && let StatementKind::Expr(value) = &last.kind
    {
        last.kind = StatementKind::Return(Some(value.clone()));
    }
    statements
}

/// What stands between the quotes of a text: three quotes have no escapes in them.
fn string(source: &str) -> String {
    match source.strip_prefix("\"\"\"").and_then(|it| it.strip_suffix("\"\"\"")) {
        Some(raw) => raw.to_owned(),
        None => {
            let inside = source.strip_prefix('"').unwrap_or(source);
            unescaped(inside.strip_suffix('"').unwrap_or(inside))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> ExprKind {
        let program = LANGUAGE.whole(&format!("object A {{\n  val x = {text}\n}}\n")).unwrap();
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
            ("\"\"\"{\"a\": \"\\d\"}\"\"\"", "{\"a\": \"\\d\"}"),
            ("s\"a$$b\"", "a$b"),
        ] {
            match value(source) {
                ExprKind::Text(read) => assert_eq!(read, text, "{source}"),
                other => panic!("{source}: {other:?}"),
            }
        }
        assert!(
            matches!(value("s\"/a/$b?c=${d.e}\""), ExprKind::Joined(parts) if parts.len() == 5)
        );
    }

    #[test]
    fn blocks_and_words_are_calls() {
        // `repeat(4)` is called with the block.
        let ExprKind::Call(call) = value("repeat(4) { exec(a) }") else { panic!("no call") };
        assert!(matches!(call.callee.kind, ExprKind::Call(_)));
        let ExprKind::Call(call) = value("rampUsers(10) during (5 seconds)") else {
            panic!("no call")
        };
        assert!(matches!(&call.callee.kind, ExprKind::Member(_, name) if name == "during"));
        let [time] = call.arguments.as_slice() else { panic!("{:?}", call.arguments) };
        let ExprKind::Call(time) = &time.kind else { panic!("{time:?}") };
        assert!(matches!(&time.callee.kind, ExprKind::Member(_, name) if name == "seconds"));
        assert!(matches!(value("60.0 -> a"), ExprKind::List(parts) if parts.len() == 2));
    }

    #[test]
    fn a_long_chain_is_read_whole_and_a_deep_expression_in_part() {
        let chain = "a()".to_owned() + &"\n    .b(1)".repeat(400);
        let ExprKind::Call(call) = value(&chain) else { panic!("no call") };
        assert_eq!((call.callee.line, call.arguments.len()), (402, 1));
        value(&("a()".to_owned() + &".b()".repeat(5000)));
        value(&("f(".repeat(2000) + "1" + &")".repeat(2000)));
    }

    #[test]
    fn a_mistake_has_its_place() {
        let why =
            LANGUAGE.whole("object A {\n  val = ) 1\n}\n").map(|_| ()).unwrap_err().to_string();
        assert!(why.starts_with("line "), "{why}");
    }
}
