//! WebSocket sessions while the load runs, measured separately: each of their seconds becomes a
//! batch, like that of a collector, and never a tick of the run.

use std::sync::mpsc::Receiver;

use crate::load::{LoadConfig, LoadError, SessionTick, Sessions};
use crate::plan::WebSocket;
use crate::timeline::{Batch, BatchBuilder, Epoch, Labels, Moment, Source, names};

/// What the sessions add to a recording.
pub(super) const SOURCE: Source = Source {
    name: names::WEBSOCKET,
    metrics: &[
        names::WEBSOCKET_SESSIONS,
        names::WEBSOCKET_OPENS,
        names::WEBSOCKET_OPEN_FAILURES,
        names::WEBSOCKET_DROPS,
        names::WEBSOCKET_BREAKS,
        names::WEBSOCKET_SENT,
        names::WEBSOCKET_RECEIVED,
        names::WEBSOCKET_UNANSWERED,
        names::WEBSOCKET_ROUND_TRIP_P50,
        names::WEBSOCKET_ROUND_TRIP_MAX,
        names::WEBSOCKET_OPEN_TIME_P50,
        names::WEBSOCKET_OPEN_TIME_MAX,
    ],
    hint: "[[websocket]] with the path of the sessions and how many",
};

/// The sessions of a run, until they are stopped.
#[derive(Default)]
pub(super) struct WebSockets(Vec<SessionGroup>);

/// The sessions of one `[[websocket]]`.
struct SessionGroup {
    name: String,
    sessions: Sessions,
    ticks: Receiver<SessionTick>,
}

impl WebSockets {
    /// Begins to open the sessions of `websockets` at `first`, against the target of `load`.
    ///
    /// # Errors
    ///
    /// As for the load's own generator.
    pub(super) fn start(
        websockets: &[WebSocket],
        load: &LoadConfig,
        epoch: Epoch,
        first: Moment,
    ) -> Result<Self, LoadError> {
        let mut kinds = Vec::new();
        for websocket in websockets {
            let (sessions, ticks) = Sessions::start(websocket, load, epoch, first)?;
            kinds.push(SessionGroup { name: websocket.request.name.clone(), sessions, ticks });
        }
        Ok(Self(kinds))
    }

    /// What was measured since the last call.
    pub(super) fn take(&self) -> Vec<Batch> {
        let batches = |kind: &SessionGroup| {
            kind.ticks.try_iter().map(|tick| batch(&kind.name, &tick)).collect()
        };
        self.0.iter().flat_map(|kind| -> Vec<Batch> { batches(kind) }).collect()
    }

    /// Ends all sessions and returns what was measured since the last [`WebSockets::take`].
    pub(super) fn stop(&mut self) -> Vec<Batch> {
        let mut batches = Vec::new();
        for SessionGroup { name, sessions, ticks } in self.0.drain(..) {
            sessions.stop();
            batches.extend(ticks.try_iter().map(|tick| batch(&name, &tick)));
        }
        batches
    }
}

/// One second as a batch. A second without an answer has no round-trip time.
fn batch(name: &str, tick: &SessionTick) -> Batch {
    let counts = &tick.counts;
    let count = |count: u64| Some(count as f64);
    let values = [
        (&names::WEBSOCKET_SESSIONS, count(counts.open)),
        (&names::WEBSOCKET_OPENS, count(counts.opens)),
        (&names::WEBSOCKET_OPEN_FAILURES, count(counts.open_failures)),
        (&names::WEBSOCKET_DROPS, count(counts.drops)),
        (&names::WEBSOCKET_BREAKS, count(counts.breaks)),
        (&names::WEBSOCKET_SENT, count(counts.sent)),
        (&names::WEBSOCKET_RECEIVED, count(counts.received)),
        (&names::WEBSOCKET_UNANSWERED, count(counts.unanswered)),
        (&names::WEBSOCKET_ROUND_TRIP_P50, tick.round_trip.quantile(0.5)),
        (&names::WEBSOCKET_ROUND_TRIP_MAX, tick.round_trip.max()),
        (&names::WEBSOCKET_OPEN_TIME_P50, tick.open_time.quantile(0.5)),
        (&names::WEBSOCKET_OPEN_TIME_MAX, tick.open_time.max()),
    ];
    let mut batch = BatchBuilder::new();
    for (metric, value) in values {
        let Some(value) = value else { continue };
        batch.push_labelled(metric, Labels::none().with("websocket", name), value);
    }
    Batch { collector: names::WEBSOCKET.to_owned(), window: tick.window, readings: batch.finish() }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::load::SessionCounts;
    use crate::timeline::{Histogram, Window};

    #[test]
    fn a_second_becomes_readings_and_what_was_not_measured_is_absent() {
        let at = Moment::from_secs_f64;
        let mut open_time = Histogram::new();
        open_time.record(Duration::from_millis(3));
        let counts = SessionCounts { open: 5, opens: 7, drops: 2, ..SessionCounts::default() };
        let (window, round_trip) = (Window::new(at(1.0), at(2.0)), Histogram::new());
        let batch = batch("feed", &SessionTick { window, counts, round_trip, open_time });
        assert_eq!(batch.collector, "websocket");
        let value = |name: &str| {
            let reading = batch.readings.iter().find(|reading| reading.key.metric == name)?;
            assert_eq!(reading.key.labels.get("websocket"), Some("feed"));
            Some(reading.value)
        };
        assert_eq!(value("websocket.sessions"), Some(5.0));
        assert_eq!(value("websocket.drops"), Some(2.0));
        assert_eq!(value("websocket.breaks"), Some(0.0));
        assert_eq!(value("websocket.round_trip.p50"), None);
        assert!((value("websocket.open_time.max").unwrap() - 0.003).abs() < 1e-4);
    }
}
