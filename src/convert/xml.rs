//! XML as a tree, in which each element knows its line.

use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};

use super::error::ConvertError;

/// How many elements a text may have.
const MOST_ELEMENTS: usize = 1_000_000;
/// How deep they may stand in each other.
const DEEPEST: usize = 200;

/// An element with its place.
#[derive(Debug, Default)]
pub(super) struct Element {
    /// Line, from 1.
    pub(super) line: usize,
    pub(super) tag: String,
    attributes: Vec<(String, String)>,
    pub(super) children: Vec<Element>,
    /// The text that stands directly in it.
    pub(super) text: String,
}

impl Element {
    /// The value of an attribute.
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Reads the one element that a text consists of.
pub(super) fn read(text: &str) -> Result<Element, ConvertError> {
    let mut reader = Reader::from_str(text);
    let mut lines = Lines { text, read: 0, line: 1 };
    let mut opened: Vec<Element> = vec![Element::default()];
    let mut elements = 0;
    loop {
        let at = usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX);
        let line = lines.line_at(at);
        let wrong = |why: String| ConvertError::at(line, None, format!("not valid XML: {why}"));
        match reader.read_event().map_err(|why| wrong(why.to_string()))? {
            Event::Eof => break,
            Event::Start(start) => {
                elements += 1;
                if elements > MOST_ELEMENTS || opened.len() > DEEPEST {
                    return Err(wrong("too many elements, or too deep in each other".to_owned()));
                }
                opened.push(element(&start, line).map_err(wrong)?);
            }
            Event::Empty(start) => {
                elements += 1;
                let child = element(&start, line).map_err(wrong)?;
                if let Some(parent) = opened.last_mut() {
                    parent.children.push(child);
                }
            }
            Event::End(_) => {
                if let Some(child) = opened.pop()
                    && let Some(parent) = opened.last_mut()
                {
                    parent.children.push(child);
                }
            }
            Event::Text(part) => {
                add(&mut opened, &part.xml10_content().map_err(|why| wrong(why.to_string()))?);
            }
            Event::CData(part) => {
                add(&mut opened, &part.xml10_content().map_err(|why| wrong(why.to_string()))?);
            }
            Event::GeneralRef(part) => {
                let name = part.decode().map_err(|why| wrong(why.to_string()))?;
                match part.resolve_char_ref().map_err(|why| wrong(why.to_string()))? {
                    Some(c) => add(&mut opened, c.encode_utf8(&mut [0; 4])),
                    // An entity that nothing defines stays as it is written.
                    None => match resolve_predefined_entity(&name) {
                        Some(text) => add(&mut opened, text),
                        None => add(&mut opened, &format!("&{name};")),
                    },
                }
            }
            _ => {}
        }
    }
    let is_whole = opened.len() == 1;
    let root = opened.pop().and_then(|mut document| document.children.pop());
    match root {
        Some(root) if is_whole => Ok(root),
        _ => {
            let line = lines.line_at(text.len());
            Err(ConvertError::at(line, None, "the file is cut off: an element does not end"))
        }
    }
}

fn add(opened: &mut [Element], text: &str) {
    if let Some(element) = opened.last_mut() {
        element.text.push_str(text);
    }
}

fn element(start: &BytesStart<'_>, line: usize) -> Result<Element, String> {
    let name = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut element = Element { line, tag: name(start.name().as_ref()), ..Element::default() };
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|why| why.to_string())?;
        let value = attribute.normalized_value(XmlVersion::Implicit1_0);
        let value = value.map_err(|why| why.to_string())?.into_owned();
        element.attributes.push((name(attribute.key.as_ref()), value));
    }
    Ok(element)
}

/// Counts lines once, in order of the text.
struct Lines<'t> {
    text: &'t str,
    read: usize,
    line: usize,
}

impl Lines<'_> {
    fn line_at(&mut self, at: usize) -> usize {
        let at = at.min(self.text.len());
        let passed = self.text.as_bytes().get(self.read..at).unwrap_or_default();
        self.line += passed.iter().filter(|byte| **byte == b'\n').count();
        self.read = self.read.max(at);
        self.line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_know_their_lines_and_texts() {
        let text = "<?xml version=\"1.0\"?>\n<a x=\"1 &lt; 2\">\n  <b>c &amp; &#100;<![CDATA[<e>]]></b>\n  <f/>\n</a>\n";
        let root = read(text).unwrap();
        assert_eq!((root.line, root.attribute("x")), (2, Some("1 < 2")));
        assert_eq!((root.children[0].line, root.children[0].text.as_str()), (3, "c & d<e>"));
        assert_eq!(root.children[1].line, 4);
    }

    #[test]
    fn what_is_not_whole_is_refused_with_its_line() {
        for (text, says) in [
            ("<a>\n<b>\n", "line 3: the file is cut off"),
            ("<a>\n</b>", "line 2: not valid XML"),
            ("", "line 1: the file is cut off"),
        ] {
            let why = read(text).unwrap_err().to_string();
            assert!(why.starts_with(says), "{text}: {why}");
        }
        assert!(read(&"<a>".repeat(1000)).is_err());
    }
}
