//! Counts lines by level, by template and by well-known sentence, in bounded memory.

use std::collections::{BTreeMap, HashMap};

use super::level::{Level, ReadLine};
use crate::timeline::{
    BatchBuilder, Labels, SentenceKind, SeriesKey, cut, mask_secrets, names, sentence_kind,
    text_template,
};

/// Templates that are counted one by one …
const MOST_TEMPLATES: usize = 200;
/// … of which ordinary lines may take this many, so that there is room for errors.
const MOST_ORDINARY: usize = 100;
/// Forms of lines that are remembered: several may be one template once secrets are masked.
const MOST_FORMS: usize = 2000;
/// Longest template, in bytes.
const TEMPLATE_BYTES: usize = 200;
/// Longest quoted line, in bytes.
const QUOTE_BYTES: usize = 300;
/// Stands for all templates that found no room.
const REST: &str = "(all others)";
/// Value of the label `level` of lines that were not parsed.
const UNPARSED: &str = "unparsed";
/// Value of the label `source` of sentences.
const LOGS: &str = "logs";

/// One template of one log.
struct Template {
    source: usize,
    level: Level,
    /// Without secrets.
    text: String,
    kind: Option<SentenceKind>,
    lines: u64,
    /// What was reported last.
    pushed: u64,
}

/// What a line counts into.
#[derive(Clone, Copy)]
enum Place {
    /// A template, by its index.
    Template(usize),
    /// It found no room: the rest, and what it says.
    Rest(Option<SentenceKind>),
}

/// Lines that were not parsed.
#[derive(Clone, Default)]
struct Unparsed {
    lines: u64,
    /// Those of them for which a parsed line stands.
    represented: u64,
    /// What was reported last: a running total does not fall.
    reported: u64,
}

/// What is known of the lines of all logs.
pub(super) struct Templates {
    sources: Vec<String>,
    /// Lines by log and level.
    levels: Vec<[u64; Level::ALL.len()]>,
    /// Lines by log for which no parsed line stands.
    unparsed: Vec<Unparsed>,
    templates: Vec<Template>,
    /// How many of them are of ordinary lines.
    ordinary: usize,
    /// What each form of a line counts into, by log.
    forms: Vec<HashMap<String, Place>>,
    remembered: usize,
    /// The template that stands for those without room, by log and level.
    rest: BTreeMap<(usize, Level), usize>,
    /// Sentences since the last report.
    sentences: BTreeMap<SentenceKind, u64>,
    quotes: Vec<(SeriesKey, String)>,
}

impl Templates {
    pub(super) fn new(sources: Vec<String>) -> Self {
        Self {
            levels: vec![Default::default(); sources.len()],
            unparsed: vec![Unparsed::default(); sources.len()],
            forms: vec![HashMap::new(); sources.len()],
            sources,
            templates: Vec::new(),
            ordinary: 0,
            remembered: 0,
            rest: BTreeMap::new(),
            sentences: BTreeMap::new(),
            quotes: Vec::new(),
        }
    }

    /// One more log; its index.
    pub(super) fn add_source(&mut self, name: &str) -> usize {
        self.sources.push(name.to_owned());
        self.levels.push(Default::default());
        self.unparsed.push(Unparsed::default());
        self.forms.push(HashMap::new());
        self.sources.len() - 1
    }

    /// Counts a line that is not parsed.
    pub(super) fn count_only(&mut self, source: usize) {
        self.unparsed[source].lines += 1;
    }

    /// Counts a line that stands for `weight` lines.
    pub(super) fn count(&mut self, source: usize, line: &ReadLine<'_>, weight: u32) {
        let weight = u64::from(weight);
        self.unparsed[source].represented += weight.saturating_sub(1);
        self.levels[source][line.level as usize] += weight;
        if line.message.is_empty() {
            return;
        }
        let form = text_template(&line.message, TEMPLATE_BYTES);
        let place = match self.forms[source].get(&form) {
            Some(place) => *place,
            None => self.learn(source, form, line),
        };
        let (index, kind) = match place {
            Place::Template(index) => (index, self.templates[index].kind),
            Place::Rest(kind) => (self.rest_of(source, line.level), kind),
        };
        self.templates[index].lines += weight;
        if let Some(kind) = kind {
            *self.sentences.entry(kind).or_default() += weight;
        }
    }

    /// Finds or makes the template of a form that was not seen before.
    fn learn(&mut self, source: usize, form: String, line: &ReadLine<'_>) -> Place {
        let kind = sentence_kind(&line.message);
        if self.remembered >= MOST_FORMS {
            return Place::Rest(kind);
        }
        self.remembered += 1;
        let is_ordinary = line.level > Level::Warning && kind.is_none();
        let has_room = self.templates.len() - self.rest.len() < MOST_TEMPLATES
            && (!is_ordinary || self.ordinary < MOST_ORDINARY);
        let place = match has_room {
            true => Place::Template(self.template_of(source, line, kind, is_ordinary)),
            false => Place::Rest(kind),
        };
        self.forms[source].insert(form, place);
        place
    }

    /// The template of a line without its secrets. Several forms may have the same.
    fn template_of(
        &mut self,
        source: usize,
        line: &ReadLine<'_>,
        kind: Option<SentenceKind>,
        is_ordinary: bool,
    ) -> usize {
        let text = text_template(&mask_secrets(&line.message), TEMPLATE_BYTES);
        let is_same = |known: &Template| {
            known.source == source && known.level == line.level && known.text == text
        };
        if let Some(known) = self.templates.iter().position(is_same) {
            return known;
        }
        self.ordinary += usize::from(is_ordinary);
        let template = Template { source, level: line.level, text, kind, lines: 0, pushed: 0 };
        self.quotes.push((self.key(&template), shortened(&mask_secrets(line.line))));
        self.templates.push(template);
        self.templates.len() - 1
    }

    fn rest_of(&mut self, source: usize, level: Level) -> usize {
        *self.rest.entry((source, level)).or_insert_with(|| {
            let text = REST.to_owned();
            self.templates.push(Template { source, level, text, kind: None, lines: 0, pushed: 0 });
            self.templates.len() - 1
        })
    }

    fn key(&self, template: &Template) -> SeriesKey {
        let labels = Labels::none()
            .with("source", self.sources[template.source].as_str())
            .with("level", template.level.name())
            .with("template", template.text.as_str());
        SeriesKey::new(names::LOG_TEMPLATE_LINES.name, labels)
    }

    /// Reports what was counted, `seconds` after the last time. A template that was not seen again is
    /// left out.
    pub(super) fn push(&mut self, batch: &mut BatchBuilder, seconds: f64) {
        for (index, source) in self.sources.iter().enumerate() {
            let labels = Labels::none().with("source", source.as_str());
            for (level, lines) in Level::ALL.iter().zip(&self.levels[index]) {
                let labels = labels.clone().with("level", level.name());
                batch.push_labelled(&names::LOG_LINES, labels, *lines as f64);
            }
            let unparsed = &mut self.unparsed[index];
            let lines = unparsed.lines.saturating_sub(unparsed.represented);
            unparsed.reported = unparsed.reported.max(lines);
            if unparsed.reported > 0 {
                let labels = labels.with("level", UNPARSED);
                batch.push_labelled(&names::LOG_LINES, labels, unparsed.reported as f64);
            }
        }
        for template in &self.templates {
            if template.lines > template.pushed {
                let labels = self.key(template).labels;
                batch.push_labelled(&names::LOG_TEMPLATE_LINES, labels, template.lines as f64);
            }
        }
        self.templates.iter_mut().for_each(|template| template.pushed = template.lines);
        for (kind, lines) in std::mem::take(&mut self.sentences) {
            let labels = Labels::none().with("kind", kind.name()).with("source", LOGS);
            batch.push_labelled(&names::WORDS_SEEN, labels, lines as f64 / seconds.max(1e-3));
        }
    }

    /// The first lines of the templates that are new since the last call.
    pub(super) fn take_quotes(&mut self) -> Vec<(SeriesKey, String)> {
        std::mem::take(&mut self.quotes)
    }
}

fn shortened(text: &str) -> String {
    match text.len() > QUOTE_BYTES {
        true => format!("{}…", cut(text, QUOTE_BYTES)),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::Reading;

    /// A word of letters for each number.
    fn word(mut number: u32) -> String {
        let mut word = String::new();
        for _ in 0..6 {
            word.push(char::from(b'a' + (number % 26) as u8));
            number /= 26;
        }
        word
    }

    fn count(templates: &mut Templates, line: &str, weight: u32) {
        templates.count(0, &ReadLine::of(line, &mut false), weight);
    }

    fn pushed(templates: &mut Templates) -> Vec<Reading> {
        let mut batch = BatchBuilder::new();
        templates.push(&mut batch, 1.0);
        batch.finish()
    }

    fn value(readings: &[Reading], label: &str, value: &str) -> Option<f64> {
        let is_meant = |reading: &&Reading| reading.key.labels.get(label) == Some(value);
        readings.iter().find(is_meant).map(|reading| reading.value)
    }

    #[test]
    fn templates_are_bounded_and_errors_find_room() {
        let mut templates = Templates::new(vec!["app.log".to_owned()]);
        for number in 0..5000 {
            count(&mut templates, &format!("INFO hello {}", word(number * 7919)), 1);
        }
        let readings = pushed(&mut templates);
        let kinds = readings.iter().filter(|reading| reading.key.labels.get("template").is_some());
        assert_eq!(kinds.count(), MOST_ORDINARY + 1);
        assert_eq!(value(&readings, "template", REST), Some(4900.0));
        assert_eq!(templates.take_quotes().len(), MOST_ORDINARY);
        assert!(templates.forms[0].len() <= MOST_FORMS);

        count(&mut templates, "ERROR at the begin", 1);
        for number in 0..5000 {
            count(&mut templates, &format!("INFO pool timeout {}", word(number * 7919)), 1);
        }
        let readings = pushed(&mut templates);
        assert_eq!(value(&readings, "template", "ERROR at the begin"), None, "no form is left");
        assert!(value(&readings, "kind", "pool_timeout").is_some_and(|lines| lines > 0.0));
    }

    #[test]
    fn a_parsed_line_stands_for_those_that_were_not() {
        let mut templates = Templates::new(vec!["app.log".to_owned()]);
        (0..9).for_each(|_| templates.count_only(0));
        assert_eq!(value(&pushed(&mut templates), "level", "unparsed"), Some(9.0));
        count(&mut templates, "ERROR no room", 8);
        let readings = pushed(&mut templates);
        assert_eq!(value(&readings, "level", "error"), Some(8.0));
        assert_eq!(value(&readings, "level", "unparsed"), Some(9.0), "a total does not fall");
    }
}
