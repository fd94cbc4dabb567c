//! The journal of systemd, as `journalctl -o export` and `journalctl -o json` write it
//! (<https://systemd.io/JOURNAL_EXPORT_FORMATS/>).

use std::io::{self, BufRead, Read};

use serde::Deserialize;
use serde_json::Value;

use super::entry::{Entry, LONGEST};
use super::postgres;

/// The fields that are read.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Fields {
    #[serde(rename = "__REALTIME_TIMESTAMP")]
    time: Option<String>,
    #[serde(rename = "MESSAGE")]
    message: Option<Value>,
    #[serde(rename = "PRIORITY")]
    priority: Option<String>,
    #[serde(rename = "_SYSTEMD_UNIT")]
    unit: Option<String>,
    #[serde(rename = "SYSLOG_IDENTIFIER")]
    identifier: Option<String>,
}

impl Fields {
    /// The entry; `None` where it has no time or no text.
    pub(super) fn entry(&self) -> Option<Entry> {
        let at = self.time.as_ref()?.parse::<u64>().ok()? as f64 / 1e6;
        let message = match self.message.as_ref()? {
            Value::String(text) => text.clone(),
            // Bytes that are not UTF-8.
            Value::Array(bytes) => {
                let bytes = bytes.iter().filter_map(|byte| u8::try_from(byte.as_u64()?).ok());
                String::from_utf8_lossy(&bytes.collect::<Vec<u8>>()).into_owned()
            }
            _ => return None,
        };
        let identifier = self.identifier.as_deref().unwrap_or_default();
        // Its lines hold statements, wherever they were written.
        if identifier.starts_with("postgres") {
            return postgres::of_line(&message, Some(at), None).ok();
        }
        let name = self.unit.as_deref().or(self.identifier.as_deref()).unwrap_or("the system");
        let line = message.lines().next().unwrap_or_default().to_owned();
        Some(Entry {
            at,
            source: format!("journal of {name}"),
            text: line,
            priority: self.priority.clone(),
        })
    }

    fn set(&mut self, name: &str, value: String) {
        match name {
            "__REALTIME_TIMESTAMP" => self.time = Some(value),
            "MESSAGE" => self.message = Some(Value::String(value)),
            "PRIORITY" => self.priority = Some(value),
            "_SYSTEMD_UNIT" => self.unit = Some(value),
            "SYSLOG_IDENTIFIER" => self.identifier = Some(value),
            _ => {}
        }
    }
}

/// The next entry of an export; `None` at its end. A field is `NAME=value`, or its name, the length of
/// the value in eight bytes, and the value.
pub(super) fn next_of_export(input: &mut dyn BufRead) -> io::Result<Option<Fields>> {
    let (mut fields, mut has_any) = (Fields::default(), false);
    let mut line = Vec::new();
    loop {
        line.clear();
        let length = (&mut *input).take(LONGEST).read_until(b'\n', &mut line)?;
        if length == 0 || line == b"\n" {
            if has_any {
                return Ok(Some(fields));
            }
            if length == 0 {
                return Ok(None);
            }
            continue;
        }
        has_any = true;
        let text = String::from_utf8_lossy(line.strip_suffix(b"\n").unwrap_or(&line));
        if let Some((name, value)) = text.split_once('=') {
            fields.set(name, value.to_owned());
            if !line.ends_with(b"\n") {
                skip_line(input)?;
            }
            continue;
        }
        let name = text.into_owned();
        let mut length = [0; 8];
        input.read_exact(&mut length)?;
        let length = u64::from_le_bytes(length);
        let mut value = Vec::new();
        (&mut *input).take(length.min(LONGEST)).read_to_end(&mut value)?;
        // What is left of a long value, and the line's end behind it.
        let rest = length.saturating_sub(LONGEST).saturating_add(1);
        io::copy(&mut (&mut *input).take(rest), &mut io::sink())?;
        fields.set(&name, String::from_utf8_lossy(&value).into_owned());
    }
}

/// Skips the rest of a line.
pub(super) fn skip_line(input: &mut dyn BufRead) -> io::Result<()> {
    loop {
        let buffer = input.fill_buf()?;
        let Some(end) = buffer.iter().position(|byte| *byte == b'\n') else {
            let length = buffer.len();
            if length == 0 {
                return Ok(());
            }
            input.consume(length);
            continue;
        };
        input.consume(end + 1);
        return Ok(());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_export_with_binary_fields_is_read() {
        let mut text = b"__CURSOR=s=1\n__REALTIME_TIMESTAMP=1795888800000000\n_SYSTEMD_UNIT=shop.service\n\
                         PRIORITY=3\nMESSAGE=pool timed out\n\n__REALTIME_TIMESTAMP=1795888801500000\n\
                         SYSLOG_IDENTIFIER=kernel\nMESSAGE\n"
            .to_vec();
        text.extend_from_slice(&9_u64.to_le_bytes());
        text.extend_from_slice(b"two\nlines\nPRIORITY=6\n\n");
        let mut input = text.as_slice();
        let first = next_of_export(&mut input).unwrap().unwrap().entry().unwrap();
        assert_eq!((first.at, first.source.as_str()), (1_795_888_800.0, "journal of shop.service"));
        assert_eq!((first.text.as_str(), first.priority.as_deref()), ("pool timed out", Some("3")));
        let second = next_of_export(&mut input).unwrap().unwrap().entry().unwrap();
        assert_eq!((second.at, second.text.as_str()), (1_795_888_801.5, "two"));
        assert_eq!(second.priority.as_deref(), Some("6"));
        assert!(next_of_export(&mut input).unwrap().is_none());
    }

    #[test]
    fn json_with_bytes_is_read_and_statements_lose_their_values() {
        let entry = |text: &str| serde_json::from_str::<Fields>(text).unwrap().entry();
        let bytes = r#"{"__REALTIME_TIMESTAMP":"1795888800000000","MESSAGE":[104,105,255],"_SYSTEMD_UNIT":"a.service"}"#;
        assert_eq!(entry(bytes).unwrap().text, "hi\u{fffd}");
        let null = r#"{"__REALTIME_TIMESTAMP":"1795888800000000","MESSAGE":null}"#;
        assert!(entry(null).is_none());
        let statement = r#"{"__REALTIME_TIMESTAMP":"1795888800000000","SYSLOG_IDENTIFIER":"postgres",
            "MESSAGE":"[3-1] shop LOG:  duration: 2000.1 ms  statement: SELECT 'hunter2'"}"#;
        assert_eq!(
            entry(statement).unwrap().text,
            "LOG:  duration: 2000.1 ms  statement: SELECT ?"
        );
    }
}
