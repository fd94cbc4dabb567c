//! Progress of a run on stderr: one line per stage, and on a terminal the current second below.

use super::console::{LiveLine, say};
use crate::live::load_of;
use crate::report::wording;
use crate::run::Progress;
use crate::timeline::{Histogram, LoadTick, Stage, StageRole};

/// Shows progress on stderr.
pub(super) struct ProgressLine {
    quiet: bool,
    line: LiveLine,
    /// The lines that wait until a screen is gone.
    waiting: Option<Vec<String>>,
}

impl ProgressLine {
    pub(super) fn new(quiet: bool) -> Self {
        Self { quiet, line: LiveLine::new(quiet), waiting: None }
    }

    /// Keeps its lines until [`ProgressLine::print_rest`]: a screen shows the run meanwhile.
    pub(super) fn afterwards(quiet: bool) -> Self {
        Self { quiet, line: LiveLine::new(true), waiting: Some(Vec::new()) }
    }

    /// Prints the lines that waited.
    pub(super) fn print_rest(&mut self) {
        self.waiting.take().into_iter().flatten().for_each(say);
    }

    fn print(&mut self, text: String) {
        match &mut self.waiting {
            Some(waiting) => waiting.push(text),
            None => {
                self.line.clear();
                say(text);
            }
        }
    }

    pub(super) fn show(&mut self, progress: &Progress<'_>) {
        if self.quiet {
            return;
        }
        match progress {
            Progress::StageBegins(stage) => self.line.replace(&begins(stage)),
            Progress::Tick { stage, tick } => self.line.replace(&second(stage, tick)),
            Progress::StageEnded { stage, ticks } => self.print(ended(stage, ticks)),
            Progress::Event(text) => self.print(format!("  {text}")),
            Progress::Reported(_) => {}
        }
    }
}

fn begins(stage: &Stage) -> String {
    format!("  {:<9} {:>9}", stage.role.to_string(), load_of(stage))
}

fn second(stage: &Stage, tick: &LoadTick) -> String {
    let left = stage.window.end.since(tick.window.end).as_secs();
    format!(
        "{}   {} left",
        numbers(stage, std::slice::from_ref(tick)),
        wording::duration(left as f64)
    )
}

fn ended(stage: &Stage, ticks: &[LoadTick]) -> String {
    match stage.role {
        StageRole::Recovery => format!("  {:<9} load off", stage.role.to_string()),
        _ => numbers(stage, ticks),
    }
}

fn numbers(stage: &Stage, ticks: &[LoadTick]) -> String {
    let seconds: f64 = ticks.iter().map(|tick| tick.window.secs()).sum();
    let completed: u64 = ticks.iter().map(LoadTick::completed).sum();
    let succeeded: u64 = ticks.iter().map(LoadTick::succeeded).sum();
    let in_flight = ticks.iter().fold(0.0, |sum, tick| sum + tick.in_flight * tick.window.secs())
        / seconds.max(1e-9);
    let mut times = Histogram::new();
    for endpoint in ticks.iter().flat_map(|tick| &tick.endpoints) {
        if endpoint.class.is_success() {
            times.merge(&endpoint.response_time);
        }
    }
    let time = |quantile| times.quantile(quantile).map_or("-".to_owned(), wording::duration);
    let failed = match completed - succeeded {
        0 => String::new(),
        failed => format!("  {failed} failed"),
    };
    format!(
        "{}  answered {:>9}  p50 {:>8}  p99 {:>8}  in flight {in_flight:.0}{failed}",
        begins(stage),
        wording::rate(succeeded as f64 / seconds.max(1e-9)),
        time(0.5),
        time(0.99),
    )
}
