//! Programs as trees, by the grammars of tree-sitter. Its parsers do not recurse, so that no input
//! can exhaust the stack, and they say where a mistake is.

use std::ops::Range;

use tree_sitter::{Language, Node, Parser, Point};

use super::syntax::{Expr, ExprKind};
use crate::convert::error::ConvertError;

/// How deep expressions and blocks may stand in each other; what is deeper is not looked at.
pub(super) const DEEPEST: usize = 150;
/// Most calls of one chain, such as `a.b().c()`: they stand in each other too, and who reads them
/// goes along the chain instead of into it.
pub(super) const LONGEST_CHAIN: usize = 1000;

/// Parses a part of a text, whole lines, and hands its tree to `read`. Its places are those in the
/// text.
pub(super) fn parse<T>(
    (text, part): (&str, Range<usize>),
    language: &Language,
    name: &str,
    read: impl FnOnce(Node<'_>) -> T,
) -> Result<T, ConvertError> {
    let unreadable = |why: &str| ConvertError::Empty(format!("{name} cannot be parsed: {why}"));
    let mut parser = Parser::new();
    parser.set_language(language).map_err(|why| unreadable(&why.to_string()))?;
    let point = |end: usize| {
        let before = text.as_bytes().get(..end).unwrap_or_default();
        let line = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let row = before.iter().filter(|byte| **byte == b'\n').count();
        Point { row, column: end - line }
    };
    let range = tree_sitter::Range {
        start_byte: part.start,
        end_byte: part.end,
        start_point: point(part.start),
        end_point: point(part.end),
    };
    let unreadable_part = |why: tree_sitter::IncludedRangesError| unreadable(&why.to_string());
    parser.set_included_ranges(&[range]).map_err(unreadable_part)?;
    let tree = parser.parse(text, None).ok_or_else(|| unreadable("the parser gave up"))?;
    if let Some(place) = first_error(tree.root_node()) {
        let begin = place.start_byte().saturating_sub(place.start_position().column);
        let before = text.get(begin..place.start_byte()).unwrap_or_default();
        let column = before.chars().count() + 1;
        let what = format!("not valid {name} from here on");
        return Err(ConvertError::at(line(place), Some(column), what));
    }
    Ok(read(tree.root_node()))
}

/// The first place that the grammar does not have.
fn first_error(root: Node<'_>) -> Option<Node<'_>> {
    let mut at = root;
    if !at.has_error() {
        return None;
    }
    loop {
        if at.is_error() || at.is_missing() {
            return Some(at);
        }
        let children: Vec<Node<'_>> = at.children(&mut at.walk()).collect();
        match children.into_iter().find(|child| child.has_error() || child.is_missing()) {
            Some(child) => at = child,
            None => return Some(at),
        }
    }
}

/// Its children that are no punctuation and no comments.
pub(super) fn named(node: Node<'_>) -> Vec<Node<'_>> {
    let is_code =
        |child: &Node<'_>| !matches!(child.kind(), "comment" | "line_comment" | "block_comment");
    node.named_children(&mut node.walk()).filter(is_code).collect()
}

/// The line of a node, from 1.
pub(super) fn line(node: Node<'_>) -> usize {
    node.start_position().row + 1
}

/// An expression at the place of a node.
pub(super) fn at(node: Node<'_>, kind: ExprKind) -> Expr {
    Expr { line: line(node), span: node.byte_range(), kind }
}

/// A text whose escapes are replaced by what they stand for.
pub(super) fn unescaped(text: &str) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(at) = rest.find('\\') {
        out.push_str(rest.get(..at).unwrap_or_default());
        let behind = rest.get(at..).unwrap_or_default();
        let digits = behind.trim_start_matches('\\').trim_start_matches('u');
        let is_code = behind.starts_with("\\u");
        let length = match behind.chars().nth(1) {
            Some('u') if is_code => {
                let hex = digits.chars().take(4).take_while(char::is_ascii_hexdigit).count();
                behind.len() - digits.len() + hex
            }
            Some(c) => 1 + c.len_utf8(),
            None => 1,
        };
        let escape = behind.get(..length).unwrap_or(behind);
        let code = escape.trim_start_matches('\\').trim_start_matches('u');
        match is_code {
            true => out.push_str(&escaped(&format!("\\u{code}"))),
            false => out.push_str(&escaped(escape)),
        }
        rest = behind.get(length..).unwrap_or_default();
    }
    out + rest
}

/// What an escape such as `\n` stands for; as it is where that is not known.
pub(super) fn escaped(text: &str) -> String {
    let code = |digits: &str| {
        let digits = digits.trim_start_matches('{').trim_end_matches('}');
        u32::from_str_radix(digits, 16).ok().and_then(char::from_u32).map(String::from)
    };
    let rest = text.strip_prefix('\\').unwrap_or(text);
    match rest.chars().next() {
        Some('n') => "\n".to_owned(),
        Some('t') => "\t".to_owned(),
        Some('r') => "\r".to_owned(),
        Some('0') => "\0".to_owned(),
        Some('\n') => String::new(),
        Some('x' | 'u' | 'U') => rest.get(1..).and_then(code).unwrap_or_else(|| text.to_owned()),
        Some('\\' | '\'' | '"' | '`' | '$') => rest.to_owned(),
        _ => text.to_owned(),
    }
}

/// A number of Java or Scala: `5`, `5L`, `1_000`, `2.5f`, `0x1F`.
pub(super) fn number_of_jvm(text: &str) -> ExprKind {
    let text = text.replace('_', "").to_ascii_lowercase();
    let number = match text.strip_prefix("0x") {
        Some(hex) => {
            i64::from_str_radix(hex.trim_end_matches('l'), 16).ok().map(|number| number as f64)
        }
        None => text.trim_end_matches(['l', 'f', 'd']).parse::<f64>().ok(),
    };
    number.filter(|number| number.is_finite()).map_or(ExprKind::Other, ExprKind::Number)
}
