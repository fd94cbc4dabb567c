//! How a person sees a run while it goes on: a line, a screen on a terminal, a page in a browser.
//!
//! Screen and page show one model, which a thread of its own feeds. The run hands over copies of
//! what it has recorded and never waits: what does not fit is counted.

mod address;
mod draw;
mod guard;
mod hub;
mod keys;
mod preliminary;
mod screen;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::args::LookArgs;
use super::console::{is_watched, say};
use super::error::CliError;
use super::exit::ExitStatus;
use super::progress::ProgressLine;
use crate::diagnose::RuleSet;
use crate::live::{About, Seen};
use crate::prepare::RunConfig;
use crate::recording::StopReason;
use crate::report::ended_because;
use crate::run::{self, Progress};
use crate::timeline::Moment;
use crate::viewer::{Control, Viewer};

use hub::Hub;
use keys::Steering;
use preliminary::Preliminary;
use screen::Screen;

pub(super) use guard::{ENTRY as GUARD, main as guard_main};

/// How often it is looked whether somebody has had enough of a report.
const LOOK: Duration = Duration::from_millis(100);
/// How long a program without a terminal waits for pages that are open to load the report.
const LOADING: Duration = Duration::from_secs(10);

/// How a run is to be shown.
#[derive(Clone, Copy)]
pub(super) struct Looking<'a> {
    pub(super) quiet: bool,
    /// Whether a screen may be shown.
    pub(super) screen: bool,
    /// Where to serve a page.
    pub(super) page: Option<SocketAddr>,
    /// Whether those who see the page may steer the run.
    pub(super) control: bool,
    /// What the diagnosis judges by.
    pub(super) rules: &'a RuleSet,
}

impl<'a> Looking<'a> {
    /// As the command line says.
    pub(super) fn of(args: &LookArgs, quiet: bool, rules: &'a RuleSet) -> Result<Self, CliError> {
        let page = args.live.as_deref().map(address::of).transpose()?;
        Ok(Self { quiet, screen: true, page, control: args.control, rules })
    }
}

/// What shows a run.
pub(super) struct Look {
    line: ProgressLine,
    hub: Option<Arc<Hub>>,
    screen: Option<Screen>,
    preliminary: Option<Preliminary>,
    page: Option<Page>,
}

/// A page that goes on after its run.
pub(super) struct Page {
    viewer: Arc<Viewer>,
    hub: Arc<Hub>,
}

impl Look {
    /// Begins to show a run whose recording is written to `path`.
    ///
    /// # Errors
    ///
    /// If the page cannot be served.
    pub(super) fn begin(
        looking: Looking<'_>,
        config: &RunConfig,
        path: &Path,
    ) -> Result<Self, CliError> {
        let wants_screen = looking.screen && screen::is_possible(looking.quiet);
        if !wants_screen && looking.page.is_none() {
            let line = ProgressLine::new(looking.quiet);
            return Ok(Self { line, hub: None, screen: None, preliminary: None, page: None });
        }
        let hub = Arc::new(Hub::start(about(config)).map_err(CliError::failed)?);
        let steering = Arc::new(Steering {
            interrupt: Arc::clone(&config.interrupt),
            controls: Arc::clone(&config.controls),
            can_pause: run::schedule(config).is_empty(),
            hub: Arc::clone(&hub),
        });
        let page = match looking.page {
            Some(address) => {
                let page = serve(address, looking.control, &hub, &steering)?;
                config.own_page.is_at(page.viewer.address().port());
                Some(page)
            }
            None => None,
        };
        let preliminary =
            Preliminary::start(path, looking.rules, &hub).map_err(CliError::failed)?;
        let screen = match wants_screen {
            true => Screen::start(&hub, &steering, page.as_ref().map(|page| page.viewer.url())),
            false => None,
        };
        let line = match &screen {
            Some(_) => ProgressLine::afterwards(looking.quiet),
            None => ProgressLine::new(looking.quiet),
        };
        Ok(Self { line, hub: Some(hub), screen, preliminary: Some(preliminary), page })
    }

    pub(super) fn show(&mut self, progress: &Progress<'_>) {
        self.line.show(progress);
        if let Some(hub) = &self.hub {
            hub.tell(progress);
        }
    }

    /// The load is over. What a screen has hidden is printed; a page goes on.
    pub(super) fn end(mut self, reason: &StopReason) -> Option<Page> {
        drop(self.preliminary.take());
        if let Some(hub) = &self.hub {
            hub.give(Seen::Over(ended_because(reason)));
        }
        drop(self.screen.take());
        self.line.print_rest();
        self.page.take()
    }
}

impl Page {
    /// Shows the report in place of the live page.
    pub(super) fn show_report(&self, html: Vec<u8>) {
        self.viewer.show_report(html);
        self.hub.give(Seen::Reported);
        self.hub.settle();
    }

    /// Serves the report: on a terminal until Ctrl-C, elsewhere until the pages that were open have
    /// loaded it.
    pub(super) fn stay(&self, interrupt: &AtomicBool) {
        let waiting = self.viewer.viewers() as u64;
        let is_watched = is_watched();
        if is_watched {
            say(format_args!("the report is at {} until Ctrl-C", self.viewer.url()));
        }
        // Set if the run was interrupted: from here on it is about the page.
        interrupt.store(false, Ordering::Relaxed);
        let since = Instant::now();
        while !interrupt.load(Ordering::Relaxed) {
            let is_loaded = self.viewer.reports() >= waiting || since.elapsed() > LOADING;
            if !is_watched && is_loaded {
                // The last of them may still be on its way.
                std::thread::sleep(LOOK);
                return;
            }
            std::thread::sleep(LOOK);
        }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // The page and the hub know each other.
        self.hub.publish_to(None);
    }
}

/// Serves a report at an address until Ctrl-C; `newer` gives another one where there is one.
pub(super) fn serve_report(
    address: &str,
    html: Vec<u8>,
    interrupt: &AtomicBool,
    mut newer: impl FnMut() -> Option<Vec<u8>>,
) -> Result<(), CliError> {
    let address = address::of(address)?;
    let hub = Hub::start(About::default()).map_err(CliError::failed)?;
    let viewer = Viewer::start(address, hub.live(), None).map_err(|why| cannot(address, &why))?;
    viewer.show_report(html);
    warn_of_others(&viewer);
    say(format_args!("the report is at {} until Ctrl-C", viewer.url()));
    while !interrupt.load(Ordering::Relaxed) {
        std::thread::sleep(LOOK);
        if let Some(html) = newer() {
            viewer.show_report(html);
        }
    }
    Ok(())
}

fn about(config: &RunConfig) -> About {
    let mut begin = Moment::START;
    let planned = run::schedule(config).into_iter().map(|level| {
        let stage = level.stage(begin);
        begin = stage.window.end;
        stage
    });
    About {
        title: config.plan.name.clone(),
        target: config.plan.target.clone(),
        planned: planned.collect(),
    }
}

fn serve(
    address: SocketAddr,
    control: bool,
    hub: &Arc<Hub>,
    steering: &Arc<Steering>,
) -> Result<Page, CliError> {
    let steering = control.then(|| Arc::clone(steering) as Arc<dyn Control>);
    let viewer =
        Viewer::start(address, hub.live(), steering).map_err(|why| cannot(address, &why))?;
    let viewer = Arc::new(viewer);
    warn_of_others(&viewer);
    say(format_args!("live page  {}", viewer.url()));
    hub.publish_to(Some(Arc::clone(&viewer)));
    Ok(Page { viewer, hub: Arc::clone(hub) })
}

fn warn_of_others(viewer: &Viewer) {
    if !viewer.address().ip().is_loopback() {
        say(
            "kneepoint: the page can be reached from other machines, and is not encrypted: who has \
             its address sees it",
        );
    }
}

fn cannot(address: SocketAddr, why: &std::io::Error) -> CliError {
    CliError::new(ExitStatus::Preflight, format!("cannot serve a page at {address}: {why}"))
        .with_hint("choose another address with `--live=HOST:PORT`, or a free one with `--live`")
}
