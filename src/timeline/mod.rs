//! The vocabulary of a run: time, metric names, series, histograms, load ticks, batches and gaps.
//!
//! Nothing here reads a clock, a file or a socket. Units follow OpenTelemetry and Prometheus:
//! seconds, bytes, ratios from 0 to 1.
//!
//! ```
//! use kneepoint::timeline::{Batch, BatchBuilder, Moment, Selector, Timeline, Window, names};
//!
//! let mut builder = BatchBuilder::new();
//! builder.push(&names::CANARY_REQUESTS, 12.0);
//! let window = Window::new(Moment::from_secs_f64(1.0), Moment::from_secs_f64(2.0));
//! let batch = Batch { collector: "canary".to_owned(), window, readings: builder.finish() };
//!
//! let mut timeline = Timeline::default();
//! timeline.push_batch(batch);
//! let selector: Selector = "canary.requests".parse()?;
//! let (key, series) = timeline.select(&selector).next().expect("one series");
//! assert_eq!(key.to_string(), "canary.requests");
//! assert_eq!(series.points[0].at, Moment::from_secs_f64(1.5));
//! # Ok::<(), kneepoint::timeline::ParseSelectorError>(())
//! ```

mod batch;
mod cells;
mod condense;
mod failure;
mod generators;
mod histogram;
mod metric;
pub mod names;
mod response_class;
mod series;
mod source;
mod tick;
mod time;
mod words;

pub use batch::{Batch, BatchBuilder, Gap, Quote, Reading};
pub use condense::Condenser;
pub use failure::{FailureCount, FailureKind};
pub use generators::{
    Account, GENERATOR_LABEL, GeneratorTick, Lateness, Refill, TickMerger, metric_of_generators,
};
pub use histogram::Histogram;
pub use metric::{Kind, Labels, MetricSpec, ParseSelectorError, Selector, SeriesKey, Unit};
pub use response_class::ResponseClass;
pub use series::{Point, Series, Timeline};
pub use source::Source;
pub use tick::{EndpointTick, JourneyTick, LoadTick, Phases, Stage, StageRole};
pub use time::{Epoch, Moment, Window};
pub use words::{SentenceKind, cut, is_secret_name, mask_secrets, sentence_kind, text_template};
