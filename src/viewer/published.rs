//! A frame of the live page: written once, however many look.

use std::sync::OnceLock;

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::live::Now;

/// Lines of what was said that the page shows. The model keeps more for a large terminal.
const MOST_LINES: usize = 40;

/// What was published last: the state of the run, and what of it has changed since the one before.
#[derive(Debug, Default)]
pub(super) struct Published {
    /// Grows by one with each.
    pub(super) number: u64,
    state: Map<String, Value>,
    changed: Bytes,
    /// All of the state as an event, made for the first who needs it.
    whole: OnceLock<Bytes>,
}

impl Published {
    /// The one after this one.
    pub(super) fn next(&self, mut now: Now) -> Option<Self> {
        now.lines.drain(..now.lines.len().saturating_sub(MOST_LINES));
        let Ok(Value::Object(state)) = serde_json::to_value(&now) else { return None };
        let is_new = |(name, value): &(&String, &Value)| self.state.get(*name) != Some(*value);
        let news = state.iter().filter(is_new).map(|(name, value)| (name.clone(), value.clone()));
        let changed = event(&news.collect());
        Some(Self { number: self.number + 1, state, changed, whole: OnceLock::new() })
    }

    /// The event for a viewer who got the one of this number last: what has changed, or everything
    /// for somebody who is new or has missed one.
    pub(super) fn event(&self, last: Option<u64>) -> Bytes {
        match last {
            Some(last) if last + 1 == self.number => self.changed.clone(),
            _ => self.whole.get_or_init(|| event(&self.state)).clone(),
        }
    }
}

fn event(state: &Map<String, Value>) -> Bytes {
    // Names and values of JSON are always text that can be written.
    serde_json::to_string(state).map(|json| format!("data: {json}\n\n").into()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::Shown;

    fn read(event: &Bytes) -> Map<String, Value> {
        let text = std::str::from_utf8(event).unwrap();
        serde_json::from_str(text.strip_prefix("data: ").unwrap()).unwrap()
    }

    #[test]
    fn a_viewer_gets_what_has_changed_and_one_who_missed_a_frame_everything() {
        let at = |text: &str| Shown { value: None, text: text.to_owned() };
        let title = || "shop".to_owned();
        let first =
            Published::default().next(Now { title: title(), at: at("1 s"), ..Now::default() });
        let first = first.unwrap();
        let second = first.next(Now { title: title(), at: at("2 s"), ..Now::default() }).unwrap();
        let changed = read(&second.event(Some(first.number)));
        assert_eq!(changed.keys().collect::<Vec<_>>(), ["at"]);
        for missed in [None, Some(0), Some(second.number)] {
            let whole = read(&second.event(missed));
            assert_eq!((&whole["title"], &whole["at"]["text"]), (&"shop".into(), &"2 s".into()));
        }
    }

    #[test]
    fn a_value_that_goes_away_is_a_change() {
        let stage = Some(crate::live::StageNow::default());
        let first = Published::default().next(Now { stage, ..Now::default() }).unwrap();
        let second = first.next(Now::default()).unwrap();
        assert_eq!(read(&second.event(Some(1)))["stage"], Value::Null);
    }
}
