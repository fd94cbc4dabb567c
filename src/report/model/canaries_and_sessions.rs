//! The panels of canaries and of WebSocket sessions, which run beside the load.

use super::super::wording::clean;
use super::grid::Grid;
use super::panel::{Line, LineStyle, Panel, Quantity, has_values, line, spreads};
use crate::timeline::{Labels, MetricSpec, Selector, SeriesKey, Timeline, names};

/// Those for which there is something to draw: a run without them lacks nothing.
pub(super) fn panels(timeline: &Timeline, grid: Grid) -> impl Iterator<Item = Panel> {
    let panels = [
        canaries(timeline, grid),
        sessions(timeline, grid),
        messages(timeline, grid),
        waits(timeline, grid),
    ];
    panels.into_iter().flatten()
}

/// Label of the series of a canary, and of those of a kind of sessions.
const CANARY: &str = "canary";
const WEBSOCKET: &str = "websocket";

/// Styles that tell several lines of one kind apart without colour.
const STYLES: [LineStyle; 5] =
    [LineStyle::Solid, LineStyle::Dashed, LineStyle::Solid, LineStyle::Dotted, LineStyle::Dashed];

fn canaries(timeline: &Timeline, grid: Grid) -> Option<Panel> {
    let lines = each(timeline, grid, &names::CANARY_RESPONSE_TIME, CANARY);
    of_times(Panel {
        id: "canaries",
        title: "Response time of the canaries",
        lines,
        about: "Mean response time of the probe requests beside the load, each over a new \
                connection."
            .to_owned(),
        ..Panel::default()
    })
}

fn sessions(timeline: &Timeline, grid: Grid) -> Option<Panel> {
    let mut lines = each(timeline, grid, &names::WEBSOCKET_SESSIONS, WEBSOCKET);
    lines.extend(opened_again(timeline, grid));
    (!lines.is_empty()).then(|| Panel {
        id: "websocket-sessions",
        title: "WebSocket sessions",
        quantity: Quantity::Count,
        lines,
        about: "WebSocket sessions that are open, and how many were opened again.".to_owned(),
        ..Panel::default()
    })
}

fn messages(timeline: &Timeline, grid: Grid) -> Option<Panel> {
    let wanted = [
        (&names::WEBSOCKET_SENT, "sent", 1, LineStyle::Solid),
        (&names::WEBSOCKET_RECEIVED, "received", 3, LineStyle::Dashed),
        (&names::WEBSOCKET_UNANSWERED, "without an answer", 4, LineStyle::Solid),
    ];
    let lines = wanted.into_iter().filter_map(|(metric, name, ink, style)| {
        let values = grid.sum(timeline, &all(metric))?;
        values.iter().flatten().any(|value| *value > 0.0).then(|| line(name, ink, style, values))
    });
    let lines: Vec<_> = lines.collect();
    (!lines.is_empty()).then(|| Panel {
        id: "websocket-messages",
        title: "WebSocket messages",
        quantity: Quantity::Messages,
        lines,
        about: "Messages of all WebSocket sessions per second.".to_owned(),
        ..Panel::default()
    })
}

/// How long sessions wait for an answer, and to be opened.
fn waits(timeline: &Timeline, grid: Grid) -> Option<Panel> {
    let wanted = [
        (&names::WEBSOCKET_ROUND_TRIP_P50, "answer, median", LineStyle::Solid),
        (&names::WEBSOCKET_ROUND_TRIP_MAX, "answer, longest", LineStyle::Dashed),
        (&names::WEBSOCKET_OPEN_TIME_MAX, "opening, longest", LineStyle::Dotted),
    ];
    let has_several = timeline.select(&all(&names::WEBSOCKET_SESSIONS)).count() > 1;
    let lines = wanted.into_iter().flat_map(|(metric, what, style)| {
        each(timeline, grid, metric, WEBSOCKET).into_iter().map(move |line| {
            let name = if has_several { format!("{}: {what}", line.name) } else { what.to_owned() };
            Line { name, style, ..line }
        })
    });
    of_times(Panel {
        id: "websocket-times",
        title: "Waits of the WebSocket sessions",
        lines: lines.collect(),
        about: "From a message to its answer, and from the connection to the upgrade where a \
                session is opened."
            .to_owned(),
        ..Panel::default()
    })
}

/// A panel of times, on a logarithmic axis where only that shows the short ones; `None` where
/// there are none.
fn of_times(panel: Panel) -> Option<Panel> {
    let known = || panel.lines.iter().flat_map(|line| line.values.iter().flatten().copied());
    let (least, most) = known().fold((f64::INFINITY, 0.0_f64), |(a, b), v| (a.min(v), b.max(v)));
    let log = spreads(least, most);
    (most > 0.0).then_some(Panel { quantity: Quantity::Seconds, log, ..panel })
}

/// A line for each series of `metric`, named by its `label`.
fn each(timeline: &Timeline, grid: Grid, metric: &MetricSpec, label: &str) -> Vec<Line> {
    let all = all(metric);
    let mut lines = Vec::new();
    for (index, (key, _)) in timeline.select(&all).enumerate() {
        let one = Selector { labels: key.labels.clone(), ..all.clone() };
        let name = clean(key.labels.get(label).unwrap_or_default());
        let style = STYLES[index % STYLES.len()];
        let values = grid.sum(timeline, &one).filter(|values| has_values(values));
        lines.extend(values.map(|values| line(name, index % STYLES.len() + 1, style, values)));
    }
    lines
}

/// All series of a metric.
fn all(metric: &MetricSpec) -> Selector {
    Selector { metric: metric.name.to_owned(), labels: Labels::none() }
}

/// How many sessions were opened that had been open before; `None` where there was none. As many as
/// were open at once were opened for the first time.
fn opened_again(timeline: &Timeline, grid: Grid) -> Option<Line> {
    let mut values = vec![None; grid.len];
    for (key, opens) in timeline.select(&all(&names::WEBSOCKET_OPENS)) {
        let metric = names::WEBSOCKET_SESSIONS.name.to_owned();
        let open = timeline.series.get(&SeriesKey { metric, labels: key.labels.clone() })?;
        let (mut most, mut before) = (0.0_f64, 0.0);
        for (opened, open) in opens.points.iter().zip(&open.points) {
            most = most.max(open.value);
            let again = (opened.value - most - before).max(0.0);
            before += again;
            if let Some(index) = grid.index(opened.at) {
                *values[index].get_or_insert(0.0) += again;
            }
        }
    }
    let has_any = values.iter().flatten().any(|value| *value > 0.0);
    has_any.then(|| line("opened again", 4, LineStyle::Dotted, values))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::{Batch, BatchBuilder, Moment, Window};

    /// A second for each: sessions that are open, sessions opened, messages sent, round trip.
    fn timeline(kind: &str, seconds: &[(f64, f64, f64, Option<f64>)]) -> Timeline {
        let mut timeline = Timeline::default();
        for (second, (open, opens, sent, round_trip)) in seconds.iter().enumerate() {
            let mut batch = BatchBuilder::new();
            let values = [
                (&names::WEBSOCKET_SESSIONS, Some(*open)),
                (&names::WEBSOCKET_OPENS, Some(*opens)),
                (&names::WEBSOCKET_SENT, Some(*sent)),
                (&names::WEBSOCKET_UNANSWERED, Some(0.0)),
                (&names::WEBSOCKET_ROUND_TRIP_P50, *round_trip),
            ];
            for (metric, value) in values {
                let Some(value) = value else { continue };
                batch.push_labelled(metric, Labels::none().with(WEBSOCKET, kind), value);
            }
            let at = |second: usize| Moment::from_secs_f64(second as f64);
            let window = Window::new(at(second), at(second + 1));
            let collector = names::WEBSOCKET.to_owned();
            timeline.push_batch(Batch { collector, window, readings: batch.finish() });
        }
        timeline
    }

    #[test]
    fn sessions_that_come_back_are_told_and_first_openings_are_not() {
        let seconds = [
            (5.0, 5.0, 0.0, None),
            (10.0, 10.0, 10.0, Some(0.002)),
            // Four are lost; three of them come back within the second.
            (9.0, 13.0, 20.0, Some(0.3)),
            (10.0, 14.0, 30.0, None),
            (10.0, 14.0, 40.0, Some(0.002)),
        ];
        let timeline = timeline("feed", &seconds);
        let panels: Vec<Panel> = panels(&timeline, Grid::new(5.0)).collect();
        let ids: Vec<_> = panels.iter().map(|panel| panel.id).collect();
        assert_eq!(ids, ["websocket-sessions", "websocket-messages", "websocket-times"]);
        let [open, again] = &panels[0].lines[..] else { panic!("{:?}", panels[0].lines) };
        assert_eq!((open.name.as_str(), again.name.as_str()), ("feed", "opened again"));
        assert_eq!(again.values, [0.0, 0.0, 3.0, 1.0, 0.0].map(Some));
        // What never happened has no line.
        let [sent] = &panels[1].lines[..] else { panic!("{:?}", panels[1].lines) };
        assert_eq!((sent.name.as_str(), sent.values[2]), ("sent", Some(10.0)));
        let [answer] = &panels[2].lines[..] else { panic!("{:?}", panels[2].lines) };
        assert_eq!((answer.name.as_str(), answer.values[0]), ("answer, median", None));
        assert!(panels[2].log);
    }

    #[test]
    fn a_run_without_sessions_has_no_such_panel() {
        assert_eq!(panels(&Timeline::default(), Grid::new(5.0)).count(), 0);
    }
}
