//! Reads samples slice by slice, so that neither the server nor kneepoint holds more than one.
//!
//! An instant query of a range selector returns the stored samples with their own times. What
//! `query_range` returns is evaluated at steps: it repeats the last value for up to five minutes
//! after a series has ended. It is used only where the server allows nothing else.

use super::answer::Matrix;
use super::error::HistoryError;
use super::server::{AskError, Server};

/// Step of `query_range` in milliseconds, where that has to be used: the usual scrape interval.
const STEP: i64 = 15_000;
/// Shortest time that is asked for, in milliseconds: a server that refuses that refuses all.
const SHORTEST: i64 = 60_000;

/// How samples are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// With their own times.
    Raw,
    /// Evaluated at steps.
    Evaluated,
}

/// Reads samples of a server.
pub(super) struct Reader<'s> {
    server: &'s Server,
    pub(super) way: Way,
    has_read: bool,
}

impl<'s> Reader<'s> {
    pub(super) fn new(server: &'s Server) -> Self {
        Self { server, way: Way::Raw, has_read: false }
    }

    /// The samples of `selector` after `from` and up to `to`, in milliseconds since 1970. What is too
    /// much at a time is read in halves.
    pub(super) fn read(
        &mut self,
        selector: &str,
        (from, to): (i64, i64),
        take: &mut dyn FnMut(Matrix),
    ) -> Result<(), HistoryError> {
        let mut open = vec![(from, to)];
        while let Some((from, to)) = open.pop() {
            match self.ask(selector, from, to) {
                Ok(matrix) => {
                    self.has_read = true;
                    take(matrix);
                }
                Err(AskError::TooMuch(_)) if to - from > SHORTEST => {
                    let middle = i64::midpoint(from, to);
                    // The earlier half is on top.
                    open.extend([(middle, to), (from, middle)]);
                }
                Err(AskError::Refused(error)) if self.way == Way::Raw && !self.has_read => {
                    self.way = Way::Evaluated;
                    // What refuses both ways has another reason, which the first answer tells.
                    match self.ask(selector, from, to) {
                        Ok(matrix) => {
                            self.has_read = true;
                            take(matrix);
                        }
                        Err(AskError::TooMuch(_)) if to - from > SHORTEST => {
                            open.push((from, to));
                        }
                        Err(_) => return Err(error),
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn ask(&self, selector: &str, from: i64, to: i64) -> Result<Matrix, AskError> {
        let seconds = |millis: i64| format!("{:.3}", millis as f64 / 1e3);
        match self.way {
            Way::Raw => {
                let query = format!("{selector}[{}ms]", (to - from).max(1));
                self.server.ask("query", &[("query", &query), ("time", &seconds(to))])
            }
            Way::Evaluated => {
                // Steps lie at whole multiples, so that neighbouring slices agree.
                let first = (from.div_euclid(STEP) + 1) * STEP;
                let step = seconds(STEP);
                let (start, end) = (seconds(first), seconds(to.max(first)));
                let range = [("start", start.as_str()), ("end", &end), ("step", &step)];
                let parameters = [&[("query", selector)], &range[..]].concat();
                self.server.ask("query_range", &parameters)
            }
        }
    }
}
