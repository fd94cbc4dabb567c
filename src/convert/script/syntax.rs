//! A program as far as converters look at it: one form for JavaScript, Python, Java and Scala.

use std::ops::Range;
use std::rc::Rc;

/// An expression with its place.
#[derive(Clone, Debug)]
pub(in crate::convert) struct Expr {
    /// Line, from 1.
    pub(in crate::convert) line: usize,
    /// Bytes of the text.
    pub(in crate::convert) span: Range<usize>,
    pub(in crate::convert) kind: ExprKind,
}

/// What an expression is.
#[derive(Clone, Debug)]
pub(in crate::convert) enum ExprKind {
    Text(String),
    Number(f64),
    Switch(bool),
    Nothing,
    /// A text with expressions in it, in order.
    Joined(Vec<Expr>),
    Name(String),
    /// `a.b`, and `a["b"]` too.
    Member(Box<Expr>, String),
    /// `a[i]`.
    Index(Box<Expr>, Box<Expr>),
    Call(Box<Call>),
    List(Vec<Expr>),
    Map(Vec<(Expr, Expr)>),
    Function(Rc<Function>),
    /// An operator as JavaScript writes it: `===` and `==` are `==`, `and` is `&&`.
    Binary(Operator, Box<Expr>, Box<Expr>),
    Not(Box<Expr>),
    /// The test, and what it comes to where that holds and where it does not.
    Choice(Box<[Expr; 3]>),
    /// Whatever else there is.
    Other,
}

/// An operator between two expressions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::convert) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    And,
    Or,
    /// Python's `in`.
    In,
}

/// A call, or JavaScript's `new`.
#[derive(Clone, Debug)]
pub(in crate::convert) struct Call {
    pub(in crate::convert) callee: Expr,
    pub(in crate::convert) arguments: Vec<Expr>,
    /// Python's arguments with a name.
    pub(in crate::convert) named: Vec<(String, Expr)>,
}

impl Call {
    /// The argument at a place, or with a name.
    pub(in crate::convert) fn argument(&self, index: usize, name: &str) -> Option<&Expr> {
        let named = self.named.iter().find(|(known, _)| known == name).map(|(_, value)| value);
        named.or_else(|| self.arguments.get(index))
    }
}

/// A function with its body.
#[derive(Clone, Debug)]
pub(in crate::convert) struct Function {
    pub(in crate::convert) name: String,
    pub(in crate::convert) line: usize,
    pub(in crate::convert) parameters: Vec<String>,
    pub(in crate::convert) decorators: Vec<Expr>,
    pub(in crate::convert) body: Vec<Statement>,
}

/// A class, or an object of Scala: values of its own, functions, and what runs when it is made.
#[derive(Clone, Debug)]
pub(in crate::convert) struct Class {
    pub(in crate::convert) name: String,
    pub(in crate::convert) line: usize,
    pub(in crate::convert) bases: Vec<Expr>,
    pub(in crate::convert) decorators: Vec<Expr>,
    pub(in crate::convert) body: Vec<Statement>,
}

/// A statement with its place.
#[derive(Clone, Debug)]
pub(in crate::convert) struct Statement {
    /// Line, from 1.
    pub(in crate::convert) line: usize,
    pub(in crate::convert) kind: StatementKind,
}

/// What a statement is.
#[derive(Clone, Debug)]
pub(in crate::convert) enum StatementKind {
    Expr(Expr),
    /// Also a declaration.
    Assign(Expr, Expr),
    If(Expr, Vec<Statement>, Vec<Statement>),
    /// The name of the value of each round, what the rounds are over, and the body.
    For(String, Rounds, Vec<Statement>),
    /// Python's `with`: expressions with the names of their values.
    With(Vec<(Expr, Option<String>)>, Vec<Statement>),
    /// `try`, and a block on its own.
    Block(Vec<Statement>),
    Return(Option<Expr>),
    Function(Rc<Function>),
    Class(Rc<Class>),
    /// `export default`, with the expression that is exported.
    Default(Expr),
    /// An import of another file, or of a library.
    Import(Box<Import>),
    /// Nothing that matters here.
    Nothing,
    /// Whatever else there is, by what it is called.
    Other(&'static str),
}

/// What a program takes from a file of its own, or from a library.
#[derive(Clone, Debug, Default)]
pub(in crate::convert) struct Import {
    /// Line, from 1.
    pub(in crate::convert) line: usize,
    /// The file or the module, as it is written.
    pub(in crate::convert) from: String,
    /// Names there, and what they are called here. `default` is JavaScript's default export.
    pub(in crate::convert) names: Vec<(String, String)>,
    /// The name here of all that is there.
    pub(in crate::convert) whole: Option<String>,
}

/// What a loop is over.
#[derive(Clone, Debug)]
pub(in crate::convert) enum Rounds {
    /// Whole numbers from the first to before the last.
    Numbers(Expr, Expr),
    /// The values of a list.
    Of(Expr),
    Unknown,
}

/// A whole program.
#[derive(Debug)]
pub(in crate::convert) struct Program {
    pub(in crate::convert) statements: Vec<Statement>,
}

impl Expr {
    /// The names it consists of: `a.b.c` is `["a", "b", "c"]`; empty for anything else.
    pub(in crate::convert) fn path(&self) -> Vec<&str> {
        match &self.kind {
            ExprKind::Name(name) => vec![name],
            ExprKind::Member(of, name) => {
                let mut path = of.path();
                if !path.is_empty() {
                    path.push(name);
                }
                path
            }
            _ => Vec::new(),
        }
    }

    /// Whether a name is used in it.
    pub(in crate::convert) fn uses(&self, wanted: &str) -> bool {
        match &self.kind {
            ExprKind::Name(name) => name == wanted,
            ExprKind::Joined(parts) | ExprKind::List(parts) => {
                parts.iter().any(|part| part.uses(wanted))
            }
            ExprKind::Member(of, _) | ExprKind::Not(of) => of.uses(wanted),
            ExprKind::Index(a, b) | ExprKind::Binary(_, a, b) => a.uses(wanted) || b.uses(wanted),
            ExprKind::Call(call) => {
                let named = call.named.iter().map(|(_, value)| value);
                let all = [&call.callee].into_iter().chain(&call.arguments).chain(named);
                all.into_iter().any(|part| part.uses(wanted))
            }
            ExprKind::Map(entries) => {
                entries.iter().any(|(key, value)| key.uses(wanted) || value.uses(wanted))
            }
            ExprKind::Function(function) => uses(&function.body, wanted),
            ExprKind::Choice(parts) => parts.iter().any(|part| part.uses(wanted)),
            ExprKind::Text(_)
            | ExprKind::Number(_)
            | ExprKind::Switch(_)
            | ExprKind::Nothing
            | ExprKind::Other => false,
        }
    }
}

/// Whether a name is used in statements.
pub(in crate::convert) fn uses(statements: &[Statement], wanted: &str) -> bool {
    statements.iter().any(|statement| match &statement.kind {
        StatementKind::Expr(expr) | StatementKind::Default(expr) => expr.uses(wanted),
        StatementKind::Assign(target, value) => target.uses(wanted) || value.uses(wanted),
        StatementKind::If(test, yes, no) => {
            test.uses(wanted) || uses(yes, wanted) || uses(no, wanted)
        }
        StatementKind::For(_, rounds, body) => {
            let is_over = match rounds {
                Rounds::Numbers(first, last) => first.uses(wanted) || last.uses(wanted),
                Rounds::Of(list) => list.uses(wanted),
                Rounds::Unknown => false,
            };
            is_over || uses(body, wanted)
        }
        StatementKind::With(opened, body) => {
            opened.iter().any(|(expr, _)| expr.uses(wanted)) || uses(body, wanted)
        }
        StatementKind::Block(body) => uses(body, wanted),
        StatementKind::Return(value) => value.as_ref().is_some_and(|value| value.uses(wanted)),
        StatementKind::Function(function) => uses(&function.body, wanted),
        StatementKind::Class(_)
        | StatementKind::Import(_)
        | StatementKind::Nothing
        | StatementKind::Other(_) => false,
    })
}

impl Operator {
    /// By its sign in JavaScript, Java and Scala alike.
    pub(super) fn of(sign: &str) -> Option<Self> {
        Some(match sign {
            "+" => Operator::Add,
            "-" => Operator::Subtract,
            "*" => Operator::Multiply,
            "/" => Operator::Divide,
            "%" => Operator::Remainder,
            "==" => Operator::Equal,
            "!=" => Operator::Unequal,
            "<" => Operator::Less,
            "<=" => Operator::LessOrEqual,
            ">" => Operator::Greater,
            ">=" => Operator::GreaterOrEqual,
            "&&" => Operator::And,
            "||" => Operator::Or,
            _ => return None,
        })
    }
}

impl Rounds {
    /// Those of `for (i = first; test; step)`: one by one up to what `i` is compared with.
    pub(super) fn counted(name: &str, first: Expr, test: Expr, step: &str) -> Self {
        let is_by_one = step.contains("++") || step.replace(' ', "").ends_with("+=1");
        let Expr { line, span, kind } = test;
        match kind {
            ExprKind::Binary(operator, left, last) if is_by_one && left.path() == [name] => {
                let here = |kind| Expr { line, span: span.clone(), kind };
                match operator {
                    Operator::Less => Rounds::Numbers(first, *last),
                    Operator::LessOrEqual => {
                        let one = Box::new(here(ExprKind::Number(1.0)));
                        Rounds::Numbers(first, here(ExprKind::Binary(Operator::Add, last, one)))
                    }
                    _ => Rounds::Unknown,
                }
            }
            _ => Rounds::Unknown,
        }
    }
}

impl ExprKind {
    /// An operator before an expression.
    pub(super) fn unary(sign: &str, inner: Box<Expr>) -> Self {
        match (sign, &inner.kind) {
            ("!", _) => ExprKind::Not(inner),
            ("-", ExprKind::Number(number)) => ExprKind::Number(-number),
            ("+", _) => inner.kind,
            _ => ExprKind::Other,
        }
    }

    /// A text without expressions in it as a text.
    pub(super) fn plain(self) -> Self {
        let ExprKind::Joined(parts) = self else { return self };
        let text = |part: &Expr| match &part.kind {
            ExprKind::Text(text) => Some(text.clone()),
            _ => None,
        };
        match parts.iter().map(text).collect::<Option<String>>() {
            Some(text) => ExprKind::Text(text),
            None => ExprKind::Joined(parts),
        }
    }
}
