//! The screen on a terminal.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::target::{KNEEPOINT, Server};

/// A terminal with a shell in it.
struct Terminal {
    socket: PathBuf,
    folder: tempfile::TempDir,
}

impl Terminal {
    /// `None` where there is no tmux.
    fn start(width: u32, height: u32) -> Option<Self> {
        if !super::has("tmux") {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let terminal = Self { socket: folder.path().join("tmux"), folder };
        let (width, height) = (width.to_string(), height.to_string());
        let shell = "env -u NO_COLOR PS1='ready> ' ENV= sh";
        terminal.tmux(&[
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            &width,
            "-y",
            &height,
            shell,
        ]);
        terminal.until("a prompt", |text| text.contains("ready>"));
        Some(terminal)
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        let output =
            Command::new("tmux").arg("-S").arg(&self.socket).args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn text(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    fn types(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }

    fn says(&self, format: &str) -> String {
        self.tmux(&["display-message", "-p", format]).trim().to_owned()
    }

    fn until(&self, what: &str, is: impl Fn(&str) -> bool) -> String {
        let since = Instant::now();
        loop {
            let text = self.text();
            if is(&text) {
                return text;
            }
            assert!(since.elapsed() < Duration::from_secs(40), "never {what}:\n{text}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    /// Types a run.
    fn run(&self, before: &str, url: &str, more: &str) {
        let out = self.out();
        let command = format!(
            "{before}{KNEEPOINT} run {url} --start 20/s --max 200/s --hold 3s --out {} {more}",
            out.display()
        );
        self.types(&[&command, "Enter"]);
    }

    /// The process of the run.
    fn pid(&self) -> Option<u32> {
        let shell = self.says("#{pane_pid}");
        let children = fs::read_to_string(format!("/proc/{shell}/task/{shell}/children")).ok()?;
        children.split_whitespace().next()?.parse().ok()
    }

    /// How the terminal is set up, as the shell sees it.
    fn settings(&self) -> String {
        let file = self.folder.path().join("stty");
        let command = format!("stty -a > {}; echo do''ne", file.display());
        self.types(&[&command, "Enter"]);
        self.until("asked", |text| text.contains("done"));
        fs::read_to_string(file).unwrap()
    }

    fn keep(&self, name: &str) {
        if let Some(folder) = std::env::var_os("KNEEPOINT_PICTURES") {
            fs::create_dir_all(&folder).unwrap();
            fs::write(Path::new(&folder).join(format!("{name}.txt")), self.text()).unwrap();
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let mut command = Command::new("tmux");
        let ended = command.arg("-S").arg(&self.socket).arg("kill-server").output();
        let _ended = ended.is_ok();
    }
}

#[test]
fn a_screen_follows_its_terminal_and_leaves_it_as_it_was() {
    let Some(terminal) = Terminal::start(80, 24) else { return };
    let server = Server::start();
    terminal.run("", &server.url(), "");
    let has_numbers = |text: &str| {
        ["offered", "p99", "in flight", "end now"].iter().all(|part| text.contains(part))
    };
    terminal.until("numbers at 80x24", has_numbers);
    terminal.keep("terminal-80x24");
    assert_eq!(terminal.says("#{alternate_on}"), "1");
    terminal.tmux(&["resize-window", "-x", "200", "-y", "60"]);
    // Long enough that there is something to see.
    std::thread::sleep(Duration::from_secs(14));
    let text = terminal.until("charts at 200x60", |text| {
        has_numbers(text)
            && text.lines().any(|line| line.contains("┌") || line.contains("──successful"))
            && text.lines().any(|line| line.chars().count() > 150)
    });
    assert!(text.lines().count() > 40, "{text}");
    terminal.keep("terminal-200x60");
    terminal.types(&["?"]);
    terminal.until("help", |text| text.contains("Keys"));
    terminal.types(&["x", "m", "p"]);
    terminal.until("a pause", |text| text.contains("paused") && text.contains("marked"));
    terminal.tmux(&["resize-window", "-x", "80", "-y", "24"]);
    terminal.until("numbers again", has_numbers);
    terminal.types(&["q"]);
    terminal.until("a question", |text| text.contains("y ends it"));
    terminal.types(&["y"]);
    terminal.until("the end", has_prompt);
    assert_eq!(terminal.says("#{alternate_on} #{cursor_flag}"), "0 1");
    assert!(terminal.out().join("report.html").exists());
    assert_sane(&terminal.settings());
}

/// Whether the shell waits for a command.
fn has_prompt(text: &str) -> bool {
    text.lines().rfind(|line| !line.trim().is_empty()).is_some_and(|line| line.trim() == "ready>")
}

fn assert_sane(settings: &str) {
    for on in ["icanon", "isig", "echo", "opost"] {
        let is_on = settings.split_whitespace().any(|word| word.trim_end_matches(';') == on);
        assert!(is_on, "{on} is off:\n{settings}");
    }
}

#[test]
fn a_killed_run_leaves_the_terminal_sane() {
    let Some(terminal) = Terminal::start(80, 24) else { return };
    let server = Server::start();
    terminal.run("", &server.url(), "");
    terminal.until("a screen", |text| text.contains("end now") && text.contains("offered"));
    let pid = terminal.pid().expect("a run").to_string();
    assert!(Command::new("kill").args(["-9", &pid]).status().unwrap().success());
    let since = Instant::now();
    while terminal.says("#{alternate_on} #{cursor_flag}") != "0 1" {
        assert!(since.elapsed() < Duration::from_secs(5), "the screen stays");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_sane(&terminal.settings());
}

#[test]
fn who_wants_lines_gets_lines() {
    let server = Server::start();
    for (before, more) in [("NO_COLOR=1 ", ""), ("TERM=dumb ", ""), ("", "--quiet")] {
        let Some(terminal) = Terminal::start(80, 24) else { return };
        terminal.run(before, &server.url(), more);
        let since = Instant::now();
        while since.elapsed() < Duration::from_secs(6) {
            assert_eq!(terminal.says("#{alternate_on}"), "0", "{before}{more}");
            std::thread::sleep(Duration::from_millis(200));
        }
        let text = terminal.text();
        assert_eq!(text.contains("baseline"), more.is_empty(), "{before}{more}:\n{text}");
        terminal.types(&["C-c"]);
        terminal.until("the end", has_prompt);
    }
}
