//! The vocabulary every room speaks: time, metric names, series, histograms, load ticks,
//! batches and gaps.
//!
//! Nothing here reads a clock, a file or a socket. Units follow OpenTelemetry and Prometheus:
//! seconds, bytes, ratios from 0 to 1.

mod batch;
mod cells;
mod condense;
mod histogram;
mod metric;
pub mod names;
mod series;
mod source;
mod tick;
mod time;

pub use batch::{Batch, BatchBuilder, Gap, Reading};
pub use condense::Condenser;
pub use histogram::Histogram;
pub use metric::{Kind, Labels, MetricSpec, ParseSelectorError, Selector, SeriesKey, Unit};
pub use series::{Point, Series, Timeline};
pub use source::Source;
pub use tick::{EndpointTick, JourneyTick, LoadTick, Phases, ResponseClass, Stage, StageRole};
pub use time::{Epoch, Moment, Window};
