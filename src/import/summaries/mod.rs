//! Summaries: results that other tools print of a run as a whole, one file a format. Without times
//! there is no knee and no stage in them. They are read as figures, with what speaks against them.

mod distributions;
mod json;
mod summary;
mod text;

pub use self::summary::{EndpointSummary, ErrorSummary, Quantile, ResponseTimes, Summary};
use crate::import::error::ImportError;
use crate::registry::registry;

/// One format of summaries.
#[derive(Debug)]
pub struct SummarySpec {
    /// Name on the command line.
    pub name: &'static str,
    /// One line for `kneepoint list importers`, with the command that writes the format.
    pub summary: &'static str,
    /// What to do to get a diagnosis: what else the tool can write, or what to run in its place.
    pub instead: &'static str,
    /// Whether a file that begins like this is of the format. At most one importer says yes.
    looks_like: fn(&str) -> bool,
    /// The runs in the text, in its order.
    read: fn(&str) -> Result<Vec<Summary>, ImportError>,
}

impl SummarySpec {
    /// Whether a file that begins like this is of the format.
    pub(super) fn looks_like(&self, begin: &str) -> bool {
        (self.looks_like)(&text::without_colours(begin))
    }
}

registry! {
    /// Every format, in the order lists show them.
    pub static SUMMARIES: [SummarySpec] = [
        k6_summary,
        k6_text,
        jmeter_aggregate,
        jmeter_statistics,
        locust_stats,
        locust_text,
        gatling_stats,
        gatling_text,
        artillery_text,
        locust_failures,
        locust_exceptions,
        vegeta_text,
        hey_text,
        ghz_text,
        oha,
        oha_text,
        wrk,
        ab,
        siege,
        h2load,
        bombardier,
        httperf,
        drill,
        autocannon,
        autocannon_text,
        fortio,
        nighthawk,
        nighthawk_text,
        taurus,
        taurus_csv,
        access_log_rates,
    ]
}

/// Where a tool writes nothing that has times.
const NOTHING_WITH_TIMES: &str = "run `kneepoint run URL`, or a tool that writes each request with \
                                  its time, such as k6 or vegeta";

/// Reads the runs in a text, with what the reader has to know of each.
///
/// # Errors
/// When the text does not hold what the format has.
pub(super) fn read(spec: &'static SummarySpec, text: &str) -> Result<Vec<Summary>, ImportError> {
    let text = text::without_colours(text.trim_start_matches('\u{feff}'));
    let mut runs = (spec.read)(&text)?;
    let count = runs.len();
    if count == 0 {
        return Err(ImportError::Empty);
    }
    for (place, run) in runs.iter_mut().enumerate() {
        run.conclude(spec.name, spec.instead);
        if count > 1 {
            run.warn(format!(
                "the file holds {count} runs, this is number {}: they are kept apart and not \
                 added up",
                place + 1
            ));
        }
    }
    Ok(runs)
}

#[cfg(test)]
mod tests;
