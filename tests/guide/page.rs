//! One Markdown page as the tests need it: its blocks of code, headings, links and inline calls.

use std::collections::HashMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

/// A fenced block of code.
pub struct Block {
    /// The first word after the fence, such as `sh`.
    pub language: String,
    /// The further words, such as `norun`.
    pub marks: Vec<String>,
    pub text: String,
    pub line: usize,
    /// The comment in the page's source right before the block.
    pub note: Option<String>,
}

impl Block {
    pub fn is(&self, mark: &str) -> bool {
        self.marks.iter().any(|known| known == mark)
    }

    /// The file that the block is: its first line is a comment with the name.
    pub fn file(&self) -> Option<&str> {
        let first = self.text.lines().next()?;
        let name = first.strip_prefix("# ").or_else(|| first.strip_prefix("// "))?;
        let is_path = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
        (name.contains('.') && !name.contains("..") && name.chars().all(is_path)).then_some(name)
    }
}

/// Something with the line that it stands in.
pub struct Placed {
    pub line: usize,
    pub text: String,
}

pub struct Page {
    pub path: PathBuf,
    pub blocks: Vec<Block>,
    /// The ids that mdBook and GitHub give to the headings.
    pub anchors: Vec<String>,
    pub links: Vec<Placed>,
    /// Inline code that calls kneepoint.
    pub calls: Vec<Placed>,
}

impl Page {
    pub fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        let mut reader = Reader::new(path, &text);
        let parser = Parser::new_ext(&text, Options::ENABLE_TABLES);
        for (event, range) in parser.into_offset_iter() {
            reader.take(event, &range);
        }
        reader.page
    }

    /// Where a line is, for a message.
    pub fn at(&self, line: usize) -> String {
        format!("{}:{line}", self.path.display())
    }
}

struct Reader<'a> {
    text: &'a str,
    page: Page,
    /// How often an id was given.
    ids: HashMap<String, usize>,
    heading: Option<String>,
    is_code: bool,
    note: Option<String>,
}

impl<'a> Reader<'a> {
    fn new(path: &Path, text: &'a str) -> Self {
        let path = path.to_path_buf();
        let (blocks, anchors, links, calls) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let page = Page { path, blocks, anchors, links, calls };
        Self { text, page, ids: HashMap::new(), heading: None, is_code: false, note: None }
    }

    fn line(&self, range: &Range<usize>) -> usize {
        self.text.as_bytes()[..range.start].iter().filter(|&&byte| byte == b'\n').count() + 1
    }

    fn take(&mut self, event: Event<'_>, range: &Range<usize>) {
        let line = self.line(range);
        match event {
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => {
                let mut words = info.split([',', ' ']).map(str::to_owned);
                let language = words.next().unwrap_or_default();
                let (marks, note) = (words.collect(), self.note.take());
                self.is_code = true;
                self.page.blocks.push(Block { language, marks, text: String::new(), line, note });
            }
            Event::End(TagEnd::CodeBlock) => self.is_code = false,
            Event::Start(Tag::Heading { .. }) => self.heading = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => {
                let id = self.heading.take().map(|text| self.id(&text));
                self.page.anchors.extend(id);
                self.note = None;
            }
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                self.page.links.push(Placed { line, text: dest_url.into_string() });
            }
            Event::Html(html) => self.note.get_or_insert_default().push_str(&html),
            Event::Text(text) => {
                if self.is_code {
                    let block = self.page.blocks.last_mut().expect("a block has begun");
                    block.text.push_str(&text);
                } else if let Some(heading) = &mut self.heading {
                    heading.push_str(&text);
                }
            }
            Event::Code(code) => {
                if let Some(heading) = &mut self.heading {
                    heading.push_str(&code);
                }
                if code.starts_with("kneepoint ") {
                    self.page.calls.push(Placed { line, text: code.into_string() });
                }
            }
            Event::End(TagEnd::Paragraph | TagEnd::Table | TagEnd::Item) => self.note = None,
            _ => {}
        }
    }

    /// The id of a heading: letters and digits in lower case, hyphens for spaces, and a number where
    /// a page has the same heading twice.
    fn id(&mut self, heading: &str) -> String {
        let letter = |c: char| match c {
            ' ' => Some('-'),
            c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c.to_ascii_lowercase()),
            _ => None,
        };
        let id: String = heading.trim().chars().filter_map(letter).collect();
        let times = self.ids.entry(id.clone()).or_default();
        *times += 1;
        if *times == 1 { id } else { format!("{id}-{}", *times - 1) }
    }
}
