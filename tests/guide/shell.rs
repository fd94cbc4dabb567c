//! Runs what a page says to type, in order, in a directory of its own.
//!
//! | block | what becomes of it |
//! |---|---|
//! | `sh` | runs in bash, ends with 0, or as a line `# exit code 0 or 123` says |
//! | `sh,background` | runs until the end of the page; what follows waits for its first line |
//! | `sh,norun` | is only parsed; a comment before it says why: `<!-- norun: needs k6 -->` |
//! | `text` | its lines stand, in this order, in what the last command printed; `…` leaves lines out |
//! | `text,example` | of a run that was made by hand |
//! | `toml` | a plan, or a part of one: `kneepoint check` takes it |
//! | `toml,norun` | of something that `check` cannot know |
//! | any with a first line `# NAME` or `// NAME` | is the file NAME for the commands that follow |

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use regex::Regex;
use tempfile::TempDir;

use crate::page::{Block, Page};
use crate::root;

const KNEEPOINT: &str = env!("CARGO_BIN_EXE_kneepoint");
/// What a block may take before it counts as stuck.
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_millis(20);
/// Directories of a checkout that commands name.
const CHECKOUT: [&str; 4] = ["examples", "reports", "rules", "tests"];

/// Lets bash read a command line without running it: `--help` makes clap parse what is before it, and
/// whatever else a line calls does nothing.
const PARSE_ONLY: &str = r#"
command_not_found_handle() { return 0; }
cd() { :; }
export() { :; }
sudo() { "$@"; }
kneepoint() {
    local argument help given=()
    for argument in "$@"; do
        if [ "$argument" = -- ]; then break; fi
        given+=("$argument")
    done
    # Kept from the next command of a pipe, which has ended already.
    help=$(command kneepoint "${given[@]}" --help) || exit
}
"#;

/// What is added to a part of a plan, unless it has it.
const PLAN: [(&[&str], &str); 3] = [
    (&["[target]"], "[target]\nurl = \"http://127.0.0.1:8080\"\n"),
    (&["[[request]]", "[[journey]]"], "[[request]]\npath = \"/\"\n"),
    (
        &["[load]", "[[scenario]]"],
        "[load]\nexecutor = \"breakpoint\"\nstart = \"10/s\"\nmax = \"100/s\"\n",
    ),
];

/// The directory in which a page is followed.
struct Place {
    directory: TempDir,
    programs: TempDir,
    bash: PathBuf,
    background: Vec<Child>,
}

impl Place {
    fn new() -> Result<Self> {
        let (directory, programs) = (tempfile::tempdir()?, tempfile::tempdir()?);
        // A shop's database runs under an account of its own.
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755))?;
        for name in CHECKOUT {
            symlink(root().join(name), directory.path().join(name))?;
        }
        symlink(KNEEPOINT, programs.path().join("kneepoint"))?;
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut files = std::env::split_paths(&path).map(|folder| folder.join("bash"));
        let bash = files.find(|file| file.exists()).context("bash is not installed")?;
        Ok(Self { directory, programs, bash, background: Vec::new() })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A call of bash in the page's directory.
    fn bash(&self, options: &[&str], script: &str) -> Command {
        // By its path: where a call has a `PATH` of its own, that would be searched.
        let mut command = Command::new(&self.bash);
        command
            .args(options)
            .args(["-e", "-o", "pipefail", "-c", script])
            .current_dir(self.directory.path())
            .env_remove("BASH_ENV")
            // Moments are told in local time.
            .env("TZ", "UTC")
            .stdin(Stdio::null())
            // A group of its own, so that all of it can be ended.
            .process_group(0);
        command
    }

    /// A call of bash in which `kneepoint` is the program under test.
    fn shell(&self, script: &str) -> Command {
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = self.bash(&[], script);
        command.env("PATH", format!("{}:{path}", self.programs.path().display()));
        command
    }

    /// Runs a block, and returns what it printed on both outputs.
    fn run(&self, block: &Block) -> Result<String> {
        let (status, printed) = self.finish(self.shell(&block.text))?;
        let expected = expected_codes(&block.text);
        match status.map(|status| status.code()) {
            None => bail!("did not end within {PATIENCE:?}; it printed:\n{printed}"),
            Some(Some(code)) if expected.contains(&code) => Ok(printed),
            Some(code) => bail!("ended with {code:?}, not {expected:?}; it printed:\n{printed}"),
        }
    }

    /// The command's status, `None` if it had to be killed, and what it printed.
    fn finish(&self, mut command: Command) -> Result<(Option<ExitStatus>, String)> {
        let file = self.programs.path().join("printed");
        let printed = File::create(&file)?;
        command.stdout(printed.try_clone()?).stderr(printed);
        let mut child = command.spawn().context("bash")?;
        let status = wait(&mut child, PATIENCE)?;
        if status.is_none() {
            signal(&child, "KILL")?;
            child.wait()?;
        }
        let printed = fs::read(file)?;
        Ok((status, String::from_utf8_lossy(&printed).into_owned()))
    }

    /// What a command that has to succeed printed otherwise.
    fn succeed(&self, command: Command, what: &str) -> Result<()> {
        let (status, printed) = self.finish(command)?;
        ensure!(status.is_some_and(|status| status.success()), "{what}:\n{printed}");
        Ok(())
    }

    /// Starts a block that goes on while the others run, and waits for its first line.
    fn start(&mut self, block: &Block) -> Result<()> {
        let file = self.programs.path().join(format!("background-{}", self.background.len()));
        let remarks = file.with_extension("stderr");
        let mut command = self.shell(&block.text);
        command.stdout(File::create(&file)?).stderr(File::create(&remarks)?);
        let child = command.spawn().context("bash")?;
        self.background.push(child);
        let child = self.background.last_mut().context("just started")?;
        let begin = Instant::now();
        while !fs::read_to_string(&file)?.contains('\n') {
            if let Some(status) = child.try_wait()? {
                bail!("ended with {status}: {}", fs::read_to_string(&remarks)?);
            }
            ensure!(begin.elapsed() < PATIENCE, "printed nothing within {PATIENCE:?}");
            thread::sleep(LOOK);
        }
        Ok(())
    }

    /// Lets bash and clap parse a command line. Nothing is run: kneepoint is the only program, and
    /// restricted bash neither writes files nor runs a program by its path.
    fn parse(&self, text: &str) -> Result<()> {
        let redirected = Regex::new(r#"(?m)\s\d?>{1,2}\s*("[^"\n]*"|[^\s)]+)"#)?;
        let script = format!("{PARSE_ONLY}\n{}", redirected.replace_all(text, ""));
        let mut command = self.bash(&["-r"], &script);
        command.env_clear().env("PATH", self.programs.path());
        self.succeed(command, "cannot be parsed")
    }

    /// Lets `kneepoint check` take a plan, or a part of one.
    fn check(&self, block: &Block) -> Result<()> {
        let mut text = block.text.clone();
        for (tables, addition) in PLAN {
            let has = |line: &str| tables.iter().any(|table| line.starts_with(table));
            if !text.lines().any(has) {
                text = format!("{text}\n{addition}");
            }
        }
        let file = "part-of-a-plan.toml";
        fs::write(self.path(file), &text)?;
        let mut command = self.shell(&format!("kneepoint check {file}"));
        for found in Regex::new(r"\$\{(\w+)\}")?.captures_iter(&text) {
            let is_url = found[1].contains("URL");
            command.env(&found[1], if is_url { "postgres://me@127.0.0.1/shop" } else { "value" });
        }
        self.succeed(command, "`kneepoint check` refuses it")
    }

    fn save(&self, name: &str, text: &str) -> Result<()> {
        let first = name.split('/').next().unwrap_or_default();
        ensure!(!CHECKOUT.contains(&first), "`{name}` would be written into the checkout");
        let file = self.path(name);
        fs::create_dir_all(file.parent().unwrap_or(self.directory.path()))?;
        Ok(fs::write(&file, text)?)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for child in &mut self.background {
            // As Ctrl-C does; what does not end is killed.
            let asked = signal(child, "INT").is_ok();
            if !asked || !matches!(wait(child, Duration::from_secs(20)), Ok(Some(_))) {
                let _killed = signal(child, "KILL").is_ok();
            }
        }
    }
}

/// The codes that a block may end with.
fn expected_codes(text: &str) -> Vec<i32> {
    let said = text.lines().find_map(|line| line.strip_prefix("# exit code "));
    said.unwrap_or("0").split(" or ").filter_map(|code| code.trim().parse().ok()).collect()
}

fn wait(child: &mut Child, patience: Duration) -> io::Result<Option<ExitStatus>> {
    let begin = Instant::now();
    loop {
        match child.try_wait()? {
            None if begin.elapsed() < patience => thread::sleep(LOOK),
            status => return Ok(status),
        }
    }
}

/// Sends a signal to the child and all that it started.
fn signal(child: &Child, name: &str) -> io::Result<()> {
    let group = format!("-{}", child.id());
    Command::new("kill").args(["-s", name, "--", &group]).status().map(drop)
}

/// The first line that was not printed, in the order of `shown`.
fn not_printed<'a>(shown: &'a str, printed: &str) -> Option<&'a str> {
    let mut printed = printed.lines();
    let is_left_out = |line: &str| line.trim() == "…" || line.trim().is_empty();
    let mut shown = shown.lines().filter(|line| !is_left_out(line));
    shown.find(|line| !printed.any(|known| known.trim_end() == line.trim_end()))
}

/// Follows a page from its first block to its last, and returns all that went wrong.
///
/// # Errors
/// If there is no directory to follow it in.
#[expect(clippy::print_stderr, reason = "says which block takes long, where somebody asks")]
pub fn follow(page: &Page) -> Result<Vec<String>> {
    let mut place = Place::new()?;
    let mut mistakes = Vec::new();
    let mut printed = None;
    for block in &page.blocks {
        let begin = Instant::now();
        let done = take(&mut place, block, &mut printed);
        eprintln!("{} took {:.1} s", page.at(block.line), begin.elapsed().as_secs_f64());
        mistakes.extend(done.err().map(|what| format!("{}: {what:#}", page.at(block.line))));
    }
    Ok(mistakes)
}

fn take(place: &mut Place, block: &Block, printed: &mut Option<String>) -> Result<()> {
    if let Some(name) = block.file() {
        place.save(name, &block.text)?;
    }
    match block.language.as_str() {
        "sh" if block.is("norun") => {
            let reason = block.note.as_deref().and_then(|note| note.split_once("norun: "));
            reason.context("is not run, and no comment `<!-- norun: … -->` says why")?;
            place.parse(&block.text)
        }
        "sh" if block.is("background") => place.start(block),
        "sh" => {
            *printed = None;
            *printed = Some(place.run(block)?);
            Ok(())
        }
        "text" if block.is("example") => Ok(()),
        "text" => {
            let output = printed.as_ref().context("follows no command: is it `text,example`?")?;
            match not_printed(&block.text, output) {
                Some(line) => bail!("was not printed: `{line}`\nbut:\n{output}"),
                None => Ok(()),
            }
        }
        "toml" if block.is("norun") || block.text.contains("[[require]]") => Ok(()),
        "toml" => place.check(block),
        _ => Ok(()),
    }
}

/// Parses every call of kneepoint on a page, as blocks and within sentences, and runs none.
///
/// # Errors
/// If there is no directory to do that in.
pub fn parse_all(page: &Page) -> Result<Vec<String>> {
    let place = Place::new()?;
    let is_call = |block: &&Block| block.language == "sh" && block.text.contains("kneepoint ");
    let shell = page.blocks.iter().filter(is_call);
    let blocks = shell.map(|block| (block.line, block.text.as_str()));
    // A sentence may leave out the rest of a call.
    let calls = page.calls.iter().map(|call| (call.line, call.text.as_str()));
    let calls = calls.filter(|(_, text)| !text.contains('…'));
    let mistake = |(line, text): (usize, &str)| {
        let what = place.parse(text).err()?;
        Some(format!("{}: `{}` {what:#}", page.at(line), text.trim()))
    };
    Ok(blocks.chain(calls).filter_map(mistake).collect())
}

#[cfg(test)]
mod tests {
    use super::{expected_codes, not_printed};

    #[test]
    fn lines_are_looked_for_in_their_order() {
        let printed = "one\ntwo  \n\nthree\n";
        assert_eq!(not_printed("one\n…\nthree\n", printed), None);
        assert_eq!(not_printed("three\none\n", printed), Some("one"));
        assert_eq!(not_printed("two\nfour\n", printed), Some("four"));
    }

    #[test]
    fn a_block_says_which_code_it_ends_with() {
        assert_eq!(expected_codes("kneepoint a\n# exit code 99\n"), [99]);
        assert_eq!(expected_codes("kneepoint a\n# exit code 0 or 123\n"), [0, 123]);
        assert_eq!(expected_codes("kneepoint a   # exit code 121\n"), [0]);
        assert_eq!(expected_codes("kneepoint a\n"), [0]);
    }
}
