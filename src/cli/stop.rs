//! Ways to end a run from outside: signals and the kill switch.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use url::Url;

use super::error::CliError;
use super::exit::ExitStatus;
use crate::plan::redact_url;

/// Time between two checks of the kill switch.
const LOOK: Duration = Duration::from_millis(200);
const ASK: Duration = Duration::from_secs(1);
/// Signals that may wait to be passed on; somebody who sends more has been heard.
const WAITING_SIGNALS: usize = 16;
/// Time limit for the answer of a kill switch URL.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// A way to end a run without access to its terminal.
pub(super) enum KillSwitch {
    /// Set once this file exists.
    File(PathBuf),
    /// Set once this URL answers with success (2xx). Any other answer, or none, means not set.
    Url(Url),
}

impl KillSwitch {
    /// The file or URL that `text` names.
    ///
    /// # Errors
    ///
    /// The text is not a valid URL.
    pub(super) fn of(text: &str) -> Result<Self, CliError> {
        if !text.contains("://") {
            return Ok(Self::File(text.into()));
        }
        match Url::parse(text).ok().filter(|url| ["http", "https"].contains(&url.scheme())) {
            Some(url) => Ok(Self::Url(url)),
            None => Err(CliError::usage(format!(
                "the kill switch `{}` is not a valid URL; write `https://host/path`, or name a file",
                redact_url(text)
            ))),
        }
    }

    /// # Errors
    ///
    /// It is already set, or its URL does not answer and so could not end the run.
    pub(super) fn refuse_if_set(&self) -> Result<(), CliError> {
        let shown = match self {
            KillSwitch::File(path) => path.display().to_string(),
            KillSwitch::Url(url) => redact_url(url.as_str()),
        };
        let refuse = |what: &str, hint: &str| {
            let what = format!("the kill switch `{shown}` {what}; no load was sent");
            Err(CliError::new(ExitStatus::Preflight, what).with_hint(hint.to_owned()))
        };
        match self {
            KillSwitch::File(path) if path.exists() => {
                refuse("already exists", "remove it, or name another file with `--kill-switch`")
            }
            KillSwitch::File(_) => Ok(()),
            KillSwitch::Url(url) => {
                match KillSwitchClient::new(url).and_then(|client| client.ask()) {
                    Ok(false) => Ok(()),
                    Ok(true) => refuse(
                        "is already set: it answers with success (2xx)",
                        "make it answer with another status, such as 404, as long as the run may go on",
                    ),
                    Err(why) => refuse(
                        &format!("does not answer: {why}"),
                        "make it answer, with any status but success, so that it can end the run",
                    ),
                }
            }
        }
    }

    /// Waits until it is set.
    fn wait(&self) {
        match self {
            KillSwitch::File(path) => {
                while !path.exists() {
                    std::thread::sleep(LOOK);
                }
            }
            KillSwitch::Url(url) => {
                let Ok(client) = KillSwitchClient::new(url) else { return };
                while client.ask() != Ok(true) {
                    std::thread::sleep(ASK);
                }
            }
        }
    }
}

/// The client that asks the URL of a kill switch whether the run must end.
struct KillSwitchClient {
    client: reqwest::Client,
    url: Url,
    runtime: tokio::runtime::Runtime,
}

impl KillSwitchClient {
    fn new(url: &Url) -> Result<Self, String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        let client = reqwest::Client::builder()
            .timeout(ANSWER_WITHIN)
            .build()
            .map_err(|error| error.without_url().to_string())?;
        Ok(Self { client, url: url.clone(), runtime })
    }

    fn ask(&self) -> Result<bool, String> {
        let answer = self.runtime.block_on(self.client.get(self.url.clone()).send());
        match answer {
            Ok(answer) => Ok(answer.status().is_success()),
            Err(error) => Err(error.without_url().to_string()),
        }
    }
}

/// A flag that Ctrl-C, SIGTERM or the kill switch sets. A second signal ends the program at once;
/// what was recorded so far is kept.
pub(super) fn interrupt_flag(kill_switch: Option<KillSwitch>) -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&flag);
    signals::on_signal(move |_| ask(&asked, || {}));
    if let Some(kill_switch) = kill_switch {
        let flag = Arc::clone(&flag);
        std::thread::spawn(move || {
            kill_switch.wait();
            flag.store(true, Ordering::Relaxed);
        });
    }
    flag
}

/// Asks the run to end; who asks again ends the program at once, after `clean`.
pub(super) fn ask(flag: &AtomicBool, clean: impl FnOnce()) {
    if flag.swap(true, Ordering::Relaxed) {
        clean();
        // SAFETY: ends the process without running anything else. The recording is append-only
        // and stays readable.
        unsafe { libc::_exit(130) }
    }
}

/// The numbers of the signals that ask the program to end, as they come. None of them ends it.
pub(super) fn signals() -> Receiver<i32> {
    let (sink, signals) = sync_channel(WAITING_SIGNALS);
    signals::on_signal(move |signal| {
        // Nobody listens any more once the watch is over.
        let _heard = sink.try_send(signal).is_ok();
    });
    signals
}

mod signals {
    use tokio::signal::unix::{SignalKind, signal};

    /// Waits for Ctrl-C and SIGTERM on a separate thread, and hands on their numbers.
    pub(super) fn on_signal(mut seen: impl FnMut(i32) + Send + 'static) {
        std::thread::spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build()
            else {
                return;
            };
            runtime.block_on(async {
                let interrupt = signal(SignalKind::interrupt());
                let terminate = signal(SignalKind::terminate());
                let (Ok(mut interrupt), Ok(mut terminate)) = (interrupt, terminate) else {
                    return;
                };
                loop {
                    let signal = tokio::select! {
                        _ = interrupt.recv() => libc::SIGINT,
                        _ = terminate.recv() => libc::SIGTERM,
                    };
                    seen(signal);
                }
            });
        });
    }
}
