//! JavaScript and TypeScript, parsed by oxc.

use std::ops::Range;
use std::rc::Rc;

use oxc_allocator::Allocator;
use oxc_ast::ast;
use oxc_parser::Parser;
use oxc_span::{GetSpan, SourceType, Span};

use super::syntax::{
    Call, Expr, ExprKind, Function, LineTable, Operator, Program, Rounds, Statement, StatementKind,
};
use crate::convert::error::ConvertError;

/// How deep expressions and blocks may stand in each other; what is deeper is not looked at.
const DEEPEST: usize = 150;

/// Reads a program.
pub(in crate::convert) fn read(text: &str) -> Result<Program, ConvertError> {
    let allocator = Allocator::default();
    // TypeScript is JavaScript with more.
    let parsed = Parser::new(&allocator, text, SourceType::ts()).parse();
    let lines = LineTable::of(text);
    if let Some(error) = parsed.errors.first() {
        let place = error.labels.as_ref().and_then(|labels| labels.first());
        let at = place.map_or(0, |label| label.offset());
        let line = lines.line(at);
        return Err(ConvertError::at(line, None, format!("not valid JavaScript: {}", error.message)));
    }
    let reader = Reader { lines };
    Ok(Program { statements: reader.statements(&parsed.program.body, 0) })
}
