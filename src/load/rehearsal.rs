//! What a load would send, request by request, without sending it: for those who hold a plan
//! against the requests that users made.

use std::time::Duration;

use super::config::{FlowKind, LoadConfig};
use super::error::LoadError;
use super::mix::Mix;
use super::preview::without_shown_secrets;
use super::program::Todo;
use super::session::Session;

/// Stands for a value that only a response would tell: a number, as most ids are.
const CAPTURED: &str = "1";
/// At most this many requests of one journey.
const MOST_OF_ONE: usize = 1000;

/// What a user would do next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rehearsed<'a> {
    /// A user begins.
    Begin,
    /// A request is sent.
    Request {
        /// Its method.
        method: &'a str,
        /// Its path with the query, as it stands on the wire; secrets are hidden.
        target: &'a str,
    },
    /// The user pauses.
    Think(Duration),
}

/// Draws about `count` requests of each flow, as one worker would. A replay is drawn evenly over
/// the whole trace.
///
/// # Errors
///
/// Every request that is not valid on the wire.
pub fn rehearse(
    config: &LoadConfig,
    count: usize,
    each: &mut dyn FnMut(Rehearsed<'_>),
) -> Result<(), Vec<LoadError>> {
    let config = without_shown_secrets(config);
    let mut mix = Mix::compile(&config, 0, 1)?;
    for (flow, of) in config.flows.iter().enumerate() {
        let trace = match &of.kind {
            FlowKind::Replay(arrivals) => Some(arrivals),
            FlowKind::Open(_) | FlowKind::Closed(_) => None,
        };
        let most = trace.map_or(count, |arrivals| count.min(arrivals.len()));
        let mut sent = 0;
        // Some journeys may do nothing.
        for turn in 0..most {
            if sent >= most {
                break;
            }
            let replayed = trace.and_then(|arrivals| {
                let row = turn * arrivals.len() / most.max(1);
                arrivals.get(row).map(|arrival| (row as u64, arrival.journey))
            });
            let mut session = Session::default();
            mix.begin(flow, replayed, &mut session);
            sent += journey(&mut mix, &mut session, each);
        }
    }
    Ok(())
}

/// One journey to its end; returns the number of its requests.
fn journey(mix: &mut Mix, session: &mut Session, each: &mut dyn FnMut(Rehearsed<'_>)) -> usize {
    for slot in 0..mix.captured_names().len() {
        session.capture(slot, CAPTURED.to_owned());
    }
    each(Rehearsed::Begin);
    let mut sent = 0;
    while let Ok(todo) = mix.next(session) {
        match todo {
            Todo::Done => break,
            Todo::Think(time) => each(Rehearsed::Think(time)),
            Todo::Request(endpoint) => {
                let bytes = mix.build(endpoint, session).bytes;
                let line = bytes.split(|byte| *byte == b'\r').next().unwrap_or_default();
                let line = String::from_utf8_lossy(line);
                let mut words = line.split(' ');
                if let (Some(method), Some(target)) = (words.next(), words.next()) {
                    each(Rehearsed::Request { method, target });
                }
                sent += 1;
            }
        }
        if sent >= MOST_OF_ONE {
            break;
        }
    }
    sent
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Request, Segment, Template};

    #[test]
    fn a_mix_is_drawn_by_its_weights() {
        let path = |text: &str| Template(vec![Segment::Text(text.to_owned())]);
        let mix =
            vec![(Request::get("a", path("/a")), 3.0), (Request::get("b", path("/b?x=1")), 1.0)];
        let config = super::super::tests::config(([127, 0, 0, 1], 1).into()).with_mix(mix);
        let (mut begun, mut of_b, mut all) = (0, 0, 0);
        rehearse(&config, 4000, &mut |it| match it {
            Rehearsed::Begin => begun += 1,
            Rehearsed::Request { method, target } => {
                assert_eq!(method, "GET");
                all += 1;
                of_b += usize::from(target == "/b?x=1");
            }
            Rehearsed::Think(_) => {}
        })
        .unwrap();
        assert_eq!((begun, all), (4000, 4000));
        // Four standard deviations of a binomial of 4000 with 1/4.
        assert!((890..=1110).contains(&of_b), "{of_b}");
    }
}
