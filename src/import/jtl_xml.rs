//! JMeter's results as XML. A sample with samples inside is their sum, and is not counted. What
//! responses held is skipped: it may be large, and secret.

use std::io::{BufRead, BufReader};

use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};

use super::ImporterSpec;
use super::error::{ImportError, LONGEST_LINE};
use super::jtl_samples::{Sample, Samples, class, is_transaction, millis};
use super::requests::Requests;
use super::table::Bounded;

pub(super) static SPEC: ImporterSpec = ImporterSpec {
    name: "jtl-xml",
    summary: "JMeter results (JTL) as XML: jmeter -Jjmeter.save.saveservice.output_format=xml",
    looks_like: |begin| begin.trim_start().starts_with('<') && begin.contains("<testResults"),
    read,
};

/// Deepest nesting of samples: JMeter's own is that of its controllers.
const DEEPEST: usize = 200;

/// A sample whose end was not read.
struct Opened {
    /// `None` where the element is not one that JMeter writes.
    sample: Option<Sample>,
    has_parts: bool,
}

/// What was read so far.
struct Document<'r> {
    samples: Samples<'r>,
    opened: Vec<Opened>,
    is_message: bool,
    is_ended: bool,
    parents: u64,
    strange: u64,
}

fn read(input: &mut dyn BufRead, requests: &mut Requests) -> Result<(), ImportError> {
    let bounded = Bounded { input, left: LONGEST_LINE };
    let mut reader = Reader::from_reader(BufReader::new(bounded));
    let mut document = Document {
        samples: Samples::new(requests),
        opened: Vec::new(),
        is_message: false,
        is_ended: false,
        parents: 0,
        strange: 0,
    };
    let (mut buffer, mut cut) = (Vec::new(), None);
    loop {
        buffer.clear();
        reader.get_mut().get_mut().left = LONGEST_LINE;
        let at = reader.buffer_position();
        let malformed =
            |what: String| ImportError::Malformed { mistakes: vec![format!("byte {at}: {what}")] };
        let mistake = match reader.read_event_into(&mut buffer) {
            Ok(Event::Eof) => break,
            Ok(event) => {
                document.take(&event).map_err(malformed)?;
                continue;
            }
            Err(error) => malformed(error.to_string()),
        };
        // A run that was stopped leaves half an element at the end.
        let is_at_end = reader.get_mut().fill_buf().is_ok_and(<[u8]>::is_empty);
        if !is_at_end {
            return Err(mistake);
        }
        cut = Some(mistake.to_string());
        break;
    }
    let (is_whole, parents, strange) = (document.is_ended, document.parents, document.strange);
    let malformed = |mistake| ImportError::Malformed { mistakes: vec![mistake] };
    document.samples.end().map_err(malformed)?;
    if !is_whole {
        let what = cut.unwrap_or_else(|| "its last element does not end".to_owned());
        requests.note(format!("the file is cut off: {what}; the samples before it were read"));
    }
    if parents > 0 {
        requests.note(format!(
            "{parents} samples that are sums of others (transactions, redirects, pages) were left \
             out: their parts are counted"
        ));
    }
    if strange > 0 {
        requests.note(format!("{strange} elements without a time were left out"));
    }
    Ok(())
}

impl Document<'_> {
    fn take(&mut self, event: &Event<'_>) -> Result<(), String> {
        match event {
            Event::Start(element) if is_sample(element.name().as_ref()) => self.open(element),
            Event::Empty(element) if is_sample(element.name().as_ref()) => {
                self.open(element)?;
                self.close()
            }
            Event::End(element) if is_sample(element.name().as_ref()) => self.close(),
            Event::Start(element) => {
                self.is_message = element.name().as_ref() == b"failureMessage";
                Ok(())
            }
            Event::End(element) => {
                self.is_message = false;
                self.is_ended |= element.name().as_ref() == b"testResults";
                Ok(())
            }
            Event::Text(text) if self.is_message => {
                if let (Some(Opened { sample: Some(sample), .. }), Ok(text)) =
                    (self.opened.last_mut(), text.decode())
                    && !sample.class.is_success()
                {
                    sample.said = text.into_owned();
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn open(&mut self, element: &BytesStart<'_>) -> Result<(), String> {
        if self.opened.len() >= DEEPEST {
            return Err(format!("samples in samples, {DEEPEST} deep"));
        }
        let sample = sample(element)?;
        self.strange += u64::from(sample.is_none());
        if let Some(parent) = self.opened.last_mut() {
            self.parents += u64::from(!parent.has_parts);
            parent.has_parts = true;
        }
        self.opened.push(Opened { sample, has_parts: false });
        Ok(())
    }

    fn close(&mut self) -> Result<(), String> {
        match self.opened.pop() {
            Some(Opened { sample: Some(sample), has_parts: false }) => self.samples.add(sample),
            _ => Ok(()),
        }
    }
}

fn is_sample(name: &[u8]) -> bool {
    matches!(name, b"httpSample" | b"sample")
}

/// The sample that an element is; none where it has no time.
fn sample(element: &BytesStart<'_>) -> Result<Option<Sample>, String> {
    let (mut at, mut took, mut users) = (None, None, None);
    let [mut label, mut thread, mut code, mut message, mut success] = [const { String::new() }; 5];
    for attribute in element.attributes() {
        let attribute = attribute.map_err(|error| error.to_string())?;
        let value = attribute.normalized_value(XmlVersion::Implicit1_0);
        let value = value.map_err(|error| error.to_string())?.into_owned();
        match attribute.key.as_ref() {
            b"ts" => at = Some(millis(&value, "ts")?),
            b"t" => took = Some(millis(&value, "t")?),
            b"na" => users = value.parse().ok(),
            b"lb" => label = value,
            b"tn" => thread = value,
            b"rc" => code = value,
            b"rm" => message = value,
            b"s" => success = value,
            _ => {}
        }
    }
    let is_accepted = success != "false";
    let class = class(&code, &message, is_accepted);
    let is_transaction = is_transaction(&message);
    let said = match class.is_success() {
        true => String::new(),
        false => message,
    };
    let sample = at.zip(took);
    Ok(sample.map(|(at, took)| Sample {
        at,
        took,
        label,
        thread,
        class,
        is_accepted,
        said,
        users,
        is_transaction,
    }))
}

#[cfg(test)]
mod tests {
    use crate::import::tests::{Read, refusal, sample};

    #[test]
    fn leaves_are_counted_and_what_is_above_them_is_not() {
        let read = Read::told(&sample("jmeter-jtl-xml.sample.jtl"));
        let rows = [("/books", 1, 0), ("/logo.png", 1, 0), ("Cart", 1, 1), ("Home", 1, 1)];
        read.assert_counts(5, 2, &rows);
        read.assert_ms(0.5, 90.0);
        assert!(read.notes.contains("2 samples that are sums"), "{}", read.notes);
        let ticks = &read.recording.timeline.ticks;
        let said = ticks.iter().flat_map(|tick| &tick.failures).map(|it| it.kind.example.as_str());
        assert_eq!(
            said.collect::<Vec<_>>(),
            ["Too Many Requests", "Test failed: text expected to contain /books/"]
        );
    }

    #[test]
    fn statuses_that_the_test_accepts_are_told() {
        let sample = |second: u32, success: bool| {
            format!(
                "<httpSample t=\"9\" ts=\"17778855{second:02}000\" s=\"{success}\" lb=\"a\" \
                 rc=\"404\" rm=\"Not Found\" tn=\"1\"/>"
            )
        };
        let document = |samples: String| format!("<testResults>{samples}</testResults>");
        let read = Read::told(document(sample(0, true) + &sample(1, false)).as_bytes());
        read.assert_counts(2, 2, &[("a", 2, 2)]);
        assert!(read.notes.contains("1 answers with a status of 400"), "{}", read.notes);
        let failures = Read::told(document(sample(0, false)).as_bytes());
        assert!(failures.notes.contains("errors only"), "{}", failures.notes);
    }

    #[test]
    fn what_was_written_before_the_end_is_kept() {
        let read = Read::told(&sample("jmeter-jtl-xml-cut.sample.jtl"));
        read.assert_counts(9, 0, &[("Home", 9, 0)]);
        assert!(read.notes.contains("cut off: byte "), "{}", read.notes);
        let why = refusal(b"<?xml version=\"1.0\"?><testResults><sample ts=\"x\" t=\"1\"/>");
        assert_eq!(why, "byte 34: `ts` is not a number: `x`");
    }
}
