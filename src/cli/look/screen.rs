//! The screen on a terminal: a thread that reads keys and draws what is new.

use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Once};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};

use super::super::console::is_plain;
use super::super::stop;
use super::draw::{Question, View, draw, trends};
use super::guard::Guard;
use super::hub::Hub;
use super::keys::Steering;
use crate::viewer::Control as _;

/// Longest time between two looks at the keys.
const BEAT: Duration = Duration::from_millis(100);
/// Shortest time between two frames.
const FRAME: Duration = Duration::from_millis(200);

/// Whether a screen is shown and the terminal has to be put back.
static IS_SHOWN: AtomicBool = AtomicBool::new(false);
static HOOK: Once = Once::new();

/// Whether a person sits at a terminal that can show a screen, and wants one.
pub(super) fn is_possible(quiet: bool) -> bool {
    !quiet
        && !is_plain()
        && io::stderr().is_terminal()
        && io::stdin().is_terminal()
        && is_in_front()
}

/// Whether this program may read the terminal. One in the background would be stopped.
fn is_in_front() -> bool {
    // SAFETY: neither call takes a pointer.
    unsafe { libc::tcgetpgrp(libc::STDERR_FILENO) == libc::getpgrp() }
}

/// A screen that is shown until it is dropped.
pub(super) struct Screen {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    guard: Option<Guard>,
}

impl Screen {
    /// Shows a screen; `None` if the terminal does not take one.
    pub(super) fn start(
        hub: &Arc<Hub>,
        steering: &Arc<Steering>,
        url: Option<String>,
    ) -> Option<Self> {
        let guard = Guard::start().ok()?;
        HOOK.call_once(|| {
            let usual = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                restore();
                usual(panic);
            }));
        });
        IS_SHOWN.store(true, Ordering::SeqCst);
        let shown = enable_raw_mode()
            .and_then(|()| execute!(io::stderr(), EnterAlternateScreen, Hide))
            .and_then(|()| Terminal::new(CrosstermBackend::new(io::stderr())));
        let Ok(terminal) = shown else {
            restore();
            guard.end();
            return None;
        };
        let stop = Arc::new(AtomicBool::new(false));
        let sitting = Sitting {
            hub: Arc::clone(hub),
            steering: Arc::clone(steering),
            url,
            stop: Arc::clone(&stop),
            question: Question::None,
        };
        let thread = std::thread::Builder::new().name("kp-screen".into());
        match thread.spawn(move || sitting.sit(terminal)) {
            Ok(thread) => Some(Self { stop, thread: Some(thread), guard: Some(guard) }),
            Err(_) => {
                restore();
                guard.end();
                None
            }
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
        restore();
        if let Some(guard) = self.guard.take() {
            guard.end();
        }
    }
}

/// Puts the terminal back as it was.
fn restore() {
    if IS_SHOWN.swap(false, Ordering::SeqCst) {
        // If the terminal is gone, there is nothing to put back.
        let _left = execute!(io::stderr(), LeaveAlternateScreen, Show).is_ok();
        let _cooked = disable_raw_mode().is_ok();
    }
}

/// One person at one terminal.
struct Sitting {
    hub: Arc<Hub>,
    steering: Arc<Steering>,
    /// Where the page is, if there is one.
    url: Option<String>,
    stop: Arc<AtomicBool>,
    question: Question,
}

impl Sitting {
    fn sit(mut self, mut terminal: Terminal<CrosstermBackend<io::Stderr>>) {
        let mut drawn = None;
        let mut drawn_at = Instant::now();
        let mut is_stale = true;
        while !self.stop.load(Ordering::Relaxed) {
            let version = self.hub.version();
            is_stale |= drawn != Some(version) && drawn_at.elapsed() >= FRAME;
            if is_stale {
                if self.draw(&mut terminal).is_err() {
                    // The terminal is gone; the run goes on.
                    return;
                }
                (drawn, drawn_at, is_stale) = (Some(version), Instant::now(), false);
            }
            match event::poll(BEAT) {
                Ok(true) => match event::read() {
                    Ok(Event::Key(key)) if key.kind != KeyEventKind::Release => {
                        self.press(key);
                        is_stale = true;
                    }
                    Ok(_) => is_stale = true,
                    Err(_) => return,
                },
                Ok(false) => {}
                Err(_) => return,
            }
        }
    }

    fn draw(&self, terminal: &mut Terminal<CrosstermBackend<io::Stderr>>) -> io::Result<()> {
        let (now, trends) = {
            let live = self.hub.look();
            (live.now(), trends(&live))
        };
        let view = View {
            now: &now,
            trends: &trends,
            question: self.question,
            can_pause: self.steering.can_pause,
            is_paused: self.steering.is_paused(),
            url: self.url.as_deref(),
        };
        terminal.draw(|frame| draw(frame, &view)).map(|_| ())
    }

    fn press(&mut self, key: KeyEvent) {
        let asked = std::mem::replace(&mut self.question, Question::None);
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            if key.code == KeyCode::Char('c') {
                stop::ask(&self.steering.interrupt, restore);
            }
            return;
        }
        match key.code {
            KeyCode::Char('y' | 'Y') if asked == Question::End => self.steering.end(),
            KeyCode::Char('q' | 'Q') => self.question = Question::End,
            KeyCode::Char('p' | 'P') => self.steering.pause(!self.steering.is_paused()),
            KeyCode::Char('m' | 'M') => self.steering.mark(""),
            KeyCode::Char('?' | 'h' | 'H') if asked != Question::Help => {
                self.question = Question::Help;
            }
            _ => {}
        }
    }
}
